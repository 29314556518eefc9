//! Rows that are kept, by partition.
//!
//! In:  rows in input order.
//! Out: partitions, in memory and, past the budget, on disk; no partition need fit it.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::hold::room_beside;
use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, HeldBuffers, Reservation, SpillDir, SpillFile, SpillWriter};
use crate::partition::{Cut, Cutter, batch_bytes};

/// Rows of a partition that stand together, under one schema.
pub(crate) struct KeptRun {
    pub rows: KeptRows,
    /// What the run looked like when they came.
    pub schema: RunSchema,
}

pub(crate) enum KeptRows {
    Memory(Vec<RecordBatch>),
    Disk(Arc<SpillFile>),
}

/// Keeps rows for longer than the run that reads them.
pub(crate) struct Keep {
    cutter: Cutter,
    idx: u64,
    pub parts: Vec<Vec<KeptRun>>,
    pub rows: u64,
    /// Logical bytes.
    pub bytes: u64,
    /// Of what frames may keep in memory.
    pub kept: Reservation,
    /// Of the run, as long as that lasts.
    running: Reservation,
    /// What is in memory: batches may be slices of one.
    buffers: HeldBuffers,
    spill_dir: Arc<SpillDir>,
    /// The end of the open partition, once one of its batches went to disk.
    open: Option<(SpillWriter, RunSchema)>,
}

impl Keep {
    /// Takes from `kept`, and from the budget of the run.
    pub fn new(cut: Cut, kept: &Budget, running: &Budget, spill_dir: &Arc<SpillDir>) -> Self {
        Keep {
            cutter: Cutter::new(cut),
            idx: 0,
            parts: Vec::new(),
            rows: 0,
            bytes: 0,
            kept: kept.open(),
            running: running.open_leaving(room_beside(running)),
            buffers: HeldBuffers::default(),
            spill_dir: Arc::clone(spill_dir),
            open: None,
        }
    }

    fn close(&mut self) -> Result<()> {
        if let (Some((writer, schema)), Some(part)) = (self.open.take(), self.parts.last_mut()) {
            let rows = KeptRows::Disk(Arc::new(writer.finish()?));
            part.push(KeptRun { rows, schema });
        }
        Ok(())
    }

    /// Whether a batch may stay in memory: not behind one that went to disk.
    fn fits(&mut self, batch: &RecordBatch) -> bool {
        let held = self.buffers.more_of(batch);
        if self.open.is_some() || !self.kept.try_resize(self.kept.bytes() + held) {
            return false;
        }
        let fits = self.running.try_resize(self.running.bytes() + held);
        match fits {
            true => _ = self.buffers.add(batch),
            false => self.kept.resize_anyway(self.kept.bytes() - held),
        }
        fits
    }

    fn add(&mut self, batch: RecordBatch, schema: &RunSchema) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.bytes += batch_bytes(&batch);
        if self.fits(&batch) {
            self.hold(batch, schema);
            return Ok(());
        }
        if self
            .open
            .as_ref()
            .is_some_and(|(_, under)| !under.same(schema))
        {
            self.close()?;
        }
        let (writer, _) = match &mut self.open {
            Some(open) => open,
            None => {
                let writer = self.spill_dir.create(&batch.schema())?;
                self.open.insert((writer, schema.clone()))
            }
        };
        writer.write(&batch)
    }

    fn hold(&mut self, batch: RecordBatch, schema: &RunSchema) {
        let Some(part) = self.parts.last_mut() else {
            return;
        };
        match part.last_mut() {
            Some(KeptRun {
                rows: KeptRows::Memory(batches),
                schema: under,
            }) if under.same(schema) => batches.push(batch),
            _ => part.push(KeptRun {
                rows: KeptRows::Memory(vec![batch]),
                schema: schema.clone(),
            }),
        }
    }
}

impl Output for Keep {
    fn end_unit(&mut self) {
        self.cutter.end_partition();
    }

    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        for piece in self.cutter.push(&rows.batch, rows.text_bytes) {
            if piece.batch.num_rows() == 0 {
                continue;
            }
            if piece.partition_idx != self.idx || self.parts.is_empty() {
                self.close()?;
                self.parts.push(Vec::new());
                self.idx = piece.partition_idx;
            }
            self.add(schema.conform(&piece.batch, &rows.from)?, schema)?;
        }
        Ok(Vec::new())
    }

    fn finish(&mut self, _schema: &RunSchema) -> Result<Vec<Group>> {
        self.close()?;
        Ok(Vec::new())
    }
}
