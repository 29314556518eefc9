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
//!
//! Rows that mostly follow each other, as those do of which few were left out,
//! are copied a stretch at a time, texts and all:
//!
//! ```text
//! rows    0 1 2 3 │ 5 6 7 8 9 │ 11 …
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
const TEXT: usize = 16;

/// The same of texts of rows that follow each other.
const TEXTS: usize = 64;

/// The same of numbers of such rows.
const NUMBERS: usize = 8;

/// Steps beyond which a call to copy pays.
const MANY_STEPS: usize = 8;

/// Rows of a stretch from which on, in the mean, stretches are copied, and not rows.
const STRETCH: usize = 4;

/// Bytes of texts that are not all in a near cache.
const FAR: usize = 1 << 18;

/// Rows from one that is copied to the one whose text is fetched meanwhile.
const AHEAD: usize = 16;

/// Numbers of rows, and how long a column has to be to have them all.
#[derive(Debug)]
pub(crate) struct RowNumbers {
    /// Null where there is no row; its number is 0 then.
    rows: UInt32Array,
    /// One more than the largest.
    end: usize,
    /// Where in `rows` each stretch of rows that follow each other begins, and how
    /// many rows there are; empty where most are short.
    stretches: Vec<u32>,
}

impl From<Vec<u32>> for RowNumbers {
    fn from(rows: Vec<u32>) -> Self {
        RowNumbers::new(rows, None)
    }
}

impl RowNumbers {
    fn new(rows: Vec<u32>, nulls: Option<NullBuffer>) -> Self {
        let end = rows.iter().max().map_or(0, |last| *last as usize + 1);
        let stretches = match &nulls {
            None => stretches_of(&rows),
            Some(_) => Vec::new(),
        };
        RowNumbers {
            rows: UInt32Array::new(rows.into(), nulls),
            end,
            stretches,
        }
    }

    /// Of each stretch of rows that follow each other, where it goes, its first
    /// row, and how many there are.
    fn stretches(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let rows = self.rows.values();
        self.stretches.windows(2).map(|ends| {
            let (at, end) = (ends[0] as usize, ends[1] as usize);
            (at, rows[at] as usize, end - at)
        })
    }

    /// Whether these are all of `n` rows, in their order.
    fn are_all(&self, n: usize) -> bool {
        self.stretches.len() == 2 && self.rows.len() == n && self.rows.value(0) == 0
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

/// Where each stretch of rows that follow each other begins, and how many rows
/// there are; nothing where most stretches are short.
fn stretches_of(rows: &[u32]) -> Vec<u32> {
    let [_, following @ ..] = rows else {
        return Vec::new();
    };
    let pairs = || rows.iter().zip(following);
    let breaks = |(row, next): (&u32, &u32)| u32::from(next.wrapping_sub(*row) != 1);
    let n_stretches = 1 + pairs().map(breaks).sum::<u32>() as usize;
    if rows.len() < STRETCH * n_stretches {
        return Vec::new();
    }
    let mut starts = vec![0; n_stretches + 1];
    let mut n_starts = 1;
    // Written and then kept or not: where rows break off can hardly be foreseen.
    for (at, pair) in (1..).zip(pairs()) {
        starts[n_starts] = at;
        n_starts += breaks(pair) as usize;
    }
    starts[n_stretches] = rows.len() as u32;
    starts
}

/// Some rows of a column; the column itself where these are all.
///
/// # Errors
///
/// If the texts of these rows take more than 2 GiB.
pub(crate) fn take_rows(column: &ArrayRef, rows: &RowNumbers) -> Result<ArrayRef, ArrowError> {
    if rows.are_all(column.len()) {
        return Ok(Arc::clone(column));
    }
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
    let taken = if rows.stretches.is_empty() {
        // SAFETY: all rows are below their end, which was just seen to be that of the column.
        let value = |row: &u32| unsafe { *values.get_unchecked(*row as usize) };
        rows.rows.values().iter().map(value).collect()
    } else {
        let mut taken: Vec<T::Native> = Vec::with_capacity(rows.len() + NUMBERS);
        for (at, from, n) in rows.stretches() {
            // SAFETY: rows of a stretch follow each other and are below their end, which was
            // just seen to be that of the column. There is room for all of them and a step.
            unsafe { copy::<_, NUMBERS>((values, from, n), taken.as_mut_ptr().add(at), |_| {}) };
        }
        // SAFETY: stretches are all rows, one behind the other.
        unsafe { taken.set_len(rows.len()) };
        taken
    };
    PrimitiveArray::new(taken.into(), rows.nulls().cloned())
        .with_data_type(column.data_type().clone())
}

/// Copies `n` values from `from` on, as `each` changes them: `STEP` at once where so
/// many lie behind them, of which what is too much is to be written over.
///
/// # Safety
///
/// There are as many values. At `to` is room for them and for `STEP` more.
#[inline]
unsafe fn copy<T: Copy, const STEP: usize>(
    (values, from, n): (&[T], usize, usize),
    to: *mut T,
    each: impl Fn(&mut [T]),
) {
    debug_assert!(from + n <= values.len());
    // SAFETY: as above; what is copied in steps ends a step or more before the values do.
    unsafe {
        let first = values.as_ptr().add(from);
        if n <= MANY_STEPS * STEP && from + n + STEP <= values.len() {
            let mut done = 0;
            while done < n {
                let mut step = first.add(done).cast::<[T; STEP]>().read();
                each(&mut step);
                to.add(done).cast::<[T; STEP]>().write(step);
                done += STEP;
            }
        } else {
            std::ptr::copy_nonoverlapping(first, to, n);
            each(std::slice::from_raw_parts_mut(to, n));
        }
    }
}

/// Has the memory of a text brought near, where that can be asked for.
#[inline]
fn fetch(bytes: &[u8], from: i32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let at = bytes.as_ptr().wrapping_add(from as usize);
        // SAFETY: nothing is read; an address of nothing does no harm.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, from);
}

/// Some rows of texts that has all of them, none of which is null.
fn take_texts(texts: &StringArray, rows: &RowNumbers) -> Result<StringArray, ArrowError> {
    assert!(rows.end <= texts.len(), "rows that the column has");
    let (ends, values) = match rows.stretches.is_empty() {
        true => texts_of_rows(texts, rows)?,
        false => texts_of_stretches(texts, rows)?,
    };
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

/// Where each text ends, and all of them, row by row.
fn texts_of_rows(
    texts: &StringArray,
    rows: &RowNumbers,
) -> Result<(Vec<i32>, Vec<u8>), ArrowError> {
    let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
    let ends = taken_ends(offsets, rows)?;
    let end = ends.last().map_or(0, |end| *end as usize);
    let mut values: Vec<u8> = Vec::with_capacity(end + TEXT);
    let to = values.as_mut_ptr();
    let numbers = rows.rows.values();
    let is_far = bytes.len() > FAR;
    for (idx, (row, ends)) in numbers.iter().zip(ends.windows(2)).enumerate() {
        if let (true, Some(row)) = (is_far, numbers.get(idx + AHEAD)) {
            fetch(bytes, offsets[*row as usize]);
        }
        let (at, len) = (ends[0] as usize, (ends[1] - ends[0]) as usize);
        // SAFETY: the row is below the end of all rows, and the column has as many. So its
        // text stands in `bytes` from `from` on, `len` bytes, or none where there is no
        // row. There is room for all texts and a step.
        unsafe {
            let from = *offsets.get_unchecked(*row as usize) as usize;
            copy::<_, TEXT>((bytes, from, len), to.add(at), |_| {});
        }
    }
    // SAFETY: as many bytes have been written, one text behind the other.
    unsafe { values.set_len(end) };
    Ok((ends, values))
}

/// The same, a stretch of rows at a time.
fn texts_of_stretches(
    texts: &StringArray,
    rows: &RowNumbers,
) -> Result<(Vec<i32>, Vec<u8>), ArrowError> {
    let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
    let lens = rows
        .stretches()
        .map(|(_, from, n)| (offsets[from + n] - offsets[from]) as usize);
    let end = lens.sum();
    if i32::try_from(end).is_err() {
        return Err(ArrowError::OffsetOverflowError(end));
    }
    let mut ends: Vec<i32> = Vec::with_capacity(rows.len() + 1 + NUMBERS);
    let mut values: Vec<u8> = Vec::with_capacity(end + TEXTS);
    ends.push(0);
    let mut done = 0;
    for (at, from, n) in rows.stretches() {
        let (first, len) = (offsets[from], (offsets[from + n] - offsets[from]) as usize);
        let shift = (done as i32).wrapping_sub(first);
        // SAFETY: there is an offset behind that of each row, and all bytes between two of them
        // are there. There is room for what all stretches have, and a step.
        unsafe {
            let to = ends.as_mut_ptr().add(1 + at);
            copy::<_, NUMBERS>((offsets, from + 1, n), to, |ends| {
                ends.iter_mut()
                    .for_each(|end| *end = end.wrapping_add(shift));
            });
            let to = values.as_mut_ptr().add(done);
            copy::<_, TEXTS>((bytes, first as usize, len), to, |_| {});
        }
        done += len;
    }
    // SAFETY: one behind the other, all ends and all bytes have been written.
    unsafe {
        ends.set_len(rows.len() + 1);
        values.set_len(end);
    }
    Ok((ends, values))
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

    #[test]
    fn rows_that_follow_each_other_are_those_of_the_arrow_kernel() {
        let text = |n: usize| "é234567890".repeat(if n % 97 == 5 { 40 } else { n % 3 });
        let n_rows = 700;
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..n_rows).map(text)));
        let money = Decimal128Array::from_iter_values((0..n_rows).map(|n| n as i128));
        let columns: [ArrayRef; 5] = [
            texts.slice(30, 600),
            texts,
            Arc::new(Int64Array::from_iter_values(0..n_rows as i64)),
            Arc::new(Int64Array::from_iter(
                (0..600).map(|n| (n % 7 > 0).then_some(n)),
            )),
            Arc::new(money.with_precision_and_scale(9, 2).unwrap()),
        ];
        let without = |every: u32| (0..600).filter(move |n| n % every > 0);
        let chosen: [Vec<u32>; 7] = [
            without(11).collect(),
            without(5).collect(),
            without(200).collect(),
            (0..600).collect(),
            (5..9).chain(0..4).chain(590..600).chain(590..600).collect(),
            (0..700).collect(),
            without(3).collect(),
        ];
        for column in &columns {
            let fitting = chosen
                .iter()
                .filter(|rows| rows.iter().all(|row| (*row as usize) < column.len()));
            for rows in fitting {
                let rows = RowNumbers::from(rows.clone());
                let taken = take_rows(column, &rows).unwrap();
                taken.to_data().validate_full().unwrap();
                assert_eq!(&taken, &take(column, &rows.rows, None).unwrap());
            }
        }
        let stretched = |rows: &Vec<u32>| !RowNumbers::from(rows.clone()).stretches.is_empty();
        assert_eq!(chosen.iter().filter(|rows| stretched(rows)).count(), 6);
        let all = RowNumbers::from(chosen[5].clone());
        assert!(Arc::ptr_eq(
            &columns[2],
            &take_rows(&columns[2], &all).unwrap()
        ));
    }
}
