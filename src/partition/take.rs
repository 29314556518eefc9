//! Rows of a column by their numbers.
//!
//! In:  a column, and numbers of rows; null where there is no row.
//! Out: those rows, in that order; null where there is none.
//!
//! As arrow's kernel, but for numbers and texts without nulls. That the rows are
//! there is seen once, and not at each. Most texts are short, and a call to copy
//! each costs more than its bytes:
//!
//! ```text
//! texts   a long one … │ short │ …        16 bytes at once, of which what is
//! taken   short │ a long …                too much is written over by the next
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, StringArray, UInt32Array,
    downcast_primitive_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use arrow_select::take::take;

/// Bytes of a text that are copied at once, without asking how many there are.
const STEP: usize = 16;

/// Bytes of a text beyond which a call to copy it pays.
const LONG: usize = 128;

/// Numbers of rows, and how long a column has to be to have them all.
#[derive(Debug)]
pub(crate) struct RowNumbers {
    /// Null where there is no row; its number is 0 then.
    rows: UInt32Array,
    /// One more than the largest.
    end: usize,
}

impl From<Vec<u32>> for RowNumbers {
    fn from(rows: Vec<u32>) -> Self {
        RowNumbers::new(rows, None)
    }
}

impl RowNumbers {
    fn new(rows: Vec<u32>, nulls: Option<NullBuffer>) -> Self {
        let end = rows.iter().max().map_or(0, |last| *last as usize + 1);
        RowNumbers {
            rows: UInt32Array::new(rows.into(), nulls),
            end,
        }
    }

    /// These rows, and no row wherever one has the number `none`.
    pub fn or_none(mut rows: Vec<u32>, none: u32) -> Self {
        let present = BooleanBuffer::collect_bool(rows.len(), |idx| rows[idx] != none);
        let nulls = NullBuffer::new(present);
        if nulls.null_count() == 0 {
            return RowNumbers::new(rows, None);
        }
        for row in &mut rows {
            *row = if *row == none { 0 } else { *row };
        }
        RowNumbers::new(rows, Some(nulls))
    }

    /// How many rows come out.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Where no row is; none where all are.
    fn nulls(&self) -> Option<&NullBuffer> {
        self.rows.nulls()
    }
}

/// Some rows of a column.
///
/// # Errors
///
/// If the texts of these rows take more than 2 GiB.
pub(crate) fn take_rows(column: &ArrayRef, rows: &RowNumbers) -> Result<ArrayRef, ArrowError> {
    if column.null_count() == 0 && rows.end <= column.len() {
        let column = column.as_ref();
        downcast_primitive_array! {
            column => return Ok(Arc::new(take_numbers(column, rows))),
            DataType::Utf8 => return Ok(Arc::new(take_texts(column.as_string(), rows)?)),
            _ => {}
        }
    }
    take(column, &rows.rows, None)
}

/// Some rows of numbers that has all of them, none of which is null.
fn take_numbers<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    rows: &RowNumbers,
) -> PrimitiveArray<T> {
    let values: &[T::Native] = column.values();
    assert!(rows.end <= values.len(), "rows that the column has");
    // SAFETY: all rows are below their end, which was just seen to be that of the column.
    let value = |row: &u32| unsafe { *values.get_unchecked(*row as usize) };
    let taken: Vec<T::Native> = rows.rows.values().iter().map(value).collect();
    PrimitiveArray::new(taken.into(), rows.nulls().cloned())
        .with_data_type(column.data_type().clone())
}

/// Some rows of texts that has all of them, none of which is null.
fn take_texts(texts: &StringArray, rows: &RowNumbers) -> Result<StringArray, ArrowError> {
    assert!(rows.end <= texts.len(), "rows that the column has");
    let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
    let ends = taken_ends(offsets, rows)?;
    let end = ends.last().map_or(0, |end| *end as usize);
    let mut values: Vec<u8> = Vec::with_capacity(end + STEP);
    let to = values.as_mut_ptr();
    for (row, ends) in rows.rows.values().iter().zip(ends.windows(2)) {
        let (at, len) = (ends[0] as usize, (ends[1] - ends[0]) as usize);
        // SAFETY: the row is below the end of all rows, and the column has as many. So its
        // text stands in `bytes` from `from` on, `len` bytes, or none where there is no
        // row. There is room for all texts and a step. A text that is copied in steps ends
        // a step or more before `bytes` does.
        unsafe {
            let from = *offsets.get_unchecked(*row as usize) as usize;
            let is_short = len <= LONG && from + len + STEP <= bytes.len();
            let (from, to) = (bytes.as_ptr().add(from), to.add(at));
            if is_short {
                let mut done = 0;
                while done < len {
                    let step = from.add(done).cast::<[u8; STEP]>().read_unaligned();
                    to.add(done).cast::<[u8; STEP]>().write_unaligned(step);
                    done += STEP;
                }
            } else {
                std::ptr::copy_nonoverlapping(from, to, len);
            }
        }
    }
    // SAFETY: as many bytes have been written, one text behind the other.
    unsafe { values.set_len(end) };
    // SAFETY: offsets begin with 0 and do not descend. Every value is a whole one of `texts`,
    // which are UTF-8, and each offset is where one ends. To check this again would be two
    // more passes (benches/join.rs, q3, is mostly such copies).
    unsafe {
        let offsets = OffsetBuffer::new_unchecked(ScalarBuffer::from(ends));
        let values = Buffer::from_vec(values);
        Ok(StringArray::new_unchecked(
            offsets,
            values,
            rows.nulls().cloned(),
        ))
    }
}

/// Where the text of each row ends once it is taken; the first one begins at 0.
fn taken_ends(offsets: &[i32], rows: &RowNumbers) -> Result<Vec<i32>, ArrowError> {
    assert!(rows.end < offsets.len(), "rows that the column has");
    // SAFETY: all rows are below their end, and there are more offsets than that.
    let len = |row: &u32| unsafe {
        let row = *row as usize;
        i64::from(*offsets.get_unchecked(row + 1) - *offsets.get_unchecked(row))
    };
    let mut end = 0;
    let mut add = |len: i64| {
        end += len;
        end as i32
    };
    let mut ends = Vec::with_capacity(rows.len() + 1);
    ends.push(0);
    let (rows, nulls) = (rows.rows.values().iter(), rows.nulls());
    match nulls {
        None => ends.extend(rows.map(|row| add(len(row)))),
        Some(nulls) => {
            let rows = rows.zip(nulls);
            ends.extend(rows.map(|(row, valid)| add(if valid { len(row) } else { 0 })));
        }
    }
    match i32::try_from(end) {
        Ok(_) => Ok(ends),
        Err(_) => Err(ArrowError::OffsetOverflowError(end as usize)),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{BooleanArray, Decimal128Array, Int64Array};

    use super::*;

    const NONE: u32 = u32::MAX;

    #[test]
    fn rows_are_those_of_the_arrow_kernel() {
        let text = |n: usize| {
            let long = "é23456789".repeat(if n % 9 == 7 { 3 * n } else { n % 4 });
            long.chars().skip(n % 3).collect::<String>()
        };
        let texts: Vec<String> = (0..40).map(text).collect();
        let with_null = texts
            .iter()
            .enumerate()
            .map(|(n, text)| (n % 5 > 0).then_some(text));
        let with_nulls: ArrayRef = Arc::new(StringArray::from_iter(with_null));
        let plain: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..40));
        let money = Decimal128Array::from_iter_values(0..40);
        let money: ArrayRef = Arc::new(money.with_precision_and_scale(9, 2).unwrap());
        let truth: ArrayRef = Arc::new(BooleanArray::from_iter((0..9).map(|n| Some(n % 2 == 0))));
        let empty: ArrayRef = Arc::new(StringArray::from_iter_values([""; 9]));
        let rows = |step: u32, none: u32| {
            (0..200).map(move |n| if n % none == 2 { NONE } else { n * step % 9 })
        };
        let chosen = [
            RowNumbers::or_none(rows(31, 7).collect(), NONE),
            RowNumbers::or_none(rows(7, 999).skip(3).collect(), NONE),
            RowNumbers::from((0..9).rev().collect::<Vec<u32>>()),
            RowNumbers::or_none(vec![NONE; 70], NONE),
            RowNumbers::from(Vec::new()),
        ];
        let columns = [
            plain.slice(29, 11),
            plain,
            with_nulls,
            numbers,
            money,
            truth,
            empty,
        ];
        for (column, rows) in columns
            .iter()
            .flat_map(|of| chosen.iter().map(move |rows| (of, rows)))
        {
            let taken = take_rows(column, rows).unwrap();
            taken.to_data().validate_full().unwrap();
            assert_eq!(&taken, &take(column, &rows.rows, None).unwrap());
        }
        assert_eq!(
            (chosen[0].rows.null_count(), chosen[1].rows.null_count()),
            (29, 0)
        );
    }
}
