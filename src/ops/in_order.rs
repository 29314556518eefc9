//! Rows that are said to be sorted.
//!
//! In:  batches in order.
//! Out: the first row that is out of order, if there is one.
//!
//! Values are compared, whichever type a batch has them as.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_row::{OwnedRow, RowConverter, SortField};
use arrow_schema::{DataType, SortOptions};

use super::Seen;
use crate::error::{Error, Result};
use crate::expr::order_columns;

/// Looks at one column, smallest first and nulls last. Holds one key.
pub struct InOrder {
    name: String,
    key: Seen,
    order: Option<(RowConverter, Vec<DataType>)>,
    /// The last key, and its value.
    last: Option<(OwnedRow, ArrayRef)>,
}

impl InOrder {
    /// By the column `name`, which `key` gives.
    pub fn new(name: &str, key: Seen) -> Self {
        InOrder {
            name: name.to_owned(),
            key,
            order: None,
            last: None,
        }
    }

    /// The first row of a batch that is less than the one before it, and how.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a column without order.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Option<(usize, String)>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let values = self.key.evaluate(batch)?;
        let columns = order_columns(&values, self.key.bound().data_type())?;
        let types: Vec<DataType> = columns.iter().map(|of| of.data_type().clone()).collect();
        let converter = match &mut self.order {
            Some((converter, known)) if *known == types => converter,
            Some(_) => {
                return Err(Error::plan(format!(
                    "column {:?} has no one order: its types differ from record to record",
                    self.name
                )));
            }
            none => {
                let field = |of: &DataType| {
                    SortField::new_with_options(of.clone(), SortOptions::new(false, false))
                };
                let fields = types.iter().map(field).collect();
                &mut none.insert((RowConverter::new(fields)?, types)).0
            }
        };
        let rows = converter.convert_columns(&columns)?;
        let first_is_less = |(last, _): &(OwnedRow, ArrayRef)| rows.row(0) < last.row();
        if let Some((_, before)) = self.last.as_ref().filter(|last| first_is_less(last)) {
            return Ok(Some((0, self.said(&values.slice(0, 1), before)?)));
        }
        for row in 1..rows.num_rows() {
            if rows.row(row) < rows.row(row - 1) {
                let (own, before) = (values.slice(row, 1), values.slice(row - 1, 1));
                return Ok(Some((row, self.said(&own, &before)?)));
            }
        }
        let end = rows.num_rows() - 1;
        self.last = Some((rows.row(end).owned(), values.slice(end, 1)));
        Ok(None)
    }

    fn said(&self, own: &ArrayRef, before: &ArrayRef) -> Result<String> {
        let text = |value: &ArrayRef| -> Result<String> {
            let options = FormatOptions::default().with_null("null");
            let text = ArrayFormatter::try_new(value, &options)?;
            Ok(text.value(0).to_string())
        };
        Ok(format!(
            "{} stands behind {}, so rows are not sorted by {:?}",
            text(&Arc::clone(own))?,
            text(before)?,
            self.name
        ))
    }
}
