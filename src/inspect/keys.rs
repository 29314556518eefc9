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
    expr: Expr,
    key: Option<BoundExpr>,
    hot: HotKeys,
}

impl KeyCounter {
    /// Counts values of `text`: `user`, `net.src.ip`, `date_trunc('hour', ts)`.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] for text that does not parse.
    pub fn parse(text: &str) -> Result<KeyCounter> {
        Ok(KeyCounter {
            expr: Expr::parse(text)?,
            key: None,
            hot: HotKeys::new(text),
        })
    }

    /// Settles what the names mean in the batches that follow, and gives the
    /// top-level columns that are looked at.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] for an unknown column, with near names, and for
    /// types that do not meet.
    pub fn bind(&mut self, schema: &Schema) -> Result<&[String]> {
        Ok(self.key.insert(self.expr.bind(schema)?).root_columns())
    }

    /// Counts the rows of a batch. Before the first [`KeyCounter::bind`],
    /// names mean what they mean in the batch itself.
    ///
    /// # Errors
    ///
    /// Those of evaluating the expression.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.key.is_none() {
            self.bind(&batch.schema())?;
        }
        match &self.key {
            Some(key) => self.hot.push(key.evaluate(batch)?.as_ref()),
            None => Ok(()),
        }
    }

    /// The `top` hottest keys.
    pub fn report(&self, top: usize) -> HotReport {
        self.hot.report(top)
    }
}
