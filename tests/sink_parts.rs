//! What is handed to the sink is in the part files: every row, in order, whatever
//! the cuts, formats, codecs and late changes of the schema.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, NullArray, RecordBatch,
    StringArray, StructArray, TimestampMillisecondArray, UInt64Array, new_null_array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use windrow::sink::{
    Codec, Existing, Format, Job, Manifest, ManifestInfo, OutputReport, PartWriter, Staging,
    WriteOptions,
};
use windrow::{Error, Result};

fn serially(jobs: Vec<Job<'_>>) -> Result<()> {
    jobs.into_iter().try_for_each(|job| job())
}

fn in_threads(jobs: Vec<Job<'_>>) -> Result<()> {
    std::thread::scope(|scope| {
        let running: Vec<_> = jobs.into_iter().map(|job| scope.spawn(job)).collect();
        running
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap())
    })
}

fn same(batch: &RecordBatch, _: &Schema) -> Result<RecordBatch> {
    Ok(batch.clone())
}

/// A table with every kind of column that JSON gives, and times.
fn table(rows: i64, seed: i64) -> RecordBatch {
    let mixed = |n: i64| (n + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 33;
    let every = |n: i64, k: i64| (n % k != 0).then_some(n);
    let lists =
        ListArray::from_iter_primitive::<Int32Type, _, _>((0..rows).map(|n| {
            every(n, 5).map(|n| (0..n % 4).map(|item| (item != 2).then_some(item as i32)))
        }));
    let inner: StringArray = (0..rows)
        .map(|n| every(n, 3).map(|n| format!("in-{}", n % 9)))
        .collect();
    let geo = StructArray::new(
        vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("list", lists.data_type().clone(), true),
        ]
        .into(),
        vec![Arc::new(inner) as ArrayRef, Arc::new(lists.clone())],
        Some((0..rows).map(|n| n % 7 != 0).collect::<Vec<bool>>().into()),
    );
    RecordBatch::try_from_iter_with_nullable([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(seed..seed + rows)) as ArrayRef,
            true,
        ),
        (
            "big",
            Arc::new(
                (0..rows)
                    .map(|n| every(n, 4).map(|n| u64::MAX - n as u64))
                    .collect::<UInt64Array>(),
            ),
            true,
        ),
        (
            "status",
            Arc::new(
                (0..rows)
                    .map(|n| every(mixed(n), 11).map(|n| 200 + n.rem_euclid(5)))
                    .collect::<Int64Array>(),
            ),
            true,
        ),
        (
            "took",
            Arc::new(
                (0..rows)
                    .map(|n| every(n, 6).map(|n| mixed(n) as f64 / 1e5))
                    .collect::<Float64Array>(),
            ),
            true,
        ),
        (
            "ok",
            Arc::new(
                (0..rows)
                    .map(|n| every(n, 8).map(|n| mixed(n) % 2 == 0))
                    .collect::<BooleanArray>(),
            ),
            true,
        ),
        (
            "host",
            Arc::new(
                (0..rows)
                    .map(|n| every(n, 13).map(|n| format!("web-{}", n % 17)))
                    .collect::<StringArray>(),
            ),
            true,
        ),
        (
            "msg",
            Arc::new(
                (0..rows)
                    .map(|n| {
                        every(n, 10).map(|n| format!("\"é\\\n{}\u{1}{}", mixed(n), mixed(n * 7)))
                    })
                    .collect::<StringArray>(),
            ),
            true,
        ),
        (
            "at",
            Arc::new(
                TimestampMillisecondArray::from_iter_values(
                    (0..rows).map(|n| 1_767_225_600_000 + n * 37),
                )
                .with_timezone("UTC"),
            ),
            true,
        ),
        ("tags", Arc::new(lists), true),
        ("geo", Arc::new(geo), true),
    ])
    .unwrap()
}

fn cut(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    (0..batch.num_rows())
        .step_by(rows)
        .map(|start| batch.slice(start, rows.min(batch.num_rows() - start)))
        .collect()
}

fn append(part: &mut PartWriter, batches: Vec<RecordBatch>) -> Result<u64> {
    let encoded = part
        .jobs(batches)?
        .into_iter()
        .map(|job| job.run())
        .collect::<Result<Vec<_>>>()?;
    part.append(encoded)
}

fn options(dir: &Path, format: Format, codec: Option<Codec>) -> WriteOptions {
    WriteOptions {
        format,
        codec,
        ..WriteOptions::new(dir)
    }
}

/// Writes each table as a part of two row groups.
fn write(options: &WriteOptions, tables: &[RecordBatch], cuts: usize) -> Result<Vec<OutputReport>> {
    let staging = Staging::open(options, &[])?;
    let mut parts = Vec::new();
    for table in tables {
        let mut part = staging.part(None, &table.schema())?;
        let half = table.num_rows() / 2;
        append(&mut part, cut(&table.slice(0, half), cuts))?;
        append(
            &mut part,
            cut(&table.slice(half, table.num_rows() - half), cuts),
        )?;
        parts.push(part.finish()?);
    }
    let schema = tables[0].schema();
    staging.commit(parts, &schema, &same, ManifestInfo::default(), &in_threads)
}

fn read_parquet(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap())
        .unwrap()
        .build()
        .unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn read_ipc(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap();
    let reader = arrow_ipc::reader::FileReader::try_new_buffered(file, None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn read_json_text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    use std::io::Read;
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .unwrap(),
        "zst" => zstd::stream::read::Decoder::new(&bytes[..])
            .unwrap()
            .read_to_string(&mut text)
            .unwrap(),
        _ => (&bytes[..]).read_to_string(&mut text).unwrap(),
    };
    text
}

fn read_json(path: &Path, schema: &SchemaRef) -> RecordBatch {
    let text = read_json_text(path);
    let reader = arrow_json::ReaderBuilder::new(Arc::clone(schema))
        .with_strict_mode(true)
        .build(text.as_bytes())
        .unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    concat_batches(schema, &batches).unwrap()
}

fn read(path: &str, format: Format, schema: &SchemaRef) -> RecordBatch {
    let path = Path::new(path);
    match format {
        Format::Parquet => read_parquet(path),
        Format::Ipc => read_ipc(path),
        Format::Json => read_json(path, schema),
    }
}

const EVERY: [(Format, Option<Codec>); 11] = [
    (Format::Parquet, None),
    (Format::Parquet, Some(Codec::Zstd(9))),
    (Format::Parquet, Some(Codec::Snappy)),
    (Format::Parquet, Some(Codec::Gzip(6))),
    (Format::Parquet, Some(Codec::Lz4)),
    (Format::Parquet, Some(Codec::None)),
    (Format::Ipc, None),
    (Format::Ipc, Some(Codec::None)),
    (Format::Json, None),
    (Format::Json, Some(Codec::Gzip(6))),
    (Format::Json, Some(Codec::Zstd(3))),
];

#[test]
fn what_is_written_reads_back_in_every_format_and_codec() {
    let tables = [table(3_000, 0), table(1, 9_000), table(20_000, 50_000)];
    for (format, codec) in EVERY {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir.path().join("out"), format, codec);
        let reports = write(&options, &tables, 777).unwrap();
        assert_eq!(reports.len(), 3, "{format} {codec:?}");
        for (idx, (report, table)) in reports.iter().zip(&tables).enumerate() {
            assert!(
                report.path.contains(&format!("part-{idx:06}.")),
                "{}",
                report.path
            );
            let found = read(&report.path, format, &table.schema());
            assert_eq!(&found, table, "{format} {codec:?}");
            assert_eq!(report.rows, table.num_rows() as u64);
            assert_eq!(report.codec, options.codec().unwrap().family());
            assert_eq!(
                report.stored_bytes,
                std::fs::metadata(&report.path).unwrap().len()
            );
            assert!(!report.rewritten);
        }
        let manifest = Manifest::read(&options.dir).unwrap().unwrap();
        assert_eq!(manifest.rows, 23_001);
        assert_eq!(manifest.parts.len(), 3);
    }
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = walk(dir)
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(dir).unwrap().to_owned();
            let bytes = std::fs::read(path).unwrap();
            (relative, bytes)
        })
        .collect();
    files.sort();
    files
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn how_rows_are_cut_into_batches_changes_no_byte() {
    let tables = [table(20_000, 3)];
    for (format, codec) in EVERY {
        let mut first = None;
        for cuts in [100_000, 8192, 1000, 61] {
            let dir = tempfile::tempdir().unwrap();
            let options = options(&dir.path().join("out"), format, codec);
            write(&options, &tables, cuts).unwrap();
            let files = files(&options.dir);
            match &first {
                None => first = Some(files),
                Some(first) => assert!(first == &files, "{format} {codec:?} cut {cuts}"),
            }
        }
    }
}
