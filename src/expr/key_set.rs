//! The keys of rows that are held, as a test of rows that are looked up by them.
//!
//! In:  columns of whole numbers, once; then columns that may meet them.
//! Out: for each value whether one of the keys may be equal to it: always yes
//!      where one is, and mostly no where none is.
//!
//! ```text
//! keys that lie close    ─▶ a bit for each number between the least and the largest
//! keys that lie far apart ─▶ four bits of one word, chosen by the hash; if they are
//!                            few, also the keys in order, to find stretches without any
//! ```
//!
//! Where most values of an array are keys, asking costs more than it spares: a few
//! of them tell, each array anew, so that it never depends on what came before.

use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use super::hash::hash_u64;

/// Bits for each key, up to which a range of numbers has a bit for each of them;
/// but so many stay in the cache of a core anyway.
const CLOSE_BITS: u64 = 128;
const FEW_BITS: u64 = 1 << 20;

/// Bits of hashes for each key: of a hundred others, one is taken for a key. With
/// them, a key that is kept in order takes fewer than [`CLOSE_BITS`].
const HASHED_BITS: usize = 16;

/// Keys that are kept in order at most: of more, one lies in nearly every page.
const SORTED_KEYS: usize = 1 << 16;

/// Values that are asked first of those that are tested at once: where most of them
/// may be keys, the others pass unasked.
const SAMPLED: usize = 64;

/// Values of which so many are too few for that.
const FEW_VALUES: usize = 8 * SAMPLED;

/// Most of the first values: so many of [`SAMPLED`].
const MOST: usize = 56;

/// A set of whole numbers, some of which may not be in it.
#[derive(Debug)]
pub struct KeySet {
    n_rows: usize,
    /// The least and the largest key.
    least: i64,
    most: i64,
    held: Held,
    /// Values that were tested, those of them that may be keys, and those that
    /// passed unasked, nulls among them.
    asked: AtomicU64,
    found: AtomicU64,
    unasked: AtomicU64,
}

/// What came of the values that were tested so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tested {
    /// Values that were looked up.
    pub asked: u64,
    /// Those of them that may be keys.
    pub found: u64,
    /// Values that were let by, since most beside them may be keys.
    pub unasked: u64,
}

/// Whatever was tested.
impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        let ends = |set: &Self| (set.n_rows, set.least, set.most);
        ends(self) == ends(other) && self.held == other.held
    }
}

#[derive(Debug, PartialEq)]
enum Held {
    /// A bit for each number from the least key on.
    Close(Vec<u64>),
    /// Words, of which each key has bits in one.
    Hashed {
        words: Vec<u64>,
        /// All keys; none if they are many.
        sorted: Option<Vec<i64>>,
    },
}

impl KeySet {
    /// The bytes that a set of keys of `n_rows` rows takes at most.
    pub fn most_bytes(n_rows: usize) -> u64 {
        (n_rows as u64)
            .saturating_mul(CLOSE_BITS)
            .saturating_add(FEW_BITS)
            / 8
    }

    /// The least and the largest key in some columns, if there is one. Nothing
    /// if one of the columns has a type whose values are not tested.
    pub fn range_of(columns: &[&ArrayRef]) -> Option<Option<(i64, i64)>> {
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for column in columns {
            for_keys(column, |key| {
                least = least.min(key);
                most = most.max(key);
            })?;
        }
        Some((least <= most).then_some((least, most)))
    }

    /// The keys in some columns, which have these as the least and the largest;
    /// nulls are none. Nothing as for [`KeySet::range_of`].
    pub fn of(columns: &[&ArrayRef], (least, most): (i64, i64)) -> Option<Self> {
        let n_rows = columns.iter().map(|column| column.len()).sum();
        let numbers = i128::from(most) - i128::from(least) + 1;
        let close = numbers <= i128::from(Self::most_bytes(n_rows)) * 8;
        let mut held = match close {
            true => Held::Close(vec![0; (numbers as usize).div_ceil(64)]),
            false => Held::Hashed {
                words: vec![0; (n_rows * HASHED_BITS).div_ceil(64).max(1)],
                sorted: (n_rows <= SORTED_KEYS).then(|| Vec::with_capacity(n_rows)),
            },
        };
        for column in columns {
            match &mut held {
                Held::Close(words) => for_keys(column, |key| {
                    let place = key.wrapping_sub(least) as u64;
                    words[(place / 64) as usize] |= 1 << (place % 64);
                })?,
                Held::Hashed { words, sorted } => for_keys(column, |key| {
                    let (word, bits) = place_of(key, words.len());
                    words[word] |= bits;
                    sorted.iter_mut().for_each(|sorted| sorted.push(key));
                })?,
            }
        }
        if let Held::Hashed { sorted, .. } = &mut held {
            sorted.iter_mut().for_each(|sorted| sorted.sort_unstable());
        }
        Some(KeySet {
            n_rows,
            least,
            most,
            held,
            asked: AtomicU64::new(0),
            found: AtomicU64::new(0),
            unasked: AtomicU64::new(0),
        })
    }

    /// Whether values of this type are tested.
    pub fn takes(data_type: &DataType) -> bool {
        use DataType::{Date32, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32};
        matches!(
            data_type,
            Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Date32
        )
    }

    /// Rows that the keys were taken from.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Whether a key may lie between two numbers, both included.
    pub fn may_meet(&self, low: i64, high: i64) -> bool {
        let (low, high) = (low.max(self.least), high.min(self.most));
        if low > high {
            return false;
        }
        let words = match &self.held {
            Held::Close(words) => words,
            Held::Hashed { sorted: None, .. } => return true,
            Held::Hashed {
                sorted: Some(sorted),
                ..
            } => {
                let next = sorted.partition_point(|key| *key < low);
                return sorted.get(next).is_some_and(|key| *key <= high);
            }
        };
        let place = |key: i64| (key.wrapping_sub(self.least) as u64) as usize;
        let (first, last) = (place(low), place(high));
        (first / 64..=last / 64).any(|word| {
            let from = if word == first / 64 { first % 64 } else { 0 };
            let to = if word == last / 64 { last % 64 } else { 63 };
            words[word] & (u64::MAX << from) & (u64::MAX >> (63 - to)) != 0
        })
    }

    /// What came of all values that were tested. The same at any number of threads,
    /// if they are the same values in the same arrays.
    pub fn tested(&self) -> Tested {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Tested {
            asked: count(&self.asked),
            found: count(&self.found),
            unasked: count(&self.unasked),
        }
    }

    /// For each value whether it may be a key; null is none. Where most of a few
    /// values are keys, all may be. Nothing for values of a type that is not tested.
    pub fn test(&self, values: &ArrayRef) -> Option<BooleanArray> {
        macro_rules! tested {
            ($type:ty) => {
                self.test_natives(values.as_primitive::<$type>().values())
            };
        }
        let found = match values.data_type() {
            DataType::Int8 => tested!(Int8Type),
            DataType::Int16 => tested!(Int16Type),
            DataType::Int32 => tested!(Int32Type),
            DataType::Int64 => tested!(Int64Type),
            DataType::UInt8 => tested!(UInt8Type),
            DataType::UInt16 => tested!(UInt16Type),
            DataType::UInt32 => tested!(UInt32Type),
            DataType::Date32 => tested!(Date32Type),
            _ => return None,
        };
        Some(BooleanArray::new(found, values.nulls().cloned()))
    }

    fn test_natives<N: Copy + Into<i64>>(&self, values: &[N]) -> BooleanBuffer {
        let count = |of: &AtomicU64, values: usize| of.fetch_add(values as u64, Ordering::Relaxed);
        if values.len() >= FEW_VALUES {
            // Odd, since keys often come in turns of two, four or ten.
            let step = (values.len() / SAMPLED - 1) | 1;
            let sampled = values.iter().step_by(step).take(SAMPLED);
            let found = sampled.filter(|value| self.may_be_key((**value).into()));
            let found = found.count();
            if found >= MOST {
                count(&self.asked, SAMPLED);
                count(&self.found, found);
                count(&self.unasked, values.len() - SAMPLED);
                return BooleanBuffer::new_set(values.len());
            }
        }
        let found = self.may_be_keys(values);
        count(&self.asked, values.len());
        count(&self.found, found.count_set_bits());
        found
    }

    fn may_be_keys<N: Copy + Into<i64>>(&self, values: &[N]) -> BooleanBuffer {
        match &self.held {
            Held::Close(words) => {
                let last = self.most.wrapping_sub(self.least) as u64;
                BooleanBuffer::collect_bool(values.len(), |row| {
                    is_close(words, self.least, last, values[row].into())
                })
            }
            Held::Hashed { words, .. } => BooleanBuffer::collect_bool(values.len(), |row| {
                is_hashed(words, values[row].into())
            }),
        }
    }

    fn may_be_key(&self, value: i64) -> bool {
        match &self.held {
            Held::Close(words) => {
                let last = self.most.wrapping_sub(self.least) as u64;
                is_close(words, self.least, last, value)
            }
            Held::Hashed { words, .. } => is_hashed(words, value),
        }
    }
}

/// Whether a value has its bit, of those between the least key and the one `last` behind it.
#[inline]
fn is_close(words: &[u64], least: i64, last: u64, value: i64) -> bool {
    // What lies below wraps around to far above.
    let place = value.wrapping_sub(least) as u64;
    place <= last && words[(place / 64) as usize] >> (place % 64) & 1 == 1
}

/// Whether a value has its bits.
#[inline]
fn is_hashed(words: &[u64], value: i64) -> bool {
    let (word, bits) = place_of(value, words.len());
    words[word] & bits == bits
}

/// The word that a key has its bits in, and these bits.
#[inline]
fn place_of(key: i64, n_words: usize) -> (usize, u64) {
    let hash = hash_u64(key as u64);
    // The upper bits choose the word, the lower ones its bits.
    let word = ((u128::from(hash) * n_words as u128) >> 64) as usize;
    let bit = |number: u32| 1 << (hash >> (6 * number) & 63);
    (word, bit(0) | bit(1) | bit(2) | bit(3))
}

/// Calls `each` with every key of a column; nothing if its type has none.
fn for_keys(column: &ArrayRef, each: impl FnMut(i64)) -> Option<()> {
    fn natives<T>(column: &ArrayRef, mut each: impl FnMut(i64))
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64>,
    {
        let array = column.as_primitive::<T>();
        let values = array.values();
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => values.iter().for_each(|value| each((*value).into())),
            Some(nulls) => nulls
                .valid_indices()
                .for_each(|row| each(values[row].into())),
        }
    }
    match column.data_type() {
        DataType::Int8 => natives::<Int8Type>(column, each),
        DataType::Int16 => natives::<Int16Type>(column, each),
        DataType::Int32 => natives::<Int32Type>(column, each),
        DataType::Int64 => natives::<Int64Type>(column, each),
        DataType::UInt8 => natives::<UInt8Type>(column, each),
        DataType::UInt16 => natives::<UInt16Type>(column, each),
        DataType::UInt32 => natives::<UInt32Type>(column, each),
        DataType::Date32 => natives::<Date32Type>(column, each),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow_array::{Int32Array, Int64Array, StringArray, UInt8Array};

    use super::*;

    fn set(keys: &[Option<i64>]) -> KeySet {
        let (left, right) = keys.split_at(keys.len() / 2);
        let array = |keys: &[Option<i64>]| Arc::new(Int64Array::from(keys.to_vec())) as ArrayRef;
        let columns = [&array(left), &array(right)];
        let range = KeySet::range_of(&columns).unwrap().unwrap();
        KeySet::of(&columns, range).unwrap()
    }

    fn found(set: &KeySet, values: ArrayRef) -> Vec<Option<bool>> {
        set.test(&values).unwrap().iter().collect()
    }

    #[test]
    fn every_key_is_found_and_few_others_are() {
        let close: Vec<i64> = (0..1_000).map(|n| n * 7 - 300).collect();
        let far: Vec<i64> = (0..1_000_i64)
            .map(|n| n.wrapping_mul(0x1234_5678_9ABC_DEF1))
            .collect();
        let ends = vec![i64::MIN, i64::MAX, -1, 0];
        for (keys, most_wrong) in [(close, 0), (far, 60), (ends, 60)] {
            let set = set(&keys.iter().copied().map(Some).collect::<Vec<_>>());
            let wanted: BTreeSet<i64> = keys.iter().copied().collect();
            let asked: Vec<i64> = keys
                .iter()
                .copied()
                .chain(-1_000..1_000)
                .chain([i64::MIN, i64::MIN + 1, i64::MAX])
                .collect();
            let found = found(&set, Arc::new(Int64Array::from(asked.clone())));
            let mut wrong = 0;
            for (value, found) in asked.iter().zip(found) {
                let is_key = wanted.contains(value);
                assert!(!is_key || found == Some(true), "{value}");
                wrong += usize::from(!is_key && found == Some(true));
            }
            assert!(wrong <= most_wrong, "{wrong}");
        }
    }

    #[test]
    fn values_of_any_whole_type_meet_and_nulls_do_not() {
        let keys = set(&[Some(3), None, Some(200), Some(5)]);
        let (yes, no) = (Some(true), Some(false));
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(3), None, Some(-3), Some(200)]));
        assert_eq!(found(&keys, ints), [yes, None, no, yes]);
        let bytes: ArrayRef = Arc::new(UInt8Array::from(vec![5, 4, 200]));
        assert_eq!(found(&keys, bytes), [yes, no, yes]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["3"]));
        assert!(keys.test(&texts).is_none());
        assert!(KeySet::range_of(&[&texts]).is_none());
        assert!(KeySet::of(&[&texts], (0, 0)).is_none());
        let nulls: ArrayRef = Arc::new(Int32Array::from(vec![None, None]));
        assert_eq!(KeySet::range_of(&[&nulls]), Some(None));
    }

    #[test]
    fn where_most_are_keys_the_others_pass_unasked_and_nulls_do_not() {
        let even: Vec<Option<i64>> = (0..4_000).map(|n| Some(n * 2)).collect();
        for far in [1, 1_000_003] {
            let keys: Vec<Option<i64>> = even.iter().map(|key| key.map(|key| key * far)).collect();
            let set = set(&keys);
            let mut wanted = set.tested();
            // Of a hundred so many are keys.
            for (share, passes) in [
                (0, false),
                (50, false),
                (80, false),
                (97, true),
                (100, true),
            ] {
                let value = |n: i64| (n * 7 % 4_000 * 2 + i64::from(n % 100 >= share)) * far;
                let values = (0..3_000).map(|n| (n % 11 != 0).then(|| value(n)));
                let values = Int64Array::from_iter(values);
                let found = found(&set, Arc::new(values.clone()));
                for (row, found) in found.iter().enumerate() {
                    assert_eq!(found.is_none(), values.is_null(row), "{share}");
                    let is_key = row as i64 % 100 < share;
                    assert!(!is_key || *found != Some(false), "{share}, row {row}");
                }
                let tested = set.tested();
                let unasked = tested.unasked - wanted.unasked;
                assert_eq!(unasked > 0, passes, "{share} of a hundred, {far} apart");
                assert_eq!(tested.asked - wanted.asked + unasked, 3_000);
                wanted = tested;
            }
        }
    }

    #[test]
    fn a_stretch_without_a_key_is_told_from_one_with() {
        for keys in [[0, 63, 64, 200, 511], [0, 64, 63, 511, 1 << 40]] {
            let set = set(&keys.map(Some));
            for low in -5..520_i64 {
                for high in (low - 1..520).chain([1 << 39, (1 << 40) - 1, 1 << 40, i64::MAX]) {
                    let holds = keys.iter().any(|key| (low..=high).contains(key));
                    assert_eq!(set.may_meet(low, high), holds, "{low} to {high}");
                }
            }
        }
        // Too many to be looked through: there may be one anywhere between them.
        let many: Vec<Option<i64>> = (0..=SORTED_KEYS as i64).map(|n| Some(n << 40)).collect();
        let set = set(&many);
        assert!(set.may_meet(1, 2) && !set.may_meet(-9, -1));
    }
}
