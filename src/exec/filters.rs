//! The filters that a chunk goes through, and the first row that one fails on.
//!
//! In:  a batch.
//! Out: the rows that all filters keep; or the row of the batch that one of them
//!      has no answer for.
//!
//! Rows are counted in the batch that went in, whatever filters before the
//! failing one left out.

use arrow_array::RecordBatch;

use crate::error::{Error, Result};
use crate::expr::{BoundExpr, RowError};
use crate::ops::{Filter, Operator};

/// Filters, one after the other.
pub(crate) struct Filters(Vec<Filter>);

/// Why filters gave nothing.
pub(crate) enum Failure {
    /// One has no answer for this row; those before it are fine for that filter.
    Row(usize, Error),
    /// No row is to blame.
    Other(Error),
}

impl Filters {
    pub fn new(predicates: &[BoundExpr]) -> Self {
        Filters(predicates.iter().cloned().map(Filter::new).collect())
    }

    /// The rows that all filters keep.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let mut left = batch.clone();
        for idx in 0..self.0.len() {
            left = match self.0[idx].push(left) {
                Ok(left) => left,
                Err(error) => return Err(self.blame(idx, batch, error)),
            };
        }
        Ok(left)
    }

    /// Where in `batch` the rows stand that all filters keep.
    pub fn kept(&self, batch: &RecordBatch) -> Result<Vec<usize>> {
        kept_by(&self.0, batch)
    }

    #[cold]
    fn blame(&self, failed: usize, batch: &RecordBatch, error: Error) -> Failure {
        let Some(row) = RowError::of(&error).map(|at| at.row) else {
            return Failure::Other(error);
        };
        match kept_by(&self.0[..failed], batch) {
            Ok(rows) => match rows.get(row) {
                Some(&row) => Failure::Row(row, error),
                None => Failure::Other(error),
            },
            Err(error) => Failure::Other(error),
        }
    }
}

fn kept_by(filters: &[Filter], batch: &RecordBatch) -> Result<Vec<usize>> {
    let mut rows: Vec<usize> = (0..batch.num_rows()).collect();
    let mut left = batch.clone();
    for filter in filters {
        let kept = filter.keep(left)?;
        rows = kept.places.into_iter().map(|place| rows[place]).collect();
        left = kept.batch;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::expr::IntoExpr;

    #[test]
    fn a_failing_row_is_counted_in_the_batch_that_went_in() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0, 5, 0, 7, 300, 9]));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let bind = |text: &str| text.into_expr().unwrap().bind(&batch.schema()).unwrap();
        let mut filters = Filters::new(&[bind("n > 0"), bind("cast(n as tinyint) > 6")]);
        match filters.push(&batch) {
            Err(Failure::Row(row, error)) => {
                assert_eq!(row, 4);
                assert!(error.to_string().contains("300"), "{error}");
            }
            _ => panic!("300 is no tinyint"),
        }
        let before = batch.slice(0, 4);
        assert_eq!(filters.push(&before).ok().unwrap().num_rows(), 1);
        assert_eq!(filters.kept(&before).unwrap(), [3]);
    }
}
