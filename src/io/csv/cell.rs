//! One field of a record, found and judged.
//!
//! In:  text at the start of a field.
//! Out: where its content is and where the field ends; what it may stand for.

use crate::io::csv::dialect::Dialect;
use crate::io::json::lattice::Scalars;
use crate::io::json::number::{Number, scan_number};
use crate::io::json::scan::{Text, find_either};
use crate::io::json::spelling::{BoolSpellings, NumberSpellings};

/// A chunk's records, readable past the last one's end.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    pub text: Text<'a>,
    /// Where the records end; behind it stand a line end and padding of quotes.
    pub len: usize,
    pub dialect: &'a Dialect,
}

/// Where a field is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// Its content, without quotes: `start..end`.
    pub start: usize,
    pub end: usize,
    /// The delimiter or line end behind it.
    pub next: usize,
    pub is_quoted: bool,
    /// Whether the content holds doubled quotes or escapes.
    pub is_escaped: bool,
}

/// What is wrong with the quotes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuoteFault {
    /// There is no closing quote before the text ends.
    Open,
    /// The closing quote is followed by neither a delimiter nor a line end.
    Followed(usize),
}

/// What a field is, taken for itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    Null,
    Bool(bool),
    Number(Number),
    Text,
}

impl<'a> Records<'a> {
    /// Whether a field ends at `pos`.
    #[inline(always)]
    pub fn is_end(&self, pos: usize) -> bool {
        let byte = self.text.byte(pos);
        byte == self.dialect.delimiter || self.is_line_end(pos)
    }

    /// Whether a record ends at `pos`.
    #[inline(always)]
    pub fn is_line_end(&self, pos: usize) -> bool {
        let (byte, terminator) = (self.text.byte(pos), self.dialect.terminator);
        byte == terminator
            || byte == b'\r' && terminator == b'\n' && self.text.byte(pos + 1) == b'\n'
    }

    /// The record after the one that ends at `pos`, which is at a line end.
    #[inline(always)]
    pub fn after_line_end(&self, pos: usize) -> usize {
        pos + 1 + usize::from(self.text.byte(pos) != self.dialect.terminator)
    }

    /// The record after the one that begins at `start`.
    pub fn after_record(&self, start: usize) -> usize {
        let text = self.text.between(0, self.len);
        self.dialect.record_end(text, start).unwrap_or(self.len)
    }

    /// The bytes of the record at `start`, without its line end.
    pub fn record(&self, start: usize) -> &'a [u8] {
        self.without_line_end(start, self.after_record(start))
    }

    /// Bytes that end at `end`, without the line end that they may end with.
    pub fn without_line_end(&self, start: usize, end: usize) -> &'a [u8] {
        let record = self.text.between(start, end);
        let Some(record) = record.strip_suffix(&[self.dialect.terminator]) else {
            return record;
        };
        match self.dialect.terminator {
            b'\n' => record.strip_suffix(b"\r").unwrap_or(record),
            _ => record,
        }
    }

    fn skip_blanks(&self, mut pos: usize) -> usize {
        while self.dialect.is_blank(self.text.byte(pos)) {
            pos += 1;
        }
        pos
    }

    /// The field at `pos`.
    #[inline]
    pub fn cell(&self, pos: usize) -> Result<Cell, QuoteFault> {
        let start = self.skip_blanks(pos);
        if start < self.len && Some(self.text.byte(start)) == self.dialect.quote {
            return self.quoted_cell(start);
        }
        let next = self.unquoted_end(start);
        let mut end = next;
        while end > start && self.dialect.is_blank(self.text.byte(end - 1)) {
            end -= 1;
        }
        Ok(Cell {
            start,
            end,
            next,
            is_quoted: false,
            is_escaped: false,
        })
    }

    /// Where the unquoted field at `start` ends.
    #[inline(always)]
    pub fn unquoted_end(&self, start: usize) -> usize {
        let (delimiter, terminator) = (self.dialect.delimiter, self.dialect.terminator);
        let end = find_either(self.text, start, delimiter, terminator);
        let is_crlf = end > start
            && self.text.byte(end) == b'\n'
            && terminator == b'\n'
            && self.text.byte(end - 1) == b'\r';
        end - usize::from(is_crlf)
    }

    /// The field whose opening quote is at `open`.
    #[inline]
    fn quoted_cell(&self, open: usize) -> Result<Cell, QuoteFault> {
        let quote = self.text.byte(open);
        let escape = self.dialect.escape.unwrap_or(quote);
        let mut is_escaped = false;
        let mut pos = open + 1;
        let end = loop {
            // Padding holds quotes, so that this ends.
            let at = find_either(self.text, pos, quote, escape);
            if at >= self.len {
                return Err(QuoteFault::Open);
            }
            if self.text.byte(at) == quote && self.text.byte(at + 1) != quote {
                break at;
            }
            is_escaped = true;
            pos = at + 2;
            if pos > self.len {
                return Err(QuoteFault::Open);
            }
        };
        let next = self.skip_blanks(end + 1);
        if !self.is_end(next) {
            return Err(QuoteFault::Followed(next));
        }
        Ok(Cell {
            start: open + 1,
            end,
            next,
            is_quoted: true,
            is_escaped,
        })
    }

    /// Appends a field's content.
    #[inline]
    pub fn copy(&self, cell: &Cell, out: &mut Vec<u8>) {
        let content = self.text.between(cell.start, cell.end);
        if !cell.is_escaped {
            return out.extend_from_slice(content);
        }
        let (quote, escape) = (self.dialect.quote, self.dialect.escape);
        let mut bytes = content.iter().copied();
        while let Some(byte) = bytes.next() {
            // Of a doubled quote or an escape the second character counts.
            let is_first = Some(byte) == escape || Some(byte) == quote;
            out.extend(if is_first { bytes.next() } else { Some(byte) });
        }
    }

    /// Whether a field is null: an unquoted one with nothing in it, or with one of the null texts.
    #[inline(always)]
    pub fn is_null(&self, cell: &Cell) -> bool {
        if cell.is_quoted {
            return false;
        }
        let nulls = &self.dialect.nulls;
        cell.start == cell.end
            || !nulls.is_empty() && {
                let content = self.text.between(cell.start, cell.end);
                nulls.iter().any(|null| null == content)
            }
    }

    /// What a field is, and the facts that its column learns from it.
    pub fn meaning(&self, cell: &Cell) -> (Meaning, Scalars) {
        if self.is_null(cell) {
            return (Meaning::Null, Scalars::NONE);
        }
        let content = self.text.between(cell.start, cell.end);
        let text = (Meaning::Text, Scalars::TEXT_FIELD);
        let (meaning, facts) = match content.first() {
            Some(b'-' | b'0'..=b'9') if content != b"-inf" => {
                match scan_number(self.text, cell.start) {
                    Ok((number, end)) if end == cell.end => number_field(number, content),
                    _ => return text,
                }
            }
            Some(b'N' | b'i' | b'-') => match NumberSpellings::parse_not_finite(content) {
                Some(value) => {
                    let number = Number::Float(value);
                    (Meaning::Number(number), number.facts())
                }
                None => return text,
            },
            Some(b't' | b'f' | b'T' | b'F') => match BoolSpellings::parse(content) {
                Some((value, written)) => (
                    Meaning::Bool(value),
                    Scalars::BOOL.with(Scalars::bool_spelled(written)),
                ),
                None => return text,
            },
            _ => return text,
        };
        let facts = facts.with(Scalars::FIELD);
        if facts.is_text() {
            text
        } else {
            (meaning, facts)
        }
    }
}

/// Integers below this have the digits of the float that equals them.
const MOST_PLAIN: u64 = 1 << 53;

/// A number as a field, which must come back as it was written.
fn number_field(number: Number, literal: &[u8]) -> (Meaning, Scalars) {
    let (number, written) = match number {
        // An integer has no negative zero, but a float has.
        Number::Int(0) if literal == b"-0" => {
            (Number::Float(-0.0), NumberSpellings::of(-0.0, literal))
        }
        Number::Float(value) => (number, NumberSpellings::of(value, literal)),
        Number::Int(value) if value.unsigned_abs() < MOST_PLAIN => {
            (number, NumberSpellings::INTEGER)
        }
        // As a float of few digits and zeros it would be another integer.
        _ => (number, NumberSpellings::SHORTEST),
    };
    let facts = number.facts().with(Scalars::number_spelled(written));
    (Meaning::Number(number), facts)
}
