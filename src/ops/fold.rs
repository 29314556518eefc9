//! Operators that fold all rows into a few: one shape for whoever drives them.
//!
//! In:  batches, or partials of others like it, in input order.
//! Out: the folded rows.
//!
//! ```text
//! chunk ─ any thread ─▶ partial ─ in input order ─▶ merge ─ finish ─▶ rows
//! ```
//!
//! Where the order of rows changes nothing, one operator takes in many chunks,
//! whichever come its way, and a partial is all that one thread has seen.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::{Aggregate, Describe, TopRows};
use crate::error::Result;

/// An operator that answers once it has seen all rows.
pub enum Fold {
    /// One row for each group.
    Groups(Aggregate),
    /// The rows with the best keys.
    Top(TopRows),
    /// One row for each statistic.
    Describe(Describe),
}

impl Fold {
    /// The columns of the answer about rows with the columns `input`, unless
    /// batches type theirs wider.
    pub fn schema(&mut self, input: &SchemaRef) -> SchemaRef {
        let of: Schema = match self {
            Fold::Groups(groups) => groups.schema(),
            Fold::Top(_) => return Arc::clone(input),
            Fold::Describe(describe) => describe.schema(),
        };
        Arc::new(of)
    }

    /// Groups, which can leave in partials before all rows were seen: those that
    /// are asked for, or the texts that are counted.
    pub(crate) fn tables(&mut self) -> Vec<&mut Aggregate> {
        match self {
            Fold::Groups(groups) => vec![groups],
            Fold::Top(_) => Vec::new(),
            Fold::Describe(describe) => describe.texts().collect(),
        }
    }

    /// Bytes held, for the budget.
    pub fn bytes(&self) -> u64 {
        let bytes = match self {
            Fold::Groups(groups) => groups.bytes(),
            Fold::Top(top) => top.bytes(),
            Fold::Describe(describe) => describe.bytes(),
        };
        bytes as u64
    }

    /// The same, for chunks and partials that come in any order: groups still
    /// come out in the order of their first rows in the input.
    #[must_use]
    pub fn with_places(self) -> Self {
        match self {
            Fold::Groups(groups) => Fold::Groups(groups.with_places()),
            Fold::Describe(describe) => Fold::Describe(describe.with_places()),
            Fold::Top(top) => Fold::Top(top),
        }
    }

    /// Whether, with places, the order in which chunks are taken in changes nothing.
    pub fn is_order_free(&self) -> bool {
        match self {
            Fold::Groups(groups) => groups.is_order_free(),
            Fold::Describe(_) => true,
            Fold::Top(_) => false,
        }
    }

    /// Takes in rows that come behind all rows so far, or with places those of
    /// chunk `chunk` of the input. `seen` are the same rows
    /// with the columns that names mean; operators that keep rows keep `rows`.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for a column whose type does not meet the one before.
    pub fn push(&mut self, rows: &RecordBatch, seen: &RecordBatch, chunk: u64) -> Result<()> {
        match self {
            Fold::Groups(groups) => groups.push_chunk(seen, chunk),
            Fold::Top(top) => top.push_seen(rows, seen),
            Fold::Describe(describe) => describe.push_chunk(seen, chunk),
        }
    }

    /// All there is, to be merged elsewhere; of [`Fold::Top`], rows that are
    /// pushed there. The operator is empty after it and can go on.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) if texts are too large for one array.
    pub fn partial(&mut self) -> Result<Vec<RecordBatch>> {
        Ok(match self {
            Fold::Groups(groups) => vec![groups.partial()?],
            Fold::Top(top) => top.finish()?,
            Fold::Describe(describe) => describe.partial()?,
        })
    }

    /// Takes in a partial of an operator like this one, whose rows come behind
    /// all rows so far, or with places anywhere. Not for [`Fold::Top`], whose partials are rows.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`](crate::Error::Plan) for a column whose type does not meet the one here.
    pub fn merge(&mut self, partial: &[RecordBatch]) -> Result<()> {
        match self {
            Fold::Groups(groups) => partial.iter().try_for_each(|part| groups.merge(part)),
            Fold::Top(top) => partial.iter().try_for_each(|rows| top.push(rows)),
            Fold::Describe(describe) => describe.merge(partial),
        }
    }

    /// The answer. The operator is empty after it.
    ///
    /// # Errors
    ///
    /// [`Error::External`](crate::Error::External) if a whole number does not fit its type;
    /// [`Error::Plan`](crate::Error::Plan) if texts are too large for one array.
    pub fn finish(&mut self) -> Result<Vec<RecordBatch>> {
        Ok(match self {
            Fold::Groups(groups) => vec![groups.finish()?],
            Fold::Top(top) => top.finish()?,
            Fold::Describe(describe) => vec![describe.finish()?],
        })
    }
}
