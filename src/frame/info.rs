//! How much is in a frame, column by column.
//!
//! In:  a frame.
//! Out: its rows, and the type, nulls and bytes of each column; from footers where
//!      they tell all of it, else all is read once and nothing is held.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, FieldRef, SchemaRef};

use super::dataframe::DataFrame;
use super::show::rows_text;
use crate::error::Result;
use crate::exec;
use crate::inspect::{ColumnStorage, Storage};
use crate::io;
use crate::partition::batch_bytes;
use crate::plan::{FileFormat, Logical, Source};
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
    /// Of Parquet files as they lie, without lists and structs and with one type
    /// a column, only footers are read; everything else is read once.
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
        if let Some(info) = self.info_of_footers()? {
            return Ok(info);
        }
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

    /// What footers say; nothing where they do not tell all.
    fn info_of_footers(&self) -> Result<Option<Info>> {
        let Some((inputs, schema)) = self.plain_parquet() else {
            return Ok(None);
        };
        let is_flat = |field: &FieldRef| {
            let data_type = field.data_type();
            !data_type.is_nested() && !matches!(data_type, DataType::Dictionary(..))
        };
        if !schema.fields().iter().all(is_flat) {
            return Ok(None);
        }
        let mut storage = Storage::default();
        for file in io::list(inputs)? {
            let input = self.session().context().files.parquet(&file?)?;
            let same = |field: &FieldRef| match schema.fields().find(field.name()) {
                Some((_, all)) => all.data_type() == field.data_type(),
                None => false,
            };
            if !input.schema().fields().iter().all(same) {
                return Ok(None);
            }
            storage.add(input.metadata());
        }
        let told = |column: &ColumnStorage| !column.bytes_estimated && column.nulls.is_some();
        if !storage.columns.iter().all(told) {
            return Ok(None);
        }
        let counts = |name: &str| {
            let mut columns = storage.columns.iter();
            let found = columns.find(|column| column.name == name);
            found.map_or_else(Counts::default, |column| Counts {
                values: column.values.saturating_sub(column.nulls.unwrap_or(0)),
                bytes: column.bytes,
            })
        };
        Ok(Some(Info::of(storage.rows, &schema, counts)))
    }

    /// The inputs and columns of a frame that is Parquet files and nothing else.
    fn plain_parquet(&self) -> Option<(&[String], SchemaRef)> {
        let Logical::Scan(scan) = self.plan() else {
            return None;
        };
        let Source::Columns {
            inputs,
            format: FileFormat::Parquet,
            options,
            folders,
        } = &scan.source
        else {
            return None;
        };
        let as_they_lie = scan.columns.is_none()
            && scan.predicate.is_none()
            && options.include_path.is_none()
            && options.schema.is_none()
            && folders.is_empty();
        as_they_lie.then(|| (&**inputs, Arc::clone(&scan.schema)))
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
            let null = if nulls == 1 { "null" } else { "nulls" };
            writeln!(f, "{name}: {of}, {nulls} {null}, {bytes}")?;
        }
        let bytes = ByteSize::new(self.bytes);
        let (rows, n_columns) = (rows_text(self.rows), self.columns.len());
        let columns = if n_columns == 1 { "column" } else { "columns" };
        write!(f, "{rows}, {n_columns} {columns}, {bytes}")
    }
}
