//! Promise: what is written as CSV reads back as it was, whatever the layout,
//! codec and types; and what cannot be is refused before anything is written.

mod cli_common;

use std::path::Path;
use std::sync::Arc;

use cli_common::{gzipped, put, windrow};
use windrow::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use windrow::inspect::cells;
use windrow::{
    By, ByteSize, Codec, CsvStyle, DataFrame, Existing, Format, ReadOptions, Session, Settings,
    WriteOptions, verify,
};

fn session() -> Session {
    Session::new(Settings {
        threads: 2,
        ..Settings::default()
    })
}

fn table(frame: &DataFrame) -> (Vec<String>, Vec<Vec<String>>) {
    let table = frame.compute().unwrap();
    let fields = table.schema().fields().clone();
    let names = fields
        .iter()
        .map(|field| format!("{}:{}", field.name(), field.data_type()));
    let mut rows = Vec::new();
    for batch in table.batches() {
        let columns: Vec<Vec<String>> = batch
            .columns()
            .iter()
            .map(|column| cells(column.as_ref()).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column[row].clone()).collect());
        }
    }
    (names.collect(), rows)
}

fn csv_to(dir: &Path) -> WriteOptions {
    WriteOptions {
        format: Format::Csv,
        ..WriteOptions::new(dir)
    }
}

/// Flat columns with all that makes text hard to read back.
fn frame() -> DataFrame {
    let n = 3000;
    let texts = [
        "plain",
        "",
        "a,b",
        "two\nlines",
        "\"",
        "\r\n",
        " x ",
        "NA",
        "é",
        "7",
        "1.50",
    ];
    let text = (0..n).map(|row| (row % 13 != 5).then(|| texts[row % texts.len()]));
    let floats = (0..n).map(|row| (row % 7 != 0).then(|| row as f64 / 8.0 * 1e-5));
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "id",
            Arc::new(Int64Array::from_iter_values(-5..n as i64 - 5)),
        ),
        ("text, quoted", Arc::new(StringArray::from_iter(text))),
        ("float", Arc::new(Float64Array::from_iter(floats))),
        (
            "yes",
            Arc::new(BooleanArray::from_iter(
                (0..n).map(|row| Some(row % 2 == 0)),
            )),
        ),
        (
            "big",
            Arc::new(UInt64Array::from_iter_values(
                (0..n as u64).map(|row| u64::MAX - row),
            )),
        ),
    ];
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    session().from_batches(batch.schema(), [batch]).unwrap()
}

#[test]
fn flat_tables_come_back_in_every_codec_and_layout() {
    let dir = tempfile::tempdir().unwrap();
    let expected = table(&frame());
    for (idx, codec) in [None, Some(Codec::Gzip(1)), Some(Codec::Zstd(1))]
        .into_iter()
        .enumerate()
    {
        for (parts, csv) in [
            (1, CsvStyle::default()),
            (
                4,
                CsvStyle {
                    delimiter: b'\t',
                    ..CsvStyle::default()
                },
            ),
        ] {
            let to = dir.path().join(format!("{idx}-{parts}"));
            let options = WriteOptions {
                codec,
                csv,
                ..csv_to(&to)
            };
            let report = frame()
                .repartition(By::Count(parts))
                .unwrap()
                .write(&options)
                .unwrap();
            assert_eq!(report.outputs.len(), parts);
            let back = session()
                .read(to.to_str().unwrap(), ReadOptions::default())
                .unwrap();
            assert_eq!(back.format(), Some(windrow::FileFormat::Csv));
            assert_eq!(table(&back), expected, "{codec:?}, {parts} parts");
            let verified = verify(&to).unwrap();
            assert!(verified.is_ok(), "{verified}");
        }
    }
}

#[test]
fn another_reader_finds_the_same_fields() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    let csv = CsvStyle {
        null: "NA".into(),
        ..CsvStyle::default()
    };
    frame().write(&WriteOptions { csv, ..csv_to(&to) }).unwrap();
    let mut other = csv::Reader::from_path(to.join("part-000000.csv")).unwrap();
    assert_eq!(
        other.headers().unwrap(),
        vec!["id", "text, quoted", "float", "yes", "big"]
    );
    let records: Vec<csv::StringRecord> = other.records().map(|record| record.unwrap()).collect();
    let rows = table(&frame()).1;
    assert_eq!(records.len(), rows.len());
    for (record, row) in records.iter().zip(&rows) {
        for (found, cell) in record.iter().zip(row) {
            let same_number = found.parse::<f64>().is_ok_and(|n| Ok(n) == cell.parse());
            assert!(found == cell || same_number || (found, cell.as_str()) == ("NA", "null"));
        }
    }
    let back = ReadOptions {
        csv: windrow::CsvOptions {
            nulls: vec!["NA".into()],
            ..Default::default()
        },
        ..ReadOptions::default()
    };
    let back = session().read_csv(to.to_str().unwrap(), back).unwrap();
    assert_eq!(table(&back).1, rows);
}

/// A log in which types widen again and again, behind what a first look sees.
fn widening(rows: usize) -> String {
    let mut text = String::from("id,price,flag,code\n");
    for id in 0..rows {
        let (third, last) = (id > rows / 3, id > rows * 2 / 3);
        let price = match (third, last) {
            (_, true) if id % 50 == 0 => format!("v{id}"),
            (true, _) => format!("{}.{:02}", id % 90, id % 100),
            _ => format!("{}.50", id % 10),
        };
        let flag = if last && id % 99 == 0 {
            "maybe"
        } else if third {
            "TRUE"
        } else {
            ""
        };
        let code = if last {
            format!("{id:07}")
        } else {
            format!("{}", id * 11)
        };
        text += &format!("{id},{price},{flag},{code}\n");
    }
    text
}

#[test]
fn fields_come_back_as_they_were_though_their_columns_turn_into_text() {
    let dir = tempfile::tempdir().unwrap();
    let text = widening(30_000);
    std::fs::write(dir.path().join("a.csv.gz"), gzipped(text.as_bytes())).unwrap();
    let input = dir.path().join("a.csv.gz");
    let mut other = csv::Reader::from_reader(text.as_bytes());
    let expected: Vec<csv::StringRecord> = other.records().map(|record| record.unwrap()).collect();
    for (idx, format) in [Format::Parquet, Format::Csv].into_iter().enumerate() {
        for blocksize in [60_000, 1 << 40] {
            let to = dir.path().join(format!("{idx}-{blocksize}"));
            let read = ReadOptions {
                blocksize: Some(ByteSize::new(blocksize)),
                ..ReadOptions::default()
            };
            let written = session()
                .read_csv(input.to_str().unwrap(), read)
                .unwrap()
                .write(&WriteOptions {
                    format,
                    ..WriteOptions::new(&to)
                })
                .unwrap();
            assert_eq!(written.rows, 30_000);
            assert!(blocksize > 1 << 30 || written.rewritten_parts > 1);
            let back = table(
                &session()
                    .read(to.to_str().unwrap(), ReadOptions::default())
                    .unwrap(),
            );
            assert_eq!(back.0[1..], ["price:Utf8", "flag:Utf8", "code:Utf8"]);
            for (row, record) in back.1.iter().zip(&expected) {
                for (cell, field) in row.iter().zip(record) {
                    let cell = if cell == "null" { "" } else { cell };
                    assert_eq!(cell, field, "{format}, {blocksize}");
                }
            }
        }
    }
}

#[test]
fn a_null_in_a_table_of_one_column_came_back_as_the_empty_text() {
    let dir = tempfile::tempdir().unwrap();
    let lines = "{\"a\":null}\n{\"a\":\"\"}\n{\"a\":\"x\"}\n{\"a\":null}\n";
    let input = put(&dir.path().join("a.json"), lines);
    let cells = |frame: &DataFrame| -> Vec<String> {
        table(frame)
            .1
            .into_iter()
            .map(|row| row[0].clone())
            .collect()
    };
    let frame = session()
        .read_json(input.to_str().unwrap(), ReadOptions::default())
        .unwrap();
    assert_eq!(cells(&frame), ["null", "", "x", "null"]);
    let to = dir.path().join("out");
    frame.write(&csv_to(&to)).unwrap();
    for blocksize in [1, 3, 1 << 20] {
        let read = ReadOptions {
            blocksize: Some(ByteSize::new(blocksize)),
            ..ReadOptions::default()
        };
        let back = session().read(to.to_str().unwrap(), read).unwrap();
        assert_eq!(cells(&back), ["null", "", "x", "null"], "{blocksize}");
    }
}

#[test]
fn one_column_with_nulls_keeps_its_rows_while_types_widen() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("a,b\n");
    for id in 0..40_000 {
        let value = match id {
            _ if id % 3 == 0 => String::new(),
            39_000.. => format!("x{id}"),
            _ => id.to_string(),
        };
        text += &format!("{value},some text to fill the line\n");
    }
    let input = put(&dir.path().join("a.csv"), &text);
    let read = ReadOptions {
        blocksize: Some(ByteSize::new(10_000)),
        ..ReadOptions::default()
    };
    let to = dir.path().join("out");
    let frame = session().read_csv(input.to_str().unwrap(), read).unwrap();
    let report = frame.select(["a"]).unwrap().write(&csv_to(&to)).unwrap();
    assert!(report.rewritten_parts > 0);
    let back = table(
        &session()
            .read(to.to_str().unwrap(), ReadOptions::default())
            .unwrap(),
    )
    .1;
    assert_eq!(back.len(), 40_000);
    assert_eq!(
        (
            back[0][0].as_str(),
            back[1][0].as_str(),
            back[39_998][0].as_str()
        ),
        ("null", "1", "x39998")
    );
}

#[test]
fn nested_columns_are_refused_by_name_or_written_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for id in 0..3000 {
        let more = if id > 2000 { ",\"z\":\"q\"" } else { "" };
        lines += &format!(
            "{{\"id\":{id},\"net\":{{\"ip\":\"10.0.0.1\",\"port\":{id}{more}}},\"tags\":[\"a,b\",\"c\"]}}\n"
        );
    }
    let input = put(&dir.path().join("a.json"), &lines);
    let frame = session()
        .read_json(
            input.to_str().unwrap(),
            ReadOptions {
                blocksize: Some(ByteSize::new(20_000)),
                ..ReadOptions::default()
            },
        )
        .unwrap();
    let to = dir.path().join("out");
    let error = frame.to_csv(&to).unwrap_err().to_string();
    assert!(
        error.contains("\"net\"") && error.contains("nested-as-json"),
        "{error}"
    );
    assert!(!to.exists());
    let csv = CsvStyle {
        nested_as_json: true,
        ..CsvStyle::default()
    };
    frame.write(&WriteOptions { csv, ..csv_to(&to) }).unwrap();
    let back = table(
        &session()
            .read(to.to_str().unwrap(), ReadOptions::default())
            .unwrap(),
    );
    assert_eq!(back.0, ["id:Int64", "net:Utf8", "tags:Utf8"]);
    assert_eq!(
        back.1[7],
        ["7", "{\"ip\":\"10.0.0.1\",\"port\":7}", "[\"a,b\",\"c\"]"]
    );
    assert_eq!(
        back.1[2999][1],
        "{\"ip\":\"10.0.0.1\",\"port\":2999,\"z\":\"q\"}"
    );
}

#[test]
fn an_append_goes_on_with_the_types_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let one = put(&dir.path().join("one.csv"), "id,name\n1,x\n2,\n");
    let two = put(&dir.path().join("two.csv"), "id,name\n3,7\n");
    let bad = put(&dir.path().join("bad.csv"), "id,name\nx,y\n");
    let to = dir.path().join("out");
    let read = |path: &Path| {
        session()
            .read_csv(path.to_str().unwrap(), ReadOptions::default())
            .unwrap()
    };
    read(&one).to_csv(&to).unwrap();
    let append = WriteOptions {
        existing: Existing::Append,
        ..csv_to(&to)
    };
    read(&two).write(&append).unwrap();
    assert!(
        read(&bad)
            .write(&append)
            .unwrap_err()
            .to_string()
            .contains("is not Int64")
    );
    // Files with other delimiters or nulls could not be read as one table.
    let mut other = append.clone();
    other.csv.delimiter = b';';
    let error = read(&two).write(&other).unwrap_err().to_string();
    assert!(
        error.contains("',' between fields") && error.contains("';'"),
        "{error}"
    );
    other.csv = CsvStyle {
        null: "NA".into(),
        ..CsvStyle::default()
    };
    let error = read(&two).write(&other).unwrap_err().to_string();
    assert!(error.contains("\"NA\" for nulls"), "{error}");
    let back = table(
        &session()
            .read(to.to_str().unwrap(), ReadOptions::default())
            .unwrap(),
    );
    assert_eq!(back.1, [["1", "x"], ["2", "null"], ["3", "7"]]);
    assert!(verify(&to).unwrap().is_ok());
    // A part that lost a record is found out.
    std::fs::write(to.join("part-000001.csv"), "id,name\n").unwrap();
    assert!(!verify(&to).unwrap().is_ok());
}

#[test]
fn times_are_written_as_a_schema_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let at: ArrayRef = Arc::new(
        TimestampMillisecondArray::from(vec![Some(1_700_000_000_123), None]).with_timezone("UTC"),
    );
    let n: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch =
        RecordBatch::try_from_iter_with_nullable([("at", at, true), ("n", n, true)]).unwrap();
    let frame = session()
        .from_batches(batch.schema(), [batch.clone()])
        .unwrap();
    frame.to_csv(dir.path().join("out")).unwrap();
    let text = std::fs::read_to_string(dir.path().join("out/part-000000.csv")).unwrap();
    assert_eq!(text, "at,n\n2023-11-14T22:13:20.123Z,1\n,2\n");
    let read = ReadOptions {
        schema: Some(batch.schema()),
        ..ReadOptions::default()
    };
    let back = session()
        .read_csv(dir.path().join("out").to_str().unwrap(), read)
        .unwrap();
    assert_eq!(table(&back), table(&frame));
}

#[test]
fn the_command_writes_csv() {
    let dir = tempfile::tempdir().unwrap();
    put(
        &dir.path().join("a.json"),
        "{\"id\":1,\"s\":\"a;b\"}\n{\"id\":2}\n",
    );
    let run = |args: &[&str]| windrow(dir.path(), args);
    run(&[
        "convert",
        "a.json",
        "--to",
        "out",
        "--format",
        "csv",
        "--write-delimiter",
        ";",
        "--write-null",
        "NULL",
    ])
    .expect(0);
    let text = std::fs::read_to_string(dir.path().join("out/part-000000.csv")).unwrap();
    assert_eq!(text, "id;s\n1;\"a;b\"\n2;NULL\n");
    run(&["verify", "out"]).expect(0);
    run(&[
        "convert",
        "a.json",
        "--to",
        "gz",
        "--format",
        "csv",
        "--compression",
        "gzip",
    ])
    .expect(0);
    assert!(dir.path().join("gz/part-000000.csv.gz").exists());
    let wrong = run(&["convert", "a.json", "--to", "x", "--write-null", "NULL"]).expect(2);
    assert!(wrong.stderr.contains("write-null"), "{}", wrong.stderr);
    run(&[
        "convert",
        "a.json",
        "--to",
        "x",
        "--format",
        "csv",
        "--write-null",
        "a\"b",
    ])
    .expect(2);
    run(&[
        "convert",
        "a.json",
        "--to",
        "e",
        "--format",
        "csv",
        "--where",
        "id > 5",
        "--schema-file-if-empty",
    ])
    .expect(0);
    assert_eq!(
        std::fs::read_to_string(dir.path().join("e/part-000000.csv")).unwrap(),
        "id,s\n"
    );
}
