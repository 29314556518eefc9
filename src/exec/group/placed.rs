//! Groups whose keys lie where they came, brought into one order.
//!
//! In:  the groups of buckets, each with the row that has its key and its place, and
//!      with its results.
//! Out: all of them in the order of their places; ranges of those on any thread.
//!
//! Where most groups have few rows, ranges follow the input: the keys of a batch go
//! once the last range that has any of them was read, and as much memory is free for
//! the answer.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::keys::KeyColumn;
use super::merge::Merge;
use super::narrow::{Narrowing, widened};
use super::runs::{bounds, one_by_one};
use crate::error::{Error, Result};
use crate::exec::build::Given;
use crate::exec::sheet::Stage;
use crate::exec::source::{Open, Units, batches_reader};
use crate::expr::{common_type, in_key_types};
use crate::memory::{HeldBuffers, Reservation};
use crate::ops::{PlaceNumbers, RowPlaces};
use crate::shuffle::{At, gather};

/// The groups of a bucket, in the order of their places.
pub(super) struct Grouped {
    /// For each the batch and the row of that which have its key, and its place.
    pub keys_at: Vec<At>,
    /// Narrowed.
    pub results: RecordBatch,
    pub _held: Reservation,
}

/// Where the rows of batches stand in the input.
pub(super) struct RowPlace {
    pub of_batches: Vec<RowPlaces>,
    pub numbers: PlaceNumbers,
}

impl RowPlace {
    /// The place of a row, as a number.
    fn number(&self, (batch, row): At) -> u64 {
        self.of_batches[batch as usize].number(row, self.numbers)
    }
}

/// Results of so many groups in as few bytes as they take.
pub(super) fn narrow_results(columns: Vec<ArrayRef>, n_groups: usize) -> Result<RecordBatch> {
    let fields = columns.iter().enumerate();
    let fields =
        fields.map(|(idx, column)| Field::new(format!("{idx}"), column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(n_groups));
    let results = RecordBatch::try_new_with_options(schema, columns, &options)?;
    Narrowing::of(&results).narrowed(&results)
}

/// Brings the results of all buckets into one schema, narrowed: a bucket may have
/// narrower ones, also where the type hinges on the values.
fn unify(buckets: &mut [Grouped]) -> Result<()> {
    let schemas = buckets.iter().map(|bucket| bucket.results.schema_ref());
    if schemas
        .clone()
        .zip(schemas.skip(1))
        .all(|(one, next)| one == next)
    {
        return Ok(());
    }
    let mut types: Vec<DataType> = Vec::new();
    for bucket in buckets.iter_mut() {
        bucket.results = widened(&bucket.results)?;
        for (column, results) in bucket.results.columns().iter().enumerate() {
            let own = results.data_type();
            match types.get_mut(column) {
                None => types.push(own.clone()),
                Some(known) => {
                    *known = common_type(known, own).unwrap_or_else(|| known.clone());
                }
            }
        }
    }
    let fields = types.iter().enumerate();
    let fields = fields.map(|(idx, of)| Field::new(format!("{idx}"), of.clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut narrowing = Narrowing::default();
    for bucket in buckets.iter_mut() {
        let columns = in_key_types(bucket.results.columns(), &types)?;
        bucket.results = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        narrowing.add(&Narrowing::of(&bucket.results));
    }
    for bucket in buckets {
        bucket.results = narrowing.narrowed(&bucket.results)?;
    }
    Ok(())
}

/// One row for each group, to be read in the order of their places.
pub(crate) struct PlacedGroups {
    /// Rows that each task took.
    pub tasks: Vec<u64>,
    keys: Vec<KeyBatch>,
    places: RowPlace,
    buckets: Vec<Grouped>,
    key_types: Vec<DataType>,
    schema: SchemaRef,
    /// Of the columns of places.
    held: Reservation,
}

/// The keys of a batch, until nobody needs them any more.
struct KeyBatch {
    /// Ranges of places that are to be read and have some of them.
    readers: AtomicUsize,
    keys: Mutex<Option<HeldKeys>>,
}

/// Key columns, and what they hold of the budget.
struct HeldKeys {
    columns: Vec<ArrayRef>,
    held: Reservation,
}

impl KeyBatch {
    fn new(columns: Vec<ArrayRef>, held: Reservation) -> Self {
        KeyBatch {
            readers: AtomicUsize::new(0),
            keys: Mutex::new(Some(HeldKeys { columns, held })),
        }
    }

    fn keys(&self) -> MutexGuard<'_, Option<HeldKeys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let keys = self.keys();
        let columns = keys.as_ref().map(|keys| keys.columns.clone());
        columns.ok_or_else(|| Error::internal("keys went before all groups had theirs"))
    }

    /// One reader less; the last one takes the keys along.
    fn leave(&self) {
        if self.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *self.keys() = None;
        }
    }
}

/// Groups whose places are in one range.
struct PlaceRange {
    /// Those of each bucket.
    of_buckets: Vec<Range<usize>>,
    /// The batches that have their keys.
    batches: Vec<usize>,
}

impl PlacedGroups {
    pub(super) fn new(
        merge: &Merge,
        tasks: Vec<u64>,
        mut buckets: Vec<Grouped>,
        (keys, key_types): (Vec<Vec<ArrayRef>>, &[DataType]),
        places: RowPlace,
    ) -> Result<Self> {
        buckets.retain(|bucket| !bucket.keys_at.is_empty());
        unify(&mut buckets)?;
        let mut types = key_types.to_vec();
        if let Some(bucket) = buckets.first() {
            let results = widened(&bucket.results.slice(0, 0))?;
            types.extend(results.columns().iter().map(|of| of.data_type().clone()));
        }
        let names = merge.groups()?.schema();
        let fields = names.fields().iter().zip(types);
        let fields = fields.map(|(field, of)| field.as_ref().clone().with_data_type(of));
        Ok(PlacedGroups {
            tasks,
            keys: keys
                .into_iter()
                .map(|columns| KeyBatch::new(columns, merge.budget.open()))
                .collect(),
            places,
            buckets,
            key_types: key_types.to_vec(),
            held: merge.budget.open(),
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        })
    }

    /// What a pipeline reads: ranges of places are units, so that any thread puts
    /// one in order. What waited is to be dropped before.
    pub fn given(mut self, stage: Stage) -> Given {
        // All of this was held before, with all else that waited.
        let mut buffers = HeldBuffers::default();
        let places = self.places.of_batches.iter();
        let places = places.map(|places| buffers.add_columns(places.columns()));
        let places: u64 = places.sum();
        self.held.resize_anyway(places);
        for batch in &self.keys {
            if let Some(keys) = &mut *batch.keys() {
                keys.held.resize_anyway(buffers.add_columns(&keys.columns));
            }
        }
        Given {
            schema: Arc::clone(&self.schema),
            units: Arc::new(self).units(),
            held_bytes: 0,
            counted: None,
            stage: Some(stage),
        }
    }

    /// A unit for each range of places.
    fn units(self: Arc<Self>) -> Units {
        let ranges = self.ranges();
        for batch in ranges.iter().flat_map(|range| &range.batches) {
            self.keys[*batch].readers.fetch_add(1, Ordering::AcqRel);
        }
        for batch in &self.keys {
            if batch.readers.load(Ordering::Acquire) == 0 {
                *batch.keys() = None;
            }
        }
        let opens = ranges.into_iter().map(|range| {
            let groups = Arc::clone(&self);
            let open: Open = Box::new(move || {
                let rows = groups.rows(&range)?;
                drop(groups);
                Ok(batches_reader(Box::new(std::iter::once(Ok(rows)))))
            });
            open
        });
        one_by_one(opens.collect())
    }

    /// All groups, in ranges of their places.
    fn ranges(&self) -> Vec<PlaceRange> {
        let lens: Vec<usize> = self.buckets.iter().map(|of| of.keys_at.len()).collect();
        if lens.iter().all(|len| *len == 0) {
            return Vec::new();
        }
        let bounds = bounds(&lens, |bucket, row| {
            self.places.number(self.buckets[bucket].keys_at[row])
        });
        let mut starts = vec![0; self.buckets.len()];
        // For each batch the last range that has some of its keys, counted from 1.
        let mut last_of = vec![0; self.keys.len()];
        let bounds = bounds.into_iter().chain([u64::MAX]);
        let ranges = (1..).zip(bounds).map(|(number, bound)| {
            let buckets = self.buckets.iter().zip(&mut starts);
            let of_buckets = buckets.map(|(bucket, start)| {
                let is_within = |at: &At| self.places.number(*at) <= bound;
                let len = bucket.keys_at[*start..].partition_point(is_within);
                let range = *start..*start + len;
                *start = range.end;
                range
            });
            let of_buckets: Vec<Range<usize>> = of_buckets.collect();
            let mut batches = Vec::new();
            for (bucket, range) in self.buckets.iter().zip(&of_buckets) {
                for (batch, _) in &bucket.keys_at[range.clone()] {
                    let batch = *batch as usize;
                    if last_of[batch] != number {
                        last_of[batch] = number;
                        batches.push(batch);
                    }
                }
            }
            PlaceRange {
                of_buckets,
                batches,
            }
        });
        ranges.collect()
    }

    /// The groups of a range, in one order.
    fn rows(&self, range: &PlaceRange) -> Result<RecordBatch> {
        let mut groups: Vec<(u64, usize, usize)> = Vec::new();
        for (bucket, range) in range.of_buckets.iter().enumerate() {
            let own = self.buckets[bucket].keys_at[range.clone()].iter();
            let places = own.map(|at| self.places.number(*at));
            let own = places.zip(range.clone());
            groups.extend(own.map(|(place, idx)| (place, bucket, idx)));
        }
        // Stable, since that is quick where much stands in order.
        groups.sort_by_key(|(place, _, _)| *place);
        let mut columns = self.keys_of(&groups, &range.batches)?;
        range
            .batches
            .iter()
            .for_each(|batch| self.keys[*batch].leave());
        let at: Vec<At> = groups
            .iter()
            .map(|(_, bucket, idx)| (*bucket as u32, *idx as u32))
            .collect();
        columns.extend(self.results(&at)?);
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// The results of some groups, each a bucket and a row of it.
    fn results(&self, at: &[At]) -> Result<Vec<ArrayRef>> {
        let Some(schema) = self.buckets.first().map(|of| of.results.schema()) else {
            return Ok(Vec::new());
        };
        let columns = (0..schema.fields().len()).map(|column| {
            let all = self.buckets.iter().map(|of| &**of.results.column(column));
            gather(&all.collect::<Vec<&dyn Array>>(), at)
        });
        let columns = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(at.len()));
        let narrowed = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(widened(&narrowed)?.columns().to_vec())
    }

    /// The keys of some groups, which are in these batches.
    fn keys_of(&self, groups: &[(u64, usize, usize)], batches: &[usize]) -> Result<Vec<ArrayRef>> {
        let used = batches.iter().map(|batch| self.keys[*batch].columns());
        let used: Vec<Vec<ArrayRef>> = used.collect::<Result<_>>()?;
        let mut local = vec![0; self.keys.len()];
        for (idx, batch) in (0..).zip(batches) {
            local[*batch] = idx;
        }
        let at = groups.iter().map(|(_, bucket, idx)| {
            let (batch, row) = self.buckets[*bucket].keys_at[*idx];
            (local[batch as usize], row)
        });
        let at: Vec<At> = at.collect();
        let types = self.key_types.iter().enumerate();
        let keys = types.map(|(idx, of)| {
            let columns = used.iter().map(|columns| &columns[idx]);
            KeyColumn::new(of, columns).gather(&at)
        });
        keys.collect()
    }
}
