//! Who does what next.
//!
//! In:  units in input order, workers, a sequencer, an appender.
//! Out: everything done, or the first error in input order.
//!
//! One loop serves every scheduler: `serial` runs it on the calling thread,
//! `threaded` on that and others beside it. A free thread takes the work that
//! lies furthest downstream, so that rows leave memory before new ones come in:
//!
//! ```text
//! append a finished row group ◀ encode a column ◀ sequence chunks ◀ read and decode a chunk
//!      (in order, one thread)    (any thread)     (in order, one)    (any thread; one per unit reads)
//! ```
//!
//! Reading prefers the unit that comes first in the input, chunk by chunk, so a
//! huge file among small ones occupies every thread and not only one. What has
//! been decoded ahead of its turn is bounded. A pool of work-stealing deques
//! would not do: it knows neither this order nor this bound.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::control::Progress;
use super::output::{Append, Output};
use super::queue::{Listing, Next, State};
use super::schema::RunSchema;
use super::sequence::Sequencer;
use super::source::{Chunk, ChunkReader, Units};
use super::task::{Closed, Doing, Ended, Ready, Task, Turn};
use super::worker::{Worker, WorkerPlan};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::memory::{Budget, Buffers, SpillDir};

/// How long one thread opens units that hold nothing before others may have the
/// rest: a hundred times what each costs that needs no work.
const OPENING: Duration = Duration::from_micros(50);

/// How a run is to be driven.
pub(crate) struct Drive {
    pub threads: usize,
    pub cancel: Cancel,
    pub progress: Arc<Progress>,
    pub budget: Budget,
    pub spill_dir: Arc<SpillDir>,
    /// Row groups that may be encoded at the same time.
    pub max_groups: usize,
}

/// Runs everything and gives back what holds the results.
pub(crate) fn run<O: Output, A: Append>(
    drive: &Drive,
    units: Listing,
    workers: &WorkerPlan,
    sequencer: Sequencer<O>,
    appender: A,
) -> Result<(Sequencer<O>, A)> {
    let shared = Shared {
        schema: RwLock::new(sequencer.schema.clone()),
        state: Mutex::new(State::new(units, drive.budget.open(), drive.max_groups)),
        wake: Condvar::new(),
        waiting: AtomicUsize::new(0),
        sequencer: Mutex::new(sequencer),
        appender: Mutex::new(appender),
        drive,
    };
    std::thread::scope(|scope| {
        for _ in 1..drive.threads {
            let shared = &shared;
            scope.spawn(move || shared.work(workers.build()));
        }
        shared.work(workers.build());
    });
    if let Some(error) = into_inner(shared.state).into_error() {
        return Err(error);
    }
    Ok((into_inner(shared.sequencer), into_inner(shared.appender)))
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A panic inside a lock is caught and becomes the run's error, so the lock
/// itself need not report it again.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One number for a unit and the place of a chunk in it, which grows with the input.
fn chunk_number(unit: u64, place: u64) -> Result<u64> {
    match (u32::try_from(unit), u32::try_from(place)) {
        (Ok(unit), Ok(place)) => Ok(u64::from(unit) << 32 | u64::from(place)),
        _ => Err(Error::plan(
            "the input has more than 4294967295 units, or one of them as many chunks",
        )),
    }
}

/// The number of the unit of a chunk with this number.
pub(super) fn unit_of(chunk_number: u64) -> u64 {
    chunk_number >> 32
}

struct Shared<'a, O, A> {
    state: Mutex<State>,
    wake: Condvar,
    /// Threads that wait to be woken; changed under the lock of the state.
    waiting: AtomicUsize,
    /// As of the last chunk that was sequenced.
    schema: RwLock<RunSchema>,
    sequencer: Mutex<Sequencer<O>>,
    appender: Mutex<A>,
    drive: &'a Drive,
}

impl<O: Output, A: Append> Shared<'_, O, A> {
    /// The loop of one thread.
    fn work(&self, mut worker: Worker) {
        let _working = self.drive.cancel.enter();
        let mut ended = Vec::new();
        while let Some(task) = self.next_task(std::mem::take(&mut ended), worker.unit) {
            let mut doing = task.begins();
            let done = catch_unwind(AssertUnwindSafe(|| {
                self.perform(task, &mut doing, &mut worker)
            }));
            let outcome = match done {
                Ok(outcome) => outcome,
                Err(panic) => Err(Error::panic(doing.to_string(), &*panic)),
            };
            match outcome {
                Ok(units) => ended = units,
                Err(error) => lock(&self.state).fail(error),
            }
            self.wake_others();
        }
    }

    /// What to do next, once there is something and these units have `ended`, for who
    /// read the unit `last`. None at the end.
    fn next_task(&self, ended: Vec<Ended>, last: Option<u64>) -> Option<Task> {
        let mut state = lock(&self.state);
        if !ended.is_empty() {
            ended.into_iter().for_each(|unit| state.ended(unit));
            self.wake_others();
        }
        loop {
            if let Err(error) = self.drive.cancel.check() {
                state.fail(error);
            }
            // Iterating over inputs may run foreign code (a folder's listing): a panic there is an error too.
            let next =
                catch_unwind(AssertUnwindSafe(|| state.next(last))).unwrap_or_else(|panic| {
                    state.fail(Error::panic("listing inputs", &*panic));
                    Next::Stop
                });
            state = match next {
                Next::Do(task) => return Some(task),
                Next::Stop => {
                    self.wake_others();
                    return None;
                }
                Next::List(units) => {
                    drop(state);
                    self.list(units)
                }
                Next::Wait => self.wait(state),
            };
        }
    }

    /// Waits until something has changed; the time-out is only for cancelling.
    fn wait<'s>(&'s self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waited = self.wake.wait_timeout(state, Duration::from_millis(100));
        let state = waited.map_or_else(|poison| poison.into_inner().0, |(state, _)| state);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        state
    }

    /// Wakes whoever waits, once the state has changed. Whoever found nothing to do
    /// before it did was counted before: the lock of the state puts both in order.
    fn wake_others(&self) {
        // Each call of the system costs as much as a task without rows.
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.wake.notify_all();
        }
    }

    /// Asks for the next unit while others go on with what there is.
    fn list(&self, mut units: Units) -> MutexGuard<'_, State> {
        let next = catch_unwind(AssertUnwindSafe(|| units.next()));
        let mut state = lock(&self.state);
        match next {
            Ok(next) => state.listed(units, next),
            Err(panic) => state.fail(Error::panic("listing inputs", &*panic)),
        }
        self.wake_others();
        state
    }

    /// Does a task. Units that came to their end on the way have yet to be told of.
    fn perform(&self, task: Task, doing: &mut Doing, worker: &mut Worker) -> Result<Vec<Ended>> {
        match task {
            Task::Encode(group, idx, job) => {
                let encoded = job.run()?;
                lock(&self.state).encoded(group, idx, encoded);
            }
            Task::Append(tag, encoded) => {
                let bytes = tag.bytes;
                lock(&self.appender).append(tag, encoded)?;
                self.drive.budget.note_freed(bytes);
                lock(&self.state).appended();
            }
            Task::Sequence(ready) => self.sequence(ready)?,
            Task::Finish => {
                let groups = lock(&self.sequencer).finish()?;
                lock(&self.state).finished(groups);
            }
            Task::Open(units) => return self.open(units, doing, worker),
            Task::Read(number, path, reader) => match self.next_chunk(reader, worker) {
                Ok((chunk, reader)) => self.work_chunk((number, &path), chunk, reader, worker)?,
                Err(how) => return Ok(vec![(number, how)]),
            },
        }
        Ok(Vec::new())
    }

    /// Opens units up to the first that holds a chunk, which is worked; not all of
    /// them where that takes time, which others have, too.
    fn open(
        &self,
        mut units: VecDeque<Closed>,
        doing: &mut Doing,
        worker: &mut Worker,
    ) -> Result<Vec<Ended>> {
        let mut ended = Vec::new();
        let start = Instant::now();
        while let Some(Closed { number, path, open }) = units.pop_front() {
            *doing = Doing::Reading(Arc::clone(&path));
            let read = open().map_err(Ready::Failed).and_then(|reader| {
                // Opening reads headers, or up to the boundary of a range.
                self.count_read(reader.stored_bytes_read());
                self.next_chunk(reader, worker)
            });
            match read {
                Ok((chunk, reader)) => {
                    self.give_back(std::mem::take(&mut ended), units);
                    self.work_chunk((number, &path), chunk, reader, worker)?;
                    break;
                }
                Err(how) => {
                    let failed = matches!(how, Ready::Failed(_));
                    ended.push((number, how));
                    if failed || start.elapsed() > OPENING {
                        self.give_back(std::mem::take(&mut ended), units);
                        break;
                    }
                }
            }
        }
        Ok(ended)
    }

    /// Tells of units that have ended, and leaves those that are still closed to others.
    fn give_back(&self, ended: Vec<Ended>, closed: VecDeque<Closed>) {
        if ended.is_empty() && closed.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        ended.into_iter().for_each(|unit| state.ended(unit));
        state.close(closed);
        drop(state);
        self.wake_others();
    }

    fn count_read(&self, stored_bytes: u64) {
        // What all threads write to is kept from them where it does not change.
        if stored_bytes > 0 {
            self.drive.progress.add_stored_bytes_read(stored_bytes);
        }
    }

    /// The next chunk of a unit, and who reads on; or how the unit ended.
    fn next_chunk(
        &self,
        mut reader: Box<dyn ChunkReader>,
        worker: &mut Worker,
    ) -> Result<(Chunk, Box<dyn ChunkReader>), Ready> {
        let before = reader.stored_bytes_read();
        let chunk = reader.next(std::mem::take(&mut worker.spare));
        let chunk = chunk.map_err(Ready::Failed)?;
        self.count_read(reader.stored_bytes_read() - before);
        match chunk {
            Some(chunk) => Ok((chunk, reader)),
            None => Err(Ready::End {
                damage: reader.damage(),
            }),
        }
    }

    /// Gives a reader back for others to use, and decodes the chunk that it gave.
    fn work_chunk(
        &self,
        (number, path): (u64, &str),
        chunk: Chunk,
        reader: Box<dyn ChunkReader>,
        worker: &mut Worker,
    ) -> Result<()> {
        let Some(place) = lock(&self.state).give_back(number, reader) else {
            return Ok(()); // the run has stopped reading
        };
        worker.unit = Some(number);
        self.wake_others();
        let schema = self
            .schema
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let outcome = chunk_number(number, place)
            .and_then(|chunk_number| worker.work(chunk, chunk_number, path, &schema));
        let mut state = lock(&self.state);
        match outcome {
            Ok((worked, spare)) => {
                worker.spare = spare;
                let held = worked.buffers();
                state.put(number, place, Ready::Chunk(Box::new(worked)), held);
            }
            Err(error) => state.put(number, place, Ready::Unworked(error), Buffers::default()),
        }
        let progress = &self.drive.progress;
        progress.set_memory_bytes(self.drive.budget.used());
        progress.set_spilled_bytes(self.drive.spill_dir.written());
        Ok(())
    }

    fn sequence(&self, ready: Vec<Turn>) -> Result<()> {
        let mut sequencer = lock(&self.sequencer);
        let mut groups = Vec::new();
        for turn in ready {
            if sequencer.is_done() {
                break;
            }
            match turn.ready {
                Ready::Chunk(worked) => {
                    groups.extend(sequencer.accept(turn.file, &turn.path, *worked)?)
                }
                Ready::Failed(error) => sequencer.fail(0, error)?,
                Ready::Unworked(error) => {
                    let error = sequencer.placed(error, &turn.path);
                    sequencer.fail(0, error)?;
                }
                Ready::End { damage } => {
                    sequencer.end_unit(turn.file, &turn.path, turn.ends_file, damage);
                }
            }
        }
        let schema = sequencer.schema.clone();
        let done = sequencer.is_done();
        drop(sequencer);
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = schema;
        lock(&self.state).sequenced(groups, done);
        Ok(())
    }
}
