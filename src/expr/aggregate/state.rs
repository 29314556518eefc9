//! What every kind of aggregate keeps per group.
//!
//! In:  columns with the group of each row; partials of other states.
//! Out: partials, which can be written aside and merged, or the results.
//!
//! ```text
//! columns ─ update ─▶ state ─ partial ─▶ columns ─ merge ─▶ state ─ finish ─▶ column
//! ```
//!
//! A row of a partial is a group. States with no rows yet have no groups:
//! `grow` makes them, so that a frame without rows still has its one result.

use std::sync::{Arc, OnceLock};

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::Field;

use super::few::Few;
use crate::error::{Error, Result};

/// The group of each row of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a> {
    ids: Option<&'a [u32]>,
    n_rows: usize,
    n_groups: usize,
    counts: Option<&'a RowCounts>,
}

/// How many rows of a batch each group has, once somebody asked: several aggregates
/// of the same rows may.
#[derive(Debug, Default)]
pub(crate) struct RowCounts(OnceLock<Vec<u64>>);

/// Rows a group of a batch, on average, from which on counting them for all
/// aggregates is less work than for each.
const COUNTED_ROWS: usize = 16;

impl<'a> Groups<'a> {
    /// All rows in the one group there is.
    pub fn one(n_rows: usize) -> Self {
        Groups {
            ids: None,
            n_rows,
            n_groups: 1,
            counts: None,
        }
    }

    /// A group for each row; there are `n_groups` in all, and every id is below that.
    pub fn of(ids: &'a [u32], n_groups: usize) -> Self {
        debug_assert!(ids.iter().all(|&id| (id as usize) < n_groups));
        Groups {
            ids: Some(ids),
            n_rows: ids.len(),
            n_groups,
            counts: None,
        }
    }

    /// The same; whoever counts the rows of each group does so in `counts`, for all
    /// that are given these.
    #[must_use]
    pub(crate) fn counted_in(self, counts: &'a RowCounts) -> Self {
        Groups {
            counts: Some(counts),
            ..self
        }
    }

    /// How many rows each group has, where that is less work than to count them
    /// one by one.
    pub(super) fn counts(self) -> Option<&'a [u64]> {
        let (RowCounts(counts), ids) = (self.counts?, self.ids?);
        if ids.len() < COUNTED_ROWS * self.n_groups {
            return None;
        }
        Some(counts.get_or_init(|| match Few::of(self) {
            Some(few) => few.counts(),
            None => {
                let mut counts = vec![0; self.n_groups];
                ids.iter().for_each(|id| counts[*id as usize] += 1);
                counts
            }
        }))
    }

    /// How many rows.
    pub fn n_rows(self) -> usize {
        self.n_rows
    }

    /// How many groups there are so far, in this batch and those before it.
    pub fn n_groups(self) -> usize {
        self.n_groups
    }

    /// The group of each row; none if all are in one.
    pub(super) fn ids(self) -> Option<&'a [u32]> {
        self.ids
    }

    /// Whether all rows are in one group.
    pub(super) fn is_one(self) -> bool {
        self.ids.is_none()
    }

    /// The group of a row.
    #[inline]
    pub fn id(self, row: usize) -> usize {
        self.ids.map_or(0, |ids| ids[row] as usize)
    }

    /// Calls `each(row, group)` for all rows in order.
    #[inline]
    pub fn for_each(self, mut each: impl FnMut(usize, usize)) {
        match self.ids {
            Some(ids) => {
                for (row, &id) in ids.iter().enumerate() {
                    each(row, id as usize);
                }
            }
            None => {
                for row in 0..self.n_rows {
                    each(row, 0);
                }
            }
        }
    }

    /// As [`for_each`](Self::for_each), without the rows that are null.
    #[inline]
    pub fn for_valid(self, nulls: Option<&NullBuffer>, mut each: impl FnMut(usize, usize)) {
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => self.for_each(each),
            Some(nulls) => {
                for row in nulls.valid_indices() {
                    each(row, self.id(row));
                }
            }
        }
    }
}

/// What one aggregate keeps, for every group.
pub(super) trait State: Send {
    /// Makes room for groups, which have seen nothing so far.
    fn grow(&mut self, n_groups: usize);

    /// Takes in the rows of a batch, in input order.
    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()>;

    /// Takes in what [`partial`](State::partial) of another state gave, whose
    /// rows come behind all rows so far.
    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()>;

    /// All there is as columns with a row for each group. The state is empty after it.
    fn partial(&mut self) -> Result<Vec<ArrayRef>>;

    /// The result of each group. The state is empty after it.
    fn finish(&mut self) -> Result<ArrayRef>;

    /// Bytes held.
    fn bytes(&self) -> usize;
}

/// One bit a group: whether it has a value.
#[derive(Debug, Default)]
pub(super) struct Seen {
    bits: Vec<bool>,
    /// How many are true: once all are, rows need not be looked at.
    n_seen: usize,
}

impl Seen {
    pub fn grow(&mut self, n_groups: usize) {
        if n_groups > self.bits.len() {
            self.bits.resize(n_groups, false);
        }
    }

    #[inline]
    pub fn get(&self, group: usize) -> bool {
        self.bits[group]
    }

    #[inline]
    pub fn set(&mut self, group: usize) {
        self.n_seen += usize::from(!self.bits[group]);
        self.bits[group] = true;
    }

    /// Notes that groups have the values of some rows.
    pub fn note(&mut self, groups: Groups<'_>, nulls: Option<&NullBuffer>) {
        self.grow(groups.n_groups());
        if self.n_seen < self.bits.len() {
            groups.for_valid(nulls, |_, group| self.set(group));
        }
    }

    pub fn len(&self) -> usize {
        self.bits.len()
    }

    pub fn bytes(&self) -> usize {
        self.bits.capacity()
    }

    /// Whether every group has a value.
    pub fn all(&self) -> bool {
        self.n_seen == self.bits.len()
    }

    /// The groups with a value as a column; nothing is left here.
    pub fn take_column(&mut self) -> BooleanArray {
        self.n_seen = 0;
        BooleanArray::from(std::mem::take(&mut self.bits))
    }

    /// The groups without a value as nulls; nothing is left here.
    pub fn take_nulls(&mut self) -> Option<NullBuffer> {
        let all = self.all();
        let bits = std::mem::take(self).bits;
        match all {
            true => None,
            false => nulls_where(bits.into_iter()),
        }
    }
}

/// Nulls where an item is false; nothing if there are none.
pub(in crate::expr) fn nulls_where(valid: impl Iterator<Item = bool>) -> Option<NullBuffer> {
    let mut bits = BooleanBufferBuilder::new(valid.size_hint().0);
    valid.for_each(|bit| bits.append(bit));
    Some(NullBuffer::new(bits.finish())).filter(|nulls| nulls.null_count() > 0)
}

/// Lists of `values`, cut at `offsets`.
pub(super) fn lists(values: ArrayRef, offsets: OffsetBuffer<i32>) -> ListArray {
    let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    ListArray::new(item, offsets, values, None)
}

/// Offsets of lists of so many items each.
///
/// # Errors
///
/// [`Error::Plan`] for more than 2^31 - 1 items in all, which no list array holds.
pub(super) fn offsets_of(lengths: impl Iterator<Item = usize>) -> Result<OffsetBuffer<i32>> {
    let mut offsets = vec![0];
    let mut end = 0_usize;
    for length in lengths {
        end += length;
        offsets.push(i32::try_from(end).map_err(|_| {
            Error::plan("the lists of one batch of groups hold more than 2147483647 values")
        })?);
    }
    Ok(OffsetBuffer::new(offsets.into()))
}

/// The items of lists, one after the other, with the group of the list each is in.
pub(super) fn flat(lists: &ListArray, groups: Groups<'_>) -> (Vec<u32>, ArrayRef) {
    let offsets = lists.value_offsets();
    let first = offsets[0] as usize;
    let end = offsets[lists.len()] as usize;
    let mut ids = Vec::with_capacity(end - first);
    for row in 0..lists.len() {
        let length = lists.value_length(row) as usize;
        ids.extend(std::iter::repeat_n(groups.id(row) as u32, length));
    }
    (ids, lists.values().slice(first, end - first))
}
