//! The hidden runtime.
//!
//! In:  futures of object stores.
//! Out: their results, to threads that know nothing of them.
//!
//! A future runs on the runtime's own threads and its result comes through a
//! channel, so that any thread may wait for it, also one of another runtime.

use std::future::Future;
use std::io::{Error, Result};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, sync_channel};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Threads that move bytes between sockets and buffers; one keeps up with
/// about a gigabyte a second.
const THREADS: usize = 2;

/// A result on its way. Dropped, the work for it is stopped.
pub(super) struct Pending<T> {
    task: JoinHandle<()>,
    result: Receiver<T>,
}

/// Starts `work`.
///
/// # Errors
///
/// If the system gives no threads.
pub(super) fn start<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<Pending<T>> {
    let (sender, result) = sync_channel(1);
    let task = runtime()?.spawn(async move {
        // Nobody waits for a result that was dropped.
        let _ = sender.send(work.await);
    });
    Ok(Pending { task, result })
}

/// Does `work` and waits for it.
///
/// # Errors
///
/// As [`start`] and [`Pending::wait`].
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    start(work)?.wait()
}

impl<T> Pending<T> {
    /// The result.
    ///
    /// # Errors
    ///
    /// If the work panicked.
    pub(super) fn wait(self) -> Result<T> {
        self.result
            .recv()
            .map_err(|_| Error::other("the request ended without a word"))
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Result<Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("remote")
            .enable_io()
            .enable_time()
            .build()
    });
    made.as_ref()
        .map_err(|error| Error::new(error.kind(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_thread_may_wait_also_one_of_another_runtime() {
        assert_eq!(wait(async { 7 }).unwrap(), 7);
        let other = Builder::new_current_thread().build().unwrap();
        assert_eq!(other.block_on(async { wait(async { 8 }).unwrap() }), 8);
    }

    #[test]
    fn a_panic_is_an_error() {
        let pending = start(async { panic!("on purpose") }).unwrap();
        let outcome: Result<()> = pending.wait();
        assert!(outcome.is_err());
    }
}
