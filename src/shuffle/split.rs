//! One batch cut into shards.
//!
//! In:  a batch, and the bucket of each row.
//! Out: the same rows, those of one bucket together, in their order.
//!
//! ```text
//! rows     a b c d e f          one counting pass, then one `take` a column:
//! buckets  1 0 1 2 0 1          shards are ranges of one batch, and cost
//! shards   b e | a c f | d      no memory of their own
//! ```

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;

use crate::error::{Error, Result};

/// The rows of a batch by bucket.
#[derive(Debug, Clone)]
pub struct Shards {
    rows: RecordBatch,
    /// For each bucket the row behind its last one; it starts where the one before ends.
    ends: Vec<u32>,
}

impl Shards {
    /// How many buckets there are.
    pub fn n_buckets(&self) -> usize {
        self.ends.len()
    }

    /// All rows, those of bucket 0 first.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The same rows with other columns.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if they are not as many.
    pub fn with_rows(self, rows: RecordBatch) -> Result<Self> {
        if rows.num_rows() != self.rows.num_rows() {
            return Err(Error::internal("other rows in place of shards"));
        }
        Ok(Shards { rows, ..self })
    }

    /// How many rows of a bucket there are.
    pub fn len(&self, bucket: usize) -> usize {
        (self.ends[bucket] - self.start(bucket)) as usize
    }

    /// Whether there is no row of a bucket.
    pub fn is_empty(&self, bucket: usize) -> bool {
        self.len(bucket) == 0
    }

    /// The rows of a bucket, without a copy.
    pub fn shard(&self, bucket: usize) -> RecordBatch {
        let start = self.start(bucket) as usize;
        self.rows.slice(start, self.len(bucket))
    }

    fn start(&self, bucket: usize) -> u32 {
        bucket.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// Cuts a batch into shards: row `i` goes to bucket `buckets[i]`, which is below
/// `n_buckets`. Rows of one bucket keep their order.
///
/// # Errors
///
/// [`Error::Internal`] if the buckets are not those of the rows.
pub fn split(rows: &RecordBatch, buckets: &[u32], n_buckets: usize) -> Result<Shards> {
    if rows.num_rows() != buckets.len() || rows.num_rows() > u32::MAX as usize {
        return Err(Error::internal(format!(
            "{} buckets for {} rows",
            buckets.len(),
            rows.num_rows()
        )));
    }
    let mut ends = vec![0_u32; n_buckets];
    for &bucket in buckets {
        let count = ends.get_mut(bucket as usize).ok_or_else(|| {
            Error::internal(format!("bucket {bucket} of {n_buckets} does not exist"))
        })?;
        *count += 1;
    }
    let mut so_far = 0;
    for end in &mut ends {
        // For now where the bucket starts; placing its rows moves it to its end.
        let count = std::mem::replace(end, so_far);
        so_far += count;
    }
    if buckets.is_sorted() {
        for &bucket in buckets {
            ends[bucket as usize] += 1;
        }
        let rows = rows.clone();
        return Ok(Shards { rows, ends });
    }
    let mut places = vec![0_u32; buckets.len()];
    for (row, &bucket) in (0_u32..).zip(buckets) {
        let next = &mut ends[bucket as usize];
        places[*next as usize] = row;
        *next += 1;
    }
    Ok(Shards {
        rows: take_record_batch(rows, &UInt32Array::from(places))?,
        ends,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;

    fn batch(rows: usize) -> RecordBatch {
        let places: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        RecordBatch::try_from_iter([("place", places)]).unwrap()
    }

    #[test]
    fn shards_hold_each_row_once_in_order() {
        for buckets in [
            vec![1, 0, 1, 2, 0, 1],
            vec![],
            vec![3],
            vec![0, 0, 1, 3, 3],
            vec![3, 2, 1, 0],
        ] {
            let shards = split(&batch(buckets.len()), &buckets, 4).unwrap();
            assert_eq!(shards.n_buckets(), 4);
            for bucket in 0..4 {
                let shard = shards.shard(bucket as usize);
                let rows = shard.column(0).as_primitive::<Int64Type>();
                let wanted = (0..buckets.len()).filter(|&row| buckets[row] == bucket);
                let wanted: Vec<i64> = wanted.map(|row| row as i64).collect();
                assert_eq!(rows.values(), &wanted[..], "{buckets:?} {bucket}");
                assert_eq!(shards.is_empty(bucket as usize), wanted.is_empty());
            }
        }
    }

    #[test]
    fn buckets_that_do_not_fit_the_rows_are_refused() {
        assert!(split(&batch(2), &[0], 4).is_err());
        assert!(split(&batch(2), &[0, 4], 4).is_err());
    }
}
