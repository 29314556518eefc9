//! Partition sizes from Parquet footers: no page is read.
//!
//! In:  the metadata at the end of a Parquet file.
//! Out: its rows, and the logical bytes its columns have as Arrow, equal to
//!      [`crate::partition::batch_bytes`] over the rows themselves.
//!
//! Sizes follow from counts that writers note in footers: how many values lie
//! at each definition and repetition level, and the unencoded size of text.
//!
//! ```text
//! leaf value present    definition level = its largest
//! list at depth d       definition ≥ the list's own level, repetition < d
//!                       (whoever has repetition ≥ d goes on in a list that is there)
//! ```
//!
//! Where an old writer left a count out, the best bound stands in and the
//! result says that it is an estimate.

use arrow_schema::{DataType, Schema};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Repetition, Type as Physical};
use parquet::file::metadata::{ColumnChunkMetaData, LevelHistogram, ParquetMetaData};
use parquet::schema::types::Type;

/// Types inside types that are looked at; deeper ones count as if flat.
const MAX_DEPTH: usize = 64;

/// What a footer tells about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FooterSize {
    /// Rows of all row groups.
    pub rows: u64,
    /// Logical bytes of the columns as Arrow.
    pub bytes: u64,
    /// Whether some of `bytes` had to be estimated.
    pub estimated: bool,
}

/// A list above a leaf: lists in it weigh 4 bytes each.
#[derive(Debug, Clone, Copy)]
struct ListLevel {
    /// Definition level from which the list is there, be it empty.
    present: usize,
    /// Repetition level of its items.
    depth: usize,
    /// Whether this leaf is the one that counts it: the first below it.
    counted_here: bool,
}

/// A leaf column: how wide its values are and which lists it stands for.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// Bytes of a value as Arrow, without the text.
    width: u64,
    /// Whether the unencoded text comes on top.
    text: bool,
    lists: Vec<ListLevel>,
}

/// What a leaf of a row group takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeafSize {
    /// Logical bytes as Arrow.
    pub(super) bytes: u64,
    /// Whether they had to be estimated.
    pub(super) estimated: bool,
}

/// Adds up the row groups. Costs nothing but arithmetic.
pub fn footer_size(metadata: &ParquetMetaData) -> FooterSize {
    let leaves = leaf_widths(metadata);
    let mut size = FooterSize::default();
    for group in metadata.row_groups() {
        size.rows = size.rows.saturating_add(unsigned(group.num_rows()));
        for (column, leaf) in group.columns().iter().zip(&leaves) {
            let LeafSize { bytes, estimated } = leaf.size_of(column);
            size.bytes = size.bytes.saturating_add(bytes);
            size.estimated |= estimated;
        }
    }
    size
}

/// Footers of damaged files may hold anything.
pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// Sum of a histogram from one level on; none where the writer left it out.
fn at_least(histogram: Option<&LevelHistogram>, level: usize) -> Option<u64> {
    let counts = histogram?.values().get(level..)?;
    Some(
        counts
            .iter()
            .fold(0, |sum, &n| sum.saturating_add(unsigned(n))),
    )
}

impl Leaf {
    /// What this leaf of one row group takes.
    pub(super) fn size_of(&self, column: &ColumnChunkMetaData) -> LeafSize {
        let descriptor = column.column_descr();
        let values = unsigned(column.num_values());
        let max_level = usize::try_from(descriptor.max_def_level()).unwrap_or(0);
        let levels = column.definition_level_histogram();
        let flat_nulls = || {
            let nulls = column.statistics()?.null_count_opt()?;
            (descriptor.max_rep_level() == 0).then(|| values.saturating_sub(nulls))
        };
        let present = match max_level {
            0 => Some(values),
            _ => at_least(levels, max_level).or_else(flat_nulls),
        };
        let mut estimated = present.is_none();
        let present = present.unwrap_or(values);
        let mut bytes = present.saturating_mul(self.width);
        if self.text {
            // Decoded pages hold dictionaries and levels beside the text, or each
            // text once: neither bound is sure, so this is a guess.
            bytes = bytes.saturating_add(match column.unencoded_byte_array_data_bytes() {
                Some(text) => unsigned(text),
                None => {
                    estimated = true;
                    unsigned(column.uncompressed_size())
                }
            });
        }
        for list in self.lists.iter().filter(|list| list.counted_here) {
            let there = match list.present {
                0 => Some(values),
                level => at_least(levels, level),
            };
            let going_on = at_least(column.repetition_level_histogram(), list.depth);
            let lists = there
                .zip(going_on)
                .map(|(there, on)| there.saturating_sub(on));
            estimated |= lists.is_none();
            bytes = bytes.saturating_add(lists.unwrap_or(values).saturating_mul(4));
        }
        LeafSize { bytes, estimated }
    }
}

/// The leaf columns in file order, with widths from the Arrow types that reading would give.
pub(super) fn leaf_widths(metadata: &ParquetMetaData) -> Vec<Leaf> {
    let file = metadata.file_metadata();
    let descriptor = file.schema_descr();
    let mut leaves = Vec::with_capacity(descriptor.num_columns());
    let root = descriptor.root_schema();
    if root.is_group() {
        for field in root.get_fields() {
            walk(field, 0, &mut Vec::new(), &mut leaves, 0);
        }
    }
    let types = parquet_to_arrow_schema(descriptor, file.key_value_metadata())
        .map(|schema| arrow_leaves(&schema))
        .unwrap_or_default();
    leaves.resize_with(descriptor.num_columns(), Leaf::default);
    for (idx, leaf) in leaves.iter_mut().enumerate() {
        let physical = descriptor.column(idx).physical_type();
        let fixed = usize::try_from(descriptor.column(idx).type_length()).unwrap_or(0);
        (leaf.width, leaf.text) = match types
            .get(idx)
            .filter(|_| types.len() == descriptor.num_columns())
        {
            Some((data_type, lists)) => {
                for (list, varies) in leaf.lists.iter_mut().zip(lists) {
                    list.counted_here &= varies;
                }
                width(data_type, physical, fixed)
            }
            None => width(&DataType::Binary, physical, fixed),
        };
    }
    leaves
}

/// Bytes of a value, and whether its text comes on top.
fn width(data_type: &DataType, physical: Physical, fixed: usize) -> (u64, bool) {
    match data_type {
        DataType::Null => (0, false),
        DataType::Boolean => (1, false),
        DataType::FixedSizeBinary(width) => (u64::try_from(*width).unwrap_or(0), false),
        other => match (other.primitive_width(), physical) {
            (Some(width), _) => (width as u64, false),
            (None, Physical::BYTE_ARRAY) => (4, true),
            (None, Physical::FIXED_LEN_BYTE_ARRAY) => (4 + fixed as u64, false),
            (None, Physical::BOOLEAN) => (1, false),
            (None, Physical::INT32 | Physical::FLOAT) => (4, false),
            (None, Physical::INT64 | Physical::INT96 | Physical::DOUBLE) => (8, false),
        },
    }
}

/// Collects leaves with the lists above them.
fn walk(
    node: &Type,
    above: usize,
    lists: &mut Vec<ListLevel>,
    leaves: &mut Vec<Leaf>,
    depth: usize,
) {
    let info = node.get_basic_info();
    let repetition = if info.has_repetition() {
        info.repetition()
    } else {
        Repetition::REQUIRED
    };
    let level = above + usize::from(repetition != Repetition::REQUIRED);
    let repeated = repetition == Repetition::REPEATED;
    if repeated {
        lists.push(ListLevel {
            present: above,
            depth: lists.len() + 1,
            counted_here: true,
        });
    }
    if node.is_group() && depth < MAX_DEPTH {
        for field in node.get_fields() {
            walk(field, level, lists, leaves, depth + 1);
        }
    } else {
        leaves.push(Leaf {
            lists: lists.clone(),
            ..Leaf::default()
        });
        // Every list above has been counted now.
        lists.iter_mut().for_each(|list| list.counted_here = false);
    }
    if repeated {
        lists.pop();
    }
}

/// The types of all leaves, each with the lists above it: whether their length varies.
fn arrow_leaves(schema: &Schema) -> Vec<(DataType, Vec<bool>)> {
    let mut leaves = Vec::new();
    for field in schema.fields() {
        arrow_walk(field.data_type(), &mut Vec::new(), &mut leaves, 0);
    }
    leaves
}

fn arrow_walk(
    data_type: &DataType,
    lists: &mut Vec<bool>,
    leaves: &mut Vec<(DataType, Vec<bool>)>,
    depth: usize,
) {
    let inner = match data_type {
        _ if depth >= MAX_DEPTH => None,
        DataType::Struct(members) => {
            for member in members {
                arrow_walk(member.data_type(), lists, leaves, depth + 1);
            }
            return;
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
            Some((item, true))
        }
        DataType::FixedSizeList(item, _) => Some((item, false)),
        _ => None,
    };
    match (inner, data_type) {
        (Some((item, varies)), _) => {
            lists.push(varies);
            arrow_walk(item.data_type(), lists, leaves, depth + 1);
            lists.pop();
        }
        (None, DataType::Dictionary(_, value)) => {
            leaves.push((value.as_ref().clone(), lists.clone()))
        }
        (None, leaf) => leaves.push((leaf.clone(), lists.clone())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{
        Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
        Int8Array, Int64Array, LargeStringArray, RecordBatch, StringArray, StructArray,
        TimestampMillisecondArray,
    };
    use arrow_buffer::NullBuffer;
    use arrow_schema::Field;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::ParquetMetaDataReader;

    use super::*;
    use crate::partition::batch_bytes;

    fn numbers(rows: i64) -> impl Iterator<Item = Option<i64>> {
        (0..rows).map(|row| (row % 9 != 0).then_some(row))
    }

    /// Lists of lists of structs, with nulls and empties at every level.
    fn nested(rows: i64) -> ArrayRef {
        let mut lists = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
        for row in 0..rows {
            if row % 5 == 0 {
                lists.append_null();
                continue;
            }
            for inner in 0..row % 4 {
                if (row + inner) % 6 == 0 {
                    lists.values().append_null();
                    continue;
                }
                for item in 0..(row + inner) % 3 {
                    lists
                        .values()
                        .values()
                        .append_option((item != 1).then_some(row));
                }
                lists.values().append(true);
            }
            lists.append(true);
        }
        Arc::new(lists.finish())
    }

    fn list_of_structs(rows: i64) -> ArrayRef {
        let mut lengths = Vec::new();
        let mut valid = Vec::new();
        for row in 0..rows {
            valid.push(row % 4 != 1);
            lengths.push(if row % 4 == 1 { 0 } else { (row % 3) as usize });
        }
        let items: i64 = lengths.iter().sum::<usize>() as i64;
        let text = StringArray::from_iter(
            (0..items).map(|item| (item % 3 != 0).then(|| format!("v{item}"))),
        );
        let number = Int64Array::from_iter(numbers(items));
        let members = StructArray::try_new(
            vec![
                Arc::new(Field::new("text", DataType::Utf8, true)),
                Arc::new(Field::new("number", DataType::Int64, true)),
            ]
            .into(),
            vec![Arc::new(text), Arc::new(number)],
            Some((0..items).map(|item| item % 7 != 0).collect::<NullBuffer>()),
        )
        .unwrap();
        let field = Arc::new(Field::new("item", members.data_type().clone(), true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths(lengths);
        let nulls = Some(NullBuffer::from(valid));
        Arc::new(arrow_array::ListArray::new(
            field,
            offsets,
            Arc::new(members),
            nulls,
        ))
    }

    fn batch(rows: i64) -> RecordBatch {
        let text = |row: i64| (row % 7 != 0).then(|| format!("text {row} é"));
        let city: ArrayRef = Arc::new(StringArray::from_iter((0..rows).map(text)));
        let geo = StructArray::try_new(
            vec![Arc::new(Field::new("city", DataType::Utf8, true))].into(),
            vec![city.clone()],
            Some((0..rows).map(|row| row % 11 != 0).collect::<NullBuffer>()),
        )
        .unwrap();
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for row in 0..rows {
            for key in 0..row % 3 {
                map.keys().append_value(format!("k{key}"));
                map.values().append_option((row % 2 == 0).then_some(row));
            }
            map.append(row % 5 != 2).unwrap();
        }
        let hosts: DictionaryArray<Int32Type> = (0..rows)
            .map(|row| (row % 13 != 0).then_some(["alpha", "b"][row as usize % 2]))
            .collect();
        RecordBatch::try_from_iter([
            (
                "id",
                Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef,
            ),
            (
                "small",
                Arc::new(Int8Array::from_iter(
                    (0..rows).map(|row| Some((row % 100) as i8)),
                )),
            ),
            (
                "ok",
                Arc::new(BooleanArray::from_iter(
                    (0..rows).map(|row| (row % 3 != 0).then_some(true)),
                )),
            ),
            (
                "f",
                Arc::new(Float64Array::from_iter(
                    numbers(rows).map(|n| n.map(|n| n as f64)),
                )),
            ),
            (
                "ts",
                Arc::new(TimestampMillisecondArray::from_iter_values(0..rows)),
            ),
            (
                "day",
                Arc::new(Date32Array::from_iter_values(0..rows as i32)),
            ),
            (
                "price",
                Arc::new(Decimal128Array::from_iter(
                    numbers(rows).map(|n| n.map(i128::from)),
                )),
            ),
            (
                "long",
                Arc::new(LargeStringArray::from_iter((0..rows).map(text))),
            ),
            ("host", Arc::new(hosts)),
            ("nothing", Arc::new(StringArray::new_null(rows as usize))),
            ("city", city),
            ("geo", Arc::new(geo)),
            ("map", Arc::new(map.finish())),
            ("nested", nested(rows)),
            ("structs", list_of_structs(rows)),
        ])
        .unwrap()
    }

    fn written(batch: &RecordBatch, cut: usize) -> ParquetMetaData {
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch.slice(0, cut)).unwrap();
        writer.flush().unwrap();
        writer
            .write(&batch.slice(cut, batch.num_rows() - cut))
            .unwrap();
        writer.close().unwrap();
        ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .unwrap()
    }

    #[test]
    fn a_footer_tells_what_counting_the_rows_would() {
        let whole = batch(3001);
        for column in 0..whole.num_columns() {
            let batch = whole.project(&[column]).unwrap();
            let size = footer_size(&written(&batch, 700));
            let name = batch.schema().field(0).name().clone();
            assert_eq!(
                (size.rows, size.bytes),
                (3001, batch_bytes(&batch)),
                "{name}"
            );
            assert!(!size.estimated, "{name}");
        }
        let all = footer_size(&written(&whole, 1));
        assert_eq!(all.bytes, batch_bytes(&whole));
    }

    #[test]
    fn footers_of_other_writers_tell_what_reading_would() {
        let Some(folder) = std::env::var_os("WINDROW_REAL_DATA") else {
            eprintln!("skipped: WINDROW_REAL_DATA is not set");
            return;
        };
        let folder = std::path::Path::new(&folder).join("parquet_testing/data");
        let mut exact = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let damaged = path.to_string_lossy().contains("corrupt");
            if path
                .extension()
                .is_none_or(|extension| extension != "parquet")
                || damaged
            {
                continue;
            }
            let file = crate::io::SourceFile::at(path.to_str().unwrap(), 0).unwrap();
            let input = crate::io::ParquetInput::open(&file).unwrap();
            let size = footer_size(input.metadata());
            let (mut rows, mut bytes) = (0, 0);
            for idx in 0..input.row_groups().len() {
                for batch in input.read_row_group(idx, None, 1000).unwrap() {
                    let batch = batch.unwrap();
                    rows += batch.num_rows() as u64;
                    bytes += batch_bytes(&batch);
                }
            }
            assert_eq!(size.rows, rows, "{}", path.display());
            if !size.estimated {
                exact += 1;
                assert_eq!(size.bytes, bytes, "{}", path.display());
            }
        }
        assert!(exact >= 4, "only {exact} footers told sizes exactly");
    }
}
