//! A filter on column files reads no more than it must, and changes no row.

use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, NullArray, RecordBatch, StringArray,
    StructArray, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use windrow::expr::Expr;
use windrow::io::{ParquetInput, SourceFile};
use windrow::{DataFrame, Session, Settings, Table};

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

/// The same files without statistics, in another folder: there all rows are read.
fn untold(input: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(input).unwrap() {
        let path = entry.unwrap().path();
        let file = std::fs::File::open(&path).unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let schema = Arc::clone(builder.schema());
        let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
        let all = arrow_select::concat::concat_batches(&schema, &batches).unwrap();
        let properties = in_groups_of(100).set_statistics_enabled(EnabledStatistics::None);
        write(
            &dir.path().join(path.file_name().unwrap()),
            &all,
            properties.build(),
        );
    }
    dir
}

fn run(input: &Path, condition: &str, threads: usize) -> windrow::Result<Table> {
    frame(input, threads).filter(condition)?.compute()
}

/// The text of every cell. NaN equals itself, and dictionaries do not show.
fn rows(table: &Table) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    table
        .batches()
        .flat_map(|batch| {
            let columns: Vec<_> = (batch.columns().iter())
                .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
                .collect();
            let cells = |row| {
                columns
                    .iter()
                    .map(move |column| format!("{}|", column.value(row)))
            };
            (0..batch.num_rows())
                .map(|row| cells(row).collect())
                .collect::<Vec<String>>()
        })
        .collect()
}

/// Compares what a filter gives with what it gives where all rows are read,
/// sheets included. Gives the number of row groups that were not read.
fn same_with_and_without(told: &Path, untold: &Path, condition: &str) -> u64 {
    let plain = run(untold, condition, 1).unwrap();
    let sheet = |table: &Table| -> Vec<_> {
        let inputs = table.report().inputs.iter();
        inputs
            .map(|input| (input.lines, input.rows, input.filtered))
            .collect()
    };
    let mut skipped = 0;
    for threads in [1, 2, 5] {
        let table = run(told, condition, threads).unwrap();
        assert_eq!(rows(&table), rows(&plain), "{condition}");
        assert_eq!(sheet(&table), sheet(&plain), "{condition}");
        skipped = table.report().skipped_row_groups;
    }
    skipped
}

#[test]
fn statistics_change_no_row_and_spare_most_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let properties = in_groups_of(ROWS_PER_GROUP).set_statistics_truncate_length(Some(9));
    write(&path, &varied(600), properties.build());
    let plain = untold(dir.path());
    let skipped: u64 = CONDITIONS
        .iter()
        .map(|condition| same_with_and_without(dir.path(), plain.path(), condition))
        .sum();
    // Conditions that no statistics help with are few.
    let all = (CONDITIONS.len() * 600 / ROWS_PER_GROUP) as u64;
    assert!(skipped * 2 > all, "{skipped} of {all}");
}

#[test]
fn bloom_filters_change_no_row_and_spare_row_groups_whose_bounds_leave_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let blooms = in_groups_of(ROWS_PER_GROUP).set_bloom_filter_enabled(true);
    let bounded = blooms.set_statistics_enabled(EnabledStatistics::None);
    write(&path, &varied(600), bounded.build());
    let plain = untold(dir.path());
    let asks = |text: &&&str| text.contains(" = ") || text.contains(" in ");
    for condition in CONDITIONS.iter().filter(asks) {
        same_with_and_without(dir.path(), plain.path(), condition);
    }
    // Of thirty row groups a value lies in one or two, and a filter may err once.
    for (condition, least) in [
        ("id = 333", 28),
        ("id in (1, 2, 555)", 27),
        ("id = 333 and tiny > -200", 28),
        ("id = 333 or id = 17", 27),
        ("uint = 4294967195", 27),
        ("big = 18446744073709551400", 27),
        ("int = -250", 27),
        ("text = 'text é00041 and more'", 27),
        ("s.in = 77", 26),
        ("id = 100000", 29),
        ("id = 10000000000", 29),
        ("tiny = 1000", 29),
    ] {
        let skipped = same_with_and_without(dir.path(), plain.path(), condition);
        assert!(skipped >= least, "{condition}: {skipped}");
    }
    for condition in [
        "id <> 333",
        "id > 333",
        "not (id = 333)",
        "double = 2",
        "money = 10",
    ] {
        let skipped = same_with_and_without(dir.path(), plain.path(), condition);
        assert_eq!(skipped, 0, "{condition}");
    }
}

/// Five rows in a page of most columns, and other numbers in some.
fn in_pages() -> parquet::file::properties::WriterPropertiesBuilder {
    in_groups_of(300)
        .set_data_page_row_count_limit(5)
        .set_write_batch_size(1)
        .set_dictionary_enabled(false)
        .set_column_data_page_size_limit("text".into(), 70)
        .set_column_index_truncate_length(Some(11))
}

#[test]
fn the_index_of_pages_changes_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, &varied(600), in_pages().build());
    let plain = untold(dir.path());
    for condition in CONDITIONS {
        same_with_and_without(dir.path(), plain.path(), condition);
    }
}

#[test]
fn pages_that_leave_no_room_for_the_filter_are_not_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, &varied(600), in_pages().build());
    let input = ParquetInput::open(&SourceFile::at(path.to_str().unwrap(), 0).unwrap()).unwrap();
    let passed = |condition: &str| {
        let schema = input.schema();
        let bound = Expr::parse(condition).unwrap().bind(schema).unwrap();
        // Of the filter's own columns nothing is left to decode later.
        let columns = Some(bound.root_columns());
        let mut batches = input
            .read_matching(0, columns, 1024, &bound, schema)
            .unwrap();
        let before = batches.rows_passed();
        let rows: usize = batches
            .by_ref()
            .map(|batch| batch.unwrap().num_rows())
            .sum();
        assert_eq!(rows as u64 + batches.rows_passed(), 300, "{condition}");
        before
    };
    assert_eq!(passed("id = 17"), 295);
    assert_eq!(passed("id < 7 or id > 296"), 285);
    assert_eq!(passed("id >= 0"), 0);
    assert_eq!(passed("lower(text) = 'x'"), 0);
    assert_eq!(passed("id > 1000"), 300);
    assert!(passed("text = 'text é00041 and more'") > 200);
    // Pages of two columns end at different rows.
    assert!(passed("id < 50 and text > 'text é0004'") > 240);
}

#[test]
fn other_columns_are_decoded_of_rows_that_pass_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, &varied(600), in_groups_of(600).build());
    let input = ParquetInput::open(&SourceFile::at(path.to_str().unwrap(), 0).unwrap()).unwrap();
    let schema = input.schema();
    for condition in CONDITIONS {
        let bound = Expr::parse(condition).unwrap().bind(schema).unwrap();
        if bound.may_fail() || bound.root_columns().is_empty() {
            continue;
        }
        let whole: Vec<_> = input.read_row_group(0, None, 600).unwrap().collect();
        let whole = whole[0].as_ref().unwrap();
        let mask = bound.mask(whole).unwrap();
        let want = arrow_select::filter::filter_record_batch(whole, &mask).unwrap();
        for batch_rows in [7, 64, 1000] {
            let mut found = input
                .read_matching(0, None, batch_rows, &bound, schema)
                .unwrap();
            let batches: Vec<_> = found.by_ref().map(Result::unwrap).collect();
            let decoded = 600 - found.rows_passed();
            let read = match batches.first() {
                Some(first) => {
                    arrow_select::concat::concat_batches(&first.schema(), &batches).unwrap()
                }
                None => RecordBatch::new_empty(whole.schema()),
            };
            assert_eq!(decoded, want.num_rows() as u64, "{condition}");
            assert_eq!(read, want, "{condition}");
        }
    }
}

#[test]
fn a_damaged_index_of_pages_costs_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(&path, &varied(300), in_pages().build());
    let metadata = {
        let input = ParquetInput::open(&SourceFile::at(path.to_str().unwrap(), 0).unwrap());
        Arc::clone(input.unwrap().metadata())
    };
    let whole = std::fs::read(&path).unwrap();
    let chunk = metadata.row_group(0).column(0);
    for (offset, length) in [
        (chunk.column_index_offset(), chunk.column_index_length()),
        (chunk.offset_index_offset(), chunk.offset_index_length()),
    ] {
        let (at, length) = (offset.unwrap() as usize, length.unwrap() as usize);
        for fill in [0, 0x19, 0xff] {
            let mut damaged = whole.clone();
            damaged[at..at + length].fill(fill);
            std::fs::write(&path, damaged).unwrap();
            let table = frame(&path, 2)
                .filter("id = 17")
                .unwrap()
                .compute()
                .unwrap();
            assert_eq!(table.num_rows(), 1);
        }
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
    let plain = untold(dir.path());
    assert_eq!(same_with_and_without(dir.path(), plain.path(), "n > 20"), 4);
    assert_eq!(
        same_with_and_without(dir.path(), plain.path(), "n is null"),
        4
    );
    // Bounds leave out NaN, which is above every number.
    assert_eq!(same_with_and_without(dir.path(), plain.path(), "m >= 7"), 4);
    assert_eq!(
        same_with_and_without(dir.path(), plain.path(), "m is null or n = 40"),
        3
    );
}

#[test]
fn a_row_that_cannot_be_computed_is_met_where_statistics_spare_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(
        &path,
        &varied(200),
        in_pages().set_max_row_group_row_count(Some(20)).build(),
    );
    let plain = untold(dir.path());
    for (condition, fails) in [
        ("cast(text as int64) = 1 and id = 5", true),
        ("id > 100 and id < 131 and cast(text as int64) = 1", true),
        ("id = 109 and cast(text as int64) = 1", true),
        ("id > 500 and cast(text as int64) = 1", false),
        ("id < 15 and cast(text as int64) = 1", true),
    ] {
        // The file has another folder, and its row the same number.
        let told = |result: windrow::Result<Table>, dir: &Path| match result {
            Ok(table) => Ok(table.num_rows()),
            Err(error) => Err(error.to_string().replace(dir.to_str().unwrap(), "")),
        };
        let expected = told(run(plain.path(), condition, 1), plain.path());
        assert_eq!(expected.is_err(), fails, "{condition}");
        for threads in [1, 2, 5] {
            let result = told(run(dir.path(), condition, threads), dir.path());
            assert_eq!(result, expected, "{condition}");
        }
    }
}
