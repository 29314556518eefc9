//! Keys found by their hashes.
//!
//! In:  keys, a block at a time, and all keys so far in the order of their ids.
//! Out: the id of each.
//!
//! ```text
//! hash ─▶ slot: id + 1 in its low bits, some of the hash above ─▶ keys[id], compared
//! ```
//!
//! Keys of a block take each step together: all hashes, all first slots, all
//! keys those tell of. What is far away in memory is waited for once a block,
//! not once a key. Those that are not at their first slot follow one by one, in
//! their order.

/// Keys that are looked up together: enough to wait once for many, and few
/// enough that what is known of them stays at hand.
pub(super) const BLOCK: usize = 64;

/// The fewest slots there are.
const LEAST: usize = 64;

/// Where the ids of keys are, by hash. The keys are the owner's.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// None, or a power of two, of which at most half are taken.
    slots: Vec<u32>,
}

/// What a first look found of a block.
pub(super) struct Looked {
    pub hashes: [u64; BLOCK],
    /// The places of keys that are still to be found, in order.
    missed: [u8; BLOCK],
    n_missed: usize,
}

impl Looked {
    /// The places of keys that are still to be found, in order.
    pub fn missed(&self) -> impl Iterator<Item = usize> {
        let missed = self.missed.iter().take(self.n_missed);
        missed.map(|place| usize::from(*place))
    }
}

impl Slots {
    /// Bits of a slot that hold an id.
    #[inline]
    fn id_mask(&self) -> u32 {
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    /// Makes room for some more keys than there are; `hashes` gives the hash of
    /// every key in the order of ids, none for those that are not to be found.
    pub fn reserve(
        &mut self,
        n_keys: usize,
        more: usize,
        hashes: impl Iterator<Item = Option<u64>>,
    ) {
        let wanted = 2 * (n_keys + more);
        if wanted <= self.slots.len() {
            return;
        }
        self.slots = vec![0; wanted.next_power_of_two().max(LEAST)];
        let (places, id_mask) = (self.slots.len() - 1, self.id_mask());
        for (id, hash) in (1..).zip(hashes) {
            let Some(hash) = hash else {
                continue;
            };
            let mut place = hash as usize & places;
            while self.slots[place] != 0 {
                place = (place + 1) & places;
            }
            self.slots[place] = (hash >> 32) as u32 & !id_mask | id;
        }
    }

    /// Looks for the keys `wanted`, of which there are no more than [`BLOCK`],
    /// where each should be. There is room for as many.
    #[inline]
    pub fn look<K: Copy + PartialEq>(
        &self,
        keys: &[K],
        wanted: &[K],
        hash: impl Fn(K) -> u64,
        ids: &mut [u32],
    ) -> Looked {
        let (places, id_mask) = (self.slots.len() - 1, self.id_mask());
        let mut looked = Looked {
            hashes: [0; BLOCK],
            missed: [0; BLOCK],
            n_missed: 0,
        };
        for (of, key) in looked.hashes.iter_mut().zip(wanted) {
            *of = hash(*key);
        }
        for (id, hash) in ids.iter_mut().zip(&looked.hashes) {
            // No id is as large as what an empty slot becomes.
            *id = (self.slots[*hash as usize & places] & id_mask).wrapping_sub(1);
        }
        for (place, (id, key)) in ids.iter().zip(wanted).enumerate() {
            let found = keys.get(*id as usize).is_some_and(|known| known == key);
            looked.missed[looked.n_missed] = place as u8;
            looked.n_missed += usize::from(!found);
        }
        looked
    }

    /// The id of a key that may be anywhere; `next`, which it has from here on,
    /// if it is nowhere. There is room for it.
    pub fn find_or_insert(&mut self, hash: u64, next: u32, same: impl Fn(u32) -> bool) -> u32 {
        let (places, id_mask) = (self.slots.len() - 1, self.id_mask());
        let tag = (hash >> 32) as u32 & !id_mask;
        let mut place = hash as usize & places;
        loop {
            let slot = &mut self.slots[place];
            if *slot == 0 {
                *slot = tag | (next + 1);
                return next;
            }
            let id = (*slot & id_mask) - 1;
            if *slot & !id_mask == tag && same(id) {
                return id;
            }
            place = (place + 1) & places;
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        4 * self.slots.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_again_however_hashes_collide() {
        for mask in [0, 7, 0xFFFF_FFFF_0000_0000, u64::MAX] {
            let hash = |key: u64| key.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) & mask;
            let (mut slots, mut keys) = (Slots::default(), Vec::new());
            // Each key twice, the second time far behind the first.
            let wanted: Vec<u64> = (0..400).map(|n| n % 200 * 3).collect();
            let mut ids = vec![0; 400];
            for (wanted, ids) in wanted.chunks(BLOCK).zip(ids.chunks_mut(BLOCK)) {
                let hashes = keys.iter().map(|key| Some(hash(*key)));
                slots.reserve(keys.len(), wanted.len(), hashes);
                let looked = slots.look(&keys, wanted, hash, ids);
                for place in looked.missed() {
                    let (key, next) = (wanted[place], keys.len() as u32);
                    let same = |id: u32| keys[id as usize] == key;
                    ids[place] = slots.find_or_insert(looked.hashes[place], next, same);
                    if ids[place] == next {
                        keys.push(key);
                    }
                }
            }
            assert!(ids.into_iter().eq((0..400).map(|n| n % 200)), "{mask:x}");
            assert!(slots.bytes() >= 4 * 400);
        }
    }
}
