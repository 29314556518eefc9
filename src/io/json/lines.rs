//! The lines of a chunk, safe to read with wide loads.
//!
//! In:  whole lines; the last newline may be missing.
//! Out: each line's start, as text that is readable [`PAD`] bytes past its end.
//!
//! ```text
//! chunk    {"a":1}\n{"a":2}\n … {"a":8}\n{"a":9}
//! pieces   [------- in place -------)[-- copied, newline and padding after --)
//! ```

use super::grammar::{Parser, SchemaMode};
use super::scan::{PAD, Text};

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Its first byte in the chunk.
    pub byte: usize,
    /// Its number in the chunk; the first is 0.
    pub number: u64,
}

/// Which lines of a chunk to visit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// All from one on.
    From(Line),
    /// These, sorted.
    Only(&'a [Line]),
}

/// Every line of a chunk.
pub(super) const ALL: Which<'static> = Which::From(Line { byte: 0, number: 0 });

/// What a visit found: where the next line starts in the piece, or that this is enough.
pub(super) enum Visit {
    Next(usize),
    Stop,
}

/// A chunk of whole lines.
pub(super) struct Chunk<'a> {
    pub text: &'a [u8],
    /// Lines before this byte are read in place.
    head: usize,
    /// The other lines, with a newline and padding after them.
    tail: &'a [u8],
    tail_len: usize,
    /// Starts of lines that are not UTF-8, sorted.
    not_utf8: Vec<usize>,
}

impl<'a> Chunk<'a> {
    /// Checks the text to be UTF-8 and copies its last lines to `tail`.
    pub fn new(text: &'a [u8], tail: &'a mut Vec<u8>) -> Self {
        let head = match text.len().checked_sub(PAD) {
            Some(safe) => memchr::memrchr(b'\n', &text[..safe]).map_or(0, |at| at + 1),
            None => 0,
        };
        tail.clear();
        tail.extend_from_slice(&text[head..]);
        if tail.last().is_some_and(|last| *last != b'\n') {
            tail.push(b'\n');
        }
        let tail_len = tail.len();
        tail.resize(tail_len + PAD, 0);
        let mut not_utf8 = Vec::new();
        if simdutf8::basic::from_utf8(text).is_err() {
            let mut start = 0;
            while start < text.len() {
                let end = line_end(text, start);
                if simdutf8::basic::from_utf8(&text[start..end]).is_err() {
                    not_utf8.push(start);
                }
                start = end + 1;
            }
        }
        Chunk {
            text,
            head,
            tail,
            tail_len,
            not_utf8,
        }
    }

    /// The line's bytes, without its newline.
    pub fn line(&self, start: usize) -> &'a [u8] {
        &self.text[start..line_end(self.text, start)]
    }

    /// Where in the line the first byte is that is not UTF-8, if there is one.
    pub fn utf8_fault(&self, line: Line) -> Option<usize> {
        if self.not_utf8.is_empty() || self.not_utf8.binary_search(&line.byte).is_err() {
            return None;
        }
        let checked = simdutf8::compat::from_utf8(self.line(line.byte));
        Some(checked.map_or_else(|error| error.valid_up_to(), |_| 0))
    }

    /// Calls `visit` with each line that is not blank, a parser over the piece
    /// it is in, and its place in that piece. Returns how many lines there were
    /// until the end or a stop, and how many of them blank; both are meant for
    /// [`ALL`] only.
    pub fn visit(
        &self,
        which: Which<'_>,
        max_depth: usize,
        mode: SchemaMode,
        mut visit: impl FnMut(&mut Parser<'_>, usize, Line) -> Visit,
    ) -> Visited {
        let mut visited = Visited::default();
        let pieces = [
            (self.text, 0, self.head),
            (self.tail, self.head, self.tail_len),
        ];
        let mut record = 0;
        for (text, base, len) in pieces {
            if len == 0 {
                continue;
            }
            let text = Text::new(text, len);
            let mut parser = Parser::new(text, max_depth, mode);
            parser.record = record;
            let is_stopped = match which {
                Which::From(first) => {
                    let mut pos = first.byte.saturating_sub(base);
                    if visited.lines == 0 {
                        visited.lines = first.number;
                    }
                    let mut is_stopped = false;
                    while pos < len && !is_stopped {
                        let start = parser.space(pos);
                        let line = Line {
                            byte: base + pos,
                            number: visited.lines,
                        };
                        visited.lines += 1;
                        if text.byte(start) == b'\n' {
                            visited.blank += 1;
                            pos = start + 1;
                            continue;
                        }
                        match visit(&mut parser, start, line) {
                            Visit::Next(next) => pos = next,
                            Visit::Stop => is_stopped = true,
                        }
                    }
                    is_stopped
                }
                Which::Only(lines) => lines
                    .iter()
                    .filter(|line| (base..base + len).contains(&line.byte))
                    .any(|line| {
                        let start = parser.space(line.byte - base);
                        matches!(visit(&mut parser, start, *line), Visit::Stop)
                    }),
            };
            record = parser.record;
            visited.duplicate_keys += parser.duplicate_keys;
            visited.ignored_values += parser.ignored_values;
            if is_stopped {
                break;
            }
        }
        visited
    }
}

/// What was counted on the way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Visited {
    pub lines: u64,
    pub blank: u64,
    pub duplicate_keys: u64,
    pub ignored_values: u64,
}

/// Where the newline after `start` is, or the end.
pub(super) fn line_end(text: &[u8], start: usize) -> usize {
    memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |n| start + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &[u8]) -> (Vec<(Line, Vec<u8>)>, Visited) {
        let mut tail = Vec::new();
        let chunk = Chunk::new(text, &mut tail);
        let mut found = Vec::new();
        let visited = chunk.visit(ALL, 8, SchemaMode::Widen, |parser, pos, line| {
            let text = parser.text.as_bytes();
            let end = line_end(text, pos);
            found.push((line, text[pos..end].to_vec()));
            Visit::Next(end + 1)
        });
        (found, visited)
    }

    #[test]
    fn lines_are_the_same_wherever_the_padding_begins() {
        for n in 0..60 {
            for end in ["", "\n"] {
                let mut text = vec![b'x'; n];
                text.extend_from_slice(b"\na\r\n\n \t\nb");
                text.extend_from_slice(end.as_bytes());
                let (found, visited) = lines_of(&text);
                let found: Vec<_> = found
                    .into_iter()
                    .map(|(line, text)| (line.number, text))
                    .collect();
                let mut expected = vec![(1, b"a\r".to_vec()), (4, b"b".to_vec())];
                if n > 0 {
                    expected.insert(0, (0, vec![b'x'; n]));
                }
                assert_eq!(found, expected);
                assert_eq!(visited.lines, 5);
                assert_eq!(visited.blank, 2 + u64::from(n == 0));
            }
        }
        assert_eq!(lines_of(b"").1.lines, 0);
    }
}
