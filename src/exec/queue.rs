//! What is there to do, and what comes first.
//!
//! In:  units, chunks that were worked, row groups that were sealed.
//! Out: the task that lies furthest downstream.
//!
//! Plain state, without threads: `scheduler.rs` keeps it under one lock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::output::{Encoded, Group, Job, Tag};
use super::sheet::Front;
use super::source::{ChunkReader, Open, Unit, Units};
use super::worker::Worked;
use crate::error::{Error, Result};
use crate::memory::Reservation;

/// Chunks taken through the sequencer at a time, so that a row group which
/// fills up is encoded before more rows pile up.
const SEQUENCE_AT_ONCE: usize = 8;

/// A chunk that waits for its turn, or the end of its unit.
pub(super) enum Ready {
    Chunk(Box<Worked>),
    Failed(Error),
    End { damage: Option<String> },
}

/// A chunk, or the end of a unit, whose turn in the input has come.
pub(super) struct Turn {
    pub path: Arc<str>,
    pub file: u32,
    pub ends_file: bool,
    pub ready: Ready,
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
    /// Whether it is read only once it is the first.
    after_all: bool,
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

/// Units, and how they are asked for.
pub(super) struct Listing {
    pub units: Units,
    /// Whether asking for the next one may take long: on a folder, a server,
    /// or a stage in front.
    pub may_wait: bool,
    /// Stages in front, told when their rows are of no more use.
    pub fronts: Vec<Front>,
    /// Bytes that may be decoded ahead of their turn.
    pub window_bytes: u64,
}

pub(super) struct State {
    /// None while somebody asks for the next one.
    units: Option<Units>,
    units_may_wait: bool,
    fronts: Vec<Front>,
    units_end: bool,
    slots: VecDeque<Slot>,
    /// The number of the unit in front.
    first_slot: u64,
    /// Of what was decoded ahead of its turn.
    window: Reservation,
    window_bytes: u64,
    /// Row groups that may be encoded at the same time.
    max_groups: usize,
    sequencing: bool,
    stop_reading: bool,
    finished_sequencing: bool,
    jobs: VecDeque<(u64, usize, Job)>,
    groups: BTreeMap<u64, GroupState>,
    next_group: u64,
    next_append: u64,
    appending: bool,
    error: Option<Error>,
}

pub(super) enum Task {
    Append(Tag, Vec<Encoded>),
    Encode(u64, usize, Job),
    Sequence(Vec<Turn>),
    Finish,
    Open(u64, Arc<str>, Open),
    Read(u64, Arc<str>, Box<dyn ChunkReader>),
}

pub(super) enum Next {
    Do(Task),
    /// Ask for the next unit, without holding the state, then [`State::listed`].
    List(Units),
    Wait,
    Stop,
}

impl State {
    /// Nothing read, nothing to do but read. `window` holds what is decoded ahead.
    pub fn new(listing: Listing, window: Reservation, max_groups: usize) -> Self {
        State {
            units: Some(listing.units),
            units_may_wait: listing.may_wait,
            fronts: listing.fronts,
            units_end: false,
            slots: VecDeque::new(),
            first_slot: 0,
            window,
            window_bytes: listing.window_bytes,
            max_groups,
            sequencing: false,
            stop_reading: false,
            finished_sequencing: false,
            jobs: VecDeque::new(),
            groups: BTreeMap::new(),
            next_group: 0,
            next_append: 0,
            appending: false,
            error: None,
        }
    }

    /// Why the run ended early, if it did.
    pub fn into_error(self) -> Option<Error> {
        self.error
    }

    /// The task that lies furthest downstream.
    pub fn next(&mut self) -> Next {
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
        if !self.sequencing && !self.finished_sequencing && self.groups.len() < self.max_groups {
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
            && let Some(next) = self.next_read()
        {
            return next;
        }
        if self.finished_sequencing && self.groups.is_empty() {
            return Next::Stop;
        }
        // Listing may have ended just now, with nothing left to read.
        if !self.sequencing
            && !self.finished_sequencing
            && self.groups.len() < self.max_groups
            && self.slots.is_empty()
            && self.units_end
        {
            self.sequencing = true;
            return Next::Do(Task::Finish);
        }
        Next::Wait
    }

    /// A piece of a row group was encoded.
    pub fn encoded(&mut self, group: u64, idx: usize, encoded: Encoded) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.encoded[idx] = Some(encoded);
            group.waiting -= 1;
        }
    }

    /// The row group whose turn it was has been appended.
    pub fn appended(&mut self) {
        self.groups.remove(&self.next_append);
        self.next_append += 1;
        self.appending = false;
    }

    /// Chunks went through the sequencer, which gave row groups. `done` if no
    /// further row can come out: then what was read ahead is of no use.
    pub fn sequenced(&mut self, groups: Vec<Group>, done: bool) {
        self.sequencing = false;
        if done {
            self.stop_reading();
            self.window.resize_anyway(0);
        }
        self.add_groups(groups);
    }

    /// The sequencer has given row groups at its end; without any, the end is over.
    pub fn finished(&mut self, groups: Vec<Group>) {
        self.stop_reading();
        self.finished_sequencing = groups.is_empty();
        self.sequencing = false;
        self.add_groups(groups);
    }

    fn stop_reading(&mut self) {
        self.stop_reading = true;
        self.slots.clear();
        self.fronts.iter().for_each(Front::dismiss);
    }

    /// Gives a reader back, for whoever reads the next chunk of unit `number`.
    /// The place of the chunk that was just read; none if reading has stopped.
    pub fn give_back(&mut self, number: u64, reader: Box<dyn ChunkReader>) -> Option<u64> {
        let slot = self.slot(number)?;
        slot.reader = ReaderState::Idle(reader);
        let place = slot.next_chunk;
        slot.next_chunk += 1;
        Some(place)
    }

    /// Unit `number` has no further chunk: it came to its end, or failed there.
    pub fn ended(&mut self, number: u64, how: Ready) {
        if let Some(slot) = self.slot(number) {
            slot.reader = ReaderState::Finished;
            let place = slot.next_chunk;
            slot.next_chunk += 1;
            slot.ready.insert(place, how);
        }
    }

    /// A chunk was worked and waits for its turn, holding so many bytes.
    pub fn put(&mut self, number: u64, place: u64, ready: Ready, held: u64) {
        let Some(slot) = self.slot(number) else {
            return; // reading has stopped
        };
        slot.ready.insert(place, ready);
        slot.held.insert(place, held);
        let window = self.window.bytes() + held;
        self.window.resize_anyway(window);
    }

    /// Chunks whose turn it is, in input order.
    fn take_ready(&mut self) -> Vec<Turn> {
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
            taken.push(Turn {
                path: Arc::clone(&slot.path),
                file: slot.file,
                ends_file: slot.ends_file,
                ready,
            });
            if ended {
                self.slots.pop_front();
                self.first_slot += 1;
            }
        }
        taken
    }

    /// The first unit in input order whose reader is free. Units behind the
    /// first wait while too much has been decoded ahead.
    fn next_read(&mut self) -> Option<Next> {
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
            if idx == self.slots.len() {
                if self.units_end {
                    return None;
                }
                let mut units = self.units.take()?;
                if self.units_may_wait {
                    return Some(Next::List(units));
                }
                let next = units.next();
                self.listed(units, next);
                continue;
            }
            let slot = &mut self.slots[idx];
            if slot.after_all && idx > 0 {
                return None;
            }
            let number = self.first_slot + idx as u64;
            match std::mem::replace(&mut slot.reader, ReaderState::Busy) {
                ReaderState::Closed(open) => {
                    let task = Task::Open(number, Arc::clone(&slot.path), open);
                    return Some(Next::Do(task));
                }
                ReaderState::Idle(reader) => {
                    let task = Task::Read(number, Arc::clone(&slot.path), reader);
                    return Some(Next::Do(task));
                }
                other => slot.reader = other,
            }
            if over {
                return None;
            }
            idx += 1;
        }
    }

    /// The next unit was asked for: `None` at the end of the list, which comes back.
    pub fn listed(&mut self, units: Units, next: Option<Result<Unit>>) {
        self.units = Some(units);
        let Some(unit) = next else {
            self.units_end = true;
            return;
        };
        if self.stop_reading {
            return;
        }
        let slot = match unit {
            Ok(unit) => Slot {
                path: unit.path,
                file: unit.file,
                ends_file: unit.ends_file,
                after_all: unit.after_all,
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
                    after_all: false,
                    reader: ReaderState::Finished,
                    next_chunk: 1,
                    next_ready: 0,
                    ready: BTreeMap::from([(0, Ready::Failed(error))]),
                    held: BTreeMap::new(),
                }
            }
        };
        self.slots.push_back(slot);
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

    pub fn fail(&mut self, error: Error) {
        if self.error.is_none() {
            self.error = Some(error);
            self.fronts.iter().for_each(Front::dismiss);
        }
    }
}

impl Task {
    pub fn name(&self) -> String {
        match self {
            Task::Append(..) => "appending a row group".to_owned(),
            Task::Encode(group, idx, _) => format!("encoding column {idx} of row group {group}"),
            Task::Sequence(_) => "laying out rows".to_owned(),
            Task::Finish => "laying out the last rows".to_owned(),
            Task::Open(_, path, ..) | Task::Read(_, path, ..) => format!("reading {path}"),
        }
    }
}
