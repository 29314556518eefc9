//! One memory budget: the peak stays under it, does not grow with the input,
//! and rows that must wait are spilled.
//!
//! The peak is what the system saw (`VmHWM`), polled while the command runs.

#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::cli::{command, gzipped, windrow};
use common::generate::{Logs, Seed};
use common::table::{integers, rows_of_parts};

const MIB: u64 = 1 << 20;

/// How much two runs over the same input may differ: whether a row group is
/// encoded while another waits depends on which threads meet where. Seen: 20 MiB.
const NOISE: f64 = 24.0 * MIB as f64;

/// The most memory a process has held so far, in bytes; nothing once it has ended.
fn high_water(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Runs `windrow ARGS...` in `dir`, and gives its peak memory.
fn peak(dir: &Path, args: &[&str]) -> u64 {
    let mut child = command()
        .current_dir(dir)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    // It only ever rises, so what the last look found is the peak but for the last moments.
    while child.try_wait().unwrap().is_none() {
        peak = high_water(child.id()).unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success(), "{args:?}");
    assert!(peak > MIB, "the peak was not seen");
    peak
}

/// A gzip file of `members` members of the same 4,000 rows, 1.9 MB of text each.
fn log_of(dir: &Path, name: &str, members: usize) {
    let member = gzipped(&Logs::new(Seed(4), 4_000).text());
    std::fs::write(dir.join(name), member.repeat(members)).unwrap();
}

#[test]
fn peak_memory_does_not_grow_with_the_input() {
    let dir = tempfile::tempdir().unwrap();
    // 130 and 390 MB of text; a release build takes a second, a debug build ten.
    log_of(dir.path(), "small.json.gz", 70);
    log_of(dir.path(), "large.json.gz", 210);
    let flags = [
        "--to",
        "out",
        "--overwrite",
        "--threads",
        "2",
        "--memory",
        "256MiB",
    ];
    for layout in [&[][..], &["--partition-rows", "50000"]] {
        let run = |input| {
            peak(
                dir.path(),
                &[&["convert", input], &flags[..], layout].concat(),
            )
        };
        let (small, large) = (run("small.json.gz"), run("large.json.gz"));
        println!("{layout:?}: {} and {} MiB", small / MIB, large / MIB);
        assert!(large < 256 * MIB, "{layout:?}: {} MiB", large / MIB);
        assert!(
            large as f64 <= 1.10 * small as f64 + NOISE,
            "{layout:?}: {} MiB, and {} MiB for three times the input",
            small / MIB,
            large / MIB
        );
    }
}

#[test]
fn rows_that_must_wait_are_spilled_and_come_back_the_same() {
    let dir = tempfile::tempdir().unwrap();
    // Some 60 MB of rows that a count of partitions must hold back.
    log_of(dir.path(), "a.json.gz", 48);
    std::fs::create_dir(dir.path().join("spill")).unwrap();
    let convert = ["convert", "a.json.gz", "--npartitions", "4"];
    let tight = [
        "--to",
        "tight",
        "--memory",
        "32MiB",
        "--spill-dir",
        "spill",
        "--report",
        "r.json",
    ];
    windrow(dir.path(), &[&convert[..], &tight].concat()).expect(0);
    windrow(
        dir.path(),
        &[&convert[..], &["--to", "ample", "--memory", "2GiB"]].concat(),
    )
    .expect(0);
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("r.json")).unwrap()).unwrap();
    assert!(report["spilled_bytes"].as_u64().unwrap() > MIB, "{report}");
    let (tight, ample) = (dir.path().join("tight"), dir.path().join("ample"));
    assert_eq!(integers(&tight, "id"), integers(&ample, "id"));
    assert_eq!(rows_of_parts(&tight), [48_000; 4]);
    assert_eq!(common::folder::files(&tight), common::folder::files(&ample));
    assert_eq!(
        common::folder::names(&dir.path().join("spill")),
        Vec::<String>::new()
    );
}

#[test]
fn a_budget_of_64_mib_holds_with_a_count_of_partitions() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), "a.json.gz", 60);
    std::fs::create_dir(dir.path().join("spill")).unwrap();
    let args = [
        "convert",
        "a.json.gz",
        "--npartitions",
        "4",
        "--to",
        "out",
        "--threads",
        "2",
        "--memory",
        "64MiB",
        "--spill-dir",
        "spill",
    ];
    let peak = peak(dir.path(), &args);
    println!("{} MiB", peak / MIB);
    // The budget is for rows that are held; code, stacks and buffers at work come on top.
    assert!(peak < 144 * MIB, "{} MiB", peak / MIB);
    assert_eq!(rows_of_parts(&dir.path().join("out")), [60_000; 4]);
}

#[test]
fn a_record_larger_than_the_budget_is_passed_over_without_being_held() {
    let dir = tempfile::tempdir().unwrap();
    // 400 MB in one line, gzipped member by member; rows stand around it.
    let members = [
        gzipped(b"{\"n\":1}\n{\"s\":\""),
        gzipped(&vec![b'x'; 4 << 20]).repeat(100),
        gzipped(b"\"}\n{\"n\":2}\nnot JSON\n"),
    ];
    std::fs::write(dir.path().join("a.json.gz"), members.concat()).unwrap();
    let peak = peak(
        dir.path(),
        &[
            &["convert", "a.json.gz", "--to", "out", "--memory", "64MiB"][..],
            &["--on-bad-record", "reject", "--rejects", "bad.jsonl"],
        ]
        .concat(),
    );
    println!("{} MiB", peak / MIB);
    assert!(peak < 80 * MIB, "{} MiB", peak / MIB);
    assert_eq!(integers(&dir.path().join("out"), "n"), [1, 2]);
    let rejects = std::fs::read_to_string(dir.path().join("bad.jsonl")).unwrap();
    let places: Vec<serde_json::Value> = rejects
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let bytes = 400 * MIB + 8;
    assert_eq!(
        (&places[0]["line"], &places[0]["byte"]),
        (&2.into(), &8.into())
    );
    assert_eq!(places[0]["raw_bytes"], bytes);
    assert!(places[0]["reason"].as_str().unwrap().contains("memory"));
    assert_eq!(
        (&places[1]["line"], &places[1]["byte"]),
        (&4.into(), &(8 + bytes + 1 + 8).into())
    );
}

#[test]
fn a_record_that_cannot_fit_says_which_and_what_to_change() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{{\"a\":1}}\n{{\"s\":\"{}\"}}\n", "x".repeat(3 << 20));
    std::fs::write(dir.path().join("a.json"), long).unwrap();
    let args = ["convert", "a.json", "--to", "out", "--max-record", "1MiB"];
    let end = windrow(dir.path(), &args).expect(1);
    let place = "a.json: line 2 (byte 8 decompressed)";
    assert!(
        end.stderr.contains(place) && end.stderr.contains("max-record"),
        "{}",
        end.stderr
    );
    windrow(dir.path(), &["convert", "a.json", "--to", "out"]).expect(0);
}
