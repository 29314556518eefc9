//! The schema as part files hold it.
//!
//! In:  a run's schema, which may hold columns that were only ever null.
//! Out: the same with those as nullable text, its form in the manifest, and
//!      the first difference between two schemas, in words.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_cast::cast;
use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Deepest nesting of types that is written. The JSON decoder stops at 128.
pub(super) const MAX_DEPTH: usize = 256;

/// The schema that part files get: a type of only nulls becomes text, at any depth.
///
/// `plain_dictionaries` stores dictionary columns as their values, for formats
/// that hold one dictionary per file while rows are encoded in parallel.
pub(crate) fn stored_schema(schema: &Schema, plain_dictionaries: bool) -> Result<SchemaRef> {
    let fields = stored_fields(schema.fields(), plain_dictionaries, 0)?;
    Ok(Arc::new(Schema::new_with_metadata(
        fields,
        schema.metadata().clone(),
    )))
}

/// Refuses columns of types that nest deeper than `most` levels, which is more than `what`.
pub(super) fn check_depth(schema: &Schema, most: usize, what: &str) -> Result<()> {
    match schema.fields().iter().find(|field| !is_within(field, most)) {
        None => Ok(()),
        Some(field) => Err(Error::plan(format!(
            "column {:?} nests deeper than {most} levels, more than {what}",
            field.name()
        ))),
    }
}

/// Whether a type nests no deeper than `most` levels.
fn is_within(field: &Field, most: usize) -> bool {
    let Some(inside) = most.checked_sub(1) else {
        return !field.data_type().is_nested();
    };
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().all(|field| is_within(field, inside)),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_within(item, inside),
        _ => true,
    }
}

fn stored_fields(fields: &Fields, plain: bool, depth: usize) -> Result<Fields> {
    fields
        .iter()
        .map(|field| stored_field(field, plain, depth))
        .collect()
}

fn stored_field(field: &FieldRef, plain: bool, depth: usize) -> Result<FieldRef> {
    if depth > MAX_DEPTH {
        return Err(Error::plan(format!(
            "column {:?} nests deeper than {MAX_DEPTH} levels, which cannot be written",
            field.name()
        )));
    }
    let inner = |field: &FieldRef| stored_field(field, plain, depth + 1);
    let stored = match field.data_type() {
        DataType::Null => {
            let text = field.as_ref().clone().with_data_type(DataType::Utf8);
            return Ok(Arc::new(text.with_nullable(true)));
        }
        DataType::Struct(fields) => DataType::Struct(stored_fields(fields, plain, depth + 1)?),
        DataType::List(item) => DataType::List(inner(item)?),
        DataType::LargeList(item) => DataType::LargeList(inner(item)?),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item)?, *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries)?, *sorted),
        DataType::Dictionary(_, values) if plain => values.as_ref().clone(),
        _ => return Ok(Arc::clone(field)),
    };
    Ok(Arc::new(field.as_ref().clone().with_data_type(stored)))
}

/// A column as part files hold it: nothing to do but where [`stored_schema`] changed its type.
pub(crate) fn stored_column(column: &ArrayRef, stored: &Field) -> Result<ArrayRef> {
    if column.data_type() == stored.data_type() {
        return Ok(Arc::clone(column));
    }
    if column.null_count() == column.len() || column.data_type() == &DataType::Null {
        return Ok(new_null_array(stored.data_type(), column.len()));
    }
    Ok(cast(column, stored.data_type())?)
}

/// A batch as part files hold it.
///
/// # Errors
///
/// [`Error::Internal`] if its columns are not those of the part's schema: a
/// part file has one schema, and the caller opens a new segment for another.
pub(crate) fn check_batch(batch: &RecordBatch, expected: &Schema) -> Result<()> {
    let batch_schema = batch.schema();
    match difference(expected, &batch_schema) {
        None => Ok(()),
        Some(difference) => Err(Error::internal(format!(
            "a batch does not have the schema of its part file: {difference}"
        ))),
    }
}

/// The first difference between two schemas, in words, or nothing.
///
/// Names, order and types count; nullability and metadata do not.
pub(crate) fn difference(old: &Schema, new: &Schema) -> Option<String> {
    for field in new.fields() {
        match old.field_with_name(field.name()) {
            Err(_) => return Some(format!("column {:?} is not there yet", field.name())),
            Ok(known) if !same_column(known, field) => {
                return Some(format!(
                    "column {:?} is {} there and {} here",
                    field.name(),
                    in_words(known),
                    in_words(field)
                ));
            }
            Ok(_) => {}
        }
    }
    if let Some(missing) = old
        .fields()
        .iter()
        .find(|field| new.field_with_name(field.name()).is_err())
    {
        return Some(format!("column {:?} is missing here", missing.name()));
    }
    if old.fields().len() != new.fields().len() {
        return Some("a column name occurs twice".into());
    }
    let moved = old
        .fields()
        .iter()
        .zip(new.fields())
        .position(|(old, new)| old.name() != new.name())?;
    Some(format!(
        "column {} is {:?} there and {:?} here",
        moved + 1,
        old.field(moved).name(),
        new.field(moved).name()
    ))
}

/// Whether two columns hold the same values: types and marks of extension types
/// (text against JSON text) count at any depth, nullability does not.
pub(crate) fn same_column(left: &Field, right: &Field) -> bool {
    left.extension_type_name() == right.extension_type_name()
        && same_type(left.data_type(), right.data_type())
}

fn same_type(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::Struct(left), DataType::Struct(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| left.name() == right.name() && same_column(left, right))
        }
        (DataType::List(left), DataType::List(right))
        | (DataType::LargeList(left), DataType::LargeList(right))
        | (DataType::Map(left, _), DataType::Map(right, _)) => same_column(left, right),
        (DataType::FixedSizeList(left, n), DataType::FixedSizeList(right, m)) => {
            n == m && same_column(left, right)
        }
        (left, right) => left == right,
    }
}

/// A type in words, with the mark of an extension type.
fn in_words(field: &Field) -> String {
    match field.extension_type_name() {
        None => field.data_type().to_string(),
        Some(mark) => format!("{} ({mark})", field.data_type()),
    }
}

/// A column as the manifest describes it: readable, and exact enough to be read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnSchema {
    /// The column's name.
    pub name: String,
    /// Its Arrow type; for nested ones only the outer word, with the rest in `fields`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// The name of its extension type, such as `arrow.json` for text that is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Members of a struct; the one item of a list or map.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ColumnSchema>,
}

/// A schema as the manifest holds it.
pub(crate) fn describe(schema: &Schema) -> Vec<ColumnSchema> {
    schema.fields().iter().map(describe_field).collect()
}

fn describe_field(field: &FieldRef) -> ColumnSchema {
    let (word, fields) = match field.data_type() {
        DataType::Struct(fields) => ("Struct".to_owned(), fields.iter().collect()),
        DataType::List(item) => ("List".to_owned(), vec![item]),
        DataType::LargeList(item) => ("LargeList".to_owned(), vec![item]),
        DataType::FixedSizeList(item, size) => (format!("FixedSizeList({size})"), vec![item]),
        DataType::Map(entries, false) => ("Map".to_owned(), vec![entries]),
        DataType::Map(entries, true) => ("SortedMap".to_owned(), vec![entries]),
        flat => (flat.to_string(), vec![]),
    };
    ColumnSchema {
        name: field.name().clone(),
        data_type: word,
        nullable: field.is_nullable(),
        extension: field.extension_type_name().map(str::to_owned),
        fields: fields.into_iter().map(describe_field).collect(),
    }
}

/// The schema a manifest describes.
///
/// # Errors
///
/// Text in words if a type is unknown or a nested one lacks its item.
pub(crate) fn undescribe(columns: &[ColumnSchema]) -> Result<SchemaRef, String> {
    let fields = columns
        .iter()
        .map(|column| undescribe_field(column, 0))
        .collect::<Result<Fields, String>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

fn undescribe_field(column: &ColumnSchema, depth: usize) -> Result<FieldRef, String> {
    if depth > MAX_DEPTH {
        return Err(format!(
            "column {:?} nests deeper than {MAX_DEPTH} levels",
            column.name
        ));
    }
    let wrong = || {
        format!(
            "column {:?} has the unknown type {:?}",
            column.name, column.data_type
        )
    };
    let fields = column
        .fields
        .iter()
        .map(|field| undescribe_field(field, depth + 1))
        .collect::<Result<Vec<_>, _>>()?;
    let item = || fields.first().cloned().ok_or_else(wrong);
    let word = column.data_type.as_str();
    let data_type = match word {
        "Struct" => DataType::Struct(fields.into()),
        "List" => DataType::List(item()?),
        "LargeList" => DataType::LargeList(item()?),
        "Map" => DataType::Map(item()?, false),
        "SortedMap" => DataType::Map(item()?, true),
        _ => match word.strip_prefix("FixedSizeList(") {
            Some(size) => {
                let size = size.strip_suffix(')').and_then(|size| size.parse().ok());
                DataType::FixedSizeList(item()?, size.ok_or_else(wrong)?)
            }
            None => word.parse().map_err(|_| wrong())?,
        },
    };
    let mut field = Field::new(&column.name, data_type, column.nullable);
    if let Some(name) = &column.extension {
        let marks = HashMap::from([(EXTENSION_TYPE_NAME_KEY.to_owned(), name.clone())]);
        field = field.with_metadata(marks);
    }
    Ok(Arc::new(field))
}

#[cfg(test)]
mod tests {
    use arrow_schema::TimeUnit;

    use super::*;

    fn nested() -> Schema {
        let point = DataType::Struct(
            vec![
                Field::new("x \"quoted\"", DataType::Float64, true),
                Field::new("never", DataType::Null, true),
            ]
            .into(),
        );
        let utc = Some("UTC".into());
        Schema::new(vec![
            Field::new("a.b", DataType::Int64, false),
            Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, utc), true),
            Field::new_list("points", Field::new_list_field(point, true), true),
            Field::new("never", DataType::Null, true),
            Field::new("amount", DataType::Decimal128(12, 2), true),
        ])
    }

    #[test]
    fn a_schema_comes_back_from_its_description() {
        let schema = stored_schema(&nested(), false).unwrap();
        let text = serde_json::to_string(&describe(&schema)).unwrap();
        let columns: Vec<ColumnSchema> = serde_json::from_str(&text).unwrap();
        assert_eq!(undescribe(&columns).unwrap(), schema);
        assert!(text.contains(r#"{"name":"a.b","type":"Int64","nullable":false}"#));
    }

    #[test]
    fn columns_of_nulls_are_stored_as_text_at_any_depth() {
        let schema = stored_schema(&nested(), false).unwrap();
        assert_eq!(schema.field(3).data_type(), &DataType::Utf8);
        let DataType::List(item) = schema.field(2).data_type() else {
            panic!("not a list");
        };
        let DataType::Struct(members) = item.data_type() else {
            panic!("not a struct");
        };
        assert_eq!(members[1].data_type(), &DataType::Utf8);
    }

    #[test]
    fn the_first_difference_is_named() {
        let schema = |fields: &[(&str, DataType)]| {
            let fields = fields
                .iter()
                .map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
            Schema::new(fields.collect::<Vec<_>>())
        };
        let old = schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
        assert_eq!(difference(&old, &old), None);
        for (new, words) in [
            (schema(&[("a", DataType::Int64)]), "column \"b\" is missing"),
            (
                schema(&[("a", DataType::Utf8), ("b", DataType::Utf8)]),
                "column \"a\" is Int64 there and Utf8 here",
            ),
            (
                schema(&[("b", DataType::Utf8), ("a", DataType::Int64)]),
                "column 1 is \"a\" there and \"b\" here",
            ),
            (
                schema(&[
                    ("a", DataType::Int64),
                    ("b", DataType::Utf8),
                    ("c", DataType::Utf8),
                ]),
                "column \"c\" is not there yet",
            ),
        ] {
            let found = difference(&old, &new).unwrap();
            assert!(found.contains(words), "{found}");
        }
    }

    #[test]
    fn members_of_another_name_or_mark_are_a_difference() {
        let of = |name: &str, mark: &str| {
            let marks = HashMap::from([(EXTENSION_TYPE_NAME_KEY.to_owned(), mark.to_owned())]);
            let inner = Field::new(name, DataType::Utf8, true).with_metadata(marks);
            Field::new_struct("s", vec![inner], true)
        };
        assert!(same_column(&of("x", "m"), &of("x", "m")));
        assert!(!same_column(&of("x", "m"), &of("y", "m")));
        assert!(!same_column(&of("x", "m"), &of("x", "n")));
        let (old, new) = (
            Schema::new(vec![of("x", "m")]),
            Schema::new(vec![of("x", "n")]),
        );
        assert!(difference(&old, &new).is_some());
        assert_eq!(undescribe(&describe(&old)).unwrap().as_ref(), &old);
    }
}
