//! Where the first row of each group stands, or the last.
//!
//! In:  the groups of the rows of chunks, which may come in any order.
//! Out: the order in which groups first appear in the input, or last.
//!
//! A chunk has a number that grows with the input, and its rows stand in it one
//! behind the other: who folds which chunk, and when, leaves no trace.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, UInt32Array, UInt64Array};

/// The first place of each group, or the last, by its id.
#[derive(Debug, Default)]
pub(super) struct Places {
    of_last: bool,
    chunks: Vec<u64>,
    /// Within its chunk.
    rows: Vec<u32>,
    /// The last chunk in input order so far.
    last: u64,
}

/// Columns that places take in a partial.
pub(crate) const PLACE_COLUMNS: usize = 2;

impl Places {
    /// Those of first rows, or of last ones.
    pub fn new(of_last: bool) -> Self {
        Places {
            of_last,
            ..Places::default()
        }
    }

    /// Takes in the rows of a chunk, in their order, by the groups they are in.
    pub fn note(&mut self, ids: &[u32], n_groups: usize, chunk: u64) {
        let known = self.chunks.len();
        if n_groups > known {
            self.chunks.resize(n_groups, chunk);
            self.rows.reserve(n_groups - known);
            // New ids come in the order in which rows first have them.
            let mut next = known as u32;
            for (row, &id) in (0_u32..).zip(ids) {
                if id == next {
                    self.rows.push(row);
                    next += 1;
                }
            }
        }
        if chunk < self.last || self.of_last {
            for (row, &id) in (0_u32..).zip(ids) {
                self.offer(id, (chunk, row));
            }
        }
        self.last = self.last.max(chunk);
    }

    #[inline]
    fn offer(&mut self, id: u32, place: (u64, u32)) {
        let id = id as usize;
        let known = (self.chunks[id], self.rows[id]);
        let better = match self.of_last {
            true => place > known,
            false => place < known,
        };
        if better {
            (self.chunks[id], self.rows[id]) = place;
        }
    }

    /// Takes in rows whose places are told, in any order, by the groups they are
    /// in: all rows of one place are in one group.
    pub fn note_each(&mut self, ids: &[u32], n_groups: usize, places: &[u64]) {
        self.grow(n_groups);
        for (&id, &place) in ids.iter().zip(places) {
            self.offer(id, (place, 0));
        }
    }

    /// Makes room for groups whose places are yet to be told.
    fn grow(&mut self, n_groups: usize) {
        let (chunk, row) = match self.of_last {
            true => (0, 0),
            false => (u64::MAX, u32::MAX),
        };
        self.chunks.resize(n_groups, chunk);
        self.rows.resize(n_groups, row);
    }

    /// Takes in the places of a partial, which [`take`](Self::take) gave, by the groups of its rows.
    pub fn merge(&mut self, ids: &[u32], n_groups: usize, partial: &[ArrayRef]) {
        let chunks = partial[0].as_primitive::<UInt64Type>().values();
        let rows = partial[1].as_primitive::<UInt32Type>().values();
        self.grow(n_groups);
        for (row, &id) in ids.iter().enumerate() {
            self.offer(id, (chunks[row], rows[row]));
            self.last = self.last.max(chunks[row]);
        }
    }

    /// Two columns with a row for each group; nothing is left here.
    pub fn take(&mut self) -> [ArrayRef; PLACE_COLUMNS] {
        let taken = std::mem::replace(self, Places::new(self.of_last));
        [
            Arc::new(UInt64Array::from(taken.chunks)),
            Arc::new(UInt32Array::from(taken.rows)),
        ]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        8 * self.chunks.capacity() + 4 * self.rows.capacity()
    }
}

/// Places as numbers that stand in the same order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlaceNumbers {
    low_bits: u32,
    row_bits: u32,
    bits: u32,
}

/// Bits of every number below the largest of the bits of some.
fn bits(all: u64) -> u32 {
    u64::BITS - all.leading_zeros()
}

impl PlaceNumbers {
    /// For places of which all chunks together have the bits `chunks`, one or the
    /// other, and all rows the bits `rows`. None if 64 bits do not hold them.
    pub fn for_bits(chunks: u64, rows: u32) -> Option<Self> {
        // Numbers of chunks are two in one: both halves are small.
        let low_bits = bits(chunks & u64::from(u32::MAX));
        let row_bits = bits(rows.into());
        let bits = bits(chunks >> 32) + low_bits + row_bits;
        (bits <= u64::BITS).then_some(PlaceNumbers {
            low_bits,
            row_bits,
            bits,
        })
    }

    /// The number of a place.
    #[inline]
    pub fn number(self, chunk: u64, row: u32) -> u64 {
        let high = (chunk >> 32).checked_shl(self.low_bits).unwrap_or(0);
        let chunk = high | chunk & u64::from(u32::MAX);
        chunk.checked_shl(self.row_bits).unwrap_or(0) | u64::from(row)
    }
}

/// The rows of place columns in input order; none if they stand so already.
pub(crate) fn input_order(places: &[ArrayRef]) -> Option<UInt32Array> {
    let chunks = places[0].as_primitive::<UInt64Type>().values();
    let rows = places[1].as_primitive::<UInt32Type>().values();
    let place = |idx: usize| (chunks[idx], rows[idx]);
    if (1..chunks.len()).all(|idx| place(idx - 1) <= place(idx)) {
        return None;
    }
    let all_chunks = chunks.iter().fold(0, |all, chunk| all | chunk);
    let all_rows = rows.iter().fold(0, |all, row| all | row);
    let idx_bits = bits(chunks.len() as u64);
    let numbers = PlaceNumbers::for_bits(all_chunks, all_rows);
    let order: Vec<u32> = match numbers.filter(|of| of.bits + idx_bits <= u64::BITS) {
        // One number for place and index sorts several times as fast as a triple.
        Some(numbers) => {
            let places = (0_u64..).zip(chunks.iter().zip(rows));
            let packed =
                places.map(|(idx, (chunk, row))| numbers.number(*chunk, *row) << idx_bits | idx);
            let mut packed: Vec<u64> = packed.collect();
            packed.sort_unstable();
            let mask = (1_u64 << idx_bits) - 1;
            packed.into_iter().map(|one| (one & mask) as u32).collect()
        }
        None => {
            let mut order: Vec<u32> = (0..chunks.len() as u32).collect();
            order.sort_unstable_by_key(|&idx| place(idx as usize));
            order
        }
    };
    Some(order.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(places: &mut Places) -> Option<Vec<u32>> {
        input_order(&places.take()).map(|order| order.values().to_vec())
    }

    #[test]
    fn groups_stand_where_they_first_appear_whatever_chunk_came_first() {
        // Chunks 0 and 7 of the input hold the groups b a c | c d.
        let mut in_order = Places::default();
        in_order.note(&[0, 1, 0, 2], 3, 0);
        in_order.note(&[2, 3], 4, 7);
        assert_eq!(order(&mut in_order), None);
        // The last first: c and d have the first ids.
        let mut turned = Places::default();
        turned.note(&[0, 1], 2, 7);
        turned.note(&[2, 3, 2, 0], 4, 0);
        assert_eq!(order(&mut turned), Some(vec![2, 3, 0, 1]));
    }

    #[test]
    fn partials_merged_in_any_order_keep_first_places() {
        let (mut early, mut late) = (Places::default(), Places::default());
        early.note(&[0, 1, 2], 3, 3);
        late.note(&[0, 1], 2, u64::MAX - 1);
        let mut merged = Places::default();
        merged.merge(&[0, 1], 2, &late.take());
        merged.merge(&[2, 0, 3], 4, &early.take());
        assert_eq!(order(&mut merged), Some(vec![2, 0, 3, 1]));
    }

    #[test]
    fn numbers_of_places_stand_in_their_order() {
        let chunks = [0, 1, 7, 1 << 32, (1 << 32) + 3, 5 << 32];
        let rows = [0, 1, 1_000];
        let all = |of: &[u64]| of.iter().fold(0, |all, one| all | one);
        for n_chunks in 1..=chunks.len() {
            let chunks = &chunks[..n_chunks];
            let numbers = PlaceNumbers::for_bits(all(chunks), 1_023).unwrap();
            let places = chunks
                .iter()
                .flat_map(|chunk| rows.map(|row| (*chunk, row)));
            let numbers: Vec<u64> = places
                .map(|(chunk, row)| numbers.number(chunk, row))
                .collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        }
        assert!(PlaceNumbers::for_bits(u64::MAX, 1).is_none());
        let whole = PlaceNumbers::for_bits(u64::MAX, 0).unwrap();
        assert_eq!(whole.number(u64::MAX, 0), u64::MAX);
        let rows = PlaceNumbers::for_bits(0, u32::MAX).unwrap();
        assert_eq!(rows.number(0, u32::MAX), u64::from(u32::MAX));
    }

    #[test]
    fn places_too_far_apart_to_be_packed_are_sorted_all_the_same() {
        for far in [1, 1 << 32, (1 << 50) + 12_345] {
            let chunks = (0..5000).rev().map(|n| n * far);
            let chunks: ArrayRef = Arc::new(UInt64Array::from_iter_values(chunks));
            let rows = (0..5000).map(|row| u32::MAX - row);
            let rows: ArrayRef = Arc::new(UInt32Array::from_iter_values(rows));
            let order = input_order(&[chunks, rows]).unwrap();
            let turned: Vec<u32> = (0..5000).rev().collect();
            assert_eq!(order.values(), &turned[..]);
        }
    }
}
