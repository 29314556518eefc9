//! The rows of a batch that reach an expression.
//!
//! In:  a batch, and which of its rows.
//! Out: the columns of those rows, missing ones as null; errors that name the
//! row of the batch, not of the part.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow_schema::{DataType, Schema};
use arrow_select::nullif::nullif;
use arrow_select::take::take;

use super::Node;
use crate::error::{Error, Result};
use crate::expr::convert::{Class, Value};
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
        let mut array = Arc::clone(self.batch.column(idx));
        let mut json = json_text::is_json(field);
        for (done, step) in path.steps.iter().enumerate() {
            match array.data_type() {
                DataType::Struct(fields) => {
                    let Some((idx, field)) = fields.find(step) else {
                        return missing();
                    };
                    json = json_text::is_json(field);
                    let parent = array.as_struct();
                    let child = parent.column(idx);
                    array = match parent.nulls() {
                        // A field of nothing is nothing.
                        Some(nulls) if nulls.null_count() > 0 => {
                            nullif(child, &BooleanArray::new(!nulls.inner(), None))?
                        }
                        _ => Arc::clone(child),
                    };
                }
                other if Class::of(other) == Class::Text => {
                    let texts = texts(&array)?;
                    let found = json_text::members(&texts, &path.steps[done..]);
                    return Ok(Value::rows(Arc::new(found)));
                }
                _ => return missing(),
            }
        }
        Ok(Value {
            array,
            constant: false,
            json,
        })
    }
}
