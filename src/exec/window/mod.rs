//! Windows of rows by key, under a budget.
//!
//! In:  rows in order.
//! Out: the same rows in the same order, with a column for each window.
//!
//! ```text
//! along      rows ─▶ states of all groups ─▶ rows          what fits streams
//!              │ states take too much
//!              ▼
//! late       rows ─▶ log (may spill) ───────────────────────────▶ rows with columns
//!              └ keys, values, places ─ by key ─▶ columns ─ by place ─┘
//!                                      (may spill)      (may spill)
//! ahead      rows ─ forwards ─ stack ─ backwards ─▶ rows   what looks at rows behind
//!              └ what does not fit goes by key and back by place, too
//! ```
//!
//! How many keys there are nobody knows before the rows came, so windows stream
//! until their states take a share of the budget, or are refused. Those states stay
//! in memory then, cut by the hash of their keys; of all rows that follow, what windows
//! look at goes into buckets by the same hash. Behind the last row each bucket goes on
//! where its states stood, in input order, on any thread: what a group is told is what
//! it would have been told, wherever the cut was made, and places bring columns back to
//! the order of rows. A bucket that may hold too much waits until no other is worked
//! beside it; if its states do not fit then, it is cut again; one group that does not
//! fit is an error.

mod ahead;
mod along;
mod behind;
mod by_key;
mod by_place;
mod late;

use std::sync::Arc;

use arrow_array::RecordBatch;

pub(super) use self::ahead::look_ahead;
pub(crate) use self::along::Along;
pub(crate) use self::late::Late;
pub(super) use self::late::{Came, Event, Replay};
use super::each::each_of;
use super::scheduler::Drive;
use crate::cancel::Cancel;
use crate::error::Result;
use crate::memory::{Budget, SpillDir};
use crate::partition::batch_bytes;

/// What rows that do not fit are held under, and who works them.
#[derive(Clone)]
pub(crate) struct Room {
    pub budget: Budget,
    pub spill_dir: Arc<SpillDir>,
    threads: usize,
    cancel: Cancel,
}

impl Room {
    /// That of a run.
    pub fn of(drive: &Drive) -> Self {
        Room {
            budget: drive.budget.clone(),
            spill_dir: Arc::clone(&drive.spill_dir),
            threads: drive.threads,
            cancel: drive.cancel.clone(),
        }
    }

    /// Does something for each of some buckets, on all threads.
    ///
    /// # Errors
    ///
    /// As [`each_of`].
    fn each_of<T: Send, U: Send>(
        &self,
        buckets: Vec<T>,
        make: impl Fn(T) -> Result<U> + Sync,
    ) -> Result<Vec<U>> {
        each_of(self.threads, &self.cancel, "telling windows", buckets, make)
    }

    /// Refuses rows that would not fit if they were alone: they go to disk, and come back.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Memory`].
    fn takes(&self, rows: &RecordBatch) -> Result<()> {
        let taken = self.budget.takes(rows.num_rows() as u64, batch_bytes(rows));
        taken.map_err(|error| error.asked_by("window"))
    }
}
