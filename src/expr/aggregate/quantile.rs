//! Exact quantiles.
//!
//! In:  numbers, taken as `f64`.
//! Out: a `Float64` per group; null without values.
//!
//! Values wait as they came, beside their groups. At the end those of a group
//! are brought together, and the one or two that are asked for are selected: no
//! group is sorted. Those of a large group are sifted, which can be called off.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, ListArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_select::take::take;

use super::sift::Sift;
use super::state::{Groups, State, lists, nulls_where, offsets_of};
use crate::cancel::{Paced, check, stretches};
use crate::error::Result;

/// Most values that one call selects among: 20 ms.
const AT_ONCE: usize = 1 << 20;

/// Values that wait.
enum Chunk {
    /// Each with its group.
    Rows(Vec<u32>, Float64Array),
    /// Lists of them, each with its group.
    Lists(Vec<u32>, ListArray),
}

/// All values of every group.
pub(super) struct Quantile {
    q: f64,
    n_groups: usize,
    chunks: Vec<Chunk>,
    chunk_bytes: usize,
}

impl Quantile {
    /// The value below which a share `q` of a group's values lies.
    pub fn new(q: f64) -> Self {
        Quantile {
            q,
            n_groups: 0,
            chunks: Vec::new(),
            chunk_bytes: 0,
        }
    }

    fn push(&mut self, chunk: Chunk, n_values: usize, n_ids: usize) {
        self.chunk_bytes += 8 * n_values + 4 * n_ids;
        self.chunks.push(chunk);
    }

    /// All values, those of a group together; the state keeps none.
    fn take_values(&mut self) -> Result<(Vec<f64>, OffsetBuffer<i32>)> {
        let chunks = std::mem::take(&mut self.chunks);
        self.chunk_bytes = 0;
        let mut lengths = vec![0_usize; std::mem::take(&mut self.n_groups)];
        for chunk in &chunks {
            check()?;
            match chunk {
                Chunk::Rows(groups, _) => {
                    for &group in groups {
                        lengths[group as usize] += 1;
                    }
                }
                Chunk::Lists(groups, lists) => {
                    for (&group, list) in groups.iter().zip(lists.value_offsets().windows(2)) {
                        lengths[group as usize] += (list[1] - list[0]) as usize;
                    }
                }
            }
        }
        let offsets = offsets_of(lengths.into_iter())?;
        let mut next: Vec<usize> = offsets.iter().map(|&start| start as usize).collect();
        let mut values = vec![0.0; next.last().copied().unwrap_or(0)];
        for chunk in chunks {
            check()?;
            match chunk {
                Chunk::Rows(groups, from) => {
                    for (group, value) in groups.into_iter().zip(from.values()) {
                        let slot = &mut next[group as usize];
                        values[*slot] = *value;
                        *slot += 1;
                    }
                }
                Chunk::Lists(groups, lists) => {
                    let from = lists.values().as_primitive::<Float64Type>().values();
                    for (group, list) in groups.into_iter().zip(lists.value_offsets().windows(2)) {
                        let list = &from[list[0] as usize..list[1] as usize];
                        let slot = &mut next[group as usize];
                        values[*slot..*slot + list.len()].copy_from_slice(list);
                        *slot += list.len();
                    }
                }
            }
        }
        Ok((values, offsets))
    }
}

/// Where a number stands among all, as a whole number; every NaN is the same and above them.
#[inline]
pub(super) fn rank(value: f64) -> i64 {
    let value = if value.is_nan() { f64::NAN } else { value };
    flip(value.to_bits() as i64)
}

/// The number that stands there.
#[inline]
pub(super) fn of_rank(rank: i64) -> f64 {
    f64::from_bits(flip(rank) as u64)
}

/// Turns around the order of negative numbers: from bits to ranks, and back.
#[inline]
fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// The value below which a share `q` of the values with these ranks lies, in
/// proportion between two. There is at least one; their order changes.
fn select(ranks: &mut [i64], q: f64) -> f64 {
    let place = q * (ranks.len() - 1) as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    let (_, low, above) = ranks.select_nth_unstable(below);
    let low = of_rank(*low);
    // Without any above, the share is 0.
    let Some(high) = above.iter().min().filter(|_| share != 0.0) else {
        return low;
    };
    between(low, of_rank(*high), share)
}

/// The number at a share of the way from one to the next.
pub(in crate::expr) fn between(low: f64, high: f64, share: f64) -> f64 {
    // Also where both are the same infinity, or their distance is beyond f64.
    if share == 0.0 || low == high {
        low
    } else {
        low * (1.0 - share) + high * share
    }
}

/// As [`select`], of many values: looked at several times, and called off in between.
fn sifted(values: &[f64], q: f64) -> Result<f64> {
    let mut sift = Sift::new(q);
    loop {
        for rows in stretches(values.len()) {
            sift.take(&values[rows?]);
        }
        if let Some(answer) = sift.turn() {
            return Ok(answer.unwrap_or(f64::NAN));
        }
        if sift.held_bytes() <= (AT_ONCE * size_of::<f64>()) as u64 {
            sift.hold();
        }
    }
}

impl State for Quantile {
    fn grow(&mut self, n_groups: usize) {
        self.n_groups = self.n_groups.max(n_groups);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let mut column = Arc::clone(&columns[0]);
        let mut ids = Vec::with_capacity(groups.n_rows());
        match column
            .nulls()
            .filter(|nulls| nulls.null_count() > 0)
            .cloned()
        {
            None => groups.for_each(|_, group| ids.push(group as u32)),
            Some(nulls) => {
                let mut rows = Vec::with_capacity(groups.n_rows());
                groups.for_valid(Some(&nulls), |row, group| {
                    ids.push(group as u32);
                    rows.push(row as u32);
                });
                column = take(&column, &UInt32Array::from(rows), None)?;
            }
        }
        let (n_ids, values) = (ids.len(), column.as_primitive::<Float64Type>().clone());
        self.push(Chunk::Rows(ids, values), n_ids, n_ids);
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let lists = partial[0].as_list::<i32>().clone();
        let mut ids = Vec::with_capacity(groups.n_rows());
        groups.for_each(|_, group| ids.push(group as u32));
        let offsets = lists.value_offsets();
        let n_values = (offsets[lists.len()] - offsets[0]) as usize;
        let n_ids = ids.len();
        self.push(Chunk::Lists(ids, lists), n_values, n_ids);
        Ok(())
    }

    /// A list of the values of each group.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let (values, offsets) = self.take_values()?;
        Ok(vec![Arc::new(lists(
            Arc::new(Float64Array::from(values)),
            offsets,
        ))])
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let (values, offsets) = self.take_values()?;
        let mut ranks = Vec::new();
        let mut answers = Vec::with_capacity(offsets.len() - 1);
        let mut paced = Paced::default();
        for range in offsets.windows(2) {
            let values = &values[range[0] as usize..range[1] as usize];
            paced.passed(values.len())?;
            ranks.clear();
            answers.push(match values.len() {
                0 => 0.0,
                1..=AT_ONCE => {
                    ranks.extend(values.iter().map(|value| rank(*value)));
                    select(&mut ranks, self.q)
                }
                _ => sifted(values, self.q)?,
            });
        }
        let nulls = nulls_where(offsets.windows(2).map(|range| range[1] > range[0]));
        Ok(Arc::new(Float64Array::new(answers.into(), nulls)))
    }

    fn bytes(&self) -> usize {
        self.chunk_bytes
    }
}

/// Fractions that have an order or an equal of their own.
#[cfg(test)]
pub(super) const SPECIAL: [f64; 6] = [
    f64::NAN,
    -f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
];

/// The quantile of values, of which there are some.
#[cfg(test)]
pub(super) fn select_of(values: &[f64], q: f64) -> f64 {
    let mut ranks: Vec<i64> = values.iter().map(|value| rank(*value)).collect();
    select(&mut ranks, q)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::ROWS_BETWEEN;
    use crate::cancel::tests::assert_stops;

    /// By sorting.
    fn plain(values: &[f64], q: f64) -> f64 {
        let one_nan = |value: &f64| if value.is_nan() { f64::NAN } else { *value };
        let mut sorted: Vec<f64> = values.iter().map(one_nan).collect();
        sorted.sort_by(f64::total_cmp);
        let place = q * (sorted.len() - 1) as f64;
        let low = sorted[place.floor() as usize];
        let high = sorted[place.ceil() as usize];
        match low == high || place.fract() == 0.0 {
            true => low,
            false => low * (1.0 - place.fract()) + high * place.fract(),
        }
    }

    #[test]
    fn a_large_group_is_sifted_and_given_up_between_stretches_of_values() {
        let n = 2 * ROWS_BETWEEN as u64 + 3;
        let numbers = (0..n).map(|idx| (idx.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12) as f64);
        let values: Vec<f64> = numbers.collect();
        assert_eq!(sifted(&values, 0.3).unwrap(), select_of(&values, 0.3));
        assert_stops("a quantile", 2 * 3, || sifted(&values, 0.3));
    }

    #[test]
    fn what_is_selected_is_what_sorting_finds() {
        for n in 1..60 {
            let values: Vec<f64> = (0..n)
                .map(|idx: usize| match idx % 11 {
                    10 => SPECIAL[idx / 11],
                    _ => (idx * 37 % 23) as f64 - 9.5,
                })
                .collect();
            for q in [0.0, 0.1, 0.5, 0.75, 0.99, 1.0] {
                let (found, expected) = (select_of(&values, q), plain(&values, q));
                let same = found.is_nan() && expected.is_nan();
                let same = same || found.to_bits() == expected.to_bits();
                assert!(same, "{found} is not {expected}: {values:?} {q}");
            }
        }
    }
}
