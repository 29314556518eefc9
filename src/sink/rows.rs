//! Rows of a row group, seen the same way however they were cut into batches.
//!
//! In:  the batches of one row group, as they came.
//! Out: windows of a fixed number of rows, and sizes in bytes.
//!
//! Blocksize and threads decide where batches end; nothing written may depend
//! on it. So encoders are handed windows, counted from the first row:
//!
//! ```text
//! batches  [------)[--)[----------)[---)
//! windows  [--------)[--------)[-------)
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;
use arrow_select::concat::concat;

use crate::error::Result;

/// One column of a row group.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    arrays: Vec<ArrayRef>,
    len: usize,
}

impl Rows {
    pub(crate) fn new(arrays: Vec<ArrayRef>) -> Self {
        let len = arrays.iter().map(|array| array.len()).sum();
        Rows { arrays, len }
    }

    /// Column `idx` of every batch.
    pub(crate) fn of_column(batches: &[RecordBatch], idx: usize) -> Self {
        Rows::new(
            batches
                .iter()
                .map(|batch| Arc::clone(batch.column(idx)))
                .collect(),
        )
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn arrays(&self) -> &[ArrayRef] {
        &self.arrays
    }

    /// Rows `start..start + len`, without a copy where one array holds them all.
    pub(crate) fn window(&self, start: usize, len: usize) -> Result<ArrayRef> {
        let mut pieces = self.pieces(start, len);
        if pieces.len() == 1 {
            return Ok(pieces.swap_remove(0));
        }
        let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| piece.as_ref()).collect();
        Ok(concat(&pieces)?)
    }

    /// Every window of `rows` rows, the last one shorter.
    pub(crate) fn windows(&self, rows: usize) -> impl Iterator<Item = Result<ArrayRef>> + '_ {
        (0..self.len)
            .step_by(rows)
            .map(move |start| self.window(start, rows.min(self.len - start)))
    }

    /// The slices that hold rows `start..start + len`.
    fn pieces(&self, start: usize, len: usize) -> Vec<ArrayRef> {
        let (mut skip, mut want) = (start, len);
        let mut pieces = Vec::new();
        for array in &self.arrays {
            if skip >= array.len() {
                skip -= array.len();
                continue;
            }
            let take = want.min(array.len() - skip);
            pieces.push(array.slice(skip, take));
            (skip, want) = (0, want - take);
            if want == 0 {
                break;
            }
        }
        pieces
    }
}

/// Rows `start..start + len` of batches as one batch, copied so that it holds
/// nothing but those rows: no offset, no bits of its neighbours.
pub(crate) fn compact(batches: &[RecordBatch], start: usize, len: usize) -> Result<RecordBatch> {
    let schema = batches[0].schema();
    let columns = (0..schema.fields().len())
        .map(|idx| {
            let pieces = Rows::of_column(batches, idx).pieces(start, len);
            // One piece alone would come back from `concat` as the slice it is.
            let empty = pieces[0].slice(0, 0);
            let mut pieces: Vec<&dyn Array> = pieces.iter().map(|piece| piece.as_ref()).collect();
            pieces.push(empty.as_ref());
            Ok(concat(&pieces)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(len));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}

/// Size of a batch's rows in bytes as Arrow would hold them compactly.
///
/// Counts the rows and not the buffers, so that slices, shared buffers, spare
/// capacity and the cuts between batches do not show: in bits, a value's width,
/// one bit of validity where the type is nested or may be null, and an offset
/// per variable-length value.
pub(crate) fn arrow_bits(batch: &RecordBatch) -> u64 {
    batch
        .columns()
        .iter()
        .map(|column| bits(column.as_ref()))
        .sum()
}

fn bits(array: &dyn Array) -> u64 {
    // Types nest at most as deep as `schema::stored_schema` lets pass.
    let len = array.len() as u64;
    len + match array.data_type() {
        DataType::Null => return 0,
        DataType::Boolean => len,
        DataType::Utf8 => text_bits(array.as_string::<i32>().value_offsets(), len),
        DataType::LargeUtf8 => text_bits(array.as_string::<i64>().value_offsets(), len),
        DataType::Binary => text_bits(array.as_binary::<i32>().value_offsets(), len),
        DataType::LargeBinary => text_bits(array.as_binary::<i64>().value_offsets(), len),
        DataType::Utf8View => {
            let views = array.as_string_view();
            let bytes: u64 = views.lengths().map(u64::from).sum();
            (bytes + 4 * len) * 8
        }
        DataType::BinaryView => {
            let views = array.as_binary_view();
            let bytes: u64 = views.lengths().map(u64::from).sum();
            (bytes + 4 * len) * 8
        }
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .map(|column| bits(column.as_ref()))
            .sum(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (start, items) = span(list.value_offsets());
            32 * len + bits(list.values().slice(start, items).as_ref())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (start, items) = span(list.value_offsets());
            64 * len + bits(list.values().slice(start, items).as_ref())
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (start, items) = span(map.value_offsets());
            32 * len + bits(&map.entries().slice(start, items))
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let start = list.value_offset(0).max(0).as_usize();
            bits(list.values().slice(start, list.len() * size).as_ref())
        }
        DataType::FixedSizeBinary(width) => 8 * len * u64::try_from(*width).unwrap_or(0),
        DataType::Dictionary(_, _) => dictionary_bits(array),
        flat => 8 * len * flat.primitive_width().unwrap_or(8) as u64,
    }
}

fn text_bits<O: arrow_array::OffsetSizeTrait>(offsets: &[O], len: u64) -> u64 {
    let (_, bytes) = span(offsets);
    8 * (bytes as u64 + len * size_of::<O>() as u64)
}

/// Where the values of an array's offsets start, and how many there are.
fn span<O: arrow_array::OffsetSizeTrait>(offsets: &[O]) -> (usize, usize) {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => (first.as_usize(), last.as_usize() - first.as_usize()),
        _ => (0, 0),
    }
}

/// Dictionary columns count as the values they stand for: which values share a
/// dictionary depends on where batches were cut.
fn dictionary_bits(array: &dyn Array) -> u64 {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    let sizes: Vec<u64> = (0..values.len())
        .map(|idx| bits(values.slice(idx, 1).as_ref()))
        .collect();
    if sizes.is_empty() {
        return 0;
    }
    let keys = dictionary.normalized_keys();
    (0..array.len())
        .filter(|&row| array.is_valid(row))
        .map(|row| sizes[keys[row]] - 1) // the row's validity is counted once
        .sum()
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{BooleanArray, Int64Array, ListArray, StringArray, StructArray};

    use super::*;

    fn columns() -> Vec<ArrayRef> {
        let ids: Int64Array = (0..100).map(|n| (n % 7 != 0).then_some(n)).collect();
        let names: StringArray = (0..100).map(|n| Some("hay".repeat(n % 5))).collect();
        let flags: BooleanArray = (0..100).map(|n| Some(n % 3 == 0)).collect();
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(
            (0..100).map(|n| Some((0..n % 4).map(Some))),
        );
        let nested = StructArray::try_from(vec![
            ("names", Arc::new(names.clone()) as ArrayRef),
            ("lists", Arc::new(lists.clone()) as ArrayRef),
        ])
        .unwrap();
        vec![
            Arc::new(ids),
            Arc::new(names),
            Arc::new(flags),
            Arc::new(lists),
            Arc::new(nested),
        ]
    }

    #[test]
    fn windows_and_sizes_do_not_depend_on_the_cuts() {
        for column in columns() {
            let whole = Rows::new(vec![Arc::clone(&column)]);
            let expected: Vec<ArrayRef> = whole.windows(16).map(Result::unwrap).collect();
            for cut in 1..100 {
                let mut pieces = Vec::new();
                let mut start = 0;
                while start < 100 {
                    let len = cut.min(100 - start);
                    pieces.push(column.slice(start, len));
                    start += len;
                }
                let size: u64 = pieces.iter().map(|piece| bits(piece.as_ref())).sum();
                assert_eq!(
                    size,
                    bits(column.as_ref()),
                    "{} cut {cut}",
                    column.data_type()
                );
                let rows = Rows::new(pieces);
                let windows: Vec<ArrayRef> = rows.windows(16).map(Result::unwrap).collect();
                assert_eq!(windows, expected, "{} cut {cut}", column.data_type());
            }
        }
    }

    #[test]
    fn a_size_is_what_arrow_holds_without_spare_room() {
        let ids = Int64Array::from(vec![1; 800]);
        assert_eq!(bits(&ids) / 8, 800 * 8 + 100);
        let names = StringArray::from(vec!["four"; 80]);
        assert_eq!(bits(&names) / 8, 80 * 4 + 80 * 4 + 10);
    }
}
