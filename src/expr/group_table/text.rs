//! Keys of one column of text.
//!
//! In:  texts.
//! Out: ids. A short text is a number: its bytes and its length. Longer ones are
//!      compared in one arena.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};

use super::Keys;
use super::slots::{BLOCK, Slots};
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

/// What the last byte of a longer text's number is. Below it stands its place
/// among those texts, and its hash.
const LONG: u8 = u8::MAX;

fn long(hash: u64, place: usize) -> u128 {
    u128::from(LONG) << 120 | (place as u128) << 64 | u128::from(hash)
}

/// The last byte of a number: the length of a short text.
#[inline]
fn length(number: u128) -> u8 {
    (number >> 120) as u8
}

/// The hash of a text, by its number.
#[inline]
fn hash(number: u128) -> u64 {
    match length(number) {
        LONG => number as u64,
        _ => hash_u128(number),
    }
}

/// Groups by one column of text.
pub(super) struct TextKeys {
    mask: u64,
    slots: Slots,
    /// The number of each key; any for null.
    keys: Vec<u128>,
    null: Option<u32>,
    long: LongTexts,
    /// Of all keys.
    text_bytes: usize,
}

/// All longer texts, one after the other, and where each ends.
#[derive(Default)]
struct LongTexts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl LongTexts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// The text that a number stands for.
    fn text(&self, number: u128) -> &[u8] {
        let place = (number >> 64) as u32 as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[place]]
    }

    fn bytes(&self) -> usize {
        self.bytes.capacity() + 8 * self.ends.capacity()
    }
}

impl TextKeys {
    pub fn new(mask: u64) -> Self {
        TextKeys {
            mask,
            slots: Slots::default(),
            keys: Vec::new(),
            null: None,
            long: LongTexts::default(),
            text_bytes: 0,
        }
    }

    /// The ids of texts that lie between `offsets` of a buffer, no more than a block.
    fn assign_block(&mut self, bytes: &[u8], offsets: &[i32], ids: &mut [u32]) {
        let mask = self.mask;
        let masked = |number: u128| hash(number) & mask;
        let range = |place: usize| offsets[place] as usize..offsets[place + 1] as usize;
        let mut wanted = [0; BLOCK];
        let wanted = &mut wanted[..ids.len()];
        for (place, number) in wanted.iter_mut().enumerate() {
            let text = range(place);
            *number = match text.len() > SHORT {
                // The place of none of those that are known: they are compared in full.
                true => long(hash_bytes(&bytes[text]), u32::MAX as usize),
                false => short(bytes, text.start, text.len()),
            };
        }
        let null = self.null;
        let known = (0..).zip(&self.keys);
        let hashes = known.map(|(id, key)| (Some(id) != null).then(|| masked(*key)));
        self.slots.reserve(self.keys.len(), wanted.len(), hashes);
        let looked = self.slots.look(&self.keys, wanted, masked, ids);
        for place in looked.missed() {
            let hash = looked.hashes[place];
            ids[place] = match length(wanted[place]) {
                LONG => self.long_id(wanted[place], hash, &bytes[range(place)]),
                _ => self.short_id(wanted[place], hash),
            };
        }
    }

    fn short_id(&mut self, number: u128, hash: u64) -> u32 {
        let next = self.keys.len() as u32;
        let keys = &self.keys;
        let same = |id: u32| keys[id as usize] == number;
        let id = self.slots.find_or_insert(hash, next, same);
        if id == next {
            self.keys.push(number);
            self.text_bytes += usize::from(length(number));
        }
        id
    }

    fn long_id(&mut self, number: u128, hash: u64, text: &[u8]) -> u32 {
        let next = self.keys.len() as u32;
        let own_hash = number as u64;
        let (keys, texts) = (&self.keys, &self.long);
        let same = |id: u32| {
            let known = keys[id as usize];
            length(known) == LONG && known as u64 == own_hash && texts.text(known) == text
        };
        let id = self.slots.find_or_insert(hash, next, same);
        if id == next {
            self.keys.push(long(own_hash, self.long.ends.len()));
            self.long.push(text);
            self.text_bytes += text.len();
        }
        id
    }

    fn null_id(&mut self) -> u32 {
        *self.null.get_or_insert_with(|| {
            self.keys.push(0);
            self.keys.len() as u32 - 1
        })
    }
}

impl Keys for TextKeys {
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut [u32]) -> Result<()> {
        let texts = columns[0].as_string::<i32>();
        let (bytes, offsets) = (texts.values().as_slice(), texts.value_offsets());
        let Some(nulls) = texts.nulls().filter(|nulls| nulls.null_count() > 0) else {
            for (block, ids) in ids.chunks_mut(BLOCK).enumerate() {
                self.assign_block(bytes, &offsets[block * BLOCK..], ids);
            }
            return Ok(());
        };
        for (row, id) in ids.iter_mut().enumerate() {
            match nulls.is_valid(row) {
                true => self.assign_block(bytes, &offsets[row..], std::slice::from_mut(id)),
                false => *id = self.null_id(),
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let mut offsets: Vec<i32> = Vec::with_capacity(self.keys.len() + 1);
        let mut bytes = Vec::with_capacity(self.text_bytes);
        offsets.push(0);
        for &number in &self.keys {
            match length(number) {
                LONG => bytes.extend_from_slice(self.long.text(number)),
                len => bytes.extend_from_slice(&number.to_le_bytes()[..len.into()]),
            }
            let end = i32::try_from(bytes.len());
            offsets.push(end.map_err(|_| Error::plan("the texts of keys take over 2 GiB"))?);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let nulls = self.null.and_then(|null| {
            let ids = 0..self.keys.len() as u32;
            nulls_where(ids.map(|id| id != null))
        });
        let keys = StringArray::try_new(offsets, bytes.into(), nulls)?;
        Ok(vec![Arc::new(keys)])
    }

    fn bytes(&self) -> usize {
        self.slots.bytes() + 16 * self.keys.capacity() + self.long.bytes()
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
            }
        }
        assert_ne!(short(b"a\0", 0, 2), short(b"a", 0, 1));
        assert_ne!(short(b"\0", 0, 1), short(b"", 0, 0));
    }
}
