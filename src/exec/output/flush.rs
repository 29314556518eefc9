//! Finished part files go to the disk while later ones are being made.
//!
//! In:  parts, as they are finished.
//! Out: their bytes on the disk, or the first error. The commit makes sure
//!      again, and finds little left to do.
//!
//! Measured: a commit that had to wait for 100 MB took a tenth of the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::error::{Error, Result};
use crate::sink::{FinishedPart, Flush};

/// Smaller parts are not worth a wake-up: the commit flushes them, as those of
/// several files, which it writes again.
const LEAST_BYTES: u64 = 1 << 20;

/// A thread that waits for the disk, so that no worker has to.
pub(super) struct Flusher {
    queue: Option<Sender<Flush>>,
    thread: Option<JoinHandle<Result<()>>>,
    /// Set when nobody wants the files any more.
    stop: Arc<AtomicBool>,
}

impl Flusher {
    /// One that starts with the first part it is given.
    pub fn new() -> Self {
        Flusher {
            queue: None,
            thread: None,
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Begins to flush a part's files.
    pub fn add(&mut self, part: &FinishedPart) -> Result<()> {
        if part.stored_bytes() < LEAST_BYTES || !part.is_one_file() {
            return Ok(());
        }
        let queue = match &self.queue {
            Some(queue) => queue,
            None => self.start()?,
        };
        // A thread that has ended met an error, which `finish` gives.
        let _ = queue.send(part.flush());
        Ok(())
    }

    fn start(&mut self) -> Result<&Sender<Flush>> {
        let (queue, parts) = channel::<Flush>();
        let stop = Arc::clone(&self.stop);
        let run = move || {
            for part in parts {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                part.run()?;
            }
            Ok(())
        };
        let thread = std::thread::Builder::new()
            .name("windrow-flush".to_owned())
            .spawn(run)
            .map_err(|source| Error::io("a thread", "start", source))?;
        self.thread = Some(thread);
        Ok(self.queue.insert(queue))
    }

    /// Waits for everything that was added.
    pub fn finish(mut self) -> Result<()> {
        self.queue = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Error::internal("the thread that flushes files panicked")),
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
