//! Approximate quantiles.
//!
//! In:  numbers, taken as `f64`.
//! Out: a value whose rank is the one asked for, to within 0.4 % of itself.
//!
//! Values are counted by sign, exponent and the first 7 bits of the fraction.
//! Sketches of ranks (t-digest, KLL) answer by how their input was cut and
//! merged; counts do not, and can be added up in any order. At most 2^19
//! counters could be in use; values within a factor of 1,000 use 1,280.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, UInt32Array, UInt64Array};
use hashbrown::HashMap;

use super::state::{Groups, State, flat, lists, nulls_where, offsets_of};
use crate::error::Result;
use crate::expr::number::Numbers;

/// Bits of the fraction that tell counters apart: a counter is 1/128 wide, and
/// its middle within 1/256 of all its values.
const BITS: u32 = 7;

/// The counter of a value; counters are in the order of values.
#[inline]
fn counter(value: f64) -> u32 {
    let value = if value.is_nan() {
        f64::NAN
    } else {
        value + 0.0
    };
    let bits = (value.to_bits() >> (52 - BITS)) as u32;
    let sign = 1 << (11 + BITS);
    if bits & sign == 0 {
        bits | sign
    } else {
        !bits & (sign - 1)
    }
}

/// The value in the middle of a counter; zero, infinities and NaN as they are.
fn middle(counter: u32) -> f64 {
    let sign = 1 << (11 + BITS);
    let (bits, negative) = if counter & sign == 0 {
        (!counter & (sign - 1), true)
    } else {
        (counter & (sign - 1), false)
    };
    let low = u64::from(bits) << (52 - BITS);
    let special = bits == 0 || f64::from_bits(low).is_infinite() || f64::from_bits(low).is_nan();
    let half = if special { 0 } else { 1 << (51 - BITS) };
    let size = f64::from_bits(low | half);
    if negative { -size } else { size }
}

/// Counts of values by size, for every group.
pub(super) struct Histogram {
    q: f64,
    n_groups: usize,
    counts: HashMap<(u32, u32), u64>,
}

impl Histogram {
    pub fn new(q: f64) -> Self {
        Histogram {
            q,
            n_groups: 0,
            counts: HashMap::new(),
        }
    }

    fn add(&mut self, group: u32, counter: u32, count: u64) {
        *self.counts.entry((group, counter)).or_default() += count;
    }

    /// All counts, by group, then by size.
    fn take_sorted(&mut self) -> Vec<((u32, u32), u64)> {
        let mut sorted: Vec<_> = std::mem::take(&mut self.counts).into_iter().collect();
        sorted.sort_unstable();
        sorted
    }

    /// The value of the rank that is asked for, of sorted counts.
    fn answer(&self, counts: &[((u32, u32), u64)]) -> f64 {
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        // The lower of the two values that an exact quantile lies between.
        let rank = (self.q * (total.saturating_sub(1)) as f64).floor() as u64;
        let mut below = 0;
        for ((_, counter), count) in counts {
            below += count;
            if below > rank {
                return middle(*counter);
            }
        }
        0.0
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
            self.add(group as u32, counter(values.value(row)), 1);
        });
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let (ids, counters) = flat(partial[0].as_list(), groups);
        let (_, counts) = flat(partial[1].as_list(), groups);
        let counters = counters.as_primitive::<UInt32Type>();
        let counts = counts.as_primitive::<UInt64Type>();
        for (row, id) in ids.into_iter().enumerate() {
            self.add(id, counters.value(row), counts.value(row));
        }
        Ok(())
    }

    /// A list of counters and a list of their counts.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let mut lengths = vec![0_usize; std::mem::take(&mut self.n_groups)];
        let sorted = self.take_sorted();
        for ((group, _), _) in &sorted {
            lengths[*group as usize] += 1;
        }
        let offsets = offsets_of(lengths.into_iter())?;
        let counters = sorted.iter().map(|((_, counter), _)| *counter);
        let counters = Arc::new(UInt32Array::from_iter_values(counters));
        let counts = sorted.iter().map(|(_, count)| *count);
        let counts = Arc::new(UInt64Array::from_iter_values(counts));
        Ok(vec![
            Arc::new(lists(counters, offsets.clone())),
            Arc::new(lists(counts, offsets)),
        ])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let n_groups = std::mem::take(&mut self.n_groups);
        let sorted = self.take_sorted();
        let mut answers = vec![0.0; n_groups];
        let mut seen = vec![false; n_groups];
        for counts in sorted.chunk_by(|a, b| a.0.0 == b.0.0) {
            let group = counts[0].0.0 as usize;
            answers[group] = self.answer(counts);
            seen[group] = true;
        }
        let nulls = nulls_where(seen.into_iter());
        Ok(Arc::new(Float64Array::new(answers.into(), nulls)))
    }

    fn bytes(&self) -> usize {
        self.counts.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_holds_values_near_its_middle_and_counters_are_in_order() {
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
        for value in values {
            let near = middle(counter(value));
            let off = (near - value).abs() / value.abs();
            let same = near == value || (near.is_nan() && value.is_nan());
            assert!(same || off <= 1.0 / 256.0, "{value}: {near}");
        }
        assert_eq!(counter(-0.0), counter(0.0));
        assert_eq!(counter(-f64::NAN), counter(f64::NAN));
    }
}
