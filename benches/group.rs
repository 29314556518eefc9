//! How fast are the group-by questions of db-benchmark answered? Unit: seconds a question.
//!
//! Its table `G1_1e7_1e2_0_0` in shape: 1e7 rows (or as many as `ROWS` says),
//! 100 groups for the low keys and a hundredth of the rows for the high ones.
//! It is made once from a seed, written as Parquet, read into memory and asked
//! ten questions; `GROUP_FROM=parquet` asks the file instead, and `GROUP_DATA`
//! names a folder where it stays, for others to read. Every answer is checked against sums over all rows, and, for the first 20,000 rows, against
//! plain maps.

#[path = "measure/allocator.rs"]
mod allocator;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::{Float64Type, Int64Type};
use windrow::arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use windrow::prelude::*;

/// Groups of a low key.
const K: u64 = 100;

struct Row {
    ids: [u64; 6],
    v: [i64; 2],
    v3: f64,
}

/// A row is a function of its number.
fn row(idx: u64, rows: u64) -> Row {
    let mut state = idx.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x2545_F491_4F6C_DD1D;
    let mut below = |n: u64| {
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^= state >> 31;
        1 + (state >> 11) % n
    };
    let many = (rows / K).max(1);
    Row {
        ids: [
            below(K),
            below(K),
            below(many),
            below(K),
            below(K),
            below(many),
        ],
        v: [below(5) as i64, below(15) as i64],
        v3: below(100_000_000) as f64 / 1e6,
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let texts = |which: usize, width: usize| -> ArrayRef {
        let text = |row: &Row| format!("id{:0width$}", row.ids[which]);
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    let ints = |of: &dyn Fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    let v3: ArrayRef = Arc::new(Float64Array::from_iter_values(
        rows.iter().map(|row| row.v3),
    ));
    RecordBatch::try_from_iter([
        ("id1", texts(0, 3)),
        ("id2", texts(1, 3)),
        ("id3", texts(2, 10)),
        ("id4", ints(&|row| row.ids[3] as i64)),
        ("id5", ints(&|row| row.ids[4] as i64)),
        ("id6", ints(&|row| row.ids[5] as i64)),
        ("v1", ints(&|row| row.v[0])),
        ("v2", ints(&|row| row.v[1])),
        ("v3", v3),
    ])
    .expect("columns of one length")
}

/// Keys, and aggregates by their text.
const QUESTIONS: [(&str, &[&str], &[&str]); 10] = [
    ("q1", &["id1"], &["sum(v1)"]),
    ("q2", &["id1", "id2"], &["sum(v1)"]),
    ("q3", &["id3"], &["sum(v1)", "mean(v3)"]),
    ("q4", &["id4"], &["mean(v1)", "mean(v2)", "mean(v3)"]),
    ("q5", &["id6"], &["sum(v1)", "sum(v2)", "sum(v3)"]),
    ("q6", &["id4", "id5"], &["median(v3)", "std(v3)"]),
    ("q7", &["id3"], &["max(v1)", "min(v2)"]),
    ("q8", &["id6"], &["largest(v3, 2)"]),
    ("q9", &["id2", "id4"], &["corr(v1, v2)"]),
    (
        "q10",
        &["id1", "id2", "id3", "id4", "id5", "id6"],
        &["sum(v3)", "count(*)"],
    ),
];

fn ask(frame: &DataFrame, idx: usize) -> windrow::Result<Table> {
    let (_, keys, aggregates) = QUESTIONS[idx];
    let aggregates = aggregates.iter().enumerate().map(|(n, text)| {
        let aggregate = AggExpr::parse(text)?;
        Ok(aggregate.alias(format!("r{n}")))
    });
    let aggregates: Vec<AggExpr> = aggregates.collect::<windrow::Result<_>>()?;
    frame
        .groupby(keys.iter().copied())?
        .agg(aggregates)?
        .compute()
}

/// One row as text: keys and results.
fn shown(batch: &RecordBatch, row: usize) -> Vec<String> {
    let cell = |column: &ArrayRef| match column.data_type() {
        windrow::arrow::schema::DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        windrow::arrow::schema::DataType::Int64 => {
            column.as_primitive::<Int64Type>().value(row).to_string()
        }
        windrow::arrow::schema::DataType::List(_) => {
            let values = column.as_list::<i32>().value(row);
            format!(
                "{:?}",
                values.as_primitive::<Float64Type>().values().to_vec()
            )
        }
        _ if column.is_null(row) => "null".to_owned(),
        _ => format!("{:.9e}", column.as_primitive::<Float64Type>().value(row)),
    };
    batch.columns().iter().map(cell).collect()
}

/// The answer by plain maps, in order of first appearance.
fn plain(rows: &[Row], idx: usize) -> Vec<Vec<String>> {
    let (_, keys, aggregates) = QUESTIONS[idx];
    let key = |row: &Row| -> Vec<String> {
        let of = |name: &&str| {
            let which = usize::from(name.as_bytes()[2] - b'1');
            match which {
                0 | 1 => format!("id{:03}", row.ids[which]),
                2 => format!("id{:010}", row.ids[which]),
                _ => row.ids[which].to_string(),
            }
        };
        keys.iter().map(of).collect()
    };
    let mut places: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    let mut groups: Vec<(Vec<String>, Vec<&Row>)> = Vec::new();
    for row in rows {
        let key = key(row);
        let place = *places.entry(key.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(row);
    }
    let results = groups.into_iter().map(|(mut shown, rows)| {
        shown.extend(aggregates.iter().map(|text| result(text, &rows)));
        shown
    });
    results.collect()
}

fn result(text: &str, rows: &[&Row]) -> String {
    let (what, rest) = text.split_once('(').expect("an aggregate");
    let values = |name: &str| -> Vec<f64> {
        let of = |row: &&Row| match name {
            "v1" => row.v[0] as f64,
            "v2" => row.v[1] as f64,
            _ => row.v3,
        };
        rows.iter().map(of).collect()
    };
    let whole = |value: f64| format!("{value}");
    let float = |value: f64| format!("{value:.9e}");
    let name = rest.split([',', ')']).next().unwrap_or_default();
    let x = values(name);
    let n = x.len() as f64;
    let sum: f64 = x.iter().sum();
    let mut sorted = x.clone();
    sorted.sort_by(f64::total_cmp);
    match what {
        "count" => whole(n),
        "sum" if name == "v3" => float(sum),
        "sum" => whole(sum),
        "mean" => float(sum / n),
        "max" => whole(sorted[sorted.len() - 1]),
        "min" => whole(sorted[0]),
        "median" => float((sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0),
        "std" if n < 2.0 => "null".to_owned(),
        "std" => {
            let squares: f64 = x.iter().map(|x| (x - sum / n).powi(2)).sum();
            float((squares / (n - 1.0)).sqrt())
        }
        "largest" => {
            sorted.reverse();
            sorted.truncate(2);
            format!("{sorted:?}")
        }
        _ => {
            let y = values("v2");
            let (mx, my) = (sum / n, y.iter().sum::<f64>() / n);
            let both: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
            let square = |of: &[f64], mean: f64| of.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
            let corr = both / (square(&x, mx) * square(&y, my)).sqrt();
            if n < 2.0 {
                "null".to_owned()
            } else {
                float(corr)
            }
        }
    }
}

/// Equal as texts, or to one part in 10^8 as numbers.
fn alike(a: &str, b: &str) -> bool {
    let close =
        |a: f64, b: f64| (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-8 * a.abs().max(1.0);
    a == b || matches!((a.parse(), b.parse()), (Ok(a), Ok(b)) if close(a, b))
}

fn check_small(session: &Session) -> windrow::Result<()> {
    let rows: Vec<Row> = (0..20_000).map(|idx| row(idx, 20_000)).collect();
    let all = batch(&rows);
    let pieces = (0..20).map(|idx| all.slice(idx * 1_000, 1_000));
    let frame = session.from_batches(all.schema(), pieces)?;
    for (idx, question) in QUESTIONS.iter().enumerate() {
        let table = ask(&frame, idx)?;
        let batches = table.batches();
        let found: Vec<_> = batches
            .flat_map(|batch| (0..batch.num_rows()).map(|row| shown(batch, row)))
            .collect();
        let wanted = plain(&rows, idx);
        assert_eq!(found.len(), wanted.len(), "{}", question.0);
        for (found, wanted) in found.iter().zip(&wanted) {
            let same = found.iter().zip(wanted).all(|(a, b)| alike(a, b));
            assert!(same, "{}: {found:?} is not {wanted:?}", question.0);
        }
    }
    Ok(())
}

/// What the columns of whole numbers of an answer add up to.
fn total(table: &Table, column: &str) -> i64 {
    let of = |batch: &RecordBatch| {
        let column = batch.column_by_name(column).expect("a result");
        column
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .sum::<i64>()
    };
    table.batches().map(of).sum()
}

fn main() -> windrow::Result<()> {
    allocator::settle();
    let from_env = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let n_rows: u64 = from_env("ROWS").unwrap_or(10_000_000);
    let repeats: u64 = from_env("REPEATS").unwrap_or(3);
    let session = Session::default();
    check_small(&session)?;
    let dir = tempfile::tempdir().expect("a folder for the table");
    let kept = std::env::var_os("GROUP_DATA").map(PathBuf::from);
    let path = kept.unwrap_or_else(|| dir.path().join("g1"));
    let piece = n_rows.div_ceil(100).max(1);
    let schema = batch(&[]).schema();
    let make = move |idx: usize| {
        let from = idx as u64 * piece;
        let rows: Vec<Row> = (from..(from + piece).min(n_rows))
            .map(|idx| row(idx, n_rows))
            .collect();
        Ok(vec![batch(&rows)])
    };
    if !path.exists() {
        session.from_map(schema, 100, make).to_parquet(&path)?;
    }
    let (mut v1, mut v2) = (0, 0);
    for idx in 0..n_rows {
        let row = row(idx, n_rows);
        (v1, v2) = (v1 + row.v[0], v2 + row.v[1]);
    }
    let file = session.read_parquet(path.display().to_string())?;
    let frame = match std::env::var("GROUP_FROM").as_deref() {
        Ok("parquet") => file,
        _ => file.persist()?,
    };
    let wanted = std::env::var("ONLY").ok();
    let mut logs = Vec::new();
    for (idx, question) in QUESTIONS.iter().enumerate() {
        if wanted.as_deref().is_some_and(|only| only != question.0) {
            continue;
        }
        let mut best = f64::INFINITY;
        let mut groups = 0;
        for _ in 0..repeats {
            let started = Instant::now();
            let table = ask(&frame, idx)?;
            best = best.min(started.elapsed().as_secs_f64());
            groups = table.num_rows();
            match question.0 {
                "q1" | "q2" | "q3" => assert_eq!(total(&table, "r0"), v1),
                "q5" => assert_eq!((total(&table, "r0"), total(&table, "r1")), (v1, v2)),
                "q10" => assert_eq!(total(&table, "r1"), n_rows as i64),
                _ => {}
            }
        }
        logs.push(best.ln());
        println!("{:4} {groups:>9} groups {best:8.3} s", question.0);
    }
    let mean = (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp();
    println!("geometric mean {mean:.3} s of {n_rows} rows");
    Ok(())
}
