//! Huffman codes as tables to look bits up in.
//!
//! In:  the length of each symbol's code (RFC 1951, 3.2.2).
//! Out: tables in which the next bits of the data find what they mean, in one
//!      step or, for long codes, in two.
//!
//! A code must fill its space, but for the one incomplete code that deflate
//! knows: a single code of one bit, or none at all.

/// The longest code there is.
const LONGEST: usize = 15;

/// What some bits of the data mean.
///
/// ```text
/// bit   31        30..16                     15           11..8         7..0
///       literal   byte, base of a length     exceptional  bits of the   bits to take, those
///                 or distance, or where a                 code alone    behind the code included
///                 second table begins
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Entry(pub u32);

impl Entry {
    const LITERAL: u32 = 1 << 31;
    const EXCEPTIONAL: u32 = 1 << 15;
    const SECOND: u32 = 1 << 14;
    const END: u32 = 1 << 13;

    /// Of bits that no code begins with.
    const INVALID: Entry = Entry(Entry::EXCEPTIONAL);

    const fn literal(byte: u32) -> Entry {
        Entry(Entry::LITERAL | byte << 16)
    }

    /// A length or a distance: the least one, and how many bits say how much more.
    const fn base(base: u32, extra: u32) -> Entry {
        Entry(base << 16 | extra)
    }

    const fn end() -> Entry {
        Entry(Entry::EXCEPTIONAL | Entry::END)
    }

    /// Further bits are looked up in `1 << bits` entries from `start` on.
    fn second(start: usize, bits: usize, first_bits: usize) -> Entry {
        Entry(
            (start as u32) << 16
                | Entry::EXCEPTIONAL
                | Entry::SECOND
                | (bits as u32) << 8
                | first_bits as u32,
        )
    }

    /// The same symbol with the length of its code.
    fn with_code(self, bits: usize) -> Entry {
        Entry(self.0 + ((bits as u32) << 8 | bits as u32))
    }

    #[inline(always)]
    pub fn is_literal(self) -> bool {
        self.0 & Entry::LITERAL != 0
    }

    /// Neither a literal nor a length or distance.
    #[inline(always)]
    pub fn is_exceptional(self) -> bool {
        self.0 & Entry::EXCEPTIONAL != 0
    }

    #[inline(always)]
    pub fn is_second(self) -> bool {
        self.0 & Entry::SECOND != 0
    }

    #[inline(always)]
    pub fn is_end(self) -> bool {
        self.0 & Entry::END != 0
    }

    /// The byte, of a literal.
    #[inline(always)]
    pub fn byte(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Bits to take, at most 28.
    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0 & 0xff
    }

    /// The length or distance that this and the bits behind its code say.
    #[inline(always)]
    pub fn value(self, bits: u64) -> usize {
        let of_code = self.0 >> 8 & 0xf;
        let extra = (bits & !(u64::MAX << self.bits())) >> of_code;
        (self.0 >> 16) as usize + extra as usize
    }

    /// Where in the table the bits behind these lead.
    #[inline(always)]
    pub fn place(self, bits: u64) -> usize {
        let of_second = self.0 >> 8 & 0xf;
        (self.0 >> 16) as usize + ((bits >> self.bits()) & !(u64::MAX << of_second)) as usize
    }
}

/// How many symbols there are in an alphabet of deflate, at most.
const MOST_SYMBOLS: usize = 288;

/// A code over an alphabet. The first `1 << FIRST` entries are looked up by as
/// many bits; `SIZE` has room for all second tables that a code can need.
pub(super) struct Code<const FIRST: usize, const SIZE: usize> {
    entries: Box<[Entry; SIZE]>,
}

/// The two codes of a block.
pub(super) struct Codes {
    pub literals: LiteralCode,
    pub distances: DistanceCode,
}

/// Literals and lengths.
pub(super) type LiteralCode = Code<11, 2400>;
/// Distances.
pub(super) type DistanceCode = Code<8, 448>;
/// The lengths of the other two's codes.
pub(super) type LengthCode = Code<7, 128>;

impl<const FIRST: usize, const SIZE: usize> Code<FIRST, SIZE> {
    pub fn new() -> Self {
        Code {
            entries: Box::new([Entry::INVALID; SIZE]),
        }
    }

    /// The entry that `bits` begin with; it may lead to a second one.
    #[inline(always)]
    pub fn first(&self, bits: u64) -> Entry {
        self.entries[(bits & ((1 << FIRST) - 1)) as usize]
    }

    /// The entry behind one that leads to it.
    #[inline(always)]
    pub fn second(&self, first: Entry, bits: u64) -> Entry {
        self.entries[first.place(bits)]
    }

    /// The entry of the symbol that `bits` begin with.
    #[inline(always)]
    pub fn symbol(&self, bits: u64) -> Entry {
        let entry = self.first(bits);
        if entry.is_second() {
            return self.second(entry, bits);
        }
        entry
    }

    /// Takes the code whose lengths are `lengths` (0: the symbol is not used);
    /// what each symbol means is in `symbols`. False if this is no code.
    /// `may_be_one`: a single code of one bit is one.
    #[must_use]
    pub fn build(&mut self, lengths: &[u8], symbols: &[Entry], may_be_one: bool) -> bool {
        let mut counts = [0usize; LONGEST + 1];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let Some(longest) = counts.iter().rposition(|count| *count > 0) else {
            self.entries[..1 << FIRST].fill(Entry::INVALID);
            return true;
        };
        let mut space = 1usize;
        for count in &counts[1..=longest] {
            space <<= 1;
            match space.checked_sub(*count) {
                Some(left) => space = left,
                None => return false,
            }
        }
        if space > 0 && (longest > 1 || !may_be_one) {
            return false;
        }
        let sorted = sort(lengths, &counts);
        let used = &sorted[..counts.iter().sum()];
        self.fill(used, lengths, symbols, &counts);
        true
    }

    /// Fills the table, symbols sorted by length: it doubles from each length to the next.
    fn fill(
        &mut self,
        sorted: &[u16],
        lengths: &[u8],
        symbols: &[Entry],
        counts: &[usize; LONGEST + 1],
    ) {
        let meaning = |symbol: u16, bits: usize| symbols[usize::from(symbol)].with_code(bits);
        let mut bits = usize::from(lengths[usize::from(sorted[0])]);
        let mut size = 1 << bits.min(FIRST);
        self.entries[..size].fill(Entry::INVALID);
        // The code of the symbol at hand, its first bit lowest.
        let mut code = 0usize;
        let mut at = 0;
        while at < sorted.len() {
            let of = usize::from(lengths[usize::from(sorted[at])]);
            if of > FIRST {
                break;
            }
            while bits < of {
                self.entries.copy_within(..size, size);
                size <<= 1;
                bits += 1;
            }
            self.entries[code] = meaning(sorted[at], of);
            code = next_code(code, of);
            at += 1;
        }
        while size < 1 << FIRST {
            self.entries.copy_within(..size, size);
            size <<= 1;
        }
        let mut prefix = usize::MAX;
        let (mut start, mut end) = (0, 1 << FIRST);
        let mut left = *counts;
        for symbol in &sorted[at..] {
            let of = usize::from(lengths[usize::from(*symbol)]);
            if code & ((1 << FIRST) - 1) != prefix {
                prefix = code & ((1 << FIRST) - 1);
                let of_second = second_bits(&left, of, FIRST);
                start = end;
                end += 1 << of_second;
                self.entries[prefix] = Entry::second(start, of_second, FIRST);
            }
            let entry = meaning(*symbol, of);
            let step = 1 << (of - FIRST);
            for place in (start + (code >> FIRST)..end).step_by(step) {
                self.entries[place] = entry;
            }
            left[of] -= 1;
            code = next_code(code, of);
        }
    }
}

/// How many bits a second table needs, whose first symbol has a code of `of`
/// bits: as many as codes fill that begin alike.
fn second_bits(left: &[usize; LONGEST + 1], of: usize, first: usize) -> usize {
    let mut bits = of - first;
    let mut filled = left[of];
    while filled < 1 << bits && first + bits < LONGEST {
        bits += 1;
        filled = 2 * filled + left[first + bits];
    }
    bits
}

/// The code behind `code` in canonical order, of the same length; a longer one
/// is it with zeros. Codes stand with their first bit lowest.
fn next_code(code: usize, bits: usize) -> usize {
    let zeros = !code & ((1 << bits) - 1);
    match zeros {
        0 => 0,
        _ => {
            let bit = 1 << zeros.ilog2();
            code & (bit - 1) | bit
        }
    }
}

/// Symbols in use by the lengths of their codes, then by number.
fn sort(lengths: &[u8], counts: &[usize; LONGEST + 1]) -> [u16; MOST_SYMBOLS] {
    let mut starts = [0; LONGEST + 1];
    for bits in 1..LONGEST {
        starts[bits + 1] = starts[bits] + counts[bits];
    }
    let mut sorted = [0; MOST_SYMBOLS];
    for (symbol, bits) in lengths.iter().enumerate().filter(|(_, bits)| **bits > 0) {
        let place = &mut starts[usize::from(*bits)];
        sorted[*place] = symbol as u16;
        *place += 1;
    }
    sorted
}

/// What the symbols of literals and lengths mean (RFC 1951, 3.2.5).
pub(super) const LITERALS: [Entry; 288] = {
    let mut symbols = [Entry::INVALID; 288];
    let mut n = 0;
    while n < 256 {
        symbols[n] = Entry::literal(n as u32);
        n += 1;
    }
    symbols[256] = Entry::end();
    let mut base = 3;
    n = 257;
    while n < 285 {
        let extra = if n < 265 { 0 } else { (n as u32 - 261) / 4 };
        symbols[n] = Entry::base(base, extra);
        base += 1 << extra;
        n += 1;
    }
    symbols[285] = Entry::base(258, 0);
    symbols
};

/// What the symbols of distances mean.
pub(super) const DISTANCES: [Entry; 32] = {
    let mut symbols = [Entry::INVALID; 32];
    let mut base = 1;
    let mut n = 0;
    while n < 30 {
        let extra = if n < 4 { 0 } else { (n as u32 - 2) / 2 };
        symbols[n] = Entry::base(base, extra);
        base += 1 << extra;
        n += 1;
    }
    symbols
};

/// The symbols of lengths of codes: their own numbers.
pub(super) const LENGTHS: [Entry; 19] = {
    let mut symbols = [Entry::INVALID; 19];
    let mut n = 0;
    while n < 19 {
        symbols[n] = Entry::literal(n as u32);
        n += 1;
    }
    symbols
};
