//! An expression that has no value for a row names the row's place, and says the
//! same at every blocksize, thread count and way of evaluating.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::cli::{gzipped, windrow};
use common::folder::names;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use windrow::arrow::datatypes::DataType;
use windrow::{ByteSize, OnBadRecord, ReadOptions, Session, Settings, WriteOptions};

/// 3,000 numbered rows: one cannot be cast, a later one cannot either, and the
/// rows around them have other types.
fn text() -> String {
    (0..3000)
        .map(|row| match row {
            1999 => "\n{\"n\":70000,\"v\":\"x\",\"tag\":\"bad\"}\n".to_owned(),
            2500 => "{\"n\":80000,\"v\":1}\n".to_owned(),
            row if row % 7 == 3 => format!("{{\"n\":{row}.5,\"v\":null}}\n"),
            row => format!("{{\"n\":{row},\"v\":{row}}}\n"),
        })
        .collect()
}

/// What each way of cutting says.
fn messages(dir: &Path, input: &str, filter: &str, more: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for blocksize in ["1", "777", "100MiB"] {
        for threads in ["1", "2", "5"] {
            let args = [
                &["convert", input, "--to", "out", "--where", filter],
                &["--blocksize", blocksize, "--threads", threads][..],
                more,
            ]
            .concat();
            let end = windrow(dir, &args).expect(1);
            assert!(!dir.join("out").exists());
            let first = end.stderr.lines().next().unwrap();
            found.push(first.strip_prefix("error: ").unwrap_or(first).to_owned());
        }
    }
    found
}

#[test]
fn a_row_of_text_is_named_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let text = text();
    std::fs::write(dir.path().join("a.json"), &text).unwrap();
    std::fs::write(dir.path().join("a.json.gz"), gzipped(text.as_bytes())).unwrap();
    let byte = text.find("{\"n\":70000").unwrap();
    for input in ["a.json", "a.json.gz"] {
        let want = format!(
            "{input}: line 2001 (byte {byte} decompressed): evaluating cast(n as int16): \"70000\" is not int16"
        );
        for (filter, more) in [
            ("cast(n as smallint) > 0", &[][..]),
            // Not pushed into the decoder, as it knows no path.
            (
                "path is not null and cast(n as smallint) > 0",
                &["--include-path", "path"],
            ),
            // A bad record's policy is no way around it: the record is sound.
            ("cast(n as smallint) > 0", &["--on-bad-record", "skip"]),
            // A column that is not read otherwise.
            ("cast(n as smallint) > 0", &["--columns", "v"]),
        ] {
            let found = messages(dir.path(), input, filter, more);
            for message in &found {
                assert!(message.starts_with(&want), "{message}\n{want}");
                assert_eq!(message, &found[0]);
            }
        }
    }
}

#[test]
fn bad_records_and_failing_rows_meet_in_input_order() {
    let dir = tempfile::tempdir().unwrap();
    let lines = ["{\"n\":1}", "nonsense", "{\"n\":70000}", "{\"n\":2}", "{]"];
    for (order, want, skipped) in [
        ([0, 1, 2, 3, 4], "line 2 ", "line 3 "),
        ([0, 2, 1, 3, 4], "line 2 ", "line 2 "),
        ([2, 1, 0, 4, 3], "line 1 ", "line 1 "),
    ] {
        let text: String = order.iter().map(|&at| format!("{}\n", lines[at])).collect();
        std::fs::write(dir.path().join("a.json"), text).unwrap();
        for (policy, want) in [("fail", want), ("skip", skipped)] {
            let more = ["--on-bad-record", policy];
            for message in messages(dir.path(), "a.json", "cast(n as smallint) > 0", &more) {
                assert!(message.contains(want), "{order:?} {policy}: {message}");
            }
        }
    }
}

#[test]
fn a_row_of_a_column_file_is_counted_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = |from: i64, to: i64| -> String {
        (from..to).map(|row| format!("{{\"n\":{row}}}\n")).collect()
    };
    std::fs::write(dir.path().join("a.json"), numbers(0, 20_000)).unwrap();
    std::fs::write(dir.path().join("b.json"), numbers(20_000, 40_000)).unwrap();
    for format in ["parquet", "ipc"] {
        for name in ["a", "b"] {
            let args = [
                "convert",
                &format!("{name}.json"),
                "--to",
                "in",
                "--format",
                format,
            ];
            windrow(dir.path(), &args).expect(0);
            let part = dir
                .path()
                .join("in")
                .join(&names(&dir.path().join("in"))[0]);
            let part = if part.to_str().unwrap().contains("_windrow") {
                dir.path()
                    .join("in")
                    .join(&names(&dir.path().join("in"))[1])
            } else {
                part
            };
            std::fs::rename(part, dir.path().join(format!("{name}.{format}"))).unwrap();
            std::fs::remove_dir_all(dir.path().join("in")).unwrap();
        }
        let input = [format!("a.{format}"), format!("b.{format}")];
        for threads in ["1", "2", "5"] {
            let args = [
                "convert",
                &input[0],
                &input[1],
                "--to",
                "out",
                "--threads",
                threads,
            ];
            let filter = ["--where", "n >= 0 and cast(n as smallint) > 100"];
            let end = windrow(dir.path(), &[&args[..], &filter].concat()).expect(1);
            let want = format!(
                "b.{format}: row 12769: evaluating cast(n as int16): \"32768\" is not int16"
            );
            assert!(end.stderr.contains(&want), "{}", end.stderr);
        }
    }
}

#[test]
fn a_filter_behind_a_limit_names_the_place_too_and_rows_behind_the_limit_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    std::fs::write(&path, text()).unwrap();
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values((0..10).map(|n| n * 10_000)));
    let batch = RecordBatch::try_from_iter([("n", n)]).unwrap();
    for threads in [1, 2] {
        let session = Session::new(Settings {
            threads,
            memory: ByteSize::mib(64),
            ..Settings::default()
        });
        let read = || session.read_json(&path, ReadOptions::default()).unwrap();
        let cast = "cast(n as smallint) >= 0";
        for first in ["n >= 0", "n < 0 or n > 50"] {
            let frame = read().filter(first).unwrap().limit(2900);
            let error = frame.filter(cast).unwrap().compute().unwrap_err();
            assert!(error.to_string().contains("line 2001 (byte "), "{error}");
        }
        // The limit ends the input before the row that would fail.
        for frame in [
            read().limit(1900).filter(cast).unwrap(),
            read().filter(cast).unwrap().limit(1900),
            read().limit(2500).filter(cast).unwrap().limit(1900),
        ] {
            assert_eq!(frame.count().unwrap(), 1900);
        }
        let frame = session
            .from_batches(batch.schema(), [batch.clone()])
            .unwrap();
        let error = frame.filter(cast).unwrap().compute().unwrap_err();
        assert!(error.to_string().starts_with("memory: row 5: "), "{error}");
    }
}

#[test]
fn a_failing_row_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    std::fs::write(&path, text()).unwrap();
    let options = ReadOptions {
        on_bad_record: OnBadRecord::Reject,
        rejects: Some(dir.path().join("bad.jsonl")),
        ..ReadOptions::default()
    };
    let frame = Session::default().read_json(&path, options).unwrap();
    let frame = frame.filter("cast(n as smallint) > 0").unwrap();
    let error = frame
        .write(&WriteOptions::new(dir.path().join("out")))
        .unwrap_err();
    assert!(matches!(error, windrow::Error::Evaluate { .. }), "{error}");
    assert_eq!(names(dir.path()), ["a.json"]);
}

#[test]
fn a_row_of_csv_for_which_a_step_had_no_value_ended_in_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let record = |row: i64| match row {
        150 => "70000,\"two\nlines\"\n".to_owned(),
        _ => format!("{row},x\n"),
    };
    let records: String = (0..300).map(record).collect();
    let text = format!("n,v\n\n{records}");
    let path = dir.path().join("a.csv");
    std::fs::write(&path, &text).unwrap();
    let place = format!(
        "a.csv: line 153 (byte {} decompressed): evaluating ",
        text.find("70000").unwrap()
    );
    for blocksize in [1, 777, 1 << 30] {
        for threads in [1, 2, 5] {
            let session = Session::new(Settings {
                threads,
                ..Settings::default()
            });
            let options = ReadOptions {
                blocksize: Some(ByteSize::new(blocksize)),
                ..ReadOptions::default()
            };
            let frame = session.read_csv(&path, options).unwrap();
            let most = "n + 9223372036854705808 > 0";
            for (failing, reason) in [
                (
                    frame.cast([("n", DataType::Int16)]),
                    "\"70000\" is not int16",
                ),
                (frame.with_column("m", most), "does not fit 64 bits"),
                (frame.filter(most), "does not fit 64 bits"),
            ] {
                let error = failing.unwrap().compute().unwrap_err().to_string();
                assert!(error.contains(&place) && error.contains(reason), "{error}");
            }
            // Rows without columns have no place either, unless somebody asks.
            let computed = frame.with_column("m", "n + 1").unwrap();
            let none = computed.filter("m > 200").unwrap();
            let none = none.select(Vec::<&str>::new()).unwrap();
            assert_eq!(none.compute().unwrap().num_rows(), 101);
        }
    }
}
