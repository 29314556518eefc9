//! Windows over rows: the same as looking at all rows for each of them, however
//! rows are cut, read and held.

mod oracle;

use std::sync::Arc;

use oracle::window::{Around, Timed, aggregate, around, place};
use oracle::{Cell, rows_of};
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::{Float64Type, Int32Type, Int64Type};
use windrow::arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int8Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray,
};
use windrow::prelude::*;
use windrow::{By, DataFrame, IndexOptions, RankOptions, SortBy, Ties};

/// Rows with nulls in keys and values; times stand still now and then.
fn rows(n: usize) -> Vec<Timed> {
    let mut state = 11_u64;
    let mut next = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let mut seconds = 0;
    (0..n)
        .map(|_| {
            seconds += next(3) as i64;
            Timed {
                key: match next(5) {
                    0 => None,
                    key => Some(format!("k{}", key / 2)),
                },
                value: (next(4) > 0).then(|| next(9) as i64 - 2),
                seconds,
            }
        })
        .collect()
}

fn batch(rows: &[Timed]) -> RecordBatch {
    let keys: ArrayRef = Arc::new(StringArray::from_iter(
        rows.iter().map(|row| row.key.clone()),
    ));
    let values: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.value)));
    let seconds = rows.iter().map(|row| row.seconds);
    let seconds: ArrayRef = Arc::new(Int64Array::from_iter_values(seconds));
    RecordBatch::try_from_iter([("k", keys), ("x", values), ("s", seconds)]).unwrap()
}

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

/// The rows as a frame, in batches of `size` with empty ones between them.
fn framed(rows: &[Timed], size: usize, threads: usize) -> DataFrame {
    let whole = batch(rows);
    let starts = (0..rows.len()).step_by(size);
    let batches = starts.flat_map(|start| {
        let piece = whole.slice(start, size.min(rows.len() - start));
        [piece, whole.slice(0, 0)]
    });
    let batches: Vec<_> = batches.collect();
    session(threads)
        .from_batches(whole.schema(), batches)
        .unwrap()
}

/// A column as numbers; conditions are 0 and 1.
fn numbers(frame: &DataFrame, column: &str) -> Vec<Option<f64>> {
    let table = frame.select([column]).unwrap().compute().unwrap();
    column_of(&rows_of(&table.into_batches()), column)
}

/// A column of rows as numbers.
fn column_of(rows: &[oracle::Row], column: &str) -> Vec<Option<f64>> {
    let number = |row: &oracle::Row| match row.get(column) {
        None => None,
        Some(Cell::Number(number)) => Some(*number),
        Some(Cell::Bool(truth)) => Some(f64::from(*truth)),
        Some(other) => panic!("{other:?} is no number"),
    };
    rows.iter().map(number).collect()
}

const NAMES: [&str; 15] = [
    "sum(x)",
    "mean(x)",
    "min(x)",
    "max(x)",
    "count(*)",
    "count(x)",
    "first(x)",
    "last(x)",
    "first_row(x)",
    "last_row(x)",
    "var(x)",
    "std(x)",
    "median(x)",
    "any(x > 3)",
    "all(x > 3)",
];

const FRAMES: [(&str, Around); 11] = [
    (
        "rows between unbounded preceding and current row",
        Around::Rows(None, Some(0)),
    ),
    (
        "rows between 2 preceding and current row",
        Around::Rows(Some(-2), Some(0)),
    ),
    ("rows 0 preceding", Around::Rows(Some(0), Some(0))),
    ("rows within '4s' of to_timestamp(s)", Around::Seconds(4)),
    ("rows within '1s' of to_timestamp(s)", Around::Seconds(1)),
    ("", Around::Rows(None, None)),
    (
        "rows between 1 preceding and 2 following",
        Around::Rows(Some(-1), Some(2)),
    ),
    (
        "rows between current row and 3 following",
        Around::Rows(Some(0), Some(3)),
    ),
    (
        "rows between unbounded preceding and 1 following",
        Around::Rows(None, Some(1)),
    ),
    (
        "rows between 1 preceding and 900 following",
        Around::Rows(Some(-1), Some(900)),
    ),
    (
        "rows between current row and unbounded following",
        Around::Rows(Some(0), None),
    ),
];

#[test]
fn every_aggregate_of_every_frame_is_that_of_the_rows_in_it() {
    let rows = rows(90);
    for (by_key, by) in [(false, ""), (true, "partition by k ")] {
        for (text, frame) in FRAMES {
            let exprs = NAMES.map(|name| (name, format!("{name} over ({by}{text})")));
            let in_frame = (0..rows.len()).map(|row| around(&rows, row, by_key, frame));
            let in_frame: Vec<_> = in_frame.collect();
            let of = |name: &str| {
                in_frame
                    .iter()
                    .map(|values| aggregate(name, values))
                    .collect()
            };
            let wanted: Vec<Vec<_>> = NAMES.iter().map(|name| of(name)).collect();
            for (size, threads) in [(90, 1), (7, 2), (1, 5)] {
                let made = framed(&rows, size, threads)
                    .with_columns(exprs.clone())
                    .unwrap();
                let made = rows_of(&made.compute().unwrap().into_batches());
                for (name, wanted) in NAMES.iter().zip(&wanted) {
                    let found = column_of(&made, name);
                    assert_eq!(
                        &found, wanted,
                        "{name} over ({by}{text}), {size} rows a batch"
                    );
                }
            }
        }
    }
}

#[test]
fn a_product_reaches_back_to_the_first_row() {
    let rows: Vec<Timed> = rows(12);
    let text = "product(x) over (partition by k rows between unbounded preceding and current row)";
    let made = framed(&rows, 5, 2).with_column("p", text).unwrap();
    let of = |row| around(&rows, row, true, Around::Rows(None, Some(0)));
    let wanted: Vec<_> = (0..rows.len())
        .map(|row| aggregate("product(x)", &of(row)))
        .collect();
    assert_eq!(numbers(&made, "p"), wanted);
    let error = framed(&rows, 5, 2).with_column("p", "product(x) over (rows 2 preceding)");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no factor can be taken out"), "{error}");
}

#[test]
fn shifts_and_row_numbers_go_by_groups_in_the_order_of_the_frame() {
    let rows = rows(60);
    let place = |row: usize, by_key: bool| {
        let before = &rows[..row];
        before
            .iter()
            .filter(|other| !by_key || other.key == rows[row].key)
            .count() as i64
    };
    let at = |row: usize, by_key: bool, by: i64| {
        let group: Vec<_> = rows
            .iter()
            .filter(|other| !by_key || other.key == rows[row].key)
            .collect();
        let wanted = place(row, by_key) - by;
        let found = usize::try_from(wanted)
            .ok()
            .and_then(|wanted| group.get(wanted));
        found.and_then(|row| row.value).map(|value| value as f64)
    };
    for (by_key, by) in [(false, vec![]), (true, vec!["k"])] {
        for (size, threads) in [(60, 1), (4, 2), (1, 5)] {
            let frame = framed(&rows, size, threads);
            let numbered = frame
                .with_column("n", row_number().over(by.clone()))
                .unwrap();
            let wanted = (0..rows.len()).map(|row| Some(place(row, by_key) as f64 + 1.0));
            assert_eq!(numbers(&numbered, "n"), wanted.collect::<Vec<_>>());
            for shift in [0, 1, 3, -1, -2, 100, -100] {
                let shifted = frame.with_column("y", col("x").shift(shift).over(by.clone()));
                let wanted: Vec<_> = (0..rows.len()).map(|row| at(row, by_key, shift)).collect();
                assert_eq!(numbers(&shifted.unwrap(), "y"), wanted, "{shift}");
            }
        }
    }
}

#[test]
fn what_pandas_calls_windows_says_what_its_documentation_says() {
    let values = vec![None, Some(3), None, None, Some(1), Some(4), None];
    let x: ArrayRef = Arc::new(Int64Array::from(values));
    let batch = RecordBatch::try_from_iter([("x", x)]).unwrap();
    let frame = session(2).from_batches(batch.schema(), [batch]).unwrap();
    let found = |made: windrow::Result<DataFrame>| {
        let texts = numbers(&made.unwrap(), "x").into_iter();
        let text = |number: Option<f64>| number.map_or("-".to_owned(), |number| number.to_string());
        texts.map(text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found(frame.shift(["x"], 2)), "- - - 3 - - 1");
    assert_eq!(found(frame.shift(["x"], -1)), "3 - - 1 4 - -");
    assert_eq!(found(frame.diff(["x"], 1)), "- - - - - 3 -");
    assert_eq!(found(frame.cumsum(["x"])), "- 3 - - 4 8 -");
    assert_eq!(found(frame.cumprod(["x"])), "- 3 - - 3 12 -");
    assert_eq!(found(frame.cummin(["x"])), "- 3 - - 1 1 -");
    assert_eq!(found(frame.cummax(["x"])), "- 3 - - 3 4 -");
    assert_eq!(found(frame.ffill(["x"], None)), "- 3 3 3 1 4 4");
    assert_eq!(found(frame.ffill(["x"], Some(1))), "- 3 3 - 1 4 4");
    assert_eq!(found(frame.bfill(["x"], None)), "3 3 1 1 1 4 -");
    assert_eq!(found(frame.bfill(["x"], Some(1))), "3 3 - 1 1 4 -");
    let rolled = |expr: Expr| found(frame.with_column("x", expr));
    let x = || col("x");
    assert_eq!(rolled(x().rolling(2).sum()), "- - - - - 5 -");
    assert_eq!(rolled(x().rolling(2).min_periods(1).sum()), "- 3 3 - 1 5 4");
    assert_eq!(rolled(x().rolling(2).count()), "0 1 1 0 1 2 1");
    assert_eq!(
        rolled(x().rolling_centered(3).min_periods(1).max()),
        "3 3 3 1 4 4 4"
    );
    assert_eq!(
        rolled(x().expanding().mean()),
        "- 3 3 3 2 2.6666666666666665 2.6666666666666665"
    );
    // A window in a window, and several in one expression.
    assert_eq!(rolled(x().ffill(None).diff(1)), "- - 0 0 -2 3 0");
    assert_eq!(
        rolled(x() * 10 + row_number() - x().shift(-1)),
        "- - - - 11 - -"
    );
}

#[test]
fn a_rolling_sum_keeps_nothing_of_what_left_it() {
    let values = [
        1e16,
        1.0,
        -1e16,
        0.1,
        f64::NAN,
        0.2,
        f64::INFINITY,
        3.0,
        0.1,
        1e300,
        0.3,
    ];
    let x: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    let batch = RecordBatch::try_from_iter([("x", x)]).unwrap();
    let frame = session(1).from_batches(batch.schema(), [batch]).unwrap();
    let made = frame.with_columns([
        ("sum", col("x").rolling(2).min_periods(1).sum()),
        ("std", col("x").rolling(2).std()),
    ]);
    let made = made.unwrap();
    for (row, sum) in numbers(&made, "sum").into_iter().enumerate().skip(1) {
        let wanted = values[row - 1] + values[row];
        assert_eq!(sum.unwrap().to_bits(), wanted.to_bits(), "row {row}");
    }
    let std = numbers(&made, "std");
    assert!(std[4].unwrap().is_nan() && std[6].unwrap().is_nan() && std[9].unwrap().is_nan());
    let alone = (2.9_f64 * 2.9 / 2.0).sqrt();
    assert!((std[8].unwrap() - alone).abs() < 1e-15, "{:?}", std[8]);
}

#[test]
fn values_of_every_type_are_shifted_and_filled() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("id", id), ("t", text)]).unwrap();
    let frame = session(2).from_batches(batch.schema(), [batch]).unwrap();
    let frame = frame.with_columns([
        ("when", "to_timestamp(id)"),
        ("items", "list(id, 7)"),
        ("yes", "id > 1"),
    ]);
    let frame = frame.unwrap();
    let made = frame.shift(["t", "when", "items", "yes"], 1).unwrap();
    let made = made.with_column("last", col("t").ffill(None)).unwrap();
    let made = made.with_column("least", "min(when) over ()").unwrap();
    assert_eq!(
        made.compute().unwrap().to_string(),
        "\
id  t     when                  items   yes    last  least
--  ----  --------------------  ------  -----  ----  --------------------
1   null  null                  null    null   null  1970-01-01T00:00:01Z
2   a     1970-01-01T00:00:01Z  [1, 7]  false  a     1970-01-01T00:00:01Z
3   null  1970-01-01T00:00:02Z  [2, 7]  true   a     1970-01-01T00:00:01Z
3 rows"
    );
}

#[test]
fn dictionaries_long_texts_and_small_numbers_are_their_values() {
    let text = || vec![Some("b"), None, Some("a")].into_iter();
    let columns: [(&str, ArrayRef); 3] = [
        (
            "dict",
            Arc::new(text().collect::<DictionaryArray<Int32Type>>()),
        ),
        ("long", Arc::new(text().collect::<LargeStringArray>())),
        (
            "small",
            Arc::new(Int8Array::from(vec![Some(100), None, Some(100)])),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let frame = session(2).from_batches(batch.schema(), [batch]).unwrap();
    let made = frame.with_columns([
        ("least", "min(dict) over (rows unbounded preceding)"),
        (
            "first",
            "first(long) over (rows between current row and unbounded following)",
        ),
        ("sum", "sum(small) over (partition by dict is null)"),
        ("before", "lag(dict, 1) over ()"),
    ]);
    assert_eq!(
        made.unwrap().compute().unwrap().to_string(),
        "\
dict  long  small  least  first  sum   before
----  ----  -----  -----  -----  ----  ------
b     b     100    b      b      200   null
null  null  null   b      a      null  b
a     a     100    a      a      200   null
3 rows"
    );
}

#[test]
fn groups_take_the_calls_of_frames() {
    let rows = rows(40);
    let frame = framed(&rows, 6, 2);
    let by = frame.groupby(["k"]).unwrap();
    let same = |one: DataFrame, other: DataFrame| {
        assert_eq!(
            one.compute().unwrap().to_string(),
            other.compute().unwrap().to_string()
        );
    };
    let over = |expr: Expr| frame.with_column("x", expr.over(["k"])).unwrap();
    same(by.shift(["x"], 2).unwrap(), over(col("x").shift(2)));
    same(by.cumsum(["x"]).unwrap(), over(col("x").cum_sum()));
    same(
        by.bfill(["x"], Some(2)).unwrap(),
        over(col("x").bfill(Some(2))),
    );
    let whole = col("x").mean().over::<[&str; 0]>([]);
    same(
        by.with_columns([("x", whole)]).unwrap(),
        over(col("x").mean().over(["k"])),
    );
    // Without rows whose key is null.
    let dropped = by.clone().dropna().cumsum(["x"]).unwrap();
    let present = frame.filter("k is not null").unwrap();
    same(
        dropped,
        present.groupby(["k"]).unwrap().cumsum(["x"]).unwrap(),
    );
    // By an expression.
    let by_sign = frame.groupby([col("x").gt(2).alias("large")]).unwrap();
    let counted = by_sign.with_columns([("n", row_number())]).unwrap();
    let text = "row_number() over (partition by x > 2)";
    same(counted, frame.with_column("n", text).unwrap());
}

#[test]
fn what_is_asked_for_behind_a_window_does_not_change_it() {
    let rows = rows(80);
    let frame = framed(&rows, 9, 3);
    for expr in [
        col("x").cum_sum(),
        col("x").shift(-1),
        col("x").sum().over(["k"]),
    ] {
        let made = frame.with_column("y", expr.clone()).unwrap();
        let whole = made.compute().unwrap().into_batches();
        let whole = windrow_concat(&whole);
        let kept = made
            .filter("x = 3")
            .unwrap()
            .compute()
            .unwrap()
            .into_batches();
        let kept: Vec<_> = rows_of(&kept);
        let wanted: Vec<_> = rows_of([&whole])
            .into_iter()
            .filter(|row| row.get("x") == Some(&Cell::Number(3.0)))
            .collect();
        assert_eq!(kept, wanted, "{expr}");
        let first = made.head(5).unwrap().into_batches();
        assert_eq!(rows_of(&first), rows_of([&whole.slice(0, 5)]), "{expr}");
        let only = made.select(["y"]).unwrap();
        assert_eq!(numbers(&only, "y"), numbers(&made, "y"));
        assert_eq!(made.count().unwrap(), 80);
        assert_eq!(made.tail(3).unwrap().num_rows(), 3);
        let sorted = made.sort_values([SortBy::descending("s")]).unwrap();
        assert_eq!(sorted.count().unwrap(), 80);
        let parts = made.repartition(By::Count(4)).unwrap();
        assert_eq!(numbers(&parts, "y"), numbers(&made, "y"));
    }
    // Of rows that were put in order, in that order; partitions stay.
    let four = IndexOptions {
        by: By::Count(4),
        ..IndexOptions::default()
    };
    let indexed = frame.set_index_with("s", four).unwrap();
    let summed = indexed.cumsum(["x"]).unwrap();
    assert!(summed.known_divisions());
    assert_eq!(summed.npartitions().unwrap(), 4);
}

fn windrow_concat(batches: &[RecordBatch]) -> RecordBatch {
    arrow_select::concat::concat_batches(&batches[0].schema(), batches).unwrap()
}

/// Lines of JSON, and the frame that reads them.
fn read(lines: &str, dir: &tempfile::TempDir, threads: usize, blocksize: u64) -> DataFrame {
    let path = dir.path().join("rows.json");
    std::fs::write(&path, lines).unwrap();
    let options = ReadOptions {
        blocksize: Some(ByteSize::new(blocksize)),
        ..ReadOptions::default()
    };
    session(threads)
        .read_json(path.to_str().unwrap(), options)
        .unwrap()
}

#[test]
fn a_row_without_an_answer_is_named_at_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let line = |n: i64| {
        format!(
            "{{\"t\":{},\"x\":{}}}\n",
            if n == 700 { 3 } else { n },
            i64::MAX / 500
        )
    };
    let lines: String = (1..=900).map(line).collect();
    for (threads, blocksize) in [(1, 1 << 20), (2, 200), (5, 5_000)] {
        let frame = read(&lines, &dir, threads, blocksize);
        let fails = |expr: &str| {
            let made = frame.with_column("y", expr).unwrap();
            made.compute().unwrap_err().to_string()
        };
        let error = fails("count(*) over (rows within '1m' of to_timestamp(t))");
        assert!(error.contains("rows.json: line 700 "), "{error}");
        assert!(
            error.contains("1970-01-01T00:00:03Z stands behind 1970-01-01T00:11:39Z"),
            "{error}"
        );
        let error = fails("sum(x) over (rows between unbounded preceding and current row)");
        assert!(error.contains("rows.json: line 501 "), "{error}");
        assert!(error.contains("does not fit Int64"), "{error}");
        let error = fails("sum(x) over ()");
        assert!(error.contains("does not fit Int64"), "{error}");
        // What stands before that row is fine if no more is asked for.
        let made = frame
            .with_column("y", "sum(x) over (rows unbounded preceding)")
            .unwrap();
        assert_eq!(made.head(500).unwrap().num_rows(), 500);
    }
}

#[test]
fn windows_are_refused_where_they_cannot_stand() {
    let frame = framed(&rows(5), 5, 1);
    let fails = |made: windrow::Result<DataFrame>| made.unwrap_err().to_string();
    for (expr, wanted) in [
        ("sum(y) over ()", "there is no column \"y\""),
        ("sum(k) over ()", "is not a number"),
        (
            "sum(x) over (rows between 3 preceding and 1 preceding)",
            "must hold the row itself",
        ),
        (
            "sum(x) over (rows between 3 preceding and unbounded following)",
            "begin with the first",
        ),
        ("count(distinct x) over ()", "of rows in a window there are"),
        ("mean(x) over (rows within '1h' of x)", "is not a time"),
        ("lag(x, 1) over () and x", "is not a condition"),
    ] {
        let error = fails(frame.with_column("z", expr));
        assert!(error.contains(wanted), "{expr}: {error}");
    }
    let error = fails(frame.filter("lag(x, 1) over () > 2"));
    assert!(
        error.contains("windows stand in select and with_column"),
        "{error}"
    );
    let error = frame
        .agg(["sum(lag(x, 1) over ())"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("windows stand in select and with_column"),
        "{error}"
    );
}

#[test]
fn rows_that_are_held_past_the_budget_give_the_same() {
    let n = 50_000;
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
    let wide = (0..n).map(|n| format!("{:>500}", n % 7));
    let wide: ArrayRef = Arc::new(StringArray::from_iter_values(wide));
    let batch = RecordBatch::try_from_iter([("id", id), ("wide", wide)]).unwrap();
    let pieces = (0..50).map(|idx| batch.slice(idx * 1_000, 1_000));
    let settings = Settings {
        threads: 2,
        memory: ByteSize::mib(32),
        ..Settings::default()
    };
    let frame = Session::new(settings)
        .from_batches(batch.schema(), pieces)
        .unwrap();
    let made = frame.with_columns([
        ("next", col("id").shift(-1).over(["wide"])),
        ("mean", col("id").rolling_centered(3).mean().over(["wide"])),
        ("rows", windrow::expr::count().over(["wide"])),
    ]);
    let mut row = 0_i64;
    let report = made.unwrap().for_each_batch(|batch| {
        let ints = |name: &str| {
            batch
                .column_by_name(name)
                .unwrap()
                .as_primitive::<Int64Type>()
                .clone()
        };
        let (ids, nexts, rows) = (ints("id"), ints("next"), ints("rows"));
        let means = batch
            .column_by_name("mean")
            .unwrap()
            .as_primitive::<Float64Type>();
        for idx in 0..batch.num_rows() {
            assert_eq!(ids.value(idx), row);
            let next = (row + 7 < n).then_some(row + 7);
            assert_eq!(nexts.is_valid(idx).then(|| nexts.value(idx)), next);
            let inner = row >= 7 && row + 7 < n;
            assert_eq!(
                means.is_valid(idx).then(|| means.value(idx)),
                inner.then_some(row as f64)
            );
            assert_eq!(rows.value(idx), (n - row % 7 + 6) / 7);
            row += 1;
        }
        Ok(())
    });
    assert_eq!(row, n);
    let report = report.unwrap();
    assert!(report.spilled_bytes > 0);
    // Slices of one batch hold its 25 MiB once, wherever they wait.
    let peak = ByteSize::new(report.peak_bytes);
    assert!(peak <= ByteSize::mib(48), "{peak}");
}

#[test]
fn states_that_do_not_fit_go_by_key_and_one_that_does_not_says_which_setting_to_change() {
    let n = 40_000;
    let key = (0..n).map(|n| format!("{:>2500}", n % 20_000));
    let key: ArrayRef = Arc::new(StringArray::from_iter_values(key));
    let batch = RecordBatch::try_from_iter([("k", key)]).unwrap();
    let pieces = (0..40).map(|idx| batch.slice(idx * 1_000, 1_000));
    let settings = Settings {
        threads: 1,
        memory: ByteSize::mib(32),
        ..Settings::default()
    };
    let frame = Session::new(settings)
        .from_batches(batch.schema(), pieces)
        .unwrap();
    let made = frame.with_column("n", row_number().over(["k"])).unwrap();
    let mut row = 0;
    let report = made.for_each_batch(|batch| {
        for number in batch.column(1).as_primitive::<Int64Type>().values() {
            assert_eq!(*number, row / 20_000 + 1, "row {row}");
            row += 1;
        }
        Ok(())
    });
    assert_eq!(row, n);
    assert!(report.unwrap().spilled_bytes > 0);
    let held = col("k").shift(39_000);
    let made = frame.with_column("far", held).unwrap();
    let error = made.for_each_batch(|_| Ok(())).unwrap_err().to_string();
    assert!(
        error.contains("window") && error.contains("--memory"),
        "{error}"
    );
}

#[test]
fn what_stands_behind_windows_is_given_their_rows() {
    let rows = rows(70);
    let frame = framed(&rows, 8, 3);
    let made = frame.with_columns([
        ("before", col("x").shift(1).over(["k"])),
        ("so far", col("x").cum_sum()),
        ("next", col("x").shift(-1)),
        ("all", col("x").sum().over(["k"])),
    ]);
    let made = made.unwrap();
    let table = made.compute().unwrap();
    // The same rows as if there had been no window.
    let plain = session(1)
        .from_batches(table.schema(), table.into_batches())
        .unwrap();
    type Call = fn(&DataFrame) -> windrow::Result<DataFrame>;
    let calls: [(&str, Call); 8] = [
        ("merge", |frame| {
            frame.join(
                &frame.groupby(["k"])?.size()?,
                ["k"],
                windrow::MergeHow::Inner,
            )
        }),
        ("merged with", |frame| {
            frame
                .groupby(["k"])?
                .size()?
                .join(frame, ["k"], windrow::MergeHow::Left)
        }),
        ("concat", |frame| {
            windrow::concat([frame, &frame.filter("next > 2")?])
        }),
        ("groups", |frame| {
            frame
                .groupby(["k"])?
                .agg([col("before").sum(), col("next").nunique()])
        }),
        ("sort", |frame| {
            frame.sort_values([SortBy::descending("so far"), "s".into()])
        }),
        ("largest", |frame| frame.nlargest(7, "next")),
        ("windows", |frame| {
            frame.with_column("again", col("next").rolling(2).sum() + col("all").shift(-3))
        }),
        ("distinct", |frame| {
            frame.drop_duplicates(["before", "next"], windrow::Keep::Last)
        }),
    ];
    for (name, call) in calls {
        let rows =
            |frame: &DataFrame| rows_of(&call(frame).unwrap().compute().unwrap().into_batches());
        assert_eq!(rows(&made), rows(&plain), "{name}");
    }
    let shared = windrow::compute_all([&made, &made.filter("x > 0").unwrap()]).unwrap();
    assert_eq!(shared[0].num_rows(), 70);
    let dir = tempfile::tempdir().unwrap();
    let report = made.to_parquet(dir.path().join("out")).unwrap();
    assert_eq!(report.rows, 70);
    let back = session(2)
        .read_parquet(dir.path().join("out").to_str().unwrap())
        .unwrap();
    assert_eq!(numbers(&back, "so far"), numbers(&made, "so far"));
}

#[test]
fn values_of_types_that_came_late_are_named_or_told_of_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let line = |n: usize| match n {
        12_000 => "{\"x\":0.5}\n".to_owned(),
        // More than a first look sees.
        n => format!("{{\"x\":{n},\"y\":\"{n:>40}\"}}\n"),
    };
    let lines: String = (0..12_100).map(line).collect();
    for (threads, blocksize) in [(1, 1 << 20), (3, 10_000)] {
        let frame = read(&lines, &dir, threads, blocksize);
        // A column that is told of as rows pass has the type that was known before.
        let error = frame
            .shift(["x"], 1)
            .unwrap()
            .compute()
            .unwrap_err()
            .to_string();
        assert!(error.contains("rows.json: line 12001 "), "{error}");
        assert!(error.contains("since the plan was built"), "{error}");
        // One that is told of when all came has the type that all have.
        let next = numbers(&frame.shift(["x"], -1).unwrap(), "x");
        assert_eq!(next[11_999], Some(0.5));
        assert_eq!(next[12_099], None);
    }
}

const TIES: [(&str, Ties); 5] = [
    ("average", Ties::Average),
    ("min", Ties::Min),
    ("max", Ties::Max),
    ("dense", Ties::Dense),
    ("first", Ties::First),
];

#[test]
fn a_rank_is_the_place_among_all_values_or_those_of_the_group() {
    let rows = rows(70);
    for (size, threads) in [(1, 1), (13, 3), (70, 2)] {
        let frame = framed(&rows, size, threads);
        for (name, ties) in TIES {
            for descending in [false, true] {
                let options = RankOptions { ties, descending };
                let all = frame.rank(["x"], options).unwrap();
                let by_key = frame.groupby(["k"]).unwrap();
                let by_key = by_key.rank(["x"], options).unwrap();
                for (grouped, ranked) in [(false, all), (true, by_key)] {
                    let expected: Vec<_> = (0..rows.len())
                        .map(|at| place(&rows, at, grouped, name, descending))
                        .collect();
                    let case = format!("{name}, {options:?}, groups {grouped}, batches of {size}");
                    assert_eq!(numbers(&ranked, "x"), expected, "{case}");
                    // All else stays as it is, in its place.
                    assert_eq!(numbers(&ranked, "s"), numbers(&frame, "s"), "{case}");
                    let columns = ranked.schema().unwrap();
                    let names: Vec<_> = columns.fields().iter().map(|field| field.name()).collect();
                    assert_eq!(names, ["k", "x", "s"], "{case}");
                }
            }
        }
    }
}

#[test]
fn ranks_of_several_columns_see_values_and_not_each_other() {
    let rows = rows(40);
    let frame = framed(&rows, 7, 2);
    let first = RankOptions {
        ties: Ties::First,
        descending: true,
    };
    let both = frame.rank(["s", "x"], first).unwrap();
    let alone = |column: &str| numbers(&frame.rank([column], first).unwrap(), column);
    assert_eq!(numbers(&both, "s"), alone("s"));
    assert_eq!(numbers(&both, "x"), alone("x"));
    // A key that is ranked itself is the value that it was.
    let by_x = frame.groupby(["x"]).unwrap().dropna();
    let by_x = by_x.rank(["x", "s"], first).unwrap();
    let kept = numbers(&by_x, "x");
    assert_eq!(
        kept.len(),
        rows.iter().filter(|row| row.value.is_some()).count()
    );
    let mut seen = std::collections::HashMap::new();
    for (row, place) in rows.iter().filter(|row| row.value.is_some()).zip(kept) {
        let n = seen.entry(row.value).or_insert(0.0);
        *n += 1.0;
        assert_eq!(place, Some(*n));
    }
}

#[test]
fn floats_and_texts_have_ranks_and_lists_have_none() {
    let floats = [
        Some(0.0),
        Some(f64::NAN),
        None,
        Some(-0.0),
        Some(-1.5),
        Some(f64::NAN),
    ];
    let floats: ArrayRef = Arc::new(Float64Array::from(floats.to_vec()));
    let texts = [Some("b"), Some(""), Some("ä"), None, Some("b"), Some("a")];
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let batch = RecordBatch::try_from_iter([("f", floats), ("t", texts)]).unwrap();
    let frame = session(2).from_batches(batch.schema(), [batch]).unwrap();
    let dense = RankOptions {
        ties: Ties::Dense,
        ..RankOptions::default()
    };
    let ranked = frame.rank(["f", "t"], dense).unwrap();
    let some = |places: [i64; 6]| places.map(|n| (n > 0).then_some(n as f64)).to_vec();
    assert_eq!(numbers(&ranked, "f"), some([2, 3, 0, 2, 1, 3]));
    assert_eq!(numbers(&ranked, "t"), some([3, 1, 4, 0, 3, 2]));
    let lists = frame.with_column("l", list([col("f")])).unwrap();
    let error = lists.rank(["l"], dense).err().unwrap().to_string();
    assert!(error.contains("\"l\""), "{error}");
    let error = frame.rank(["g"], dense).err().unwrap().to_string();
    assert!(error.contains("g"), "{error}");
}

#[test]
fn ranks_under_a_small_budget_are_the_same() {
    let rows = rows(600);
    let plain = framed(&rows, 50, 2);
    let wide = |frame: &DataFrame| {
        let padded = frame.with_column("pad", "lpad('', 2000, 'x')").unwrap();
        padded.rank(["x"], RankOptions::default()).unwrap()
    };
    let small = Session::new(Settings {
        threads: 2,
        memory: ByteSize::mib(32),
        ..Settings::default()
    });
    let batches = (0..60).map(|_| batch(&rows));
    let many = small.from_batches(batch(&rows).schema(), batches).unwrap();
    let roomy = session(2);
    let batches = (0..60).map(|_| batch(&rows));
    let known = roomy.from_batches(batch(&rows).schema(), batches).unwrap();
    let places = |frame: &DataFrame| numbers(&wide(frame), "x");
    assert_eq!(places(&many), places(&known));
    assert_eq!(places(&plain).len(), 600);
}
