//! Distinct values, and which of them each value is.
//!
//! In:  the values of a leaf.
//! Out: a dictionary in order of first appearance, unless it grows too large.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Integers this close together find their key in a table instead of by hashing.
const NEAR: usize = 1 << 16;

/// No entry yet, in such a table.
const NONE: u32 = u32::MAX;

/// A value that a dictionary can hold.
pub(super) trait Entry: Copy {
    fn hash(self, hasher: &DefaultHashBuilder) -> u64;

    /// Whether both are stored as the same bytes.
    fn is(self, other: Self) -> bool;

    /// Bytes it takes, stored plainly.
    fn stored_bytes(self) -> usize;

    /// A number it is told from others by, if it has one.
    fn number(self) -> Option<i64> {
        None
    }
}

impl Entry for &[u8] {
    fn hash(self, hasher: &DefaultHashBuilder) -> u64 {
        hasher.hash_one(self)
    }

    fn is(self, other: Self) -> bool {
        self == other
    }

    fn stored_bytes(self) -> usize {
        4 + self.len()
    }
}

macro_rules! number_entry {
    ($native:ty, $bits:expr, $number:expr) => {
        impl Entry for $native {
            fn hash(self, hasher: &DefaultHashBuilder) -> u64 {
                hasher.hash_one($bits(self))
            }

            fn is(self, other: Self) -> bool {
                $bits(self) == $bits(other)
            }

            fn stored_bytes(self) -> usize {
                size_of::<$native>()
            }

            fn number(self) -> Option<i64> {
                $number(self)
            }
        }
    };
}

number_entry!(i32, i32::cast_unsigned, |value| Some(i64::from(value)));
number_entry!(i64, i64::cast_unsigned, Some);
// By their bits: zeros of either sign and every NaN come back as they were.
number_entry!(f32, f32::to_bits, |_| None);
number_entry!(f64, f64::to_bits, |_| None);

impl Entry for bool {
    fn hash(self, hasher: &DefaultHashBuilder) -> u64 {
        hasher.hash_one(self)
    }

    fn is(self, other: Self) -> bool {
        self == other
    }

    fn stored_bytes(self) -> usize {
        1
    }
}

/// The distinct values of a leaf, and for each value which one it is.
#[derive(Debug)]
pub(super) struct Dictionary<T> {
    pub(super) entries: Vec<T>,
    pub(super) keys: Vec<u32>,
}

impl<T: Entry> Dictionary<T> {
    /// The dictionary of `values`, unless its entries take more than `most_bytes`.
    pub(super) fn build(values: &[T], most_bytes: usize) -> Option<Self> {
        if let Some((least, span)) = near(values) {
            return Dictionary::build_near(values, least, span, most_bytes);
        }
        let hasher = DefaultHashBuilder::default();
        let mut table: HashTable<(u32, u32)> = HashTable::with_capacity(1024);
        let mut entries: Vec<T> = Vec::new();
        let mut keys = Vec::with_capacity(values.len());
        let mut bytes = 0;
        for value in values {
            let hash = value.hash(&hasher);
            // Half of the hash lies beside the key: other entries are seldom looked at.
            let tag = (hash >> 16) as u32;
            let found = table.find(hash, |(entry_tag, key)| {
                *entry_tag == tag && entries[*key as usize].is(*value)
            });
            let key = match found {
                Some((_, key)) => *key,
                None => {
                    bytes += value.stored_bytes();
                    if bytes > most_bytes {
                        return None;
                    }
                    let key = entries.len() as u32;
                    entries.push(*value);
                    table.insert_unique(hash, (tag, key), |(_, key)| {
                        entries[*key as usize].hash(&hasher)
                    });
                    key
                }
            };
            keys.push(key);
        }
        Some(Dictionary { entries, keys })
    }

    fn build_near(values: &[T], least: i64, span: usize, most_bytes: usize) -> Option<Self> {
        let mut places = vec![NONE; span];
        let mut entries: Vec<T> = Vec::new();
        let mut keys = Vec::with_capacity(values.len());
        for value in values {
            let place = value.number().unwrap_or(least).wrapping_sub(least) as usize;
            let mut key = places[place];
            if key == NONE {
                key = entries.len() as u32;
                places[place] = key;
                entries.push(*value);
            }
            keys.push(key);
        }
        let bytes = entries.len() * entries.first().map_or(0, |entry| entry.stored_bytes());
        (bytes <= most_bytes).then_some(Dictionary { entries, keys })
    }
}

/// The least number and the count of numbers up to the greatest, if those are few.
fn near<T: Entry>(values: &[T]) -> Option<(i64, usize)> {
    let first = values.first()?.number()?;
    let (mut least, mut greatest) = (first, first);
    for value in values {
        let number = value.number()?;
        least = least.min(number);
        greatest = greatest.max(number);
    }
    let span = usize::try_from(greatest.checked_sub(least)?).ok()?;
    (span < NEAR).then_some((least, span + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Entry + std::fmt::Debug>(values: &[T]) {
        let dictionary = Dictionary::build(values, usize::MAX).unwrap();
        assert_eq!(dictionary.keys.len(), values.len());
        let mut next = 0;
        for (value, key) in values.iter().zip(&dictionary.keys) {
            assert!(dictionary.entries[*key as usize].is(*value), "{value:?}");
            assert!(*key <= next, "keys are given in order of first appearance");
            next = next.max(key + 1);
        }
        for (idx, entry) in dictionary.entries.iter().enumerate() {
            let again = dictionary.entries[..idx]
                .iter()
                .any(|other| other.is(*entry));
            assert!(!again, "{entry:?} has two keys");
        }
    }

    #[test]
    fn every_value_finds_its_entry() {
        check::<i64>(&[]);
        check(&[5i64, 3, 5, i64::MAX, i64::MIN, 3, -1]);
        check(&[200i32, 404, 200, -70, 500, 404]);
        check(&[i32::MAX, i32::MIN, 0]);
        check(&[0.0f64, -0.0, f64::NAN, -f64::NAN, 0.0, f64::INFINITY]);
        check(&[0.5f32, f32::NAN, 0.5]);
        let texts: Vec<String> = (0..5000).map(|n| "x".repeat(n * n % 97)).collect();
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        check(&texts);
    }

    #[test]
    fn a_dictionary_that_grows_too_large_is_given_up() {
        let values: Vec<i64> = (0..1000).map(|n| n << 40).collect();
        assert!(Dictionary::build(&values, 8000).is_some());
        assert!(Dictionary::build(&values, 7999).is_none());
        let near: Vec<i64> = (0..1000).collect();
        assert!(Dictionary::build(&near, 8000).is_some());
        assert!(Dictionary::build(&near, 7999).is_none());
    }
}
