//! Part files, read with the parquet crate alone, and held against the oracle.

use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::{Float64Type, Int64Type, UInt64Type};
use windrow::arrow::array::{Array, RecordBatch};
use windrow::arrow::schema::DataType;

use super::folder;
use super::oracle::{self, Json};

/// The rows of one part file, in one batch a read.
pub fn batches_of(part: &Path) -> Vec<RecordBatch> {
    ParquetRecordBatchReaderBuilder::try_new(File::open(part).unwrap())
        .unwrap()
        .build()
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// The rows of a folder of part files, in order.
pub fn batches(dir: &Path) -> Vec<RecordBatch> {
    let parts = folder::parts(dir);
    parts.iter().flat_map(|part| batches_of(part)).collect()
}

/// Rows of each part file of a folder.
pub fn rows_of_parts(dir: &Path) -> Vec<usize> {
    let rows = |part: &std::path::PathBuf| batches_of(part).iter().map(RecordBatch::num_rows).sum();
    folder::parts(dir).iter().map(rows).collect()
}

/// The integers of a column over all part files; nulls are an error.
pub fn integers(dir: &Path, column: &str) -> Vec<i64> {
    let mut all = Vec::new();
    for batch in batches(dir) {
        let column = batch.column_by_name(column).unwrap();
        assert_eq!(column.null_count(), 0);
        all.extend(column.as_primitive::<Int64Type>().values());
    }
    all
}

/// Asserts that a folder of part files holds these records, in order: every
/// key and value of each, and nothing else.
#[track_caller]
pub fn assert_holds(dir: &Path, records: &[Json]) {
    assert_batches_hold(&batches(dir), records);
}

/// The same of batches.
#[track_caller]
pub fn assert_batches_hold(batches: &[RecordBatch], records: &[Json]) {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, records.len(), "rows");
    let mut records = records.iter();
    for batch in batches {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let record = records.next().unwrap();
            let Json::Object(members) = record else {
                panic!("{record:?} is no object");
            };
            for (key, _) in members {
                assert!(
                    schema.field_with_name(key).is_ok(),
                    "key {key:?} is lost: {record:?}"
                );
            }
            for (field, column) in schema.fields().iter().zip(batch.columns()) {
                let wanted = record.get(field.name()).unwrap_or(&Json::Null);
                assert!(
                    holds(column.as_ref(), row, wanted),
                    "row {row}, column {field}: {wanted:?} is in none of {:?}",
                    column.slice(row, 1)
                );
            }
        }
    }
}

/// Whether a cell says what a JSON value says.
fn holds(column: &dyn Array, row: usize, wanted: &Json) -> bool {
    if column.is_null(row) {
        return *wanted == Json::Null;
    }
    match (column.data_type(), wanted) {
        (DataType::Boolean, Json::Bool(wanted)) => column.as_boolean().value(row) == *wanted,
        (DataType::Int64, Json::Number(wanted)) => {
            wanted.parse() == Ok(column.as_primitive::<Int64Type>().value(row))
        }
        (DataType::UInt64, Json::Number(wanted)) => {
            wanted.parse() == Ok(column.as_primitive::<UInt64Type>().value(row))
        }
        (DataType::Float64, Json::Number(wanted)) => {
            let found = column.as_primitive::<Float64Type>().value(row);
            let exact = wanted
                .parse::<i128>()
                .is_ok_and(|whole| whole == found as i128);
            let is_integer = wanted.parse::<i128>().is_ok();
            found.is_finite()
                && (exact || !is_integer)
                && wanted.parse::<f64>().unwrap().to_bits() == found.to_bits()
        }
        (DataType::Utf8, _) => text_holds(column.as_string::<i32>().value(row), wanted),
        (DataType::LargeUtf8, _) => text_holds(column.as_string::<i64>().value(row), wanted),
        (DataType::Utf8View, _) => text_holds(column.as_string_view().value(row), wanted),
        (DataType::Struct(fields), Json::Object(members)) => {
            let column = column.as_struct();
            members.iter().all(|(key, _)| fields.find(key).is_some())
                && fields.iter().zip(column.columns()).all(|(field, column)| {
                    let wanted = wanted.get(field.name()).unwrap_or(&Json::Null);
                    holds(column.as_ref(), row, wanted)
                })
        }
        (DataType::List(_), Json::List(items)) => {
            let found = column.as_list::<i32>().value(row);
            found.len() == items.len()
                && (0..found.len()).all(|item| holds(found.as_ref(), item, &items[item]))
        }
        _ => false,
    }
}

/// Whether text says what a JSON value says: a string as it is or, in a column
/// of JSON text, in quotes; another scalar and all else as JSON has it.
fn text_holds(found: &str, wanted: &Json) -> bool {
    let parsed = || oracle::parse(found.as_bytes());
    match wanted {
        Json::Text(wanted) => found == wanted || parsed() == Some(Json::Text(wanted.clone())),
        _ => parsed().is_some_and(|found| found.same(wanted)),
    }
}
