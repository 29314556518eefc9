//! The kernels over bytes: where a string or field ends, how many digits follow.
//!
//! In:  [`Text`], which can be read [`PAD`] bytes past any line's end.
//! Out: places and values; nothing here knows of the structure of a record.
//!
//! Each kernel exists twice: for SSE2, which every x86-64 has, and portably,
//! eight bytes in a `u64`. The portable ones are always compiled and run by the
//! same tests; with the feature `portable` all of windrow runs on them.

/// Bytes that must be readable past the newline that ends a record.
pub(in crate::io) const PAD: usize = 64;

#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(in crate::io) use sse2::{copy_plain, copy_until, find_either, find_special};
#[cfg(any(not(target_arch = "x86_64"), feature = "portable"))]
pub(in crate::io) use swar::{copy_plain, copy_until, find_either, find_special};

/// Lines, and [`PAD`] readable bytes after the last one.
///
/// A position is only ever one that a parser has reached, and a parser never
/// moves past the newline of the line it is in: no white space, string, digit,
/// literal or key pattern holds one. So every load from a position, of at most
/// [`PAD`] bytes, stays inside, and is not checked but in debug builds, which
/// all tests are; checking costs 11 % of decoding (benches/decode.rs).
#[derive(Debug, Clone, Copy)]
pub(in crate::io) struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Takes `bytes`, of which those before `end` are whole lines.
    ///
    /// # Panics
    ///
    /// If there is no newline before `end`, or no padding behind it: the
    /// caller has just seen to both.
    pub fn new(bytes: &'a [u8], end: usize) -> Self {
        Text::ended_by(bytes, end, b'\n')
    }

    /// The same for lines that end with another byte. Where lines may hold that
    /// byte in quotes, a parser must look for a quote that the padding holds, too.
    ///
    /// # Panics
    ///
    /// As [`Text::new`].
    pub fn ended_by(bytes: &'a [u8], end: usize, terminator: u8) -> Self {
        assert!(
            end > 0 && bytes[end - 1] == terminator && bytes.len() - end >= PAD,
            "text must be whole lines with padding"
        );
        Text(bytes)
    }

    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The bytes from `start` to before `end`.
    pub fn between(self, start: usize, end: usize) -> &'a [u8] {
        &self.0[start..end]
    }

    #[inline(always)]
    fn load<T: Copy>(self, pos: usize) -> T {
        debug_assert!(pos + size_of::<T>() <= self.0.len());
        // SAFETY: by the promise of the type, `pos` is at or before a newline
        // that at least `PAD` bytes follow, and `T` is an integer or 32 bytes.
        unsafe { self.0.as_ptr().add(pos).cast::<T>().read_unaligned() }
    }

    /// The byte at `pos`.
    #[inline(always)]
    pub fn byte(self, pos: usize) -> u8 {
        self.load(pos)
    }

    /// Four bytes at `pos`, the first in the lowest byte.
    #[inline(always)]
    pub fn half_word(self, pos: usize) -> u32 {
        u32::from_le(self.load(pos))
    }

    /// Eight bytes at `pos`, the first in the lowest byte.
    #[inline(always)]
    pub fn word(self, pos: usize) -> u64 {
        u64::from_le(self.load(pos))
    }
}

/// How many of a word's bytes, from the first, are digits: 0 to 8.
#[inline(always)]
pub(in crate::io) fn count_digits(word: u64) -> usize {
    // A byte is a digit iff its high nibble is 3 and adding 6 does not change that.
    let nibbles = word & 0xF0F0_F0F0_F0F0_F0F0;
    let carried = word.wrapping_add(0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0;
    let other = (nibbles ^ 0x3030_3030_3030_3030) | (carried ^ 0x3030_3030_3030_3030);
    (other.trailing_zeros() / 8) as usize
}

/// How many of a word's bytes, from the first, are digits (0 to 8), and their value.
#[inline(always)]
pub(in crate::io) fn digits(word: u64) -> (usize, u64) {
    let n = count_digits(word);
    if n == 0 {
        return (0, 0);
    }
    // Shift the digits to the top, so that what is missing counts as leading zeros.
    let mut value = (word << (64 - 8 * n)) & 0x0F0F_0F0F_0F0F_0F0F;
    value = (value.wrapping_mul(10) + (value >> 8)) & 0x00FF_00FF_00FF_00FF;
    value = (value.wrapping_mul(100) + (value >> 16)) & 0x0000_FFFF_0000_FFFF;
    value = (value.wrapping_mul(10_000) + (value >> 32)) & 0xFFFF_FFFF;
    (n, value)
}

/// Kernels for SSE2.
#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
pub(in crate::io) mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
        _mm_storeu_si128,
    };

    use super::Text;

    /// One bit for each of 16 bytes that a plain string cannot hold.
    #[inline(always)]
    fn special(bytes: __m128i) -> u32 {
        // SAFETY: SSE2 is part of every x86-64.
        unsafe {
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, escape), control)) as u32
        }
    }

    /// One bit for each of 16 bytes that is one of two.
    #[inline(always)]
    fn either(bytes: __m128i, one: u8, other: u8) -> u32 {
        // SAFETY: SSE2 is part of every x86-64.
        unsafe {
            let first = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(one as i8));
            let second = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(other as i8));
            _mm_movemask_epi8(_mm_or_si128(first, second)) as u32
        }
    }

    /// Where the first quote, backslash or control character at or after `pos` is.
    #[inline(always)]
    pub fn find_special(text: Text<'_>, pos: usize) -> usize {
        find_by(text, pos, special)
    }

    /// Where the first of two bytes at or after `pos` is; one is in every line's end or padding.
    #[inline(always)]
    pub fn find_either(text: Text<'_>, pos: usize, one: u8, other: u8) -> usize {
        find_by(text, pos, |bytes| either(bytes, one, other))
    }

    #[inline(always)]
    fn find_by(text: Text<'_>, mut pos: usize, special: impl Fn(__m128i) -> u32) -> usize {
        loop {
            let [low, high] = text.load::<[__m128i; 2]>(pos);
            let found = special(low) | special(high) << 16;
            if found != 0 {
                return pos + found.trailing_zeros() as usize;
            }
            pos += 32;
        }
    }

    /// Appends to `out` what stands before the first quote, backslash or
    /// control character at or after `pos`, and returns where that one is.
    #[inline(always)]
    pub fn copy_plain(text: Text<'_>, pos: usize, out: &mut Vec<u8>) -> usize {
        copy_by(text, pos, out, special)
    }

    /// Appends to `out` what stands before the first of two bytes at or after
    /// `pos`, and returns where that one is; as [`find_either`].
    #[inline(always)]
    pub fn copy_until(text: Text<'_>, pos: usize, one: u8, other: u8, out: &mut Vec<u8>) -> usize {
        copy_by(text, pos, out, |bytes| either(bytes, one, other))
    }

    #[inline(always)]
    fn copy_by(
        text: Text<'_>,
        mut pos: usize,
        out: &mut Vec<u8>,
        special: impl Fn(__m128i) -> u32,
    ) -> usize {
        loop {
            let [low, high] = text.load::<[__m128i; 2]>(pos);
            if out.capacity() - out.len() < 32 {
                grow(out);
            }
            // SAFETY: `out` has room for 32 more bytes, of which those before the
            // special one, at most 32, are now initialised and kept.
            let n = unsafe {
                let to = out.as_mut_ptr().add(out.len()).cast::<__m128i>();
                _mm_storeu_si128(to, low);
                _mm_storeu_si128(to.add(1), high);
                let found = special(low) | special(high) << 16;
                let n = (u64::from(found) | 1 << 32).trailing_zeros() as usize;
                out.set_len(out.len() + n);
                n
            };
            pos += n;
            if n < 32 {
                return pos;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(out: &mut Vec<u8>) {
        out.reserve(out.capacity().max(256));
    }
}

/// Kernels for any machine; on x86-64 only tests have them, beside the others.
#[cfg(any(test, not(target_arch = "x86_64"), feature = "portable"))]
pub(in crate::io) mod swar {
    use super::Text;

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;

    /// The high bit of the first byte that is special, and perhaps of later
    /// ones: borrows run upwards, so only the lowest set bit is meant.
    #[inline(always)]
    fn special(word: u64) -> u64 {
        let quote = zero(word ^ (ONES * b'"' as u64));
        let escape = zero(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        quote | escape | control
    }

    /// The high bit of the lowest byte that is zero, and perhaps of later ones.
    #[inline(always)]
    fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }

    /// Where the first quote, backslash or control character at or after `pos` is.
    #[inline(always)]
    pub fn find_special(text: Text<'_>, pos: usize) -> usize {
        find_by(text, pos, special)
    }

    /// Where the first of two bytes at or after `pos` is; one is in every line's end or padding.
    #[inline(always)]
    pub fn find_either(text: Text<'_>, pos: usize, one: u8, other: u8) -> usize {
        let either = |word| zero(word ^ (ONES * one as u64)) | zero(word ^ (ONES * other as u64));
        find_by(text, pos, either)
    }

    #[inline(always)]
    fn find_by(text: Text<'_>, mut pos: usize, special: impl Fn(u64) -> u64) -> usize {
        loop {
            let found = special(text.word(pos));
            if found != 0 {
                return pos + (found.trailing_zeros() / 8) as usize;
            }
            pos += 8;
        }
    }

    /// Appends to `out` what stands before the first of two bytes at or after
    /// `pos`, and returns where that one is; as [`find_either`].
    #[inline(always)]
    pub fn copy_until(text: Text<'_>, pos: usize, one: u8, other: u8, out: &mut Vec<u8>) -> usize {
        let end = find_either(text, pos, one, other);
        out.extend_from_slice(text.between(pos, end));
        end
    }

    /// Appends to `out` what stands before the first quote, backslash or
    /// control character at or after `pos`, and returns where that one is.
    #[inline(always)]
    pub fn copy_plain(text: Text<'_>, pos: usize, out: &mut Vec<u8>) -> usize {
        let end = find_special(text, pos);
        out.extend_from_slice(text.between(pos, end));
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of how many distances one is tried: an interpreter is too slow for all.
    const EACH: usize = if cfg!(miri) { 23 } else { 1 };

    fn plain_search(text: &[u8], pos: usize) -> usize {
        (pos..)
            .find(|at| matches!(text[*at], b'"' | b'\\' | 0..0x20))
            .unwrap()
    }

    #[test]
    fn every_twin_finds_every_special_byte_at_every_distance() {
        for special in (0..0x20).chain([b'"', b'\\']) {
            for filler in [b' ', b'!', b'#', b'[', b']', b'a', 0x7F, 0x80, 0xA2, 0xFF] {
                for distance in (0..70).step_by(EACH) {
                    let mut text = vec![filler; distance];
                    text.push(special);
                    text.push(b'\n');
                    let end = text.len();
                    text.extend([b'"'; PAD]);
                    let plain = &text;
                    let text = Text::new(plain, end);
                    for pos in [0, distance / 2, distance] {
                        let expected = plain_search(plain, pos);
                        let (mut fast, mut slow) = (b"x".to_vec(), b"x".to_vec());
                        assert_eq!(find_special(text, pos), expected);
                        assert_eq!(swar::find_special(text, pos), expected);
                        assert_eq!(copy_plain(text, pos, &mut fast), expected);
                        assert_eq!(swar::copy_plain(text, pos, &mut slow), expected);
                        assert_eq!(fast, slow);
                        assert_eq!(fast[1..], plain[pos..expected]);
                    }
                }
            }
        }
    }

    #[test]
    fn twins_agree_on_random_bytes() {
        let mut state = 7u64;
        let mut text = Vec::new();
        for _ in 0..4096 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push((state >> 56) as u8);
        }
        text.push(b'\n');
        text.extend([b'"'; PAD]);
        let padded = Text::new(&text, 4097);
        for pos in (0..4096).step_by(EACH) {
            assert_eq!(find_special(padded, pos), plain_search(&text, pos));
            assert_eq!(swar::find_special(padded, pos), plain_search(&text, pos));
        }
    }

    #[test]
    fn every_twin_finds_the_first_of_two_bytes_at_every_distance() {
        for (one, other) in [(b',', b'\n'), (b'"', b'"'), (0, 0xFF), (b'\t', b'\r')] {
            for found in [one, other] {
                for distance in (0..70).step_by(EACH) {
                    let mut plain = vec![b'a'; distance];
                    plain.extend([found, one, other, b'\n']);
                    let end = plain.len();
                    plain.extend([b'a'; PAD]);
                    let text = Text::new(&plain, end);
                    let (mut fast, mut slow) = (b"x".to_vec(), b"x".to_vec());
                    assert_eq!(find_either(text, 0, one, other), distance);
                    assert_eq!(swar::find_either(text, 0, one, other), distance);
                    assert_eq!(copy_until(text, 0, one, other, &mut fast), distance);
                    assert_eq!(swar::copy_until(text, 0, one, other, &mut slow), distance);
                    assert_eq!(
                        (&fast[1..], &slow[1..]),
                        (&plain[..distance], &plain[..distance])
                    );
                }
            }
        }
    }

    #[test]
    fn digits_are_counted_and_valued_whatever_follows() {
        for follower in 0..=255u8 {
            if follower.is_ascii_digit() {
                continue;
            }
            for (n, value) in [
                (0, 0),
                (1, 1),
                (2, 12),
                (3, 123),
                (7, 1_234_567),
                (8, 12_345_678),
            ] {
                let mut bytes = [follower; 8];
                bytes[..n].copy_from_slice(&b"12345678"[..n]);
                assert_eq!(
                    digits(u64::from_le_bytes(bytes)),
                    (n, value),
                    "{follower} {n}"
                );
            }
        }
    }
}
