//! What a block of build rows, in the order of their times, must know of those
//! before and behind it, so that no probe row needs more than one block.
//!
//! In:  build rows, in order.
//! Out: of each key the last ones, or the first one; the block that a time looks at.
//!
//! ```text
//! build   … a1 b1 │ a2 c2 b3 │ a4 b4 …
//! looked at by times from 2 to 4:  a1 b1 │ a2 c2 b3 │ a4 b4
//! ```

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;

use super::asof::{Direction, InTime, heads_of};
use super::index::{Index, IndexOptions};
use super::spec::{JoinSpec, NextTo};
use crate::error::{Error, Result};

/// Looks at the times of both sides of a join.
#[derive(Clone)]
pub struct Steps {
    spec: Arc<JoinSpec>,
    next_to: NextTo,
}

impl Steps {
    /// Of a join by time.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] for any other.
    pub fn try_new(spec: &Arc<JoinSpec>) -> Result<Self> {
        let next_to = spec.next_to.clone();
        Ok(Steps {
            next_to: next_to.ok_or_else(|| Error::internal("a merge looks at no times"))?,
            spec: Arc::clone(spec),
        })
    }

    /// Whether rows behind the time of a probe row are looked at.
    pub fn looks_ahead(&self) -> bool {
        self.next_to.times.direction() != Direction::Backward
    }

    /// Whether a time looks at the block that begins with `start`, and not at one before.
    pub fn reaches(&self, time: i64, start: i64) -> bool {
        let times = &self.next_to.times;
        match (times.direction(), times.exact()) {
            // No row of the same time is looked back at; the first one is looked for.
            (Direction::Backward, false) | (Direction::Forward, true) => start < time,
            _ => start <= time,
        }
    }

    /// The times of probe rows, in numbers of their order; none where there is none.
    ///
    /// # Errors
    ///
    /// None for columns of the types that the join was made for.
    pub fn of_probe(&self, rows: &RecordBatch) -> Result<Vec<Option<i64>>> {
        self.next_to.times.of(rows.column(self.next_to.probe))
    }

    /// The same of build rows.
    ///
    /// # Errors
    ///
    /// As [`Steps::of_probe`].
    pub fn of_build(&self, rows: &RecordBatch) -> Result<Vec<Option<i64>>> {
        self.next_to.times.of(rows.column(self.next_to.build))
    }

    /// What sees whether probe rows are sorted.
    pub fn probe_in_time(&self) -> InTime {
        InTime::new("left", &self.next_to.name)
    }

    /// The same of build rows.
    pub fn build_in_time(&self) -> InTime {
        let name = self.spec.build_schema.field(self.next_to.build).name();
        InTime::new("right", name)
    }

    /// The build rows that have a time; no other is ever looked at.
    ///
    /// # Errors
    ///
    /// As [`Steps::of_probe`].
    pub fn timed(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let times = self.of_build(rows)?;
        kept(rows, times.iter().map(Option::is_some).collect())
    }

    /// Of each key the last of some build rows, and the last before the last time of all.
    ///
    /// # Errors
    ///
    /// As [`Steps::of_probe`].
    pub fn last_of_each(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let (heads, times) = (self.heads(rows)?, self.of_build(rows)?);
        let end = times.iter().flatten().max().copied();
        // Whether the last row, and the last before the end, were seen of a key.
        let mut seen = vec![(false, false); heads.len()];
        let mut keep = vec![false; heads.len()];
        for (row, head) in heads.iter().enumerate().rev() {
            let Some((any, earlier)) = seen.get_mut(*head as usize) else {
                continue;
            };
            let is_earlier = times[row] < end;
            keep[row] = !*any || (is_earlier && !*earlier);
            *any = true;
            *earlier |= is_earlier;
        }
        kept(rows, keep)
    }

    /// Of each key the first of some build rows.
    ///
    /// # Errors
    ///
    /// As [`Steps::of_probe`].
    pub fn first_of_each(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let heads = self.heads(rows)?;
        let is_head = |(row, head): (usize, &u32)| row as u32 == *head;
        kept(rows, heads.iter().enumerate().map(is_head).collect())
    }

    /// The first of some build rows with the key of each of them; no row where that meets none.
    fn heads(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let spec = &self.spec;
        let options = IndexOptions {
            nulls_match: spec.nulls_match,
            threads: 1,
            hash_mask: spec.hash_mask,
        };
        let keys = spec
            .build_keys
            .iter()
            .map(|idx| Arc::clone(rows.column(*idx)));
        let keys = [keys.collect::<Vec<_>>()];
        let index = Index::build(spec.forms.clone(), &keys, rows.num_rows(), options)?;
        heads_of(&index, &keys, &[rows.num_rows()])
    }
}

fn kept(rows: &RecordBatch, keep: Vec<bool>) -> Result<RecordBatch> {
    Ok(filter_record_batch(rows, &BooleanArray::from(keep))?)
}
