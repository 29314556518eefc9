//! Folders named after values give columns, and a filter on them opens no file
//! that it leaves out.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use windrow::{ColumnOptions, DataFrame, Session, Settings, Table, WriteOptions};

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    if path.extension().is_some_and(|name| name == "arrow") {
        let schema = batch.schema();
        let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &schema).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        return;
    }
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// Four files of two rows each, below folders of three names.
fn tree(suffix: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut row = 0;
    for folders in [
        "day=2026-01-05/n=7/t=a%2Fb",
        "day=2026-01-05/n=12/t=",
        "day=2026-01-06/n=12/t=__HIVE_DEFAULT_PARTITION__",
        "day=2026-01-07/n=__HIVE_DEFAULT_PARTITION__/t=07",
    ] {
        let path = dir.path().join(folders).join(format!("x.{suffix}"));
        write(&path, vec![("id", ints(&[row, row + 1]))]);
        row += 2;
    }
    dir
}

fn session() -> Session {
    Session::new(Settings {
        threads: 2,
        ..Settings::default()
    })
}

fn read(dir: &Path, options: ColumnOptions) -> windrow::Result<DataFrame> {
    session().read_parquet_with(dir.to_str().unwrap(), options)
}

fn types(frame: &DataFrame) -> Vec<String> {
    let schema = frame.schema().unwrap();
    let fields = schema.fields().iter();
    fields
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect()
}

fn rows(table: &Table) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::new();
    for batch in table.batches() {
        let columns: Vec<_> = (batch.columns().iter())
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = (columns.iter())
                .map(|column| column.value(row).to_string())
                .collect();
            rows.push(cells.join("|"));
        }
    }
    rows
}

const ALL: [&str; 8] = [
    "0|2026-01-05|7|a/b",
    "1|2026-01-05|7|a/b",
    "2|2026-01-05|12|",
    "3|2026-01-05|12|",
    "4|2026-01-06|12|null",
    "5|2026-01-06|12|null",
    "6|2026-01-07|null|07",
    "7|2026-01-07|null|07",
];

#[test]
fn folders_give_columns_of_the_types_that_all_their_values_have() {
    for suffix in ["parquet", "arrow"] {
        let dir = tree(suffix);
        let input = dir.path().to_str().unwrap();
        let frame = match suffix {
            "arrow" => session().read_ipc(input).unwrap(),
            _ => session().read_parquet(input).unwrap(),
        };
        // The folders are walked in the byte order of their paths: n=12 before n=7.
        assert_eq!(
            types(&frame),
            ["id Int64", "day Date32", "n Int64", "t Utf8"]
        );
        let mut found = rows(&frame.compute().unwrap());
        found.sort();
        assert_eq!(found, ALL);
    }
}

#[test]
fn a_filter_on_folders_opens_no_file_that_it_leaves_out() {
    for suffix in ["parquet", "arrow"] {
        let dir = tree(suffix);
        let input = dir.path().to_str().unwrap();
        for (condition, files) in [
            ("day = '2026-01-06'", 1),
            ("day >= '2026-01-06' and n = 12", 1),
            ("n = 12", 2),
            ("n > 7 or id = 0", 4),
            ("n is null", 1),
            ("n is not null", 3),
            ("t = ''", 1),
            ("t is null or t like 'a%'", 2),
            ("t = '07'", 1),
            ("day < '2020-01-01'", 0),
            ("id = 5", 4),
        ] {
            let session = session();
            let frame = match suffix {
                "arrow" => session.read_ipc(input).unwrap(),
                _ => session.read_parquet(input).unwrap(),
            };
            let table = frame.filter(condition).unwrap().compute().unwrap();
            let whole = frame.compute().unwrap();
            let schema = whole.schema();
            let batches: Vec<RecordBatch> = whole.batches().cloned().collect();
            let whole = Session::default().from_batches(schema.clone(), batches);
            let want = whole.unwrap().filter(condition).unwrap().compute().unwrap();
            assert_eq!(rows(&table), rows(&want), "{condition}");
            assert_eq!(table.report().skipped_files, 4 - files, "{condition}");
            assert_eq!(table.report().inputs.len(), 4);
        }
    }
}

#[test]
fn files_below_folders_that_a_filter_leaves_out_need_not_even_be_whole() {
    let dir = tree("parquet");
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("day", DataType::Date32, true),
    ]);
    let options = ColumnOptions {
        schema: Some(Arc::new(schema)),
        ..ColumnOptions::default()
    };
    let damaged = dir.path().join("day=2026-01-05/n=7/t=a%2Fb/x.parquet");
    std::fs::write(damaged, "no file of columns").unwrap();
    assert!(
        session()
            .read_parquet(dir.path().to_str().unwrap())
            .is_err()
    );
    let frame = read(dir.path(), options).unwrap();
    assert_eq!(
        types(&frame),
        ["id Int64", "day Date32", "n Int64", "t Utf8"]
    );
    let some = frame.filter("day > '2026-01-05'").unwrap();
    assert_eq!(rows(&some.compute().unwrap()), ALL[4..]);
    assert!(frame.compute().is_err());
}

#[test]
fn folders_can_be_left_alone_and_paths_be_shown() {
    let dir = tree("parquet");
    let options = ColumnOptions {
        hive_folders: false,
        include_path: Some("file".into()),
        ..ColumnOptions::default()
    };
    let frame = read(dir.path(), options).unwrap();
    assert_eq!(types(&frame), ["id Int64", "file Dictionary(Int32, Utf8)"]);
    let one = frame.filter("file like '%2026-01-06%'").unwrap();
    let table = one.compute().unwrap();
    assert_eq!(table.report().skipped_files, 0);
    let found = rows(&table);
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("4|") && found[0].ends_with("x.parquet"));
    let options = ColumnOptions {
        include_path: Some("id".into()),
        ..ColumnOptions::default()
    };
    let error = read(dir.path(), options).unwrap_err().to_string();
    assert!(error.contains("\"id\""), "{error}");
}

#[test]
fn a_column_of_the_file_itself_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write(
        &path("n=1/a.parquet"),
        vec![("id", ints(&[0])), ("n", ints(&[100]))],
    );
    write(&path("n=2/b.parquet"), vec![("id", ints(&[1]))]);
    write(
        &path("n=3/c.parquet"),
        vec![
            ("id", ints(&[2])),
            ("n", Arc::new(Int32Array::from(vec![300]))),
        ],
    );
    let frame = read(dir.path(), ColumnOptions::default()).unwrap();
    assert_eq!(types(&frame), ["id Int64", "n Int64"]);
    assert_eq!(rows(&frame.compute().unwrap()), ["0|100", "1|2", "2|300"]);
    for (condition, want) in [("n = 100", "0|100"), ("n = 2", "1|2"), ("n > 200", "2|300")] {
        let table = frame.filter(condition).unwrap().compute().unwrap();
        assert_eq!(rows(&table), [want]);
    }
    // Types that do not meet are refused, with the file and its folder.
    write(
        &path("n=4/d.parquet"),
        vec![
            ("id", ints(&[3])),
            ("n", Arc::new(StringArray::from(vec!["x"]))),
        ],
    );
    let error = read(dir.path(), ColumnOptions::default()).unwrap_err();
    assert!(error.to_string().contains("d.parquet"), "{error}");
    // Every file has the column: what the folders say is of no interest.
    let all = tempfile::tempdir().unwrap();
    write(&all.path().join("n=x/a.parquet"), vec![("n", ints(&[1]))]);
    let frame = read(all.path(), ColumnOptions::default()).unwrap();
    assert_eq!(rows(&frame.compute().unwrap()), ["1"]);
}

#[test]
fn what_is_written_by_folders_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let batch = RecordBatch::try_from_iter([
        ("id", ints(&[0, 1, 2, 3, 4, 5])),
        (
            "k",
            Arc::new(StringArray::from(vec![
                Some("plain"),
                Some("a/b=c%"),
                None,
                Some(""),
                Some(".."),
                Some("__HIVE_DEFAULT_PARTITION__"),
            ])) as ArrayRef,
        ),
        (
            "n",
            Arc::new(Int64Array::from(vec![
                Some(-1),
                Some(0),
                None,
                Some(i64::MAX),
                Some(i64::MIN),
                Some(7),
            ])),
        ),
    ])
    .unwrap();
    let schema = batch.schema();
    let frame = session().from_batches(schema, [batch]).unwrap();
    let out = dir.path().join("out");
    let options = WriteOptions {
        partition_on: vec!["k".into(), "n".into()],
        ..WriteOptions::new(&out)
    };
    frame.write(&options).unwrap();
    let back = read(&out, ColumnOptions::default()).unwrap();
    assert_eq!(types(&back), ["id Int64", "k Utf8", "n Int64"]);
    let mut found = rows(&back.compute().unwrap());
    found.sort();
    assert_eq!(found, rows(&frame.compute().unwrap()));
}

#[test]
fn a_given_schema_says_what_columns_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let small: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    write(
        &path("n=1/a.parquet"),
        vec![("id", small), ("x", ints(&[9]))],
    );
    let text: ArrayRef = Arc::new(StringArray::from(vec!["y"]));
    write(&path("n=2/b.parquet"), vec![("y", text)]);
    let with = |fields: Vec<Field>| ColumnOptions {
        schema: Some(Arc::new(Schema::new(fields))),
        ..ColumnOptions::default()
    };
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let options = with(vec![
        field("new", DataType::Boolean),
        field("id", DataType::Float64),
        field("n", DataType::Utf8),
    ]);
    let frame = read(dir.path(), options).unwrap();
    assert_eq!(
        rows(&frame.compute().unwrap()),
        ["null|1.0|1", "null|null|2"]
    );
    let narrow = read(dir.path(), with(vec![field("x", DataType::Int32)])).unwrap();
    let error = narrow.compute().unwrap_err().to_string();
    assert!(
        error.contains("a.parquet") && error.contains("Int32"),
        "{error}"
    );
    let options = with(vec![
        field("n", DataType::Boolean),
        field("y", DataType::Utf8),
    ]);
    let frame = read(dir.path(), options).unwrap();
    assert_eq!(rows(&frame.compute().unwrap()), ["true|null", "true|y"]);
}
