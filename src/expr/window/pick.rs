//! Values of single rows: the one so far before, the first, last, smallest or
//! largest in a window.
//!
//! In:  rows in order, with the group of each.
//! Out: for each row the value of one row, of any type.
//!
//! What is kept of a row is its place; values stay in the arrays that they came
//! in, until most of them are of no use any more and the others are moved together.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::interleave::interleave;

use super::fold::{Ran, Running, WindowRows};
use super::marks::Marks;
use super::sums::of;
use crate::error::{Error, Result};
use crate::expr::number::float_order;
use crate::expr::row_error::Failure;
use crate::partition::array_bytes;

/// Which row's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// That of the row so many rows before, null or not.
    Before(usize),
    /// The first that is not null.
    FirstValue,
    /// The last that is not null.
    LastValue,
    /// That of the first row, null or not.
    FirstRow,
    /// That of the last row, null or not.
    LastRow,
    /// The smallest.
    Least,
    /// The largest.
    Greatest,
}

/// Where a value is: which array, and which row of it.
type Place = (usize, usize);

/// A row that may be picked.
#[derive(Debug)]
struct Entry {
    mark: i64,
    place: Place,
    code: Code,
}

/// A value by its order among values of its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    Number(i128),
    Text(Box<[u8]>),
}

const NO_CODE: Code = Code::Number(0);

/// Picks a value for each row.
pub(super) struct Pick {
    which: Which,
    marks: Marks,
    /// Of each group.
    cells: Vec<Cell>,
    /// A null, then the arrays that places are in.
    arrays: Vec<ArrayRef>,
    kept_rows: usize,
    kept_bytes: u64,
    /// Rows that may be picked, of all groups, and what their texts take.
    live: usize,
    code_bytes: usize,
}

/// The rows of a group that may be picked; the one that is, in front.
#[derive(Debug, Default)]
struct Cell {
    rows: VecDeque<Entry>,
    /// What the texts among the codes take.
    text_bytes: usize,
}

impl Cell {
    fn front(&self) -> Option<Place> {
        self.rows.front().map(|entry| entry.place)
    }

    /// Lets rows go that left the window.
    fn evict(&mut self, least: i64) {
        while let Some(entry) = self.rows.front()
            && entry.mark < least
        {
            self.text_bytes -= text_bytes(&entry.code);
            self.rows.pop_front();
        }
    }

    /// The row so far before this one.
    fn shift(&mut self, entry: Entry, far: usize) -> Option<Place> {
        let left = match self.rows.len() == far {
            true => self.rows.pop_front(),
            false => None,
        };
        self.rows.push_back(entry);
        left.map(|entry| entry.place)
    }

    /// The first row. Others are of use only where it may leave.
    fn first(&mut self, entry: Entry, bounded: bool) -> Option<Place> {
        if bounded || self.rows.is_empty() {
            self.rows.push_back(entry);
        }
        self.front()
    }

    /// This row.
    fn only(&mut self, entry: Entry) -> Option<Place> {
        self.rows.clear();
        self.rows.push_back(entry);
        self.front()
    }

    /// The row with the best code, the first of equal ones.
    fn extreme(&mut self, entry: Entry, bounded: bool, better: Ordering) -> Option<Place> {
        while let Some(old) = self.rows.back() {
            // Who is not better now, and leaves earlier, is never picked.
            let order = entry.code.cmp(&old.code);
            if order != better && !(bounded && order.is_eq()) {
                break;
            }
            self.text_bytes -= text_bytes(&old.code);
            self.rows.pop_back();
        }
        if bounded || self.rows.is_empty() {
            self.text_bytes += text_bytes(&entry.code);
            self.rows.push_back(entry);
        }
        self.front()
    }
}

/// Rows that are kept beyond those of use, so that few rows are not moved for each batch.
const SLACK_ROWS: usize = 1024;

/// Arrays that are kept at once: every batch looks at all of them, however small they are.
const MOST_ARRAYS: usize = 512;

/// The null among the arrays.
const NULL: Place = (0, 0);

impl Pick {
    pub fn new(which: Which, marks: Marks, of: &DataType) -> Self {
        Pick {
            which,
            marks,
            cells: Vec::new(),
            arrays: vec![new_null_array(of, 1)],
            kept_rows: 0,
            kept_bytes: 0,
            live: 0,
            code_bytes: 0,
        }
    }

    /// The row that is picked for this one, which stands at `own`; it has a code
    /// where it is a value.
    fn slide(
        &mut self,
        rows: &WindowRows<'_>,
        row: usize,
        own: Place,
        code: Option<Code>,
    ) -> Result<Place, Failure> {
        let mark = self.marks.next(rows, row)?;
        let (which, bounded) = (self.which, self.marks.is_bounded());
        let cell = &mut self.cells[rows.groups[row] as usize];
        let rows_before = cell.rows.len();
        let texts_before = cell.text_bytes;
        cell.evict(mark.least);
        let is_value = code.is_some();
        let entry = Entry {
            mark: mark.own,
            place: own,
            code: code.unwrap_or(NO_CODE),
        };
        let picked = match which {
            Which::Before(0) => Some(own),
            Which::Before(far) => cell.shift(entry, far),
            Which::FirstRow if !rows.beyond => cell.first(entry, bounded),
            Which::FirstValue if is_value => cell.first(entry, bounded),
            Which::LastRow if !rows.beyond => cell.only(entry),
            Which::LastValue if is_value => cell.only(entry),
            Which::Least if is_value => cell.extreme(entry, bounded, Ordering::Less),
            Which::Greatest if is_value => cell.extreme(entry, bounded, Ordering::Greater),
            // The row itself is none that may be picked.
            _ => cell.front(),
        };
        self.live = self.live + cell.rows.len() - rows_before;
        self.code_bytes = self.code_bytes + cell.text_bytes - texts_before;
        Ok(picked.unwrap_or(NULL))
    }

    /// Moves the values of use together, if most are of none.
    fn compact(&mut self) -> Result<()> {
        let few = self.kept_rows < 2 * self.live + SLACK_ROWS;
        if few && self.arrays.len() < MOST_ARRAYS {
            return Ok(());
        }
        let mut places = Vec::with_capacity(self.live);
        for entry in self.cells.iter_mut().flat_map(|cell| &mut cell.rows) {
            places.push(entry.place);
            entry.place = (1, places.len() - 1);
        }
        self.keep_only(values_at(&self.arrays, &places)?);
        Ok(())
    }

    /// Lets all arrays go but the null and this one.
    fn keep_only(&mut self, moved: ArrayRef) {
        self.kept_rows = moved.len();
        self.kept_bytes = array_bytes(&moved);
        self.arrays.truncate(1);
        self.arrays.push(moved);
    }

    /// The codes of values; of those that are only kept, whether they are values.
    fn codes(&self, values: &ArrayRef) -> Result<Vec<Option<Code>>> {
        if matches!(self.which, Which::Least | Which::Greatest) {
            return codes(values);
        }
        let nulls = values.logical_nulls();
        let present = |row| {
            nulls
                .as_ref()
                .is_none_or(|nulls: &NullBuffer| nulls.is_valid(row))
        };
        let codes = (0..values.len()).map(|row| present(row).then_some(NO_CODE));
        Ok(codes.collect())
    }
}

impl Running for Pick {
    fn push(&mut self, rows: &WindowRows<'_>) -> Result<Ran> {
        let values = of(rows)?;
        self.marks.grow(rows.n_groups);
        if rows.n_groups > self.cells.len() {
            self.cells.resize_with(rows.n_groups, Cell::default);
        }
        let codes = self.codes(values)?;
        let array = self.arrays.len();
        self.arrays.push(Arc::clone(values));
        self.kept_rows += values.len();
        self.kept_bytes += array_bytes(values);
        let mut places = Vec::with_capacity(values.len());
        let mut failed = None;
        for (row, code) in codes.into_iter().enumerate() {
            match self.slide(rows, row, (array, row), code) {
                Ok(place) => places.push(place),
                Err(Failure::Row(at)) => {
                    failed = Some(at);
                    break;
                }
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        let picked = values_at(&self.arrays, &places)?;
        self.compact()?;
        Ok(Ran {
            array: picked,
            failed,
        })
    }

    fn bytes(&self) -> usize {
        self.marks.bytes()
            + self.cells.capacity() * size_of::<Cell>()
            + self.live * size_of::<Entry>()
            + self.code_bytes
            + self.kept_bytes as usize
    }

    fn split(self: Box<Self>, part_of: &[u32], n: usize) -> Result<Vec<Box<dyn Running>>> {
        let null = &self.arrays[0];
        let marks = self.marks.split(part_of, n).into_iter();
        let mut parts: Vec<Pick> = marks
            .map(|marks| Pick::new(self.which, marks, null.data_type()))
            .collect();
        let mut places: Vec<Vec<Place>> = vec![Vec::new(); n];
        for (mut cell, part) in self.cells.into_iter().zip(part_of) {
            let (part, places) = (&mut parts[*part as usize], &mut places[*part as usize]);
            for entry in &mut cell.rows {
                places.push(entry.place);
                entry.place = (1, places.len() - 1);
            }
            part.live += cell.rows.len();
            part.code_bytes += cell.text_bytes;
            part.cells.push(cell);
        }
        for (part, places) in parts.iter_mut().zip(&places) {
            part.keep_only(values_at(&self.arrays, places)?);
        }
        let parts = parts.into_iter();
        Ok(parts.map(|part| Box::new(part) as _).collect())
    }
}

fn values_at(arrays: &[ArrayRef], places: &[Place]) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = arrays.iter().map(|array| &**array).collect();
    Ok(interleave(&arrays, places)?)
}

fn text_bytes(code: &Code) -> usize {
    match code {
        Code::Number(_) => 0,
        Code::Text(text) => text.len(),
    }
}

/// The codes of the values of a column; none where it is null.
fn codes(values: &ArrayRef) -> Result<Vec<Option<Code>>> {
    use DataType as T;
    let number = |value: i128| Code::Number(value);
    Ok(match values.data_type() {
        T::Utf8 => {
            let texts = values.as_string::<i32>().iter();
            let code = |text: &str| Code::Text(text.as_bytes().into());
            texts.map(|text| text.map(code)).collect()
        }
        T::Float16 | T::Float32 | T::Float64 => {
            let floats = cast(values, &T::Float64)?;
            let floats = floats.as_primitive::<Float64Type>();
            let code = |float| number(float_order(float).into());
            floats.iter().map(|float| float.map(code)).collect()
        }
        T::Decimal32(_, scale) | T::Decimal64(_, scale) | T::Decimal128(_, scale) => {
            let decimals = cast(values, &T::Decimal128(38, *scale))?;
            let decimals = decimals.as_primitive::<Decimal128Type>();
            decimals.iter().map(|value| value.map(number)).collect()
        }
        T::UInt64 => {
            let ints = values.as_primitive::<UInt64Type>().iter();
            ints.map(|int| int.map(|int| number(int.into()))).collect()
        }
        T::Null => vec![None; values.len()],
        _ => {
            let ticks = ticks_of(values)?;
            ticks
                .into_iter()
                .map(|tick| tick.map(|tick| number(tick.into())))
                .collect()
        }
    })
}

/// Whole numbers, conditions and times as the numbers that they are stored as.
///
/// # Errors
///
/// [`Error::Internal`] for a type that has no such numbers, which binding refuses.
pub(crate) fn ticks_of(values: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let through = match values.data_type() {
        // Of 32 bits, and of 64 by way of them.
        DataType::Date32 | DataType::Time32(_) => cast(values, &DataType::Int32)?,
        _ => Arc::clone(values),
    };
    let ticks = cast(&through, &DataType::Int64)?;
    let ticks = ticks.as_primitive_opt::<Int64Type>();
    let ticks = ticks.ok_or_else(|| Error::internal("values of a window have no order"))?;
    Ok(ticks.iter().collect())
}
