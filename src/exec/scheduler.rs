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

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::control::{Cancel, Progress};
use super::output::{Append, Encoded, Group, Job, Output, Tag};
use super::schema::RunSchema;
use super::sequence::Sequencer;
use super::source::{ChunkReader, Open, Units};
use super::worker::{Worked, Worker, WorkerPlan};
use crate::error::{Error, Result};
use crate::memory::{Budget, Reservation, SpillDir};

/// Row groups that may be encoded at the same time; more would only hold memory.
const MAX_GROUPS: usize = 2;

/// Chunks taken through the sequencer at a time, so that a row group which
/// fills up is encoded before more rows pile up.
const SEQUENCE_AT_ONCE: usize = 8;

/// Text buffers kept for reuse.
const MAX_SPARE_BUFFERS: usize = 16;

/// How a run is to be driven.
pub(crate) struct Drive {
    pub threads: usize,
    pub cancel: Cancel,
    pub progress: Arc<Progress>,
    pub budget: Budget,
    pub spill_dir: Arc<SpillDir>,
    /// Bytes that may be decoded ahead of their turn.
    pub window_bytes: u64,
}

/// Runs everything and gives back what holds the results.
pub(crate) fn run<O: Output, A: Append>(
    drive: &Drive,
    units: Units,
    workers: &WorkerPlan,
    sequencer: Sequencer<O>,
    appender: A,
) -> Result<(Sequencer<O>, A)> {
    let shared = Shared {
        schema: RwLock::new(sequencer.schema.clone()),
        state: Mutex::new(State {
            units,
            units_end: false,
            slots: VecDeque::new(),
            first_slot: 0,
            window: drive.budget.open(),
            window_bytes: drive.window_bytes,
            sequencing: false,
            stop_reading: false,
            finished_sequencing: false,
            jobs: VecDeque::new(),
            groups: BTreeMap::new(),
            next_group: 0,
            next_append: 0,
            appending: false,
            spare: Vec::new(),
            error: None,
        }),
        wake: Condvar::new(),
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
    let state = into_inner(shared.state);
    if let Some(error) = state.error {
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

/// A chunk that waits for its turn, or the end of its unit.
enum Ready {
    Chunk(Box<Worked>),
    Failed(Error),
    End { damage: Option<String> },
}

/// Where a unit's reader is.
enum ReaderState {
    Closed(Open),
    Idle(Box<dyn ChunkReader>),
    Busy,
    Finished,
}

/// A unit that is open, or whose chunks wait for their turn.
struct Slot {
    path: Arc<str>,
    file: u32,
    ends_file: bool,
    reader: ReaderState,
    next_chunk: u64,
    next_ready: u64,
    ready: BTreeMap<u64, Ready>,
    /// Bytes that each waiting chunk holds.
    held: BTreeMap<u64, u64>,
}

/// A row group on its way.
struct GroupState {
    tag: Option<Tag>,
    waiting: usize,
    encoded: Vec<Option<Encoded>>,
}

struct State {
    units: Units,
    units_end: bool,
    slots: VecDeque<Slot>,
    /// The number of the unit in front.
    first_slot: u64,
    /// Of what was decoded ahead of its turn.
    window: Reservation,
    window_bytes: u64,
    sequencing: bool,
    stop_reading: bool,
    finished_sequencing: bool,
    jobs: VecDeque<(u64, usize, Job)>,
    groups: BTreeMap<u64, GroupState>,
    next_group: u64,
    next_append: u64,
    appending: bool,
    spare: Vec<Vec<u8>>,
    error: Option<Error>,
}

enum Task {
    Append(Tag, Vec<Encoded>),
    Encode(u64, usize, Job),
    Sequence(Vec<(Arc<str>, u32, bool, Ready)>),
    Finish,
    Open(u64, Arc<str>, Open, Vec<u8>),
    Read(u64, Arc<str>, Box<dyn ChunkReader>, Vec<u8>),
}

enum Next {
    Do(Task),
    Wait,
    Stop,
}

struct Shared<'a, O, A> {
    state: Mutex<State>,
    wake: Condvar,
    /// As of the last chunk that was sequenced.
    schema: RwLock<RunSchema>,
    sequencer: Mutex<Sequencer<O>>,
    appender: Mutex<A>,
    drive: &'a Drive,
}

impl State {
    /// The task that lies furthest downstream.
    fn next(&mut self) -> Next {
        if self.error.is_some() {
            return Next::Stop;
        }
        if !self.appending
            && let Some(group) = self.groups.get_mut(&self.next_append)
            && group.waiting == 0
            && let Some(tag) = group.tag.take()
        {
            let encoded = std::mem::take(&mut group.encoded);
            self.appending = true;
            return Next::Do(Task::Append(tag, encoded.into_iter().flatten().collect()));
        }
        if let Some((group, idx, job)) = self.jobs.pop_front() {
            return Next::Do(Task::Encode(group, idx, job));
        }
        if !self.sequencing && !self.finished_sequencing && self.groups.len() < MAX_GROUPS {
            let ready = self.take_ready();
            if !ready.is_empty() {
                self.sequencing = true;
                return Next::Do(Task::Sequence(ready));
            }
            if self.stop_reading || (self.slots.is_empty() && self.units_end) {
                self.sequencing = true;
                return Next::Do(Task::Finish);
            }
        }
        if !self.stop_reading
            && let Some(task) = self.next_read()
        {
            return Next::Do(task);
        }
        if self.finished_sequencing && self.groups.is_empty() {
            return Next::Stop;
        }
        // Listing may have ended just now, with nothing left to read.
        if !self.sequencing
            && !self.finished_sequencing
            && self.groups.len() < MAX_GROUPS
            && self.slots.is_empty()
            && self.units_end
        {
            self.sequencing = true;
            return Next::Do(Task::Finish);
        }
        Next::Wait
    }

    /// Chunks whose turn it is, in input order.
    fn take_ready(&mut self) -> Vec<(Arc<str>, u32, bool, Ready)> {
        let mut taken = Vec::new();
        while taken.len() < SEQUENCE_AT_ONCE {
            let Some(slot) = self.slots.front_mut() else {
                break;
            };
            let Some(ready) = slot.ready.remove(&slot.next_ready) else {
                break;
            };
            let held = slot.held.remove(&slot.next_ready).unwrap_or(0);
            self.window
                .resize_anyway(self.window.bytes().saturating_sub(held));
            slot.next_ready += 1;
            let ended = matches!(ready, Ready::End { .. });
            taken.push((Arc::clone(&slot.path), slot.file, slot.ends_file, ready));
            if ended {
                self.slots.pop_front();
                self.first_slot += 1;
            }
        }
        taken
    }

    /// The first unit in input order whose reader is free. Units behind the
    /// first wait while too much has been decoded ahead.
    fn next_read(&mut self) -> Option<Task> {
        let over = self.window.bytes() >= self.window_bytes;
        // The front unit may fill the window once more, and may always read the
        // chunk that everybody waits for.
        let far_over = self.window.bytes() >= 2 * self.window_bytes;
        if far_over
            && self
                .slots
                .front()
                .is_some_and(|slot| !slot.ready.is_empty())
        {
            return None;
        }
        let mut idx = 0;
        loop {
            if idx == self.slots.len() && !self.open_next_slot() {
                return None;
            }
            let slot = &mut self.slots[idx];
            let number = self.first_slot + idx as u64;
            match std::mem::replace(&mut slot.reader, ReaderState::Busy) {
                ReaderState::Closed(open) => {
                    let spare = self.spare.pop().unwrap_or_default();
                    return Some(Task::Open(number, Arc::clone(&slot.path), open, spare));
                }
                ReaderState::Idle(reader) => {
                    let spare = self.spare.pop().unwrap_or_default();
                    return Some(Task::Read(number, Arc::clone(&slot.path), reader, spare));
                }
                other => slot.reader = other,
            }
            if over {
                return None;
            }
            idx += 1;
        }
    }

    /// Takes the next unit from the list. False at its end.
    fn open_next_slot(&mut self) -> bool {
        if self.units_end {
            return false;
        }
        let Some(unit) = self.units.next() else {
            self.units_end = true;
            return false;
        };
        let slot = match unit {
            Ok(unit) => Slot {
                path: unit.path,
                file: unit.file,
                ends_file: unit.ends_file,
                reader: ReaderState::Closed(unit.open),
                next_chunk: 0,
                next_ready: 0,
                ready: BTreeMap::new(),
                held: BTreeMap::new(),
            },
            Err(error) => {
                // Met in its place in the input, after all that precedes it.
                self.units_end = true;
                Slot {
                    path: Arc::from(""),
                    file: u32::MAX,
                    ends_file: false,
                    reader: ReaderState::Finished,
                    next_chunk: 1,
                    next_ready: 0,
                    ready: BTreeMap::from([(0, Ready::Failed(error))]),
                    held: BTreeMap::new(),
                }
            }
        };
        self.slots.push_back(slot);
        true
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let idx = usize::try_from(number.checked_sub(self.first_slot)?).ok()?;
        self.slots.get_mut(idx)
    }

    fn add_groups(&mut self, groups: Vec<Group>) {
        for group in groups {
            let number = self.next_group;
            self.next_group += 1;
            let jobs = group.jobs.len();
            for (idx, job) in group.jobs.into_iter().enumerate() {
                self.jobs.push_back((number, idx, job));
            }
            self.groups.insert(
                number,
                GroupState {
                    tag: Some(group.tag),
                    waiting: jobs,
                    encoded: (0..jobs).map(|_| None).collect(),
                },
            );
        }
    }

    fn fail(&mut self, error: Error) {
        if self.error.is_none() {
            self.error = Some(error);
        }
    }
}

impl<O: Output, A: Append> Shared<'_, O, A> {
    /// The loop of one thread.
    fn work(&self, mut worker: Worker) {
        loop {
            let task = {
                let mut state = lock(&self.state);
                loop {
                    if let Err(error) = self.drive.cancel.check() {
                        state.fail(error);
                    }
                    // Iterating over inputs may run foreign code (a folder's listing): a panic there is an error too.
                    let next =
                        catch_unwind(AssertUnwindSafe(|| state.next())).unwrap_or_else(|panic| {
                            state.fail(panicked("listing inputs", &*panic));
                            Next::Stop
                        });
                    match next {
                        Next::Do(task) => break task,
                        Next::Stop => {
                            self.wake.notify_all();
                            return;
                        }
                        Next::Wait => {
                            // The time-out is only for cancelling: every other change wakes us.
                            state = self
                                .wake
                                .wait_timeout(state, Duration::from_millis(100))
                                .map_or_else(|poison| poison.into_inner().0, |(state, _)| state);
                        }
                    }
                }
            };
            let name = task.name();
            let done = catch_unwind(AssertUnwindSafe(|| self.perform(task, &mut worker)));
            let outcome = match done {
                Ok(outcome) => outcome,
                Err(panic) => Err(panicked(&name, &*panic)),
            };
            if let Err(error) = outcome {
                lock(&self.state).fail(error);
            }
            self.wake.notify_all();
        }
    }

    fn perform(&self, task: Task, worker: &mut Worker) -> Result<()> {
        match task {
            Task::Encode(group, idx, job) => {
                let encoded = job.run()?;
                let mut state = lock(&self.state);
                if let Some(group) = state.groups.get_mut(&group) {
                    group.encoded[idx] = Some(encoded);
                    group.waiting -= 1;
                }
                Ok(())
            }
            Task::Append(tag, encoded) => {
                lock(&self.appender).append(tag, encoded)?;
                let mut state = lock(&self.state);
                let number = state.next_append;
                state.groups.remove(&number);
                state.next_append += 1;
                state.appending = false;
                Ok(())
            }
            Task::Sequence(ready) => self.sequence(ready),
            Task::Finish => {
                let groups = lock(&self.sequencer).finish()?;
                let mut state = lock(&self.state);
                state.stop_reading = true;
                state.slots.clear();
                state.finished_sequencing = true;
                state.sequencing = false;
                state.add_groups(groups);
                Ok(())
            }
            Task::Open(number, path, open, spare) => match open() {
                Ok(reader) => {
                    // Opening reads headers, or up to the boundary of a range.
                    let opened = reader.stored_bytes_read();
                    self.drive.progress.add_stored_bytes_read(opened);
                    self.read(number, &path, reader, spare, worker)
                }
                Err(error) => {
                    self.failed(number, error);
                    Ok(())
                }
            },
            Task::Read(number, path, reader, spare) => {
                self.read(number, &path, reader, spare, worker)
            }
        }
    }

    /// Puts an error in its place in the input.
    fn failed(&self, number: u64, error: Error) {
        let mut state = lock(&self.state);
        if let Some(slot) = state.slot(number) {
            slot.reader = ReaderState::Finished;
            let chunk = slot.next_chunk;
            slot.next_chunk += 1;
            slot.ready.insert(chunk, Ready::Failed(error));
        }
    }

    /// Reads a chunk, gives the reader back for others to use, and decodes the chunk.
    fn read(
        &self,
        number: u64,
        path: &str,
        mut reader: Box<dyn ChunkReader>,
        spare: Vec<u8>,
        worker: &mut Worker,
    ) -> Result<()> {
        let before = reader.stored_bytes_read();
        let chunk = match reader.next(spare) {
            Ok(chunk) => chunk,
            Err(error) => {
                self.failed(number, error);
                return Ok(());
            }
        };
        self.drive
            .progress
            .add_stored_bytes_read(reader.stored_bytes_read() - before);
        let Some(chunk) = chunk else {
            let damage = reader.damage();
            drop(reader);
            let mut state = lock(&self.state);
            if let Some(slot) = state.slot(number) {
                slot.reader = ReaderState::Finished;
                let place = slot.next_chunk;
                slot.next_chunk += 1;
                slot.ready.insert(place, Ready::End { damage });
            }
            return Ok(());
        };
        let place = {
            let mut state = lock(&self.state);
            let Some(slot) = state.slot(number) else {
                return Ok(()); // the run has stopped reading
            };
            slot.reader = ReaderState::Idle(reader);
            let place = slot.next_chunk;
            slot.next_chunk += 1;
            place
        };
        self.wake.notify_all();
        let schema = self
            .schema
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let outcome = worker.work(chunk, path, &schema);
        let mut state = lock(&self.state);
        let (ready, held) = match outcome {
            Ok((worked, spare)) => {
                if state.spare.len() < MAX_SPARE_BUFFERS && spare.capacity() > 0 {
                    state.spare.push(spare);
                }
                let held = crate::memory::held_bytes(&worked.batch);
                (Ready::Chunk(Box::new(worked)), held)
            }
            Err(error) => (Ready::Failed(error), 0),
        };
        if let Some(slot) = state.slot(number) {
            slot.ready.insert(place, ready);
            slot.held.insert(place, held);
            let window = state.window.bytes() + held;
            state.window.resize_anyway(window);
            let progress = &self.drive.progress;
            progress.set_memory_bytes(self.drive.budget.used());
            progress.set_spilled_bytes(self.drive.spill_dir.written());
        }
        Ok(())
    }

    fn sequence(&self, ready: Vec<(Arc<str>, u32, bool, Ready)>) -> Result<()> {
        let mut sequencer = lock(&self.sequencer);
        let mut groups = Vec::new();
        for (path, file, ends_file, ready) in ready {
            if sequencer.is_done() {
                break;
            }
            match ready {
                Ready::Chunk(worked) => groups.extend(sequencer.accept(file, &path, *worked)?),
                Ready::Failed(error) => return Err(error),
                Ready::End { damage } => sequencer.end_unit(file, &path, ends_file, damage),
            }
        }
        let schema = sequencer.schema.clone();
        let done = sequencer.is_done();
        drop(sequencer);
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = schema;
        let mut state = lock(&self.state);
        state.sequencing = false;
        state.stop_reading |= done;
        if done {
            // What was read ahead of a limit is of no use.
            state.slots.clear();
            state.window.resize_anyway(0);
        }
        state.add_groups(groups);
        Ok(())
    }
}

impl Task {
    fn name(&self) -> String {
        match self {
            Task::Append(..) => "appending a row group".to_owned(),
            Task::Encode(group, idx, _) => format!("encoding column {idx} of row group {group}"),
            Task::Sequence(_) => "laying out rows".to_owned(),
            Task::Finish => "laying out the last rows".to_owned(),
            Task::Open(_, path, ..) | Task::Read(_, path, ..) => format!("reading {path}"),
        }
    }
}

fn panicked(task: &str, panic: &(dyn std::any::Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Error::Panic {
        task: task.to_owned(),
        message,
    }
}
