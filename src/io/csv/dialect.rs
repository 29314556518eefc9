//! How the fields of a CSV text are told apart.
//!
//! In:  what the user says of it, and what its first record shows.
//! Out: a [`Dialect`], with nothing left to guess.

use crate::error::{Error, Result};

/// How CSV is read. The defaults read RFC 4180, and tell the delimiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first record of each file names its columns. Default: yes;
    /// else they are `column_0`, `column_1` and so on.
    pub header: bool,
    /// What stands between fields, an ASCII character. Default: a comma, or
    /// the one of semicolon, tab and bar that alone stands in the first record
    /// of a file that has no comma there.
    pub delimiter: Option<u8>,
    /// What stands around a field that holds delimiters, line ends or quotes.
    /// Default `"`; with none, quotes are characters like others.
    pub quote: Option<u8>,
    /// What takes its meaning from the next character in a quoted field, beside
    /// a quote that is written twice. Default: nothing; `\` for MySQL's files.
    pub escape: Option<u8>,
    /// What begins a line that is a comment. Default: nothing.
    pub comment: Option<u8>,
    /// What unquoted fields mean null, beside the empty one: `NA`, `\N`. Default: none.
    pub nulls: Vec<String>,
    /// Whether blanks and tabs around fields are left out. Default: they are text.
    pub trim: bool,
    /// Whether a record with too few fields has nulls for the rest. Default: it
    /// is a bad record, as one with too many always is.
    pub fill_short: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            header: true,
            delimiter: None,
            quote: Some(b'"'),
            escape: None,
            comment: None,
            nulls: Vec::new(),
            trim: false,
            fill_short: false,
        }
    }
}

impl CsvOptions {
    /// Refuses characters that cannot play their part.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the option.
    pub fn check(&self) -> Result<()> {
        let parts = [
            ("delimiter", self.delimiter),
            ("quote", self.quote),
            ("escape", self.escape),
            ("comment", self.comment),
        ];
        for (place, (name, byte)) in parts.iter().enumerate() {
            let Some(byte) = byte else { continue };
            if !byte.is_ascii() || matches!(byte, b'\n' | b'\r' | 0) {
                return Err(Error::config(
                    *name,
                    "it must be one ASCII character, and no line end",
                ));
            }
            let twin = parts[..place]
                .iter()
                .find(|(_, other)| *other == Some(*byte));
            if let Some((other, _)) = twin {
                return Err(Error::config(
                    *name,
                    format!("it is the same character as the {other}"),
                ));
            }
        }
        if self.escape.is_some() && self.quote.is_none() {
            return Err(Error::config(
                "escape",
                "it has a meaning in quoted fields only, and there is no quote",
            ));
        }
        let is_unreachable = |null: &&String| {
            null.bytes()
                .any(|byte| matches!(byte, b'\n' | b'\r') || Some(byte) == self.delimiter)
                || self
                    .quote
                    .is_some_and(|quote| null.as_bytes().first() == Some(&quote))
        };
        match self.nulls.iter().find(is_unreachable) {
            Some(null) => Err(Error::config(
                "null",
                format!("no unquoted field can be {null:?}"),
            )),
            None => Ok(()),
        }
    }
}

/// Everything about one file's fields that is the same for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    pub comment: Option<u8>,
    /// `\n`, before which a `\r` belongs to the line end; or `\r` alone.
    pub terminator: u8,
    /// Texts that mean null, beside nothing.
    pub nulls: Vec<Vec<u8>>,
    pub trim: bool,
    pub fill_short: bool,
}

impl Dialect {
    pub fn new(options: &CsvOptions, delimiter: u8, terminator: u8) -> Self {
        Dialect {
            delimiter,
            quote: options.quote,
            escape: options.escape,
            comment: options.comment,
            terminator,
            nulls: options
                .nulls
                .iter()
                .map(|null| null.clone().into_bytes())
                .collect(),
            trim: options.trim,
            fill_short: options.fill_short,
        }
    }

    /// Whether a byte may be left out beside a field.
    #[inline(always)]
    pub fn is_blank(&self, byte: u8) -> bool {
        self.trim && matches!(byte, b' ' | b'\t') && byte != self.delimiter
    }

    /// Where the record that begins at `start` ends, its line end included; none
    /// if that is not in `text`.
    ///
    /// A quote opens a quoted field only where a field begins, and closes it
    /// where no second quote follows: elsewhere it is a character. So a record's
    /// end follows from its start alone, whatever its fields are decoded to.
    pub fn record_end(&self, text: &[u8], start: usize) -> Option<usize> {
        let is_comment = self.comment.is_some() && text.get(start).copied() == self.comment;
        let quote = self.quote.filter(|_| !is_comment);
        let Some(quote) = quote else {
            return Some(start + memchr::memchr(self.terminator, text.get(start..)?)? + 1);
        };
        let mut pos = start;
        loop {
            let at = pos + memchr::memchr2(quote, self.terminator, text.get(pos..)?)?;
            if text[at] == self.terminator {
                return Some(at + 1);
            }
            pos = if self.begins_field(&text[start..at]) {
                self.quoted_end(text, at + 1)?
            } else {
                at + 1
            };
        }
    }

    /// Whether a field begins behind `before`, which is the record up to there.
    fn begins_field(&self, before: &[u8]) -> bool {
        let blanks = before.iter().rev().take_while(|byte| self.is_blank(**byte));
        let before = &before[..before.len() - blanks.count()];
        before.last().is_none_or(|last| *last == self.delimiter)
    }

    /// What follows the quote that closes a quoted field whose content begins at `pos`.
    fn quoted_end(&self, text: &[u8], mut pos: usize) -> Option<usize> {
        let quote = self.quote?;
        loop {
            let rest = text.get(pos..)?;
            let at = match self.escape {
                Some(escape) => pos + memchr::memchr2(quote, escape, rest)?,
                None => pos + memchr::memchr(quote, rest)?,
            };
            if text[at] == quote && text.get(at + 1) != Some(&quote) {
                return Some(at + 1);
            }
            pos = at + 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(text: &str, options: &CsvOptions) -> Vec<usize> {
        let dialect = Dialect::new(options, b',', b'\n');
        let mut ends = Vec::new();
        while let Some(end) = dialect.record_end(text.as_bytes(), ends.last().copied().unwrap_or(0))
        {
            ends.push(end);
        }
        ends
    }

    #[test]
    fn a_record_ends_at_a_line_end_outside_of_quotes() {
        let plain = CsvOptions::default();
        assert_eq!(ends("a,b\n1,2\n3", &plain), [4, 8]);
        assert_eq!(ends("\"a\nb\",c\n\"\"\"\n\"\n", &plain), [8, 14]);
        assert_eq!(ends("5\" disk,\"x\ny\"\n", &plain), [14]);
        assert_eq!(ends("\"a\"b\",c\nd\n", &plain), [8, 10]);
        assert_eq!(ends("\"never closed\n1\n", &plain), [0; 0]);
        assert_eq!(ends("a, \"b\nc\"\n", &plain), [6, 9]);
        let trimmed = CsvOptions {
            trim: true,
            ..CsvOptions::default()
        };
        assert_eq!(ends("a, \"b\nc\"\n", &trimmed), [9]);
        let escaped = CsvOptions {
            escape: Some(b'\\'),
            ..CsvOptions::default()
        };
        assert_eq!(ends("\"a\\\"\n\",b\n", &escaped), [9]);
        let commented = CsvOptions {
            comment: Some(b'#'),
            ..CsvOptions::default()
        };
        assert_eq!(ends("#,\"\na,\"#\n\"\n", &commented), [4, 11]);
        let unquoted = CsvOptions {
            quote: None,
            ..CsvOptions::default()
        };
        assert_eq!(ends("\"a\nb\"\n", &unquoted), [3, 6]);
    }

    #[test]
    fn characters_that_cannot_be_told_apart_are_refused() {
        let same = CsvOptions {
            delimiter: Some(b'"'),
            ..CsvOptions::default()
        };
        assert!(same.check().unwrap_err().to_string().contains("quote"));
        let end = CsvOptions {
            comment: Some(b'\n'),
            ..CsvOptions::default()
        };
        assert!(end.check().is_err());
        let null = CsvOptions {
            nulls: vec!["\"".into()],
            ..CsvOptions::default()
        };
        assert!(null.check().is_err());
        assert!(CsvOptions::default().check().is_ok());
    }
}
