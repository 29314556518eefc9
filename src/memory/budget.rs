//! The budget of a run.
//!
//! In:  how many bytes may be held at once.
//! Out: reservations, which give back what they took when dropped.
//!
//! Always: the sum of reservations is at most the limit, but for what
//! [`Budget::reserve_anyway`] takes for work that cannot be put off.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_data::ArrayData;

use super::freed::Freed;
use crate::error::Error;
use crate::size::ByteSize;

/// Bytes that may be held, shared by everybody in a run. Clones share.
#[derive(Debug, Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
    freed: Freed,
}

impl Budget {
    /// A budget of which nothing is used.
    pub fn new(limit: ByteSize) -> Self {
        Budget {
            inner: Arc::new(Inner {
                limit: limit.bytes(),
                used: AtomicU64::new(0),
                peak: AtomicU64::new(0),
                freed: Freed::under(limit),
            }),
        }
    }

    /// The limit.
    pub fn limit(&self) -> ByteSize {
        ByteSize::new(self.inner.limit)
    }

    /// Bytes reserved now.
    pub fn used(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }

    /// The most bytes that were ever reserved at once.
    pub fn peak(&self) -> u64 {
        self.inner.peak.load(Ordering::Relaxed)
    }

    /// A reservation of nothing yet, to be resized.
    pub fn open(&self) -> Reservation {
        self.open_leaving(0)
    }

    /// A reservation that is refused what would leave less than `room` bytes to others.
    pub fn open_leaving(&self, room: u64) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
            room,
        }
    }

    /// Refuses a batch of so many rows that no cut of it would fit if it were alone:
    /// it could go to disk, but nobody could hold a row of it to read it back.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`], whose operator [`Error::asked_by`] names.
    pub(crate) fn takes(&self, rows: u64, bytes: u64) -> Result<(), Error> {
        if bytes / rows.max(1) <= self.inner.limit {
            return Ok(());
        }
        let cure = "raise --memory: not even one row of a batch fits";
        Err(self.open().refused(Error::NOBODY, bytes, cure))
    }

    /// Notes that bytes were freed which nobody had reserved, so that the allocator
    /// lets go of them too.
    pub(crate) fn note_freed(&self, bytes: u64) {
        self.inner.freed.add(bytes);
    }

    fn try_take(&self, bytes: u64, room: u64) -> bool {
        let taken = self
            .inner
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes)
                    .filter(|used| used.saturating_add(room) <= self.inner.limit)
            });
        if let Ok(before) = taken {
            self.inner.peak.fetch_max(before + bytes, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    fn take_anyway(&self, bytes: u64) {
        let before = self.inner.used.fetch_add(bytes, Ordering::Relaxed);
        self.inner.peak.fetch_max(before + bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: u64) {
        self.inner.used.fetch_sub(bytes, Ordering::Relaxed);
        self.inner.freed.add(bytes);
    }
}

/// Bytes taken from a [`Budget`]; dropping gives them back.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: u64,
    /// Bytes of the budget that stay free for others.
    room: u64,
}

impl Reservation {
    /// Bytes held now.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Changes what is held to `bytes`. False, and nothing changed, if the budget refuses.
    #[must_use]
    pub fn try_resize(&mut self, bytes: u64) -> bool {
        if bytes > self.bytes {
            if !self.budget.try_take(bytes - self.bytes, self.room) {
                return false;
            }
        } else {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
        true
    }

    /// A reservation of its own of `bytes` of what this one holds, or of all it holds.
    pub fn split_off(&mut self, bytes: u64) -> Reservation {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Reservation {
            budget: self.budget.clone(),
            bytes,
            room: self.room,
        }
    }

    /// The error of an operator that was refused `wanted` bytes and has nothing to spill.
    pub(crate) fn refused(&self, operator: &'static str, wanted: u64, cure: &str) -> Error {
        Error::Memory {
            operator,
            wanted: ByteSize::new(wanted),
            limit: self.budget.limit(),
            cure: cure.to_owned(),
        }
    }

    /// Changes what is held to `bytes`, over the limit if need be: for work that is
    /// bounded by construction and must go on so that others can give back.
    pub fn resize_anyway(&mut self, bytes: u64) {
        if bytes > self.bytes {
            self.budget.take_anyway(bytes - self.bytes);
        } else {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// Bytes of memory that a batch keeps alive, each buffer counted once.
pub(crate) fn held_bytes(batch: &RecordBatch) -> u64 {
    Buffers::of(batch.columns()).bytes()
}

/// The buffers that some columns keep alive, each once: where it lies and how large it is.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Vec<(usize, usize)>);

impl Buffers {
    /// Those of columns, whether of one batch or of several.
    pub(crate) fn of<'a>(columns: impl IntoIterator<Item = &'a ArrayRef>) -> Self {
        let mut buffers = Vec::new();
        for column in columns {
            collect_buffers(&column.to_data(), &mut buffers);
        }
        buffers.sort_unstable();
        buffers.dedup();
        Buffers(buffers)
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, capacity)| *capacity as u64).sum()
    }
}

/// Buffers of batches that are held together: slices of one batch share theirs.
#[derive(Debug, Default)]
pub(crate) struct HeldBuffers {
    /// How many of those that are held have each.
    holders: HashMap<(usize, usize), u64>,
}

impl HeldBuffers {
    /// Bytes that one more batch, which is held from now on, adds to those before.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> u64 {
        self.add_columns(batch.columns())
    }

    /// Bytes that one more batch would add.
    pub(crate) fn more_of(&self, batch: &RecordBatch) -> u64 {
        let buffers = Buffers::of(batch.columns()).0.into_iter();
        let new = buffers.filter(|buffer| !self.holders.contains_key(buffer));
        new.map(|(_, capacity)| capacity as u64).sum()
    }

    /// As [`add`](Self::add), of columns that are no batch.
    pub(crate) fn add_columns<'a>(
        &mut self,
        columns: impl IntoIterator<Item = &'a ArrayRef>,
    ) -> u64 {
        self.take(&Buffers::of(columns))
    }

    /// As [`add`](Self::add), of buffers that are known.
    pub(crate) fn take(&mut self, buffers: &Buffers) -> u64 {
        let mut added = 0;
        for buffer in &buffers.0 {
            let holders = self.holders.entry(*buffer).or_default();
            *holders += 1;
            if *holders == 1 {
                added += buffer.1 as u64;
            }
        }
        added
    }

    /// Bytes that go with buffers which were taken, and which one holder less has now.
    pub(crate) fn give_back(&mut self, buffers: &Buffers) -> u64 {
        let mut freed = 0;
        for buffer in &buffers.0 {
            if let Some(holders) = self.holders.get_mut(buffer) {
                *holders -= 1;
                if *holders == 0 {
                    self.holders.remove(buffer);
                    freed += buffer.1 as u64;
                }
            }
        }
        freed
    }
}

/// Bytes of memory that each of some batches keeps alive, a buffer counted once
/// for the last that has it.
pub(crate) fn held_bytes_each<'a>(
    batches: impl DoubleEndedIterator<Item = &'a RecordBatch>,
) -> Vec<u64> {
    let mut counted: HashSet<(usize, usize)> = HashSet::new();
    let mut each: Vec<u64> = batches
        .rev()
        .map(|batch| {
            let buffers = Buffers::of(batch.columns()).0.into_iter();
            let new = buffers.filter(|buffer| counted.insert(*buffer));
            new.map(|(_, capacity)| capacity as u64).sum()
        })
        .collect();
    each.reverse();
    each
}

fn collect_buffers(data: &ArrayData, seen: &mut Vec<(usize, usize)>) {
    for buffer in data.buffers() {
        seen.push((buffer.data_ptr().as_ptr() as usize, buffer.capacity()));
    }
    if let Some(nulls) = data.nulls() {
        let buffer = nulls.buffer();
        seen.push((buffer.data_ptr().as_ptr() as usize, buffer.capacity()));
    }
    for child in data.child_data() {
        collect_buffers(child, seen);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;

    use super::*;

    #[test]
    fn a_budget_refuses_what_is_over_and_takes_back_what_is_dropped() {
        let budget = Budget::new(ByteSize::new(100));
        let mut first = budget.open();
        let mut second = budget.open();
        assert!(first.try_resize(60));
        assert!(!second.try_resize(41));
        assert_eq!((budget.used(), second.bytes()), (60, 0));
        assert!(second.try_resize(40));
        drop(first);
        assert_eq!((budget.used(), budget.peak()), (40, 100));
        second.resize_anyway(150);
        assert_eq!(budget.peak(), 150);
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_leaves_room_for_others_is_refused_sooner() {
        let budget = Budget::new(ByteSize::new(100));
        let mut store = budget.open_leaving(30);
        assert!(store.try_resize(70));
        assert!(!store.try_resize(71));
        let mut other = budget.open();
        assert!(other.try_resize(30));
        assert!(!store.try_resize(71));
    }

    #[test]
    fn slices_of_one_array_hold_its_buffer_once() {
        let whole: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        let batch =
            RecordBatch::try_from_iter([("a", whole.slice(0, 10)), ("b", whole.slice(500, 10))])
                .unwrap();
        let held = held_bytes(&batch);
        assert!((8000..9000).contains(&held), "{held}");
        let parts = [batch.slice(0, 5), batch.slice(5, 5)];
        assert_eq!(held_bytes_each(parts.iter()), [0, held]);
        let mut together = HeldBuffers::default();
        assert_eq!(parts.each_ref().map(|part| together.add(part)), [held, 0]);
        let buffers = parts.each_ref().map(|part| Buffers::of(part.columns()));
        assert_eq!(
            buffers.each_ref().map(|part| together.give_back(part)),
            [0, held]
        );
        assert_eq!(together.add(&parts[1]), held);
    }
}
