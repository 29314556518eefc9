//! Which encoding suits a column of a row group.
//!
//! In:  the values of one leaf column.
//! Out: dictionary or not, and the encoding of what is not in the dictionary.
//!
//! The choice is made from values at fixed positions, so it is the same for
//! the same rows. On logs it makes files a fifth smaller than dictionaries
//! everywhere, and writing faster: a dictionary of nearly unique values is
//! hashed in vain.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::ArrowNativeType;
use arrow_cast::cast;
use arrow_data::ArrayData;
use arrow_schema::DataType;
use parquet::basic::{Encoding, Type};

use crate::sink::rows::Rows;

/// Values looked at to tell how many are distinct.
const SAMPLE: usize = 4096;

/// Runs of neighbours looked at to tell how far apart they are, and their length:
/// that of a delta-encoded block.
const BLOCKS: usize = 32;
const BLOCK: usize = 128;

/// How a leaf column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) dictionary: bool,
    /// Where there is no dictionary.
    pub(super) encoding: Option<Encoding>,
}

const DICTIONARY: Choice = Choice {
    dictionary: true,
    encoding: None,
};

fn plainly(encoding: Encoding) -> Choice {
    Choice {
        dictionary: false,
        encoding: Some(encoding),
    }
}

/// The leaf columns of a column, in the order of the Parquet schema. A list's
/// leaf has its items as rows.
pub(super) fn leaves(rows: &Rows) -> Vec<Rows> {
    let mut columns: Vec<Vec<ArrayRef>> = Vec::new();
    for array in rows.arrays() {
        let mut found = Vec::new();
        // A stack, not recursion; children are pushed last first.
        let mut stack = vec![Arc::clone(array)];
        while let Some(array) = stack.pop() {
            match array.data_type() {
                DataType::Struct(_) => {
                    stack.extend(array.as_struct().columns().iter().rev().cloned());
                }
                DataType::List(_) => {
                    let list = array.as_list::<i32>();
                    stack.push(items(list.values(), list.value_offsets()));
                }
                DataType::LargeList(_) => {
                    let list = array.as_list::<i64>();
                    stack.push(items(list.values(), list.value_offsets()));
                }
                DataType::Map(_, _) => {
                    let map = array.as_map();
                    stack.push(items(map.values(), map.value_offsets()));
                    stack.push(items(map.keys(), map.value_offsets()));
                }
                DataType::FixedSizeList(_, _) => {
                    stack.push(Arc::clone(array.as_fixed_size_list().values()));
                }
                _ => found.push(array),
            }
        }
        columns.resize_with(found.len(), Vec::new);
        for (column, leaf) in columns.iter_mut().zip(found) {
            column.push(leaf);
        }
    }
    columns.into_iter().map(Rows::new).collect()
}

fn items<O: ArrowNativeType>(values: &ArrayRef, offsets: &[O]) -> ArrayRef {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => {
            values.slice(first.as_usize(), last.as_usize() - first.as_usize())
        }
        _ => values.slice(0, 0),
    }
}

/// Chooses for a leaf column of the given physical type.
pub(super) fn choose(leaf: &Rows, physical: Type, dictionary_bytes: usize) -> Choice {
    let Some(facts) = look(leaf) else {
        return DICTIONARY;
    };
    // A dictionary earns its keep while a value comes at least twice.
    let repeats = facts.distinct * 2.0 <= leaf.len() as f64
        && facts.distinct * (facts.mean_bytes + 4.0) <= dictionary_bytes as f64;
    match physical {
        Type::INT32 | Type::INT64 => {
            let delta_bits = delta_bits(leaf);
            let key_bits = facts.distinct.log2().ceil().max(1.0);
            // Keys of few values compress further, packed deltas do not: hence 0.6.
            if !repeats || delta_bits < 0.6 * key_bits {
                plainly(Encoding::DELTA_BINARY_PACKED)
            } else {
                DICTIONARY
            }
        }
        Type::FLOAT | Type::DOUBLE if !repeats => plainly(Encoding::BYTE_STREAM_SPLIT),
        Type::BYTE_ARRAY if !repeats => plainly(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        Type::FIXED_LEN_BYTE_ARRAY if !repeats => plainly(Encoding::PLAIN),
        _ => DICTIONARY,
    }
}

struct Facts {
    /// Distinct values in the whole column, estimated.
    distinct: f64,
    /// Mean length of a value.
    mean_bytes: f64,
}

/// Looks at evenly spaced values; nothing for types without plain bytes or columns of nulls.
fn look(leaf: &Rows) -> Option<Facts> {
    let data: Vec<ArrayData> = leaf.arrays().iter().map(|array| array.to_data()).collect();
    let wanted = leaf.len().min(SAMPLE);
    let mut seen: HashSet<&[u8]> = HashSet::with_capacity(wanted);
    let (mut values, mut bytes) = (0usize, 0usize);
    let (mut chunk, mut chunk_start) = (0, 0);
    for idx in 0..wanted {
        let row = idx * leaf.len() / wanted;
        while row - chunk_start >= leaf.arrays()[chunk].len() {
            chunk_start += leaf.arrays()[chunk].len();
            chunk += 1;
        }
        let array = leaf.arrays()[chunk].as_ref();
        if array.is_null(row - chunk_start) {
            continue;
        }
        let value = value_bytes(array, &data[chunk], row - chunk_start)?;
        values += 1;
        bytes += value.len();
        seen.insert(value);
    }
    if values == 0 {
        return None;
    }
    let share = values as f64 / wanted as f64;
    Some(Facts {
        distinct: distinct(seen.len(), values, leaf.len() as f64 * share),
        mean_bytes: bytes as f64 / values as f64,
    })
}

/// The bytes of one value, as they lie in the array.
fn value_bytes<'a>(array: &'a dyn Array, data: &'a ArrayData, row: usize) -> Option<&'a [u8]> {
    let width = match array.data_type() {
        DataType::Utf8 => return Some(array.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => return Some(array.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => return Some(array.as_string_view().value(row).as_bytes()),
        DataType::Binary => return Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => return Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => return Some(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok()?,
        other => other.primitive_width()?,
    };
    let start = (data.offset() + row) * width;
    data.buffers().first()?.as_slice().get(start..start + width)
}

/// Distinct values among `total`, when a sample of `n` held `seen`: the count
/// from which drawing `n` evenly would show that many.
fn distinct(seen: usize, n: usize, total: f64) -> f64 {
    let (seen, n) = (seen as f64, n as f64);
    if n >= total {
        return seen;
    }
    let expected = |distinct: f64| distinct * (1.0 - (-n / distinct).exp());
    if seen >= expected(total) {
        return total;
    }
    let (mut low, mut high) = (seen, total);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if expected(middle) < seen {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Bits a value takes as a packed difference to the one before it.
fn delta_bits(leaf: &Rows) -> f64 {
    let blocks = (leaf.len() / BLOCK).clamp(1, BLOCKS);
    let (mut bits, mut values) = (0u64, 0u64);
    for block in 0..blocks {
        let start = block * (leaf.len() - leaf.len().min(BLOCK)) / blocks.max(1);
        let Ok(window) = leaf.window(start, BLOCK.min(leaf.len() - start)) else {
            return f64::INFINITY;
        };
        let Some(numbers) = integers(&window) else {
            return f64::INFINITY;
        };
        let deltas: Vec<i64> = numbers
            .windows(2)
            .map(|pair| pair[1].wrapping_sub(pair[0]))
            .collect();
        let Some(least) = deltas.iter().min() else {
            continue;
        };
        for mini in deltas.chunks(32) {
            let widest = mini
                .iter()
                .map(|delta| delta.wrapping_sub(*least).cast_unsigned())
                .max();
            let width = u64::from(64 - widest.unwrap_or(0).leading_zeros());
            bits += width * mini.len() as u64;
            values += mini.len() as u64;
        }
    }
    if values == 0 {
        return 0.0;
    }
    bits as f64 / values as f64
}

/// The values that are not null, as the 64-bit integers they are stored as.
fn integers(array: &ArrayRef) -> Option<Vec<i64>> {
    let numbers = match array.data_type().primitive_width()? {
        8 if !array.data_type().is_floating() => array
            .to_data()
            .into_builder()
            .data_type(DataType::Int64)
            .build()
            .ok()
            .map(arrow_array::make_array)?,
        _ => cast(array, &DataType::Int64).ok()?,
    };
    Some(
        numbers
            .as_primitive::<Int64Type>()
            .iter()
            .flatten()
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float64Array, Int64Array, StringArray};

    use super::*;

    fn chosen(array: impl Array + 'static, physical: Type) -> Choice {
        choose(&Rows::new(vec![Arc::new(array)]), physical, 1 << 20)
    }

    fn mixed(n: i64) -> i64 {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()) >> 20
    }

    #[test]
    fn each_kind_of_column_gets_its_encoding() {
        let delta = plainly(Encoding::DELTA_BINARY_PACKED);
        let rows = 50_000;
        let ids: Int64Array = (0..rows).map(Some).collect();
        assert_eq!(chosen(ids, Type::INT64), delta, "sorted");
        let random: Int64Array = (0..rows).map(|n| Some(mixed(n))).collect();
        assert_eq!(chosen(random, Type::INT64), delta, "unique");
        let status: Int64Array = (0..rows)
            .map(|n| Some(200 + mixed(n).rem_euclid(5)))
            .collect();
        assert_eq!(chosen(status, Type::INT64), DICTIONARY, "few");
        let constant = Int64Array::from(vec![7; 50_000]);
        let choice = chosen(constant, Type::INT64);
        assert!(choice == delta || choice == DICTIONARY);
        let times: Float64Array = (0..rows).map(|n| Some(mixed(n) as f64 / 7.0)).collect();
        assert_eq!(
            chosen(times, Type::DOUBLE),
            plainly(Encoding::BYTE_STREAM_SPLIT)
        );
        let hosts: StringArray = (0..rows).map(|n| Some(format!("web-{}", n % 40))).collect();
        assert_eq!(chosen(hosts, Type::BYTE_ARRAY), DICTIONARY);
        let paths: StringArray = (0..rows)
            .map(|n| Some(format!("/a/{}", mixed(n))))
            .collect();
        assert_eq!(
            chosen(paths, Type::BYTE_ARRAY),
            plainly(Encoding::DELTA_LENGTH_BYTE_ARRAY)
        );
        let nulls = StringArray::from(vec![None::<&str>; 100]);
        assert_eq!(chosen(nulls, Type::BYTE_ARRAY), DICTIONARY);
    }

    #[test]
    fn the_choice_does_not_depend_on_the_cuts() {
        let array: ArrayRef = Arc::new(
            (0..9_000)
                .map(|n| Some(mixed(n) % 3_000))
                .collect::<Int64Array>(),
        );
        let whole = choose(&Rows::new(vec![Arc::clone(&array)]), Type::INT64, 1 << 20);
        for cut in [1, 7, 1000, 8999] {
            let pieces = (0..9_000)
                .step_by(cut)
                .map(|start| array.slice(start, cut.min(9_000 - start)))
                .collect();
            assert_eq!(
                choose(&Rows::new(pieces), Type::INT64, 1 << 20),
                whole,
                "{cut}"
            );
        }
    }

    #[test]
    fn distinct_values_are_estimated_from_a_sample() {
        assert_eq!(distinct(10, 100, 100.0), 10.0);
        assert!((distinct(5, 4096, 1e6) - 5.0).abs() < 0.1);
        let many = distinct(3_500, 4096, 1e6);
        assert!((11_000.0..15_000.0).contains(&many), "{many}");
        assert_eq!(distinct(4096, 4096, 1e6), 1e6);
    }
}
