//! What a record of text is, and what its bytes mean.
//!
//! In:  a user's choice, and for CSV the first record of a file.
//! Out: where records end, for whoever cuts text; an array of JSON is cut elsewhere.

use std::sync::Arc;

use super::array::is_whole_object;
use super::csv::{CsvOptions, Dialect};
use super::encoding::Encoding;

/// What a record is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RecordKind {
    /// A line of JSON; or an element of a text that is one array of objects.
    #[default]
    Json,
    /// Any line.
    Line,
    /// A record of CSV, which may hold line ends in quotes.
    Csv(Arc<CsvOptions>),
}

/// How bytes become records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Framing {
    /// What a record is. Default: JSON.
    pub records: RecordKind,
    /// What the bytes mean. Default: UTF-8; JSON is never anything else.
    pub encoding: Encoding,
    /// Whether bytes that mean nothing become U+FFFD; else they are an error.
    pub lossy: bool,
}

impl Framing {
    /// Whether a record begins after every newline of the stored bytes, if
    /// those are UTF-8 and stay as they are: such a file can be cut without reading it.
    pub(crate) fn is_cuttable(&self) -> bool {
        !matches!(self.records, RecordKind::Csv(_)) && self.encoding.is_utf8() && !self.lossy
    }
}

/// Where records end.
#[derive(Debug, Clone)]
pub(crate) enum Ends {
    /// At every newline, of objects.
    Json,
    /// At every newline.
    Line,
    /// At a line end outside of quotes.
    Csv(Arc<Dialect>),
}

impl Ends {
    /// Where the records of `view`, which begins with one, end that begin in its
    /// first `room` bytes: if that is seen, or else wherever the last whole one ends.
    pub fn of_records(&self, view: &[u8], room: usize) -> Option<usize> {
        match self {
            Ends::Json | Ends::Line => self.of_block(view, room).or_else(|| {
                let newline = memchr::memrchr(b'\n', &view[..view.len().min(room)])?;
                Some(newline + 1)
            }),
            Ends::Csv(dialect) => match walk(dialect, view, room) {
                0 => None,
                end => Some(end),
            },
        }
    }

    /// Where the records that begin in the first `room` bytes end, if that is seen.
    pub fn of_block(&self, view: &[u8], room: usize) -> Option<usize> {
        match self {
            Ends::Json | Ends::Line => {
                let from = room.checked_sub(1)?;
                let newline = memchr::memchr(b'\n', view.get(from..)?)?;
                Some(from + newline + 1)
            }
            Ends::Csv(_) if view.len() < room => None,
            Ends::Csv(dialect) => Some(walk(dialect, view, room)).filter(|end| *end >= room),
        }
    }

    /// What ends a line.
    pub fn terminator(&self) -> u8 {
        match self {
            Ends::Json | Ends::Line => b'\n',
            Ends::Csv(dialect) => dialect.terminator,
        }
    }

    /// Whether bytes at the border of a gap are a whole record beyond doubt.
    pub fn is_whole(&self, record: &[u8]) -> bool {
        matches!(self, Ends::Json) && is_whole_object(record)
    }
}

/// The first end of a record at or behind `room`, or the last one there is; 0 if there is none.
fn walk(dialect: &Dialect, view: &[u8], room: usize) -> usize {
    let mut end = 0;
    while end < room {
        match dialect.record_end(view, end) {
            Some(next) => end = next,
            None => break,
        }
    }
    end
}
