//! The bits of the data, lowest first.
//!
//! In:  bytes.
//! Out: up to 56 bits at hand; those behind the last one are zero.

use super::buffers::Buffers;

/// Bits that were read and not yet taken.
#[derive(Debug, Default)]
pub(super) struct Bits {
    bits: u64,
    len: u32,
}

impl Bits {
    /// Reads until there are `wanted` bits, at most 56. False if input ended before.
    pub fn fill(&mut self, wanted: u32, buffers: &mut Buffers<'_>) -> bool {
        debug_assert!(wanted <= 56, "no room for another byte");
        while self.len < wanted {
            let Some(byte) = buffers.input.get(buffers.taken) else {
                return false;
            };
            self.bits |= u64::from(*byte) << self.len;
            self.len += 8;
            buffers.taken += 1;
        }
        true
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    /// The bits at hand, the next one lowest.
    pub fn ahead(&self) -> u64 {
        self.bits
    }

    /// Takes `n` bits, which are there.
    pub fn take(&mut self, n: u32) -> u64 {
        let taken = self.bits & !(u64::MAX << n);
        self.bits >>= n;
        self.len -= n;
        taken
    }

    /// Drops the bits before the next whole byte.
    pub fn align(&mut self) {
        self.take(self.len % 8);
    }

    /// Drops all bits; how many whole bytes of them were not begun.
    pub fn give_back(&mut self) -> usize {
        let bytes = self.len / 8;
        *self = Bits::default();
        bytes as usize
    }

    /// As they were left by other hands: `len` bits, and nothing above them.
    pub fn set(&mut self, bits: u64, len: u32) {
        self.bits = bits & !(u64::MAX << len);
        self.len = len;
    }
}
