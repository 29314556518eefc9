//! How fast is a Parquet set scanned that a filter leaves little of, and what
//! do rows per file cost? Unit: rows of the set per second; bytes read.
//!
//! Ten million rows in eight files, or as many as `WINDROW_ROWS` says. Answers
//! are worked out while the rows are made and checked before any time is believed.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use windrow::{InspectOptions, Session, Settings, WriteOptions};

const FILES: u64 = 8;
const BATCH_ROWS: u64 = 1 << 16;

/// Evenly spread numbers: no bounds of a row group tell them apart.
fn scrambled(row: u64) -> u64 {
    let mixed = (row ^ (row >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

fn batch(rows: std::ops::Range<u64>) -> RecordBatch {
    let numbers = |of: fn(u64) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.clone().map(of)))
    };
    let texts = |of: fn(u64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.clone().map(of)))
    };
    let seconds = rows
        .clone()
        .map(|row| (scrambled(row) % 10_000) as f64 / 1e3);
    RecordBatch::try_from_iter([
        ("id", numbers(|row| row as i64)),
        ("user", numbers(|row| (scrambled(row) % 100_000) as i64)),
        (
            "bytes",
            numbers(|row| (scrambled(row + 7) % 1_000_000) as i64),
        ),
        ("seconds", Arc::new(Float64Array::from_iter_values(seconds))),
        (
            "path",
            texts(|row| format!("/api/v2/items/{}", scrambled(row) % 50_000)),
        ),
        (
            "agent",
            texts(|row| format!("agent {:x} of many", scrambled(row) % 300)),
        ),
    ])
    .expect("columns of one length")
}

fn write(dir: &Path, rows: u64, schema: &SchemaRef) -> windrow::Result<()> {
    let per_file = rows.div_ceil(FILES);
    for file in 0..FILES {
        let (first, end) = (file * per_file, ((file + 1) * per_file).min(rows));
        let starts = (first..end).step_by(BATCH_ROWS as usize);
        let batches = starts.map(|start| batch(start..(start + BATCH_ROWS).min(end)));
        let options = WriteOptions {
            durable: false,
            ..WriteOptions::new(dir.join(format!("{file}")))
        };
        let session = Session::default();
        let frame = session.from_batches(Arc::clone(schema), batches)?;
        frame.repartition(windrow::By::Count(1))?.write(&options)?;
    }
    Ok(())
}

/// The fastest of five runs, in seconds, and the bytes that one of them reads.
fn measure(what: &str, rows: u64, session: &Session, run: impl Fn() -> u64, want: u64) {
    let before = session.reads().bytes();
    assert_eq!(run(), want, "{what}");
    let read = session.reads().bytes() - before;
    let time = || {
        let started = Instant::now();
        assert_eq!(run(), want, "{what}");
        started.elapsed().as_secs_f64()
    };
    let fastest = (0..5).map(|_| time()).fold(f64::INFINITY, f64::min);
    println!(
        "{what:40} {:8.4} s  {:8.1} million rows/s  {:8.1} MB read",
        fastest,
        rows as f64 / fastest / 1e6,
        read as f64 / 1e6
    );
}

fn main() -> windrow::Result<()> {
    let rows = match std::env::var("WINDROW_ROWS") {
        Ok(text) => text.parse().expect("WINDROW_ROWS is a number"),
        Err(_) => 10_000_000,
    };
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), rows, &batch(0..1).schema())?;
    // What was written just now is not kept in mind by a session.
    std::thread::sleep(std::time::Duration::from_millis(100));
    for threads in [1, 2] {
        let session = Session::new(Settings {
            threads,
            ..Settings::default()
        });
        println!("{threads} threads");
        let set = session.read_parquet(dir.path())?;
        let user = |row: &u64| scrambled(*row) % 100_000 == 77;
        let one_user = (0..rows).filter(user).count() as u64;
        let ask = |condition: &str| {
            let frame = set.filter(condition).expect("a condition");
            move || frame.compute().expect("rows").num_rows() as u64
        };
        measure(
            "one user, all columns",
            rows,
            &session,
            ask("user = 77"),
            one_user,
        );
        let range = 100.min(rows / 2);
        let narrow = format!("id >= {} and id < {}", rows / 2, rows / 2 + range);
        measure(
            "a hundred rows of a range",
            rows,
            &session,
            ask(&narrow),
            range,
        );
        let half = (0..rows)
            .filter(|row| scrambled(*row) % 100_000 < 50_000)
            .count() as u64;
        measure(
            "half of all rows",
            rows,
            &session,
            ask("user < 50000"),
            half,
        );
        let count = || set.count().expect("a count");
        measure("rows, from footers", rows, &session, count, rows);
        let files = || {
            let options = InspectOptions::default();
            let sizes = session.inspect(dir.path(), &options).expect("sizes");
            assert_eq!(
                sizes.partitions.iter().map(|file| file.rows).sum::<u64>(),
                rows
            );
            sizes.partitions.len() as u64
        };
        measure(
            "rows of each file, from footers",
            rows,
            &session,
            files,
            FILES,
        );
    }
    Ok(())
}
