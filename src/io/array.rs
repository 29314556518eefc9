//! A top-level JSON array, read as lines.
//!
//! In:  the text of a file that is one array of objects, piece by piece.
//! Out: the same bytes at the same places, with one record a line.
//!
//! ```text
//! [{"a": 1},\n {"b": [2,\n 3]}]\n
//!  {"a": 1}\n  {"b": [2,  3]}        (brackets, commas and newlines between
//!                                     tokens became blanks and newlines)
//! ```
//!
//! As lengths do not change, a byte in the rewritten text is the same byte in
//! the file; its line is the number of its record. The rewriting follows
//! strings and brackets and nothing more: what stands in a record is judged by
//! the decoder, which sees every byte of it.

use crate::error::{Error, Position, Result};

/// Whether a text is a top-level array of objects, by its first two tokens;
/// unknown while those are not there.
pub(crate) fn is_array(head: &[u8]) -> Option<bool> {
    let mut tokens = head.iter().filter(|byte| !is_blank(**byte));
    match tokens.next() {
        None => None,
        Some(b'[') => tokens.next().map(|byte| matches!(byte, b'{' | b']')),
        Some(_) => Some(false),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Where in the array the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the opening bracket.
    Start,
    /// Behind the opening bracket: a record or the closing bracket comes.
    First,
    /// Behind a comma: a record comes.
    Comma,
    /// In a record or behind one.
    Record,
    /// Behind the closing bracket: nothing comes.
    End,
}

/// Rewrites an array's text in place; it may be cut anywhere between calls.
#[derive(Debug)]
pub(crate) struct ArrayText {
    at: At,
    nesting: Nesting,
    n_records: u64,
    next_byte: u64,
}

impl ArrayText {
    /// For a text whose first piece begins at decompressed byte `first_byte`.
    pub(crate) fn new(first_byte: u64) -> Self {
        ArrayText {
            at: At::Start,
            nesting: Nesting::default(),
            n_records: 0,
            next_byte: first_byte,
        }
    }

    /// Rewrites the next piece.
    pub(crate) fn rewrite(&mut self, path: &str, text: &mut [u8]) -> Result<()> {
        let mut idx = 0;
        while idx < text.len() {
            if self.nesting.in_string {
                idx = self.nesting.skip_string(text, idx);
                continue;
            }
            let byte = text[idx];
            match (self.at, byte) {
                (_, b'\n') => text[idx] = b' ',
                (_, b' ' | b'\t' | b'\r') => {}
                (At::Start, b'[') => {
                    text[idx] = b' ';
                    self.at = At::First;
                }
                (At::First, b']') => {
                    text[idx] = b' ';
                    self.at = At::End;
                }
                (At::Comma, b']') => {
                    return Err(self.wrong(path, idx, "a comma stands before the closing bracket"));
                }
                (At::First | At::Comma, b',') => {
                    return Err(self.wrong(path, idx, "a comma stands where a record should"));
                }
                (At::Record, b',') if self.nesting.depth == 0 => {
                    text[idx] = b'\n';
                    self.at = At::Comma;
                }
                (At::Record, b']') if self.nesting.depth == 0 => {
                    text[idx] = b' ';
                    self.at = At::End;
                }
                (At::End, _) => {
                    return Err(self.wrong(path, idx, "something follows the closing bracket"));
                }
                (At::Start, _) => {
                    return Err(self.wrong(path, idx, "an array should begin here"));
                }
                (At::First | At::Comma | At::Record, _) => {
                    if self.at != At::Record {
                        self.n_records += 1;
                        self.at = At::Record;
                    }
                    if !self.nesting.enter(byte) {
                        return Err(self.wrong(path, idx, "a closing brace has no opening one"));
                    }
                }
            }
            idx += 1;
        }
        self.next_byte += text.len() as u64;
        Ok(())
    }

    /// Checks that the text ended with the array.
    pub(crate) fn finish(&self, path: &str) -> Result<()> {
        match self.at {
            At::End => Ok(()),
            _ => Err(self.wrong(
                path,
                0,
                "the text ends inside the array: its closing bracket is missing",
            )),
        }
    }

    fn wrong(&self, path: &str, idx: usize, reason: &str) -> Error {
        Error::Decode {
            at: Position {
                path: path.to_string(),
                byte: self.next_byte + idx as u64,
                line: self.n_records.max(1),
            },
            column: None,
            reason: format!("in a top-level array, {reason}"),
        }
    }
}

/// Strings and brackets, followed byte by byte.
#[derive(Debug, Default)]
struct Nesting {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    /// Takes a byte outside strings. False if it closes what was not opened.
    fn enter(&mut self, byte: u8) -> bool {
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => match self.depth.checked_sub(1) {
                Some(depth) => self.depth = depth,
                None => return false,
            },
            _ => {}
        }
        true
    }

    /// The index behind the string that `text[from..]` is inside of, or the end.
    fn skip_string(&mut self, text: &[u8], from: usize) -> usize {
        let mut idx = from;
        if self.escaped && idx < text.len() {
            self.escaped = false;
            idx += 1;
        }
        while let Some(found) = memchr::memchr2(b'"', b'\\', &text[idx..]) {
            idx += found + 1;
            if text[idx - 1] == b'"' {
                self.in_string = false;
                return idx;
            }
            if idx == text.len() {
                self.escaped = true;
                return idx;
            }
            idx += 1;
        }
        text.len()
    }
}

/// Whether a line is a JSON object from its first brace to its last. The end
/// of a line that lost its start never is: a brace or quote in it is left over.
pub(crate) fn is_whole_object(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') {
        return false;
    }
    let mut nesting = Nesting::default();
    let mut idx = 0;
    while idx < line.len() {
        if nesting.in_string {
            idx = nesting.skip_string(line, idx);
            continue;
        }
        if !nesting.enter(line[idx]) {
            return false;
        }
        idx += 1;
        if nesting.depth == 0 && !nesting.in_string {
            return idx == line.len();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rewrites `text` in pieces of `piece` bytes.
    fn rewrite(text: &str, piece: usize) -> Result<String> {
        let mut bytes = text.as_bytes().to_vec();
        let mut array = ArrayText::new(0);
        for piece in bytes.chunks_mut(piece) {
            array.rewrite("x.json", piece)?;
        }
        array.finish("x.json")?;
        assert_eq!(bytes.len(), text.len());
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn an_array_becomes_a_record_a_line_however_it_is_cut() {
        let cases = [
            ("[]", "  "),
            (" [ ]\n", "     "),
            (r#"[{"a":1}]"#, r#" {"a":1} "#),
            (
                "[{\"a\":1},\n {\"b\":[2,\r\n{}]}\n]\n",
                " {\"a\":1}\n  {\"b\":[2,\r {}]}   ",
            ),
            (
                r#"[{"s":"]},{\"\\"},{"t":"\\\\\""},5]"#,
                " {\"s\":\"]},{\\\"\\\\\"}\n{\"t\":\"\\\\\\\\\\\"\"}\n5 ",
            ),
        ];
        for (text, want) in cases {
            for piece in 1..=text.len() {
                assert_eq!(rewrite(text, piece).unwrap(), want, "{piece}");
            }
        }
    }

    #[test]
    fn what_is_no_array_is_an_error_with_its_byte() {
        for (text, byte, words) in [
            ("[{},]", 4, "before the closing bracket"),
            ("[{},,{}]", 4, "where a record should"),
            ("[,{}]", 1, "where a record should"),
            ("[{}", 3, "missing"),
            ("[{}, ", 5, "missing"),
            (r#"[{"a":"]"#, 8, "missing"),
            ("[{}] {}", 5, "follows"),
            ("[{}]]", 4, "follows"),
            ("[{}}]", 3, "no opening"),
        ] {
            for piece in 1..=text.len() {
                match rewrite(text, piece).unwrap_err() {
                    Error::Decode { at, reason, .. } => {
                        assert_eq!(at.byte, byte, "{text} by {piece}");
                        assert!(reason.contains(words), "{text}: {reason}");
                    }
                    other => panic!("{text}: {other}"),
                }
            }
        }
    }

    #[test]
    fn a_raw_newline_in_a_string_stays_for_the_decoder_to_refuse() {
        assert_eq!(
            rewrite("[{\"a\":\"x\ny\"}]", 3).unwrap(),
            " {\"a\":\"x\ny\"} "
        );
    }

    #[test]
    fn arrays_are_told_from_lines_by_two_tokens() {
        assert_eq!(is_array(b" \n["), None);
        assert_eq!(is_array(b""), None);
        assert_eq!(is_array(b"[ \n{"), Some(true));
        assert_eq!(is_array(b"[]"), Some(true));
        assert_eq!(is_array(b"[1,2]"), Some(false));
        assert_eq!(is_array(b"{\"a\":1}"), Some(false));
    }

    #[test]
    fn the_end_of_a_line_is_no_whole_object() {
        let line = r#"{"a":{"b":"{\"c\":1}"},"d":"{}","e":[{}]}"#;
        assert!(is_whole_object(line.as_bytes()));
        assert!(is_whole_object(format!(" {line}\r").as_bytes()));
        for cut in 1..line.len() {
            assert!(!is_whole_object(&line.as_bytes()[cut..]), "{cut}");
            assert!(!is_whole_object(&line.as_bytes()[..cut]), "{cut}");
        }
        assert!(!is_whole_object(b""));
        assert!(!is_whole_object(b"{}{}"));
    }
}
