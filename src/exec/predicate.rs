//! A filter that the decoder evaluates on the columns it looks at.
//!
//! In:  the columns of a chunk's records that the filter names.
//! Out: which records are to be built.
//!
//! Every filter on text is evaluated here, whether or not a rule of the plan
//! moved it: records that it leaves out shape no schema and are judged by their
//! grammar alone, and that must not depend on how a plan was written.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};

use super::schema::add_path;
use crate::error::Result;
use crate::expr::BoundExpr;
use crate::io::json::RowPredicate;

/// A filter, and the path of the file at hand if it looks at that.
pub(crate) struct Predicate {
    bound: BoundExpr,
    /// Those that are decoded.
    columns: Vec<String>,
    path: Option<PathValue>,
}

/// The column that holds the path, and the path.
struct PathValue {
    column: Arc<str>,
    path: Arc<str>,
}

impl Predicate {
    /// A filter on columns that are all decoded.
    pub fn new(bound: BoundExpr) -> Self {
        Predicate {
            columns: bound.root_columns().to_vec(),
            bound,
            path: None,
        }
    }

    /// A filter on the records of the file at `path`, which `column` is to hold.
    pub fn of_file(bound: BoundExpr, column: Arc<str>, path: &str) -> Self {
        let mut columns = bound.root_columns().to_vec();
        columns.retain(|name| **name != *column);
        Predicate {
            bound,
            columns,
            path: Some(PathValue {
                column,
                path: Arc::from(path),
            }),
        }
    }

    /// Whether the filter is about the file at `path` or about any.
    pub fn is_about(&self, path: &str) -> bool {
        self.path.as_ref().is_none_or(|value| *value.path == *path)
    }
}

impl RowPredicate for Predicate {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        match &self.path {
            None => self.bound.mask(batch),
            Some(value) => {
                let batch = add_path(batch, &value.column, &value.path)?;
                self.bound.mask(&batch)
            }
        }
    }
}
