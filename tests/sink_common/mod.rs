//! Tables for the tests of the sink, ways to write them and to read them back.

#![allow(dead_code)] // each test binary uses its share

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch,
    RecordBatchReader, StringArray, StructArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use windrow::Result;
use windrow::sink::{
    Codec, Format, Job, ManifestInfo, OutputReport, PartWriter, Staging, WriteOptions,
};

pub fn in_threads(jobs: Vec<Job<'_>>) -> Result<()> {
    std::thread::scope(|scope| {
        let running: Vec<_> = jobs.into_iter().map(|job| scope.spawn(job)).collect();
        running
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap())
    })
}

pub fn same(batch: &RecordBatch, _: &Schema) -> Result<RecordBatch> {
    Ok(batch.clone())
}

/// A table with every kind of column that JSON gives, and times.
pub fn table(rows: i64, seed: i64) -> RecordBatch {
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

pub fn cut(batch: &RecordBatch, rows: usize) -> Vec<RecordBatch> {
    (0..batch.num_rows())
        .step_by(rows)
        .map(|start| batch.slice(start, rows.min(batch.num_rows() - start)))
        .collect()
}

pub fn append(part: &mut PartWriter, batches: Vec<RecordBatch>) -> Result<u64> {
    let encoded = part
        .jobs(batches)?
        .into_iter()
        .map(|job| job.run())
        .collect::<Result<Vec<_>>>()?;
    part.append(encoded)
}

pub fn options(dir: &Path, format: Format, codec: Option<Codec>) -> WriteOptions {
    WriteOptions {
        format,
        codec,
        ..WriteOptions::new(dir)
    }
}

/// Writes each table as a part of two row groups.
pub fn write(
    options: &WriteOptions,
    tables: &[RecordBatch],
    cuts: usize,
) -> Result<Vec<OutputReport>> {
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
    let committed = staging.commit(parts, &schema, &same, ManifestInfo::default(), &in_threads)?;
    Ok(committed.outputs)
}

pub fn read_parquet(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap())
        .unwrap()
        .build()
        .unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    concat_batches(&schema, &batches).unwrap()
}

pub fn read_ipc(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap();
    let reader = arrow_ipc::reader::FileReader::try_new_buffered(file, None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    concat_batches(&schema, &batches).unwrap()
}

pub fn read_json_text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
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

pub fn read_json(path: &Path, schema: &SchemaRef) -> RecordBatch {
    let text = read_json_text(path);
    // The reader knows no zone by name.
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let universal = DataType::Timestamp(*unit, Some("+00:00".into()));
            Arc::new(field.as_ref().clone().with_data_type(universal))
        }
        _ => Arc::clone(field),
    });
    let plain = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let reader = arrow_json::ReaderBuilder::new(Arc::clone(&plain))
        .with_strict_mode(true)
        .build(text.as_bytes())
        .unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    let batch = concat_batches(&plain, &batches).unwrap();
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        let data = column.to_data().into_builder();
        let data = data.data_type(field.data_type().clone());
        arrow_array::make_array(data.build().unwrap())
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

pub fn read(path: &str, format: Format, schema: &SchemaRef) -> RecordBatch {
    let path = Path::new(path);
    match format {
        Format::Parquet => read_parquet(path),
        Format::Ipc => read_ipc(path),
        Format::Json => read_json(path, schema),
        Format::Csv => panic!("CSV holds no nested columns; its tests are in csv_written.rs"),
    }
}

pub const EVERY: [(Format, Option<Codec>); 12] = [
    (Format::Parquet, None),
    (Format::Parquet, Some(Codec::Zstd(9))),
    (Format::Parquet, Some(Codec::Snappy)),
    (Format::Parquet, Some(Codec::Gzip(6))),
    (Format::Parquet, Some(Codec::Lz4)),
    (Format::Parquet, Some(Codec::None)),
    (Format::Ipc, None),
    (Format::Ipc, Some(Codec::None)),
    (Format::Ipc, Some(Codec::Zstd(3))),
    (Format::Json, None),
    (Format::Json, Some(Codec::Gzip(6))),
    (Format::Json, Some(Codec::Zstd(3))),
];

pub fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
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

pub fn walk(dir: &Path) -> Vec<PathBuf> {
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
