//! A fold at work.
//!
//! In:  rows of chunks, each with the schema it was decoded under, or what another
//!      folder made of them.
//! Out: partials; or the folded rows, in the types that all rows of the run have.
//!
//! Text may widen behind rows that were folded: values keep their meaning, and
//! rows that are kept are brought up to the wider schema.

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use super::fold::FoldPlan;
use super::schema::RunSchema;
use crate::error::{Error, Result};
use crate::ops::{self, Frequent, Ungrouped};

/// A fold at work: one for each worker, one for all rows.
pub(crate) struct Folder {
    pub fold: ops::Fold,
    /// Of the rows that it keeps.
    pub held: Option<RunSchema>,
}

impl Folder {
    /// One that has seen nothing.
    pub fn bind(plan: &FoldPlan) -> Result<Self> {
        Ok(Folder {
            fold: plan.bind()?.with_places(),
            held: None,
        })
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> u64 {
        self.fold.bytes()
    }

    /// How many groups there are, of groups by keys.
    pub fn n_groups(&self) -> u64 {
        match &self.fold {
            ops::Fold::Groups(groups) => groups.n_groups() as u64,
            _ => 0,
        }
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

    /// The table of groups by keys.
    pub fn table(&mut self) -> Result<&mut ops::Aggregate> {
        let groups = self.fold.tables().pop();
        groups.ok_or_else(|| Error::internal("no groups are folded here"))
    }

    /// The rows of chunk `chunk`, to be grouped later.
    pub fn ungrouped(
        &mut self,
        batch: &RecordBatch,
        schema: &RunSchema,
        chunk: u64,
    ) -> Result<Ungrouped> {
        let rows = schema.conform(batch, schema)?;
        let seen = schema.finish(&rows, schema)?;
        self.table()?.ungrouped(&seen, chunk)
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

    /// The columns of text that are described, one for each table.
    pub fn texts(&self) -> Vec<String> {
        match &self.fold {
            ops::Fold::Describe(describe) => describe.text_columns(),
            _ => Vec::new(),
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
        self.widen_all(schema)?;
        self.fold.finish()
    }

    /// The types that the keys of each table have in all rows of the run.
    pub fn key_types(&mut self, schema: &RunSchema) -> Result<Vec<Vec<DataType>>> {
        self.widen_all(schema)?;
        let tables = self.fold.tables().into_iter();
        Ok(tables.map(|table| table.key_types().to_vec()).collect())
    }

    /// The description of all rows, of which texts were counted elsewhere.
    pub fn describe(&mut self, texts: Vec<Frequent>, schema: &RunSchema) -> Result<RecordBatch> {
        self.widen_all(schema)?;
        match &mut self.fold {
            ops::Fold::Describe(describe) => describe.finish_with(texts),
            _ => Err(Error::internal("nothing is described here")),
        }
    }

    /// A chunk that no row is kept of has a part in the types as well.
    fn widen_all(&mut self, schema: &RunSchema) -> Result<()> {
        let none = RecordBatch::new_empty(schema.output()?);
        self.fold.push(&none, &none, u64::MAX)
    }
}
