//! Reading a record into its columns: the hot path.
//!
//! In:  text at the start of a record, and the columns of its fields.
//! Out: one more row, or the reason why not; the caller takes back what was appended.
//!
//! A number is read in place and ends its field itself; text is copied while
//! its end is looked for. Whatever is unusual leaves through a cold function.

use arrow_schema::DataType;

use super::cell::{Cell, Meaning, QuoteFault, Records};
use crate::io::json::column::{Column, Values};
use crate::io::json::fixed::Scalar;
use crate::io::json::lattice::Scalars;
use crate::io::json::number::{Decimal, Number, scan_decimal, scan_int};
use crate::io::json::scan::copy_until;
use crate::io::json::spelling::{BoolSpellings, NumberSpellings};

/// What is done with the fields of one column of a file.
pub(super) enum Slot {
    Build(Box<Column>),
    /// Not asked for.
    Skip,
    /// Not in the schema, and counted.
    Ignore,
}

/// Why a record has no row.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The schema must be widened.
    Widen,
    /// It is no record of the schema: the field to blame, if one is, and why.
    Bad(Option<usize>, String),
}

/// Decimals of up to 15 digits are told apart by the shortest text that gives them back.
const MOST_DIGITS: u64 = 1_000_000_000_000_000;

/// The facts of a number with so many decimals, of which the last is a zero or not.
const DECIMAL_FACTS: [[Scalars; 2]; 8] = {
    let mut facts = [[Scalars::NONE; 2]; 8];
    let mut n = 1;
    while n < 8 {
        let fixed = NumberSpellings::decimals(n);
        let shortest = fixed
            .or(NumberSpellings::INTEGER)
            .or(NumberSpellings::POINTED);
        let padded = if n == 1 {
            fixed.or(NumberSpellings::POINTED)
        } else {
            fixed
        };
        facts[n] = [of_float(shortest), of_float(padded)];
        n += 1;
    }
    facts
};

const fn of_float(written: NumberSpellings) -> Scalars {
    Scalars::FLOAT
        .with(Scalars::FIELD)
        .with(Scalars::number_spelled(written))
}

/// What a decimal's column learns from it, if that is known without writing it again.
#[inline(always)]
fn decimal_facts(decimal: &Decimal, last_digit: u8) -> Option<Scalars> {
    let is_plain = decimal.mantissa < MOST_DIGITS
        && (decimal.decimals < 5 || decimal.value.abs() >= 1e-4)
        && (decimal.mantissa != 0 || decimal.value.is_sign_positive());
    is_plain.then(|| DECIMAL_FACTS[decimal.decimals][usize::from(last_digit == b'0')])
}

impl Records<'_> {
    /// Reads the record at `pos`; returns where the next one starts, or none if
    /// it does not go into the columns.
    #[inline]
    pub fn read_record(&self, slots: &mut [Slot], mut pos: usize, record: u64) -> Option<usize> {
        let last = slots.len().checked_sub(1)?;
        for idx in 0..=last {
            let end = match &mut slots[idx] {
                Slot::Build(column) => self.read_field(column, pos, record)?,
                Slot::Skip | Slot::Ignore => self.skip_field(pos)?,
            };
            if self.text.byte(end) == self.dialect.delimiter {
                if idx == last {
                    return None;
                }
                pos = end + 1;
                continue;
            }
            if idx != last {
                if !self.dialect.fill_short {
                    return None;
                }
                for slot in &mut slots[idx + 1..] {
                    if let Slot::Build(column) = slot {
                        column.push_nulls(1);
                    }
                }
            }
            return Some(self.after_line_end(end));
        }
        None
    }

    #[inline(always)]
    fn skip_field(&self, pos: usize) -> Option<usize> {
        if !self.dialect.trim && Some(self.text.byte(pos)) != self.dialect.quote {
            return Some(self.unquoted_end(pos));
        }
        self.cell(pos).ok().map(|cell| cell.next)
    }

    /// Reads the field at `pos`; returns where it ends.
    #[inline(always)]
    fn read_field(&self, column: &mut Column, pos: usize, record: u64) -> Option<usize> {
        let dialect = self.dialect;
        if dialect.trim || !dialect.nulls.is_empty() {
            return self.read_unusual(column, pos, record);
        }
        match &mut column.values {
            Values::Text(text)
                if Some(self.text.byte(pos)) != dialect.quote && !self.is_end(pos) =>
            {
                let bytes = &mut text.bytes;
                let (delimiter, terminator) = (dialect.delimiter, dialect.terminator);
                let mut end = copy_until(self.text, pos, delimiter, terminator, bytes);
                if self.text.byte(end) == b'\n' && terminator == b'\n' {
                    // A field of nothing was none of this branch's.
                    if bytes.last() == Some(&b'\r') && self.text.byte(end - 1) == b'\r' {
                        bytes.pop();
                        end -= 1;
                    }
                }
                text.end();
                column.appended();
                Some(end)
            }
            Values::Int(values) => match scan_int(self.text, pos) {
                // An integer has no negative zero.
                Some((value, end))
                    if self.is_end(end) && (value != 0 || self.text.byte(pos) == b'0') =>
                {
                    values.push(value);
                    column.appended();
                    Some(end)
                }
                _ => self.read_unusual(column, pos, record),
            },
            Values::Float(values) => match scan_decimal(self.text, pos) {
                Some(decimal) if self.is_end(decimal.end) => {
                    let facts = decimal_facts(&decimal, self.text.byte(decimal.end - 1));
                    if !facts.is_some_and(|facts| column.facts.has(facts)) {
                        return self.read_unusual(column, pos, record);
                    }
                    values.push(decimal.value);
                    column.appended();
                    Some(decimal.end)
                }
                _ => self.read_unusual(column, pos, record),
            },
            _ => self.read_unusual(column, pos, record),
        }
    }

    #[inline(never)]
    fn read_unusual(&self, column: &mut Column, pos: usize, record: u64) -> Option<usize> {
        let cell = self.cell(pos).ok()?;
        self.append(column, &cell, record).then_some(cell.next)
    }

    /// Appends a field. False, with nothing appended, if the column does not take it.
    fn append(&self, column: &mut Column, cell: &Cell, record: u64) -> bool {
        if self.is_null(cell) {
            column.push_nulls(1);
            return true;
        }
        let is_taken = if let Values::Text(text) = &mut column.values {
            self.copy(cell, &mut text.bytes);
            text.end();
            true
        } else if column.fixed.is_some() {
            self.append_fixed(column, cell)
        } else {
            self.append_found(column, cell, record)
        };
        if is_taken {
            column.appended();
        }
        is_taken
    }

    /// Appends a value to a column whose type was found in the data.
    fn append_found(&self, column: &mut Column, cell: &Cell, record: u64) -> bool {
        let (meaning, facts) = self.meaning(cell);
        if !column.facts.has(facts) && column.facts.join(facts).is_text() {
            return false;
        }
        match (&mut column.values, meaning) {
            (Values::Bool(bits), Meaning::Bool(value)) => bits.push(value),
            (Values::Int(values), Meaning::Number(Number::Int(value))) => values.push(value),
            (Values::UInt(values), Meaning::Number(Number::UInt(value))) => values.push(value),
            (Values::UInt(values), Meaning::Number(Number::Int(value))) if value >= 0 => {
                values.push(value as u64);
            }
            (Values::Float(values), Meaning::Number(number)) => values.push(match number {
                Number::Int(value) => value as f64,
                Number::UInt(value) => value as f64,
                Number::Float(value) => value,
                Number::Huge => return false,
            }),
            _ => return false,
        }
        if !column.facts.has(facts) {
            column.add_facts(facts, record);
        }
        true
    }

    /// Appends a value to a column whose type the user gave. Quotes say nothing of types.
    fn append_fixed(&self, column: &mut Column, cell: &Cell) -> bool {
        let mut unescaped = Vec::new();
        let content = if cell.is_escaped {
            self.copy(cell, &mut unescaped);
            &unescaped[..]
        } else {
            self.text.between(cell.start, cell.end)
        };
        let Ok(content) = std::str::from_utf8(content) else {
            return false;
        };
        let appended = match &mut column.values {
            Values::Bool(bits) => {
                let parsed = BoolSpellings::parse(content.as_bytes());
                parsed.map(|(value, _)| bits.push(value))
            }
            Values::Int(values) => content.parse().ok().map(|value| values.push(value)),
            Values::UInt(values) => content.parse().ok().map(|value| values.push(value)),
            Values::Float(values) => float(content).map(|value| values.push(value)),
            Values::Fixed(fixed) => {
                let value = match fixed.data_type() {
                    DataType::Date32 | DataType::Timestamp(..) => {
                        Some(Scalar::String(content.as_bytes()))
                    }
                    DataType::Float32 => float(content)
                        .map(|value| Scalar::Number(Number::Float(value), content.as_bytes())),
                    _ => content
                        .parse()
                        .ok()
                        .map(|value| Scalar::Number(Number::Int(value), content.as_bytes())),
                };
                value.and_then(|value| fixed.push(value).then_some(()))
            }
            _ => None,
        };
        appended.is_some()
    }

    /// Why the record at `start` could not be read: first of all its form, then
    /// what a user's schema refuses, so that the verdict is the same whatever
    /// else the schema knew.
    #[cold]
    #[inline(never)]
    pub fn judge(&self, slots: &mut [Slot], start: usize, rows: usize, record: u64) -> Verdict {
        let cells = match self.cells(start, slots.len()) {
            Ok(cells) => cells,
            Err(reason) => return Verdict::Bad(None, reason),
        };
        for (idx, (slot, cell)) in slots.iter_mut().zip(&cells).enumerate() {
            let Slot::Build(column) = slot else { continue };
            column.roll_back(rows, record);
            if column.fixed.is_some() && !self.append(column, cell, record) {
                let mut content = Vec::new();
                self.copy(cell, &mut content);
                let reason = format!("{} is not {}", shown(&content), column.type_name());
                return Verdict::Bad(Some(idx), reason);
            }
        }
        Verdict::Widen
    }

    /// The fields of the record at `start`, as many as there are columns or,
    /// where that is allowed, fewer.
    pub fn cells(&self, start: usize, n_columns: usize) -> Result<Vec<Cell>, String> {
        let cells = self.all_cells(start)?;
        let is_filled = self.dialect.fill_short && cells.len() < n_columns;
        if cells.len() == n_columns || is_filled {
            return Ok(cells);
        }
        Err(format!(
            "the record has {}, where there {}",
            count(cells.len(), "field"),
            match n_columns {
                1 => "is 1 column".to_string(),
                n => format!("are {n} columns"),
            }
        ))
    }

    /// The fields of the record at `start`, however many.
    pub fn all_cells(&self, start: usize) -> Result<Vec<Cell>, String> {
        let mut cells = Vec::new();
        let mut pos = start;
        loop {
            let cell = self
                .cell(pos)
                .map_err(|fault| self.quote_fault(fault, start, cells.len()))?;
            cells.push(cell);
            if self.text.byte(cell.next) != self.dialect.delimiter {
                return Ok(cells);
            }
            pos = cell.next + 1;
        }
    }

    fn quote_fault(&self, fault: QuoteFault, start: usize, idx: usize) -> String {
        let number = idx + 1;
        match fault {
            QuoteFault::Open => {
                format!("the quoted field {number} of the record has no closing quote")
            }
            QuoteFault::Followed(at) => {
                let rest = self.text.between(at, self.len);
                let found = String::from_utf8_lossy(&rest[..rest.len().min(4)])
                    .chars()
                    .next()
                    .unwrap_or_default();
                format!(
                    "{found:?} at byte {} of the record follows the closing quote of field \
                     {number}; a quote in a quoted field is written twice",
                    at - start
                )
            }
        }
    }
}

fn count(n: usize, word: &str) -> String {
    match n {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
    }
}

/// A number that is finite, or said not to be.
fn float(content: &str) -> Option<f64> {
    let value: f64 = content.parse().ok()?;
    let is_overflow = value.is_infinite() && content.bytes().any(|byte| byte.is_ascii_digit());
    (!is_overflow).then_some(value)
}

/// A field as a message shows it.
fn shown(content: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(content);
    if text.chars().count() <= LONGEST {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start:?}… ({} bytes)", content.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::json::scan::{PAD, Text};

    #[test]
    fn decimals_are_known_by_their_digits_as_by_writing_them_again() {
        let mut seen = 0;
        for whole in [0u64, 1, 9, 10, 120, 99_999, 12_345_678, 100_000_000_000_000] {
            for decimals in 1..=7 {
                for fraction in [0u64, 1, 5, 10, 99, 100, 1_234, 50_000, 9_999_999, 1_230_000] {
                    if fraction >= 10u64.pow(decimals) {
                        continue;
                    }
                    for sign in ["", "-"] {
                        let width = decimals as usize;
                        let literal = format!("{sign}{whole}.{fraction:0width$}");
                        let mut text = literal.clone().into_bytes();
                        text.push(b'\n');
                        let end = text.len();
                        text.resize(end + PAD, b'"');
                        let Some(decimal) = scan_decimal(Text::new(&text, end), 0) else {
                            continue;
                        };
                        assert_eq!(decimal.end, literal.len(), "{literal}");
                        assert_eq!(Ok(decimal.value), literal.parse(), "{literal}");
                        let last = literal.as_bytes()[literal.len() - 1];
                        let Some(facts) = decimal_facts(&decimal, last) else {
                            continue;
                        };
                        let written = NumberSpellings::of(decimal.value, literal.as_bytes());
                        assert_eq!(facts, of_float(written), "{literal}");
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 300, "{seen}");
    }
}
