//! Columns made of the values of a column: the same as counting row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::prelude::*;
use windrow::{DataFrame, IntoAggregate};

/// A place, a color and a number; places and colors may be null.
type Row = (Option<String>, Option<String>, i64);

fn rows() -> Vec<Row> {
    let name = |of: usize, n: usize| (n > 0).then(|| format!("{}{n}", ["p", "c"][of]));
    let row = |n: usize| (name(0, n * n % 5), name(1, n * 7 % 4), n as i64);
    (0..60).map(row).collect()
}

fn framed(rows: &[Row], size: usize, threads: usize) -> DataFrame {
    let texts = |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(of)))
    };
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2)));
    let columns = [
        ("place", texts(&|row| row.0.clone())),
        ("color", texts(&|row| row.1.clone())),
        ("n", n),
    ];
    let whole = RecordBatch::try_from_iter(columns).unwrap();
    let starts = (0..rows.len()).step_by(size);
    let batches = starts.map(|start| whole.slice(start, size.min(rows.len() - start)));
    let settings = Settings {
        threads,
        ..Settings::default()
    };
    Session::new(settings)
        .from_batches(whole.schema(), batches)
        .unwrap()
}

#[test]
fn a_cell_is_the_aggregate_of_its_rows() {
    let rows = rows();
    let mut cells: BTreeMap<(Option<String>, String), Vec<i64>> = BTreeMap::new();
    let mut places: Vec<Option<String>> = Vec::new();
    for (place, color, n) in &rows {
        if !places.contains(place) {
            places.push(place.clone());
        }
        if let Some(color) = color {
            let cell = cells.entry((place.clone(), color.clone())).or_default();
            cell.push(*n);
        }
    }
    places.sort_by_key(|place| (place.is_none(), place.clone()));
    let table = |of: &dyn Fn(&[i64]) -> String| {
        let line = |place: &Option<String>| {
            let cell = |color: &str| cells.get(&(place.clone(), color.to_owned()));
            let texts = ["c1", "c2", "c3"].map(|color| {
                let text = cell(color).map(|cell| of(cell));
                text.unwrap_or("null".to_owned())
            });
            let place = place.clone().unwrap_or("null".to_owned());
            format!("{place} {}", texts.join(" "))
        };
        places.iter().map(line).collect::<Vec<_>>()
    };
    for (size, threads) in [(60, 1), (7, 2), (1, 5)] {
        let frame = framed(&rows, size, threads);
        let pivot = |aggregate: AggExpr| {
            let found = frame
                .pivot_table(["place"], "color", aggregate.clone())
                .unwrap();
            let given = frame.groupby(["place"]).unwrap().sort();
            let given = given
                .pivot_of("color", ["c1", "c2", "c3"], aggregate)
                .unwrap();
            let texts = lines(&found);
            assert_eq!(texts, lines(&given));
            assert_eq!(texts[0], "place c1 c2 c3");
            texts[1..].to_vec()
        };
        let sum = |cell: &[i64]| cell.iter().sum::<i64>().to_string();
        assert_eq!(pivot(col("n").sum()), table(&sum));
        assert_eq!(pivot(count()), table(&|cell| cell.len().to_string()));
        let last = |cell: &[i64]| cell.last().unwrap().to_string();
        assert_eq!(pivot("last_row(n)".into_aggregate().unwrap()), table(&last));
    }
    let counts = framed(&rows, 9, 2).crosstab("place", "color").unwrap();
    let zero = |line: String| line.replace(" null", " 0");
    let wanted = table(&|cell| cell.len().to_string()).into_iter().map(zero);
    assert_eq!(lines(&counts)[1..], wanted.collect::<Vec<_>>());
}

/// The lines of a computed frame, its header first, single blanks between cells.
fn lines(frame: &DataFrame) -> Vec<String> {
    let text = frame.compute().unwrap().to_string();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('-') && !line.ends_with("rows"));
    let single = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    lines.map(single).collect()
}

#[test]
fn a_dummy_is_true_where_the_column_has_its_value() {
    let rows = rows();
    let flag = |row: &Row, color: &str| (row.1.as_deref() == Some(color)).to_string();
    let line = |row: &Row| {
        let place = row.0.clone().unwrap_or("null".to_owned());
        let flags = ["c1", "c2", "c3"].map(|color| flag(row, color));
        format!("{place} {} {}", row.2, flags.join(" "))
    };
    let wanted: Vec<String> = rows.iter().map(line).collect();
    for (size, threads) in [(60, 1), (7, 2)] {
        let frame = framed(&rows, size, threads);
        let found = frame.get_dummies(["color"]).unwrap();
        assert_eq!(lines(&found)[0], "place n color_c1 color_c2 color_c3");
        assert_eq!(lines(&found)[1..], wanted);
        let given = frame.get_dummies_of("color", ["c1", "c2", "c3"]).unwrap();
        assert_eq!(lines(&given), lines(&found));
        let both = frame.get_dummies(["color", "place"]).unwrap();
        assert_eq!(both.schema().unwrap().fields().len(), 1 + 3 + 2);
    }
    // Values of other types are named by their texts.
    let frame = framed(&rows[..3], 3, 1);
    let large = frame
        .with_columns([("big", "n > 1"), ("half", "n / 2")])
        .unwrap();
    let dummies = large.get_dummies(["big", "half"]).unwrap();
    let names = "place color n big_false big_true half_0 half_0.5 half_1";
    assert_eq!(lines(&dummies)[0], names);
}

#[test]
fn too_many_values_and_names_that_meet_are_refused() {
    let many: Vec<Row> = (0..1_001).map(|n| (None, None, n)).collect();
    let frame = framed(&many, 400, 2);
    for error in [
        frame.get_dummies(["n"]).unwrap_err(),
        frame.pivot_table(["place"], "n", count()).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("more than 1000 values"),
            "{error}"
        );
    }
    let all = frame
        .filter("n < 1000")
        .unwrap()
        .get_dummies(["n"])
        .unwrap();
    assert_eq!(all.schema().unwrap().fields().len(), 2 + 1_000);
    let frame = framed(&rows(), 60, 1);
    let error = frame.get_dummies(["colour"]).unwrap_err().to_string();
    assert!(error.contains("did you mean \"color\""), "{error}");
    let named = frame.with_column("color_c1", "n").unwrap();
    let error = named.get_dummies(["color"]).unwrap_err().to_string();
    assert!(error.contains("two columns \"color_c1\""), "{error}");
    let error = frame
        .pivot_table(["place"], "color", "sum(color)")
        .unwrap_err();
    assert!(error.to_string().contains("is not a number"), "{error}");
    let named = frame.rename([("place", "c1")]).unwrap();
    assert!(named.pivot_table(["c1"], "color", count()).is_err());
}
