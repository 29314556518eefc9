//! Keys of one column of text.
//!
//! In:  texts.
//! Out: ids. A short text is a number: its bytes and its length, which an entry
//!      holds whole. Longer ones are compared in one arena.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use hashbrown::HashTable;

use super::Keys;
use crate::error::{Error, Result};
use crate::expr::aggregate::nulls_where;
use crate::expr::hash::{hash_bytes, hash_u128};

/// The longest text that is a number: its length takes the last byte.
const SHORT: usize = 15;

/// A text of up to [`SHORT`] bytes, which stand at `start` of `bytes`. Where as
/// many bytes as a number has follow, they are read as one.
#[inline]
fn short(bytes: &[u8], start: usize, len: usize) -> u128 {
    let word = match bytes.get(start..start + 16) {
        Some(word) => u128::from_le_bytes(word.try_into().expect("16 bytes were taken")),
        None => {
            let mut word = [0; 16];
            word[..len].copy_from_slice(&bytes[start..start + len]);
            u128::from_le_bytes(word)
        }
    };
    (word & ((1 << (8 * len)) - 1)) | (len as u128) << 120
}

/// An entry of 20 bytes: as a `u128` the text would make it one of 32.
struct Short {
    text: [u32; 4],
    id: u32,
}

#[inline]
fn parts(text: u128) -> [u32; 4] {
    [0, 32, 64, 96].map(|bit| (text >> bit) as u32)
}

#[inline]
fn whole(parts: &[u32; 4]) -> u128 {
    let [a, b, c, d] = parts.map(u128::from);
    a | b << 32 | c << 64 | d << 96
}

/// Groups by one column of text.
pub(super) struct TextKeys {
    mask: u64,
    short: HashTable<Short>,
    /// Hash and id of longer texts.
    long: HashTable<(u64, u32)>,
    null: Option<u32>,
    /// All keys, one after the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl TextKeys {
    pub fn new(mask: u64) -> Self {
        TextKeys {
            mask,
            short: HashTable::new(),
            long: HashTable::new(),
            null: None,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The id of the text at a place of a buffer.
    #[inline]
    fn id(&mut self, bytes: &[u8], start: usize, end: usize) -> u32 {
        if end - start > SHORT {
            return self.long_id(&bytes[start..end]);
        }
        let mask = self.mask;
        let hash = |text: u128| hash_u128(text) & mask;
        let text = short(bytes, start, end - start);
        let words = parts(text);
        let next = self.ends.len() as u32;
        let same = |entry: &Short| entry.text == words;
        let entry = self
            .short
            .entry(hash(text), same, |entry| hash(whole(&entry.text)));
        let id = entry
            .or_insert(Short {
                text: words,
                id: next,
            })
            .get()
            .id;
        if id == next {
            self.push(&bytes[start..end]);
        }
        id
    }

    fn long_id(&mut self, text: &[u8]) -> u32 {
        let hash = hash_bytes(text) & self.mask;
        let (bytes, ends) = (&self.bytes, &self.ends);
        let same = |entry: &(u64, u32)| entry.0 == hash && key(bytes, ends, entry.1) == text;
        let next = ends.len() as u32;
        let entry = self.long.entry(hash, same, |entry| entry.0);
        let id = entry.or_insert((hash, next)).get().1;
        if id == next {
            self.push(text);
        }
        id
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    fn null_id(&mut self) -> u32 {
        *self.null.get_or_insert_with(|| {
            self.ends.push(self.bytes.len());
            self.ends.len() as u32 - 1
        })
    }
}

fn key<'a>(bytes: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let id = id as usize;
    let start = id.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[id]]
}

impl Keys for TextKeys {
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<()> {
        let texts = columns[0].as_string::<i32>();
        let bytes = texts.values().as_slice();
        let places = texts.offsets().windows(2);
        let rows = ids.iter_mut().zip(places);
        match texts.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                for (id, place) in rows {
                    *id = self.id(bytes, place[0] as usize, place[1] as usize);
                }
            }
            Some(nulls) => {
                for ((id, place), valid) in rows.zip(nulls) {
                    *id = match valid {
                        true => self.id(bytes, place[0] as usize, place[1] as usize),
                        false => self.null_id(),
                    };
                }
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let offsets: Result<Vec<i32>> = std::iter::once(&0)
            .chain(&self.ends)
            .map(|&end| {
                i32::try_from(end).map_err(|_| Error::plan("the texts of keys take over 2 GiB"))
            })
            .collect();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets?));
        let null = self.null;
        let nulls = nulls_where((0..self.ends.len() as u32).map(|id| Some(id) != null));
        let keys = StringArray::try_new(offsets, self.bytes.clone().into(), nulls)?;
        Ok(vec![Arc::new(keys)])
    }

    fn bytes(&self) -> usize {
        self.short.allocation_size()
            + self.long.allocation_size()
            + self.bytes.capacity()
            + 8 * self.ends.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_its_bytes_and_its_length_wherever_it_stands() {
        let text = b"0123456789abcdef0123456789abcdef";
        for start in 0..text.len() {
            for len in 0..=SHORT.min(text.len() - start) {
                let here = short(text, start, len);
                let alone = short(&text[start..start + len], 0, len);
                assert_eq!(here, alone, "{start} {len}");
                assert_eq!(here >> 120, len as u128);
                assert_eq!(whole(&parts(here)), here);
            }
        }
        assert_ne!(short(b"a\0", 0, 2), short(b"a", 0, 1));
        assert_ne!(short(b"\0", 0, 1), short(b"", 0, 0));
    }
}
