//! Rows folded on any thread.
//!
//! In:  rows of chunks, each with the schema it was decoded under.
//! Out: partials of chunks, for whoever merges them in input order; or, where
//!      order changes nothing, folders that have taken in many chunks each.
//!
//! ```text
//! order matters       chunk ─▶ partial ─ in input order ─▶ one folder ─▶ rows
//! order is the same   chunk ─▶ any idle folder ─ at the end ─▶ merged ─▶ rows
//! ```
//!
//! Text may widen behind rows that were folded: values keep their meaning, and
//! rows that are kept are brought up to the wider schema.

use std::sync::{Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::schema::RunSchema;
use super::worker::Worked;
use crate::error::Result;
use crate::memory::{Budget, Reservation};
use crate::ops;
use crate::plan::Fold;

/// What workers fold rows into: a fold, and the columns it was checked against.
#[derive(Debug, Clone)]
pub(crate) struct FoldPlan {
    pub fold: Fold,
    pub schema: SchemaRef,
}

impl FoldPlan {
    /// The error of a fold that the budget refused `wanted` bytes.
    pub fn refused(&self, reservation: &Reservation, wanted: u64) -> crate::Error {
        let cure = "raise --memory, or fold into fewer groups or rows";
        reservation.refused(self.fold.name(), wanted, cure)
    }
}

/// How workers fold.
pub(crate) enum Folding {
    /// Chunk by chunk.
    Each(FoldPlan),
    /// Into whichever folder is idle.
    Pooled(Pool),
}

impl Folding {
    /// The way that gives the same answer however many threads there are.
    pub fn new(plan: FoldPlan, budget: &Budget) -> Result<Self> {
        Ok(match Folder::bind(&plan)?.fold.is_order_free() {
            true => Folding::Pooled(Pool {
                plan,
                budget: budget.clone(),
                idle: Mutex::new(Vec::new()),
            }),
            false => Folding::Each(plan),
        })
    }

    pub fn plan(&self) -> &FoldPlan {
        match self {
            Folding::Each(plan) => plan,
            Folding::Pooled(pool) => &pool.plan,
        }
    }

    /// Folds the rows of chunk `chunk` of the input: what was made of them
    /// takes their place, or is left with the pool. `own` is the thread's.
    pub fn fold(&self, own: &mut Option<Folder>, worked: &mut Worked, chunk: u64) -> Result<()> {
        match self {
            Folding::Each(plan) => {
                let folder = match own {
                    Some(folder) => folder,
                    None => own.insert(Folder::bind(plan)?),
                };
                folder.push(&worked.batch, &worked.schema, &worked.schema, chunk)?;
                folder.held = None;
                worked.folded = Some(folder.fold.partial()?);
            }
            Folding::Pooled(pool) => {
                pool.push(worked, chunk)?;
                worked.folded = Some(Vec::new());
            }
        }
        worked.count_only()
    }
}

/// Folders, no more than threads. A thread takes one for each chunk.
pub(crate) struct Pool {
    plan: FoldPlan,
    budget: Budget,
    idle: Mutex<Vec<Pooled>>,
}

/// A folder, with what it holds of the budget.
pub(crate) struct Pooled {
    pub folder: Folder,
    pub reservation: Reservation,
}

impl Pool {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Pooled>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, worked: &Worked, chunk: u64) -> Result<()> {
        let idle = self.idle().pop();
        let mut pooled = match idle {
            Some(pooled) => pooled,
            None => Pooled {
                folder: Folder::bind(&self.plan)?,
                reservation: self.budget.open(),
            },
        };
        let schema = &worked.schema;
        pooled.folder.push(&worked.batch, schema, schema, chunk)?;
        let wanted = pooled.folder.bytes();
        if !pooled.reservation.try_resize(wanted) {
            return Err(self.plan.refused(&pooled.reservation, wanted));
        }
        self.idle().push(pooled);
        Ok(())
    }

    /// All folders, once no thread has any.
    pub fn take(&self) -> Vec<Pooled> {
        std::mem::take(&mut *self.idle())
    }
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
            fold: plan.fold.bind(&plan.schema)?.with_places(),
            held: None,
        })
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> u64 {
        self.fold.bytes()
    }

    /// Takes in chunk `chunk` of the input, of schema `from`, under `schema`,
    /// which covers it and that of all rows before.
    pub fn push(
        &mut self,
        batch: &RecordBatch,
        from: &RunSchema,
        schema: &RunSchema,
        chunk: u64,
    ) -> Result<()> {
        self.widen(schema)?;
        let rows = schema.conform(batch, from)?;
        let seen = schema.finish(&rows, schema)?;
        self.fold.push(&rows, &seen, chunk)
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
            self.fold.push(&rows, &seen, 0)?;
        }
        Ok(())
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
                .try_for_each(|rows| self.push(rows, from, schema, 0)),
            fold => fold.merge(partial),
        }
    }

    /// Takes in all that another folder has seen, in whatever order.
    pub fn take_in(&mut self, mut other: Folder) -> Result<()> {
        self.fold.merge(&other.fold.partial()?)
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
        self.fold.push(&none, &none, u64::MAX)?;
        self.fold.finish()
    }
}
