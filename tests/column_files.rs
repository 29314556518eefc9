//! A filter on column files reads no more than it must, and changes no row.

use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, NullArray, RecordBatch, StringArray,
    StructArray, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use windrow::exec::{Collected, Context, collect};
use windrow::plan::lower;
use windrow::plan::optimize::{optimize, optimize_without};
use windrow::{ByteSize, DataFrame, Session, Settings};

const ROWS_PER_GROUP: usize = 20;

fn write(path: &Path, batch: &RecordBatch, properties: WriterProperties) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn in_groups_of(rows: usize) -> parquet::file::properties::WriterPropertiesBuilder {
    WriterProperties::builder().set_max_row_group_row_count(Some(rows))
}

/// Rows whose values grow, with some noise, so that row groups differ.
fn varied(rows: usize) -> RecordBatch {
    let noise = |row: usize| (row * 7919 + row / 3) % 23;
    let some = |row: usize| noise(row) % 5 != 0;
    let grown = |row: usize| (row + noise(row)) as i64;
    let all = 0..rows;
    let texts: Vec<Option<String>> = all
        .clone()
        .map(|row| some(row).then(|| format!("text é{:05} and more", grown(row))))
        .collect();
    let nested: ArrayRef = Arc::new(Int64Array::from_iter(
        all.clone()
            .map(|row| Some(grown(row)).filter(|_| some(row))),
    ));
    let parent: Vec<bool> = all.clone().map(|row| row % 11 != 0).collect();
    let parent = StructArray::new(
        Fields::from(vec![Field::new("in", DataType::Int64, true)]),
        vec![nested],
        Some(parent.into()),
    );
    let floats = all.clone().map(|row| match noise(row) {
        3 => Some(f64::NAN),
        4 => None,
        5 => Some(-0.0),
        _ => Some(grown(row) as f64 / 4.0),
    });
    let floats: Vec<Option<f64>> = floats.collect();
    RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(
                all.clone().map(|row| row as i64),
            )) as ArrayRef,
        ),
        (
            "tiny",
            Arc::new(Int8Array::from_iter(
                all.clone()
                    .map(|row| some(row).then(|| (grown(row) % 200 - 100) as i8)),
            )),
        ),
        (
            "int",
            Arc::new(Int32Array::from_iter(
                all.clone()
                    .map(|row| some(row).then(|| grown(row) as i32 - 300)),
            )),
        ),
        (
            "uint",
            Arc::new(UInt32Array::from_iter_values(
                all.clone().map(|row| u32::MAX - grown(row) as u32),
            )),
        ),
        (
            "big",
            Arc::new(UInt64Array::from_iter(all.clone().map(|row| {
                some(row).then(|| u64::MAX - 300 + (grown(row) as u64) / 4)
            }))),
        ),
        (
            "float",
            Arc::new(Float32Array::from_iter(
                floats.iter().map(|float| float.map(|float| float as f32)),
            )),
        ),
        ("double", Arc::new(Float64Array::from_iter(floats))),
        (
            "money",
            Arc::new(
                Decimal128Array::from_iter(
                    all.clone()
                        .map(|row| some(row).then(|| i128::from(grown(row)) * 25 - 5000)),
                )
                .with_precision_and_scale(20, 2)
                .unwrap(),
            ),
        ),
        (
            "day",
            Arc::new(Date32Array::from_iter(
                all.clone().map(|row| some(row).then(|| grown(row) as i32)),
            )),
        ),
        (
            "at",
            Arc::new(TimestampMillisecondArray::from_iter(
                all.clone()
                    .map(|row| some(row).then(|| grown(row) * 3_600_000)),
            )),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from_iter(
                all.clone().map(|row| some(row).then_some(row > rows / 2)),
            )),
        ),
        ("text", Arc::new(StringArray::from(texts.clone()))),
        (
            "kind",
            Arc::new(
                texts
                    .iter()
                    .map(|text| text.as_deref())
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
        ("nothing", Arc::new(NullArray::new(rows))),
        ("s", Arc::new(parent)),
    ])
    .unwrap()
}

/// Conditions that statistics can and cannot help with.
const CONDITIONS: &[&str] = &[
    "id < 100",
    "id between 250 and 260",
    "id = 333 or id = 17",
    "id in (1, 2, 555)",
    "tiny = 5",
    "tiny > 90 and id < 400",
    "int < -280",
    "int is null and id > 500",
    "int not in (1, 2) and id < 30",
    "uint < 4294967000",
    "uint = 4294967295",
    "big > 18446744073709551600",
    "big = 18446744073709551400",
    "float > 140",
    "float = 1.25",
    "float < 0.5",
    "float = 0",
    "double != double",
    "double > 1e300",
    "double <= 2 or double is null",
    "not (double < 100)",
    "money < -49.5",
    "money = 10",
    "money > 99.99 and money < 101",
    "day < '1970-02-01'",
    "day = '1971-01-01'",
    "at >= '1970-01-25'",
    "at < '1970-01-02 12:00:00'",
    "flag",
    "not flag",
    "flag is null",
    "flag is not true",
    "text < 'text é00040'",
    "text = 'text é00041 and more'",
    "text like 'text é005%'",
    "text not like 'text é%'",
    "text > 'text é00590 and more'",
    "kind = 'text é00077 and more'",
    "kind in ('text é00077 and more', 'x')",
    "kind < 'text é00050'",
    "nothing = 1",
    "nothing is null and id = 5",
    "s.in < 30",
    "s.in is null and id < 40",
    "s is null",
    "lower(text) = 'text é00041 and more'",
    "text = 5",
    "int = '7'",
    "id + 1 = 50",
    "try_cast(text as int64) is null and id = 3",
    "id > 590 or tiny = 5 and text like '%7 and more'",
    "false",
];

fn frame(input: &Path, threads: usize) -> DataFrame {
    let settings = Settings {
        threads,
        ..Settings::default()
    };
    Session::new(settings)
        .read_parquet(input.to_str().unwrap())
        .unwrap()
}

fn run(frame: &DataFrame, off: &[&str], threads: usize) -> windrow::Result<Collected> {
    let plan = frame.plan().clone();
    let plan = match off {
        [] => optimize(plan),
        off => optimize_without(plan, off),
    };
    let context = Context::new(Settings {
        threads,
        ..Settings::default()
    });
    collect(&lower(plan, ByteSize::mib(1)), &context)
}

fn rows(collected: &Collected) -> RecordBatch {
    let batches: Vec<&RecordBatch> = collected.partitions.iter().flatten().collect();
    arrow_select::concat::concat_batches(&collected.schema, batches).unwrap()
}

/// Compares what a pushed filter gives with what a filter on all rows gives,
/// sheets included. Gives the number of row groups that were not read.
fn same_with_and_without(input: &Path, condition: &str) -> u64 {
    let mut skipped = 0;
    for threads in [1, 2, 5] {
        let filtered = frame(input, threads).filter(condition).unwrap();
        let pushed = run(&filtered, &[], threads).unwrap();
        let plain = run(&filtered, &["filter_into_scan"], threads).unwrap();
        // NaN is not equal to itself: texts are compared.
        assert_eq!(
            format!("{:?}", rows(&pushed)),
            format!("{:?}", rows(&plain)),
            "{condition}"
        );
        for (left, right) in pushed.report.inputs.iter().zip(&plain.report.inputs) {
            assert_eq!(
                (left.lines, left.rows, left.filtered),
                (right.lines, right.rows, right.filtered),
                "{condition}"
            );
        }
        assert_eq!(plain.report.skipped_row_groups, 0);
        skipped = pushed.report.skipped_row_groups;
    }
    skipped
}

#[test]
fn statistics_change_no_row_and_spare_most_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let properties = in_groups_of(ROWS_PER_GROUP).set_statistics_truncate_length(Some(9));
    write(&path, &varied(600), properties.build());
    let skipped: u64 = CONDITIONS
        .iter()
        .map(|condition| same_with_and_without(&path, condition))
        .sum();
    // Conditions that no statistics help with are few.
    let all = (CONDITIONS.len() * 600 / ROWS_PER_GROUP) as u64;
    assert!(skipped * 2 > all, "{skipped} of {all}");
}

#[test]
fn without_statistics_every_row_group_is_read() {
    use parquet::file::properties::EnabledStatistics;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let properties = in_groups_of(ROWS_PER_GROUP).set_statistics_enabled(EnabledStatistics::None);
    write(&path, &varied(100), properties.build());
    for condition in ["id < 10", "text < 'a'", "double > 1e9"] {
        assert_eq!(same_with_and_without(&path, condition), 0, "{condition}");
    }
}

#[test]
fn one_row_group_of_a_hundred_is_read_and_the_sheet_still_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, &varied(1000), in_groups_of(10).build());
    let table = frame(&path, 2)
        .filter("id = 537")
        .unwrap()
        .compute()
        .unwrap();
    let report = table.report();
    assert_eq!(table.num_rows(), 1);
    assert_eq!((report.rows, report.filtered), (1000, 999));
    assert_eq!(report.skipped_row_groups, 99);
    assert!(
        report.to_string().contains("99 row groups were not read"),
        "{report}"
    );
    let none = frame(&path, 2)
        .filter("id > 1000")
        .unwrap()
        .compute()
        .unwrap();
    assert_eq!(
        (none.num_rows(), none.report().skipped_row_groups),
        (0, 100)
    );
    assert_eq!(none.report().inputs.len(), 1);
}

#[test]
fn files_of_other_types_and_without_the_column_are_judged_by_what_they_become() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        write(&dir.path().join(name), &batch, in_groups_of(2).build());
    };
    of(
        "a.parquet",
        vec![("n", Arc::new(Int64Array::from(vec![1, 2, 3, 1 << 40])))],
    );
    of(
        "b.parquet",
        vec![
            ("n", Arc::new(Int32Array::from(vec![1, 2, 30, 40]))),
            ("m", Arc::new(Int32Array::from(vec![1, 2, 3, 4]))),
        ],
    );
    of(
        "c.parquet",
        vec![(
            "m",
            Arc::new(Float64Array::from(vec![0.5, 3.0, 7.0, f64::NAN])),
        )],
    );
    assert_eq!(same_with_and_without(dir.path(), "n > 20"), 4);
    assert_eq!(same_with_and_without(dir.path(), "n is null"), 4);
    // Bounds leave out NaN, which is above every number.
    assert_eq!(same_with_and_without(dir.path(), "m >= 7"), 4);
    assert_eq!(same_with_and_without(dir.path(), "m is null or n = 40"), 3);
}

#[test]
fn a_row_that_cannot_be_computed_is_met_where_statistics_spare_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, &varied(200), in_groups_of(20).build());
    for (condition, fails) in [
        ("cast(text as int64) = 1 and id = 5", true),
        ("id > 500 and cast(text as int64) = 1", false),
        ("id < 15 and cast(text as int64) = 1", true),
    ] {
        for threads in [1, 2, 5] {
            let filtered = frame(&path, threads).filter(condition).unwrap();
            let pushed = run(&filtered, &[], threads).map(|rows| rows.report.rows);
            let plain = run(&filtered, &["filter_into_scan"], threads).map(|rows| rows.report.rows);
            assert_eq!(pushed.is_err(), fails, "{condition}");
            assert_eq!(
                pushed.map_err(|error| error.to_string()),
                plain.map_err(|error| error.to_string()),
                "{condition}"
            );
        }
    }
}
