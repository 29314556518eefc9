//! Random plans over random rows give what slow, plain versions of their steps
//! give: in the same order, under every cut, number of threads and budget, and
//! where keys collide.
//!
//! A failure prints its seed; `SEED=n` runs that one alone.

mod oracle;

use std::sync::Arc;

use oracle::plan::{Numbers, Plain, Step};
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use windrow::{By, ByteSize, DataFrame, Error, Keep, MergeHow, Session, Settings};

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

    fn is(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// Rows of `names`: few values in the first, some nulls.
    fn table(&mut self, names: &[&str], n_rows: usize, n_keys: usize) -> Plain {
        let row = |random: &mut Self| -> Numbers {
            let number = |place: usize| {
                let values = if place == 0 { n_keys } else { 50 };
                let value = random.below(values) as i64 - 5;
                (!random.is(9)).then_some(value)
            };
            (0..names.len()).map(number).collect()
        };
        Plain {
            columns: names.iter().map(|name| (*name).to_owned()).collect(),
            rows: (0..n_rows).map(|_| row(self)).collect(),
        }
    }

    /// A step that a table of `width` columns can take; `n_rows` tells what would be too much.
    fn step(&mut self, table: &Plain) -> Step {
        let (width, n_rows) = (table.columns.len(), table.rows.len());
        let any = |random: &mut Self| random.below(width);
        let several = |random: &mut Self| {
            let mut places: Vec<usize> = (0..width).filter(|_| random.is(2)).collect();
            if places.is_empty() {
                places.push(random.below(width));
            }
            places
        };
        match self.below(17) {
            0 => Step::Filter(any(self), self.below(60) as i64 - 5),
            1 => Step::Select(several(self)),
            2 => Step::With(any(self), any(self)),
            3 | 4 => {
                let mut keys = several(self);
                keys.truncate(2);
                Step::Group(keys, any(self))
            }
            5 => Step::ValueCounts(any(self)),
            6 if width > 1 => {
                let key = any(self);
                Step::Gather(key, (key + 1) % width)
            }
            7 | 8 => {
                let mut by = several(self);
                by.truncate(3);
                let by = by.into_iter();
                Step::Sort(by.map(|place| (place, self.is(2), self.is(2))).collect())
            }
            9 => Step::SetIndex(any(self)),
            10 => {
                let keep = [Keep::First, Keep::Last, Keep::None][self.below(3)];
                Step::Distinct(several(self), keep)
            }
            11 | 12 if n_rows < 2_000 && width < 8 => {
                let hows = [
                    MergeHow::Inner,
                    MergeHow::Left,
                    MergeHow::Right,
                    MergeHow::Outer,
                    MergeHow::Semi,
                    MergeHow::Anti,
                ];
                Step::Merge(hows[self.below(6)], any(self))
            }
            13 => Step::Concat,
            14 => Step::Limit(self.below(n_rows + 50) as u64),
            15 => Step::Largest(self.below(80), any(self)),
            16 => Step::Persist,
            _ => Step::Repartition(match self.below(3) {
                0 => By::Count(1 + self.below(7)),
                1 => By::Rows(1 + self.below(300) as u64),
                _ => By::Bytes(ByteSize::new(1 + self.below(4_000) as u64)),
            }),
        }
    }
}

/// A frame of these rows, in batches and partitions that are cut anywhere, some of them empty.
fn frame(table: &Plain, random: &mut Random, session: &Session) -> DataFrame {
    let column = |place: usize| -> ArrayRef {
        let numbers = table.rows.iter().map(|row| row[place]);
        Arc::new(numbers.collect::<Int64Array>())
    };
    let columns = table.columns.iter().enumerate();
    let whole = RecordBatch::try_from_iter_with_nullable(
        columns.map(|(place, name)| (name, column(place), true)),
    )
    .unwrap();
    let mut partitions = vec![Vec::new()];
    let mut from = 0;
    let most = [3, 40, 1_000][random.below(3)];
    while from < whole.num_rows() {
        if random.is(3) {
            partitions.push(Vec::new());
        }
        let rows = random.below(most + 1).min(whole.num_rows() - from);
        partitions.last_mut().unwrap().push(whole.slice(from, rows));
        from += rows;
    }
    match random.is(2) {
        true => session.from_partitions(whole.schema(), partitions),
        false => {
            let batches: Vec<RecordBatch> = partitions.into_iter().flatten().collect();
            session.from_batches(whole.schema(), batches)
        }
    }
    .unwrap()
}

/// All rows of a frame, in order; not held by it meanwhile.
fn rows_of(frame: &DataFrame) -> windrow::Result<(Vec<String>, Vec<Numbers>, u64)> {
    let mut rows: Vec<Numbers> = Vec::new();
    let report = frame.for_each_batch(|batch| {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| {
                let numbers = column.as_primitive_opt::<Int64Type>();
                // A column of nothing but nulls may have no type.
                numbers.and_then(|numbers| numbers.iter().nth(row).flatten())
            });
            rows.push(cells.collect());
        }
        Ok(())
    })?;
    let names = frame.schema()?;
    let names = names.fields().iter().map(|field| field.name().clone());
    Ok((names.collect(), rows, report.spilled_runs))
}

/// What runs under a budget came to.
#[derive(Debug, Default)]
struct Outcomes {
    answers: usize,
    spilled: usize,
    refused: usize,
}

/// Runs the plan of a seed, and compares.
fn check(seed: u64, budget: Option<ByteSize>, outcomes: &mut Outcomes) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
    let n_rows = [0, 7, 120, 900][random.below(4)];
    let n_keys = [2, 9, 400][random.below(3)];
    let table = random.table(&["key", "a", "b"], n_rows, n_keys);
    let n_other = [0, 5, 40][random.below(3)];
    let mut other = random.table(&["key", "right"], n_other, n_keys);
    // Names that no step gives.
    other.columns = vec!["other".to_owned(), "right".to_owned()];
    let mut steps = Vec::new();
    let mut plain = table.clone();
    let mut tables = Vec::new();
    for _ in 0..1 + random.below(5) {
        let step = random.step(&plain);
        let merges = |step: &Step| matches!(step, Step::Merge(..));
        let twice = merges(&step) && steps.iter().any(merges);
        let names_twice = |step: &Step| match step {
            // Names of groups that are there already.
            Step::Group(keys, _) => keys.iter().any(|key| {
                ["sum", "min", "kinds", "first", "last", "rows"].contains(&&*plain.columns[*key])
            }),
            Step::ValueCounts(of) => plain.columns[*of] == "count",
            Step::Gather(key, _) => plain.columns[*key] == "item",
            _ => false,
        };
        if twice || names_twice(&step) {
            continue;
        }
        tables.push(plain.clone());
        plain = step.on_rows(&plain, &other);
        steps.push(step);
    }
    let threads = [1, 2, 5][random.below(3)];
    let mut session = Session::new(Settings {
        threads,
        memory: ByteSize::mib(64),
        ..Settings::default()
    });
    if let Some(budget) = budget {
        session = session.with_budget(budget);
    }
    let said = format!("seed {seed}, {threads} threads, {n_rows} rows, {steps:?}");
    let outcome = (|| {
        let mut of = frame(&table, &mut random, &session);
        let beside = frame(&other, &mut random, &session);
        for (step, table) in steps.iter().zip(&tables) {
            of = step.on_frame(&of, table, &beside)?;
        }
        rows_of(&of)
    })();
    match outcome {
        Ok((names, rows, spilled)) => {
            assert_eq!(names, plain.columns, "{said}");
            assert!(
                rows == plain.rows,
                "{said}:\n{rows:?}\nis not\n{:?}",
                plain.rows
            );
            outcomes.answers += 1;
            outcomes.spilled += usize::from(spilled > 0);
        }
        Err(error @ Error::Memory { .. }) if budget.is_some() => {
            let text = error.to_string();
            assert!(text.contains("memory"), "{said}: {text}");
            outcomes.refused += 1;
        }
        Err(error) => panic!("{said}: {error}"),
    }
}

/// The seeds of a run: one, or so many.
fn seeds(n: u64) -> std::ops::Range<u64> {
    match std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        Some(seed) => seed..seed + 1,
        None => match std::env::var("SEEDS")
            .ok()
            .and_then(|seeds| seeds.parse().ok())
        {
            Some(seeds) => 0..seeds,
            None => 0..n,
        },
    }
}

#[test]
fn a_random_plan_gives_what_its_plain_steps_give() {
    let mut outcomes = Outcomes::default();
    for seed in seeds(150) {
        check(seed, None, &mut outcomes);
    }
    assert_eq!(outcomes.refused, 0);
}

#[test]
fn a_random_plan_spills_or_says_why_not_under_tiny_budgets() {
    for kib in [1, 8, 64] {
        let mut outcomes = Outcomes::default();
        for seed in seeds(60) {
            check(seed, Some(ByteSize::kib(kib)), &mut outcomes);
        }
        println!("{kib} KiB: {outcomes:?}");
        if std::env::var_os("SEED").is_none() {
            let most = outcomes.answers > outcomes.refused;
            assert!(most || kib == 1, "{kib} KiB: {outcomes:?}");
            assert!(outcomes.spilled > 0, "{kib} KiB: {outcomes:?}");
        }
    }
}

#[test]
fn keys_that_collide_change_nothing() {
    // A few bits of every hash are left: the high ones choose buckets, the low ones slots.
    for mask in [0, 1, 0xC000_0000_0000_0001] {
        windrow::expr::keep_hash_bits(mask);
        let mut outcomes = Outcomes::default();
        for seed in seeds(40) {
            check(1_000 + seed, None, &mut outcomes);
            check(2_000 + seed, Some(ByteSize::kib(64)), &mut outcomes);
        }
    }
    windrow::expr::keep_hash_bits(u64::MAX);
}

#[test]
fn what_went_to_disk_is_counted_and_tasks_are_even_also_where_half_of_the_rows_have_one_key() {
    let rows = 300_000_i64;
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..rows).map(|n| if n % 2 == 0 { -1 } else { n * 7_919 % rows }),
    ));
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let whole = RecordBatch::try_from_iter([("key", key), ("n", n)]).unwrap();
    let session = Session::new(Settings {
        threads: 2,
        memory: ByteSize::mib(32),
        ..Settings::default()
    });
    let pieces = (0..30).map(|piece| whole.slice(piece * 10_000, 10_000));
    let frame = session.from_batches(whole.schema(), pieces).unwrap();
    let groups = frame.groupby(["key"]).unwrap().size().unwrap();
    let sorted = frame.sort_values(["key"]).unwrap();
    for (frame, rows_out) in [(groups, rows / 2 + 1), (sorted, rows)] {
        let report = frame.for_each_batch(|_| Ok(())).unwrap();
        let stage = &report.stages[0];
        assert_eq!(stage.rows_out, rows_out as u64, "{report}");
        let tasks = stage.tasks.as_ref().unwrap();
        let mean = tasks.rows as f64 / tasks.tasks as f64;
        assert!(tasks.tasks > 1, "{report}");
        assert!(tasks.largest_rows as f64 <= 1.5 * mean, "{report}");
        let hot: Vec<_> = stage
            .hot_keys
            .iter()
            .map(|hot| (&*hot.value, hot.rows))
            .collect();
        if stage.name == "sort_values" {
            assert_eq!(hot, [("-1", rows as u64 / 2)]);
            // Its pieces are tasks as well.
            assert!(stage.hot_keys[0].rows as f64 / stage.hot_keys[0].tasks as f64 <= 1.5 * mean);
        }
        assert_eq!(report.spilled_bytes > 0, report.spilled_runs > 0);
        assert!(
            report.to_string().contains("rows in the largest"),
            "{report}"
        );
    }
}
