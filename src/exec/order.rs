//! Rows back in the order that they had before they were cut by key.
//!
//! In:  rows with their places in a last column, by key; those of one place in order.
//! Out: units of rows by place.
//!
//! Places are cut into as many ranges as there are buckets. Of a bucket as many
//! places are sorted at once as have rows that fit; a place with more rows than
//! that needs no sorting.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;

use super::join::unit_of;
use crate::error::{Error, Result};
use crate::exec::scatter::ScatteredUnits;
use crate::exec::source::{Open, Units, batches_reader};
use crate::partition::{RowNumbers, take_rows};
use crate::shuffle::{Bucket, BucketReader, Route};

/// The column that holds the place of a row: no column of a source is called so.
pub(super) const PLACE: &str = "\u{1}place";

/// Some columns, and behind them that of places, with nulls where rows may have none.
pub(super) fn with_place(schema: &SchemaRef, nullable: bool) -> SchemaRef {
    let place = Arc::new(Field::new(PLACE, DataType::UInt64, nullable));
    let fields = schema.fields().iter().cloned().chain([place]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The place of the first build row that met nobody: all stand behind the probe rows.
pub(super) const UNMET: u64 = 1 << 63;

/// Rows of a batch that comes out.
const BATCH_ROWS: usize = 8192;

/// Rows by ranges of their places: those of probe rows, then those of build rows.
pub(super) struct ByPlace {
    /// Where the column of places stands.
    pub column: usize,
    pub n_probe: u64,
    pub n_build: u64,
    /// For each of the two sides.
    pub n_buckets: usize,
}

impl ByPlace {
    fn bucket(&self, place: u64) -> u32 {
        let share = |place: u64, of: u64| {
            let scaled = u128::from(place) * self.n_buckets as u128 / u128::from(of.max(1));
            scaled.min(self.n_buckets as u128 - 1) as u32
        };
        match place.checked_sub(UNMET) {
            None => share(place, self.n_probe),
            Some(place) => self.n_buckets as u32 + share(place, self.n_build),
        }
    }
}

impl Route for ByPlace {
    fn n_buckets(&self) -> usize {
        2 * self.n_buckets
    }

    fn route(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let places = rows.column(self.column).as_primitive::<UInt64Type>();
        Ok(places
            .values()
            .iter()
            .map(|place| self.bucket(*place))
            .collect())
    }
}

/// Units of rows in order, without their places. Each sorts about `at_once`
/// bytes at a time.
pub(super) fn ordered_units(rows: ScatteredUnits, at_once: u64, schema: &SchemaRef) -> Units {
    let n_rows: u64 = rows.buckets.iter().map(Bucket::rows).sum();
    let most_rows = most_rows(rows.bytes, n_rows, at_once);
    let schema = Arc::clone(schema);
    let filled = rows.buckets.into_iter().filter(|bucket| bucket.rows() > 0);
    Box::new(filled.map(move |bucket| {
        let schema = Arc::clone(&schema);
        let open: Open = Box::new(move || {
            let ordered = Ordered::new(bucket, most_rows, schema)?;
            Ok(batches_reader(Box::new(ordered)))
        });
        Ok(unit_of(open))
    }))
}

/// How many of `n_rows` rows of so many `bytes` are sorted at once.
pub(super) fn most_rows(bytes: u64, n_rows: u64, at_once: u64) -> u64 {
    let row_bytes = bytes / n_rows.max(1);
    (at_once / row_bytes.max(1)).clamp(1, u64::from(u32::MAX) / 2)
}

/// The rows of a bucket, by place.
pub(super) struct Ordered {
    bucket: Bucket,
    schema: SchemaRef,
    /// Ranges of places that are still to come, the next one last.
    ranges: Vec<Range<u64>>,
    now: Now,
}

/// What comes out at present.
enum Now {
    Nothing,
    /// Rows that were sorted; how many of them came out.
    Sorted(RecordBatch, Vec<u32>, usize),
    /// Rows of this place, as they lie in the bucket.
    One(Box<BucketReader>, u64),
}

impl Ordered {
    pub fn new(bucket: Bucket, most_rows: u64, schema: SchemaRef) -> Result<Self> {
        let ranges = match bucket.rows() <= most_rows {
            true => std::iter::once(0..u64::MAX).collect(),
            false => ranges(&bucket, most_rows)?,
        };
        Ok(Ordered {
            bucket,
            schema,
            ranges,
            now: Now::Nothing,
        })
    }

    /// Begins the next range of places. False if there is none.
    fn begin(&mut self) -> Result<bool> {
        let Some(range) = self.ranges.pop() else {
            return Ok(false);
        };
        if range.end - range.start == 1 {
            self.now = Now::One(Box::new(self.bucket.read()), range.start);
            return Ok(true);
        }
        let mut kept = Vec::new();
        for batch in self.bucket.read() {
            let rows = only(&batch?, &range)?;
            if rows.num_rows() > 0 {
                kept.push(rows);
            }
        }
        let Some(first) = kept.first() else {
            return Ok(true);
        };
        let rows = concat_batches(&first.schema(), &kept)?;
        let sorted = places(&rows)?.to_vec();
        let mut order: Vec<u32> = (0..sorted.len() as u32).collect();
        // Runs of rows that are in order already, one for each bucket of keys: a
        // stable sort that merges them.
        order.sort_by_key(|row| sorted[*row as usize]);
        self.now = Now::Sorted(rows, order, 0);
        Ok(true)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match &mut self.now {
                Now::Nothing => {}
                Now::Sorted(rows, order, done) if *done < order.len() => {
                    let some = &order[*done..order.len().min(*done + BATCH_ROWS)];
                    let some = RowNumbers::from(some.to_vec());
                    *done += some.len();
                    let columns = rows.columns()[..self.schema.fields().len()].iter();
                    let columns = columns.map(|column| take_rows(column, &some));
                    let options = RecordBatchOptions::new().with_row_count(Some(some.len()));
                    return Ok(Some(RecordBatch::try_new_with_options(
                        Arc::clone(&self.schema),
                        columns.collect::<std::result::Result<_, _>>()?,
                        &options,
                    )?));
                }
                Now::Sorted(..) => {}
                Now::One(reader, place) => {
                    if let Some(batch) = reader.next() {
                        let rows = only(&batch?, &(*place..*place + 1))?;
                        if rows.num_rows() == 0 {
                            continue;
                        }
                        let columns: Vec<usize> = (0..self.schema.fields().len()).collect();
                        return Ok(Some(rows.project(&columns)?));
                    }
                }
            }
            self.now = Now::Nothing;
            if !self.begin()? {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Ordered {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// The places of rows, which their last column holds.
fn places(rows: &RecordBatch) -> Result<&[u64]> {
    let last = rows.columns().last();
    let places = last.and_then(|column| column.as_primitive_opt::<UInt64Type>());
    places
        .map(|places| &places.values()[..])
        .ok_or_else(|| Error::internal("joined rows have no places"))
}

/// The rows whose place lies in a range.
fn only(rows: &RecordBatch, range: &Range<u64>) -> Result<RecordBatch> {
    if *range == (0..u64::MAX) {
        return Ok(rows.clone());
    }
    let inside = places(rows)?
        .iter()
        .map(|place| Some(range.contains(place)));
    let inside: BooleanArray = inside.collect();
    Ok(filter_record_batch(rows, &inside)?)
}

/// Ranges of places that have at most so many rows each, or are one place; the
/// first one last.
fn ranges(bucket: &Bucket, most_rows: u64) -> Result<Vec<Range<u64>>> {
    let mut first = u64::MAX;
    let mut last = 0;
    for batch in bucket.read() {
        for place in places(&batch?)? {
            (first, last) = (first.min(*place), last.max(*place));
        }
    }
    let mut counts = vec![0_u64; (last - first) as usize + 1];
    for batch in bucket.read() {
        for place in places(&batch?)? {
            counts[(*place - first) as usize] += 1;
        }
    }
    let mut ranges = Vec::new();
    let (mut start, mut rows) = (first, 0);
    for (place, count) in (first..).zip(counts) {
        if rows + count > most_rows && place > start {
            ranges.push(start..place);
            (start, rows) = (place, 0);
        }
        rows += count;
    }
    ranges.push(start..last + 1);
    ranges.reverse();
    Ok(ranges)
}
