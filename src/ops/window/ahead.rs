//! Windows that look at rows behind, by going over rows twice.
//!
//! In:  batches in order, then the same batches from the last to the first.
//! Out: the second time, the rows with a column for each window at the end.
//!
//! ```text
//! forwards    rows ─▶ windows that end so many rows later, as if they ended here
//! turn        what windows hold that end behind the last row of a group
//! backwards   rows ─▶ mirrored windows; values from so many rows later; last values
//! ```

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow_select::take::take;

use super::column::{WindowColumn, refused, with_columns};
use super::groups::{Grouping, GroupsOf};
use crate::error::{Error, Result};
use crate::expr::{Course, Ran, Running, WindowRows};
use crate::memory::{Budget, Reservation};

/// Adds columns of windows that look at rows behind. Keeps rows and order. Holds,
/// under the budget, the keys of all groups, a state for each, and the rows that
/// windows hold.
pub struct Ahead {
    columns: Vec<Both>,
    groupings: Vec<Grouping>,
    memory: Reservation,
}

/// A window at work both ways.
struct Both {
    column: WindowColumn,
    grouping: usize,
    /// Before the turn.
    forwards: Option<Box<dyn Running>>,
    backwards: Backwards,
}

/// Where a value comes from as rows go back.
enum Backwards {
    /// Made of rows.
    Mirrored(Box<dyn Running>),
    /// The value that was made so many rows later, as the last column of rows.
    Later(Box<dyn Running>, usize),
    /// The value of the group, once the turn was made.
    Last(Option<ArrayRef>),
}

impl Ahead {
    /// Windows that have seen nothing, of `rows` rows.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a key whose values cannot be told apart.
    pub fn try_new(columns: Vec<WindowColumn>, rows: u64, budget: &Budget) -> Result<Self> {
        let mut groupings = Vec::new();
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let both = columns.into_iter().map(|mut column| {
            column.bound = column.bound.among(rows);
            let running = column.bound.running();
            let (forwards, backwards) = match column.bound.course {
                Course::Forward => {
                    return Err(Error::internal("a window looks at no row behind"));
                }
                Course::Mirrored => (None, Backwards::Mirrored(running)),
                Course::Delayed(by) => {
                    let later = column.bound.later(by);
                    (Some(running), Backwards::Later(later, by))
                }
                Course::Whole => (Some(running), Backwards::Last(None)),
            };
            Ok(Both {
                grouping: Grouping::among(&mut groupings, &column.by)?,
                column,
                forwards,
                backwards,
            })
        });
        Ok(Ahead {
            columns: both.collect::<Result<_>>()?,
            groupings,
            memory: budget.open(),
        })
    }

    fn groups(&mut self, batch: &RecordBatch) -> Result<Vec<GroupsOf>> {
        let groupings = self.groupings.iter_mut();
        groupings.map(|grouping| grouping.assign(batch)).collect()
    }

    /// The rows, with what backwards needs of windows that end behind them.
    ///
    /// # Errors
    ///
    /// What a window has no value for.
    pub fn forwards(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let groups = self.groups(batch)?;
        let mut added = Vec::new();
        for both in &mut self.columns {
            let Some(forwards) = &mut both.forwards else {
                continue;
            };
            let values = both.column.values(batch)?;
            let ran = forwards.push(&rows_of(&groups[both.grouping], values.as_ref()))?;
            let made = all_of(ran, &both.column)?;
            if let Backwards::Later(..) = both.backwards {
                added.push((Arc::clone(&both.column.field), made));
            }
        }
        with_columns(batch, added)
    }

    /// Makes the turn, once all rows went forwards.
    ///
    /// # Errors
    ///
    /// As [`Ahead::forwards`].
    pub fn turn(&mut self) -> Result<()> {
        for both in &mut self.columns {
            let Some(mut forwards) = both.forwards.take() else {
                continue;
            };
            let n = self.groupings[both.grouping].len();
            let groups = GroupsOf {
                of_rows: (0..n as u32).collect(),
                n,
            };
            // A row behind the last of each group, which holds nothing.
            let nothing = new_null_array(both.column.bound.value_type(), n);
            let beyond = WindowRows {
                beyond: true,
                ..rows_of(&groups, Some(&nothing))
            };
            let mut next = || all_of(forwards.push(&beyond)?, &both.column);
            match &mut both.backwards {
                Backwards::Mirrored(_) => {}
                Backwards::Last(last) => *last = Some(next()?),
                Backwards::Later(later, by) => {
                    let made = (0..*by).map(|_| next()).collect::<Result<Vec<_>>>()?;
                    for values in made.iter().rev() {
                        later.push(&rows_of(&groups, Some(values)))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The rows that went forwards, with the columns of all windows; batches come
    /// from the last to the first, and their rows stay in order.
    ///
    /// # Errors
    ///
    /// As [`Ahead::forwards`].
    pub fn backwards(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let later = |both: &&Both| matches!(both.backwards, Backwards::Later(..));
        let n_rows_columns = batch.num_columns() - self.columns.iter().filter(later).count();
        let (of_rows, made): (Vec<usize>, Vec<usize>) =
            (0..batch.num_columns()).partition(|idx| *idx < n_rows_columns);
        let mut made = made.into_iter().map(|idx| Arc::clone(batch.column(idx)));
        let rows = batch.project(&of_rows)?;
        let mirror: UInt32Array = (0..rows.num_rows() as u32).rev().collect();
        let mut groups = self.groups(&rows)?;
        for groups in &mut groups {
            groups.of_rows.reverse();
        }
        let mut added = Vec::with_capacity(self.columns.len());
        for both in &mut self.columns {
            let groups = &groups[both.grouping];
            let array = match &mut both.backwards {
                Backwards::Last(last) => {
                    let last = last.as_ref();
                    let last =
                        last.ok_or_else(|| Error::internal("rows go back before the turn"))?;
                    take(last, &UInt32Array::from(groups.of_rows.clone()), None)?
                }
                Backwards::Mirrored(running) => {
                    let values = both.column.values(&rows)?;
                    let values = values.map(|values| take(&values, &mirror, None));
                    let values = values.transpose()?;
                    all_of(
                        running.push(&rows_of(groups, values.as_ref()))?,
                        &both.column,
                    )?
                }
                Backwards::Later(running, _) => {
                    let made = made.next();
                    let made = made.ok_or_else(|| Error::internal("rows lost a window"))?;
                    let made = take(&made, &mirror, None)?;
                    all_of(running.push(&rows_of(groups, Some(&made)))?, &both.column)?
                }
            };
            added.push((Arc::clone(&both.column.field), take(&array, &mirror, None)?));
        }
        with_columns(&rows, added)
    }

    /// Asks the budget for what is held. False if that refuses.
    pub fn hold(&mut self) -> bool {
        let bytes = self.bytes();
        self.memory.try_resize(bytes)
    }

    /// The error of windows that hold too much, and cannot hold less.
    pub fn refused(&self) -> Error {
        refused(&self.memory, self.bytes())
    }

    /// How many groups there are, all keys together.
    pub fn n_groups(&self) -> usize {
        self.groupings.iter().map(Grouping::len).sum()
    }

    fn bytes(&self) -> u64 {
        let groups = self.groupings.iter().map(Grouping::bytes);
        let running = self.columns.iter().map(|both| {
            let forwards = both.forwards.as_ref().map_or(0, |running| running.bytes());
            let backwards = match &both.backwards {
                Backwards::Mirrored(running) | Backwards::Later(running, _) => running.bytes(),
                Backwards::Last(last) => {
                    last.as_ref().map_or(0, |last| last.get_array_memory_size())
                }
            };
            forwards + backwards
        });
        groups.chain(running).sum::<usize>() as u64
    }
}

fn rows_of<'a>(groups: &'a GroupsOf, values: Option<&'a ArrayRef>) -> WindowRows<'a> {
    WindowRows {
        groups: &groups.of_rows,
        n_groups: groups.n,
        values,
        times: None,
        beyond: false,
    }
}

/// The values of all rows; where one has none, the error says why.
fn all_of(ran: Ran, column: &WindowColumn) -> Result<ArrayRef> {
    match ran.failed {
        None => Ok(ran.array),
        Some(at) => Err(at.in_expression(column.bound.text())),
    }
}
