//! Column files of differing schemas, read as one.
//!
//! In:  Parquet or Arrow IPC files.
//! Out: their footers, one schema by name, and batches brought up to it.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::store::{FileList, SourceFile};
use super::{IpcInput, ParquetInput};
use crate::error::{Error, Result};

/// What a column file says of itself.
#[derive(Debug, Clone)]
pub struct Footer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its values before compression.
    pub bytes: u64,
}

/// The files of a list, for reading their footers one after the other: those
/// of objects behind URLs are on their way before their turn.
#[cfg(feature = "cloud")]
pub fn for_footers(files: FileList) -> impl Iterator<Item = Result<SourceFile>> + Send {
    super::remote::Tails::new(files)
}

/// The files of a list, for reading their footers one after the other.
#[cfg(not(feature = "cloud"))]
pub fn for_footers(files: FileList) -> impl Iterator<Item = Result<SourceFile>> + Send {
    files
}

/// Reads the footer of a Parquet or an Arrow IPC file.
///
/// # Errors
///
/// [`Error::Corrupt`] naming a file that is something else, or damaged.
pub fn footer(file: &SourceFile, parquet: bool) -> Result<Footer> {
    if parquet {
        let input = ParquetInput::open(file)?;
        return Ok(Footer {
            schema: Arc::clone(input.schema()),
            rows: input.rows(),
            bytes: input.row_groups().iter().map(|group| group.bytes).sum(),
        });
    }
    let input = IpcInput::open(file)?;
    // The footer of an IPC file does not tell its rows: the batches do.
    let mut rows = 0;
    for batch in input.batches()? {
        rows += batch?.num_rows() as u64;
    }
    Ok(Footer {
        schema: Arc::clone(input.schema()),
        rows,
        bytes: file.bytes,
    })
}

/// The columns of both, by name, in order of first appearance. A column that
/// one of them lacks is nullable.
///
/// # Errors
///
/// [`Error::Plan`] naming the column, both types and the file, if they do not meet.
pub fn unite(left: &Schema, right: &Schema, path: &str) -> Result<Schema> {
    let mut fields = Vec::with_capacity(left.fields().len());
    for field in left.fields() {
        fields.push(match right.column_with_name(field.name()) {
            None => Arc::new(field.as_ref().clone().with_nullable(true)),
            Some((_, other)) => {
                let joined = join(field.data_type(), other.data_type()).ok_or_else(|| {
                    Error::plan(format!(
                        "{path}: column {:?} is {}, but in files before it {}",
                        field.name(),
                        other.data_type(),
                        field.data_type()
                    ))
                })?;
                let nullable = field.is_nullable() || other.is_nullable();
                Arc::new(
                    Field::new(field.name(), joined, nullable)
                        .with_metadata(field.metadata().clone()),
                )
            }
        });
    }
    for field in right.fields() {
        if left.column_with_name(field.name()).is_none() {
            fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
        }
    }
    Ok(Schema::new(fields))
}

/// The narrowest type that holds the values of both without loss.
fn join(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{
        Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Null, UInt8, UInt16,
        UInt32, Utf8, Utf8View,
    };
    if left == right {
        return Some(left.clone());
    }
    Some(match (left, right) {
        (Null, other) | (other, Null) => other.clone(),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => LargeUtf8,
        (DataType::Dictionary(_, value), other) | (other, DataType::Dictionary(_, value))
            if value.as_ref() == other =>
        {
            other.clone()
        }
        (Int8 | Int16 | Int32 | Int64, Int8 | Int16 | Int32 | Int64)
        | (Int8 | Int16 | Int32 | Int64, UInt8 | UInt16 | UInt32)
        | (UInt8 | UInt16 | UInt32, Int8 | Int16 | Int32 | Int64) => Int64,
        (left, right) if left.is_unsigned_integer() && right.is_unsigned_integer() => {
            DataType::UInt64
        }
        (Float16 | Float32 | Float64, Float16 | Float32 | Float64)
        | (Float32 | Float64, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32)
        | (Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32, Float32 | Float64) => Float64,
        _ => return None,
    })
}

/// A batch with the columns of `schema`, by name: cast where the type is
/// wider, null where there is none.
///
/// # Errors
///
/// [`Error::External`] if a value cannot be cast, which a united schema rules out.
pub fn conform_to(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = schema
        .fields()
        .iter()
        .map(|field| -> Result<ArrayRef> {
            Ok(match batch.column_by_name(field.name()) {
                None => new_null_array(field.data_type(), batch.num_rows()),
                Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
                Some(column) => cast_with_options(column, field.data_type(), &strict)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float64Array, Int32Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn columns_are_united_by_name_and_widened() {
        let left = Schema::new(vec![
            Field::new("a", DataType::Int32, false),
            Field::new("only", DataType::Utf8, false),
        ]);
        let right = Schema::new(vec![
            Field::new("late", DataType::Float64, false),
            Field::new("a", DataType::Int64, false),
        ]);
        let united = Arc::new(unite(&left, &right, "b.parquet").unwrap());
        let names: Vec<_> = united
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        assert_eq!(names, ["a", "only", "late"]);

        let first = RecordBatch::try_from_iter([
            ("a", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
            ("only", Arc::new(StringArray::from(vec!["x", "y"]))),
        ])
        .unwrap();
        let conformed = conform_to(&first, &united).unwrap();
        assert_eq!(conformed.column(0).as_ref(), &Int64Array::from(vec![1, 2]));
        assert_eq!(
            conformed.column(2).as_ref(),
            &Float64Array::from(vec![None, None])
        );
    }

    #[test]
    fn types_that_do_not_meet_name_the_file_and_both_types() {
        let left = Schema::new(vec![Field::new("a", DataType::Int64, false)]);
        let right = Schema::new(vec![Field::new("a", DataType::Utf8, false)]);
        let error = unite(&left, &right, "b.parquet").unwrap_err().to_string();
        assert_eq!(
            error,
            "b.parquet: column \"a\" is Utf8, but in files before it Int64"
        );
        // 2^53 + 1 would be rounded.
        assert!(join(&DataType::Int64, &DataType::Float64).is_none());
    }
}
