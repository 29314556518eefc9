//! What is told from a sample holds for the whole: the truth lies in the interval.

mod cli_common;

use std::io::Write;
use std::path::Path;

use cli_common::windrow;
use windrow::{
    Between, DataFrame, Estimate, OnBadRecord, ReadOptions, RunReport, Session, WriteOptions,
};

fn read(input: &str) -> DataFrame {
    let session = Session::default();
    session.read(input, ReadOptions::default()).unwrap()
}

/// The estimate of a write, and what became of it.
fn both(frame: &DataFrame, dir: &Path) -> (Estimate, RunReport) {
    let to = tempfile::tempdir_in(dir).unwrap();
    let options = WriteOptions::new(to.path().join("out"));
    let estimate = frame.estimate(&options).unwrap();
    assert!(!to.path().join("out").exists(), "nothing is written");
    (estimate, frame.write(&options).unwrap())
}

#[track_caller]
fn assert_holds(of: Between<u64>, truth: u64, what: &str) {
    assert!(
        of.low <= of.estimate && of.estimate <= of.high,
        "{what}: {of:?}"
    );
    assert!(
        of.low <= truth && truth <= of.high,
        "{what}: {truth}, {of:?}"
    );
}

#[track_caller]
fn assert_true(estimate: &Estimate, report: &RunReport, text_bytes: Option<u64>, what: &str) {
    assert_holds(estimate.rows, report.rows_written(), what);
    let stored = report.outputs.iter().map(|part| part.stored_bytes).sum();
    assert_holds(estimate.output_bytes, stored, what);
    if let Some(text_bytes) = text_bytes {
        assert_holds(estimate.text_bytes, text_bytes, what);
    }
    assert!(estimate.seconds.low <= estimate.seconds.high, "{what}");
    assert!(
        estimate.sampled_bytes <= 8 * (5 << 20),
        "{what}: little is read"
    );
}

/// A record whose length depends on its number.
fn record(n: u64) -> String {
    let word = ["GET", "POST", "DELETE"][n as usize % 3];
    let scattered = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    format!(
        "{{\"n\":{n},\"verb\":\"{word}\",\"path\":\"/a/{scattered}\",\"ms\":{}}}\n",
        n % 977
    )
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    gz.finish().unwrap()
}

#[test]
fn what_fits_the_sample_is_no_estimate() {
    let dir = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let logs = data.join("logs").join("*.json.gz").display().to_string();
    let (estimate, report) = both(&read(&logs), dir.path());
    assert!(estimate.exact || estimate.files > 8, "{estimate:?}");
    assert_true(&estimate, &report, None, "logs");

    let csv = dir.path().join("a.csv");
    std::fs::write(&csv, "a,b\n1,x\n2,y\n3,\n").unwrap();
    let some = read(csv.to_str().unwrap()).filter("a > 1").unwrap();
    let (estimate, report) = both(&some, dir.path());
    assert_true(&estimate, &report, Some(15), "csv");
    let peak = estimate.peak_bytes;
    assert_holds(peak, report.peak_bytes, "csv");
    assert!(peak.high <= 2 * peak.estimate, "{peak:?}");
    assert!(
        !estimate.to_string().contains("budget"),
        "what was run is known: {estimate}"
    );
    assert!(
        estimate.exact && estimate.rows.estimate == 2,
        "{estimate:?}"
    );
    let columns: Vec<_> = estimate.schema.iter().map(|column| &*column.name).collect();
    assert_eq!(columns, ["a", "b"]);
}

#[test]
fn the_truth_about_many_files_and_large_ones_lies_in_the_interval() {
    let dir = tempfile::tempdir().unwrap();
    // Files of many sizes, of which a part is looked at.
    let (mut n, mut text_bytes) = (0, 0);
    for file in 0..30 {
        let mut text = String::new();
        for _ in 0..100 + file * 37 % 400 {
            text.push_str(&record(n));
            n += 1;
        }
        text_bytes += text.len() as u64;
        std::fs::write(
            dir.path().join(format!("m{file:02}.json.gz")),
            gzipped(&text),
        )
        .unwrap();
    }
    let many = read(&format!("{}/m*.json.gz", dir.path().display()));
    let (estimate, report) = both(&many, dir.path());
    assert!(!estimate.exact && estimate.sampled_files < 30);
    assert_true(&estimate, &report, Some(text_bytes), "many");

    // One file, of which the head is looked at, plain and compressed.
    let mut text = String::new();
    while text.len() < 5 << 20 {
        text.push_str(&record(n));
        n += 1;
    }
    let text_bytes = text.len() as u64;
    std::fs::write(dir.path().join("one.json"), &text).unwrap();
    std::fs::write(dir.path().join("one.json.gz"), gzipped(&text)).unwrap();
    for name in ["one.json", "one.json.gz"] {
        let path = dir.path().join(name).display().to_string();
        for condition in ["true", "ms < 300"] {
            let frame = read(&path).filter(condition).unwrap();
            let (estimate, report) = both(&frame, dir.path());
            assert!(!estimate.exact, "{name}");
            let what = format!("{name} where {condition}");
            assert_true(&estimate, &report, Some(text_bytes), &what);
            let rows = report.rows_written() as f64;
            let off = (estimate.rows.estimate as f64 / rows - 1.0).abs();
            assert!(off < 0.2, "{what}: {off}");
        }
    }

    // The same rows as columns: footers tell how many there are.
    let columns = dir.path().join("columns");
    read(&dir.path().join("one.json").display().to_string())
        .to_parquet(&columns)
        .unwrap();
    let frame = read(columns.to_str().unwrap());
    for frame in [frame.clone(), frame.filter("ms < 300").unwrap()] {
        let (estimate, report) = both(&frame, dir.path());
        assert_true(&estimate, &report, None, "columns");
    }
}

#[test]
fn bad_records_are_met_as_the_run_would_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    std::fs::write(&path, "{\"a\":1}\nbad\n{\"a\":2}\n").unwrap();
    let path = path.to_str().unwrap();
    let to = WriteOptions::new(dir.path().join("out"));
    assert!(read(path).estimate(&to).is_err());
    let rejects = dir.path().join("bad.jsonl");
    let options = ReadOptions {
        on_bad_record: OnBadRecord::Reject,
        rejects: Some(rejects.clone()),
        ..ReadOptions::default()
    };
    let frame = Session::default().read_json(path, options).unwrap();
    assert_eq!(frame.estimate(&to).unwrap().rows.estimate, 2);
    assert!(!rejects.exists());
    let sorted = read("data/logs/*.json.gz").nlargest(1, "status");
    assert!(sorted.is_ok_and(|top| top.estimate(&to).is_err()));
}

#[test]
fn the_command_prints_a_table_and_json() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.json"), "{\"a\":1}\n{\"a\":2}\n").unwrap();
    let table = windrow(dir.path(), &["estimate", "a.json"])
        .expect(0)
        .stdout;
    assert!(table.contains("rows          2\n"), "{table}");
    let json = windrow(dir.path(), &["estimate", "a.json", "--output", "json"]);
    let json = json.expect(0).json();
    assert_eq!(json["rows"]["high"], 2);
    assert_eq!(json["schema"][0]["name"], "a");
    assert_eq!(json["exact"], true);
    windrow(dir.path(), &["estimate", "-"]).expect(2);
    windrow(dir.path(), &["estimate", "missing.json"]).expect(1);
}
