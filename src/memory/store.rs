//! Rows that must wait until something is known of all of them.
//!
//! In:  batches in order, of schemas that may widen as they come.
//! Out: the same batches in the same order, once, or as often as they are asked for.
//!
//! What the budget refuses goes to spill files. The order is that of arrival
//! whether rows waited in memory or on disk, so the budget changes no result.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::budget::{Budget, HeldBuffers, Reservation, held_bytes_each};
use super::spill::{SpillDir, SpillFile, SpillReader};
use crate::error::Result;
use crate::partition::batch_bytes;

/// A run of rows that wait, in memory or on disk.
enum Run {
    Memory(Vec<RecordBatch>),
    /// So many batches.
    Disk(SpillFile, u64),
}

/// Holds batches under a budget and gives them back in order.
pub struct RowStore {
    spill_dir: Arc<SpillDir>,
    reservation: Reservation,
    /// What is in memory: batches may be slices of one.
    buffers: HeldBuffers,
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
            buffers: HeldBuffers::default(),
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
        let held = self.buffers.add(&batch);
        let schema_changed = self
            .open
            .last()
            .is_some_and(|last| last.schema() != batch.schema());
        if schema_changed {
            self.end_run();
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
        self.end_run();
        for run in &mut self.runs {
            if let Run::Memory(batches) = run
                && let Some(first) = batches.first()
            {
                let mut writer = self.spill_dir.create(&first.schema())?;
                for batch in batches.iter() {
                    writer.write(batch)?;
                }
                tracing::debug!(batches = batches.len(), "spilled");
                *run = Run::Disk(writer.finish()?, batches.len() as u64);
            }
        }
        self.buffers = HeldBuffers::default();
        self.reservation.resize_anyway(0);
        Ok(())
    }

    /// Lets the next batch begin a run of its own.
    pub fn end_run(&mut self) {
        if !self.open.is_empty() {
            let open = std::mem::take(&mut self.open);
            self.runs.push_back(Run::Memory(open));
        }
    }

    /// The rows, to be read more than once, run by run.
    pub fn kept(mut self) -> KeptRows {
        self.end_run();
        let mut before = 0;
        let runs = self.runs.into_iter().map(|run| {
            let first = before;
            let (run, batches) = match run {
                Run::Memory(batches) => {
                    let n_batches = batches.len() as u64;
                    (KeptRun::Memory(batches), n_batches)
                }
                Run::Disk(file, n_batches) => (KeptRun::Disk(Arc::new(file)), n_batches),
            };
            before += batches;
            (first, run)
        });
        KeptRows {
            runs: runs.collect(),
            rows: self.rows,
            bytes: self.bytes,
            _reservation: self.reservation,
        }
    }

    /// The rows, in order. Each leaves memory or disk as it is taken.
    pub fn replay(mut self) -> Replay {
        self.end_run();
        let in_memory = self.runs.iter().filter_map(|run| match run {
            Run::Memory(batches) => Some(batches),
            Run::Disk(..) => None,
        });
        let in_memory: Vec<&RecordBatch> = in_memory.flatten().collect();
        Replay {
            given_back: held_bytes_each(in_memory.into_iter()).into(),
            runs: self.runs,
            current: Current::None,
            reservation: self.reservation,
        }
    }
}

/// The rows of a [`RowStore`], to be read more than once.
pub struct KeptRows {
    /// Each with the number of batches before it.
    runs: Vec<(u64, KeptRun)>,
    /// Rows in all.
    pub rows: u64,
    /// Logical bytes in all.
    pub bytes: u64,
    /// Of what is in memory.
    _reservation: Reservation,
}

enum KeptRun {
    Memory(Vec<RecordBatch>),
    Disk(Arc<SpillFile>),
}

impl KeptRows {
    /// How many batches stand before each run.
    pub fn firsts(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().map(|(first, _)| *first)
    }

    /// The batches of a run, in order.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Io`] if they were spilled and cannot be read.
    pub fn read(&self, run: usize) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + Send>> {
        Ok(match self.runs.get(run) {
            Some((_, KeptRun::Memory(batches))) => Box::new(batches.clone().into_iter().map(Ok)),
            Some((_, KeptRun::Disk(file))) => Box::new(file.read_again()?),
            None => Box::new(std::iter::empty()),
        })
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
    /// What each of the batches in memory was the last to hold.
    given_back: VecDeque<u64>,
}

impl Iterator for Replay {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match &mut self.current {
                Current::Memory(batches) => {
                    if let Some(batch) = batches.next() {
                        let given_back = self.given_back.pop_front().unwrap_or(0);
                        let left = self.reservation.bytes().saturating_sub(given_back);
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
                Run::Disk(file, _) => match file.read() {
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
            let kept = store.kept();
            for _ in 0..2 {
                let runs = (0..kept.firsts().count()).map(|run| kept.read(run).unwrap());
                let back: Vec<_> = runs.flatten().map(Result::unwrap).collect();
                assert_eq!(back, (0..60).map(batch).collect::<Vec<_>>(), "{limit}");
            }
            drop(kept);
            assert_eq!(budget.used(), 0);
            let mut store = RowStore::new(&budget, 0, Arc::clone(&spill_dir));
            (0..60).for_each(|n| store.push(batch(n)).unwrap());
            let back: Vec<_> = store.replay().map(Result::unwrap).collect();
            assert_eq!(back, (0..60).map(batch).collect::<Vec<_>>(), "{limit}");
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn slices_of_one_batch_hold_its_memory_once() {
        let parent = tempfile::tempdir().unwrap();
        let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
        let whole: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        let whole = RecordBatch::try_from_iter([("n", whole)]).unwrap();
        let budget = Budget::new(ByteSize::new(10_000));
        let mut store = RowStore::new(&budget, 0, Arc::clone(&spill_dir));
        for start in (0..1000).step_by(10) {
            store.push(whole.slice(start, 10)).unwrap();
        }
        assert_eq!((spill_dir.written(), budget.used()), (0, 8_000));
        let mut replay = store.replay();
        for start in (0..1000).step_by(10) {
            assert_eq!(budget.used(), 8_000);
            assert_eq!(replay.next().unwrap().unwrap(), whole.slice(start, 10));
        }
        assert_eq!(budget.used(), 0);
        assert!(replay.next().is_none());
    }
}
