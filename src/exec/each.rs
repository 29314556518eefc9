//! Independent tasks on all threads of a run.
//!
//! In:  a number of tasks, and what to do for each.
//! Out: what each gave, in order; or the error of the first task that failed.
//!
//! Tasks are begun in order, and one that is begun is finished: so the first
//! error by order is the same at any number of threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cancel::Cancel;
use crate::error::{Error, Result};

/// Does `task(0)`, …, `task(n - 1)` on so many threads, the calling one among them.
///
/// # Errors
///
/// That of the first task that fails; [`Error::Cancelled`]; [`Error::Panic`],
/// which names what tasks are `doing`.
pub(super) fn each<T: Send>(
    threads: usize,
    cancel: &Cancel,
    doing: &str,
    n_tasks: usize,
    task: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let done: Mutex<Vec<(usize, Result<T>)>> = Mutex::new(Vec::with_capacity(n_tasks));
    let work = || {
        let _working = cancel.enter();
        while !stop.load(Ordering::Relaxed) {
            let idx = next.fetch_add(1, Ordering::Relaxed);
            if idx >= n_tasks {
                return;
            }
            let outcome = cancel
                .check()
                .and_then(|()| Error::guarded(|| doing.to_owned(), || task(idx)));
            if outcome.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((idx, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(n_tasks) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(idx, _)| *idx);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// What becomes of some things, each taken by one of the threads; in order.
///
/// # Errors
///
/// As [`each`].
pub(super) fn each_of<T: Send, U: Send>(
    threads: usize,
    cancel: &Cancel,
    doing: &str,
    things: Vec<T>,
    make: impl Fn(T) -> Result<U> + Sync,
) -> Result<Vec<U>> {
    let things: Vec<_> = things
        .into_iter()
        .map(|thing| Mutex::new(Some(thing)))
        .collect();
    each(threads, cancel, doing, things.len(), |idx| {
        let mut thing = things[idx].lock().unwrap_or_else(PoisonError::into_inner);
        let thing = thing.take();
        make(thing.ok_or_else(|| Error::internal("a task was done twice"))?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_order_and_the_first_error_counts_at_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let cancel = Cancel::new();
            let squares = each(threads, &cancel, "squaring", 100, |n| Ok(n * n)).unwrap();
            assert!(
                squares
                    .iter()
                    .enumerate()
                    .all(|(n, square)| n * n == *square)
            );
            assert!(
                each(threads, &cancel, "nothing", 0, |_| Ok(()))
                    .unwrap()
                    .is_empty()
            );
            let error = each(threads, &cancel, "failing", 100, |n| match n {
                0..7 => Ok(()),
                7 => Err(Error::plan("seven")),
                _ => panic!("past seven"),
            });
            assert!(error.unwrap_err().to_string().contains("seven"));
            let panicked = each(threads, &cancel, "falling", 3, |n| match n {
                0 => panic!("over"),
                _ => Ok(()),
            });
            let text = panicked.unwrap_err().to_string();
            assert!(text.contains("falling") && text.contains("over"), "{text}");
        }
    }
}
