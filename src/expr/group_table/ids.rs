//! Numbers of 64 bits to ids.
//!
//! In:  numbers, each the bits of a key.
//! Out: a dense id for each, in the order in which they first appear.
//!
//! ```text
//! in ascending order  the last id, or the next           no table at all
//! near each other     id of k ─▶ places[k - base]        one load a row, no hash
//! anywhere            id of k ─▶ hash ─▶ slot ─▶ keys    a block of rows at a time
//! ```
//!
//! Which of these is used follows the numbers so far, and changes no id.

use arrow_buffer::NullBuffer;

use super::slots::{BLOCK, Slots};
use crate::expr::hash::hash_u64;

/// What can be a key here: its bits, sign-extended so that near numbers stay near.
pub(super) trait Bits: Copy {
    fn bits(self) -> u64;
}

macro_rules! bits {
    ($($native:ty),*) => {$(
        impl Bits for $native {
            #[inline]
            fn bits(self) -> u64 {
                self as u64
            }
        }
    )*};
}
bits!(i8, i16, i32, i64, u8, u16, u32, u64);

/// No id is this large: [`super::GroupTable`] refuses as many groups.
const UNSEEN: u32 = u32::MAX;

/// Places that are always allowed: 16 KiB.
const FEW_PLACES: u64 = 1 << 12;

/// Places for each row so far, so that making them costs less than filling them.
const PLACES_A_ROW: u64 = 8;

/// Places that are allowed once there are rows enough: 1 MiB, what a core's cache holds.
const CACHED_PLACES: u64 = 1 << 18;

/// Places for each key: a table of entries takes as much.
const PLACES_A_KEY: u64 = 8;

/// Numbers with their ids.
pub(super) struct Ids {
    mask: u64,
    /// Every key, in the order of ids; any for null.
    keys: Vec<u64>,
    null: Option<u32>,
    rows: u64,
    /// Of all keys, but while they come in order.
    range: Option<Range>,
    found: Found,
}

/// The least and the greatest key.
#[derive(Debug, Clone, Copy)]
struct Range {
    least: i64,
    most: i64,
}

impl Range {
    fn with(range: Option<Range>, key: u64) -> Range {
        let key = key as i64;
        range.map_or(
            Range {
                least: key,
                most: key,
            },
            |range| Range {
                least: range.least.min(key),
                most: range.most.max(key),
            },
        )
    }

    /// Numbers from the least to the greatest, less one.
    fn span(self) -> u64 {
        (self.most as u64).wrapping_sub(self.least as u64)
    }
}

/// How an id is found.
enum Found {
    /// As the last one, as long as no key comes that is less than it.
    InOrder,
    /// By the distance of a key from `base`.
    Near { base: u64, places: Vec<u32> },
    /// By its hash.
    Far(Slots),
}

impl Ids {
    /// None so far; of each hash only the bits of `mask` are kept.
    pub fn new(mask: u64) -> Self {
        Ids {
            mask,
            keys: Vec::new(),
            null: None,
            rows: 0,
            range: None,
            found: Found::InOrder,
        }
    }

    /// Every key, in the order of ids; that of null means nothing.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// The id of null, if it is there.
    pub fn null(&self) -> Option<u32> {
        self.null
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let found = match &self.found {
            Found::InOrder => 0,
            Found::Near { places, .. } => 4 * places.capacity(),
            Found::Far(slots) => slots.bytes(),
        };
        found + 8 * self.keys.capacity()
    }

    /// The id of every number, new ones getting the next.
    pub fn assign<N: Bits>(&mut self, values: &[N], nulls: Option<&NullBuffer>, ids: &mut [u32]) {
        self.begin(values.len());
        let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
            return self.assign_all(values, ids);
        };
        self.leave_order();
        for ((id, value), valid) in ids.iter_mut().zip(values).zip(nulls) {
            *id = match valid {
                true => self.id(value.bits()),
                false => self.null_id(),
            };
        }
    }

    /// Notes that so many rows come; goes back to places if those so far allow it.
    fn begin(&mut self, n_rows: usize) {
        self.rows += n_rows as u64;
        if matches!(self.found, Found::Far(_))
            && let Some(range) = self.range
            && self.allows(range)
        {
            self.make_places(range);
        }
    }

    fn assign_all<N: Bits>(&mut self, values: &[N], ids: &mut [u32]) {
        let mut row = match self.found {
            Found::InOrder => self.assign_in_order(values, ids),
            _ => 0,
        };
        if row < values.len() {
            self.leave_order();
        }
        while let Found::Near { base, places } = &self.found {
            let rest = values[row..].iter().zip(&mut ids[row..]);
            let new = rest.map(|(value, id)| {
                let place = usize::try_from(value.bits().wrapping_sub(*base));
                *id = place.map_or(UNSEEN, |place| places.get(place).copied().unwrap_or(UNSEEN));
                *id
            });
            let Some(known) = { new }.position(|id| id == UNSEEN) else {
                return;
            };
            row += known;
            ids[row] = self.id(values[row].bits());
            row += 1;
        }
        let blocks = values[row..].chunks(BLOCK);
        for (values, ids) in blocks.zip(ids[row..].chunks_mut(BLOCK)) {
            let mut wanted = [0; BLOCK];
            for (key, value) in wanted.iter_mut().zip(values) {
                *key = value.bits();
            }
            self.assign_block(&wanted[..values.len()], ids);
        }
    }

    /// The ids of numbers from the first one on, as long as they come in ascending
    /// order; gives how many do.
    fn assign_in_order<N: Bits>(&mut self, values: &[N], ids: &mut [u32]) -> usize {
        let blocks = values.chunks(BLOCK).zip(ids.chunks_mut(BLOCK));
        for (block, (values, ids)) in blocks.enumerate() {
            let mut last = self.keys.last().copied();
            let ascend = |pair: &[N]| pair[0].bits() as i64 <= pair[1].bits() as i64;
            let all_ascend = values.windows(2).fold(true, |all, pair| all & ascend(pair));
            if !all_ascend || last.is_some_and(|last| (values[0].bits() as i64) < last as i64) {
                return block * BLOCK;
            }
            let first = *last.get_or_insert_with(|| {
                self.keys.push(values[0].bits());
                values[0].bits()
            });
            let known = self.keys.len() - 1;
            self.keys.resize(known + 1 + values.len(), 0);
            let (mut last, mut n_new) = (first, 0);
            // Written also where it is the key before: that costs less than to ask.
            let new = &mut self.keys[known..];
            for (value, id) in values.iter().zip(ids) {
                let key = value.bits();
                n_new += usize::from(key != last);
                new[n_new] = key;
                *id = (known + n_new) as u32;
                last = key;
            }
            self.keys.truncate(known + 1 + n_new);
        }
        values.len()
    }

    /// Finds ids by places or hashes from here on.
    fn leave_order(&mut self) {
        if !matches!(self.found, Found::InOrder) {
            return;
        }
        let ends = self.keys.first().zip(self.keys.last());
        self.range = ends.map(|(first, last)| Range::with(Some(Range::with(None, *first)), *last));
        match self.range {
            Some(range) if self.allows(range) => self.make_places(range),
            // Filled as the next key comes.
            Some(_) => self.found = Found::Far(Slots::default()),
            None => {
                self.found = Found::Near {
                    base: 0,
                    places: Vec::new(),
                }
            }
        }
    }

    fn assign_block(&mut self, wanted: &[u64], ids: &mut [u32]) {
        let mask = self.mask;
        let hash = |key: u64| hash_u64(key) & mask;
        let Found::Far(slots) = &mut self.found else {
            return;
        };
        let null = self.null;
        let known = (0..).zip(&self.keys);
        let hashes = known.map(|(id, key)| (Some(id) != null).then(|| hash(*key)));
        slots.reserve(self.keys.len(), wanted.len(), hashes);
        let looked = slots.look(&self.keys, wanted, hash, ids);
        for place in looked.missed() {
            let (key, next) = (wanted[place], self.keys.len() as u32);
            let keys = &self.keys;
            let same = |id: u32| keys[id as usize] == key;
            ids[place] = slots.find_or_insert(looked.hashes[place], next, same);
            if ids[place] == next {
                self.keys.push(key);
                self.range = Some(Range::with(self.range, key));
            }
        }
    }

    #[inline]
    fn id(&mut self, key: u64) -> u32 {
        if let Found::Near { base, places } = &mut self.found {
            let place = usize::try_from(key.wrapping_sub(*base)).unwrap_or(usize::MAX);
            match places.get_mut(place) {
                Some(id) if *id != UNSEEN => return *id,
                Some(id) => {
                    *id = self.keys.len() as u32;
                    self.range = Some(Range::with(self.range, key));
                    self.keys.push(key);
                    return *id;
                }
                None => self.reach(key),
            }
            return self.id(key);
        }
        let mut id = [0];
        self.assign_block(&[key], &mut id);
        id[0]
    }

    fn null_id(&mut self) -> u32 {
        *self.null.get_or_insert_with(|| {
            self.keys.push(0);
            self.keys.len() as u32 - 1
        })
    }

    /// Whether there may be a place for every number of a range.
    fn allows(&self, range: Range) -> bool {
        let by_rows = FEW_PLACES.max(PLACES_A_ROW.saturating_mul(self.rows));
        let by_keys = CACHED_PLACES.max(PLACES_A_KEY * self.keys.len() as u64);
        range.span() < by_rows.min(by_keys)
    }

    /// Makes a place for a key that is outside of all so far, or a table.
    #[cold]
    fn reach(&mut self, key: u64) {
        let range = Range::with(self.range, key);
        if self.allows(range) {
            return self.make_places(range);
        }
        // Filled as the next key comes.
        self.found = Found::Far(Slots::default());
    }

    /// Places for a range and for some numbers around it: those that are still
    /// to come would have them made again and again.
    fn make_places(&mut self, range: Range) {
        let slack = (range.span() / 4) as i64;
        let base = range.least.saturating_sub(slack);
        let wide = Range {
            least: base,
            most: range.most.saturating_add(slack),
        };
        let mut places = vec![UNSEEN; wide.span() as usize + 1];
        for (id, &key) in (0..).zip(&self.keys) {
            if Some(id) != self.null {
                places[key.wrapping_sub(base as u64) as usize] = id;
            }
        }
        self.found = Found::Near {
            base: base as u64,
            places,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids by looking at all keys before.
    fn plain(values: &[u64]) -> Vec<u32> {
        let mut known: Vec<u64> = Vec::new();
        let ids = values.iter().map(|value| {
            let at = known.iter().position(|other| other == value);
            at.unwrap_or_else(|| {
                known.push(*value);
                known.len() - 1
            }) as u32
        });
        ids.collect()
    }

    fn is_near(ids: &Ids) -> bool {
        matches!(ids.found, Found::Near { .. })
    }

    #[test]
    fn ids_are_the_same_by_places_and_by_hash_and_across_the_change() {
        fn near(n: u64) -> u64 {
            700 + (n * n) % 311
        }
        fn far(n: u64) -> u64 {
            near(n).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        }
        let all: [fn(u64) -> u64; 5] = [
            near,
            far,
            |n| near(n).wrapping_sub(850),
            |n| if n < 300 { near(n) } else { far(n) },
            |n| [u64::MAX, 0, i64::MAX as u64, i64::MIN as u64][n as usize % 4],
        ];
        for (idx, of) in all.into_iter().enumerate() {
            let values: Vec<u64> = (0..600).map(of).collect();
            for mask in [0, u64::MAX] {
                for step in [1, 13, 600] {
                    let mut ids = Ids::new(mask);
                    let mut found = vec![0; values.len()];
                    for (part, found) in values.chunks(step).zip(found.chunks_mut(step)) {
                        ids.assign(part, None, found);
                    }
                    assert_eq!(found, plain(&values), "{idx} {mask} {step}");
                    assert_eq!(is_near(&ids), idx == 0 || idx == 2, "{idx} {step}");
                    let back = found.iter().map(|&id| ids.keys()[id as usize]);
                    assert!(back.eq(values.iter().copied()));
                }
            }
        }
    }

    #[test]
    fn numbers_in_ascending_order_need_no_table_until_one_is_less() {
        // Runs of equal numbers, far apart, some below zero.
        let in_order: Vec<u64> = (0..900_i64)
            .map(|n| (n / 3 * 1_000_003 - 40_000_000) as u64)
            .collect();
        for step in [1, 50, 64, 900] {
            for less in [None, Some(3), Some(64), Some(500)] {
                let mut values = in_order.clone();
                if let Some(row) = less {
                    values[row] = values[row - 3].wrapping_sub(1);
                }
                values.extend([values[899], values[899] + 7, values[0]]);
                let mut ids = Ids::new(u64::MAX);
                let mut found = vec![0; values.len()];
                for (part, found) in values[..902].chunks(step).zip(found.chunks_mut(step)) {
                    ids.assign(part, None, found);
                }
                let stays = matches!(ids.found, Found::InOrder);
                assert_eq!(stays, less.is_none(), "{step} {less:?}");
                ids.assign(&values[902..], None, &mut found[902..]);
                assert!(!matches!(ids.found, Found::InOrder));
                assert_eq!(found, plain(&values), "{step} {less:?}");
            }
        }
        // A null ends it as well.
        let mut ids = Ids::new(u64::MAX);
        let mut found = [0; 5];
        ids.assign(&[4_u64, 9], None, &mut found[..2]);
        let nulls = NullBuffer::from(vec![true, false, true]);
        ids.assign(&[9_u64, 0, 12], Some(&nulls), &mut found[2..]);
        assert_eq!(found, [0, 1, 1, 2, 3]);
        assert_eq!(ids.null(), Some(2));
    }

    #[test]
    fn a_wide_range_gets_places_once_rows_are_many() {
        let values: Vec<u64> = (0..40_000).map(|n: u64| n * 7919 % 100_003).collect();
        let mut ids = Ids::new(u64::MAX);
        let mut found = vec![0; values.len()];
        ids.assign(&values[..100], None, &mut found[..100]);
        assert!(!is_near(&ids));
        ids.assign(&values[100..39_000], None, &mut found[100..39_000]);
        ids.assign(&values[39_000..], None, &mut found[39_000..]);
        assert!(is_near(&ids));
        assert!(found.iter().copied().eq(0..40_000));
        let mut again = vec![0; values.len()];
        ids.assign(&values, None, &mut again);
        assert_eq!(again, found);
    }

    #[test]
    fn null_is_a_key_of_its_own_and_no_number_is_taken_for_it() {
        let nulls = NullBuffer::from(vec![true, false, true, false, true]);
        for values in [[0_u64, 0, 5, 9, 0], [1 << 60, 0, 5, 9, 1 << 60]] {
            let mut ids = Ids::new(u64::MAX);
            let mut found = [0; 8];
            ids.assign(&values, Some(&nulls), &mut found[..5]);
            ids.assign(&[values[0], 1 << 50, 0], None, &mut found[5..]);
            let zero = if values[0] == 0 { 0 } else { 4 };
            assert_eq!(found, [0, 1, 2, 1, 0, 0, 3, zero]);
            assert_eq!(ids.null(), Some(1));
        }
    }
}
