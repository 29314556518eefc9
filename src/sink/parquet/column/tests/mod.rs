//! Column chunks against the crate: its reader finds every value, and its writer
//! says the same of them.

mod nested;
mod pages;
mod values;

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, ListArray,
    RecordBatch, StringArray, StringViewArray, StructArray, Time64MicrosecondArray,
    TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, FieldRef, Schema};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::arrow::add_encoded_arrow_schema_to_metadata;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::Encoding;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::writer::SerializedFileWriter;
use proptest::prelude::*;

use crate::sink::codec::{Codec, Codecs};
use crate::sink::parquet::{
    Blooms, Chunk, ColumnChunk, ColumnJob, PAGE_ROWS, Stored, null_chunks, parquet_schema,
    properties,
};
use crate::sink::rows::Rows;

const ZSTD: Codec = Codec::Zstd(1);

fn how(codec: Codec) -> Stored {
    Stored {
        codecs: Codecs::new(codec, &[]),
        blooms: Blooms::new(&["filtered".to_owned()]),
        metadata: Arc::default(),
    }
}

fn job(field: &FieldRef, arrays: Vec<ArrayRef>, codec: Codec) -> ColumnJob {
    ColumnJob {
        field: Arc::clone(field),
        rows: Rows::new(arrays),
        how: how(codec),
    }
}

/// The column in a file of one row group, and what was said of its leaves.
fn file(field: &FieldRef, arrays: Vec<ArrayRef>, codec: Codec) -> (Bytes, Vec<ColumnCloseResult>) {
    let chunks = job(field, arrays, codec).run().unwrap();
    let closes = chunks.iter().map(|chunk| match &chunk.0 {
        Chunk::Ours(encoded) => encoded.close().clone(),
        Chunk::Crates(_) => panic!("{} was left to the crate", field.data_type()),
    });
    let closes = closes.collect();
    (file_of(field, chunks, codec), closes)
}

/// The chunks of a column in a file of one row group.
fn file_of(field: &FieldRef, chunks: Vec<ColumnChunk>, codec: Codec) -> Bytes {
    let schema = Schema::new(vec![Arc::clone(field)]);
    let descriptor = parquet_schema(&schema).unwrap();
    let mut properties = properties(&how(codec), &descriptor).unwrap().build();
    add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
    let root = descriptor.root_schema_ptr();
    let mut writer = SerializedFileWriter::new(Vec::new(), root, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for chunk in chunks {
        chunk.append_to(&mut group).unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap().into()
}

fn read(bytes: &Bytes, selection: Option<RowSelection>) -> RecordBatch {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let mut builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options).unwrap();
    if let Some(selection) = selection {
        builder = builder.with_row_selection(selection);
    }
    let reader = builder.build().unwrap();
    let schema = arrow_array::RecordBatchReader::schema(&reader);
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// Writes, reads back, and compares with what the crate's writer says; gives
/// what is said of the first leaf.
fn check(array: ArrayRef, nullable: bool) -> ColumnCloseResult {
    let field = Arc::new(Field::new("c", array.data_type().clone(), nullable));
    let len = array.len();
    let (bytes, closes) = file(&field, vec![Arc::clone(&array)], ZSTD);
    let found = read(&bytes, None);
    assert_eq!(found.column(0).as_ref(), array.as_ref(), "{field}");

    for cut in [1000, 8191] {
        let pieces = (0..len).step_by(cut);
        let pieces = pieces
            .map(|at| array.slice(at, cut.min(len - at)))
            .collect();
        assert_eq!(file(&field, pieces, ZSTD).0, bytes, "{field} cut at {cut}");
    }

    // A row here and there, found by the page index.
    let every = 97;
    let selectors =
        (0..len / every).flat_map(|_| [RowSelector::skip(every - 1), RowSelector::select(1)]);
    let selected = read(&bytes, Some(selectors.collect::<Vec<_>>().into()));
    assert_eq!(selected.num_rows(), len / every);
    for row in 0..selected.num_rows() {
        let expected = array.slice(row * every + every - 1, 1);
        assert_eq!(selected.column(0).slice(row, 1).as_ref(), expected.as_ref());
    }

    let job = job(&field, vec![], ZSTD);
    let schema = Arc::new(Schema::new(vec![Arc::clone(&field)]));
    let descriptor = parquet_schema(&schema).unwrap();
    let theirs = job
        .run_crates(&Rows::new(vec![array]), schema, &descriptor)
        .unwrap();
    assert_eq!(theirs.len(), closes.len());
    for (ours, theirs) in closes.iter().zip(&theirs) {
        let Chunk::Crates(theirs) = &theirs.0 else {
            panic!("the crate was asked");
        };
        compare(ours, theirs.close());
    }
    closes.into_iter().next().unwrap()
}

fn compare(ours: &ColumnCloseResult, theirs: &ColumnCloseResult) {
    let (mine, others) = (&ours.metadata, &theirs.metadata);
    assert_eq!(ours.rows_written, theirs.rows_written);
    assert_eq!(mine.num_values(), others.num_values());
    assert_eq!(mine.statistics(), others.statistics());
    assert_eq!(
        mine.unencoded_byte_array_data_bytes(),
        others.unencoded_byte_array_data_bytes()
    );
    assert_eq!(
        mine.definition_level_histogram(),
        others.definition_level_histogram()
    );
    assert_eq!(
        mine.repetition_level_histogram(),
        others.repetition_level_histogram()
    );
    let pages = |close: &ColumnCloseResult| {
        let index = close.offset_index.as_ref().unwrap();
        let rows: Vec<i64> = index
            .page_locations()
            .iter()
            .map(|page| page.first_row_index)
            .collect();
        rows
    };
    // A page of a list whose rows happen to be as many as its nulls is taken for
    // one of nulls by the crate, which ours is not.
    if pages(ours) == pages(theirs) && mine.repetition_level_histogram().is_none() {
        assert_eq!(ours.column_index, theirs.column_index);
    }
}

fn mixed(n: i64) -> i64 {
    (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 11
}

/// How often a value is null.
const NULLS: [fn(i64) -> bool; 5] = [
    |_| false,
    |_| true,
    |n| n % 3 == 1,
    |n| mixed(n) % 2 == 0,
    |n| n / 5000 % 2 == 1,
];

const SIZES: [i64; 7] = [0, 1, 7, 100, 8191, 8192, 8193];

/// Every type with values made by `of`, at every size and pattern of nulls.
fn check_all<T>(array: impl Fn(Vec<Option<T>>) -> ArrayRef, of: impl Fn(i64) -> T) {
    for size in SIZES {
        for null in NULLS {
            let values = (0..size).map(|n| (!null(n)).then(|| of(n)));
            check(array(values.collect()), true);
        }
        check(array((0..size).map(|n| Some(of(n))).collect()), false);
    }
}
