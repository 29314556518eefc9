//! Rows as an iterator, while the run goes on.
//!
//! In:  a pipeline.
//! Out: its batches, in input order, each as soon as it is there.
//!
//! The run has a thread of its own and waits while nobody takes what it has
//! made: no more than a few batches are ahead. An iterator that is dropped
//! ends its run with the next chunk.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::context::Context;
use super::pass::visit;
use super::report::RunReport;
use crate::error::{Error, Result};
use crate::plan::Physical;

/// Batches that were made and not taken yet.
const AHEAD: usize = 2;

/// The batches of a run.
pub struct Batches {
    /// None once the run is over. Never locked, for whoever takes a batch has this
    /// alone: it lets threads share a reference.
    receiver: Option<Mutex<Receiver<RecordBatch>>>,
    run: Option<JoinHandle<Result<(SchemaRef, RunReport)>>>,
    finished: Option<(SchemaRef, RunReport)>,
}

impl Batches {
    /// Starts a run.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no thread to be had. All else comes with the batches.
    pub fn start(physical: Physical, context: Context) -> Result<Self> {
        let (sender, receiver) = sync_channel(AHEAD);
        let run = std::thread::Builder::new()
            .name("rows".into())
            .spawn(move || send_all(&physical, &context, &sender))
            .map_err(|source| Error::io("rows", "start a thread for", source))?;
        Ok(Batches {
            receiver: Some(Mutex::new(receiver)),
            run: Some(run),
            finished: None,
        })
    }

    /// The schema that the last batch had, and the balance sheet, once all
    /// batches were taken.
    pub fn finished(&self) -> Option<&(SchemaRef, RunReport)> {
        self.finished.as_ref()
    }

    /// Waits for the run's end, which is near once its batches have ended or
    /// nobody takes them.
    fn join(&mut self) -> Option<Result<(SchemaRef, RunReport)>> {
        self.receiver = None;
        let joined = self.run.take()?.join();
        Some(joined.unwrap_or_else(|_| {
            Err(Error::Panic {
                task: "streaming rows".into(),
                message: "the run ended without a word".into(),
            })
        }))
    }
}

fn send_all(
    physical: &Physical,
    context: &Context,
    sender: &SyncSender<RecordBatch>,
) -> Result<(SchemaRef, RunReport)> {
    visit(physical, context, &mut |batch| {
        // A batch without rows still asks whether anybody listens: by waiting for room.
        sender.send(batch).map_err(|_| Error::Cancelled)
    })
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(receiver) = &mut self.receiver {
            let receiver = receiver.get_mut();
            match receiver.unwrap_or_else(PoisonError::into_inner).recv() {
                Ok(batch) if batch.num_rows() == 0 => {}
                Ok(batch) => return Some(Ok(batch)),
                Err(_) => match self.join()? {
                    Ok(finished) => self.finished = Some(finished),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
        None
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // What the run says now is of no use to anybody.
        drop(self.join());
    }
}
