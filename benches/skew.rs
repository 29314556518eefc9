//! What does a huge file among small ones cost beside even files? Unit: the ratio of their times.
//!
//! The same rows as a hundred even files, and as one with nine tenths of them
//! among 99 small ones: gzipped JSON, plain JSON, CSV, and Parquet whose huge
//! file is one row group. Each is read whole and summed on two threads; sums are
//! checked before a time is believed. Where the clock is not to be trusted
//! (other programs run), CPU seconds tell of extra work, cores busy of waiting.
//!
//! `WINDROW_BENCH_ROWS` sets the size (default 1,000,000 rows, 480 MB of JSON).

#[path = "generate/mod.rs"]
mod generate;
#[path = "measure/mod.rs"]
mod measure;

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use generate::{Logs, Seed};
use measure::{Took, fastest};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::{ReadOptions, Session, Settings};

const FILES: u64 = 100;
/// How much larger the one file is than each of the others.
const LARGER: u64 = 1000;
const THREADS: usize = 2;

fn main() -> windrow::Result<()> {
    let rows: u64 = std::env::var("WINDROW_BENCH_ROWS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let dir = tempfile::tempdir().expect("a folder for the sets");
    println!("{rows} rows in {FILES} files, {THREADS} threads");
    for form in ["json.gz", "ndjson", "csv", "parquet"] {
        let mut took = Vec::new();
        for (name, cuts) in [("even", even(rows)), ("skewed", skewed(rows))] {
            let at = dir.path().join(format!("{name}-{form}"));
            std::fs::create_dir(&at).expect("a folder of our own");
            write(&at, form, rows, &cuts);
            took.push(measured(&at, form, rows)?);
            std::fs::remove_dir_all(&at).expect("a folder of our own");
        }
        report(form, took[0], took[1]);
    }
    Ok(())
}

fn report(form: &str, even: Took, skewed: Took) {
    println!(
        "{form:8} even {:>6.3} s, {:>6.3} CPU s, {:.2} cores   skewed {:>6.3} s, {:>6.3} CPU s, {:.2} cores   {:.2} x, CPU {:.2} x",
        even.wall,
        even.cpu,
        even.cpu / even.wall,
        skewed.wall,
        skewed.cpu,
        skewed.cpu / skewed.wall,
        skewed.wall / even.wall,
        skewed.cpu / even.cpu,
    );
}

fn even(rows: u64) -> Vec<Range<u64>> {
    let at = |file: u64| rows * file / FILES;
    (0..FILES).map(|file| at(file)..at(file + 1)).collect()
}

/// The huge one is in the middle.
fn skewed(rows: u64) -> Vec<Range<u64>> {
    let shares = FILES - 1 + LARGER;
    let at = |file: u64| {
        let before = if file > FILES / 2 {
            file + LARGER - 1
        } else {
            file
        };
        rows * before / shares
    };
    (0..FILES).map(|file| at(file)..at(file + 1)).collect()
}

fn scrambled(row: u64) -> u64 {
    row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

fn write(dir: &Path, form: &str, rows: u64, cuts: &[Range<u64>]) {
    let logs = Logs::new(Seed(7), rows);
    for (file, rows) in cuts.iter().enumerate() {
        let path = dir.join(format!("{file:03}.{form}"));
        match form {
            "parquet" => write_parquet(&path, rows.clone()),
            "csv" => write_csv(&path, rows.clone()),
            _ => {
                let mut text = Vec::new();
                logs.write(rows.clone(), &mut text);
                let stored = if form == "json.gz" {
                    generate::gzip(&text)
                } else {
                    text
                };
                std::fs::write(path, stored).expect("room for a file");
            }
        }
    }
}

fn write_csv(path: &PathBuf, rows: Range<u64>) {
    let mut out = std::io::BufWriter::new(File::create(path).expect("room for a file"));
    writeln!(out, "id,name,path,value").expect("room for a file");
    for row in rows {
        let scrambled = scrambled(row);
        writeln!(
            out,
            "{row},user {},\"/items/{}, {scrambled}\",{}.{:02}",
            scrambled % 10_000,
            row % 977,
            scrambled % 1000,
            row % 100
        )
        .expect("room for a file");
    }
    out.flush().expect("room for a file");
}

/// One row group.
fn write_parquet(path: &PathBuf, rows: Range<u64>) {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(
        rows.clone().map(|row| row as i64),
    ));
    let of = |kinds: u64| -> ArrayRef {
        let text = |row| format!("value {}", scrambled(row) % kinds);
        Arc::new(StringArray::from_iter_values(rows.clone().map(text)))
    };
    let batch = RecordBatch::try_from_iter([("id", ids), ("few", of(300)), ("many", of(1 << 40))]);
    let batch = batch.expect("columns of one length");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(None)
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let file = File::create(path).expect("room for a file");
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a schema");
    writer.write(&batch).expect("rows of the schema");
    writer.close().expect("room for a file");
}

fn measured(dir: &Path, form: &str, rows: u64) -> windrow::Result<Took> {
    let session = Session::new(Settings {
        threads: THREADS,
        ..Settings::default()
    });
    let frame = match form {
        "parquet" => {
            session
                .read_parquet(dir)?
                .agg(["count(*)", "sum(id)", "min(few)", "max(many)"])?
        }
        "csv" => {
            let frame = session.read_csv(dir, ReadOptions::default())?;
            frame.agg([
                "count(*)",
                "sum(id)",
                "min(name)",
                "max(path)",
                "sum(value)",
            ])?
        }
        _ => {
            let frame = session.read_json(dir, ReadOptions::default())?;
            frame.agg([
                "count(*)",
                "sum(id)",
                "min(user)",
                "max(path)",
                "sum(bytes)",
            ])?
        }
    };
    Ok(fastest(3, || {
        let table = frame.compute().expect("a set of our own");
        let batch = table.batches().next().expect("one row");
        let number = |column: usize| batch.column(column).as_primitive::<Int64Type>().value(0);
        assert_eq!(number(0) as u64, rows, "{form}");
        if form != "json.gz" && form != "ndjson" {
            assert_eq!(number(1) as u64, rows * (rows - 1) / 2, "{form}");
        }
    }))
}
