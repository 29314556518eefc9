//! What stands in a plan more than once is computed once, and the rows are the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::exec::{Collected, Context, collect};
use windrow::expr::{col, count, lit};
use windrow::plan::lower;
use windrow::plan::optimize::optimize_without;
use windrow::{
    By, ByteSize, DataFrame, MergeHow, MergeOptions, ReadOptions, Result, Session, Settings, concat,
};

fn settings(threads: usize, memory: ByteSize) -> Settings {
    Settings {
        threads,
        memory,
        ..Settings::default()
    }
}

const ROWS: i64 = 3_000;

/// Partition `idx` of ten: `key` has 97 values, `text` is as wide as `width` says.
fn part(idx: usize, width: usize) -> RecordBatch {
    let range = || ROWS / 10 * idx as i64..ROWS / 10 * (idx as i64 + 1);
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values(
        range().map(|n| n * 7_919 % 97),
    ));
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(range()));
    let texts = range().map(|n| format!("{n:0>width$}"));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    RecordBatch::try_from_iter([("key", key), ("n", n), ("text", text)]).unwrap()
}

/// Ten partitions that a function makes, and how many it made.
fn counted(session: &Session, width: usize) -> (DataFrame, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let frame = session.from_map(part(0, width).schema(), 10, move |idx| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(vec![part(idx, width)])
    });
    (frame, made)
}

/// Runs a frame with every rule but those named.
fn run(frame: &DataFrame, off: &[&str], settings: &Settings) -> Result<Collected> {
    let plan = optimize_without(frame.plan().clone(), off);
    let plan = lower(plan, settings.blocksize);
    collect(&plan, &Context::new(settings.clone()))
}

fn lines(partitions: &[Vec<RecordBatch>]) -> Vec<String> {
    let lines = |batches: &Vec<RecordBatch>| {
        let lines = batches
            .iter()
            .map(|batch| windrow::sink::json_lines(batch).unwrap());
        lines.map(|text| String::from_utf8(text).unwrap()).collect()
    };
    partitions.iter().map(lines).collect()
}

/// Frames that read parts of themselves again.
fn frames(rows: &DataFrame) -> Vec<(&'static str, DataFrame)> {
    let by_key = rows
        .groupby(["key"])
        .unwrap()
        .agg([col("n").max().alias("most"), count()])
        .unwrap();
    let beside = rows.merge(&by_key, "key").unwrap();
    let most = by_key.agg([col("most").max().alias("top")]).unwrap();
    let best = MergeOptions::on_pairs(["most"], ["top"]).unwrap();
    vec![
        ("a frame beside an aggregate of itself", beside.clone()),
        (
            "two aggregates",
            concat([
                &rows.groupby(["key"]).unwrap().size().unwrap(),
                &by_key.select(["key", "count"]).unwrap(),
            ])
            .unwrap(),
        ),
        (
            "the rows of which an aggregate of an aggregate is true",
            by_key.merge(&most, best.how(MergeHow::Semi)).unwrap(),
        ),
        (
            "a join in a join",
            beside
                .filter("n % 2 = 0")
                .unwrap()
                .merge(
                    &beside.agg([col("n").mean().alias("mean")]).unwrap(),
                    MergeOptions::cross(),
                )
                .unwrap()
                .filter("n > mean")
                .unwrap()
                .select(["n", "most"])
                .unwrap(),
        ),
        (
            "partitions of a frame twice",
            concat([rows, &rows.with_column("text", lit("again")).unwrap()]).unwrap(),
        ),
    ]
}

#[test]
fn a_part_that_is_read_twice_is_made_once_and_gives_the_same_rows() {
    for (threads, memory) in [(1, 64), (2, 32), (5, 64)] {
        let settings = settings(threads, ByteSize::mib(memory));
        let (rows, made) = counted(&Session::new(settings.clone()), 12);
        for (name, frame) in frames(&rows) {
            let once = run(&frame, &[], &settings).unwrap();
            assert_eq!(made.swap(0, Ordering::Relaxed), 10, "{name}");
            let again = run(&frame, &["common_parts"], &settings).unwrap();
            assert!(made.swap(0, Ordering::Relaxed) >= 20, "{name}");
            assert_eq!(once.schema, again.schema, "{name}");
            let (once, again) = (lines(&once.partitions), lines(&again.partitions));
            assert_eq!(once, again, "{name}, {threads} threads");
            assert!(once.iter().any(|partition| !partition.is_empty()), "{name}");
            let none = ["columns_into_scan", "filter_into_scan", "coalesce_sparse"];
            let plain = run(&frame, &none, &settings).unwrap();
            assert_eq!(lines(&plain.partitions), once, "{name} without other rules");
            made.store(0, Ordering::Relaxed);
        }
    }
}

#[test]
fn shared_rows_that_do_not_fit_are_spilled() {
    // 30 MB of rows in a budget of 32 MiB.
    let tiny = settings(2, ByteSize::mib(32));
    let (rows, made) = counted(&Session::new(tiny.clone()), 10_000);
    let all = rows.agg([col("n").mean().alias("mean")]).unwrap();
    let above = rows
        .merge(&all, MergeOptions::cross())
        .unwrap()
        .filter("n > mean")
        .unwrap();
    let mut found = 0;
    let report = above.for_each_batch(|batch| {
        found += batch.num_rows();
        Ok(())
    });
    assert_eq!(found as i64, ROWS / 2);
    assert_eq!(made.load(Ordering::Relaxed), 10);
    // Few bytes, since spilled rows are compressed and these are alike.
    assert!(report.unwrap().spilled_bytes > 0);
}

#[test]
fn text_is_read_once_and_its_lines_are_counted_once() {
    let session = Session::new(settings(2, ByteSize::mib(64)));
    let options = ReadOptions {
        blocksize: Some(ByteSize::kib(16)),
        ..ReadOptions::default()
    };
    let logs = session.read_json("data/logs/*.json.gz", options).unwrap();
    let by_host = logs.groupby(["host"]).unwrap().agg([count()]).unwrap();
    let frame = logs.merge(&by_host, "host").unwrap();
    let once = frame.compute().unwrap();
    let stored: u64 = std::fs::read_dir("data/logs")
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(once.report().stored_bytes_read, stored);
    let again = run(&frame, &["common_parts"], session.settings()).unwrap();
    assert_eq!(again.report.stored_bytes_read, 2 * stored);
    assert_eq!(again.report.lines, 2 * once.report().lines);
    assert_eq!(once.report().lines, logs.count().unwrap());
    assert_eq!(
        lines(&[once.into_batches()]).concat(),
        lines(&again.partitions).concat()
    );
    // A stack of frames has the partitions that each has.
    let errors = logs.filter("status >= 500").unwrap();
    let twice = concat([&logs, &errors, &logs.repartition(By::Rows(100)).unwrap()]).unwrap();
    let once = run(&twice, &[], session.settings()).unwrap();
    let again = run(&twice, &["common_parts"], session.settings()).unwrap();
    assert_eq!(once.report.stored_bytes_read, stored);
    assert_eq!(lines(&once.partitions), lines(&again.partitions));
}

#[test]
fn files_of_columns_are_opened_again_only_where_that_is_less_work() {
    let session = Session::new(settings(2, ByteSize::mib(64)));
    let dir = tempfile::tempdir().unwrap();
    let batches: Vec<_> = (0..10).map(|idx| part(idx, 12)).collect();
    let rows = session.from_batches(batches[0].schema(), batches).unwrap();
    rows.to_parquet(dir.path().join("rows")).unwrap();
    let rows = session.read_parquet(dir.path().join("rows")).unwrap();
    let opened = |frame: &DataFrame| {
        let before = session.reads().bytes();
        frame.compute().unwrap();
        session.reads().bytes() - before
    };
    let whole = opened(&rows.select(["key", "n"]).unwrap());
    // What a join made is not made again.
    let others = rows.filter("n < 500").unwrap().select(["key"]).unwrap();
    let joined = rows.merge(&others, MergeOptions::on(["key"]).how(MergeHow::Semi));
    let joined = joined.unwrap();
    let most = joined.agg([col("n").max().alias("most")]).unwrap();
    let best = joined.merge(&most, MergeOptions::on_pairs(["n"], ["most"]).unwrap());
    let plan = best.unwrap().select(["key", "n"]).unwrap().explain();
    let plan = plan.to_string();
    assert_eq!(plan.matches("keep as shared rows").count(), 1, "{plan}");
    assert_eq!(plan.matches("read shared rows 1").count(), 2, "{plan}");
    // Whole columns are read again: holding them would cost more.
    let by_key = rows
        .groupby(["key"])
        .unwrap()
        .agg([col("n").max()])
        .unwrap();
    let beside = rows.select(["key"]).unwrap().merge(&by_key, "key").unwrap();
    assert!(!beside.explain().to_string().contains("shared"));
    assert!(opened(&beside) > whole);
}

#[test]
fn what_every_reader_wants_little_of_is_not_shared() {
    let session = Session::new(settings(2, ByteSize::mib(64)));
    let (rows, _) = counted(&session, 12);
    let (low, high) = (
        rows.filter("n < 5").unwrap(),
        rows.filter("n > 2990").unwrap(),
    );
    for frame in [
        concat([&low, &high]).unwrap(),
        concat([&rows.limit(3), &rows.limit(5)]).unwrap(),
        rows.filter("n < 7").unwrap(),
    ] {
        let plan = frame.explain().to_string();
        assert!(!plan.contains("shared"), "{plan}");
    }
    let wanted = concat([&low, &low]).unwrap();
    assert!(wanted.explain().to_string().contains("shared rows 1"));
    assert_eq!(wanted.count().unwrap(), 10);
}

#[test]
fn an_error_of_a_shared_part_is_that_of_the_part() {
    for threads in [1, 2] {
        let session = Session::new(settings(threads, ByteSize::mib(64)));
        let rows = session.from_map(part(0, 2).schema(), 3, |idx| match idx {
            2 => panic!("no more"),
            _ => Ok(vec![part(idx, 2)]),
        });
        let by_key = rows.groupby(["key"]).unwrap().agg([count()]).unwrap();
        let frame = rows.merge(&by_key, "key").unwrap();
        let error = frame.compute().unwrap_err().to_string();
        let apart = run(&frame, &["common_parts"], session.settings()).unwrap_err();
        assert_eq!(error, apart.to_string());
    }
}
