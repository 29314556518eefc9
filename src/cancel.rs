//! Stopping a run.
//!
//! In:  a flag that anybody sets.
//! Out: [`Error::Cancelled`] in every long loop of the run.
//!
//! A loop over all rows stands deep in a table, a sort or a state of an
//! aggregate, which know of no run. So threads know it: whoever starts work for a
//! run enters its flag, and `check` asks the flag of its thread.
//! Nothing else hangs on it: what a loop gives never does.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Rows that a loop passes at most between two looks at the flag. The slowest
/// loops take a microsecond for a row.
pub(crate) const ROWS_BETWEEN: usize = 1 << 16;

/// Stops runs. Clones share; once cancelled it stays so.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<Flag>,
}

#[derive(Debug, Default)]
struct Flag {
    is_set: AtomicBool,
    #[cfg(test)]
    looks: tests::Looks,
}

thread_local! {
    /// Of the run that the thread works for.
    static OF_THREAD: RefCell<Option<Cancel>> = const { RefCell::new(None) };
}

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Stops every run that holds this flag, within a second; what they staged is removed.
    pub fn cancel(&self) {
        self.flag.is_set.store(true, Ordering::Relaxed);
    }

    /// Whether it was set.
    pub fn is_cancelled(&self) -> bool {
        self.flag.is_set.load(Ordering::Relaxed)
    }

    /// [`Error::Cancelled`] once the flag is set.
    pub(crate) fn check(&self) -> Result<()> {
        #[cfg(test)]
        self.flag.looks.note(self);
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// The thread works for runs with this flag until what comes back is dropped.
    pub(crate) fn enter(&self) -> Entered {
        Entered::new(Some(self.clone()))
    }
}

/// A thread that works for a run. Dropped, it works for whom it did before.
pub(crate) struct Entered {
    before: Option<Cancel>,
    /// The flag belongs to the thread that entered it.
    _here: std::marker::PhantomData<*const ()>,
}

impl Entered {
    fn new(cancel: Option<Cancel>) -> Self {
        Entered {
            before: OF_THREAD.with(|of| of.replace(cancel)),
            _here: std::marker::PhantomData,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        OF_THREAD.with(|of| of.replace(before));
    }
}

/// The flag of the thread, to be taken along to threads that help it.
#[derive(Clone)]
pub(crate) struct OfThread(Option<Cancel>);

impl OfThread {
    /// That of the calling thread.
    pub fn here() -> Self {
        OfThread(OF_THREAD.with(|of| of.borrow().clone()))
    }

    /// The helping thread works for the same run until what comes back is dropped.
    pub fn enter(&self) -> Entered {
        Entered::new(self.0.clone())
    }
}

/// [`Error::Cancelled`] once the run is cancelled that the thread works for.
pub(crate) fn check() -> Result<()> {
    OF_THREAD.with(|of| match &*of.borrow() {
        Some(cancel) => cancel.check(),
        None => Ok(()),
    })
}

/// The rows `0..n_rows` in stretches, with a look at the flag in front of each.
pub(crate) fn stretches(n_rows: usize) -> impl DoubleEndedIterator<Item = Result<Range<usize>>> {
    (0..n_rows.div_ceil(ROWS_BETWEEN)).map(move |idx| {
        check()?;
        let from = idx * ROWS_BETWEEN;
        Ok(from..n_rows.min(from + ROWS_BETWEEN))
    })
}

/// Looks at the flag often enough in a loop that is no count of rows.
#[derive(Default)]
pub(crate) struct Paced {
    since: usize,
}

impl Paced {
    /// Notes that so much was done, in rows or what takes about as long.
    #[inline]
    pub fn passed(&mut self, rows: usize) -> Result<()> {
        self.since += rows;
        match self.since < ROWS_BETWEEN {
            true => Ok(()),
            false => {
                self.since = 0;
                check()
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// How often a flag was looked at, and the look at which it is set; none for 0.
    #[derive(Debug, Default)]
    pub(super) struct Looks {
        n: AtomicU64,
        last: AtomicU64,
    }

    impl Looks {
        pub fn note(&self, of: &Cancel) {
            let n = self.n.fetch_add(1, Ordering::Relaxed) + 1;
            if n == self.last.load(Ordering::Relaxed) {
                of.cancel();
            }
        }
    }

    /// Asserts that `work` looks at the flag `at_least` so many times, and that it
    /// ends for a flag that is set at any of them, of which some are tried.
    pub(crate) fn assert_stops<T>(what: &str, at_least: usize, work: impl Fn() -> Result<T>) {
        let run = |last: u64| {
            let cancel = Cancel::new();
            cancel.flag.looks.last.store(last, Ordering::Relaxed);
            let _working = cancel.enter();
            let outcome = work();
            (outcome, cancel.flag.looks.n.load(Ordering::Relaxed))
        };
        let (outcome, looks) = run(0);
        assert!(outcome.is_ok(), "{what}");
        assert!(looks >= at_least as u64, "{what}: {looks} looks");
        for last in [1, looks / 3, looks * 2 / 3, looks] {
            let (outcome, n) = run(last.max(1));
            assert!(
                matches!(outcome, Err(Error::Cancelled)),
                "{what}: {last} of {looks}"
            );
            // Other threads may be in front of their own next look.
            assert!(n <= last.max(1) + 4, "{what}: {n} looks, {last} of {looks}");
        }
    }

    #[test]
    fn a_thread_works_for_one_run_at_a_time_and_for_the_one_before_again() {
        let (outer, inner) = (Cancel::new(), Cancel::new());
        inner.cancel();
        check().unwrap();
        {
            let _outer = outer.enter();
            check().unwrap();
            {
                let _inner = inner.enter();
                assert!(check().is_err());
                let taken_along = OfThread::here();
                let helps = std::thread::spawn(move || taken_along.enter().and_check());
                assert!(helps.join().unwrap().is_err());
            }
            check().unwrap();
        }
        inner.enter();
        check().unwrap();
    }

    impl Entered {
        fn and_check(self) -> Result<()> {
            check()
        }
    }

    #[test]
    fn stretches_hold_every_row_once_and_look_at_the_flag_in_front_of_each() {
        for n_rows in [0, 1, ROWS_BETWEEN, ROWS_BETWEEN + 1, 3 * ROWS_BETWEEN - 1] {
            let rows = || stretches(n_rows).map(Result::unwrap);
            assert!(rows().flatten().eq(0..n_rows));
            let back = rows().rev().flat_map(Iterator::rev);
            assert!(back.eq((0..n_rows).rev()));
        }
        assert_stops("stretches", 3, || {
            stretches(3 * ROWS_BETWEEN).try_for_each(|rows| rows.map(drop))
        });
        assert_stops("paces", 3, || {
            let mut paced = Paced::default();
            (0..3 * ROWS_BETWEEN).try_for_each(|_| paced.passed(1))
        });
    }
}
