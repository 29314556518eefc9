//! Groups through the store are those of one table, at every budget.

use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, UInt64Array,
};
use arrow_schema::{DataType, SchemaRef};

use super::in_place::FEW_ROWS;
use super::*;
use crate::cancel::Cancel;
use crate::exec::fold::FoldPlan;
use crate::exec::report::StageReport;
use crate::exec::sheet::Stage;
use crate::exec::source::{Chunk, Units};
use crate::expr::{AggExpr, col, count};
use crate::memory::{Budget, SpillDir};
use crate::ops::Aggregate;
use crate::plan::Fold;
use crate::size::ByteSize;

/// Rows of a chunk: keys with nulls, one of them in half of all rows.
fn chunk(number: u64, rows: u64) -> RecordBatch {
    let places = number * rows..(number + 1) * rows;
    let key = |place: u64| match place % 4 {
        0 | 1 => 7,
        _ => place * place % 1_009,
    };
    let text =
        |place: u64| (!place.is_multiple_of(11)).then(|| format!("key {:>20}", key(place) % 97));
    let id: ArrayRef = Arc::new(
        places
            .clone()
            .map(|n| Some(key(n) as i64))
            .collect::<Int64Array>(),
    );
    let user: ArrayRef = Arc::new(places.clone().map(text).collect::<StringArray>());
    let x = places
        .clone()
        .map(|n| (!n.is_multiple_of(7)).then_some(n as f64 / 3.0));
    let x: ArrayRef = Arc::new(x.collect::<Float64Array>());
    let step = places.clone().map(|place| place as i64 / 3 - 40);
    let step: ArrayRef = Arc::new(Int64Array::from_iter_values(step));
    let place: ArrayRef = Arc::new(UInt64Array::from_iter_values(places));
    let half = (number * rows..(number + 1) * rows).map(|place| (place % 2) as i64);
    let half: ArrayRef = Arc::new(Int64Array::from_iter_values(half));
    let tags = |place| Some((0..key(place) % 3).map(|tag| Some(tag as i64)));
    let tags = (number * rows..(number + 1) * rows).map(tags);
    let tags: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(tags));
    let columns = [
        ("id", id),
        ("user", user),
        ("x", x),
        ("place", place),
        ("half", half),
        ("step", step),
        ("tags", tags),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

const CHUNKS: u64 = 40;
const ROWS: u64 = 80;

fn aggregates(order_free: bool) -> Vec<AggExpr> {
    let mut all = vec![
        count(),
        col("x").sum(),
        col("x").mean(),
        col("place").max(),
        col("x").median(),
        col("place").nunique(),
        col("x").largest(2),
        col("x").std(),
    ];
    if !order_free {
        all.extend([
            col("place").first(),
            col("user").last(),
            col("place").list(),
        ]);
    }
    all
}

fn plan(keys: &[&str], order_free: bool) -> FoldPlan {
    let aggregates = aggregates(order_free).into_iter();
    FoldPlan {
        operator: "agg",
        fold: Fold::Groups {
            keys: keys.iter().map(|key| key.to_string()).collect(),
            aggregates: aggregates.map(|of| (format!("the {of}"), of)).collect(),
        },
        schema: chunk(0, 1).schema(),
        place: None,
    }
}

fn groups(plan: &FoldPlan) -> Aggregate {
    plan.groups().unwrap().with_places()
}

fn merge(plan: &FoldPlan, budget: &Budget, spill_dir: &Arc<SpillDir>, threads: usize) -> Merge {
    Merge {
        plan: plan.clone(),
        schema: Arc::clone(&plan.schema),
        budget: budget.clone(),
        spill_dir: Arc::clone(spill_dir),
        room: budget.limit().bytes() / 3 * 2,
        floor: budget.limit().bytes() / 16,
        threads,
        cancel: Cancel::new(),
    }
}

fn stage() -> Stage {
    Stage {
        report: StageReport::of("agg"),
        keeps_rows: false,
        fronts: Vec::new(),
        late: None,
    }
}

fn read(units: Units) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for unit in units {
        let mut reader = (unit.unwrap().open)().unwrap();
        while let Some(chunk) = reader.next(Vec::new()).unwrap() {
            let Chunk::Batch(batch, _) = chunk else {
                panic!("text among groups");
            };
            batches.push(batch);
        }
    }
    batches
}

/// What one table gives of all chunks in order.
fn whole(plan: &FoldPlan) -> RecordBatch {
    let mut whole = groups(plan);
    for number in 0..CHUNKS {
        whole.push_chunk(&chunk(number, ROWS), number).unwrap();
    }
    whole.finish().unwrap()
}

/// The same through the store: tables that leave every `chunks_each` chunks.
fn stored(
    plan: &FoldPlan,
    order_free: bool,
    chunks_each: usize,
    threads: usize,
    limit: u64,
) -> crate::Result<(RecordBatch, u64)> {
    let parent = tempfile::tempdir().unwrap();
    let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
    let budget = Budget::new(ByteSize::new(limit));
    let store = GroupStore::new(groups(plan).n_keys(), &budget, limit / 3 * 2, &spill_dir);
    let mut numbers: Vec<u64> = (0..CHUNKS).collect();
    if order_free {
        numbers.reverse();
        numbers.rotate_left(13);
    }
    for some in numbers.chunks(chunks_each) {
        let mut table = groups(plan);
        for &number in some {
            table.push_chunk(&chunk(number, ROWS), number).unwrap();
            table.push_chunk(&chunk(number, 0), number).unwrap();
        }
        store.push(&[table.partial().unwrap()])?;
    }
    let mut last = groups(plan);
    last.push(&RecordBatch::new_empty(Arc::clone(&plan.schema)))?;
    let buckets = store.finish(last.key_types())?;
    let merge = merge(plan, &budget, &spill_dir, threads);
    let given = merge.all(&buckets)?.given(stage())?;
    drop(buckets);
    let schema: SchemaRef = Arc::clone(&given.schema);
    let batches = read(given.units);
    assert_eq!(budget.used(), 0);
    let rows = arrow_select::concat::concat_batches(&schema, &batches)?;
    Ok((rows, spill_dir.written()))
}

/// The same where they lie: of some chunks as rows, of others as tables.
fn placed(plan: &FoldPlan, order_free: bool, chunks_each: usize, threads: usize) -> RecordBatch {
    let parent = tempfile::tempdir().unwrap();
    let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
    let budget = Budget::new(ByteSize::gib(1));
    let mut numbers: Vec<u64> = (0..CHUNKS).collect();
    if order_free {
        numbers.reverse();
        numbers.rotate_left(13);
    }
    let mut asides = [Aside::new(&budget), Aside::new(&budget)];
    for (idx, some) in numbers.chunks(chunks_each).enumerate() {
        let aside = &mut asides[idx % if order_free { 2 } else { 1 }];
        let mut table = groups(plan);
        for &number in some {
            let rows = coded(&chunk(number, ROWS), number % 3 == 0);
            match idx % 3 {
                0 => assert!(aside.push(table.ungrouped(&rows, number).unwrap())),
                _ => table.push_chunk(&rows, number).unwrap(),
            }
        }
        assert!(aside.push(table.set_aside().unwrap()));
    }
    let mut last = groups(plan);
    last.push(&RecordBatch::new_empty(Arc::clone(&plan.schema)))
        .unwrap();
    let merge = merge(plan, &budget, &spill_dir, threads);
    let key_types = last.key_types();
    let placed = in_place(&merge, &asides, key_types);
    drop(asides);
    let given = placed.unwrap().unwrap().given(stage());
    let batches = read(given.units);
    assert_eq!((budget.used(), spill_dir.written()), (0, 0));
    arrow_select::concat::concat_batches(&given.schema, &batches).unwrap()
}

/// A chunk whose texts are a dictionary.
fn coded(rows: &RecordBatch, are: bool) -> RecordBatch {
    let to = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let columns = rows.schema_ref().fields().iter().zip(rows.columns());
    RecordBatch::try_from_iter(columns.map(|(field, column)| {
        let coded = are && *column.data_type() == DataType::Utf8;
        let column = match coded {
            true => arrow_cast::cast(column, &to).unwrap(),
            false => Arc::clone(column),
        };
        (field.name(), column)
    }))
    .unwrap()
}

#[test]
fn groups_made_where_rows_lie_are_those_of_one_table() {
    for keys in [
        &["id"][..],
        &["user"],
        &["step"],
        &["id", "user"],
        &["tags", "id"],
    ] {
        for order_free in [true, false] {
            let plan = plan(keys, order_free);
            let whole = whole(&plan);
            for (chunks_each, threads) in [(1, 1), (7, 2), (3, 5), (40, 2)] {
                let rows = placed(&plan, order_free, chunks_each, threads);
                assert_eq!(rows, whole, "{keys:?} {order_free} {chunks_each}");
            }
        }
    }
}

#[test]
fn rows_in_the_order_of_their_keys_are_grouped_in_stretches() {
    const ROWS: u64 = 8_000;
    let plan = plan(&["step"], true);
    let parent = tempfile::tempdir().unwrap();
    let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
    let budget = Budget::new(ByteSize::gib(1));
    let chunks: Vec<RecordBatch> = (0..4).map(|number| chunk(number, ROWS)).collect();
    let mut whole = groups(&plan);
    for (number, rows) in (0..).zip(&chunks) {
        whole.push_chunk(rows, number).unwrap();
    }
    // Two tables whose keys lie between each other, then the rows as they are.
    let mut tables = [Aside::new(&budget), Aside::new(&budget)];
    let mut rows = Aside::new(&budget);
    for (turn, aside) in tables.iter_mut().enumerate() {
        let mut table = groups(&plan);
        for (number, chunk) in (0..).zip(&chunks).skip(turn).step_by(2) {
            table.push_chunk(chunk, number).unwrap();
            rows.push_anyway(groups(&plan).ungrouped(chunk, number).unwrap());
        }
        aside.push_anyway(table.set_aside().unwrap());
    }
    let merge = merge(&plan, &budget, &spill_dir, 2);
    let whole = whole.finish().unwrap();
    for asides in [&tables[..], &[rows]] {
        let placed = in_place(&merge, asides, &[DataType::Int64]);
        let given = placed.unwrap().unwrap().given(stage());
        let rows = arrow_select::concat::concat_batches(&given.schema, &read(given.units));
        assert_eq!(rows.unwrap(), whole);
    }
}

#[test]
fn a_key_with_half_of_the_rows_is_shared_by_tasks() {
    const ROWS: u64 = 4_000;
    let plan = plan(&["id"], true);
    let parent = tempfile::tempdir().unwrap();
    let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
    let budget = Budget::new(ByteSize::gib(1));
    let mut aside = Aside::new(&budget);
    let mut whole = groups(&plan);
    for number in 0..CHUNKS {
        let rows = chunk(number, ROWS);
        whole.push_chunk(&rows, number).unwrap();
        aside.push_anyway(groups(&plan).ungrouped(&rows, number).unwrap());
    }
    let merge = merge(&plan, &budget, &spill_dir, 2);
    let placed = in_place(&merge, &[aside], &[DataType::Int64]);
    let placed = placed.unwrap().unwrap();
    let most = placed.tasks.iter().max().unwrap();
    assert!(*most <= FEW_ROWS, "{most} of {}", CHUNKS * ROWS);
    assert_eq!(placed.tasks.iter().sum::<u64>(), CHUNKS * ROWS);
    let given = placed.given(stage());
    let rows = arrow_select::concat::concat_batches(&given.schema, &read(given.units));
    assert_eq!(rows.unwrap(), whole.finish().unwrap());
}

#[test]
fn keys_go_as_the_groups_that_have_them_are_read() {
    const ROWS: u64 = 8_192;
    let mut plan = plan(&["place"], true);
    plan.fold = Fold::Groups {
        keys: vec!["place".to_owned()],
        aggregates: vec![("n".to_owned(), count())],
    };
    let parent = tempfile::tempdir().unwrap();
    let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
    let budget = Budget::new(ByteSize::gib(1));
    let mut aside = Aside::new(&budget);
    for number in 0..CHUNKS {
        let rows = chunk(number, ROWS);
        aside.push_anyway(groups(&plan).ungrouped(&rows, number).unwrap());
    }
    let merge = merge(&plan, &budget, &spill_dir, 2);
    let asides = [aside];
    let placed = in_place(&merge, &asides, &[DataType::UInt64]);
    drop(asides);
    let given = placed.unwrap().unwrap().given(stage());
    let (at_first, n_units) = (budget.used(), 10);
    for (done, unit) in (1..).zip(given.units) {
        read(Box::new(std::iter::once(unit)));
        // Those of the range at hand may still be needed.
        let gone = 8 * ROWS * CHUNKS * (done - 1) / n_units;
        let left = budget.used();
        assert!(left <= at_first - gone, "{left} of {at_first} after {done}");
        assert_eq!(left > 0, done < n_units);
    }
}

#[test]
fn what_the_budget_refuses_is_not_grouped_where_it_lies() {
    let plan = plan(&["id"], true);
    let parent = tempfile::tempdir().unwrap();
    let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
    let mut grouped = Vec::new();
    for limit in [1 << 30, 60_000, 0] {
        let budget = Budget::new(ByteSize::new(limit));
        let mut aside = Aside::new(&budget);
        for number in 0..CHUNKS {
            let rows = groups(&plan).ungrouped(&chunk(number, ROWS), number);
            aside.push_anyway(rows.unwrap());
        }
        let merge = merge(&plan, &budget, &spill_dir, 1);
        let asides = [aside];
        let placed = in_place(&merge, &asides, &[DataType::Int64]);
        grouped.push(placed.unwrap().is_some());
        let store = GroupStore::new(1, &budget, 0, &spill_dir);
        let [mut aside] = asides;
        aside.leave_for(&store, &mut groups(&plan)).unwrap();
        let buckets = store.finish(&[DataType::Int64]).unwrap();
        let rows: u64 = buckets.iter().map(|bucket| bucket.rows()).sum();
        // Half of them have one key: those of a chunk are one row by then.
        assert!(
            (1_500..1_700).contains(&rows) && aside.n_rows() == 0,
            "{rows}"
        );
        drop((aside, buckets));
        assert_eq!(budget.used(), 0);
    }
    assert_eq!(grouped, [true, false, false]);
}

#[test]
fn groups_are_those_of_one_table_at_every_budget() {
    for keys in [&["id"][..], &["user"], &["id", "user"]] {
        for order_free in [true, false] {
            let plan = plan(keys, order_free);
            let whole = whole(&plan);
            for (chunks_each, threads, limit) in [
                (1, 1, 1 << 30),
                (7, 2, 1 << 30),
                (3, 5, 600_000),
                (1, 2, 450_000),
            ] {
                let (rows, spilled) =
                    stored(&plan, order_free, chunks_each, threads, limit).unwrap();
                assert_eq!(rows, whole, "{keys:?} {order_free} {chunks_each} {limit}");
                assert!(spilled > 0 || limit > 450_000);
                assert!(spilled == 0 || limit < 1 << 30);
            }
        }
    }
}

#[test]
fn values_of_one_group_that_does_not_fit_are_counted_and_sifted_on_disk() {
    for keys in [&[][..], &["half"]] {
        let plan = plan(keys, true);
        let whole = whole(&plan);
        for (chunks_each, threads, limit) in [(1, 1, 1 << 30), (3, 2, 9_000), (5, 5, 24_000)] {
            let (rows, spilled) = stored(&plan, true, chunks_each, threads, limit).unwrap();
            assert_eq!(rows, whole, "{keys:?} {chunks_each} {limit}");
            assert_eq!(spilled > 0, limit < 1 << 30);
        }
    }
}

#[test]
fn a_group_that_does_not_fit_is_an_error_that_says_how_large_it_is() {
    let plan = plan(&["id"], false);
    let error = stored(&plan, false, 5, 2, 20_000)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("agg") && error.contains("--memory"),
        "{error}"
    );
}

#[test]
fn keys_that_turned_into_text_meet_those_that_were_numbers() {
    let number = |n: i64| Arc::new(Int64Array::from_iter_values(0..n)) as ArrayRef;
    let texts = (0..40).map(|n| n.to_string());
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let batch = |key: ArrayRef| {
        let x: ArrayRef = Arc::new(Int64Array::from_iter_values(0..key.len() as i64));
        RecordBatch::try_from_iter([("id", key), ("x", x)]).unwrap()
    };
    let (numbers, texts) = (batch(number(50)), batch(text));
    let plan = FoldPlan {
        operator: "agg",
        fold: Fold::Groups {
            keys: vec!["id".into()],
            aggregates: vec![("x".into(), col("x").sum())],
        },
        schema: numbers.schema(),
        place: None,
    };
    let parent = tempfile::tempdir().unwrap();
    let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
    for limit in [1 << 30, 6_000] {
        let budget = Budget::new(ByteSize::new(limit));
        let store = GroupStore::new(1, &budget, 0, &spill_dir);
        for (chunk, rows) in [(2, &texts), (1, &numbers), (3, &texts)] {
            let mut table = groups(&plan);
            table.push_chunk(rows, chunk).unwrap();
            store.push(&[table.partial().unwrap()]).unwrap();
        }
        let buckets = store.finish(&[DataType::Utf8]).unwrap();
        let merge = Merge {
            schema: texts.schema(),
            ..merge(&plan, &budget, &spill_dir, 2)
        };
        let merged = merge.all(&buckets).unwrap();
        let batches = read(merged.given(stage()).unwrap().units);
        let rows = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap();
        let sums = (0..50).map(|n| if n < 40 { 3 * n } else { n });
        let ids = (0..50).map(|n| n.to_string());
        let expected: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(ids)),
            Arc::new(Int64Array::from_iter_values(sums)),
        ];
        assert_eq!(rows.columns(), &expected[..], "{limit}");
    }
}

#[test]
fn a_key_with_half_of_the_rows_makes_no_bucket_larger() {
    let plan = plan(&["id"], true);
    let parent = tempfile::tempdir().unwrap();
    let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
    let budget = Budget::new(ByteSize::gib(1));
    let store = GroupStore::new(1, &budget, 0, &spill_dir);
    let mut rows = 0;
    for number in 0..4 {
        let mut table = groups(&plan);
        for part in 0..CHUNKS / 4 {
            let rows_of = chunk(number * CHUNKS / 4 + part, 10 * ROWS);
            rows += rows_of.num_rows() as u64;
            table.push_chunk(&rows_of, part).unwrap();
        }
        store.push(&[table.partial().unwrap()]).unwrap();
    }
    let buckets = store.finish(&[DataType::Int64]).unwrap();
    let partials: u64 = buckets.iter().map(|bucket| bucket.rows()).sum();
    let most = buckets.iter().map(|bucket| bucket.rows()).max().unwrap();
    assert!(partials < rows / 10, "{partials} of {rows}");
    // Some 8 groups a bucket: how they fall differs, and no key adds to that.
    assert!(most < partials / 64 * 3, "{most} of {partials}");
}
