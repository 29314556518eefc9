//! Numbers and flags that are packed bit behind bit.
//!
//! In:  bytes, at which bit to begin, how many bits a number has.
//! Out: the numbers in order.
//!
//! With AVX2 and without, the numbers are the same ones.

use super::fault::{Outcome, damaged};

/// `n` numbers of `width` bits each, at most 32, from `bit` on.
pub(super) fn unpack(
    bytes: &[u8],
    bit: usize,
    width: usize,
    n: usize,
    out: &mut Vec<u32>,
) -> Outcome<()> {
    let end = n.checked_mul(width).and_then(|bits| bits.checked_add(bit));
    if end.is_none_or(|end| end.div_ceil(8) > bytes.len()) {
        return damaged("packed numbers are cut short");
    }
    let mut done = 0;
    // One by one up to where a group begins, then in groups, then what is left.
    while done < n && !(bit + done * width).is_multiple_of(8) {
        out.push(packed(bytes, bit + done * width, width) as u32);
        done += 1;
    }
    let from = &bytes[(bit + done * width) / 8..];
    done += 8 * groups(from, width, (n - done) / 8, out);
    out.extend((done..n).map(|idx| packed(bytes, bit + idx * width, width) as u32));
    Ok(())
}

/// Up to `n` groups of eight numbers; how many, which is fewer at the very end of a page.
fn groups(bytes: &[u8], width: usize, n: usize, out: &mut Vec<u32>) -> usize {
    macro_rules! of_width {
        ($($width:literal)*) => {
            match width {
                $($width => groups_of::<$width>(bytes, n, out),)*
                _ => 0,
            }
        };
    }
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}

/// The same, of a width that is known.
fn groups_of<const WIDTH: usize>(bytes: &[u8], n: usize, out: &mut Vec<u32>) -> usize {
    #[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
    if WIDTH <= wide::WIDEST && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { wide::groups_of::<WIDTH>(bytes, n, out) };
    }
    groups_anywhere::<WIDTH>(bytes, n, out)
}

/// Bytes behind a group that are loaded with it.
const BEHIND: usize = 8;

fn groups_anywhere<const WIDTH: usize>(bytes: &[u8], n: usize, out: &mut Vec<u32>) -> usize {
    let n = n.min(bytes.len().saturating_sub(BEHIND) / WIDTH);
    for (group, to) in slots(out, n).iter_mut().enumerate() {
        *to = eight::<WIDTH>(&bytes[group * WIDTH..][..WIDTH + BEHIND]);
    }
    n
}

/// Appends room for `n` groups.
fn slots(out: &mut Vec<u32>, n: usize) -> &mut [[u32; 8]] {
    let start = out.len();
    out.resize(start + 8 * n, 0);
    out[start..].as_chunks_mut().0
}

/// A group of eight numbers. Width and places are constants, so nothing is left
/// of them but loads, shifts and masks: twice as fast as with calls in between.
#[inline(always)]
fn eight<const WIDTH: usize>(from: &[u8]) -> [u32; 8] {
    let mask = ((1u64 << WIDTH) - 1) as u32;
    let mut numbers = [0; 8];
    for (idx, number) in numbers.iter_mut().enumerate() {
        if let Some(word) = from[idx * WIDTH / 8..].first_chunk() {
            *number = (u64::from_le_bytes(*word) >> (idx * WIDTH % 8)) as u32 & mask;
        }
    }
    numbers
}

/// Eight numbers at once: two and a half times as fast as one behind the other.
#[cfg(all(target_arch = "x86_64", not(feature = "portable")))]
mod wide {
    use std::arch::x86_64::{
        __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_loadu_si256, _mm256_set_m128i,
        _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_srlv_epi32, _mm256_storeu_si256,
    };

    /// Numbers of more bits can lie in five bytes, and a slot has four.
    pub const WIDEST: usize = 25;

    /// Bytes that are loaded for half a group.
    const HALF: usize = 16;

    /// Which bytes of its half each of eight numbers lies in.
    const fn places<const WIDTH: usize>() -> [u8; 32] {
        let mut places = [0; 32];
        let mut at = 0;
        while at < 32 {
            let number = at / 4;
            let half = if number < 4 { 0 } else { 4 * WIDTH / 8 };
            places[at] = ((number * WIDTH / 8 - half + at % 4) % HALF) as u8;
            at += 1;
        }
        places
    }

    /// At which bit of its first byte each begins.
    const fn shifts<const WIDTH: usize>() -> [u32; 8] {
        let mut shifts = [0; 8];
        let mut number = 0;
        while number < 8 {
            shifts[number] = (number * WIDTH % 8) as u32;
            number += 1;
        }
        shifts
    }

    #[target_feature(enable = "avx2")]
    pub fn groups_of<const WIDTH: usize>(bytes: &[u8], n: usize, out: &mut Vec<u32>) -> usize {
        // Where the second half begins; both are loaded whole.
        let half = 4 * WIDTH / 8;
        let n = n.min((bytes.len() + WIDTH).saturating_sub(half + HALF) / WIDTH);
        let (places, shifts) = const { (places::<WIDTH>(), shifts::<WIDTH>()) };
        // SAFETY: both are 32 bytes.
        let (places, shifts) = unsafe {
            let places = _mm256_loadu_si256((&raw const places).cast::<__m256i>());
            (
                places,
                _mm256_loadu_si256((&raw const shifts).cast::<__m256i>()),
            )
        };
        let mask = _mm256_set1_epi32(((1u64 << WIDTH) - 1) as i32);
        for (group, to) in super::slots(out, n).iter_mut().enumerate() {
            let from = &bytes[group * WIDTH..][..half + HALF];
            // SAFETY: `from` holds 16 bytes from both places on.
            let both = unsafe {
                let low = _mm_loadu_si128(from.as_ptr().cast());
                _mm256_set_m128i(_mm_loadu_si128(from.as_ptr().add(half).cast()), low)
            };
            let words = _mm256_srlv_epi32(_mm256_shuffle_epi8(both, places), shifts);
            let numbers = _mm256_and_si256(words, mask);
            // SAFETY: a slot is 32 bytes.
            unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), numbers) };
        }
        n
    }
}

/// The number of up to 64 bits at a place, whose bytes are there.
#[inline]
pub(super) fn packed(bytes: &[u8], bit: usize, width: usize) -> u64 {
    let (at, shift) = (bit / 8, bit % 8);
    let mask = u64::MAX.checked_shr(64 - width as u32).unwrap_or(0);
    if let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk)
        && shift + width <= 64
    {
        return (u64::from_le_bytes(*word) >> shift) & mask;
    }
    let mut wide = [0; 16];
    let last = bytes.len().min(at + 9);
    let from = bytes.get(at..last).unwrap_or_default();
    wide[..from.len()].copy_from_slice(from);
    (u128::from_le_bytes(wide) >> shift) as u64 & mask
}

/// Of each byte its flags.
static FLAGS: [[bool; 8]; 256] = {
    let mut all = [[false; 8]; 256];
    let mut at = 0;
    while at < 256 * 8 {
        all[at / 8][at % 8] = ((at / 8) >> (at % 8)) & 1 == 1;
        at += 1;
    }
    all
};

/// Appends `n` flags from `bit` on, whose bytes are there; how many are set.
pub(super) fn flags(bytes: &[u8], bit: usize, n: usize, out: &mut Vec<bool>) -> usize {
    let start = out.len();
    let end = bit + n;
    let one = |bit: usize| FLAGS[usize::from(bytes[bit / 8])][bit % 8];
    // One by one up to where a byte begins, then in bytes, then what is left.
    let whole = bit.next_multiple_of(8).min(end);
    out.extend((bit..whole).map(one));
    let rest = whole + (end - whole) / 8 * 8;
    for byte in &bytes[whole / 8..rest / 8] {
        out.extend_from_slice(&FLAGS[usize::from(*byte)]);
    }
    out.extend((rest..end).map(one));
    out[start..].iter().filter(|flag| **flag).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        let byte = |idx: u32| (idx.wrapping_mul(2_654_435_761) >> 13) as u8;
        (0..700).map(byte).collect()
    }

    #[test]
    fn numbers_are_those_that_are_looked_up_one_by_one() {
        let bytes = bytes();
        for width in 0..=32 {
            for bit in [0, 3, 8, 17] {
                let most = (8 * bytes.len() - bit).checked_div(width).unwrap_or(90);
                for n in [0, 1, 7, 8, 9, 40, most - 9, most - 1, most] {
                    let mut found = vec![7];
                    unpack(&bytes, bit, width, n, &mut found).unwrap();
                    let want = (0..n).map(|idx| packed(&bytes, bit + idx * width, width) as u32);
                    let want: Vec<u32> = [7].into_iter().chain(want).collect();
                    assert_eq!(found, want, "{n} of {width} bits from {bit}");
                }
            }
        }
    }

    #[test]
    fn groups_are_the_same_with_wide_registers_and_without() {
        let bytes = bytes();
        macro_rules! all {
            ($($width:literal)*) => {$({
                let (mut wide, mut plain) = (Vec::new(), Vec::new());
                let several = groups(&bytes, $width, 20, &mut wide);
                assert_eq!(groups_anywhere::<$width>(&bytes, 20, &mut plain), several);
                assert_eq!(wide, plain, "{} bits", $width);
            })*};
        }
        all!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30);
    }

    #[test]
    fn flags_are_those_of_the_bits() {
        let bytes = bytes();
        for (bit, n) in [
            (0, 0),
            (0, 5),
            (3, 2),
            (3, 5),
            (3, 40),
            (16, 64),
            (7, 1000),
            (1, 5599),
        ] {
            let mut found = vec![true];
            let set = flags(&bytes, bit, n, &mut found);
            let want = (bit..bit + n).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1);
            assert_eq!(set, want.clone().filter(|flag| *flag).count());
            assert!(found[1..].iter().copied().eq(want), "{n} from {bit}");
        }
    }
}
