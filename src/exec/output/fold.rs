//! Rows folded into a few, in input order.
//!
//! In:  what workers made of chunks, or rows.
//! Out: the folded rows, once all were taken.

use arrow_array::RecordBatch;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::fold::{FoldPlan, Folder};
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, Reservation};

/// Merges partials in input order, under the budget.
pub(crate) struct Folded {
    operator: &'static str,
    folder: Folder,
    /// The answer, at the end.
    pub rows: Vec<RecordBatch>,
    reservation: Reservation,
}

impl Folded {
    pub fn new(plan: &FoldPlan, budget: &Budget) -> Result<Self> {
        Ok(Folded {
            operator: plan.fold.name(),
            folder: Folder::bind(plan)?,
            rows: Vec::new(),
            reservation: budget.open(),
        })
    }

    fn reserve(&mut self, wanted: u64) -> Result<()> {
        if self.reservation.try_resize(wanted) {
            return Ok(());
        }
        let cure = "raise --memory, or fold into fewer groups or rows";
        Err(self.reservation.refused(self.operator, wanted, cure))
    }
}

impl Output for Folded {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        match &rows.folded {
            Some(partial) => self.folder.merge(partial, &rows.from, schema)?,
            None => self.folder.push(&rows.batch, &rows.from, schema)?,
        }
        self.reserve(self.folder.bytes())?;
        Ok(Vec::new())
    }

    fn finish(&mut self, schema: &RunSchema) -> Result<Vec<Group>> {
        // The answer stands beside the states that it is made of.
        self.reserve(self.folder.bytes() * 2)?;
        self.rows = self.folder.finish(schema)?;
        Ok(Vec::new())
    }
}
