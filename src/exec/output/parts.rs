//! Rows, partition by partition, to a closure.

use std::ops::ControlFlow;

use arrow_array::RecordBatch;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::exec::sheet::Front;
use crate::memory::{Budget, HeldBuffers, Reservation};
use crate::partition::{Cut, Cutter};

/// The rows of one partition, all columns of the run, under one schema.
pub(crate) struct Part {
    pub idx: usize,
    pub batches: Vec<RecordBatch>,
    /// What the run looked like when the partition ended.
    pub schema: RunSchema,
}

/// What is called with each partition, in order, until it breaks: then it did not take that one.
pub(crate) type EachPart<'a> = dyn FnMut(Part) -> Result<ControlFlow<()>> + Send + 'a;

/// Holds the open partition and hands it over once it ends.
pub(crate) struct Parts<'a, 'b> {
    each: &'a mut EachPart<'b>,
    cutter: Cutter,
    idx: u64,
    open: Vec<(RecordBatch, RunSchema)>,
    reservation: Reservation,
    /// What the open partition holds: batches may be slices of one.
    buffers: HeldBuffers,
    /// Who may have enough of the partitions.
    front: Front,
    /// Whether `each` has broken.
    over: bool,
    rows_taken: u64,
}

impl<'a, 'b> Parts<'a, 'b> {
    pub fn new(cut: Cut, budget: &Budget, front: Front, each: &'a mut EachPart<'b>) -> Self {
        Parts {
            front,
            over: false,
            rows_taken: 0,
            each,
            cutter: Cutter::new(cut),
            idx: 0,
            open: Vec::new(),
            reservation: budget.open(),
            buffers: HeldBuffers::default(),
        }
    }

    /// Rows of the partitions that were taken.
    pub fn rows_taken(&self) -> u64 {
        self.rows_taken
    }

    fn hand_over(&mut self, schema: &RunSchema) -> Result<()> {
        let open = std::mem::take(&mut self.open);
        if open.is_empty() || self.is_done() {
            return Ok(());
        }
        let batches = open
            .iter()
            .map(|(batch, from)| schema.conform(batch, from))
            .collect::<Result<Vec<_>>>()?;
        self.reservation.resize_anyway(0);
        self.buffers = HeldBuffers::default();
        let rows: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let part = Part {
            idx: self.idx as usize,
            batches,
            schema: schema.clone(),
        };
        match (self.each)(part)? {
            ControlFlow::Continue(()) => self.rows_taken += rows,
            ControlFlow::Break(()) => self.over = true,
        }
        Ok(())
    }
}

impl Output for Parts<'_, '_> {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        for piece in self.cutter.push(&rows.batch, rows.text_bytes) {
            if piece.partition_idx != self.idx {
                self.hand_over(schema)?;
                self.idx = piece.partition_idx;
            }
            let wanted = self.reservation.bytes() + self.buffers.add(&piece.batch);
            if !self.reservation.try_resize(wanted) {
                let cure =
                    "raise --memory, or repartition into smaller partitions before this step";
                return Err(self.reservation.refused("a partition", wanted, cure));
            }
            self.open.push((piece.batch, rows.from.clone()));
        }
        Ok(Vec::new())
    }

    fn end_unit(&mut self) {
        self.cutter.end_partition();
    }

    fn is_done(&self) -> bool {
        self.over || self.front.is_dismissed()
    }

    fn finish(&mut self, schema: &RunSchema) -> Result<Vec<Group>> {
        self.hand_over(schema)?;
        Ok(Vec::new())
    }
}
