//! Partitions are even, none is empty, rows keep their order, and the source
//! is read once.

mod common;

use std::path::Path;

use common::cli::{gzipped, put, windrow};
use common::folder::{names, parts};
use common::generate::{Layout, Logs, Seed};
use common::oracle::{Json, parse};
use common::table::{integers, rows_of_parts};
use common::{data, log_files, text};
use serde_json::Value;

/// Converts with a report, whose sheet is the command's own promise.
fn convert(dir: &Path, args: &[&str]) -> Value {
    windrow(dir, &[args, &["--report", "-"]].concat())
        .expect(0)
        .json()
}

/// The `id` of every record of `Logs::new(Seed(41), rows)` that `keep` likes.
fn ids(rows: u64, keep: impl Fn(&Json) -> bool) -> Vec<i64> {
    Logs::new(Seed(41), rows)
        .text()
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| parse(line).unwrap())
        .filter(keep)
        .map(|record| match record.get("id") {
            Some(Json::Number(id)) => id.parse().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn spread(rows: &[usize]) -> usize {
    rows.iter().max().unwrap() - rows.iter().min().unwrap()
}

fn outputs(report: &Value, key: &str) -> Vec<f64> {
    let outputs = report["outputs"].as_array().unwrap();
    outputs
        .iter()
        .map(|part| part[key].as_f64().unwrap())
        .collect()
}

#[test]
fn a_filter_over_214_skewed_files_gives_as_many_even_files_as_asked_for() {
    const ROWS: u64 = 43_000;
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout {
        files: 214,
        skew: true,
        ..Layout::default()
    };
    let written = log_files(&dir.path().join("logs"), ROWS, layout);
    let stored: u64 = written.iter().map(|file| file.stored_bytes).sum();
    let is_504 = |record: &Json| record.get("status") == Some(&Json::Number("504".into()));
    let kept = ids(ROWS, is_504);
    assert!((20..80).contains(&kept.len()), "{}", kept.len());

    let args = ["convert", "logs", "--where", "status = 504", "--to"];
    let four = convert(
        dir.path(),
        &[&args[..], &["four", "--npartitions", "4"]].concat(),
    );
    let out = dir.path().join("four");
    assert_eq!(parts(&out).len(), 4);
    assert!(
        spread(&rows_of_parts(&out)) <= 1,
        "{:?}",
        rows_of_parts(&out)
    );
    assert_eq!(integers(&out, "id"), kept);
    assert_eq!(four["stored_bytes_read"], stored, "the source is read once");
    assert_eq!(four["rows"], ROWS);
    assert_eq!(four["filtered"], ROWS - kept.len() as u64);

    convert(dir.path(), &[&args[..], &["one"]].concat());
    assert_eq!(
        names(&dir.path().join("one")),
        ["_windrow.json", "part-000000.parquet"]
    );
    assert_eq!(integers(&dir.path().join("one"), "id"), kept);

    // A filter that keeps nothing writes no part file, and says so.
    let none = ["convert", "logs", "--where", "status = 999", "--to"];
    let end = windrow(dir.path(), &[&none[..], &["none"]].concat()).expect(0);
    assert!(end.stderr.contains("0 rows in 0 parts"), "{}", end.stderr);
    assert_eq!(names(&dir.path().join("none")), ["_windrow.json"]);
    let asked = ["schema-only", "--schema-file-if-empty"];
    windrow(dir.path(), &[&none[..], &asked].concat()).expect(0);
    let out = dir.path().join("schema-only");
    assert_eq!(rows_of_parts(&out), [0]);

    // Fewer rows than parts: no part is empty.
    let few = format!("id in ({}, {})", kept[0], kept[1]);
    let report = convert(
        dir.path(),
        &[
            "convert",
            "logs",
            "--where",
            &few,
            "--to",
            "few",
            "--npartitions",
            "4",
        ],
    );
    assert_eq!(outputs(&report, "rows"), [1.0, 1.0]);
}

/// Rows of 0 : 3,325,928 : 756,776 : 9,195,951, the layout that `repartition(4)` of others left.
#[test]
fn the_layout_that_others_leave_becomes_even() {
    let dir = tempfile::tempdir().unwrap();
    let line = |row: usize| {
        format!(
            "{{\"id\":{row},\"s\":\"{:0>40}\",\"f\":{}.5}}\n",
            row % 97,
            row % 13
        )
    };
    let mut next = 0;
    for (file, rows) in [0, 3326, 757, 9196].into_iter().enumerate() {
        let rows: String = (next..next + rows)
            .inspect(|row| next = row + 1)
            .map(line)
            .collect();
        put(&dir.path().join(format!("in/{file}.json.gz")), &rows);
    }
    // The same from Parquet parts that are as uneven.
    for file in 1..4 {
        let input = format!("in/{file}.json.gz");
        windrow(
            dir.path(),
            &["convert", &input, "--to", &format!("pq{file}")],
        )
        .expect(0);
    }
    for inputs in [vec!["in"], vec!["pq1", "pq2", "pq3"]] {
        let skewed = [&["inspect"], &inputs[..], &["--max-balance", "1.1"]].concat();
        windrow(dir.path(), &skewed).expect(3);
        let args = [
            &["repartition"],
            &inputs[..],
            &["--npartitions", "4", "--to", "out", "--overwrite"],
        ]
        .concat();
        convert(dir.path(), &args);
        let out = dir.path().join("out");
        let rows = rows_of_parts(&out);
        assert_eq!(rows.len(), 4);
        assert!(spread(&rows) <= 1, "{rows:?}");
        assert_eq!(integers(&out, "id"), (0..next as i64).collect::<Vec<_>>());
        let inspect = [
            "inspect",
            "out",
            "--output",
            "json",
            "--max-balance",
            "1.1",
            "--fail-on-empty",
        ];
        let seen = windrow(dir.path(), &inspect).expect(0).json();
        assert_eq!(seen["rows"], next, "{seen}");
        assert_eq!(seen["empty"], 0);
        assert!(seen["balance_rows"].as_f64().unwrap() <= 1.01, "{seen}");
        assert!(seen["balance_bytes"].as_f64().unwrap() <= 1.10, "{seen}");
    }
}

#[test]
fn any_number_of_partitions_gets_rows_that_differ_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let skewed = data().join("skewed");
    for n in [1, 2, 3, 7, 64, 599, 600, 1199, 1200, 1201, 5000] {
        let count = n.to_string();
        let args = [
            "repartition",
            text(&skewed),
            "--columns",
            "id",
            "--npartitions",
            &count,
            "--to",
            "out",
            "--overwrite",
        ];
        let report = convert(dir.path(), &args);
        let rows = outputs(&report, "rows");
        assert_eq!(rows.len(), n.min(1200), "{n} partitions");
        let (least, most) = (1200 / n.min(1200), 1200_usize.div_ceil(n.min(1200)));
        for &rows in &rows {
            assert!(
                rows == least as f64 || rows == most as f64,
                "{n} partitions: {rows}"
            );
        }
        assert_eq!(rows.iter().sum::<f64>(), 1200.0);
    }
}

#[test]
fn partitions_of_so_many_rows_have_exactly_that_but_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let logs = data().join("logs");
    for n in [1, 7, 999, 1300, 2599, 2600, 2601] {
        let rows = n.to_string();
        let args = [
            "repartition",
            text(&logs),
            "--columns",
            "id",
            "--partition-rows",
            &rows,
            "--to",
            "out",
            "--overwrite",
        ];
        let report = convert(dir.path(), &args);
        let mut found = outputs(&report, "rows");
        let last = found.pop().unwrap();
        assert!(
            found.iter().all(|&rows| rows == f64::from(n)),
            "{n}: {found:?}"
        );
        assert!((1.0..=f64::from(n)).contains(&last), "{n}: {last}");
        assert_eq!(found.iter().sum::<f64>() + last, 2600.0);
    }
}

#[test]
fn partitions_by_bytes_are_within_a_tenth_of_the_target() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout {
        files: 40,
        skew: true,
        ..Layout::default()
    };
    log_files(&dir.path().join("logs"), 30_000, layout);
    for (name, target) in [("512KiB", 524_288.0), ("1MiB", 1_048_576.0), ("3MB", 3e6)] {
        let args = [
            "repartition",
            "logs",
            "--partition-size",
            name,
            "--to",
            "out",
            "--overwrite",
        ];
        let report = convert(dir.path(), &args);
        let bytes = outputs(&report, "bytes");
        assert!(bytes.len() >= 3, "{name}: {bytes:?}");
        let most = bytes.iter().copied().fold(0.0, f64::max);
        let least = bytes.iter().copied().fold(f64::MAX, f64::min);
        assert!(
            most - least <= 0.1 * target,
            "{name}: {least} to {most}: {bytes:?}"
        );
        assert!((most / target - 1.0).abs() <= 0.5, "{name}: {bytes:?}");
        assert_eq!(outputs(&report, "rows").iter().sum::<f64>(), 30_000.0);
    }
}

#[test]
fn files_of_a_size_are_within_a_quarter_of_it_but_the_last() {
    let dir = tempfile::tempdir().unwrap();
    log_files(&dir.path().join("logs"), 40_000, Layout::default());
    for (name, target) in [("256KiB", 262_144.0), ("700KB", 700e3)] {
        for flags in [vec![], vec!["--format", "json", "--compression", "gzip"]] {
            let args = [
                &[
                    "repartition",
                    "logs",
                    "--file-size",
                    name,
                    "--to",
                    "out",
                    "--overwrite",
                ],
                &flags[..],
            ]
            .concat();
            let report = convert(dir.path(), &args);
            let mut bytes = outputs(&report, "stored_bytes");
            let last = bytes.pop().unwrap();
            assert!(bytes.len() >= 2, "{name} {flags:?}: {bytes:?}");
            for found in &bytes {
                assert!(
                    (found / target - 1.0).abs() <= 0.25,
                    "{name} {flags:?}: {bytes:?}"
                );
            }
            assert!(last <= 1.25 * target, "{name} {flags:?}: {last}");
        }
    }
}

#[test]
fn inspect_ends_with_3_where_a_check_fails() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("in/a.json.gz"), &"{\"a\":1}\n".repeat(90));
    put(&dir.path().join("in/b.json.gz"), &"{\"a\":1}\n".repeat(10));
    windrow(dir.path(), &["inspect", "in", "--max-balance", "1.7"]).expect(3);
    windrow(
        dir.path(),
        &["inspect", "in", "--max-balance", "1.9", "--fail-on-empty"],
    )
    .expect(0);
    std::fs::write(dir.path().join("in/c.json.gz"), gzipped(b"")).unwrap();
    let end = windrow(dir.path(), &["inspect", "in", "--fail-on-empty"]).expect(3);
    assert!(end.stderr.contains("in/c.json.gz"), "{}", end.stderr);
    let seen = windrow(dir.path(), &["inspect", "in", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(
        (
            seen["files"].as_u64(),
            seen["rows"].as_u64(),
            seen["empty"].as_u64()
        ),
        (Some(3), Some(100), Some(1))
    );
    assert!(
        (seen["balance_rows"].as_f64().unwrap() - 2.7).abs() < 1e-9,
        "{seen}"
    );
}
