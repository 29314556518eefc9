//! How fast are windows over rows in memory, alone and by 100,000 keys? Unit: rows per second.
//!
//! Running sums, shifts and rolling means of fractions, a rolling median, and a
//! sum of each whole group, which goes over rows twice. Sums of what comes out
//! are checked where they can be told beforehand.
//!
//! Run with `cargo bench --bench window [-- ROWS]`.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use windrow::expr::{Expr, col, row_number};
use windrow::{DataFrame, Result, Session};

const ROWS: usize = 4_000_000;
const BATCH_ROWS: usize = 65_536;
const REPEATS: usize = 3;
const KEYS: u64 = 100_000;

/// A number that looks random, the same for the same place.
fn mixed(place: u64) -> u64 {
    let mut value = place.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value ^ (value >> 27)
}

fn batch(first: usize, rows: usize) -> RecordBatch {
    let places = || (first..first + rows).map(|place| place as u64);
    let keys = places().map(|place| (mixed(place) % KEYS) as i64);
    let numbers = places().map(|place| (mixed(place + 1) % 1_000) as i64);
    let fractions = places().map(|place| (mixed(place + 2) % 10_000) as f64 / 100.0);
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(keys));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    let fractions: ArrayRef = Arc::new(Float64Array::from_iter_values(fractions));
    RecordBatch::try_from_iter([("key", keys), ("n", numbers), ("x", fractions)])
        .expect("columns of one length")
}

/// Rows, and the sum of a column; nulls count as 0.
fn sum(frame: &DataFrame, column: &str) -> Result<(usize, f64)> {
    let (mut rows, mut sum) = (0, 0.0);
    frame.select([column])?.for_each_batch(|batch| {
        rows += batch.num_rows();
        let values = batch.column(0);
        sum += match values.as_primitive_opt::<Int64Type>() {
            Some(ints) => ints.iter().flatten().sum::<i64>() as f64,
            None => {
                let floats = values.as_primitive::<Float64Type>();
                floats.iter().flatten().sum::<f64>()
            }
        };
        Ok(())
    })?;
    Ok((rows, sum))
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let rows = args.find_map(|arg| arg.parse().ok()).unwrap_or(ROWS);
    let starts = (0..rows).step_by(BATCH_ROWS);
    let batches: Vec<_> = starts
        .map(|first| batch(first, BATCH_ROWS.min(rows - first)))
        .collect();
    let frame = Session::default_session()?.from_batches(batches[0].schema(), batches)?;
    let total = sum(&frame, "n")?.1;
    let windows: [(&str, Expr, Option<f64>); 8] = [
        ("shift", col("n").shift(0), Some(total)),
        (
            "row number",
            row_number(),
            Some((rows as f64) * (rows as f64 + 1.0) / 2.0),
        ),
        ("sum so far", col("x").cum_sum(), None),
        ("largest so far", col("n").cum_max(), None),
        ("mean of 3", col("x").rolling(3).min_periods(1).mean(), None),
        (
            "mean of 100",
            col("x").rolling(100).min_periods(1).mean(),
            None,
        ),
        (
            "median of 100",
            col("x").rolling(100).min_periods(1).median(),
            None,
        ),
        (
            "sum of all",
            col("n").sum().over::<[&str; 0]>([]),
            Some(total * rows as f64),
        ),
    ];
    for (name, expr, wanted) in windows {
        for keyed in [false, true] {
            let expr = match keyed {
                true => expr.clone().over(["key"]),
                false => expr.clone(),
            };
            let made = frame.with_column("made", expr)?;
            let mut fastest = f64::INFINITY;
            for _ in 0..REPEATS {
                let started = Instant::now();
                let (n, found) = sum(&made, "made")?;
                fastest = fastest.min(started.elapsed().as_secs_f64());
                assert_eq!(n, rows, "{name}");
                if let Some(wanted) = wanted.filter(|_| !keyed) {
                    assert!(
                        (found / wanted - 1.0).abs() < 1e-9,
                        "{name}: {found}, not {wanted}"
                    );
                }
            }
            let by = if keyed { "by key" } else { "alone " };
            println!(
                "{name:15} {by} {:>8.1} million rows/s",
                rows as f64 / fastest / 1e6
            );
        }
    }
    Ok(())
}
