//! The groups of a bucket's rows, which lie in many batches.
//!
//! In:  the rows of a bucket: what tells their keys apart, and where they lie.
//! Out: the group of each, and for each group the row that stands for it.
//!
//! Numbers that are equal are hashes of keys that hardly ever differ: rows are put
//! together by them, compared, and if any of a bucket differ, its keys are told
//! apart by a table of their own.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt64Array};
use arrow_ord::cmp::not_distinct;
use arrow_schema::DataType;

use super::in_place::InPlace;
use super::keys::KeyColumn;
use super::routed::{Stretch, in_order};
use crate::error::Result;
use crate::expr::GroupTable;
use crate::shuffle::At;

/// Rows of a bucket.
#[derive(Default)]
pub(super) struct BucketRows {
    /// Hashes, or keys.
    pub numbers: Vec<u64>,
    pub at: Vec<At>,
    /// The place of each row, as a number.
    pub places: Vec<u64>,
    /// The stretches of batches that these rows are, one behind the other.
    pub stretches: Vec<Stretch>,
}

/// Rows of a bucket, and the groups that they are in.
pub(super) struct Found {
    pub rows: BucketRows,
    pub ids: Vec<u32>,
    /// The row of each group that stands for it.
    pub heads: Vec<u32>,
}

impl InPlace<'_> {
    /// The rows of a bucket that lie in some batches: in the order of these, or in
    /// that of their keys where long stretches follow each other.
    pub fn collect(&self, bucket: usize, batches: &Range<usize>) -> BucketRows {
        let stretches = batches.clone().map(|batch| Stretch {
            batch,
            range: self.routed[batch].range(bucket),
        });
        let mut stretches: Vec<Stretch> = stretches.filter(|of| !of.range.is_empty()).collect();
        if self.by_key
            && self.is_order_free
            && let Some(merged) = in_order(&self.routed, &stretches)
        {
            stretches = merged;
        }
        let mut rows = BucketRows::default();
        for Stretch { batch, range } in &stretches {
            let routed = &self.routed[*batch];
            let numbers = &routed.numbers[range.clone()];
            rows.numbers.extend_from_slice(numbers);
            let own = &routed.rows[range.clone()];
            rows.at.extend(own.iter().map(|row| (*batch as u32, *row)));
            self.rows[*batch].add_places(own, self.numbers, &mut rows.places);
        }
        rows.stretches = stretches;
        rows
    }

    /// Finds the group of each row.
    pub fn find(&self, mut rows: BucketRows) -> Result<Found> {
        let numbers = UInt64Array::from(std::mem::take(&mut rows.numbers));
        let by_number = &mut GroupTable::try_new(vec![DataType::UInt64])?;
        let ids = by_number.assign(&[Arc::new(numbers.clone()) as ArrayRef])?;
        rows.numbers = numbers.values().to_vec();
        let mut found = self.with_heads(rows, ids);
        if !self.by_key && !self.are_equal(&found)? {
            let keys = self.key_columns();
            let keys = keys.iter().map(|keys| keys.gather(&found.rows.at));
            let keys = keys.collect::<Result<Vec<_>>>()?;
            let ids = GroupTable::try_new(self.key_types.to_vec())?.assign(&keys)?;
            found = self.with_heads(found.rows, ids);
        }
        Ok(found)
    }

    /// Finds the row of each group that stands first, or last.
    fn with_heads(&self, rows: BucketRows, ids: Vec<u32>) -> Found {
        let places = &rows.places;
        let stands_before = |row: u32, head: u32| {
            let (place, known) = (places[row as usize], places[head as usize]);
            match self.of_last {
                true => place > known,
                false => place < known,
            }
        };
        let mut heads: Vec<u32> = Vec::new();
        for (row, &id) in (0_u32..).zip(&ids) {
            match heads.get_mut(id as usize) {
                None => heads.push(row),
                Some(head) if stands_before(row, *head) => *head = row,
                Some(_) => {}
            }
        }
        Found { rows, ids, heads }
    }

    fn key_columns(&self) -> Vec<KeyColumn<'_>> {
        let types = self.key_types.iter().enumerate();
        let columns =
            types.map(|(idx, of)| KeyColumn::new(of, self.keys.iter().map(|keys| &keys[idx])));
        columns.collect()
    }

    /// Whether the rows of each group have one key. False also where keys are of
    /// types that are not compared here.
    fn are_equal(&self, found: &Found) -> Result<bool> {
        let (mut rows, mut heads) = (Vec::new(), Vec::new());
        for (row, id) in found.ids.iter().enumerate() {
            let head = found.heads[*id as usize] as usize;
            if head != row {
                rows.push(found.rows.at[row]);
                heads.push(found.rows.at[head]);
            }
        }
        if rows.is_empty() {
            return Ok(true);
        }
        if self.key_types.iter().any(DataType::is_nested) {
            return Ok(false);
        }
        for keys in self.key_columns() {
            let same = not_distinct(&keys.gather(&rows)?, &keys.gather(&heads)?)?;
            if same.true_count() < rows.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Found {
    /// The rows that stand for groups.
    pub fn heads(&self) -> BucketRows {
        let heads = || self.heads.iter().map(|head| *head as usize);
        BucketRows {
            numbers: heads().map(|head| self.rows.numbers[head]).collect(),
            at: heads().map(|head| self.rows.at[head]).collect(),
            places: heads().map(|head| self.rows.places[head]).collect(),
            stretches: Vec::new(),
        }
    }
}
