//! Differences, packed: `DELTA_BINARY_PACKED` and the two encodings of text that use it.
//!
//! In:  the values of one page.
//! Out: their bytes.
//!
//! A block holds the least difference of 128 and, for each 32 of them, as many
//! bits as the greatest above it needs. Differences wrap around, as readers' sums do.

use super::hybrid::{bit_width, pack, varint};
use super::shelf::Shelf;

/// Differences in a block and in the parts of it that share a bit width: the
/// least the format allows, so that one odd value widens few.
const BLOCK: usize = 128;
const MINI: usize = 32;

/// An integer as Parquet stores it.
pub(super) trait Integer: Copy + Ord + Default {
    /// `self - other`, wrapping around in this width.
    fn minus(self, other: Self) -> Self;
    /// The bits, as an unsigned number of this width.
    fn bits(self) -> u64;
    /// Small numbers of either sign as small unsigned ones.
    fn zigzag(self) -> u64;
}

impl Integer for i32 {
    #[inline]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline]
    fn bits(self) -> u64 {
        u64::from(self.cast_unsigned())
    }

    #[inline]
    fn zigzag(self) -> u64 {
        i64::from(self).zigzag()
    }
}

impl Integer for i64 {
    #[inline]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline]
    fn bits(self) -> u64 {
        self.cast_unsigned()
    }

    #[inline]
    fn zigzag(self) -> u64 {
        (self << 1 ^ self >> 63).cast_unsigned()
    }
}

/// Appends integers as `DELTA_BINARY_PACKED`.
pub(super) fn encode_integers<T: Integer>(values: &[T], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / MINI) as u64, out);
    varint(values.len() as u64, out);
    varint(values.first().copied().unwrap_or_default().zigzag(), out);
    let mut deltas = [T::default(); BLOCK];
    let mut start = 1;
    while start < values.len() {
        let end = values.len().min(start + BLOCK);
        let deltas = &mut deltas[..end - start];
        for (delta, pair) in deltas.iter_mut().zip(values[start - 1..end].windows(2)) {
            *delta = pair[1].minus(pair[0]);
        }
        encode_block(deltas, out);
        start = end;
    }
}

fn encode_block<T: Integer>(deltas: &[T], out: &mut Vec<u8>) {
    let least = deltas.iter().copied().min().unwrap_or_default();
    varint(least.zigzag(), out);
    let mut above = [0u64; BLOCK];
    for (above, delta) in above.iter_mut().zip(deltas) {
        *above = delta.minus(least).bits();
    }
    let widths = out.len();
    out.extend_from_slice(&[0; BLOCK / MINI]);
    for (idx, mini) in above.chunks_exact(MINI).enumerate() {
        if idx * MINI >= deltas.len() {
            break;
        }
        let width = bit_width(mini.iter().fold(0, |all, number| all | number));
        out[widths + idx] = width as u8;
        // The last part is written whole: what is not there is zero.
        pack(mini.iter().copied(), width, out);
    }
}

/// Appends texts as `DELTA_LENGTH_BYTE_ARRAY`: their lengths, then their bytes.
pub(super) fn encode_texts(texts: &[&[u8]], out: &mut Vec<u8>) {
    let lengths = Shelf::of(texts.iter().map(|text| text.len() as i32));
    encode_integers(&lengths, out);
    out.reserve(texts.iter().map(|text| text.len()).sum());
    for text in texts {
        out.extend_from_slice(text);
    }
}

/// Appends texts as `DELTA_BYTE_ARRAY`: what each begins with of the one before
/// it is not repeated.
pub(super) fn encode_prefixed(texts: &[&[u8]], out: &mut Vec<u8>) {
    let mut lengths = Shelf::with_capacity(texts.len());
    let mut rests = Shelf::with_capacity(texts.len());
    let mut before: &[u8] = &[];
    for text in texts {
        let shared = shared_prefix(before, text);
        lengths.push(shared as i32);
        rests.push(&text[shared..]);
        before = text;
    }
    encode_integers(&lengths, out);
    encode_texts(&rests, out);
}

/// How many bytes two texts begin with in common.
pub(super) fn shared_prefix(left: &[u8], right: &[u8]) -> usize {
    let mut shared = 0;
    for (left, right) in left.as_chunks::<8>().0.iter().zip(right.as_chunks::<8>().0) {
        let differing = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if differing != 0 {
            return shared + differing.trailing_zeros() as usize / 8;
        }
        shared += 8;
    }
    let rest = left[shared..].iter().zip(&right[shared..]);
    shared + rest.take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_prefixes_are_counted_to_the_byte() {
        let text = b"2025-03-03T00:00:00.038Z and more";
        for left in 0..text.len() {
            for right in 0..text.len() {
                assert_eq!(
                    shared_prefix(&text[..left], &text[..right]),
                    left.min(right)
                );
            }
            let mut other = text.to_vec();
            other[left] ^= 0x40;
            assert_eq!(shared_prefix(text, &other), left);
        }
    }

    #[test]
    fn sorted_texts_take_little_more_than_what_changes() {
        let texts: Vec<String> = (0..1000)
            .map(|n| format!("2025-03-03T00:00:{n:06}"))
            .collect();
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        let (mut plain, mut prefixed) = (Vec::new(), Vec::new());
        encode_texts(&texts, &mut plain);
        encode_prefixed(&texts, &mut prefixed);
        assert!(
            prefixed.len() * 6 < plain.len(),
            "{} of {}",
            prefixed.len(),
            plain.len()
        );
    }

    #[test]
    fn a_steady_column_takes_no_bits() {
        let steady: Vec<i64> = (0..10_000).map(|n| i64::MAX - 7 * n).collect();
        let mut out = Vec::new();
        encode_integers(&steady, &mut out);
        assert!(out.len() < 10_000 / BLOCK * 6 + 40, "{}", out.len());
    }
}
