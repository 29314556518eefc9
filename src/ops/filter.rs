//! Keeps the rows for which a predicate is true.

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;

use super::Operator;
use crate::error::Result;
use crate::expr::BoundExpr;

/// Keeps rows for which `predicate` is true; null is not. Streaming, keeps
/// order and partitioning, holds nothing.
pub struct Filter {
    predicate: BoundExpr,
}

/// Rows that a filter kept.
pub struct Kept {
    /// The rows.
    pub batch: RecordBatch,
    /// Where in the batch that went in each of them stood.
    pub places: Vec<usize>,
}

impl Filter {
    /// A filter on batches of the schema that `predicate` was bound to.
    pub fn new(predicate: BoundExpr) -> Self {
        Filter { predicate }
    }

    /// The rows that are kept, with where in `batch` each of them stood.
    ///
    /// # Errors
    ///
    /// As [`Operator::push`].
    pub fn keep(&self, batch: RecordBatch) -> Result<Kept> {
        let mask = self.predicate.mask(&batch)?;
        let places = match mask.nulls() {
            Some(nulls) => (mask.values() & nulls.inner()).set_indices().collect(),
            None => mask.values().set_indices().collect(),
        };
        Ok(Kept {
            batch: apply(batch, &mask)?,
            places,
        })
    }
}

impl Operator for Filter {
    fn push(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let mask = self.predicate.mask(&batch)?;
        apply(batch, &mask)
    }
}

fn apply(batch: RecordBatch, mask: &BooleanArray) -> Result<RecordBatch> {
    if mask.true_count() == batch.num_rows() {
        return Ok(batch);
    }
    Ok(filter_record_batch(&batch, mask)?)
}
