//! Frames one behind the other: every row once, in order, columns by name.

mod oracle;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oracle::{Cell, Row, rows_of};
use windrow::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use windrow::arrow::schema::{DataType, SchemaRef};
use windrow::expr::col;
use windrow::{By, ByteSize, DataFrame, ReadOptions, Session, Settings, concat};

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

fn ints(session: &Session, name: &str, numbers: std::ops::Range<i64>) -> DataFrame {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    let batch = RecordBatch::try_from_iter([(name, column)]).unwrap();
    session.from_batches(batch.schema(), [batch]).unwrap()
}

fn rows(frame: &DataFrame) -> Vec<Row> {
    rows_of(frame.compute().unwrap().batches())
}

fn types(schema: &SchemaRef) -> Vec<(&str, &DataType)> {
    schema
        .fields()
        .iter()
        .map(|f| (f.name().as_str(), f.data_type()))
        .collect()
}

#[test]
fn rows_follow_each_other_and_columns_meet_by_name() {
    for threads in [1, 2, 5] {
        let session = session(threads);
        let a = ints(&session, "n", 0..5);
        let b = a.with_columns([("m", "n * 10"), ("n", "n + 0.5")]).unwrap();
        let both = concat([&a, &b, &a]).unwrap();
        let known = both.schema().unwrap();
        assert_eq!(
            types(&known),
            [("n", &DataType::Float64), ("m", &DataType::Int64)]
        );
        let mut wanted = rows(&a);
        wanted.extend(rows(&b));
        wanted.extend(rows(&a));
        assert_eq!(rows(&both), wanted);
        assert_eq!(both.count().unwrap(), 15);
        assert_eq!(
            both.npartitions().unwrap(),
            3,
            "partitions stay as they are"
        );
        // Steps behind it, a layout of its own, and a frame inside a frame.
        let nested = concat([&both.filter("n > 3").unwrap(), &b]).unwrap();
        let kept = wanted
            .iter()
            .filter(|row| row["n"].int() > Some(3) || row["n"] == Cell::Number(3.5));
        let mut expected: Vec<Row> = kept.cloned().collect();
        expected.extend(rows(&b));
        assert_eq!(rows(&nested.repartition(By::Count(2)).unwrap()), expected);
        let only = nested.select([(col("m") + 1).alias("k")]).unwrap().limit(3);
        assert_eq!(rows(&only).len(), 3);
    }
}

#[test]
fn text_keeps_what_came_late_and_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let numbers = |from: usize| -> String {
        (from..from + 30_000)
            .map(|n| format!("{{\"n\":{n}}}\n"))
            .collect()
    };
    std::fs::write(dir.path().join("a/1.json"), numbers(0)).unwrap();
    let late = numbers(100_000) + "{\"n\":2.5,\"late\":true}\n";
    std::fs::write(dir.path().join("b/1.json"), late).unwrap();
    for (threads, blocksize) in [(1, 1 << 20), (5, 4096)] {
        let session = session(threads);
        let read = |name: &str| {
            let options = ReadOptions {
                blocksize: Some(ByteSize::new(blocksize)),
                ..ReadOptions::default()
            };
            session.read_json(dir.path().join(name), options).unwrap()
        };
        let both = concat([&read("a"), &read("b"), &ints(&session, "n", 0..3)]).unwrap();
        let bytes = session.progress().stored_bytes_read();
        let table = both.compute().unwrap();
        let total: u64 = ["a/1.json", "b/1.json"]
            .iter()
            .map(|name| std::fs::metadata(dir.path().join(name)).unwrap().len())
            .sum();
        assert_eq!(
            session.progress().stored_bytes_read() - bytes,
            total,
            "read once"
        );
        let schema = table.schema();
        assert_eq!(
            types(&schema),
            [("n", &DataType::Float64), ("late", &DataType::Boolean)]
        );
        let found = rows_of(table.batches());
        assert_eq!(found.len(), 60_004);
        assert_eq!(found[60_000]["late"], Cell::Bool(true));
        assert_eq!(found[60_000]["n"], Cell::Number(2.5));
        assert_eq!(found[60_003]["n"], Cell::Number(2.0));
        assert_eq!(types(&both.full_schema().unwrap()), types(&schema));
        let out = tempfile::tempdir().unwrap();
        let report = both.to_parquet(out.path().join("out")).unwrap();
        assert_eq!(report.rows, 60_004);
        assert!(
            both.to_parquet(dir.path().join("b/out")).is_err(),
            "inputs are protected"
        );
    }
}

#[test]
fn what_comes_behind_the_rows_asked_for_is_not_made() {
    let session = session(1);
    let made = Arc::new(AtomicUsize::new(0));
    let parts = |made: &Arc<AtomicUsize>| {
        let made = Arc::clone(made);
        let batch = |n: i64| {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![n; 10]));
            RecordBatch::try_from_iter([("n", column)]).unwrap()
        };
        session.from_map(batch(0).schema(), 100, move |idx| {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(vec![batch(idx as i64)])
        })
    };
    let both = concat([&parts(&made), &parts(&made)]).unwrap();
    assert_eq!(rows(&both.limit(25)).len(), 25);
    assert!(
        made.load(Ordering::Relaxed) < 60,
        "{made:?} partitions were made"
    );
}

#[test]
fn what_cannot_stand_together_is_refused() {
    let session = session(1);
    assert!(concat([]).unwrap_err().is_usage());
    let n = ints(&session, "n", 0..3);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.json"), "{\"n\":{\"inside\":1}}\n").unwrap();
    let object = session
        .read_json(dir.path(), ReadOptions::default())
        .unwrap();
    let error = concat([&n, &object]).unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("\"n\""),
        "{error}"
    );
    // A number that no fraction holds is not rounded without a word.
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    let floats = RecordBatch::try_from_iter([("n", floats)]).unwrap();
    let floats = session.from_batches(floats.schema(), [floats]).unwrap();
    let large = ints(&session, "n", (1 << 53)..(1 << 53) + 2);
    let error = concat([&floats, &large])
        .unwrap()
        .compute()
        .unwrap_err()
        .to_string();
    assert!(error.contains("9007199254740993"), "{error}");
}

#[test]
fn the_plan_shows_every_input() {
    let session = session(2);
    let a = ints(&session, "n", 0..5);
    let both = concat([&a.filter("n > 1").unwrap(), &a])
        .unwrap()
        .filter("n < 4")
        .unwrap();
    let text = both.explain().to_string();
    let built: Vec<&str> = text
        .lines()
        .skip(1)
        .take(5)
        .map(|line| line.split("  (").next().unwrap())
        .collect();
    assert_eq!(
        built,
        [
            "  filter n < 4",
            "    concat 2 frames",
            "      filter n > 1",
            "        scan 1 batch in memory",
            "      scan 1 batch in memory",
        ],
        "{text}"
    );
}
