//! What readers find in real files is what another engine finds there.
//!
//! `benches/peers/reader_answers.py` made the answers in `golden/readers`, says
//! what their lines mean and holds the queries; the files are where
//! `WINDROW_REAL_DATA` says, without which these tests skip.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};
use serde_json::Value;
use windrow::{ByteSize, CsvOptions, ReadOptions, Session, Settings, Table};

/// What is stored of one file.
struct Answer {
    file: String,
    null: Option<String>,
    rows: usize,
    /// Name, what the values are, nulls, and what is told of such values.
    columns: Vec<Vec<Value>>,
}

fn stored(format: &str) -> Vec<Answer> {
    let path = format!(
        "{}/tests/golden/readers/{format}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut answers: Vec<Answer> = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            let column = serde_json::from_str(line).unwrap();
            answers.last_mut().unwrap().columns.push(column);
            continue;
        }
        match line.split_once(' ') {
            Some(("file", file)) => answers.push(Answer {
                file: file.to_owned(),
                null: None,
                rows: 0,
                columns: Vec::new(),
            }),
            Some(("null", null)) => answers.last_mut().unwrap().null = Some(null.to_owned()),
            Some(("rows", rows)) => answers.last_mut().unwrap().rows = rows.parse().unwrap(),
            _ => {}
        }
    }
    assert!(answers.iter().all(|answer| !answer.columns.is_empty()));
    answers
}

/// The column of each batch in a type that holds all its values.
fn column(table: &Table, name: &str, to: &DataType) -> Vec<ArrayRef> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = table.batches().map(|batch| {
        let column = batch
            .column_by_name(name)
            .unwrap_or_else(|| panic!("no column {name:?}"));
        cast_with_options(column, to, &strict).unwrap()
    });
    columns.collect()
}

fn numbers(values: &[f64]) -> Vec<Value> {
    if values.is_empty() {
        return vec![Value::Null; 3];
    }
    let fold = |with: fn(f64, f64) -> f64| values.iter().copied().reduce(with).unwrap();
    [values.iter().sum(), fold(f64::min), fold(f64::max)]
        .map(|value| match value {
            value if f64::is_finite(value) => value.into(),
            value => value.to_string().to_lowercase().into(),
        })
        .to_vec()
}

fn told(table: &Table, name: &str, kind: &str) -> Vec<Value> {
    let whole = |count: usize| match table.num_rows() {
        rows if rows == nulls(table, name) => Value::Null,
        _ => count.into(),
    };
    match kind {
        "number" | "flag" => {
            let arrays = column(table, name, &DataType::Float64);
            let values = arrays
                .iter()
                .flat_map(|array| array.as_primitive::<Float64Type>());
            numbers(&values.flatten().collect::<Vec<_>>())
        }
        "text" => {
            let arrays = column(table, name, &DataType::Utf8);
            let texts = arrays.iter().flat_map(|array| array.as_string::<i32>());
            let texts: Vec<&str> = texts.flatten().collect();
            let characters = texts.iter().map(|text| text.chars().count()).sum();
            let ends = [texts.iter().min(), texts.iter().max()];
            let ends = ends.map(|text| text.copied().map_or(Value::Null, Value::from));
            [vec![whole(characters)], ends.to_vec()].concat()
        }
        "binary" => {
            let arrays = column(table, name, &DataType::Binary);
            let values = arrays.iter().flat_map(|array| array.as_binary::<i32>());
            vec![whole(values.flatten().map(<[u8]>::len).sum())]
        }
        "time" => {
            let to = DataType::Timestamp(TimeUnit::Microsecond, None);
            let arrays = column(table, name, &to);
            let times = arrays
                .iter()
                .flat_map(|array| array.as_primitive::<TimestampMicrosecondType>().iter());
            let times: Vec<i64> = times.flatten().collect();
            let seconds: f64 = times.iter().map(|time| *time as f64 / 1e6).sum();
            let ends = [times.iter().min(), times.iter().max()];
            let ends = ends.map(|time| time.copied().map_or(Value::Null, Value::from));
            [vec![seconds.into()], ends.to_vec()].concat()
        }
        "list" => {
            let items = table.batches().map(|batch| {
                let lists = batch.column_by_name(name).unwrap();
                let lengths = arrow_string::length::length(lists).unwrap();
                let lengths = arrow_cast::cast(&lengths, &DataType::Int64).unwrap();
                lengths
                    .as_primitive::<Int64Type>()
                    .iter()
                    .flatten()
                    .sum::<i64>()
            });
            vec![whole(items.sum::<i64>() as usize)]
        }
        "other" => Vec::new(),
        other => panic!("{other} is nothing that is stored"),
    }
}

fn nulls(table: &Table, name: &str) -> usize {
    let columns = table
        .batches()
        .map(|batch| batch.column_by_name(name).unwrap());
    columns.map(|column| column.logical_null_count()).sum()
}

/// Whether both are the same, sums of fractions up to the order of their addition.
fn same(found: &Value, stored: &Value) -> bool {
    match (found.as_f64(), stored.as_f64()) {
        (Some(found), Some(stored)) => (found - stored).abs() <= stored.abs() * 1e-11,
        _ => found == stored,
    }
}

fn compare(answer: &Answer, table: &Table, cut: &str) {
    let file = &answer.file;
    assert_eq!(table.num_rows(), answer.rows, "{file}, {cut}: rows");
    for stored in &answer.columns {
        let [
            Value::String(name),
            Value::String(kind),
            null_count,
            of_values @ ..,
        ] = &stored[..]
        else {
            panic!("{file}: {stored:?} is no column");
        };
        let found = nulls(table, name);
        assert_eq!(
            Some(found as u64),
            null_count.as_u64(),
            "{file}, {cut}: nulls of {name}"
        );
        let found = told(table, name, kind);
        assert_eq!(found.len(), of_values.len(), "{file}: {name}");
        for (found, stored) in found.iter().zip(of_values) {
            assert!(
                same(found, stored),
                "{file}, {cut}: {name}: {found} is not {stored}"
            );
        }
    }
    let columns = table.schema().fields().len();
    assert_eq!(columns, answer.columns.len(), "{file}: columns");
}

fn check(format: &str, read: impl Fn(&Session, &str, &Answer, u64) -> windrow::Result<Table>) {
    let Some(root) = std::env::var_os("WINDROW_REAL_DATA") else {
        println!("skipped: real {format} files need WINDROW_REAL_DATA");
        return;
    };
    for answer in stored(format) {
        let path = Path::new(&root).join(&answer.file);
        for (threads, blocksize) in [(1, 1 << 30), (2, 100_000)] {
            let session = Session::new(Settings {
                threads,
                ..Settings::default()
            });
            let table = read(&session, path.to_str().unwrap(), &answer, blocksize);
            let table = table.unwrap_or_else(|error| panic!("{}: {error}", answer.file));
            compare(&answer, &table, &format!("{threads} threads"));
        }
    }
}

fn blocks(blocksize: u64) -> ReadOptions {
    ReadOptions {
        blocksize: Some(ByteSize::new(blocksize)),
        ..ReadOptions::default()
    }
}

#[test]
fn real_csv_files_hold_what_another_engine_finds() {
    check("csv", |session, path, answer, blocksize| {
        let defaults = CsvOptions::default();
        let nulls = [
            defaults.nulls.clone(),
            answer.null.iter().cloned().collect(),
        ]
        .concat();
        let csv = CsvOptions { nulls, ..defaults };
        let options = ReadOptions {
            csv,
            ..blocks(blocksize)
        };
        session.read_csv(path, options)?.compute()
    });
}

#[test]
fn real_json_files_hold_what_another_engine_finds() {
    check("json", |session, path, _, blocksize| {
        session.read_json(path, blocks(blocksize))?.compute()
    });
}

#[test]
fn real_parquet_files_hold_what_another_engine_finds() {
    check("parquet", |session, path, _, _| {
        session.read_parquet(path)?.compute()
    });
}
