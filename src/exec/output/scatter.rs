//! Rows by bucket, as workers cut them.
//!
//! In:  shards in input order.
//! Out: buckets that hold them in that order, once all were taken.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;

use super::hold::room_beside;
use super::{Group, Output, Rows};
use crate::error::{Error, Result};
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, SpillDir};
use crate::shuffle::{Buckets, Shards};

/// Appends shards to their buckets, which spill past the budget.
pub(crate) struct Scatter {
    budget: Budget,
    pub buckets: Buckets,
    /// What is added to the last column: the place of the next row.
    place: Option<u64>,
}

impl Scatter {
    pub fn new(n_buckets: usize, budget: &Budget, spill_dir: Arc<SpillDir>) -> Self {
        Scatter {
            budget: budget.clone(),
            buckets: Buckets::new(n_buckets, budget, room_beside(budget), spill_dir),
            place: None,
        }
    }

    /// Makes places in a batch, which the last column holds, places among all
    /// rows, the first of which is `first`.
    pub fn placing(mut self, first: Option<u64>) -> Self {
        self.place = first;
        self
    }

    fn placed(&mut self, shards: Shards) -> Result<Shards> {
        let Some(before) = &mut self.place else {
            return Ok(shards);
        };
        let n_rows = shards.num_rows() as u64;
        let placed = shards.map(|rows| {
            let mut columns = rows.columns().to_vec();
            let Some(last) = columns.last_mut() else {
                return Err(Error::internal("there is no column of places"));
            };
            let places = last.as_primitive::<UInt64Type>();
            *last = Arc::new(places.unary::<_, UInt64Type>(|place| place + *before));
            Ok(RecordBatch::try_new(rows.schema(), columns)?)
        })?;
        *before += n_rows;
        Ok(placed)
    }
}

impl Output for Scatter {
    fn push(&mut self, rows: Rows, _schema: &RunSchema) -> Result<Vec<Group>> {
        match rows.shards {
            Some(shards) => {
                self.budget
                    .takes(shards.num_rows() as u64, shards.bytes())?;
                let shards = self.placed(shards)?;
                self.buckets.push(shards)?;
            }
            None => return Err(Error::internal("rows came to a shuffle uncut")),
        }
        Ok(Vec::new())
    }
}
