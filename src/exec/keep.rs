//! Rows that a frame keeps, to be read again and again.
//!
//! In:  a pipeline.
//! Out: its partitions, in memory and, past the budget, on disk; dropping the
//!      last frame that has them frees both.
//!
//! What is kept counts against the budget: half of it at most is memory, and
//! runs have as much less.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::output::Part;
use super::report::RunReport;
use super::run::{Context, each_part};
use super::schema::RunSchema;
use super::sheet::{Front, Sheet};
use crate::error::Result;
use crate::memory::{Reservation, SpillDir, SpillFile, held_bytes};
use crate::partition::batch_bytes;
use crate::plan::Physical;

/// Partitions that were computed.
pub struct Kept {
    parts: Vec<KeptPart>,
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
    _spill_dir: SpillDir,
}

struct KeptPart {
    rows: Rows,
    /// What the run looked like when it was made.
    schema: RunSchema,
}

enum Rows {
    Memory(Vec<RecordBatch>),
    Disk(Arc<SpillFile>),
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
    let spill_dir = SpillDir::new(&settings.spill_dir, settings.spill_limit);
    let mut reservation = context.kept.open();
    let mut parts = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    let (last, mut sheet) = each_part(physical, context, &Front::default(), &mut |part: Part| {
        rows += part
            .batches
            .iter()
            .map(|batch| batch.num_rows() as u64)
            .sum::<u64>();
        bytes += part.batches.iter().map(batch_bytes).sum::<u64>();
        let held: u64 = part.batches.iter().map(held_bytes).sum();
        let kept = if reservation.try_resize(reservation.bytes() + held) {
            Rows::Memory(part.batches)
        } else {
            Rows::Disk(Arc::new(spilled(&spill_dir, &part.batches)?))
        };
        parts.push(KeptPart {
            rows: kept,
            schema: part.schema,
        });
        Ok(ControlFlow::Continue(()))
    })?;
    sheet.report.spilled_bytes += spill_dir.written();
    let kept = Kept {
        parts,
        last,
        rows,
        bytes,
        report: RunReport::default(),
        _reservation: reservation,
        _spill_dir: spill_dir,
    };
    Ok((kept, sheet))
}

fn spilled(dir: &SpillDir, batches: &[RecordBatch]) -> Result<SpillFile> {
    let schema = batches.first().map(RecordBatch::schema).unwrap_or_else(|| {
        // No partition is empty.
        Arc::new(arrow_schema::Schema::empty())
    });
    let mut writer = dir.create(&schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
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

    /// The rows of a partition.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Io`] if they were spilled and cannot be read.
    pub fn read(&self, idx: usize) -> Result<Vec<RecordBatch>> {
        let part = &self.parts[idx];
        let finish = |batch: &RecordBatch| self.last.finish(batch, &part.schema);
        match &part.rows {
            Rows::Memory(batches) => batches.iter().map(finish).collect(),
            Rows::Disk(file) => file.read_again()?.map(|batch| finish(&batch?)).collect(),
        }
    }
}
