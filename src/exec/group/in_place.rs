//! Rows grouped where they lie.
//!
//! In:  rows and groups that waited in memory, with all columns as they came.
//! Out: one row for each group, in the order in which groups first appear.
//!
//! ```text
//! keys ─▶ hashes ─▶ 64 buckets of (hash, row) ─ any thread ─▶ groups of a bucket:
//!                                                    place, row of the key, results
//! range of places ─ any thread ─▶ keys from where they lie, results from their buckets
//! ```
//!
//! Only hashes and numbers of rows are moved before the groups are known, and a
//! key is copied once, into the answer. Rows whose hashes are equal are compared;
//! if any of a bucket differ, its keys are told apart by a table of their own.
//! Where all batches have ascending whole numbers as keys, these stand in place
//! of hashes, and buckets are ranges of them: see `routed.rs`.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use super::aside::Aside;
use super::found::{BucketRows, Found};
use super::keys::KeyColumn;
use super::merge::Merge;
use super::placed::{Grouped, PlacedGroups, RowPlace, narrow_results};
use super::routed::{ROUTED_BYTES, Routed, STRETCH_ROWS, Stretch, ascending};
use super::store::N_BUCKETS;
use crate::error::{Error, Result};
use crate::exec::each::each;
use crate::expr::Groups;
use crate::memory::{HeldBuffers, Reservation};
use crate::ops::{Aggregate, PlaceNumbers, Ungrouped};
use crate::shuffle::{At, gather};

/// Bytes that a row of a bucket takes while its group is found: its hash, its
/// place, where it lies, and its group.
const FOUND_BYTES: u64 = 8 + 8 + 8 + 4;

/// Rows that are being grouped.
pub(super) struct InPlace<'a> {
    merge: &'a Merge,
    pub rows: Vec<&'a Ungrouped>,
    /// Of each of `rows`, in the types that all keys have in the end.
    pub keys: Vec<Vec<ArrayRef>>,
    pub key_types: &'a [DataType],
    pub routed: Vec<Routed>,
    /// Whether rows are routed by their keys, and not by hashes of these.
    pub by_key: bool,
    pub numbers: PlaceNumbers,
    /// Whether groups stand where their last rows do.
    pub of_last: bool,
    /// Whether the order in which rows are taken in changes nothing.
    pub is_order_free: bool,
}

/// Some of the rows of a bucket that has many: those of some batches.
struct Part {
    bucket: usize,
    batches: Range<usize>,
    n_rows: u64,
}

/// The groups of such rows.
struct Piece {
    bucket: usize,
    heads: BucketRows,
    states: Vec<Vec<ArrayRef>>,
    _held: Reservation,
}

/// A bucket with more than so many halves of the rows that buckets have on
/// average is grouped in parts: a key with many rows is in it, and these pass by
/// all tables where other keys have few.
const HEAVY_HALVES: u64 = 3;

/// Rows of a bucket that are never too many for one task.
pub(super) const FEW_ROWS: u64 = 1 << 14;

/// Groups what waits in memory, on all threads. None if nothing does, or if
/// the budget refuses what that takes.
///
/// # Errors
///
/// Those of aggregating.
pub(crate) fn in_place(
    merge: &Merge,
    asides: &[Aside],
    key_types: &[DataType],
) -> Result<Option<PlacedGroups>> {
    let rows: Vec<&Ungrouped> = asides.iter().flat_map(Aside::rows).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let Some(mut rows) = InPlace::new(merge, rows, key_types)? else {
        return Ok(None);
    };
    let mut held = merge.budget.open();
    let n_rows: u64 = rows.rows.iter().map(|rows| rows.n_rows as u64).sum();
    if !held.try_resize(ROUTED_BYTES * n_rows) {
        return Ok(None);
    }
    rows.route()?;
    match rows.all_groups() {
        Err(Error::Memory { .. }) => Ok(None),
        groups => groups.map(Some),
    }
}

impl<'a> InPlace<'a> {
    /// None if the places of all do not fit one number.
    fn new(
        merge: &'a Merge,
        mut rows: Vec<&'a Ungrouped>,
        key_types: &'a [DataType],
    ) -> Result<Option<Self>> {
        let groups = merge.groups()?;
        let (mut chunks, mut last_row) = (0, 0);
        for rows in &rows {
            let (of_chunks, of_rows) = rows.place_bits();
            chunks |= of_chunks;
            last_row |= of_rows;
        }
        let Some(numbers) = PlaceNumbers::for_bits(chunks, last_row) else {
            return Ok(None);
        };
        if groups.is_order_free() {
            // States beside states, and most groups in the order of their places.
            rows.sort_by_key(|rows| (!rows.are_groups(), rows.first_chunk()));
        }
        let keys = rows
            .iter()
            .map(|rows| KeyColumn::conform(&rows.keys, key_types));
        Ok(Some(InPlace {
            keys: keys.collect::<Result<_>>()?,
            of_last: groups.stands_last(),
            is_order_free: groups.is_order_free(),
            merge,
            rows,
            key_types,
            routed: Vec::new(),
            by_key: false,
            numbers,
        }))
    }

    /// Finds the bucket of each row.
    fn route(&mut self) -> Result<()> {
        let keys = &self.keys;
        let (threads, cancel) = (self.merge.threads, &self.merge.cancel);
        let in_order = |idx: usize| Ok(ascending(&keys[idx]));
        let in_order = each(threads, cancel, "looking at keys", keys.len(), in_order)?;
        if let Some(in_order) = in_order.into_iter().collect() {
            self.routed = Routed::by_range(in_order);
            self.by_key = true;
            return Ok(());
        }
        let route = |idx: usize| Routed::by_hash(&keys[idx]);
        self.routed = each(threads, cancel, "routing groups", keys.len(), route)?;
        Ok(())
    }

    /// All groups, bucket by bucket.
    fn all_groups(self) -> Result<PlacedGroups> {
        let (threads, cancel) = (self.merge.threads, &self.merge.cancel);
        let rows_each: Vec<u64> = (0..N_BUCKETS).map(|bucket| self.rows_of(bucket)).collect();
        let parts = self.parts(&rows_each);
        let piece = |idx: usize| self.piece(&parts[idx]);
        let pieces = each(threads, cancel, "grouping many rows", parts.len(), piece)?;
        let group = |bucket: usize| {
            let first = pieces.partition_point(|piece| piece.bucket < bucket);
            let own = pieces[first..].iter();
            let own: Vec<&Piece> = own.take_while(|piece| piece.bucket == bucket).collect();
            match own.is_empty() {
                true => self.group(bucket),
                false => self.merge(&own),
            }
        };
        let buckets = each(threads, cancel, "grouping", N_BUCKETS, group)?;
        let is_whole = |bucket: &usize| parts.iter().all(|part| part.bucket != *bucket);
        let whole = (0..N_BUCKETS)
            .filter(is_whole)
            .map(|bucket| rows_each[bucket]);
        let tasks = whole.chain(parts.iter().map(|part| part.n_rows)).collect();
        let places = self.rows.iter().map(|rows| rows.places.clone());
        let places = RowPlace {
            of_batches: places.collect(),
            numbers: self.numbers,
        };
        let keys = (self.keys, self.key_types);
        PlacedGroups::new(self.merge, tasks, buckets, keys, places)
    }

    fn rows_of(&self, bucket: usize) -> u64 {
        let ranges = self.routed.iter().map(|of| of.range(bucket).len() as u64);
        ranges.sum()
    }

    /// The parts of buckets that have too many rows for one task.
    fn parts(&self, rows_each: &[u64]) -> Vec<Part> {
        let mean = rows_each.iter().sum::<u64>() / N_BUCKETS as u64;
        let is_heavy = |rows: u64| rows > (mean * HEAVY_HALVES / 2).max(FEW_ROWS);
        let mut parts = Vec::new();
        for bucket in (0..N_BUCKETS).filter(|bucket| is_heavy(rows_each[*bucket])) {
            let (mut first, mut n_rows) = (0, 0);
            for (batch, routed) in self.routed.iter().enumerate() {
                n_rows += routed.range(bucket).len() as u64;
                let is_last = batch + 1 == self.routed.len();
                if n_rows > 0 && (n_rows >= mean.max(FEW_ROWS / 2) || is_last) {
                    parts.push(Part {
                        bucket,
                        batches: first..batch + 1,
                        n_rows,
                    });
                    (first, n_rows) = (batch + 1, 0);
                }
            }
        }
        parts
    }

    /// The groups of a bucket.
    fn group(&self, bucket: usize) -> Result<Grouped> {
        let batches = 0..self.rows.len();
        let (found, groups, held) = self.group_rows(bucket, &batches, self.rows_of(bucket))?;
        self.results(found, groups, held)
    }

    /// The groups of some rows of a bucket.
    fn piece(&self, part: &Part) -> Result<Piece> {
        let (found, mut groups, mut held) =
            self.group_rows(part.bucket, &part.batches, part.n_rows)?;
        let states = groups.states()?;
        let mut buffers = HeldBuffers::default();
        let states_bytes = buffers.add_columns(states.iter().flatten());
        let heads = found.heads();
        self.reserve(
            &mut held,
            FOUND_BYTES * heads.at.len() as u64 + states_bytes,
        )?;
        Ok(Piece {
            bucket: part.bucket,
            heads,
            states,
            _held: held,
        })
    }

    /// The groups of a bucket, of its pieces in the order of their batches.
    fn merge(&self, pieces: &[&Piece]) -> Result<Grouped> {
        let mut held = self.merge.budget.open();
        let mut rows = BucketRows::default();
        for piece in pieces {
            rows.numbers.extend_from_slice(&piece.heads.numbers);
            rows.at.extend_from_slice(&piece.heads.at);
            rows.places.extend_from_slice(&piece.heads.places);
        }
        self.reserve(&mut held, FOUND_BYTES * rows.at.len() as u64)?;
        let found = self.find(rows)?;
        let mut groups = self.merge.groups()?;
        let mut ids = &found.ids[..];
        for piece in pieces {
            let (own, behind) = ids.split_at(piece.heads.at.len());
            groups.take_grouped(Groups::of(own, found.heads.len()), &piece.states, true)?;
            ids = behind;
        }
        self.results(found, groups, held)
    }

    /// Groups some rows of a bucket, with what that holds of the budget.
    fn group_rows(
        &self,
        bucket: usize,
        batches: &Range<usize>,
        n_rows: u64,
    ) -> Result<(Found, Aggregate, Reservation)> {
        let mut held = self.merge.budget.open();
        self.reserve(&mut held, FOUND_BYTES * n_rows)?;
        let found = self.find(self.collect(bucket, batches))?;
        let mut groups = self.merge.groups()?;
        self.aggregate(bucket, batches, &found, &mut groups)?;
        // Results, or a partial, stand beside the states that they are made of.
        let states = FOUND_BYTES * n_rows + 2 * groups.bytes() as u64;
        self.reserve(&mut held, states)?;
        Ok((found, groups, held))
    }

    /// The results of groups, in the order of their places.
    fn results(
        &self,
        found: Found,
        mut groups: Aggregate,
        mut held: Reservation,
    ) -> Result<Grouped> {
        let n_groups = found.heads.len();
        let none = RecordBatch::new_empty(Arc::clone(&self.merge.schema));
        groups.push_chunk(&none, u64::MAX)?;
        let results = groups.results()?;
        let heads = found.heads();
        let places = heads.places.iter().copied();
        let mut order: Vec<(u64, u32)> = places.zip(0..).collect();
        let results = match order.is_sorted() {
            true => results,
            false => {
                // Stable, since that is quick where much stands in order.
                order.sort();
                let at: Vec<At> = order.iter().map(|(_, id)| (0, *id)).collect();
                let results = results.iter().map(|results| gather(&[results], &at));
                results.collect::<Result<_>>()?
            }
        };
        let keys_at = order.iter().map(|(_, id)| heads.at[*id as usize]);
        let results = narrow_results(results, n_groups)?;
        let mut buffers = HeldBuffers::default();
        let kept = 8 * n_groups as u64 + buffers.add(&results);
        self.reserve(&mut held, kept)?;
        Ok(Grouped {
            keys_at: keys_at.collect(),
            results,
            _held: held,
        })
    }

    fn reserve(&self, held: &mut Reservation, wanted: u64) -> Result<()> {
        match held.try_resize(wanted) {
            true => Ok(()),
            false => Err(self.merge.plan.refused(held, wanted)),
        }
    }

    /// Lets groups take in rows of a bucket, in the order in which they were collected.
    fn aggregate(
        &self,
        bucket: usize,
        batches: &Range<usize>,
        found: &Found,
        groups: &mut Aggregate,
    ) -> Result<()> {
        let n_groups = found.heads.len();
        let stretches = &found.rows.stretches;
        if self.by_key && found.ids.len() >= STRETCH_ROWS * stretches.len() {
            return self.take_stretches(stretches, (&found.ids, n_groups), groups);
        }
        let (mut batch, mut row) = (batches.start, 0);
        for alike in self.rows[batches.clone()].chunk_by(|a, b| a.is_like(b)) {
            let routed = &self.routed[batch..batch + alike.len()];
            let n_rows: usize = routed.iter().map(|of| of.range(bucket).len()).sum();
            let rows = row..row + n_rows;
            let at = found.rows.at[rows.clone()].iter();
            let at: Vec<At> = at.map(|(of, row)| (of - batch as u32, *row)).collect();
            let columns = gather_all(alike, &at)?;
            let ids = Groups::of(&found.ids[rows], n_groups);
            groups.take_grouped(ids, &columns, alike[0].are_groups())?;
            batch += alike.len();
            row += n_rows;
        }
        Ok(())
    }

    /// The same of rows as they lie in their batches, by the group of each.
    fn take_stretches(
        &self,
        stretches: &[Stretch],
        (mut ids, n_groups): (&[u32], usize),
        groups: &mut Aggregate,
    ) -> Result<()> {
        for Stretch { batch, range } in stretches {
            let (own, behind) = ids.split_at(range.len());
            let rows = self.rows[*batch];
            let slice = |column: &ArrayRef| column.slice(range.start, range.len());
            let columns = rows.columns.iter();
            let columns: Vec<Vec<_>> = columns.map(|of| of.iter().map(slice).collect()).collect();
            groups.take_grouped(Groups::of(own, n_groups), &columns, rows.are_groups())?;
            ids = behind;
        }
        Ok(())
    }
}

/// The columns of aggregates of some rows of batches that are like each other.
fn gather_all(batches: &[&Ungrouped], at: &[At]) -> Result<Vec<Vec<ArrayRef>>> {
    let aggregates = batches[0].columns.iter().enumerate();
    let of_aggregate = |(aggregate, columns): (usize, &Vec<ArrayRef>)| {
        let columns = (0..columns.len()).map(|column| {
            let all = batches.iter().map(|of| &*of.columns[aggregate][column]);
            gather(&all.collect::<Vec<&dyn Array>>(), at)
        });
        columns.collect::<Result<Vec<_>>>()
    };
    aggregates.map(of_aggregate).collect()
}
