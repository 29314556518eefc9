//! Variance, standard deviation, covariance and correlation.
//!
//! In:  numbers, taken as `f64`.
//! Out: `Float64`; null with too few values, NaN where a value is not finite or
//!      so large (1e140) that its square leaves the range.
//!
//! Kept are the count and exact sums of values and of their products. The
//! numerator `n·Σx² − (Σx)²` is exact as well before it is rounded, so nothing
//! cancels, however far the mean lies from zero, and no cut changes a bit.

use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, Int32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Decimal128Array, Decimal256Array, Float64Array, Int32Array, NullArray,
    UInt64Array,
};
use arrow_buffer::{NullBuffer, i256};

use super::exact::{Expansion, rounded_wide};
use super::state::{Groups, State};
use super::window::WindowSums;
use crate::error::Result;
use crate::expr::number::Numbers;

/// What is made of the sums.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Variance { ddof: u8, root: bool },
    Covariance { ddof: u8 },
    Correlation,
}

/// Counts and sums of `C` columns and `P` products, one of each per group.
pub(super) struct Moments<const C: usize, const P: usize> {
    moment: Moment,
    pairs: [(usize, usize); P],
    counts: Vec<u64>,
    sums: WindowSums<C, P>,
}

/// The state of a variance: Σx and Σx².
pub(super) fn variance(ddof: u8, root: bool) -> Moments<1, 1> {
    Moments::new(Moment::Variance { ddof, root }, [(0, 0)])
}

/// The state of a covariance: Σx, Σy, Σxy.
pub(super) fn covariance(ddof: u8) -> Moments<2, 1> {
    Moments::new(Moment::Covariance { ddof }, [(0, 1)])
}

/// The state of a correlation: Σx, Σy, Σx², Σy², Σxy.
pub(super) fn correlation() -> Moments<2, 3> {
    Moments::new(Moment::Correlation, [(0, 0), (1, 1), (0, 1)])
}

/// Columns of the partial of so many columns and products.
pub(super) const fn n_partial_columns(columns: usize, products: usize) -> usize {
    // Counts, units, sums, products, and what the windows do not hold.
    1 + columns + columns + products + 1
}

/// What is left out of expansions that are written one behind the other.
const LENGTH_BYTES: usize = 4;

impl<const C: usize, const P: usize> Moments<C, P> {
    fn new(moment: Moment, pairs: [(usize, usize); P]) -> Self {
        Moments {
            moment,
            pairs,
            counts: Vec::new(),
            sums: WindowSums::new(pairs),
        }
    }

    /// `n·Σab − Σa·Σb` of a group, for the product at a place.
    fn cross(&self, group: usize, product: usize) -> f64 {
        let n = self.counts[group];
        let (a, b) = self.pairs[product];
        let (sums, bases) = (&self.sums, self.sums.bases());
        let sum = |column: usize| i256::from_i128(sums.sum(group, column));
        let products = sums.product(group, product);
        let Some(rest) = sums.rest(group) else {
            // Each of both has fewer than 250 bits.
            let scaled = i256::from_i128(n.into()).wrapping_mul(products);
            let squared = sum(a).wrapping_mul(sum(b));
            return rounded_wide(scaled.wrapping_sub(squared), bases[a] + bases[b]);
        };
        let with = |rest: &Expansion, value: i256, base: i32| {
            let mut whole = rest.clone();
            whole.add_wide(value, base);
            whole
        };
        Expansion::cross(
            n as f64,
            &with(&rest[C + product], products, bases[a] + bases[b]),
            &with(&rest[a], sum(a), bases[a]),
            &with(&rest[b], sum(b), bases[b]),
        )
    }

    fn value(&self, group: usize) -> Option<f64> {
        let n = self.counts[group];
        match self.moment {
            Moment::Variance { ddof, .. } | Moment::Covariance { ddof } if n <= u64::from(ddof) => {
                None
            }
            // One division: the divisor is exact for up to 9e7 values.
            Moment::Variance { ddof, root } => {
                let variance = self.cross(group, 0) / (n as f64 * (n - u64::from(ddof)) as f64);
                Some(if root { variance.sqrt() } else { variance })
            }
            Moment::Covariance { ddof } => {
                Some(self.cross(group, 0) / (n as f64 * (n - u64::from(ddof)) as f64))
            }
            Moment::Correlation if n < 2 => None,
            Moment::Correlation => {
                let [x, y, both] = [0, 1, 2].map(|product| self.cross(group, product));
                // NaN where a column does not vary; `clamp` keeps NaN.
                Some((both / x.sqrt() / y.sqrt()).clamp(-1.0, 1.0))
            }
        }
    }

    /// The smallest units of the sums of a partial, and the rows that it is of.
    fn reach_of(&self, partial: &Partial<'_, C, P>) -> Option<([i32; C], u64)> {
        let rows = (0..partial.counts.len()).filter(|&row| partial.has_sums(row));
        rows.fold(None, |reach, row| {
            let (bases, count) = (partial.bases(row), partial.counts[row]);
            Some(match reach {
                None => (bases, count),
                Some((known, counts)) => {
                    let least = std::array::from_fn(|at| bases[at].min(known[at]));
                    (least, count.saturating_add(counts))
                }
            })
        })
    }

    fn rest_column(&self) -> ArrayRef {
        if !self.sums.has_rest() {
            return Arc::new(NullArray::new(self.counts.len()));
        }
        let mut column = BinaryBuilder::new();
        for group in 0..self.counts.len() {
            match self.sums.rest(group) {
                None => column.append_null(),
                Some(rest) => {
                    let mut bytes = Vec::new();
                    for sum in rest {
                        let sum = sum.encode();
                        bytes.extend((sum.len() as u32).to_le_bytes());
                        bytes.extend(sum);
                    }
                    column.append_value(bytes);
                }
            }
        }
        Arc::new(column.finish())
    }
}

/// The columns of a partial.
struct Partial<'a, const C: usize, const P: usize> {
    counts: &'a [u64],
    bases: [&'a [i32]; C],
    sums: [&'a [i128]; C],
    products: [&'a [i256]; P],
}

impl<'a, const C: usize, const P: usize> Partial<'a, C, P> {
    fn of(columns: &'a [ArrayRef]) -> Self {
        let base = |at: usize| &**columns[1 + at].as_primitive::<Int32Type>().values();
        let sum = |at: usize| {
            &**columns[1 + C + at]
                .as_primitive::<Decimal128Type>()
                .values()
        };
        let product = |at: usize| {
            let column = columns[1 + 2 * C + at].as_primitive::<Decimal256Type>();
            &**column.values()
        };
        Partial {
            counts: columns[0].as_primitive::<UInt64Type>().values(),
            bases: std::array::from_fn(base),
            sums: std::array::from_fn(sum),
            products: std::array::from_fn(product),
        }
    }

    fn bases(&self, row: usize) -> [i32; C] {
        self.bases.map(|column| column[row])
    }

    fn sums(&self, row: usize) -> ([i128; C], [i256; P]) {
        let products = self.products.map(|column| column[row]);
        (self.sums.map(|column| column[row]), products)
    }

    fn has_sums(&self, row: usize) -> bool {
        let (sums, products) = self.sums(row);
        sums.iter().any(|sum| *sum != 0) || products.iter().any(|sum| *sum != i256::ZERO)
    }
}

impl<const C: usize, const P: usize> State for Moments<C, P> {
    fn grow(&mut self, n_groups: usize) {
        if n_groups > self.counts.len() {
            self.counts.resize(n_groups, 0);
        }
        self.sums.grow(n_groups);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let floats = columns
            .iter()
            .map(|column| Ok(Numbers::of(column)?.to_floats()))
            .collect::<Result<Vec<_>>>()?;
        let nulls = floats.iter().fold(None, |nulls, column| {
            NullBuffer::union(nulls.as_ref(), column.nulls())
        });
        let counts = &mut self.counts;
        groups.for_valid(nulls.as_ref(), |_, group| counts[group] += 1);
        let values = std::array::from_fn(|at| &**floats[at].values());
        self.sums.add(groups, nulls.as_ref(), values);
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let columns = Partial::<C, P>::of(partial);
        groups.for_each(|row, group| self.counts[group] += columns.counts[row]);
        if let Some((bases, rows)) = self.reach_of(&columns) {
            self.sums.meet(bases, rows);
            groups.for_each(|row, group| {
                if columns.has_sums(row) {
                    let (sums, products) = columns.sums(row);
                    self.sums.merge(group, columns.bases(row), sums, products);
                }
            });
        }
        let Some(rest) = partial[1 + 2 * C + P].as_binary_opt::<i32>() else {
            return Ok(());
        };
        groups.for_valid(rest.nulls(), |row, group| {
            let mut bytes = rest.value(row);
            self.sums.change_rest(group, |sums| {
                for sum in sums {
                    let (length, behind) = bytes.split_at(LENGTH_BYTES);
                    let length = length.try_into().map_or(0, u32::from_le_bytes);
                    let (own, behind) = behind.split_at(length as usize);
                    sum.add_encoded(own);
                    bytes = behind;
                }
            });
        });
        Ok(())
    }

    /// Counts; for each column the units of its sums; the sums; the products; and
    /// expansions, of type null where no group has any.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        self.sums.settle();
        let n_groups = self.counts.len();
        let (sums, bases) = (&self.sums, self.sums.bases());
        let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from(self.counts.clone()))];
        for base in bases {
            columns.push(Arc::new(Int32Array::from_value(base, n_groups)));
        }
        for column in 0..C {
            let sums = (0..n_groups).map(|group| sums.sum(group, column));
            columns.push(Arc::new(Decimal128Array::from_iter_values(sums)));
        }
        for product in 0..P {
            let products = (0..n_groups).map(|group| sums.product(group, product));
            columns.push(Arc::new(Decimal256Array::from_iter_values(products)));
        }
        columns.push(self.rest_column());
        *self = Moments::new(self.moment, self.pairs);
        Ok(columns)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.sums.settle();
        let values: Float64Array = (0..self.counts.len())
            .map(|group| self.value(group))
            .collect();
        *self = Moments::new(self.moment, self.pairs);
        Ok(Arc::new(values))
    }

    fn bytes(&self) -> usize {
        8 * self.counts.capacity() + self.sums.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[f64]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    /// All expansions: what windows must agree with, bit by bit.
    fn plain(x: &[f64], y: &[f64], product: usize) -> f64 {
        let (a, b) = [(x, x), (y, y), (x, y)][product];
        let sum = |values: &mut dyn Iterator<Item = f64>| {
            let mut sum = Expansion::default();
            values.for_each(|value| sum.add(value));
            sum
        };
        let mut products = Expansion::default();
        for (a, b) in a.iter().zip(b) {
            products.add_product(*a, *b);
        }
        let (a, b) = (sum(&mut a.iter().copied()), sum(&mut b.iter().copied()));
        Expansion::cross(x.len() as f64, &products, &a, &b)
    }

    fn random(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state ^ (state >> 29)
        }
    }

    /// Numbers of one kind after the other.
    fn kinds() -> Vec<Vec<f64>> {
        let mut next = random(5);
        let mut unit = move || (next() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut some =
            |of: &mut dyn FnMut(f64) -> f64| -> Vec<f64> { (0..400).map(|_| of(unit())).collect() };
        vec![
            some(&mut |u| (u * 15.0).floor()),
            some(&mut |u| (u * 1e8).floor() / 1e6),
            some(&mut |u| (u - 0.5) * 1e18),
            some(&mut |u| (-u * 1e13).floor()),
            some(&mut |u| (u - 0.5) * 10_f64.powf(u * 40.0 - 20.0)),
            some(&mut |u| 1e16 + (u * 8.0).floor()),
            some(&mut |u| (u - 0.5) * 1e-130),
            some(&mut |u| 1e90 * u),
            vec![0.0, -0.0, 5e-324, 1e-310, 0.5, -1e100, 3.0, 3.0],
            vec![1.0, f64::INFINITY, f64::NAN, 2.0],
        ]
    }

    fn check(x: &[f64], y: &[f64], step: usize) {
        let mut whole = correlation();
        let mut merged = correlation();
        for (x, y) in x.chunks(step).zip(y.chunks(step)) {
            let columns = [column(x), column(y)];
            whole.update(Groups::one(x.len()), &columns).unwrap();
            let mut part = correlation();
            part.update(Groups::one(x.len()), &columns).unwrap();
            let part = part.partial().unwrap();
            assert_eq!(part.len(), n_partial_columns(2, 3));
            merged.merge(Groups::one(1), &part).unwrap();
        }
        whole.sums.settle();
        merged.sums.settle();
        for product in 0..3 {
            let expected = plain(x, y, product);
            for (found, how) in [(&whole, "whole"), (&merged, "merged")] {
                let found = found.cross(0, product);
                let same = found == expected || found.is_nan() && expected.is_nan();
                assert!(
                    same,
                    "{how} {product} {step}: {found:e} is not {expected:e}"
                );
            }
        }
    }

    #[test]
    fn windows_give_what_expansions_give_for_any_numbers_in_any_cut() {
        let kinds = kinds();
        for x in &kinds {
            for y in &kinds {
                let n = x.len().min(y.len());
                for step in [1, 60, 400] {
                    check(&x[..n], &y[..n], step);
                }
            }
        }
    }

    #[test]
    fn numbers_that_change_their_kind_on_the_way_move_the_windows() {
        let kinds = kinds();
        let in_turn: Vec<f64> = kinds[..8].concat();
        let turned: Vec<f64> = in_turn.iter().rev().copied().collect();
        for step in [100, 400, in_turn.len()] {
            check(&in_turn, &turned, step);
            check(&turned, &turned, step);
        }
    }

    #[test]
    fn most_rows_lie_within_the_windows() {
        let kinds = kinds();
        for kind in [0, 1, 3, 5] {
            let mut state = variance(1, false);
            let values = column(&kinds[kind]);
            for part in [values.slice(0, 100), values.slice(100, 300)] {
                state.update(Groups::one(part.len()), &[part]).unwrap();
            }
            assert!(!state.sums.has_rest(), "{kind}");
        }
    }
}
