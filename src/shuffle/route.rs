//! Which bucket a row goes to.
//!
//! In:  rows.
//! Out: the number of a bucket for each.
//!
//! Where a row goes depends on its values alone, never on its neighbours.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};

use crate::error::{Error, Result};
use crate::expr::hash_rows;
use crate::ops::{Edges, SortKeys};

/// Gives each row its bucket. Any thread asks it about any batch.
pub trait Route: Send + Sync {
    /// How many buckets there are; at least one.
    fn n_buckets(&self) -> usize;

    /// The bucket of each row of a batch, below [`Route::n_buckets`].
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for columns that are no keys.
    fn route(&self, rows: &RecordBatch) -> Result<Vec<u32>>;
}

/// The bucket of a hash among `n`: by its high bits, so that tables inside a
/// bucket can use the low ones.
#[inline]
pub fn bucket_of(hash: u64, n: usize) -> u32 {
    ((u128::from(hash) * n as u128) >> 64) as u32
}

/// Rows whose keys are equal by value go to one bucket; null is a value.
#[derive(Debug, Clone)]
pub struct ByHash {
    /// Places of the key columns in the rows.
    keys: Vec<usize>,
    n_buckets: usize,
}

impl ByHash {
    /// By the columns at the places `keys`, into `n_buckets`.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for no key; [`Error::Internal`] for no bucket.
    pub fn try_new(keys: Vec<usize>, n_buckets: usize) -> Result<Self> {
        if keys.is_empty() {
            return Err(Error::plan("there is no key to shuffle by"));
        }
        if n_buckets == 0 {
            return Err(Error::internal("a shuffle into no bucket"));
        }
        Ok(ByHash { keys, n_buckets })
    }

    /// The hash of each row's key.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a column of a type that is no key.
    pub fn hashes(&self, rows: &RecordBatch) -> Result<Vec<u64>> {
        let keys: Vec<ArrayRef> = self
            .keys
            .iter()
            .map(|&place| Arc::clone(rows.column(place)))
            .collect();
        hash_rows(&keys)
    }
}

impl Route for ByHash {
    fn n_buckets(&self) -> usize {
        self.n_buckets
    }

    fn route(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let hashes = self.hashes(rows)?;
        Ok(hashes
            .into_iter()
            .map(|hash| bucket_of(hash, self.n_buckets))
            .collect())
    }
}

/// Ranges of rows in order: bucket 0 has the first ones. Equal rows go to one bucket.
#[derive(Debug, Clone)]
pub struct ByRange {
    keys: SortKeys,
    edges: Edges,
}

impl ByRange {
    /// Ranges between `edges` of what `keys` make of rows.
    pub fn new(keys: SortKeys, edges: Edges) -> Self {
        ByRange { keys, edges }
    }

    /// What orders rows.
    pub fn keys(&self) -> &SortKeys {
        &self.keys
    }

    /// Where ranges end.
    pub fn edges(&self) -> &Edges {
        &self.edges
    }
}

impl Route for ByRange {
    fn n_buckets(&self) -> usize {
        self.edges.n_ranges()
    }

    fn route(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        Ok(self.edges.ranges(&self.keys.codes(rows)?))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;

    use super::*;

    #[test]
    fn hashes_fill_all_buckets_evenly() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..64_000));
        let rows = RecordBatch::try_from_iter([("key", keys)]).unwrap();
        for n in [1, 2, 7, 64] {
            let route = ByHash::try_new(vec![0], n).unwrap();
            let mut counts = vec![0_usize; n];
            for bucket in route.route(&rows).unwrap() {
                counts[bucket as usize] += 1;
            }
            let mean = 64_000 / n;
            let even = |count: &usize| count.abs_diff(mean) * 6 < mean;
            assert!(counts.iter().all(even), "{n} buckets: {counts:?}");
        }
        assert!(ByHash::try_new(vec![], 4).is_err());
        assert!(ByHash::try_new(vec![0], 0).is_err());
    }
}
