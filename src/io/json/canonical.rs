//! Canonical JSON text: one way to write each value.
//!
//! In:  a value of the text, and the facts known of its place.
//! Out: its text with keys sorted by bytes, null members left out, the last of
//!      equal keys kept, strings and numbers in their shortest form.
//!
//! Where strings stand beside other scalars at one place, those are written as
//! strings too: a column may have held them as plain text before an object made
//! it JSON text, and by then nobody can tell `5` from `"5"`. So one rule holds
//! for a value read now and for one converted later.

use super::grammar::{Parser, SchemaMode, Stop};
use super::lattice::{Node, Scalars};
use super::number::write_number;
use super::string::write_quoted;

impl Parser<'_> {
    /// Appends the canonical text of the value at `pos`, which lies within
    /// `depth` open containers; returns where it ends. Without `known`, scalars
    /// are written as they are. Asks to widen where the value has facts that
    /// `known` lacks, if schemas may grow.
    pub fn write_canonical(
        &mut self,
        pos: usize,
        depth: usize,
        known: Option<&Node>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Stop> {
        match self.at(pos) {
            b'"' => {
                self.expect_facts(Scalars::STRING, known)?;
                let mut string = std::mem::take(&mut self.scratch);
                string.clear();
                let end = self.copy_string(pos + 1, &mut string);
                if end.is_ok() {
                    write_quoted(&string, out);
                }
                self.scratch = string;
                end
            }
            b'-' | b'0'..=b'9' => {
                let (number, end) = self.number(pos)?;
                self.expect_facts(number.facts(), known)?;
                let literal = self.text.between(pos, end);
                as_scalar(known, out, |out| write_number(number, literal, out));
                Ok(end)
            }
            b'{' => self.canonical_object(pos, depth, known, out),
            b'[' => self.canonical_list(pos, depth, known, out),
            b'n' => {
                let end = self.skip_word(pos)?;
                out.extend_from_slice(b"null");
                Ok(end)
            }
            _ => {
                let end = self.skip_word(pos)?;
                self.expect_facts(Scalars::BOOL, known)?;
                let literal = self.text.between(pos, end);
                as_scalar(known, out, |out| out.extend_from_slice(literal));
                Ok(end)
            }
        }
    }

    fn expect_facts(&self, facts: Scalars, known: Option<&Node>) -> Result<(), Stop> {
        match known {
            Some(node) if self.mode == SchemaMode::Widen && !node.scalars.has(facts) => {
                Err(Stop::Widen)
            }
            _ => Ok(()),
        }
    }

    /// The facts of a part, given those of the whole.
    fn part<'n>(
        &self,
        known: Option<&'n Node>,
        part: Option<&'n Node>,
    ) -> Result<Option<&'n Node>, Stop> {
        if known.is_some() && part.is_none() && self.mode == SchemaMode::Widen {
            return Err(Stop::Widen);
        }
        Ok(part)
    }

    fn canonical_object(
        &mut self,
        pos: usize,
        depth: usize,
        known: Option<&Node>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Stop> {
        self.check_depth(pos, depth)?;
        let fields = known.and_then(|node| node.object.as_deref());
        if known.is_some() && fields.is_none() && self.mode == SchemaMode::Widen {
            return Err(Stop::Widen);
        }
        // Members as they come, each at its place in `parts`; sorted at the end.
        let mut members: Vec<(Vec<u8>, std::ops::Range<usize>)> = Vec::new();
        let mut parts = Vec::new();
        let mut pos = self.space(pos + 1);
        if self.at(pos) != b'}' {
            loop {
                let mut key = Vec::new();
                if self.at(pos) != b'"' {
                    return Err(self.expected(pos, "a key in quotes"));
                }
                pos = self.copy_string(pos + 1, &mut key)?;
                pos = self.skip_colon(pos)?;
                let node = self.part(known, fields.and_then(|fields| fields.get(&key)))?;
                let start = parts.len();
                if self.at(pos) == b'n' {
                    pos = self.skip_word(pos)?;
                } else {
                    pos = self.write_canonical(pos, depth + 1, node, &mut parts)?;
                }
                members.push((key, start..parts.len()));
                pos = self.space(pos);
                match self.at(pos) {
                    b',' => pos = self.space(pos + 1),
                    b'}' => break,
                    _ => return Err(self.expected(pos, "',' or '}'")),
                }
            }
        }
        // The sort is stable, so the last of equal keys is the one that counts.
        members.sort_by(|a, b| a.0.cmp(&b.0));
        out.push(b'{');
        let mut is_first = true;
        for (idx, (key, part)) in members.iter().enumerate() {
            let is_overwritten = members.get(idx + 1).is_some_and(|(next, _)| next == key);
            self.duplicate_keys += u64::from(is_overwritten);
            if is_overwritten || part.is_empty() {
                continue;
            }
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            write_quoted(key, out);
            out.push(b':');
            out.extend_from_slice(&parts[part.clone()]);
        }
        out.push(b'}');
        Ok(pos + 1)
    }

    fn canonical_list(
        &mut self,
        pos: usize,
        depth: usize,
        known: Option<&Node>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Stop> {
        self.check_depth(pos, depth)?;
        let item = known.and_then(|node| node.list.as_deref());
        let item = self.part(known, item.map(|item| &item.node))?;
        out.push(b'[');
        let mut pos = self.space(pos + 1);
        if self.at(pos) != b']' {
            loop {
                pos = self.write_canonical(pos, depth + 1, item, out)?;
                pos = self.space(pos);
                match self.at(pos) {
                    b',' => pos = self.space(pos + 1),
                    b']' => break,
                    _ => return Err(self.expected(pos, "',' or ']'")),
                }
                out.push(b',');
            }
        }
        out.push(b']');
        Ok(pos + 1)
    }
}

/// Writes a scalar that is no string: in quotes where strings stand beside it.
pub(super) fn as_scalar(known: Option<&Node>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let is_quoted = known.is_some_and(|node| node.scalars.has(Scalars::STRING));
    if is_quoted {
        out.push(b'"');
    }
    write(out);
    if is_quoted {
        out.push(b'"');
    }
}
