//! JSON's grammar (RFC 8259) over one line: what is a value, and where it ends.
//!
//! In:  text at the start of a value or record.
//! Out: where it ends, or a [`Fault`] saying what was expected where.
//!
//! A newline is never white space here, so nothing reads past the line it
//! began in, and a line that is cut short cannot swallow the next one.

use super::number::{scan_number, skip_number};
use super::scan::{self, Text};
use super::string::{BadEscape, read_escape};

/// Why reading a record stopped. Small, so that results stay in registers;
/// the details are in [`Parser::fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The line is no JSON object.
    Bad,
    /// The record does not fit the schema, and the schema may not move.
    Misfit,
    /// The record does not fit the schema, and the schema must be widened.
    Widen,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// Byte of the text the parser was given.
    pub at: usize,
    pub what: What,
    /// Keys from the innermost outwards, for faults that name a column.
    pub path: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Expected(&'static str),
    Control,
    Escape,
    LoneSurrogate,
    LeadingZero,
    TooDeep(usize),
    NotAnObject,
    /// The value at `Fault::at` does not fit this type.
    Misfit(String),
    UnknownKey,
}

/// What the schema does with what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum SchemaMode {
    /// It grows: new keys become columns, types move up the lattice.
    #[default]
    Widen,
    /// A record with an unknown key or a value of another type is a bad record.
    Strict,
    /// Unknown keys are left out and counted; a value of another type is a bad record.
    Ignore,
}

/// Reads values of one text. Knows the grammar; columns are handed in.
pub(super) struct Parser<'a> {
    pub text: Text<'a>,
    pub max_depth: usize,
    pub mode: SchemaMode,
    pub fault: Fault,
    /// Number of the record being read; undoes facts learned from a bad one.
    pub record: u64,
    pub duplicate_keys: u64,
    pub ignored_values: u64,
    pub scratch: Vec<u8>,
}

/// Most levels of nesting that any setting may allow: what fits the smallest
/// default stack of a thread with room to spare.
pub(super) const DEEPEST: usize = 256;

impl<'a> Parser<'a> {
    pub fn new(text: Text<'a>, max_depth: usize, mode: SchemaMode) -> Self {
        Parser {
            text,
            max_depth: max_depth.min(DEEPEST),
            mode,
            fault: Fault {
                at: 0,
                what: What::NotAnObject,
                path: Vec::new(),
            },
            record: 0,
            duplicate_keys: 0,
            ignored_values: 0,
            scratch: Vec::new(),
        }
    }

    /// The byte at `pos`.
    #[inline(always)]
    pub fn at(&self, pos: usize) -> u8 {
        self.text.byte(pos)
    }

    /// Notes what is wrong with the line.
    #[cold]
    #[inline(never)]
    pub fn bad(&mut self, at: usize, what: What) -> Stop {
        self.fault = Fault {
            at,
            what,
            path: Vec::new(),
        };
        Stop::Bad
    }

    #[cold]
    #[inline(never)]
    pub fn expected(&mut self, at: usize, wanted: &'static str) -> Stop {
        self.bad(at, What::Expected(wanted))
    }

    /// The first byte at or after `pos` that is not white space within a line.
    #[inline(always)]
    pub fn space(&self, mut pos: usize) -> usize {
        while self.at(pos) <= b' ' && matches!(self.at(pos), b' ' | b'\t' | b'\r') {
            pos += 1;
        }
        pos
    }

    /// Checks a whole record; returns where the next line starts.
    pub fn skip_record(&mut self, pos: usize) -> Result<usize, Stop> {
        let end = self.skip_value(pos, 0)?;
        let next = self.end_of_record(end)?;
        if self.at(pos) == b'{' {
            Ok(next)
        } else {
            Err(self.bad(pos, What::NotAnObject))
        }
    }

    #[inline(always)]
    pub fn end_of_record(&mut self, pos: usize) -> Result<usize, Stop> {
        let pos = self.space(pos);
        if self.at(pos) == b'\n' {
            Ok(pos + 1)
        } else {
            Err(self.expected(pos, "the end of the line"))
        }
    }

    /// Checks a value that lies within `depth` open objects and lists; returns where it ends.
    pub fn skip_value(&mut self, mut pos: usize, depth: usize) -> Result<usize, Stop> {
        // One bit for each container opened here: whether it is an object.
        let mut is_object = [0u64; DEEPEST / 64 + 1];
        let mut n_open = 0;
        loop {
            match self.at(pos) {
                b'"' => pos = self.skip_string(pos + 1)?,
                open @ (b'{' | b'[') => {
                    if depth + n_open >= self.max_depth {
                        return Err(self.bad(pos, What::TooDeep(self.max_depth)));
                    }
                    n_open += 1;
                    let (word, bit) = (n_open / 64, 1 << (n_open % 64));
                    pos = self.space(pos + 1);
                    if open == b'{' {
                        is_object[word] |= bit;
                        if self.at(pos) != b'}' {
                            pos = self.skip_key(pos)?;
                            continue;
                        }
                    } else {
                        is_object[word] &= !bit;
                        if self.at(pos) != b']' {
                            continue;
                        }
                    }
                    n_open -= 1;
                    pos += 1;
                }
                b'-' | b'0'..=b'9' => pos = self.skip_number(pos)?,
                _ => pos = self.skip_word(pos)?,
            }
            loop {
                if n_open == 0 {
                    return Ok(pos);
                }
                pos = self.space(pos);
                let in_object = is_object[n_open / 64] >> (n_open % 64) & 1 == 1;
                match (self.at(pos), in_object) {
                    (b',', true) => {
                        pos = self.space(pos + 1);
                        pos = self.skip_key(pos)?;
                        break;
                    }
                    (b',', false) => {
                        pos = self.space(pos + 1);
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        n_open -= 1;
                        pos += 1;
                    }
                    (_, true) => return Err(self.expected(pos, "',' or '}'")),
                    (_, false) => return Err(self.expected(pos, "',' or ']'")),
                }
            }
        }
    }

    /// Checks `"key":` and returns where the value starts.
    #[inline(always)]
    fn skip_key(&mut self, pos: usize) -> Result<usize, Stop> {
        if self.at(pos) != b'"' {
            return Err(self.expected(pos, "a key in quotes"));
        }
        let end = self.skip_string(pos + 1)?;
        self.skip_colon(end)
    }

    #[inline(always)]
    pub fn skip_colon(&mut self, pos: usize) -> Result<usize, Stop> {
        let pos = self.space(pos);
        if self.at(pos) != b':' {
            return Err(self.expected(pos, "':'"));
        }
        Ok(self.space(pos + 1))
    }

    /// Checks a string from after its opening quote; returns what follows its closing one.
    #[inline(always)]
    pub fn skip_string(&mut self, pos: usize) -> Result<usize, Stop> {
        let end = scan::find_special(self.text, pos);
        if self.at(end) == b'"' {
            Ok(end + 1)
        } else {
            self.skip_escaped(end)
        }
    }

    /// [`Parser::skip_string`] from the first byte that is not plain.
    #[inline(never)]
    fn skip_escaped(&mut self, mut pos: usize) -> Result<usize, Stop> {
        loop {
            match self.at(pos) {
                b'"' => return Ok(pos + 1),
                b'\\' => pos = self.escape(pos)?.1,
                _ => return Err(self.control(pos)),
            }
            pos = scan::find_special(self.text, pos);
        }
    }

    pub fn escape(&mut self, pos: usize) -> Result<(char, usize), Stop> {
        read_escape(self.text.as_bytes(), pos).map_err(|bad| match bad {
            BadEscape::Unknown => self.bad(pos, What::Escape),
            BadEscape::LoneSurrogate => self.bad(pos, What::LoneSurrogate),
        })
    }

    #[cold]
    #[inline(never)]
    pub fn control(&mut self, pos: usize) -> Stop {
        if self.at(pos) == b'\n' {
            self.expected(pos, "'\"' to end the string")
        } else {
            self.bad(pos, What::Control)
        }
    }

    /// Appends a string without its escapes, from after its opening quote;
    /// returns what follows its closing one.
    #[inline(always)]
    pub fn copy_string(&mut self, pos: usize, out: &mut Vec<u8>) -> Result<usize, Stop> {
        let end = scan::copy_plain(self.text, pos, out);
        if self.at(end) == b'"' {
            Ok(end + 1)
        } else {
            self.copy_escaped(end, out)
        }
    }

    #[inline(never)]
    fn copy_escaped(&mut self, mut pos: usize, out: &mut Vec<u8>) -> Result<usize, Stop> {
        loop {
            match self.at(pos) {
                b'"' => return Ok(pos + 1),
                b'\\' => {
                    let (c, end) = self.escape(pos)?;
                    super::string::push_char(c, out);
                    pos = end;
                }
                _ => return Err(self.control(pos)),
            }
            pos = scan::copy_plain(self.text, pos, out);
        }
    }

    #[inline(always)]
    pub fn number(&mut self, pos: usize) -> Result<(super::number::Number, usize), Stop> {
        scan_number(self.text, pos).map_err(|bad| self.bad_number(bad))
    }

    /// Checks a number; returns where it ends.
    #[inline(always)]
    pub fn skip_number(&mut self, pos: usize) -> Result<usize, Stop> {
        skip_number(self.text, pos).map_err(|bad| self.bad_number(bad))
    }

    #[cold]
    #[inline(never)]
    fn bad_number(&mut self, bad: super::number::BadNumber) -> Stop {
        if bad.leading_zero {
            self.bad(bad.at, What::LeadingZero)
        } else {
            self.expected(bad.at, "a digit")
        }
    }

    /// Checks `true`, `false` or `null`.
    #[inline(always)]
    pub fn skip_word(&mut self, pos: usize) -> Result<usize, Stop> {
        match self.at(pos) {
            b't' if self.is_true(pos) => Ok(pos + 4),
            b'f' if self.is_false(pos) => Ok(pos + 5),
            b'n' if self.is_null(pos) => Ok(pos + 4),
            _ => Err(self.expected(pos, "a value")),
        }
    }

    #[inline(always)]
    pub fn is_null(&self, pos: usize) -> bool {
        self.text.half_word(pos) == u32::from_le_bytes(*b"null")
    }

    #[inline(always)]
    pub fn is_true(&self, pos: usize) -> bool {
        self.text.half_word(pos) == u32::from_le_bytes(*b"true")
    }

    #[inline(always)]
    pub fn is_false(&self, pos: usize) -> bool {
        self.text.half_word(pos + 1) == u32::from_le_bytes(*b"alse") && self.at(pos) == b'f'
    }
}

impl Fault {
    /// The sentence for a report. `text` is what the parser read and `start`
    /// where the record began in it; places are given from there, so that the
    /// same mistake reads the same wherever it stands.
    pub fn reason(&self, text: Text<'_>, start: usize) -> String {
        let at = self.at.saturating_sub(start);
        let found = match text.as_bytes().get(self.at) {
            None | Some(b'\n') => "the end of the line".to_string(),
            Some(byte @ 0x21..0x7F) => format!("'{}'", char::from(*byte)),
            Some(byte) => format!("the byte 0x{byte:02x}"),
        };
        match &self.what {
            What::Expected(wanted) => {
                format!("not JSON: expected {wanted} at byte {at} of the record, found {found}")
            }
            What::Control => format!(
                "not JSON: {found} at byte {at} of the record may stand in a string only as an escape"
            ),
            What::Escape => format!("not JSON: unknown escape at byte {at} of the record"),
            What::LoneSurrogate => format!(
                "the escape at byte {at} of the record is half of a surrogate pair, which is no character"
            ),
            What::LeadingZero => {
                format!("not JSON: a number with a leading zero at byte {at} of the record")
            }
            What::TooDeep(limit) => {
                format!("nested deeper than {limit} levels at byte {at} of the record")
            }
            What::NotAnObject => {
                format!("{} is not an object", shown_value(text, self.at))
            }
            What::Misfit(wanted) => {
                format!("{} is not {wanted}", shown_value(text, self.at))
            }
            What::UnknownKey => "the key is not in the schema".to_string(),
        }
    }

    /// The column the fault names, keys joined by dots.
    pub fn column(&self) -> Option<String> {
        if self.path.is_empty() {
            return None;
        }
        let mut column = String::new();
        for (level, key) in self.path.iter().rev().enumerate() {
            if level > 0 && key != "[]" {
                column.push('.');
            }
            column.push_str(key);
        }
        Some(column)
    }
}

/// A valid value as a message shows it: short, with its kind.
fn shown_value(text: Text<'_>, at: usize) -> String {
    const LONGEST: usize = 60;
    let kind = match text.as_bytes().get(at) {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "list",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    };
    let end = Parser::new(text, DEEPEST, SchemaMode::Strict)
        .skip_value(at, 0)
        .unwrap_or(at);
    let value = String::from_utf8_lossy(text.between(at, end));
    if value.chars().count() <= LONGEST {
        return format!("{value} ({kind})");
    }
    let shown: String = value.chars().take(LONGEST).collect();
    format!("{shown}… ({kind} of {} bytes)", end - at)
}
