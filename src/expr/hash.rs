//! Hashes with a fixed seed.
//!
//! In:  numbers and bytes.
//! Out: 64 bits that are the same in every run, on every machine.
//!
//! Groups and sketches depend on them, so no hash may depend on the process.

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// The bits of hashes that are kept.
#[cfg(debug_assertions)]
static KEPT_BITS: AtomicU64 = AtomicU64::new(u64::MAX);

/// For tests: only these bits of hashes are kept, so that values collide. To be
/// called while nothing runs. Builds without debug assertions keep all bits.
#[doc(hidden)]
pub fn keep_hash_bits(mask: u64) {
    #[cfg(debug_assertions)]
    KEPT_BITS.store(mask, Ordering::Relaxed);
    #[cfg(not(debug_assertions))]
    let _ = mask;
}

#[inline]
fn kept(hash: u64) -> u64 {
    #[cfg(debug_assertions)]
    let hash = hash & KEPT_BITS.load(Ordering::Relaxed);
    hash
}

/// An odd number with as many ones as zeros, in no pattern.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
const SEED: u64 = 0x2545_F491_4F6C_DD1D;

/// Both halves of a product: every bit of either number changes many bits.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of a number.
#[inline]
pub(crate) fn hash_u64(value: u64) -> u64 {
    kept(fold(fold(value ^ SEED, MIX), MIX ^ value))
}

/// The hash of a number of 128 bits.
#[inline]
pub(crate) fn hash_u128(value: u128) -> u64 {
    kept(fold(
        hash_u64(value as u64) ^ (value >> 64) as u64,
        MIX ^ SEED,
    ))
}

/// The hash of a text.
#[inline]
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut state = SEED ^ (bytes.len() as u64).wrapping_mul(MIX);
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        state = fold(state ^ u64::from_le_bytes(*chunk), MIX);
    }
    hash_u64(state ^ up_to_eight(rest))
}

/// At most eight bytes as a number, the first one lowest. A call that copies so
/// few takes longer than all the rest of a short text's hash.
#[inline]
pub(crate) fn up_to_eight(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // They overlap in equal bytes.
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (len - 4));
    }
    let byte = |idx: usize| u64::from(bytes[idx]) << (8 * idx);
    match len {
        0 => 0,
        _ => byte(0) | byte(len / 2) | byte(len - 1),
    }
}

/// The hash of two hashes, in this order.
#[inline]
pub(crate) fn hash_pair(first: u64, second: u64) -> u64 {
    kept(fold(first ^ SEED, second.rotate_left(32) ^ MIX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn near_values_do_not_share_hashes_or_their_ends() {
        let numbers: Vec<u64> = (0..4096).map(|value| hash_u64(value << 12)).collect();
        let texts = (0..4096).map(|value| hash_bytes(format!("user-{value}").as_bytes()));
        let wide = (0..4096_u128).map(|value| hash_u128(value << 64));
        for hashes in [numbers, texts.collect(), wide.collect()] {
            let distinct = |of: fn(u64) -> u64| {
                let ends: HashSet<u64> = hashes.iter().map(|&hash| of(hash)).collect();
                ends.len()
            };
            assert_eq!(distinct(|hash| hash), 4096);
            // Of 4,096 balls in 65,536 bins some 4,000 lie alone.
            assert!(distinct(|hash| hash >> 48) > 3_900);
            assert!(distinct(|hash| hash & 0xFFFF) > 3_900);
        }
    }

    #[test]
    fn up_to_eight_bytes_are_a_number() {
        let bytes = [0x11, 0x22, 0, 0x44, 0x55, 0xff, 0x77, 0x88];
        for len in 0..=8 {
            let mut padded = [0; 8];
            padded[..len].copy_from_slice(&bytes[..len]);
            assert_eq!(up_to_eight(&bytes[..len]), u64::from_le_bytes(padded));
        }
    }

    #[test]
    fn lengths_count() {
        assert_ne!(hash_bytes(b""), hash_bytes(b"\0"));
        assert_ne!(hash_bytes(b"a"), hash_bytes(b"a\0"));
        assert_ne!(hash_bytes(b"12345678"), hash_bytes(b"12345678\0"));
    }
}
