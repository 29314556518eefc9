//! How fast do two frames meet by key? Unit: rows of the larger frame per second.
//!
//! The five join questions of db-benchmark on frames in memory: 1e7 rows
//! against 10, 1e4 and 1e7 rows, by small numbers, by texts, by numbers that are
//! all different; and one more where half of the rows have one key. Every
//! answer is checked against a plain lookup before its time is believed. All
//! columns come out, and all rows are held in the end, as other engines give
//! them. `cargo bench --bench join -- 1000000` takes fewer rows, `-- q3` asks one
//! question alone; `JOIN_DATA` names a folder that the frames are written to, for others to read.
//! `JOIN_FROM` names such a folder: then its files are read, and each question is asked as often as
//! `REPEATS` says, by default once, so that the whole process can be measured; of several times the
//! fastest counts, and what it prints of rows is for others to compare.

#[path = "measure/allocator.rs"]
mod allocator;
#[path = "generate/mod.rs"]
mod generate;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use generate::{Random, Seed};
use windrow::{DataFrame, MergeHow, Session, Table};

/// Rows of a batch, as a Parquet reader gives them.
const BATCH_ROWS: usize = 8_192;

/// A frame's columns before they are cut into batches.
struct Side {
    /// The key of each row, by the number of the key column.
    ids: Vec<(&'static str, &'static str, Vec<i64>)>,
    value: &'static str,
    values: Vec<f64>,
}

impl Side {
    fn frame(&self, session: &Session) -> DataFrame {
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        for (number, text, ids) in &self.ids {
            let texts = ids.iter().map(|id| format!("id{id}"));
            columns.push((number, Arc::new(Int64Array::from(ids.clone()))));
            columns.push((text, Arc::new(StringArray::from_iter_values(texts))));
        }
        let values = Float64Array::from(self.values.clone());
        columns.push((self.value, Arc::new(values)));
        let whole = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let pieces = (0..whole.num_rows()).step_by(BATCH_ROWS);
        let pieces = pieces.map(|from| whole.slice(from, BATCH_ROWS.min(whole.num_rows() - from)));
        session
            .from_batches(whole.schema(), pieces)
            .expect("batches of one schema")
    }
}

/// Rows of numbers below `n`, each with a value to the tenth of a thousandth.
fn values(random: &mut Random, rows: usize) -> Vec<f64> {
    (0..rows)
        .map(|_| random.below(1_000_000) as f64 / 1e4)
        .collect()
}

/// Numbers below `n` and a tenth more: nine in ten are below `n`.
fn ids(random: &mut Random, rows: usize, n: u64) -> Vec<i64> {
    let n = n + n / 10;
    (0..rows).map(|_| random.below(n.max(1)) as i64).collect()
}

/// The numbers below `n`, each once, in no order.
fn shuffled(random: &mut Random, n: u64) -> Vec<i64> {
    let mut all: Vec<i64> = (0..n as i64).collect();
    for idx in (1..all.len()).rev() {
        all.swap(idx, random.below(idx as u64 + 1) as usize);
    }
    all
}

/// A question: keys, rows, and where the keys of the plain answer stand.
struct Question<'a> {
    name: &'a str,
    left: (&'a Side, &'a DataFrame),
    right: (&'a Side, &'a DataFrame),
    key: &'a str,
    how: MergeHow,
}

impl Question<'_> {
    /// Rows and the sums of both values, by a plain lookup.
    fn plain(&self) -> (u64, f64, f64) {
        let ids = |side: &Side| {
            let found = side
                .ids
                .iter()
                .position(|(number, text, _)| *number == self.key || *text == self.key);
            found.expect("the key is a column")
        };
        let (left, right) = (self.left.0, self.right.0);
        let (of_left, of_right) = (&left.ids[ids(left)].2, &right.ids[ids(right)].2);
        let most = of_right.iter().max().map_or(0, |most| *most as usize + 1);
        let mut value_of: Vec<Option<f64>> = vec![None; most];
        for (id, value) in of_right.iter().zip(&right.values) {
            value_of[*id as usize] = Some(*value);
        }
        let (mut rows, mut v1, mut v2) = (0, 0.0, 0.0);
        for (id, value) in of_left.iter().zip(&left.values) {
            let found = value_of.get(*id as usize).copied().flatten();
            if found.is_some() || self.how == MergeHow::Left {
                (rows, v1, v2) = (rows + 1, v1 + value, v2 + found.unwrap_or(0.0));
            }
        }
        (rows, v1, v2)
    }

    /// The same by the engine.
    fn ask(&self) -> Table {
        let joined = self.left.1.join(self.right.1, [self.key], self.how);
        let joined = joined.expect("both have the key");
        joined.compute().expect("rows that fit in memory")
    }

    /// Rows and the sums of both values.
    fn sums(&self, joined: &Table) -> (u64, f64, f64) {
        let sum = |name: &str| -> f64 {
            let columns = joined.batches().map(|batch| batch.column_by_name(name));
            let columns = columns.map(|column| column.expect("it comes out"));
            let of = |column: &ArrayRef| -> f64 {
                column.as_primitive::<Float64Type>().iter().flatten().sum()
            };
            columns.map(of).sum()
        };
        let rows = joined.num_rows() as u64;
        (rows, sum(self.left.0.value), sum(self.right.0.value))
    }

    fn measure(&self) {
        let wanted = self.plain();
        let found = self.sums(&self.ask());
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
        assert_eq!(found.0, wanted.0, "{}", self.name);
        assert!(
            near(found.1, wanted.1) && near(found.2, wanted.2),
            "{}",
            self.name
        );
        let fastest = (0..3)
            .map(|_| {
                let start = Instant::now();
                let joined = self.ask();
                let taken = start.elapsed();
                assert_eq!(joined.num_rows() as u64, wanted.0);
                taken
            })
            .min()
            .unwrap_or(Duration::MAX);
        let rate = self.left.0.values.len() as f64 / fastest.as_secs_f64() / 1e6;
        println!(
            "{:<32} {:>8.3} s {rate:>8.1} million rows/s",
            self.name,
            fastest.as_secs_f64()
        );
    }
}

/// The five questions of files that an earlier run wrote, each some times.
fn ask_files(dir: &Path, is_wanted: impl Fn(&str) -> bool) {
    let read = |name: &str| {
        let rows = windrow::read_parquet(dir.join(name)).and_then(|frame| frame.persist());
        rows.expect("frames that an earlier run wrote")
    };
    let repeats = std::env::var("REPEATS").map_or(1, |text| text.parse().expect("a number"));
    let [x, small, medium, large] = ["x", "small", "medium", "large"].map(read);
    for (name, right, key, how) in [
        ("q1", &small, "id1", MergeHow::Inner),
        ("q2", &medium, "id2", MergeHow::Inner),
        ("q3", &medium, "id2", MergeHow::Left),
        ("q4", &medium, "id5", MergeHow::Inner),
        ("q5", &large, "id3", MergeHow::Inner),
    ] {
        if !is_wanted(name) {
            continue;
        }
        let ask = || {
            let start = Instant::now();
            let joined = x.join(right, [key], how);
            let joined = joined.and_then(|joined| joined.compute());
            let joined = joined.expect("rows that fit in memory");
            (start.elapsed(), joined.num_rows())
        };
        let fastest = (0..repeats).map(|_| ask()).min();
        let (taken, rows) = fastest.expect("a question is asked once at least");
        println!("{name} {:>8.3} s {rows:>10} rows", taken.as_secs_f64());
    }
}

fn main() {
    allocator::settle();
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--") && arg.parse::<usize>().is_err())
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if let Some(dir) = std::env::var_os("JOIN_FROM") {
        return ask_files(Path::new(&dir), is_wanted);
    }
    let rows = std::env::args().filter_map(|arg| arg.parse::<usize>().ok());
    let n_rows = rows.max().unwrap_or(10_000_000);
    let (small, medium) = (
        (n_rows / 1_000_000).max(1) as u64,
        (n_rows / 1_000).max(1) as u64,
    );
    let mut random = Random::new(Seed(108));
    let large = Side {
        ids: vec![
            ("id1", "id4", ids(&mut random, n_rows, small)),
            ("id2", "id5", ids(&mut random, n_rows, medium)),
            ("id3", "id6", ids(&mut random, n_rows, n_rows as u64)),
        ],
        value: "v1",
        values: values(&mut random, n_rows),
    };
    let side = |random: &mut Random, number, text, n: u64| Side {
        ids: vec![(number, text, shuffled(random, n))],
        value: "v2",
        values: values(random, n as usize),
    };
    let few = side(&mut random, "id1", "id4", small);
    let some = side(&mut random, "id2", "id5", medium);
    let many = side(&mut random, "id3", "id6", n_rows as u64);
    let mut hot = Side {
        ids: vec![("id3", "id6", ids(&mut random, n_rows, n_rows as u64))],
        value: "v1",
        values: large.values.clone(),
    };
    hot.ids[0].2.iter_mut().step_by(2).for_each(|id| *id = 7);
    let session = Session::default();
    let frame = |side: &Side| side.frame(&session);
    let (x, q_few, q_some, q_many) = (frame(&large), frame(&few), frame(&some), frame(&many));
    let x_hot = frame(&hot);
    if let Some(dir) = std::env::var_os("JOIN_DATA").map(PathBuf::from) {
        for (name, frame) in [
            ("x", &x),
            ("small", &q_few),
            ("medium", &q_some),
            ("large", &q_many),
        ] {
            let to = dir.join(name);
            if !to.exists() {
                frame
                    .to_parquet(&to)
                    .expect("a folder that can be written to");
            }
        }
    }
    let ask = |name, right, frame, key, how| Question {
        name,
        left: (&large, &x),
        right: (right, frame),
        key,
        how,
    };
    let questions = [
        ask(
            "q1 small inner on number",
            &few,
            &q_few,
            "id1",
            MergeHow::Inner,
        ),
        ask(
            "q2 medium inner on number",
            &some,
            &q_some,
            "id2",
            MergeHow::Inner,
        ),
        ask(
            "q3 medium left on number",
            &some,
            &q_some,
            "id2",
            MergeHow::Left,
        ),
        ask(
            "q4 medium inner on text",
            &some,
            &q_some,
            "id5",
            MergeHow::Inner,
        ),
        ask(
            "q5 large inner on number",
            &many,
            &q_many,
            "id3",
            MergeHow::Inner,
        ),
        Question {
            left: (&hot, &x_hot),
            ..ask(
                "large inner, one hot key",
                &many,
                &q_many,
                "id3",
                MergeHow::Inner,
            )
        },
    ];
    let is_wanted = |question: &&Question| {
        let mut words = question.name.split(' ');
        words.next().is_some_and(&is_wanted)
    };
    questions
        .iter()
        .filter(is_wanted)
        .for_each(Question::measure);
}
