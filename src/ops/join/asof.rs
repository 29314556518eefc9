//! The build row whose time is next to that of a probe row.
//!
//! In:  the build rows of each key, in the order of their times; probe times.
//! Out: for each probe row at most one build row: the last one not after it, the
//!      first one not before it, or the nearer of both.
//!
//! Times are whole numbers, fractions or points in time; null and NaN are next to nothing.

use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::index::Index;
use super::keys::KeyForms;
use super::table::NONE;
use crate::cancel::stretches;
use crate::error::{Error, Result};

/// Which way to look from a row of the left frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// At the last row that is not after it.
    #[default]
    Backward,
    /// At the first row that is not before it.
    Forward,
    /// At the nearer of both; where they are equally near, at the one before.
    Nearest,
}

/// How far the row that is found may be away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// For numbers.
    Number(f64),
    /// For points in time.
    Time(Duration),
}

/// What is looked for, as plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// Which way.
    pub direction: Direction,
    /// How far at most; none: any distance.
    pub tolerance: Option<Tolerance>,
    /// Whether a row of the same time counts.
    pub exact: bool,
}

/// Columns of times that are comparable, and how they are looked up.
#[derive(Debug, Clone)]
pub struct Times {
    form: KeyForms,
    is_fraction: bool,
    nearest: Nearest,
    /// The tolerance in the unit of whole times.
    most: Option<i128>,
}

impl Times {
    /// For columns of these names and types.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] naming both columns and types, if times cannot be compared
    /// or have no order of numbers; [`Error::Config`] for a tolerance of another kind.
    pub fn try_new(
        left: (&str, &DataType),
        right: (&str, &DataType),
        nearest: Nearest,
    ) -> Result<Self> {
        let form = KeyForms::try_new(&[(left.0, left.1, right.0, right.1)])?;
        let is_fraction = left.1.is_floating() && right.1.is_floating();
        let of_ticks = matches!(
            form.types().as_slice(),
            [DataType::Int64 | DataType::UInt64]
        );
        if !of_ticks || *left.1 == DataType::Boolean {
            return Err(Error::plan(format!(
                "{:?} ({}) and {:?} ({}) are no times to look for; cast them to one type of number or time",
                left.0, left.1, right.0, right.1
            )));
        }
        let most = match (nearest.tolerance, form.tick_unit()) {
            (None, _) => None,
            (Some(Tolerance::Time(span)), Some(unit)) => {
                let nanos: i128 = match unit {
                    TimeUnit::Second => 1_000_000_000,
                    TimeUnit::Millisecond => 1_000_000,
                    TimeUnit::Microsecond => 1_000,
                    TimeUnit::Nanosecond => 1,
                };
                Some(span.as_nanos() as i128 / nanos)
            }
            (Some(Tolerance::Number(most)), None) if most >= 0.0 => Some(most as i128),
            (Some(tolerance), _) => {
                return Err(Error::config(
                    "tolerance",
                    format!("{tolerance:?} is no distance between values of {}", left.1),
                ));
            }
        };
        Ok(Times {
            form,
            is_fraction,
            nearest,
            most,
        })
    }

    /// The times of a column, in numbers of their order; none where there is none.
    pub(super) fn of(&self, column: &ArrayRef) -> Result<Vec<Option<i64>>> {
        let key = self.form.bring(std::slice::from_ref(column))?.remove(0);
        let never = key.never;
        let held = |row: usize| {
            key.values.is_valid(row) && never.as_ref().is_none_or(|never| !never.value(row))
        };
        let code = |row: usize| match key.values.data_type() {
            DataType::Int64 => Some(key.values.as_primitive::<Int64Type>().value(row)),
            _ => {
                let bits = key.values.as_primitive::<UInt64Type>().value(row);
                match self.is_fraction {
                    // Whole numbers in their order.
                    false => Some((bits ^ (1 << 63)) as i64),
                    true if f64::from_bits(bits).is_nan() => None,
                    // The bits of negative numbers fall as these rise.
                    true => {
                        let bits = bits as i64;
                        Some(bits ^ (((bits >> 63) as u64) >> 1) as i64)
                    }
                }
            }
        };
        let rows = 0..key.values.len();
        Ok(rows
            .map(|row| held(row).then(|| code(row)).flatten())
            .collect())
    }

    /// Which way is looked.
    pub(super) fn direction(&self) -> Direction {
        self.nearest.direction
    }

    /// Whether a row of the same time counts.
    pub(super) fn exact(&self) -> bool {
        self.nearest.exact
    }

    /// How far two times are from each other; none if that is too far.
    fn distance(&self, a: i64, b: i64) -> Option<Distance> {
        if !self.is_fraction {
            let distance = (i128::from(a) - i128::from(b)).abs();
            return (self.most.is_none_or(|most| distance <= most))
                .then_some(Distance(distance, 0.0));
        }
        let value = |code: i64| f64::from_bits((code ^ (((code >> 63) as u64) >> 1) as i64) as u64);
        let distance = (value(a) - value(b)).abs();
        let near = match self.nearest.tolerance {
            Some(Tolerance::Number(most)) => distance <= most,
            _ => true,
        };
        near.then_some(Distance(0, distance))
    }
}

/// Of whole times, or of fractions.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Distance(i128, f64);

/// The build rows of each key, in the order of their times.
#[derive(Debug)]
pub(super) struct Timeline {
    times: Times,
    /// Rows of one key together.
    rows: Vec<u32>,
    /// The time of each of `rows`.
    codes: Vec<i64>,
    /// Where the rows of a key start and end, by its first row.
    spans: Vec<(u32, u32)>,
}

impl Timeline {
    /// Puts the rows of each key together: `heads` are the first rows with the
    /// key of each row, `column` holds times.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] naming the first row whose time is before that of a row in front of it.
    pub fn build(times: Times, name: &str, heads: &[u32], codes: &[Option<i64>]) -> Result<Self> {
        let mut in_time = InTime::new("right", name);
        for rows in stretches(codes.len()) {
            in_time.push(&codes[rows?])?;
        }
        let held = |row: usize| heads[row] != NONE && codes[row].is_some();
        let mut spans = vec![(0_u32, 0_u32); heads.len()];
        for rows in stretches(heads.len()) {
            for row in rows?.filter(|row| held(*row)) {
                spans[heads[row] as usize].1 += 1;
            }
        }
        let mut start = 0;
        for span in &mut spans {
            let rows = span.1;
            *span = (start, start);
            start += rows;
        }
        let mut rows = vec![0; start as usize];
        let mut times_of = vec![0; start as usize];
        for stretch in stretches(heads.len()) {
            for row in stretch?.filter(|row| held(*row)) {
                let end = &mut spans[heads[row] as usize].1;
                rows[*end as usize] = row as u32;
                times_of[*end as usize] = codes[row].unwrap_or_default();
                *end += 1;
            }
        }
        Ok(Timeline {
            times,
            rows,
            codes: times_of,
            spans,
        })
    }

    /// The times of a column.
    pub fn codes(&self, column: &ArrayRef) -> Result<Vec<Option<i64>>> {
        self.times.of(column)
    }

    /// Puts the row that is found in place of each head.
    pub fn find(&self, heads: &mut [u32], codes: &[Option<i64>]) {
        for (head, code) in heads.iter_mut().zip(codes) {
            let found = match code {
                Some(code) if *head != NONE => self.next_to(*head, *code),
                _ => None,
            };
            *head = found.unwrap_or(NONE);
        }
    }

    fn next_to(&self, head: u32, code: i64) -> Option<u32> {
        let (start, end) = self.spans[head as usize];
        let (start, end) = (start as usize, end as usize);
        let codes = &self.codes[start..end];
        let exact = self.times.nearest.exact;
        // The rows that may be looked back at, and those that may be ahead.
        let behind = codes.partition_point(|at| *at < code || (exact && *at == code));
        let ahead = codes.partition_point(|at| *at < code || (!exact && *at == code));
        let near = |place: Option<usize>| {
            let place = place.filter(|place| *place < codes.len())?;
            Some((self.times.distance(codes[place], code)?, place))
        };
        let back = || near(behind.checked_sub(1));
        let forth = || near(Some(ahead));
        let found = match self.times.nearest.direction {
            Direction::Backward => back(),
            Direction::Forward => forth(),
            Direction::Nearest => match (back(), forth()) {
                (Some(back), Some(forth)) if forth.0 < back.0 => Some(forth),
                (Some(back), _) => Some(back),
                (None, forth) => forth,
            },
        };
        found.map(|(_, place)| self.rows[start + place])
    }

    pub fn bytes(&self) -> usize {
        4 * self.rows.capacity() + 8 * self.codes.capacity() + 8 * self.spans.capacity()
    }
}

/// How the times of a batch run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Rows of the batch.
    pub rows: u64,
    /// The first time and the last one; none if there is no time.
    pub ends: Option<(i64, i64)>,
    /// The row that has the first time.
    pub first_row: u64,
    /// The first row whose time is before that of a row in front of it.
    pub unsorted: Option<u64>,
}

impl Run {
    pub(super) fn of(codes: &[Option<i64>]) -> Self {
        let mut run = Run {
            rows: codes.len() as u64,
            ends: None,
            first_row: 0,
            unsorted: None,
        };
        for (row, code) in codes.iter().enumerate() {
            let Some(code) = code else { continue };
            if run.ends.is_some_and(|(_, last)| *code < last) && run.unsorted.is_none() {
                run.unsorted = Some(row as u64);
            }
            if run.ends.is_none() {
                run.first_row = row as u64;
            }
            run.ends = Some((run.ends.map_or(*code, |(first, _)| first), *code));
        }
        run
    }
}

/// Sees whether rows that come in order are sorted by their times.
#[derive(Debug)]
pub struct InTime {
    side: &'static str,
    name: String,
    /// Rows so far, and the last time of any.
    rows: u64,
    last: i64,
}

impl InTime {
    /// No row yet of this frame, whose column of times has this name.
    pub(super) fn new(side: &'static str, name: &str) -> Self {
        InTime {
            side,
            name: name.to_owned(),
            rows: 0,
            last: i64::MIN,
        }
    }

    /// Looks at the times of the next rows.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] naming the first row whose time is before that of a row in front of it.
    pub fn push(&mut self, times: &[Option<i64>]) -> Result<()> {
        self.push_run(&Run::of(times))
    }

    /// The same of a batch whose times run so.
    ///
    /// # Errors
    ///
    /// As [`InTime::push`].
    pub fn push_run(&mut self, run: &Run) -> Result<()> {
        let falls = match run.ends {
            Some((first, _)) if first < self.last => Some(run.first_row),
            _ => run.unsorted,
        };
        if let Some(row) = falls {
            return Err(unsorted(self.side, &self.name, self.rows + row));
        }
        self.last = run.ends.map_or(self.last, |(_, last)| last);
        self.rows += run.rows;
        Ok(())
    }
}

fn unsorted(side: &str, name: &str, row: u64) -> Error {
    Error::plan(format!(
        "the {side} frame is not sorted by {name:?}: row {} is before a row in front of it; sort it first",
        row + 1
    ))
}

/// The first build row with the key of each build row.
pub(super) fn heads_of(
    index: &Index,
    pieces: &[Vec<ArrayRef>],
    rows: &[usize],
) -> Result<Vec<u32>> {
    let mut heads = Vec::with_capacity(rows.iter().sum());
    for (columns, n_rows) in pieces.iter().zip(rows) {
        for rows in stretches(*n_rows) {
            let rows = rows?;
            let some = columns.iter().map(|of| of.slice(rows.start, rows.len()));
            heads.extend(index.find(&some.collect::<Vec<_>>(), rows.len())?);
        }
    }
    Ok(heads)
}
