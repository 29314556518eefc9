//! Do pages that were changed end in an error, or in what the parquet crate reads?
//! The first byte chooses one of a few files of flat columns; every four bytes
//! behind it change one byte of its pages. Footers stay as they are.

#![no_main]

mod common;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_cast::cast;
use libfuzzer_sys::fuzz_target;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use windrow::expr::col;

const ROWS: i64 = 300;

/// A file, and where its pages are.
struct Base {
    bytes: Vec<u8>,
    pages: Range<usize>,
}

fn rows() -> RecordBatch {
    let there = |row: &i64| row % 7 != 3;
    let some = || (0..ROWS).map(|row| there(&row).then_some(row));
    let text = |row: i64| "x".repeat((row % 9) as usize) + &(row % 23).to_string();
    let decimals = Decimal128Array::from_iter(some().map(|row| row.map(|row| i128::from(row * 7))));
    let decimals = decimals.with_precision_and_scale(12, 2);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("int", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        (
            "few",
            Arc::new(Int32Array::from_iter(
                some().map(|row| row.map(|row| row as i32 % 5)),
            )),
        ),
        (
            "double",
            Arc::new(Float64Array::from_iter(
                some().map(|row| row.map(|row| row as f64 / 3.0)),
            )),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter(some().map(|row| row.map(text)))),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from_iter(
                some().map(|row| row.map(|row| row % 3 == 0)),
            )),
        ),
        (
            "price",
            Arc::new(decimals.expect("twelve digits are enough")),
        ),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from_iter(some())),
        ),
    ];
    RecordBatch::try_from_iter(columns).expect("columns are of one length")
}

fn base(
    version: WriterVersion,
    dictionary: bool,
    encoding: Option<Encoding>,
    codec: Compression,
) -> Base {
    let mut properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_dictionary_enabled(dictionary)
        .set_data_page_row_count_limit(90)
        .set_write_batch_size(30)
        .set_compression(codec);
    if let Some(encoding) = encoding {
        for column in ["int", "few", "time"] {
            properties = properties.set_column_encoding(column.into(), encoding);
        }
    }
    let rows = rows();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties.build()))
        .expect("columns are of known types");
    writer.write(&rows).expect("rows are written");
    let footer = writer.close().expect("the file is written");
    let ends = footer
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
        .map(|chunk| {
            let (start, length) = chunk.byte_range();
            (start + length) as usize
        });
    let pages = 4..ends.max().expect("there are columns");
    Base { bytes, pages }
}

fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        let (v1, v2) = (WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0);
        let plain = Compression::UNCOMPRESSED;
        vec![
            base(v1, true, None, plain),
            base(v1, false, None, plain),
            base(v2, true, None, plain),
            base(v2, false, Some(Encoding::DELTA_BINARY_PACKED), plain),
            base(v2, false, Some(Encoding::BYTE_STREAM_SPLIT), plain),
            base(v1, true, None, Compression::SNAPPY),
        ]
    })
}

/// What the parquet crate reads; None if it refuses.
fn theirs(bytes: Vec<u8>) -> Option<Vec<RecordBatch>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).ok()?;
    builder
        .with_batch_size(64)
        .build()
        .ok()?
        .collect::<Result<_, _>>()
        .ok()
}

/// A column of batches, all in one type.
fn column(batches: &[RecordBatch], name: &str) -> ArrayRef {
    let of = |batch: &RecordBatch| {
        batch
            .column_by_name(name)
            .expect("the column is there")
            .clone()
    };
    let first = of(&rows()).data_type().clone();
    let all: Vec<ArrayRef> = batches
        .iter()
        .map(|batch| cast(&of(batch), &first).expect("types are those of the file"))
        .collect();
    let all: Vec<&dyn Array> = all.iter().map(|array| &**array).collect();
    arrow_select::concat::concat(&all).expect("there are few rows")
}

fn compare(path: &Path, bytes: Vec<u8>) {
    let session = common::session();
    let path = path.to_str().expect("a path of ASCII");
    let Ok(frame) = session.read_parquet(path) else {
        return;
    };
    for name in ["few", "text", "time"] {
        let kept = frame.filter(col(name).is_not_null());
        let _ = kept.and_then(|kept| kept.compute());
    }
    let Ok(ours) = frame.compute() else {
        return;
    };
    let ours = ours.into_batches();
    for batch in &ours {
        for column in batch.columns() {
            column.to_data().validate_full().expect("arrays are sound");
        }
    }
    let Some(theirs) = theirs(bytes) else {
        return;
    };
    for field in rows().schema().fields() {
        let (ours, theirs) = (column(&ours, field.name()), column(&theirs, field.name()));
        assert_eq!(ours.to_data(), theirs.to_data(), "{}", field.name());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, edits)) = common::choice(data) else {
        return;
    };
    let base = &bases()[choice % bases().len()];
    let mut bytes = base.bytes.clone();
    for edit in edits.chunks_exact(4).take(64) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % base.pages.len();
        let byte = &mut bytes[base.pages.start + at];
        *byte = match edit[2] % 3 {
            0 => edit[3],
            1 => byte.wrapping_add(edit[3]),
            _ => *byte ^ edit[3],
        };
    }
    let path = common::file("parquet", &bytes);
    compare(&path, bytes);
});
