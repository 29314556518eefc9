//! Plans as text, and the same answer whichever rules are on.

use std::path::PathBuf;

use windrow::arrow::array::RecordBatch;
use windrow::exec::{Context, collect, count};
use windrow::plan::optimize::{RULES, optimize_without};
use windrow::plan::{Layout, lower};
use windrow::{By, ByteSize, DataFrame, ReadOptions, Session, Settings};

fn logs() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("data/logs/*.json.gz").display().to_string()
}

fn frame() -> DataFrame {
    Session::new(Settings {
        threads: 2,
        ..Settings::default()
    })
    .read_json(logs(), ReadOptions::default())
    .unwrap()
}

/// Plans that use every rule, with a name for the golden file.
fn plans() -> Vec<(&'static str, DataFrame)> {
    let logs = frame();
    vec![
        ("scan", logs.clone()),
        (
            "filter_select",
            logs.filter("status >= 500")
                .unwrap()
                .select(["ts", "status", "host"])
                .unwrap(),
        ),
        (
            "select_filter",
            logs.select(["ts", "status"])
                .unwrap()
                .filter("status = 200")
                .unwrap(),
        ),
        (
            "filter_above_repartition",
            logs.repartition(By::Count(4))
                .unwrap()
                .filter("method = 'GET'")
                .unwrap()
                .select(["id", "method"])
                .unwrap(),
        ),
        (
            "filter_above_limit",
            logs.limit(100)
                .filter("status >= 400")
                .unwrap()
                .select(["id", "status"])
                .unwrap(),
        ),
        (
            "two_filters_two_selects",
            logs.filter("ok")
                .unwrap()
                .select(["id", "bytes", "geo"])
                .unwrap()
                .filter("geo.country = 'NL'")
                .unwrap()
                .select(["bytes", "id"])
                .unwrap()
                .repartition(By::Rows(50))
                .unwrap(),
        ),
    ]
}

fn rows(batches: &[Vec<RecordBatch>]) -> String {
    let lines = batches
        .iter()
        .flatten()
        .map(|batch| String::from_utf8(windrow::sink::json_lines(batch).unwrap()).unwrap());
    lines.collect()
}

#[test]
fn plans_read_as_they_did() {
    let mut text = String::new();
    for (name, frame) in plans() {
        text.push_str(&format!("== {name}\n{}\n", frame.explain()));
    }
    // The path differs from machine to machine.
    let text = text.replace(&logs(), "logs");
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plans.txt");
    if std::env::var_os("WINDROW_BLESS").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert!(
        text == expected,
        "plans have changed; look at them, then run this test with WINDROW_BLESS=1:\n{text}"
    );
}

#[test]
fn rows_are_the_same_with_any_rule_off() {
    let context = Context::new(Settings::default());
    for (name, frame) in plans() {
        let run = |off: &[&str]| {
            let plan = optimize_without(frame.plan().clone(), off);
            rows(
                &collect(&lower(plan, ByteSize::mib(1)), &context)
                    .unwrap()
                    .partitions,
            )
        };
        let all = run(&[]);
        assert!(!all.is_empty(), "{name} gives rows");
        for (rule, _) in RULES {
            assert_eq!(run(&[rule]), all, "{name} without {rule}");
        }
        let names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
        assert_eq!(run(&names), all, "{name} without any rule");
    }
}

#[test]
fn a_filter_leaves_one_partition_where_no_layout_was_asked_for() {
    let sparse = frame().filter("status = 504").unwrap();
    let plan = optimize_without(sparse.plan().clone(), &[]);
    assert!(matches!(
        lower(plan, ByteSize::kib(64)).layout,
        Layout::Coalesce(_)
    ));
    assert_eq!(sparse.npartitions().unwrap(), 1);
}

#[test]
fn a_count_reads_no_columns_and_equals_the_rows() {
    let context = Context::new(Settings::default());
    for (name, frame) in plans() {
        let rows: usize = frame.compute().unwrap().num_rows();
        assert_eq!(frame.count().unwrap(), rows as u64, "{name}");
        let plan = optimize_without(frame.plan().clone(), &[]);
        let (counted, _) = count(&lower(plan, ByteSize::mib(1)), &context).unwrap();
        assert_eq!(counted, rows as u64, "{name}");
    }
}
