//! Every failed system call is noticed: whichever one call fails, the output is
//! the old one or the new one, whole; the command says which file it was about;
//! and the next run is as if nothing had happened.
//!
//! `strace` makes single calls fail. Where it is missing or may not trace, the
//! tests print that they skip. The quick test tries a sample of calls, drawn from
//! a seed; the other one, which is not run by default, tries them all.

#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use common::cli::{Ended, command, ended, gzipped, windrow};
use common::folder::{files, names};
use common::generate::{Random, Seed};

type Files = BTreeMap<String, Vec<u8>>;

/// Calls that touch files, with what each may fail with. `close` is not among
/// them: what is written is synced before, and Rust's own library takes it for
/// impossible that closing a folder fails.
const CALLS: [(&str, &[&str]); 13] = [
    ("read", &["EIO"]),
    ("pread64", &["EIO"]),
    ("write", &["EIO", "ENOSPC"]),
    ("openat", &["EIO", "EMFILE", "ENOSPC"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO"]),
    ("rename", &["EIO", "ENOSPC"]),
    ("renameat2", &["EIO"]),
    ("mkdir", &["EIO", "ENOSPC"]),
    ("getdents64", &["EIO"]),
    ("statx", &["EIO"]),
    ("lseek", &["EIO"]),
    ("unlinkat", &["EIO"]),
];

/// A kind of run, from a folder that holds `a.json.gz`, `b.json`, `c.parquet` and, as
/// the output of an earlier run, `old`.
struct Scene {
    name: &'static str,
    args: &'static [&'static str],
    /// The folder it writes.
    out: &'static str,
}

const SCENES: [Scene; 5] = [
    Scene {
        name: "a new folder",
        args: &["convert", "a.json.gz", "b.json", "--to", "new"],
        out: "new",
    },
    Scene {
        name: "an overwrite",
        args: &["convert", "b.json", "--to", "old", "--overwrite"],
        out: "old",
    },
    Scene {
        name: "an append",
        args: &["convert", "b.json", "--to", "old", "--append"],
        out: "old",
    },
    Scene {
        name: "rows that are held, with rejects",
        args: &[
            "convert",
            "b.json",
            "bad.json",
            "--to",
            "new",
            "--npartitions",
            "2",
            "--format",
            "json",
            "--on-bad-record",
            "reject",
            "--rejects",
            "rejects.jsonl",
        ],
        out: "new",
    },
    Scene {
        name: "Parquet by value",
        args: &[
            "convert",
            "c.parquet",
            "--to",
            "new",
            "--where",
            "n > 10",
            "--partition-on",
            "k",
        ],
        out: "new",
    },
];

/// One call to fail.
#[derive(Debug, Clone)]
struct Fault {
    scene: usize,
    call: &'static str,
    error: &'static str,
    /// Which of these calls; the first is 1.
    when: usize,
}

/// The folder that every run starts from.
fn prepare(dir: &Path) {
    let lines = |from: u64, to: u64| -> String {
        (from..to)
            .map(|n| format!("{{\"n\":{n},\"k\":\"{}\"}}\n", n % 3))
            .collect()
    };
    std::fs::write(dir.join("a.json.gz"), gzipped(lines(0, 500).as_bytes())).unwrap();
    std::fs::write(dir.join("b.json"), lines(500, 900)).unwrap();
    std::fs::write(dir.join("bad.json"), "{\"n\":1}\nnonsense\n").unwrap();
    windrow(dir, &["convert", "b.json", "--to", "made"]).expect(0);
    let part = names(&dir.join("made"))
        .into_iter()
        .find(|name| name.ends_with(".parquet"))
        .unwrap();
    std::fs::rename(dir.join("made").join(part), dir.join("c.parquet")).unwrap();
    std::fs::remove_dir_all(dir.join("made")).unwrap();
    windrow(dir, &["convert", "a.json.gz", "--to", "old"]).expect(0);
}

fn put_back(dir: &Path, files: &Files) {
    for name in names(dir) {
        let path = dir.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// The files of an output folder, or none if it is not there.
fn output(dir: &Path, out: &str) -> Files {
    let path = dir.join(out);
    if path.exists() {
        files(&path)
    } else {
        Files::new()
    }
}

/// Runs a scene under strace; gives its end and what strace saw.
fn traced(dir: &Path, log: &Path, scene: &Scene, rules: &[String]) -> (Ended, String) {
    let plain = command();
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .args(rules)
        .arg(plain.get_program())
        .args(scene.args)
        .args(["--threads", "1"])
        .current_dir(dir)
        .stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    let end = ended(strace.output().unwrap());
    let seen = std::fs::read(log).unwrap_or_default();
    (end, String::from_utf8_lossy(&seen).into_owned())
}

/// Whether strace is there and may trace.
fn can_trace() -> bool {
    let works = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        println!("skipped: failing system calls need strace");
    }
    works
}

/// How often each call is made by any one thread of a scene, from the start of the program proper on.
fn counted(
    dir: &Path,
    log: &Path,
    scene: &Scene,
) -> Vec<(&'static str, &'static [&'static str], usize)> {
    let (end, seen) = traced(dir, log, scene, &[]);
    end.expect(0);
    CALLS
        .iter()
        .map(|(call, errors)| {
            let mut by_thread: BTreeMap<&str, usize> = BTreeMap::new();
            let start = format!("{call}(");
            for line in seen.lines() {
                if let Some((thread, what)) = line.split_once(char::is_whitespace)
                    && what.trim_start().starts_with(&start)
                {
                    *by_thread.entry(thread).or_default() += 1;
                }
            }
            (*call, *errors, by_thread.into_values().max().unwrap_or(0))
        })
        .collect()
}

/// The state a scene starts from and what it makes of it when nothing fails.
struct Known {
    start: Files,
    new: Vec<Files>,
    all: Vec<Vec<String>>,
}

/// Makes one call fail and checks everything that is promised.
fn check(dir: &Path, log: &Path, known: &Known, fault: &Fault) {
    let scene = &SCENES[fault.scene];
    put_back(dir, &known.start);
    let old = output(dir, scene.out);
    let rule = format!(
        "--inject={}:error={}:when={}",
        fault.call, fault.error, fault.when
    );
    let (end, seen) = traced(dir, log, scene, &[rule]);
    let what = format!("{}: {fault:?}\n{}", scene.name, end.stderr);
    let failed: Vec<&str> = seen
        .lines()
        .filter(|line| line.contains("INJECTED"))
        .collect();
    let Some(call) = failed.first() else {
        return; // never made this time: how often a thread looks up varies
    };
    let what = format!("{what}\n{call}");
    assert!(!end.stderr.contains("panicked"), "{what}");
    let found = output(dir, scene.out);
    let new = &known.new[fault.scene];
    match end.code {
        Some(0) => assert!(found == *new, "it says that it is done: {what}"),
        // The loader found no library: the program never began.
        Some(127) => assert_eq!(found, old, "{what}"),
        Some(1) => {
            // The last sync is that of the folder around the output.
            let around = dir.to_str().unwrap();
            let names_a_file = [".json", ".parquet", "new", "old", "windrow", "/sys", around]
                .iter()
                .any(|name| end.stderr.contains(name));
            let said_nothing = failed.iter().any(|line| line.contains("write(2"));
            assert!(names_a_file || said_nothing, "{what}");
        }
        code => panic!("ended with {code:?}: {what}"),
    }
    assert!(found == old || found == *new, "neither old nor new: {what}");
    if found == old {
        let is_new = |name: &String| !known.start.contains_key(name) && name.ends_with("jsonl");
        assert!(
            !names(dir).iter().any(is_new),
            "rejects of no output: {what}"
        );
    }
    // Nothing that was read has changed.
    for (name, bytes) in &known.start {
        let is_input = !name.contains('/');
        assert!(
            !is_input || std::fs::read(dir.join(name)).unwrap() == *bytes,
            "{what}"
        );
    }
    if found == old {
        windrow(dir, &[scene.args, &["--threads", "1"]].concat()).expect(0);
        assert!(output(dir, scene.out) == *new, "the next run: {what}");
        assert_eq!(names(dir), known.all[fault.scene], "litter: {what}");
    }
}

fn known(dir: &Path) -> Known {
    prepare(dir);
    let start = files(dir);
    let mut known = Known {
        start,
        new: Vec::new(),
        all: Vec::new(),
    };
    for scene in &SCENES {
        put_back(dir, &known.start);
        windrow(dir, &[scene.args, &["--threads", "1"]].concat()).expect(0);
        known.new.push(output(dir, scene.out));
        known.all.push(names(dir));
    }
    known
}

/// Every call of every scene, with every error.
fn faults(dir: &Path, log: &Path, known: &Known) -> Vec<Fault> {
    let mut all = Vec::new();
    for (idx, scene) in SCENES.iter().enumerate() {
        put_back(dir, &known.start);
        for (call, errors, times) in counted(dir, log, scene) {
            for &error in errors {
                all.extend((1..=times).map(|when| Fault {
                    scene: idx,
                    call,
                    error,
                    when,
                }));
            }
        }
    }
    all
}

fn run(pick: impl Fn(Vec<Fault>) -> Vec<Fault>) {
    if !can_trace() {
        return;
    }
    let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = aside.path().join("strace.log");
    let known = known(dir.path());
    let all = pick(faults(dir.path(), &log, &known));
    assert!(!all.is_empty());
    let broken = all
        .iter()
        .filter(|fault| {
            let checked = || check(dir.path(), &log, &known, fault);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(checked)).is_err()
        })
        .count();
    assert_eq!(broken, 0, "of {} single failures", all.len());
}

#[test]
fn a_sample_of_single_failures_leaves_the_old_output_or_the_new_one() {
    run(|mut all| {
        let mut random = Random::new(Seed(11));
        let mut picked = Vec::new();
        while picked.len() < 60 && !all.is_empty() {
            let at = random.below(all.len() as u64) as usize;
            picked.push(all.swap_remove(at));
        }
        picked
    });
}

#[test]
#[ignore = "every call of every kind of run: some minutes"]
fn every_single_failure_leaves_the_old_output_or_the_new_one() {
    run(|all| all);
}
