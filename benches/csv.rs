//! How fast do CSV records become columns? Unit: bytes of CSV per second, one core.
//!
//! Asked of about 200 MB of trips: integers, a float of two decimals, short and
//! longer texts of which one in ten is quoted. Three questions: cutting records
//! outside of quotes as the reader of a file does, decoding all columns in
//! chunks of 1 MiB, and decoding two of them. Rows and sums are checked first.

#[path = "generate/mod.rs"]
mod generate;

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use generate::{Random, Seed};
use windrow::io::csv::{CsvDecoder, CsvLayout, CsvOptions};
use windrow::io::json::{DecodeOptions, Decoded, JsonSchema};
use windrow::io::{Framing, RecordKind, SourceFile, TextOptions, Unit, open_framed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of a chunk, as the pipeline cuts them.
const CHUNK_BYTES: usize = 1 << 20;

struct Trips {
    text: Vec<u8>,
    rows: usize,
    passengers: i64,
    fare_cents: i64,
}

fn trips(bytes: usize) -> Trips {
    let mut random = Random::new(Seed(7));
    let mut all = Trips {
        text: b"id,zone,fare,passengers,paid,note\n".to_vec(),
        rows: 0,
        passengers: 0,
        fare_cents: 0,
    };
    while all.text.len() < bytes {
        let (zone, cents) = (random.below(265), random.below(9_000) as i64);
        let passengers = 1 + random.below(5) as i64;
        let paid = random.pick(&["card", "cash", "app", ""]);
        let note = random.pick(&["", "airport", "\"late, but well\"", "night rate", "return"]);
        let id = all.rows;
        let (whole, part) = (cents / 100, cents % 100);
        writeln!(
            all.text,
            "{id},{zone},{whole}.{part:02},{passengers},{paid},{note}"
        )
        .expect("writing to memory does not fail");
        all.rows += 1;
        all.passengers += passengers;
        all.fare_cents += cents;
    }
    all
}

fn main() {
    let trips = trips(200 << 20);
    let dir = tempfile::tempdir().expect("a folder of our own");
    let path = dir.path().join("trips.csv");
    std::fs::write(&path, &trips.text).expect("a file of our own");
    let (layout, chunks) = cut(path.to_str().expect("a path of ASCII"));
    assert_eq!(
        chunks.iter().map(|(_, text)| text.len()).sum::<usize>(),
        trips.text.len()
    );
    report("cutting records from a file", trips.text.len(), || {
        black_box(cut(path.to_str().expect("a path of ASCII")));
    });

    let (rows, schema) = check(&layout, chunks.clone(), &trips);
    assert_eq!(rows, trips.rows);
    let two = ["zone", "fare"].map(String::from).to_vec();
    for (what, columns) in [("all 6 columns", None), ("2 columns", Some(two))] {
        let options = DecodeOptions {
            columns,
            ..DecodeOptions::default()
        };
        let mut decoder = CsvDecoder::new(Arc::new(options), None);
        let mut chunks = chunks.clone();
        report(what, trips.text.len(), || {
            for (first_byte, text) in &mut chunks {
                black_box(decode(&mut decoder, text, *first_byte, &layout, &schema));
            }
        });
    }
}

/// The chunks of a file with their places.
fn cut(path: &str) -> (Arc<CsvLayout>, Vec<(u64, Vec<u8>)>) {
    let file = Arc::new(SourceFile::at(path, 0).expect("the file is there"));
    let framing = Framing {
        records: RecordKind::Csv(Arc::new(CsvOptions::default())),
        ..Framing::default()
    };
    let options = TextOptions {
        chunk_bytes: CHUNK_BYTES,
        ..TextOptions::default()
    };
    let mut reader = open_framed(&Unit::whole(file), &options, &framing).expect("it opens");
    let mut chunks = Vec::new();
    while let Some(chunk) = reader.next_chunk(Vec::new()).expect("it reads") {
        chunks.push((chunk.first_byte, chunk.bytes));
    }
    let layout = reader.csv_layout().expect("CSV has a layout");
    (Arc::clone(layout), chunks)
}

fn decode(
    decoder: &mut CsvDecoder,
    text: &mut Vec<u8>,
    first_byte: u64,
    layout: &Arc<CsvLayout>,
    schema: &JsonSchema,
) -> Decoded {
    decoder
        .decode(text, first_byte, layout, schema)
        .expect("our own records decode")
}

/// Sums of columns against those of the generator; the rows and the schema.
fn check(
    layout: &Arc<CsvLayout>,
    chunks: Vec<(u64, Vec<u8>)>,
    trips: &Trips,
) -> (usize, JsonSchema) {
    let mut decoder = CsvDecoder::new(Arc::new(DecodeOptions::default()), None);
    let mut schema = JsonSchema::empty();
    let (mut rows, mut passengers, mut cents) = (0, 0, 0);
    for (first_byte, mut text) in chunks {
        let decoded = decode(&mut decoder, &mut text, first_byte, layout, &schema);
        assert!(decoded.bad.is_empty());
        let column = |name| decoded.batch.column_by_name(name).expect("a known column");
        let fares = column("fare").as_primitive::<Float64Type>();
        cents += fares
            .values()
            .iter()
            .map(|fare| (fare * 100.0).round() as i64)
            .sum::<i64>();
        passengers += column("passengers")
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .sum::<i64>();
        rows += decoded.batch.num_rows();
        schema = schema.merge(&decoded.schema);
    }
    assert_eq!((passengers, cents), (trips.passengers, trips.fare_cents));
    (rows, schema)
}

fn report(what: &str, bytes: usize, mut run: impl FnMut()) {
    let fastest = (0..5)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    println!("{what:<40} {:>8.0} MB/s", bytes as f64 / fastest / 1e6);
}
