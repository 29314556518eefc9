//! Windows whose groups do not fit: the same columns and errors as under an ample
//! budget, however rows are cut and at any number of threads.

use std::sync::Arc;

use windrow::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use windrow::prelude::*;

const ROWS: i64 = 700;

/// Budgets that hold no state of all groups; the last one holds a few batches.
const BUDGETS: [u64; 3] = [32 << 10, 40 << 10, 64 << 10];

fn session(threads: usize, budget: Option<u64>) -> Session {
    let session = Session::new(Settings {
        threads,
        memory: ByteSize::mib(64),
        ..Settings::default()
    });
    match budget {
        Some(bytes) => session.with_budget(ByteSize::new(bytes)),
        None => session,
    }
}

/// 120 keys, some of them null; one has a third of all rows.
fn batch() -> RecordBatch {
    let key = |n: i64| match (n * 37 % 211, n % 3) {
        (_, 0) => Some(-1),
        (0..9, _) => None,
        (key, _) => Some(key % 119),
    };
    let place = || 0..ROWS;
    let columns: [(&str, ArrayRef); 6] = [
        ("k", Arc::new(Int64Array::from_iter(place().map(key)))),
        (
            "name",
            Arc::new(StringArray::from_iter(place().map(|n| {
                (n % 11 > 0).then(|| format!("name {:>9}", n * 13 % 90))
            }))),
        ),
        (
            "x",
            Arc::new(Int64Array::from_iter(
                place().map(|n| (n % 7 != 2).then_some(n * n % 23 - 9)),
            )),
        ),
        (
            "f",
            Arc::new(Float64Array::from_iter_values(
                place().map(|n| (n * 31 % 97) as f64 / 8.0),
            )),
        ),
        (
            "s",
            Arc::new(Int64Array::from_iter_values(place().map(|n| n / 5))),
        ),
        ("n", Arc::new(Int64Array::from_iter_values(place()))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn frame(session: &Session, rows: &RecordBatch, size: usize) -> DataFrame {
    let starts = (0..rows.num_rows()).step_by(size);
    let pieces = starts.map(|start| rows.slice(start, size.min(rows.num_rows() - start)));
    // Their own memory each, as rows that are read have.
    let pieces = pieces.map(|piece| {
        let all: Vec<u32> = (0..piece.num_rows() as u32).collect();
        let all = windrow::arrow::array::UInt32Array::from(all);
        arrow_select::take::take_record_batch(&piece, &all).unwrap()
    });
    session.from_batches(rows.schema(), pieces).unwrap()
}

/// The rows of a frame as one batch, and whether any went to disk.
fn rows(frame: &DataFrame) -> windrow::Result<(RecordBatch, bool)> {
    let mut all = Vec::new();
    let report = frame.for_each_batch(|batch| {
        all.push(batch.clone());
        Ok(())
    })?;
    let schema = all.first().map(RecordBatch::schema);
    let schema = schema.unwrap_or_else(|| Arc::new(windrow::arrow::schema::Schema::empty()));
    let all = arrow_select::concat::concat_batches(&schema, &all).unwrap();
    Ok((all, report.spilled_runs > 0))
}

/// Windows that look at rows so far, by whole numbers, texts and both.
const SO_FAR: &[&str] = &[
    "row_number() over (partition by k)",
    "lag(name, 2) over (partition by k)",
    "sum(x) over (partition by k rows unbounded preceding)",
    "mean(f) over (partition by k rows 2 preceding)",
    "sum(f) over (partition by name, k rows unbounded preceding)",
    "min(name) over (partition by k rows 3 preceding)",
    "max(f) over (partition by name rows unbounded preceding)",
    "count(*) over (partition by k rows within '6s' of to_timestamp(s))",
    "std(f) over (partition by k rows 4 preceding)",
    "median(x) over (partition by k rows 4 preceding)",
    "product(x) over (partition by name rows unbounded preceding)",
    "any(x > 3) over (partition by k rows unbounded preceding)",
    "last(name) over (partition by k, name rows 2 preceding)",
    "first_row(x) over (partition by k rows unbounded preceding)",
    "sum(x) over (rows 5 preceding)",
];

/// Windows that look at rows behind.
const BEHIND: &[&str] = &[
    "lead(name, 1) over (partition by k)",
    "sum(f) over (partition by k)",
    "mean(x) over (partition by name, k rows between 1 preceding and 2 following)",
    "last(f) over (partition by k rows between current row and unbounded following)",
    "first(name) over (partition by name)",
    "count(*) over (partition by k rows between unbounded preceding and 1 following)",
];

fn with_all(frame: &DataFrame, windows: &[&str]) -> windrow::Result<DataFrame> {
    let named = windows.iter().enumerate();
    frame.with_columns(named.map(|(idx, text)| (format!("w{idx}"), *text)))
}

#[test]
fn windows_whose_groups_do_not_fit_are_those_of_groups_that_do() {
    let all = batch();
    type Then = fn(DataFrame) -> windrow::Result<DataFrame>;
    let then: [(&str, Then); 4] = [
        ("alone", Ok),
        ("filtered", |frame| frame.filter("n % 3 != 1")),
        ("another window of them", |frame| {
            frame
                .with_column("again", "sum(w2) over (partition by name rows 3 preceding)")?
                .filter("again is null or again < 1000000")
        }),
        ("the first few", |frame| {
            frame.limit(333).with_column("twice", "n * 2")
        }),
    ];
    for windows in [SO_FAR, BEHIND] {
        for (case, (name, then)) in then.into_iter().enumerate() {
            let of = |session: &Session, size| {
                rows(&then(with_all(&frame(session, &all, size), windows)?)?)
            };
            let (whole, _) = of(&session(1, None), 700).unwrap();
            let cuts = [
                (BUDGETS[0], 61, 2),
                (BUDGETS[1], 150, 1),
                (BUDGETS[2], 97, 5),
            ];
            // Each pair of cuts once, over all cases.
            for (budget, size, threads) in [cuts[case % 3], cuts[(case + 1) % 3]] {
                let said = format!("{name}, {budget} bytes, batches of {size}");
                let (cut, spilled) = of(&session(threads, Some(budget)), size)
                    .unwrap_or_else(|error| panic!("{said}: {error}"));
                assert!(spilled, "{said}");
                assert_eq!(cut.num_rows(), whole.num_rows(), "{said}");
                for (idx, field) in whole.schema().fields().iter().enumerate() {
                    assert_eq!(
                        cut.column(idx),
                        whole.column(idx),
                        "{said}: {}",
                        field.name()
                    );
                }
            }
        }
    }
}

#[test]
fn a_row_without_an_answer_is_the_same_one_where_groups_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.json");
    // The sum of key 70 passes its type first; others do so later.
    let line = |n: i64| {
        let key = n % 97;
        let value = match key {
            70 => i64::MAX / 3,
            71..80 => i64::MAX / 4,
            _ => 1,
        };
        format!(
            "{{\"k\":{key},\"x\":{value},\"t\":{}}}\n",
            n + i64::from(n == 611) * -900
        )
    };
    let lines: String = (0..900).map(line).collect();
    std::fs::write(&path, &lines).unwrap();
    let cases = [
        "sum(x) over (partition by k rows unbounded preceding)",
        "count(*) over (partition by k rows within '600s' of to_timestamp(t))",
        "sum(x) over (partition by k rows between unbounded preceding and 1 following)",
    ];
    for window in cases {
        let fails = |session: &Session, blocksize| {
            let options = ReadOptions {
                blocksize: Some(ByteSize::new(blocksize)),
                ..ReadOptions::default()
            };
            let read = session.read_json(path.to_str().unwrap(), options).unwrap();
            let made = read.with_column("y", window).unwrap();
            rows(&made).unwrap_err().to_string()
        };
        let said = fails(&session(1, None), 1 << 20);
        for (budget, blocksize, threads) in [(BUDGETS[1], 300, 1), (BUDGETS[2], 2_000, 3)] {
            assert_eq!(
                fails(&session(threads, Some(budget)), blocksize),
                said,
                "{window}"
            );
        }
    }
    // What stands before that row is fine if no more is asked for.
    let read = |budget| {
        session(2, budget)
            .read_json(path.to_str().unwrap(), ReadOptions::default())
            .unwrap()
    };
    for budget in [None, Some(BUDGETS[1])] {
        let made = read(budget).with_column("y", cases[0]).unwrap();
        assert_eq!(rows(&made.limit(361)).unwrap().0.num_rows(), 361);
        let error = rows(&made.limit(362)).unwrap_err().to_string();
        assert!(error.contains("rows.json: line 362 "), "{error}");
    }
}

#[test]
fn parts_of_rows_that_waited_are_those_of_rows_that_did_not() {
    let all = batch();
    let parts = |budget| {
        let dir = tempfile::tempdir().unwrap();
        let made = with_all(&frame(&session(2, budget), &all, 100), &SO_FAR[..4]).unwrap();
        let made = made.filter("n % 2 = 0").unwrap();
        let report = made.to_parquet(dir.path().join("out")).unwrap();
        let part = |output: &windrow::RunReport, idx: usize| {
            let part = &output.outputs[idx];
            let bytes = std::fs::read(
                dir.path()
                    .join("out")
                    .join(std::path::Path::new(&part.path).file_name().unwrap()),
            );
            (part.rows, bytes.unwrap())
        };
        let n_parts = report.outputs.len();
        (0..n_parts)
            .map(|idx| part(&report, idx))
            .collect::<Vec<_>>()
    };
    let whole = parts(None);
    assert_eq!(whole.iter().map(|(rows, _)| rows).sum::<u64>(), 350);
    assert_eq!(parts(Some(BUDGETS[2])), whole);
}
