//! Windows by key, whose states do not fit: bucket by bucket.
//!
//! In:  what windows look at, of rows in order, with the places of these.
//! Out: the columns of windows, of the rows of each bucket in order.
//!
//! What each bucket may come to hold is known from its rows: those that hold little
//! are worked by all threads, each that may hold much by one, beside no other.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch};

use super::Room;
use super::by_place::ByPlaces;
use crate::error::Result;
use crate::exec::output::room_beside;
use crate::expr::hash_rows;
use crate::memory::Reservation;
use crate::ops::window::Windows;
use crate::shuffle::{Bucket, Buckets, bucket_of, split};

/// Into how many buckets rows are cut at least and at most, and groups that each
/// should go on with: a table of a few costs as much as one of these.
const LEAST_PARTS: u64 = 4;
const MOST_PARTS: u64 = 64;
const PART_GROUPS: u64 = 16;

/// Stretches that hashes are told apart into at most.
const MOST_STRETCHES: u64 = 1 << 24;

/// The share of the budget that one group may take, which nothing cuts, also
/// where others have the rest.
const GROUP_SHARE: u64 = 2;

/// The share of the budget that buckets which are worked at the same time may have
/// rows and states of: states of all their rows may take more than these.
const BESIDE_SHARE: u64 = 4;

/// A stretch of hashes: of `of` even ones that follow each other, number `idx`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashes {
    idx: u64,
    of: u64,
}

impl Hashes {
    pub const ALL: Hashes = Hashes { idx: 0, of: 1 };

    /// How many parts it is cut into, if that many groups are known.
    pub fn n_parts(n_groups: u64) -> u64 {
        let wanted = n_groups.div_ceil(PART_GROUPS).next_power_of_two();
        wanted.clamp(LEAST_PARTS, MOST_PARTS)
    }

    /// One of so many parts.
    pub fn part(self, idx: usize, n_parts: usize) -> Hashes {
        Hashes {
            idx: self.idx * n_parts as u64 + idx as u64,
            of: self.of * n_parts as u64,
        }
    }

    /// Whether it may be cut any further.
    pub fn may_be_cut(self) -> bool {
        self.of < MOST_STRETCHES
    }

    /// The part that each row with such a hash lies in.
    pub fn parts_of(self, keys: &[ArrayRef], n_parts: usize) -> Result<Vec<u32>> {
        let first = self.idx * n_parts as u64;
        let of = self.of as usize * n_parts;
        let hashes = hash_rows(keys)?.into_iter();
        let part = |hash| (u64::from(bucket_of(hash, of)) - first) as u32;
        Ok(hashes.map(part).collect())
    }
}

/// Windows by the same keys, whose rows wait in buckets.
pub(super) struct ByKey {
    /// Key columns of the rows, which stand first.
    n_keys: usize,
    hashes: Hashes,
    /// Windows that have seen nothing.
    anew: Windows,
    /// Where each bucket goes on, if any of its keys came before.
    parts: Vec<Option<Windows>>,
    /// What these hold.
    held: Reservation,
    buckets: Buckets,
    room: Room,
}

impl ByKey {
    /// Cuts windows by their first `n_keys` columns; their groups have such hashes.
    ///
    /// # Errors
    ///
    /// As [`Windows::split`].
    pub fn new(windows: Windows, n_keys: usize, hashes: Hashes, room: &Room) -> Result<Self> {
        let anew = windows.anew()?;
        let n_groups = windows.n_groups();
        let (n_parts, part_of) = match n_keys {
            0 => (1, vec![0; n_groups]),
            _ => {
                let n_parts = Hashes::n_parts(n_groups as u64) as usize;
                (n_parts, hashes.parts_of(&windows.known()?, n_parts)?)
            }
        };
        let parts = windows.split(&part_of, n_parts)?;
        let mut held = room.budget.open();
        held.resize_anyway(parts.iter().flatten().map(Windows::bytes).sum());
        let (budget, spill_dir) = (&room.budget, Arc::clone(&room.spill_dir));
        Ok(ByKey {
            n_keys,
            hashes,
            anew,
            parts,
            held,
            buckets: Buckets::new(n_parts, budget, room_beside(budget), spill_dir),
            room: room.clone(),
        })
    }

    /// Takes what windows look at of some rows, and last the places of these.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Io`] if rows must be spilled and cannot.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        let n_parts = self.parts.len();
        let to = match self.n_keys {
            0 => vec![0; rows.num_rows()],
            n => self.hashes.parts_of(&rows.columns()[..n], n_parts)?,
        };
        self.buckets.push(split(rows, &to, n_parts)?)
    }

    /// Logical bytes of all rows so far.
    pub fn bytes(&self) -> u64 {
        self.buckets.bytes()
    }

    /// Tells the windows of all rows; if it may, on all threads.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Memory`] if what one group holds does not fit; [`crate::Error::Io`].
    pub fn finish(self, to: &ByPlaces, on_all_threads: bool) -> Result<()> {
        let room = self.room.clone();
        let of_threads = BESIDE_SHARE * room.threads as u64;
        let at_most = room.budget.limit().bytes() / of_threads;
        let (beside, alone): (Vec<Part>, Vec<Part>) = self
            .into_parts()?
            .into_iter()
            .partition(|part| on_all_threads && part.bytes <= at_most);
        room.each_of(beside, |part| part.tell(to, false))?;
        let mut alone = alone.into_iter();
        alone.try_for_each(|part| part.tell(to, on_all_threads))
    }

    /// The buckets that have rows, each with where it goes on.
    fn into_parts(self) -> Result<Vec<Part>> {
        let mut held = self.held;
        let n_parts = self.parts.len();
        let rows: u64 = self.buckets.rows().iter().sum();
        let row_bytes = self.buckets.bytes() / rows.max(1);
        let buckets = self.buckets.finish().into_iter().zip(self.parts);
        let parts = buckets.enumerate().map(|(idx, (bucket, windows))| {
            let goes_on = windows.as_ref().map_or(0, Windows::bytes);
            Ok(Part {
                bytes: goes_on + bucket.rows() * row_bytes,
                held: held.split_off(goes_on),
                windows: match windows {
                    Some(windows) => windows,
                    None => self.anew.anew()?,
                },
                n_keys: self.n_keys,
                hashes: self.hashes.part(idx, n_parts),
                room: self.room.clone(),
                bucket,
            })
        });
        let has_rows = |part: &Result<Part>| !matches!(part, Ok(part) if part.bucket.rows() == 0);
        parts.filter(has_rows).collect()
    }
}

/// A bucket of rows, and where its windows go on.
struct Part {
    bucket: Bucket,
    windows: Windows,
    /// What these hold, until they hold it themselves.
    held: Reservation,
    /// Of the rows and of what windows hold, about.
    bytes: u64,
    n_keys: usize,
    hashes: Hashes,
    room: Room,
}

impl Part {
    /// Tells the windows of all rows. If it must be cut again, its parts may go to all threads.
    fn tell(self, to: &ByPlaces, on_all_threads: bool) -> Result<()> {
        let Part {
            n_keys,
            hashes,
            room,
            mut windows,
            ..
        } = self;
        drop(self.held);
        windows.take_from(&room.budget);
        let mut rows = self.bucket.read();
        drop(self.bucket);
        while let Some(batch) = rows.next().transpose()? {
            let places = batch.num_columns() - 1;
            let windowed = windows.push(&batch)?;
            let columns = windowed.batch.columns();
            to.push(&columns[places], &columns[places + 1..])?;
            if let Some(failed) = windowed.failed {
                let places = batch.column(places).as_primitive::<UInt64Type>();
                to.fail(places.value(failed.row), failed);
                return Ok(());
            }
            if windows.hold() {
                continue;
            }
            if n_keys == 0 || windows.n_groups() < 2 || !hashes.may_be_cut() {
                if windows.bytes() <= room.budget.limit().bytes() / GROUP_SHARE {
                    continue;
                }
                return Err(windows.refused());
            }
            let mut finer = ByKey::new(windows, n_keys, hashes, &room)?;
            for batch in rows {
                finer.push(&batch?)?;
            }
            return finer.finish(to, on_all_threads);
        }
        Ok(())
    }
}
