//! What does a partition cost that has nothing to do? Unit: microseconds for each.
//!
//! A million partitions without rows, a hundred thousand of one row, the same
//! through a function, and plans over a hundred thousand that are never made.
//! Counts are checked before any time is believed; memory is that of the process.

use std::sync::Arc;
use std::time::Instant;

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use windrow::arrow::schema::{DataType, Field, Schema, SchemaRef};
use windrow::{DataFrame, Session, Settings};

const EMPTY: usize = 1_000_000;
const SMALL: usize = 100_000;

fn main() -> windrow::Result<()> {
    for threads in [1, 2] {
        let session = Session::new(Settings {
            threads,
            ..Settings::default()
        });
        let nothing = session.from_map(schema(), EMPTY, |_| Ok(Vec::new()));
        timed("partitions of nothing", threads, EMPTY, || {
            assert_eq!(nothing.count()?, 0);
            Ok(())
        })?;
        let one = rows(&session);
        timed("partitions of one row", threads, SMALL, || {
            assert_eq!(one.count()?, SMALL as u64);
            Ok(())
        })?;
        let mapped = one.map_partitions(schema(), |partition| Ok(partition.batches));
        timed("one row, a function", threads, SMALL, || {
            assert_eq!(mapped.count()?, SMALL as u64);
            Ok(())
        })?;
        let folded = one.agg(["sum(n)"])?;
        timed("one row, an aggregate", threads, SMALL, || {
            assert_eq!(folded.compute()?.num_rows(), 1);
            Ok(())
        })?;
    }
    plans()
}

/// Plans do not grow with partitions.
fn plans() -> windrow::Result<()> {
    let before = resident_kib();
    let start = Instant::now();
    let mut frame = rows(&Session::default());
    for step in 0..20 {
        frame = frame
            .with_column(format!("c{step}"), "n + 1")?
            .filter(format!("c{step} > {step}"))?;
    }
    let mapped = frame.map_partitions(schema(), |_| Ok(Vec::new()));
    let lines = mapped.explain().to_string().lines().count();
    let (seconds, kib) = (start.elapsed().as_secs_f64(), resident_kib() - before);
    println!("a plan of {lines} lines over {SMALL} partitions  {seconds:>8.4} s  {kib:>7} KiB");
    Ok(())
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

/// Partitions of one row.
fn rows(session: &Session) -> DataFrame {
    let schema = schema();
    let n: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![n]).expect("one column, one row");
    session.from_map(schema, SMALL, move |_| Ok(vec![batch.clone()]))
}

/// Prints the best of three.
fn timed(
    what: &str,
    threads: usize,
    partitions: usize,
    run: impl Fn() -> windrow::Result<()>,
) -> windrow::Result<()> {
    let mut fastest = f64::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        run()?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    let each = fastest * 1e6 / partitions as f64;
    println!("{partitions:>9} {what:<24} {threads} threads  {each:>7.2} µs each");
    Ok(())
}

/// Memory of the process, as Linux tells it; none elsewhere.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
