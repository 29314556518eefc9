//! Groups behind a merge that was cut by key are made where its rows lie: one shuffle
//! in all, whatever is asked of them, and the answer and the error of rows in order.

use std::path::Path;
use std::sync::Arc;

use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::expr::{AggExpr, col, count, lit};
use windrow::{ByteSize, DataFrame, MergeHow, MergeOptions, ReadOptions, Session, Settings};

fn session(threads: usize) -> Session {
    Session::new(Settings {
        threads,
        memory: ByteSize::mib(256),
        ..Settings::default()
    })
}

/// Rows of which a few share a key, in no order of it; some keys are null.
fn rows(n_rows: i64, name: &str, step: i64) -> RecordBatch {
    let key = |row: i64| (row % 31 != 0).then_some(row * step % (n_rows / 3));
    let k: Int64Array = (0..n_rows).map(key).collect();
    let n = Int64Array::from_iter_values(0..n_rows);
    let text: StringArray = (0..n_rows)
        .map(|row| (row % 17 != 0).then(|| format!("{}", row % 5)))
        .collect();
    RecordBatch::try_from_iter([
        ("k", Arc::new(k) as ArrayRef),
        (name, Arc::new(n)),
        ("text", Arc::new(text)),
    ])
    .unwrap()
}

fn in_memory(session: &Session, rows: &RecordBatch) -> DataFrame {
    let pieces = (0..rows.num_rows()).step_by(97);
    let pieces = pieces.map(|from| rows.slice(from, 97.min(rows.num_rows() - from)));
    session.from_batches(rows.schema(), pieces).unwrap()
}

/// Two frames that share keys.
fn sides(session: &Session) -> (DataFrame, DataFrame) {
    let (left, right) = (rows(900, "l", 7), rows(600, "r", 11));
    let left = in_memory(session, &left);
    (left, in_memory(session, &right).select(["k", "r"]).unwrap())
}

struct Grouped {
    rows: String,
    /// Whether both sides of the merge were cut by key.
    cut: bool,
    /// Whether groups were made where rows lay.
    stays: bool,
    shuffles: u64,
}

fn run(frame: &DataFrame) -> Grouped {
    let table = frame.compute().unwrap();
    let stages = &table.report().stages;
    let shuffles = stages.iter().map(|stage| stage.shuffles).sum();
    let tells = |told: &str| {
        let mut ways = stages.iter().filter_map(|stage| stage.way.as_deref());
        ways.any(|way| way.contains(told))
    };
    let (cut, stays) = (tells("cut by key"), tells("as rows lay before"));
    let lines = table
        .into_batches()
        .into_iter()
        .map(|batch| String::from_utf8(windrow::sink::json_lines(&batch).unwrap()).unwrap());
    Grouped {
        rows: lines.collect(),
        cut,
        stays,
        shuffles,
    }
}

const HELD: ByteSize = ByteSize::mib(64);

/// How many threads, and how many bytes of one side are held: buckets of a few
/// hundred bytes.
type Cut = (usize, u64);
const CUTS: [Cut; 3] = [(1, 2_000), (2, 1_500), (5, 4_000)];

/// Asks `question` of a merge whose right side is held, and of one that is cut by key,
/// and holds the answers against each other; whether groups were always made where
/// rows lay.
fn stays(
    how: MergeHow,
    cuts: &[Cut],
    question: impl Fn(&Session, MergeOptions) -> DataFrame,
) -> bool {
    let options = |hold: ByteSize| MergeOptions::on(["k"]).how(how).hold(hold);
    let wanted = run(&question(&session(2), options(HELD)));
    assert!(!wanted.cut && !wanted.rows.is_empty());
    let mut stays = true;
    for &(threads, hold) in cuts {
        let found = run(&question(&session(threads), options(ByteSize::new(hold))));
        assert!(found.cut, "{hold}");
        assert!(
            found.rows == wanted.rows,
            "{how}, {threads} threads, {hold}"
        );
        assert!(!found.stays || found.shuffles == 1, "{hold}");
        stays &= found.stays;
    }
    stays
}

fn aggregates(of_order: bool) -> Vec<AggExpr> {
    match of_order {
        false => vec![
            count(),
            col("l").sum().alias("sum"),
            col("l").max().alias("most"),
        ],
        true => vec![
            col("l").first().alias("first"),
            col("r").last().alias("last"),
            col("l").list().alias("all"),
        ],
    }
}

#[test]
fn groups_by_more_than_the_merges_key_take_one_shuffle() {
    for keys in [&["k", "l"][..], &["text", "k"], &["k", "tens"]] {
        for how in [MergeHow::Inner, MergeHow::Left, MergeHow::Semi] {
            let stays = stays(how, &CUTS, |session, options| {
                let (left, right) = sides(session);
                let merged = left.merge(&right, options).unwrap();
                let merged = merged.with_column("tens", col("l") / lit(10.0)).unwrap();
                let groups = merged.groupby(keys.iter().copied()).unwrap();
                groups.agg([count(), col("l").sum().alias("sum")]).unwrap()
            });
            assert!(stays, "{keys:?}, {how}");
        }
    }
    // Of the other key alone they lie all over.
    let stays = stays(MergeHow::Inner, &CUTS, |session, options| {
        let (left, right) = sides(session);
        let merged = left.merge(&right, options).unwrap();
        merged
            .groupby(["text"])
            .unwrap()
            .agg(aggregates(false))
            .unwrap()
    });
    assert!(!stays);
}

#[test]
fn groups_that_first_appear_with_one_row_come_out_in_the_order_of_those_it_met() {
    for keys in [&["k", "text"][..], &["text", "k"], &["k", "said"]] {
        for how in [MergeHow::Inner, MergeHow::Left, MergeHow::Outer] {
            let stays = stays(how, &CUTS, |session, options| {
                let (held, streamed) = sides(session);
                let merged = streamed.merge(&held, options).unwrap();
                let said = "coalesce(text, 'nothing')";
                let merged = merged.with_column("said", said).unwrap();
                let groups = merged.groupby(keys.iter().copied()).unwrap();
                groups.agg([count()]).unwrap()
            });
            assert!(!stays, "{keys:?}, {how}");
        }
    }
}

#[test]
fn aggregates_that_look_at_the_order_of_rows_take_one_shuffle() {
    for keys in [&["k"][..], &["k", "text"]] {
        // Buckets of which each fits as a whole, but for hot ones.
        let cuts = [(1, 4_000), (2, 8_000), (5, 9_000)];
        for how in [
            MergeHow::Inner,
            MergeHow::Left,
            MergeHow::Right,
            MergeHow::Outer,
            MergeHow::Semi,
            MergeHow::Anti,
        ] {
            let cuts = match how {
                // With the places of rows that meet nobody, buckets are half as large again.
                MergeHow::Outer => &[(1, 9_000)][..],
                _ => &cuts,
            };
            let stays = stays(how, cuts, |session, options| {
                let (left, right) = sides(session);
                // Rows without a key that come out lie in one bucket: not too many for it.
                let right = right.filter("k is not null or r < 100").unwrap();
                let merged = left.merge(&right, options).unwrap();
                let of_order = match how {
                    MergeHow::Semi | MergeHow::Anti => vec![col("l").list().alias("all")],
                    _ => aggregates(true),
                };
                let groups = merged.groupby(keys.iter().copied()).unwrap();
                groups.agg(of_order).unwrap()
            });
            // Of one right row there may be several left ones, each with a text.
            assert_eq!(
                stays,
                how != MergeHow::Right || keys.len() == 1,
                "{keys:?}, {how}"
            );
        }
    }
    // A build side of which no bucket fits at once.
    for (how, hold) in [
        (MergeHow::Inner, 60),
        (MergeHow::Left, 60),
        (MergeHow::Outer, 60),
        (MergeHow::Outer, 9_000),
    ] {
        let grouped = |hold: ByteSize| {
            let (left, right) = sides(&session(2));
            let options = MergeOptions::on(["k"]).how(how).hold(hold);
            let merged = left.merge(&right, options).unwrap();
            run(&merged
                .groupby(["k"])
                .unwrap()
                .agg(aggregates(true))
                .unwrap())
        };
        let found = grouped(ByteSize::new(hold));
        assert!(
            found.cut && found.rows == grouped(HELD).rows,
            "{how} {hold}"
        );
    }
}

#[test]
fn aggregates_that_look_at_the_order_of_partitions_by_key_take_no_shuffle_of_their_own() {
    for threads in [1, 2, 5] {
        let (left, right) = sides(&session(threads));
        let merged = left.merge(&right, "k").unwrap();
        let grouped = |frame: &DataFrame| {
            let groups = frame.groupby(["text", "k"]).unwrap();
            let groups = groups.agg(aggregates(true)).unwrap();
            groups.sort_values(["text", "k"]).unwrap()
        };
        let wanted = run(&grouped(&merged));
        let parts = merged.shuffle(["k"], 7).unwrap();
        let found = run(&grouped(&parts));
        assert!(
            found.rows == wanted.rows && found.shuffles <= 2,
            "{threads} threads"
        );
        assert!(run(&grouped(&parts.persist().unwrap())).rows == wanted.rows);
    }
}

#[test]
fn steps_that_may_fail_take_one_shuffle_and_fail_on_the_first_row_in_order() {
    let question = |session: &Session, options: MergeOptions, most: i64| {
        let (left, right) = sides(session);
        let merged = left.merge(&right, options).unwrap();
        // Whole numbers that may be too large.
        let large = (col("l") * lit(i64::MAX / most)).alias("large");
        let merged = merged
            .select([col("k"), large, col("l"), col("r")])
            .unwrap();
        let groups = merged.groupby(["k"]).unwrap();
        groups
            .agg([count(), col("large").max().alias("most")])
            .unwrap()
    };
    let stays = stays(MergeHow::Inner, &CUTS, |session, options| {
        question(session, options, 900)
    });
    assert!(stays);
    let fails = |threads: usize, hold: ByteSize| {
        let options = MergeOptions::on(["k"]).hold(hold);
        let failing = question(&session(threads), options, 300);
        failing.compute().unwrap_err().to_string()
    };
    let wanted = fails(2, HELD);
    assert!(wanted.contains("row"), "{wanted}");
    for threads in [1, 2, 5] {
        assert_eq!(fails(threads, ByteSize::new(1_500)), wanted);
    }
}

/// The rows as JSON Lines.
fn write(dir: &Path, name: &str, rows: &RecordBatch) -> String {
    let path = dir.join(format!("{name}.json"));
    std::fs::write(&path, windrow::sink::json_lines(rows).unwrap()).unwrap();
    path.display().to_string()
}

#[test]
fn groups_of_text_whose_types_are_known_late_take_one_shuffle() {
    let dir = tempfile::tempdir().unwrap();
    let left = write(dir.path(), "left", &rows(900, "l", 7));
    let right = write(dir.path(), "right", &rows(600, "r", 11));
    let stays = stays(MergeHow::Inner, &CUTS, |session, options| {
        let read = |path: &str| session.read_json(path, ReadOptions::default()).unwrap();
        let right = read(&right).select(["k", "r"]).unwrap();
        let merged = read(&left).merge(&right, options).unwrap();
        merged
            .groupby(["k"])
            .unwrap()
            .agg(aggregates(false))
            .unwrap()
    });
    assert!(stays);
}
