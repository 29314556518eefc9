//! Two frames by key: the rows of a nested loop, in its order, whatever the
//! types of keys, the cuts, the threads and the memory.

mod oracle;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_cast::cast;
use arrow_select::concat::concat_batches;
use oracle::merge::merged;
use windrow::arrow::array::builder::{Int64Builder, ListBuilder};
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StructArray,
    new_null_array,
};
use windrow::arrow::schema::{DataType, Field, TimeUnit};
use windrow::expr::{col, count, lit};
use windrow::{By, ByteSize, DataFrame, Keep, MergeHow, MergeOptions, Session, Settings, Table};

const HOWS: [MergeHow; 7] = [
    MergeHow::Inner,
    MergeHow::Left,
    MergeHow::Right,
    MergeHow::Outer,
    MergeHow::Semi,
    MergeHow::Anti,
    MergeHow::Cross,
];

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n.max(1)
    }

    /// Codes of keys: few, so that they meet; some are null.
    fn codes(&mut self, n_rows: usize, n_codes: usize) -> Vec<Option<i64>> {
        let code = |random: &mut Self| match random.below(8) {
            0 => None,
            _ => Some(random.below(n_codes) as i64),
        };
        (0..n_rows).map(|_| code(self)).collect()
    }
}

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        ..Settings::default()
    })
}

/// How codes are written as keys of one type: two codes are equal as keys if
/// they are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Keys {
    Int(&'static DataType),
    /// NaN, and zeros of both signs.
    Odd,
    Text,
    Labels,
    Truth,
    Seconds,
    Millis,
    Struct,
    List,
    Nothing,
}

use Keys::{Int, Labels, List, Millis, Nothing, Odd, Seconds, Struct, Text, Truth};

const CENTS: DataType = DataType::Decimal128(12, 2);

impl Keys {
    fn n_codes(self) -> usize {
        if self == Truth { 2 } else { 9 }
    }

    fn column(self, codes: &[Option<i64>]) -> ArrayRef {
        let ints: ArrayRef = Arc::new(Int64Array::from(codes.to_vec()));
        let texts = || -> ArrayRef {
            let text = |code: i64| match code {
                0 => String::new(),
                1 => "a".to_owned(),
                2 => "a\0".to_owned(),
                code if code < 6 => format!("the same first bytes, {code}"),
                code => format!("twelve bytes{}", "x".repeat(code as usize - 6)),
            };
            Arc::new(
                codes
                    .iter()
                    .map(|code| code.map(text))
                    .collect::<StringArray>(),
            )
        };
        let odd = |row: usize, code: i64| match code {
            0 if row.is_multiple_of(2) => -0.0,
            1 => f64::from_bits(f64::NAN.to_bits() + (row as u64 % 3)),
            code => code as f64 / 2.0,
        };
        let as_time = |unit: TimeUnit, factor: i64| {
            let scaled = codes
                .iter()
                .map(|code| code.map(|code| (code - 4) * factor));
            let ticks: ArrayRef = Arc::new(scaled.collect::<Int64Array>());
            cast(&ticks, &DataType::Timestamp(unit, None)).unwrap()
        };
        match self {
            Int(data_type) => cast(&ints, data_type).unwrap(),
            Odd => {
                let numbered = codes.iter().enumerate();
                let values = numbered.map(|(row, code)| code.map(|code| odd(row, code)));
                Arc::new(values.collect::<Float64Array>())
            }
            Text => texts(),
            Labels => cast(
                &texts(),
                &DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8)),
            )
            .unwrap(),
            Truth => {
                let values = codes.iter().map(|code| code.map(|code| code == 1));
                Arc::new(values.collect::<BooleanArray>())
            }
            Seconds => as_time(TimeUnit::Second, 1),
            Millis => as_time(TimeUnit::Millisecond, 1000),
            Struct => {
                let fields = vec![Field::new("id", DataType::Int64, true)];
                let nulls = codes.iter().map(Option::is_some).collect::<Vec<_>>();
                Arc::new(StructArray::new(
                    fields.into(),
                    vec![ints],
                    Some(nulls.into()),
                ))
            }
            List => {
                let mut lists = ListBuilder::new(Int64Builder::new());
                for code in codes {
                    lists.append_option(code.map(|code| (0..code % 3).chain([code]).map(Some)));
                }
                Arc::new(lists.finish())
            }
            Nothing => new_null_array(&DataType::Null, codes.len()),
        }
    }
}

/// One side: its keys, and the number of each row.
struct SideRows {
    keys: Vec<(Keys, Vec<Option<i64>>)>,
    n_rows: usize,
}

impl SideRows {
    fn new(random: &mut Random, n_rows: usize, kinds: &[Keys]) -> Self {
        let keys = kinds
            .iter()
            .map(|kind| (*kind, random.codes(n_rows, kind.n_codes())))
            .map(|(kind, codes)| match kind {
                Nothing => (kind, vec![None; n_rows]),
                _ => (kind, codes),
            });
        SideRows {
            keys: keys.collect(),
            n_rows,
        }
    }

    /// A frame of batches that are cut anywhere, some of them empty.
    fn frame(&self, random: &mut Random, session: &Session, number: &str) -> DataFrame {
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (idx, (kind, codes)) in self.keys.iter().enumerate() {
            columns.push((format!("k{idx}"), kind.column(codes)));
        }
        let numbers = Int64Array::from_iter_values(0..self.n_rows as i64);
        columns.push(("same".to_owned(), Arc::new(numbers.clone())));
        columns.push((number.to_owned(), Arc::new(numbers)));
        let whole = RecordBatch::try_from_iter_with_nullable(
            columns
                .into_iter()
                .map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        let mut batches = Vec::new();
        let mut from = 0;
        while from < whole.num_rows() || batches.is_empty() {
            let most = random.below(20) * random.below(4);
            let rows = most.min(whole.num_rows() - from);
            batches.push(whole.slice(from, rows));
            from += rows;
        }
        session.from_batches(whole.schema(), batches).unwrap()
    }
}

/// The numbers of rows in a column, all partitions in order; nothing if it is not there.
fn numbers(rows: &[RecordBatch], name: &str) -> Vec<Option<usize>> {
    let number = |batch: &RecordBatch| match batch.column_by_name(name) {
        Some(column) => column
            .as_primitive::<Int64Type>()
            .iter()
            .map(|n| n.map(|n| n as usize))
            .collect::<Vec<_>>(),
        None => vec![None; batch.num_rows()],
    };
    rows.iter().flat_map(number).collect()
}

/// Merges random sides in every way, and compares with the nested loop.
fn check(kinds: &[(Keys, Keys)], sizes: (usize, usize), seed: u64, change: &[Change]) {
    let mut random = Random(seed);
    let (left_kinds, right_kinds): (Vec<Keys>, Vec<Keys>) = kinds.iter().copied().unzip();
    let left = SideRows::new(&mut random, sizes.0, &left_kinds);
    let right = SideRows::new(&mut random, sizes.1, &right_kinds);
    for how in HOWS {
        for nulls_match in [false, true] {
            let meet = |l: usize, r: usize| {
                let pairs = left.keys.iter().zip(&right.keys);
                pairs.into_iter().all(|((_, of_left), (_, of_right))| {
                    match (of_left[l], of_right[r]) {
                        (None, None) => nulls_match,
                        (l, r) => l == r,
                    }
                })
            };
            let wanted = merged(how, left.n_rows, right.n_rows, &meet);
            for (threads, change) in [1, 2, 5].into_iter().zip(change.iter().cycle()) {
                let session = session(threads);
                let keys: Vec<String> = (0..kinds.len()).map(|idx| format!("k{idx}")).collect();
                let options = match how {
                    MergeHow::Cross => MergeOptions::cross(),
                    how => MergeOptions::on(keys).how(how).nulls_match(nulls_match),
                };
                let of_left = left.frame(&mut random, &session, "l");
                let of_right = right.frame(&mut random, &session, "r");
                let frame = of_left.merge(&of_right, change(options)).unwrap();
                let table = frame.compute().unwrap();
                assert_eq!(table.schema(), frame.schema().unwrap());
                let rows = table.into_batches();
                let of_left = numbers(&rows, "l").into_iter();
                let found: Vec<_> = of_left.zip(numbers(&rows, "r")).collect();
                assert_eq!(found, wanted, "{how} {kinds:?} {nulls_match} {threads}");
                check_keys(&rows, &found, (&left, &right), how);
            }
        }
    }
}

/// Changes options in a way that must not change the rows.
type Change = fn(MergeOptions) -> MergeOptions;

/// Keys that come out are those of the row of the side that has one.
fn check_keys(
    batches: &[RecordBatch],
    found: &[(Option<usize>, Option<usize>)],
    sides: (&SideRows, &SideRows),
    how: MergeHow,
) {
    if how == MergeHow::Cross {
        return;
    }
    let mut row = 0;
    for batch in batches {
        for (idx, (kind, of_left)) in sides.0.keys.iter().enumerate() {
            let (right_kind, of_right) = &sides.1.keys[idx];
            if kind != right_kind || *kind == Odd {
                continue;
            }
            let codes = found[row..row + batch.num_rows()].iter();
            let codes = codes.map(|(l, r)| match (l, r) {
                (Some(l), _) => of_left[*l],
                (None, Some(r)) => of_right[*r],
                (None, None) => None,
            });
            let wanted = kind.column(&codes.collect::<Vec<_>>());
            let column = batch.column_by_name(&format!("k{idx}")).unwrap();
            let plain = |column: &ArrayRef| match column.data_type() {
                DataType::Dictionary(_, values) => cast(column, values).unwrap(),
                _ => column.clone(),
            };
            assert_eq!(&plain(column), &plain(&wanted), "{how} {kind:?}");
        }
        row += batch.num_rows();
    }
}

/// Held whole, or with hashes of which few bits are left.
const WHOLE: [Change; 3] = [
    |options| options,
    |options| options.hash_mask(0),
    |options| options.hash_mask(0x7 << 61),
];

/// Cut into buckets by key, and those into blocks of some rows, or of one batch.
const CUT: [Change; 3] = [
    |options| options.hold(ByteSize::new(0)),
    |options| options.hold(ByteSize::new(300)),
    |options| options.hold(ByteSize::new(1500)).hash_mask(0),
];

const INT8: Keys = Int(&DataType::Int8);
const INT64: Keys = Int(&DataType::Int64);
const UINT64: Keys = Int(&DataType::UInt64);
const FLOAT: Keys = Int(&DataType::Float64);
const HALVES: Keys = Int(&DataType::Float32);
const MONEY: Keys = Int(&CENTS);
const DAYS: Keys = Int(&DataType::Date64);

#[test]
fn keys_of_every_type_give_the_rows_of_a_nested_loop() {
    let kinds = [
        INT8, INT64, UINT64, FLOAT, HALVES, MONEY, DAYS, Odd, Text, Labels, Truth, Seconds, Struct,
        List,
    ];
    for (seed, kind) in kinds.into_iter().enumerate() {
        check(&[(kind, kind)], (40, 30), seed as u64, &WHOLE);
        check(&[(kind, kind)], (40, 30), seed as u64, &CUT);
    }
}

#[test]
fn keys_of_different_types_meet_by_value() {
    let pairs = [
        (INT8, INT64),
        (INT64, UINT64),
        (UINT64, FLOAT),
        (HALVES, INT8),
        (FLOAT, HALVES),
        (MONEY, INT64),
        (Labels, Text),
        (Seconds, Millis),
        (INT64, Nothing),
        (Nothing, Text),
    ];
    for (seed, (left, right)) in pairs.into_iter().enumerate() {
        check(&[(left, right)], (30, 40), 100 + seed as u64, &WHOLE);
        check(&[(left, right)], (30, 40), 200 + seed as u64, &CUT);
    }
}

#[test]
fn several_keys_meet_together() {
    check(&[(INT64, INT8), (Truth, Truth)], (60, 60), 7, &WHOLE);
    check(&[(Text, Text), (INT64, FLOAT)], (60, 60), 8, &WHOLE);
    check(&[(Truth, Truth), (Odd, Odd)], (60, 60), 9, &WHOLE);
    check(&[(Text, Text), (INT64, FLOAT)], (60, 60), 8, &CUT);
    check(
        &[(Labels, Text), (Truth, Truth), (Seconds, Millis)],
        (60, 60),
        10,
        &WHOLE,
    );
}

#[test]
fn a_side_without_rows_is_a_side() {
    for sizes in [(0, 0), (0, 20), (20, 0)] {
        check(&[(INT64, INT64)], sizes, 11, &WHOLE);
        check(&[(Text, Text)], sizes, 12, &WHOLE);
        check(&[(INT64, INT64)], sizes, 13, &CUT);
    }
}

/// Rows of a number, a key and a text: half of the keys are one.
fn wide(session: &Session, n_rows: i64, name: &str) -> DataFrame {
    let key = |n: i64| if n % 2 == 0 { 7 } else { n * 31 % 20_011 };
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values((0..n_rows).map(key)));
    let texts = (0..n_rows).map(|n| format!("{n:>150}"));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n_rows));
    let columns = [("k", keys), ("text", texts), (name, numbers)];
    let whole = RecordBatch::try_from_iter(columns).unwrap();
    let pieces = (0..n_rows as usize).step_by(5_000);
    let pieces = pieces.map(|from| whole.slice(from, 5_000.min(n_rows as usize - from)));
    session.from_batches(whole.schema(), pieces).unwrap()
}

#[test]
fn sides_larger_than_the_memory_are_spilled_and_give_the_same_rows() {
    let merged = |memory: ByteSize, threads: usize, how: MergeHow| {
        let session = Session::new(Settings {
            threads,
            memory,
            ..Settings::default()
        });
        let many = wide(&session, 130_000, "l");
        // The key that half of the left rows have is met by few of the right ones.
        let few = wide(&session, 120_000, "r")
            .filter("k <> 7 or r < 4")
            .unwrap();
        let options = MergeOptions::on(["k"]).how(how);
        let frame = many.merge(&few, options).unwrap();
        let frame = frame.select(["k", "l", "r", "text_y"]).unwrap();
        let mut rows: Vec<(Option<usize>, Option<usize>)> = Vec::new();
        let report = frame
            .for_each_batch(|batch| {
                let batch = [batch];
                rows.extend(numbers(&batch, "l").into_iter().zip(numbers(&batch, "r")));
                Ok(())
            })
            .unwrap();
        (rows, report.spilled_bytes)
    };
    for (how, threads) in [(MergeHow::Inner, 5), (MergeHow::Outer, 1)] {
        let (wanted, spilled) = merged(ByteSize::gib(1), 2, how);
        assert_eq!(spilled, 0);
        let (found, spilled) = merged(ByteSize::mib(32), threads, how);
        assert!(found == wanted, "{how} in {threads} threads");
        assert!(spilled > 1 << 20, "{spilled}");
    }
}

/// Rows of a number and a key, 5,000 to a batch; `hot` of them have the key 7 as
/// every second row, other keys come up to 20,011.
fn narrow(session: &Session, n_rows: i64, hot: bool, name: &str) -> DataFrame {
    let key = |n: i64| {
        if hot && n % 2 == 0 {
            7
        } else {
            n * 31 % 20_011
        }
    };
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values((0..n_rows).map(key)));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n_rows));
    let whole = RecordBatch::try_from_iter([("k", keys), (name, numbers)]).unwrap();
    let pieces = (0..n_rows as usize).step_by(5_000);
    let pieces = pieces.map(|from| whole.slice(from, 5_000.min(n_rows as usize - from)));
    session.from_batches(whole.schema(), pieces).unwrap()
}

#[test]
fn no_task_of_many_rows_has_more_than_half_as_much_again_as_the_mean() {
    // Enough rows in each of about eight buckets that none is too small to be shared out.
    let many = 240_000;
    for (how, few, hold, left_is_hot) in [
        (MergeHow::Outer, 10_000, ByteSize::kib(80), true),
        (MergeHow::Outer, 60_000, ByteSize::kib(1_900), false),
    ] {
        let session = session(2);
        let (of_left, of_right) = if left_is_hot {
            (many, few)
        } else {
            (few, many)
        };
        let left = narrow(&session, of_left, left_is_hot, "l");
        let right = narrow(&session, of_right, !left_is_hot, "r");
        let merged = left.merge(&right, MergeOptions::on(["k"]).how(how).hold(hold));
        let table = merged.unwrap().compute().unwrap();
        let stage = &table.report().stages[0];
        let Some(tasks) = &stage.tasks else {
            panic!("{}", table.report());
        };
        let mean = tasks.rows as f64 / tasks.tasks as f64;
        assert!(tasks.tasks > 8 && mean > 8_192.0, "{how}: {tasks:?}");
        assert!(tasks.largest_rows as f64 <= 1.5 * mean, "{how}: {tasks:?}");
        assert_eq!(stage.hot_keys[0].value, "7");
    }
}

#[test]
fn a_hot_key_of_sides_that_were_shuffled_and_spilled_is_shared_by_tasks() {
    let session = |mib: u64| {
        Session::new(Settings {
            threads: 2,
            memory: ByteSize::mib(mib),
            ..Settings::default()
        })
    };
    let merged = |session: &Session| {
        let left = narrow(session, 1_200_000, true, "l")
            .shuffle(["k"], 9)
            .unwrap();
        let right = narrow(session, 1_000_000, false, "r").filter("k != 7 or r < 300000");
        let right = right.unwrap().shuffle(["k"], 9).unwrap();
        let semi = MergeOptions::on(["k"])
            .how(MergeHow::Semi)
            .hold(ByteSize::mib(1));
        let merged = left.merge(&right, semi).unwrap();
        let sum = merged.agg([count(), col("l").sum().alias("sum")]).unwrap();
        let table = sum.compute().unwrap();
        let report = table.report().clone();
        (table.to_string(), report)
    };
    let (wanted, _) = merged(&session(1024));
    let (found, report) = merged(&session(32));
    assert_eq!(found, wanted);
    assert!(report.spilled_bytes > 0, "{report}");
    let stage = report
        .stages
        .iter()
        .find(|stage| stage.name == "merge")
        .unwrap();
    let tasks = stage.tasks.as_ref().unwrap();
    let mean = tasks.rows as f64 / tasks.tasks as f64;
    assert!(tasks.tasks > 8, "{report}");
    assert!(
        tasks.largest_rows as f64 <= (1.5 * mean).max(65_536.0),
        "{report}"
    );
    assert_eq!(stage.hot_keys[0].value, "7", "{report}");
}

#[test]
fn a_key_with_half_of_the_rows_is_shared_by_tasks_and_reported() {
    let (many, few) = (50_000, 10_000);
    for (how, hold, left_is_hot) in [
        (MergeHow::Outer, ByteSize::kib(8), true),
        (MergeHow::Outer, ByteSize::kib(140), true),
        (MergeHow::Semi, ByteSize::kib(4), true),
        (MergeHow::Left, ByteSize::kib(80), false),
        (MergeHow::Outer, ByteSize::kib(700), false),
        (MergeHow::Anti, ByteSize::kib(140), false),
    ] {
        let rows = |options: MergeOptions, threads: usize| {
            let session = session(threads);
            let sizes = if left_is_hot {
                (many, few)
            } else {
                (few, many)
            };
            let left = narrow(&session, sizes.0, left_is_hot, "l");
            let right = narrow(&session, sizes.1, !left_is_hot, "r");
            let table = left.merge(&right, options.how(how)).unwrap();
            let table = table.compute().unwrap();
            let stage = table.report().stages[0].clone();
            let batches = table.into_batches();
            (numbers(&batches, "l"), numbers(&batches, "r"), stage)
        };
        let (l, r, stage) = rows("k".into(), 2);
        assert_eq!((stage.shuffles, stage.hot_keys.len()), (0, 0));
        for threads in [1, 2] {
            let (cut_l, cut_r, stage) = rows(MergeOptions::on(["k"]).hold(hold), threads);
            assert!(l == cut_l && r == cut_r, "{how} {hold} {left_is_hot}");
            let tasks = stage.tasks.unwrap();
            assert_eq!((stage.shuffles, tasks.rows >= many as u64), (1, true));
            let mean = tasks.rows / tasks.tasks;
            let least = 1 << 13;
            let most = (mean * 3 / 2).max(least);
            assert!(tasks.largest_rows <= most, "{how} {hold}: {tasks:?}");
            let hot = &stage.hot_keys[0];
            assert_eq!(
                (&hot.columns[..], &*hot.value),
                (&["k".to_owned()][..], "7")
            );
            let half = many as u64 / 2;
            assert!(
                (half * 9 / 10..half * 11 / 10).contains(&hot.rows),
                "{hot:?}"
            );
            assert!(hot.tasks > 1, "{hot:?}");
        }
    }
}

/// The side whose order counts is small, and the other one streams past it.
const FEW: [Change; 1] = [|options| options.hold(ByteSize::kib(1))];

#[test]
fn a_large_side_streams_past_a_small_one_whose_order_counts() {
    for (seed, kind) in [INT64, Odd, Text].into_iter().enumerate() {
        for sizes in [(5, 500), (500, 5), (0, 500)] {
            check(&[(kind, kind)], sizes, 300 + seed as u64, &FEW);
        }
    }
    check(&[(INT8, FLOAT), (Text, Text)], (6, 600), 320, &FEW);
    let session = session(2);
    let few = narrow(&session, 20, false, "l");
    let many = narrow(&session, 20_000, false, "r");
    for how in [
        MergeHow::Inner,
        MergeHow::Left,
        MergeHow::Outer,
        MergeHow::Semi,
    ] {
        let options = MergeOptions::on(["k"]).how(how).hold(ByteSize::kib(1));
        let merged = few.merge(&many, options).unwrap();
        let plan = merged.explain().to_string();
        assert!(
            plan.contains("right rows stream past all left ones"),
            "{plan}"
        );
        let report = merged.compute().unwrap().report().clone();
        let way = report.stages[0].way.clone().unwrap();
        assert!(way.starts_with("left rows (320 B) held"), "{way}");
        assert_eq!(report.stages[0].shuffles, 0);
    }
}

#[test]
fn frames_with_one_index_go_side_by_side_and_give_the_rows_of_a_held_side() {
    let kinds = [
        (INT64, INT64),
        (INT8, INT64),
        (Odd, Odd),
        (Text, Text),
        (Seconds, Seconds),
    ];
    for (seed, (of_left, of_right)) in kinds.into_iter().enumerate() {
        let mut random = Random(400 + seed as u64);
        let left = SideRows::new(&mut random, 150, &[of_left]);
        let right = SideRows::new(&mut random, 200, &[of_right]);
        for how in HOWS.into_iter().filter(|how| *how != MergeHow::Cross) {
            let nulls_match = seed % 2 == 0;
            let mut merged = |threads: usize, hold: Option<ByteSize>| {
                let session = session(threads);
                let left = left
                    .frame(&mut random, &session, "l")
                    .set_index("k0")
                    .unwrap();
                let right = right
                    .frame(&mut random, &session, "r")
                    .set_index("k0")
                    .unwrap();
                let mut options = MergeOptions::on(["k0"]).how(how).nulls_match(nulls_match);
                if let Some(hold) = hold {
                    options = options.hold(hold);
                }
                let frame = left.merge(&right, options).unwrap();
                let beside = frame.explain().to_string().contains("go side by side");
                assert_eq!(beside, hold.is_some() && how != MergeHow::Outer, "{how}");
                assert_eq!(frame.index().is_some(), how != MergeHow::Outer);
                let table = frame.compute().unwrap();
                let stages = table.report().stages.iter();
                let shuffles: Vec<u64> = stages.map(|stage| stage.shuffles).collect();
                let rows = table.into_batches();
                let pairs = numbers(&rows, "l").into_iter().zip(numbers(&rows, "r"));
                (pairs.collect::<Vec<_>>(), shuffles)
            };
            let (wanted, shuffles) = merged(2, None);
            assert_eq!(
                shuffles,
                [1, 1, 0],
                "two are sorted, and none is moved again"
            );
            for (threads, hold) in [(1, 1_500), (2, 1_000), (5, 500), (2, 1)] {
                let (found, shuffles) = merged(threads, Some(ByteSize::new(hold)));
                assert_eq!(found, wanted, "{how} {of_left:?} {threads} {hold}");
                let by_key = u64::from(how == MergeHow::Outer);
                assert_eq!(shuffles, [1, 1, by_key], "{how}");
            }
        }
    }
}

#[test]
fn sorted_rows_that_turn_out_to_be_too_many_to_be_held_go_side_by_side() {
    let mut random = Random(500);
    let sides = [100, 200].map(|rows| SideRows::new(&mut random, rows, &[INT64]));
    let session = session(2);
    let left = sides[0].frame(&mut random, &session, "l");
    let right = sides[1].frame(&mut random, &session, "r");
    // Nobody knows beforehand how many rows differ: fewer are expected.
    let right = right.drop_duplicates(["k0", "r"], Keep::First).unwrap();
    let right = right.set_index("k0").unwrap();
    let left = left.set_index("k0").unwrap();
    let merged = |options: MergeOptions| {
        let table = left.merge(&right, options).unwrap().compute().unwrap();
        let way = table.report().stages.last().unwrap().way.clone().unwrap();
        let rows = table.into_batches();
        (numbers(&rows, "l"), numbers(&rows, "r"), way)
    };
    let (l, r, way) = merged("k0".into());
    assert!(
        way.starts_with("right rows") && way.contains(") held"),
        "{way}"
    );
    let cut = MergeOptions::on(["k0"]).hold(ByteSize::new(2_000));
    let plan = left
        .merge(&right, cut.clone())
        .unwrap()
        .explain()
        .to_string();
    assert!(plan.contains("or side by side by k0"), "{plan}");
    let (cut_l, cut_r, way) = merged(cut);
    assert_eq!((cut_l, cut_r), (l, r));
    assert_eq!(way, "side by side by k0, as both are sorted");
}

#[test]
fn a_sorted_frame_goes_side_by_side_with_itself() {
    let mut random = Random(550);
    let side = SideRows::new(&mut random, 400, &[INT64]);
    for threads in [1, 2] {
        let session = session(threads);
        let frame = side
            .frame(&mut random, &session, "l")
            .set_index("k0")
            .unwrap();
        let numbers_of = |options: MergeOptions| {
            let merged = frame.merge(&frame.rename([("l", "r")]).unwrap(), options);
            let rows = merged.unwrap().compute().unwrap().into_batches();
            (numbers(&rows, "l"), numbers(&rows, "r"))
        };
        let cut = MergeOptions::on(["k0"]).hold(ByteSize::new(1_000));
        assert_eq!(numbers_of(cut), numbers_of("k0".into()));
    }
}

#[test]
fn frames_in_partitions_by_key_go_side_by_side_and_at_most_one_is_moved() {
    let kinds = [(INT64, INT64), (INT8, INT64), (Text, Text)];
    for (seed, (of_left, of_right)) in kinds.into_iter().enumerate() {
        let mut random = Random(600 + seed as u64);
        let left = SideRows::new(&mut random, 150, &[of_left, Truth]);
        let right = SideRows::new(&mut random, 150, &[of_right, Truth]);
        for how in HOWS.into_iter().filter(|how| *how != MergeHow::Cross) {
            let mut merged = |threads: usize, hold: u64, both: bool| {
                let session = session(threads);
                let keys = || ["k0", "k1"];
                let left = left
                    .frame(&mut random, &session, "l")
                    .shuffle(keys(), 7)
                    .unwrap();
                let right = right
                    .frame(&mut random, &session, "r")
                    .shuffle(["k0", "k1"], 7);
                let right = match (both, how) {
                    (true, _) => (left, right.unwrap()),
                    // The side whose order does not count has no partitions by key.
                    (false, MergeHow::Right) => (left.sort_values(["l"]).unwrap(), right.unwrap()),
                    (false, _) => (left, right.unwrap().sort_values(["r"]).unwrap()),
                };
                let (left, right) = right;
                let options = MergeOptions::on(keys()).how(how).hold(ByteSize::new(hold));
                let frame = left.merge(&right, options).unwrap();
                let table = frame.compute().unwrap();
                let stage = table.report().stages.last().unwrap().clone();
                assert_eq!(stage.name, "merge");
                let rows = table.into_batches();
                let pairs = numbers(&rows, "l").into_iter().zip(numbers(&rows, "r"));
                (
                    pairs.collect::<Vec<_>>(),
                    stage.shuffles,
                    stage.way.unwrap(),
                )
            };
            for both in [true, false] {
                let (wanted, shuffles, _) = merged(2, 1 << 30, both);
                assert_eq!(shuffles, 0);
                for (threads, hold) in [(1, 1_500), (2, 1_000), (5, 100)] {
                    let (found, shuffles, way) = merged(threads, hold, both);
                    assert_eq!(found, wanted, "{how} {of_left:?} {threads} {hold}");
                    if how == MergeHow::Outer {
                        continue;
                    }
                    let moves = u64::from(!both);
                    assert_eq!(shuffles, moves, "{how} {both} {way}");
                    let there = if moves == 0 {
                        "both lie"
                    } else {
                        "one side lies"
                    };
                    assert!(way.ends_with(there), "{way}");
                }
            }
        }
    }
}

#[test]
fn indexed_files_are_merged_in_little_memory_without_a_shuffle() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(2);
    let n = 200_000;
    let written = |name: &str, factor: i64| {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values((0..n).map(|n| n / factor)));
        // Digits that do not shrink much when they are stored.
        let mut random = Random(7);
        let mut digits = || random.below(1 << 30);
        let texts = (0..n).map(|_| {
            format!(
                "{:09}{:09}{:09}{:09}",
                digits(),
                digits(),
                digits(),
                digits()
            )
        });
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let whole = RecordBatch::try_from_iter([("k", keys), (name, texts)]).unwrap();
        let path = dir.path().join(name);
        let frame = session.from_batches(whole.schema(), [whole]).unwrap();
        frame.set_index("k").unwrap().to_parquet(&path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (left, right) = (written("a", 1), written("b", 2));
    let session = Session::new(Settings {
        threads: 2,
        memory: ByteSize::mib(64),
        ..Settings::default()
    });
    let read = |path: &str| session.read_parquet(path).unwrap();
    let options = MergeOptions::on(["k"]).hold(ByteSize::mib(8));
    let merged = read(&left).merge(&read(&right), options).unwrap();
    assert_eq!(merged.index().as_deref(), Some("k"));
    let mut rows = 0;
    let report = merged.for_each_batch(|batch| {
        let keys = batch.column(0).as_primitive::<Int64Type>();
        for (row, key) in (rows..).zip(keys.values()) {
            assert_eq!(*key, row / 2);
        }
        rows += batch.num_rows() as i64;
        Ok(())
    });
    let report = report.unwrap();
    let found = (rows, report.stages[0].shuffles, report.spilled_bytes);
    assert_eq!(found, (n, 0, 0), "{}", report.peak_bytes);
}

#[test]
fn row_groups_that_no_key_reaches_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(2);
    let n = 400_000;
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..n).map(|n| format!("{n:07}")),
    ));
    let whole = RecordBatch::try_from_iter([("k", keys), ("name", names)]).unwrap();
    let whole = session.from_batches(whole.schema(), [whole]).unwrap();
    let even = whole.repartition(By::Rows(50_000)).unwrap();
    even.to_parquet(dir.path().join("out")).unwrap();
    let many = session
        .read_parquet(dir.path().join("out").to_str().unwrap())
        .unwrap();
    let few = whole.filter("k >= 120000 and k < 120010").unwrap();
    for key in ["k", "name"] {
        let table = many.merge(&few, key).unwrap().compute().unwrap();
        assert_eq!(table.num_rows(), 10);
        assert!(table.report().skipped_row_groups >= 7, "{}", table.report());
    }
    // What no key reaches comes out of a left merge, and nothing of an inner one with nothing.
    let left = many
        .merge(&few, MergeOptions::on(["k"]).how(MergeHow::Left))
        .unwrap();
    assert_eq!(
        left.filter("name_y is null").unwrap().count().unwrap(),
        n as u64 - 10
    );
    let none = many.merge(&few.filter("k < 0").unwrap(), "k").unwrap();
    assert_eq!(none.count().unwrap(), 0);
}

#[test]
fn text_is_merged_with_the_columns_and_types_that_only_its_end_shows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("late.json");
    let line = |n: usize| match n {
        0..5_000 => format!("{{\"id\":{},\"same\":{n}}}\n", n % 100),
        _ => format!("{{\"id\":{}.5,\"same\":{n},\"late\":{n}}}\n", n % 100),
    };
    std::fs::write(&path, (0..6_000).map(line).collect::<String>()).unwrap();
    let session = session(2);
    let logs = session
        .read_json(path.to_str().unwrap(), Default::default())
        .unwrap();
    let ids: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 7.5, 7.5]));
    let late: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let few = RecordBatch::try_from_iter([("id", ids), ("late", late)]).unwrap();
    let few = session.from_batches(few.schema(), [few]).unwrap();
    for (left, right, late) in [(&logs, &few, "late_x"), (&few, &logs, "late_y")] {
        let merged = left.merge(right, "id").unwrap().compute().unwrap();
        // 50 times id 1, and 10 times id 7.5, which has two partners.
        assert_eq!(merged.num_rows(), 70);
        let batches = merged.into_batches();
        let found = numbers(&batches, late).into_iter().flatten().count();
        assert_eq!(found, 20, "{late} of {}", batches[0].schema());
    }
}

#[test]
fn a_merge_that_means_nothing_is_refused_before_anything_is_read() {
    let session = session(1);
    let frame = |name: &str, column: ArrayRef| {
        let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([(name, column), ("v", other)]).unwrap();
        session.from_batches(batch.schema(), [batch]).unwrap()
    };
    let numbers = frame("user", Arc::new(Int64Array::from(vec![1])));
    let texts = frame("user", Arc::new(StringArray::from(vec!["1"])));
    let refused = |options: MergeOptions| {
        let error = numbers.merge(&texts, options).unwrap_err();
        error.to_string()
    };
    let error = refused("user".into());
    assert!(
        error.contains("\"user\" (Int64)") && error.contains("(Utf8)"),
        "{error}"
    );
    assert_eq!(
        refused("usr".into()),
        "the left frame: there is no column \"usr\"; did you mean \"user\"?"
    );
    let only_left = MergeOptions::on_pairs(["user"], ["nobody"]).unwrap();
    assert_eq!(
        refused(only_left),
        "the right frame: there is no column \"nobody\"; there are \"user\", \"v\""
    );
    assert!(refused(MergeOptions::on(Vec::<String>::new())).contains("no keys"));
    let crossed = MergeOptions::on(["user"]).how(MergeHow::Cross);
    assert!(refused(crossed).contains("cross"));
    let same = MergeOptions::on(["v"]).suffixes("", "");
    assert!(refused(same).contains("two columns"), "user and user");
    assert!(MergeOptions::on_pairs(["a", "b"], ["a"]).is_err());
    let pairs = MergeOptions::on_pairs(["v"], ["user"]).unwrap();
    let named = numbers.merge(&numbers, pairs).unwrap();
    let schema = named.schema().unwrap();
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["user_x", "v_x", "user_y", "v_y"]);
    assert_eq!(named.count().unwrap(), 1);
}

/// How often rows were moved so that equal keys meet.
fn shuffles(table: &Table) -> u64 {
    let stages = table.report().stages.iter();
    stages.map(|stage| stage.shuffles).sum()
}

/// Numbers by keys, of which some are null and one is hot.
fn keyed(session: &Session, keys: i64, name: &str, step: i64) -> DataFrame {
    let key = |n: i64| match n % 10 {
        0 if n % 30 == 0 => None,
        1..=3 => Some(7),
        _ => Some(n * step % keys),
    };
    let k: ArrayRef = Arc::new((0..keys).map(key).collect::<Int64Array>());
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys));
    let rows = RecordBatch::try_from_iter([("k", k), (name, n)]).unwrap();
    let pieces = (0..10).map(|idx| {
        let each = keys as usize / 10;
        rows.slice(idx * each, each)
    });
    session.from_batches(rows.schema(), pieces).unwrap()
}

#[test]
fn groups_behind_a_merge_by_their_key_take_one_shuffle_in_all() {
    // Few groups or so many that they are brought together by key, of rows that none
    // was moved for, or of rows that were.
    for (keys, hold, at_most) in [
        (300_000, ByteSize::mib(64), 1),
        (300_000, ByteSize::kib(512), 1),
        (500, ByteSize::kib(4), 1),
    ] {
        let frame = |name: &str| {
            let k: ArrayRef = Arc::new(Int64Array::from_iter_values(
                (0..keys).map(|k| k * 7919 % keys),
            ));
            let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys));
            let rows = RecordBatch::try_from_iter([("k", k), (name, n)]).unwrap();
            let pieces = (0..10).map(|idx| {
                let each = keys as usize / 10;
                rows.slice(idx * each, each)
            });
            session(2).from_batches(rows.schema(), pieces).unwrap()
        };
        let merged = frame("l").merge(&frame("r"), MergeOptions::on(["k"]).hold(hold));
        let merged = merged.unwrap();
        let groups = merged.groupby(["k"]).unwrap();
        let groups = groups.agg([col("l").sum().alias("l"), col("r").sum().alias("r")]);
        let table = groups.unwrap().compute().unwrap();
        assert_eq!(table.num_rows() as i64, keys);
        assert_eq!(shuffles(&table), at_most, "{keys} keys");
        let rows = table.into_batches();
        assert_eq!(numbers(&rows, "l"), numbers(&rows, "r"));
        let all: Vec<_> = (0..keys as usize).map(Some).collect();
        assert_eq!(numbers(&rows, "l"), all);
    }
}

#[test]
fn groups_of_rows_that_a_merge_cut_by_key_are_those_of_a_held_side() {
    let aggregates = [
        vec![col("half").sum().alias("sum"), count()],
        vec![col("l").nunique().alias("n"), col("half").mean().alias("m")],
        // The order of rows counts: they are put in order first.
        vec![col("l").first().alias("a"), col("l").list().alias("b")],
    ];
    for how in HOWS.into_iter().filter(|how| *how != MergeHow::Cross) {
        let grouped = |threads: usize, hold: u64, matching: bool, by: usize| {
            let session = session(threads);
            let (left, right) = (keyed(&session, 900, "l", 7), keyed(&session, 300, "r", 11));
            let right = right.filter("r % 5 != 1").unwrap();
            let options = MergeOptions::on(["k"]).how(how).nulls_match(matching);
            let merged = left.merge(&right, options.hold(ByteSize::new(hold)));
            let some = merged.unwrap().filter("k is null or k != 14").unwrap();
            // Computed behind the merge, and the key under another name.
            let half = (col("l") / lit(2.0)).alias("half");
            let named = some.select([col("k").alias("key"), half, col("l")]);
            let groups = named.unwrap().groupby(["key"]).unwrap();
            let table = groups.agg(aggregates[by].clone()).unwrap();
            let table = table.compute().unwrap();
            let way = table.report().stages[0].way.clone().unwrap();
            let rows = table.into_batches();
            (concat_batches(&rows[0].schema(), &rows).unwrap(), way)
        };
        for (matching, by) in [(false, 0), (true, 0), (false, 1), (true, 2)] {
            let (wanted, way) = grouped(2, 1 << 30, matching, by);
            assert!(!way.contains("cut by key"), "{way}");
            for (threads, hold) in [(1, 2_000), (2, 600), (5, 100)] {
                let (found, way) = grouped(threads, hold, matching, by);
                assert!(way.contains("cut by key"), "{way}");
                assert_eq!(found, wanted, "{how} {threads} {hold} {matching} {by}");
            }
        }
    }
}

#[test]
fn groups_of_partitions_by_their_key_take_no_shuffle_of_their_own() {
    for (keys, spilled) in [(150_000, false), (3_000, false), (500_000, true)] {
        let session = Session::new(Settings {
            threads: 2,
            memory: ByteSize::mib(if spilled { 32 } else { 256 }),
            ..Settings::default()
        });
        let frame = keyed(&session, keys, "n", 7);
        let parts = frame.shuffle(["k"], 12).unwrap();
        let sums = |frame: &DataFrame| {
            let groups = frame.groupby(["k"]).unwrap();
            let groups = groups.agg([col("n").sum().alias("sum"), count()]);
            let mut sums = BTreeMap::new();
            let report = groups.unwrap().for_each_batch(|batch| {
                let column = |idx: usize| batch.column(idx).as_primitive::<Int64Type>();
                for row in 0..batch.num_rows() {
                    let key = (!column(0).is_null(row)).then(|| column(0).value(row));
                    let sum = (column(1).value(row), column(2).value(row));
                    assert_eq!(sums.insert(key, sum), None, "{key:?} comes twice");
                }
                Ok(())
            });
            let report = report.unwrap();
            let shuffles: u64 = report.stages.iter().map(|stage| stage.shuffles).sum();
            (sums, shuffles, report.spilled_bytes)
        };
        let (found, shuffles, spilled_bytes) = sums(&parts);
        assert_eq!((shuffles, spilled_bytes > 0), (1, spilled), "{keys}");
        assert!(found == sums(&frame).0);
        // Kept partitions have it behind them.
        let (kept, shuffles, _) = sums(&parts.persist().unwrap());
        assert!(kept == found && shuffles == 0, "{shuffles}");
    }
}

#[test]
fn frames_that_are_indexed_alike_are_merged_without_a_shuffle() {
    let frame = |name: &str| {
        let k: ArrayRef = Arc::new(Int64Array::from_iter_values((0..900).rev()));
        let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..900));
        let rows = RecordBatch::try_from_iter([("k", k), (name, n)]).unwrap();
        let frame = session(2).from_batches(rows.schema(), [rows]).unwrap();
        frame.set_index("k").unwrap()
    };
    let (left, right) = (frame("l"), frame("r"));
    let kept = (left.persist().unwrap(), right.persist().unwrap());
    for hold in [ByteSize::mib(64), ByteSize::new(1_000)] {
        let merged = left.merge(&right, MergeOptions::on(["k"]).hold(hold));
        let groups = merged.unwrap().groupby(["k"]).unwrap().size().unwrap();
        let table = groups.compute().unwrap();
        // One for each index, and none for the merge or for the groups.
        assert_eq!((table.num_rows(), shuffles(&table)), (900, 2), "{hold}");
        // Frames that are kept have it behind them.
        let merged = kept.0.merge(&kept.1, MergeOptions::on(["k"]).hold(hold));
        let table = merged.unwrap().compute().unwrap();
        assert_eq!((table.num_rows(), shuffles(&table)), (900, 0), "{hold}");
    }
}
