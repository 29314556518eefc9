//! Rows of a column by their numbers.
//!
//! In:  a column, and numbers of rows; null where there is no row.
//! Out: those rows, in that order; null where there is none.
//!
//! As arrow's kernel, but for texts: most are short, and a call to copy each
//! costs more than its bytes.
//!
//! ```text
//! texts   a long one … │ short │ …        16 bytes at once, of which what is
//! taken   short │ a long …                too much is written over by the next
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray, UInt32Array};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_select::take::take;

/// Bytes of a text that are copied without asking how many there are.
const SHORT: usize = 16;

/// Some rows of a column.
///
/// # Errors
///
/// If the texts of these rows take more than 2 GiB.
pub(crate) fn take_rows(column: &ArrayRef, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    match column.as_string_opt::<i32>() {
        Some(texts) if texts.null_count() == 0 => Ok(Arc::new(take_texts(texts, rows)?)),
        _ => take(column, rows, None),
    }
}

/// Some rows of texts, none of which is null.
fn take_texts(texts: &StringArray, rows: &UInt32Array) -> Result<StringArray, ArrowError> {
    let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
    let nulls = rows.nulls().filter(|nulls| nulls.null_count() > 0);
    let len = |row: u32| (offsets[row as usize + 1] - offsets[row as usize]) as usize;
    let mut ends: Vec<i32> = Vec::with_capacity(rows.len() + 1);
    ends.push(0);
    let mut end = 0;
    match nulls {
        None => ends.extend(rows.values().iter().map(|row| {
            end += len(*row);
            end as i32
        })),
        Some(nulls) => ends.extend(rows.values().iter().zip(nulls).map(|(row, valid)| {
            end += if valid { len(*row) } else { 0 };
            end as i32
        })),
    }
    if i32::try_from(end).is_err() {
        return Err(ArrowError::OffsetOverflowError(end));
    }
    let mut values = vec![0; end + SHORT];
    for (row, ends) in rows.values().iter().zip(ends.windows(2)) {
        let (at, len) = (ends[0] as usize, (ends[1] - ends[0]) as usize);
        if len == 0 {
            continue;
        }
        let from = offsets[*row as usize] as usize;
        match bytes.get(from..from + SHORT) {
            Some(short) if len <= SHORT => values[at..at + SHORT].copy_from_slice(short),
            _ => values[at..at + len].copy_from_slice(&bytes[from..from + len]),
        }
    }
    values.truncate(end);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    let nulls: Option<NullBuffer> = nulls.cloned();
    // SAFETY: every value is a whole one of `texts`, which are UTF-8, and each offset
    // is where one ends. To check them again would be one more pass over every byte
    // (benches/join.rs, q3, is mostly such copies).
    Ok(unsafe { StringArray::new_unchecked(offsets, Buffer::from_vec(values), nulls) })
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;

    use super::*;

    #[test]
    fn rows_are_those_of_the_arrow_kernel() {
        let text = |n: usize| {
            "é23456789"
                .repeat(n % 4)
                .chars()
                .skip(n % 3)
                .collect::<String>()
        };
        let texts: Vec<String> = (0..40).map(text).collect();
        let plain: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
        let with_nulls: ArrayRef = Arc::new(StringArray::from_iter(
            texts
                .iter()
                .enumerate()
                .map(|(n, of)| (n % 5 > 0).then_some(of)),
        ));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..40));
        let empty: ArrayRef = Arc::new(StringArray::from_iter_values([""; 9]));
        // Where there is no row, its number may be any.
        let valid = NullBuffer::from_iter((0..200).map(|n| n % 7 != 2));
        let any = (0..200_u32).map(|n| if n % 7 == 2 { u32::MAX } else { n * 31 % 9 });
        let some = UInt32Array::new(any.collect(), Some(valid));
        let all = UInt32Array::from_iter_values((0..200).map(|n| n * 7 % 9));
        let none = UInt32Array::from(Vec::<u32>::new());
        for column in [plain.slice(29, 11), plain, with_nulls, numbers, empty] {
            for rows in [&some, &all, &none, &all.slice(3, 50), &some.slice(3, 50)] {
                let taken = take_rows(&column, rows).unwrap();
                taken.to_data().validate_full().unwrap();
                assert_eq!(&taken, &take(&column, rows, None).unwrap());
            }
        }
    }
}
