//! Keys of rows: a column, or any expression over columns.
//!
//! In:  an expression as text; batches whose schema may widen.
//! Out: the hottest values of it.
//!
//! A column is null in rows that come before it first appears, so the answer is
//! that of the whole input under its last schema.

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use super::hot::{HotKeys, HotReport};
use crate::error::Result;
use crate::expr::{BoundExpr, Expr};

/// Counts the values of an expression.
pub struct KeyCounter {
    key: BoundExpr,
    hot: HotKeys,
}

impl KeyCounter {
    /// Counts values of `text`: `user`, `net.src.ip`, `date_trunc('hour', ts)`.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] for text that does not parse, for an unknown
    /// column, with near names, and for types that do not meet.
    pub fn bind(text: &str, schema: &Schema) -> Result<KeyCounter> {
        Ok(KeyCounter {
            key: Expr::parse(text)?.bind(schema)?,
            hot: HotKeys::new(text),
        })
    }

    /// The top-level columns that are looked at.
    pub fn root_columns(&self) -> &[String] {
        self.key.root_columns()
    }

    /// Counts the rows of a batch.
    ///
    /// # Errors
    ///
    /// Those of evaluating the expression.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.hot.push(self.key.evaluate(batch)?.as_ref())
    }

    /// The `top` hottest keys.
    pub fn report(&self, top: usize) -> HotReport {
        self.hot.report(top)
    }
}
