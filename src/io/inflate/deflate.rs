//! Inflating, in Rust.
//!
//! In:  pieces of deflate data (RFC 1951).
//! Out: text. Up to seven bytes behind the data's end are read ahead and given back.
//!
//! ```text
//!  ┌▶ header ─▶ stored                ─▶ bytes as they are ─┐
//!  │         ─▶ fixed codes           ─▶ symbols ───────────┤
//!  │         ─▶ counts ▶ lengths (2x) ─▶ symbols            │
//!  └──────────────────── until the last block ◀─────────────┘
//! ```
//!
//! Every step of this needs at most 48 bits, and 56 fit the buffer: a step whose
//! bits are not all there waits, with nothing half done. Away from the ends of
//! input and room, symbols are taken in `fast.rs`. What is valid is what zlib
//! says is.

use super::bits::Bits;
use super::buffers::{Buffers, copy_back};
use super::codes::{Codes, DISTANCES, DistanceCode, LENGTHS, LITERALS, LengthCode, LiteralCode};
use super::fast::{self, Left};
use super::{Status, Step};

/// How far back a match may lie.
const WINDOW: usize = 32 << 10;

/// The state of one stream.
pub(crate) struct Inflater {
    stage: Stage,
    is_last: bool,
    bits: Bits,
    codes: Codes,
    lengths: LengthCode,
    /// Lengths of codes as far as they are read, literals first.
    read: [u8; 320],
    n_read: usize,
    n_literals: usize,
    n_distances: usize,
    n_lengths: usize,
    /// The rest of a match that found no room: bytes, and how far back they lie.
    rest: (usize, usize),
    /// The end of the text before this call.
    window: Vec<u8>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    StoredLength,
    Stored(usize),
    Counts,
    CodeLengths,
    Lengths,
    Symbols,
    End,
    Invalid,
}

/// How a stage ended.
enum Flow {
    /// Another stage begins.
    Next(Stage),
    /// More input or more room is needed.
    Wait,
}

/// The order in which the lengths of the lengths' codes stand.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater {
            stage: Stage::Header,
            is_last: false,
            bits: Bits::default(),
            codes: Codes {
                literals: LiteralCode::new(),
                distances: DistanceCode::new(),
            },
            lengths: LengthCode::new(),
            read: [0; 320],
            n_read: 0,
            n_literals: 0,
            n_distances: 0,
            n_lengths: 0,
            rest: (0, 0),
            window: Vec::with_capacity(WINDOW),
        }
    }

    /// Begins another stream.
    pub(crate) fn reset(&mut self) {
        self.stage = Stage::Header;
        self.bits = Bits::default();
        self.rest = (0, 0);
        self.window.clear();
    }

    /// Inflates until input or room is used up, or the data ends.
    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Step {
        let mut buffers = Buffers {
            input,
            taken: 0,
            out,
            given: 0,
        };
        loop {
            let flow = match self.stage {
                Stage::Header => self.header(&mut buffers),
                Stage::StoredLength => self.stored_length(&mut buffers),
                Stage::Stored(left) => self.stored(left, &mut buffers),
                Stage::Counts => self.counts(&mut buffers),
                Stage::CodeLengths => self.code_lengths(&mut buffers),
                Stage::Lengths => self.all_lengths(&mut buffers),
                Stage::Symbols => self.symbols(&mut buffers),
                Stage::End | Stage::Invalid => Flow::Wait,
            };
            match flow {
                Flow::Next(stage) => self.stage = stage,
                Flow::Wait => break,
            }
        }
        let Buffers { taken, given, .. } = buffers;
        self.remember(&out[..given]);
        let ahead = match self.stage {
            Stage::End => self.bits.give_back(),
            _ => 0,
        };
        Step {
            taken: taken.saturating_sub(ahead),
            back: ahead.saturating_sub(taken),
            given,
            status: match self.stage {
                Stage::End => Status::End,
                Stage::Invalid => Status::Invalid,
                _ => Status::More,
            },
        }
    }

    fn header(&mut self, buffers: &mut Buffers<'_>) -> Flow {
        if !self.bits.fill(3, buffers) {
            return Flow::Wait;
        }
        self.is_last = self.bits.take(1) == 1;
        Flow::Next(match self.bits.take(2) {
            0 => {
                self.bits.align();
                Stage::StoredLength
            }
            1 => self.fixed(),
            2 => Stage::Counts,
            _ => Stage::Invalid,
        })
    }

    fn stored_length(&mut self, buffers: &mut Buffers<'_>) -> Flow {
        if !self.bits.fill(32, buffers) {
            return Flow::Wait;
        }
        let length = self.bits.take(16);
        Flow::Next(match length == !self.bits.take(16) & 0xffff {
            true => Stage::Stored(length as usize),
            false => Stage::Invalid,
        })
    }

    /// Bytes as they are: first those that wait as bits, then in one piece.
    fn stored(&mut self, mut left: usize, buffers: &mut Buffers<'_>) -> Flow {
        while left > 0 && buffers.room() > 0 && self.bits.len() > 0 {
            buffers.give(self.bits.take(8) as u8);
            left -= 1;
        }
        if self.bits.len() == 0 {
            left -= buffers.pass(left);
        }
        self.stage = Stage::Stored(left);
        match left {
            0 => Flow::Next(self.block_end()),
            _ => Flow::Wait,
        }
    }

    fn block_end(&self) -> Stage {
        match self.is_last {
            true => Stage::End,
            false => Stage::Header,
        }
    }

    fn fixed(&mut self) -> Stage {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        let both = self.codes.literals.build(&lengths, &LITERALS, true)
            && self.codes.distances.build(&[5; 32], &DISTANCES, true);
        debug_assert!(both, "the fixed codes are codes");
        Stage::Symbols
    }

    fn counts(&mut self, buffers: &mut Buffers<'_>) -> Flow {
        if !self.bits.fill(14, buffers) {
            return Flow::Wait;
        }
        self.n_literals = self.bits.take(5) as usize + 257;
        self.n_distances = self.bits.take(5) as usize + 1;
        self.n_lengths = self.bits.take(4) as usize + 4;
        self.n_read = 0;
        self.read[..19].fill(0);
        Flow::Next(match self.n_literals <= 286 && self.n_distances <= 30 {
            true => Stage::CodeLengths,
            false => Stage::Invalid,
        })
    }

    fn code_lengths(&mut self, buffers: &mut Buffers<'_>) -> Flow {
        while self.n_read < self.n_lengths {
            if !self.bits.fill(3, buffers) {
                return Flow::Wait;
            }
            self.read[ORDER[self.n_read]] = self.bits.take(3) as u8;
            self.n_read += 1;
        }
        self.n_read = 0;
        Flow::Next(
            match self.lengths.build(&self.read[..19], &LENGTHS, false) {
                true => Stage::Lengths,
                false => Stage::Invalid,
            },
        )
    }

    fn all_lengths(&mut self, buffers: &mut Buffers<'_>) -> Flow {
        let all = self.n_literals + self.n_distances;
        while self.n_read < all {
            // A code of seven bits, and seven that say how often.
            self.bits.fill(14, buffers);
            let entry = self.lengths.first(self.bits.ahead());
            let symbol = entry.byte();
            let more = match symbol {
                16 => 2,
                17 => 3,
                18 => 7,
                _ => 0,
            };
            if entry.is_exceptional() && self.bits.len() >= 7 {
                return Flow::Next(Stage::Invalid);
            }
            if entry.is_exceptional() || entry.bits() + more > self.bits.len() {
                return Flow::Wait;
            }
            self.bits.take(entry.bits());
            let often = self.bits.take(more) as usize;
            let (length, often) = match symbol {
                16 if self.n_read == 0 => return Flow::Next(Stage::Invalid),
                16 => (self.read[self.n_read - 1], 3 + often),
                17 => (0, 3 + often),
                18 => (0, 11 + often),
                length => (length, 1),
            };
            if self.n_read + often > all {
                return Flow::Next(Stage::Invalid);
            }
            self.read[self.n_read..self.n_read + often].fill(length);
            self.n_read += often;
        }
        let (literals, distances) = self.read[..all].split_at(self.n_literals);
        // Without an end, a block has none.
        let valid = literals[256] > 0
            && self.codes.literals.build(literals, &LITERALS, true)
            && self.codes.distances.build(distances, &DISTANCES, true);
        Flow::Next(match valid {
            true => Stage::Symbols,
            false => Stage::Invalid,
        })
    }

    fn symbols(&mut self, buffers: &mut Buffers<'_>) -> Flow {
        loop {
            if self.rest.0 > 0 {
                self.copy_match(buffers);
                if self.rest.0 > 0 {
                    return Flow::Wait;
                }
            }
            match fast::run(&self.codes, &mut self.bits, buffers, &self.window) {
                Some(Left::End) => return Flow::Next(self.block_end()),
                Some(Left::Invalid) => return Flow::Next(Stage::Invalid),
                Some(Left::Room) | None => {}
            }
            if let Some(flow) = self.symbol(buffers) {
                return flow;
            }
        }
    }

    /// Takes one symbol, and the distance behind a length. Nothing if there may be more to take.
    fn symbol(&mut self, buffers: &mut Buffers<'_>) -> Option<Flow> {
        if buffers.room() == 0 {
            return Some(Flow::Wait);
        }
        self.bits.fill(48, buffers);
        let known = self.bits.len();
        let mut bits = self.bits.ahead();
        let entry = self.codes.literals.symbol(bits);
        let mut used = entry.bits();
        if entry.is_exceptional() && !entry.is_end() {
            // Bits that are no code, unless too few are known to tell.
            return Some(if known >= 15 {
                Flow::Next(Stage::Invalid)
            } else {
                Flow::Wait
            });
        }
        if used > known {
            return Some(Flow::Wait);
        }
        if entry.is_end() {
            self.bits.take(used);
            return Some(Flow::Next(self.block_end()));
        }
        if entry.is_literal() {
            self.bits.take(used);
            buffers.give(entry.byte());
            return None;
        }
        let length = entry.value(bits);
        bits >>= used;
        let entry = self.codes.distances.symbol(bits);
        if entry.is_exceptional() {
            return Some(if known - used >= 15 {
                Flow::Next(Stage::Invalid)
            } else {
                Flow::Wait
            });
        }
        used += entry.bits();
        if used > known {
            return Some(Flow::Wait);
        }
        self.bits.take(used);
        let distance = entry.value(bits);
        if distance > buffers.given + self.window.len() {
            return Some(Flow::Next(Stage::Invalid));
        }
        self.rest = (length, distance);
        None
    }

    /// Copies of a match what there is room for.
    fn copy_match(&mut self, buffers: &mut Buffers<'_>) {
        let (length, distance) = self.rest;
        let n = length.min(buffers.room());
        copy_back(&self.window, buffers.out, buffers.given, n, distance);
        buffers.given += n;
        self.rest = (length - n, distance);
    }

    /// Keeps the last text, for matches of later calls.
    fn remember(&mut self, text: &[u8]) {
        let text = &text[text.len().saturating_sub(WINDOW)..];
        let kept = (WINDOW - text.len()).min(self.window.len());
        self.window.drain(..self.window.len() - kept);
        self.window.extend_from_slice(text);
    }
}
