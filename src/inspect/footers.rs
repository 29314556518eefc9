//! Partition sizes from Parquet footers: no page is read.
//!
//! In:  the metadata at the end of a Parquet file.
//! Out: its rows (exact), its stored bytes (exact), and what its columns take
//!      in memory as Arrow.
//!
//! Bytes in memory follow from counts in the footer: fixed widths times
//! values, one bit a row of validity where there are nulls, offsets, and for
//! text the unencoded size which writers note since format 2.10. Where an old
//! writer left it out, the size of the decoded pages stands in, and the result says
//! that it is an estimate.

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

/// What a footer tells about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FooterSize {
    /// Rows of all row groups.
    pub rows: u64,
    /// Bytes of the columns in memory.
    pub bytes: u64,
    /// Whether some of `bytes` had to be estimated.
    pub estimated: bool,
}

/// Adds up the row groups. Costs nothing but arithmetic.
pub fn footer_size(metadata: &ParquetMetaData) -> FooterSize {
    let mut size = FooterSize::default();
    for group in metadata.row_groups() {
        let rows = unsigned(group.num_rows());
        size.rows = size.rows.saturating_add(rows);
        for column in group.columns() {
            let (bytes, estimated) = column_bytes(column, rows);
            size.bytes = size.bytes.saturating_add(bytes);
            size.estimated |= estimated;
        }
    }
    size
}

/// Footers of damaged files may hold anything.
fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// Bytes of one leaf column of one row group as Arrow, and whether they are an estimate.
fn column_bytes(column: &ColumnChunkMetaData, rows: u64) -> (u64, bool) {
    let descriptor = column.column_descr();
    let slots = slots(column);
    // Each list above the leaf holds an offset a parent; a parent is a row at least.
    let lists = u64::try_from(descriptor.max_rep_level()).unwrap_or(0);
    let offsets = lists.saturating_mul(rows.saturating_mul(4));
    let validity = if nulls(column) > 0 {
        slots.div_ceil(8)
    } else {
        0
    };
    let (values, estimated) = match descriptor.physical_type() {
        Type::BOOLEAN => (slots.div_ceil(8), false),
        Type::INT32 => (slots.saturating_mul(narrow_int_width(column)), false),
        Type::INT64 | Type::DOUBLE | Type::INT96 => (slots.saturating_mul(8), false),
        Type::FLOAT => (slots.saturating_mul(4), false),
        Type::FIXED_LEN_BYTE_ARRAY => {
            let width = match descriptor.logical_type_ref() {
                Some(LogicalType::Decimal { .. }) => 16,
                _ => u64::try_from(descriptor.type_length()).unwrap_or(0),
            };
            (slots.saturating_mul(width), false)
        }
        Type::BYTE_ARRAY => {
            let text_offsets = slots.saturating_mul(4);
            match column.unencoded_byte_array_data_bytes() {
                Some(bytes) => (unsigned(bytes).saturating_add(text_offsets), false),
                None => (unsigned(column.uncompressed_size()).max(text_offsets), true),
            }
        }
    };
    (
        values.saturating_add(validity).saturating_add(offsets),
        estimated,
    )
}

/// Values of the leaf's Arrow array: every level pair but those that only say "no such list".
fn slots(column: &ColumnChunkMetaData) -> u64 {
    let values = unsigned(column.num_values());
    let descriptor = column.column_descr();
    if descriptor.max_rep_level() == 0 {
        return values;
    }
    // In a list an item exists where the definition level reaches the list's
    // own or more: the leaf's level, less one where the item itself may be null.
    let Some(histogram) = column.definition_level_histogram() else {
        return values;
    };
    let from = usize::try_from(descriptor.max_def_level()).unwrap_or(0);
    let from = from.saturating_sub(usize::from(descriptor.self_type().is_optional()));
    histogram
        .values()
        .iter()
        .skip(from)
        .map(|&n| unsigned(n))
        .sum()
}

/// Nulls of the leaf; 0 where it can have none, 1 or more where it may.
fn nulls(column: &ColumnChunkMetaData) -> u64 {
    if column.column_descr().max_def_level() == 0 {
        return 0;
    }
    column
        .statistics()
        .and_then(|statistics| statistics.null_count_opt())
        .unwrap_or(1)
}

fn narrow_int_width(column: &ColumnChunkMetaData) -> u64 {
    match (
        column.column_descr().logical_type_ref(),
        column.column_descr().converted_type(),
    ) {
        (Some(LogicalType::Integer(int)), _) if int.bit_width == 8 => 1,
        (Some(LogicalType::Integer(int)), _) if int.bit_width == 16 => 2,
        (Some(LogicalType::Decimal { .. }), _) | (None, ConvertedType::DECIMAL) => 16,
        (None, ConvertedType::INT_8 | ConvertedType::UINT_8) => 1,
        (None, ConvertedType::INT_16 | ConvertedType::UINT_16) => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int64Builder, ListBuilder};
    use arrow_array::{
        ArrayRef, BooleanArray, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
        StructArray, TimestampMillisecondArray,
    };
    use arrow_schema::{DataType, Field};
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::ParquetMetaDataReader;

    use super::*;

    /// What the arrays say of themselves, counted from their buffers' used parts.
    fn arrow_bytes(batch: &RecordBatch) -> u64 {
        batch
            .columns()
            .iter()
            .map(|column| column.to_data().get_slice_memory_size().unwrap() as u64)
            .sum()
    }

    fn batch(rows: i64) -> RecordBatch {
        let mut tags = ListBuilder::new(Int64Builder::new());
        for row in 0..rows {
            if row % 5 == 0 {
                tags.append_null();
                continue;
            }
            (0..row % 4).for_each(|tag| tags.values().append_option((tag != 2).then_some(tag)));
            tags.append(true);
        }
        let text = |row: i64| (row % 7 != 0).then(|| format!("text {row} é"));
        let city: ArrayRef = Arc::new(StringArray::from_iter((0..rows).map(text)));
        let geo = StructArray::from(vec![(
            Arc::new(Field::new("city", DataType::Utf8, true)),
            city.clone(),
        )]);
        RecordBatch::try_from_iter([
            (
                "id",
                Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef,
            ),
            (
                "small",
                Arc::new(Int8Array::from_iter(
                    (0..rows).map(|row| Some((row % 100) as i8)),
                )) as ArrayRef,
            ),
            (
                "ok",
                Arc::new(BooleanArray::from_iter(
                    (0..rows).map(|row| Some(row % 3 == 0)),
                )) as ArrayRef,
            ),
            (
                "f",
                Arc::new(Float64Array::from_iter(
                    (0..rows).map(|row| (row % 9 != 0).then_some(row as f64)),
                )) as ArrayRef,
            ),
            (
                "ts",
                Arc::new(TimestampMillisecondArray::from_iter_values(0..rows)) as ArrayRef,
            ),
            ("city", city),
            ("geo", Arc::new(geo) as ArrayRef),
            ("tags", Arc::new(tags.finish()) as ArrayRef),
        ])
        .unwrap()
    }

    #[test]
    fn a_footer_tells_rows_exactly_and_memory_within_two_percent() {
        for rows in [1000, 12_345] {
            let batch = batch(rows);
            let mut file = tempfile::tempfile().unwrap();
            let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
            writer.write(&batch.slice(0, 700)).unwrap();
            writer.flush().unwrap();
            writer
                .write(&batch.slice(700, batch.num_rows() - 700))
                .unwrap();
            writer.close().unwrap();
            let metadata = ParquetMetaDataReader::new()
                .parse_and_finish(&file)
                .unwrap();
            let size = footer_size(&metadata);
            assert_eq!(size.rows, rows as u64);
            assert!(!size.estimated);
            let told = arrow_bytes(&batch);
            let apart = size.bytes.abs_diff(told) as f64 / told as f64;
            assert!(apart < 0.02, "{} is not {told}", size.bytes);
        }
    }
}
