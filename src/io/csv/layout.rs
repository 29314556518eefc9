//! What the first record of a file says of all others.
//!
//! In:  the first bytes of a text.
//! Out: its dialect and the names of its columns; where its records begin.

use std::collections::HashSet;
use std::sync::Arc;

use super::cell::Records;
use super::dialect::{CsvOptions, Dialect};
use crate::error::{Error, Position, Result};
use crate::io::json::scan::{PAD, Text};

/// Delimiters that are told from the first record, the first of them preferred.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What is the same for all records of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvLayout {
    pub(super) dialect: Arc<Dialect>,
    /// The columns, in the order of the fields.
    pub(super) names: Vec<Arc<str>>,
    /// The byte of the file, decompressed, at which the record behind the header begins.
    pub(super) records_from: u64,
}

/// The first record of a text.
struct First {
    /// Where it begins and ends, its line end included.
    start: usize,
    end: usize,
    delimiter: u8,
    terminator: u8,
}

impl CsvLayout {
    pub(crate) fn dialect(&self) -> &Arc<Dialect> {
        &self.dialect
    }

    /// Where the record begins and ends, without its line end, in which byte
    /// `at` of `text` lies; a record begins with `text`.
    pub(crate) fn record_around(&self, text: &[u8], at: usize) -> (usize, usize) {
        let mut start = 0;
        loop {
            let Some(end) = self.dialect.record_end(text, start) else {
                return (start, text.len());
            };
            if at < end {
                return (start, end - 1);
            }
            start = end;
        }
    }

    /// The layout of the text that begins with `head`, which stands at byte
    /// `position` of the file `path`; none if more must be seen. `is_all` says
    /// that there is no more.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for a header that is no record.
    pub(crate) fn find(
        head: &[u8],
        is_all: bool,
        options: &CsvOptions,
        path: &str,
        position: u64,
    ) -> Result<Option<CsvLayout>> {
        let Some(first) = First::find(head, is_all, options) else {
            return Ok(None);
        };
        let dialect = Dialect::new(options, first.delimiter, first.terminator);
        let names = names(&head[first.start..first.end], &dialect, options.header);
        let names = names.map_err(|reason| Error::Decode {
            at: Position {
                path: path.to_owned(),
                byte: position + first.start as u64,
                line: 1 + memchr::memchr_iter(first.terminator, &head[..first.start]).count()
                    as u64,
            },
            column: None,
            reason,
        })?;
        let behind = if options.header { first.end } else { 0 };
        Ok(Some(CsvLayout {
            dialect: Arc::new(dialect),
            names,
            records_from: position + behind as u64,
        }))
    }
}

impl First {
    /// None if its end is not in `head`, and there is more.
    fn find(head: &[u8], is_all: bool, options: &CsvOptions) -> Option<First> {
        let mut start = 0;
        loop {
            let (end, terminator, delimiter) = match line(head, start, options) {
                Some(line) => line,
                None if is_all => (head.len(), b'\n', line_delimiter(head, start, options)),
                None => return None,
            };
            // A carriage return at the end may be half of a line end.
            let is_last = end == head.len();
            if !is_all && is_last && terminator == b'\r' {
                return None;
            }
            let is_record = !is_blank(&head[start..end], options);
            if !is_record && !is_last {
                start = end;
                continue;
            }
            if !is_record && !is_all {
                return None;
            }
            return Some(First {
                start: if is_record { start } else { end },
                end,
                delimiter,
                terminator,
            });
        }
    }
}

/// Whether a line with its line end is blank, or a comment.
fn is_blank(line: &[u8], options: &CsvOptions) -> bool {
    let mut content = line.iter().filter(|byte| !matches!(byte, b'\n' | b'\r'));
    if options.comment.is_some() && line.first().copied() == options.comment {
        return true;
    }
    let is_blank = |byte: &u8| {
        options.trim && matches!(byte, b' ' | b'\t') && Some(*byte) != options.delimiter
    };
    content.all(is_blank)
}

/// Where the record at `start` ends, with which line end, and which delimiter it has.
fn line(head: &[u8], start: usize, options: &CsvOptions) -> Option<(usize, u8, u8)> {
    let is_comment = options.comment.is_some() && head.get(start).copied() == options.comment;
    let delimiter = line_delimiter(head, start, options);
    let end_with = |terminator| {
        let text = if is_comment { None } else { options.quote };
        let dialect = Dialect {
            quote: text,
            ..Dialect::new(options, delimiter, terminator)
        };
        dialect.record_end(head, start)
    };
    let (newline, carriage) = (end_with(b'\n'), end_with(b'\r'));
    match (newline, carriage) {
        (newline, Some(carriage)) if newline.is_none_or(|newline| carriage + 1 < newline) => {
            // Alone, unless the text ends here.
            Some((carriage, b'\r', delimiter))
        }
        (Some(newline), _) => Some((newline, b'\n', delimiter)),
        (None, _) => None,
    }
}

/// The delimiter of the record at `start`: the one that is asked for, or told from it.
fn line_delimiter(head: &[u8], start: usize, options: &CsvOptions) -> u8 {
    if let Some(delimiter) = options.delimiter {
        return delimiter;
    }
    let mut seen = [false; DELIMITERS.len()];
    let mut is_field_start = true;
    let mut is_quoted = false;
    for byte in &head[start..] {
        if is_quoted {
            // A doubled quote closes and opens again, which does no harm here.
            is_quoted = Some(*byte) != options.quote;
            is_field_start = !is_quoted;
            continue;
        }
        if matches!(byte, b'\n' | b'\r') {
            break;
        }
        let place = DELIMITERS.iter().position(|delimiter| delimiter == byte);
        if let Some(place) = place {
            seen[place] = true;
        }
        is_quoted = is_field_start && Some(*byte) == options.quote;
        is_field_start = place.is_some();
    }
    let told: Vec<u8> = DELIMITERS
        .into_iter()
        .zip(seen)
        .filter_map(|(delimiter, seen)| seen.then_some(delimiter))
        .collect();
    match told[..] {
        [one] => one,
        _ => DELIMITERS[0],
    }
}

/// The columns' names, from the header or by number.
fn names(
    record: &[u8],
    dialect: &Dialect,
    is_header: bool,
) -> std::result::Result<Vec<Arc<str>>, String> {
    let mut padded = record.to_vec();
    let len = padded.len();
    if record.is_empty() {
        return Ok(Vec::new());
    }
    padded.push(dialect.terminator);
    padded.resize(len + 1 + PAD, dialect.quote.unwrap_or(b'"'));
    let records = Records {
        text: Text::ended_by(&padded, len + 1, dialect.terminator),
        len,
        dialect,
    };
    let mut names = Vec::new();
    let mut taken = HashSet::new();
    for (idx, cell) in records.all_cells(0)?.iter().enumerate() {
        let mut content = Vec::new();
        if is_header {
            records.copy(cell, &mut content);
        }
        let name = String::from_utf8(content)
            .map_err(|_| format!("the name of column {} is not UTF-8", idx + 1))?;
        let name = if name.is_empty() {
            format!("column_{idx}")
        } else {
            name
        };
        names.push(unique(name, &mut taken));
    }
    Ok(names)
}

/// A name that no column before has: the second `a` is `a_2`.
fn unique(name: String, taken: &mut HashSet<String>) -> Arc<str> {
    let mut chosen = name.clone();
    let mut n = 1;
    while !taken.insert(chosen.clone()) {
        n += 1;
        chosen = format!("{name}_{n}");
    }
    Arc::from(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, options: &CsvOptions) -> CsvLayout {
        for seen in 0..text.len() {
            // With less than all, the same is found or nothing yet.
            let part = CsvLayout::find(&text.as_bytes()[..seen], false, options, "x", 0);
            let whole = CsvLayout::find(text.as_bytes(), true, options, "x", 0);
            if let (Ok(Some(part)), Ok(Some(whole))) = (part, whole) {
                assert_eq!(part, whole, "{text:?} after {seen} bytes");
            }
        }
        CsvLayout::find(text.as_bytes(), true, options, "x", 0)
            .unwrap()
            .unwrap()
    }

    fn told(text: &str) -> (u8, Vec<String>) {
        let layout = find(text, &CsvOptions::default());
        let names = layout.names.iter().map(|name| name.to_string()).collect();
        (layout.dialect.delimiter, names)
    }

    #[test]
    fn the_delimiter_is_told_where_only_one_can_be_meant() {
        assert_eq!(told("a,b\n").0, b',');
        assert_eq!(told("a;b\n1;2\n").0, b';');
        assert_eq!(told("a\tb").0, b'\t');
        assert_eq!(told("a|b\r\n").0, b'|');
        assert_eq!(told("a;b|c\n").0, b',');
        assert_eq!(told("a\n1;2\n").0, b',');
        assert_eq!(told("\"a,b\";c\n").0, b';');
        assert_eq!(told("\"a\"\",b\"|c\n").0, b'|');
    }

    #[test]
    fn columns_without_a_name_or_with_one_twice_are_numbered() {
        let names = told("a,,a,a_2,\"x\ny\",\"q\"\"q\"\n1,2,3,4,5,6\n").1;
        assert_eq!(names, ["a", "column_1", "a_2", "a_2_2", "x\ny", "q\"q"]);
    }

    #[test]
    fn records_begin_behind_the_header_and_what_precedes_it() {
        let options = CsvOptions {
            comment: Some(b'#'),
            ..CsvOptions::default()
        };
        let layout = find("# about, \"this\n\n\na,b\r\n1,2\r\n", &options);
        assert_eq!((layout.records_from, layout.names.len()), (22, 2));
        assert_eq!(layout.dialect.terminator, b'\n');
        let bare = CsvOptions {
            header: false,
            ..CsvOptions::default()
        };
        let layout = find("1;2;3\n", &bare);
        assert_eq!((layout.records_from, layout.names.len()), (0, 3));
        assert_eq!(&*layout.names[2], "column_2");
    }

    #[test]
    fn a_carriage_return_alone_may_end_lines() {
        assert_eq!(
            find("a,b\r1,2\r", &CsvOptions::default())
                .dialect
                .terminator,
            b'\r'
        );
        assert_eq!(
            find("\"a\r\nb\",c\r1,2", &CsvOptions::default())
                .dialect
                .terminator,
            b'\r'
        );
        assert_eq!(
            find("\"a\rb\",c\n1,2", &CsvOptions::default())
                .dialect
                .terminator,
            b'\n'
        );
        assert_eq!(
            find("a,b\r\n1,2\r\n", &CsvOptions::default())
                .dialect
                .terminator,
            b'\n'
        );
    }

    #[test]
    fn a_text_of_nothing_has_no_columns() {
        assert!(find("", &CsvOptions::default()).names.is_empty());
        assert!(find("\n\n", &CsvOptions::default()).names.is_empty());
        assert!(
            CsvLayout::find(b"", false, &CsvOptions::default(), "x", 0)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_header_that_is_no_record_has_a_place() {
        let error = CsvLayout::find(b"\n\"a\"b,c\n", true, &CsvOptions::default(), "x.csv", 0);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("x.csv: line 2 (byte 1"), "{error}");
        assert!(error.contains("closing quote"), "{error}");
    }
}
