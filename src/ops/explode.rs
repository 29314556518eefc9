//! Makes a row of each item of a list.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array};
use arrow_schema::{FieldRef, Schema};
use arrow_select::take::take;

use super::Seen;
use crate::error::{Error, Result};
use crate::expr::{Origin, RowError};

/// Repeats each row for the items of its lists, and puts columns of the items
/// behind those there are. Where there is no list, or an empty one, the row
/// stays and its item is null. Several lists go side by side and must be equally
/// long. Streaming, keeps order, holds nothing.
pub struct Explode {
    lists: Vec<(FieldRef, Seen)>,
    /// Columns that nobody looks at any more: they are not repeated.
    unseen: Vec<Origin>,
    /// Columns that were computed before.
    computed: usize,
}

/// Rows that were made of rows.
pub struct Exploded {
    /// They.
    pub batch: RecordBatch,
    /// Which row of those that went in each was made of.
    pub rows: Vec<usize>,
}

impl Explode {
    /// Explodes these lists, whose items become the columns given. `computed`
    /// columns at the end of each batch were computed before.
    pub fn new(lists: Vec<(FieldRef, Seen)>, unseen: Vec<Origin>, computed: usize) -> Self {
        Explode {
            lists,
            unseen,
            computed,
        }
    }

    /// The rows of a batch for each item.
    ///
    /// # Errors
    ///
    /// Of the first row whose lists are not equally long, or whose items are not
    /// of the type that was known when the plan was built.
    pub fn apply(&self, batch: &RecordBatch) -> Result<Exploded> {
        let mut lists = Vec::with_capacity(self.lists.len());
        for (field, seen) in &self.lists {
            lists.push(seen.items(batch, field.data_type())?);
        }
        let length = |row: Option<(usize, usize)>| row.map_or(0, |(start, end)| end - start);
        let mut rows = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let mut lengths = lists.iter().map(|items| length(items.rows[row]));
            let first = lengths.next().unwrap_or(0);
            if let Some(other) = lengths.find(|other| *other != first) {
                return Err(self.uneven(row, first, other));
            }
            rows.extend(std::iter::repeat_n(row, first.max(1)));
        }
        let places: UInt64Array = rows.iter().map(|row| Some(*row as u64)).collect();
        let mut fields: Vec<FieldRef> = batch.schema_ref().fields().iter().cloned().collect();
        let mut columns = self.repeated(batch, &mut fields, &places)?;
        for ((field, _), items) in self.lists.iter().zip(&lists) {
            let picked = items.rows.iter().flat_map(|row| match row {
                Some((start, end)) if start < end => *start..*end,
                // Beyond the last item: null.
                _ => items.values.len()..items.values.len() + 1,
            });
            let last = items.values.len();
            let picked: UInt64Array = picked
                .map(|item| (item < last).then_some(item as u64))
                .collect();
            fields.push(Arc::clone(field));
            columns.push(take(&items.values, &picked, None)?);
        }
        let count = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let metadata = batch.schema_ref().metadata().clone();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let batch = RecordBatch::try_new_with_options(schema, columns, &count)?;
        Ok(Exploded { batch, rows })
    }

    /// The columns that were there, a row for each item.
    fn repeated(
        &self,
        batch: &RecordBatch,
        fields: &mut [FieldRef],
        places: &UInt64Array,
    ) -> Result<Vec<ArrayRef>> {
        let first_computed = batch.num_columns().saturating_sub(self.computed);
        let unseen: Vec<usize> = self
            .unseen
            .iter()
            .filter_map(|origin| match origin {
                Origin::Source(name) => batch.schema_ref().index_of(name).ok(),
                Origin::Computed(idx) => Some(first_computed + idx),
            })
            .collect();
        let mut columns = Vec::with_capacity(batch.num_columns() + self.lists.len());
        for (idx, column) in batch.columns().iter().enumerate() {
            if unseen.contains(&idx) {
                let nullable = fields[idx].as_ref().clone().with_nullable(true);
                fields[idx] = Arc::new(nullable);
                columns.push(new_null_array(column.data_type(), places.len()));
            } else {
                columns.push(take(column, places, None)?);
            }
        }
        Ok(columns)
    }

    fn uneven(&self, row: usize, first: usize, other: usize) -> Error {
        let names = self.lists.iter().map(|(_, seen)| seen.bound().to_string());
        RowError {
            row,
            reason: format!("one list has {first} items, another {other}"),
        }
        .in_expression(&format!(
            "explode({})",
            names.collect::<Vec<_>>().join(", ")
        ))
    }
}
