//! Rows of one folder that wait to become a row group.
//!
//! In:  pieces of batches in order, each with the schema it was decoded under.
//! Out: the same rows in order, in memory or, past the budget, on disk.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::memory::{Segment, SegmentWriter, SpillFile};

/// Batches of fewer rows than this are joined while they wait.
const SMALL_ROWS: usize = 1024;

/// So many small batches are joined at once.
const SMALL_BATCHES: usize = 64;

/// Rows that wait.
#[derive(Default)]
pub(super) struct Waiting {
    /// In front of those in memory.
    spilled: Vec<Spilled>,
    held: Vec<(RecordBatch, RunSchema)>,
    small: usize,
    pub rows: u64,
    /// Logical bytes, those on disk among them.
    pub bytes: u64,
    /// Logical bytes of what is in memory.
    pub held_bytes: u64,
}

/// Rows on disk, all under one schema.
struct Spilled {
    file: Arc<SpillFile>,
    segment: Segment,
    schema: RunSchema,
}

/// A segment whose file is not closed yet.
pub(super) struct Written {
    segment: Segment,
    schema: RunSchema,
}

impl Waiting {
    /// Adds rows of `bytes` logical bytes; many small pieces are joined under `schema`.
    pub fn push(
        &mut self,
        piece: RecordBatch,
        bytes: u64,
        from: &RunSchema,
        schema: &RunSchema,
    ) -> Result<()> {
        self.rows += piece.num_rows() as u64;
        self.bytes += bytes;
        self.held_bytes += bytes;
        self.small += usize::from(piece.num_rows() < SMALL_ROWS);
        self.held.push((piece, from.clone()));
        if self.small >= SMALL_BATCHES {
            self.join_small(schema)?;
        }
        Ok(())
    }

    /// Joins what waits, if most of it is small, so that many tiny files do
    /// not hold many tiny arrays.
    fn join_small(&mut self, schema: &RunSchema) -> Result<()> {
        self.small = 0;
        let conformed = self.conformed(schema)?;
        // Those in front were joined before, and are large by now.
        let first_small = conformed
            .iter()
            .rposition(|batch| batch.num_rows() >= SMALL_ROWS * SMALL_BATCHES)
            .map_or(0, |place| place + 1);
        let (large, small) = conformed.split_at(first_small);
        let mut joined: Vec<_> = large
            .iter()
            .map(|batch| (batch.clone(), schema.clone()))
            .collect();
        if let Some(first) = small.first() {
            let batch = concat_batches(&first.schema(), small)?;
            joined.push((batch, schema.clone()));
        }
        self.held = joined;
        Ok(())
    }

    fn conformed(&self, schema: &RunSchema) -> Result<Vec<RecordBatch>> {
        let held = self.held.iter();
        held.map(|(batch, from)| schema.conform(batch, from))
            .collect()
    }

    /// Writes what is in memory to a file. None if there is nothing.
    pub fn spill(
        &mut self,
        writer: &mut SegmentWriter,
        schema: &RunSchema,
    ) -> Result<Option<Written>> {
        let batches = self.conformed(schema)?;
        self.held.clear();
        self.small = 0;
        self.held_bytes = 0;
        let Some(first) = batches.first() else {
            return Ok(None);
        };
        let segment = writer.write(&first.schema(), batches.iter().cloned().map(Ok))?;
        let schema = schema.clone();
        Ok(Some(Written { segment, schema }))
    }

    /// What was written lies in `file`.
    pub fn lies_in(&mut self, written: Option<Written>, file: &Arc<SpillFile>) {
        self.spilled.extend(written.map(|written| Spilled {
            file: Arc::clone(file),
            segment: written.segment,
            schema: written.schema,
        }));
    }

    /// All rows in order, as `schema` shows them; none wait after it.
    pub fn take(&mut self, schema: &RunSchema) -> Result<Vec<RecordBatch>> {
        let all = std::mem::take(self);
        let mut batches = Vec::new();
        for spilled in all.spilled {
            for batch in spilled.file.read_part(spilled.segment)? {
                batches.push(schema.finish(&batch?, &spilled.schema)?);
            }
        }
        for (batch, from) in all.held {
            batches.push(schema.finish(&batch, &from)?);
        }
        Ok(batches)
    }
}
