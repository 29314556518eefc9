//! Output appears complete or not at all: over nothing, over old output, beside
//! another run, on a full disk, and after a kill at any moment.

mod sink_common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use sink_common::*;
use windrow::Error;
use windrow::sink::{
    Codec, Existing, Format, HivePath, MANIFEST, Manifest, ManifestInfo, Staging, WriteOptions,
    split, verify,
};

fn over(dir: &Path, existing: Existing) -> WriteOptions {
    WriteOptions {
        existing,
        ..WriteOptions::new(dir)
    }
}

/// Every name below a folder, hidden ones too.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = walk(dir)
        .into_iter()
        .map(|path| path.strip_prefix(dir).unwrap().display().to_string())
        .collect();
    names.sort();
    names
}

fn ids(dir: &Path) -> Vec<i64> {
    let manifest = Manifest::read(dir).unwrap().unwrap();
    manifest
        .parts
        .iter()
        .flat_map(|part| {
            let rows = read_parquet(&dir.join(&part.path));
            rows.column_by_name("id")
                .unwrap()
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect()
}

#[test]
fn nothing_is_visible_before_the_commit_and_no_trace_is_left_without_one() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("a/b/out");
    let rows = table(100, 0);
    {
        let staging = Staging::open(&WriteOptions::new(&out), &[]).unwrap();
        let mut part = staging.part(None, &rows.schema()).unwrap();
        append(&mut part, vec![rows.clone()]).unwrap();
        assert!(!out.exists());
        part.finish().unwrap();
    }
    assert_eq!(
        fs::read_dir(root.path()).unwrap().count(),
        0,
        "made parents go too"
    );
    write(&WriteOptions::new(&out), &[rows], 10).unwrap();
    assert_eq!(
        names(root.path()),
        ["a/b/out/_windrow.json", "a/b/out/part-000000.parquet"]
    );
}

#[test]
fn a_folder_in_use_is_refused_and_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    write(&WriteOptions::new(&out), &[table(100, 0)], 10).unwrap();
    let before = files(root.path());
    let error = Staging::open(&WriteOptions::new(&out), &[]).err().unwrap();
    assert!(error.is_usage(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("--append") && text.contains("--overwrite"),
        "{text}"
    );
    assert!(files(root.path()) == before, "the old output changed");

    let notes = root.path().join("notes");
    fs::create_dir(&notes).unwrap();
    fs::write(notes.join("todo.txt"), "hay").unwrap();
    let error = Staging::open(&WriteOptions::new(&notes), &[])
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("todo.txt"), "{error}");
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    write(&WriteOptions::new(&empty), &[table(10, 0)], 10).unwrap();
    assert_eq!(names(&empty).len(), 2);
}

#[test]
fn overwrite_leaves_nothing_of_the_old_output_and_touches_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    write(
        &WriteOptions::new(&out),
        &[table(10, 0), table(10, 10), table(10, 20)],
        10,
    )
    .unwrap();
    fs::write(out.join("part-000009.parquet"), "of an older, wider run").unwrap();
    fs::write(out.join("_SUCCESS"), "").unwrap();
    write(&over(&out, Existing::Overwrite), &[table(7, 500)], 10).unwrap();
    assert_eq!(
        names(root.path()),
        ["out/_windrow.json", "out/part-000000.parquet"]
    );
    assert!(ids(&out).into_iter().eq(500..507));

    for foreign in ["notes.txt", "sub/data.sqlite", "part-x.parquet"] {
        let path = out.join(foreign);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "precious").unwrap();
        let error = Staging::open(&over(&out, Existing::Overwrite), &[])
            .err()
            .unwrap();
        assert!(
            error.is_usage() && error.to_string().contains(foreign),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();
    }
    symlink(root.path(), out.join("part-000001.parquet")).unwrap();
    assert!(
        Staging::open(&over(&out, Existing::Overwrite), &[]).is_err(),
        "a link is no part file"
    );
}

#[test]
fn a_failed_overwrite_keeps_the_old_output() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    write(&WriteOptions::new(&out), &[table(10, 0)], 10).unwrap();
    let before = files(root.path());
    let staging = Staging::open(&over(&out, Existing::Overwrite), &[]).unwrap();
    let rows = table(10, 5);
    let mut part = staging.part(None, &rows.schema()).unwrap();
    append(&mut part, vec![rows.clone()]).unwrap();
    let failing = |_: &RecordBatch, _: &arrow_schema::Schema| Err(Error::Cancelled);
    let mut wider: Vec<_> = rows.schema().fields().iter().cloned().collect();
    wider[0] = Arc::new(
        wider[0]
            .as_ref()
            .clone()
            .with_data_type(arrow_schema::DataType::Utf8),
    );
    let wider = arrow_schema::Schema::new(wider);
    let error = staging
        .commit(
            vec![part.finish().unwrap()],
            &wider,
            &failing,
            ManifestInfo::default(),
            &in_threads,
        )
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(files(root.path()) == before, "the old output changed");

    let staging = Staging::open(&over(&out, Existing::Overwrite), &[]).unwrap();
    let part = staging.part(None, &rows.schema()).unwrap();
    drop(part);
    let error = staging
        .commit(
            vec![],
            &rows.schema(),
            &same,
            ManifestInfo::default(),
            &in_threads,
        )
        .unwrap_err();
    assert!(
        matches!(error, Error::Internal { .. }),
        "a part was started and not finished: {error}"
    );
    assert!(files(root.path()) == before, "the old output changed");
}

#[test]
fn append_goes_on_after_the_last_part() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    write(
        &over(&out, Existing::Append),
        &[table(10, 0), table(10, 10)],
        10,
    )
    .unwrap();
    let old = files(&out);
    let reports = write(&over(&out, Existing::Append), &[table(10, 20)], 10).unwrap();
    assert_eq!(reports.len(), 1);
    assert!(reports[0].path.ends_with("out/part-000002.parquet"));
    for (path, bytes) in old.iter().filter(|(path, _)| path != Path::new(MANIFEST)) {
        assert_eq!(&fs::read(out.join(path)).unwrap(), bytes);
    }
    assert!(ids(&out).into_iter().eq(0..30));
    let manifest = Manifest::read(&out).unwrap().unwrap();
    assert_eq!(
        (manifest.rows, manifest.runs.len(), manifest.parts.len()),
        (30, 2, 3)
    );
    assert!(verify(&out).unwrap().is_ok());
    assert_eq!(
        fs::read_dir(root.path()).unwrap().count(),
        1,
        "no staging is left"
    );
}

#[test]
fn append_refuses_another_schema_format_or_folders() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let rows = table(10, 0);
    write(&WriteOptions::new(&out), std::slice::from_ref(&rows), 10).unwrap();
    let before = files(root.path());
    let staging = Staging::open(&over(&out, Existing::Append), &[]).unwrap();
    assert_eq!(staging.existing_schema().unwrap().unwrap(), rows.schema());
    drop(staging);
    let error = write(
        &over(&out, Existing::Append),
        &[rows.project(&[0, 2]).unwrap()],
        10,
    )
    .unwrap_err();
    assert!(error.is_usage(), "{error}");
    assert!(
        error.to_string().contains("column \"big\" is missing here"),
        "{error}"
    );
    for options in [
        WriteOptions {
            format: Format::Json,
            ..over(&out, Existing::Append)
        },
        WriteOptions {
            partition_on: vec!["host".into()],
            ..over(&out, Existing::Append)
        },
    ] {
        assert!(Staging::open(&options, &[]).err().unwrap().is_usage());
    }
    assert!(files(root.path()) == before, "the old output changed");
}

#[test]
fn append_takes_in_files_of_another_program() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    write(&WriteOptions::new(&out), &[table(10, 0)], 10).unwrap();
    fs::rename(out.join("part-000000.parquet"), out.join("data.parquet")).unwrap();
    fs::write(out.join("README"), "keep").unwrap();
    fs::remove_file(out.join(MANIFEST)).unwrap();
    write(&over(&out, Existing::Append), &[table(10, 10)], 10).unwrap();
    assert!(ids(&out).into_iter().eq(0..20));
    assert_eq!(fs::read(out.join("README")).unwrap(), b"keep");

    let json = root.path().join("json");
    let options = WriteOptions {
        format: Format::Json,
        ..WriteOptions::new(&json)
    };
    write(&options, &[table(10, 0)], 10).unwrap();
    fs::remove_file(json.join(MANIFEST)).unwrap();
    let options = WriteOptions {
        existing: Existing::Append,
        ..options
    };
    let error = write(&options, &[table(10, 0)], 10).unwrap_err();
    assert!(error.to_string().contains("manifest"), "{error}");
}

#[test]
fn an_input_is_never_in_the_output_nor_the_other_way_round() {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let log = logs.join("a.json");
    fs::write(&log, "{}").unwrap();
    symlink(&logs, root.path().join("link")).unwrap();
    for (dir, input) in [
        ("logs", "logs/a.json"),
        ("logs", "logs"),
        ("link", "logs/a.json"),
        ("logs/out", "logs"),
        ("link/out", "logs"),
        ("logs/../logs", "link/a.json"),
        (".", "logs"),
    ] {
        for existing in [Existing::Refuse, Existing::Append, Existing::Overwrite] {
            let options = over(&root.path().join(dir), existing);
            let error = Staging::open(&options, &[root.path().join(input)]).err();
            let error = error.unwrap_or_else(|| panic!("{dir} {input} {existing:?}"));
            assert!(
                error.is_usage() && error.to_string().contains("input"),
                "{error}"
            );
        }
    }
    assert_eq!(
        names(root.path()).len(),
        1 + names(&root.path().join("link")).len()
    );
    assert_eq!(fs::read(&log).unwrap(), b"{}");
    let beside = WriteOptions::new(logs.join("out"));
    assert!(
        Staging::open(&beside, &[log]).is_ok(),
        "files may be read from beside the output"
    );
}

#[test]
fn a_file_or_a_dead_link_in_the_way_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "hay").unwrap();
    symlink(root.path().join("nowhere"), root.path().join("dead")).unwrap();
    for name in ["file", "dead"] {
        let error = Staging::open(&over(&root.path().join(name), Existing::Overwrite), &[])
            .err()
            .unwrap();
        assert!(
            error.is_usage() && error.to_string().contains(name),
            "{error}"
        );
    }
    let below = Staging::open(&WriteOptions::new(file.join("out")), &[])
        .err()
        .unwrap();
    assert!(matches!(below, Error::Io { .. }), "{below}");
    let forbidden = Staging::open(&WriteOptions::new("/proc/windrow/out"), &[])
        .err()
        .unwrap();
    assert!(forbidden.to_string().contains("/proc"), "{forbidden}");
    assert_eq!(fs::read(&file).unwrap(), b"hay");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
}

#[test]
fn a_linked_target_is_written_where_it_leads() {
    let root = tempfile::tempdir().unwrap();
    let real = root.path().join("real");
    fs::create_dir(&real).unwrap();
    let link = root.path().join("link");
    symlink(&real, &link).unwrap();
    write(&WriteOptions::new(&link), &[table(10, 0)], 10).unwrap();
    write(&over(&link, Existing::Overwrite), &[table(20, 0)], 10).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(ids(&real).len(), 20);
}

#[test]
fn no_rows_leave_no_part_files() {
    let rows = table(0, 0);
    for (format, name) in [
        (Format::Parquet, "part-000000.parquet"),
        (Format::Json, "part-000000.json.gz"),
        (Format::Ipc, "part-000000.arrow"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let mut options = options(&root.path().join("out"), format, None);
        if format == Format::Json {
            options.codec = Some(Codec::Gzip(6));
        }
        let reports = write(&options, &[rows.clone(), rows.clone()], 10).unwrap();
        assert!(reports.is_empty());
        assert_eq!(names(&options.dir), [MANIFEST]);
        assert!(verify(&options.dir).unwrap().is_ok());

        options.dir = root.path().join("schema");
        options.schema_file_if_empty = true;
        let reports = write(&options, std::slice::from_ref(&rows), 10).unwrap();
        assert_eq!(reports.len(), 1);
        assert_eq!(names(&options.dir), [MANIFEST, name]);
        if format != Format::Json {
            assert_eq!(read(&reports[0].path, format, &rows.schema()), rows);
        }
        let verified = verify(&options.dir).unwrap();
        assert!(verified.is_ok(), "{verified}");
    }
}

#[test]
fn folders_of_values_hold_every_row_once() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let values = [
        Some("a/b"),
        None,
        Some(".."),
        Some(""),
        Some("a/b"),
        Some("ü"),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(0..6)) as ArrayRef,
            true,
        ),
        ("k", Arc::new(StringArray::from(values.to_vec())), true),
    ])
    .unwrap();
    let options = WriteOptions {
        partition_on: vec!["k".into()],
        ..WriteOptions::new(&out)
    };
    let staging = Staging::open(&options, &[]).unwrap();
    let schema = Arc::new(rows.schema().project(&[0]).unwrap());
    let mut parts = Vec::new();
    let folders: Vec<(HivePath, _)> = split(&rows, &options.partition_on).unwrap();
    for (folder, places) in folders {
        let mut part = staging.part(Some(&folder), &schema).unwrap();
        let taken =
            arrow_select::take::take_record_batch(&rows.project(&[0]).unwrap(), &places).unwrap();
        append(&mut part, vec![taken]).unwrap();
        parts.push(part.finish().unwrap());
    }
    staging
        .commit(parts, &schema, &same, ManifestInfo::default(), &in_threads)
        .unwrap();
    assert_eq!(
        names(&out),
        [
            MANIFEST,
            "k=%2E%2E/part-000002.parquet",
            "k=%C3%BC/part-000004.parquet",
            "k=/part-000003.parquet",
            "k=__HIVE_DEFAULT_PARTITION__/part-000001.parquet",
            "k=a%2Fb/part-000000.parquet",
        ]
    );
    let mut found = ids(&out);
    found.sort_unstable();
    assert!(found.into_iter().eq(0..6));
    assert!(verify(&out).unwrap().is_ok());
    // Overwriting without folders leaves none of them.
    write(&over(&out, Existing::Overwrite), &[table(3, 0)], 10).unwrap();
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
}

#[test]
fn verify_finds_what_changed() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let problems = || {
        let report = verify(&out).unwrap();
        assert!(!report.is_ok());
        report.to_string()
    };
    for format in [Format::Parquet, Format::Ipc, Format::Json] {
        let fresh = || {
            let options = WriteOptions {
                existing: Existing::Overwrite,
                ..options(&out, format, None)
            };
            write(&options, &[table(100, 0), table(100, 100)], 50).unwrap()
        };
        let part = PathBuf::from(&fresh()[0].path);
        let report = verify(&out).unwrap();
        assert!(report.is_ok(), "{report}");
        assert_eq!((report.parts, report.rows), (2, 200));
        let mut bytes = fs::read(&part).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&part, &bytes).unwrap();
        assert!(problems().contains("checksum"), "one bit");
        fs::write(&part, &bytes[..middle]).unwrap();
        assert!(problems().contains("bytes, not"));
        fs::remove_file(&part).unwrap();
        assert!(problems().contains("missing"));
        fresh();
        fs::copy(&part, out.join("part-000007.parquet")).unwrap();
        assert!(problems().contains("part-000007.parquet: the manifest does not know it"));
        fs::remove_file(out.join("part-000007.parquet")).unwrap();
    }
    let text = fs::read_to_string(out.join(MANIFEST)).unwrap();
    fs::write(
        out.join(MANIFEST),
        text.replace("part-000000.json", "../part-000000.json"),
    )
    .unwrap();
    assert!(problems().contains("leaves the folder"));
    fs::remove_file(out.join(MANIFEST)).unwrap();
    assert!(verify(&out).unwrap_err().is_usage());
}

#[test]
fn two_runs_into_one_folder_do_not_mix() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let first = Staging::open(&WriteOptions::new(&out), &[]).unwrap();
    for existing in [Existing::Refuse, Existing::Append, Existing::Overwrite] {
        let error = Staging::open(&over(&out, existing), &[]).err().unwrap();
        assert!(
            error.to_string().contains("is writing to the same target"),
            "{error}"
        );
    }
    drop(first);
    // Many at once: each either wins whole or fails cleanly.
    let written: Vec<bool> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..8)
            .map(|n| {
                let out = &out;
                scope.spawn(move || {
                    write(&WriteOptions::new(out), &[table(50, n * 1000)], 10).is_ok()
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(written.iter().filter(|won| **won).count(), 1);
    let found = ids(&out);
    assert!(found.iter().copied().eq(found[0]..found[0] + 50));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

/// Not a test of its own: what other tests start as a process of its own, to kill it.
#[test]
fn child() {
    let Ok(out) = std::env::var("WINDROW_TEST_SINK_CHILD") else {
        return;
    };
    let existing = match std::env::var("WINDROW_TEST_SINK_EXISTING").as_deref() {
        Ok("append") => Existing::Append,
        _ => Existing::Overwrite,
    };
    let rounds: i64 = std::env::var("WINDROW_TEST_SINK_ROUNDS")
        .unwrap()
        .parse()
        .unwrap();
    for round in 0..rounds {
        let tables: Vec<RecordBatch> = (0..4)
            .map(|part| table(500, round * 2_000 + part * 500))
            .collect();
        let options = WriteOptions {
            durable: round % 4 == 3,
            ..over(Path::new(&out), existing)
        };
        if let Err(error) = write(&options, &tables, 100) {
            println!("child failed: {error}");
            std::process::exit(7);
        }
    }
}

fn start_child(out: &Path, existing: &str, rounds: i64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env("WINDROW_TEST_SINK_CHILD", out)
        .env("WINDROW_TEST_SINK_EXISTING", existing)
        .env("WINDROW_TEST_SINK_ROUNDS", rounds.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn kill_after(mut child: Child, wait: Duration) {
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The moments at which the child is killed: spread over its first commits.
fn moments() -> impl Iterator<Item = Duration> {
    (0..25u64).map(|n| Duration::from_micros(8_000 + n * n * 331))
}

#[test]
fn a_kill_leaves_the_old_output_or_the_new_one() {
    for existing in ["overwrite", "append"] {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let mut hits = 0;
        for wait in moments() {
            let child = start_child(&out, existing, i64::MAX).spawn().unwrap();
            kill_after(child, wait);
            hits += usize::from(root.path().join(".out.windrow").exists());
            // Before any other run: what readers see is whole.
            if out.exists() {
                let report = verify(&out).unwrap();
                assert!(report.is_ok(), "{existing} after {wait:?}: {report}");
                assert_eq!(report.rows % 2_000, 0, "a whole number of runs");
                let found = ids(&out);
                let runs = found.chunks(2_000);
                assert!(
                    runs.into_iter()
                        .all(|run| run.iter().copied().eq(run[0]..run[0] + 2_000))
                );
            }
        }
        assert!(hits >= 5, "only {hits} kills met a run at work");
        let before = if out.exists() {
            verify(&out).unwrap().rows
        } else {
            0
        };
        assert!(start_child(&out, existing, 1).status().unwrap().success());
        let after = verify(&out).unwrap().rows;
        assert_eq!(
            after,
            if existing == "append" {
                before + 2_000
            } else {
                2_000
            }
        );
        assert_eq!(
            fs::read_dir(root.path()).unwrap().count(),
            1,
            "the litter is gone"
        );
        assert!(!out.join(".windrow").exists());
    }
}

#[test]
fn a_kill_where_folders_cannot_be_exchanged_is_made_good_by_the_next_run() {
    for existing in ["overwrite", "append"] {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        fs::create_dir(&out).unwrap();
        let mut hits = 0;
        // A process that works in the target keeps it: files are moved one by one.
        for wait in moments() {
            let child = start_child(&out, existing, i64::MAX)
                .current_dir(&out)
                .spawn()
                .unwrap();
            kill_after(child, wait);
            hits += usize::from(out.join(".windrow").exists());
            let mut next = start_child(&out, existing, 1);
            assert!(next.current_dir(&out).status().unwrap().success());
            let report = verify(&out).unwrap();
            assert!(report.is_ok(), "{existing} after {wait:?}: {report}");
            assert_eq!(report.rows % 2_000, 0);
            assert!(!out.join(".windrow").exists(), "the litter is gone");
        }
        assert!(hits >= 5, "only {hits} kills met a run at work");
        if existing == "overwrite" {
            assert!(ids(&out).into_iter().eq(0..2_000));
        }
    }
}

#[test]
fn a_run_in_its_own_target_leaves_the_folder_in_place() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    fs::create_dir(&out).unwrap();
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(&out).unwrap().ino();
    for _ in 0..2 {
        assert!(
            start_child(&out, "overwrite", 2)
                .current_dir(&out)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(fs::metadata(&out).unwrap().ino(), inode);
        let report = verify(&out).unwrap();
        assert!(report.is_ok() && report.rows == 2_000, "{report}");
        assert_eq!(names(&out).len(), 5);
    }
}

#[test]
fn a_disk_that_is_full_is_a_sentence_and_leaves_the_old_output() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    write(&WriteOptions::new(&out), &[table(10, 0)], 10).unwrap();
    let before = files(root.path());
    for blocks in [0, 1, 2, 8, 16] {
        // A limit on the size of a file fails a write as a full disk does.
        let child = start_child(&out, "overwrite", 1);
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!(
                "trap '' XFSZ; ulimit -f {blocks}; exec \"$@\" 2>/dev/null | cat"
            ))
            .arg("sh")
            .arg(child.get_program())
            .args(child.get_args())
            .envs(
                child
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            );
        let output = shell.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("child failed: "), "{blocks}: {text}");
        assert!(
            text.contains("cannot write") || text.contains("cannot lock"),
            "{blocks}: {text}"
        );
        assert!(text.contains("File too large"), "{blocks}: {text}");
        assert!(text.contains(".out.windrow"), "the file is named: {text}");
        assert!(files(root.path()) == before, "the old output changed");
    }
    write(&over(&out, Existing::Overwrite), &[table(10, 7)], 10).unwrap();
    assert!(ids(&out).into_iter().eq(7..17));
}
