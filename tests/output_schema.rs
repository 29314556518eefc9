//! What is written has the columns that were asked for, exactly, or is not
//! written; and part files have the names that were asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::arrow::schema::{DataType, Field, Schema, SchemaRef};
use windrow::prelude::*;
use windrow::sink::{Manifest, verify};
use windrow::{Error, Existing, Format, PartName};

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

fn schema(fields: &[(&str, DataType, bool)]) -> SchemaRef {
    let fields = fields.iter();
    let fields = fields.map(|(name, of, nullable)| Field::new(*name, of.clone(), *nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn frame(threads: usize) -> DataFrame {
    let n: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(120), Some(-7)]));
    let user: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a", "c"]));
    let batch = RecordBatch::try_from_iter([("n", n), ("user", user)]).unwrap();
    session(threads)
        .from_batches(batch.schema(), [batch])
        .unwrap()
}

fn rows_of(report: &RunReport) -> u64 {
    report.outputs.iter().map(|part| part.rows).sum()
}

fn options(dir: &Path, format: Format, schema: &SchemaRef) -> WriteOptions {
    WriteOptions {
        format,
        schema: Some(Arc::clone(schema)),
        ..WriteOptions::new(dir)
    }
}

#[test]
fn columns_are_cast_put_in_order_and_filled_with_nulls_in_every_format() {
    let given = schema(&[
        ("more", DataType::Float64, true),
        ("user", DataType::Utf8, false),
        ("n", DataType::Int8, true),
    ]);
    for threads in [1, 2, 5] {
        for format in [Format::Parquet, Format::Ipc, Format::Json, Format::Csv] {
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("out");
            let report = frame(threads)
                .write(&options(&out, format, &given))
                .unwrap();
            assert_eq!(rows_of(&report), 4);
            let session = session(threads);
            let read = match format {
                Format::Parquet => session.read_parquet(&out),
                Format::Ipc => session.read_ipc(&out),
                Format::Json => session.read_json(&out, ReadOptions::default()),
                Format::Csv => session.read_csv(&out, ReadOptions::default()),
            };
            let read = read.unwrap();
            if let Format::Parquet | Format::Ipc = format {
                assert_eq!(read.schema().unwrap().fields(), given.fields(), "{format}");
            }
            // A null is no key in JSON, so that a column of nulls is none.
            let (names, first) = match format {
                Format::Json => (&["user", "n"][..], ["", "", ""]),
                _ => (&["more", "user", "n"][..], ["more  ", "----  ", "null  "]),
            };
            let table = read
                .select(names.iter().copied())
                .unwrap()
                .compute()
                .unwrap();
            let [name, rule, null] = first;
            let wanted = format!(
                "{name}user  n\n{rule}----  ----\n{null}a     3\n{null}b     null\n{null}a     120\n{null}c     -7\n4 rows"
            );
            assert_eq!(table.to_string(), wanted, "{format}");
            let manifest = Manifest::read(&out).unwrap().unwrap();
            assert_eq!(manifest.schema.len(), 3, "{format}");
            assert!(verify(&out).unwrap().is_ok(), "{format}");
        }
    }
}

#[test]
fn what_a_schema_does_not_hold_is_an_error_and_nothing_is_written() {
    let n = |of: DataType, nullable| ("n", of, nullable);
    let user = || ("user", DataType::Utf8, true);
    for (given, reason) in [
        (
            schema(&[n(DataType::Int64, true), ("usr", DataType::Utf8, true)]),
            "\"user\" is not in the schema of the output: leave it out, or add it there; did you mean \"usr\"?",
        ),
        (schema(&[user()]), "\"n\" is not in the schema"),
        (schema(&[user(), n(DataType::UInt8, true)]), "column \"n\""),
        (
            schema(&[user(), n(DataType::Int64, false)]),
            "column \"n\" has a null",
        ),
        (
            schema(&[
                user(),
                n(DataType::Int64, true),
                ("x", DataType::Utf8, false),
            ]),
            "no column \"x\"",
        ),
        (
            schema(&[("user", DataType::Int64, true), n(DataType::Int64, true)]),
            "column \"user\"",
        ),
    ] {
        for threads in [1, 2] {
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("out");
            let error = frame(threads)
                .write(&options(&out, Format::Parquet, &given))
                .unwrap_err();
            assert!(error.to_string().contains(reason), "{error}: {reason}");
            assert!(!out.exists(), "{error}");
        }
    }
    let given = schema(&[user()]);
    let planned = frame(1).plan_write(options(Path::new("out"), Format::Parquet, &given));
    assert!(matches!(planned, Err(Error::Plan { .. })));
}

#[test]
fn columns_that_text_brings_late_are_in_the_schema_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("late.json");
    let mut text: String = (0..5000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    text.push_str("{\"n\":1.5,\"late\":true}\n");
    std::fs::write(&path, &text).unwrap();
    for threads in [1, 2, 5] {
        let read = ReadOptions {
            blocksize: Some(ByteSize::new(900)),
            ..ReadOptions::default()
        };
        let logs = session(threads).read_json(&path, read).unwrap();
        let given = schema(&[
            ("late", DataType::Boolean, true),
            ("n", DataType::Float64, true),
        ]);
        let out = dir.path().join(format!("out-{threads}"));
        let report = logs.write(&options(&out, Format::Parquet, &given)).unwrap();
        assert_eq!((rows_of(&report), report.rewritten_parts), (5001, 0));
        let back = session(threads).read_parquet(&out).unwrap();
        assert_eq!(back.schema().unwrap().fields(), given.fields());
        assert_eq!(
            back.filter("late")
                .unwrap()
                .agg([col("n").sum()])
                .unwrap()
                .compute()
                .unwrap()
                .to_string()
                .lines()
                .nth(2),
            Some("1.5")
        );
        for (given, reason) in [
            (
                schema(&[("n", DataType::Float64, true)]),
                "\"late\" is not in the schema",
            ),
            (
                schema(&[
                    ("n", DataType::Int64, true),
                    ("late", DataType::Boolean, true),
                ]),
                "column \"n\"",
            ),
        ] {
            let out = dir.path().join("refused");
            let error = logs
                .write(&options(&out, Format::Parquet, &given))
                .unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!out.exists());
        }
    }
}

#[test]
fn folders_and_sorted_rows_keep_the_given_types() {
    let dir = tempfile::tempdir().unwrap();
    let given = schema(&[("n", DataType::Int16, true), ("user", DataType::Utf8, true)]);
    let out = dir.path().join("folders");
    let with_folders = WriteOptions {
        partition_on: vec!["user".into()],
        ..options(&out, Format::Parquet, &given)
    };
    frame(2).write(&with_folders).unwrap();
    let back = session(2).read_parquet(&out).unwrap();
    assert_eq!(back.schema().unwrap().field(0), given.field(0));
    assert_eq!(back.filter("user = 'a'").unwrap().count().unwrap(), 2);
    // Numbers as text stand in another order.
    for (of, sorted) in [(DataType::Int64, true), (DataType::Utf8, false)] {
        let out = dir.path().join(format!("sorted-{of}"));
        let given = schema(&[("n", of, true), ("user", DataType::Utf8, true)]);
        let by_n = frame(2).set_index("n").unwrap();
        by_n.write(&options(&out, Format::Parquet, &given)).unwrap();
        let manifest = Manifest::read(&out).unwrap().unwrap();
        assert_eq!(manifest.runs[0].options.get("sorted_by").is_some(), sorted);
    }
}

/// Files below a folder that are no manifest, by name.
fn files(dir: &Path) -> Vec<PathBuf> {
    let files = windrow_walk(dir).into_iter();
    let mut files: Vec<PathBuf> = files
        .filter(|path| !path.ends_with("_windrow.json"))
        .collect();
    files.sort();
    files
}

fn windrow_walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(windrow_walk(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn part_files_have_the_names_that_were_asked_for() {
    let name = |text: &str| text.parse::<PartName>().unwrap();
    let parts = frame(2).repartition(By::Rows(2)).unwrap();
    for (format, ending) in [
        (Format::Parquet, "parquet"),
        (Format::Ipc, "arrow"),
        (Format::Json, "json"),
        (Format::Csv, "csv"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let with = |existing, part_name| WriteOptions {
            format,
            existing,
            part_name,
            ..WriteOptions::new(&out)
        };
        let named = |names: &[&str]| -> Vec<PathBuf> {
            names
                .iter()
                .map(|name| out.join(format!("{name}.{ending}")))
                .collect()
        };
        let events = || name("events-{i:03}-eu");
        parts.write(&with(Existing::Refuse, events())).unwrap();
        assert_eq!(files(&out), named(&["events-000-eu", "events-001-eu"]));
        let refused = parts.write(&with(Existing::Refuse, events())).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("2 part files of an earlier run"),
            "{refused}"
        );
        parts.write(&with(Existing::Append, events())).unwrap();
        let all = [
            "events-000-eu",
            "events-001-eu",
            "events-002-eu",
            "events-003-eu",
        ];
        assert_eq!(files(&out), named(&all));
        // Names of another form have numbers of their own.
        parts
            .write(&with(Existing::Append, PartName::default()))
            .unwrap();
        let all = [&all[..], &["part-000000", "part-000001"]].concat();
        assert_eq!(files(&out), named(&all));
        assert!(verify(&out).unwrap().is_ok(), "{format}");
        // Files of a run that was killed before its manifest are known by their names.
        std::fs::remove_file(out.join("_windrow.json")).unwrap();
        let foreign = parts.write(&with(Existing::Overwrite, name("other-{i}")));
        assert!(
            foreign.unwrap_err().to_string().contains("events-000-eu"),
            "{format}"
        );
        parts.write(&with(Existing::Overwrite, events())).unwrap();
        assert_eq!(files(&out), named(&["events-000-eu", "events-001-eu"]));
        let manifest = Manifest::read(&out).unwrap().unwrap();
        assert_eq!(manifest.runs[0].options["part_name"], "events-{i:03}-eu");
    }
}
