//! Sorted rows are in order, equal ones as they stood, whatever the cut.
//!
//! The oracle sorts rows one by one with the standard library's stable sort.

mod oracle;
#[path = "common/session.rs"]
mod session;

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

use arrow_select::take::take_record_batch;
use oracle::{Cell, Row, rows_of};
use session::session;
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use windrow::{By, ByteSize, DataFrame, SortBy};

/// Numbers in no order, the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Null for one in seven.
    fn maybe<T>(&mut self, value: T) -> Option<T> {
        (self.below(7) > 0).then_some(value)
    }
}

/// Rows with a heavy key, few and many distinct values, nulls, NaN, and their place.
fn table(rows: usize, seed: u64) -> RecordBatch {
    let mut random = Random(seed);
    let mut heavy = Vec::new();
    let mut many = Vec::new();
    let mut floats = Vec::new();
    let mut texts = Vec::new();
    for _ in 0..rows {
        let key = match random.below(2) {
            0 => 500,
            _ => random.below(1_000) as i64,
        };
        heavy.push(random.maybe(key));
        many.push(random.next() as i64 - (1 << 46));
        let float = match random.below(5) {
            0 => f64::NAN,
            1 => -0.0,
            2 => 0.0,
            _ => random.below(9) as f64 - 4.5,
        };
        floats.push(random.maybe(float));
        let text = format!("{}", random.below(12));
        texts.push(random.maybe(text));
    }
    let columns: [(&str, ArrayRef); 5] = [
        ("heavy", Arc::new(Int64Array::from(heavy))),
        ("many", Arc::new(Int64Array::from(many))),
        ("float", Arc::new(Float64Array::from(floats))),
        ("text", Arc::new(StringArray::from(texts))),
        (
            "place",
            Arc::new(Int64Array::from_iter_values(0..rows as i64)),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, of)| (name, of, true))).unwrap()
}

/// Batches of random sizes, empty ones among them.
fn pieces(batch: &RecordBatch, most: u64, seed: u64) -> Vec<RecordBatch> {
    let mut random = Random(seed);
    let mut pieces = vec![batch.slice(0, 0)];
    let mut from = 0;
    while from < batch.num_rows() {
        let rows = (random.below(most + 1) as usize).min(batch.num_rows() - from);
        // A copy: a slice keeps all of its batch, and counts as that.
        let places = Int64Array::from_iter_values(from as i64..(from + rows) as i64);
        pieces.push(take_record_batch(batch, &places).unwrap());
        from += rows;
    }
    pieces
}

fn frame(batch: &RecordBatch, most: u64, threads: usize, memory: ByteSize) -> DataFrame {
    let pieces = pieces(batch, most, 11);
    let session = session(threads, memory);
    session.from_batches(batch.schema(), pieces).unwrap()
}

fn value_cmp(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Number(a), Cell::Number(b)) => match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(b).unwrap(),
            (a, b) => a.cmp(&b),
        },
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        other => panic!("{other:?}"),
    }
}

fn row_cmp(a: &Row, b: &Row, by: &[SortBy]) -> Ordering {
    for by in by {
        let nulls = if by.nulls_first {
            Ordering::Less
        } else {
            Ordering::Greater
        };
        let order = match (a.get(&by.column), b.get(&by.column)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => nulls,
            (Some(_), None) => nulls.reverse(),
            (Some(a), Some(b)) if by.descending => value_cmp(b, a),
            (Some(a), Some(b)) => value_cmp(a, b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn places(rows: &[Row]) -> Vec<i64> {
    rows.iter().map(|row| row["place"].int().unwrap()).collect()
}

fn sorted_places(batch: &RecordBatch, by: &[SortBy]) -> Vec<i64> {
    let mut rows = rows_of([batch]);
    rows.sort_by(|a, b| row_cmp(a, b, by));
    places(&rows)
}

fn computed(frame: &DataFrame) -> RecordBatch {
    let batches = frame.to_batches().unwrap();
    let schema = frame.schema().unwrap();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

#[test]
fn rows_come_in_order_under_every_cut() {
    let cases: [Vec<SortBy>; 8] = [
        vec!["heavy".into()],
        vec!["many".into()],
        vec![SortBy::descending("many")],
        vec![SortBy::descending("heavy").nulls_first()],
        vec!["float".into()],
        vec![SortBy::descending("text"), "many".into()],
        vec![
            SortBy::ascending("text").nulls_first(),
            SortBy::descending("float"),
            "heavy".into(),
        ],
        vec!["place".into()],
    ];
    for rows in [0, 1, 700] {
        let batch = table(rows, 42);
        for by in &cases {
            let wanted = sorted_places(&batch, by);
            for (threads, most) in [(1, 700), (2, 1), (5, 60)] {
                let frame = frame(&batch, most, threads, ByteSize::mib(64));
                let sorted = frame.sort_values(by.clone()).unwrap();
                let found = places(&rows_of([&computed(&sorted)]));
                assert_eq!(found, wanted, "{rows} rows by {by:?}, {threads} threads");
            }
        }
    }
}

#[test]
fn the_first_rows_of_an_order_are_those_of_a_sort_of_all() {
    let cases: [Vec<SortBy>; 6] = [
        vec!["heavy".into()],
        vec![SortBy::descending("many")],
        vec![SortBy::descending("heavy").nulls_first()],
        vec![SortBy::ascending("float").nulls_first()],
        vec![SortBy::descending("text"), "many".into()],
        vec![
            SortBy::ascending("text").nulls_first(),
            SortBy::descending("float"),
        ],
    ];
    let batch = table(6_000, 42);
    for by in &cases {
        let wanted = sorted_places(&batch, by);
        for (threads, most, memory) in [(1, 6_000, 64), (2, 50, 64), (5, 600, 32)] {
            let frame = frame(&batch, most, threads, ByteSize::mib(memory));
            let sorted = frame.sort_values(by.clone()).unwrap();
            let renamed = sorted.rename([("text", "word")]).unwrap();
            for n in [0, 100, 2_500, 9_000] {
                let first = renamed.limit(n).select(["place"]).unwrap();
                let plan = first.explain().to_string();
                assert!(plan.contains(&format!("first {n} rows by ")), "{plan}");
                let table = first.compute().unwrap();
                assert_eq!(table.report().spilled_bytes, 0);
                let found = places(&rows_of(&table.into_batches()));
                let end = (n as usize).min(wanted.len());
                assert_eq!(
                    found,
                    wanted[..end],
                    "{n} rows by {by:?}, {threads} threads"
                );
            }
        }
    }
}

#[test]
fn a_limit_too_large_to_be_held_twice_or_of_text_that_may_widen_is_a_sort() {
    let batch = table(20, 1);
    let frame = frame(&batch, 20, 1, ByteSize::mib(64));
    let plan = |frame: &DataFrame| frame.explain().optimized[0].node.clone();
    let sorted = frame.sort_values(["many"]).unwrap();
    assert_eq!(plan(&sorted.limit(3)), "first 3 rows by many");
    assert_eq!(plan(&sorted.limit(100_000)), "limit 100000");
    let filtered = sorted.filter("many > 0").unwrap();
    assert_eq!(plan(&filtered.limit(3)), "first 3 rows by many");
    assert_eq!(
        plan(&sorted.limit(3).filter("many > 0").unwrap()),
        "filter many > 0"
    );

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.json");
    // As text, 10 comes before 9: what the last row says.
    std::fs::write(&path, "{\"key\":9}\n{\"key\":10}\n{\"key\":\"x\"}\n").unwrap();
    let text = session(2, ByteSize::mib(64));
    let text = text.read_json(read(&path), Default::default()).unwrap();
    let first = text.sort_values(["key"]).unwrap().limit(2);
    assert_eq!(plan(&first), "limit 2");
    let rows = rows_of(&first.to_batches().unwrap());
    let keys: Vec<_> = rows.iter().map(|row| format!("{:?}", row["key"])).collect();
    assert_eq!(keys, ["Text(\"10\")", "Text(\"9\")"]);
}

fn row_cmp_at(batch: &RecordBatch, one: usize, other: usize, by: &[SortBy]) -> Ordering {
    let row = |row| rows_of([&batch.slice(row, 1)]).remove(0);
    let place = |row: &Row| row["place"].int().unwrap();
    let (a, b) = (row(one), row(other));
    row_cmp(&a, &b, by).then(place(&a).cmp(&place(&b)))
}

/// Rows of about 100 bytes each.
fn wide(rows: usize, seed: u64) -> RecordBatch {
    let batch = table(rows, seed);
    let text = "x".repeat(60);
    let texts = StringArray::from_iter_values((0..rows).map(|row| format!("{text}{row}")));
    let mut columns: Vec<(String, ArrayRef)> = vec![("wide".into(), Arc::new(texts))];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        columns.push((field.name().clone(), Arc::clone(column)));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, of)| (name, of, true)))
        .unwrap()
}

#[test]
fn what_does_not_fit_the_budget_is_spilled_and_comes_out_the_same() {
    let batch = wide(120_000, 7);
    for by in [
        vec![SortBy::from("many")],
        vec![SortBy::from("heavy")],
        vec![SortBy::descending("text"), "float".into()],
    ] {
        let ample = frame(&batch, 9_000, 2, ByteSize::gib(2));
        let ample = ample.sort_values(by.clone()).unwrap().compute().unwrap();
        assert_eq!(ample.report().spilled_bytes, 0);
        let rows: Vec<_> = ample.into_batches();
        let schema = batch.schema();
        let wanted = arrow_select::concat::concat_batches(&schema, &rows).unwrap();
        // These are several ranges.
        let order = |row: usize| row_cmp_at(&wanted, row, row + 1, &by);
        assert!(
            (0..wanted.num_rows() - 1)
                .step_by(7)
                .all(|row| order(row).is_le())
        );
        for threads in [1, 5] {
            let tiny = frame(&batch, 5_000, threads, ByteSize::mib(32));
            let sorted = tiny.sort_values(by.clone()).unwrap();
            let mut from = 0;
            let report = sorted
                .for_each_batch(|batch| {
                    let rows = batch.num_rows();
                    assert_eq!(batch, wanted.slice(from, rows));
                    from += rows;
                    Ok(())
                })
                .unwrap();
            assert_eq!(from, wanted.num_rows());
            assert!(report.spilled_bytes > 1 << 20, "{}", report.spilled_bytes);
            assert_eq!(report.rows, 120_000);
        }
    }
}

/// The rows for which this holds, and then the others, in their order.
fn parted(batch: &RecordBatch, first: impl Fn(usize) -> bool) -> RecordBatch {
    let rows = 0..batch.num_rows();
    let (before, behind): (Vec<usize>, Vec<usize>) = rows.partition(|&row| first(row));
    let rows = before.into_iter().chain(behind);
    take_record_batch(
        batch,
        &Int64Array::from_iter_values(rows.map(|row| row as i64)),
    )
    .unwrap()
}

#[test]
fn rows_whose_first_ones_tell_little_of_the_others_come_in_order_too() {
    let batch = wide(40_000, 17);
    let many: Vec<i64> = {
        let many = batch.column_by_name("many").unwrap();
        many.as_primitive::<Int64Type>().values().to_vec()
    };
    // A tenth of them: they lie from -2^46 to 3 * 2^46.
    let least = (1 << 44) + (1 << 43) - (1 << 46);
    let heavy = batch
        .column_by_name("heavy")
        .unwrap()
        .as_primitive::<Int64Type>();
    for (batch, by) in [
        // Most rows lie behind all of the first ones.
        (parted(&batch, |row| many[row] < least), vec!["many".into()]),
        (
            parted(&batch, |row| many[row] < least),
            vec!["many".into(), "text".into()],
        ),
        // A heavy key comes late.
        (
            parted(&batch, |row| heavy.value(row) != 500),
            vec![SortBy::descending("heavy"), "many".into()],
        ),
        (
            parted(&batch, |row| heavy.value(row) != 500),
            vec!["heavy".into()],
        ),
        // In order, but for a few rows.
        (parted(&batch, |row| row % 97 > 0), vec!["place".into()]),
    ] {
        let places = ["many", "heavy", "text", "place"].map(|name| {
            let place = batch.schema().index_of(name);
            place.unwrap()
        });
        let wanted = sorted_places(&batch.project(&places).unwrap(), &by);
        for threads in [1, 5] {
            let frame = frame(&batch, 4_000, threads, ByteSize::mib(32));
            let mut found = Vec::new();
            let sorted = frame
                .sort_values(by.clone())
                .unwrap()
                .select(["place"])
                .unwrap();
            let each = sorted.for_each_batch(|batch| {
                found.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
                Ok(())
            });
            assert_eq!(each.unwrap().rows, 40_000);
            assert_eq!(found, wanted, "{by:?} on {threads} threads");
        }
    }
}

#[test]
fn partitions_are_even_also_where_half_of_the_rows_have_one_key() {
    let batch = wide(20_000, 3);
    let frame = frame(&batch, 1_000, 2, ByteSize::mib(64));
    let sorted = frame.sort_values(["heavy"]).unwrap();
    for by in [By::Count(7), By::Bytes(ByteSize::kib(200))] {
        let sizes = sorted.repartition(by).unwrap().partition_sizes().unwrap();
        let rows: Vec<u64> = sizes.iter().map(|size| size.rows).collect();
        let mean = 20_000 / rows.len() as u64;
        assert!(rows.len() > 5, "{rows:?}");
        assert!(rows.iter().all(|rows| *rows * 2 <= mean * 3), "{rows:?}");
    }
    assert_eq!(sorted.npartitions().unwrap(), 1);
}

#[test]
fn rows_of_many_mebibytes_are_sorted_in_a_small_budget() {
    let text = "x".repeat(9 << 20);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![&*text; 3]));
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![2, 1, 2]));
    let place: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2]));
    let batch = RecordBatch::try_from_iter([("text", texts), ("key", keys), ("place", place)]);
    let batch = batch.unwrap();
    let small = session(1, ByteSize::mib(32));
    let frame = small.from_batches(batch.schema(), [batch]).unwrap();
    let mut found = Vec::new();
    let sorted = frame.sort_values(["key"]).unwrap();
    let report = sorted.for_each_batch(|batch| {
        found.extend(places(&rows_of([&batch.project(&[2]).unwrap()])));
        Ok(())
    });
    assert!(report.unwrap().spilled_bytes > 0);
    assert_eq!(found, [1, 0, 2]);
}

#[test]
fn what_follows_a_sort_and_stands_before_it_keeps_its_meaning() {
    let batch = table(900, 5);
    let by = [SortBy::from("heavy"), SortBy::descending("many")];
    let frame = frame(&batch, 100, 2, ByteSize::mib(64));
    let sorted = frame.sort_values(by.clone()).unwrap();
    let wanted = sorted_places(&batch, &by);

    let first = sorted.head(20).unwrap().into_batches();
    assert_eq!(places(&rows_of(&first)), wanted[..20]);
    let last = sorted.tail(20).unwrap().into_batches();
    assert_eq!(places(&rows_of(&last)), wanted[880..]);
    let few = sorted
        .filter("place % 3 = 0")
        .unwrap()
        .select(["place"])
        .unwrap();
    let few = few.compute().unwrap();
    assert_eq!(few.report().rows - few.report().filtered, 300);
    let found = places(&rows_of(&few.into_batches()));
    let thirds: Vec<i64> = wanted
        .iter()
        .copied()
        .filter(|place| place % 3 == 0)
        .collect();
    assert_eq!(found, thirds);
    let limited = sorted.limit(50).filter("place % 3 = 0").unwrap();
    let of_limited = wanted[..50].iter().copied().filter(|place| place % 3 == 0);
    assert_eq!(
        places(&rows_of(&limited.to_batches().unwrap())),
        of_limited.collect::<Vec<_>>()
    );
    // Sorted again by less, rows that are equal now keep the order they had.
    let again = sorted.sort_values(["text"]).unwrap();
    let mut rows = rows_of([&computed(&sorted)]);
    rows.sort_by(|a, b| row_cmp(a, b, &["text".into()]));
    assert_eq!(places(&rows_of([&computed(&again)])), places(&rows));
    assert_eq!(
        sorted
            .groupby(["heavy"])
            .unwrap()
            .size()
            .unwrap()
            .count()
            .unwrap(),
        {
            let mut keys: Vec<_> = rows
                .iter()
                .map(|row| row.get("heavy").and_then(Cell::int))
                .collect();
            keys.sort_unstable();
            keys.dedup();
            keys.len() as u64
        }
    );
}

#[test]
fn text_is_sorted_by_the_types_that_all_of_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.json");
    // Whole numbers, then fractions; `late` is in the last rows only.
    let mut lines = String::new();
    for n in 0..3_000_i64 {
        let key = n * 7_919 % 3_001;
        let line = match n {
            0..1_500 => format!("{{\"key\":{key},\"place\":{n}}}\n"),
            1_500..2_900 => format!("{{\"key\":{key}.5,\"place\":{n}}}\n"),
            _ => format!("{{\"key\":{key},\"late\":{},\"place\":{n}}}\n", -n),
        };
        lines.push_str(&line);
    }
    std::fs::write(&path, &lines).unwrap();
    let by = [SortBy::descending("late").nulls_first(), "key".into()];
    let mut wanted: Vec<(Option<i64>, f64, i64)> = (0..3_000_i64)
        .map(|n| {
            let key = (n * 7_919 % 3_001) as f64;
            match n {
                0..1_500 => (None, key, n),
                1_500..2_900 => (None, key + 0.5, n),
                _ => (Some(-n), key, n),
            }
        })
        .collect();
    wanted.sort_by(|a, b| match (a.0, b.0) {
        (None, None) => a.1.total_cmp(&b.1),
        (a, b) => b.is_none().cmp(&a.is_none()).then(b.cmp(&a)),
    });
    let wanted: Vec<i64> = wanted.into_iter().map(|row| row.2).collect();
    for threads in [1, 5] {
        let session = session(threads, ByteSize::mib(64));
        let frame = session.read_json(read(&path), Default::default()).unwrap();
        let known = frame.sort_values(["key"]).unwrap();
        assert_eq!(known.count().unwrap(), 3_000);
        let late = frame.sort_values(by.clone()).unwrap();
        assert_eq!(places(&rows_of(&late.to_batches().unwrap())), wanted);
    }
}

fn read(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn columns_without_order_or_name_are_refused_at_once() {
    let batch = table(3, 1);
    let frame = frame(&batch, 3, 1, ByteSize::mib(64));
    let error = frame.sort_values(["heavi"]).unwrap_err().to_string();
    assert!(error.contains("heavy"), "{error}");
    assert!(frame.sort_values(Vec::<SortBy>::new()).is_err());
    let explained = frame
        .sort_values([SortBy::descending("many")])
        .unwrap()
        .explain()
        .to_string();
    assert!(explained.contains("sort by many desc"), "{explained}");
}
