//! The rows of batches by bucket.
//!
//! In:  the keys of batches.
//! Out: a number for each row, equal for equal keys, and the number of the row,
//!      those of one bucket together, in their order.
//!
//! ```text
//! any keys                             number = hash, bucket = some of its bits
//! whole numbers, each batch ascending  number = key,  bucket = a range of keys
//! ```
//!
//! Where batches ascend, a range of keys is a stretch of each: rows stay where
//! they lie, and groups that were near each other stay so.

use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;

use super::store::N_BUCKETS;
use crate::error::Result;
use crate::expr::hash_rows;
use crate::shuffle::{bucket_of, starts};

/// Bytes that a row takes on its way: its number, and that in its batch.
pub(super) const ROUTED_BYTES: u64 = 12;

/// Rows of a stretch, on average, from which on it is taken as it lies.
pub(super) const STRETCH_ROWS: usize = 64;

/// Rows of a batch that follow each other, as places in `numbers` and `rows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub batch: usize,
    pub range: Range<usize>,
}

/// Keys that are looked at for each bucket to find where ranges of keys end.
const SAMPLES: usize = 16;

/// The rows of a batch, those of one bucket together, in their order.
pub(super) struct Routed {
    /// For each bucket the place behind its last row.
    ends: Vec<u32>,
    /// What tells keys apart: hashes, of which different keys may have one, or
    /// the keys themselves.
    pub numbers: Vec<u64>,
    /// The number of each row in its batch.
    pub rows: Vec<u32>,
}

impl Routed {
    /// Rows by the hashes of their keys.
    pub fn by_hash(keys: &[ArrayRef]) -> Result<Routed> {
        let hashes = hash_rows(keys)?;
        let to = hashes.iter().map(|hash| bucket_of(*hash, N_BUCKETS));
        let to: Vec<u32> = to.collect();
        let mut routed = Routed {
            ends: starts(&to, N_BUCKETS, hashes.len())?,
            numbers: vec![0; hashes.len()],
            rows: vec![0; hashes.len()],
        };
        for ((row, hash), to) in (0..).zip(hashes).zip(to) {
            let next = &mut routed.ends[to as usize];
            routed.numbers[*next as usize] = hash;
            routed.rows[*next as usize] = row;
            *next += 1;
        }
        Ok(routed)
    }

    /// The rows of all batches by ranges of their keys, which [`ascending`] gave.
    pub fn by_range(batches: Vec<Vec<u64>>) -> Vec<Routed> {
        let n_rows: usize = batches.iter().map(Vec::len).sum();
        let step = (n_rows / (SAMPLES * N_BUCKETS)).max(1);
        let mut samples: Vec<u64> = batches.iter().flatten().copied().step_by(step).collect();
        samples.sort_unstable();
        let ends = (1..N_BUCKETS).filter_map(|end| samples.get(end * samples.len() / N_BUCKETS));
        let bounds: Vec<u64> = ends.copied().collect();
        let routed = batches.into_iter().map(|keys| {
            let end = |bound: &u64| keys.partition_point(|key| key < bound) as u32;
            let mut ends: Vec<u32> = bounds.iter().map(end).collect();
            ends.resize(N_BUCKETS, keys.len() as u32);
            Routed {
                ends,
                rows: (0..keys.len() as u32).collect(),
                numbers: keys,
            }
        });
        routed.collect()
    }

    /// The rows of a bucket, as places in `numbers` and `rows`.
    pub fn range(&self, bucket: usize) -> Range<usize> {
        let start = bucket.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[bucket] as usize
    }
}

/// Stretches of rows whose numbers ascend, cut so that the numbers of all ascend one
/// behind the other. None if that leaves short ones.
pub(super) fn in_order(routed: &[Routed], stretches: &[Stretch]) -> Option<Vec<Stretch>> {
    let n_rows: usize = stretches.iter().map(|of| of.range.len()).sum();
    let mut rest = stretches.to_vec();
    let mut merged = Vec::new();
    while !rest.is_empty() {
        if (merged.len() + 1) * STRETCH_ROWS > n_rows {
            return None;
        }
        let first = |of: &Stretch| routed[of.batch].numbers[of.range.start];
        let least = (0..rest.len()).min_by_key(|idx| first(&rest[*idx]))?;
        let others = rest.iter().enumerate().filter(|(idx, _)| *idx != least);
        let next = others.map(|(_, of)| first(of)).min();
        let Stretch { batch, range } = rest[least].clone();
        let numbers = &routed[batch].numbers[range.clone()];
        let len = match next {
            Some(next) => numbers.partition_point(|number| *number <= next),
            None => range.len(),
        };
        let cut = range.start + len;
        merged.push(Stretch {
            batch,
            range: range.start..cut,
        });
        match cut == range.end {
            true => drop(rest.swap_remove(least)),
            false => rest[least].range.start = cut,
        }
    }
    Some(merged)
}

/// The keys of a batch as numbers in the same order, if they are whole numbers,
/// one a row, that ascend.
pub(super) fn ascending(keys: &[ArrayRef]) -> Option<Vec<u64>> {
    let [column] = keys else {
        return None;
    };
    let data_type = column.data_type();
    let counts = data_type.is_integer() || data_type.is_temporal();
    if !counts || column.null_count() > 0 {
        return None;
    }
    let data = column.to_data();
    macro_rules! natives {
        ($native:ty) => {{
            let buffer = data.buffers()[0].clone();
            let values = ScalarBuffer::<$native>::new(buffer, data.offset(), data.len());
            let is_signed = <$native>::MIN != 0;
            let number = |value: &$native| *value as u64 ^ (u64::from(is_signed) << 63);
            values
                .is_sorted()
                .then(|| values.iter().map(number).collect())
        }};
    }
    match (data_type.primitive_width(), data_type) {
        (Some(1), DataType::UInt8) => natives!(u8),
        (Some(2), DataType::UInt16) => natives!(u16),
        (Some(4), DataType::UInt32) => natives!(u32),
        (Some(8), DataType::UInt64) => natives!(u64),
        (Some(1), _) => natives!(i8),
        (Some(2), _) => natives!(i16),
        (Some(4), _) => natives!(i32),
        // Of an interval, the bits have another order than the spans.
        (Some(8), of) if !matches!(of, DataType::Interval(_)) => natives!(i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date32Array, Float64Array, Int8Array, Int64Array, StringArray, UInt64Array};

    use super::*;

    #[test]
    fn whole_numbers_that_ascend_are_numbers_in_the_same_order() {
        let of = |column: ArrayRef| ascending(&[column]);
        let signed = of(Arc::new(Int64Array::from(vec![
            i64::MIN,
            -1,
            0,
            0,
            i64::MAX,
        ])))
        .unwrap();
        assert!(signed.is_sorted() && signed[1] < signed[2] && signed[2] == signed[3]);
        let small = of(Arc::new(Int8Array::from(vec![-128, -1, 5]))).unwrap();
        assert!(small.is_sorted_by(|a, b| a < b));
        let large = of(Arc::new(UInt64Array::from(vec![0, 1 << 63, u64::MAX]))).unwrap();
        assert_eq!(large, [0, 1 << 63, u64::MAX]);
        let sliced = Date32Array::from(vec![9, 1, 2]).slice(1, 2);
        assert_eq!(of(Arc::new(sliced)).unwrap().len(), 2);
        let others: [ArrayRef; 4] = [
            Arc::new(Int64Array::from(vec![1, 0])),
            Arc::new(Int64Array::from(vec![Some(1), None])),
            Arc::new(Float64Array::from(vec![1.0, 2.0])),
            Arc::new(StringArray::from(vec!["a", "b"])),
        ];
        for column in others {
            assert_eq!(of(column), None);
        }
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        assert_eq!(ascending(&[column.clone(), column]), None);
    }

    #[test]
    fn stretches_are_cut_so_that_numbers_ascend_or_left_where_they_would_be_short() {
        let blocks = |turn: u64| (0..1_000).filter(move |n| n / 100 % 2 == turn);
        let long = Routed::by_range(vec![
            blocks(0).collect(),
            blocks(1).collect(),
            vec![999; 70],
        ]);
        let all = |routed: &[Routed]| -> Vec<Stretch> {
            let whole = |(batch, of): (usize, &Routed)| Stretch {
                batch,
                range: 0..of.numbers.len(),
            };
            routed.iter().enumerate().map(whole).collect()
        };
        let merged = in_order(&long, &all(&long)).unwrap();
        let numbers = merged
            .iter()
            .flat_map(|of| &long[of.batch].numbers[of.range.clone()]);
        let numbers: Vec<u64> = numbers.copied().collect();
        assert!(numbers.is_sorted() && numbers.len() == 1_070);
        assert!(merged.len() <= 12, "{}", merged.len());
        let turns = |turn: u64| (0..1_000).filter(move |n| n % 2 == turn).collect();
        let short = Routed::by_range(vec![turns(0), turns(1)]);
        assert_eq!(in_order(&short, &all(&short)), None);
    }

    #[test]
    fn ranges_of_keys_hold_every_row_once_and_equal_keys_together() {
        let evenly: Vec<Vec<u64>> = (0..5).map(|n| (n..20_000).step_by(3).collect()).collect();
        let few = vec![vec![3], vec![], vec![3, 3, 9]];
        let one_hot = vec![vec![7; 1_000], (0..100).collect()];
        for batches in [evenly, few, one_hot, vec![], vec![vec![]]] {
            let routed = Routed::by_range(batches.clone());
            let mut bucket_of = std::collections::BTreeMap::new();
            for (routed, keys) in routed.iter().zip(&batches) {
                let all: Vec<usize> = (0..N_BUCKETS).flat_map(|idx| routed.range(idx)).collect();
                assert!(all.into_iter().eq(0..keys.len()));
                for bucket in 0..N_BUCKETS {
                    for key in &routed.numbers[routed.range(bucket)] {
                        assert_eq!(*bucket_of.entry(*key).or_insert(bucket), bucket);
                    }
                }
            }
            if batches.len() == 5 {
                let rows_of = |bucket: usize| -> usize {
                    routed.iter().map(|of| of.range(bucket).len()).sum()
                };
                let most = (0..N_BUCKETS).map(rows_of).max().unwrap();
                let n_rows: usize = batches.iter().map(Vec::len).sum();
                assert!(most < 3 * n_rows / N_BUCKETS, "{most} of {n_rows}");
            }
        }
    }
}
