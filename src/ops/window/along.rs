//! Adds columns of windows as rows pass.
//!
//! In:  batches in order.
//! Out: the same rows, with a column for each window at the end.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};

use super::column::{WindowColumn, reserve, with_columns};
use super::groups::{Grouping, GroupsOf};
use crate::error::{Error, Result};
use crate::expr::{RowError, Running, WindowRows, ticks_of};
use crate::memory::{Budget, Reservation};

/// Rows with columns of windows, and the first row that one has no value for.
pub struct Windowed {
    /// The rows before it.
    pub batch: RecordBatch,
    /// Which row of the batch that went in, and why.
    pub failed: Option<(usize, Error)>,
}

/// Adds columns of windows. Streaming, keeps rows and order. Holds, under the
/// budget, the keys of all groups, a state for each, and the rows that windows
/// hold: as many as a window is long for each group.
pub struct Windows {
    columns: Vec<AtWork>,
    groupings: Vec<Grouping>,
    memory: Option<Reservation>,
}

/// A window at work.
struct AtWork {
    column: WindowColumn,
    /// The place of its groups.
    grouping: usize,
    running: Box<dyn Running>,
}

/// What a window looks at, of a batch.
struct Inputs {
    values: Option<ArrayRef>,
    times: Option<Vec<Option<i64>>>,
}

/// What windows look at, of the rows before the first that one of them has no value for.
struct Looked {
    batch: RecordBatch,
    inputs: Vec<Inputs>,
    failed: Option<(usize, Error)>,
}

impl Windows {
    /// Windows that have seen nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a key whose values cannot be told apart.
    pub fn try_new(columns: Vec<WindowColumn>) -> Result<Self> {
        let mut groupings = Vec::new();
        let at_work = columns.into_iter().map(|column| {
            Ok(AtWork {
                grouping: Grouping::among(&mut groupings, &column.by)?,
                running: column.bound.running(),
                column,
            })
        });
        Ok(Windows {
            columns: at_work.collect::<Result<_>>()?,
            groupings,
            memory: None,
        })
    }

    /// Takes what it holds from `budget`.
    pub fn take_from(&mut self, budget: &Budget) {
        self.memory = Some(budget.open());
    }

    /// The rows with the columns of all windows.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] if the budget refuses what is held; what evaluating gives
    /// where no row is to blame.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Windowed> {
        let Looked {
            batch,
            inputs,
            mut failed,
        } = self.inputs(batch)?;
        let groups = self.groupings.iter_mut();
        let groups = groups.map(|grouping| grouping.assign(&batch));
        let groups: Vec<GroupsOf> = groups.collect::<Result<_>>()?;
        let mut added = Vec::with_capacity(self.columns.len());
        let mut left = batch.num_rows();
        for (at_work, inputs) in self.columns.iter_mut().zip(&inputs) {
            let groups = &groups[at_work.grouping];
            let ran = at_work.running.push(&WindowRows {
                groups: &groups.of_rows,
                n_groups: groups.n,
                values: inputs.values.as_ref(),
                times: inputs.times.as_deref(),
                beyond: false,
            })?;
            if let Some(at) = ran.failed.filter(|at| at.row < left) {
                left = at.row;
                failed = Some((left, at.in_expression(at_work.column.bound.text())));
            }
            added.push((Arc::clone(&at_work.column.field), ran.array));
        }
        let bytes = self.bytes();
        if let Some(memory) = &mut self.memory {
            reserve(memory, bytes)?;
        }
        let added = added
            .into_iter()
            .map(|(field, array)| (field, array.slice(0, left)));
        Ok(Windowed {
            batch: with_columns(&batch.slice(0, left), added)?,
            failed,
        })
    }

    /// What all windows look at, of the rows before the first that one of them has no value for.
    fn inputs(&self, batch: &RecordBatch) -> Result<Looked> {
        let mut batch = batch.clone();
        let mut failed = None;
        loop {
            let error = match self.inputs_of(&batch) {
                Ok(inputs) => {
                    return Ok(Looked {
                        batch,
                        inputs,
                        failed,
                    });
                }
                Err(error) => error,
            };
            let Some(row) = RowError::of(&error).map(|at| at.row) else {
                return Err(error);
            };
            batch = batch.slice(0, row);
            failed = Some((row, error));
        }
    }

    fn inputs_of(&self, batch: &RecordBatch) -> Result<Vec<Inputs>> {
        for key in self.groupings.iter().flat_map(Grouping::keys) {
            key.column(batch)?;
        }
        let of = |AtWork { column, .. }: &AtWork| {
            let times = column.time.as_ref().map(|time| time.column(batch));
            Ok(Inputs {
                values: column.values(batch)?,
                times: match times.transpose()? {
                    Some(times) => Some(ticks_of(&times)?),
                    None => None,
                },
            })
        };
        self.columns.iter().map(of).collect()
    }

    /// Bytes held.
    fn bytes(&self) -> usize {
        let groups = self.groupings.iter().map(Grouping::bytes);
        let running = self.columns.iter().map(|of| of.running.bytes());
        groups.chain(running).sum()
    }
}
