//! Rows, of all partitions or of one, or their number and size, for the caller.

use arrow_array::RecordBatch;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, HeldBuffers, Reservation};
use crate::partition::{Cut, Cutter, PartitionSize, batch_bytes};

/// Counts rows.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub rows: u64,
}

impl Output for Count {
    fn push(&mut self, rows: Rows, _schema: &RunSchema) -> Result<Vec<Group>> {
        self.rows += rows.batch.num_rows() as u64;
        Ok(Vec::new())
    }
}

/// Measures partitions.
#[derive(Debug)]
pub(crate) struct Sizes {
    cutter: Cutter,
    pub sizes: Vec<PartitionSize>,
}

impl Sizes {
    pub fn new(cut: Cut) -> Self {
        Sizes {
            cutter: Cutter::new(cut),
            sizes: Vec::new(),
        }
    }
}

impl Output for Sizes {
    fn end_unit(&mut self) {
        self.cutter.end_partition();
    }

    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        // Under the run's schema: which one a chunk was decoded under is a matter of timing.
        let batch = schema.finish(&rows.batch, &rows.from)?;
        for piece in self.cutter.push(&batch, rows.text_bytes) {
            if piece.partition_idx == self.sizes.len() as u64 {
                self.sizes.push(PartitionSize {
                    path: format!("partition {}", piece.partition_idx),
                    rows: 0,
                    bytes: 0,
                    stored_bytes: 0,
                });
            }
            if let Some(size) = self.sizes.last_mut() {
                size.rows += piece.batch.num_rows() as u64;
                size.bytes += batch_bytes(&piece.batch);
            }
        }
        Ok(Vec::new())
    }
}

/// Rows of one partition.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub batches: Vec<(RecordBatch, RunSchema)>,
}

/// Keeps rows in memory, by partition.
pub(crate) struct Collect {
    cutter: Cutter,
    pub partitions: Vec<Partition>,
    held: HeldBuffers,
    reservation: Reservation,
}

impl Collect {
    pub fn new(cut: Cut, budget: &Budget) -> Self {
        Collect {
            cutter: Cutter::new(cut),
            partitions: Vec::new(),
            held: HeldBuffers::default(),
            reservation: budget.open(),
        }
    }
}

impl Output for Collect {
    fn end_unit(&mut self) {
        self.cutter.end_partition();
    }

    fn push(&mut self, rows: Rows, _schema: &RunSchema) -> Result<Vec<Group>> {
        let wanted = self.reservation.bytes() + self.held.add(&rows.batch);
        if !self.reservation.try_resize(wanted) {
            return Err(self.reservation.refused(
                "compute",
                wanted,
                "raise --memory, or write the rows to files instead of collecting them",
            ));
        }
        for piece in self.cutter.push(&rows.batch, rows.text_bytes) {
            if piece.partition_idx == self.partitions.len() as u64 {
                self.partitions.push(Partition::default());
            }
            if let Some(partition) = self.partitions.last_mut() {
                partition.batches.push((piece.batch, rows.from.clone()));
            }
        }
        Ok(Vec::new())
    }
}

/// Keeps the rows of one partition in memory.
pub(crate) struct Pick {
    cutter: Cutter,
    idx: u64,
    /// Partitions so far.
    pub seen: usize,
    pub partition: Partition,
    held: HeldBuffers,
    reservation: Reservation,
}

impl Pick {
    pub fn new(idx: usize, cut: Cut, budget: &Budget) -> Self {
        Pick {
            cutter: Cutter::new(cut),
            idx: idx as u64,
            seen: 0,
            partition: Partition::default(),
            held: HeldBuffers::default(),
            reservation: budget.open(),
        }
    }
}

impl Output for Pick {
    fn end_unit(&mut self) {
        self.cutter.end_partition();
    }

    fn is_done(&self) -> bool {
        self.seen as u64 > self.idx + 1
    }

    fn push(&mut self, rows: Rows, _schema: &RunSchema) -> Result<Vec<Group>> {
        for piece in self.cutter.push(&rows.batch, rows.text_bytes) {
            self.seen = piece.partition_idx as usize + 1;
            if piece.partition_idx != self.idx {
                continue;
            }
            let wanted = self.reservation.bytes() + self.held.add(&piece.batch);
            if !self.reservation.try_resize(wanted) {
                let cure = "raise --memory, or repartition into smaller partitions first";
                return Err(self.reservation.refused("a partition", wanted, cure));
            }
            self.partition
                .batches
                .push((piece.batch, rows.from.clone()));
        }
        Ok(Vec::new())
    }
}
