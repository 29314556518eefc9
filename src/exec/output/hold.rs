//! Rows that wait until all are counted.
//!
//! In:  rows in input order.
//! Out: the same rows in the same order, once their number and size are known.

use std::sync::Arc;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, Replay, RowStore, SpillDir};
use crate::partition::batch_bytes;

/// Keeps rows in memory and, past the budget, on disk.
pub(crate) struct Hold {
    budget: Budget,
    store: RowStore,
    /// The schema of the next so many batches, in order.
    schemas: Vec<(u64, RunSchema)>,
}

/// Bytes left to what a run holds beside its rows: text and columns in flight,
/// a row group being filled and two being encoded.
const ROOM_BYTES: u64 = 96 << 20;

/// The share of the budget that rows take at most which are held as one piece.
const PIECE_SHARE: u64 = 4;

/// Bytes of a budget that rows which wait leave to others. A quarter more stays
/// free for what an allocator keeps of rows that were spilled; of a small
/// budget, rows may still have an eighth: at 64 MiB, a row group that is filled
/// and encoded takes most of the rest.
pub(crate) fn room_beside(budget: &Budget) -> u64 {
    let limit = budget.limit().bytes();
    (ROOM_BYTES + limit / 4).min(limit / 8 * 7)
}

/// Rows that were counted.
pub(crate) struct Held {
    pub rows: u64,
    pub bytes: u64,
    pub replay: Replay,
    pub schemas: Vec<(u64, RunSchema)>,
}

impl Hold {
    pub fn new(budget: &Budget, spill_dir: Arc<SpillDir>) -> Self {
        Hold {
            budget: budget.clone(),
            store: RowStore::new(budget, room_beside(budget), spill_dir),
            schemas: Vec::new(),
        }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.store.rows()
    }

    /// Their logical bytes.
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    pub fn held(self) -> Held {
        Held {
            rows: self.store.rows(),
            bytes: self.store.bytes(),
            schemas: self.schemas,
            replay: self.store.replay(),
        }
    }
}

impl Output for Hold {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        if rows.batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        // Brought up to the run's schema now, so that few different ones are kept.
        let batch = schema.conform(&rows.batch, &rows.from)?;
        let (n_rows, bytes) = (batch.num_rows(), batch_bytes(&batch));
        self.budget.takes(n_rows as u64, bytes)?;
        // Who reads a piece back from disk holds all of it.
        let most = self.budget.limit().bytes() / PIECE_SHARE;
        let fitting = n_rows as u128 * u128::from(most) / u128::from(bytes.max(1));
        let step = (fitting as usize).clamp(1, n_rows);
        match self.schemas.last_mut() {
            Some((batches, last)) if last.same(schema) => *batches += n_rows.div_ceil(step) as u64,
            _ => {
                let batches = n_rows.div_ceil(step) as u64;
                self.schemas.push((batches, schema.clone()));
            }
        }
        for start in (0..n_rows).step_by(step) {
            self.store
                .push(batch.slice(start, step.min(n_rows - start)))?;
        }
        Ok(Vec::new())
    }
}
