//! Distinct values, and which of them each value is.
//!
//! In:  the values of a leaf.
//! Out: a dictionary in order of first appearance, unless it grows too large.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::shelf::{Shelf, Shelved};

/// Integers this close together find their key in a table instead of by hashing.
const NEAR: usize = 1 << 16;

/// No entry yet, in such a table.
const NONE: u32 = u32::MAX;

/// Slots of a table for few values.
const LEAST_SLOTS: usize = 64;

/// A value that a dictionary can hold.
pub(super) trait Entry: Copy + Shelved {
    /// What is kept of an entry beside it, so that few others are looked at in vain.
    type Mark: Copy + Shelved;

    fn mark(self) -> Self::Mark;

    fn hash(self, mark: Self::Mark, seed: u64) -> u32;

    /// Whether both are stored as the same bytes.
    fn is(self, mark: Self::Mark, other: Self, other_mark: Self::Mark) -> bool;

    /// Bytes it takes, stored plainly.
    fn stored_bytes(self) -> usize;

    /// A number it is told from others by, if it has one.
    fn number(self) -> Option<i64> {
        None
    }
}

/// The length of a text, and its first and last bytes: of a short one all there is.
///
/// An entry's own bytes lie wherever it came first, which is seldom in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    len: usize,
    low: u64,
    high: u64,
}

impl Entry for &[u8] {
    type Mark = Ends;

    #[inline]
    fn mark(self) -> Ends {
        let (low, high) = ends(self);
        Ends {
            len: self.len(),
            low,
            high,
        }
    }

    #[inline]
    fn hash(self, mark: Ends, seed: u64) -> u32 {
        let mut state = seed ^ mark.len as u64;
        let (mut low, mut high) = (mark.low, mark.high);
        if mark.len > 16 {
            let mut rest = self;
            while let Some((first, behind)) = rest.split_first_chunk::<16>() {
                let (low, high) = ends(first);
                state = fold(low ^ state, high ^ MIX);
                rest = behind;
            }
            (low, high) = ends(rest);
        }
        (fold(low ^ state, high ^ MIX) >> 32) as u32
    }

    #[inline]
    fn is(self, mark: Ends, other: Self, other_mark: Ends) -> bool {
        mark == other_mark && (mark.len <= 16 || self == other)
    }

    fn stored_bytes(self) -> usize {
        4 + self.len()
    }
}

/// An odd number with as many ones as zeros, in no pattern.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// Both halves of a product: every bit of either number changes many bits.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

/// The first and the last eight bytes, overlapping if there are fewer than 16.
/// With the length they say all there is, up to 16.
#[inline]
fn ends(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return (
            u32::from_le_bytes(*first).into(),
            u32::from_le_bytes(*last).into(),
        );
    }
    match text {
        [] => (0, 0),
        [first, .., last] => (
            u64::from(*first) | u64::from(text[text.len() / 2]) << 8,
            u64::from(*last),
        ),
        [only] => (u64::from(*only), 0),
    }
}

macro_rules! number_entry {
    ($native:ty, $bits:expr, $number:expr) => {
        impl Entry for $native {
            type Mark = ();

            #[inline]
            fn mark(self) {}

            #[inline]
            fn hash(self, (): (), seed: u64) -> u32 {
                (fold(u64::from($bits(self)) ^ seed, MIX) >> 32) as u32
            }

            #[inline]
            fn is(self, (): (), other: Self, (): ()) -> bool {
                $bits(self) == $bits(other)
            }

            fn stored_bytes(self) -> usize {
                size_of::<$native>()
            }

            #[inline]
            fn number(self) -> Option<i64> {
                $number(self)
            }
        }
    };
}

number_entry!(i32, i32::cast_unsigned, |value| Some(i64::from(value)));
number_entry!(i64, i64::cast_unsigned, Some);
// By their bits: zeros of either sign and every NaN come back as they were.
number_entry!(f32, f32::to_bits, |_| None);
number_entry!(f64, f64::to_bits, |_| None);
number_entry!(bool, u8::from, |_| None);

/// Distinct values as they come, each with a key.
pub(super) struct Distinct<T: Entry> {
    pub(super) entries: Shelf<T>,
    marks: Shelf<T::Mark>,
    /// Hash and key + 1 of an entry, or zero; a power of two of them, at least
    /// twice the entries.
    slots: Shelf<u64>,
    seed: u64,
}

impl<T: Entry> Distinct<T> {
    /// With room for about so many; more find room too.
    pub(super) fn with_room(expected: usize) -> Self {
        Distinct {
            entries: Shelf::with_capacity(expected),
            marks: Shelf::with_capacity(expected),
            slots: Shelf::filled(0, (expected * 2).next_power_of_two().max(LEAST_SLOTS)),
            // Another one in every process: no input can be made to collide.
            seed: DefaultHashBuilder::default().hash_one(MIX),
        }
    }

    /// The key of a value, and whether it is new.
    #[inline(always)]
    pub(super) fn key(&mut self, value: T) -> (u32, bool) {
        let mark = value.mark();
        let hash = value.hash(mark, self.seed);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return (self.insert(value, mark, hash, at), true);
            }
            // The whole hash is there: other entries are seldom looked at.
            let key = slot as u32 - 1;
            if (slot >> 32) as u32 == hash
                && value.is(mark, self.entries[key as usize], self.marks[key as usize])
            {
                return (key, false);
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, value: T, mark: T::Mark, hash: u32, at: usize) -> u32 {
        let key = self.entries.len() as u32;
        self.entries.push(value);
        self.marks.push(mark);
        self.slots[at] = u64::from(hash) << 32 | u64::from(key + 1);
        if self.entries.len() * 2 > self.slots.len() {
            let wider = Shelf::filled(0, self.slots.len() * 4);
            let mask = wider.len() - 1;
            for &slot in std::mem::replace(&mut self.slots, wider).iter() {
                let mut at = (slot >> 32) as usize & mask;
                while slot != 0 && self.slots[at] != 0 {
                    at = (at + 1) & mask;
                }
                if slot != 0 {
                    self.slots[at] = slot;
                }
            }
        }
        key
    }
}

/// The distinct values of a leaf, and for each value which one it is.
#[derive(Debug)]
pub(super) struct Dictionary<T: Shelved> {
    pub(super) entries: Shelf<T>,
    pub(super) keys: Shelf<u32>,
}

impl<T: Entry> Dictionary<T> {
    /// The dictionary of `values`, of which about so many are thought to be
    /// distinct, unless its entries take more than `most_bytes`.
    pub(super) fn build(values: &[T], expected: usize, most_bytes: usize) -> Option<Self> {
        if let Some((least, span)) = near(values) {
            return Dictionary::build_near(values, least, span, most_bytes);
        }
        let mut distinct = Distinct::with_room(expected.min(values.len()));
        let mut keys = Shelf::with_capacity(values.len());
        let mut bytes = 0;
        for value in values {
            let (key, new) = distinct.key(*value);
            keys.push(key);
            if new {
                bytes += value.stored_bytes();
                if bytes > most_bytes {
                    return None;
                }
            }
        }
        Some(Dictionary {
            entries: distinct.entries,
            keys,
        })
    }

    fn build_near(values: &[T], least: i64, span: usize, most_bytes: usize) -> Option<Self> {
        let mut places = vec![NONE; span];
        let mut entries: Shelf<T> = Shelf::default();
        let mut keys = Shelf::with_capacity(values.len());
        for value in values {
            let place = value.number().unwrap_or(least).wrapping_sub(least) as usize;
            let mut key = places[place];
            if key == NONE {
                key = entries.len() as u32;
                places[place] = key;
                entries.push(*value);
            }
            keys.push(key);
        }
        let bytes = entries.len() * entries.first().map_or(0, |entry| entry.stored_bytes());
        (bytes <= most_bytes).then_some(Dictionary { entries, keys })
    }
}

/// The least number and the count of numbers up to the greatest, if those are few.
fn near<T: Entry>(values: &[T]) -> Option<(i64, usize)> {
    let first = values.first()?.number()?;
    let (mut least, mut greatest) = (first, first);
    for value in values {
        let number = value.number()?;
        least = least.min(number);
        greatest = greatest.max(number);
    }
    let span = usize::try_from(greatest.checked_sub(least)?).ok()?;
    (span < NEAR).then_some((least, span + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: Entry>(left: T, right: T) -> bool {
        left.is(left.mark(), right, right.mark())
    }

    fn check<T: Entry + std::fmt::Debug>(values: &[T]) {
        let dictionary = Dictionary::build(values, 9, usize::MAX).unwrap();
        assert_eq!(dictionary.keys.len(), values.len());
        let mut next = 0;
        for (value, key) in values.iter().zip(dictionary.keys.iter()) {
            assert!(same(dictionary.entries[*key as usize], *value), "{value:?}");
            assert!(*key <= next, "keys are given in order of first appearance");
            next = next.max(key + 1);
        }
        for (idx, entry) in dictionary.entries.iter().enumerate() {
            let again = dictionary.entries[..idx]
                .iter()
                .any(|other| same(*other, *entry));
            assert!(!again, "{entry:?} has two keys");
        }
    }

    #[test]
    fn every_value_finds_its_entry() {
        check::<i64>(&[]);
        check(&[5i64, 3, 5, i64::MAX, i64::MIN, 3, -1]);
        check(&[200i32, 404, 200, -70, 500, 404]);
        check(&[i32::MAX, i32::MIN, 0]);
        check(&[0.0f64, -0.0, f64::NAN, -f64::NAN, 0.0, f64::INFINITY]);
        check(&[0.5f32, f32::NAN, 0.5]);
        let texts: Vec<String> = (0..5000).map(|n| "x".repeat(n * n % 97)).collect();
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        check(&texts);
        // Every length and every place where short texts can differ.
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for len in 0..40 {
            texts.push(vec![b'a'; len]);
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = b'b';
                texts.push(text);
            }
        }
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_slice()).collect();
        check(&texts);
        assert_eq!(
            Dictionary::build(&texts, 1000, usize::MAX)
                .unwrap()
                .entries
                .len(),
            texts.len()
        );
    }

    #[test]
    fn a_dictionary_that_grows_too_large_is_given_up() {
        let values: Vec<i64> = (0..1000).map(|n| n << 40).collect();
        assert!(Dictionary::build(&values, 9, 8000).is_some());
        assert!(Dictionary::build(&values, 9, 7999).is_none());
        let near: Vec<i64> = (0..1000).collect();
        assert!(Dictionary::build(&near, 9, 8000).is_some());
        assert!(Dictionary::build(&near, 9, 7999).is_none());
    }
}
