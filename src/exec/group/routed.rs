//! The rows of a batch by bucket.
//!
//! In:  the keys of a batch.
//! Out: the hash and the number of each row, those of one bucket together, in their order.

use std::ops::Range;

use arrow_array::ArrayRef;

use super::store::N_BUCKETS;
use crate::error::Result;
use crate::expr::hash_rows;
use crate::shuffle::{bucket_of, starts};

/// Bytes that a row takes on its way: its hash and its number.
pub(super) const ROUTED_BYTES: u64 = 12;

/// The rows of a batch, those of one bucket together, in their order.
pub(super) struct Routed {
    /// For each bucket the place behind its last row.
    ends: Vec<u32>,
    pub hashes: Vec<u64>,
    /// The number of each row in its batch.
    pub rows: Vec<u32>,
}

impl Routed {
    pub fn of(keys: &[ArrayRef]) -> Result<Routed> {
        let hashes = hash_rows(keys)?;
        let to = hashes.iter().map(|hash| bucket_of(*hash, N_BUCKETS));
        let to: Vec<u32> = to.collect();
        let mut routed = Routed {
            ends: starts(&to, N_BUCKETS, hashes.len())?,
            hashes: vec![0; hashes.len()],
            rows: vec![0; hashes.len()],
        };
        for ((row, hash), to) in (0..).zip(hashes).zip(to) {
            let next = &mut routed.ends[to as usize];
            routed.hashes[*next as usize] = hash;
            routed.rows[*next as usize] = row;
            *next += 1;
        }
        Ok(routed)
    }

    /// The rows of a bucket, as places in `hashes` and `rows`.
    pub fn range(&self, bucket: usize) -> Range<usize> {
        let start = bucket.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[bucket] as usize
    }
}
