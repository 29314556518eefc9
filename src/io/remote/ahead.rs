//! An object as a stream, read ahead.
//!
//! In:  an object, how far it will be read, and how many bytes may be held.
//! Out: `Read` and `Seek`, where the next bytes are on their way before they are asked for.
//!
//! ```text
//! object   |----read----|piece|··fetched··|··fetched··|------------|
//!                          ^ at                       ^ next
//! ```
//!
//! A stream whose end is known from the start (a byte range) fills its window
//! at once. One that may be given up soon (a look at a file's head) begins with
//! one piece, and each piece that is used up allows one more. Behind the
//! expected end pieces are small: only the rest of a record is read there.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;

use super::object::{Fetched, Object};
use crate::io::source::FIRST_AHEAD_BYTES;

/// Bytes of the first piece behind the expected end.
const OVERHANG_BYTES: u64 = 64 << 10;
/// Pieces of a full window: as many requests run at the same time.
const MOST_PIECES: u64 = 4;

/// A window that moves over an object.
pub(crate) struct Ahead {
    object: Object,
    /// What was fetched last; `at` lies within it or at its end.
    piece: Bytes,
    piece_at: u64,
    at: u64,
    window: VecDeque<(u64, Fetched)>,
    /// The first byte that was not asked for.
    next: u64,
    expected_end: u64,
    /// Bytes the window may hold.
    room: u64,
    /// Requests that may run; grows to [`MOST_PIECES`].
    pieces: u64,
    /// Bytes of the next piece, if there is room.
    step: u64,
    /// Whether it was read behind the expected end.
    overhangs: bool,
}

impl Ahead {
    /// A stream over all of an object, from its first byte.
    pub(crate) fn whole(object: Object, room: u64) -> Self {
        let end = object.bytes();
        Ahead::new(object, 0, end, room, 1)
    }

    /// A stream that will be read from `range.start` to about `range.end`.
    pub(crate) fn range(object: Object, range: Range<u64>, room: u64) -> Self {
        Ahead::new(object, range.start, range.end, room, MOST_PIECES)
    }

    fn new(object: Object, at: u64, end: u64, room: u64, pieces: u64) -> Self {
        Ahead {
            object,
            piece: Bytes::new(),
            piece_at: at,
            at,
            window: VecDeque::new(),
            next: at,
            expected_end: end,
            room,
            pieces,
            step: FIRST_AHEAD_BYTES.min(most_step(room)),
            overhangs: false,
        }
    }

    /// Asks for the first piece, if none is on its way.
    pub(crate) fn begin(&mut self) -> Result<()> {
        if self.window.is_empty() && self.piece.is_empty() {
            self.ask()?;
        }
        Ok(())
    }

    /// Asks for pieces until the window is full. Behind the expected end that
    /// is one piece, and only a `wanted` one after the first.
    fn fill_window(&mut self, wanted: bool) -> Result<()> {
        let behind = |ahead: &Ahead| ahead.next >= ahead.expected_end;
        while (self.window.len() as u64) < self.pieces
            && self.next < self.object.bytes()
            && (!behind(self) || (self.window.is_empty() && (wanted || !self.overhangs)))
        {
            self.ask()?;
        }
        Ok(())
    }

    fn ask(&mut self) -> Result<()> {
        let mut left = self.object.bytes() - self.next;
        if self.next < self.expected_end {
            left = left.min(self.expected_end - self.next);
        } else if !self.overhangs {
            self.overhangs = true;
            self.step = OVERHANG_BYTES;
        }
        let end = self.next + self.step.min(left);
        self.window
            .push_back((self.next, self.object.fetch(self.next..end)?));
        self.next = end;
        self.step = (self.step * 2).min(most_step(self.room));
        Ok(())
    }

    /// Moves on to the next piece. False at the end of the object.
    fn advance(&mut self) -> Result<bool> {
        self.fill_window(true)?;
        let Some((at, fetched)) = self.window.pop_front() else {
            return Ok(false);
        };
        self.piece = fetched.wait()?;
        self.piece_at = at;
        self.at = at;
        // The next requests run while this piece is read.
        self.pieces = (self.pieces + 1).min(MOST_PIECES);
        self.fill_window(false)?;
        Ok(true)
    }
}

/// The largest piece: as many as there can be in the window, and the one that
/// is being read, fill the room.
fn most_step(room: u64) -> u64 {
    (room / (MOST_PIECES + 1)).max(OVERHANG_BYTES)
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.at == self.piece_at + self.piece.len() as u64 {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let held = &self.piece[(self.at - self.piece_at) as usize..];
        let n = held.len().min(out.len());
        out[..n].copy_from_slice(&held[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Ahead {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (self.object.bytes(), by),
            SeekFrom::Current(by) => (self.at, by),
        };
        let at = base
            .checked_add_signed(by)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a place before the first byte"))?;
        let held = self.piece_at..=self.piece_at + self.piece.len() as u64;
        if !held.contains(&at) {
            self.window.clear();
            self.piece = Bytes::new();
            self.piece_at = at;
            self.next = at;
            self.pieces = 1;
            self.step = OVERHANG_BYTES;
            self.overhangs = false;
        }
        self.at = at;
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::remote::object::tests::{in_memory, pattern};

    #[test]
    fn every_byte_comes_once_whatever_is_expected_and_held() {
        let bytes = pattern(3_000_017);
        let object = in_memory("ahead/bytes", &bytes);
        let end = bytes.len() as u64;
        for room in [1, 300 << 10, 8 << 20] {
            let mut whole = Vec::new();
            let mut ahead = Ahead::whole(object.clone(), room);
            ahead.begin().unwrap();
            ahead.read_to_end(&mut whole).unwrap();
            assert!(whole == bytes, "room {room}");
            for range in [0..10, 1_000_000..2_000_000, 2_999_999..end, end..end] {
                let from = range.start as usize;
                let mut rest = Vec::new();
                let mut ahead = Ahead::range(object.clone(), range, room);
                ahead.read_to_end(&mut rest).unwrap();
                assert!(rest == bytes[from..], "room {room} from {from}");
            }
        }
    }

    #[test]
    fn a_seek_goes_to_its_place() {
        let bytes = pattern(700_000);
        let object = in_memory("ahead/seek", &bytes);
        let mut ahead = Ahead::whole(object, 1 << 20);
        for at in [0, 5, 699_990, 3, 600_000, 600_001, 100] {
            ahead.seek(SeekFrom::Start(at)).unwrap();
            let mut out = [0; 10];
            ahead.read_exact(&mut out).unwrap();
            assert_eq!(out, bytes[at as usize..at as usize + 10], "{at}");
        }
        assert_eq!(ahead.seek(SeekFrom::End(-3)).unwrap(), 699_997);
        assert_eq!(ahead.read(&mut [0; 9]).unwrap(), 3);
        assert!(ahead.seek(SeekFrom::End(-700_001)).is_err());
    }

    #[test]
    fn a_range_asks_for_little_behind_its_end() {
        let bytes = pattern(4 << 20);
        let object = in_memory("ahead/overhang", &bytes);
        let mut ahead = Ahead::range(object, 0..100_000, 8 << 20);
        ahead.read_exact(&mut vec![0; 100_000]).unwrap();
        assert_eq!(ahead.next, 100_000 + OVERHANG_BYTES);
    }
}
