//! Every operator that holds rows, under a budget far below what it holds and
//! under one that takes no batch.
//!
//! Far below: the answer is that of an ample budget, row for row, and the report
//! counts what went to disk. Where no batch fits, operators say who they are, how
//! much they want, and what to change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_cast::display::array_value_to_string;
use windrow::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use windrow::prelude::*;
use windrow::{AsofOptions, Direction, Error, Keep, MergeHow, MergeOptions};

/// Rows of a frame, in batches of so many; 70 bytes in a row.
const ROWS: i64 = 4_800;
const BATCH_ROWS: i64 = 160;

/// Rows where no batch fits: each that goes to disk is a file of its own.
const FEW_ROWS: i64 = 320;

/// Holds a few batches, and far less than any operator here wants to.
const FAR_BELOW: ByteSize = ByteSize::kib(96);

/// Holds no batch.
const NOTHING: ByteSize = ByteSize::new(64);

/// What a case is run on.
struct On {
    session: Session,
    rows: i64,
    /// For what it writes.
    dir: PathBuf,
}

/// What a case gave: its rows as text, and how often rows went to disk for it.
struct Outcome {
    rows: Vec<String>,
    spilled_runs: u64,
}

/// What happens far below what is held.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Held {
    /// Rows go to disk.
    Spills,
    /// Nothing needs to: few rows or states are held, whatever comes.
    Little,
}
use Held::{Little, Spills};

/// Who says so where no batch fits.
struct Refused(&'static str);

type Work = fn(&On) -> windrow::Result<Outcome>;

impl On {
    fn frame(&self) -> DataFrame {
        let batch = |from: i64| {
            let places = || from..from + BATCH_ROWS;
            let id = places().map(|n| n * 7_919 % ROWS);
            let few = places().map(|n| n * n % 7);
            let text = places().map(|n| format!("a text of some length {:0>20}", n * 31 % ROWS));
            let x = places().map(|n| (n % 9 != 4).then_some(((n * 13) % 4_001) as f64 / 8.0));
            let columns: [(&str, ArrayRef); 5] = [
                ("id", Arc::new(Int64Array::from_iter_values(id))),
                ("few", Arc::new(Int64Array::from_iter_values(few))),
                ("text", Arc::new(StringArray::from_iter_values(text))),
                ("x", Arc::new(Float64Array::from_iter(x))),
                ("n", Arc::new(Int64Array::from_iter_values(places()))),
            ];
            RecordBatch::try_from_iter(columns).unwrap()
        };
        let starts = (0..self.rows).step_by(BATCH_ROWS as usize);
        let batches: Vec<RecordBatch> = starts.map(batch).collect();
        let frame = self.session.from_batches(batches[0].schema(), batches);
        frame.unwrap()
    }

    /// The rows of files that a write made, in their order.
    fn written(&self, report: &RunReport) -> windrow::Result<Outcome> {
        let mut rows = Vec::new();
        for output in &report.outputs {
            let part = Session::default().read_parquet(self.dir.join(&output.path))?;
            let name = Path::new(&output.path).strip_prefix(&self.dir);
            let name = name.unwrap_or(Path::new(&output.path)).display();
            let lines = drain(&part)?.rows.into_iter();
            rows.extend(lines.map(|row| format!("{name}: {row}")));
        }
        let spilled_runs = report.spilled_runs;
        Ok(Outcome { rows, spilled_runs })
    }
}

/// All rows of a frame, in order; it holds none of them meanwhile.
fn drain(frame: &DataFrame) -> windrow::Result<Outcome> {
    let mut rows = Vec::new();
    let report = frame.for_each_batch(|batch| {
        for row in 0..batch.num_rows() {
            let columns = batch.columns().iter();
            let cells = columns.map(|column| array_value_to_string(column, row).unwrap());
            rows.push(cells.collect::<Vec<_>>().join(" | "));
        }
        Ok(())
    })?;
    let spilled_runs = report.spilled_runs;
    Ok(Outcome { rows, spilled_runs })
}

const CASES: &[(&str, Held, Refused, Work)] = &[
    ("groups", Spills, Refused("agg"), |on| {
        drain(&on.frame().groupby(["id"])?.agg([col("x").sum(), count()])?)
    }),
    ("groups by text", Spills, Refused("agg"), |on| {
        let all = [col("x").mean(), col("n").first(), col("n").last()];
        drain(&on.frame().groupby(["text"])?.agg(all)?)
    }),
    ("lists of groups", Spills, Refused("agg"), |on| {
        let all = [col("x").list(), col("n").list()];
        drain(&on.frame().groupby(["few"])?.agg(all)?)
    }),
    (
        "different values of few groups",
        Spills,
        Refused("agg"),
        |on| {
            let all = [
                col("text").nunique(),
                col("n").sum(),
                col("x").median(),
                col("x").quantile(0.9),
            ];
            drain(&on.frame().groupby(["few"])?.agg(all)?)
        },
    ),
    ("value_counts", Spills, Refused("agg"), |on| {
        drain(&on.frame().value_counts(["text"])?)
    }),
    ("nunique", Spills, Refused("agg"), |on| {
        drain(&on.frame().agg([
            col("text").nunique(),
            col("id").nunique(),
            col("few").nunique(),
        ])?)
    }),
    ("quantile", Spills, Refused("agg"), |on| {
        let all = [
            col("x").median(),
            col("n").quantile(0.99),
            col("n").first(),
            count(),
        ];
        drain(&on.frame().agg(all)?)
    }),
    ("describe", Spills, Refused("describe"), |on| {
        drain(&on.frame().describe()?)
    }),
    (
        "drop_duplicates, the first",
        Spills,
        Refused("drop_duplicates"),
        |on| drain(&on.frame().drop_duplicates(["text"], Keep::First)?),
    ),
    (
        "drop_duplicates, the last",
        Spills,
        Refused("drop_duplicates"),
        |on| drain(&on.frame().drop_duplicates(["few", "x"], Keep::Last)?),
    ),
    ("sort_values", Spills, Refused("sort_values"), |on| {
        drain(&on.frame().sort_values(["text"])?)
    }),
    ("set_index", Spills, Refused("set_index"), |on| {
        drain(&on.frame().set_index("id")?)
    }),
    (
        "nlargest, as many as a sort gives",
        Spills,
        Refused("sort_values"),
        |on| drain(&on.frame().nlargest(150_000, "x")?),
    ),
    ("nlargest", Little, Refused("nlargest"), |on| {
        drain(&on.frame().nlargest(3, "id")?)
    }),
    ("merge, a large left side", Little, Refused("merge"), |on| {
        let right = on
            .frame()
            .filter(col("n").lt(lit(50)))?
            .select(["id", "few"])?;
        drain(
            &on.frame()
                .merge(&right, MergeOptions::on(["id"]).how(MergeHow::Outer))?,
        )
    }),
    ("merge, two large sides", Spills, Refused("merge"), |on| {
        let right = on.frame().select(["id", "text"])?;
        drain(&on.frame().merge(&right, MergeOptions::on(["id"]))?)
    }),
    ("groups of merged rows", Spills, Refused("agg"), |on| {
        let right = on.frame().select(["id", "text"])?;
        let merged = on.frame().merge(&right, MergeOptions::on(["id"]))?;
        drain(&merged.groupby(["id"])?.agg([col("x").sum(), count()])?)
    }),
    (
        "groups of partitions by key",
        Spills,
        Refused("agg"),
        |on| {
            let parts = on.frame().shuffle(["id"], 7)?;
            drain(&parts.groupby(["id"])?.agg([col("x").sum(), count()])?)
        },
    ),
    ("merge_asof", Spills, Refused("merge_asof"), |on| {
        let right = on.frame().select(["n", "few", "text"])?;
        let right = right.filter("n % 3 = 0")?;
        let options = AsofOptions::on("n").by(["few"]);
        drain(&on.frame().merge_asof(&right, options)?)
    }),
    (
        "merge_asof without keys",
        Spills,
        Refused("merge_asof"),
        |on| {
            let right = on.frame().select(["n", "text"])?;
            let right = right.filter("n % 3 = 0")?;
            let options = AsofOptions::on("n").direction(Direction::Nearest);
            drain(&on.frame().merge_asof(&right, options)?)
        },
    ),
    ("pivot_table", Spills, Refused("agg"), |on| {
        drain(&on.frame().pivot_table(["id"], "few", col("x").sum())?)
    }),
    ("window of groups", Spills, Refused("window"), |on| {
        drain(&on.frame().groupby(["id"])?.cumsum(["x"])?)
    }),
    ("windows by several keys", Spills, Refused("window"), |on| {
        let sum = col("x").cum_sum().over(["id"]);
        let last = col("text").shift(2).over(["few", "id"]);
        let all = on.frame().with_column("sum", sum)?;
        let all = all.with_column("last", last)?;
        drain(&all.filter("n % 3 = 1")?)
    }),
    ("window of groups behind", Spills, Refused("window"), |on| {
        drain(&on.frame().groupby(["id"])?.shift(["x"], -1)?)
    }),
    ("shuffle", Spills, Refused("shuffle"), |on| {
        drain(&on.frame().shuffle(["id"], 7)?)
    }),
    (
        "repartition by count",
        Spills,
        Refused("repartition"),
        |on| {
            let parts = on.frame().filter("n >= 0")?.repartition(By::Count(5))?;
            on.written(&parts.to_parquet(&on.dir)?)
        },
    ),
    (
        "repartition by bytes",
        Spills,
        Refused("repartition"),
        |on| {
            let parts = on
                .frame()
                .filter("n >= 0")?
                .repartition(By::Bytes(ByteSize::kib(100)))?;
            on.written(&parts.to_parquet(&on.dir)?)
        },
    ),
    (
        "partitioned write",
        Spills,
        Refused("partitioned write"),
        |on| {
            let options = WriteOptions {
                partition_on: vec!["few".into()],
                ..WriteOptions::new(&on.dir)
            };
            on.written(&on.frame().write(&options)?)
        },
    ),
];

fn run(
    work: Work,
    threads: usize,
    rows: i64,
    budget: Option<ByteSize>,
) -> windrow::Result<Outcome> {
    run_where(work, threads, rows, budget, None)
}

/// Runs a case where spill files have so much room; whatever it comes to, none of
/// them outlives it, nor does the output of one that failed.
fn run_where(
    work: Work,
    threads: usize,
    rows: i64,
    budget: Option<ByteSize>,
    spill_limit: Option<ByteSize>,
) -> windrow::Result<Outcome> {
    let dir = tempfile::tempdir().unwrap();
    let spill_dir = dir.path().join("spill");
    std::fs::create_dir(&spill_dir).unwrap();
    let session = Session::new(Settings {
        threads,
        memory: ByteSize::mib(64),
        spill_dir: spill_dir.clone(),
        spill_limit,
        ..Settings::default()
    });
    let out = dir.path().join("out");
    let outcome = work(&On {
        session: match budget {
            Some(budget) => session.with_budget(budget),
            None => session,
        },
        rows,
        dir: out.clone(),
    });
    assert_eq!(std::fs::read_dir(&spill_dir).unwrap().count(), 0);
    assert!(outcome.is_ok() || !out.exists());
    outcome
}

#[test]
fn far_below_what_is_held_rows_are_spilled_and_the_answer_is_the_same() {
    let mut wrong = Vec::new();
    for (name, held, _, work) in CASES {
        let whole = run(*work, 2, ROWS, None).unwrap();
        assert!(!whole.rows.is_empty() && whole.spilled_runs == 0, "{name}");
        for threads in [1, 3] {
            let outcome = run(*work, threads, ROWS, Some(FAR_BELOW));
            let as_said = match (&outcome, held) {
                (Ok(outcome), Spills) => outcome.spilled_runs > 0 && outcome.rows == whole.rows,
                (Ok(outcome), Little) => outcome.spilled_runs == 0 && outcome.rows == whole.rows,
                _ => false,
            };
            if !as_said {
                wrong.push(format!(
                    "{name}, {threads} threads, {held:?}: {}",
                    shown(&outcome)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_no_batch_fits_the_error_says_who_wanted_how_much_and_what_to_change() {
    let mut wrong = Vec::new();
    for (name, _, Refused(operator), work) in CASES {
        for threads in [1, 3] {
            let outcome = run(*work, threads, FEW_ROWS, Some(NOTHING));
            let as_said = match &outcome {
                Ok(_) => false,
                Err(error) => says(error, operator, NOTHING),
            };
            if !as_said {
                wrong.push(format!(
                    "{name}, {threads} threads, {operator}: {}",
                    shown(&outcome)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_spill_files_have_no_room_the_error_says_so_and_nothing_is_left_behind() {
    // Less than any spill file takes.
    let limit = ByteSize::new(128);
    let mut wrong = Vec::new();
    for (name, held, _, work) in CASES {
        for threads in [1, 3] {
            let outcome = run_where(*work, threads, ROWS, Some(FAR_BELOW), Some(limit));
            let as_said = match (&outcome, held) {
                (Err(Error::Io { .. }), Spills) => {
                    let error = shown(&outcome);
                    error.contains("windrow-spill-") && error.contains("limit of 128 B")
                }
                (Ok(_), Little) => true,
                _ => false,
            };
            if !as_said {
                wrong.push(format!("{name}, {threads} threads: {}", shown(&outcome)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rows_too_near_to_each_other_to_be_sorted_in_parts_are_an_error() {
    // More different keys than there are ranges at most.
    let sorted: Work = |on| drain(&on.frame().sort_values(["text"])?);
    let outcome = run(sorted, 2, 1_600, Some(NOTHING));
    let error = outcome.err().expect("a range of two rows does not fit");
    assert!(says(&error, "sort_values", NOTHING), "{error}");
}

#[test]
fn a_kept_frame_that_is_dropped_frees_its_memory_and_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    let settings = Settings {
        threads: 2,
        memory: ByteSize::mib(32),
        spill_dir: dir.path().to_path_buf(),
        ..Settings::default()
    };
    let on = |budget: Option<ByteSize>| On {
        session: match budget {
            Some(budget) => Session::new(settings.clone()).with_budget(budget),
            None => Session::new(settings.clone()),
        },
        rows: ROWS,
        dir: PathBuf::new(),
    };
    // On disk as long as a frame has them.
    let spilling = on(Some(FAR_BELOW)).frame().persist().unwrap();
    let beside = spilling.filter("n >= 0").unwrap();
    assert!(files() > 0);
    drop(spilling);
    assert_eq!(beside.count().unwrap(), ROWS as u64);
    drop(beside);
    assert_eq!(files(), 0);
    // In memory: 80 frames of 0.4 MiB, of which no more than 16 MiB are kept at once.
    let ample = on(None);
    for _ in 0..80 {
        let kept = ample.frame().persist().unwrap();
        assert_eq!(files(), 0, "what was dropped is held still");
        assert_eq!(kept.count().unwrap(), ROWS as u64);
    }
    let all: Vec<DataFrame> = (0..80).map(|_| ample.frame().persist().unwrap()).collect();
    assert!(
        files() > 0,
        "{} frames are kept without spilling",
        all.len()
    );
}

/// Whether an error names an operator, how much it wanted of how much, and the setting.
fn says(error: &Error, operator: &str, budget: ByteSize) -> bool {
    let text = error.to_string();
    matches!(error, Error::Memory { operator: by, limit, .. } if *by == operator && *limit == budget)
        && text.starts_with(operator)
        && text.contains(" B") | text.contains("iB")
        && text.contains("--memory")
}

fn shown(outcome: &windrow::Result<Outcome>) -> String {
    match outcome {
        Ok(outcome) => format!(
            "{} rows, {} spilled runs",
            outcome.rows.len(),
            outcome.spilled_runs
        ),
        Err(error) => error.to_string(),
    }
}
