//! How long do a group-by and a sort take that hold far more than their memory? Unit: seconds.
//!
//! 3e7 rows (or as many as are asked for) of a whole number, which has half as
//! many values as there are rows, so that most are met once or twice, two small
//! numbers and a fraction; from Parquet to Parquet under 512 MiB.
//! Sums over all groups, and the order of all rows, are checked before any time is believed.
//! `SPILL_DATA` names a folder where the input stays, for others to read;
//! `SPILL_MEMORY` is another budget.
//!
//! Run with `cargo bench --bench spill [-- group|sort] [ROWS]`; the largest size
//! of the process is told for one of both alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use windrow::prelude::*;

/// As the command and the engines that it is compared with have one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: u64 = 30_000_000;
const BATCH_ROWS: u64 = 122_880;
const REPEATS: usize = 2;

/// A number that looks random, the same for the same place.
fn mixed(place: u64) -> u64 {
    let mut value = place.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn batch(places: std::ops::Range<u64>, rows: u64) -> RecordBatch {
    let ints = |of: &dyn Fn(u64) -> u64| -> ArrayRef {
        let values = places.clone().map(|place| of(place) as i64);
        Arc::new(Int64Array::from_iter_values(values))
    };
    let fraction = |place| (mixed(place ^ 3 << 40) % 100_000_000) as f64 / 1e6;
    let fractions = Float64Array::from_iter_values(places.clone().map(fraction));
    RecordBatch::try_from_iter([
        ("k", ints(&|place| mixed(place) % (rows / 2).max(1))),
        ("v1", ints(&|place| 1 + mixed(place ^ 1 << 40) % 5)),
        ("v2", ints(&|place| 1 + mixed(place ^ 2 << 40) % 15)),
        ("v3", Arc::new(fractions) as ArrayRef),
    ])
    .expect("columns of one length")
}

/// Rows, and what their whole numbers add up to; panics where keys should be in
/// order and are not.
fn totals(frame: &DataFrame, columns: &[&str], in_order: bool) -> windrow::Result<(u64, Vec<i64>)> {
    let (mut rows, mut last) = (0, i64::MIN);
    let mut sums = vec![0; columns.len()];
    frame.for_each_batch(|batch| {
        let ints = |name: &str| {
            let column = batch.column_by_name(name).expect("a column");
            column.as_primitive::<Int64Type>().values()
        };
        for (sum, name) in sums.iter_mut().zip(columns) {
            *sum += ints(name).iter().sum::<i64>();
        }
        for key in ints("k") {
            assert!(!in_order || last <= *key, "{key} stands behind {last}");
            last = *key;
        }
        rows += batch.num_rows() as u64;
        Ok(())
    })?;
    Ok((rows, sums))
}

fn peak_of_process() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or("unknown".to_owned(), |peak| peak.trim().to_owned())
}

fn measure(what: &str, input: &Path, memory: ByteSize, to: &Path) -> windrow::Result<()> {
    let session = Session::new(Settings {
        memory,
        ..Settings::default()
    });
    let read = |path: &Path| session.read_parquet(path.display().to_string());
    let mut fastest = f64::INFINITY;
    for _ in 0..REPEATS {
        let started = Instant::now();
        let frame = read(input)?;
        let answer = match what {
            "group" => frame.groupby(["k"])?.agg([
                col("v1").sum().alias("v1"),
                col("v2").sum().alias("v2"),
                col("v3").mean().alias("v3"),
                count().alias("n"),
            ])?,
            _ => frame.sort_values(["k"])?,
        };
        let report = answer.to_parquet(to)?;
        let seconds = started.elapsed().as_secs_f64();
        if fastest == f64::INFINITY {
            println!(
                "{what:6} peak {} reserved, {} of the process, {} spilled",
                ByteSize::new(report.peak_bytes),
                peak_of_process(),
                ByteSize::new(report.spilled_bytes),
            );
            let (rows, wanted) = totals(&read(input)?, &["v1", "v2"], false)?;
            let (found_rows, found) = match what {
                "group" => totals(&read(to)?, &["v1", "v2", "n"], false)?,
                _ => totals(&read(to)?, &["v1", "v2"], true)?,
            };
            let counted = found.get(2).map_or(found_rows, |rows| *rows as u64);
            assert_eq!((counted, &found[..2]), (rows, &wanted[..]), "{what}");
        }
        fastest = fastest.min(seconds);
        std::fs::remove_dir_all(to).expect("the folder was just written");
    }
    println!("{what:6} {fastest:8.2} s");
    Ok(())
}

fn main() -> windrow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rows = words.iter().find_map(|word| word.parse().ok());
    let rows: u64 = rows.unwrap_or(ROWS);
    let memory = std::env::var("SPILL_MEMORY").unwrap_or("512MiB".to_owned());
    let memory: ByteSize = memory.parse()?;
    let dir = tempfile::tempdir().expect("a folder for the rows");
    let kept = std::env::var_os("SPILL_DATA").map(PathBuf::from);
    let input = kept.unwrap_or_else(|| dir.path().join("in"));
    if !input.exists() {
        let make = move |idx: usize| {
            let first = idx as u64 * BATCH_ROWS;
            Ok(vec![batch(first..(first + BATCH_ROWS).min(rows), rows)])
        };
        let pieces = rows.div_ceil(BATCH_ROWS) as usize;
        let frame = Session::default().from_map(batch(0..0, rows).schema(), pieces, make);
        frame.repartition(By::Count(8))?.to_parquet(&input)?;
    }
    for what in ["group", "sort"] {
        let other = ["group", "sort"]
            .iter()
            .any(|name| words.iter().any(|word| word == name));
        if !other || words.iter().any(|word| word == what) {
            measure(what, &input, memory, &dir.path().join("out"))?;
        }
    }
    Ok(())
}
