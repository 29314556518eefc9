//! How many different values, counted exactly.
//!
//! In:  columns of one type, which may widen.
//! Out: a whole number per group.
//!
//! Each value is held once, whatever groups it is in; a group and a value are
//! one number of 64 bits in a set. Null is no value.
//!
//! ```text
//! value ─▶ table of values ─▶ id ─▶ (group, id) ─▶ set of pairs
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take::take;
use hashbrown::HashTable;

use super::state::{Groups, State, flat, lists, offsets_of};
use crate::cancel::stretches;
use crate::error::Result;
use crate::expr::group_table::GroupTable;
use crate::expr::hash::hash_u64;

/// The different values of every group.
pub(super) struct Distinct {
    data_type: DataType,
    n_groups: usize,
    values: GroupTable,
    /// A group in the upper half, the id of a value in the lower.
    set: HashTable<u64>,
    /// The same pairs in the order in which they came.
    pairs: Vec<u64>,
}

impl Distinct {
    pub fn try_new(data_type: DataType) -> Result<Self> {
        Ok(Distinct {
            values: GroupTable::try_new(vec![data_type.clone()])?,
            n_groups: 0,
            data_type,
            set: HashTable::new(),
            pairs: Vec::new(),
        })
    }

    /// Inserts values, each with its group; none is null.
    fn insert(&mut self, mut groups: impl Iterator<Item = u32>, values: &ArrayRef) -> Result<()> {
        // A partial may bring all values of a large frame.
        for rows in stretches(values.len()) {
            let rows = rows?;
            let some = values.slice(rows.start, rows.len());
            self.insert_some(groups.by_ref().take(rows.len()), some)?;
        }
        Ok(())
    }

    fn insert_some(&mut self, groups: impl Iterator<Item = u32>, values: ArrayRef) -> Result<()> {
        let ids = self.values.assign(&[values])?;
        for (group, id) in groups.zip(ids) {
            let pair = u64::from(group) << 32 | u64::from(id);
            let entry = self.set.entry(
                hash_u64(pair),
                |known| *known == pair,
                |known| hash_u64(*known),
            );
            if let hashbrown::hash_table::Entry::Vacant(vacant) = entry {
                vacant.insert(pair);
                self.pairs.push(pair);
            }
        }
        Ok(())
    }

    /// How many values each group has.
    fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_groups];
        for pair in &self.pairs {
            counts[(pair >> 32) as usize] += 1;
        }
        counts
    }
}

impl State for Distinct {
    fn grow(&mut self, n_groups: usize) {
        self.n_groups = self.n_groups.max(n_groups);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let column = &columns[0];
        let nulls = column.logical_nulls();
        let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
            let ids = (0..column.len()).map(|row| groups.id(row) as u32);
            return self.insert(ids, column);
        };
        let rows = UInt32Array::from_iter_values(nulls.valid_indices().map(|row| row as u32));
        let values = take(column, &rows, None)?;
        let ids = nulls.valid_indices().map(|row| groups.id(row) as u32);
        self.insert(ids, &values)
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let (ids, values) = flat(partial[0].as_list(), groups);
        self.insert(ids.into_iter(), &values)
    }

    /// A list of the values of each group.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let offsets = offsets_of(self.counts().into_iter())?;
        // Stable: the values of a group stay in the order in which they came.
        self.pairs.sort_by_key(|pair| pair >> 32);
        let ids: Vec<u32> = self.pairs.iter().map(|pair| *pair as u32).collect();
        let left = Distinct::try_new(self.data_type.clone())?;
        let known = std::mem::replace(self, left).values;
        let mut values = known.keys()?.remove(0);
        drop(known);
        // Of one group, values stand as they came: no copy of them beside the others.
        if !ids.iter().copied().eq(0..values.len() as u32) {
            values = take(&values, &UInt32Array::from(ids), None)?;
        }
        Ok(vec![Arc::new(lists(values, offsets))])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let counts = self.counts().into_iter().map(|count| count as i64);
        let counts = Int64Array::from_iter_values(counts);
        *self = Distinct::try_new(self.data_type.clone())?;
        Ok(Arc::new(counts))
    }

    fn bytes(&self) -> usize {
        self.values.bytes() + self.set.allocation_size() + 8 * self.pairs.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::ROWS_BETWEEN;
    use crate::cancel::tests::assert_stops;

    #[test]
    fn values_of_a_large_frame_are_given_up_between_stretches_of_them() {
        let n_rows = 3 * ROWS_BETWEEN;
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n_rows as i64));
        let mut part = Distinct::try_new(DataType::Int64).unwrap();
        part.update(Groups::one(n_rows), &[values]).unwrap();
        let partial = part.partial().unwrap();
        assert_stops("different values", 3, || {
            let mut whole = Distinct::try_new(DataType::Int64)?;
            whole.merge(Groups::one(1), &partial)?;
            let counts = whole.finish()?;
            assert_eq!(counts.as_ref(), &Int64Array::from(vec![n_rows as i64]));
            Ok(())
        });
    }
}
