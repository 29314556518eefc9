//! Approximate quantiles.
//!
//! In:  numbers, taken as `f64`.
//! Out: a value whose rank is the one asked for, to within 0.4 % of itself.
//!
//! Values are counted by sign, exponent and the first 7 bits of the fraction;
//! the smallest and largest of a counter are kept, so few values are exact.
//! Sketches of ranks (t-digest, KLL) answer by how their input was cut and
//! merged; counts do not, and can be added up in any order. At most 2^19
//! counters could be in use; values within a factor of 1,000 use 1,280.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, UInt64Array};
use hashbrown::HashMap;

use super::state::{Groups, State, flat, lists, nulls_where, offsets_of};
use crate::error::Result;
use crate::expr::number::{Numbers, float_key};

/// Bits of the fraction that tell counters apart: the values of one are within
/// 1/128 of each other, so the middle of any two is within 1/256 of all between.
const BITS: u32 = 7;

/// The counter of a value; counters are in the order of values.
#[inline]
fn counter(value: f64) -> u32 {
    // The order of the key as an unsigned number is that of the values.
    let key = float_key(value).cast_unsigned() ^ (1 << 63);
    (key >> (52 - BITS)) as u32
}

/// The values of one counter.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counted {
    count: u64,
    min: f64,
    max: f64,
}

impl Counted {
    fn add(&mut self, other: Counted) {
        self.count += other.count;
        // Nothing changes for NaN, which has a counter of its own.
        self.min = if other.min < self.min {
            other.min
        } else {
            self.min
        };
        self.max = if other.max > self.max {
            other.max
        } else {
            self.max
        };
    }

    /// About the value that so many others of the counter are below; of the
    /// smallest and the largest, and of equal ones, exactly.
    fn value(&self, rank: u64) -> f64 {
        if rank == 0 {
            self.min
        } else if rank + 1 == self.count {
            self.max
        } else {
            self.min / 2.0 + self.max / 2.0
        }
    }
}

/// A counter: its group, then its number.
type Place = (u32, u32);

/// Counts of values by size, for every group.
pub(super) struct Histogram {
    q: f64,
    n_groups: usize,
    counters: HashMap<Place, Counted>,
}

impl Histogram {
    pub fn new(q: f64) -> Self {
        Histogram {
            q,
            n_groups: 0,
            counters: HashMap::new(),
        }
    }

    fn add(&mut self, group: u32, counted: Counted) {
        self.counters
            .entry((group, counter(counted.min)))
            .and_modify(|own| own.add(counted))
            .or_insert(counted);
    }

    /// All counters, by group, then by size.
    fn take_sorted(&mut self) -> Vec<(Place, Counted)> {
        let mut sorted: Vec<_> = std::mem::take(&mut self.counters).into_iter().collect();
        sorted.sort_unstable_by_key(|(place, _)| *place);
        sorted
    }

    /// The value of the rank that is asked for, of sorted counters.
    fn answer(&self, counters: &[(Place, Counted)]) -> f64 {
        let total: u64 = counters.iter().map(|(_, counted)| counted.count).sum();
        // The lower of the two values that an exact quantile lies between.
        let mut rank = (self.q * (total.saturating_sub(1)) as f64).floor() as u64;
        for (_, counted) in counters {
            if rank < counted.count {
                return counted.value(rank);
            }
            rank -= counted.count;
        }
        counters.last().map_or(f64::NAN, |(_, counted)| counted.max)
    }
}

impl State for Histogram {
    fn grow(&mut self, n_groups: usize) {
        self.n_groups = self.n_groups.max(n_groups);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let values = Numbers::of(&columns[0])?.to_floats();
        groups.for_valid(values.nulls(), |row, group| {
            let value = match values.value(row) {
                value if value.is_nan() => f64::NAN,
                value => value + 0.0,
            };
            let one = Counted {
                count: 1,
                min: value,
                max: value,
            };
            self.add(group as u32, one);
        });
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let (ids, counts) = flat(partial[0].as_list(), groups);
        let [(_, min), (_, max)] = [1, 2].map(|idx: usize| flat(partial[idx].as_list(), groups));
        let counts = counts.as_primitive::<UInt64Type>();
        let (min, max) = (
            min.as_primitive::<Float64Type>(),
            max.as_primitive::<Float64Type>(),
        );
        for (row, id) in ids.into_iter().enumerate() {
            let counted = Counted {
                count: counts.value(row),
                min: min.value(row),
                max: max.value(row),
            };
            self.add(id, counted);
        }
        Ok(())
    }

    /// For each group a list of counts, and of the smallest and the largest value of each.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let mut lengths = vec![0_usize; std::mem::take(&mut self.n_groups)];
        let sorted = self.take_sorted();
        for ((group, _), _) in &sorted {
            lengths[*group as usize] += 1;
        }
        let offsets = offsets_of(lengths.into_iter())?;
        let counted = || sorted.iter().map(|(_, counted)| *counted);
        let columns: [ArrayRef; 3] = [
            Arc::new(UInt64Array::from_iter_values(counted().map(|of| of.count))),
            Arc::new(Float64Array::from_iter_values(counted().map(|of| of.min))),
            Arc::new(Float64Array::from_iter_values(counted().map(|of| of.max))),
        ];
        let list = |column| Arc::new(lists(column, offsets.clone())) as ArrayRef;
        Ok(columns.map(list).to_vec())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let n_groups = std::mem::take(&mut self.n_groups);
        let sorted = self.take_sorted();
        let mut answers = vec![0.0; n_groups];
        let mut seen = vec![false; n_groups];
        for counters in sorted.chunk_by(|(a, _), (b, _)| a.0 == b.0) {
            let ((group, _), _) = counters[0];
            answers[group as usize] = self.answer(counters);
            seen[group as usize] = true;
        }
        let nulls = nulls_where(seen.into_iter());
        Ok(Arc::new(Float64Array::new(answers.into(), nulls)))
    }

    fn bytes(&self) -> usize {
        self.counters.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_in_order_and_hold_only_values_that_are_near() {
        let values = [
            f64::NEG_INFINITY,
            -1e300,
            -7.0,
            -1e-300,
            0.0,
            3e-308,
            0.1,
            1.0,
            1.5,
            1e18,
            f64::INFINITY,
            f64::NAN,
        ];
        let counters: Vec<u32> = values.iter().map(|&value| counter(value)).collect();
        assert!(counters.is_sorted_by(|a, b| a < b), "{counters:?}");
        for value in [1.0, 0.1, -7.0, 1e300_f64] {
            let far = value * (1.0 + 1.0 / 127.0);
            assert_ne!(counter(far), counter(value));
        }
        assert_eq!(counter(-0.0), counter(0.0));
        assert_eq!(counter(-f64::NAN), counter(f64::NAN));
    }

    #[test]
    fn small_whole_numbers_and_both_ends_are_exact() {
        let counted = |min, max| Counted { count: 5, min, max };
        assert_eq!(counted(2.0, 2.0).value(3), 2.0);
        assert_eq!(counted(200.0, 201.0).value(0), 200.0);
        assert_eq!(counted(200.0, 201.0).value(4), 201.0);
        assert_eq!(
            counted(f64::INFINITY, f64::INFINITY).value(2),
            f64::INFINITY
        );
        let distinct = (1..=128).map(|value| counter(f64::from(value)));
        assert!(distinct.is_sorted_by(|a, b| a < b));
    }
}
