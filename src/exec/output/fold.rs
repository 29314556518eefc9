//! Rows folded into a few, in input order.
//!
//! In:  what workers made of chunks, or rows; at the end what is in their pool.
//! Out: the folded rows, once all were taken.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::fold::{Folder, Folding};
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, Reservation};

/// Merges partials in input order, under the budget.
pub(crate) struct Folded {
    folding: Arc<Folding>,
    folder: Folder,
    /// The answer, at the end.
    pub rows: Vec<RecordBatch>,
    reservation: Reservation,
    /// Chunks so far.
    chunks: u64,
}

impl Folded {
    pub fn new(folding: Arc<Folding>, budget: &Budget) -> Result<Self> {
        Ok(Folded {
            folder: Folder::bind(folding.plan())?,
            folding,
            rows: Vec::new(),
            reservation: budget.open(),
            chunks: 0,
        })
    }

    fn reserve(&mut self, wanted: u64) -> Result<()> {
        match self.reservation.try_resize(wanted) {
            true => Ok(()),
            false => Err(self.folding.plan().refused(&self.reservation, wanted)),
        }
    }

    /// Merges what is left in the pool, the largest first.
    fn merge_pool(&mut self) -> Result<()> {
        let Folding::Pooled(pool) = &*self.folding else {
            return Ok(());
        };
        let mut pooled = pool.take();
        pooled.sort_by_key(|one| std::cmp::Reverse(one.reservation.bytes()));
        for one in pooled {
            if self.folder.bytes() == 0 {
                (self.folder, self.reservation) = (one.folder, one.reservation);
                continue;
            }
            self.folder.take_in(one.folder)?;
            self.reserve(self.folder.bytes())?;
        }
        Ok(())
    }
}

impl Output for Folded {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        let chunk = self.chunks;
        self.chunks += 1;
        match &rows.folded {
            Some(partial) if partial.is_empty() => {}
            Some(partial) => self.folder.merge(partial, &rows.from, schema)?,
            None => self.folder.push(&rows.batch, &rows.from, schema, chunk)?,
        }
        self.reserve(self.folder.bytes())?;
        Ok(Vec::new())
    }

    fn finish(&mut self, schema: &RunSchema) -> Result<Vec<Group>> {
        self.merge_pool()?;
        // The answer stands beside the states that it is made of.
        self.reserve(self.folder.bytes() * 2)?;
        self.rows = self.folder.finish(schema)?;
        Ok(Vec::new())
    }
}
