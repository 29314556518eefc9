//! What one thread does in one go.
//!
//! In:  units, chunks that were worked, row groups that were sealed.
//! Out: tasks, and what each is called where it fails.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::output::{Encoded, Job, Tag};
use super::source::{ChunkReader, Open};
use super::worker::Worked;
use crate::error::Error;

/// Work that waits for nothing.
pub(super) enum Task {
    Append(Tag, Vec<Encoded>),
    Encode(u64, usize, Job),
    Sequence(Vec<Turn>),
    Finish,
    /// Units that stand one behind the other, at least one.
    Open(VecDeque<Closed>),
    Read(u64, Arc<str>, Box<dyn ChunkReader>),
}

/// A chunk that waits for its turn, or the end of its unit.
pub(super) enum Ready {
    Chunk(Box<Worked>),
    /// There is no chunk to be read.
    Failed(Error),
    /// There was one, and it could not be worked: user code does not know where it lay.
    Unworked(Error),
    End {
        damage: Option<String>,
    },
}

/// A chunk, or the end of a unit, whose turn in the input has come.
pub(super) struct Turn {
    pub path: Arc<str>,
    pub file: u32,
    pub ends_file: bool,
    pub ready: Ready,
}

/// A unit that is to be opened.
pub(super) struct Closed {
    pub number: u64,
    pub path: Arc<str>,
    pub open: Open,
}

/// A unit that has no further chunk, and how it came to its end.
pub(super) type Ended = (u64, Ready);

/// What is being done, for whom it fails.
pub(super) enum Doing {
    Appending,
    Encoding(u64, usize),
    LayingOut,
    LayingOutLast,
    Reading(Arc<str>),
}

impl Task {
    /// What is done first.
    pub fn begins(&self) -> Doing {
        match self {
            Task::Append(..) => Doing::Appending,
            Task::Encode(group, idx, _) => Doing::Encoding(*group, *idx),
            Task::Sequence(_) => Doing::LayingOut,
            Task::Finish => Doing::LayingOutLast,
            Task::Open(units) => match units.front() {
                Some(first) => Doing::Reading(Arc::clone(&first.path)),
                None => Doing::Reading(Arc::from("nothing")),
            },
            Task::Read(_, path, ..) => Doing::Reading(Arc::clone(path)),
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Appending => f.write_str("appending a row group"),
            Doing::Encoding(group, idx) => write!(f, "encoding column {idx} of row group {group}"),
            Doing::LayingOut => f.write_str("laying out rows"),
            Doing::LayingOutLast => f.write_str("laying out the last rows"),
            Doing::Reading(path) => write!(f, "reading {path}"),
        }
    }
}
