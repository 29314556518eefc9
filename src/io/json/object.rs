//! The columns of an object, found by key as fast as keys can be compared.
//!
//! In:  text at the opening quote of a key.
//! Out: the slot of that key.
//!
//! Records of one log have their keys in almost the same order, so each slot
//! remembers which one came after it last time, and a guess is tested by
//! comparing the text with `"key":` a word at a time. Only where guesses fail
//! is the key read and looked up. Keys that nobody wants get slots without a
//! column, so that skipping them is predicted too.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::Fields as ArrowFields;
use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

use super::column::Column;
use super::lattice::{Fields, Node};
use super::scan::Text;
use crate::error::Result;

/// Slots without a column that an object may have; further keys are looked up each time.
const MOST_SKIPPED: usize = 1024;

/// A key as it most often stands in the text: `"key":`.
#[derive(Debug)]
struct Pattern {
    first: u64,
    first_mask: u64,
    /// Full words from the second one on, and the last eight bytes, where the
    /// pattern is longer than eight.
    middle: [u64; 2],
    last: u64,
    len: usize,
}

/// Patterns up to this length can be compared without asking whether the text
/// goes on that far: half of [`super::scan::PAD`].
const LONGEST_PATTERN: usize = 32;

impl Pattern {
    fn new(key: &[u8]) -> Self {
        // A key that JSON would escape never stands in a text as it is, and a
        // very long one would be read past the end: an empty pattern is never met.
        let never = Pattern {
            first: 1,
            first_mask: 0,
            middle: [0; 2],
            last: 0,
            len: 0,
        };
        let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
        if key.len() + 3 > LONGEST_PATTERN || !key.iter().all(is_plain) {
            return never;
        }
        let bytes = [b"\"", key, b"\":"].concat();
        let len = bytes.len();
        let word_at = |start: usize| {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(bytes.iter().skip(start)) {
                *to = *from;
            }
            u64::from_le_bytes(word)
        };
        Pattern {
            first: word_at(0),
            first_mask: u64::MAX >> (64 - 8 * len.min(8)),
            middle: [word_at(8), word_at(16)],
            last: word_at(len.saturating_sub(8)),
            len,
        }
    }

    /// Where the text goes on if this key and its colon stand at `pos`.
    #[inline(always)]
    fn end_at(&self, text: Text<'_>, pos: usize) -> Option<usize> {
        if text.word(pos) & self.first_mask != self.first {
            return None;
        }
        let len = self.len;
        if len > 8 {
            if text.word(pos + len - 8) != self.last {
                return None;
            }
            if len > 16 && text.word(pos + 8) != self.middle[0]
                || len > 24 && text.word(pos + 16) != self.middle[1]
            {
                return None;
            }
        }
        Some(pos + len)
    }
}

/// What a slot's values are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) enum Use {
    /// They go into the slot's column.
    Build,
    /// They are checked and left out, as asked for by a projection.
    Skip,
    /// They are checked, left out and counted, as the schema does not know them.
    Ignore,
}

/// A key and its column.
#[derive(Debug)]
pub(in crate::io) struct Slot {
    pub name: Arc<str>,
    pattern: Pattern,
    pub purpose: Use,
    /// The slot that followed when this one was last read.
    next: u32,
    pub column: Column,
}

/// Which keys of a record are wanted: none named means all.
pub(in crate::io) type Wanted = Arc<HashSet<Box<[u8]>>>;

/// The columns of an object.
#[derive(Debug)]
pub(in crate::io) struct Object {
    /// Keys with columns in the schema's order, then keys without.
    pub slots: Vec<Slot>,
    n_columns: usize,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    first: u32,
    /// Complete rows.
    pub rows: usize,
    /// Which keys are built; only at the top of a record.
    pub wanted: Option<Wanted>,
}

/// No slot: the guess after the last one, before anything was learned.
pub(in crate::io) const NO_SLOT: usize = u32::MAX as usize;

impl Object {
    pub fn new(fields: &Fields) -> Self {
        let mut object = Object {
            slots: Vec::with_capacity(fields.len()),
            n_columns: 0,
            index: HashTable::with_capacity(fields.len()),
            hasher: DefaultHashBuilder::default(),
            first: 0,
            rows: 0,
            wanted: None,
        };
        for (name, node) in fields.iter() {
            object.push(Arc::clone(name), Column::new(node), Use::Build);
        }
        object.n_columns = object.slots.len();
        object
    }

    fn push(&mut self, name: Arc<str>, column: Column, purpose: Use) -> usize {
        let idx = self.slots.len();
        let hash = self.hasher.hash_one(name.as_bytes());
        self.slots.push(Slot {
            pattern: Pattern::new(name.as_bytes()),
            name,
            purpose,
            next: idx as u32 + 1,
            column,
        });
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, idx as u32, |idx| {
            hasher.hash_one(slots[*idx as usize].name.as_bytes())
        });
        idx
    }

    /// Remembers a key that is not built. Returns `None` when there are too many of them.
    pub fn push_skipped(&mut self, key: &[u8], purpose: Use) -> Option<usize> {
        if self.slots.len() - self.n_columns >= MOST_SKIPPED {
            return None;
        }
        let name = std::str::from_utf8(key).ok()?;
        Some(self.push(Arc::from(name), Column::new(&Node::default()), purpose))
    }

    /// The slot likely to be read first in a record.
    #[inline(always)]
    pub fn likely_first(&self) -> usize {
        self.first as usize
    }

    /// The slot likely to be read after slot `idx`.
    #[inline(always)]
    pub fn likely_after(&self, idx: usize) -> usize {
        self.slots[idx].next as usize
    }

    /// Where the value's place begins if slot `guess` is the key at `pos`.
    #[inline(always)]
    pub fn test(&self, guess: usize, text: Text<'_>, pos: usize) -> Option<usize> {
        self.slots.get(guess)?.pattern.end_at(text, pos)
    }

    /// Tests the slots that stand next in order after `previous` failed to foretell one.
    #[inline(always)]
    pub fn test_near(&self, previous: usize, text: Text<'_>, pos: usize) -> Option<(usize, usize)> {
        let start = if previous == NO_SLOT { 0 } else { previous + 1 };
        (start..start + 4).find_map(|idx| Some((idx, self.test(idx, text, pos)?)))
    }

    /// Remembers that `idx` came after `previous`.
    #[inline(always)]
    pub fn learn_order(&mut self, previous: usize, idx: usize) {
        match self.slots.get_mut(previous) {
            Some(slot) => slot.next = idx as u32,
            None => self.first = idx as u32,
        }
    }

    pub fn find(&self, key: &[u8]) -> Option<usize> {
        self.index
            .find(self.hasher.hash_one(key), |idx| {
                self.slots[*idx as usize].name.as_bytes() == key
            })
            .map(|idx| *idx as usize)
    }

    pub fn is_wanted(&self, key: &[u8]) -> bool {
        self.wanted
            .as_ref()
            .is_none_or(|wanted| wanted.contains(key))
    }

    pub fn columns_mut(&mut self) -> impl Iterator<Item = &mut Column> {
        self.slots[..self.n_columns]
            .iter_mut()
            .map(|slot| &mut slot.column)
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.slots[..self.n_columns].iter().map(|slot| &slot.column)
    }

    pub fn roll_back(&mut self, rows: usize, record: u64) {
        self.rows = self.rows.min(rows);
        for column in self.columns_mut() {
            column.roll_back(rows, record);
        }
    }

    pub fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        for column in self.columns_mut() {
            column.truncate(rows);
        }
    }

    /// Whether the values say anything beyond `fields`, from which this object was made.
    pub fn has_news(&self, fields: &Fields) -> bool {
        self.columns()
            .zip(fields.iter())
            .any(|(column, (_, node))| column.has_news(node))
    }

    /// Adds to `fields`, from which this object was made, what the values say beyond them.
    pub fn teach(&self, fields: &mut Fields) {
        for (idx, column) in self.columns().enumerate() {
            column.teach(fields.node_mut(idx));
        }
    }

    /// The finished arrays, one for each of `fields`; the object is empty again.
    pub fn finish(&mut self, rows: usize, fields: &ArrowFields) -> Result<Vec<ArrayRef>> {
        self.rows = 0;
        self.columns_mut()
            .zip(fields.iter())
            .map(|(column, field)| column.finish(rows, field.data_type()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::json::scan::PAD;

    #[test]
    fn a_pattern_meets_its_own_key_and_no_other() {
        let keys = [
            "",
            "a",
            "ab",
            "abcde",
            "abcdef",
            "abcdeg",
            "a_longer_key",
            "a_longer_kez",
            "a_key_of_some_twenty_bytes",
            "a_key_of_none_twenty_bytes",
            "a.b",
            "é",
            "x y",
        ];
        for key in keys {
            let pattern = Pattern::new(key.as_bytes());
            for other in keys {
                let mut text = format!("{{\"{other}\":1}}\n").into_bytes();
                let end = text.len();
                text.extend([0; PAD]);
                let text = Text::new(&text, end);
                let expected = (key == other).then_some(other.len() + 4);
                assert_eq!(pattern.end_at(text, 1), expected, "{key:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_key_that_needs_escapes_is_never_met_as_it_is() {
        for key in ["a\"b", "a\\b", "a\nb"] {
            let mut text = format!("\"{key}\":1}}\n").into_bytes();
            let end = text.len();
            text.extend([0; PAD]);
            let text = Text::new(&text, end);
            assert_eq!(Pattern::new(key.as_bytes()).end_at(text, 0), None);
        }
    }
}
