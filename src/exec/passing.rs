//! Rows on their way through the steps that need input order.
//!
//! In:  the rows of a chunk whose turn has come, and where each stands in its file.
//! Out: the rows that come out of a step, counted; the first row that it fails on,
//!      with its place.

use arrow_array::RecordBatch;

use super::chunk_place::ChunkPlace;
use super::report::InputReport;
use super::sequence::Counts;
use super::steps::{InOrder, RowStep};
use super::window::{Along, Late, Room};
use crate::error::{Error, Result};
use crate::expr::RowError;
use crate::io::json::Line;
use crate::ops::window::Windows;
use crate::ops::{self, Compute, Explode, Filter, Limit, Sample};

/// A step that needs input order, or stands behind one that does.
pub(crate) enum Ordered {
    Filter(Filter),
    Compute(Compute),
    Explode(Explode),
    Limit(Limit),
    CheckSorted(ops::InOrder),
    Window(Along),
    Sample(Sample),
}

impl Ordered {
    /// The operator of a step.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a key of a window whose values cannot be told apart.
    pub fn try_new(step: InOrder) -> Result<Self> {
        Ok(match step {
            InOrder::Row(RowStep::Filter(predicate)) => Ordered::Filter(Filter::new(predicate)),
            InOrder::Row(RowStep::Compute(columns)) => Ordered::Compute(Compute::new(columns)),
            InOrder::Row(RowStep::Explode(explode)) => Ordered::Explode(explode.build()),
            InOrder::Limit(rows) => Ordered::Limit(Limit::new(rows)),
            InOrder::CheckSorted(name, key) => Ordered::CheckSorted(ops::InOrder::new(&name, key)),
            InOrder::Window(windows) => Ordered::Window(Along::new(Windows::try_new(windows)?)),
            InOrder::Sample { seed, from, to } => Ordered::Sample(Sample::new(seed, from, to)),
        })
    }

    /// Lets a step that holds something hold it under this budget.
    pub fn take_from(&mut self, room: &Room) {
        if let Ordered::Window(windows) = self {
            windows.take_from(room);
        }
    }

    /// Whether rows wait at it until all of them came.
    pub fn is_late(&self) -> bool {
        matches!(self, Ordered::Window(windows) if windows.is_late())
    }

    /// Where rows wait, if they wait at it.
    pub fn late(&mut self) -> Option<&mut Late> {
        match self {
            Ordered::Window(windows) => windows.late(),
            _ => None,
        }
    }

    /// What waits at it, once no further row comes.
    pub fn take_late(&mut self) -> Option<Late> {
        match self {
            Ordered::Window(windows) => windows.take_late(),
            _ => None,
        }
    }
}

/// Rows on their way through the steps that need input order.
pub(super) struct Passing<'a> {
    pub batch: RecordBatch,
    /// Of each row; none where nobody asks.
    pub places: Option<Vec<Line>>,
    pub chunk: &'a ChunkPlace<'a>,
    /// Of their file.
    pub sheet: &'a mut InputReport,
    pub counts: &'a mut Counts,
}

impl Passing<'_> {
    /// Takes the rows through a step. A row that it fails on is the last, and its error comes back.
    pub fn through(&mut self, step: &mut Ordered) -> Result<Option<Error>> {
        let before = self.batch.num_rows();
        let batch = self.batch.clone();
        Ok(match step {
            Ordered::Limit(limit) => {
                self.batch = limit.push(batch);
                self.counts.limited += (before - self.batch.num_rows()) as u64;
                None
            }
            Ordered::CheckSorted(sorted) => match sorted.push(&batch)? {
                None => None,
                Some((row, reason)) => {
                    self.batch = batch.slice(0, row);
                    let places = self.places.as_deref().unwrap_or_default();
                    let at = self.chunk.place(places[row]);
                    let doing = "checking the order of rows".to_owned();
                    let error = Error::Evaluate { at, doing, reason };
                    self.end_at(before, Some((row, error)))
                }
            },
            Ordered::Sample(sample) => {
                let kept = sample.keep(&batch)?;
                self.sheet.filtered += (before - kept.batch.num_rows()) as u64;
                let places = self.places.take();
                self.places = places.map(|all| kept.places().map(|row| all[row]).collect());
                self.batch = kept.batch;
                None
            }
            Ordered::Window(windows) => {
                let windowed = windows.push(&batch)?;
                let windowed =
                    windowed.ok_or_else(|| Error::internal("rows passed others that wait"))?;
                self.batch = windowed.batch;
                self.end_at(before, windowed.failed.map(|at| (at.row, at.error)))
            }
            Ordered::Compute(compute) => {
                let (computed, failed) = before_failure(&batch, |rows| compute.add(rows))?;
                self.batch = computed;
                self.end_at(before, failed)
            }
            Ordered::Explode(explode) => {
                let (exploded, failed) = before_failure(&batch, |rows| explode.apply(rows))?;
                let looked_at = failed.as_ref().map_or(before, |(row, _)| *row);
                let error = self.end_at(before, failed);
                self.counts.exploded += (exploded.rows.len() - looked_at) as u64;
                let all = self.places.take().unwrap_or_default();
                self.places = Some(exploded.rows.iter().map(|row| all[*row]).collect());
                self.batch = exploded.batch;
                error
            }
            Ordered::Filter(filter) => {
                let (kept, failed) = filter.keep_before_failure(&batch)?;
                let looked_at = failed.as_ref().map_or(before, |(row, _)| *row);
                let error = self.end_at(before, failed);
                self.sheet.filtered += (looked_at - kept.batch.num_rows()) as u64;
                let all = self.places.take().unwrap_or_default();
                self.places = Some(kept.places().map(|row| all[row]).collect());
                self.batch = kept.batch;
                error
            }
        })
    }

    /// Ends the rows, of which there were so many, in front of the one that a step
    /// failed on; the error, with its place.
    pub fn end_at(&mut self, before: usize, failed: Option<(usize, Error)>) -> Option<Error> {
        let (row, error) = failed?;
        self.counts.limited += (before - row) as u64;
        let mut all = self.places.take().unwrap_or_default();
        let error = self.chunk.failure(all[row], error);
        all.truncate(row);
        self.places = Some(all);
        Some(error)
    }
}

/// What a step makes of rows; if it has no answer for one, of those before that row.
fn before_failure<T>(
    batch: &RecordBatch,
    run: impl Fn(&RecordBatch) -> Result<T>,
) -> Result<(T, Option<(usize, Error)>)> {
    let error = match run(batch) {
        Ok(made) => return Ok((made, None)),
        Err(error) => error,
    };
    match RowError::of(&error).map(|at| at.row) {
        Some(row) => Ok((run(&batch.slice(0, row))?, Some((row, error)))),
        None => Err(error),
    }
}
