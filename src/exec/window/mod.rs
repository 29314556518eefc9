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
//! where its states stood, one bucket after the other, in input order: what a group is
//! told is what it would have been told, wherever the cut was made. A bucket whose
//! states do not fit is cut again; one group that does not fit is an error.

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
use crate::error::Result;
use crate::memory::{Budget, SpillDir};
use crate::partition::batch_bytes;

/// What rows that do not fit are held under.
#[derive(Clone)]
pub(crate) struct Room {
    pub budget: Budget,
    pub spill_dir: Arc<SpillDir>,
}

impl Room {
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
