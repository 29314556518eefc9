//! Keys of rows: a column, or any expression over columns.
//!
//! In:  an expression as text; batches whose schema may widen.
//! Out: the hottest values of it.
//!
//! Before the first record that has them, columns are null, so the answer is
//! that of the whole input under its last schema.

use arrow_array::{Array, NullArray, RecordBatch};
use arrow_schema::{Schema, SchemaRef};

use super::hot::{HotKeys, HotReport};
use crate::error::Result;
use crate::expr::{BoundExpr, Expr};

/// Counts the values of an expression.
pub struct KeyCounter {
    expr: Expr,
    /// The expression under the schema of the latest batch; none where that
    /// schema lacks all its columns.
    bound: Option<(SchemaRef, Option<BoundExpr>)>,
    hot: HotKeys,
}

impl KeyCounter {
    /// Counts values of `text`: `user`, `net.src.ip`, `date_trunc('hour', ts)`.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Config`] for text that does not parse.
    pub fn parse(text: &str) -> Result<KeyCounter> {
        Ok(KeyCounter {
            expr: Expr::parse(text)?,
            bound: None,
            hot: HotKeys::new(text),
        })
    }

    /// The top-level columns that are looked at, under `schema`.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] for an unknown column, with near names, and for types that do not meet.
    pub fn root_columns(&self, schema: &Schema) -> Result<Vec<String>> {
        Ok(self.expr.bind(schema)?.root_columns().to_vec())
    }

    /// Counts the rows of a batch.
    ///
    /// # Errors
    ///
    /// Those of evaluating the expression.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = batch.schema();
        let current = match &self.bound {
            Some((known, bound)) if *known == schema => bound,
            _ => {
                let bound = self.bind(&schema)?;
                &self.bound.insert((schema, bound)).1
            }
        };
        match current {
            Some(bound) => self.hot.push(bound.evaluate(batch)?.as_ref()),
            None => {
                let nulls = NullArray::new(batch.num_rows());
                self.hot.push(&nulls as &dyn Array)
            }
        }
    }

    fn bind(&self, schema: &Schema) -> Result<Option<BoundExpr>> {
        match self.expr.bind(schema) {
            Ok(bound) => Ok(Some(bound)),
            // A column that has not appeared yet is null in every row so far.
            Err(_) if self.lacks_a_column(schema) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lacks_a_column(&self, schema: &Schema) -> bool {
        self.expr.columns().iter().any(|name| {
            let first = name.split('.').next().unwrap_or(name);
            schema.column_with_name(name).is_none() && schema.column_with_name(first).is_none()
        })
    }

    /// The `top` hottest keys.
    pub fn report(&self, top: usize) -> HotReport {
        self.hot.report(top)
    }
}
