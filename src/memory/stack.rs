//! Rows that are looked at again from the last to the first.
//!
//! In:  batches in order.
//! Out: the same batches, the last one first.
//!
//! What the budget refuses goes to spill files. The order is the same whether
//! rows waited in memory or on disk, so the budget changes no result.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::budget::{Budget, Buffers, HeldBuffers, Reservation};
use super::spill::{Segment, SpillDir, SpillFile};
use crate::cancel::check;
use crate::error::{Error, Result};
use crate::partition::batch_bytes;

/// The share of the budget, and the most bytes, below which nothing is spilled:
/// so that others who fill the budget cannot make each batch a file of its own.
const LEAST_SPILL_SHARE: u64 = 64;
const LEAST_SPILL_BYTES: u64 = 8 << 20;

/// Holds batches under a budget and gives them back, the last one first.
pub struct RowStack {
    spill_dir: Arc<SpillDir>,
    reservation: Reservation,
    least_spill: u64,
    /// Older than all that is in memory: batches of each file, in order.
    on_disk: Vec<(Arc<SpillFile>, Vec<Segment>)>,
    in_memory: Vec<RecordBatch>,
    /// What these hold: batches may be slices of one.
    buffers: HeldBuffers,
    rows: u64,
    bytes: u64,
}

impl RowStack {
    /// An empty stack that takes from `budget`, but for `room` bytes which it
    /// leaves to others, and spills to `spill_dir`.
    pub fn new(budget: &Budget, room: u64, spill_dir: Arc<SpillDir>) -> Self {
        RowStack {
            spill_dir,
            reservation: budget.open_leaving(room),
            least_spill: (budget.limit().bytes() / LEAST_SPILL_SHARE).min(LEAST_SPILL_BYTES),
            on_disk: Vec::new(),
            in_memory: Vec::new(),
            buffers: HeldBuffers::default(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Rows that went in.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Logical bytes that went in.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps a batch, spilling what is in memory if the budget refuses.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it must spill and cannot; [`Error::Cancelled`] on the way.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        self.bytes += batch_bytes(&batch);
        let wanted = self.reservation.bytes() + self.buffers.add(&batch);
        self.in_memory.push(batch);
        if self.reservation.try_resize(wanted) {
            return Ok(());
        }
        if wanted <= self.least_spill {
            self.reservation.resize_anyway(wanted);
            return Ok(());
        }
        self.spill()
    }

    /// Moves everything in memory to disk, each batch to be read by itself.
    fn spill(&mut self) -> Result<()> {
        let mut writer = self.spill_dir.create_segments()?;
        let batches = std::mem::take(&mut self.in_memory).into_iter();
        let segments = batches.map(|batch| {
            check()?;
            writer.write(&batch.schema(), [Ok(batch)])
        });
        let segments = segments.collect::<Result<_>>()?;
        self.on_disk.push((Arc::new(writer.finish()?), segments));
        self.buffers = HeldBuffers::default();
        self.reservation.resize_anyway(0);
        Ok(())
    }

    /// The batches that are left, in the order in which they came.
    pub fn forwards(self) -> impl Iterator<Item = Result<RecordBatch>> + Send {
        let on_disk = self.on_disk.into_iter().flat_map(|(file, segments)| {
            let read = move |segment| {
                let batch = file.read_part(segment)?.next();
                batch.ok_or_else(gone)?
            };
            segments.into_iter().map(read)
        });
        let (mut reservation, mut buffers) = (self.reservation, self.buffers);
        let in_memory = self.in_memory.into_iter().map(move |batch| {
            let_go(&batch, &mut buffers, &mut reservation);
            Ok(batch)
        });
        on_disk.chain(in_memory)
    }

    /// The last batch that is left; it leaves memory or disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read back.
    pub fn pop(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(batch) = self.in_memory.pop() {
            let_go(&batch, &mut self.buffers, &mut self.reservation);
            return Ok(Some(batch));
        }
        while let Some((file, segments)) = self.on_disk.last_mut() {
            let Some(segment) = segments.pop() else {
                self.on_disk.pop();
                continue;
            };
            let batch = file.read_part(segment)?.next();
            return batch.ok_or_else(gone)?.map(Some);
        }
        Ok(None)
    }
}

impl Iterator for RowStack {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pop().transpose()
    }
}

/// Gives back what a batch was the last to hold.
fn let_go(batch: &RecordBatch, buffers: &mut HeldBuffers, reservation: &mut Reservation) {
    let freed = buffers.give_back(&Buffers::of(batch.columns()));
    reservation.resize_anyway(reservation.bytes().saturating_sub(freed));
}

fn gone() -> Error {
    Error::internal("a spilled batch is gone")
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::size::ByteSize;

    fn batch(n: i64) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(n * 50..(n + 1) * 50));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[test]
    fn rows_come_back_the_last_first_at_every_budget() {
        let parent = tempfile::tempdir().unwrap();
        for limit in [0, 1, 500, 4000, 10_000, 1 << 20] {
            let budget = Budget::new(ByteSize::new(limit));
            let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
            let mut stack = RowStack::new(&budget, 0, Arc::clone(&spill_dir));
            for n in 0..60 {
                stack.push(batch(n)).unwrap();
            }
            assert_eq!((stack.rows(), stack.bytes()), (3000, 24_000));
            assert_eq!(spill_dir.written() > 0, limit < 1 << 20, "{limit}");
            let back: Vec<_> = stack.by_ref().map(Result::unwrap).collect();
            assert_eq!(
                back,
                (0..60).rev().map(batch).collect::<Vec<_>>(),
                "{limit}"
            );
            assert_eq!(budget.used(), 0);
            let mut stack = RowStack::new(&budget, 0, Arc::clone(&spill_dir));
            (0..60).for_each(|n| stack.push(batch(n)).unwrap());
            assert_eq!(stack.pop().unwrap(), Some(batch(59)));
            let left: Vec<_> = stack.forwards().map(Result::unwrap).collect();
            assert_eq!(left, (0..59).map(batch).collect::<Vec<_>>(), "{limit}");
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
        let mut stack = RowStack::new(&budget, 0, Arc::clone(&spill_dir));
        for start in (0..1000).step_by(10) {
            stack.push(whole.slice(start, 10)).unwrap();
        }
        assert_eq!((spill_dir.written(), budget.used()), (0, 8_000));
        for start in (0..1000).step_by(10).rev() {
            assert_eq!(budget.used(), 8_000);
            assert_eq!(stack.pop().unwrap(), Some(whole.slice(start, 10)));
        }
        assert_eq!(budget.used(), 0);
    }
}
