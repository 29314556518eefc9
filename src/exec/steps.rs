//! The steps that a chunk goes through, and the first row that one fails on.
//!
//! In:  a batch.
//! Out: the rows that come out of all steps; or the row of the batch that one of
//!      them has no answer for.
//!
//! Rows are counted in the batch that went in, whatever filters before the
//! failing step left out.

use arrow_array::RecordBatch;
use arrow_schema::FieldRef;

use crate::error::{Error, Result};
use crate::expr::{Origin, RowError};
use crate::ops::window::WindowColumn;
use crate::ops::{Compute, Explode, Filter, Operator, Seen};

/// A step that any thread may do to any batch.
#[derive(Debug, Clone)]
pub(crate) enum RowStep {
    /// Keeps rows for which this is true.
    Filter(Seen),
    /// Adds these columns.
    Compute(Vec<(FieldRef, Seen)>),
    /// Makes a row of each item of lists.
    Explode(ExplodeStep),
}

/// Lists whose items become rows.
#[derive(Debug, Clone)]
pub(crate) struct ExplodeStep {
    /// The columns of items, and the lists.
    pub lists: Vec<(FieldRef, Seen)>,
    /// Columns that no later step looks at, and that do not come out.
    pub unseen: Vec<Origin>,
    /// Columns that were computed before.
    pub computed: usize,
}

impl ExplodeStep {
    /// The operator.
    pub fn build(self) -> Explode {
        Explode::new(self.lists, self.unseen, self.computed)
    }
}

impl RowStep {
    /// The expressions that are evaluated.
    pub fn expressions(&self) -> impl Iterator<Item = &Seen> {
        let (one, many) = match self {
            RowStep::Filter(seen) => (Some(seen), [].as_slice()),
            RowStep::Compute(columns) => (None, columns.as_slice()),
            RowStep::Explode(explode) => (None, explode.lists.as_slice()),
        };
        one.into_iter().chain(many.iter().map(|(_, seen)| seen))
    }

    /// Whether fewer rows may come out than go in, or more.
    pub fn changes_rows(&self) -> bool {
        matches!(self, RowStep::Filter(_) | RowStep::Explode(_))
    }
}

/// A step that needs input order, or stands behind one that does.
pub(crate) enum InOrder {
    /// A step on rows that were put in order.
    Row(RowStep),
    /// The first so many rows.
    Limit(u64),
    /// The same rows, which must be sorted by the column of this name.
    CheckSorted(String, Seen),
    /// The same rows, with columns of windows.
    Window(Vec<WindowColumn>),
    /// The rows whose number by the seed lies in the share.
    Sample { seed: u64, from: f64, to: f64 },
}

impl InOrder {
    /// The expressions that are evaluated.
    pub fn expressions(&self) -> Vec<&Seen> {
        match self {
            InOrder::Row(step) => step.expressions().collect(),
            InOrder::CheckSorted(_, key) => vec![key],
            InOrder::Window(windows) => windows.iter().flat_map(WindowColumn::inputs).collect(),
            InOrder::Limit(_) | InOrder::Sample { .. } => Vec::new(),
        }
    }

    /// Whether it may have to name the place of a row.
    pub fn names_rows(&self) -> bool {
        matches!(
            self,
            InOrder::Row(_) | InOrder::CheckSorted(..) | InOrder::Window(_)
        )
    }

    /// Whether fewer rows may come out than go in, or more.
    pub fn changes_rows(&self) -> bool {
        match self {
            InOrder::Row(step) => step.changes_rows(),
            InOrder::Limit(_) | InOrder::Sample { .. } => true,
            InOrder::CheckSorted(..) | InOrder::Window(_) => false,
        }
    }
}

/// A step, ready to run.
enum Running {
    Filter(Filter),
    Compute(Compute),
    Explode(Explode),
}

/// Rows that went through steps.
pub(crate) struct Stepped {
    pub batch: RecordBatch,
    /// Rows that were made of items of lists, beyond one for each that went in.
    pub added: u64,
}

/// Steps, one after the other.
pub(crate) struct RowSteps(Vec<Running>);

/// Why steps gave nothing.
pub(crate) enum Failure {
    /// One has no answer for this row; those before it are fine for that step.
    Row(usize, Error),
    /// No row is to blame.
    Other(Error),
}

impl RowSteps {
    pub fn new(steps: &[RowStep]) -> Self {
        let running = steps.iter().cloned().map(|step| match step {
            RowStep::Filter(predicate) => Running::Filter(Filter::new(predicate)),
            RowStep::Compute(columns) => Running::Compute(Compute::new(columns)),
            RowStep::Explode(explode) => Running::Explode(explode.build()),
        });
        RowSteps(running.collect())
    }

    /// The rows that all filters keep, with what was computed. With `filtered`
    /// the first step is a filter that all rows pass.
    pub fn push(&mut self, batch: &RecordBatch, filtered: bool) -> Result<Stepped, Failure> {
        let mut left = batch.clone();
        let mut added = 0;
        for idx in usize::from(filtered)..self.0.len() {
            let pushed = match &mut self.0[idx] {
                Running::Filter(filter) => filter.push(left),
                Running::Compute(compute) => compute.push(left),
                Running::Explode(explode) => explode.apply(&left).map(|exploded| {
                    added += (exploded.rows.len() - left.num_rows()) as u64;
                    exploded.batch
                }),
            };
            left = match pushed {
                Ok(left) => left,
                Err(error) => return Err(self.blame(idx, batch, error)),
            };
        }
        let batch = left;
        Ok(Stepped { batch, added })
    }

    /// Where in `batch` the rows stand that come out.
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

fn kept_by(steps: &[Running], batch: &RecordBatch) -> Result<Vec<usize>> {
    let mut rows: Vec<usize> = (0..batch.num_rows()).collect();
    let mut left = batch.clone();
    for step in steps {
        let filter = match step {
            Running::Filter(filter) => filter,
            Running::Compute(compute) => {
                left = compute.add(&left)?;
                continue;
            }
            Running::Explode(explode) => {
                let exploded = explode.apply(&left)?;
                rows = exploded.rows.iter().map(|row| rows[*row]).collect();
                left = exploded.batch;
                continue;
            }
        };
        let kept = filter.keep(&left)?;
        rows = kept.places().map(|place| rows[place]).collect();
        left = kept.batch;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::expr::{IntoExpr, Shape};

    #[test]
    fn a_failing_row_is_counted_in_the_batch_that_went_in() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0, 5, 0, 7, 300, 9]));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let bind = |text: &str| {
            let expr = text.into_expr().unwrap();
            RowStep::Filter(Seen::bind(&expr, &batch.schema(), &Shape::all(), 0).unwrap())
        };
        let mut filters = RowSteps::new(&[bind("n > 0"), bind("cast(n as tinyint) > 6")]);
        match filters.push(&batch, false) {
            Err(Failure::Row(row, error)) => {
                assert_eq!(row, 4);
                assert!(error.to_string().contains("300"), "{error}");
            }
            _ => panic!("300 is no tinyint"),
        }
        let before = batch.slice(0, 4);
        assert_eq!(
            filters.push(&before, false).ok().unwrap().batch.num_rows(),
            1
        );
        assert_eq!(filters.kept(&before).unwrap(), [3]);
    }
}
