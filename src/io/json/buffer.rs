//! What columns append to: bits, validity and strings.
//!
//! In:  one value at a time; any number can be taken back from the end.
//! Out: Arrow buffers, handed over without a copy. Each buffer leaves room for
//!      as much as it last held.

use arrow_array::StringArray;
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::error::{Error, Result};

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
        let capacity = self.bytes.len();
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        BooleanBuffer::new(Buffer::from_vec(bytes), 0, len)
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
        let mut fresh = Vec::with_capacity(self.offsets.len());
        fresh.push(0);
        let offsets = std::mem::replace(&mut self.offsets, fresh);
        let room = self.bytes.len() + self.bytes.len() / 8;
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(room));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let values = Buffer::from_vec(bytes);
        // SAFETY: the bytes are pieces of a chunk that was checked to be UTF-8, cut
        // at ASCII bytes, and whole characters; every offset is between two strings.
        // Checking them again costs 5 % of all decoding (benches/decode.rs).
        Ok(unsafe { StringArray::new_unchecked(offsets, values, nulls) })
    }
}
