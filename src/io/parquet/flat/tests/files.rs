//! Files of every encoding, page version, codec and kind of nulls.

use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Decimal128Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, PrimitiveArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt16Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

const ROWS: usize = 700;

/// Which rows have a value.
#[derive(Debug, Clone, Copy)]
pub enum Nulls {
    None,
    Some,
    Runs,
    All,
}

impl Nulls {
    fn is_there(self, row: usize) -> bool {
        match self {
            Nulls::None => true,
            Nulls::Some => !row.wrapping_mul(2_654_435_761).is_multiple_of(3),
            Nulls::Runs => row / 50 % 3 != 1,
            Nulls::All => false,
        }
    }
}

/// A few values, then many, then one, then values that rise.
fn number(row: usize, salt: usize) -> i64 {
    let mixed = (row + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    match row / 100 % 4 {
        0 => (mixed % 5) as i64 - 2,
        1 => mixed as i64 - (1 << 43),
        2 => 7,
        _ => (row * 3) as i64,
    }
}

/// Columns of every type that is decoded here.
pub fn batch(nulls: Nulls) -> RecordBatch {
    fn column<T, A: FromIterator<Option<T>>>(
        nulls: Nulls,
        salt: usize,
        of: impl Fn(i64) -> T,
    ) -> A {
        let values = (0..ROWS).map(|row| nulls.is_there(row).then(|| of(number(row, salt))));
        values.collect()
    }
    macro_rules! of {
        ($array:ty, $salt:expr, $of:expr) => {
            Arc::new(column::<_, $array>(nulls, $salt, $of))
        };
    }
    let decimals = |digits: u8, salt: usize| -> ArrayRef {
        let most = 10i64.pow(digits.into());
        let values: PrimitiveArray<Decimal128Type> =
            column(nulls, salt, |value| i128::from(value % most));
        Arc::new(values.with_precision_and_scale(digits, 2).unwrap())
    };
    let time: TimestampMicrosecondArray = column(nulls, 10, |v| v);
    let columns: [(&str, ArrayRef); 16] = [
        ("int", of!(Int64Array, 1, |v| v)),
        ("few", of!(Int64Array, 2, |v| v % 4)),
        ("int32", of!(Int32Array, 3, |v| v as i32)),
        ("int8", of!(Int8Array, 4, |v| v as i8)),
        ("uint16", of!(UInt16Array, 5, |v| v as u16)),
        ("uint64", of!(UInt64Array, 6, |v| v as u64)),
        ("float", of!(Float32Array, 7, |v| v as f32 / 3.0)),
        ("double", of!(Float64Array, 8, |v| v as f64 / 7.0)),
        ("day", of!(Date32Array, 9, |v| v as i32)),
        ("time", Arc::new(time.with_timezone("UTC"))),
        ("small", decimals(7, 11)),
        ("large", decimals(16, 12)),
        ("flag", of!(BooleanArray, 13, |v| v % 3 == 0)),
        ("text", of!(StringArray, 14, text)),
        ("tags", of!(StringArray, 15, |v| text(v % 9))),
        ("bytes", of!(BinaryArray, 16, text)),
    ];
    let nullable = !matches!(nulls, Nulls::None);
    let columns = columns.map(|(name, column)| (name, column, nullable));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn text(number: i64) -> String {
    match number % 11 {
        0 => String::new(),
        _ => format!(
            "text é {} {number}",
            "x".repeat((number % 40).unsigned_abs() as usize)
        ),
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub nulls: Nulls,
    /// Whether there are dictionaries, and of how many bytes at most.
    pub dictionary: Option<usize>,
    /// Which of the encodings of each type.
    pub encoding: usize,
    pub version: WriterVersion,
    pub codec: Compression,
    pub page_rows: usize,
}

pub fn cases() -> Vec<Case> {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let codecs = [
        Compression::UNCOMPRESSED,
        zstd,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
    ];
    let mut cases = Vec::new();
    for nulls in [Nulls::None, Nulls::Some, Nulls::Runs, Nulls::All] {
        for (idx, (dictionary, encoding)) in [
            (Some(1 << 20), 0),
            (Some(300), 0),
            (None, 0),
            (None, 1),
            (None, 2),
        ]
        .into_iter()
        .enumerate()
        {
            // Each of these meets all the others within a few cases.
            let (version, page_rows) = [
                (WriterVersion::PARQUET_1_0, 90),
                (WriterVersion::PARQUET_2_0, 1000),
                (WriterVersion::PARQUET_2_0, 33),
            ][cases.len() % 3];
            cases.push(Case {
                nulls,
                dictionary,
                encoding,
                version,
                codec: codecs[(cases.len() + idx) % codecs.len()],
                page_rows,
            });
        }
    }
    cases
}

pub fn write(path: &Path, batch: &RecordBatch, case: Case) {
    let mut properties = WriterProperties::builder()
        .set_writer_version(case.version)
        .set_compression(case.codec)
        .set_dictionary_enabled(case.dictionary.is_some())
        .set_dictionary_page_size_limit(case.dictionary.unwrap_or(1))
        .set_data_page_row_count_limit(case.page_rows)
        .set_write_batch_size(case.page_rows)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROWS / 2 + 20));
    for column in batch.schema().fields() {
        use arrow_schema::DataType::{Binary, Boolean, Float32, Float64, Utf8};
        let of_type = match column.data_type() {
            Utf8 | Binary => [
                Encoding::PLAIN,
                Encoding::DELTA_LENGTH_BYTE_ARRAY,
                Encoding::DELTA_BYTE_ARRAY,
            ],
            Boolean => [Encoding::PLAIN, Encoding::RLE, Encoding::RLE],
            Float32 | Float64 => [
                Encoding::PLAIN,
                Encoding::BYTE_STREAM_SPLIT,
                Encoding::BYTE_STREAM_SPLIT,
            ],
            _ => [
                Encoding::PLAIN,
                Encoding::DELTA_BINARY_PACKED,
                Encoding::BYTE_STREAM_SPLIT,
            ],
        };
        let name = ColumnPath::from(column.name().as_str());
        properties = properties.set_column_encoding(name, of_type[case.encoding]);
    }
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}
