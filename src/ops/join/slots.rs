//! Slots of a table by hash.
//!
//! In:  hashes, of which each thread that builds owns a share.
//! Out: for a hash the slots that it belongs to, and the first one to look at;
//!      behind it, the others in turn.

use super::table::ALONE;
use crate::cancel::{check, stretches};
use crate::error::Result;

/// Slots by shares of the hashes: the high bits choose the part, those behind
/// them the slot.
#[derive(Debug)]
pub(super) struct Parts<S> {
    pub parts: Vec<Vec<S>>,
    pub mask: u64,
}

impl<S: Default + Clone> Parts<S> {
    /// Parts with room for half as many rows again as fall into each.
    pub fn sized(
        n_rows: usize,
        mask: u64,
        hash: impl Fn(usize) -> Option<u64> + Sync,
        threads: usize,
    ) -> Result<Self> {
        let n_parts = if n_rows < ALONE { 1 } else { threads.max(1) };
        let mut counts = vec![0; n_parts];
        for rows in stretches(n_rows) {
            for hash in rows?.filter_map(&hash) {
                counts[scaled(hash, n_parts)] += 1;
            }
        }
        let slots = |count: usize| {
            check()?;
            Ok(vec![S::default(); count + count / 2 + 8])
        };
        Ok(Parts {
            parts: counts.into_iter().map(slots).collect::<Result<_>>()?,
            mask,
        })
    }
}

impl<S> Parts<S> {
    /// The slots that a hash belongs to, and the first place to look at.
    #[inline]
    pub fn slots(&self, hash: u64) -> (&[S], usize) {
        let slots = &self.parts[scaled(hash, self.parts.len())];
        (slots, within(hash, self.parts.len(), slots.len()))
    }

    pub fn bytes(&self) -> usize {
        let slots: usize = self.parts.iter().map(Vec::capacity).sum();
        slots * size_of::<S>()
    }
}

/// A hash as a number below `n`.
#[inline]
pub(super) fn scaled(hash: u64, n: usize) -> usize {
    ((u128::from(hash) * n as u128) >> 64) as usize
}

/// The place of a hash among the `slots` of its part of `n_parts`: what the
/// choice of the part leaves of it, as a number below `slots`.
#[inline]
pub(super) fn within(hash: u64, n_parts: usize, slots: usize) -> usize {
    scaled(hash.wrapping_mul(n_parts as u64), slots)
}

#[inline]
pub(super) fn following(place: usize, slots: usize) -> usize {
    if place + 1 == slots { 0 } else { place + 1 }
}
