//! Rows that are read more than once.
//!
//! In:  rows in input order.
//! Out: the same rows in the same partitions, once all are known.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::{Group, Output, Rows};
use crate::error::Result;
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, KeptRows, RowStore, SpillDir};
use crate::partition::{Cut, Cutter};

/// Keeps rows in memory and, past half of the budget, on disk.
pub(crate) struct Share {
    store: RowStore,
    cutter: Cutter,
    batches: u64,
    /// For each batch that begins a partition, or a wider schema: how many stand
    /// before it, its partition, and its schema.
    begun: Vec<(u64, u64, RunSchema)>,
}

impl Share {
    pub fn new(cut: Cut, budget: &Budget, spill_dir: Arc<SpillDir>) -> Self {
        Share {
            // The other half is for those who read them.
            store: RowStore::new(budget, budget.limit().bytes() / 2, spill_dir),
            cutter: Cutter::new(cut),
            batches: 0,
            begun: Vec::new(),
        }
    }

    /// The rows, in the types that all rows of the run have: those of `last`.
    pub fn shared(self, last: RunSchema) -> SharedRows {
        let rows = self.store.kept();
        let (mut partitions, mut from) = (Vec::new(), Vec::new());
        let mut open = None;
        for (run, first) in rows.firsts().enumerate() {
            // A run ends where one of these begins.
            let at = self.begun.partition_point(|(begun, ..)| *begun <= first);
            let (_, partition, schema) = &self.begun[at.saturating_sub(1)];
            if open.replace(*partition) != Some(*partition) {
                partitions.push(run);
            }
            from.push(schema.clone());
        }
        SharedRows {
            partitions,
            from,
            last,
            rows,
        }
    }
}

impl Output for Share {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        for piece in self.cutter.push(&rows.batch, rows.text_bytes) {
            let partition = piece.partition_idx;
            let goes_on = self
                .begun
                .last()
                .is_some_and(|(_, open, last)| *open == partition && last.same(schema));
            if !goes_on {
                self.store.end_run();
                self.begun.push((self.batches, partition, schema.clone()));
            }
            self.batches += 1;
            self.store.push(schema.conform(&piece.batch, &rows.from)?)?;
        }
        Ok(Vec::new())
    }

    fn end_unit(&mut self) {
        self.cutter.end_partition();
    }
}

/// Rows that were kept, by partition.
pub(crate) struct SharedRows {
    /// The first run of each.
    partitions: Vec<usize>,
    /// The schema of each run.
    from: Vec<RunSchema>,
    last: RunSchema,
    rows: KeptRows,
}

impl SharedRows {
    /// Rows, and their logical bytes.
    pub fn counted(&self) -> (u64, u64) {
        (self.rows.rows, self.rows.bytes)
    }

    pub fn n_partitions(&self) -> usize {
        self.partitions.len()
    }

    /// The batches of a partition, in order.
    pub fn read(self: Arc<Self>, partition: usize) -> impl Iterator<Item = Result<RecordBatch>> {
        let end = self.partitions.get(partition + 1).copied();
        let runs = self.partitions[partition]..end.unwrap_or(self.from.len());
        runs.flat_map(move |run| {
            let (last, from) = (self.last.clone(), self.from[run].clone());
            let batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> =
                match self.rows.read(run) {
                    Ok(batches) => Box::new(batches.map(move |batch| last.finish(&batch?, &from))),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                };
            batches
        })
    }
}
