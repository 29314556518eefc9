//! Column chunks against the crate: its reader finds every value, and its writer
//! says the same of them.

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
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::writer::SerializedFileWriter;
use proptest::prelude::*;

use crate::sink::parquet::{
    Blooms, Chunk, ColumnChunk, ColumnJob, PAGE_ROWS, Stored, null_chunks, parquet_schema,
    properties,
};
use crate::sink::rows::Rows;

const ZSTD: fn() -> Compression = || Compression::ZSTD(ZstdLevel::default());

fn job(field: &FieldRef, arrays: Vec<ArrayRef>, compression: Compression) -> ColumnJob {
    ColumnJob {
        field: Arc::clone(field),
        rows: Rows::new(arrays),
        how: Stored {
            compression,
            blooms: Blooms::new(&["filtered".to_owned()]),
        },
    }
}

/// The column in a file of one row group, and what was said of its leaves.
fn file(
    field: &FieldRef,
    arrays: Vec<ArrayRef>,
    compression: Compression,
) -> (Bytes, Vec<ColumnCloseResult>) {
    let chunks = job(field, arrays, compression).run().unwrap();
    let closes = chunks.iter().map(|chunk| match &chunk.0 {
        Chunk::Ours(encoded) => encoded.close().clone(),
        Chunk::Crates(_) => panic!("{} was left to the crate", field.data_type()),
    });
    let closes = closes.collect();
    (file_of(field, chunks, compression), closes)
}

/// The chunks of a column in a file of one row group.
fn file_of(field: &FieldRef, chunks: Vec<ColumnChunk>, compression: Compression) -> Bytes {
    let schema = Schema::new(vec![Arc::clone(field)]);
    let mut properties = properties(compression).build();
    add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
    let root = parquet_schema(&schema).unwrap().root_schema_ptr();
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
    let (bytes, closes) = file(&field, vec![Arc::clone(&array)], ZSTD());
    let found = read(&bytes, None);
    assert_eq!(found.column(0).as_ref(), array.as_ref(), "{field}");

    for cut in [1000, 8191] {
        let pieces = (0..len).step_by(cut);
        let pieces = pieces
            .map(|at| array.slice(at, cut.min(len - at)))
            .collect();
        assert_eq!(
            file(&field, pieces, ZSTD()).0,
            bytes,
            "{field} cut at {cut}"
        );
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

    let job = job(&field, vec![], ZSTD());
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

macro_rules! check_numbers {
    ($($array:ty as $native:ty),*) => {$(
        check_all(|values| Arc::new(<$array>::from(values)), |n| mixed(n) as $native);
        check_all(|values| Arc::new(<$array>::from(values)), |n| (mixed(n) % 5) as $native);
        check_all(|values| Arc::new(<$array>::from(values)), |n| n as $native);
        check_all(|values| Arc::new(<$array>::from(values)), |_| 7 as $native);
    )*};
}

#[test]
fn numbers_come_back_with_the_crates_statistics() {
    check_numbers!(
        Int64Array as i64,
        UInt64Array as u64,
        Int32Array as i32,
        Float64Array as f64
    );
}

#[test]
fn narrow_numbers_come_back_with_the_crates_statistics() {
    check_numbers!(
        Int8Array as i8,
        UInt8Array as u8,
        Int16Array as i16,
        UInt16Array as u16,
        UInt32Array as u32,
        Float32Array as f32
    );
}

#[test]
fn extreme_numbers_come_back() {
    let extremes = [i64::MIN, i64::MAX, 0, -1, 1, i64::MIN, i64::MIN + 1];
    check_all(
        |values| Arc::new(Int64Array::from(values)),
        |n| extremes[n as usize % 7],
    );
    check_all(
        |values| Arc::new(UInt64Array::from(values)),
        |n| extremes[n as usize % 7].cast_unsigned(),
    );
    let extremes = [i32::MIN, i32::MAX, 0, -1];
    check_all(
        |values| Arc::new(Int32Array::from(values)),
        |n| extremes[n as usize % 4],
    );
    check_all(
        |values| Arc::new(UInt32Array::from(values)),
        |n| extremes[n as usize % 4].cast_unsigned(),
    );
    let unique: Vec<i64> = (0..9000)
        .map(|n| {
            if n % 2 == 0 {
                i64::MIN + n
            } else {
                i64::MAX - n
            }
        })
        .collect();
    check(Arc::new(Int64Array::from(unique)), true);
}

#[test]
fn odd_floats_keep_their_bits() {
    let odd = [
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
    ];
    let patterns: [fn(usize) -> usize; 4] = [|n| n % 2, |n| n % 7, |_| 2, |n| 4 + n % 2];
    for pattern in patterns {
        for unique in [false, true] {
            let value = |n: usize| match n.is_multiple_of(2) && unique {
                true => n as f64 / 7.0,
                false => odd[pattern(n)],
            };
            let values: Vec<f64> = (0..9000).map(value).collect();
            let field: FieldRef = Arc::new(Field::new("c", DataType::Float64, true));
            let array: ArrayRef = Arc::new(Float64Array::from(values.clone()));
            let (bytes, _) = file(&field, vec![Arc::clone(&array)], ZSTD());
            let found = read(&bytes, None);
            let found = found
                .column(0)
                .as_primitive::<arrow_array::types::Float64Type>();
            for (found, value) in found.values().iter().zip(&values) {
                assert_eq!(found.to_bits(), value.to_bits());
            }
        }
    }
    // What cannot be compared is in no statistics, as with the crate.
    check(Arc::new(Float64Array::from(vec![-0.0, 0.0, 1.0])), true);
    check(Arc::new(Float64Array::from(vec![-1.0, -0.0])), true);
}

#[test]
fn booleans_and_times_come_back() {
    for pattern in [|n| mixed(n) % 2 == 0, |_| true, |n| n > 5000] {
        check_all(|values| Arc::new(BooleanArray::from(values)), pattern);
    }
    check_all(
        |values| Arc::new(Date32Array::from(values)),
        |n| (n / 50) as i32,
    );
    check_all(
        |values| Arc::new(Time64MicrosecondArray::from(values)),
        |n| n * 50,
    );
    check_all(
        |values| Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC")),
        |n| 1_767_225_600_000 + n * 37 - mixed(n) % 20,
    );
}

#[test]
fn texts_come_back_with_the_crates_statistics() {
    let texts: [fn(i64) -> String; 7] = [
        |n| format!("web-{}", n % 40),
        |n| format!("/a/{}", mixed(n)),
        |n| format!("2025-03-03T00:{n:010}"),
        |_| String::new(),
        |n| "é".repeat((n % 60) as usize),
        |n| format!("{}{}", "long and the same at first, ".repeat(3), mixed(n)),
        |n| format!("\u{10FFFF}{}", "\u{D7FF}".repeat(40 - (n % 3) as usize)),
    ];
    for text in texts {
        check_all(|values| Arc::new(StringArray::from(values)), text);
    }
    check_all(|values| Arc::new(LargeStringArray::from(values)), texts[1]);
    check_all(|values| Arc::new(StringViewArray::from(values)), texts[5]);
}

#[test]
fn bytes_that_are_no_text_have_the_crates_statistics() {
    for long in [
        vec![0xFF; 100],
        [vec![7; 60], vec![0xFF; 40]].concat(),
        [vec![0xFF; 63], vec![3; 9]].concat(),
        vec![0; 65],
    ] {
        let array = BinaryArray::from_iter_values([&long[..], &long[..64], b"", &long[1..]]);
        check(Arc::new(array), false);
    }
}

#[test]
fn dictionary_arrays_come_back_whatever_their_nulls() {
    let keys = Int32Array::from_iter((0..9000).map(|n| (n % 5 != 2).then_some(n % 4)));
    // An entry that is null, one that comes twice and one that is not used.
    let entries = StringArray::from(vec![Some("a"), None, Some("b"), Some("a"), Some("z")]);
    let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(entries)).unwrap();
    let field: FieldRef = Arc::new(Field::new("c", array.data_type().clone(), true));
    let (bytes, closes) = file(&field, vec![Arc::new(array.clone())], ZSTD());
    let found = arrow_cast::cast(read(&bytes, None).column(0), &DataType::Utf8).unwrap();
    let expected = arrow_cast::cast(&array, &DataType::Utf8).unwrap();
    assert_eq!(&found, &expected);
    let statistics = closes[0].metadata.statistics().unwrap();
    assert_eq!(statistics.max_bytes_opt(), Some(&b"b"[..]));
    assert_eq!(
        statistics.null_count_opt(),
        Some(expected.null_count() as u64)
    );
}

/// Structs in structs, nulls at each level, and values hidden under nulls.
fn nested(rows: i64) -> ArrayRef {
    let names: StringArray = (0..rows)
        .map(|n| (n % 3 != 0).then(|| format!("in-{}", n % 9)))
        .collect();
    let ids: Int64Array = (0..rows).map(Some).collect();
    let inner = StructArray::new(
        vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("id", DataType::Int64, false),
        ]
        .into(),
        vec![Arc::new(names), Arc::new(ids)],
        Some(NullBuffer::from_iter((0..rows).map(|n| n % 4 != 0))),
    );
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>((0..rows).map(|n| {
        (n % 5 != 0).then(|| (0..n % 4).map(move |item| (item != 2).then_some(n + item)))
    }));
    Arc::new(StructArray::new(
        vec![
            Field::new("inner", inner.data_type().clone(), true),
            Field::new("list", lists.data_type().clone(), true),
        ]
        .into(),
        vec![Arc::new(inner), Arc::new(lists)],
        Some(NullBuffer::from_iter((0..rows).map(|n| n % 7 != 0))),
    ))
}

#[test]
fn structs_come_back_with_nulls_at_every_level() {
    for rows in SIZES {
        check(nested(rows), true);
    }
}

#[test]
fn lists_of_lists_and_maps_come_back() {
    let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    for n in 0..9000i64 {
        for outer in 0..n % 3 {
            for item in 0..(n + outer) % 4 {
                match item {
                    2 => lists.values().values().append_null(),
                    _ => lists
                        .values()
                        .values()
                        .append_value(format!("{}", mixed(n) % 50)),
                }
            }
            lists.values().append(outer != 1 || n % 5 != 0);
        }
        lists.append(n % 11 != 0);
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    check(Arc::clone(&lists), true);
    // An array that begins within its buffers.
    check(lists.slice(77, 5000), true);

    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for n in 0..5000 {
        for item in 0..n % 3 {
            maps.keys().append_value(format!("k{item}"));
            maps.values().append_option((n % 4 != 0).then_some(n));
        }
        maps.append(n % 6 != 0).unwrap();
    }
    check(Arc::new(maps.finish()), true);
}

#[test]
fn pages_end_with_the_row_that_fills_them() {
    let rows = PAGE_ROWS as i64 * 2 + 5;
    let few = check(
        Arc::new(
            (0..rows)
                .map(|n| Some(mixed(n) % 9))
                .collect::<Int64Array>(),
        ),
        true,
    );
    let of = |close: &ColumnCloseResult| {
        let pages = close.offset_index.as_ref().unwrap().page_locations();
        pages
            .iter()
            .map(|page| page.first_row_index)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&few), [0, PAGE_ROWS as i64, PAGE_ROWS as i64 * 2]);
    let big = "x".repeat(400_000);
    let huge: StringArray = (0..9)
        .map(|n| {
            (n % 4 != 3).then(|| format!("{n}{}", if n == 4 { big.repeat(4) } else { big.clone() }))
        })
        .collect();
    assert_eq!(of(&check(Arc::new(huge), true)), [0, 3, 5]);
}

#[test]
fn every_page_has_the_bounds_of_its_rows() {
    for values in [
        (0..300_000)
            .map(|n| mixed(n) % 1000 + n / 1000)
            .collect::<Vec<_>>(),
        (0..300_000).map(mixed).collect(),
        (0..300_000).map(|n| -n).collect(),
    ] {
        let close = check(Arc::new(Int64Array::from(values.clone())), false);
        let Some(ColumnIndexMetaData::INT64(index)) = &close.column_index else {
            panic!("there is no index");
        };
        let pages = close.offset_index.as_ref().unwrap().page_locations();
        assert_eq!(pages.len(), 3);
        for (idx, page) in pages.iter().enumerate() {
            let start = page.first_row_index as usize;
            let end = pages
                .get(idx + 1)
                .map_or(values.len(), |page| page.first_row_index as usize);
            let rows = &values[start..end];
            assert_eq!(index.min_value(idx), rows.iter().min());
            assert_eq!(index.max_value(idx), rows.iter().max());
        }
    }
}

#[test]
fn every_codec_is_read_by_the_crate() {
    let array: ArrayRef = Arc::new(
        (0..9000)
            .map(|n| Some(format!("/a/{}", mixed(n))))
            .collect::<StringArray>(),
    );
    let field: FieldRef = Arc::new(Field::new("c", DataType::Utf8, true));
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
        Compression::GZIP(GzipLevel::try_new(6).unwrap()),
        Compression::ZSTD(ZstdLevel::try_new(19).unwrap()),
        ZSTD(),
    ] {
        let (bytes, _) = file(&field, vec![Arc::clone(&array)], compression);
        assert_eq!(read(&bytes, None).column(0), &array, "{compression}");
    }
    let unknown = job(
        &field,
        vec![array],
        Compression::BROTLI(BrotliLevel::default()),
    );
    assert!(unknown.run().is_err(), "a codec that is not built in");
}

#[test]
fn a_null_where_none_may_be_is_an_error() {
    let field: FieldRef = Arc::new(Field::new("c", DataType::Int64, false));
    let array: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let error = job(&field, vec![array], ZSTD()).run().err().unwrap();
    assert!(error.to_string().contains("\"c\""), "{error}");
}

#[test]
fn other_types_are_left_to_the_crate() {
    let array: ArrayRef = Arc::new(
        arrow_array::Decimal128Array::from(vec![Some(7), None])
            .with_precision_and_scale(30, 2)
            .unwrap(),
    );
    let field: FieldRef = Arc::new(Field::new("c", array.data_type().clone(), true));
    let chunks = job(&field, vec![array], ZSTD()).run().unwrap();
    assert!(matches!(chunks[0].0, Chunk::Crates(_)));
}

#[test]
fn a_dictionary_that_outgrows_its_page_is_given_up() {
    // The sample takes this for a column of 8,192 values; it has many more.
    let text = |n: i64| {
        format!(
            "{}{}",
            "x".repeat(300),
            if n % 10 == 0 { n % 2 } else { n / 2 }
        )
    };
    let array: StringArray = (0..60_000).map(|n| Some(text(n))).collect();
    let close = check(Arc::new(array), true);
    assert_eq!(close.metadata.dictionary_page_offset(), None);
    assert!(
        close
            .metadata
            .encodings()
            .any(|encoding| encoding != Encoding::RLE)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_texts_come_back(values in prop::collection::vec(prop::option::of(".{0,90}"), 0..300)) {
        check(Arc::new(StringArray::from(values)), true);
    }

    #[test]
    fn any_numbers_come_back(values in prop::collection::vec(prop::option::of(any::<i64>()), 0..600), shift in 0u32..64) {
        let values: Vec<Option<i64>> = values.into_iter().map(|value| Some(value? >> shift)).collect();
        check(Arc::new(Int64Array::from(values)), true);
    }

    #[test]
    fn any_lists_come_back(
        rows in prop::collection::vec(
            prop::option::of(prop::collection::vec(prop::option::of("[ab]{0,3}"), 0..5)), 0..200),
    ) {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in rows {
            lists.append_option(row);
        }
        check(Arc::new(lists.finish()), true);
    }
}

#[test]
fn a_column_of_nulls_is_what_null_arrays_give() {
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let members = vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::List(Arc::clone(&item)), false),
    ];
    let types = [
        DataType::Utf8,
        DataType::Boolean,
        DataType::Float64,
        DataType::List(item),
        DataType::Struct(members.into()),
        DataType::Decimal128(30, 2), // the crate's
    ];
    for data_type in types {
        let field: FieldRef = Arc::new(Field::new("c", data_type.clone(), true));
        for rows in [1, 8193, 200_000] {
            let array = arrow_array::new_null_array(&data_type, rows);
            let slow = job(&field, vec![array], ZSTD()).run().unwrap();
            let quick = null_chunks(&field, rows, ZSTD()).unwrap();
            assert!(
                file_of(&field, quick, ZSTD()) == file_of(&field, slow, ZSTD()),
                "{rows} nulls of {data_type}"
            );
        }
    }
}

#[test]
fn a_filter_holds_every_value_and_is_as_small_as_they_are_few() {
    let many = Int64Array::from_iter((0..10_000i64).map(|n| (n % 7 > 0).then_some(n << 20)));
    let few = StringArray::from_iter_values((0..10_000).map(|n| format!("text {}", n % 50)));
    let filter = |array: ArrayRef, name: &str| {
        let field = Arc::new(Field::new(name, array.data_type().clone(), true));
        let (_, closes) = file(&field, vec![array], ZSTD());
        closes[0].bloom_filter.clone()
    };
    let of_many = filter(Arc::new(many.clone()), "filtered").unwrap();
    assert!(many.iter().flatten().all(|value| of_many.check(&value)));
    let others = (0..10_000i64).map(|n| (n << 20) + 1);
    let wrong = others.filter(|value| of_many.check(value)).count();
    assert!(wrong < 300, "{wrong} of 10,000 that are not there");
    let of_few = filter(Arc::new(few.clone()), "filtered").unwrap();
    assert!(few.iter().flatten().all(|text| of_few.check(text)));
    assert!(of_few.num_blocks() * 100 < of_many.num_blocks());
    assert!(filter(Arc::new(few), "other").is_none());
}
