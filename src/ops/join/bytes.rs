//! Which rows of the build side have a key that is bytes.
//!
//! In:  the key of every build row, as a text or as a row of several columns.
//! Out: for a key, the first row that has it; behind it a chain of the others,
//!      in order.
//!
//! A slot holds what tells most keys apart, so that few are looked up elsewhere:
//!
//! ```text
//! text     length and first 12 bytes: short ones are all there
//! row      hash and length
//! ```

use super::slots::{Parts, following, scaled, within};
use super::table::{ALONE, Chains, NONE, on_threads};
use crate::cancel::stretches;
use crate::error::Result;
use crate::expr::{hash_bytes, up_to_eight};

/// Byte strings, one after the other.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Blobs {
    pub fn push(&mut self, blob: &[u8]) {
        self.bytes.extend_from_slice(blob);
        self.ends.push(self.bytes.len());
    }

    #[inline]
    fn get(&self, idx: usize) -> &[u8] {
        let start = idx.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[idx]]
    }

    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + size_of::<usize>() * self.ends.capacity()
    }
}

/// A key of bytes as it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    /// Length and first bytes, or hash and length.
    view: [u64; 2],
    hash: u64,
}

/// The longest text that its tag holds whole.
const INLINE: usize = 12;

impl Tag {
    /// Of a text: short ones are all there.
    #[inline]
    fn of_text(text: &[u8], mask: u64) -> Self {
        let (first, rest) = text.split_at(text.len().min(8));
        let first = up_to_eight(first);
        let rest = up_to_eight(&rest[..rest.len().min(INLINE - 8)]);
        Tag {
            view: [text.len() as u64 | first << 32, first >> 32 | rest << 32],
            hash: hash_bytes(text) & mask,
        }
    }

    /// Of a row, whose first bytes tell little.
    #[inline]
    fn of_row(row: &[u8], mask: u64) -> Self {
        let hash = hash_bytes(row) & mask;
        Tag {
            view: [hash, row.len() as u64],
            hash,
        }
    }
}

/// A place in a table of byte strings; it is free if it has no row.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteSlot {
    view: [u64; 2],
    head: u32,
}

impl Default for ByteSlot {
    fn default() -> Self {
        ByteSlot {
            view: [0; 2],
            head: NONE,
        }
    }
}

/// A table by byte strings.
#[derive(Debug)]
pub(super) struct ByteTable {
    parts: Parts<ByteSlot>,
    /// The key of every row.
    keys: Blobs,
    /// Whether keys are texts, and not rows of several columns.
    texts: bool,
}

impl ByteTable {
    /// A table of rows by their keys, less those that meet nothing.
    pub fn build(
        keys: Blobs,
        held: impl Fn(usize) -> bool + Sync,
        texts: bool,
        mask: u64,
        threads: usize,
    ) -> Result<(Self, Chains)> {
        let n_rows = keys.ends.len();
        let threads = if n_rows < ALONE { 1 } else { threads };
        let chains = Chains::new(n_rows);
        let hash = |row: usize| held(row).then(|| hash_bytes(keys.get(row)) & mask);
        let mut hashes: Vec<Option<u64>> = Vec::with_capacity(n_rows);
        for rows in stretches(n_rows) {
            hashes.extend(rows?.map(hash));
        }
        let parts = Parts::sized(n_rows, mask, |row| hashes[row], threads)?;
        let mut table = ByteTable { parts, keys, texts };
        let mut parts = std::mem::take(&mut table.parts.parts);
        let n_parts = parts.len();
        on_threads(&mut parts, threads, |part, slots| {
            for rows in stretches(n_rows).rev() {
                let is_of_part = |hash: u64| scaled(hash, n_parts) == part;
                for row in rows?
                    .rev()
                    .filter(|row| hashes[*row].is_some_and(is_of_part))
                {
                    table.put(slots, n_parts, row, &chains);
                }
            }
            Ok(())
        })?;
        table.parts.parts = parts;
        Ok((table, chains))
    }

    fn put(&self, slots: &mut [ByteSlot], n_parts: usize, row: usize, chains: &Chains) {
        let key = self.keys.get(row);
        let tag = self.tag(key);
        let place = self.place(slots, within(tag.hash, n_parts, slots.len()), tag, key);
        let slot = &mut slots[place];
        if slot.head != NONE {
            chains.link(row as u32, slot.head);
        }
        *slot = ByteSlot {
            view: tag.view,
            head: row as u32,
        };
    }

    #[inline]
    fn tag(&self, key: &[u8]) -> Tag {
        match self.texts {
            true => Tag::of_text(key, self.parts.mask),
            false => Tag::of_row(key, self.parts.mask),
        }
    }

    /// The slot that holds a key, or that it would stand in.
    #[inline]
    fn place(&self, slots: &[ByteSlot], from: usize, tag: Tag, key: &[u8]) -> usize {
        let mut place = from;
        loop {
            let slot = &slots[place];
            if slot.head == NONE || (slot.view == tag.view && self.same(slot, key)) {
                return place;
            }
            place = following(place, slots.len());
        }
    }

    #[inline]
    fn same(&self, slot: &ByteSlot, key: &[u8]) -> bool {
        (self.texts && key.len() <= INLINE) || self.keys.get(slot.head as usize) == key
    }

    /// The first row that has a key; [`NONE`] if there is none.
    #[inline]
    pub fn find(&self, key: &[u8]) -> u32 {
        let tag = self.tag(key);
        let (slots, from) = self.parts.slots(tag.hash);
        slots[self.place(slots, from, tag, key)].head
    }

    pub fn bytes(&self) -> usize {
        self.parts.bytes() + self.keys.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::rows;
    use super::*;

    #[test]
    fn byte_strings_are_told_apart_by_all_their_bytes() {
        let key = |row: usize| match row % 5 {
            0 => String::new(),
            1 => format!("short {}", row % 9),
            2 => format!("{}long enough to stand elsewhere", row % 3),
            3 => format!("the same first bytes {}", row % 11),
            _ => "a\0".repeat(row % 4),
        };
        for (texts, mask, n) in [
            (true, u64::MAX, 40_000),
            (false, u64::MAX, 40_000),
            (true, 0, 300),
            (false, 0, 300),
        ] {
            let all: Vec<String> = (0..n).map(key).collect();
            let mut keys = Blobs::default();
            all.iter().for_each(|key| keys.push(key.as_bytes()));
            let held = |row: usize| !row.is_multiple_of(13);
            let (table, chains) = ByteTable::build(keys, held, texts, mask, 3).unwrap();
            for asked in (0..60).map(key).chain(["nowhere".into(), "a".into()]) {
                let with = |row: &u32| held(*row as usize) && all[*row as usize] == asked;
                let wanted: Vec<u32> = (0..n as u32).filter(with).collect();
                assert_eq!(
                    rows(table.find(asked.as_bytes()), &chains),
                    wanted,
                    "{asked}"
                );
            }
        }
    }
}
