//! How much is in a frame, column by column.
//!
//! In:  a frame.
//! Out: its rows, and the type, nulls and bytes of each column; all is read once
//!      and nothing is held.

use std::collections::BTreeMap;
use std::fmt;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};

use super::dataframe::DataFrame;
use crate::error::Result;
use crate::exec;
use crate::partition::batch_bytes;
use crate::size::ByteSize;

/// What is in a frame. Displays as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// Rows.
    pub rows: u64,
    /// Logical bytes of Arrow data, as batches are read.
    pub bytes: u64,
    /// All columns, those that came late as well.
    pub columns: Vec<ColumnInfo>,
}

/// What is in a column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// The type that holds all of its values.
    pub data_type: DataType,
    /// Rows where it is null or missing.
    pub nulls: u64,
    /// Logical bytes of Arrow data, as batches are read.
    pub bytes: u64,
}

/// Counts of a column so far.
#[derive(Debug, Clone, Default)]
struct Counts {
    values: u64,
    bytes: u64,
}

impl DataFrame {
    /// Rows, columns with their types as all rows have them, nulls and bytes.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use windrow::Session;
    /// # fn main() -> windrow::Result<()> {
    /// let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    /// let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let info = frame.info()?;
    /// assert_eq!((info.rows, info.columns[0].nulls), (3, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of the input in input order.
    pub fn info(&self) -> Result<Info> {
        let mut rows = 0;
        let mut counted = BTreeMap::<String, Counts>::new();
        let count = &mut |batch: RecordBatch| {
            rows += batch.num_rows() as u64;
            for (idx, field) in batch.schema_ref().fields().iter().enumerate() {
                let column = batch.column(idx);
                let counts = counted.entry(field.name().clone()).or_default();
                counts.values += (column.len() - column.logical_null_count()) as u64;
                counts.bytes += batch_bytes(&batch.project(&[idx])?);
            }
            Ok(())
        };
        let (schema, _) = exec::visit(&self.lower(), self.session().context(), count)?;
        Ok(Info::of(rows, &schema, |name| {
            counted.remove(name).unwrap_or_default()
        }))
    }
}

impl Info {
    fn of(rows: u64, schema: &SchemaRef, mut counts: impl FnMut(&str) -> Counts) -> Self {
        let columns = schema.fields().iter().map(|field| {
            let of = counts(field.name());
            ColumnInfo {
                name: field.name().clone(),
                data_type: field.data_type().clone(),
                nulls: rows - of.values,
                bytes: of.bytes,
            }
        });
        let columns: Vec<ColumnInfo> = columns.collect();
        Info {
            rows,
            bytes: columns.iter().map(|column| column.bytes).sum(),
            columns,
        }
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for column in &self.columns {
            let (name, of, nulls) = (&column.name, &column.data_type, column.nulls);
            let bytes = ByteSize::new(column.bytes);
            writeln!(f, "{name}: {of}, {nulls} nulls, {bytes}")?;
        }
        let bytes = ByteSize::new(self.bytes);
        write!(
            f,
            "{} rows, {} columns, {bytes}",
            self.rows,
            self.columns.len()
        )
    }
}
