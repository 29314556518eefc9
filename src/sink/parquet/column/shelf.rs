//! Room that a thread keeps for the columns to come.
//!
//! In:  vectors that are done with.
//! Out: the same room, empty, for vectors of the same type.
//!
//! A column of a row group takes megabytes for an instant: its values, their
//! levels, the keys of its dictionary. Given back to the allocator they come
//! again as fresh memory, which the kernel clears page by page; that was a
//! twentieth of a conversion.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

use super::dictionary::Ends;

/// Vectors of one type that a thread keeps at most: a list has a few leaves at once.
const KEPT: usize = 4;

/// Bytes that a thread keeps at most, of all types; what is more goes back to the allocator.
const KEPT_BYTES: usize = 16 << 20;

thread_local! {
    /// Bytes on the shelves of this thread.
    static ON_SHELVES: Cell<usize> = const { Cell::new(0) };
}

/// A type of which threads keep vectors.
pub(crate) trait Shelved: Sized {
    /// What is kept: the same type, without a lifetime.
    type Kept: 'static;

    fn shelf() -> &'static LocalKey<RefCell<Vec<Vec<Self::Kept>>>>;

    /// Room, as a vector of this type. It is empty, before and after.
    fn lent(room: Vec<Self::Kept>) -> Vec<Self>;

    fn returned(room: Vec<Self>) -> Vec<Self::Kept>;
}

macro_rules! shelf_of {
    ($kept:ty) => {
        fn shelf() -> &'static LocalKey<RefCell<Vec<Vec<Self::Kept>>>> {
            thread_local! {
                static SHELF: RefCell<Vec<Vec<$kept>>> = const { RefCell::new(Vec::new()) };
            }
            &SHELF
        }
    };
}

macro_rules! shelved {
    ($($native:ty),*) => {$(
        impl Shelved for $native {
            type Kept = $native;

            shelf_of!($native);

            fn lent(room: Vec<Self>) -> Vec<Self> {
                room
            }

            fn returned(room: Vec<Self>) -> Vec<Self> {
                room
            }
        }
    )*};
}

shelved!(bool, u8, i32, u32, i64, u64, f32, f64, (), Ends);

impl Shelved for &[u8] {
    type Kept = &'static [u8];

    shelf_of!(&'static [u8]);

    fn lent(room: Vec<&'static [u8]>) -> Vec<Self> {
        room
    }

    fn returned(room: Vec<Self>) -> Vec<&'static [u8]> {
        // Collecting into the type that was iterated keeps the room; nothing is in it.
        room.into_iter().map(|_| -> &'static [u8] { &[] }).collect()
    }
}

/// A vector whose room goes on the shelf in the end.
#[derive(Debug)]
pub(crate) struct Shelf<T: Shelved>(Vec<T>);

impl<T: Shelved> Shelf<T> {
    /// An empty vector with room for so many.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let kept = T::shelf().with_borrow_mut(|shelf| {
            let fitting = (0..shelf.len()).filter(|at| shelf[*at].capacity() >= capacity);
            let least = fitting.min_by_key(|at| shelf[*at].capacity());
            // One that is too small makes way: growing it would copy what nobody wants.
            least.map(|at| shelf.swap_remove(at)).or_else(|| {
                take_off(&shelf.pop()?);
                None
            })
        });
        Shelf(match kept {
            Some(room) => {
                take_off(&room);
                T::lent(room)
            }
            None => Vec::with_capacity(roomy(capacity)),
        })
    }

    /// So many of the same.
    pub(super) fn filled(value: T, count: usize) -> Self
    where
        T: Clone,
    {
        let mut room = Shelf::with_capacity(count);
        room.resize(count, value);
        room
    }

    /// All that comes, which is as many as it says.
    pub(super) fn of(values: impl ExactSizeIterator<Item = T>) -> Self {
        let mut room = Shelf::with_capacity(values.len());
        room.extend(values);
        room
    }
}

/// A capacity that the next one asked for is seldom above: row groups are about
/// as large as each other, seldom just as large.
fn roomy(capacity: usize) -> usize {
    let step = (capacity / 8).next_power_of_two();
    capacity.next_multiple_of(step)
}

fn bytes_of<K>(room: &Vec<K>) -> usize {
    room.capacity() * size_of::<K>()
}

fn take_off<K>(room: &Vec<K>) {
    ON_SHELVES.set(ON_SHELVES.get().saturating_sub(bytes_of(room)));
}

impl<T: Shelved> Default for Shelf<T> {
    /// An empty vector, which takes no room until something is in it.
    fn default() -> Self {
        Shelf(Vec::new())
    }
}

impl<T: Shelved> Deref for Shelf<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Shelved> DerefMut for Shelf<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T: Shelved> Drop for Shelf<T> {
    fn drop(&mut self) {
        let mut room = std::mem::take(&mut self.0);
        let bytes = bytes_of(&room);
        if bytes == 0 {
            return;
        }
        room.clear();
        // A thread that ends has no shelf any more; then the room just goes.
        let _ = T::shelf().try_with(|shelf| {
            let mut shelf = shelf.borrow_mut();
            let on_shelves = ON_SHELVES.try_with(Cell::get).unwrap_or(KEPT_BYTES);
            if shelf.len() < KEPT && on_shelves + bytes <= KEPT_BYTES {
                ON_SHELVES.set(on_shelves + bytes);
                shelf.push(T::returned(room));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_again() {
        let texts = [String::from("a"), String::from("b")];
        let mut first: Shelf<&[u8]> = Shelf::with_capacity(1000);
        first.extend(texts.iter().map(|text| text.as_bytes()));
        let at = first.as_ptr() as usize;
        drop(first);
        drop(texts);
        let again: Shelf<&[u8]> = Shelf::with_capacity(10);
        assert!(again.is_empty());
        assert_eq!((again.as_ptr() as usize, again.capacity()), (at, 1024));
        let another: Shelf<&[u8]> = Shelf::with_capacity(10);
        assert_ne!(another.as_ptr() as usize, at);
        drop(again);
        let larger: Shelf<&[u8]> = Shelf::with_capacity(2000);
        assert!(larger.capacity() >= 2000);
        assert_eq!(ON_SHELVES.get(), 0, "the smaller one made way");
    }

    #[test]
    fn no_more_than_a_few_are_kept_and_no_large_one() {
        let large: Shelf<u64> = Shelf::with_capacity(KEPT_BYTES / 8 + 1);
        drop(large);
        assert_eq!(
            (u64::shelf().with_borrow(Vec::len), ON_SHELVES.get()),
            (0, 0)
        );
        let many: Vec<Shelf<u64>> = (0..2 * KEPT).map(|_| Shelf::with_capacity(8)).collect();
        drop(many);
        assert_eq!(u64::shelf().with_borrow(Vec::len), KEPT);
        assert_eq!(ON_SHELVES.get(), KEPT * 64);
    }
}
