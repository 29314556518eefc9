//! Keeps the rows for which a predicate is true.

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::filter_record_batch;

use super::{Operator, Seen};
use crate::error::{Error, Result};
use crate::expr::RowError;

/// Keeps rows for which `predicate` is true; null is not. Streaming, keeps
/// order and partitioning, holds nothing.
pub struct Filter {
    predicate: Seen,
}

/// Rows that a filter kept.
pub struct Kept {
    /// The rows.
    pub batch: RecordBatch,
    /// Which of the rows that went in these are; none if they all are.
    mask: Option<BooleanBuffer>,
}

impl Kept {
    /// All rows of a batch.
    pub fn all(batch: RecordBatch) -> Self {
        Kept { batch, mask: None }
    }

    /// The rows of a batch whose bit is set.
    ///
    /// # Errors
    ///
    /// None that can happen where there is a bit for each row.
    pub fn by(batch: &RecordBatch, mask: BooleanBuffer) -> Result<Self> {
        if mask.count_set_bits() == batch.num_rows() {
            return Ok(Kept::all(batch.clone()));
        }
        Ok(Kept {
            batch: filter_record_batch(batch, &BooleanArray::new(mask.clone(), None))?,
            mask: Some(mask),
        })
    }

    /// Where each row stood in the batch that went in.
    pub fn places(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match &self.mask {
            None => Box::new(0..self.batch.num_rows()),
            Some(mask) => Box::new(mask.set_indices()),
        }
    }
}

impl Filter {
    /// A filter on batches that `predicate` was bound to.
    pub fn new(predicate: Seen) -> Self {
        Filter { predicate }
    }

    /// The rows that are kept, with where in `batch` each of them stood.
    ///
    /// # Errors
    ///
    /// As [`Operator::push`].
    pub fn keep(&self, batch: &RecordBatch) -> Result<Kept> {
        let mask = self.predicate.mask(batch)?;
        Kept::by(
            batch,
            match mask.nulls() {
                Some(nulls) => mask.values() & nulls.inner(),
                None => mask.values().clone(),
            },
        )
    }

    /// The rows that are kept of those before the first that the predicate has
    /// no value for; and that row with the error, if there is one.
    ///
    /// # Errors
    ///
    /// Those of evaluating that no row is to blame for.
    pub fn keep_before_failure(
        &self,
        batch: &RecordBatch,
    ) -> Result<(Kept, Option<(usize, Error)>)> {
        let error = match self.keep(batch) {
            Ok(kept) => return Ok((kept, None)),
            Err(error) => error,
        };
        match RowError::of(&error).map(|at| at.row) {
            Some(row) => Ok((self.keep(&batch.slice(0, row))?, Some((row, error)))),
            None => Err(error),
        }
    }
}

impl Operator for Filter {
    fn push(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        Ok(self.keep(&batch)?.batch)
    }
}
