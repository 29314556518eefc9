//! What lowering does to spare work: seen in plans and in what runs, and of no
//! effect on rows and their order.

#[path = "common/golden.rs"]
mod golden;

use std::path::Path;
use std::sync::Arc;

use golden::assert_reads_as_it_did;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use windrow::exec::{Collected, Context, collect};
use windrow::expr::{col, count};
use windrow::plan::optimize::optimize;
use windrow::plan::{Way, lower_without, physical_text};
use windrow::sink::json_lines;
use windrow::{ByteSize, DataFrame, MergeHow, MergeOptions, Session, Settings};

const ROWS: i64 = 4_000;

fn session() -> Session {
    Session::new(Settings {
        threads: 2,
        ..Settings::default()
    })
}

/// Events in a Parquet file of small row groups, by a number that rises.
fn events(dir: &Path) -> DataFrame {
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let user = (0..ROWS).map(|n| (n % 7 != 0).then(|| format!("user {}", n * 31 % 97)));
    let user: ArrayRef = Arc::new(user.collect::<StringArray>());
    let bytes: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..ROWS).map(|n| n * n % 1_009),
    ));
    let columns = [("number", number), ("user", user), ("bytes", bytes)];
    let columns = columns.map(|(name, column)| (name, column, true));
    let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(500))
        .build();
    let path = dir.join("events.parquet");
    let out = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(out, rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    session().read_parquet(path.to_str().unwrap()).unwrap()
}

/// Numbers in memory, each twice, with what they are worth.
fn prices() -> DataFrame {
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..600).map(|n| (n * 7 % 300) * 2),
    ));
    let price: ArrayRef = Arc::new(Int64Array::from_iter_values(0..600));
    let rows = RecordBatch::try_from_iter([("number", number), ("price", price)]).unwrap();
    session().from_batches(rows.schema(), [rows]).unwrap()
}

/// Plans of which each way to spare work does something for one.
fn plans(dir: &Path) -> Vec<(&'static str, DataFrame)> {
    let (events, prices) = (events(dir), prices());
    let cheap = prices.filter("price < 40").unwrap();
    let on_number = |how| MergeOptions::on(["number"]).how(how);
    let unheld = on_number(MergeHow::Inner).hold(ByteSize::new(1));
    let by_number = |frame: &DataFrame| frame.set_index("number").unwrap();
    let moved = |frame: &DataFrame| frame.shuffle(["number"], 3).unwrap();
    vec![
        (
            "steps",
            events
                .with_column("kib", col("bytes") / 1_024 + col("number"))
                .unwrap()
                .limit(3_000)
                .filter("kib > 70")
                .unwrap()
                .with_column("next", col("kib").shift(-1))
                .unwrap(),
        ),
        (
            "groups",
            events
                .groupby(["user"])
                .unwrap()
                .agg([col("bytes").sum(), col("number").max(), count()])
                .unwrap(),
        ),
        (
            "groups_in_order",
            events
                .groupby(["user"])
                .unwrap()
                .agg([col("bytes").first(), col("bytes").list().alias("all")])
                .unwrap(),
        ),
        (
            "one_group",
            events
                .agg([col("bytes").sum(), col("user").nunique()])
                .unwrap(),
        ),
        (
            "small_side",
            events.merge(&cheap, on_number(MergeHow::Inner)).unwrap(),
        ),
        (
            "rows_without_partner",
            events.merge(&cheap, on_number(MergeHow::Outer)).unwrap(),
        ),
        (
            "few_rows_of_whom_partners_are_asked",
            cheap.merge(&events, on_number(MergeHow::Semi)).unwrap(),
        ),
        (
            "sorted_sides",
            by_number(&events)
                .merge(&by_number(&prices), unheld.clone())
                .unwrap(),
        ),
        (
            "sides_by_hash",
            moved(&events).merge(&moved(&prices), unheld).unwrap(),
        ),
        (
            "groups_of_moved_rows",
            moved(&events)
                .groupby(["number"])
                .unwrap()
                .agg([col("bytes").sum()])
                .unwrap(),
        ),
        (
            "filter",
            events
                .filter("number >= 3600 and bytes < 400")
                .unwrap()
                .select(["user", "bytes"])
                .unwrap(),
        ),
    ]
}

fn run(frame: &DataFrame, off: &[&str], threads: usize) -> Collected {
    let settings = Settings {
        threads,
        ..Settings::default()
    };
    run_in(&Context::new(settings), frame, off)
}

fn run_in(context: &Context, frame: &DataFrame, off: &[&str]) -> Collected {
    let plan = lower_without(optimize(frame.plan().clone()), ByteSize::mib(1), off);
    collect(&plan, context).unwrap()
}

fn rows(collected: &Collected) -> String {
    let batches = collected.partitions.iter().flatten();
    let lines = batches.map(|batch| String::from_utf8(json_lines(batch).unwrap()).unwrap());
    lines.collect()
}

/// The stages of a plan, wherever its files lie.
fn stages(frame: &DataFrame, off: &[&str], dir: &Path) -> String {
    let plan = lower_without(optimize(frame.plan().clone()), ByteSize::mib(1), off);
    physical_text(&plan).replace(dir.to_str().unwrap(), "dir")
}

#[test]
fn every_way_to_spare_work_shows_in_a_plan_which_reads_as_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let plans = plans(dir.path());
    let mut text = String::new();
    for way in Way::ALL.map(Way::name) {
        let changes = |(_, frame): &&(&str, DataFrame)| {
            stages(frame, &[], dir.path()) != stages(frame, &[way], dir.path())
        };
        let (name, frame) = plans
            .iter()
            .find(changes)
            .unwrap_or_else(|| panic!("{way} shows in none of the plans"));
        let (with, without) = (
            stages(frame, &[], dir.path()),
            stages(frame, &[way], dir.path()),
        );
        text.push_str(&format!(
            "== {name}\nwith {way}\n{with}without {way}\n{without}\n"
        ));
    }
    assert_reads_as_it_did("ways.txt", &text);
}

#[test]
fn rows_are_the_same_without_any_way_to_spare_work() {
    let dir = tempfile::tempdir().unwrap();
    for (name, frame) in plans(dir.path()) {
        let all = rows(&run(&frame, &[], 2));
        assert!(all.lines().count() > 0, "{name} gives rows");
        for way in Way::ALL.map(Way::name) {
            for threads in [1, 2, 5] {
                let without = rows(&run(&frame, &[way], threads));
                assert!(without == all, "{name} without {way}, {threads} threads");
            }
        }
        let none = Way::ALL.map(Way::name);
        assert!(rows(&run(&frame, &none, 2)) == all, "{name} without any");
    }
}

/// Else both would give the same rows because both do the same.
#[test]
fn what_is_left_off_is_not_done() {
    let dir = tempfile::tempdir().unwrap();
    let plans = plans(dir.path());
    let of = |name: &str, off: &[&str]| {
        let (_, frame) = plans.iter().find(|(known, _)| *known == name).unwrap();
        run(frame, off, 2).report
    };
    let shuffles = |name: &str, off: &[&str]| -> u64 {
        let stages = of(name, off).stages;
        stages.iter().map(|stage| stage.shuffles).sum()
    };
    let n_stages = |off: &[&str]| of("steps", off).stages.len();
    assert_eq!(n_stages(&[]) + 4, n_stages(&["fusion"]));
    for name in ["groups", "groups_in_order"] {
        assert_eq!(shuffles(name, &[]), 0, "{name}");
    }
    assert_eq!(shuffles("groups", &["partial_aggregation"]), 1);
    assert_eq!(shuffles("small_side", &[]), 0);
    assert_eq!(shuffles("small_side", &["broadcast"]), 1);
    // Each side was moved once, by who built the plan.
    assert_eq!(shuffles("sorted_sides", &[]), 2);
    assert_eq!(shuffles("sorted_sides", &["side_by_side"]), 3);
    assert_eq!(shuffles("sides_by_hash", &[]), 2);
    assert_eq!(shuffles("sides_by_hash", &["side_by_side"]), 3);
    let apart = ["partial_aggregation", "groups_together"];
    assert_eq!(shuffles("groups_of_moved_rows", &apart[..1]), 1);
    assert_eq!(shuffles("groups_of_moved_rows", &apart), 2);
    let read = |name: &str, off: &[&str]| {
        let report = of(name, off);
        (report.skipped_row_groups, report.stored_bytes_read)
    };
    let (skipped, bytes) = read("filter", &[]);
    assert_eq!(skipped, 7);
    assert_eq!(read("filter", &["statistics"]).0, 0);
    assert!(read("filter", &["statistics"]).1 >= bytes);
    let held = |off: &[&str]| {
        let report = of("few_rows_of_whom_partners_are_asked", off);
        let way = report.stages.into_iter().find_map(|stage| stage.way);
        (way.unwrap(), report.skipped_row_groups)
    };
    // The rows that are held tell which row groups of the others need not be read.
    let (way, skipped) = held(&[]);
    assert!(
        way.starts_with("left rows") && skipped == 6,
        "{way}, {skipped}"
    );
    let (way, skipped) = held(&["fewer_rows_held"]);
    assert!(
        way.starts_with("right rows") && skipped == 0,
        "{way}, {skipped}"
    );
    assert!(of("small_side", &[]).skipped_row_groups > 0);
    assert_eq!(of("small_side", &["runtime_filter"]).skipped_row_groups, 0);
}

#[test]
fn columns_that_come_late_are_read_of_pages_with_rows_that_pass() {
    const ROWS: i64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let scrambled = |n: i64| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let kind = (0..ROWS).map(|n| (scrambled(n) % 1000) as i64);
    let kind: ArrayRef = Arc::new(Int64Array::from_iter_values(kind));
    let text = |n| format!("{:016x}", scrambled(n)).repeat(6);
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(text)));
    let batch = RecordBatch::try_from_iter([("kind", kind), ("text", text)]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .build();
    let path = dir.path().join("texts.parquet");
    let out = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(out, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let texts = session().read_parquet(path.to_str().unwrap()).unwrap();
    // Some pages have a row that passes, and statistics cannot tell which.
    let few = texts.filter("kind = 77").unwrap();
    let few = few.select(["text"]).unwrap();
    let read = |off: &[&str]| {
        let context = Context::new(Settings::default());
        let collected = run_in(&context, &few, off);
        (rows(&collected), context.reads().bytes())
    };
    let ((late_rows, late), (all_rows, at_once)) = (read(&[]), read(&["late_columns"]));
    assert_eq!(late_rows, all_rows);
    assert!(late * 3 < at_once, "{late} of {at_once} bytes");
}
