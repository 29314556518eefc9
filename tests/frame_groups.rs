//! Rows that are alike, functions of groups, groups in order, and aggregates of
//! a program's own are those of a slow, plain version, however rows are cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::{Float64Type, Int64Type};
use windrow::arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use windrow::arrow::schema::{DataType, Field, Schema};
use windrow::expr::{Groups, UserAggregate, UserState};
use windrow::prelude::*;
use windrow::{Keep, Result};

/// A key of text, one of numbers, both with nulls, and a value.
type Row = (Option<String>, Option<i64>, Option<i64>);

fn rows() -> Vec<Row> {
    let mut state = 11_u64;
    let mut roll = |sides: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % sides
    };
    let row = |_| {
        let user = roll(9);
        let id = roll(5);
        let n = roll(4);
        (
            (user > 0).then(|| format!("user {user}")),
            (id > 0).then_some(id as i64 - 3),
            (n > 0).then_some(n as i64),
        )
    };
    (0..600).map(row).collect()
}

fn batch(rows: &[Row]) -> RecordBatch {
    let user: ArrayRef = Arc::new(
        rows.iter()
            .map(|row| row.0.as_deref())
            .collect::<StringArray>(),
    );
    let id: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
    let n: ArrayRef = Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>());
    RecordBatch::try_from_iter_with_nullable([
        ("user", user, true),
        ("id", id, true),
        ("n", n, true),
    ])
    .unwrap()
}

fn rows_of(table: &Table) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in table.batches() {
        let user = batch.column(0).as_string::<i32>();
        let id = batch.column(1).as_primitive::<Int64Type>();
        let n = batch.column(2).as_primitive::<Int64Type>();
        rows.extend((0..batch.num_rows()).map(|row| {
            let number = |of: &Int64Array| of.is_valid(row).then(|| of.value(row));
            let text = user.is_valid(row).then(|| user.value(row).to_owned());
            (text, number(id), number(n))
        }));
    }
    rows
}

/// The rows as frames: in pieces of several sizes, some of them empty, on several threads.
fn frames(rows: &[Row]) -> Vec<DataFrame> {
    let all = batch(rows);
    let cut = |(threads, piece): (usize, usize)| {
        let session = Session::new(Settings {
            threads,
            ..Settings::default()
        });
        let pieces = (0..rows.len()).step_by(piece).flat_map(|start| {
            let rows = piece.min(rows.len() - start);
            [all.slice(start, rows), all.slice(start, 0)]
        });
        session.from_batches(all.schema(), pieces).unwrap()
    };
    [(1, 600), (2, 7), (5, 50)].into_iter().map(cut).collect()
}

/// The places of the rows of each key, in order of first appearance.
fn places<K: PartialEq>(rows: &[Row], key: impl Fn(&Row) -> K) -> Vec<Vec<usize>> {
    let mut groups: Vec<(K, Vec<usize>)> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let key = key(row);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, places)) => places.push(place),
            None => groups.push((key, vec![place])),
        }
    }
    groups.into_iter().map(|(_, places)| places).collect()
}

fn kept(rows: &[Row], groups: &[Vec<usize>], keep: Keep) -> Vec<Row> {
    let of = |places: &Vec<usize>| match (keep, places.as_slice()) {
        (Keep::First, [first, ..]) => Some(*first),
        (Keep::Last, [.., last]) => Some(*last),
        (Keep::None, [only]) => Some(*only),
        _ => None,
    };
    let mut kept: Vec<usize> = groups.iter().filter_map(of).collect();
    kept.sort_unstable();
    kept.into_iter().map(|place| rows[place].clone()).collect()
}

#[test]
fn of_rows_that_are_alike_the_first_the_last_or_none_stay_in_their_order() {
    let rows = rows();
    let subsets: [(&[&str], Vec<Vec<usize>>); 4] = [
        (&[], places(&rows, Row::clone)),
        (&["user"], places(&rows, |row| row.0.clone())),
        (&["id"], places(&rows, |row| row.1)),
        (&["n", "user"], places(&rows, |row| (row.0.clone(), row.2))),
    ];
    for frame in frames(&rows) {
        for (subset, groups) in &subsets {
            for keep in [Keep::First, Keep::Last, Keep::None] {
                let left = frame.drop_duplicates(subset.iter().copied(), keep).unwrap();
                let found = rows_of(&left.compute().unwrap());
                assert_eq!(found, kept(&rows, groups, keep), "{subset:?} {keep:?}");
            }
        }
        let ids = frame.unique("id").unwrap().compute().unwrap();
        assert_eq!(ids.num_rows(), subsets[2].1.len());
    }
    let unknown = frames(&rows)[0]
        .drop_duplicates(["usr"], Keep::First)
        .err()
        .unwrap();
    assert!(unknown.to_string().contains("user"), "{unknown}");
}

#[test]
fn columns_that_come_late_are_rows_of_their_own_kind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("late.json");
    let lines = (0..3_000).map(|n| match n {
        0..2_990 => format!("{{\"a\":{}}}\n", n % 2),
        _ => format!("{{\"a\":{},\"late\":1}}\n", n % 2),
    });
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    let frame = windrow::read_json(path.display().to_string()).unwrap();
    let left = frame.drop_duplicates::<[&str; 0]>([], Keep::First).unwrap();
    assert_eq!(left.count().unwrap(), 4);
}

#[test]
fn functions_of_groups_are_given_all_their_rows_in_order() {
    let rows = rows();
    let groups = places(&rows, |row| row.1);
    let fields = [
        ("id", DataType::Int64),
        ("first", DataType::Int64),
        ("rows", DataType::Int64),
    ];
    let fields = fields.map(|(name, of)| Field::new(name, of, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    // A row for each distinct n of the group, none for the group of -1.
    let wanted: Vec<Vec<Option<i64>>> = groups
        .iter()
        .filter(|places| rows[places[0]].1 != Some(-1))
        .flat_map(|places| {
            let mut seen: Vec<Option<i64>> = Vec::new();
            places.iter().for_each(|&place| match rows[place].2 {
                n if seen.contains(&n) => {}
                n => seen.push(n),
            });
            let count = places.len() as i64;
            let id = rows[places[0]].1;
            seen.into_iter().map(move |n| vec![id, n, Some(count)])
        })
        .collect();
    for frame in frames(&rows) {
        let declared = Arc::clone(&schema);
        let map = move |group: RecordBatch| -> Result<RecordBatch> {
            assert_eq!(group.schema().field(0).name(), "id");
            let id = group.column(0).as_primitive::<Int64Type>();
            let n = group
                .column_by_name("n")
                .unwrap()
                .as_primitive::<Int64Type>();
            let mut seen: Vec<Option<i64>> = Vec::new();
            n.iter().for_each(|n| match n {
                n if seen.contains(&n) => {}
                n => seen.push(n),
            });
            if id.is_valid(0) && id.value(0) == -1 {
                seen.clear();
            }
            let same = |value: Option<i64>| vec![value; seen.len()];
            let id = same(id.is_valid(0).then(|| id.value(0)));
            let count = same(Some(group.num_rows() as i64));
            let columns: Vec<ArrayRef> = [id, seen.clone(), count]
                .into_iter()
                .map(|column| Arc::new(Int64Array::from(column)) as ArrayRef)
                .collect();
            Ok(RecordBatch::try_new(Arc::clone(&declared), columns)?)
        };
        let by_id = frame.groupby(["id"]).unwrap();
        let mapped = by_id.map_groups(Arc::clone(&schema), map).unwrap();
        let mut found: Vec<Vec<Option<i64>>> = Vec::new();
        for batch in mapped.compute().unwrap().batches() {
            let columns = batch.columns().iter();
            let columns: Vec<_> = columns
                .map(|column| column.as_primitive::<Int64Type>())
                .collect();
            found.extend((0..batch.num_rows()).map(|row| {
                let cell = |of: &&Int64Array| of.is_valid(row).then(|| of.value(row));
                columns.iter().map(cell).collect()
            }));
        }
        assert_eq!(found, wanted);
        let wrong = by_id.map_groups(Arc::clone(&schema), Ok).unwrap();
        let error = wrong.compute().unwrap_err().to_string();
        assert!(error.contains("were declared"), "{error}");
    }
}

#[test]
fn groups_can_stand_in_the_order_of_their_keys() {
    let rows = rows();
    let mut wanted: BTreeMap<(bool, Option<i64>), i64> = BTreeMap::new();
    for row in &rows {
        *wanted.entry((row.1.is_none(), row.1)).or_default() += 1;
    }
    for frame in frames(&rows) {
        let sorted = frame.groupby(["id"]).unwrap().sort().size().unwrap();
        let table = sorted.compute().unwrap();
        let batch = table.batches().next().unwrap();
        let counts = batch
            .column(1)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec();
        assert_eq!(counts, wanted.values().copied().collect::<Vec<_>>());
    }
}

/// The geometric mean, by sums of logarithms; rounding makes order count.
#[derive(Debug)]
struct GeometricMean;

#[derive(Default)]
struct Logarithms {
    sums: Vec<f64>,
    counts: Vec<i64>,
}

impl UserAggregate for GeometricMean {
    fn name(&self) -> &str {
        "geometric_mean"
    }
    fn result_type(&self, args: &[DataType]) -> Result<DataType> {
        match args {
            [DataType::Int64] => Ok(DataType::Float64),
            _ => Err(windrow::Error::plan(
                "geometric_mean is of one whole number",
            )),
        }
    }
    fn n_partial_columns(&self) -> usize {
        2
    }
    fn state(&self, _args: &[DataType]) -> Result<Box<dyn UserState>> {
        Ok(Box::new(Logarithms::default()))
    }
}

impl Logarithms {
    fn grow(&mut self, n_groups: usize) {
        self.sums.resize(n_groups, 0.0);
        self.counts.resize(n_groups, 0);
    }
}

impl UserState for Logarithms {
    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let values = columns[0].as_primitive::<Int64Type>();
        groups.for_valid(values.nulls(), |row, group| {
            self.sums[group] += (values.value(row) as f64).ln();
            self.counts[group] += 1;
        });
        Ok(())
    }
    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let sums = partial[0].as_primitive::<Float64Type>();
        let counts = partial[1].as_primitive::<Int64Type>();
        groups.for_each(|row, group| {
            self.sums[group] += sums.value(row);
            self.counts[group] += counts.value(row);
        });
        Ok(())
    }
    fn partial(&mut self, n_groups: usize) -> Result<Vec<ArrayRef>> {
        self.grow(n_groups);
        let taken = std::mem::take(self);
        Ok(vec![
            Arc::new(Float64Array::from(taken.sums)),
            Arc::new(Int64Array::from(taken.counts)),
        ])
    }
    fn finish(&mut self, n_groups: usize) -> Result<ArrayRef> {
        self.grow(n_groups);
        let taken = std::mem::take(self);
        let means = taken.sums.iter().zip(&taken.counts);
        let means = means.map(|(sum, &count)| (count > 0).then(|| (sum / count as f64).exp()));
        Ok(Arc::new(means.collect::<Float64Array>()))
    }
    fn bytes(&self) -> usize {
        8 * (self.sums.capacity() + self.counts.capacity())
    }
}

#[test]
fn an_aggregate_of_the_programs_own_is_one_like_others() {
    let rows = rows();
    let groups = places(&rows, |row| row.0.clone());
    for frame in frames(&rows) {
        let mean = AggExpr::user(Arc::new(GeometricMean), [col("n")]).alias("mean");
        let by_user = frame
            .groupby(["user"])
            .unwrap()
            .agg([mean, count()])
            .unwrap();
        assert!(by_user.explain().to_string().contains("geometric_mean(n)"));
        let table = by_user.compute().unwrap();
        let batch = table.batches().next().unwrap();
        let found = batch.column(1).as_primitive::<Float64Type>();
        assert_eq!(found.len(), groups.len());
        for (row, places) in groups.iter().enumerate() {
            let values: Vec<f64> = places
                .iter()
                .filter_map(|&place| rows[place].2)
                .map(|n| n as f64)
                .collect();
            let product: f64 = values.iter().map(|n| n.ln()).sum();
            let wanted = (product / values.len() as f64).exp();
            assert!((found.value(row) - wanted).abs() < 1e-9, "{row}");
        }
        let refused = frame.agg([AggExpr::user(Arc::new(GeometricMean), [col("user")])]);
        assert!(refused.err().unwrap().to_string().contains("whole number"));
    }
}
