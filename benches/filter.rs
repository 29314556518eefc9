//! How fast are rows picked by a predicate? Unit: rows per second on one core.
//!
//! Batches are as the decoder makes them: 2,500 rows of a few columns. What is
//! selected is checked against a plain loop before any time is believed.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use windrow::expr::Expr;

const ROWS: usize = 2_500;
const BATCHES: usize = 400;

struct Row {
    status: i64,
    seconds: f64,
    path: String,
    time: String,
    mixed: String,
}

fn row(state: &mut u64) -> Row {
    let mut next = |below: u64| {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (*state >> 33) % below
    };
    Row {
        status: [200, 200, 200, 301, 404, 500][next(6) as usize],
        seconds: next(10_000) as f64 / 1_000.0,
        path: format!("/api/v{}/items/{}", next(3), next(100_000)),
        time: format!("2024-01-{:02}T{:02}:30:00.250Z", next(28) + 1, next(24)),
        mixed: if next(10) == 0 {
            "n/a".into()
        } else {
            next(1_000).to_string()
        },
    }
}

fn main() {
    let mut state = 7;
    let rows: Vec<Row> = (0..ROWS).map(|_| row(&mut state)).collect();
    let column = |array: ArrayRef| array;
    let batch = RecordBatch::try_from_iter([
        (
            "status",
            column(Arc::new(
                rows.iter().map(|r| Some(r.status)).collect::<Int64Array>(),
            )),
        ),
        (
            "seconds",
            column(Arc::new(
                rows.iter()
                    .map(|r| Some(r.seconds))
                    .collect::<Float64Array>(),
            )),
        ),
        (
            "path",
            column(Arc::new(
                rows.iter().map(|r| Some(&r.path)).collect::<StringArray>(),
            )),
        ),
        (
            "time",
            column(Arc::new(
                rows.iter().map(|r| Some(&r.time)).collect::<StringArray>(),
            )),
        ),
        (
            "mixed",
            column(Arc::new(
                rows.iter().map(|r| Some(&r.mixed)).collect::<StringArray>(),
            )),
        ),
    ])
    .expect("columns of one length");

    type Wanted = fn(&Row) -> bool;
    let predicates: [(&str, Wanted); 11] = [
        ("status >= 500", |r| r.status >= 500),
        ("status >= 499.5", |r| r.status >= 500),
        ("seconds > 5", |r| r.seconds > 5.0),
        ("status >= 500 and seconds > 5", |r| {
            r.status >= 500 && r.seconds > 5.0
        }),
        ("status in (404, 500)", |r| {
            r.status == 404 || r.status == 500
        }),
        ("path = '/api/v1/items/7'", |r| r.path == "/api/v1/items/7"),
        ("path like '/api/v1/%'", |r| r.path.starts_with("/api/v1/")),
        ("path like '%v1%9'", |r| {
            r.path.contains("v1") && r.path.ends_with('9')
        }),
        ("lower(path) like '/api/v1/%'", |r| {
            r.path.starts_with("/api/v1/")
        }),
        ("time >= timestamp '2024-01-15 00:00:00'", |r| {
            r.time.as_str() >= "2024-01-15"
        }),
        ("mixed > 500", |r| {
            r.mixed.parse().is_ok_and(|value: i64| value > 500)
        }),
    ];
    for (text, wanted) in predicates {
        let bound = Expr::parse(text)
            .and_then(|expr| expr.bind(&batch.schema()))
            .expect("a predicate of these columns");
        let mask = bound.mask(&batch).expect("values that compare");
        for (idx, row) in rows.iter().enumerate() {
            assert_eq!(mask.is_valid(idx) && mask.value(idx), wanted(row), "{text}");
        }
        let fastest = (0..5)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..BATCHES {
                    let mask = bound.mask(&batch).expect("checked above");
                    assert_eq!(mask.len(), ROWS);
                }
                start.elapsed()
            })
            .min()
            .expect("five times");
        let rate = (ROWS * BATCHES) as f64 / fastest.as_secs_f64() / 1e6;
        println!("{text:<42} {rate:>8.0} million rows/s");
    }
}
