//! A run touches what it was told to and nothing else: no socket, no file outside of
//! its output, its rejects, its report and its spill folder, and what waits there is
//! nobody else's to read. Files are flushed before they get their names. Neither
//! locale nor time zone changes a byte.

#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::cli::{command, ended, logs, put};
use common::folder::files;

const ARGS: [&str; 17] = [
    "convert",
    "in",
    "--to",
    "out/here",
    "--on-bad-record",
    "reject",
    "--rejects",
    "rejects.jsonl",
    "--report",
    "report.json",
    "--partition-on",
    "user",
    "--sort-by",
    "ms",
    "--spill-dir",
    "spill",
    "--quiet",
];

fn prepare(dir: &Path) {
    put(&dir.join("in/a.json"), &logs(300));
    put(&dir.join("in/b.json"), &(logs(40) + "{\"bad\"\n"));
    std::fs::create_dir(dir.join("spill")).unwrap();
}

/// A system call that strace saw: its name and all behind it.
struct Call {
    name: String,
    text: String,
}

impl Call {
    /// The first path in quotes, below `dir` if it is relative.
    fn path(&self, dir: &Path) -> Option<PathBuf> {
        self.text.split('"').nth(1).map(|path| dir.join(path))
    }
}

/// The calls of a run, in the order in which they began; none where strace may not trace.
fn calls(dir: &Path, log: &Path) -> Option<Vec<Call>> {
    let mut strace = Command::new("strace");
    let plain = command();
    let end = strace
        .args(["-f", "-qq", "-y", "-s", "4096", "-o"])
        .arg(log)
        .args(["-e", "trace=%file,%network,fsync,fdatasync,fchmod"])
        .arg(plain.get_program())
        .args(ARGS)
        .args(["--threads", "1"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    let Ok(end) = end else {
        println!("skipped: there is no strace");
        return None;
    };
    let end = ended(end);
    if end.stderr.contains("PTRACE") || end.stderr.contains("ptrace") {
        println!("skipped: strace may not trace here");
        return None;
    }
    end.expect(0);
    let log = std::fs::read_to_string(log).unwrap();
    let calls = log.lines().filter_map(|line| {
        let (_thread, call) = line.split_once(char::is_whitespace)?;
        let (name, text) = call.trim_start().split_once('(')?;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let has_failed = text.contains(") = -1 ");
        (is_name && !has_failed).then(|| Call {
            name: name.to_owned(),
            text: text.to_owned(),
        })
    });
    Some(calls.collect())
}

/// The folder of a run below `root`, and the calls that it made; none where they
/// cannot be seen.
fn traced(root: &Path) -> Option<(PathBuf, Vec<Call>)> {
    let dir = root.canonicalize().unwrap().join("work");
    prepare(&dir);
    let calls = calls(&dir, &root.join("log"))?;
    Some((dir, calls))
}

#[test]
fn a_run_opens_no_socket_and_makes_private_files_in_its_own_places_alone() {
    let root = tempfile::tempdir().unwrap();
    let Some((dir, calls)) = traced(root.path()) else {
        return;
    };
    let network = ["socket", "bind", "listen", "connect", "accept", "accept4"];
    let spoken = calls.iter().filter(|call| network.contains(&&*call.name));
    let spoken: Vec<&str> = spoken.map(|call| &*call.text).collect();
    assert!(spoken.is_empty(), "{spoken:?}");

    let is_made = |call: &&Call| call.text.contains("O_CREAT") || call.name.starts_with("mkdir");
    let made: Vec<&Call> = calls.iter().filter(is_made).collect();
    assert!(made.len() > 5, "a run makes files");
    for call in &made {
        let path = call.path(&dir).unwrap();
        assert!(path.starts_with(&dir), "{}({}", call.name, call.text);
        assert!(!path.starts_with(dir.join("in")), "{}", call.text);
        // Another's link, put where a file will be, is never followed.
        let is_safe = !call.text.contains("O_CREAT")
            || call.text.contains("O_EXCL")
            || call.text.contains("O_NOFOLLOW")
            || call.text.contains("O_TMPFILE");
        assert!(is_safe, "{}({}", call.name, call.text);
    }
    let staging = made
        .iter()
        .find(|call| call.name.starts_with("mkdir") && call.text.contains(".windrow"));
    let staging = staging.expect("output waits in a folder of its own");
    assert!(staging.text.contains("0700"), "{}", staging.text);
    let left: Vec<_> = std::fs::read_dir(dir.join("spill")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_file_is_flushed_before_it_gets_its_name_and_its_folder_behind_it() {
    let root = tempfile::tempdir().unwrap();
    let Some((dir, calls)) = traced(root.path()) else {
        return;
    };
    let flushed = |what: &str| {
        let is_flush = |call: &Call| call.name == "fsync" || call.name == "fdatasync";
        let of = |call: &Call| is_flush(call) && call.text.contains(what);
        (calls.iter().position(of), calls.iter().rposition(of))
    };
    let named = calls
        .iter()
        .position(|call| call.name.starts_with("rename") && call.text.contains("out/here\""));
    let named = named.expect("a folder gets the name of the output");
    let parts = files(&dir.join("out/here"));
    assert!(parts.len() > 2, "{:?}", parts.keys());
    for name in parts.keys() {
        // A part is flushed where it waits, under the name that it keeps.
        let (_, last) = flushed(&format!("new/{name}>"));
        let last = last.unwrap_or_else(|| panic!("{name} is never flushed"));
        assert!(last < named, "{name} is flushed too late");
    }
    let (_, last) = flushed(&format!("{}>", dir.join("out").display()));
    assert!(
        last.is_some_and(|last| last > named),
        "the name itself is not flushed"
    );
}

#[test]
fn neither_locale_nor_time_zone_changes_a_byte() {
    let run = |locale: &str, zone: &str| {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path());
        let filter = "upper(user) <> 'UI' and cast('2026-03-29 02:30:00' as timestamp) is not null";
        let output = command()
            .args(ARGS)
            .args(["--where", filter])
            .env("LC_ALL", locale)
            .env("LANG", locale)
            .env("TZ", zone)
            .current_dir(root.path())
            .stdin(Stdio::null())
            .output();
        ended(output.unwrap()).expect(0);
        files(&root.path().join("out/here"))
    };
    let plain = run("C", "UTC");
    assert!(plain.len() > 2, "{:?}", plain.keys());
    for (locale, zone) in [
        ("tr_TR.UTF-8", "Asia/Kathmandu"),
        ("de_DE.UTF-8", "America/St_Johns"),
    ] {
        assert!(plain == run(locale, zone), "{locale} {zone}");
    }
}
