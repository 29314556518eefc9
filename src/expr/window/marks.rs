//! Which rows of a group are in the window of its newest row.
//!
//! In:  rows in order, with the group of each, and its time where that counts.
//! Out: a mark for each row that never falls within a group, and the least mark
//!      that is in the window still.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;

use super::fold::WindowRows;
use crate::expr::row_error::{Failure, RowError};

/// How far a window reaches back from its newest row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reach {
    /// To the first row of the group.
    All,
    /// Over so many rows before it.
    Rows(i64),
    /// Over times less than so many ticks before its own, of this type.
    Ticks(i64, DataType),
}

/// The newest mark of each group.
#[derive(Debug)]
pub(super) struct Marks {
    reach: Reach,
    newest: Vec<i64>,
}

/// Where a row stands in its group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub own: i64,
    /// The least mark that is in the window of this row.
    pub least: i64,
}

impl Marks {
    pub fn new(reach: Reach) -> Self {
        Marks {
            reach,
            newest: Vec::new(),
        }
    }

    /// Whether rows leave the window at all.
    pub fn is_bounded(&self) -> bool {
        self.reach != Reach::All
    }

    pub fn grow(&mut self, n_groups: usize) {
        if n_groups > self.newest.len() {
            self.newest.resize(n_groups, i64::MIN);
        }
    }

    pub fn bytes(&self) -> usize {
        8 * self.newest.capacity()
    }

    /// As many as `n`, each with the groups that `part_of` gives it.
    pub fn split(&self, part_of: &[u32], n: usize) -> Vec<Marks> {
        let mut parts: Vec<Marks> = (0..n).map(|_| Marks::new(self.reach.clone())).collect();
        for (newest, part) in self.newest.iter().zip(part_of) {
            parts[*part as usize].newest.push(*newest);
        }
        parts
    }

    /// The mark of the next row.
    ///
    /// # Errors
    ///
    /// For a row without a time, or with one before that of a row before it.
    pub fn next(&mut self, rows: &WindowRows<'_>, row: usize) -> Result<Mark, Failure> {
        let newest = &mut self.newest[rows.groups[row] as usize];
        match &self.reach {
            Reach::All => Ok(Mark {
                own: 0,
                least: i64::MIN,
            }),
            Reach::Rows(before) => {
                *newest = newest.saturating_add(1).max(0);
                Ok(Mark {
                    own: *newest,
                    least: *newest - before,
                })
            }
            Reach::Ticks(width, of) => {
                let time = rows.times.and_then(|times| times[row]);
                let Some(time) = time else {
                    let reason = "the row has no time, which its window needs".to_owned();
                    return Err(Failure::Row(RowError { row, reason }));
                };
                if time < *newest {
                    return Err(unsorted(row, time, *newest, of));
                }
                *newest = time;
                Ok(Mark {
                    own: time,
                    least: time.saturating_sub(*width).saturating_add(1),
                })
            }
        }
    }
}

#[cold]
fn unsorted(row: usize, time: i64, before: i64, of: &DataType) -> Failure {
    let text = |ticks: i64| -> Result<String, Failure> {
        let ticks: ArrayRef = Arc::new(Int64Array::from(vec![ticks]));
        let time = cast(&ticks, of)?;
        let options = FormatOptions::default();
        let text = ArrayFormatter::try_new(&time, &options)?
            .value(0)
            .to_string();
        Ok(text)
    };
    match (text(time), text(before)) {
        (Ok(time), Ok(before)) => Failure::at(
            row,
            format!("{time} stands behind {before}: rows of a window must be sorted by their time"),
        ),
        (Err(error), _) | (_, Err(error)) => error,
    }
}
