//! Rows beside those next to them in time: what a plain search finds, however
//! frames are cut and however many threads look.

use std::sync::Arc;
use std::time::Duration;

use arrow_cast::cast;
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use windrow::arrow::schema::{DataType, TimeUnit};
use windrow::{AsofOptions, ByteSize, DataFrame, Direction, Session, Settings, Tolerance};

const SECONDS: DataType = DataType::Timestamp(TimeUnit::Second, None);
const NANOS: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

/// Times that rise, some equal and some null, each with a key of three.
fn rows(n: usize, step: usize) -> Vec<(Option<i64>, i64)> {
    let time = |n: usize| (n % 11 != 3).then_some((n * step / 3) as i64 - 20);
    (0..n).map(|n| (time(n), (n * n % 3) as i64)).collect()
}

/// A frame of such rows in batches of so many, with their numbers.
fn frame(
    session: &Session,
    rows: &[(Option<i64>, i64)],
    times: &DataType,
    number: &str,
    at_once: usize,
) -> DataFrame {
    let seconds: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
    let seconds = match times {
        &NANOS => cast(&seconds, &SECONDS).unwrap(),
        _ => seconds,
    };
    let keys = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
    let numbers = Int64Array::from_iter_values(0..rows.len() as i64);
    let columns: [(&str, ArrayRef); 3] = [
        ("at", cast(&seconds, times).unwrap()),
        ("key", Arc::new(keys)),
        (number, Arc::new(numbers)),
    ];
    let columns = columns.map(|(name, column)| (name, column, true));
    let whole = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let cuts = (0..rows.len()).step_by(at_once);
    let pieces = cuts.map(|from| whole.slice(from, at_once.min(rows.len() - from)));
    session.from_batches(whole.schema(), pieces).unwrap()
}

/// The row that is found for a time, by looking at all of them.
fn found(
    left: (Option<i64>, i64),
    right: &[(Option<i64>, i64)],
    by: bool,
    direction: Direction,
    most: Option<i64>,
    exact: bool,
) -> Option<usize> {
    let at = left.0?;
    let fits = |row: &usize| {
        let (time, key) = right[*row];
        time.is_some_and(|time| {
            (!by || key == left.1)
                && most.is_none_or(|most| (time - at).abs() <= most)
                && (exact || time != at)
        })
    };
    let time = |row: &usize| right[*row].0.unwrap();
    let rows = || (0..right.len()).filter(fits);
    let back = rows().rfind(|row| time(row) <= at);
    let forth = rows().find(|row| time(row) >= at);
    match direction {
        Direction::Backward => back,
        Direction::Forward => forth,
        Direction::Nearest => match (back, forth) {
            (Some(b), Some(f)) if time(&f) - at < at - time(&b) => Some(f),
            (back, forth) => back.or(forth),
        },
    }
}

fn numbers(frame: &DataFrame, name: &str) -> Vec<Option<usize>> {
    let mut numbers = Vec::new();
    let each = frame.for_each_batch(|batch| {
        let column = batch.column_by_name(name).unwrap();
        let some = column.as_primitive::<Int64Type>().iter();
        numbers.extend(some.map(|n| n.map(|n| n as usize)));
        Ok(())
    });
    each.unwrap();
    numbers
}

#[test]
fn each_row_meets_the_one_next_to_it_in_time() {
    use Direction::{Backward, Forward, Nearest};
    let (left, right) = (rows(70, 2), rows(50, 4));
    let kinds = [
        (DataType::Int64, DataType::Int64),
        (DataType::Float64, DataType::Float32),
        (DataType::Int64, DataType::Int8),
        (SECONDS, NANOS),
    ];
    for (of_left, of_right) in kinds {
        for direction in [Backward, Forward, Nearest] {
            for (by, exact, most) in [
                (false, true, None),
                (true, true, None),
                (true, false, Some(4)),
                (false, false, Some(1)),
            ] {
                let wanted: Vec<_> = (left.iter())
                    .map(|row| found(*row, &right, by, direction, most, exact))
                    .collect();
                for (threads, at_once) in [(1, 1), (2, 7), (5, 100)] {
                    let session = session(threads);
                    let of_left = frame(&session, &left, &of_left, "l", at_once);
                    let of_right = frame(&session, &right, &of_right, "r", 13);
                    let mut options = AsofOptions::on("at").direction(direction).exact(exact);
                    if by {
                        options = options.by(["key"]);
                    }
                    if let Some(most) = most {
                        options = options.tolerance(
                            match of_right.schema().unwrap().field(0).data_type() {
                                DataType::Timestamp(..) => {
                                    Tolerance::Time(Duration::from_secs(most as u64))
                                }
                                _ => Tolerance::Number(most as f64),
                            },
                        );
                    }
                    let merged = of_left.merge_asof(&of_right, options).unwrap();
                    let every: Vec<_> = (0..left.len()).map(Some).collect();
                    assert_eq!(numbers(&merged, "l"), every);
                    assert_eq!(
                        numbers(&merged, "r"),
                        wanted,
                        "{direction:?} {by} {exact} {most:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn rows_of_a_right_frame_that_does_not_fit_are_met_all_the_same() {
    use Direction::{Backward, Forward, Nearest};
    // Times that differ, and times that stand still for longer than a block is.
    for (left, right) in [(rows(40, 3), rows(48, 3)), (rows(40, 1), rows(70, 1))] {
        let still = |rows: Vec<(Option<i64>, i64)>| {
            let time = |time: i64| if (-10..-4).contains(&time) { -7 } else { time };
            let rows = rows.into_iter();
            rows.map(|row| (row.0.map(time), row.1)).collect::<Vec<_>>()
        };
        let (left, right) = (still(left), still(right));
        for direction in [Backward, Forward, Nearest] {
            for (by, exact, most) in [
                (false, true, None),
                (false, false, None),
                (true, true, Some(2)),
                (true, false, None),
            ] {
                let wanted: Vec<_> = (left.iter())
                    .map(|row| found(*row, &right, by, direction, most, exact))
                    .collect();
                for (threads, at_once, budget) in [(1, 5, 1_000), (5, 23, 2_400)] {
                    let session = session(threads).with_budget(ByteSize::new(budget));
                    let of_left = frame(&session, &left, &DataType::Int64, "l", at_once);
                    let of_right = frame(&session, &right, &DataType::Int8, "r", 13);
                    let mut options = AsofOptions::on("at").direction(direction).exact(exact);
                    if by {
                        options = options.by(["key"]);
                    }
                    if let Some(most) = most {
                        options = options.tolerance(Tolerance::Number(most as f64));
                    }
                    let merged = of_left.merge_asof(&of_right, options).unwrap();
                    let every: Vec<_> = (0..left.len()).map(Some).collect();
                    let said = format!("{direction:?} {by} {exact} {most:?} in {budget} bytes");
                    assert_eq!(numbers(&merged, "l"), every, "{said}");
                    assert_eq!(numbers(&merged, "r"), wanted, "{said}");
                }
            }
        }
    }
}

#[test]
fn rows_out_of_order_are_refused_with_their_place_at_every_cut() {
    let sorted = rows(40, 3);
    let mut falling = sorted.clone();
    falling[29].0 = Some(-100);
    falling[35].0 = Some(-200);
    let cuts = [(1, 1, None), (2, 6, None), (5, 29, None), (2, 100, None)];
    for (threads, at_once, budget) in cuts.into_iter().chain([(2, 6, Some(1_200))]) {
        let session = match budget {
            Some(bytes) => session(threads).with_budget(ByteSize::new(bytes)),
            None => session(threads),
        };
        let make = |rows, name| frame(&session, rows, &DataType::Int64, name, at_once);
        let (good, bad) = (make(&sorted, "l"), make(&falling, "r"));
        for (left, right, side) in [(&good, &bad, "right"), (&bad, &good, "left")] {
            for by in [vec![], vec!["key"]] {
                let merged = left.merge_asof(right, AsofOptions::on("at").by(by));
                let error = merged.unwrap().for_each_batch(|_| Ok(()));
                let error = error.unwrap_err().to_string();
                let wanted = format!("the {side} frame is not sorted by \"at\": row 30 ");
                assert!(error.contains(&wanted), "{error}");
            }
        }
    }
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    let session = session(1);
    let numbers = frame(&session, &rows(5, 3), &DataType::Int64, "l", 10);
    let times = frame(&session, &rows(5, 3), &SECONDS, "r", 10);
    let error = numbers.merge_asof(&times, "at").unwrap_err().to_string();
    assert!(
        error.contains("Int64") && error.contains("Timestamp"),
        "{error}"
    );
    let span = AsofOptions::on("at").tolerance(Tolerance::Time(Duration::from_secs(1)));
    let error = numbers.merge_asof(&numbers, span).unwrap_err().to_string();
    assert!(error.contains("tolerance"), "{error}");
    let error = numbers.merge_asof(&times, "att").unwrap_err().to_string();
    assert!(error.contains("at"), "{error}");
}

#[test]
fn a_right_frame_of_more_than_the_memory_that_may_be_held_goes_in_step() {
    let small = Session::new(Settings {
        threads: 2,
        memory: ByteSize::mib(32),
        ..Settings::default()
    });
    let rows = rows(400_000, 1);
    let left = frame(&small, &rows, &DataType::Int64, "l", 8192);
    let right = frame(&small, &rows, &DataType::Int64, "r", 8192);
    let merged = left.merge_asof(&right, "at").unwrap();
    let last_at = |n: usize| {
        let time = rows[n].0?;
        (n..(n + 4).min(rows.len())).rfind(|row| rows[*row].0 == Some(time))
    };
    let wanted: Vec<_> = (0..rows.len()).map(last_at).collect();
    assert!(numbers(&merged, "r") == wanted);
    let report = merged.for_each_batch(|_| Ok(())).unwrap().to_string();
    assert!(report.contains("block by block"), "{report}");
}
