//! Column files of differing schemas, read as one.
//!
//! In:  Parquet or Arrow IPC files.
//! Out: their footers, one schema by name, and batches brought up to it.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::take::take;

use super::KnownFiles;
use super::store::{FileList, SourceFile};
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
pub fn for_footers(
    files: FileList,
    known: &Arc<KnownFiles>,
) -> impl Iterator<Item = Result<SourceFile>> + Send + use<> {
    super::remote::Tails::new(files, Arc::clone(known))
}

/// The files of a list, for reading their footers one after the other.
#[cfg(not(feature = "cloud"))]
pub fn for_footers(
    files: FileList,
    _known: &Arc<KnownFiles>,
) -> impl Iterator<Item = Result<SourceFile>> + Send + use<> {
    files
}

/// Reads the footer of a Parquet or an Arrow IPC file.
///
/// # Errors
///
/// [`Error::Corrupt`] naming a file that is something else, or damaged.
pub fn footer(file: &SourceFile, parquet: bool, known: &KnownFiles) -> Result<Footer> {
    if parquet {
        let input = known.parquet(file)?;
        return Ok(Footer {
            schema: Arc::clone(input.schema()),
            rows: input.rows(),
            bytes: input.row_groups().iter().map(|group| group.bytes).sum(),
        });
    }
    let input = known.ipc(file)?;
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

/// What the batches of one file are brought up to: a united schema, with what
/// is known of all rows of the file.
#[derive(Debug, Clone)]
pub struct Fill {
    schema: SchemaRef,
    /// Columns that the file does not hold, and their one value, by name.
    given: Arc<[(String, ArrayRef)]>,
}

impl Default for Fill {
    fn default() -> Self {
        Fill {
            schema: Arc::new(Schema::empty()),
            given: Arc::new([]),
        }
    }
}

impl Fill {
    /// The columns of a schema; null where a file has none.
    pub fn to(schema: SchemaRef) -> Self {
        Fill::default().with_schema(schema)
    }

    /// The same with these columns.
    #[must_use]
    pub fn with_schema(self, schema: SchemaRef) -> Self {
        Fill { schema, ..self }
    }

    /// Columns that have one value in all rows: arrays of one row.
    #[must_use]
    pub fn with_given(self, given: Vec<(String, ArrayRef)>) -> Self {
        Fill {
            given: given.into(),
            ..self
        }
    }

    /// The columns of every batch that comes out.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch with the columns of the schema, by name: cast where the type is
    /// wider, the given value or null where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::External`] if a value cannot be cast, which a united schema rules out.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if batch.schema_ref() == &self.schema {
            return Ok(batch.clone());
        }
        let rows = batch.num_rows();
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| match batch.column_by_name(field.name()) {
                Some(column) => widened(column, field),
                None => match self.given.iter().find(|(name, _)| name == field.name()) {
                    Some((_, value)) => widened(&repeated(value, rows)?, field),
                    None => Ok(new_null_array(field.data_type(), rows)),
                },
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            columns,
            &options,
        )?)
    }
}

/// A column in a field's type, which holds all its values.
fn widened(column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(column, field.data_type(), &strict)?)
}

/// One value, as often as there are rows.
fn repeated(value: &ArrayRef, rows: usize) -> Result<ArrayRef> {
    let first = UInt32Array::from_value(0, rows);
    Ok(take(value, &first, None)?)
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
        let conformed = Fill::to(united).apply(&first).unwrap();
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
