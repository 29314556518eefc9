//! Counts of rows and of values, and conditions over all of them.
//!
//! In:  any column; for conditions, booleans.
//! Out: a whole number, or a condition: null without values.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array};
use arrow_buffer::BooleanBuffer;

use super::state::{Groups, Seen, State};
use crate::error::Result;

/// Counts rows where there is no column, else values.
#[derive(Default)]
pub(super) struct Count {
    counts: Vec<i64>,
}

impl State for Count {
    fn grow(&mut self, n_groups: usize) {
        if n_groups > self.counts.len() {
            self.counts.resize(n_groups, 0);
        }
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let nulls = columns.first().and_then(|column| column.logical_nulls());
        if groups.is_one() {
            let n_nulls = nulls.map_or(0, |nulls| nulls.null_count());
            self.counts[0] += (groups.n_rows() - n_nulls) as i64;
            return Ok(());
        }
        let counts = &mut self.counts;
        if let (None, Some(more)) = (&nulls, groups.counts()) {
            let more = counts.iter_mut().zip(more);
            more.for_each(|(count, more)| *count += *more as i64);
            return Ok(());
        }
        groups.for_valid(nulls.as_ref(), |_, group| counts[group] += 1);
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let more = partial[0].as_primitive::<Int64Type>();
        groups.for_each(|row, group| self.counts[group] += more.value(row));
        Ok(())
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish()?])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(std::mem::take(&mut self.counts))))
    }

    fn bytes(&self) -> usize {
        8 * self.counts.capacity()
    }
}

/// Whether any condition is true, or all are.
pub(super) struct Conditions {
    /// The value that settles the answer: true for any, false for all.
    settles: bool,
    settled: Vec<bool>,
    seen: Seen,
}

impl Conditions {
    pub fn new(settles: bool) -> Self {
        Conditions {
            settles,
            settled: Vec::new(),
            seen: Seen::default(),
        }
    }
}

impl State for Conditions {
    fn grow(&mut self, n_groups: usize) {
        self.seen.grow(n_groups);
        self.settled.resize(self.seen.len(), false);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let array = columns[0].as_boolean();
        groups.for_valid(array.nulls(), |row, group| {
            self.seen.set(group);
            self.settled[group] |= array.value(row) == self.settles;
        });
        Ok(())
    }

    /// A partial is a condition for each group, so it is taken in like rows.
    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.update(groups, partial)
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.finish()?])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let settled = std::mem::take(&mut self.settled);
        let answers: BooleanBuffer = settled
            .iter()
            .map(|&settled| settled == self.settles)
            .collect();
        Ok(Arc::new(BooleanArray::new(answers, self.seen.take_nulls())))
    }

    fn bytes(&self) -> usize {
        self.settled.capacity() + self.seen.bytes()
    }
}
