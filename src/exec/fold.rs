//! Rows folded on any thread, merged in input order.
//!
//! In:  rows of chunks, each with the schema it was decoded under.
//! Out: partials of chunks; of all of them in input order, the folded rows.
//!
//! Text may widen behind rows that were folded: values keep their meaning, and
//! rows that are kept are brought up to the wider schema.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::schema::RunSchema;
use super::worker::Worked;
use crate::error::Result;
use crate::ops;
use crate::plan::Fold;

/// What workers fold rows into: a fold, and the columns it was checked against.
#[derive(Debug, Clone)]
pub(crate) struct FoldPlan {
    pub fold: Fold,
    pub schema: SchemaRef,
}

/// A fold at work: one for each worker, one for all rows.
pub(crate) struct Folder {
    fold: ops::Fold,
    /// Of the rows that it keeps.
    held: Option<RunSchema>,
}

impl Folder {
    /// One that has seen nothing.
    pub fn bind(plan: &FoldPlan) -> Result<Self> {
        Ok(Folder {
            fold: plan.fold.bind(&plan.schema)?,
            held: None,
        })
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> u64 {
        self.fold.bytes()
    }

    /// Takes in rows of schema `from`, under `schema`, which covers it and that
    /// of all rows before.
    pub fn push(
        &mut self,
        batch: &RecordBatch,
        from: &RunSchema,
        schema: &RunSchema,
    ) -> Result<()> {
        self.widen(schema)?;
        let rows = schema.conform(batch, from)?;
        let seen = schema.finish(&rows, schema)?;
        self.fold.push(&rows, &seen)
    }

    /// Brings rows that are kept up to a wider schema.
    fn widen(&mut self, schema: &RunSchema) -> Result<()> {
        if !matches!(self.fold, ops::Fold::Top(_)) {
            return Ok(());
        }
        let Some(before) = self.held.replace(schema.clone()) else {
            return Ok(());
        };
        if before.same(schema) {
            return Ok(());
        }
        // Best first, equal ones in input order: pushed again, they stand as they did.
        for batch in self.fold.finish()? {
            let rows = schema.conform(&batch, &before)?;
            let seen = schema.finish(&rows, schema)?;
            self.fold.push(&rows, &seen)?;
        }
        Ok(())
    }

    /// Folds the rows of a chunk: what was made of them takes their place.
    pub fn fold(&mut self, worked: &mut Worked) -> Result<()> {
        self.push(&worked.batch, &worked.schema, &worked.schema)?;
        self.held = None;
        worked.folded = Some(self.fold.partial()?);
        worked.count_only()
    }

    /// Takes in what a worker made of a chunk of schema `from`.
    pub fn merge(
        &mut self,
        partial: &[RecordBatch],
        from: &RunSchema,
        schema: &RunSchema,
    ) -> Result<()> {
        match &mut self.fold {
            ops::Fold::Top(_) => partial
                .iter()
                .try_for_each(|rows| self.push(rows, from, schema)),
            fold => fold.merge(partial),
        }
    }

    /// The folded rows, in the types that all rows of the run have.
    pub fn finish(&mut self, schema: &RunSchema) -> Result<Vec<RecordBatch>> {
        self.widen(schema)?;
        if let ops::Fold::Top(_) = self.fold {
            let kept = self.fold.finish()?;
            return kept
                .iter()
                .map(|rows| schema.finish(rows, schema))
                .collect();
        }
        // A chunk that no row is kept of has a part in the types as well.
        let none = RecordBatch::new_empty(schema.output()?);
        self.fold.push(&none, &none)?;
        self.fold.finish()
    }
}
