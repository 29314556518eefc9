//! Nothing is lost and nothing is invented: every key and value of every
//! well-formed line is in the output, or the run says where it stopped.
//!
//! Part files are read back with the parquet crate and held against a slow,
//! plain reader of JSON (`common/oracle.rs`).

mod common;

use std::path::{Path, PathBuf};

use common::cli::{gzipped, windrow};
use common::folder::{names, parts};
use common::generate::{Holds, Random, Seed, corrupt_bit, fixtures, gzip, members};
use common::oracle::{Json, parse, records, text_of};
use common::table::{assert_batches_hold, assert_holds, batches};
use common::{data, real_data, text};
use serde_json::Value;
use windrow::{By, ByteSize, OnBadRecord, ReadOptions, RunReport, Session, Settings, WriteOptions};

/// Converts `inputs`, found below `dir`, and gives the report.
fn convert(dir: &Path, inputs: &[&str], flags: &[&str]) -> Value {
    let args = [
        &["convert"],
        inputs,
        &["--to", "out", "--report", "-"],
        flags,
    ]
    .concat();
    let end = windrow(dir, &args).expect(0);
    let report = end.json();
    assert_adds_up(&report);
    report
}

/// Asserts that the sheet holds per file and in total, and that what was read was written.
#[track_caller]
fn assert_adds_up(report: &Value) {
    let number = |of: &Value, key: &str| of[key].as_u64().unwrap();
    let inputs = report["inputs"].as_array().unwrap();
    for key in ["lines", "rows", "rejected", "blank", "filtered"] {
        let sum: u64 = inputs.iter().map(|input| number(input, key)).sum();
        assert_eq!(number(report, key), sum, "{key}: {report}");
    }
    for sheet in inputs.iter().chain([report]) {
        let accounted = number(sheet, "rows") + number(sheet, "rejected") + number(sheet, "blank");
        assert_eq!(number(sheet, "lines"), accounted, "{sheet}");
    }
    let outputs = report["outputs"].as_array().unwrap();
    let written: u64 = outputs.iter().map(|output| number(output, "rows")).sum();
    assert_eq!(
        number(report, "rows"),
        written + number(report, "filtered"),
        "{report}"
    );
}

#[test]
fn every_sound_fixture_comes_out_key_by_key_and_value_by_value() {
    for fixture in fixtures() {
        let Holds::Rows(rows) = fixture.holds else {
            continue;
        };
        println!("{}", fixture.path);
        let dir = tempfile::tempdir().unwrap();
        let path = data().join(&fixture.path);
        let report = convert(dir.path(), &[text(&path)], &[]);
        assert_eq!(report["rows"], rows);
        assert_holds(&dir.path().join("out"), &records(&text_of(&fixture.bytes)));
        windrow(dir.path(), &["verify", "out"]).expect(0);
    }
}

#[test]
fn folders_of_fixtures_come_out_in_the_order_of_their_names() {
    for folder in ["logs", "skewed"] {
        let dir = tempfile::tempdir().unwrap();
        let path = data().join(folder);
        convert(dir.path(), &[text(&path)], &[]);
        let all: Vec<Json> = names(&path)
            .iter()
            .flat_map(|name| records(&text_of(&std::fs::read(path.join(name)).unwrap())))
            .collect();
        assert_holds(&dir.path().join("out"), &all);
    }
}

#[test]
fn a_broken_fixture_is_an_error_with_its_place_and_leaves_nothing() {
    for fixture in fixtures() {
        if matches!(fixture.holds, Holds::Rows(_)) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = data().join(&fixture.path);
        let end = windrow(dir.path(), &["convert", text(&path), "--to", "out"]).expect(1);
        let place = match fixture.holds {
            Holds::BadLine(line) => {
                let sound = text_of(&fixture.bytes);
                let start: usize = sound
                    .split_inclusive(|&byte| byte == b'\n')
                    .take(line as usize - 1)
                    .map(<[u8]>::len)
                    .sum();
                format!("{}: line {line} (byte {start} decompressed): ", text(&path))
            }
            _ => format!("{}: damaged at byte ", text(&path)),
        };
        assert!(
            end.stderr.contains(&place),
            "{place:?} is not in {}",
            end.stderr
        );
        assert_eq!(names(dir.path()), Vec::<String>::new(), "{}", fixture.path);
    }
}

/// A probe: what is in the files, and how many rows come out.
struct Probe {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
}

/// `rows` records, gzipped.
fn lines(rows: u64, line: impl Fn(u64) -> String) -> Vec<u8> {
    gzip((0..rows).map(line).collect::<String>().as_bytes())
}

fn probes() -> Vec<Probe> {
    let one = |name, file, bytes| Probe {
        name,
        files: vec![(file, bytes)],
    };
    let plain = |rows: u64| move |row: u64| format!("{{\"a\":{}}}\n", row % rows);
    let member = |from: u64, to: u64| {
        let lines: String = (from..to).map(plain(100)).collect();
        gzip(lines.as_bytes())
    };
    let awkward = "\u{feff}{\"a\":1}\r\n\r\n{\"a\":2,\"s\":\"x\\r\\ny\"}\r\n \t \r\n{\"a\":3}";
    vec![
        one(
            "a key first seen in record 200,000",
            "a.json.gz",
            lines(220_000, |row| match row {
                200_000.. => format!("{{\"a\":1,\"b\":{row}}}\n"),
                _ => "{\"a\":1}\n".into(),
            }),
        ),
        one(
            "a nested key first seen in record 120,001",
            "a.json.gz",
            lines(120_005, |row| match row {
                120_000.. => format!("{{\"o\":{{\"p\":{{\"q\":1,\"r\":\"{row}\"}}}}}}\n"),
                _ => "{\"o\":{\"p\":{\"q\":1}}}\n".into(),
            }),
        ),
        one(
            "120,000 nulls, then strings",
            "a.json.gz",
            lines(120_005, |row| match row {
                120_000.. => format!("{{\"v\":\"s{row}\"}}\n"),
                _ => "{\"v\":null}\n".into(),
            }),
        ),
        one(
            "150,000 integers, then doubles",
            "a.json.gz",
            lines(150_003, |row| match row {
                150_000.. => format!("{{\"v\":{row}.25}}\n"),
                _ => format!("{{\"v\":{row}}}\n"),
            }),
        ),
        one(
            "150,000 integers, then strings",
            "a.json.gz",
            lines(150_003, |row| match row {
                150_000.. => format!("{{\"v\":\"n{row}\"}}\n"),
                _ => format!("{{\"v\":{row}}}\n"),
            }),
        ),
        one(
            "scalars, then objects and lists",
            "a.json.gz",
            lines(30_000, |row| match row {
                25_000 => "{\"v\":{\"k\":[1,{\"z\":1.50,\"b\":null}]}}\n".into(),
                25_001 => "{\"v\":[null,\"x\\u00e9\\\"\",-0.5]}\n".into(),
                _ => format!("{{\"v\":{}}}\n", row % 10),
            }),
        ),
        Probe {
            name: "a key that only the second file has",
            files: vec![
                ("a.json", b"{\"a\":1}\n{\"a\":2}\n".to_vec()),
                ("b.json", b"{\"b\":[{\"c\":\"x\"}],\"a\":null}\n".to_vec()),
            ],
        },
        one(
            "two members, cut inside a record",
            "a.json.gz",
            members(
                &(0..30_000).map(plain(77)).collect::<String>().into_bytes(),
                2,
            ),
        ),
        one(
            "one member a line",
            "a.json.gz",
            (0..500).flat_map(|row| member(row, row + 1)).collect(),
        ),
        one(
            "zero padding between nothing and the end",
            "a.json.gz",
            [member(0, 10), member(0, 0), vec![0; 1000]].concat(),
        ),
        one(
            "BOM, CRLF, blank lines, no last newline",
            "a.json",
            awkward.into(),
        ),
        one("the same gzipped", "a.json.gz", gzip(awkward.as_bytes())),
        one(
            "plain text named .gz",
            "a.json.gz",
            b"{\"a\":1}\n{\"a\":2}\n".to_vec(),
        ),
        one("no bytes", "a.json.gz", Vec::new()),
        one("gzip of nothing", "a.json.gz", gzip(b"")),
        one("only blank lines", "a.json", b"\n\n \r\n".to_vec()),
        one(
            "a key twice in one object",
            "a.json",
            b"{\"a\":1,\"b\":{\"c\":1,\"c\":\"x\"},\"a\":\"last\"}\n{\"a\":2}\n".to_vec(),
        ),
        one(
            "2^63 and 2^64 - 1",
            "a.json",
            b"{\"v\":9223372036854775808}\n{\"v\":18446744073709551615}\n{\"v\":0}\n".to_vec(),
        ),
        one(
            "2^63 beside a negative",
            "a.json",
            b"{\"v\":9223372036854775808}\n{\"v\":-1}\n".to_vec(),
        ),
        one(
            "2^53 + 1 beside a double",
            "a.json",
            b"{\"v\":9007199254740993}\n{\"v\":0.5}\n".to_vec(),
        ),
        one(
            "numbers past every type",
            "a.json",
            b"{\"v\":1e400}\n{\"v\":123456789012345678901234567890}\n{\"v\":1}\n".to_vec(),
        ),
        one(
            "doubles to the last bit",
            "a.json",
            b"{\"v\":5e-324}\n{\"v\":1.7976931348623157e308}\n{\"v\":0.1}\n{\"v\":-0.0}\n\
              {\"v\":2.2250738585072011e-308}\n{\"v\":9007199254740993.5}\n{\"v\":1E+2}\n"
                .to_vec(),
        ),
        one(
            "keys that differ in case, are empty, or hold dots and quotes",
            "a.json",
            b"{\"ProcessID\":1,\"ProcessId\":2,\"\":3,\"a.b\":4,\"a\":{\"b\":5},\"q\\\"\\n\":6}\n"
                .to_vec(),
        ),
        one(
            "a JSON array over several lines",
            "a.json",
            b"[\n {\"a\":1,\n  \"b\":\"x\"},\n {\"a\":2}\n]\n".to_vec(),
        ),
        one(
            "a line of 17 MB",
            "a.json",
            format!(
                "{{\"s\":\"{}\"}}\n{{\"s\":\"y\"}}\n",
                "x".repeat(17_000_000)
            )
            .into_bytes(),
        ),
        one(
            "lists of lists, empty ones, nulls in them",
            "a.json",
            b"{\"l\":[[1,null],[],null]}\n{\"l\":[]}\n{\"l\":null}\n{\"l\":[[2.5]]}\n{\"o\":{}}\n"
                .to_vec(),
        ),
    ]
}

/// What the oracle reads from a probe's file; a top-level array is its items.
fn probe_records(bytes: &[u8]) -> Vec<Json> {
    let text = text_of(bytes);
    match parse(&text) {
        Some(Json::List(items)) => items,
        _ => records(&text),
    }
}

#[test]
fn every_probe_that_trips_other_readers_is_read_whole() {
    for probe in probes() {
        println!("{}", probe.name);
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &probe.files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let inputs: Vec<&str> = probe.files.iter().map(|(name, _)| *name).collect();
        let report = convert(dir.path(), &inputs, &[]);
        let wanted: Vec<Json> = probe
            .files
            .iter()
            .flat_map(|(_, bytes)| probe_records(bytes))
            .collect();
        assert_eq!(report["rows"], wanted.len(), "{}", probe.name);
        assert_eq!(report["rejected"], 0, "{}", probe.name);
        if wanted.is_empty() {
            assert!(parts(&dir.path().join("out")).is_empty(), "{}", probe.name);
        } else {
            assert_holds(&dir.path().join("out"), &wanted);
        }
        windrow(dir.path(), &["verify", "out"]).expect(0);
    }
}

#[test]
fn a_late_column_is_named_typed_and_complete() {
    let dir = tempfile::tempdir().unwrap();
    let path = data().join("awkward/late-key.json.gz");
    convert(dir.path(), &[text(&path)], &["--partition-rows", "7000"]);
    let out = dir.path().join("out");
    let schema = windrow(dir.path(), &["schema", "out", "--output", "json"]).expect(0);
    assert!(schema.stdout.contains("int64"), "{}", schema.stdout);
    // Parts finished before the column appeared have it too.
    assert_eq!(parts(&out).len(), 5);
    for part in parts(&out) {
        for batch in common::table::batches_of(&part) {
            assert!(batch.column_by_name("b").is_some(), "{}", part.display());
        }
    }
    let found: usize = batches(&out)
        .iter()
        .map(|batch| {
            let b = batch.column_by_name("b").unwrap();
            b.len() - b.null_count()
        })
        .sum();
    assert_eq!(found, 5000);
}

#[test]
fn records_without_any_key_are_rows_wherever_a_column_appears() {
    let dir = tempfile::tempdir().unwrap();
    // More than a first look sees, and more than a row group of one file holds.
    let bare = 1_100_000;
    let text = format!("\n{}{{\"a\":7}}\n{{}}\n", "{}\n".repeat(bare));
    std::fs::write(dir.path().join("a.json.gz"), gzipped(text.as_bytes())).unwrap();
    for format in ["parquet", "ipc", "json"] {
        for flags in [
            &[][..],
            &["--partition-rows", "400000"],
            &["--npartitions", "3", "--threads", "1"],
        ] {
            let end = [&["--overwrite", "--format", format], flags].concat();
            let report = convert(dir.path(), &["a.json.gz"], &end);
            assert_eq!(report["rows"], bare + 2, "{format} {flags:?}");
            let out = dir.path().join("out");
            windrow(dir.path(), &["verify", "out"]).expect(0);
            // A first look at so many lines of JSON shows no column to ask for.
            if format != "json" {
                let args = ["count", "out", "--where", "a = 7"];
                let seven = windrow(dir.path(), &args).expect(0);
                assert_eq!(seven.stdout.trim(), "1", "{format} {flags:?}");
            }
            let all = windrow(dir.path(), &["count", "out"]).expect(0);
            assert_eq!(all.stdout.trim(), (bare + 2).to_string());
            if format == "parquet" && flags.len() == 2 {
                let rows = common::table::rows_of_parts(&out);
                assert_eq!(rows, [400_000, 400_000, 300_002]);
            }
        }
    }
}

#[test]
fn records_without_any_key_at_all_are_written_as_json_and_refused_with_their_place_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.json"), "").unwrap();
    std::fs::write(dir.path().join("b.json"), "\n \n{}\n{ }\n\n{}").unwrap();
    for format in ["parquet", "ipc"] {
        for flags in [&[][..], &["--partition-rows", "1"], &["--npartitions", "2"]] {
            let args = [
                "convert", "a.json", "b.json", "--to", "out", "--format", format,
            ];
            let end = windrow(dir.path(), &[&args[..], flags].concat()).expect(1);
            let place = "b.json: line 3 (byte 3 decompressed): none of the 3 rows";
            assert!(end.stderr.contains(place), "{}", end.stderr);
            assert_eq!(names(dir.path()), ["a.json", "b.json"]);
        }
    }
    for flags in [&[][..], &["--partition-rows", "1"], &["--npartitions", "2"]] {
        let all = [
            &["--format", "json", "--compression", "none", "--overwrite"],
            flags,
        ]
        .concat();
        let report = convert(dir.path(), &["a.json", "b.json"], &all);
        assert_eq!(report["rows"], 3);
        let text: Vec<u8> = common::folder::files(&dir.path().join("out"))
            .into_iter()
            .filter(|(name, _)| name.ends_with(".json") && name.starts_with("part"))
            .flat_map(|(_, bytes)| bytes)
            .collect();
        assert_eq!(text, b"{}\n{}\n{}\n");
        windrow(dir.path(), &["verify", "out"]).expect(0);
    }
}

#[test]
fn a_bad_line_far_in_is_named_to_the_byte_and_can_be_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let good = |row: usize| format!("{{\"a\":{row},\"s\":\"x{row}\"}}\n");
    let before: String = (0..29_000).map(good).collect();
    let after: String = (29_001..30_000).map(good).collect();
    let bad = "{\"a\":29000,\"s\":\"x}\n";
    let all = format!("{before}{bad}{after}");
    std::fs::write(dir.path().join("a.json.gz"), gzipped(all.as_bytes())).unwrap();
    let place = format!("a.json.gz: line 29001 (byte {} decompressed)", before.len());
    for flags in [vec![], vec!["--blocksize", "1000"], vec!["--threads", "1"]] {
        let args = [&["convert", "a.json.gz", "--to", "out"], &flags[..]].concat();
        let end = windrow(dir.path(), &args).expect(1);
        assert!(end.stderr.contains(&place), "{flags:?}: {}", end.stderr);
        assert_eq!(names(dir.path()), ["a.json.gz"], "{flags:?}");
    }
    let flags = ["--on-bad-record", "reject", "--rejects", "bad.json"];
    let report = convert(dir.path(), &["a.json.gz"], &flags);
    assert_eq!(
        (report["rows"].as_u64(), report["rejected"].as_u64()),
        (Some(29_999), Some(1))
    );
    assert_holds(
        &dir.path().join("out"),
        &records(format!("{before}{after}").as_bytes()),
    );
    let rejects = std::fs::read_to_string(dir.path().join("bad.json")).unwrap();
    let reject: Value = serde_json::from_str(&rejects).unwrap();
    assert_eq!(reject["file"], "a.json.gz");
    assert_eq!(reject["line"], 29_001);
    assert_eq!(reject["byte"], before.len());
    assert_eq!(reject["raw"], bad.trim_end());
    // More bad records than allowed: no output, and the limit in the text.
    let args = [
        "convert",
        "a.json.gz",
        "--to",
        "out2",
        "--on-bad-record",
        "skip",
    ];
    let end = windrow(dir.path(), &[&args[..], &["--max-rejects", "0"]].concat()).expect(1);
    assert!(end.stderr.contains('1'), "{}", end.stderr);
    assert!(!dir.path().join("out2").exists());
}

#[test]
fn a_suite_of_json_files_is_accepted_and_refused_as_json_has_it() {
    let Some(real) = real_data("the JSON test suite") else {
        return;
    };
    let suite = real.join("json_test_suite");
    for name in names(&suite) {
        let Ok(bytes) = std::fs::read(suite.join(&name)) else {
            continue;
        };
        if !name.ends_with(".json") || bytes.contains(&b'\n') && name.starts_with("n_") {
            continue;
        }
        // Each text as the value of a member of a record.
        let record = [b"{\"v\":", bytes.trim_ascii(), b"}\n"].concat();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.json"), &record).unwrap();
        let end = windrow(dir.path(), &["convert", "a.json", "--to", "out"]);
        match name.as_bytes()[0] {
            b'y' => {
                end.expect(0);
                assert_holds(&dir.path().join("out"), &records(&record));
            }
            b'n' => {
                let end = end.expect(1);
                assert!(
                    end.stderr.contains("a.json: line 1 (byte 0"),
                    "{name}: {}",
                    end.stderr
                );
            }
            _ => {
                assert!(matches!(end.code, Some(0 | 1)), "{name}: {}", end.stderr);
            }
        }
    }
}

#[test]
fn real_logs_come_out_key_by_key_and_value_by_value() {
    let Some(real) = real_data("converting real logs") else {
        return;
    };
    let zeek = real.join("zeek_json_logs");
    let mut inputs: Vec<PathBuf> = names(&zeek)
        .iter()
        .filter(|name| name.ends_with(".gz"))
        .map(|name| zeek.join(name))
        .collect();
    inputs.push(real.join("nginx_status_log/nginx_status.ndjson"));
    for input in &inputs {
        println!("{}", input.display());
        let dir = tempfile::tempdir().unwrap();
        convert(dir.path(), &[text(input)], &["--npartitions", "3"]);
        let out = dir.path().join("out");
        assert_holds(&out, &records(&text_of(&std::fs::read(input).unwrap())));
        let rows = common::table::rows_of_parts(&out);
        assert!(
            rows.iter().max().unwrap() - rows.iter().min().unwrap() <= 1,
            "{rows:?}"
        );
    }
    // All of Zeek's logs in one table: their keys are united.
    let dir = tempfile::tempdir().unwrap();
    inputs.pop();
    convert(dir.path(), &[text(&zeek.join("*.json.gz"))], &[]);
    let all: Vec<Json> = inputs
        .iter()
        .flat_map(|input| records(&text_of(&std::fs::read(input).unwrap())))
        .collect();
    assert_holds(&dir.path().join("out"), &all);
}

/// How a file is damaged, in words, and the damaged bytes.
fn damaged(sound: &[u8], random: &mut Random) -> (String, Vec<u8>) {
    let mut bytes = sound.to_vec();
    let at = random.below(bytes.len() as u64) as usize;
    let what = match random.below(6) {
        0 => {
            let bit = random.below(8) as u32;
            corrupt_bit(&mut bytes, at, bit);
            format!("bit {bit} of byte {at} turned over")
        }
        1 => {
            bytes[at] = random.below(256) as u8;
            format!("byte {at} is {}", bytes[at])
        }
        2 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        3 => {
            let end = (at + 1 + random.below(64) as usize).min(bytes.len());
            bytes.drain(at..end);
            format!("bytes {at}..{end} are gone")
        }
        4 => {
            let noise: Vec<u8> = (0..1 + random.below(32))
                .map(|_| random.bits() as u8)
                .collect();
            bytes.splice(at..at, noise.iter().copied());
            format!("{noise:?} put in at {at}")
        }
        _ => {
            let end = (at + 1 + random.below(200) as usize).min(bytes.len());
            bytes[at..end].fill(b'\n');
            format!("bytes {at}..{end} are newlines")
        }
    };
    (what, bytes)
}

/// One corruption, read with every lenience on: the sheet, or a clean error.
fn survive(session: &Session, dir: &Path, path: &Path, salvage: bool) -> Option<RunReport> {
    let rejects = dir.join("rejects.json");
    let options = ReadOptions {
        on_bad_record: OnBadRecord::Reject,
        rejects: Some(rejects),
        salvage,
        ..ReadOptions::default()
    };
    let outcome = session.read_json(path, options).and_then(|frame| {
        frame.repartition(By::Count(2))?.write(&WriteOptions {
            durable: false,
            existing: windrow::Existing::Overwrite,
            ..WriteOptions::new(dir.join("out"))
        })
    });
    match outcome {
        Ok(report) => Some(report),
        Err(error @ (windrow::Error::Internal { .. } | windrow::Error::Panic { .. })) => {
            panic!("{error}")
        }
        Err(error) => {
            assert!(
                error.to_string().contains("log.json"),
                "no file in: {error}"
            );
            None
        }
    }
}

#[test]
fn a_thousand_corruptions_lose_no_line_in_silence() {
    let lines: Vec<u8> = common::generate::Logs::new(Seed(3), 60).text();
    let sound = [
        ("log.json", lines.clone()),
        ("log.json.gz", gzip(&lines)),
        ("log.json.gz", members(&lines, 5)),
    ];
    let session = Session::new(Settings {
        threads: 2,
        blocksize: ByteSize::kib(4),
        ..Settings::default()
    });
    let mut random = Random::new(Seed(20));
    let (mut kept, mut refused) = (0, 0);
    let dir = tempfile::tempdir().unwrap();
    for round in 0..1000 {
        let (name, bytes) = &sound[round % sound.len()];
        let salvage = random.chance(1, 2);
        let (what, bytes) = damaged(bytes, &mut random);
        let context = format!("round {round}, {name}, salvage {salvage}: {what}");
        println!("{context}");
        let path = dir.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let Some(report) = survive(&session, dir.path(), &path, salvage) else {
            refused += 1;
            continue;
        };
        kept += 1;
        // The sheet, against what is really there.
        assert_eq!(
            report.lines,
            report.rows + report.rejected + report.blank,
            "{context}"
        );
        let out = batches(&dir.path().join("out"));
        let rows: usize = out.iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(rows as u64, report.rows, "{context}");
        let rejects = std::fs::read_to_string(dir.path().join("rejects.json")).unwrap();
        assert_eq!(rejects.lines().count() as u64, report.rejected, "{context}");
        // Where the text is known, every line of it is a row, a reject or blank.
        let text = match *name {
            "log.json" => Some(bytes.clone()),
            _ if !salvage => Some(text_of(&bytes)),
            _ => None,
        };
        if let Some(text) = text.filter(|text| !text.trim_ascii().starts_with(b"[")) {
            let lines: Vec<&[u8]> = text
                .strip_suffix(b"\n")
                .unwrap_or(&text)
                .split(|&byte| byte == b'\n')
                .collect();
            let n_lines = if text.is_empty() { 0 } else { lines.len() };
            assert_eq!(n_lines as u64, report.lines, "{context}");
            let good: Vec<Json> = lines
                .iter()
                .filter_map(|line| parse(line))
                .filter(|record| matches!(record, Json::Object(_)))
                .collect();
            assert_batches_hold(&out, &good);
        }
    }
    println!("{kept} kept, {refused} refused");
    assert!(
        kept > 300 && refused > 100,
        "{kept} kept, {refused} refused"
    );
}
