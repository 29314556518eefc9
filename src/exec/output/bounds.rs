//! The least and the greatest key of each partition of sorted rows.

use arrow_array::{Array, ArrayRef};

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::expr::unknown_column;
use crate::partition::{Cut, Cutter};

/// Keeps two values of each partition.
pub(crate) struct Bounds {
    column: String,
    cutter: Cutter,
    /// The first and the last key, each an array of one row; null where all are.
    pub bounds: Vec<(ArrayRef, ArrayRef)>,
}

impl Bounds {
    /// Of rows that are sorted by `column`, nulls last.
    pub fn new(column: &str, cut: Cut) -> Self {
        Bounds {
            column: column.to_owned(),
            cutter: Cutter::new(cut),
            bounds: Vec::new(),
        }
    }
}

impl Output for Bounds {
    fn end_unit(&mut self) {
        self.cutter.end_partition();
    }

    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        let batch = schema.finish(&rows.batch, &rows.from)?;
        for piece in self.cutter.push(&batch, rows.text_bytes) {
            let keys = piece.batch.column_by_name(&self.column);
            let keys = keys.ok_or_else(|| unknown_column(&self.column, &batch.schema()))?;
            let values = keys.len() - keys.logical_null_count();
            let first = keys.slice(0, 1);
            let last = keys.slice(values.saturating_sub(1), 1);
            if piece.partition_idx == self.bounds.len() as u64 {
                self.bounds.push((first, last));
            } else if let (Some(bounds), true) = (self.bounds.last_mut(), values > 0) {
                bounds.1 = last;
            }
        }
        Ok(Vec::new())
    }
}
