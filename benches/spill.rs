//! How long do a group-by and a sort take that hold far more than their memory? Unit: seconds.
//!
//! 3e7 rows (or as many as are asked for) of a whole number, which has half as
//! many values as there are rows, so that most are met once or twice, two small
//! numbers and a fraction; from Parquet to Parquet under 512 MiB.
//! Sums over all groups, and the order of all rows, are checked before any time is believed.
//! `SPILL_DATA` names a folder where the input stays, for others to read;
//! `SPILL_MEMORY` is another budget; `SPILL_PEER` a Python that has DuckDB, which is
//! asked the same, and whose answer must be the same rows.
//!
//! Run with `cargo bench --bench spill [-- group|sort] [ROWS]`; the largest size
//! of the process is told for one of both alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::{Float64Type, Int64Type};
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

/// What all rows add up to, whatever their order.
#[derive(Debug, Clone, PartialEq)]
struct Totals {
    rows: u64,
    /// Of each column of whole numbers.
    sums: Vec<i64>,
    /// Of numbers that look random, one for the whole numbers of each row.
    mixed: u64,
    /// Of the fractions, which the order of adding changes a little.
    fractions: f64,
}

impl Totals {
    /// Of these columns of whole numbers, the key the first; panics where keys
    /// should be in order and are not.
    fn of(frame: &DataFrame, columns: &[&str], in_order: bool) -> windrow::Result<Self> {
        let mut last = i64::MIN;
        let mut totals = Totals {
            rows: 0,
            sums: vec![0; columns.len()],
            mixed: 0,
            fractions: 0.0,
        };
        frame.for_each_batch(|batch| {
            let column = |name: &str| batch.column_by_name(name).expect("a column");
            let ints = |name: &&str| column(name).as_primitive::<Int64Type>().values().as_ref();
            let ints: Vec<&[i64]> = columns.iter().map(ints).collect();
            for (sum, values) in totals.sums.iter_mut().zip(&ints) {
                *sum += values.iter().sum::<i64>();
            }
            for row in 0..batch.num_rows() {
                let of_row = ints.iter().fold(0, |all, of| mixed(all ^ of[row] as u64));
                totals.mixed = totals.mixed.wrapping_add(of_row);
            }
            for key in ints[0] {
                assert!(!in_order || last <= *key, "{key} stands behind {last}");
                last = *key;
            }
            let fractions = column("v3").as_primitive::<Float64Type>();
            totals.fractions += fractions.values().iter().sum::<f64>();
            totals.rows += batch.num_rows() as u64;
            Ok(())
        })?;
        Ok(totals)
    }

    fn check_like(&self, other: &Totals, what: &str) {
        let exact = |totals: &Totals| (totals.rows, totals.sums.clone(), totals.mixed);
        assert_eq!(exact(self), exact(other), "{what}");
        let apart = (self.fractions - other.fractions).abs();
        assert!(
            apart <= 1e-9 * self.fractions.abs(),
            "{what}: {self:?} {other:?}"
        );
    }
}

/// The same question, asked of DuckDB with the same memory and as many threads by
/// the Python that `SPILL_PEER` names: seconds, and its answer.
fn peer(what: &str, input: &Path, memory: ByteSize, to: &Path) -> Option<String> {
    let python = std::env::var_os("SPILL_PEER")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/spill.py");
    let threads = Settings::default().threads.to_string();
    let asked = std::process::Command::new(python)
        .arg(script)
        .arg(what)
        .args([input, to])
        .args([memory.bytes().to_string(), threads])
        .output()
        .expect("the Python that SPILL_PEER names");
    let said = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    let wrong = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{wrong}");
    Some(said)
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
            let ints: &[&str] = match what {
                "group" => &["k", "v1", "v2", "n"],
                _ => &["k", "v1", "v2"],
            };
            let all = Totals::of(&read(input)?, &["k", "v1", "v2"], false)?;
            let found = Totals::of(&read(to)?, ints, what == "sort")?;
            match what {
                "group" => assert_eq!(
                    (found.sums[3] as u64, &found.sums[1..3]),
                    (all.rows, &all.sums[1..3])
                ),
                _ => found.check_like(&all, what),
            }
            let theirs = to.with_extension("peer");
            if let Some(said) = peer(what, input, memory, &theirs) {
                Totals::of(&read(&theirs)?, ints, what == "sort")?.check_like(&found, what);
                println!("{what:6} DuckDB {said}; {} rows, the same ones", found.rows);
                std::fs::remove_dir_all(theirs).expect("the folder was just written");
            }
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
    let files = std::fs::read_dir(&input).into_iter().flatten().flatten();
    let mut names = files.map(|file| file.path());
    if !names.any(|path| path.extension().is_some_and(|name| name == "parquet")) {
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
