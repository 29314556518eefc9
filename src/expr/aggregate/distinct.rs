//! How many different values, counted exactly.
//!
//! In:  columns of one type, which may widen.
//! Out: a whole number per group.
//!
//! One table holds the pairs of a group and a value, so a group with few values
//! costs little. Null is no value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, Int64Array, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take::take;

use super::state::{Groups, State, flat, lists, offsets_of};
use crate::error::Result;
use crate::expr::group_table::GroupTable;

/// The different values of every group.
pub(super) struct Distinct {
    data_type: DataType,
    n_groups: usize,
    pairs: GroupTable,
}

impl Distinct {
    pub fn try_new(data_type: DataType) -> Result<Self> {
        Ok(Distinct {
            pairs: GroupTable::try_new(vec![DataType::UInt32, data_type.clone()])?,
            n_groups: 0,
            data_type,
        })
    }

    fn insert(&mut self, groups: UInt32Array, values: &ArrayRef) -> Result<()> {
        self.pairs.assign(&[Arc::new(groups), Arc::clone(values)])?;
        Ok(())
    }

    /// How many values each group has.
    fn counts(&self, groups: &UInt32Array) -> Vec<usize> {
        let mut counts = vec![0; self.n_groups];
        for &group in groups.values() {
            counts[group as usize] += 1;
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
        let (mut ids, mut rows) = (Vec::new(), Vec::new());
        let nulls = column.logical_nulls();
        groups.for_valid(nulls.as_ref(), |row, group| {
            ids.push(group as u32);
            rows.push(row as u32);
        });
        let values = match rows.len() == column.len() {
            true => Arc::clone(column),
            false => take(column, &UInt32Array::from(rows), None)?,
        };
        self.insert(ids.into(), &values)
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let (ids, values) = flat(partial[0].as_list(), groups);
        self.insert(ids.into(), &values)
    }

    /// A list of the values of each group.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let keys = self.pairs.keys()?;
        let groups = keys[0].as_primitive::<UInt32Type>();
        let mut next = Vec::with_capacity(self.n_groups);
        let offsets = offsets_of(self.counts(groups).into_iter())?;
        next.extend(offsets.iter().map(|&start| start as usize));
        let mut order = vec![0_u32; groups.len()];
        for (pair, &group) in groups.values().iter().enumerate() {
            let slot = &mut next[group as usize];
            order[*slot] = pair as u32;
            *slot += 1;
        }
        let values = take(&keys[1], &UInt32Array::from(order), None)?;
        *self = Distinct::try_new(self.data_type.clone())?;
        Ok(vec![Arc::new(lists(values, offsets))])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let keys = self.pairs.keys()?;
        let counts = self.counts(keys[0].as_primitive::<UInt32Type>());
        *self = Distinct::try_new(self.data_type.clone())?;
        let counts = counts.into_iter().map(|count| count as i64);
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }

    fn bytes(&self) -> usize {
        self.pairs.bytes()
    }
}
