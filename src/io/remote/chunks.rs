//! The column chunks of one row group.
//!
//! In:  an object, where its wanted columns lie, and how many bytes may be held.
//! Out: reads at places, answered from few requests.
//!
//! Chunks that lie near each other come with one request; one that is too
//! large for its share of the room comes in pieces, the next on its way while
//! one is decoded. A column is read forwards, so a piece is dropped once its
//! column is read behind it:
//!
//! ```text
//! row group  [ a ][ b ][ c        ][ d                                   ][ e ]
//! wanted      a    b                 d                                     e
//! requests   [--------]            [----------|----------|----------|----][---]
//! ```

use std::collections::VecDeque;
use std::io::Result;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::object::{Fetched, Object};

/// Bytes between two chunks that are rather fetched than left out: what comes
/// in the time that another request would take.
const GAP_BYTES: u64 = 512 << 10;
/// The least a request asks for of a large chunk.
const LEAST_PIECE: u64 = 128 << 10;
/// Requests that run at the same time for one row group.
const MOST_REQUESTS: usize = 8;

/// The wanted chunks. Clones share what was fetched.
#[derive(Clone)]
pub(crate) struct Chunks {
    object: Object,
    state: Arc<Mutex<State>>,
}

struct State {
    pieces: Vec<Piece>,
    /// Pieces to ask for first: those that columns begin with.
    first: VecDeque<usize>,
}

struct Piece {
    range: Range<u64>,
    /// Whether the next piece goes on with the same column.
    goes_on: bool,
    bytes: Held,
}

enum Held {
    Nothing,
    Coming(Fetched),
    Here(Bytes),
}

impl Chunks {
    /// Plans the requests for `wanted` ranges; none is sent before the first read.
    pub(crate) fn new(object: Object, wanted: Vec<Range<u64>>, room: u64) -> Self {
        let pieces = plan(wanted, room);
        let begins = |idx: &usize| *idx == 0 || !pieces[*idx - 1].goes_on;
        let first = (0..pieces.len()).filter(begins).collect();
        Chunks {
            object,
            state: Arc::new(Mutex::new(State { pieces, first })),
        }
    }

    /// Exactly `n` bytes from `at` on.
    pub(crate) fn read(&self, at: u64, n: usize) -> Result<Bytes> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = at.saturating_add(n as u64);
        let Some(mut idx) = state.piece_of(at).filter(|_| n > 0) else {
            return self.object.read(at..end);
        };
        let first = state.bytes(idx, &self.object)?;
        let from = (at - state.pieces[idx].range.start) as usize;
        if from + n <= first.len() {
            return Ok(first.slice(from..from + n));
        }
        let mut all = BytesMut::with_capacity(n.min(first.len() * 4));
        all.extend_from_slice(&first[from..]);
        while all.len() < n {
            let next = at + all.len() as u64;
            idx += 1;
            if state
                .pieces
                .get(idx)
                .is_none_or(|piece| piece.range.start != next)
            {
                all.extend_from_slice(&self.object.read(next..end)?);
                break;
            }
            let more = state.bytes(idx, &self.object)?;
            all.extend_from_slice(&more[..more.len().min(n - all.len())]);
        }
        Ok(all.freeze())
    }

    /// Some bytes from `at` on, at most `n`; none at the end of the object.
    pub(crate) fn read_some(&self, at: u64, n: usize) -> Result<Bytes> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = match state.piece_of(at) {
            Some(idx) => state.pieces[idx].range.end,
            None => self.object.bytes(),
        };
        drop(state);
        let n = end.saturating_sub(at).min(n as u64);
        self.read(at, n as usize)
    }
}

impl State {
    fn piece_of(&self, at: u64) -> Option<usize> {
        let idx = self.pieces.partition_point(|piece| piece.range.end <= at);
        let piece = self.pieces.get(idx)?;
        piece.range.contains(&at).then_some(idx)
    }

    /// The bytes of a piece, with what comes next asked for.
    fn bytes(&mut self, idx: usize, object: &Object) -> Result<Bytes> {
        self.ask(idx, object)?;
        if self.pieces[idx].goes_on {
            self.ask(idx + 1, object)?;
        }
        self.ask_first(object)?;
        // Two pieces back: a page may reach over the edge of the last one.
        if idx > 1 && self.pieces[idx - 1].goes_on && self.pieces[idx - 2].goes_on {
            self.pieces[idx - 2].bytes = Held::Nothing;
        }
        let held = &mut self.pieces[idx].bytes;
        let bytes = match std::mem::replace(held, Held::Nothing) {
            Held::Here(bytes) => bytes,
            Held::Coming(fetched) => fetched.wait()?,
            Held::Nothing => object.read(self.pieces[idx].range.clone())?,
        };
        self.pieces[idx].bytes = Held::Here(bytes.clone());
        Ok(bytes)
    }

    fn ask(&mut self, idx: usize, object: &Object) -> Result<()> {
        let piece = &mut self.pieces[idx];
        if matches!(piece.bytes, Held::Nothing) {
            piece.bytes = Held::Coming(object.fetch(piece.range.clone())?);
        }
        Ok(())
    }

    /// Asks for pieces that columns begin with, as long as few requests run.
    fn ask_first(&mut self, object: &Object) -> Result<()> {
        let coming = |piece: &&Piece| matches!(piece.bytes, Held::Coming(_));
        let mut running = self.pieces.iter().filter(coming).count();
        while running < MOST_REQUESTS {
            let Some(idx) = self.first.pop_front() else {
                break;
            };
            self.ask(idx, object)?;
            running += 1;
        }
        Ok(())
    }
}

/// Cuts and joins ranges into pieces, sorted and disjoint. Two pieces of each
/// column fit the room together, unless there are too many columns for that.
fn plan(mut wanted: Vec<Range<u64>>, room: u64) -> Vec<Piece> {
    wanted.retain(|range| !range.is_empty());
    wanted.sort_unstable_by_key(|range| (range.start, range.end));
    let total: u64 = wanted.iter().map(|range| range.end - range.start).sum();
    let share = room / (2 * wanted.len().max(1) as u64);
    let most = if total <= room {
        room
    } else {
        share.max(LEAST_PIECE)
    };
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in wanted {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            Some(last) if range.start - last.end <= GAP_BYTES && range.end - last.start <= most => {
                last.end = range.end;
            }
            _ => joined.push(range),
        }
    }
    let mut pieces = Vec::new();
    for range in joined {
        let mut at = range.start;
        while at < range.end {
            let end = at.saturating_add(most).min(range.end);
            pieces.push(Piece {
                range: at..end,
                goes_on: end < range.end,
                bytes: Held::Nothing,
            });
            at = end;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::remote::object::tests::{in_memory, pattern};

    fn ranges(wanted: &[Range<u64>], room: u64) -> Vec<Range<u64>> {
        let pieces = plan(wanted.to_vec(), room);
        pieces.into_iter().map(|piece| piece.range).collect()
    }

    #[test]
    fn near_chunks_come_together_and_large_ones_in_pieces() {
        let mib = 1 << 20;
        let few = [10..20, 30..40, 5 * mib..6 * mib];
        assert_eq!(ranges(&few, 8 * mib), [10..40, 5 * mib..6 * mib]);
        assert_eq!(
            ranges(&[0..4 * mib, 9 * mib..9 * mib + 5], 4 * mib),
            [
                0..mib,
                mib..2 * mib,
                2 * mib..3 * mib,
                3 * mib..4 * mib,
                9 * mib..9 * mib + 5
            ]
        );
        assert_eq!(ranges(&[3..3, 5..5], mib), []);
    }

    #[test]
    fn reads_give_the_bytes_of_the_object_with_any_room() {
        let bytes = pattern(2_000_000);
        let object = in_memory("chunks/read", &bytes);
        let wanted = vec![100..300_000, 300_000..900_000, 1_500_000..1_999_000];
        for room in [0, 1 << 20, 8 << 20] {
            let chunks = Chunks::new(object.clone(), wanted.clone(), room);
            for column in &wanted {
                let mut at = column.start;
                while at < column.end {
                    let n = 70_001.min(column.end - at) as usize;
                    let got = chunks.read(at, n).unwrap();
                    assert!(
                        got == bytes[at as usize..at as usize + n],
                        "{at}, room {room}"
                    );
                    let some = chunks.read_some(at, n).unwrap();
                    assert!(!some.is_empty() && got.starts_with(&some));
                    at += n as u64;
                }
            }
            // Over the edge of what is wanted, backwards, and of no chunk.
            for at in [899_990, 100, 1_000_000, 1_998_999] {
                let got = chunks.read(at, 50).unwrap();
                assert_eq!(got, bytes[at as usize..at as usize + 50], "{at}");
            }
            assert!(chunks.read(1_999_990, 11).is_err());
            assert!(chunks.read_some(2_000_000, 5).unwrap().is_empty());
        }
    }
}
