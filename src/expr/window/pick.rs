//! Values of single rows: the one so far before, the first, last, smallest or
//! largest in a window.
//!
//! In:  rows in order, with the group of each.
//! Out: for each row the value of one row, of any type.
//!
//! What is kept of a row is its place; values stay in the arrays that they came
//! in, until most of them are of no use any more and the others are moved together.

use std::collections::VecDeque;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, UInt64Type};
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
    /// Rows that may be picked, of each group; the one that is, in front.
    cells: Vec<VecDeque<Entry>>,
    /// A null, then the arrays that places are in.
    arrays: Vec<ArrayRef>,
    kept_rows: usize,
    kept_bytes: u64,
    /// Rows that may be picked, of all groups, and what their texts take.
    live: usize,
    code_bytes: usize,
}

/// Rows that are kept beyond those of use, so that few rows are not moved for each batch.
const SLACK_ROWS: usize = 1024;

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

    /// The row that is picked for this one, which stands at `own`.
    fn slide(
        &mut self,
        rows: &WindowRows<'_>,
        row: usize,
        own: Place,
        code: Option<Code>,
    ) -> Result<Place, Failure> {
        let mark = self.marks.next(rows, row)?;
        let bounded = self.marks.is_bounded();
        let cell = &mut self.cells[rows.groups[row] as usize];
        let before = cell.len();
        let text = |entry: &Entry| text_bytes(&entry.code);
        while let Some(left) = cell.pop_front_if(|entry| entry.mark < mark.least) {
            self.code_bytes -= text(&left);
        }
        let mut picked = None;
        let is_value = code.is_some();
        let entry = Entry {
            mark: mark.own,
            place: own,
            code: code.unwrap_or(NO_CODE),
        };
        match self.which {
            Which::Before(0) => picked = Some(own),
            Which::FirstRow | Which::LastRow if rows.beyond => {}
            Which::LastRow => {
                cell.clear();
                cell.push_back(entry);
            }
            Which::Before(rows) => {
                if cell.len() == rows {
                    picked = cell.pop_front().map(|entry| entry.place);
                }
                cell.push_back(entry);
                picked = Some(picked.unwrap_or(NULL));
            }
            Which::FirstRow | Which::FirstValue => {
                let counts = is_value || self.which == Which::FirstRow;
                if counts && (bounded || cell.is_empty()) {
                    cell.push_back(entry);
                }
            }
            Which::LastValue if is_value => {
                cell.clear();
                cell.push_back(entry);
            }
            Which::Least | Which::Greatest if is_value => {
                let better = |old: &Entry| match self.which {
                    Which::Least => entry.code < old.code,
                    _ => entry.code > old.code,
                };
                // Who is not better now, and leaves earlier, is never picked.
                let gone = |old: &mut Entry| better(old) || (bounded && entry.code == old.code);
                let mut gone = gone;
                while let Some(left) = cell.pop_back_if(&mut gone) {
                    self.code_bytes -= text(&left);
                }
                if bounded || cell.is_empty() {
                    self.code_bytes += text(&entry);
                    cell.push_back(entry);
                }
            }
            Which::LastValue | Which::Least | Which::Greatest => {}
        }
        self.live = self.live + cell.len() - before;
        let front = cell.front().map(|entry| entry.place);
        Ok(picked.or(front).unwrap_or(NULL))
    }

    /// Moves the values of use together, if most are of none.
    fn compact(&mut self) -> Result<()> {
        if self.kept_rows < 2 * self.live + SLACK_ROWS {
            return Ok(());
        }
        let mut places = Vec::with_capacity(self.live);
        for entry in self.cells.iter_mut().flatten() {
            places.push(entry.place);
            entry.place = (1, places.len() - 1);
        }
        let moved = self.values_at(&places)?;
        self.kept_rows = moved.len();
        self.kept_bytes = array_bytes(&moved);
        self.arrays.truncate(1);
        self.arrays.push(moved);
        Ok(())
    }

    fn values_at(&self, places: &[Place]) -> Result<ArrayRef> {
        let arrays: Vec<&dyn Array> = self.arrays.iter().map(|array| &**array).collect();
        Ok(interleave(&arrays, places)?)
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
            self.cells.resize_with(rows.n_groups, VecDeque::new);
        }
        let codes = self.codes(values)?;
        let array = self.arrays.len();
        self.arrays.push(std::sync::Arc::clone(values));
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
        let picked = self.values_at(&places)?;
        self.compact()?;
        Ok(Ran {
            array: picked,
            failed,
        })
    }

    fn bytes(&self) -> usize {
        self.marks.bytes()
            + self.cells.capacity() * size_of::<VecDeque<Entry>>()
            + self.live * size_of::<Entry>()
            + self.code_bytes
            + self.kept_bytes as usize
    }
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
            let floats = floats.as_primitive::<arrow_array::types::Float64Type>();
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
        _ => std::sync::Arc::clone(values),
    };
    let ticks = cast(&through, &DataType::Int64)?;
    let ticks = ticks.as_primitive_opt::<arrow_array::types::Int64Type>();
    let ticks = ticks.ok_or_else(|| Error::internal("values of a window have no order"))?;
    Ok(ticks.iter().collect())
}
