//! Aggregates that hold values of any type: lists, and many largest or smallest.
//!
//! In:  columns of one type.
//! Out: a list per group.
//!
//! Values are held in input order as they came, with their groups beside them,
//! and are put into the order of the groups at the end. The largest few are cut
//! to size whenever more than twice as many wait.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow_buffer::OffsetBuffer;
use arrow_ord::ord::make_comparator;
use arrow_schema::{DataType, SortOptions};
use arrow_select::concat::concat;
use arrow_select::take::take;

use super::state::{Groups, State, flat, lists, offsets_of};
use crate::cancel::Paced;
use crate::error::Result;
use crate::partition::array_bytes;

/// What is made of the values of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Keep {
    All,
    Largest(usize),
    Smallest(usize),
}

/// The fewest values that wait before they are cut to size.
const WAITING: usize = 8_192;

/// Values, some or all, of every group.
pub(super) struct Gather {
    keep: Keep,
    data_type: DataType,
    n_groups: usize,
    groups: Vec<u32>,
    chunks: Vec<ArrayRef>,
    chunk_bytes: usize,
}

impl Gather {
    pub fn new(data_type: DataType, keep: Keep) -> Self {
        Gather {
            keep,
            data_type,
            n_groups: 0,
            groups: Vec::new(),
            chunks: Vec::new(),
            chunk_bytes: 0,
        }
    }

    fn push(&mut self, groups: Vec<u32>, values: ArrayRef) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        self.groups.extend(groups);
        self.chunk_bytes += array_bytes(&values) as usize;
        self.chunks.push(values);
        if let Keep::Largest(k) | Keep::Smallest(k) = self.keep
            && self.groups.len() > WAITING.max(2 * k.saturating_mul(self.n_groups))
        {
            let (values, offsets) = self.take_lists()?;
            let lists = lists(values, offsets);
            let (groups, values) = flat(&lists, Groups::of(&identity(lists.len()), lists.len()));
            self.groups = groups;
            self.chunk_bytes = array_bytes(&values) as usize;
            self.chunks = vec![values];
        }
        Ok(())
    }

    /// All values, in the order of their groups, then of the input or of their
    /// size; the state keeps none.
    fn take_lists(&mut self) -> Result<(ArrayRef, OffsetBuffer<i32>)> {
        let groups = std::mem::take(&mut self.groups);
        let chunks = std::mem::take(&mut self.chunks);
        self.chunk_bytes = 0;
        let refs: Vec<&dyn Array> = chunks.iter().map(AsRef::as_ref).collect();
        let values = match refs.as_slice() {
            [] => new_empty_array(&self.data_type),
            refs => concat(refs)?,
        };
        let mut lengths = vec![0_usize; self.n_groups];
        for &group in &groups {
            lengths[group as usize] += 1;
        }
        let offsets = offsets_of(lengths.iter().copied())?;
        let mut next: Vec<usize> = offsets.iter().map(|&start| start as usize).collect();
        let mut order = vec![0_u32; groups.len()];
        for (row, &group) in groups.iter().enumerate() {
            let slot = &mut next[group as usize];
            order[*slot] = row as u32;
            *slot += 1;
        }
        let (Keep::Largest(k) | Keep::Smallest(k)) = self.keep else {
            return Ok((take(&values, &UInt32Array::from(order), None)?, offsets));
        };
        let options = SortOptions::new(matches!(self.keep, Keep::Largest(_)), false);
        let compare = make_comparator(&values, &values, options)?;
        let mut kept = Vec::new();
        let mut paced = Paced::default();
        for range in offsets.windows(2) {
            let rows = &mut order[range[0] as usize..range[1] as usize];
            paced.passed(rows.len())?;
            // Stable: equal values stay in input order.
            rows.sort_by(|&a, &b| compare(a as usize, b as usize));
            kept.extend_from_slice(&rows[..rows.len().min(k)]);
        }
        let offsets = offsets_of(lengths.iter().map(|&length| length.min(k)))?;
        Ok((take(&values, &UInt32Array::from(kept), None)?, offsets))
    }
}

fn identity(n_groups: usize) -> Vec<u32> {
    (0..n_groups as u32).collect()
}

impl State for Gather {
    fn grow(&mut self, n_groups: usize) {
        self.n_groups = self.n_groups.max(n_groups);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let column = &columns[0];
        let nulls = match self.keep {
            Keep::All => None,
            _ => column.logical_nulls(),
        };
        let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
            let mut ids = Vec::with_capacity(groups.n_rows());
            groups.for_each(|_, group| ids.push(group as u32));
            return self.push(ids, Arc::clone(column));
        };
        let (mut ids, mut rows) = (Vec::new(), Vec::new());
        groups.for_valid(Some(&nulls), |row, group| {
            ids.push(group as u32);
            rows.push(row as u32);
        });
        let values = take(column, &UInt32Array::from(rows), None)?;
        self.push(ids, values)
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let (ids, values) = flat(partial[0].as_list(), groups);
        self.push(ids, values)
    }

    /// The result is all there is.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish()?])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let (values, offsets) = self.take_lists()?;
        self.n_groups = 0;
        Ok(Arc::new(lists(values, offsets)))
    }

    fn bytes(&self) -> usize {
        4 * self.groups.capacity() + self.chunk_bytes
    }
}
