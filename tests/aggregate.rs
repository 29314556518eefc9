//! Every aggregate against a slow, plain version of it, however the rows are
//! cut, typed and merged.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_cast::cast;
use arrow_schema::SortOptions;
use arrow_select::concat::concat;
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::*;
use windrow::arrow::schema::{DataType, TimeUnit};
use windrow::expr::{AggExpr, Groups, col, corr, count, covar};
use windrow::ops::{Aggregate, TopKey, TopRows};

/// Random numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const ROWS: usize = 240;
const N_GROUPS: usize = 7;

/// One row as the oracle sees it; none is null.
type Row = Option<f64>;

fn floats(dice: &mut Dice) -> Vec<Row> {
    let special = [0.0, -0.0, 0.1, 1e16, -1e16, 1e300, 3e-300, 2.5];
    (0..ROWS)
        .map(|_| match dice.roll(6) {
            0 => None,
            1 => Some(special[dice.roll(8) as usize]),
            _ => Some(dice.roll(2_000_000) as f64 / 7.0 - 100_000.0),
        })
        .collect()
}

fn whole(dice: &mut Dice) -> Vec<Row> {
    (0..ROWS)
        .map(|_| (dice.roll(5) > 0).then(|| dice.roll(60) as f64 - 25.0))
        .collect()
}

fn column(rows: &[Row], to: &DataType) -> ArrayRef {
    let array: ArrayRef = Arc::new(Float64Array::from(rows.to_vec()));
    cast(&array, to).unwrap()
}

/// Groups that no cut has in order, the last of them without rows.
fn group_ids(dice: &mut Dice) -> Vec<u32> {
    (0..ROWS)
        .map(|_| dice.roll(N_GROUPS as u64 - 1) as u32)
        .collect()
}

fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter(columns.iter().cloned()).unwrap()
}

/// The answer over pieces that end at `cuts`; each piece `direct` into one
/// accumulator, or as a partial of its own that knows only its own groups.
fn answer(
    what: &AggExpr,
    all: &RecordBatch,
    ids: &[u32],
    cuts: &[usize],
    direct: bool,
) -> ArrayRef {
    let bound = what.bind(&all.schema()).unwrap();
    let mut whole = bound.accumulator().unwrap();
    let mut start = 0;
    for &end in cuts.iter().chain([&all.num_rows()]) {
        let piece = all.slice(start, end - start);
        let ids = &ids[start..end];
        start = end;
        if direct {
            whole.update(Groups::of(ids, N_GROUPS), &piece).unwrap();
            continue;
        }
        // Groups of the piece are numbered as they come.
        let mut own: Vec<u32> = Vec::new();
        let local: Vec<u32> = ids
            .iter()
            .map(|id| match own.iter().position(|known| known == id) {
                Some(at) => at as u32,
                None => {
                    own.push(*id);
                    own.len() as u32 - 1
                }
            })
            .collect();
        let mut part = bound.accumulator().unwrap();
        part.update(Groups::of(&local, own.len()), &piece).unwrap();
        whole
            .merge(Groups::of(&own, N_GROUPS), &part.partial().unwrap())
            .unwrap();
    }
    whole.grow(N_GROUPS);
    let again = whole.partial().unwrap();
    assert!(
        again.iter().all(|column| column.len() == N_GROUPS),
        "{what}"
    );
    let identity: Vec<u32> = (0..N_GROUPS as u32).collect();
    let mut last = bound.accumulator().unwrap();
    last.merge(Groups::of(&identity, N_GROUPS), &again).unwrap();
    assert!(
        last.bytes() > 0 || what.to_string().contains("distinct"),
        "{what}"
    );
    let result = last.finish().unwrap();
    assert_eq!(result.len(), N_GROUPS, "{what}");
    result
}

/// The same answer, bit by bit, under every cut; it is given back.
fn settled(what: &AggExpr, all: &RecordBatch, ids: &[u32]) -> ArrayRef {
    let whole = answer(what, all, ids, &[], true);
    let n = all.num_rows();
    let ones: Vec<usize> = (1..n).collect();
    for cuts in [
        vec![],
        vec![0, 0, n],
        vec![1, n - 1],
        vec![n / 3, n / 2, n / 2 + 1],
        ones,
    ] {
        for direct in [true, false] {
            let again = answer(what, all, ids, &cuts, direct);
            assert_eq!(
                again.to_data(),
                whole.to_data(),
                "{what}, {} cuts, {direct}",
                cuts.len()
            );
        }
    }
    whole
}

/// The values of a group, in order.
fn of_group(rows: &[Row], ids: &[u32], group: usize) -> Vec<f64> {
    let of = rows
        .iter()
        .zip(ids)
        .filter(|(_, id)| **id as usize == group);
    of.filter_map(|(value, _)| *value).collect()
}

/// A sum in 256 bits' worth of pieces: each value is added where it belongs.
fn exact_sum(values: &[f64]) -> f64 {
    // Largest first and smallest last, again and again, until nothing is lost.
    let mut terms: Vec<f64> = values.to_vec();
    loop {
        let mut lost = Vec::new();
        let mut sum = 0.0_f64;
        for &term in &terms {
            let next = sum + term;
            let part = next - sum;
            let error = (sum - (next - part)) + (term - part);
            if error != 0.0 {
                lost.push(error);
            }
            sum = next;
        }
        lost.push(sum);
        if lost.len() == 1 || lost == terms {
            lost.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
            return lost.iter().sum();
        }
        terms = lost;
    }
}

fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(if low == high {
        low
    } else {
        low * (1.0 - place.fract()) + high * place.fract()
    })
}

fn variance(values: &[f64], ddof: usize) -> Option<f64> {
    let n = values.len();
    if n <= ddof {
        return None;
    }
    let mean = exact_sum(values) / n as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some(squares / (n - ddof) as f64)
}

type Oracle = fn(&[f64]) -> Option<f64>;

/// Aggregates whose answers are numbers, with their oracle and how far off they may be.
fn numeric() -> Vec<(AggExpr, Oracle, f64)> {
    vec![
        (col("x").count(), |v| Some(v.len() as f64), 0.0),
        (
            col("x").sum(),
            |v| (!v.is_empty()).then(|| exact_sum(v)),
            0.0,
        ),
        (
            col("x").mean(),
            |v| (!v.is_empty()).then(|| exact_sum(v) / v.len() as f64),
            0.0,
        ),
        (
            col("x").min(),
            |v| v.iter().copied().min_by(f64::total_cmp),
            0.0,
        ),
        (
            col("x").max(),
            |v| v.iter().copied().max_by(f64::total_cmp),
            0.0,
        ),
        (col("x").first(), |v| v.first().copied(), 0.0),
        (col("x").last(), |v| v.last().copied(), 0.0),
        (col("x").var(), |v| variance(v, 1), 1e-9),
        (col("x").var_with(0), |v| variance(v, 0), 1e-9),
        (col("x").std(), |v| variance(v, 1).map(f64::sqrt), 1e-9),
        (col("x").median(), |v| quantile(v, 0.5), 0.0),
        (col("x").quantile(0.9), |v| quantile(v, 0.9), 0.0),
        (
            col("x").nunique(),
            |v| {
                Some(
                    v.iter()
                        .map(|x| (x + 0.0).to_bits())
                        .collect::<BTreeSet<_>>()
                        .len() as f64,
                )
            },
            0.0,
        ),
        (
            col("x").approx_nunique(),
            |v| {
                Some(
                    v.iter()
                        .map(|x| (x + 0.0).to_bits())
                        .collect::<BTreeSet<_>>()
                        .len() as f64,
                )
            },
            0.02,
        ),
    ]
}

fn assert_near(found: &ArrayRef, expected: &[Option<f64>], off: f64, what: &str) {
    let found = cast(found, &DataType::Float64).unwrap();
    let found = found.as_primitive::<types::Float64Type>();
    for (group, expected) in expected.iter().enumerate() {
        let found = found.is_valid(group).then(|| found.value(group));
        let near = match (found, expected) {
            (Some(a), Some(b)) => a == *b || (a - b).abs() <= off * b.abs(),
            (a, b) => a.is_none() && b.is_none(),
        };
        assert!(near, "{what} of group {group}: {found:?}, not {expected:?}");
    }
}

#[test]
fn aggregates_of_numbers_are_the_oracles_under_every_cut_and_type() {
    let mut dice = Dice(11);
    let ids = group_ids(&mut dice);
    let wild: Vec<Row> = floats(&mut dice)
        .into_iter()
        .map(|row| row.filter(|value| value.abs() < 1e200))
        .collect();
    let small = whole(&mut dice);
    let mut cases = vec![(wild, DataType::Float64)];
    for to in [
        DataType::Int8,
        DataType::Int64,
        DataType::Float32,
        DataType::Decimal128(12, 2),
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Int64)),
    ] {
        cases.push((small.clone(), to));
    }
    for (rows, to) in cases {
        // A slice: offsets that are not zero.
        let all = batch(&[(
            "x",
            column(&[&[Some(9.0); 3], rows.as_slice()].concat(), &to),
        )]);
        let all = all.slice(3, ROWS);
        for (what, oracle, off) in numeric() {
            let found = settled(&what, &all, &ids);
            let expected: Vec<Option<f64>> = (0..N_GROUPS)
                .map(|group| oracle(&of_group(&rows, &ids, group)))
                .collect();
            assert_near(&found, &expected, off, &format!("{what} of {to}"));
        }
    }
}

#[test]
fn sums_of_wild_fractions_are_rounded_once() {
    let mut dice = Dice(5);
    let rows = floats(&mut dice);
    let ids = group_ids(&mut dice);
    let all = batch(&[("x", column(&rows, &DataType::Float64))]);
    let found = settled(&col("x").sum(), &all, &ids);
    let expected: Vec<_> = (0..N_GROUPS)
        .map(|group| {
            Some(of_group(&rows, &ids, group))
                .filter(|v| !v.is_empty())
                .map(|v| exact_sum(&v))
        })
        .collect();
    assert_near(&found, &expected, 0.0, "sum");
    for (values, expected) in [
        (vec![0.1; 10], 1.0),
        (vec![1e16, 1.0, -1e16], 1.0),
        (vec![f64::NAN, 1.0], f64::NAN),
        (vec![f64::INFINITY, 1.0], f64::INFINITY),
    ] {
        let all = batch(&[("x", Arc::new(Float64Array::from(values)))]);
        let found = one(&col("x").sum(), &all);
        let found = found.as_primitive::<types::Float64Type>().value(0);
        assert_eq!(found.to_bits(), expected.to_bits());
    }
}

/// The answer over all rows as one group.
fn one(what: &AggExpr, all: &RecordBatch) -> ArrayRef {
    let mut accumulator = what.bind(&all.schema()).unwrap().accumulator().unwrap();
    accumulator
        .update(Groups::one(all.num_rows()), all)
        .unwrap();
    accumulator.finish().unwrap()
}

fn text(array: &ArrayRef, row: usize) -> String {
    arrow_cast::display::array_value_to_string(array, row).unwrap()
}

#[test]
fn lists_and_extremes_keep_their_order_and_type() {
    let mut dice = Dice(3);
    let ids = group_ids(&mut dice);
    let rows = whole(&mut dice);
    let numbers = column(&rows, &DataType::Int64);
    let words: ArrayRef =
        Arc::new(StringArray::from_iter(rows.iter().map(|row| {
            row.map(|value| format!("a rather long word {value}"))
        })));
    let dictionary = DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8));
    let named = cast(&words, &dictionary).unwrap();
    let times = cast(
        &numbers,
        &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
    )
    .unwrap();
    for x in [numbers, words, named, times] {
        let plain = match x.data_type() {
            DataType::Dictionary(_, values) => cast(&x, values).unwrap(),
            _ => Arc::clone(&x),
        };
        let all = batch(&[("x", x)]);
        let (ids, plain) = (&ids, &plain);
        let rows_of = |group: u32| (0..ROWS).filter(move |&row| ids[row] == group);
        let sorted = |group: u32, largest: bool| {
            let mut valid: Vec<usize> = rows_of(group).filter(|&row| plain.is_valid(row)).collect();
            let compare =
                arrow_ord::ord::make_comparator(plain, plain, Default::default()).unwrap();
            valid.sort_by(|&a, &b| {
                if largest {
                    compare(b, a)
                } else {
                    compare(a, b)
                }
            });
            valid
        };
        let values =
            |rows: Vec<usize>| rows.iter().map(|&row| text(plain, row)).collect::<Vec<_>>();
        for group in 0..N_GROUPS as u32 {
            let check = |what: AggExpr, expected: Vec<String>| {
                let found = settled(&what, &all, ids);
                let found = found.as_list::<i32>().value(group as usize);
                assert_eq!(found.data_type(), plain.data_type());
                let found: Vec<String> = (0..found.len()).map(|row| text(&found, row)).collect();
                assert_eq!(
                    found,
                    expected,
                    "{what} of {} in {group}",
                    plain.data_type()
                );
            };
            if group > 1 && group < N_GROUPS as u32 - 1 {
                continue;
            }
            check(col("x").list(), values(rows_of(group).collect()));
            let first = |rows: Vec<usize>| rows.into_iter().take(3).collect();
            check(col("x").largest(3), values(first(sorted(group, true))));
            check(col("x").smallest(3), values(first(sorted(group, false))));
            for (what, expected) in [
                (col("x").min(), sorted(group, false).first().copied()),
                (col("x").max(), sorted(group, true).first().copied()),
                (
                    col("x").first(),
                    rows_of(group).find(|&row| plain.is_valid(row)),
                ),
                (
                    col("x").last(),
                    rows_of(group).rfind(|&row| plain.is_valid(row)),
                ),
            ] {
                let found = settled(&what, &all, ids);
                assert_eq!(found.data_type(), plain.data_type());
                let expected = expected.map(|row| text(plain, row)).unwrap_or_default();
                assert_eq!(text(&found, group as usize), expected, "{what}");
            }
        }
    }
}

#[test]
fn conditions_are_null_without_values() {
    let x: ArrayRef = Arc::new(BooleanArray::from(vec![
        Some(true),
        Some(false),
        None,
        Some(true),
        Some(true),
        None,
    ]));
    let all = batch(&[("x", x)]);
    let ids = [0, 0, 1, 2, 2, 3];
    for (what, expected) in [
        (col("x").any(), "true,,true,,,,"),
        (col("x").all(), "false,,true,,,,"),
        (col("x").max(), "true,,true,,,,"),
        (col("x").min(), "false,,true,,,,"),
        (col("x").sum(), "1,,2,,,,"),
        (col("x").mean(), "0.5,,1.0,,,,"),
        (col("x").count(), "2,0,2,0,0,0,0"),
        (count(), "2,1,2,1,0,0,0"),
    ] {
        let found = settled(&what, &all, &ids);
        let found: Vec<String> = (0..N_GROUPS).map(|group| text(&found, group)).collect();
        assert_eq!(found.join(","), expected, "{what}");
    }
}

#[test]
fn products_and_correlations_are_the_oracles() {
    let mut dice = Dice(8);
    let ids = group_ids(&mut dice);
    let x: Vec<Row> = (0..ROWS)
        .map(|_| (dice.roll(5) > 0).then(|| 0.5 + dice.roll(100) as f64 / 99.0))
        .collect();
    let y: Vec<Row> = x
        .iter()
        .map(|x| (dice.roll(7) > 0).then(|| x.unwrap_or(3.0) * 2.0 + dice.roll(9) as f64))
        .collect();
    let all = batch(&[
        ("x", column(&x, &DataType::Float64)),
        ("y", column(&y, &DataType::Float64)),
    ]);
    let products: Vec<_> = (0..N_GROUPS)
        .map(|group| of_group(&x, &ids, group))
        .map(|values| (!values.is_empty()).then(|| values.iter().product()))
        .collect();
    assert_near(
        &settled(&col("x").product(), &all, &ids),
        &products,
        1e-13,
        "product",
    );

    let pairs = |group: usize| -> Vec<(f64, f64)> {
        x.iter()
            .zip(&y)
            .zip(&ids)
            .filter(|(_, id)| **id as usize == group)
            .filter_map(|((x, y), _)| Some(((*x)?, (*y)?)))
            .collect()
    };
    let means = |pairs: &[(f64, f64)]| {
        let mean =
            |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
        (mean(|p| p.0), mean(|p| p.1))
    };
    let correlations: Vec<_> = (0..N_GROUPS)
        .map(|group| {
            let pairs = pairs(group);
            let n = pairs.len() as f64;
            let (mx, my) = means(&pairs);
            let sum = |of: &dyn Fn(f64, f64) -> f64| {
                pairs.iter().map(|p| of(p.0 - mx, p.1 - my)).sum::<f64>()
            };
            (n > 1.0).then(|| sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt())
        })
        .collect();
    assert_near(
        &settled(&corr(col("x"), col("y")), &all, &ids),
        &correlations,
        1e-9,
        "corr",
    );
    let covariances: Vec<_> = (0..N_GROUPS)
        .map(|group| {
            let pairs = pairs(group);
            let n = pairs.len() as f64;
            let (mx, my) = means(&pairs);
            let sum: f64 = pairs.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
            (n > 1.0).then(|| sum / (n - 1.0))
        })
        .collect();
    assert_near(
        &settled(&covar(col("x"), col("y")), &all, &ids),
        &covariances,
        1e-9,
        "covar",
    );

    let whole = |values: Vec<i64>| batch(&[("x", Arc::new(Int64Array::from(values)))]);
    assert_eq!(
        text(
            &one(&col("x").product(), &whole(vec![i64::MIN, -1, 0, 7])),
            0
        ),
        "0"
    );
    assert_eq!(
        text(&one(&col("x").product(), &whole(vec![-3, 5])), 0),
        "-15"
    );
    // Beyond 128 bits, until a fraction shows that it need not fit.
    let many: ArrayRef = Arc::new(Int64Array::from(vec![1 << 62; 3]));
    let half: ArrayRef = Arc::new(Float64Array::from(vec![2.0_f64.powi(-180)]));
    assert_eq!(
        drifting(&col("x").product(), &DataType::Int64, &[many, half]),
        "64.0 Float64"
    );
    let tiny = [-700, -700, 700, 700]
        .map(|power| 2.0_f64.powi(power))
        .to_vec();
    let all = batch(&[("x", Arc::new(Float64Array::from(tiny)))]);
    assert_eq!(text(&one(&col("x").product(), &all), 0), "1.0");
}

#[test]
fn approximate_quantiles_are_within_half_a_percent() {
    let mut dice = Dice(21);
    let rows: Vec<Row> = (0..ROWS).map(|_| Some(dice.roll(1 << 30) as f64)).collect();
    let ids = group_ids(&mut dice);
    let all = batch(&[("x", column(&rows, &DataType::Float64))]);
    for q in [0.0, 0.25, 0.5, 0.99, 1.0] {
        let found = settled(&col("x").approx_quantile(q), &all, &ids);
        let expected: Vec<_> = (0..N_GROUPS)
            .map(|group| {
                let mut values = of_group(&rows, &ids, group);
                values.sort_by(f64::total_cmp);
                let rank = q * values.len().checked_sub(1)? as f64;
                Some(values[rank.floor() as usize])
            })
            .collect();
        assert_near(&found, &expected, 0.004, &format!("approx_quantile {q}"));
    }
}

/// The answer over batches of one column each, typed as they are.
fn drifting(what: &AggExpr, planned: &DataType, batches: &[ArrayRef]) -> String {
    let empty = batch(&[("x", new_empty_array(planned))]);
    let bound = what.bind(&empty.schema()).unwrap();
    let mut direct = bound.accumulator().unwrap();
    let mut merged = bound.accumulator().unwrap();
    for x in batches {
        let all = batch(&[("x", Arc::clone(x))]);
        direct.update(Groups::one(x.len()), &all).unwrap();
        let mut part = bound.accumulator().unwrap();
        part.update(Groups::one(x.len()), &all).unwrap();
        merged
            .merge(Groups::one(1), &part.partial().unwrap())
            .unwrap();
    }
    let (direct, merged) = (direct.finish().unwrap(), merged.finish().unwrap());
    assert_eq!(direct.to_data(), merged.to_data(), "{what}");
    format!("{} {}", text(&direct, 0), direct.data_type())
}

#[test]
fn batches_that_type_a_column_otherwise_give_the_answer_of_its_values() {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(7)]));
    let fractions: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 7.0]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["6", "n/a", "2.5"]));
    let nothing: ArrayRef = Arc::new(NullArray::new(4));
    let numbers = [Arc::clone(&ints), Arc::clone(&nothing), fractions];
    let all = [numbers.as_slice(), &[texts]].concat();
    for (what, of_numbers, of_all) in [
        (col("x").count(), "4 Int64", "7 Int64"),
        (col("x").sum(), "19.5 Float64", "28.0 Float64"),
        (col("x").min(), "0.5 Float64", "0.5 Float64"),
        (col("x").max(), "7.0 Float64", "7.0 Float64"),
        (col("x").nunique(), "3 Int64", "6 Int64"),
        (col("x").approx_nunique(), "3 Int64", "6 Int64"),
        (col("x").product(), "122.5 Float64", "1837.5 Float64"),
        (col("x").first(), "5.0 Float64", "5 Utf8"),
        (col("x").last(), "7.0 Float64", "2.5 Utf8"),
        (col("x").median(), "6.0 Float64", "5.5 Float64"),
    ] {
        assert_eq!(
            drifting(&what, &DataType::Int64, &numbers),
            of_numbers,
            "{what}"
        );
        assert_eq!(drifting(&what, &DataType::Int64, &all), of_all, "{what}");
    }
    let late = [nothing, ints];
    assert_eq!(drifting(&col("x").min(), &DataType::Null, &late), "5 Int64");
    assert_eq!(
        drifting(&col("x").sum(), &DataType::Null, &late),
        "12 Int64"
    );
    assert_eq!(
        drifting(&col("x").largest(2), &DataType::Null, &late),
        "[7, 5] List(Int64)"
    );
}

#[test]
fn whole_sums_are_exact_or_an_error() {
    let sum = |values: Vec<i64>| {
        let all = batch(&[("x", Arc::new(Int64Array::from(values)))]);
        let mut accumulator = col("x")
            .sum()
            .bind(&all.schema())
            .unwrap()
            .accumulator()
            .unwrap();
        accumulator
            .update(Groups::one(all.num_rows()), &all)
            .unwrap();
        accumulator
            .finish()
            .map(|array| text(&array, 0))
            .map_err(|error| error.to_string())
    };
    assert_eq!(sum(vec![i64::MAX, 1, -1]).unwrap(), i64::MAX.to_string());
    assert_eq!(sum(vec![i64::MIN, -1, 1]).unwrap(), i64::MIN.to_string());
    let error = sum(vec![i64::MAX, 1]).unwrap_err();
    assert!(error.contains("computing sum(x)"), "{error}");
    assert!(
        error.contains("9223372036854775808 does not fit Int64"),
        "{error}"
    );

    let big: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX - 1, 1]));
    let all = batch(&[("x", big)]);
    assert_eq!(text(&one(&col("x").sum(), &all), 0), u64::MAX.to_string());
    let cents = Decimal128Array::from(vec![1_050, 25])
        .with_precision_and_scale(6, 2)
        .unwrap();
    let all = batch(&[("x", Arc::new(cents))]);
    let found = one(&col("x").sum(), &all);
    assert_eq!(found.data_type(), &DataType::Decimal128(38, 2));
    assert_eq!(text(&found, 0), "10.75");
    // A sum may leave 128 bits on its way.
    let huge = 9 * i128::pow(10, 37);
    let huge = Decimal128Array::from(vec![huge, huge, -huge, -huge, -huge, huge]);
    let huge = huge.with_precision_and_scale(38, 0).unwrap();
    let all = batch(&[("x", Arc::new(huge))]);
    assert_eq!(text(&settled(&col("x").sum(), &all, &[0; 6]), 0), "0");
    let bound = col("x").sum().bind(&all.schema()).unwrap();
    let mut accumulator = bound.accumulator().unwrap();
    accumulator
        .update(Groups::one(2), &all.slice(0, 2))
        .unwrap();
    let error = accumulator.finish().unwrap_err().to_string();
    assert!(error.contains("the sum has more than 38 digits"), "{error}");
    let waits = DurationMillisecondArray::from(vec![Some(1_500), None, Some(500)]);
    let all = batch(&[("x", Arc::new(waits))]);
    assert_eq!(text(&one(&col("x").sum(), &all), 0), "PT2S");
    let times = TimestampSecondArray::from(vec![10, 21]);
    let all = batch(&[("x", Arc::new(times))]);
    assert_eq!(text(&one(&col("x").mean(), &all), 0), "1970-01-01T00:00:15");
}

#[test]
fn nothing_cancels_in_a_variance_far_from_zero() {
    let values: Vec<f64> = [0.0, 1.0, 2.0]
        .iter()
        .map(|value| value / 1024.0 + 1e12)
        .collect();
    let all = batch(&[("x", Arc::new(Float64Array::from(values)))]);
    let found = one(&col("x").var(), &all);
    let found = found.as_primitive::<types::Float64Type>().value(0);
    assert_eq!(found, 1.0 / 1024.0 / 1024.0);
}

#[test]
fn nan_is_one_value_above_all_numbers() {
    let values = vec![1.0, -f64::NAN, f64::INFINITY, f64::NAN, -0.0, 0.0];
    let all = batch(&[("x", Arc::new(Float64Array::from(values)))]);
    for (what, expected) in [
        (col("x").min(), "-0.0"),
        (col("x").max(), "NaN"),
        (col("x").nunique(), "4"),
        (col("x").approx_nunique(), "4"),
        (col("x").largest(3), "[NaN, NaN, inf]"),
        (col("x").smallest(2), "[-0.0, 0.0]"),
        (col("x").approx_quantile(1.0), "NaN"),
        (col("x").quantile(0.4), "1.0"),
        (col("x").var(), "NaN"),
    ] {
        assert_eq!(text(&one(&what, &all), 0), expected, "{what}");
    }
}

#[test]
fn what_cannot_be_aggregated_is_refused_with_the_reason() {
    let all = batch(&[
        ("user", Arc::new(StringArray::from(vec!["a"]))),
        ("ts", Arc::new(TimestampSecondArray::from(vec![1]))),
        ("n", Arc::new(Int64Array::from(vec![1]))),
    ]);
    for (what, wanted) in [
        (
            col("user").sum(),
            "user (Utf8) is not a number in sum(user); try_cast(user as float64)",
        ),
        (col("ts").std(), "epoch(ts) counts its seconds"),
        (col("n").any(), "n (Int64) is not a condition in any(n)"),
        (col("usr").min(), "did you mean \"user\""),
        (col("n").quantile(1.5), "a share is from 0 to 1, not 1.5"),
        (col("n").largest(0), "at least one value"),
        (
            corr(col("n"), col("user")),
            "user (Utf8) is not a number in corr(n, user)",
        ),
    ] {
        let error = what.bind(&all.schema()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{what}: {error}");
    }
}

#[test]
fn a_frame_without_rows_has_one_result() {
    let all = batch(&[("x", new_empty_array(&DataType::Float64))]);
    for (what, _, _) in numeric() {
        let mut accumulator = what.bind(&all.schema()).unwrap().accumulator().unwrap();
        accumulator.grow(1);
        let found = accumulator.finish().unwrap();
        let zero = what.to_string().contains("count") || what.to_string().contains("nunique");
        assert_eq!(text(&found, 0), if zero { "0" } else { "" }, "{what}");
    }
    let nothing = concat(&[&new_empty_array(&DataType::Int64)]).unwrap();
    assert_eq!(
        text(&one(&col("x").list(), &batch(&[("x", nothing)])), 0),
        "[]"
    );
}

/// The weather of three airports, hour by hour in 2013; `NA` is null. Its
/// cells have neither quotes nor commas.
fn weather() -> Option<RecordBatch> {
    let Some(folder) = std::env::var_os("WINDROW_REAL_DATA") else {
        println!("skipped: real weather needs WINDROW_REAL_DATA");
        return None;
    };
    let path = std::path::Path::new(&folder).join("nycflights13/weather.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    Some(batch(
        &names
            .iter()
            .enumerate()
            .map(|(idx, name)| {
                let cells = rows
                    .iter()
                    .map(|row| Some(row[idx]).filter(|cell| *cell != "NA"));
                let texts: ArrayRef = Arc::new(cells.collect::<StringArray>());
                let to = match *name {
                    "origin" | "time_hour" => DataType::Utf8,
                    "year" | "month" | "day" | "hour" | "wind_dir" => DataType::Int64,
                    _ => DataType::Float64,
                };
                (*name, cast(&texts, &to).unwrap())
            })
            .collect::<Vec<_>>(),
    ))
}

#[test]
fn a_year_of_weather_is_aggregated_as_duckdb_does() {
    // DuckDB 2.0: select origin, count(*), count(temp), fsum(humid), avg(temp), stddev_samp(temp),
    // var_pop(wind_speed), min(dewp), max(pressure), median(temp), quantile_cont(temp, 0.9),
    // count(distinct wind_dir), corr(temp, dewp), sum(month), covar_samp(temp, dewp), covar_pop(temp, dewp) … group by origin order by origin
    let stored = [
        (
            "EWR",
            [
                8703.0,
                8702.0,
                548766.93,
                55.54655251666285,
                18.352566137372403,
                152.40014596001592,
                -9.04,
                1041.9,
                55.94,
                80.06,
                37.0,
                0.8915297157554813,
                56600.0,
                321.16210183596985,
                321.1251951361496,
            ],
        ),
        (
            "JFK",
            [
                8706.0,
                8706.0,
                567675.4,
                54.472150241212866,
                17.060903876225535,
                34.840649128538566,
                -9.94,
                1042.1,
                53.96,
                77.0,
                37.0,
                0.8986984354622527,
                56621.0,
                300.6653975793277,
                300.63086215576016,
            ],
        ),
        (
            "LGA",
            [
                8706.0,
                8706.0,
                516467.63,
                55.762605099931015,
                17.901354805201972,
                29.50023355538694,
                -7.06,
                1041.9,
                55.94,
                78.98,
                37.0,
                0.899458317378808,
                56624.0,
                304.1089510287707,
                304.07402006724664,
            ],
        ),
    ];
    let Some(all) = weather() else { return };
    let schema = all.schema();
    let texts = [
        "count(*)",
        "count(temp)",
        "sum(humid)",
        "avg(temp)",
        "std(temp)",
        "var_pop(wind_speed)",
        "min(dewp)",
        "max(pressure)",
        "median(temp)",
        "quantile(temp, 0.9)",
        "count(distinct wind_dir)",
        "corr(temp, dewp)",
        "sum(month)",
        "covar(temp, dewp)",
        "covar_pop(temp, dewp)",
    ];
    let operator = || {
        let bound = texts.map(|text| {
            (
                text.to_owned(),
                AggExpr::parse(text).unwrap().bind(&schema).unwrap(),
            )
        });
        let key = col("origin").bind(&schema).unwrap();
        Aggregate::try_new(vec![("origin".to_owned(), key)], bound.to_vec()).unwrap()
    };
    let mut whole = operator();
    for start in (0..all.num_rows()).step_by(4_000) {
        let mut part = operator();
        part.push(&all.slice(start, 4_000.min(all.num_rows() - start)))
            .unwrap();
        whole.merge(&part.partial().unwrap()).unwrap();
    }
    let found = whole.finish().unwrap();
    for (row, (origin, expected)) in stored.iter().enumerate() {
        assert_eq!(text(found.column(0), row), *origin);
        for (column, (expected, what)) in
            found.columns()[1..].iter().zip(expected.iter().zip(texts))
        {
            let value = cast(&column.slice(row, 1), &DataType::Float64).unwrap();
            let off = if what.starts_with("sum") || what.starts_with("m") {
                0.0
            } else {
                1e-13
            };
            assert_near(
                &value,
                &[Some(*expected)],
                off,
                &format!("{what} at {origin}"),
            );
        }
    }

    let key = || col("wind_dir").bind(&schema).unwrap();
    let rows = ("rows".to_owned(), count().bind(&schema).unwrap());
    let mut counts = Aggregate::try_new(vec![("wind_dir".to_owned(), key())], vec![rows]).unwrap();
    counts.push(&all).unwrap();
    let counted = counts.finish().unwrap();
    let most = counted
        .column(1)
        .as_primitive::<types::Int64Type>()
        .values();
    let mut order: Vec<usize> = (0..counted.num_rows()).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(most[row]));
    let found = order[..5].iter().map(|&row| {
        let (value, rows) = (text(counted.column(0), row), most[row]);
        format!("{value} {rows}")
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        ["310 1341", "0 1256", "320 1204", "230 1115", "180 1049"]
    );

    let mut hottest = TopRows::new(
        4,
        vec![TopKey {
            expr: col("temp").bind(&schema).unwrap(),
            options: SortOptions::new(true, false),
            typed: false,
        }],
    );
    hottest.push(&all).unwrap();
    let hottest = hottest.finish().unwrap().remove(0);
    let cells = ["origin", "temp", "day", "hour"].map(|name| hottest.column_by_name(name).unwrap());
    let found: Vec<String> = (0..4)
        .map(|row| cells.map(|cell| text(cell, row)).join(" "))
        .collect();
    assert_eq!(
        found,
        [
            "EWR 100.04 18 15",
            "EWR 100.04 19 16",
            "EWR 98.96 19 13",
            "EWR 98.96 19 14"
        ]
    );
}
