//! Rows that must wait until something is known of all of them.
//!
//! In:  batches in order, of schemas that may widen as they come.
//! Out: the same batches in the same order, once.
//!
//! What the budget refuses goes to spill files. The order is that of arrival
//! whether rows waited in memory or on disk, so the budget changes no result.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::budget::{Budget, Reservation, held_bytes};
use super::spill::{SpillDir, SpillFile, SpillReader};
use crate::error::Result;
use crate::partition::batch_bytes;

/// A run of rows that wait, in memory or on disk.
enum Run {
    Memory(Vec<RecordBatch>),
    Disk(SpillFile),
}

/// Holds batches under a budget and gives them back in order.
pub struct RowStore {
    spill_dir: Arc<SpillDir>,
    reservation: Reservation,
    runs: VecDeque<Run>,
    open: Vec<RecordBatch>,
    rows: u64,
    bytes: u64,
}

impl RowStore {
    /// An empty store that takes from `budget`, but for `room` bytes which it
    /// leaves to others, and spills to `spill_dir`.
    pub fn new(budget: &Budget, room: u64, spill_dir: Arc<SpillDir>) -> Self {
        RowStore {
            spill_dir,
            reservation: budget.open_leaving(room),
            runs: VecDeque::new(),
            open: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Rows held.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Logical bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps a batch, spilling what is held if the budget refuses.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Io`] if it must spill and cannot.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        self.bytes += batch_bytes(&batch);
        let held = held_bytes(&batch);
        let schema_changed = self
            .open
            .last()
            .is_some_and(|last| last.schema() != batch.schema());
        if schema_changed {
            self.runs
                .push_back(Run::Memory(std::mem::take(&mut self.open)));
        }
        if self.reservation.try_resize(self.reservation.bytes() + held) {
            self.open.push(batch);
            return Ok(());
        }
        self.open.push(batch);
        self.spill()
    }

    /// Moves everything in memory to disk, run by run.
    fn spill(&mut self) -> Result<()> {
        if !self.open.is_empty() {
            self.runs
                .push_back(Run::Memory(std::mem::take(&mut self.open)));
        }
        for run in &mut self.runs {
            if let Run::Memory(batches) = run
                && let Some(first) = batches.first()
            {
                let mut writer = self.spill_dir.create(&first.schema())?;
                for batch in batches.iter() {
                    writer.write(batch)?;
                }
                tracing::debug!(batches = batches.len(), "spilled");
                *run = Run::Disk(writer.finish()?);
            }
        }
        self.reservation.resize_anyway(0);
        Ok(())
    }

    /// The rows, in order. Each leaves memory or disk as it is taken.
    pub fn replay(mut self) -> Replay {
        self.runs
            .push_back(Run::Memory(std::mem::take(&mut self.open)));
        Replay {
            runs: self.runs,
            current: Current::None,
            reservation: self.reservation,
        }
    }
}

enum Current {
    None,
    Memory(std::vec::IntoIter<RecordBatch>),
    Disk(Box<SpillReader>),
}

/// The batches of a [`RowStore`], in the order in which they went in.
pub struct Replay {
    runs: VecDeque<Run>,
    current: Current,
    reservation: Reservation,
}

impl Iterator for Replay {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match &mut self.current {
                Current::Memory(batches) => {
                    if let Some(batch) = batches.next() {
                        let left = self.reservation.bytes().saturating_sub(held_bytes(&batch));
                        self.reservation.resize_anyway(left);
                        return Some(Ok(batch));
                    }
                }
                Current::Disk(reader) => {
                    if let Some(batch) = reader.next() {
                        return Some(batch);
                    }
                }
                Current::None => {}
            }
            self.current = match self.runs.pop_front()? {
                Run::Memory(batches) => Current::Memory(batches.into_iter()),
                Run::Disk(file) => match file.read() {
                    Ok(reader) => Current::Disk(Box::new(reader)),
                    Err(error) => return Some(Err(error)),
                },
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Float64Array, Int64Array};

    use super::*;
    use crate::size::ByteSize;

    fn batch(n: i64) -> RecordBatch {
        // The type changes on the way, as a widening schema's does.
        let column: ArrayRef = if n < 30 {
            Arc::new(Int64Array::from_iter_values(n * 50..(n + 1) * 50))
        } else {
            Arc::new(Float64Array::from_iter_values(
                (0..50).map(|m| (n * 50 + m) as f64 / 2.0),
            ))
        };
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[test]
    fn rows_come_back_in_order_at_every_budget() {
        let parent = tempfile::tempdir().unwrap();
        for limit in [0, 1, 500, 4000, 10_000, 1 << 20] {
            let budget = Budget::new(ByteSize::new(limit));
            let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
            let mut store = RowStore::new(&budget, 0, Arc::clone(&spill_dir));
            for n in 0..60 {
                store.push(batch(n)).unwrap();
                assert!(budget.used() <= limit);
            }
            assert_eq!((store.rows(), store.bytes()), (3000, 24_000));
            assert_eq!(spill_dir.written() > 0, limit < 1 << 20, "{limit}");
            let back: Vec<_> = store.replay().map(Result::unwrap).collect();
            assert_eq!(back, (0..60).map(batch).collect::<Vec<_>>(), "{limit}");
            assert_eq!(budget.used(), 0);
        }
    }
}
