//! The sheet of a run lists the files that were read and adds up, whatever
//! stages stand between them and the output; what stages keep aside appears
//! with the output or not at all.

use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use windrow::expr::{col, count, lit};
use windrow::{
    By, ByteSize, DataFrame, Error, OnBadRecord, ReadOptions, RunReport, Session, Settings,
    WriteOptions, concat,
};

/// Rows of each file.
const ROWS: u64 = 40;

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

/// Three files: sound rows, one bad record in each, one blank line in each.
fn logs(dir: &Path) -> String {
    for name in ["a", "b", "c"] {
        let mut text: String = (0..ROWS)
            .map(|n| format!("{{\"n\":{n},\"k\":{}}}\n", n % 4))
            .collect();
        text.push_str("\n{\"n\":\n");
        std::fs::write(dir.join(format!("{name}.json")), text).unwrap();
    }
    format!("{}/*.json", dir.display())
}

fn read(session: &Session, input: &str, rejects: &Path) -> DataFrame {
    let options = ReadOptions {
        blocksize: Some(ByteSize::new(200)),
        on_bad_record: OnBadRecord::Reject,
        rejects: Some(rejects.to_path_buf()),
        ..ReadOptions::default()
    };
    session.read_json(input, options).unwrap()
}

fn mapped(frame: &DataFrame) -> DataFrame {
    frame.map_partitions(frame.schema().unwrap(), |part| Ok(part.batches))
}

fn assert_lists_files(report: &RunReport, times: usize, rows_written: u64, what: &str) {
    let names: Vec<_> = report
        .inputs
        .iter()
        .map(|input| Path::new(&input.path).file_name().unwrap().to_owned())
        .collect();
    let wanted: Vec<_> = (0..times)
        .flat_map(|_| ["a.json", "b.json", "c.json"])
        .collect();
    assert_eq!(names, wanted, "{what}");
    for input in &report.inputs {
        let sums = (input.lines, input.rows, input.rejected, input.blank);
        assert_eq!(sums, (ROWS + 2, ROWS, 1, 1), "{what}: {input:?}");
    }
    let files = 3 * times as u64;
    assert_eq!(report.lines, files * (ROWS + 2), "{what}");
    let sum = |of: fn(&windrow::StageReport) -> u64| report.stages.iter().map(of).sum::<u64>();
    assert_eq!(
        report.rows + sum(|stage| stage.rows_out),
        rows_written + report.filtered + report.limited + sum(|stage| stage.rows_in),
        "{what}: {report:?}"
    );
    assert!(!report.stages.is_empty(), "{what}");
}

#[test]
fn the_sheet_behind_a_stage_listed_the_stage_and_not_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let input = logs(dir.path());
    let rejects = dir.path().join("bad.jsonl");
    for threads in [1, 2, 5] {
        let session = session(threads);
        let frame = read(&session, &input, &rejects);
        let again = read(&session, &input.replace('*', "?"), &rejects);
        let some = frame.filter("n < 30").unwrap();
        let grouped = some.groupby(["k"]).unwrap().agg([count()]).unwrap();
        let cases = [
            ("map", mapped(&frame), 1, 120),
            ("map of a filter", mapped(&some), 1, 90),
            (
                "filter of a map",
                mapped(&frame).filter("k = 1").unwrap(),
                1,
                30,
            ),
            ("map of a map", mapped(&mapped(&some)), 1, 90),
            // What both have in common is read once, so it is listed once.
            ("concat", concat([&frame, &some]).unwrap(), 1, 210),
            (
                "concat of maps",
                concat([&mapped(&frame), &some]).unwrap(),
                1,
                210,
            ),
            ("groups", grouped.clone(), 1, 4),
            (
                "groups of a concat",
                concat([&grouped, &grouped]).unwrap(),
                1,
                8,
            ),
            ("concat of reads", concat([&frame, &again]).unwrap(), 2, 240),
            (
                "held",
                mapped(&some).repartition(By::Count(3)).unwrap(),
                1,
                90,
            ),
        ];
        for (what, frame, times, rows) in cases {
            let out = tempfile::tempdir_in(dir.path()).unwrap();
            let report = frame
                .write(&WriteOptions::new(out.path().join("out")))
                .unwrap();
            assert_eq!(report.rows_written(), rows, "{what}");
            assert_lists_files(&report, times, rows, what);
            let kept = std::fs::read_to_string(&rejects).unwrap();
            assert_eq!(kept.lines().count(), 3 * times, "{what}: a bad record each");
            std::fs::remove_file(&rejects).unwrap();
            // The other ways to end a run.
            let table = frame.compute().unwrap();
            assert_lists_files(table.report(), times, rows, what);
            let (counted, report) = frame.count_with_report().unwrap();
            assert_eq!(counted, rows, "{what}");
            assert_lists_files(&report, times, rows, what);
            let mut stream = frame.stream().unwrap();
            assert!(stream.by_ref().all(|batch| batch.is_ok()));
            assert_lists_files(stream.report().unwrap(), times, rows, what);
        }
    }
}

#[test]
fn files_of_a_side_that_streams_through_a_merge_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let input = logs(dir.path());
    for threads in [1, 2, 5] {
        let session = session(threads);
        let out = tempfile::tempdir_in(dir.path()).unwrap();
        let frame = read(&session, &input, &out.path().join("bad.jsonl"));
        let rows = frame.repartition(By::Count(3)).unwrap();
        rows.to_parquet(out.path().join("rows")).unwrap();
        let rows = format!("{}/*.parquet", out.path().join("rows").display());
        let rows = session.read_parquet(rows.as_str()).unwrap();
        let groups = frame.groupby(["k"]).unwrap().agg([count()]).unwrap();
        let joined = rows
            .filter("n < 30")
            .unwrap()
            .merge(&groups, ["k"])
            .unwrap();
        let report = joined.to_parquet(out.path().join("joined")).unwrap();
        assert_eq!(report.rows_written(), 90);
        let counts = report
            .inputs
            .iter()
            .map(|input| (input.rows, input.filtered));
        let wanted = [(40, 10), (40, 10), (40, 10), (40, 0), (40, 0), (40, 0)];
        assert_eq!(counts.collect::<Vec<_>>(), wanted, "{threads} threads");
        let names: Vec<_> = report.stages.iter().map(|stage| &*stage.name).collect();
        assert_eq!(names, ["agg", "merge"]);
        assert_eq!(
            (report.stages[1].rows_in, report.stages[1].rows_out),
            (94, 90)
        );
    }
}

#[test]
fn a_sheet_adds_up_where_a_limit_ends_the_run_in_front() {
    let dir = tempfile::tempdir().unwrap();
    let input = logs(dir.path());
    let mut manifests = std::collections::BTreeMap::new();
    for threads in [1, 2, 5] {
        let frame = read(&session(threads), &input, &dir.path().join("bad.jsonl"));
        let both = concat([&mapped(&frame), &mapped(&frame)]).unwrap();
        for (frame, rows) in [
            (mapped(&frame), 7),
            (mapped(&mapped(&frame)), 7),
            (both, 130),
        ] {
            let out = tempfile::tempdir_in(dir.path()).unwrap();
            let options = WriteOptions::new(out.path().join("out"));
            let report = frame.limit(rows).write(&options).unwrap();
            assert_eq!(report.rows_written(), rows);
            assert!(report.limited > 0);
            // How far the run in front had got is not in what is written.
            let manifest = std::fs::read_to_string(options.dir.join("_windrow.json")).unwrap();
            let of_others = manifests.entry(rows).or_insert_with(Vec::new);
            of_others.push(manifest);
            assert!(report.inputs[0].path.ends_with("a.json"), "{report:?}");
        }
    }
    // The frames of 7 rows are two, each under three numbers of threads.
    for (rows, of_rows) in manifests {
        let step = of_rows.len() / 3;
        for (idx, manifest) in of_rows.iter().enumerate() {
            assert_eq!(manifest, &of_rows[idx % step], "{rows} rows");
        }
    }
}

#[test]
fn rejects_of_a_stage_in_front_appeared_though_the_run_behind_it_failed() {
    let dir = tempfile::tempdir().unwrap();
    let input = logs(dir.path());
    let rejects = dir.path().join("bad.jsonl");
    for threads in [1, 2] {
        let frame = read(&session(threads), &input, &rejects);
        let fails = |frame: &DataFrame| {
            let wrong = col("n") * lit(i64::MAX);
            frame.with_columns([("wrong", wrong)]).unwrap()
        };
        let largest = frame.nlargest(2, "n").unwrap();
        let maps = frame.map_partitions(frame.schema().unwrap(), |part| match part.idx {
            0..3 => Ok(part.batches),
            _ => Err(Error::plan("no more than three")),
        });
        let united = concat([&frame, &frame]).unwrap();
        for failing in [
            fails(&largest),
            maps,
            fails(&united),
            fails(&mapped(&frame)),
        ] {
            let out = dir.path().join("out");
            failing.write(&WriteOptions::new(&out)).unwrap_err();
            assert!(!out.exists() && !rejects.exists(), "{threads} threads");
        }
    }
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 3, "the inputs");
}

#[test]
fn a_worker_that_waited_for_a_partition_kept_all_others_waiting() {
    for threads in [2, 5] {
        let (seen, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let session = session(threads);
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let rows = session.from_map(batch.schema(), 6, move |idx| {
            // A partition is handed over once the one behind it begins: by then
            // the first must have come out, though the others are not made yet.
            if idx == 3 {
                let came = wait.lock().unwrap().recv_timeout(Duration::from_secs(20));
                came.map_err(|_| Error::plan("the first partition did not come out"))?;
            }
            Ok(vec![batch.clone()])
        });
        let mut stream = mapped(&rows).stream().unwrap();
        stream.next().unwrap().unwrap();
        seen.send(()).unwrap();
        assert_eq!(stream.map(Result::unwrap).count(), 5);
    }
}
