//! How fast do logs become Parquet, and how much is lost beside the stages? Unit: bytes of JSON per second.
//!
//! Four shapes: many gzip files, one big one, plain files, and many files of
//! which a filter keeps one row in a thousand, into four partitions. Rows and
//! sums are checked before any time is believed. The last lines compare the CPU
//! time of a whole run with that of its three stages run alone on one thread.
//!
//! `WINDROW_BENCH_ROWS` sets the size (default 400,000 rows, 190 MB of JSON).

#[path = "generate/mod.rs"]
mod generate;
#[path = "measure/mod.rs"]
mod measure;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use generate::{Layout, LogSet, Logs, Seed};
use measure::cpu_seconds;
use windrow::arrow::array::RecordBatch;
use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::Int64Type;
use windrow::io::json::{DecodeOptions, Decoder, JsonSchema};
use windrow::io::{SourceFile, TextOptions, Unit, open};
use windrow::sink::jobs;
use windrow::{By, DataFrame, ReadOptions, RunReport, Session, Settings, WriteOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Logical bytes of a row group when its stage is run alone; that of a run.
const ROW_GROUP_BYTES: u64 = 32 << 20;

fn main() {
    let rows: u64 = std::env::var("WINDROW_BENCH_ROWS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400_000);
    let dir = tempfile::tempdir().expect("a folder for the sets");
    let logs = Logs::new(Seed(7), rows);
    let text_bytes = logs.text().len() as u64;
    let expected = expected_sums(&logs);
    let set = |name: &str, files: usize, skew: bool, plain: bool| {
        let layout = Layout {
            files,
            skew,
            plain,
            ..Layout::default()
        };
        let at = dir.path().join(name);
        let set = LogSet {
            seed: Seed(7),
            logs: Logs::new(Seed(7), rows),
            layout,
        };
        set.write(&at).expect("the folder is there");
        let ending = if plain { "ndjson" } else { "json.gz" };
        format!("{}/*.{ending}", at.display())
    };
    let many = set("many", 214, true, false);
    let one = set("one", 1, false, false);
    let plain = set("plain", 4, false, true);

    println!("{rows} rows, {} MB of JSON", text_bytes / 1_000_000);
    for (name, inputs) in [("many", &many), ("one", &one), ("plain", &plain)] {
        let run = best(dir.path(), inputs, |frame| frame);
        assert_eq!(sums(&run.out, dir.path()), expected, "{name}");
        report(name, text_bytes, &run);
    }
    let sparse = best(dir.path(), &many, |frame| {
        let kept = frame.filter("status = 504").expect("a column of the set");
        kept.repartition(By::Count(4)).expect("four partitions")
    });
    let parts: Vec<u64> = sparse.report.outputs.iter().map(|part| part.rows).collect();
    assert_eq!(parts.len(), 4);
    assert!(parts.iter().max() <= parts.iter().min().map(|min| min + 1).as_ref());
    report("filter", text_bytes, &sparse);
    stages(dir.path(), &one, text_bytes);
}

/// One run: its report, its output, its time.
struct Run {
    report: RunReport,
    out: String,
    seconds: f64,
    cpu_seconds: f64,
}

fn report(name: &str, text_bytes: u64, run: &Run) {
    let stored: u64 = run
        .report
        .outputs
        .iter()
        .map(|part| part.stored_bytes)
        .sum();
    println!(
        "{name:7} {:>6.0} MB/s, {:.2} cores busy, {} parts, {:.1} MB stored",
        text_bytes as f64 / run.seconds / 1e6,
        run.cpu_seconds / run.seconds,
        run.report.outputs.len(),
        stored as f64 / 1e6,
    );
}

/// The fastest of three runs.
fn best(dir: &Path, inputs: &str, plan: impl Fn(DataFrame) -> DataFrame) -> Run {
    let runs = (0..3).map(|turn| {
        let out = dir.join(format!("out-{turn}"));
        if out.exists() {
            std::fs::remove_dir_all(&out).expect("an output of our own");
        }
        let before = cpu_seconds();
        let start = Instant::now();
        let frame = Session::new(Settings::default())
            .read_json(inputs, ReadOptions::default())
            .expect("a set of our own");
        let report = plan(frame)
            .write(&WriteOptions::new(&out))
            .expect("a set of our own");
        Run {
            seconds: start.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds() - before,
            report,
            out: out.display().to_string(),
        }
    });
    runs.min_by(|a, b| a.seconds.total_cmp(&b.seconds))
        .expect("three runs")
}

/// Rows, and the sums of `id` and `bytes`, by serde_json.
fn expected_sums(logs: &Logs) -> (u64, i64, i64) {
    let text = logs.text();
    let mut sums = (0, 0, 0);
    for line in text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let record: serde_json::Value = serde_json::from_slice(line).expect("our own JSON");
        sums.0 += 1;
        sums.1 += record["id"].as_i64().unwrap_or(0);
        sums.2 += record["bytes"].as_i64().unwrap_or(0);
    }
    sums
}

fn sums(out: &str, _dir: &Path) -> (u64, i64, i64) {
    let frame = Session::default()
        .read_parquet(out)
        .and_then(|frame| frame.select(["id", "bytes"]))
        .expect("our own output");
    let table = frame.compute().expect("our own output");
    let sum = |name: &str| {
        let of = |batch: &RecordBatch| -> i64 {
            let column = batch.column_by_name(name).expect("it was selected");
            column.as_primitive::<Int64Type>().iter().flatten().sum()
        };
        table.batches().map(of).sum()
    };
    (table.num_rows() as u64, sum("id"), sum("bytes"))
}

/// Inflating, decoding and encoding, each alone on this thread.
fn stages(dir: &Path, inputs: &str, text_bytes: u64) {
    let path = inputs.replace("*.json.gz", "");
    let file = std::fs::read_dir(path)
        .expect("the set's folder")
        .map(|entry| entry.expect("the set's folder").path())
        .find(|path| path.extension().is_some_and(|ending| ending == "gz"))
        .expect("one file");
    let file = SourceFile::at(&file.display().to_string(), 0).expect("just written");
    let unit = Unit::whole(Arc::new(file));

    // Each pass does one stage more, chunk by chunk, so that nothing but a row group is held.
    let inflate = pass(&unit, &mut |_| ());
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), None);
    let mut schema = JsonSchema::empty();
    let decode = pass(&unit, &mut |chunk| {
        let decoded = decoder.decode(chunk, &schema).expect("our own JSON");
        schema = schema.merge(&decoded.schema);
    });
    let options = WriteOptions::new(dir.join("unused"));
    let arrow = schema.to_arrow();
    let mut group = Vec::new();
    let mut bytes = 0;
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), None);
    let encode = {
        let encode_group = |group: &mut Vec<RecordBatch>| {
            for job in jobs(&arrow, &options, std::mem::take(group)).expect("our own rows") {
                job.run().expect("our own rows");
            }
        };
        let seconds = pass(&unit, &mut |chunk| {
            let decoded = decoder.decode(chunk, &schema).expect("our own JSON");
            bytes += windrow::partition::batch_bytes(&decoded.batch);
            group.push(decoded.batch);
            if bytes >= ROW_GROUP_BYTES {
                encode_group(&mut group);
                bytes = 0;
            }
        });
        let start = cpu_seconds();
        encode_group(&mut group);
        seconds + cpu_seconds() - start
    };

    let whole = best(dir, inputs, |frame| frame);
    let rate = |seconds: f64| text_bytes as f64 / seconds / 1e6;
    println!(
        "stages alone: inflate {:.0} MB/s, decode {:.0}, encode {:.0}; a whole run takes {:.2} times their CPU",
        rate(inflate),
        rate(decode - inflate),
        rate(encode - decode),
        whole.cpu_seconds / encode
    );
}

/// Reads a file chunk by chunk; the CPU time of that and of what is done to each.
fn pass(unit: &Unit, each: &mut dyn FnMut(&[u8])) -> f64 {
    let start = cpu_seconds();
    let mut reader = open(unit, &TextOptions::default()).expect("our own file");
    let mut reuse = Vec::new();
    while let Some(chunk) = reader.next_chunk(reuse).expect("our own file") {
        each(&chunk.bytes);
        reuse = chunk.bytes;
    }
    cpu_seconds() - start
}
