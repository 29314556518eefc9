//! Rows and groups that wait to be grouped.
//!
//! In:  rows that would hardly be fewer as groups, and the groups of tables that
//!      grew too large, from one thread.
//! Out: all of them, to be grouped where they lie; or, where the budget refuses
//!      as much, partials in the store.

use super::store::GroupStore;
use crate::error::Result;
use crate::memory::{Budget, HeldBuffers, Reservation};
use crate::ops::{Aggregate, Ungrouped};

/// The share of a budget that waiting rows leave to others: the buckets that
/// they go to if it is refused, and what grouping them takes.
const ROOM_SHARE: u64 = 2;

/// Rows that go to the store at once: so many make shards that are worth their headers.
pub(crate) const ROWS_AT_ONCE: u64 = 1 << 17;

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
            partials.push(groups.partial_of(&next.rows)?);
            drop(next);
            if rows >= ROWS_AT_ONCE || waiting.peek().is_none() {
                let left = self.reservation.bytes().saturating_sub(bytes);
                store.push(&std::mem::take(&mut partials))?;
                self.reservation.resize_anyway(left);
                (rows, bytes) = (0, 0);
            }
        }
        // What comes from here on waits for a moment only, so it leaves no room.
        (self.reservation, self.copies) = (self.budget.open(), 2);
        Ok(())
    }
}
