//! The records of a chunk, one after the other.
//!
//! In:  a chunk, which of its records, and where they must not be taken for more than a line.
//! Out: a visit to each of them, and where they stand.

use std::collections::HashSet;
use std::sync::Arc;

use super::cell::Records;
use super::dialect::Dialect;
use super::layout::CsvLayout;
use crate::io::json::scan::PAD;
use crate::io::json::{BadRecord, Line, SchemaMode};

/// Which records of a chunk to visit.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    /// All from this byte on, where one begins.
    From(usize),
    /// Those that begin here, sorted.
    Only(&'a [usize]),
}

/// How one round of building a chunk's rows is asked for.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub records: Records<'a>,
    pub layout: &'a Arc<CsvLayout>,
    pub which: Which<'a>,
    pub is_utf8: bool,
    pub mode: SchemaMode,
    /// Columns to build. None: all.
    pub wanted: Option<&'a HashSet<String>>,
    /// Whether to go on after a bad record.
    pub keep_bad: bool,
}

/// Appends what [`Records`] need behind a text; returns the length without it.
pub(super) fn padded(text: &mut Vec<u8>, dialect: &Dialect) -> usize {
    let len = text.len();
    text.push(dialect.terminator);
    text.resize(len + 1 + PAD, dialect.quote.unwrap_or(b'"'));
    len
}

/// Takes the padding away again.
pub(super) fn without_padding(text: &mut Vec<u8>, len: usize) {
    text.truncate(len);
}

/// Why a line of a broken record is bad that has another quote too many.
pub(super) const OPEN_LINE: &str =
    "a quoted field of the line is not closed within the record whose quotes are broken";

/// The record whose quotes are broken, while its lines are read for themselves:
/// one quote too many does not take all lines with it up to the next quote. Its
/// end, which whoever cut the text went by, is not read past, so that the rows
/// are the same at every cut.
#[derive(Default)]
pub(super) struct Broken {
    /// Where it ends.
    end: usize,
}

impl Broken {
    /// Whether `pos` lies in the broken record and what begins there does not end in it.
    pub fn is_overrun(&self, task: &Task<'_>, pos: usize) -> bool {
        if pos >= self.end {
            return false;
        }
        let records = &task.records;
        let within = records.text.between(0, self.end);
        match records.dialect.record_end(within, pos) {
            Some(_) => false,
            // The text may end without a line end.
            None => self.end < records.len || records.all_cells(pos).is_err(),
        }
    }

    /// Where to go on behind a bad record: if its quotes are broken, at its second line.
    pub fn behind(&mut self, task: &Task<'_>, pos: usize) -> usize {
        let records = &task.records;
        let is_overrun = self.is_overrun(task, pos);
        let end = match is_overrun {
            true => self.end,
            false => records.after_record(pos),
        };
        let terminator = records.dialect.terminator;
        let line = memchr::memchr(terminator, records.text.between(pos, end));
        match line {
            Some(line) if is_overrun || records.all_cells(pos).is_err() => {
                self.end = self.end.max(end);
                pos + line + 1
            }
            _ => end,
        }
    }
}

/// What a visit found: where the next record starts, or that this is enough.
pub(super) enum Visit {
    Next(usize),
    Stop,
}

impl Task<'_> {
    /// Where in the record at `pos` the first byte is that is not UTF-8, if there is one.
    pub fn utf8_fault(&self, pos: usize) -> Option<usize> {
        if self.is_utf8 {
            return None;
        }
        let checked = simdutf8::compat::from_utf8(self.records.record(pos));
        checked.err().map(|error| error.valid_up_to())
    }

    pub fn bad_record(
        &self,
        pos: usize,
        next: usize,
        field: Option<usize>,
        reason: String,
    ) -> BadRecord {
        BadRecord {
            byte: pos as u64,
            line: self.line_of(pos),
            len: self.records.without_line_end(pos, next).len(),
            column: field.map(|field| self.layout.names[field].to_string()),
            reason,
        }
    }

    /// Calls `visit` with the start of each record. Returns how many records and
    /// blank lines there were until the end or a stop, and how many of them
    /// blank, comments among these; both are meant for [`Which::From`] only.
    pub fn visit(&self, mut visit: impl FnMut(usize) -> Visit) -> (u64, u64) {
        let (mut lines, mut blank) = (0, 0);
        match self.which {
            Which::Only(starts) => {
                for start in starts {
                    if let Visit::Stop = visit(*start) {
                        break;
                    }
                }
            }
            Which::From(from) => {
                let mut pos = from;
                while pos < self.records.len {
                    lines += 1;
                    if let Some(next) = self.blank_end(pos) {
                        blank += 1;
                        pos = next;
                        continue;
                    }
                    match visit(pos) {
                        Visit::Next(next) => pos = next,
                        Visit::Stop => break,
                    }
                }
            }
        }
        (lines, blank)
    }

    /// The record behind the line at `pos`, if that is a comment, or blank where
    /// a record has more than one field.
    #[inline(always)]
    fn blank_end(&self, pos: usize) -> Option<usize> {
        let records = &self.records;
        let is_record = self.layout.names.len() == 1;
        if records.is_line_end(pos) {
            return (!is_record).then(|| records.after_line_end(pos));
        }
        let dialect = records.dialect;
        if dialect.comment.is_none() && !dialect.trim {
            return None;
        }
        if Some(records.text.byte(pos)) == dialect.comment {
            return Some(records.after_record(pos));
        }
        if is_record {
            return None;
        }
        let mut end = pos;
        while dialect.is_blank(records.text.byte(end)) {
            end += 1;
        }
        records
            .is_line_end(end)
            .then(|| records.after_line_end(end))
    }

    /// The physical line of the chunk that byte `pos` is in, the first is 0.
    #[cold]
    pub fn line_of(&self, pos: usize) -> u64 {
        let before = self.records.text.between(0, pos);
        memchr::memchr_iter(self.records.dialect.terminator, before).count() as u64
    }

    /// Where each row came from.
    pub fn places(&self, starts: &[usize]) -> Vec<Line> {
        let (mut from, mut number) = (0, 0);
        let place = |&byte: &usize| {
            let between = self.records.text.between(from, byte);
            number += memchr::memchr_iter(self.records.dialect.terminator, between).count() as u64;
            from = byte;
            Line { byte, number }
        };
        starts.iter().map(place).collect()
    }

    /// Line ends of the chunk that end none of its `lines` records and blank lines.
    pub fn inner_lines(&self, lines: u64) -> u64 {
        let (text, dialect) = (self.records.text, self.records.dialect);
        let all = text.between(0, self.records.len);
        let has_header = matches!(self.which, Which::From(from) if from > 0);
        let has_quotes = dialect
            .quote
            .is_some_and(|quote| memchr::memchr(quote, all).is_some());
        if !has_header && !has_quotes {
            return 0;
        }
        let is_cut = all.last().is_some_and(|last| *last != dialect.terminator);
        let ends = memchr::memchr_iter(dialect.terminator, all).count() as u64 + u64::from(is_cut);
        ends.saturating_sub(lines)
    }
}
