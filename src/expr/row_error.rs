//! A value that an expression cannot handle, and which row it is in.
//!
//! In:  a row and a reason from a kernel.
//! Out: a [`RowError`] that names the expression, inside an [`Error`].
//!
//! The text does not name the row: it counts within a batch, and batches differ
//! from run to run. Who knows where the batch came from can ask for it.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;

/// What went wrong at one row of a batch.
///
/// It is the `source` of an [`Error::External`]; [`RowError::of`] finds it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The row in the batch that was evaluated, the first is 0.
    pub row: usize,
    /// What is wrong, with the value.
    pub reason: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for RowError {}

impl RowError {
    /// The row error inside an error that evaluating gave, if a value was to blame.
    pub fn of(error: &Error) -> Option<&RowError> {
        match error {
            Error::External { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    /// The error that names the expression.
    pub(crate) fn in_expression(self, expr: &str) -> Error {
        Error::External {
            doing: format!("evaluating {expr}"),
            source: Arc::new(self),
        }
    }
}

/// What a kernel gives back: a row to blame, or an error without one.
pub(crate) enum Failure {
    Row(RowError),
    Other(Error),
}

impl Failure {
    pub fn at(row: usize, reason: String) -> Self {
        Failure::Row(RowError { row, reason })
    }

    pub fn named(self, expr: &str) -> Error {
        match self {
            Failure::Row(error) => error.in_expression(expr),
            Failure::Other(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Other(error)
    }
}

impl From<arrow_schema::ArrowError> for Failure {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Failure::Other(error.into())
    }
}
