//! How large rows are.
//!
//! In:  arrays of any type.
//! Out: logical bytes: the width of a fixed value, 4 bytes and its length for
//!      text, 4 bytes and its items for a list, its members for a struct, nothing for a null.
//!
//! `batch_bytes` is always the sum of `row_bytes`, however rows are batched,
//! so cuts by bytes do not depend on how the input was chunked.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::ArrowDictionaryKeyType;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, ListArray, OffsetSizeTrait, RecordBatch,
    downcast_dictionary_array,
};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::DataType;
use serde::Serialize;

/// One partition's size, as `inspect` and reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionSize {
    /// The part file, or a name such as `partition 3` where there is no file.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Logical bytes of Arrow data.
    pub bytes: u64,
    /// Bytes as stored; 0 where nothing is stored.
    pub stored_bytes: u64,
}

/// Logical bytes of a batch: the sum of its [`row_bytes`].
pub fn batch_bytes(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(array_bytes).sum()
}

/// Logical bytes of each row of a batch.
pub fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let mut sizes = vec![0; batch.num_rows()];
    for column in batch.columns() {
        add_row_bytes(column, &mut sizes);
    }
    sizes
}

/// Logical bytes of some rows of a batch, as if no value of a fixed width were
/// null: told without a look at each.
pub(crate) fn most_bytes(batch: &RecordBatch, rows: Range<usize>) -> u64 {
    let n_rows = rows.len() as u64;
    let of = |column: &ArrayRef| match (fixed_width(column.data_type()), column.data_type()) {
        (Some(width), _) => width * n_rows,
        (None, DataType::Utf8) => {
            let offsets = column.as_string::<i32>().value_offsets();
            4 * n_rows + span(&offsets[rows.start..=rows.end])
        }
        (None, _) => array_bytes(&column.slice(rows.start, rows.len())),
    };
    batch.columns().iter().map(of).sum()
}

/// Bytes of one value of a type whose values all have the same size.
fn fixed_width(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Null => Some(0),
        DataType::Boolean => Some(1),
        DataType::FixedSizeBinary(width) => Some(u64::try_from(*width).unwrap_or(0)),
        other => other.primitive_width().map(|width| width as u64),
    }
}

/// Logical bytes of an array.
pub(crate) fn array_bytes(array: &ArrayRef) -> u64 {
    let present = (array.len() - array.logical_null_count()) as u64;
    if let Some(width) = fixed_width(array.data_type()) {
        return present * width;
    }
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            present * 4 + present_span(texts.value_offsets(), texts.nulls())
        }
        DataType::Struct(_) if array.null_count() == 0 => {
            array.as_struct().columns().iter().map(array_bytes).sum()
        }
        DataType::Dictionary(..) if array.null_count() == 0 => {
            let values = array.as_any_dictionary().values();
            let mut sizes = vec![0; values.len()];
            add_row_bytes(values, &mut sizes);
            downcast_dictionary_array!(
                array => of_entries(array, &sizes),
                _ => 0
            )
        }
        DataType::List(_) if nothing_under_nulls(array.as_list::<i32>()) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let first = offsets.first().copied().unwrap_or(0) as usize;
            present * 4 + array_bytes(&list.values().slice(first, span(offsets) as usize))
        }
        _ => {
            let mut sizes = vec![0; array.len()];
            add_row_bytes(array, &mut sizes);
            sizes.iter().sum()
        }
    }
}

/// Bytes of the rows of a dictionary without nulls, by those of its entries.
fn of_entries<K: ArrowDictionaryKeyType>(array: &DictionaryArray<K>, sizes: &[u64]) -> u64 {
    let alike = sizes.windows(2).all(|pair| pair[0] == pair[1]);
    match (alike, sizes.first()) {
        (true, Some(size)) => size * array.len() as u64,
        _ => {
            let entries = array.keys().values().iter();
            let sizes = entries.map(|entry| sizes.get(entry.as_usize()).copied().unwrap_or(0));
            sizes.sum()
        }
    }
}

/// The distance between the first and the last offset.
fn span<O: OffsetSizeTrait>(offsets: &[O]) -> u64 {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => (last.as_usize() - first.as_usize()) as u64,
        _ => 0,
    }
}

/// Whether all items of a list array are in lists that are there.
fn nothing_under_nulls(list: &ListArray) -> bool {
    present_span(list.value_offsets(), list.nulls()) == span(list.value_offsets())
}

/// The same, without what lies under nulls.
fn present_span<O: OffsetSizeTrait>(offsets: &[O], nulls: Option<&NullBuffer>) -> u64 {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return span(offsets);
    };
    let runs = nulls.valid_slices();
    runs.map(|(start, end)| span(&offsets[start..=end])).sum()
}

fn add_row_bytes(array: &ArrayRef, sizes: &mut [u64]) {
    if let Some(width) = fixed_width(array.data_type()) {
        add_each(array, sizes, |_| width);
        return;
    }
    match array.data_type() {
        DataType::Utf8 => add_offsets(array, array.as_string::<i32>().value_offsets(), sizes),
        DataType::LargeUtf8 => add_offsets(array, array.as_string::<i64>().value_offsets(), sizes),
        DataType::Binary => add_offsets(array, array.as_binary::<i32>().value_offsets(), sizes),
        DataType::LargeBinary => {
            add_offsets(array, array.as_binary::<i64>().value_offsets(), sizes)
        }
        DataType::Utf8View => {
            let view = array.as_string_view();
            add_each(array, sizes, |row| 4 + view.value(row).len() as u64);
        }
        DataType::BinaryView => {
            let view = array.as_binary_view();
            add_each(array, sizes, |row| 4 + view.value(row).len() as u64);
        }
        DataType::Struct(_) => add_fields(array, sizes),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            add_items(array, list.value_offsets(), list.values(), sizes);
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            add_items(array, list.value_offsets(), list.values(), sizes);
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            add_items(array, map.value_offsets(), &entries, sizes);
        }
        DataType::FixedSizeList(_, length) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(*length).unwrap_or(0);
            let mut inner = vec![0; list.values().len()];
            add_row_bytes(list.values(), &mut inner);
            add_each(array, sizes, |row| {
                let first = list.value_offset(row) as usize;
                inner[first..first + length].iter().sum()
            });
        }
        DataType::Dictionary(_, _) => add_coded(array, sizes),
        // Types that no reader of this crate makes: their buffers, spread evenly.
        _ => {
            let each = array.get_buffer_memory_size() as u64 / (array.len().max(1) as u64);
            add_each(array, sizes, |_| each);
        }
    }
}

fn add_fields(array: &ArrayRef, sizes: &mut [u64]) {
    let nested = array.as_struct();
    if nested.null_count() == 0 {
        for column in nested.columns() {
            add_row_bytes(column, sizes);
        }
    } else {
        let mut inner = vec![0; array.len()];
        for column in nested.columns() {
            add_row_bytes(column, &mut inner);
        }
        add_each(array, sizes, |row| inner[row]);
    }
}

fn add_coded(array: &ArrayRef, sizes: &mut [u64]) {
    let dictionary = array.as_any_dictionary();
    if dictionary.values().is_empty() {
        return; // every row is null, and normalizing keys needs a value
    }
    let mut values = vec![0; dictionary.values().len()];
    add_row_bytes(dictionary.values(), &mut values);
    let keys = dictionary.normalized_keys();
    add_each(array, sizes, |row| {
        values.get(keys[row]).copied().unwrap_or(0)
    });
}

fn add_each(array: &ArrayRef, sizes: &mut [u64], bytes_of: impl Fn(usize) -> u64) {
    match array.nulls() {
        Some(nulls) if nulls.null_count() > 0 => {
            for row in nulls.valid_indices() {
                sizes[row] += bytes_of(row);
            }
        }
        _ if array.data_type() == &DataType::Null => {}
        _ => {
            for (row, size) in sizes.iter_mut().enumerate() {
                *size += bytes_of(row);
            }
        }
    }
}

fn add_offsets<O: OffsetSizeTrait>(array: &ArrayRef, offsets: &[O], sizes: &mut [u64]) {
    add_each(array, sizes, |row| {
        4 + (offsets[row + 1].as_usize() - offsets[row].as_usize()) as u64
    });
}

fn add_items<O: OffsetSizeTrait>(
    array: &ArrayRef,
    offsets: &[O],
    items: &ArrayRef,
    sizes: &mut [u64],
) {
    let mut inner = vec![0; items.len()];
    add_row_bytes(items, &mut inner);
    add_each(array, sizes, |row| {
        let items = offsets[row].as_usize()..offsets[row + 1].as_usize();
        4 + inner[items].iter().sum::<u64>()
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{BooleanArray, Int64Array, StringArray, StructArray};
    use arrow_schema::{Field, Fields};

    use super::*;

    fn mixed(rows: usize) -> RecordBatch {
        let mut tags = ListBuilder::new(StringBuilder::new());
        for row in 0..rows {
            for tag in 0..row % 4 {
                tags.values().append_value("x".repeat(tag + 1));
            }
            tags.append(row % 5 != 0);
        }
        let inner = StructArray::new(
            Fields::from(vec![Field::new("s", DataType::Utf8, true)]),
            vec![Arc::new(StringArray::from_iter(
                (0..rows).map(|row| (row % 3 != 0).then(|| "ab".repeat(row % 7))),
            ))],
            Some((0..rows).map(|row| row % 6 != 1).collect::<Vec<_>>().into()),
        );
        let texts = StringArray::from_iter_values((0..rows).map(|row| "o".repeat(row % 5)));
        let (offsets, bytes, _) = texts.into_parts();
        let there: Vec<bool> = (0..rows).map(|row| row % 4 != 3).collect();
        let over_texts = StringArray::new(offsets, bytes, Some(there.into()));
        RecordBatch::try_from_iter([
            ("over", Arc::new(over_texts) as ArrayRef),
            (
                "n",
                Arc::new(Int64Array::from_iter(
                    (0..rows as i64).map(|n| (n % 2 == 0).then_some(n)),
                )),
            ),
            (
                "b",
                Arc::new(BooleanArray::from_iter((0..rows).map(|n| Some(n % 2 == 0)))),
            ),
            (
                "t",
                Arc::new(StringArray::from_iter_values(
                    (0..rows).map(|n| "é".repeat(n % 9)),
                )),
            ),
            ("tags", Arc::new(tags.finish())),
            ("inner", Arc::new(inner)),
        ])
        .unwrap()
    }

    #[test]
    fn a_batch_weighs_what_its_rows_weigh_under_every_slicing() {
        let batch = mixed(60);
        let rows = row_bytes(&batch);
        assert_eq!(batch_bytes(&batch), rows.iter().sum::<u64>());
        for start in 0..60 {
            for len in [0, 1, 7, 60 - start] {
                let len = len.min(60 - start);
                let slice = batch.slice(start, len);
                assert_eq!(row_bytes(&slice), rows[start..start + len], "{start}+{len}");
                assert_eq!(
                    batch_bytes(&slice),
                    rows[start..start + len].iter().sum::<u64>()
                );
            }
        }
    }

    #[test]
    fn a_dictionary_weighs_its_values_and_may_have_none() {
        let texts = arrow_array::DictionaryArray::<arrow_array::types::Int32Type>::from_iter([
            Some("ab"),
            None,
            Some("ab"),
        ]);
        let none = arrow_array::new_null_array(texts.data_type(), 2);
        let batch = |column: ArrayRef| RecordBatch::try_from_iter([("d", column)]).unwrap();
        assert_eq!(row_bytes(&batch(Arc::new(texts))), [6, 0, 6]);
        assert_eq!(row_bytes(&batch(none)), [0, 0]);
    }

    #[test]
    fn values_weigh_their_width_and_nulls_nothing() {
        let batch = RecordBatch::try_from_iter([
            (
                "n",
                Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef,
            ),
            ("t", Arc::new(StringArray::from(vec![Some("abc"), None]))),
        ])
        .unwrap();
        assert_eq!(row_bytes(&batch), [8 + 4 + 3, 0]);
    }

    #[test]
    fn texts_in_the_slots_of_nulls_weigh_nothing() {
        let texts = StringArray::from(vec!["ab", "hidden", "", "c", "at the end"]);
        let (offsets, bytes, _) = texts.into_parts();
        let nulls = vec![true, false, true, true, false].into();
        let texts: ArrayRef = Arc::new(StringArray::new(offsets, bytes, Some(nulls)));
        for (from, rows) in [(0, 5), (1, 3), (1, 1), (3, 2), (5, 0)] {
            let batch = RecordBatch::try_from_iter([("t", texts.slice(from, rows))]).unwrap();
            let sizes = [6, 0, 4, 5, 0];
            assert_eq!(row_bytes(&batch), sizes[from..from + rows]);
            assert_eq!(
                batch_bytes(&batch),
                sizes[from..from + rows].iter().sum::<u64>()
            );
        }
    }
}
