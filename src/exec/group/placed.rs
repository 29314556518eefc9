//! Groups whose keys lie where they came, brought into one order.
//!
//! In:  the groups of buckets, each with its place, the row that has its key, and
//!      its results.
//! Out: all of them in the order of their places; ranges of those on any thread.
//!
//! Where most groups have few rows, ranges follow the input: the keys of a batch go
//! once the last range that has any of them was read, and as much memory is free for
//! the answer.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};

use super::keys::KeyColumn;
use super::merge::Merge;
use super::runs::{bounds, one_by_one};
use crate::error::{Error, Result};
use crate::exec::build::Given;
use crate::exec::sheet::Stage;
use crate::exec::source::{Open, Units, batches_reader};
use crate::expr::{common_type, in_key_types};
use crate::memory::{HeldBuffers, Reservation};
use crate::shuffle::{At, gather};

/// The groups of a bucket, in the order of their places.
pub(super) struct Grouped {
    pub places: Vec<u64>,
    /// For each its batch and the row of that.
    pub keys_at: Vec<At>,
    pub results: Vec<ArrayRef>,
    pub _held: Reservation,
}

/// One row for each group, to be read in the order of their places.
pub(crate) struct PlacedGroups {
    /// Rows that each task took.
    pub tasks: Vec<u64>,
    keys: Vec<KeyBatch>,
    buckets: Vec<Grouped>,
    key_types: Vec<DataType>,
    schema: SchemaRef,
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
        keys: Vec<Vec<ArrayRef>>,
        key_types: &[DataType],
    ) -> Result<Self> {
        let mut types = key_types.to_vec();
        let filled = buckets.iter().filter(|bucket| !bucket.places.is_empty());
        // A bucket may have narrower results, where the type hinges on the values.
        for (idx, bucket) in filled.enumerate() {
            for (column, results) in bucket.results.iter().enumerate() {
                let own = results.data_type();
                match idx {
                    0 => types.push(own.clone()),
                    _ => {
                        let known = &mut types[key_types.len() + column];
                        *known = common_type(known, own).unwrap_or_else(|| known.clone());
                    }
                }
            }
        }
        buckets.retain(|bucket| !bucket.places.is_empty());
        for bucket in &mut buckets {
            bucket.results = in_key_types(&bucket.results, &types[key_types.len()..])?;
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
            buckets,
            key_types: key_types.to_vec(),
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        })
    }

    /// What a pipeline reads: ranges of places are units, so that any thread puts
    /// one in order. What waited is to be dropped before.
    pub fn given(self, stage: Stage) -> Given {
        let mut buffers = HeldBuffers::default();
        for batch in &self.keys {
            if let Some(keys) = &mut *batch.keys() {
                // They were held before, with all else that waited.
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
        let lens: Vec<usize> = self.buckets.iter().map(|of| of.places.len()).collect();
        if lens.iter().all(|len| *len == 0) {
            return Vec::new();
        }
        let bounds = bounds(&lens, |bucket, row| self.buckets[bucket].places[row]);
        let mut starts = vec![0; self.buckets.len()];
        // For each batch the last range that has some of its keys, counted from 1.
        let mut last_of = vec![0; self.keys.len()];
        let bounds = bounds.into_iter().chain([u64::MAX]);
        let ranges = (1..).zip(bounds).map(|(number, bound)| {
            let buckets = self.buckets.iter().zip(&mut starts);
            let of_buckets = buckets.map(|(bucket, start)| {
                let len = bucket.places[*start..].partition_point(|place| *place <= bound);
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
            let places = self.buckets[bucket].places[range.clone()].iter();
            groups.extend(
                places
                    .zip(range.clone())
                    .map(|(place, idx)| (*place, bucket, idx)),
            );
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
        for column in 0..self.schema.fields().len() - columns.len() {
            let all = self.buckets.iter().map(|bucket| &*bucket.results[column]);
            columns.push(gather(&all.collect::<Vec<&dyn Array>>(), &at)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
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
