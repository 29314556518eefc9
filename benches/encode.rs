//! How fast do row groups become Parquet column chunks? Unit: bytes of Arrow data per second, one core.
//!
//! Asked of about 200 MB of log (see `generate`), decoded in chunks of 1 MiB
//! and sealed into row groups of 32 MiB, with the allocator of the command.
//! Each column is timed by itself, in processor time where the system tells it,
//! so that a busy machine changes little. The files are read back and compared
//! cell by cell before anything is printed.
//!
//! `cargo bench --bench encode -- zstd:3 msg` takes another codec than the
//! default, and times only the columns named.

#[path = "generate/mod.rs"]
mod generate;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use generate::{Seed, json_logs};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use windrow::ByteSize;
use windrow::io::json::{DecodeOptions, Decoder, JsonSchema, conform, infer};
use windrow::sink::{Codec, Job, ManifestInfo, Staging, WriteOptions, jobs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Arrow bytes of a row group, as the pipeline seals them.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Every column is encoded this often; the mean time counts, as the kernel's
/// clock ticks only every few milliseconds.
const ROUNDS: u32 = 20;

fn main() {
    let mut codec: Option<Codec> = None;
    let mut columns = Vec::new();
    for word in std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
    {
        match word.parse() {
            Ok(found) => codec = Some(found),
            Err(_) => columns.push(word),
        }
    }
    let text = json_logs(Seed(7), ByteSize::mib(200));
    let schema = infer(&text, 128);
    let groups = row_groups(&text, &schema);
    let arrow_bytes: usize = groups.iter().flatten().map(bytes_of).sum();

    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = WriteOptions {
        codec,
        ..WriteOptions::new(dir.path().join("out"))
    };
    let metadata = write_and_check(&options, &schema.to_arrow(), &groups);

    println!("{:14} {:>9} {:>9} {:>9}", "column", "MB", "stored", "ms");
    let mut total = Duration::ZERO;
    let mut total_stored = 0;
    for (idx, field) in schema.to_arrow().fields().iter().enumerate() {
        if !columns.is_empty() && !columns.contains(field.name()) {
            continue;
        }
        let column: Vec<Vec<RecordBatch>> = groups
            .iter()
            .map(|group| {
                let project = |batch: &RecordBatch| batch.project(&[idx]).expect("it is there");
                group.iter().map(project).collect()
            })
            .collect();
        let bytes: usize = column.iter().flatten().map(bytes_of).sum();
        encode(&options, &column);
        let took = timed(|| (0..ROUNDS).for_each(|_| encode(&options, &column))) / ROUNDS;
        let stored = stored_bytes(&metadata, field.name());
        println!(
            "{:14} {:9.1} {:9.2} {:9.1}",
            field.name(),
            bytes as f64 / 1e6,
            stored as f64 / 1e6,
            took.as_secs_f64() * 1e3
        );
        total += took;
        total_stored += stored;
    }
    println!(
        "{:14} {:9.1} {:9.2} {:9.1}  {:.0} MB/s",
        "all",
        arrow_bytes as f64 / 1e6,
        total_stored as f64 / 1e6,
        total.as_secs_f64() * 1e3,
        arrow_bytes as f64 / total.as_secs_f64() / 1e6
    );
}

/// The text as decoded batches, sealed into row groups.
fn row_groups(mut text: &[u8], schema: &JsonSchema) -> Vec<Vec<RecordBatch>> {
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), None);
    let mut groups = vec![Vec::new()];
    let mut bytes = 0;
    while !text.is_empty() {
        let about = text.len().min(1 << 20);
        let end = memchr::memrchr(b'\n', &text[..about]).map_or(text.len(), |at| at + 1);
        let decoded = decoder
            .decode(&text[..end], schema)
            .expect("the log is well-formed");
        let batch = conform(&decoded.batch, &decoded.schema, schema).expect("it is narrower");
        text = &text[end..];
        if bytes >= ROW_GROUP_BYTES {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += bytes_of(&batch);
        groups.last_mut().expect("one is open").push(batch);
    }
    groups
}

fn bytes_of(batch: &RecordBatch) -> usize {
    batch
        .columns()
        .iter()
        .map(|column| column.to_data().get_slice_memory_size().expect("it counts"))
        .sum()
}

fn encode(options: &WriteOptions, groups: &[Vec<RecordBatch>]) {
    for group in groups {
        let schema = group[0].schema();
        for job in jobs(&schema, options, group.clone()).expect("it can be written") {
            black_box(job.run().expect("it encodes"));
        }
    }
}

/// Writes all row groups as one part, reads it back and compares.
fn write_and_check(
    options: &WriteOptions,
    schema: &SchemaRef,
    groups: &[Vec<RecordBatch>],
) -> ParquetMetaData {
    let staging = Staging::open(options, &[]).expect("the folder is writable");
    let mut part = staging.part(None, schema).expect("the schema is writable");
    for group in groups {
        let encoded = part.jobs(group.clone()).expect("it has the schema");
        let encoded = encoded.into_iter().map(|job| job.run());
        part.append(encoded.collect::<Result<_, _>>().expect("it encodes"))
            .expect("it is written");
    }
    let part = part.finish().expect("it ends");
    let run = |jobs: Vec<Job<'_>>| jobs.into_iter().try_for_each(|job| job());
    let done = staging
        .commit(
            vec![part],
            schema,
            &|batch, _| Ok(batch.clone()),
            ManifestInfo::default(),
            &run,
        )
        .expect("it commits");
    let path = Path::new(&done.outputs[0].path);

    let open = || std::fs::File::open(path).expect("it is there");
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&open())
        .expect("it has a footer");
    assert_eq!(metadata.num_row_groups(), groups.len());
    for (idx, group) in groups.iter().enumerate() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(open())
            .and_then(|builder| builder.with_row_groups(vec![idx]).build())
            .expect("it is Parquet");
        let found: Vec<RecordBatch> = reader.map(|batch| batch.expect("it decodes")).collect();
        let found = concat_batches(&found[0].schema(), &found).expect("one schema");
        let expected = concat_batches(schema, group).expect("one schema");
        assert_eq!(found.columns(), expected.columns(), "row group {idx}");
    }
    metadata
}

/// Compressed bytes of a top-level column, over all row groups and leaves.
fn stored_bytes(metadata: &ParquetMetaData, column: &str) -> i64 {
    metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
        .filter(|chunk| chunk.column_path().parts()[0] == column)
        .map(|chunk| chunk.compressed_size())
        .sum()
}

fn timed(run: impl FnOnce()) -> Duration {
    let (wall, processor) = (Instant::now(), processor_time());
    run();
    match (processor, processor_time()) {
        (Some(start), Some(end)) => end.saturating_sub(start),
        _ => wall.elapsed(),
    }
}

/// Time this thread has spent on a processor, where the kernel tells it.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
