//! A window, and what it looks at.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::cast;
use arrow_schema::{FieldRef, Schema};

use crate::error::{Error, Result};
use crate::expr::BoundWindow;
use crate::memory::Reservation;
use crate::ops::Seen;

/// A window, and what it looks at.
#[derive(Debug, Clone)]
pub struct WindowColumn {
    /// The column that it gives.
    pub(crate) field: FieldRef,
    pub(crate) bound: BoundWindow,
    /// Values that it is made of; none where rows alone count.
    pub(crate) value: Option<Seen>,
    /// Rows with equal ones are a group.
    pub(crate) by: Vec<Seen>,
    /// The time of a row, where that counts.
    pub(crate) time: Option<Seen>,
}

impl WindowColumn {
    /// Everything that it looks at.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Seen> {
        self.value.iter().chain(&self.by).chain(&self.time)
    }

    /// The values that it is made of, of a batch, in the type that the window knows.
    pub(super) fn values(&self, batch: &RecordBatch) -> Result<Option<ArrayRef>> {
        let Some(value) = &self.value else {
            return Ok(None);
        };
        let values = value.column(batch)?;
        Ok(Some(match values.data_type() == self.bound.value_type() {
            true => values,
            // A dictionary as what it holds.
            false => cast(&values, self.bound.value_type())?,
        }))
    }
}

/// Rows with columns behind those there are.
pub(crate) fn with_columns(
    batch: &RecordBatch,
    added: impl IntoIterator<Item = (FieldRef, ArrayRef)>,
) -> Result<RecordBatch> {
    let mut fields: Vec<FieldRef> = batch.schema_ref().fields().iter().cloned().collect();
    let mut arrays = batch.columns().to_vec();
    for (field, array) in added {
        fields.push(field);
        arrays.push(array);
    }
    let metadata = batch.schema_ref().metadata().clone();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let count = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &count)?)
}

/// The error of windows that are refused `wanted` bytes.
pub(super) fn refused(memory: &Reservation, wanted: u64) -> Error {
    let cure = "raise --memory, or look at shorter windows: what one group holds is not cut";
    memory.refused("window", wanted, cure)
}
