//! How long does it take to sort 1e7 rows by a random integer, from Parquet to Parquet? Unit: rows per second.
//!
//! Four columns: the key, another number, a fraction, a short text. Once with keys
//! that are all different, once where half of the rows have the same one, and
//! once under a budget of an eighth of the rows. What was written is read back
//! and must be in order, with the same sums, before any time is believed.
//!
//! Run with `cargo bench --bench sort [-- ROWS]`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use windrow::{ByteSize, DataFrame, Result, Session, Settings};

const ROWS: usize = 10_000_000;
const BATCH_ROWS: usize = 65_536;
const REPEATS: usize = 3;

/// A number that looks random, the same for the same place.
fn mixed(place: u64) -> u64 {
    let mut value = place.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn batch(first: usize, rows: usize, skewed: bool) -> RecordBatch {
    let places = || (first..first + rows).map(|place| place as u64);
    let key = move |place: u64| match skewed && place.is_multiple_of(2) {
        true => 0,
        false => mixed(place) as i64,
    };
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(places().map(key)));
    let numbers = places().map(|place| (mixed(place + 1) % 1_000_000) as i64);
    let fractions = places().map(|place| (mixed(place + 2) % 10_000) as f64 / 100.0);
    let texts = places().map(|place| format!("id{:010}", mixed(place + 3) % 100_000));
    RecordBatch::try_from_iter([
        ("key", keys),
        (
            "number",
            Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef,
        ),
        (
            "fraction",
            Arc::new(Float64Array::from_iter_values(fractions)) as ArrayRef,
        ),
        (
            "text",
            Arc::new(StringArray::from_iter_values(texts)) as ArrayRef,
        ),
    ])
    .expect("columns of one length")
}

/// Writes the input once.
fn input(dir: &Path, rows: usize, skewed: bool) -> Result<()> {
    let session = Session::default();
    let schema = batch(0, 0, skewed).schema();
    let frame = session.from_map(schema, rows.div_ceil(BATCH_ROWS), move |idx| {
        let first = idx * BATCH_ROWS;
        Ok(vec![batch(first, BATCH_ROWS.min(rows - first), skewed)])
    });
    frame.to_parquet(dir).map(drop)
}

/// Rows and sum of keys and numbers; panics where keys are out of order.
fn check(frame: &DataFrame, in_order: bool) -> Result<(u64, i64)> {
    let (mut rows, mut sum, mut last) = (0, 0_i64, i64::MIN);
    frame.for_each_batch(|batch| {
        let keys = batch.column(0).as_primitive::<Int64Type>().values();
        let numbers = batch.column(1).as_primitive::<Int64Type>().values();
        for (key, number) in keys.iter().zip(numbers) {
            assert!(!in_order || last <= *key, "{key} stands behind {last}");
            last = *key;
            sum = sum.wrapping_add(key.wrapping_mul(31)).wrapping_add(*number);
        }
        rows += batch.num_rows() as u64;
        Ok(())
    })?;
    Ok((rows, sum))
}

fn main() -> Result<()> {
    let asked = std::env::args().filter_map(|word| word.parse().ok()).next();
    let rows: usize = asked.unwrap_or(ROWS);
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let ample = Settings::default().memory;
    let eighth = ByteSize::new((rows as u64 * 40 / 8).max(32 << 20));
    for (name, skewed, memory) in [
        ("random keys", false, ample),
        ("half of the rows with one key", true, ample),
        ("random keys, an eighth of them in memory", false, eighth),
    ] {
        let from = dir.path().join(if skewed { "skewed" } else { "even" });
        if !from.exists() {
            input(&from, rows, skewed)?;
        }
        let session = Session::new(Settings {
            memory,
            ..Settings::default()
        });
        let read = |path: &Path| session.read_parquet(path.to_string_lossy().as_ref());
        let wanted = check(&read(&from)?, false)?;
        let mut fastest = f64::INFINITY;
        let mut report = None;
        for repeat in 0..REPEATS {
            let to = dir.path().join(format!("to-{repeat}"));
            let start = Instant::now();
            let written = read(&from)?.sort_values(["key"])?.to_parquet(&to)?;
            fastest = fastest.min(start.elapsed().as_secs_f64());
            if repeat == 0 {
                assert_eq!(check(&read(&to)?, true)?, wanted);
            }
            std::fs::remove_dir_all(&to).expect("the folder was just written");
            report = Some(written);
        }
        let report = report.expect("it ran");
        println!(
            "{name:<42} {fastest:>6.2} s  {:>6.1} million rows/s  peak {} reserved, {} spilled",
            rows as f64 / fastest / 1e6,
            ByteSize::new(report.peak_bytes),
            ByteSize::new(report.spilled_bytes),
        );
    }
    Ok(())
}
