//! A record too long to be read is a bad record like any other: an error with
//! its place, or passed over and counted, never held whole; and what follows it
//! keeps its line and byte, however the text is cut.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use common::cli::{command, ended, gzipped, windrow};
use common::table::integers;
use serde_json::Value;

/// The limit of these tests, and a line that passes it by `over` bytes.
const LIMIT: usize = 1000;

fn long(over: usize) -> String {
    let bytes = LIMIT + over;
    let text = format!("{{\"n\":-1,\"s\":\"{}\"}}", "é".repeat((bytes - 20) / 2));
    format!("{text}{}", " ".repeat(bytes - text.len()))
}

/// Rows 0 to 9, with records that are too long in front, between and last.
fn lines() -> Vec<String> {
    let mut lines = vec![long(1)];
    for row in 0..10 {
        lines.push(format!("{{\"n\":{row}}}"));
        if row % 3 == 0 {
            lines.push(long(17 * row + 40));
        }
    }
    lines.push("no JSON".into());
    lines.push(long(8000));
    lines
}

/// What the rejects file must hold: line, byte, and the whole length where it was cut.
fn places(text: &str, array: bool) -> Vec<(u64, u64, Option<u64>)> {
    let mut byte = 0;
    let mut found = Vec::new();
    for (idx, line) in text.split('\n').enumerate() {
        // In an array, the bracket or the newline before a record is taken for its own.
        let is_long = line.len() > LIMIT;
        if is_long || line.contains("no JSON") {
            found.push((
                idx as u64 + 1,
                byte as u64,
                is_long.then_some(line.len() as u64),
            ));
        }
        byte += line.len() + 1;
    }
    assert_eq!(found.len(), if array { 6 } else { 7 });
    found
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

/// Converts with rejects and checks the sheet, the rows and every reject.
fn check(dir: &Path, input: &str, stdin: Option<&[u8]>, text: &str, array: bool, flags: &[&str]) {
    let limit = LIMIT.to_string();
    let args = [
        &[
            "convert",
            input,
            "--to",
            "out",
            "--overwrite",
            "--report",
            "-",
        ],
        &["--on-bad-record", "reject", "--rejects", "bad.jsonl"][..],
        &["--max-record", &limit],
        flags,
    ]
    .concat();
    let mut child = command()
        .current_dir(dir)
        .args(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(stdin.unwrap_or_default()).unwrap();
    drop(pipe);
    let report = ended(child.wait_with_output().unwrap()).expect(0).json();
    let wanted = places(text, array);
    let what = format!("{input} {flags:?}");
    assert_eq!(
        integers(&dir.join("out"), "n"),
        (0..10).collect::<Vec<_>>(),
        "{what}"
    );
    assert_eq!(report["rejected"], wanted.len(), "{what}: {report}");
    assert_eq!(report["lines"], 10 + wanted.len(), "{what}: {report}");
    let rejects = std::fs::read_to_string(dir.join("bad.jsonl")).unwrap();
    let rejects: Vec<Value> = rejects
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rejects.len(), wanted.len(), "{what}");
    for (reject, (line, byte, cut)) in rejects.iter().zip(wanted) {
        assert_eq!(reject["line"], line, "{what}: {reject}");
        assert_eq!(reject["byte"], byte, "{what}: {reject}");
        let whole = reject["raw"].as_str().unwrap().len() as u64;
        let whole = cut.map(|_| reject["raw_bytes"].as_u64().unwrap_or(whole));
        assert_eq!(whole, cut, "{what}: {reject}");
        if cut.is_some() {
            let raw = reject["raw"].as_str().unwrap();
            assert!(array || !raw.contains('\n'), "{what}: {reject}");
            assert!(
                text[byte as usize..].starts_with(raw) || array,
                "{what}: {reject}"
            );
            assert!(reject["reason"].as_str().unwrap().contains("max-record"));
            assert!(reject.get("raw_hex").is_none(), "{what}: {reject}");
        }
    }
}

#[test]
fn they_are_passed_over_and_counted_at_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let text = lines().join("\n");
    std::fs::write(dir.path().join("a.json"), &text).unwrap();
    std::fs::write(dir.path().join("a.json.gz"), gzipped(text.as_bytes())).unwrap();
    std::fs::write(dir.path().join("a.json.zst"), zstd(text.as_bytes())).unwrap();
    for input in ["a.json", "a.json.gz", "a.json.zst"] {
        for flags in [
            &[][..],
            &["--blocksize", "100"],
            &["--blocksize", "1001", "--threads", "1"],
            &["--where", "n >= 0", "--threads", "5"],
        ] {
            check(dir.path(), input, None, &text, false, flags);
        }
    }
    check(dir.path(), "-", Some(text.as_bytes()), &text, false, &[]);
    check(
        dir.path(),
        "-",
        Some(&gzipped(text.as_bytes())),
        &text,
        false,
        &[],
    );
}

#[test]
fn they_are_passed_over_in_an_array() {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<String> = lines()
        .into_iter()
        .filter(|line| !line.contains("no JSON"))
        .collect();
    let array = format!("[{}]", records.join(","));
    std::fs::write(dir.path().join("a.json"), &array).unwrap();
    std::fs::write(dir.path().join("a.json.gz"), gzipped(array.as_bytes())).unwrap();
    // As the reader sees it: brackets are blanks, commas between records are newlines.
    let text = format!(" {} ", records.join("\n"));
    for input in ["a.json", "a.json.gz"] {
        for flags in [&[][..], &["--blocksize", "100"], &["--threads", "1"]] {
            check(dir.path(), input, None, &text, true, flags);
        }
    }
}

#[test]
fn one_is_an_error_with_its_place_where_bad_records_stop_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{{\"n\":1}}\n\n{{\"n\":2}}\n{}\n", long(1));
    std::fs::write(dir.path().join("a.json"), &text).unwrap();
    std::fs::write(dir.path().join("a.json.gz"), gzipped(text.as_bytes())).unwrap();
    for input in ["a.json", "a.json.gz"] {
        for blocksize in ["1", "100MiB"] {
            let args = ["convert", input, "--to", "out", "--max-record", "1000"];
            let end = windrow(
                dir.path(),
                &[&args[..], &["--blocksize", blocksize]].concat(),
            );
            let end = end.expect(1);
            let place = format!("{input}: line 4 (byte 17 decompressed): ");
            assert!(end.stderr.contains(&place), "{}", end.stderr);
            assert!(end.stderr.contains("max-record"), "{}", end.stderr);
            assert!(end.stderr.contains("--on-bad-record"), "{}", end.stderr);
        }
    }
    let exact = format!("{{\"n\":1}}\n{}", &long(1)[..LIMIT]);
    std::fs::write(dir.path().join("b.json"), exact).unwrap();
    let args = ["convert", "b.json", "--to", "out", "--max-record", "1000"];
    windrow(dir.path(), &args).expect(0);
}
