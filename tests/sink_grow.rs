//! Columns that are seen after a part was written: nulls take the room that its
//! row groups left, and its other bytes stay where they are.

mod sink_common;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use sink_common::*;
use windrow::Result;
use windrow::sink::{Codec, Committed, Format, ManifestInfo, Staging, WriteOptions, verify};

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields: Vec<Field> = fields
        .iter()
        .map(|(name, data_type)| Field::new(*name, data_type.clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

const ROWS: usize = 80_000;

fn narrow() -> SchemaRef {
    schema(&[("n", DataType::Int64), ("text", DataType::Utf8)])
}

/// Rows whose text compresses to half: more than 1 MiB in a row group.
fn rows(seed: u64) -> RecordBatch {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let text: Vec<String> = (0..ROWS)
        .map(|_| format!("{:016x}{:016x}", next(), next()))
        .collect();
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..ROWS as i64).map(|n| n * 7),
    ));
    RecordBatch::try_new(narrow(), vec![n, Arc::new(StringArray::from(text))]).unwrap()
}

fn widen_to(last: SchemaRef) -> impl Fn(&RecordBatch, &Schema) -> Result<RecordBatch> + Sync {
    move |batch, _| Ok(wide(batch, &last))
}

/// The same rows under a wider schema.
fn wide(batch: &RecordBatch, last: &SchemaRef) -> RecordBatch {
    let columns = last
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => arrow_cast::cast(column, field.data_type()).unwrap(),
            None => new_null_array(field.data_type(), batch.num_rows()),
        })
        .collect();
    RecordBatch::try_new(Arc::clone(last), columns).unwrap()
}

/// Writes two row groups under the narrow schema and commits under `last`.
fn grow(dir: &Path, last: &SchemaRef, codec: Codec, room: bool) -> Committed {
    let options = WriteOptions {
        bloom: vec!["n".to_owned(), "text".to_owned()],
        column_codecs: named(),
        metadata: vec![("made by".to_owned(), "a test".to_owned())],
        ..options(dir, Format::Parquet, Some(codec))
    };
    let staging = Staging::open(&options, &[]).unwrap();
    let staging = if room { staging.with_room() } else { staging };
    let mut part = staging.part(None, &narrow()).unwrap();
    for seed in [1, 2] {
        append(&mut part, vec![rows(seed)]).unwrap();
    }
    let parts = vec![part.finish().unwrap()];
    let widen = widen_to(Arc::clone(last));
    let committed = staging
        .commit(parts, last, &widen, ManifestInfo::default(), &in_threads)
        .unwrap();
    // The checksum that was computed without reading the file is that of the file.
    let verified = verify(&options.dir).unwrap();
    assert!(verified.is_ok(), "{verified}");
    let expected = [wide(&rows(1), last), wide(&rows(2), last)];
    let expected = arrow_select::concat::concat_batches(last, &expected).unwrap();
    assert_eq!(
        read(&committed.outputs[0].path, Format::Parquet, last),
        expected
    );
    check_filters(&committed.outputs[0].path);
    check_codecs(&committed.outputs[0].path, codec);
    committed
}

/// Codecs of columns of their own: of one that is there, and of others that come late.
fn named() -> Vec<(String, Codec)> {
    let named = [
        ("n", Codec::Lz4),
        ("pair", Codec::Gzip(3)),
        ("flag", Codec::None),
    ];
    named.map(|(name, codec)| (name.to_owned(), codec)).to_vec()
}

/// Every leaf has its codec, and the footer its keys, wherever they were written.
fn check_codecs(path: &str, others: Codec) {
    let metadata = metadata(path);
    for column in metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
    {
        let path = column.column_path().string();
        let root = path.split('.').next().unwrap();
        let named = named().into_iter().find(|(name, _)| name == root);
        let expected = match named.map_or(others, |(_, codec)| codec) {
            Codec::Zstd(_) => "ZSTD",
            Codec::Snappy => "SNAPPY",
            Codec::Gzip(_) => "GZIP",
            Codec::Lz4 => "LZ4_RAW",
            Codec::None => "UNCOMPRESSED",
        };
        let found = column.compression().to_string();
        assert!(
            found.starts_with(expected),
            "{path}: {found}, not {expected}"
        );
    }
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let ours = pairs.iter().filter(|pair| pair.key == "made by");
    assert_eq!(ours.count(), 1, "{pairs:?}");
}

/// Every text of each row group is in its filter, wherever it lies now.
fn check_filters(path: &str) {
    let (file, metadata) = (File::open(path).unwrap(), metadata(path));
    for (group, seed) in metadata.row_groups().iter().zip([1, 2]) {
        let mut columns = group.columns().iter();
        let column = columns.find(|column| column.column_path().string() == "text");
        let filter = Sbbf::read_from_column_chunk(column.unwrap(), &file).unwrap();
        let filter = filter.expect("a filter of texts");
        let rows = rows(seed);
        let texts = rows
            .column(1)
            .as_any()
            .downcast_ref::<StringArray>()
            .unwrap();
        assert!(texts.iter().flatten().all(|text| filter.check(text)));
        assert!(!filter.check("no such text, and few that are taken for one"));
    }
}

fn late_columns() -> SchemaRef {
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    let pair = Fields::from(vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("b", DataType::Float64, true),
    ]);
    schema(&[
        ("n", DataType::Int64),
        ("between", DataType::Utf8),
        ("text", DataType::Utf8),
        ("list", DataType::List(item)),
        ("pair", DataType::Struct(pair)),
        ("flag", DataType::Boolean),
    ])
}

fn metadata(path: &str) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&File::open(path).unwrap())
        .unwrap()
}

#[test]
fn late_columns_take_the_room_behind_their_row_group() {
    for codec in [Codec::Zstd(1), Codec::Snappy, Codec::None] {
        let dir = tempfile::tempdir().unwrap();
        let last = late_columns();
        let before = grow(&dir.path().join("before"), &narrow(), codec, true);
        let after = grow(&dir.path().join("after"), &last, codec, true);
        assert_eq!((before.rewritten, after.rewritten), (0, 0), "{codec:?}");

        let (old, new) = (
            metadata(&before.outputs[0].path),
            metadata(&after.outputs[0].path),
        );
        let starts: Vec<u64> = new
            .row_groups()
            .iter()
            .map(|group| {
                group
                    .columns()
                    .iter()
                    .map(|c| c.byte_range().0)
                    .min()
                    .unwrap()
            })
            .collect();
        for (idx, (old, new)) in old.row_groups().iter().zip(new.row_groups()).enumerate() {
            for column in new.columns() {
                let (start, len) = column.byte_range();
                assert!(start >= starts[idx], "{:?}", column.column_path());
                assert!(starts.get(idx + 1).is_none_or(|next| start + len <= *next));
            }
            for column in old.columns() {
                let same = new
                    .columns()
                    .iter()
                    .find(|c| c.column_path() == column.column_path());
                assert_eq!(same.unwrap().byte_range(), column.byte_range());
            }
        }
        let (old, new) = (&before.outputs[0], &after.outputs[0]);
        let kept = old.stored_bytes as usize - 4096;
        let bytes = |path: &str| std::fs::read(path).unwrap();
        let differ = bytes(&old.path)[..kept]
            .iter()
            .zip(&bytes(&new.path)[..kept])
            .filter(|(a, b)| a != b)
            .count();
        assert!(
            differ < 2 * 4096,
            "{differ} bytes before the footer changed"
        );
    }
}

#[test]
fn a_late_column_is_found_by_its_page_index() {
    let dir = tempfile::tempdir().unwrap();
    let committed = grow(
        &dir.path().join("out"),
        &late_columns(),
        Codec::Zstd(1),
        true,
    );
    let file = File::open(&committed.outputs[0].path).unwrap();
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    let mask = ProjectionMask::roots(reader.parquet_schema(), [1, 3]);
    let selected = vec![
        parquet::arrow::arrow_reader::RowSelector::skip(ROWS - 5),
        parquet::arrow::arrow_reader::RowSelector::select(10),
    ];
    let batches: Vec<RecordBatch> = reader
        .with_projection(mask)
        .with_row_selection(selected.into())
        .build()
        .unwrap()
        .map(|batch| batch.unwrap())
        .collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);
    for column in batches.iter().flat_map(RecordBatch::columns) {
        assert_eq!(column.logical_null_count(), column.len());
    }
}

#[test]
fn what_does_not_fit_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let many: Vec<(String, DataType)> = (0..300)
        .map(|n| (format!("late_{n}"), DataType::Utf8))
        .collect();
    let mut columns = vec![("n", DataType::Int64), ("text", DataType::Utf8)];
    columns.extend(many.iter().map(|(name, ty)| (name.as_str(), ty.clone())));
    let cases = [
        ("no room was kept", late_columns(), false),
        ("more than the room", schema(&columns), true),
        (
            "another type",
            schema(&[("n", DataType::Float64), ("text", DataType::Utf8)]),
            true,
        ),
        (
            "another order",
            schema(&[("text", DataType::Utf8), ("n", DataType::Int64)]),
            true,
        ),
    ];
    for (why, last, room) in cases {
        let committed = grow(&dir.path().join(why), &last, Codec::Zstd(1), room);
        assert_eq!(committed.rewritten, 1, "{why}");
    }
}
