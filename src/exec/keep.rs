//! Rows that a frame keeps, to be read again and again.
//!
//! In:  a pipeline.
//! Out: its partitions, in memory and, past the budget, on disk; dropping the
//!      last frame that has them frees both.
//!
//! What is kept counts against the budget: half of it at most is memory, and
//! runs have as much less.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::context::Context;
use super::output::{KeptRows, KeptRun};
use super::pass::keep_all;
use super::report::RunReport;
use super::schema::RunSchema;
use super::sheet::Sheet;
use crate::error::{Error, Result};
use crate::memory::{Reservation, SpillDir};
use crate::plan::Physical;

/// Partitions that were computed.
pub struct Kept {
    parts: Vec<Vec<KeptRun>>,
    /// Of all rows.
    last: RunSchema,
    /// Rows in all.
    pub rows: u64,
    /// Logical bytes of Arrow data in all.
    pub bytes: u64,
    /// What was read for them.
    pub report: RunReport,
    /// Of what is in memory.
    _reservation: Reservation,
    /// Where the rest lies.
    _spill_dir: Arc<SpillDir>,
}

/// Computes the partitions of a pipeline and keeps them.
///
/// # Errors
///
/// As [`super::write`]; [`crate::Error::Io`] if rows must be spilled and cannot.
pub fn keep(physical: &Physical, context: &Context) -> Result<Kept> {
    let (kept, sheet) = keep_for(physical, context)?;
    Ok(Kept {
        report: sheet.publish()?,
        ..kept
    })
}

/// Keeps the partitions of a pipeline for a run behind it, which publishes its sheet.
pub(super) fn keep_for(physical: &Physical, context: &Context) -> Result<(Kept, Sheet)> {
    let settings = &context.settings;
    let spill_dir = Arc::new(SpillDir::new(&settings.spill_dir, settings.spill_limit));
    let (rows, last, mut sheet) = keep_all(physical, context, &spill_dir)?;
    sheet.report.spilled_bytes += spill_dir.written();
    sheet.report.spilled_runs += spill_dir.runs();
    let kept = Kept {
        parts: rows.parts,
        last,
        rows: rows.rows,
        bytes: rows.bytes,
        report: RunReport::default(),
        _reservation: rows.kept,
        _spill_dir: spill_dir,
    };
    Ok((kept, sheet))
}

impl Kept {
    /// The columns of all rows.
    ///
    /// # Errors
    ///
    /// None that can happen: the run has ended.
    pub fn schema(&self) -> Result<SchemaRef> {
        self.last.output()
    }

    /// Partitions.
    pub fn n_partitions(&self) -> usize {
        self.parts.len()
    }

    /// The rows of a partition, a batch at a time; the frame is kept as long.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] for a partition that there is not. The batches are
    /// errors if they were spilled and cannot be read.
    pub fn read(
        self: &Arc<Self>,
        idx: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + Send>> {
        let n_runs = match self.parts.get(idx) {
            Some(part) => part.len(),
            None => return Err(Error::internal(format!("no partition {idx} is kept"))),
        };
        let kept = Arc::clone(self);
        Ok(Box::new((0..n_runs).flat_map(move |run| {
            let run = &kept.parts[idx][run];
            let batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match &run.rows {
                KeptRows::Memory(batches) => Box::new(batches.clone().into_iter().map(Ok)),
                KeptRows::Disk(file) => match file.read_again() {
                    Ok(reader) => Box::new(reader),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                },
            };
            let (kept, schema) = (Arc::clone(&kept), run.schema.clone());
            batches.map(move |batch| kept.last.finish(&batch?, &schema))
        })))
    }
}
