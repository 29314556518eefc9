//! Rows and groups that wait to be grouped.
//!
//! In:  rows that would hardly be fewer as groups, and the groups of tables that
//!      grew too large, from one thread.
//! Out: all of them, to be grouped where they lie; or, where the budget refuses
//!      as much, partials in the store.

use arrow_array::{Array, ArrayRef, RecordBatch};

use super::store::GroupStore;
use crate::error::Result;
use crate::exec::hot::{TELLING_ROWS, stands_out};
use crate::expr::hash_rows;
use crate::memory::{Budget, HeldBuffers, Reservation};
use crate::ops::{Aggregate, Ungrouped};

/// The share of a budget that waiting rows leave to others: the buckets that
/// they go to if it is refused, and what grouping them takes.
const ROOM_SHARE: u64 = 2;

/// Rows that go to the store at once: so many make shards that are worth their headers.
const ROWS_AT_ONCE: u64 = 1 << 17;

/// Rows that go at once however long they are.
const LEAST_AT_ONCE: usize = 1_024;

/// The share of a budget that goes to the store at once, where rows are long:
/// shards of it are not of the budget before they are in their buckets.
const SHARE_AT_ONCE: u64 = 16;

/// What waits, and what it holds of the budget.
pub(crate) struct Aside {
    waiting: Vec<Waiting>,
    n_rows: u64,
    buffers: HeldBuffers,
    reservation: Reservation,
    budget: Budget,
    /// How often each byte counts: twice, if partials made of it stand beside it.
    copies: u64,
}

struct Waiting {
    rows: Ungrouped,
    /// That no other before it holds.
    bytes: u64,
}

impl Aside {
    /// Nothing.
    pub fn new(budget: &Budget) -> Self {
        Aside {
            waiting: Vec::new(),
            n_rows: 0,
            buffers: HeldBuffers::default(),
            reservation: budget.open_leaving(budget.limit().bytes() / ROOM_SHARE),
            budget: budget.clone(),
            copies: 1,
        }
    }

    /// How many rows wait.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// What waits.
    pub fn rows(&self) -> impl Iterator<Item = &Ungrouped> {
        self.waiting.iter().map(|waiting| &waiting.rows)
    }

    /// Takes in more; false if the budget refuses what they hold. They are here
    /// all the same, and the caller sends them on.
    #[must_use]
    pub fn push(&mut self, rows: Ungrouped) -> bool {
        if rows.n_rows == 0 {
            return true;
        }
        let bytes = self.copies * self.buffers.add_columns(rows.all_columns());
        self.n_rows += rows.n_rows as u64;
        self.waiting.push(Waiting { rows, bytes });
        self.reservation
            .try_resize(self.reservation.bytes() + bytes)
    }

    /// As [`push`](Self::push), of what was in memory already in another form.
    pub fn push_anyway(&mut self, rows: Ungrouped) {
        if !self.push(rows) {
            let bytes = self.waiting.last().map_or(0, |waiting| waiting.bytes);
            self.reservation
                .resize_anyway(self.reservation.bytes() + bytes);
        }
    }

    /// Sends all to the store, as partials that `groups`, which is empty, makes of them.
    pub fn leave_for(&mut self, store: &GroupStore, groups: &mut Aggregate) -> Result<()> {
        self.n_rows = 0;
        self.buffers = HeldBuffers::default();
        let mut partials = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        let mut waiting = std::mem::take(&mut self.waiting).into_iter().peekable();
        while let Some(next) = waiting.next() {
            rows += next.rows.n_rows as u64;
            bytes += next.bytes;
            // Of a key with many rows each task would have far more than of others.
            partials.push(match repeats(&next.rows)? {
                true => groups.grouped_partial_of(&next.rows)?,
                false => groups.partial_of(&next.rows)?,
            });
            drop(next);
            let many = rows >= ROWS_AT_ONCE || bytes >= self.bytes_at_once();
            if many || waiting.peek().is_none() {
                let left = self.reservation.bytes().saturating_sub(bytes);
                self.send(store, std::mem::take(&mut partials), (rows, bytes))?;
                self.reservation.resize_anyway(left);
                (rows, bytes) = (0, 0);
            }
        }
        // What comes from here on waits for a moment only, so it leaves no room.
        (self.reservation, self.copies) = (self.budget.open(), 2);
        Ok(())
    }

    /// Sends partials of so many rows and bytes to the store, in pieces if they are large.
    fn send(
        &self,
        store: &GroupStore,
        partials: Vec<RecordBatch>,
        (rows, bytes): (u64, u64),
    ) -> Result<()> {
        if bytes <= 2 * self.bytes_at_once() {
            return store.push(&partials);
        }
        let step = fitting(&self.budget, rows, bytes);
        for partial in partials {
            for from in (0..partial.num_rows()).step_by(step) {
                let n_rows = step.min(partial.num_rows() - from);
                store.push(&[partial.slice(from, n_rows)])?;
            }
        }
        Ok(())
    }

    fn bytes_at_once(&self) -> u64 {
        bytes_at_once(&self.budget)
    }

    /// Whether enough waits to be sent to a store.
    pub fn has_many(&self) -> bool {
        self.n_rows >= ROWS_AT_ONCE || self.reservation.bytes() >= self.bytes_at_once()
    }
}

/// Whether a few rows tell that many have one key.
fn repeats(rows: &Ungrouped) -> Result<bool> {
    let few = |key: &ArrayRef| key.slice(0, rows.n_rows.min(TELLING_ROWS));
    let keys: Vec<ArrayRef> = rows.keys.iter().map(few).collect();
    Ok(!rows.are_groups() && stands_out(&hash_rows(&keys)?))
}

/// Bytes that go to a store at once, about.
fn bytes_at_once(budget: &Budget) -> u64 {
    budget.limit().bytes() / SHARE_AT_ONCE
}

/// How many of `rows` rows, which are `bytes` long, go to a store at once.
pub(super) fn fitting(budget: &Budget, rows: u64, bytes: u64) -> usize {
    let fitting = u128::from(rows) * u128::from(bytes_at_once(budget)) / u128::from(bytes.max(1));
    usize::try_from(fitting).map_or(usize::MAX, |fitting| fitting.max(LEAST_AT_ONCE))
}
