//! The rows of a batch that reach an expression.
//!
//! In:  a batch, and which of its rows.
//! Out: the columns of those rows, missing ones as null; errors that name the
//! row of the batch, not of the part.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{DataType, Schema};
use arrow_select::take::take;

use super::Node;
use crate::error::{Error, Result};
use crate::expr::convert::{Class, Value};
use crate::expr::functions::member;
use crate::expr::json_text;
use crate::expr::names::ColumnPath;
use crate::expr::row_error::RowError;
use crate::expr::text::texts;

/// The rows that an expression is computed for.
pub(in crate::expr) struct Rows<'a> {
    pub batch: &'a RecordBatch,
    /// The columns that can be asked for.
    pub columns: &'a [String],
}

impl Rows<'_> {
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Computes a node for some of the rows only, in their order.
    pub fn only(&self, rows: &[u32], node: &Node) -> Result<Value> {
        if rows.len() == self.len() {
            return node.eval(self);
        }
        let picked = UInt32Array::from(rows.to_vec());
        let schema = self.batch.schema();
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for name in self.columns {
            if let Some((idx, field)) = schema.fields().find(name) {
                fields.push(Arc::clone(field));
                columns.push(take(self.batch.column(idx), &picked, None)?);
            }
        }
        let count = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &count)?;
        let only = Rows {
            batch: &batch,
            columns: self.columns,
        };
        node.eval(&only).map_err(|error| {
            let error_row = RowError::of(&error).map(|inner| RowError {
                row: rows.get(inner.row).map_or(inner.row, |row| *row as usize),
                reason: inner.reason.clone(),
            });
            match (error, error_row) {
                (Error::External { doing, .. }, Some(inner)) => Error::External {
                    doing,
                    source: Arc::new(inner),
                },
                (error, _) => error,
            }
        })
    }

    /// A column by its path; null in every row where the batch has none.
    pub fn column(&self, path: &ColumnPath, bound: &DataType) -> Result<Value> {
        let missing = || Ok(Value::constant(new_null_array(bound, 1)));
        let schema = self.batch.schema();
        let Some((idx, field)) = schema.fields().find(&path.root) else {
            return missing();
        };
        let mut value = Value {
            json: json_text::is_json(field),
            ..Value::rows(Arc::clone(self.batch.column(idx)))
        };
        for (done, step) in path.steps.iter().enumerate() {
            if Class::of(value.array.data_type()) == Class::Text {
                let texts = texts(&value.array)?;
                let found = json_text::members(&texts, &path.steps[done..]);
                return Ok(Value::rows(Arc::new(found)));
            }
            match member(&value, step)? {
                Some(inside) => value = inside,
                None => return missing(),
            }
        }
        Ok(value)
    }
}
