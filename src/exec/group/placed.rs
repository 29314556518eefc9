//! Groups whose keys lie where they came, brought into one order.
//!
//! In:  the groups of buckets, each with its place, the row that has its key, and
//!      its results.
//! Out: all of them in the order of their places; ranges of those on any thread.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Schema, SchemaRef};

use super::keys::KeyColumn;
use super::merge::Merge;
use super::runs::{bounds, one_by_one};
use crate::error::Result;
use crate::exec::build::Given;
use crate::exec::report::HotKeyReport;
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
    /// The one with the most rows, where several tasks shared them.
    pub hot: Option<HotGroup>,
    pub _held: Reservation,
}

/// A group with so many rows that several tasks shared them.
pub(super) struct HotGroup {
    pub key_at: At,
    pub rows: u64,
    pub tasks: u64,
}

/// Most hot keys that a report names.
const MOST_HOT_KEYS: usize = 10;

/// One row for each group, to be read in the order of their places.
pub(crate) struct PlacedGroups {
    /// Rows that each task took.
    pub tasks: Vec<u64>,
    /// Keys with many of them, most first.
    pub hot_keys: Vec<HotKeyReport>,
    keys: Vec<Vec<ArrayRef>>,
    buckets: Vec<Grouped>,
    key_types: Vec<DataType>,
    schema: SchemaRef,
    /// Of the keys.
    held: Reservation,
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
            hot_keys: hot_keys(&buckets, &keys, key_types, &names)?,
            tasks,
            keys,
            buckets,
            key_types: key_types.to_vec(),
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            held: merge.budget.open(),
        })
    }

    /// What a pipeline reads: ranges of places are units, so that any thread puts
    /// one in order. What waited is to be dropped before.
    pub fn given(mut self, stage: Stage) -> Given {
        let mut buffers = HeldBuffers::default();
        let keys = self.keys.iter().map(|keys| buffers.add_columns(keys));
        let keys: u64 = keys.sum();
        // They were held before, with all else that waited.
        self.held.resize_anyway(keys);
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
        let places: Vec<&[u64]> = self
            .buckets
            .iter()
            .map(|bucket| &bucket.places[..])
            .collect();
        let lens: Vec<usize> = places.iter().map(|places| places.len()).collect();
        if lens.iter().all(|len| *len == 0) {
            return one_by_one(Vec::new());
        }
        let bounds = bounds(&lens, |bucket, row| places[bucket][row]);
        let mut starts = vec![0; self.buckets.len()];
        let mut opens: Vec<Open> = Vec::new();
        for bound in bounds.into_iter().chain([u64::MAX]) {
            let ends = self.buckets.iter().zip(&starts).map(|(bucket, start)| {
                start + bucket.places[*start..].partition_point(|place| *place <= bound)
            });
            let ends: Vec<usize> = ends.collect();
            let ranges: Vec<_> = starts
                .iter()
                .zip(&ends)
                .map(|(start, end)| *start..*end)
                .collect();
            starts = ends;
            let groups = Arc::clone(&self);
            opens.push(Box::new(move || {
                let rows = groups.range(&ranges)?;
                drop(groups);
                Ok(batches_reader(Box::new(std::iter::once(Ok(rows)))))
            }));
        }
        one_by_one(opens)
    }

    /// Some groups of each bucket, in one order.
    fn range(&self, ranges: &[std::ops::Range<usize>]) -> Result<RecordBatch> {
        let mut groups: Vec<(u64, usize, usize)> = Vec::new();
        for (bucket, range) in ranges.iter().enumerate() {
            let places = self.buckets[bucket].places[range.clone()].iter();
            groups.extend(
                places
                    .zip(range.clone())
                    .map(|(place, idx)| (*place, bucket, idx)),
            );
        }
        // Stable, since that is quick where much stands in order.
        groups.sort_by_key(|(place, _, _)| *place);
        let mut columns = self.keys_at(&groups)?;
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

    /// The keys of some groups.
    fn keys_at(&self, groups: &[(u64, usize, usize)]) -> Result<Vec<ArrayRef>> {
        // Most batches have none of them, and need not be looked at.
        let mut local = vec![u32::MAX; self.keys.len()];
        let mut used: Vec<usize> = Vec::new();
        let mut at: Vec<At> = Vec::with_capacity(groups.len());
        for (_, bucket, idx) in groups {
            let (batch, row) = self.buckets[*bucket].keys_at[*idx];
            let local = &mut local[batch as usize];
            if *local == u32::MAX {
                *local = used.len() as u32;
                used.push(batch as usize);
            }
            at.push((*local, row));
        }
        let types = self.key_types.iter().enumerate();
        let keys = types.map(|(idx, of)| {
            let columns = used.iter().map(|batch| &self.keys[*batch][idx]);
            KeyColumn::new(of, columns).gather(&at)
        });
        keys.collect()
    }
}

/// The groups that several tasks shared, with their keys.
fn hot_keys(
    buckets: &[Grouped],
    keys: &[Vec<ArrayRef>],
    key_types: &[DataType],
    names: &Schema,
) -> Result<Vec<HotKeyReport>> {
    let hot = buckets.iter().filter_map(|bucket| bucket.hot.as_ref());
    let report = |hot: &HotGroup| {
        let (batch, row) = hot.key_at;
        let values = key_types.iter().zip(&keys[batch as usize]).map(|(of, keys)| {
            let value = KeyColumn::new(of, std::iter::once(keys)).gather(&[(0, row)])?;
            Ok(array_value_to_string(&value, 0)?)
        });
        let columns = names.fields().iter().take(key_types.len());
        Ok(HotKeyReport {
            columns: columns.map(|field| field.name().clone()).collect(),
            value: values.collect::<Result<Vec<_>>>()?.join(", "),
            rows: hot.rows,
            tasks: hot.tasks,
        })
    };
    let mut hot_keys = hot.map(report).collect::<Result<Vec<_>>>()?;
    hot_keys.sort_by_key(|key| std::cmp::Reverse(key.rows));
    hot_keys.truncate(MOST_HOT_KEYS);
    Ok(hot_keys)
}
