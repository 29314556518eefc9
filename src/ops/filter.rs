//! Keeps the rows for which a predicate is true.

use arrow_array::RecordBatch;
use arrow_select::filter::filter_record_batch;

use super::Operator;
use crate::error::Result;
use crate::expr::BoundExpr;

/// Keeps rows for which `predicate` is true; null is not. Streaming, keeps
/// order and partitioning, holds nothing.
pub struct Filter {
    predicate: BoundExpr,
}

impl Filter {
    /// A filter on batches of the schema that `predicate` was bound to.
    pub fn new(predicate: BoundExpr) -> Self {
        Filter { predicate }
    }
}

impl Operator for Filter {
    fn push(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let mask = self.predicate.mask(&batch)?;
        if mask.true_count() == batch.num_rows() {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &mask)?)
    }
}
