//! Many small files: few of them open at a time, packed into few partitions.

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;

use common::cli::ended;
use common::folder::names;
use common::table::integers;

/// Makes `files` files of one or two records, gzipped every other one, in folders of 1,000.
fn make(dir: &Path, files: usize) -> usize {
    let mut next = 0;
    for file in 0..files {
        let folder = dir.join(format!("logs/{:03}", file / 1000));
        if file % 1000 == 0 {
            std::fs::create_dir_all(&folder).unwrap();
        }
        let records: String = (0..1 + file % 2)
            .map(|_| {
                next += 1;
                format!("{{\"id\":{},\"file\":\"{file}\"}}\n", next - 1)
            })
            .collect();
        let (name, bytes) = match file % 4 {
            0 => (
                format!("{file:06}.json.gz"),
                common::cli::gzipped(records.as_bytes()),
            ),
            _ => (format!("{file:06}.json"), records.into_bytes()),
        };
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    next
}

/// Runs the command with arguments as a shell reads them, and 64 descriptors.
fn run_with_few_descriptors(dir: &Path, args: &str) {
    let command = env!("CARGO_BIN_EXE_windrow");
    let line = format!("ulimit -n 64; exec '{command}' {args}");
    let mut shell = Command::new("sh");
    let output = shell.current_dir(dir).args(["-c", &line]).output().unwrap();
    ended(output).expect(0);
}

/// Converts `files` files with 64 descriptors, and checks every row.
fn convert_with_few_descriptors(files: usize) {
    let dir = tempfile::tempdir().unwrap();
    let rows = make(dir.path(), files);
    for (input, flags) in [("logs", ""), ("'logs/**/*.json*'", "--npartitions 2")] {
        let args = format!("convert {input} --to out --overwrite --report r.json {flags}");
        run_with_few_descriptors(dir.path(), &args);
        let out = dir.path().join("out");
        let wanted = if flags.is_empty() { 1 } else { 2 };
        assert_eq!(names(&out).len(), wanted + 1, "{:?}", names(&out));
        assert_eq!(integers(&out, "id"), (0..rows as i64).collect::<Vec<_>>());
        let report = std::fs::read(dir.path().join("r.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["inputs"].as_array().unwrap().len(), files);
        assert_eq!(report["lines"], rows);
    }
}

#[test]
fn five_thousand_files_need_few_descriptors_and_become_one_partition() {
    convert_with_few_descriptors(5_000);
}

/// Converts `files` Parquet files of three rows with 64 descriptors, and checks every row.
fn convert_parquet_with_few_descriptors(files: usize) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tiny");
    std::fs::create_dir(&folder).unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for file in 0..files {
        std::fs::write(folder.join(format!("{file:05}.parquet")), &bytes).unwrap();
    }
    run_with_few_descriptors(dir.path(), "convert tiny --to out --where 'id > 0'");
    let out = dir.path().join("out");
    assert_eq!(names(&out).len(), 2, "{:?}", names(&out));
    let want: Vec<i64> = (0..files).flat_map(|_| [1, 2]).collect();
    assert_eq!(integers(&out, "id"), want);
}

#[test]
fn two_thousand_parquet_files_need_few_descriptors_and_become_one_partition() {
    convert_parquet_with_few_descriptors(2_000);
}

#[test]
#[ignore = "takes long in a debug build: run it with --release"]
fn ten_thousand_parquet_files_need_few_descriptors_and_become_one_partition() {
    convert_parquet_with_few_descriptors(10_000);
}

#[test]
#[ignore = "takes minutes in a debug build: run it with --release"]
fn a_hundred_thousand_files_need_few_descriptors_and_become_one_partition() {
    convert_with_few_descriptors(100_000);
}

#[test]
fn a_list_of_files_is_read_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    for file in 0..50 {
        std::fs::write(
            dir.path().join(format!("{file}.json")),
            format!("{{\"id\":{file}}}\n"),
        )
        .unwrap();
    }
    let order: Vec<i64> = (0..50).rev().collect();
    let list: String = order.iter().map(|file| format!("{file}.json\n")).collect();
    std::fs::write(dir.path().join("files.txt"), list).unwrap();
    common::cli::windrow(dir.path(), &["convert", "@files.txt", "--to", "out"]).expect(0);
    assert_eq!(integers(&dir.path().join("out"), "id"), order);
}
