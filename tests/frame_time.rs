//! Rows by stretches of time: what is in a stretch, stretches without rows, partitions of them.

mod oracle;

use std::collections::BTreeMap;
use std::sync::Arc;

use oracle::{Cell, rows_of};
use windrow::arrow::array::{
    ArrayRef, Date32Array, Int64Array, RecordBatch, TimestampMillisecondArray,
};
use windrow::prelude::*;
use windrow::{DataFrame, IndexOptions};

const HOUR: i64 = 3_600_000;

/// A time in milliseconds, or none, and a value, or none.
type Row = (Option<i64>, Option<i64>);

/// Rows all over some days, without order; some have no time.
fn rows(n: usize) -> Vec<Row> {
    let mut state = 5_u64;
    let mut next = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 33) % below) as i64
    };
    // 2024-02-27, so that a month ends in between.
    let start = 1_708_992_000_000;
    (0..n)
        .map(|_| {
            let time = start + next(90) * next(90) * HOUR / 60 + next(5);
            (
                (next(9) > 0).then_some(time),
                (next(4) > 0).then(|| next(50)),
            )
        })
        .collect()
}

fn framed(rows: &[Row], size: usize, threads: usize) -> DataFrame {
    let times = TimestampMillisecondArray::from_iter(rows.iter().map(|row| row.0));
    let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
    let values: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1)));
    let whole = RecordBatch::try_from_iter([("ts", times), ("x", values)]).unwrap();
    let starts = (0..rows.len()).step_by(size);
    let pieces = starts.map(|start| whole.slice(start, size.min(rows.len() - start)));
    let session = Session::new(Settings {
        threads,
        ..Settings::default()
    });
    session.from_batches(whole.schema(), pieces).unwrap()
}

/// The stretches of so many milliseconds: start, sum, count.
fn stretches(rows: &[Row], width: i64, empty: bool) -> Vec<(i64, Option<i64>, i64)> {
    let mut found: BTreeMap<i64, (Option<i64>, i64)> = BTreeMap::new();
    for (time, value) in rows {
        let Some(time) = time else { continue };
        let (sum, n) = found.entry(time - time.rem_euclid(width)).or_default();
        if let Some(value) = value {
            *sum = Some(sum.unwrap_or(0) + value);
        }
        *n += 1;
    }
    if empty && let (Some(first), Some(last)) = (found.keys().next(), found.keys().last()) {
        let (mut start, last) = (*first, *last);
        while start < last {
            found.entry(start).or_default();
            start += width;
        }
    }
    let found = found.into_iter();
    found.map(|(start, (sum, n))| (start, sum, n)).collect()
}

fn computed(frame: &DataFrame) -> Vec<(i64, Option<i64>, i64)> {
    let counted = frame.with_column("ts", "epoch_ms(ts)").unwrap();
    let rows = rows_of(&counted.compute().unwrap().into_batches());
    let whole = |cell: Option<&Cell>| match cell {
        None => None,
        Some(Cell::Number(number)) => Some(*number as i64),
        Some(other) => panic!("{other:?} is no number"),
    };
    let row = |row: &oracle::Row| {
        let count = whole(row.get("count")).unwrap();
        (whole(row.get("ts")).unwrap(), whole(row.get("x")), count)
    };
    rows.iter().map(row).collect()
}

#[test]
fn stretches_hold_the_rows_of_their_time_with_and_without_empty_ones() {
    let rows = rows(150);
    for (size, threads) in [(1, 1), (17, 3), (150, 2)] {
        let frame = framed(&rows, size, threads);
        for (every, width) in [
            ("15m", HOUR / 4),
            ("hour", HOUR),
            ("1d 12h", 36 * HOUR),
            ("day", 24 * HOUR),
        ] {
            let resample = frame.resample("ts", every).unwrap();
            let aggregates = || [col("x").sum(), count()];
            // Lengths are counted from a Monday.
            let shift = if every == "1d 12h" {
                946_857_600_000
            } else {
                0
            };
            let moved: Vec<Row> = rows
                .iter()
                .map(|(time, value)| (time.map(|time| time - shift), *value))
                .collect();
            for empty in [false, true] {
                let stretched = match empty {
                    true => resample.clone().empty(),
                    false => resample.clone(),
                };
                let mut expected = stretches(&moved, width, empty);
                expected.iter_mut().for_each(|row| row.0 += shift);
                let got = computed(&stretched.agg(aggregates()).unwrap());
                assert_eq!(got, expected, "{every}, batches of {size}, empty {empty}");
            }
        }
    }
}

#[test]
fn months_and_days_of_a_zone_have_their_own_lengths() {
    let rows: Vec<Row> = vec![
        (Some(1_711_839_600_000), Some(1)), // 2024-03-31T00:00 in Oslo, a day of 23 hours
        (Some(1_711_929_600_000), Some(2)), // 2024-04-01T02:00 there
        (Some(1_714_600_800_000), Some(3)), // 2024-05-02T00:00 there
    ];
    let oslo = framed(&rows, 2, 2)
        .with_column("ts", col("ts").tz_convert("Europe/Oslo"))
        .unwrap();
    let at = |every: &str| {
        let stretches = oslo.resample("ts", every).unwrap().empty();
        let stretches = stretches.agg([col("x").sum(), count()]).unwrap();
        computed(&stretches)
    };
    assert_eq!(
        at("month"),
        [
            (1_709_247_600_000, Some(1), 1),
            (1_711_922_400_000, Some(2), 1),
            (1_714_514_400_000, Some(3), 1),
        ]
    );
    let days = at("day");
    assert_eq!(days.len(), 33);
    assert_eq!(days[0], (1_711_839_600_000, Some(1), 1));
    assert_eq!(days[1], (1_711_839_600_000 + 23 * HOUR, Some(2), 1));
    assert_eq!(days[2], (1_711_839_600_000 + 47 * HOUR, None, 0));
    // The hour that clocks skip is none.
    assert_eq!(at("hour").len(), 33 * 24 - 24 - 1 + 1);
}

#[test]
fn nothing_gives_no_stretch_and_too_many_are_an_error() {
    let none = framed(&[(None, Some(1))], 1, 1);
    let stretches = none.resample("ts", "1h").unwrap().empty();
    assert_eq!(stretches.size().unwrap().count().unwrap(), 0);
    let far = framed(&[(Some(0), None), (Some(1_800_000_000_000), None)], 1, 1);
    let stretches = far.resample("ts", "1s").unwrap().empty();
    let error = stretches.size().unwrap().compute().unwrap_err().to_string();
    assert!(error.contains("more than 1048576 starts"), "{error}");
    for (column, every, wanted) in [
        ("tss", "1h", "ts"),
        ("ts", "1 fortnight", "no unit of time, nor a length"),
        ("ts", "0s", "no unit of time, nor a length"),
        ("x", "1h", "not a time"),
    ] {
        let error = far.resample(column, every).err().unwrap().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn an_index_is_cut_where_stretches_begin() {
    let mut rows = rows(150);
    // The last one begins with its only row.
    rows.push((Some(1_717_200_000_000), None));
    for (size, threads) in [(13, 3), (151, 1)] {
        let indexed = framed(&rows, size, threads).set_index("ts").unwrap();
        for (every, width) in [("1h", HOUR), ("day", 24 * HOUR)] {
            let cut = indexed.repartition_every(every).unwrap();
            let table = cut.compute().unwrap();
            let expected = stretches(&rows, width, false);
            let without_time = rows.iter().filter(|row| row.0.is_none()).count();
            let sizes: Vec<usize> = table
                .partitions()
                .iter()
                .map(|part| part.iter().map(RecordBatch::num_rows).sum())
                .collect();
            let mut known: Vec<usize> = expected.iter().map(|row| row.2 as usize).collect();
            // Rows without a time lie behind all others.
            *known.last_mut().unwrap() += without_time;
            assert_eq!(sizes, known, "{every}, batches of {size}");
        }
    }
}

#[test]
fn days_are_an_index_too_and_other_columns_are_none() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![40, 3, 31, 30, 65]));
    let batch = RecordBatch::try_from_iter([("day", days)]).unwrap();
    let frame = Session::default()
        .from_batches(batch.schema(), [batch])
        .unwrap();
    let months = frame
        .set_index("day")
        .unwrap()
        .repartition_every("month")
        .unwrap();
    let sizes = months.partition_sizes().unwrap();
    assert_eq!(
        sizes.iter().map(|part| part.rows).collect::<Vec<_>>(),
        [2, 2, 1]
    );
    assert_eq!(months.index().as_deref(), Some("day"));

    let error = frame.repartition_every("month").err().unwrap().to_string();
    assert!(error.contains("set_index"), "{error}");
    let numbers = framed(&rows(9), 3, 1);
    let numbers = numbers
        .set_index_with("x", IndexOptions::default())
        .unwrap();
    let error = numbers.repartition_every("1h").err().unwrap().to_string();
    assert!(error.contains("not a time"), "{error}");
    let none = framed(&[(None, Some(1))], 1, 1).set_index("ts").unwrap();
    assert_eq!(none.repartition_every("1h").unwrap().count().unwrap(), 1);
}
