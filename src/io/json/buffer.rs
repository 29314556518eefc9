//! What columns append to: bits, validity and strings.
//!
//! In:  one value at a time; any number can be taken back from the end.
//! Out: Arrow buffers, handed over without a copy unless they are mostly room.
//!      What comes next finds room for as much and a little more.

use arrow_array::StringArray;
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::error::{Error, Result};

/// Takes what was appended. Chunks of one input are about as long as each other:
/// with room for a sixteenth more, the next one seldom grows, which would copy it
/// and leave half of its room empty. A short one, as a file ends with, is copied,
/// and leaves the room to the next.
pub(in crate::io) fn take_all<T: Copy>(values: &mut Vec<T>) -> Vec<T> {
    if values.len() < values.capacity() / 2 {
        let few = values.to_vec();
        values.clear();
        return few;
    }
    let room = values.len() + values.len() / 16;
    std::mem::replace(values, Vec::with_capacity(room))
}

/// Bits, appended.
#[derive(Debug, Default)]
pub(in crate::io) struct Bitmap {
    bytes: Vec<u8>,
    len: usize,
}

impl Bitmap {
    #[inline(always)]
    pub fn push(&mut self, bit: bool) {
        let place = self.len % 8;
        if place == 0 {
            self.bytes.push(u8::from(bit));
        } else if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << place;
        }
        self.len += 1;
    }

    pub fn extend(&mut self, bit: bool, n: usize) {
        for _ in 0..n {
            self.push(bit);
        }
    }

    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.bytes.truncate(len.div_ceil(8));
            if !len.is_multiple_of(8)
                && let Some(last) = self.bytes.last_mut()
            {
                *last &= (1 << (len % 8)) - 1;
            }
        }
    }

    pub fn take(&mut self) -> BooleanBuffer {
        let len = std::mem::take(&mut self.len);
        BooleanBuffer::new(Buffer::from_vec(take_all(&mut self.bytes)), 0, len)
    }
}

/// How many rows a column has, and which are null. Bits are kept only from the first null on.
#[derive(Debug, Default)]
pub(in crate::io) struct Validity {
    len: usize,
    has_nulls: bool,
    bits: Bitmap,
}

impl Validity {
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub fn push_valid(&mut self) {
        if self.has_nulls {
            self.bits.push(true);
        }
        self.len += 1;
    }

    pub fn push_nulls(&mut self, n: usize) {
        if !self.has_nulls && n > 0 {
            self.bits.extend(true, self.len);
            self.has_nulls = true;
        }
        self.bits.extend(false, n);
        self.len += n;
    }

    pub fn truncate(&mut self, len: usize) {
        self.bits.truncate(len);
        self.len = self.len.min(len);
    }

    pub fn take(&mut self) -> Option<NullBuffer> {
        self.len = 0;
        let bits = self.bits.take();
        std::mem::take(&mut self.has_nulls).then(|| NullBuffer::new(bits))
    }
}

/// Strings one after the other, and where each starts and ends.
#[derive(Debug)]
pub(in crate::io) struct TextBuffer {
    pub bytes: Vec<u8>,
    offsets: Vec<i32>,
}

impl Default for TextBuffer {
    fn default() -> Self {
        TextBuffer {
            bytes: Vec::new(),
            offsets: vec![0],
        }
    }
}

impl TextBuffer {
    /// Ends a string whose bytes have been appended. A total past 2 GiB wraps
    /// here and is refused by [`TextBuffer::take`], before anything reads it.
    #[inline(always)]
    pub fn end(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
    }

    pub fn extend_empty(&mut self, n: usize) {
        let end = self.bytes.len() as i32;
        self.offsets.resize(self.offsets.len() + n, end);
    }

    /// Also drops bytes of a string that was begun and not ended.
    pub fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        let end = self.offsets.last().map_or(0, |end| *end as usize);
        self.bytes.truncate(end);
    }

    pub fn take(&mut self, nulls: Option<NullBuffer>) -> Result<StringArray> {
        if i32::try_from(self.bytes.len()).is_err() {
            return Err(Error::config(
                "blocksize",
                format!(
                    "one text column of a single chunk has {} bytes, above Arrow's 2 GiB: \
                     a record is too long, or the block is",
                    self.bytes.len()
                ),
            ));
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(take_all(&mut self.offsets)));
        self.offsets.push(0);
        let values = Buffer::from_vec(take_all(&mut self.bytes));
        // SAFETY: the bytes are pieces of a chunk that was checked to be UTF-8, cut
        // at ASCII bytes, and whole characters; every offset is between two strings.
        // Checking them again costs 5 % of all decoding (benches/decode.rs).
        Ok(unsafe { StringArray::new_unchecked(offsets, values, nulls) })
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;

    #[test]
    fn a_chunk_of_a_few_more_values_fits_the_room_of_the_one_before() {
        let mut values: Vec<i64> = (0..1000).collect();
        take_all(&mut values);
        let room = values.as_ptr();
        values.extend(0..1050);
        assert_eq!(values.as_ptr(), room, "it was not copied to grow");
        let taken = take_all(&mut values);
        assert_eq!((taken.as_ptr(), taken.len()), (room, 1050));
    }

    #[test]
    fn a_short_chunk_holds_no_more_than_it_has_and_leaves_the_room() {
        let mut values: Vec<i64> = (0..1000).collect();
        take_all(&mut values);
        let (room, capacity) = (values.as_ptr(), values.capacity());
        values.extend(0..10);
        let taken = take_all(&mut values);
        assert_eq!((taken.len(), taken.capacity()), (10, 10));
        assert_eq!(
            (values.as_ptr(), values.len(), values.capacity()),
            (room, 0, capacity)
        );
    }

    #[test]
    fn texts_come_out_of_room_that_is_used_again() {
        let mut texts = TextBuffer::default();
        for n in [300, 3, 0, 200] {
            for text in 0..n {
                texts.bytes.extend_from_slice(text.to_string().as_bytes());
                texts.end();
            }
            let array = texts.take(None).unwrap();
            let expected: Vec<String> = (0..n).map(|text| text.to_string()).collect();
            assert!(
                array
                    .iter()
                    .flatten()
                    .eq(expected.iter().map(String::as_str))
            );
            assert_eq!(array.len(), n);
        }
    }
}
