//! `data/` is what the generator makes and what its README says, and the
//! generated logs have the properties that tests and benchmarks count on.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use common::data;
use common::folder;
use common::generate::{self, Holds, Layout, LogSet, Logs, Order, Seed};
use serde_json::Value;
use windrow::ByteSize;

/// The text of a fixture as an independent reader finds it.
fn text_of(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        // Zero padding after the last member is allowed; this reader does not know that.
        let bytes = bytes.strip_suffix(&[0; 512]).unwrap_or(bytes);
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text)?;
    } else {
        text.extend_from_slice(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
    }
    Ok(text)
}

#[test]
fn remaking_the_fixtures_gives_the_same_bytes() {
    let mut made: BTreeMap<String, Vec<u8>> = generate::fixtures()
        .into_iter()
        .map(|fixture| (fixture.path, fixture.bytes))
        .collect();
    made.insert("README.md".into(), generate::readme().into_bytes());
    let found = folder::files(&data());
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&made), "files of data/");
    for (name, bytes) in &made {
        assert!(
            found[name] == *bytes,
            "data/{name} differs; `cargo run --release --example generate -- fixtures data` remakes it"
        );
    }
    let total: usize = found.values().map(Vec::len).sum();
    assert!(total < 600_000, "{total} bytes: fixtures are small");
}

#[test]
fn every_fixture_is_what_is_said_of_it() {
    for fixture in generate::fixtures() {
        let name = &fixture.path;
        let text = match (text_of(&fixture.bytes), fixture.holds) {
            (Err(_), Holds::BadStream) => continue,
            (Ok(text), Holds::Rows(_) | Holds::BadLine(_)) => text,
            (outcome, holds) => panic!("{name}: {holds:?}, but reads as {outcome:?}"),
        };
        let mut rows = 0;
        let mut bad = Vec::new();
        for (line, record) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            if record.trim_ascii().is_empty() {
                continue;
            }
            // serde_json takes floats too large for it as errors; JSON's grammar does not.
            let record = String::from_utf8_lossy(record).replace("1e400", "1");
            let sound = !record.contains('\u{FFFD}')
                && serde_json::from_str::<Value>(&record).is_ok_and(|value| value.is_object());
            if sound {
                rows += 1;
            } else {
                bad.push(line);
            }
        }
        match fixture.holds {
            Holds::Rows(expected) => {
                assert_eq!((rows, bad), (expected, vec![]), "{name}");
            }
            Holds::BadLine(line) => assert_eq!(bad, [line], "{name}"),
            Holds::BadStream => unreachable!("left above"),
        }
    }
}

#[test]
fn the_log_has_the_columns_it_promises() {
    let logs = Logs::new(Seed(7), 20_000);
    let text = String::from_utf8(logs.text()).unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 20_000);
    let share = |keep: &dyn Fn(&Value) -> bool| {
        rows.iter().filter(|row| keep(row)).count() as f64 / rows.len() as f64
    };
    let near = |what: &str, found: f64, wanted: f64| {
        assert!((found / wanted - 1.0).abs() < 0.3, "{what}: {found}");
    };
    near(
        "no referer",
        share(&|row| row.get("referer").is_none()),
        0.2,
    );
    near(
        "no session",
        share(&|row| row.get("session").is_none()),
        0.12,
    );
    near("error", share(&|row| row.get("error").is_some()), 0.015);
    near(
        "null",
        share(&|row| row.get("error") == Some(&Value::Null)),
        0.005,
    );
    near("float", share(&|row| row["retry_after"].is_f64()), 0.002);
    near("504", share(&|row| row["status"] == 504), 0.001);
    for key in [
        "ts",
        "level",
        "method",
        "host",
        "path",
        "user",
        "user_agent",
        "msg",
    ] {
        assert_eq!(share(&|row| row[key].is_string()), 1.0, "{key}");
    }
    for key in ["id", "status", "bytes"] {
        assert_eq!(share(&|row| row[key].is_u64()), 1.0, "{key}");
    }
    assert_eq!(share(&|row| row["latency_ms"].is_f64()), 1.0);
    assert_eq!(share(&|row| row["ok"].is_boolean()), 1.0);
    assert_eq!(share(&|row| row["geo"]["lat"].is_f64()), 1.0);
    assert_eq!(share(&|row| row["tags"].is_array()), 1.0);
    let first_traced = rows.iter().position(|row| row.get("trace_id").is_some());
    assert_eq!(first_traced, Some(18_000));
    let ids: BTreeSet<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), rows.len(), "ids are unique");
    assert!(rows.is_sorted_by_key(|row| row["ts"].as_str().unwrap().to_string()));
    for escape in [
        "\\n",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\\ud83d\\ude80",
        "é",
        "\\/",
    ] {
        assert!(text.contains(escape), "{escape}");
    }
    let paths: BTreeSet<&str> = rows
        .iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect();
    assert!(paths.len() > rows.len() / 2, "{} paths", paths.len());
}

#[test]
fn a_log_has_about_the_bytes_asked_for() {
    let text = generate::json_logs(Seed(3), ByteSize::mib(4));
    let wanted = ByteSize::mib(4).bytes() as f64;
    assert!(
        (text.len() as f64 / wanted - 1.0).abs() < 0.03,
        "{}",
        text.len()
    );
    assert_eq!(text.last(), Some(&b'\n'));
}

#[test]
fn every_order_has_every_request_once() {
    for order in [Order::Sorted, Order::Nearly, Order::Shuffled] {
        for rows in [1, 8, 9, 1000, 4096] {
            let text = Logs::new(Seed(1), rows).with_order(order).text();
            let ids: BTreeSet<u64> = String::from_utf8(text)
                .unwrap()
                .lines()
                .map(|line| {
                    serde_json::from_str::<Value>(line).unwrap()["id"]
                        .as_u64()
                        .unwrap()
                })
                .collect();
            assert_eq!(ids.len() as u64, rows, "{order:?} {rows}");
        }
    }
}

#[test]
fn files_hold_every_row_once_however_they_are_cut() {
    let logs = Logs::new(Seed(5), 3000);
    let whole = logs.text();
    for (files, skew, members, plain) in [
        (1, false, 1, true),
        (7, false, 1, false),
        (40, true, 1, true),
        (40, true, 3, false),
        (5000, true, 1, true),
    ] {
        let set = |threads| LogSet {
            logs: logs.clone(),
            layout: Layout {
                files,
                skew,
                members,
                plain,
                threads,
            },
            seed: Seed(5),
        };
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let written = set(1).write(dirs[0].path()).unwrap();
        set(3).write(dirs[1].path()).unwrap();
        let once = folder::files(dirs[0].path());
        assert!(
            once == folder::files(dirs[1].path()),
            "threads change files"
        );
        let joined: Vec<u8> = once
            .values()
            .flat_map(|file| text_of(file).unwrap())
            .collect();
        assert!(joined == whole, "{files} files");
        assert_eq!(written.iter().map(|file| file.rows).sum::<u64>(), 3000);
        assert_eq!(
            written.iter().map(|file| file.bytes).sum::<u64>(),
            whole.len() as u64
        );
        let largest = written.iter().map(|file| file.rows).max().unwrap();
        match (skew, files) {
            (false, _) => assert!(largest <= 3000_u64.div_ceil(files as u64)),
            (true, 40) => assert!(largest >= 5 * 3000 / 40, "{largest}"),
            _ => {}
        }
    }
}
