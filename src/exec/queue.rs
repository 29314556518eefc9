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
use super::task::{Closed, Ended, Ready, Task, Turn};
use crate::error::{Error, Result};
use crate::memory::{Buffers, HeldBuffers, Reservation};

/// Chunks taken through the sequencer at a time, so that a row group which
/// fills up is encoded before more rows pile up.
const SEQUENCE_AT_ONCE: usize = 8;

/// Units that are opened at a time where one after the other turned out to hold
/// nothing: the lock then costs less than they do.
const OPENED_AT_ONCE: usize = 32;

/// Units without a chunk, one after the other, from which on that is so; and those
/// that wait to be taken through the sequencer together.
const MANY_EMPTY: usize = 64;

/// Units that may be listed behind one that still holds up the sequencer: those that hold
/// nothing fill no window, and would be as many as the input has.
const MOST_AHEAD: usize = 1 << 14;

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
    /// What each waiting chunk holds.
    held: BTreeMap<u64, Buffers>,
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
    /// No unit in front of this one has a reader that is free: many that ended may wait
    /// behind one that takes long, and to look at each again would cost their square.
    first_free: u64,
    /// Of what was decoded ahead of its turn: chunks may be slices of one batch.
    window: Reservation,
    ahead: HeldBuffers,
    window_bytes: u64,
    /// Row groups that may be encoded at the same time.
    max_groups: usize,
    sequencing: bool,
    stop_reading: bool,
    finished_sequencing: bool,
    /// Turns of units that held nothing, until there are many or a chunk comes.
    turns: Vec<Turn>,
    /// Units without a chunk, of those that ended last.
    n_empty: usize,
    jobs: VecDeque<(u64, usize, Job)>,
    groups: BTreeMap<u64, GroupState>,
    next_group: u64,
    next_append: u64,
    appending: bool,
    error: Option<Error>,
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
            first_free: 0,
            window,
            ahead: HeldBuffers::default(),
            window_bytes: listing.window_bytes,
            max_groups,
            sequencing: false,
            stop_reading: false,
            finished_sequencing: false,
            turns: Vec::new(),
            n_empty: 0,
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

    /// The task that lies furthest downstream. `last` is the unit that whoever asks
    /// read last.
    pub fn next(&mut self, last: Option<u64>) -> Next {
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
        let sequences =
            !self.sequencing && !self.finished_sequencing && self.groups.len() < self.max_groups;
        if sequences {
            if self.take_ready() {
                return self.sequence();
            }
            if self.turns.is_empty()
                && (self.stop_reading || (self.slots.is_empty() && self.units_end))
            {
                self.sequencing = true;
                return Next::Do(Task::Finish);
            }
        }
        if !self.stop_reading
            && let Some(next) = self.next_read(last)
        {
            return next;
        }
        if sequences && !self.turns.is_empty() {
            return self.sequence();
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

    /// Takes what waits for it through the sequencer.
    fn sequence(&mut self) -> Next {
        self.sequencing = true;
        Next::Do(Task::Sequence(std::mem::take(&mut self.turns)))
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
            self.ahead = HeldBuffers::default();
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
        self.n_empty = 0;
        let slot = self.slot(number)?;
        slot.reader = ReaderState::Idle(reader);
        let place = slot.next_chunk;
        slot.next_chunk += 1;
        self.first_free = self.first_free.min(number);
        Some(place)
    }

    /// Gives units back that were not opened.
    pub fn close(&mut self, units: VecDeque<Closed>) {
        for unit in units {
            if let Some(slot) = self.slot(unit.number) {
                slot.reader = ReaderState::Closed(unit.open);
                self.first_free = self.first_free.min(unit.number);
            }
        }
    }

    /// A unit has no further chunk: it came to its end, or failed there.
    pub fn ended(&mut self, (number, how): Ended) {
        if let Some(slot) = self.slot(number) {
            let is_empty = slot.next_chunk == 0;
            slot.reader = ReaderState::Finished;
            let place = slot.next_chunk;
            slot.next_chunk += 1;
            slot.ready.insert(place, how);
            self.n_empty = if is_empty { self.n_empty + 1 } else { 0 };
        }
    }

    /// A chunk was worked and waits for its turn, holding some memory.
    pub fn put(&mut self, number: u64, place: u64, ready: Ready, held: Buffers) {
        if self.slot(number).is_none() {
            return; // reading has stopped
        }
        let window = self.window.bytes() + self.ahead.take(&held);
        self.window.resize_anyway(window);
        if let Some(slot) = self.slot(number) {
            slot.ready.insert(place, ready);
            slot.held.insert(place, held);
        }
    }

    /// Takes the turns that have come, in input order. Whether they are to go through
    /// the sequencer now: the ends of a few units that held nothing may wait.
    fn take_ready(&mut self) -> bool {
        let mut n_others = 0;
        while n_others < SEQUENCE_AT_ONCE && self.turns.len() < MANY_EMPTY {
            let Some(slot) = self.slots.front_mut() else {
                break;
            };
            let Some(ready) = slot.ready.remove(&slot.next_ready) else {
                break;
            };
            let held = slot.held.remove(&slot.next_ready).unwrap_or_default();
            let freed = self.ahead.give_back(&held);
            self.window
                .resize_anyway(self.window.bytes().saturating_sub(freed));
            let ended = matches!(ready, Ready::End { .. });
            n_others += usize::from(!ended || slot.next_ready > 0);
            slot.next_ready += 1;
            self.turns.push(Turn {
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
        n_others > 0 || self.turns.len() >= MANY_EMPTY
    }

    /// The first unit in input order whose reader is free. Units behind the
    /// first wait while too much has been decoded ahead.
    ///
    /// While nothing is held that was, a thread goes on with the unit it read `last`:
    /// what is known of that lies in its caches, and rows that are near each other in
    /// the input are folded by one thread.
    fn next_read(&mut self, last: Option<u64>) -> Option<Next> {
        if self.window.bytes() == 0
            && let Some(number) = last
            && let Some(slot) = self.slot(number)
            && matches!(slot.reader, ReaderState::Idle(_))
            && let ReaderState::Idle(reader) =
                std::mem::replace(&mut slot.reader, ReaderState::Busy)
        {
            let path = Arc::clone(&slot.path);
            return Some(Next::Do(Task::Read(number, path, reader)));
        }
        let over = self.window.bytes() >= self.window_bytes || self.slots.len() >= MOST_AHEAD;
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
        let mut idx = self.first_free.saturating_sub(self.first_slot) as usize;
        if over && idx > 0 {
            return None;
        }
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
                    let path = Arc::clone(&slot.path);
                    let mut units = VecDeque::from([Closed { number, path, open }]);
                    if self.n_empty >= MANY_EMPTY {
                        self.add_closed(idx + 1, &mut units);
                    }
                    return Some(Next::Do(Task::Open(units)));
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
            self.first_free = number + 1;
        }
    }

    /// Adds units from the one at `idx` on that are still closed, listing more
    /// of them where that takes no time.
    fn add_closed(&mut self, mut idx: usize, to: &mut VecDeque<Closed>) {
        while to.len() < OPENED_AT_ONCE {
            if idx == self.slots.len() {
                if self.units_end || self.units_may_wait {
                    return;
                }
                let Some(mut units) = self.units.take() else {
                    return;
                };
                let next = units.next();
                self.listed(units, next);
                continue;
            }
            let slot = &mut self.slots[idx];
            if slot.after_all || !matches!(slot.reader, ReaderState::Closed(_)) {
                return;
            }
            if let ReaderState::Closed(open) =
                std::mem::replace(&mut slot.reader, ReaderState::Busy)
            {
                to.push_back(Closed {
                    number: self.first_slot + idx as u64,
                    path: Arc::clone(&slot.path),
                    open,
                });
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

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::exec::source::Chunk;
    use crate::memory::Budget;
    use crate::size::ByteSize;

    /// A reader that nobody asks.
    struct Silent;

    impl ChunkReader for Silent {
        fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
            Ok(None)
        }

        fn stored_bytes_read(&self) -> u64 {
            0
        }
    }

    fn state() -> State {
        of_units(3)
    }

    fn of_units(n: usize) -> State {
        let unit = |_| {
            Ok(Unit {
                path: Arc::from("unit"),
                file: 0,
                ends_file: false,
                after_all: false,
                open: Box::new(|| Ok(Box::new(Silent) as _)),
            })
        };
        let listing = Listing {
            units: Box::new((0..n).map(unit)),
            may_wait: false,
            fronts: Vec::new(),
            window_bytes: 1 << 20,
        };
        State::new(listing, Budget::new(ByteSize::mib(1)).open(), 1)
    }

    fn unit(next: Next) -> Option<u64> {
        match next {
            Next::Do(Task::Open(units)) => units.front().map(|unit| unit.number),
            Next::Do(Task::Read(number, ..)) => Some(number),
            _ => None,
        }
    }

    #[test]
    fn a_thread_goes_on_with_its_unit_while_nothing_is_held_ahead() {
        let mut state = state();
        assert_eq!(unit(state.next(None)), Some(0));
        assert_eq!(unit(state.next(None)), Some(1));
        let give_back = |state: &mut State| {
            for number in [0, 1] {
                assert!(state.give_back(number, Box::new(Silent)).is_some());
            }
        };
        give_back(&mut state);
        assert_eq!(unit(state.next(Some(1))), Some(1));
        assert_eq!(unit(state.next(Some(1))), Some(0), "its own is being read");
        assert_eq!(unit(state.next(Some(1))), Some(2));
        give_back(&mut state);
        // A chunk of unit 1 waits for those of unit 0, which come first from here on.
        let waits = Ready::Failed(Error::internal("a chunk that nobody takes"));
        state.put(1, 0, waits, buffers(0..10));
        assert_eq!(unit(state.next(Some(1))), Some(0));
    }

    #[test]
    fn units_without_rows_went_ahead_of_one_that_took_long_until_the_input_ended() {
        const UNITS: usize = 3 * MOST_AHEAD;
        let mut state = of_units(UNITS);
        let Next::Do(Task::Open(first)) = state.next(None) else {
            panic!("the first unit is free");
        };
        assert_eq!(first.len(), 1);
        let end = |state: &mut State, units: VecDeque<Closed>| {
            let n = units.len();
            for unit in units {
                state.ended((unit.number, Ready::End { damage: None }));
            }
            n
        };
        let mut n_ended = 0;
        while let Next::Do(Task::Open(units)) = state.next(None) {
            n_ended += end(&mut state, units);
        }
        let most = MOST_AHEAD + OPENED_AT_ONCE;
        assert!((MOST_AHEAD / 2..most).contains(&n_ended), "{n_ended}");
        // Given back, it is what everybody waits for.
        state.close(first);
        assert_eq!(state.slots.len(), n_ended + 1);
        let mut n_turns = 0;
        loop {
            match state.next(None) {
                Next::Do(Task::Open(units)) => {
                    end(&mut state, units);
                }
                Next::Do(Task::Sequence(turns)) => {
                    n_turns += turns.len();
                    state.sequenced(Vec::new(), false);
                }
                Next::Do(Task::Finish) => break,
                _ => panic!("there is something to do until the end"),
            }
        }
        assert_eq!(n_turns, UNITS);
    }

    /// What rows of a column hold: slices of one array.
    fn buffers(rows: std::ops::Range<usize>) -> Buffers {
        static COLUMN: std::sync::OnceLock<ArrayRef> = std::sync::OnceLock::new();
        let column = COLUMN.get_or_init(|| Arc::new(Int64Array::from_iter_values(0..100)));
        Buffers::of([&column.slice(rows.start, rows.len())])
    }

    #[test]
    fn slices_of_one_batch_that_wait_hold_its_memory_once() {
        let mut state = state();
        for number in [0, 1, 2] {
            assert_eq!(unit(state.next(None)), Some(number));
        }
        for number in [2, 1, 0] {
            state.give_back(number, Box::new(Silent));
            let waits = Ready::Failed(Error::internal("a chunk that nobody takes"));
            let rows = number as usize * 10..number as usize * 10 + 10;
            state.put(number, 0, waits, buffers(rows));
            assert_eq!(state.window.bytes(), 800);
        }
        // Each time the end of a unit, and the chunk of the next one.
        for left in [800, 0] {
            state.slots[0].ready.insert(1, Ready::End { damage: None });
            assert!(state.take_ready());
            state.turns.clear();
            assert_eq!(state.window.bytes(), left);
        }
    }
}
