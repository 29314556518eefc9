//! Output is complete or not there at all: after `kill -9` at any moment, on a
//! full disk, in a folder that cannot be written, after an interrupt.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::cli::{command, logs, put, wait_for_its_watch, windrow};
use common::folder::{files, names};
use common::generate::{Layout, Logs, Random, Seed, gzip};
use common::log_files;

type Files = BTreeMap<String, Vec<u8>>;

/// Starts `windrow ARGS...` in `dir`.
fn start(dir: &Path, args: &[&str]) -> Child {
    command()
        .current_dir(dir)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills `windrow ARGS...` after `delay`; whether it was still running.
fn kill_after(dir: &Path, args: &[&str], delay: Duration) -> bool {
    let mut child = start(dir, args);
    std::thread::sleep(delay);
    let running = child.try_wait().unwrap().is_none();
    // SIGKILL. A child that has ended meanwhile is no error.
    let _ = child.kill();
    child.wait().unwrap();
    running
}

/// The files of a folder that may not be there.
fn files_if_any(dir: &Path) -> Option<Files> {
    dir.exists().then(|| files(dir))
}

/// Copies the files of a folder to a new one.
fn put_files(dir: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// Delays that spread over a run that takes `whole`, and a little past it.
fn delays(whole: Duration, rounds: u32, random: &mut Random) -> Vec<Duration> {
    (0..rounds)
        .map(|round| {
            let step = whole * 11 / 10 / rounds;
            step * round + step * random.below(1000) as u32 / 1000
        })
        .collect()
}

/// What kills do to a target that held `old` when a whole run makes it `new`.
fn survives_kills(dir: &Path, args: &[&str], old: Option<&Files>) {
    let out = dir.join("out");
    let reset = || {
        if out.exists() {
            std::fs::remove_dir_all(&out).unwrap();
        }
        if let Some(old) = old {
            put_files(&out, old);
        }
    };
    reset();
    let begun = Instant::now();
    windrow(dir, args).expect(0);
    let whole = begun.elapsed();
    let new = files(&out);
    assert_ne!(Some(&new), old);
    let before = names(dir);
    let mut random = Random::new(Seed(8));
    let (mut olds, mut news, mut killed) = (0, 0, 0);
    for delay in delays(whole, 14, &mut random) {
        reset();
        killed += u32::from(kill_after(dir, args, delay));
        let found = files_if_any(&out);
        if found.as_ref() == old {
            olds += 1;
        } else {
            // What is hidden in the target is not part of it, and goes with the next run.
            let mut seen = found.unwrap_or_default();
            seen.retain(|name, _| !name.starts_with('.'));
            if Some(&seen) == old || old.is_none() && seen.is_empty() {
                olds += 1;
            } else {
                assert!(
                    seen == new,
                    "half an output after {delay:?}: {:?}",
                    seen.keys()
                );
                news += 1;
            }
        }
        // The next run meets what the dead one left; an append would add to it once more.
        if args.contains(&"--append") {
            reset();
        }
        windrow(dir, args).expect(0);
        assert_eq!(files(&out), new, "after a kill at {delay:?}");
        assert_eq!(names(dir), before, "litter after a kill at {delay:?}");
        windrow(dir, &["verify", "out"]).expect(0);
    }
    println!("{killed} killed of 14 in {whole:?}: {olds} old, {news} new");
    assert!(killed >= 5, "only {killed} runs were killed");
}

/// More rows than 32 MiB hold, so that a count of partitions must spill them.
fn much(dir: &Path) {
    let member = gzip(&Logs::new(Seed(4), 4_000).text());
    std::fs::write(dir.join("much.json.gz"), member.repeat(40)).unwrap();
}

fn sample(dir: &Path) {
    let layout = Layout {
        files: 3,
        ..Layout::default()
    };
    log_files(&dir.join("logs"), 12_000, layout);
}

#[test]
fn a_kill_leaves_no_output_or_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let args = [
        "convert",
        "logs",
        "--to",
        "out",
        "--npartitions",
        "5",
        "--overwrite",
    ];
    survives_kills(dir.path(), &args, None);
}

#[test]
fn a_kill_of_an_overwrite_leaves_the_old_output_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    put(&dir.path().join("old.json"), &logs(500));
    windrow(
        dir.path(),
        &[
            "convert",
            "old.json",
            "--to",
            "out",
            "--partition-rows",
            "40",
        ],
    )
    .expect(0);
    let old = files(&dir.path().join("out"));
    let args = [
        "convert",
        "logs",
        "--to",
        "out",
        "--npartitions",
        "5",
        "--overwrite",
    ];
    survives_kills(dir.path(), &args, Some(&old));
}

#[test]
fn a_kill_of_an_append_leaves_the_old_output_or_both() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let first = ["convert", "logs", "--to", "out", "--npartitions", "3"];
    windrow(dir.path(), &first).expect(0);
    let old = files(&dir.path().join("out"));
    let args = [
        "convert",
        "logs",
        "--to",
        "out",
        "--npartitions",
        "5",
        "--append",
    ];
    survives_kills(dir.path(), &args, Some(&old));
}

#[test]
fn a_kill_leaves_no_spill_files_behind_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    much(dir.path());
    std::fs::create_dir(dir.path().join("spill")).unwrap();
    let args = [
        "convert",
        "much.json.gz",
        "--to",
        "out",
        "--npartitions",
        "2",
        "--memory",
        "32MiB",
        "--spill-dir",
        "spill",
        "--overwrite",
        "--report",
        "r.json",
    ];
    let begun = Instant::now();
    windrow(dir.path(), &args).expect(0);
    let whole = begun.elapsed();
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("r.json")).unwrap()).unwrap();
    assert!(
        report["spilled_bytes"].as_u64().unwrap() > 0,
        "nothing was spilled"
    );
    for delay in delays(whole, 4, &mut Random::new(Seed(9))) {
        kill_after(dir.path(), &args, delay);
        windrow(dir.path(), &args).expect(0);
        assert_eq!(
            names(&dir.path().join("spill")),
            Vec::<String>::new(),
            "after {delay:?}"
        );
    }
}

#[test]
fn a_used_folder_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json"), &logs(100));
    put(&dir.path().join("used/notes.txt"), "mine");
    windrow(dir.path(), &["convert", "a.json", "--to", "out"]).expect(0);
    for used in ["used", "out"] {
        let old = files(&dir.path().join(used));
        let end = windrow(dir.path(), &["convert", "a.json", "--to", used]).expect(2);
        assert!(
            end.stderr.contains(used) && end.stderr.contains("overwrite"),
            "{}",
            end.stderr
        );
        assert_eq!(files(&dir.path().join(used)), old);
    }
    // A file in the place of the folder, and what is not windrow's, are not overwritten either.
    let end = windrow(dir.path(), &["convert", "a.json", "--to", "a.json/out"]);
    assert!(
        matches!(end.code, Some(1 | 2)),
        "{:?} {}",
        end.code,
        end.stderr
    );
    let end = windrow(
        dir.path(),
        &[
            "convert",
            "used",
            "--from",
            "json",
            "--to",
            "a.json",
            "--overwrite",
        ],
    );
    assert!(
        matches!(end.code, Some(1 | 2)),
        "{:?} {}",
        end.code,
        end.stderr
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("a.json")).unwrap(),
        logs(100)
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("used/notes.txt")).unwrap(),
        "mine"
    );
    assert_eq!(names(dir.path()), ["a.json", "out", "used"]);
}

#[test]
fn an_input_is_never_its_own_output() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("in/a.json"), &logs(100));
    put(&dir.path().join("in/deep/b.json.gz"), &logs(50));
    std::os::unix::fs::symlink("in", dir.path().join("link")).unwrap();
    let before = files(dir.path());
    for (input, to) in [
        ("in", "in"),
        ("in", "in/out"),
        ("in", "in/deep"),
        ("in/deep", "in"),
        ("in/a.json", "in"),
        ("in/*.json", "in"),
        ("in/*.json", "./in/../in"),
        ("in", "link"),
        ("link", "in/out"),
        ("link/a.json", "in"),
        ("in/a.json", "in/a.json"),
    ] {
        for flag in ["--overwrite", "--append"] {
            let end = windrow(dir.path(), &["convert", input, "--to", to, flag]).expect(2);
            assert!(
                end.stderr.starts_with("error: "),
                "{input} to {to}: {}",
                end.stderr
            );
            assert_eq!(files(dir.path()), before, "{input} to {to} {flag}");
        }
    }
}

#[test]
fn an_error_in_the_last_record_leaves_the_old_output() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json"), &logs(100));
    put(
        &dir.path().join("b.json"),
        &format!("{}{{\"id\":", logs(30_000)),
    );
    windrow(dir.path(), &["convert", "a.json", "--to", "out"]).expect(0);
    let old = files(dir.path());
    for flag in ["--overwrite", "--append"] {
        let args = [
            "convert",
            "b.json",
            "--to",
            "out",
            flag,
            "--partition-rows",
            "1000",
        ];
        let end = windrow(dir.path(), &args).expect(1);
        assert!(end.stderr.contains("b.json: line 30001"), "{}", end.stderr);
        assert_eq!(files(dir.path()), old, "{flag}");
    }
}

#[test]
fn interrupted_work_on_files_leaves_the_old_output_and_ends_with_130() {
    let dir = tempfile::tempdir().unwrap();
    // Long enough to be under way when the signal comes.
    let member = common::cli::gzipped(logs(4_000).as_bytes());
    std::fs::write(dir.path().join("a.json.gz"), member.repeat(600)).unwrap();
    put(&dir.path().join("b.json"), &logs(100));
    windrow(dir.path(), &["convert", "b.json", "--to", "out"]).expect(0);
    let old = files(&dir.path().join("out"));
    for signal in ["-INT", "-TERM"] {
        for flags in [
            vec!["--overwrite"],
            vec!["--append"],
            vec!["--overwrite", "--npartitions", "3"],
        ] {
            let args = [&["convert", "a.json.gz", "--to", "out"], &flags[..]].concat();
            let mut child = start(dir.path(), &args);
            wait_for_its_watch(&child);
            std::thread::sleep(Duration::from_millis(400));
            let kill = Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap();
            assert!(kill.success(), "it had ended before it was interrupted");
            let status = child.wait().unwrap();
            assert_eq!(status.code(), Some(130), "{signal} {flags:?}");
            assert_eq!(files(&dir.path().join("out")), old, "{signal} {flags:?}");
            assert_eq!(names(dir.path()), ["a.json.gz", "b.json", "out"]);
        }
    }
}

/// A small file system of its own; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    /// Nothing, and a word about it, where this process may not mount.
    fn tmpfs(at: PathBuf, size: &str) -> Option<Mount> {
        std::fs::create_dir_all(&at).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&at)
            .stderr(Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Mount(at));
        }
        println!("skipped: this user may not mount a file system");
        None
    }

    fn read_only(&self) {
        let mount = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&self.0)
            .status();
        assert!(mount.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Best effort: the folder below it is temporary.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_a_sentence_and_leaves_the_old_output() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    put(&dir.path().join("small.json"), &logs(150));
    let Some(disk) = Mount::tmpfs(dir.path().join("disk"), "300k") else {
        return;
    };
    let convert = ["convert", "logs", "--to"];
    for flags in [
        vec![],
        vec!["--partition-rows", "500"],
        vec!["--format", "json"],
        vec!["--format", "ipc"],
    ] {
        let end = windrow(
            dir.path(),
            &[&convert[..], &["disk/new"], &flags[..]].concat(),
        )
        .expect(1);
        assert!(
            end.stderr.contains("disk/") && end.stderr.contains("No space left"),
            "{}",
            end.stderr
        );
        assert_eq!(names(&disk.0), Vec::<String>::new(), "{flags:?}");
    }
    windrow(dir.path(), &["convert", "small.json", "--to", "disk/out"]).expect(0);
    let old = files(&disk.0);
    let over = ["disk/out", "--overwrite"];
    let end = windrow(dir.path(), &[&convert[..], &over].concat()).expect(1);
    assert!(end.stderr.contains("No space left"), "{}", end.stderr);
    assert_eq!(files(&disk.0), old);
    // Append to the full disk what has the same columns.
    put(&dir.path().join("more.json"), &logs(200_000));
    let more = [
        "convert",
        "more.json",
        "--to",
        "disk/out",
        "--append",
        "--compression",
        "none",
    ];
    let end = windrow(dir.path(), &more).expect(1);
    assert!(end.stderr.contains("No space left"), "{}", end.stderr);
    assert_eq!(files(&disk.0), old);
    // Spill files that do not fit are a sentence, too.
    std::fs::create_dir(disk.0.join("spill")).unwrap();
    much(dir.path());
    let spill = [
        "convert",
        "much.json.gz",
        "--to",
        "out",
        "--npartitions",
        "2",
        "--memory",
        "32MiB",
        "--spill-dir",
        "disk/spill",
    ];
    let end = windrow(dir.path(), &spill).expect(1);
    assert!(
        end.stderr.contains("disk/spill") && end.stderr.contains("No space left"),
        "{}",
        end.stderr
    );
    assert!(!dir.path().join("out").exists());
    assert_eq!(names(&disk.0.join("spill")), Vec::<String>::new());
    // With room again the next run works.
    std::fs::remove_dir_all(disk.0.join("spill")).unwrap();
    windrow(
        dir.path(),
        &["convert", "small.json", "--to", "disk/out", "--overwrite"],
    )
    .expect(0);
    assert_eq!(names(&disk.0), ["out"]);
}

#[test]
fn a_read_only_folder_is_a_sentence_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("a.json"), &logs(100));
    let Some(disk) = Mount::tmpfs(dir.path().join("disk"), "4m") else {
        return;
    };
    windrow(dir.path(), &["convert", "a.json", "--to", "disk/out"]).expect(0);
    let old = files(&disk.0);
    disk.read_only();
    for (to, flag) in [
        ("disk/new", "--quiet"),
        ("disk/out", "--overwrite"),
        ("disk/out", "--append"),
        ("disk/out/deeper/still", "--quiet"),
    ] {
        let end = windrow(dir.path(), &["convert", "a.json", "--to", to, flag]).expect(1);
        assert!(
            end.stderr.contains("disk") && end.stderr.contains("Read-only"),
            "{to} {flag}: {}",
            end.stderr
        );
        assert_eq!(files(&disk.0), old, "{to} {flag}");
    }
    // It can still be read, also when it is the working folder of the run.
    windrow(dir.path(), &["convert", "disk/out", "--to", "copy"]).expect(0);
    windrow(&disk.0, &["count", "out"]).expect(0);
    windrow(&disk.0, &["inspect", "out"]).expect(0);
    windrow(&disk.0, &["verify", "out"]).expect(0);
}
