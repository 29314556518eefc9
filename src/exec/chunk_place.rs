//! Where a chunk stands in the input.
//!
//! In:  a place in a chunk: bytes and lines from its beginning.
//! Out: the place in its file, and errors that tell it.

use crate::error::{Error, Place, Position};
use crate::expr::RowError;
use crate::io::json::Line;

/// Where a chunk stands in the input.
pub(super) struct ChunkPlace<'a> {
    pub path: &'a str,
    /// None where there is no text.
    pub first_byte: Option<u64>,
    /// Lines of its file, or rows, before it.
    pub lines_before: u64,
}

impl ChunkPlace<'_> {
    pub fn position(&self, byte: u64, line: u64) -> Position {
        Position {
            path: self.path.to_owned(),
            byte: self.first_byte.unwrap_or(0) + byte,
            line: self.lines_before + line + 1,
        }
    }

    pub fn place(&self, place: Line) -> Place {
        match self.first_byte {
            Some(_) => Place::Record(self.position(place.byte as u64, place.number)),
            None => Place::Row {
                path: self.path.to_owned(),
                row: self.lines_before + place.number + 1,
            },
        }
    }

    /// The error of an expression, with the place of the row it failed on.
    pub fn failure(&self, place: Line, error: Error) -> Error {
        let at = self.place(place);
        match (&error, RowError::of(&error)) {
            (Error::External { doing, .. }, Some(wrong)) => Error::Evaluate {
                at,
                doing: doing.clone(),
                reason: wrong.reason.clone(),
            },
            _ => error,
        }
    }
}
