//! One batch cut into shards.
//!
//! In:  a batch, and the bucket of each row.
//! Out: the same rows, those of one bucket together, in their order.
//!
//! ```text
//! rows     a b c d e f          one counting pass, then a `take` of each column
//! buckets  1 0 1 2 0 1          for each of a few sections of buckets: shards are
//! shards   b e | a c f ║ d      ranges of a section, and cost no memory of their own
//! ```
//!
//! Sections have memory of their own, so that of buckets which were read goes
//! before all were.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;

use super::gather::{At, gather};
use crate::error::{Error, Result};
use crate::partition::batch_bytes;

/// Sections at most: what lies in memory of buckets that were read is at most
/// the share of one of them. More would make arrays of few rows.
const MOST_SECTIONS: usize = 8;

/// How many buckets make a section, of so many.
pub(super) fn buckets_a_section(n_buckets: usize) -> usize {
    n_buckets.div_ceil(MOST_SECTIONS).max(1)
}

/// The rows of a section of buckets.
#[derive(Debug, Clone)]
pub(super) struct Section {
    rows: RecordBatch,
    /// For each of its buckets the row behind its last one; it starts where the one before ends.
    ends: Vec<u32>,
}

impl Section {
    /// All rows, those of the first bucket first.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// How many rows of a bucket there are.
    pub fn len(&self, bucket: usize) -> usize {
        (self.ends[bucket] - self.start(bucket)) as usize
    }

    /// The rows of a bucket, without a copy.
    pub fn shard(&self, bucket: usize) -> RecordBatch {
        self.rows.slice(self.places(bucket).start, self.len(bucket))
    }

    /// Where the rows of a bucket stand among all.
    pub fn places(&self, bucket: usize) -> Range<usize> {
        self.start(bucket) as usize..self.ends[bucket] as usize
    }

    fn start(&self, bucket: usize) -> u32 {
        bucket.checked_sub(1).map_or(0, |before| self.ends[before])
    }
}

/// The rows of a batch by bucket.
#[derive(Debug, Clone)]
pub struct Shards {
    n_buckets: usize,
    schema: SchemaRef,
    /// As many as there are buckets by [`buckets_a_section`].
    sections: Vec<Section>,
}

impl Shards {
    /// Shards that end at `ends`, of rows that `make` gives from a place on, so many of them.
    fn of(
        schema: &SchemaRef,
        ends: &[u32],
        make: impl Fn(usize, usize) -> Result<RecordBatch>,
    ) -> Result<Self> {
        let mut start = 0;
        let sections = ends.chunks(buckets_a_section(ends.len())).map(|ends| {
            let end = ends.last().copied().unwrap_or(start);
            let section = Section {
                rows: make(start as usize, (end - start) as usize)?,
                ends: ends.iter().map(|end| end - start).collect(),
            };
            start = end;
            Ok(section)
        });
        Ok(Shards {
            n_buckets: ends.len(),
            schema: Arc::clone(schema),
            sections: sections.collect::<Result<_>>()?,
        })
    }

    /// How many buckets there are.
    pub fn n_buckets(&self) -> usize {
        self.n_buckets
    }

    /// The columns of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of all buckets.
    pub fn num_rows(&self) -> usize {
        self.batches().map(RecordBatch::num_rows).sum()
    }

    /// Logical bytes of all rows.
    pub fn bytes(&self) -> u64 {
        self.batches().map(batch_bytes).sum()
    }

    /// All rows, those of bucket 0 first, in a few batches.
    pub fn batches(&self) -> impl DoubleEndedIterator<Item = &RecordBatch> {
        self.sections.iter().map(Section::rows)
    }

    pub(super) fn into_sections(self) -> Vec<Section> {
        self.sections
    }

    /// The same rows with what `change` makes of each of [`batches`](Self::batches).
    ///
    /// # Errors
    ///
    /// Those of `change`; [`Error::Internal`] if it gives more rows or fewer.
    pub fn map(self, mut change: impl FnMut(&RecordBatch) -> Result<RecordBatch>) -> Result<Self> {
        let changed = self.sections.into_iter().map(|section| {
            let rows = change(&section.rows)?;
            match rows.num_rows() == section.rows.num_rows() {
                true => Ok(Section { rows, ..section }),
                false => Err(Error::internal("other rows in place of shards")),
            }
        });
        Ok(Shards {
            sections: changed.collect::<Result<_>>()?,
            ..self
        })
    }

    /// How many rows of a bucket there are.
    pub fn len(&self, bucket: usize) -> usize {
        let each = buckets_a_section(self.n_buckets);
        self.sections[bucket / each].len(bucket % each)
    }

    /// Whether there is no row of a bucket.
    pub fn is_empty(&self, bucket: usize) -> bool {
        self.len(bucket) == 0
    }

    /// The rows of a bucket, without a copy.
    pub fn shard(&self, bucket: usize) -> RecordBatch {
        let each = buckets_a_section(self.n_buckets);
        self.sections[bucket / each].shard(bucket % each)
    }
}

/// Cuts a batch into shards: row `i` goes to bucket `buckets[i]`, which is below
/// `n_buckets`. Rows of one bucket keep their order.
///
/// # Errors
///
/// [`Error::Internal`] if the buckets are not those of the rows.
pub fn split(rows: &RecordBatch, buckets: &[u32], n_buckets: usize) -> Result<Shards> {
    let mut ends = starts(buckets, n_buckets, rows.num_rows())?;
    let mut places = vec![0_u32; buckets.len()];
    for (row, &bucket) in (0_u32..).zip(buckets) {
        let next = &mut ends[bucket as usize];
        places[*next as usize] = row;
        *next += 1;
    }
    let places = UInt32Array::from(places);
    Shards::of(&rows.schema(), &ends, |start, len| {
        match len == rows.num_rows() && buckets.is_sorted() {
            true => Ok(rows.clone()),
            false => Ok(take_record_batch(rows, &places.slice(start, len))?),
        }
    })
}

/// As [`split`], of several batches with the same columns at once, each of their
/// rows behind those of the batches before: larger shards, and no row is moved twice.
///
/// # Errors
///
/// As for [`split`], and if there is no batch.
pub fn split_all(batches: &[RecordBatch], buckets: &[u32], n_buckets: usize) -> Result<Shards> {
    let n_rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut ends = starts(buckets, n_buckets, n_rows)?;
    let Some(first) = batches.first() else {
        return Err(Error::internal("there is no batch to split"));
    };
    let mut places: Vec<At> = vec![(0, 0); n_rows];
    let rows = (0..).zip(batches);
    let rows =
        rows.flat_map(|(idx, batch)| (0..batch.num_rows() as u32).map(move |row| (idx, row)));
    for (place, &bucket) in rows.zip(buckets) {
        let next = &mut ends[bucket as usize];
        places[*next as usize] = place;
        *next += 1;
    }
    let columns = (0..first.num_columns()).map(|idx| {
        let columns = batches.iter().map(|batch| &**batch.column(idx));
        columns.collect::<Vec<&dyn Array>>()
    });
    let columns: Vec<Vec<&dyn Array>> = columns.collect();
    Shards::of(&first.schema(), &ends, |start, len| {
        let places = &places[start..start + len];
        let columns = columns.iter().map(|column| gather(column, places));
        let columns = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        let schema = first.schema();
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    })
}

/// Where the rows of each bucket start. As they are placed, starts become ends.
///
/// # Errors
///
/// [`Error::Internal`] if there are not as many rows, or not as many buckets.
pub(crate) fn starts(buckets: &[u32], n_buckets: usize, n_rows: usize) -> Result<Vec<u32>> {
    if n_rows != buckets.len() || n_rows > u32::MAX as usize {
        return Err(Error::internal(format!(
            "{} buckets for {n_rows} rows",
            buckets.len()
        )));
    }
    let mut starts = vec![0_u32; n_buckets];
    for &bucket in buckets {
        let count = starts.get_mut(bucket as usize).ok_or_else(|| {
            Error::internal(format!("bucket {bucket} of {n_buckets} does not exist"))
        })?;
        *count += 1;
    }
    let mut so_far = 0;
    for start in &mut starts {
        let count = std::mem::replace(start, so_far);
        so_far += count;
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array, NullArray};

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
    fn several_batches_are_split_as_one_would_be() {
        let nulls: ArrayRef = Arc::new(NullArray::new(60));
        let places: ArrayRef = Arc::new(Int64Array::from_iter_values(0..60));
        let whole = RecordBatch::try_from_iter([("place", places), ("none", nulls)]).unwrap();
        let buckets: Vec<u32> = (0..60).map(|n| n * n % 7).collect();
        let expected = split(&whole, &buckets, 8).unwrap();
        let pieces = [(0, 10), (10, 0), (10, 49), (59, 1)].map(|(at, n)| whole.slice(at, n));
        let found = split_all(&pieces, &buckets, 8).unwrap();
        for bucket in 0..8 {
            assert_eq!(found.shard(bucket), expected.shard(bucket), "{bucket}");
        }
    }

    #[test]
    fn buckets_that_do_not_fit_the_rows_are_refused() {
        for all in [false, true] {
            let split = |buckets: &[u32]| match all {
                true => split_all(&[batch(1), batch(1)], buckets, 4),
                false => split(&batch(2), buckets, 4),
            };
            assert!(split(&[0]).is_err());
            assert!(split(&[0, 4]).is_err());
        }
        assert!(split_all(&[], &[], 4).is_err());
    }
}
