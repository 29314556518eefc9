//! Rows by bucket, as workers cut them.
//!
//! In:  shards in input order.
//! Out: buckets that hold them in that order, once all were taken.

use std::sync::Arc;

use super::hold::room_beside;
use super::{Group, Output, Rows};
use crate::error::{Error, Result};
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, SpillDir};
use crate::shuffle::Buckets;

/// Appends shards to their buckets, which spill past the budget.
pub(crate) struct Scatter {
    pub buckets: Buckets,
}

impl Scatter {
    pub fn new(n_buckets: usize, budget: &Budget, spill_dir: Arc<SpillDir>) -> Self {
        // Rows that were held leave as they come: buckets may have more than those had.
        let room = room_beside(budget) / 2;
        Scatter {
            buckets: Buckets::new(n_buckets, budget, room, spill_dir),
        }
    }
}

impl Output for Scatter {
    fn push(&mut self, rows: Rows, _schema: &RunSchema) -> Result<Vec<Group>> {
        match rows.shards {
            Some(shards) => self.buckets.push(shards)?,
            None => return Err(Error::internal("rows came to a shuffle uncut")),
        }
        Ok(Vec::new())
    }
}
