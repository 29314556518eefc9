//! What one run hands to another, in order.
//!
//! In:  items on one thread, each with its size.
//! Out: the same items on another thread.
//!
//! The giver waits while what lies ready is large, or many, so little is held
//! between the two. What is small goes over in bulk: the taker takes all there
//! is at once, and a thread is woken for many items instead of for each.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that may lie ready beside one item.
const MOST_BYTES: u64 = 1 << 20;

/// Items that may lie ready: few, since making one may be dear and nobody may
/// want it. A thread is woken in about 10 µs, of which each then has a small share.
const MOST_ITEMS: usize = 16;

/// Two ends of a hand-over.
pub(super) fn handover<T>() -> (Giver<T>, Taker<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            ready: VecDeque::new(),
            bytes: 0,
            over: false,
            unwanted: false,
        }),
        changed: Condvar::new(),
    });
    let giver = Giver(Arc::clone(&shared));
    let taken = VecDeque::new();
    (giver, Taker { shared, taken })
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Something lies ready, or nothing any more, or one end is gone. Only one
    /// of the two can be waiting at a time.
    changed: Condvar,
}

struct State<T> {
    ready: VecDeque<T>,
    bytes: u64,
    /// Nothing more will be given.
    over: bool,
    /// Nothing more will be taken.
    unwanted: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that items go in at.
pub(super) struct Giver<T>(Arc<Shared<T>>);

impl<T> Giver<T> {
    /// Puts an item of so many bytes behind the others, once there is room.
    /// False if nobody will take it.
    pub fn give(&self, item: T, bytes: u64) -> bool {
        let mut state = self.0.lock();
        while !state.unwanted
            && !state.ready.is_empty()
            && (state.ready.len() >= MOST_ITEMS || state.bytes.saturating_add(bytes) > MOST_BYTES)
        {
            state = (self.0.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
        if state.unwanted {
            return false;
        }
        state.ready.push_back(item);
        state.bytes = state.bytes.saturating_add(bytes);
        let first = state.ready.len() == 1;
        drop(state);
        if first {
            self.0.changed.notify_one();
        }
        true
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_one();
    }
}

/// What came out of a hand-over.
pub(super) enum Taken<T> {
    Item(T),
    /// Nothing lay ready in time.
    Late,
    /// Nothing more will come.
    Over,
}

/// The end that items come out at.
pub(super) struct Taker<T> {
    shared: Arc<Shared<T>>,
    /// Taken together, and not given out yet.
    taken: VecDeque<T>,
}

impl<T> Taker<T> {
    /// The next item, if one comes within `patience`.
    pub fn take(&mut self, patience: Duration) -> Taken<T> {
        if let Some(item) = self.taken.pop_front() {
            return Taken::Item(item);
        }
        let mut state = self.shared.lock();
        if state.ready.is_empty() && !state.over {
            let waited = self.shared.changed.wait_timeout(state, patience);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut self.taken, &mut state.ready);
        state.bytes = 0;
        let over = state.over;
        drop(state);
        match self.taken.pop_front() {
            Some(item) => {
                self.shared.changed.notify_one();
                Taken::Item(item)
            }
            None if over => Taken::Over,
            None => Taken::Late,
        }
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.unwanted = true;
        state.ready.clear();
        drop(state);
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn all<T>(taker: &mut Taker<T>) -> Vec<T> {
        let next = || match taker.take(LONG) {
            Taken::Item(item) => Some(item),
            Taken::Late => panic!("nothing came for a minute"),
            Taken::Over => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn items_of_any_size_come_over_in_order() {
        for bytes in [0, 1, MOST_BYTES / 3, u64::MAX] {
            let (giver, mut taker) = handover();
            let given = std::thread::spawn(move || (0..1000).all(|item| giver.give(item, bytes)));
            assert_eq!(all(&mut taker), (0..1000).collect::<Vec<_>>());
            assert!(given.join().unwrap());
        }
    }

    #[test]
    fn what_lies_ready_is_bounded() {
        for (bytes, most) in [(0, MOST_ITEMS), (MOST_BYTES / 4, 4), (2 * MOST_BYTES, 1)] {
            let (giver, taker) = handover();
            let shared = Arc::clone(&taker.shared);
            let given = std::thread::spawn(move || (0..1000).all(|item| giver.give(item, bytes)));
            while shared.lock().ready.len() < most {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(shared.lock().ready.len(), most);
            drop(taker);
            assert!(!given.join().unwrap(), "nobody took it");
        }
    }

    #[test]
    fn who_waits_in_vain_is_told() {
        let (giver, mut taker) = handover::<u8>();
        assert!(matches!(taker.take(Duration::ZERO), Taken::Late));
        drop(giver);
        assert!(matches!(taker.take(LONG), Taken::Over));
    }
}
