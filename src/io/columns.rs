//! Column files of differing schemas, read as one.
//!
//! In:  Parquet or Arrow IPC files.
//! Out: their footers, one schema by name, and batches brought up to it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int32Array, ListArray, RecordBatch, RecordBatchOptions,
    StringArray, StructArray, UInt32Array, new_null_array,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
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
    Ok(Footer {
        schema: Arc::clone(input.schema()),
        rows: input.rows(),
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
    let fields = unite_fields(left.fields(), right.fields()).map_err(|at| {
        Error::plan(format!(
            "{path}: column {:?} is {}, but in files before it {}",
            at.name, at.right, at.left
        ))
    })?;
    Ok(Schema::new(fields))
}

/// A column whose types do not meet.
struct Apart {
    name: String,
    left: DataType,
    right: DataType,
}

/// The fields of both, by name.
fn unite_fields(left: &Fields, right: &Fields) -> std::result::Result<Fields, Apart> {
    let mut fields = Vec::with_capacity(left.len());
    for field in left {
        fields.push(match right.find(field.name()) {
            None => Arc::new(field.as_ref().clone().with_nullable(true)),
            Some((_, other)) => join_fields(field, other).ok_or_else(|| Apart {
                name: field.name().clone(),
                left: field.data_type().clone(),
                right: other.data_type().clone(),
            })?,
        });
    }
    for field in right {
        if left.find(field.name()).is_none() {
            fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
        }
    }
    Ok(fields.into())
}

/// The field that holds the values of both, under the name of the first.
fn join_fields(left: &FieldRef, right: &FieldRef) -> Option<FieldRef> {
    if left == right {
        return Some(Arc::clone(left));
    }
    let joined = join(left.data_type(), right.data_type())?;
    let nullable = left.is_nullable() || right.is_nullable();
    let field = Field::new(left.name(), joined, nullable);
    Some(Arc::new(field.with_metadata(left.metadata().clone())))
}

/// The columns and fields of `schema` that lie on one of `paths`, which name a
/// column and then fields inside. What a path ends at is there whole.
pub(crate) fn narrowed(schema: &Schema, paths: &[Vec<String>]) -> Schema {
    let paths: Vec<&[String]> = paths.iter().map(Vec::as_slice).collect();
    Schema::new_with_metadata(narrow(schema.fields(), &paths), schema.metadata().clone())
}

/// As deep as the schema.
fn narrow(fields: &Fields, paths: &[&[String]]) -> Fields {
    let narrow_one = |field: &FieldRef| {
        let starts = paths.iter().filter_map(|path| path.split_first());
        let inside: Vec<&[String]> = starts
            .filter(|(name, _)| *name == field.name())
            .map(|(_, inside)| inside)
            .collect();
        let whole = inside.iter().any(|path| path.is_empty());
        match field.data_type() {
            _ if inside.is_empty() => None,
            DataType::Struct(fields) if !whole => {
                let fields = narrow(fields, &inside);
                let data_type = DataType::Struct(fields);
                Some(Arc::new(field.as_ref().clone().with_data_type(data_type)))
            }
            _ => Some(Arc::clone(field)),
        }
    };
    fields.iter().filter_map(narrow_one).collect()
}

/// The narrowest type that holds the values of both without loss.
fn join(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{
        Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeList, LargeUtf8, List, Null,
        Struct, UInt8, UInt16, UInt32, Utf8, Utf8View,
    };
    if left == right {
        return Some(left.clone());
    }
    Some(match (left, right) {
        (Null, other) | (other, Null) => other.clone(),
        (Struct(left), Struct(right)) => Struct(unite_fields(left, right).ok()?),
        (List(left), List(right)) => List(join_fields(left, right)?),
        (List(left) | LargeList(left), List(right) | LargeList(right)) => {
            LargeList(join_fields(left, right)?)
        }
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

/// Checks that the columns of a file widen to those of `schema`, by name. What
/// one of them lacks does no harm.
///
/// # Errors
///
/// [`Error::Plan`] naming the file, the column and both types.
pub fn check_widens(stored: &Schema, schema: &Schema, path: &str) -> Result<()> {
    for field in schema.fields() {
        if let Some((_, found)) = stored.fields().find(field.name())
            && !holds(field.data_type(), found.data_type())
        {
            return Err(Error::plan(format!(
                "{path}: column {:?} is {}, which does not widen to {}",
                field.name(),
                found.data_type(),
                field.data_type()
            )));
        }
    }
    Ok(())
}

/// Whether a type holds the values of another without loss.
fn holds(wide: &DataType, narrow: &DataType) -> bool {
    use DataType::{Float16, Float32, Float64, LargeList, List, Null, Struct};
    let bits = |data_type: &DataType| data_type.primitive_width().map_or(0, |bytes| bytes * 8);
    match (wide, narrow) {
        (wide, narrow) if wide == narrow => true,
        (_, Null) => true,
        (wide, narrow) if wide.is_string() && narrow.is_string() => true,
        (Struct(wide), Struct(narrow)) => wide.iter().all(|wide| {
            let found = narrow.find(wide.name());
            found.is_none_or(|(_, narrow)| holds(wide.data_type(), narrow.data_type()))
        }),
        (List(wide) | LargeList(wide), List(narrow)) | (LargeList(wide), LargeList(narrow)) => {
            holds(wide.data_type(), narrow.data_type())
        }
        (wide, narrow) if wide.is_signed_integer() || wide.is_unsigned_integer() => {
            let same = wide.is_signed_integer() == narrow.is_signed_integer();
            let grows = wide.is_signed_integer() && narrow.is_unsigned_integer();
            narrow.is_integer() && (same || grows) && bits(narrow) < bits(wide)
        }
        (Float64, narrow) if narrow.is_integer() => bits(narrow) <= 32,
        (Float32, narrow) if narrow.is_integer() => bits(narrow) <= 16,
        (Float64, Float32 | Float16) | (Float32, Float16) => true,
        (wide, DataType::Dictionary(_, value)) => holds(wide, value),
        _ => join(wide, narrow).as_ref() == Some(wide),
    }
}

/// A column that holds paths: few values, each in many rows.
pub(crate) fn path_field(name: &str) -> Field {
    Field::new_dictionary(name, DataType::Int32, DataType::Utf8, false)
}

/// A path in each of some rows, for a column of [`path_field`].
///
/// # Errors
///
/// None that can happen: there is one value, and all rows have it.
pub(crate) fn path_column(path: &str, rows: usize) -> Result<ArrayRef> {
    let keys = Int32Array::from_value(0, rows);
    let values: ArrayRef = Arc::new(StringArray::from_iter_values([path]));
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}

/// What the batches of one file are brought up to: a united schema, with what
/// is known of all rows of the file.
#[derive(Debug, Clone)]
pub struct Fill {
    schema: SchemaRef,
    /// Columns that count whatever the file holds, and their one value, by name.
    given: Arc<[(String, ArrayRef)]>,
    /// Columns of text that may stay dictionaries of it.
    coded: Arc<[String]>,
}

impl Default for Fill {
    fn default() -> Self {
        Fill {
            schema: Arc::new(Schema::empty()),
            given: Arc::new([]),
            coded: Arc::new([]),
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

    /// Lets these columns out as dictionaries where they come as such.
    #[must_use]
    pub fn with_coded(self, coded: &Arc<[String]>) -> Self {
        let coded = Arc::clone(coded);
        Fill { coded, ..self }
    }

    /// The columns that the file is asked for.
    pub(crate) fn asked(&self) -> Schema {
        let fields = self.schema.fields().iter();
        let fields = fields.filter(|field| self.given(field.name()).is_none());
        Schema::new(fields.cloned().collect::<Vec<_>>())
    }

    /// The columns that have one value in all rows.
    pub(crate) fn all_given(&self) -> &[(String, ArrayRef)] {
        &self.given
    }

    /// The value of a column that has one in all rows.
    pub(crate) fn given(&self, name: &str) -> Option<&ArrayRef> {
        let found = self.given.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value)
    }

    /// The columns of every batch that comes out.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch with the columns of the schema, by name: the value that is
    /// given, else cast where the type is wider, and null where there is none.
    /// Some come as dictionaries, if that was allowed.
    ///
    /// # Errors
    ///
    /// [`Error::External`] if a value cannot be cast, which a united schema rules out.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if self.given.is_empty() && batch.schema_ref() == &self.schema {
            return Ok(batch.clone());
        }
        let rows = batch.num_rows();
        let mut fields = Vec::with_capacity(self.schema.fields().len());
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let (field, column) = match (self.given(field.name()), batch.schema_ref()) {
                (Some(value), _) => (Arc::clone(field), widened(&repeated(value, rows)?, field)?),
                (None, stored) => match stored.fields().find(field.name()) {
                    Some((at, stored)) if self.stays_coded(field, stored) => {
                        (Arc::clone(stored), Arc::clone(batch.column(at)))
                    }
                    Some((at, _)) => (Arc::clone(field), widened(batch.column(at), field)?),
                    None => (Arc::clone(field), new_null_array(field.data_type(), rows)),
                },
            };
            fields.push(field);
            columns.push(column);
        }
        let schema = match self.coded.is_empty() {
            true => Arc::clone(&self.schema),
            false => Arc::new(Schema::new_with_metadata(
                fields,
                self.schema.metadata().clone(),
            )),
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }

    /// Whether a stored column comes as a dictionary of its values, and may.
    fn stays_coded(&self, field: &Field, stored: &Field) -> bool {
        let is_coded = |data_type: &DataType| match data_type {
            DataType::Dictionary(_, values) => **values == *field.data_type(),
            _ => false,
        };
        is_coded(stored.data_type()) && self.coded.contains(field.name())
    }
}

/// A column in a field's type, which holds all its values. The fields of
/// structs are found by name; what there is none of is null.
fn widened(column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    if let (Some(stored), DataType::Struct(fields)) = (column.as_struct_opt(), field.data_type()) {
        let inner = |field: &FieldRef| match stored.column_by_name(field.name()) {
            Some(column) => widened(column, field),
            None => Ok(new_null_array(field.data_type(), stored.len())),
        };
        let columns = fields.iter().map(inner).collect::<Result<Vec<_>>>()?;
        let nulls = stored.nulls().cloned();
        let rows = stored.len();
        let widened = StructArray::try_new_with_length(fields.clone(), columns, nulls, rows)?;
        return Ok(Arc::new(widened));
    }
    if let (Some(stored), DataType::List(item)) = (column.as_list_opt::<i32>(), field.data_type()) {
        let (_, offsets, values, nulls) = stored.clone().into_parts();
        let values = widened(&values, item)?;
        return Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            offsets,
            values,
            nulls,
        )?));
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(column, field.data_type(), &strict)?)
}

/// What a file's folders say of a column, in the column's type.
///
/// # Errors
///
/// [`Error::Plan`] naming the file, if it has no such value of that type.
pub(crate) fn in_type_of(value: &ArrayRef, field: &Field, path: &str) -> Result<ArrayRef> {
    widened(value, field).map_err(|error| {
        Error::plan(format!(
            "{path}: what its folder says of column {:?} is not {}: {error}",
            field.name(),
            field.data_type()
        ))
    })
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
