//! Random plans over random rows give what slow, plain versions of their steps
//! give: in the same order, under every cut, number of threads and budget, and
//! where keys collide.
//!
//! A failure prints its seed; `SEED=n` runs that one alone.

mod oracle;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use arrow_cast::cast;
use oracle::plan::{Cell, Kind, Plain, Step, Window, made_of, same};
use oracle::shape::{Shape, categories};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::{Date32Type, Float64Type, Int32Type, Int64Type};
use windrow::arrow::array::{
    Array, ArrayRef, Date32Array, DictionaryArray, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray,
};
use windrow::arrow::schema::{DataType, Schema};
use windrow::exec::{Context, collect};
use windrow::plan::optimize::{RULES, optimize_without};
use windrow::plan::{Way, lower_without};
use windrow::{By, ByteSize, DataFrame, Direction, Error, Keep, MergeHow, Session, Settings};

/// Numbers that look random and are the same in every run.
struct Random(u64);

/// Hashes are those of the whole process: one test changes them, alone, while all others
/// hold them as they are.
static HASHES: RwLock<()> = RwLock::new(());

fn plain_hashes() -> RwLockReadGuard<'static, ()> {
    HASHES.read().unwrap_or_else(PoisonError::into_inner)
}

/// Kinds of columns; lists are no keys.
const KINDS: [Kind; 5] = [Kind::Int, Kind::Float, Kind::Text, Kind::Coded, Kind::Date];

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

    /// One of about `n` values of a kind, or null.
    fn cell(&mut self, kind: Kind, n: usize) -> Cell {
        if self.is(9) {
            return Cell::Null;
        }
        let value = self.below(n) as i64 - 5;
        match kind {
            Kind::Int => Cell::Int(value),
            Kind::Float => Cell::Float(match value {
                -5 => f64::NAN,
                -4 => -0.0,
                -3 => 0.0,
                value => value as f64 / 2.0,
            }),
            Kind::Text | Kind::Coded if value < -3 => Cell::Text(String::new()),
            // Some are longer than what fits beside a length.
            Kind::Text | Kind::Coded if value % 4 == 0 => {
                Cell::Text(format!("a text that is long, of number {value}"))
            }
            Kind::Text | Kind::Coded => Cell::Text(format!("t{value}")),
            Kind::Date => Cell::Date(value as i32 * 40),
            Kind::List => {
                let items = self.below(4);
                Cell::List((0..items).map(|_| self.cell(Kind::Int, n)).collect())
            }
        }
    }

    /// Rows of columns: few values in the first, some nulls.
    fn table(&mut self, columns: Vec<(String, Kind)>, n_rows: usize, n_keys: usize) -> Plain {
        let row = |random: &mut Self| -> Vec<Cell> {
            let cells = columns.iter().enumerate().map(|(place, (_, kind))| {
                let values = if place == 0 { n_keys } else { 50 };
                random.cell(*kind, values)
            });
            cells.collect()
        };
        let rows = (0..n_rows).map(|_| row(self)).collect();
        Plain { columns, rows }
    }

    /// A column of a table that is no list, if there is one.
    fn key(&mut self, table: &Plain) -> Option<usize> {
        let width = table.columns.len();
        let first = self.below(width);
        let mut places = (0..width).map(|idx| (first + idx) % width);
        places.find(|place| table.kind(*place) != Kind::List)
    }

    /// Some columns, at least one, none of them lists where they are `keys`.
    fn several(&mut self, table: &Plain, keys: bool) -> Option<Vec<usize>> {
        let fits = |place: &usize| !keys || table.kind(*place) != Kind::List;
        let all = (0..table.columns.len()).filter(fits);
        let some: Vec<usize> = all.filter(|_| self.is(2)).collect();
        match some.is_empty() {
            false => Some(some),
            true => self.key(table).map(|place| vec![place]),
        }
    }

    /// A step that a table can take, if the one that came up is.
    fn step(&mut self, table: &Plain, other: &Plain) -> Option<Step> {
        let (width, n_rows) = (table.columns.len(), table.rows.len());
        let any = self.below(width);
        let orders = |random: &mut Self| {
            let mut by = random.several(table, true)?;
            by.truncate(3);
            let by = by.into_iter();
            Some(
                by.map(|place| (place, random.is(2), random.is(2)))
                    .collect::<Vec<_>>(),
            )
        };
        Some(match self.below(30) {
            0 => match table.kind(any) {
                Kind::Date | Kind::List => Step::Present(any),
                kind => match self.cell(kind, 60) {
                    Cell::Null => Step::Present(any),
                    less => Step::Filter(any, less),
                },
            },
            1 => Step::Select(self.several(table, false)?),
            2 => {
                let numbers = (0..width).filter(|place| table.kind(*place).is_number());
                let numbers: Vec<usize> = numbers.collect();
                let one = |random: &mut Self| numbers.get(random.below(numbers.len())).copied();
                Step::With(one(self)?, one(self)?)
            }
            3 | 4 => {
                let mut keys = self.several(table, true)?;
                keys.truncate(2);
                let made = made_of(table.kind(any));
                if made
                    .iter()
                    .any(|(name, _)| keys.iter().any(|key| table.name(*key) == *name))
                {
                    return None;
                }
                Step::Group(keys, any)
            }
            5 => Step::ValueCounts(self.key(table).filter(|of| table.name(*of) != "count")?),
            6 => {
                let key = self.key(table).filter(|key| table.name(*key) != "item")?;
                (key != any && table.kind(any) != Kind::List).then_some(Step::Gather(key, any))?
            }
            7 | 8 => Step::Sort(orders(self)?),
            9 => Step::SetIndex(self.key(table)?),
            10 => {
                let keep = [Keep::First, Keep::Last, Keep::None][self.below(3)];
                Step::Distinct(self.several(table, true)?, keep)
            }
            11 | 12 if n_rows < 2_000 && width < 8 && !shares_names(table, other) => {
                let hows = [
                    MergeHow::Inner,
                    MergeHow::Left,
                    MergeHow::Right,
                    MergeHow::Outer,
                    MergeHow::Semi,
                    MergeHow::Anti,
                ];
                let key = self.key(table)?;
                other.meeting(table.kind(key))?;
                Step::Merge(hows[self.below(6)], key)
            }
            13 => {
                other.meeting(table.kind(0))?;
                Step::Concat
            }
            14 => Step::Limit(self.below(n_rows + 50) as u64),
            15 => Step::Largest(self.below(80), self.key(table)?),
            16 => Step::Persist,
            17 => Step::First(orders(self)?, self.below(60) as u64),
            18 | 19 => {
                let windows = [
                    Window::Shift(self.below(7) as i64 - 3),
                    Window::Number,
                    Window::Sum,
                    Window::Next,
                ];
                let window = windows[self.below(4)];
                if window == Window::Sum && !table.kind(any).is_number()
                    || table.kind(any) == Kind::List
                {
                    return None;
                }
                let key = if self.is(2) { self.key(table) } else { None };
                Step::Window(window, any, key)
            }
            20 if table.kind(any) == Kind::List => Step::Explode(any),
            21..29 => Step::Shape(self.shape(table, other)?),
            _ => Step::Repartition(match self.below(3) {
                0 => By::Count(1 + self.below(7)),
                1 => By::Rows(1 + self.below(300) as u64),
                _ => By::Bytes(ByteSize::new(1 + self.below(4_000) as u64)),
            }),
        })
    }
}

/// Whether a merge of both would have to call a column otherwise.
fn shares_names(table: &Plain, other: &Plain) -> bool {
    let mut others = other.columns.iter();
    others.any(|(name, _)| table.has(name))
}

impl Random {
    /// A step that moves rows, or makes other columns of them, if the table can take
    /// the one that came up.
    fn shape(&mut self, table: &Plain, other: &Plain) -> Option<Shape> {
        let (width, n_rows) = (table.columns.len(), table.rows.len());
        let any = self.below(width);
        let free = !table.has("place");
        Some(match self.below(11) {
            10 => Shape::Sample(self.below(101) as f64 / 100.0, self.below(1_000) as u64),
            0 => Shape::Coalesce(1 + self.below(4_000) as u64),
            1 if free => Shape::Shuffle(self.several(table, true)?, 1 + self.below(6)),
            2 if free => {
                let weights = (0..1 + self.below(3)).map(|_| 1.0 + self.below(3) as f64);
                Shape::Split(weights.collect(), self.below(1_000) as u64)
            }
            3 => Shape::Tail(self.below(n_rows + 20) as u64),
            4 => Shape::Map(any),
            5 => {
                let alike = (0..width).filter(|place| table.kind(*place) == table.kind(any));
                let columns = alike.filter(|place| *place == any || self.is(2)).collect();
                let ids = self.several(table, false)?;
                let taken = |id: &usize| ["of", "val"].contains(&table.name(*id));
                let fits = n_rows < 1_000 && table.kind(any) != Kind::List;
                (fits && !ids.iter().any(taken)).then_some(Shape::Melt(ids, columns))?
            }
            6 => {
                let (key, of) = (self.key(table)?, self.key(table)?);
                let by = matches!(table.kind(any), Kind::Int | Kind::Text);
                let found = if by {
                    categories(table, any)
                } else {
                    Vec::new()
                };
                let odd = |name: &str| name.is_empty() || name == table.name(key);
                let fits = (1..12).contains(&found.len());
                let fits = fits && !found.iter().any(|(_, name)| odd(name));
                fits.then_some(Shape::Pivot(key, any, of))?
            }
            _ if n_rows >= 2_000 || width >= 8 || shares_names(table, other) => return None,
            7 => {
                let of = table.kind(any);
                let timed = of.is_number() || of == Kind::Date;
                let direction = [Direction::Backward, Direction::Forward][self.below(2)];
                timed.then_some(Shape::Asof(any, direction))?
            }
            place => {
                let hows = [
                    MergeHow::Inner,
                    MergeHow::Left,
                    MergeHow::Semi,
                    MergeHow::Anti,
                    MergeHow::Right,
                    MergeHow::Outer,
                ];
                let key = self.key(table)?;
                other.meeting(table.kind(key))?;
                match place {
                    8 => Shape::SortedMerge(hows[self.below(6)], key),
                    // Rows of the other table alone would have no place to go back to.
                    _ if free => Shape::MovedMerge(hows[self.below(4)], key, 1 + self.below(5)),
                    _ => return None,
                }
            }
        })
    }
}

/// A column of cells.
fn array(kind: Kind, cells: &[&Cell]) -> ArrayRef {
    let texts = || -> StringArray {
        let text = |cell: &&Cell| match cell {
            Cell::Text(text) => Some(text.clone()),
            _ => None,
        };
        cells.iter().map(text).collect()
    };
    let whole = |cell: &Cell| match cell {
        Cell::Int(value) => Some(*value),
        _ => None,
    };
    match kind {
        Kind::Int => Arc::new(cells.iter().map(|cell| whole(cell)).collect::<Int64Array>()),
        Kind::Float => {
            let float = |cell: &&Cell| match cell {
                Cell::Float(value) => Some(*value),
                _ => None,
            };
            Arc::new(cells.iter().map(float).collect::<Float64Array>())
        }
        Kind::Text => Arc::new(texts()),
        Kind::Coded => Arc::new(texts().iter().collect::<DictionaryArray<Int32Type>>()),
        Kind::Date => {
            let days = |cell: &&Cell| match cell {
                Cell::Date(days) => Some(*days),
                _ => None,
            };
            Arc::new(cells.iter().map(days).collect::<Date32Array>())
        }
        Kind::List => {
            let items = cells.iter().map(|cell| match cell {
                Cell::List(items) => Some(items.iter().map(whole).collect::<Vec<_>>()),
                _ => None,
            });
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(items))
        }
    }
}

/// The cells of a column, whatever holds them.
fn cells(column: &ArrayRef) -> Vec<Cell> {
    if let DataType::Dictionary(_, values) = column.data_type() {
        return cells(&cast(column, values).unwrap());
    }
    let cell = |row: usize| match column.data_type() {
        DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => Cell::Date(column.as_primitive::<Date32Type>().value(row)),
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::List(_) => Cell::List(cells(&column.as_list::<i32>().value(row))),
        other => panic!("{other} is not a type of these tables"),
    };
    let nulls = column.logical_nulls();
    let rows = 0..column.len();
    let present = |row: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
    rows.map(|row| match present(&row) {
        true => cell(row),
        false => Cell::Null,
    })
    .collect()
}

/// A frame of these rows: in batches and partitions that are cut anywhere, some
/// of them empty, or in Parquet files in a folder.
fn frame(table: &Plain, random: &mut Random, session: &Session, dir: &Path) -> DataFrame {
    let column = |place: usize| {
        let cells: Vec<&Cell> = table.rows.iter().map(|row| &row[place]).collect();
        array(table.kind(place), &cells)
    };
    let columns = (0..table.columns.len()).map(|place| (table.name(place), column(place), true));
    let whole = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
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
    match random.below(3) {
        0 => session.from_partitions(whole.schema(), partitions),
        1 => {
            let batches: Vec<RecordBatch> = partitions.into_iter().flatten().collect();
            session.from_batches(whole.schema(), batches)
        }
        _ => {
            std::fs::create_dir(dir).unwrap();
            let files = 1 + random.below(3);
            let each = partitions.len().div_ceil(files);
            let group_rows = [5, 70, 10_000][random.below(3)];
            for file in 0..files {
                let batches = partitions.iter().skip(file * each).take(each).flatten();
                let path = dir.join(format!("{file}.parquet"));
                write_parquet(&path, &whole, batches, group_rows);
            }
            session.read_parquet(dir.join("*.parquet"))
        }
    }
    .unwrap()
}

/// A Parquet file of batches that are slices of `whole`, in row groups of at most so many rows.
fn write_parquet<'a>(
    path: &Path,
    whole: &RecordBatch,
    batches: impl Iterator<Item = &'a RecordBatch>,
    group_rows: usize,
) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let out = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(out, whole.schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

/// All rows that came out, in order.
struct Rows {
    names: Vec<String>,
    rows: Vec<Vec<Cell>>,
    spilled_runs: u64,
}

/// All rows of a frame, in order; not held by it meanwhile.
fn rows_of(frame: &DataFrame) -> windrow::Result<Rows> {
    let mut rows = Vec::new();
    let types = |schema: &Schema| -> Vec<DataType> {
        let fields = schema.fields().iter();
        fields.map(|field| field.data_type().clone()).collect()
    };
    let known = types(&*frame.schema()?);
    let report = frame.for_each_batch(|batch| {
        assert_eq!(types(&batch.schema()), known, "{frame:?}");
        add_rows(&batch, &mut rows);
        Ok(())
    })?;
    let names = frame.schema()?;
    let names = names.fields().iter().map(|field| field.name().clone());
    Ok(Rows {
        names: names.collect(),
        rows,
        spilled_runs: report.spilled_runs,
    })
}

fn add_rows(batch: &RecordBatch, rows: &mut Vec<Vec<Cell>>) {
    let columns: Vec<Vec<Cell>> = batch.columns().iter().map(cells).collect();
    let row = |row: usize| columns.iter().map(|cells| cells[row].clone()).collect();
    rows.extend((0..batch.num_rows()).map(row));
}

/// All rows of a frame whose plan was made without some rules.
fn rows_without(frame: &DataFrame, off: &[&str], settings: Settings) -> windrow::Result<Rows> {
    let plan = optimize_without(frame.plan().clone(), off);
    let physical = lower_without(plan, settings.blocksize, off);
    let collected = collect(&physical, &Context::new(settings))?;
    let names = collected.schema.fields().iter();
    let mut rows = Vec::new();
    for batch in collected.partitions.iter().flatten() {
        add_rows(batch, &mut rows);
    }
    Ok(Rows {
        names: names.map(|field| field.name().clone()).collect(),
        rows,
        spilled_runs: collected.report.spilled_runs,
    })
}

/// What runs under a budget came to.
#[derive(Debug, Default)]
struct Outcomes {
    answers: usize,
    spilled: usize,
    refused: usize,
}

/// Runs the plan of a seed, made without some rules, and compares.
fn check(seed: u64, budget: Option<ByteSize>, off: &[&str], outcomes: &mut Outcomes) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
    // Under a tiny budget each batch may become a file.
    let most = if budget.is_some() { 300 } else { 900 };
    let n_rows = [0, 7, 120, most][random.below(4)];
    let n_keys = [2, 9, 400][random.below(3)];
    let some = [
        Kind::Int,
        Kind::Float,
        Kind::Text,
        Kind::Coded,
        Kind::Date,
        Kind::List,
    ];
    let kinds = [
        ("key", KINDS[random.below(5)]),
        ("a", Kind::Int),
        ("b", some[random.below(6)]),
    ];
    let kinds = kinds.map(|(name, kind)| (name.to_owned(), kind));
    let table = random.table(kinds.to_vec(), n_rows, n_keys);
    let n_other = [0, 5, 40][random.below(3)];
    // Names that no step gives.
    let names = ["other", "other f", "other t", "other d"];
    let kinds = [
        Kind::Int,
        Kind::Float,
        [Kind::Text, Kind::Coded][random.below(2)],
        Kind::Date,
    ];
    let kinds = names.map(str::to_owned).into_iter().zip(kinds);
    let other = random.table(kinds.collect(), n_other, n_keys);
    let mut steps = Vec::new();
    let mut plain = table.clone();
    let mut tables = Vec::new();
    for _ in 0..1 + random.below(5) {
        let Some(step) = random.step(&plain, &other) else {
            continue;
        };
        tables.push(plain.clone());
        plain = step.on_rows(&plain, &other);
        steps.push(step);
    }
    let threads = [1, 2, 5][random.below(3)];
    let settings = Settings {
        threads,
        memory: ByteSize::mib(64),
        ..Settings::default()
    };
    let mut session = Session::new(settings.clone());
    if let Some(budget) = budget {
        session = session.with_budget(budget);
    }
    let said = format!(
        "seed {seed}, {threads} threads, {n_rows} rows, without {off:?}, {steps:?} on {:?}",
        table.columns
    );
    let dir = tempfile::tempdir().unwrap();
    let outcome = (|| {
        let mut of = frame(&table, &mut random, &session, &dir.path().join("rows"));
        let beside = frame(&other, &mut random, &session, &dir.path().join("other"));
        for (step, table) in steps.iter().zip(&tables) {
            of = step.on_frame(&of, table, (&beside, &other), &session)?;
        }
        match off {
            [] => rows_of(&of),
            _ => rows_without(&of, off, settings),
        }
    })();
    match outcome {
        Ok(Rows {
            names,
            rows,
            spilled_runs,
        }) => {
            let expected: Vec<&String> = plain.columns.iter().map(|(name, _)| name).collect();
            assert_eq!(names.iter().collect::<Vec<_>>(), expected, "{said}");
            let pairs = rows.iter().zip(&plain.rows);
            let first = pairs
                .enumerate()
                .find(|(_, (row, plain))| !same(row, plain));
            assert!(first.is_none(), "{said}: {first:?}\n{:?}", tables[0]);
            assert_eq!(rows.len(), plain.rows.len(), "{said}\n{:?}", tables[0]);
            outcomes.answers += 1;
            outcomes.spilled += usize::from(spilled_runs > 0);
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
    let _plain = plain_hashes();
    let mut outcomes = Outcomes::default();
    for seed in seeds(150) {
        check(seed, None, &[], &mut outcomes);
    }
    assert_eq!(outcomes.refused, 0);
}

#[test]
fn a_random_plan_gives_the_same_without_any_of_the_rules() {
    let _plain = plain_hashes();
    let rules = RULES.iter().map(|(name, _)| *name);
    let rules: Vec<&str> = rules.chain(Way::ALL.map(Way::name)).collect();
    let mut outcomes = Outcomes::default();
    for seed in seeds(120) {
        let one = rules[seed as usize % rules.len()];
        check(3_000 + seed, None, &[one], &mut outcomes);
        // As many of them as it happens.
        let mut random = Random(seed);
        let some: Vec<&str> = rules.iter().copied().filter(|_| random.is(2)).collect();
        check(4_000 + seed, None, &some, &mut outcomes);
    }
    assert_eq!(outcomes.refused, 0);
}

#[test]
fn a_random_plan_spills_or_says_why_not_under_tiny_budgets() {
    let _plain = plain_hashes();
    for kib in [1, 8, 64] {
        let mut outcomes = Outcomes::default();
        for seed in seeds(40) {
            check(seed, Some(ByteSize::kib(kib)), &[], &mut outcomes);
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
    let _alone = HASHES.write().unwrap_or_else(PoisonError::into_inner);
    // A few bits of every hash are left: the high ones choose buckets, the low ones slots.
    for mask in [0, 1, 0xC000_0000_0000_0001] {
        windrow::expr::keep_hash_bits(mask);
        let mut outcomes = Outcomes::default();
        for seed in seeds(25) {
            check(1_000 + seed, None, &[], &mut outcomes);
            check(2_000 + seed, Some(ByteSize::kib(64)), &[], &mut outcomes);
        }
    }
    windrow::expr::keep_hash_bits(u64::MAX);
}

#[test]
fn what_went_to_disk_is_counted_and_tasks_are_even_also_where_half_of_the_rows_have_one_key() {
    let _plain = plain_hashes();
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
