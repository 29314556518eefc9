//! Room for pages, used again by the columns that come after.
//!
//! In:  how much a thread may keep.
//! Out: buffers with whatever they held before.
//!
//! A page takes up to a mebibyte, a row group a few of them for each column. Made
//! anew for each, they cost as much as reading what is in them: the kernel clears
//! them, and no cache holds them. What a column is done with goes to the next.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Most bytes that a thread keeps: twice what ten columns have open at once.
const KEPT_BYTES: usize = 16 << 20;

/// Larger ones go back to the system.
const MOST_BYTES: usize = 4 << 20;

#[derive(Default)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// A buffer that goes to the thread that is done with it.
#[derive(Debug, Default)]
pub(super) struct Room(Vec<u8>);

impl Room {
    /// The buffer that was given back last: a cache may still hold it.
    pub fn take() -> Self {
        // A thread that ends keeps nothing.
        let taken = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            let buffer = kept.buffers.pop().unwrap_or_default();
            kept.bytes -= buffer.capacity();
            buffer
        });
        Room(taken.unwrap_or_default())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if !(1..=MOST_BYTES).contains(&buffer.capacity()) {
            return;
        }
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.bytes + buffer.capacity() <= KEPT_BYTES {
                kept.bytes += buffer.capacity();
                kept.buffers.push(buffer);
            }
        });
    }
}

impl Deref for Room {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (usize, usize) {
        KEPT.with(|kept| {
            let kept = kept.borrow();
            (kept.buffers.len(), kept.bytes)
        })
    }

    #[test]
    fn buffers_are_kept_up_to_a_limit_and_come_back() {
        assert_eq!(kept(), (0, 0));
        let mut rooms: Vec<Room> = (0..20).map(|_| Room::take()).collect();
        rooms
            .iter_mut()
            .for_each(|room| room.reserve_exact(1 << 20));
        rooms[19].reserve_exact(MOST_BYTES + 1);
        drop(rooms);
        let (buffers, bytes) = kept();
        assert!(bytes <= KEPT_BYTES && buffers > 10, "{buffers} of {bytes}");
        let room = Room::take();
        assert!(room.capacity() >= 1 << 20);
        assert_eq!(kept(), (buffers - 1, bytes - room.capacity()));
        drop(room);
        assert_eq!(kept(), (buffers, bytes));
        drop(Room::default());
        assert_eq!(kept(), (buffers, bytes));
    }
}
