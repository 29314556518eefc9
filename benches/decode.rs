//! How fast do JSON records become columns? Unit: bytes of JSON per second, one core.
//!
//! Asked of about 200 MB of log (see `generate`), in chunks of 1 MiB as the
//! pipeline cuts them, with the allocator of the command: all columns, three of
//! them, and the rows of a sparse predicate. Answers are checked before they
//! are timed: counts of rows against counts of text, every column's sums against
//! `serde_json` over the first chunk.

#[path = "generate/mod.rs"]
mod generate;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, RecordBatch};
use generate::{Seed, json_logs};
use windrow::ByteSize;
use windrow::io::json::{DecodeOptions, Decoded, Decoder, JsonSchema, RowPredicate, infer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `status = 504`: one line in 1,000.
struct GatewayTimeouts(Vec<String>);

impl RowPredicate for GatewayTimeouts {
    fn columns(&self) -> &[String] {
        &self.0
    }

    fn mask(&self, batch: &RecordBatch) -> windrow::Result<BooleanArray> {
        let status = batch.column(0).as_primitive::<Int64Type>();
        Ok(BooleanArray::from_unary(status, |status| status == 504))
    }
}

fn main() {
    let text = json_logs(Seed(7), ByteSize::mib(200));
    let lines = memchr::memchr_iter(b'\n', &text).count();
    let schema = infer(&text, 128);
    let small = chunks(&text, 1 << 20);
    check_first_chunk(small[0], &schema);

    let mut all = Decoder::new(Arc::new(DecodeOptions::default()), None);
    for mib in [1, 4, 16] {
        let chunks = chunks(&text, mib << 20);
        assert_eq!(rows(&mut all, &chunks, &schema), lines);
        let what = format!("all {} columns, {mib} MiB chunks", schema.n_columns());
        report(&what, &chunks, |chunk| {
            black_box(decode(&mut all, chunk, &schema));
        });
    }

    let three = ["ts", "status", "bytes"].map(String::from).to_vec();
    let options = Arc::new(DecodeOptions {
        columns: Some(three.clone()),
        ..DecodeOptions::default()
    });
    let narrow_schema = schema.project(&three);
    let mut narrow = Decoder::new(options, None);
    assert_eq!(rows(&mut narrow, &small, &narrow_schema), lines);
    report("3 columns", &small, |chunk| {
        black_box(decode(&mut narrow, chunk, &narrow_schema));
    });

    let expected = memchr::memmem::find_iter(&text, b"\"status\":504,").count();
    let predicate = Arc::new(GatewayTimeouts(vec!["status".to_string()]));
    let mut sparse = Decoder::new(Arc::new(DecodeOptions::default()), Some(predicate));
    assert_eq!(rows(&mut sparse, &small, &schema), expected);
    report("all columns where status = 504", &small, |chunk| {
        black_box(decode(&mut sparse, chunk, &schema));
    });

    report("floor: UTF-8 validation", &small, |chunk| {
        black_box(simdutf8::basic::from_utf8(chunk).is_ok());
    });
}

/// The text in runs of whole lines of about so many bytes.
fn chunks(mut text: &[u8], bytes: usize) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    while !text.is_empty() {
        let about = bytes.min(text.len());
        let end = memchr::memrchr(b'\n', &text[..about]).map_or(text.len(), |at| at + 1);
        chunks.push(&text[..end]);
        text = &text[end..];
    }
    chunks
}

fn decode(decoder: &mut Decoder, chunk: &[u8], schema: &JsonSchema) -> Decoded {
    let decoded = decoder
        .decode(chunk, schema)
        .expect("the log is well-formed");
    assert!(decoded.bad.is_empty());
    decoded
}

/// Rows of all chunks together.
fn rows(decoder: &mut Decoder, chunks: &[&[u8]], schema: &JsonSchema) -> usize {
    let rows = |chunk| decode(decoder, chunk, schema).batch.num_rows();
    chunks.iter().copied().map(rows).sum()
}

fn check_first_chunk(chunk: &[u8], schema: &JsonSchema) {
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), None);
    let batch = decoder
        .decode(chunk, schema)
        .expect("the log is well-formed")
        .batch;
    let mut ints: HashMap<String, i64> = HashMap::new();
    let mut text_bytes: HashMap<String, usize> = HashMap::new();
    for line in chunk
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let record: serde_json::Value = serde_json::from_slice(line).expect("a line is JSON");
        for (key, value) in record.as_object().expect("a record is an object") {
            if let Some(int) = value.as_i64() {
                *ints.entry(key.clone()).or_default() += int;
            }
            if let Some(text) = value.as_str() {
                *text_bytes.entry(key.clone()).or_default() += text.len();
            }
        }
    }
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if let Some(column) = column.as_primitive_opt::<Int64Type>() {
            let sum: i64 = column.iter().flatten().sum();
            assert_eq!(sum, ints[field.name()], "sum of {}", field.name());
        }
        if let Some(column) = column.as_string_opt::<i32>() {
            let bytes = column.value_data().len();
            let expected = text_bytes.get(field.name()).copied().unwrap_or(0);
            assert_eq!(bytes, expected, "bytes of {}", field.name());
        }
    }
}

/// Times `run` on every chunk. The sum of each chunk's best of five: a chunk is
/// short enough that one of five is not interrupted by whatever else runs.
fn report(what: &str, chunks: &[&[u8]], mut run: impl FnMut(&[u8])) {
    let mut best = vec![f64::INFINITY; chunks.len()];
    for _ in 0..5 {
        for (best, chunk) in best.iter_mut().zip(chunks) {
            let start = Instant::now();
            run(chunk);
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let seconds: f64 = best.iter().sum();
    println!("{what:40} {:8.0} MB/s", bytes as f64 / seconds / 1e6);
}
