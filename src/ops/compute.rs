//! Adds computed columns at the end of each batch.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, Schema};

use super::{Operator, Seen};
use crate::error::{Error, Result};
use crate::expr::RowError;

/// Computes columns and puts them behind those there are. Streaming, keeps rows
/// and order, holds nothing. Expressions do not see each other's columns.
pub struct Compute {
    columns: Vec<(FieldRef, Seen)>,
}

impl Compute {
    /// Computes these, in this order.
    pub fn new(columns: Vec<(FieldRef, Seen)>) -> Self {
        Compute { columns }
    }

    /// The batch with its computed columns.
    ///
    /// # Errors
    ///
    /// Of the first row that any expression has no value for.
    pub fn add(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = batch.schema();
        let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
        let mut arrays = batch.columns().to_vec();
        let mut first: Option<Error> = None;
        for (field, seen) in &self.columns {
            match seen.column(batch) {
                Ok(array) => {
                    fields.push(Arc::clone(field));
                    arrays.push(array);
                }
                Err(error) => first = Some(earlier(first, error)),
            }
        }
        if let Some(error) = first {
            return Err(error);
        }
        let metadata = schema.metadata().clone();
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        Ok(RecordBatch::try_new_with_options(schema, arrays, &rows)?)
    }
}

/// Of two errors, that of the earlier row; the first where rows do not tell.
fn earlier(first: Option<Error>, other: Error) -> Error {
    match first {
        None => other,
        Some(first) => match (RowError::of(&first), RowError::of(&other)) {
            (Some(a), Some(b)) if b.row < a.row => other,
            _ => first,
        },
    }
}

impl Operator for Compute {
    fn push(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        self.add(&batch)
    }
}
