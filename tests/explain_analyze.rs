//! A plan that was run says what came of each stage: the same at any number of
//! threads, and what the frame itself gives. Hot keys are named wherever groups lay.

#[path = "common/session.rs"]
mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use session::session;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use windrow::expr::{col, count, lit, when};
use windrow::inspect::Analyzed;
use windrow::{
    By, ByteSize, DataFrame, MergeHow, MergeOptions, ReadOptions, Result, Session, concat,
};

/// Whole numbers from zero on, with neighbours that share a key.
fn numbers(rows: i64) -> RecordBatch {
    let column = |of: fn(i64) -> i64| -> ArrayRef {
        let values: Int64Array = (0..rows).map(|n| Some(of(n))).collect();
        Arc::new(values)
    };
    let columns = [
        ("n", column(|n| n)),
        ("key", column(|n| n / 4)),
        ("kind", column(|n| n % 5)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// In files of a few row groups.
fn write(dir: &Path) {
    let rows = numbers(20_000);
    let frame = Session::default()
        .from_batches(rows.schema(), [rows])
        .unwrap();
    let cut = frame.repartition(By::Rows(2_000)).unwrap();
    cut.to_parquet(dir.join("numbers")).unwrap();
}

fn logs() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("data/logs/*.json.gz").display().to_string()
}

/// Frames of every kind of stage.
fn frames(session: &Session, dir: &Path) -> Result<Vec<(&'static str, DataFrame)>> {
    let numbers = session.read_parquet(dir.join("numbers"))?;
    let logs = session.read_json(logs(), ReadOptions::default())?;
    let few = numbers.filter("n % 4 = 0 and key < 300")?.select(["key"])?;
    let semi = MergeOptions::on(["key"]).how(MergeHow::Semi);
    let by_key = numbers.groupby(["key"])?.agg([col("n").sum(), count()])?;
    let by_status = logs.groupby(["status"])?.agg([col("bytes").max()])?;
    let cut = logs.filter("ok")?.select(["id", "bytes"])?;
    Ok(vec![
        ("filter and partitions", cut.repartition(By::Count(3))?),
        ("groups of text", by_status.sort_values(["status"])?),
        ("row groups passed over", numbers.filter("n >= 15000")?),
        ("a merge", numbers.merge(&few, semi)?),
        (
            "groups behind a merge",
            numbers.merge(&few, "key")?.groupby(["key"])?.size()?,
        ),
        ("a merge of groups", by_key.merge(&few, "key")?),
        (
            "one behind the other",
            concat([&few, &by_key.select(["key"])?])?,
        ),
        (
            "rows read twice",
            by_key.merge(&by_key.filter("count > 1")?, "key")?,
        ),
        ("a limit", numbers.limit(2_500)),
    ])
}

/// What differs from run to run, masked: times, memory, folders, and what was read
/// of files behind a limit.
fn masked(ran: &Analyzed, dir: &Path) -> String {
    let text = ran.to_string().replace(&logs(), "logs");
    let text = text.replace(&dir.display().to_string(), "dir");
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split("; ").collect();
        let kept = words.into_iter().map(|word| match word {
            _ if word.ends_with(" s") => "_ s",
            _ if word.starts_with("memory: ") => "memory: _",
            _ if word.starts_with("  read: ") => "  read: _ of files",
            _ => word,
        });
        kept.collect::<Vec<_>>().join("; ") + "\n"
    });
    lines.collect()
}

#[test]
fn what_came_of_each_stage_reads_as_it_did_at_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let told = |threads: usize| {
        let session = session(threads, ByteSize::mib(256));
        let frames = frames(&session, dir.path()).unwrap().into_iter();
        let told = frames.map(|(name, frame)| {
            let ran = frame.explain_analyze().unwrap();
            assert_eq!(ran.plan, frame.explain(), "{name}");
            assert_eq!(ran.plan.stages.len(), ran.stages.len(), "{name}");
            let rows = frame.count().unwrap();
            assert_eq!(ran.partitions.rows.total, rows, "{name}");
            let n_partitions = frame.npartitions().unwrap() as u64;
            assert_eq!(ran.partitions.n_partitions, n_partitions, "{name}");
            // Each stage reads what the one before it gave.
            let last = ran.stages.iter().rev().find_map(|stage| stage.ran.as_ref());
            assert_eq!(last.unwrap().rows_out, rows, "{name}: {ran}");
            format!("== {name}\n{}\n", masked(&ran, dir.path()))
        });
        told.collect::<String>()
    };
    let text = told(2);
    for threads in [1, 5] {
        assert_eq!(told(threads), text, "{threads} threads");
    }
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/analyzed.txt");
    if std::env::var_os("WINDROW_BLESS").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert!(
        text == expected,
        "what is told has changed; look at it, then run this test with WINDROW_BLESS=1:\n{text}"
    );
}

#[test]
fn as_json_it_has_the_plan_the_stages_and_the_report() {
    let rows = numbers(1_000);
    let frame = session(2, ByteSize::mib(256)).from_batches(rows.schema(), [rows]);
    let ran = frame.unwrap().filter("kind = 2").unwrap().explain_analyze();
    let json = serde_json::to_value(ran.unwrap()).unwrap();
    assert_eq!(json["plan"]["stages"].as_array().unwrap().len(), 1);
    let stage = &json["stages"][0];
    assert!(stage["stage"].as_str().unwrap().contains("where kind = 2"));
    assert_eq!(stage["ran"]["rows_in"], 1_000);
    assert_eq!(stage["ran"]["filtered"], 800);
    assert_eq!(stage["ran"]["rows_out"], 200);
    assert_eq!(json["partitions"]["rows"]["total"], 200);
    assert_eq!(json["report"]["filtered"], 800);
}

#[test]
fn a_key_with_half_of_the_rows_is_named_wherever_its_groups_lay() {
    const ROWS: i64 = 120_000;
    let key = when((col("n") % lit(2)).eq(lit(0)))
        .then(lit(-7))
        .otherwise(col("n"));
    let rows = numbers(ROWS);
    for (threads, mib) in [(1, 1024), (2, 1024), (5, 1024), (1, 32), (2, 32), (5, 32)] {
        let session = session(threads, ByteSize::mib(mib));
        let pieces = (0..24).map(|piece| rows.slice(piece * 5_000, 5_000));
        let frame = session.from_batches(rows.schema(), pieces).unwrap();
        let frame = frame.with_column("key", key.clone()).unwrap();
        for last in [col("n").max(), col("n").first(), col("n").list()] {
            let groups = frame.groupby(["key"]).unwrap();
            let groups = groups.agg([count(), last.alias("last")]).unwrap();
            let ran = groups.explain_analyze().unwrap();
            let stage = ran
                .report
                .stages
                .iter()
                .find(|stage| stage.name == "agg")
                .unwrap();
            let [hot] = &stage.hot_keys[..] else {
                panic!("{threads} threads, {mib} MiB: {ran}");
            };
            assert_eq!((&hot.columns[0][..], &hot.value[..]), ("key", "-7"));
            // Told by a few rows of some chunks.
            let share = hot.rows as f64 / ROWS as f64;
            assert!((0.45..0.55).contains(&share) && hot.tasks > 1, "{hot:?}");
            assert!(ran.to_string().contains("key = -7 is hot"), "{ran}");
        }
    }
    // Of a few groups each has many rows, which says nothing.
    let session = session(2, ByteSize::mib(256));
    let frame = session.from_batches(rows.schema(), [rows]).unwrap();
    let report = frame.groupby(["kind"]).unwrap().size().unwrap();
    let report = report.for_each_batch(|_| Ok(())).unwrap();
    assert!(
        report.stages.iter().all(|stage| stage.hot_keys.is_empty()),
        "{report}"
    );
}
