//! How the command ends: exit codes, where text goes, what happens to pipes and signals.

mod cli_common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cli_common::{Ended, PATIENCE, command, ended, logs, put, skewed, wait_for_its_watch, windrow};

#[test]
fn help_and_version_go_to_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let help = windrow(dir.path(), &["--help"]).expect(0);
    assert!(
        help.stdout
            .contains("windrow convert 'logs/*.json.gz' --to out/logs")
    );
    assert!(help.stderr.is_empty());
    assert!(
        help.stdout.lines().all(|line| line.chars().count() <= 100),
        "{}",
        help.stdout
    );
    let version = windrow(dir.path(), &["--version"]).expect(0);
    assert_eq!(
        version.stdout,
        format!("windrow {}\n", env!("CARGO_PKG_VERSION"))
    );
    for name in [
        "convert",
        "repartition",
        "inspect",
        "schema",
        "head",
        "count",
        "explain",
        "verify",
        "completions",
    ] {
        let help = windrow(dir.path(), &[name, "--help"]).expect(0);
        assert!(help.stdout.contains("Examples:"), "{name}");
    }
}

#[test]
fn help_is_a_command_too_and_shows_characters_as_they_are_typed() {
    let dir = tempfile::tempdir().unwrap();
    let help = windrow(dir.path(), &["help", "convert"]).expect(0).stdout;
    assert_eq!(
        help,
        windrow(dir.path(), &["convert", "--help"]).expect(0).stdout
    );
    for shown in [
        r"or \t for a tab",
        r#"[default: "]"#,
        "parquet, json, csv or ipc",
    ] {
        assert!(help.contains(shown), "{shown}: {help}");
    }
    assert!(!help.contains(r"\\"), "{help}");
}

#[test]
fn output_to_a_dash_is_refused_and_to_a_folder_of_that_name_is_not() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json"), "{\"a\":1}\n");
    let refused = windrow(dir.path(), &["convert", "a.json", "--to", "-"]).expect(2);
    assert!(refused.stderr.contains("./-"), "{}", refused.stderr);
    assert!(!dir.path().join("-").exists());
    windrow(dir.path(), &["convert", "a.json", "--to", "./-"]).expect(0);
    assert!(dir.path().join("-/_windrow.json").exists());
}

#[test]
fn a_value_that_is_none_is_told_with_its_flag_once() {
    let dir = tempfile::tempdir().unwrap();
    for (flag, value) in [
        ("--compression", "zstd:0"),
        ("--format", "orc"),
        ("--encoding", "utf-7"),
        ("--max-rejects", "few"),
    ] {
        let args = ["convert", "a.json", "--to", "out", flag, value];
        let error = windrow(dir.path(), &args).expect(2).stderr;
        let setting = format!("{}:", flag.trim_start_matches('-'));
        assert!(error.contains(flag) && !error.contains(&setting), "{error}");
    }
}

/// The command as a user who is not root runs it; none where this user may not run it.
fn as_nobody(dir: &Path, args: &[&str]) -> Option<Ended> {
    let mut windrow = command();
    if rustix::process::geteuid().is_root() {
        windrow.uid(65_534).gid(65_534);
    }
    let output = windrow.current_dir(dir).args(args).output();
    match output {
        Ok(output) => Some(ended(output)),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

#[test]
fn a_folder_that_may_not_be_written_is_refused_and_once_it_may_each_row_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let allow = |path: &str, mode: u32| {
        let path = dir.path().join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow("", 0o777);
    put(&dir.path().join("a.json"), "{\"k\":\"x\",\"n\":1}\n");
    let by_value = ["convert", "a.json", "--to", "out", "--partition-on", "k"];
    let Some(first) = as_nobody(dir.path(), &by_value) else {
        return;
    };
    first.expect(0);
    for (closed, again) in [
        ("out", "--append"),
        ("out", "--overwrite"),
        ("out/k=x", "--overwrite"),
    ] {
        allow(closed, 0o555);
        let args = [&by_value[..], &[again]].concat();
        // A folder inside does not hinder an exchange of the whole.
        let code = if closed == "out" { 1 } else { 0 };
        let ended = as_nobody(dir.path(), &args).unwrap().expect(code);
        assert_eq!(
            ended.stderr.contains("cannot write to"),
            code == 1,
            "{}",
            ended.stderr
        );
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
        if code == 1 {
            allow(closed, 0o755);
        }
        let count = as_nobody(dir.path(), &["count", "out"]).unwrap().expect(0);
        assert_eq!(count.stdout, "1\n", "{closed} {again}");
    }
    let args = [&by_value[..], &["--append"]].concat();
    as_nobody(dir.path(), &args).unwrap().expect(0);
    let count = as_nobody(dir.path(), &["count", "out"]).unwrap().expect(0);
    assert_eq!(count.stdout, "2\n");
}

#[test]
fn what_is_nested_deep_is_written_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let objects = |depth| format!("{}1{}\n", "{\"a\":".repeat(depth), "}".repeat(depth));
    let lists = |depth| format!("{{\"a\":{}1{}}}\n", "[".repeat(depth), "]".repeat(depth));
    let texts = [63, 120, 255].map(|depth| [objects(depth), lists(depth)]);
    for (idx, text) in texts.into_iter().flatten().enumerate() {
        put(&dir.path().join("deep.json"), &text);
        let most = ["--max-depth", "256", "--overwrite"];
        let args = [&["convert", "deep.json", "--to", "out"], &most[..]].concat();
        windrow(dir.path(), &args).expect(0);
        windrow(dir.path(), &["verify", "out"]).expect(0);
        let head = windrow(dir.path(), &["head", "out", "--output", "json"]).expect(0);
        assert_eq!(head.stdout, text, "text {idx}");
    }
}

#[test]
fn what_nests_deeper_than_ipc_can_hold_is_refused_by_column() {
    let dir = tempfile::tempdir().unwrap();
    let objects = |depth| format!("{}1{}\n", "{\"a\":".repeat(depth), "}".repeat(depth));
    let lists = |depth| format!("{{\"a\":{}1{}}}\n", "[".repeat(depth), "]".repeat(depth));
    let ipc = [
        "convert",
        "deep.json",
        "--to",
        "out",
        "--format",
        "ipc",
        "--overwrite",
    ];
    // A key of the record itself is a column, and none of its levels.
    for text in [objects(61), lists(60)] {
        put(&dir.path().join("deep.json"), &text);
        windrow(dir.path(), &ipc).expect(0);
        windrow(dir.path(), &["verify", "out"]).expect(0);
        let head = windrow(dir.path(), &["head", "out", "--output", "json"]).expect(0);
        assert_eq!(head.stdout, text);
    }
    for text in [objects(62), lists(61), objects(120)] {
        put(&dir.path().join("deep.json"), &text);
        let end = windrow(dir.path(), &ipc).expect(2);
        assert!(
            end.stderr
                .contains("column \"a\" nests deeper than 60 levels"),
            "{}",
            end.stderr
        );
        assert!(!end.stderr.contains(".windrow"), "{}", end.stderr);
    }
}

#[test]
fn hints_name_what_helps() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("empty.json"), "");
    let empty = [
        "convert",
        "empty.json",
        "--to",
        "out",
        "--schema-file-if-empty",
    ];
    let end = windrow(dir.path(), &empty).expect(2);
    assert!(
        end.stderr.contains("no column to write") && end.stderr.contains("--schema which"),
        "{}",
        end.stderr
    );
    std::fs::write(dir.path().join("wide.json"), b"\xff\xfe{\0}\0\n\0").unwrap();
    let end = windrow(dir.path(), &["convert", "wide.json", "--to", "out"]).expect(1);
    assert!(end.stderr.contains("iconv -f UTF-16"), "{}", end.stderr);
    assert!(!end.stderr.contains("hint"), "{}", end.stderr);
    // Of an array that does not end, no record can be passed over.
    put(&dir.path().join("open.json"), "[{\"a\":1},\n{\"a\":2}");
    let end = windrow(dir.path(), &["count", "open.json"]).expect(1);
    assert!(end.stderr.contains("open.json: line 2"), "{}", end.stderr);
    assert!(!end.stderr.contains("hint"), "{}", end.stderr);
}

#[test]
fn wrong_usage_ends_with_2_and_names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    skewed(dir.path());
    let convert = ["convert", "logs/*.gz", "--to", "out"];
    for (args, text) in [
        (vec!["convert", "logs/*.gz"], "--to"),
        (vec!["frobnicate"], "frobnicate"),
        (
            vec!["convert", "no/such/*.gz", "--to", "out"],
            "no/such/*.gz",
        ),
        (
            [
                &convert[..],
                &["--npartitions", "2", "--partition-rows", "9"],
            ]
            .concat(),
            "--partition-rows",
        ),
        (
            [&convert[..], &["--npartitions", "0"]].concat(),
            "npartitions",
        ),
        (
            [&convert[..], &["--where", "statsu > 3"]].concat(),
            "status",
        ),
        (
            [&convert[..], &["--where", "status >"]].concat(),
            "column 9",
        ),
        ([&convert[..], &["--columns", "id,usr"]].concat(), "user"),
        (
            [&convert[..], &["--compression", "zstd:99"]].concat(),
            "zstd:99",
        ),
        (
            [&convert[..], &["--partition-size", "12 parsecs"]].concat(),
            "12 parsecs",
        ),
        (
            [
                &convert[..],
                &["--max-rejects", "many", "--on-bad-record", "skip"],
            ]
            .concat(),
            "many",
        ),
        (
            [&convert[..], &["--rejects", "r.json"]].concat(),
            "on-bad-record",
        ),
        (
            [&convert[..], &["--append", "--overwrite"]].concat(),
            "--overwrite",
        ),
        ([&convert[..], &["--threads", "0"]].concat(), "threads"),
        (
            vec!["repartition", "logs/*.gz", "--to", "out"],
            "--npartitions",
        ),
    ] {
        let end = windrow(dir.path(), &args).expect(2);
        assert!(end.stderr.contains(text), "{args:?}: {}", end.stderr);
        assert!(end.stdout.is_empty(), "{args:?}");
        assert!(!dir.path().join("out").exists(), "{args:?}");
    }
}

#[test]
fn bad_data_ends_with_1_and_names_file_line_and_byte() {
    let dir = tempfile::tempdir().unwrap();
    let good = logs(50);
    let text = format!("{good}{{\"id\": nope}}\n{good}");
    put(&dir.path().join("bad.json.gz"), &text);
    let end = windrow(dir.path(), &["convert", "bad.json.gz", "--to", "out"]).expect(1);
    let errors: Vec<&str> = end
        .stderr
        .lines()
        .filter(|line| line.starts_with("error:"))
        .collect();
    assert_eq!(errors.len(), 1, "{}", end.stderr);
    let place = format!("bad.json.gz: line 51 (byte {} decompressed)", good.len());
    assert!(errors[0].contains(&place), "{}", errors[0]);
    assert!(!dir.path().join("out").exists());
    // The hint's command prints that very record.
    let at = format!("bad.json.gz:{}", good.len());
    assert!(
        end.stderr.contains(&format!("windrow head --at {at}")),
        "{}",
        end.stderr
    );
    let head = windrow(dir.path(), &["head", "--at", &at]).expect(0);
    assert_eq!(head.stdout, "{\"id\": nope}\n");
}

#[test]
fn failed_checks_end_with_3() {
    let dir = tempfile::tempdir().unwrap();
    skewed(dir.path());
    let inspect = ["inspect", "logs/*.gz"];
    let end = windrow(
        dir.path(),
        &[&inspect[..], &["--max-balance", "1.5"]].concat(),
    )
    .expect(3);
    assert!(
        end.stderr.contains("1.5") && end.stdout.contains("cure"),
        "{}",
        end.stderr
    );
    windrow(
        dir.path(),
        &[&inspect[..], &["--max-balance", "10"]].concat(),
    )
    .expect(0);
    let end = windrow(dir.path(), &[&inspect[..], &["--fail-on-empty"]].concat()).expect(3);
    assert!(end.stderr.contains("logs/c.json.gz"), "{}", end.stderr);
    windrow(
        dir.path(),
        &["inspect", "logs/a.json.gz", "--fail-on-empty"],
    )
    .expect(0);
}

#[test]
fn a_closed_pipe_is_quiet_and_a_full_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json"), &logs(40_000));
    let mut child = command()
        .current_dir(dir.path())
        .args(["head", "a.json", "-n", "40000", "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    drop(stdout);
    assert!(first.starts_with("{\"id\":0,"), "{first}");
    let end = ended(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(end.stderr, "");
    if let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") {
        let mut child = command();
        let output = child
            .current_dir(dir.path())
            .args(["count", "a.json"])
            .stdout(full)
            .output();
        let end = ended(output.unwrap()).expect(1);
        assert!(
            end.stderr.contains("stdout: cannot write"),
            "{}",
            end.stderr
        );
    }
}

#[test]
fn an_interrupt_ends_with_130_within_a_second_and_leaves_nothing() {
    for signal in ["INT", "TERM"] {
        let dir = tempfile::tempdir().unwrap();
        // Standard input that goes on: the run cannot end by itself.
        let mut child = command()
            .current_dir(dir.path())
            .args(["convert", "-", "--to", "out", "--threads", "2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let line = logs(1000);
        let writer = std::thread::spawn(move || {
            // Ends when the child closes its end.
            while stdin.write_all(line.as_bytes()).is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        wait_for_its_watch(&child);
        std::thread::sleep(Duration::from_millis(500));
        let id = child.id().to_string();
        let start = Instant::now();
        assert!(
            std::process::Command::new("kill")
                .args([&format!("-{signal}"), &id])
                .status()
                .unwrap()
                .success()
        );
        let status = child.wait().unwrap();
        let took = start.elapsed();
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        writer.join().unwrap();
        assert_eq!(status.code(), Some(130), "{signal}: {stderr}");
        // The run would go on without end; a loaded machine is given more than the second promised.
        assert!(took < PATIENCE, "{signal}: {took:?}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert!(left.is_empty(), "{signal}: {left:?}");
    }
}

#[test]
fn plain_progress_lines_go_to_stderr_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json.gz"), &logs(1000));
    let end = windrow(dir.path(), &["count", "a.json.gz", "--progress", "always"]).expect(0);
    assert_eq!(end.stdout, "1000\n");
    assert!(
        end.stderr.contains("100 % of") && end.stderr.contains("rows/s"),
        "{}",
        end.stderr
    );
    let end = windrow(dir.path(), &["count", "a.json.gz"]).expect(0);
    assert_eq!((end.stdout.as_str(), end.stderr.as_str()), ("1000\n", ""));
}

#[test]
fn completions_name_every_command() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let end = windrow(dir.path(), &["completions", shell]).expect(0);
        assert!(
            end.stdout.contains("repartition") && end.stdout.contains("max-rejects"),
            "{shell}"
        );
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_pipe_that_says_nothing() {
    // Before the first record, while names are looked up, and after many records.
    for text in [String::new(), logs(20_000)] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = command()
            .current_dir(dir.path())
            .args(["convert", "-", "--to", "out"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        wait_for_its_watch(&child);
        std::thread::sleep(Duration::from_millis(500));
        let id = child.id().to_string();
        let start = Instant::now();
        assert!(
            std::process::Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(start.elapsed() < PATIENCE);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        drop(stdin);
    }
}

#[test]
fn files_of_two_formats_are_refused_with_both_names_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("in/a.json.gz"), &logs(10));
    put(&dir.path().join("in/c.json"), "not JSON\n");
    windrow(dir.path(), &["convert", "in/a.json.gz", "--to", "made"]).expect(0);
    let part = std::fs::read_dir(dir.path().join("made"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "parquet"))
        .unwrap();
    // Its name says one thing and its content another.
    std::fs::copy(&part, dir.path().join("in/b.json.gz")).unwrap();
    std::fs::write(
        dir.path().join("list"),
        format!("{}\nin/a.json.gz\n", part.display()),
    )
    .unwrap();
    for input in ["in", "in/*.json*", "@list"] {
        for command in [
            &["convert", "--to", "out"][..],
            &["count"],
            &["head"],
            &["schema"],
        ] {
            let end = windrow(dir.path(), &[command, &[input]].concat()).expect(2);
            assert!(end.stderr.contains("is parquet"), "{}", end.stderr);
            assert!(end.stderr.contains("is json"), "{}", end.stderr);
            assert!(end.stderr.contains("in/a.json.gz"), "{}", end.stderr);
        }
    }
    windrow(dir.path(), &["inspect", "made", "in/a.json.gz"]).expect(0);
}

#[test]
fn logs_that_are_no_terminal_hold_no_colours() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json"), &logs(10));
    let end = windrow(dir.path(), &["convert", "a.json", "--to", "out", "-vv"]).expect(0);
    assert!(end.stderr.contains("windrow::"), "{}", end.stderr);
    assert!(!end.stderr.contains('\u{1b}'), "{}", end.stderr);
}
