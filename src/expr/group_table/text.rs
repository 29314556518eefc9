//! Keys of one column of text.
//!
//! In:  texts.
//! Out: ids. An entry holds the length and the first 12 bytes, which is all
//!      there is to a short text; longer ones are compared in one arena.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use hashbrown::HashTable;

use super::Keys;
use crate::error::{Error, Result};
use crate::expr::aggregate::nulls_where;
use crate::expr::hash::hash_bytes;

/// The longest text that an entry holds whole.
const INLINE: usize = 12;

/// The length and the first bytes of a text.
#[inline]
fn view(text: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let inline = text.len().min(INLINE);
    bytes[..inline].copy_from_slice(&text[..inline]);
    u128::from_le_bytes(bytes) | (text.len() as u128) << 96
}

struct Entry {
    view: u128,
    hash: u64,
    id: u32,
}

/// Groups by one column of text.
pub(super) struct TextKeys {
    mask: u64,
    table: HashTable<Entry>,
    null: Option<u32>,
    /// All keys, one after the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl TextKeys {
    pub fn new(mask: u64) -> Self {
        TextKeys {
            mask,
            table: HashTable::new(),
            null: None,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    #[inline]
    fn id(&mut self, text: &[u8]) -> u32 {
        let (view, hash) = (view(text), hash_bytes(text) & self.mask);
        let (bytes, ends) = (&self.bytes, &self.ends);
        let same = |entry: &Entry| {
            entry.view == view && (text.len() <= INLINE || key(bytes, ends, entry.id) == text)
        };
        let next = ends.len() as u32;
        let id = self
            .table
            .entry(hash, same, |entry| entry.hash)
            .or_insert(Entry {
                view,
                hash,
                id: next,
            })
            .get()
            .id;
        if id == next {
            self.bytes.extend_from_slice(text);
            self.ends.push(self.bytes.len());
        }
        id
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
    fn assign(&mut self, columns: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        let texts = columns[0].as_string::<i32>();
        ids.extend((0..texts.len()).map(|row| {
            if texts.is_valid(row) {
                self.id(texts.value(row).as_bytes())
            } else {
                self.null_id()
            }
        }));
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
        self.table.allocation_size() + self.bytes.capacity() + 8 * self.ends.capacity()
    }
}
