//! Windows that are told as rows pass, as long as their states fit.
//!
//! In:  batches in order.
//! Out: rows with columns; or, once states take too much, nothing until all came.

use arrow_array::RecordBatch;

use super::Room;
use super::late::Late;
use crate::error::Result;
use crate::ops::window::{Windowed, Windows};

/// The share of the budget that states of groups may take while rows pass:
/// enough for millions of groups, and little enough to stay there while all other
/// rows come.
const STATES_SHARE: u64 = 4;

/// Windows over rows so far.
pub(crate) struct Along {
    state: State,
    room: Option<Room>,
}

enum State {
    Streaming(Box<Windows>),
    Late(Box<Late>),
    /// What was late was handed on.
    Over,
}

impl Along {
    /// Windows that have seen nothing.
    pub fn new(windows: Windows) -> Self {
        Along {
            state: State::Streaming(Box::new(windows)),
            room: None,
        }
    }

    /// Holds what it must under this budget.
    pub fn take_from(&mut self, room: &Room) {
        if let State::Streaming(windows) = &mut self.state {
            windows.take_from(&room.budget);
        }
        self.room = Some(room.clone());
    }

    /// The rows with the columns of all windows; none if rows come late by now.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Memory`] if states that cannot be cut do not fit; what
    /// evaluating gives where no row is to blame.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Option<Windowed>> {
        let State::Streaming(windows) = &mut self.state else {
            return Ok(None);
        };
        let windowed = windows.push(batch)?;
        let fits = windows.hold();
        if let (Some(room), true) = (&self.room, windows.has_keys()) {
            let most = room.budget.limit().bytes() / STATES_SHARE;
            if !fits || windows.bytes() > most {
                tracing::debug!(groups = windows.n_groups(), "windows go by key");
                if let State::Streaming(windows) = std::mem::replace(&mut self.state, State::Over) {
                    self.state = State::Late(Box::new(Late::new(*windows, room)?));
                }
            }
        } else if !fits {
            return Err(windows.refused());
        }
        Ok(Some(windowed))
    }

    /// Where rows wait, if they come late.
    pub fn late(&mut self) -> Option<&mut Late> {
        match &mut self.state {
            State::Late(late) => Some(late),
            State::Streaming(_) | State::Over => None,
        }
    }

    /// Whether rows wait here.
    pub fn is_late(&self) -> bool {
        matches!(self.state, State::Late(_))
    }

    /// What waits here, once no further row comes.
    pub fn take_late(&mut self) -> Option<Late> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Late(late) => Some(*late),
            other => {
                self.state = other;
                None
            }
        }
    }
}
