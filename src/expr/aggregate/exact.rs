//! Sums of fractions without rounding.
//!
//! In:  `f64` values and products of them, in any order and any cut.
//! Out: their exact sum, rounded once.
//!
//! A sum that rounds at every step depends on the order of its terms, so on
//! cuts and threads. These do not: a total is kept as several `f64` whose sum
//! it is. Two of them, beside each other, nearly always do; what two cannot hold
//! goes to an expansion of the group's own. Method: J. R. Shewchuk, "Adaptive
//! precision floating-point arithmetic", 1997.
//!
//! ```text
//! value ─▶ hi ─ what was lost ─▶ lo ─ what was lost ─▶ expansion (rare)
//! ```

use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, NullArray};
use arrow_buffer::{NullBuffer, i256};
use hashbrown::HashMap;

use std::hint::black_box;
use std::sync::Arc;

use super::state::Groups;

/// Values below this in size cannot overflow a total of 2^63 of them: 2^960.
const LARGE: f64 = f64::from_bits((1023 + 960) << 52);
/// What larger ones are multiplied with, exactly, to be added up: 2^-128.
const DOWN: f64 = f64::from_bits((1023 - 128) << 52);
const UP: f64 = f64::from_bits((1023 + 128) << 52);

/// Groups from which on their sums are far away in memory: 256 KiB of them.
const FAR: usize = 16_384;
/// Rows whose sums are fetched together, before the first is added to: adding takes so
/// many steps that a processor looks only a few rows ahead.
const BLOCK: usize = 64;

/// The rounded sum and what rounding lost (D. E. Knuth).
#[inline]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let lost = (a - (sum - b_part)) + (b - b_part);
    (sum, lost)
}

/// The rounded product and what rounding lost (T. J. Dekker); both factors below 2^995.
#[inline]
pub(super) fn two_product(a: f64, b: f64) -> (f64, f64) {
    let split = |value: f64| {
        let scaled = 134_217_729.0 * value; // 2^27 + 1
        let high = scaled - (scaled - value);
        (high, value - high)
    };
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    let lost = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    (product, lost)
}

/// An exact number: terms that do not overlap, the smallest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::expr) struct Expansion {
    terms: Vec<f64>,
    /// The same for large values, each multiplied with [`DOWN`].
    large: Vec<f64>,
    /// What is no finite number: NaN, or an infinity.
    special: Option<f64>,
}

fn grow(terms: &mut Vec<f64>, mut value: f64) {
    let mut kept = 0;
    for idx in 0..terms.len() {
        let (sum, lost) = two_sum(value, terms[idx]);
        if lost != 0.0 {
            terms[kept] = lost;
            kept += 1;
        }
        value = sum;
    }
    terms.truncate(kept);
    if value != 0.0 {
        terms.push(value);
    }
}

/// The sum of terms that do not overlap, rounded to the nearest, ties to even.
fn rounded(terms: &[f64]) -> f64 {
    let Some((&last, mut rest)) = terms.split_last() else {
        return 0.0;
    };
    let (mut high, mut low) = (last, 0.0);
    while let Some((&next, before)) = rest.split_last() {
        (high, low) = two_sum(high, next);
        rest = before;
        if low != 0.0 {
            break;
        }
    }
    // Half way between two numbers, the terms further down decide.
    if let Some(&next) = rest.last()
        && ((low < 0.0 && next < 0.0) || (low > 0.0 && next > 0.0))
    {
        let doubled = low * 2.0;
        let moved = high + doubled;
        if moved - high == doubled {
            high = moved;
        }
    }
    high
}

impl Expansion {
    /// Adds a number of any size, also NaN and infinities.
    pub fn add(&mut self, value: f64) {
        if value.abs() < LARGE {
            grow(&mut self.terms, value);
        } else if value.is_finite() {
            grow(&mut self.large, value * DOWN);
        } else {
            // Opposite infinities give NaN, as does NaN with anything.
            self.special = Some(match self.special {
                Some(before) if before == value => before,
                None if !value.is_nan() => value,
                _ => f64::NAN,
            });
        }
    }

    /// Adds a product exactly; one beyond the range makes the sum infinite or NaN.
    pub fn add_product(&mut self, a: f64, b: f64) {
        let (product, lost) = product_terms(a, b);
        self.add(product);
        self.add(lost);
    }

    /// Adds a whole number exactly.
    pub fn add_int(&mut self, mut value: i128) {
        while value != 0 {
            let rounded = value as f64;
            self.add(rounded);
            value -= rounded as i128;
        }
    }

    /// Adds a whole number of units of 2^`base`, exactly: all of its bits lie
    /// among those of normal numbers.
    pub fn add_wide(&mut self, value: i256, base: i32) {
        let sign = if value.is_negative() { -1.0 } else { 1.0 };
        let bytes = value.wrapping_abs().to_le_bytes();
        let (words, _) = bytes.as_chunks::<4>();
        for (place, word) in (0..).zip(words) {
            let word = u32::from_le_bytes(*word);
            if word != 0 {
                self.add(sign * f64::from(word) * power_of_two(32 * place + base));
            }
        }
    }

    /// The number, rounded once.
    pub fn value(&self) -> f64 {
        if let Some(special) = self.special {
            return special;
        }
        if self.large.is_empty() {
            return rounded(&self.terms);
        }
        // Terms that are too small to be multiplied exactly can only decide a
        // tie, by the sign of the largest of them.
        let mut total = self.large.clone();
        let mut tiny = None;
        for &term in &self.terms {
            if term.abs() < 1e-200 {
                tiny = Some(1e-250_f64.copysign(term));
            } else {
                grow(&mut total, term * DOWN);
            }
        }
        if let Some(tiny) = tiny {
            grow(&mut total, tiny);
        }
        rounded(&total) * UP
    }

    /// `n` times the sum of products less a product of sums, `n·Σxy − Σx·Σy`,
    /// exact before it is rounded. NaN if anything is out of range.
    pub fn cross(n: f64, products: &Expansion, x: &Expansion, y: &Expansion) -> f64 {
        let all = [products, x, y];
        if all
            .iter()
            .any(|sum| sum.special.is_some() || !sum.large.is_empty())
        {
            return f64::NAN;
        }
        let mut total = Expansion::default();
        for &term in &products.terms {
            total.add_product(n, term);
        }
        for &a in &x.terms {
            for &b in &y.terms {
                total.add_product(-a, b);
            }
        }
        match total.value() {
            value if value.is_finite() => value,
            _ => f64::NAN,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.large.is_empty() && self.special.is_none()
    }

    pub fn bytes(&self) -> usize {
        size_of::<(u32, Expansion)>() + self.heap_bytes()
    }

    /// Bytes beside its own size.
    pub fn heap_bytes(&self) -> usize {
        8 * (self.terms.capacity() + self.large.capacity())
    }

    /// All parts as little-endian `f64`: the special one, or 0; how many large ones; those; the rest.
    pub fn encode(&self) -> Vec<u8> {
        let head = [self.special.unwrap_or(0.0), self.large.len() as f64];
        head.iter()
            .chain(&self.large)
            .chain(&self.terms)
            .flat_map(|part| part.to_le_bytes())
            .collect()
    }

    pub fn add_encoded(&mut self, bytes: &[u8]) {
        let (parts, _) = bytes.as_chunks::<8>();
        let mut parts = parts.iter().map(|part| f64::from_le_bytes(*part));
        let special = parts.next().unwrap_or(0.0);
        if special != 0.0 {
            self.add(special);
        }
        let n_large = parts.next().unwrap_or(0.0) as usize;
        for large in parts.by_ref().take(n_large) {
            grow(&mut self.large, large);
        }
        parts.for_each(|part| self.add(part));
    }
}

/// 2^`exponent`, of those that are normal numbers.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// A whole number of units of 2^`base`, rounded once; what comes out is a normal
/// number.
pub(super) fn rounded_wide(value: i256, base: i32) -> f64 {
    let size = value.wrapping_abs();
    let below = (256 - size.leading_zeros()).saturating_sub(64);
    let top = size >> below as u8;
    let exact = top << below as u8 == size;
    // A last bit that stands for all below it: the number is rounded further up.
    let top = top.as_i128() as u64 | u64::from(!exact);
    let size = top as f64 * power_of_two(below as i32 + base);
    if value.is_negative() { -size } else { size }
}

/// A product as two terms; both NaN or infinite where it leaves the range.
#[inline]
fn product_terms(a: f64, b: f64) -> (f64, f64) {
    if a.abs() < LARGE && b.abs() < LARGE {
        let (product, lost) = two_product(a, b);
        if product.is_finite() {
            return (product, lost);
        }
    }
    (a * b, 0.0)
}

/// One exact sum per group.
#[derive(Debug, Default)]
pub(super) struct ExactSums {
    /// The first two terms of each.
    pairs: Vec<[f64; 2]>,
    /// What they could not hold.
    rest: HashMap<u32, Expansion>,
    rest_bytes: usize,
}

impl ExactSums {
    pub fn grow(&mut self, n_groups: usize) {
        if n_groups > self.pairs.len() {
            self.pairs.resize(n_groups, [0.0; 2]);
        }
    }

    #[inline]
    pub fn add(&mut self, group: usize, value: f64) {
        if value.abs() < LARGE {
            let [high, low] = &mut self.pairs[group];
            let (sum, lost) = two_sum(*high, value);
            *high = sum;
            if lost != 0.0 {
                let (sum, lost) = two_sum(*low, lost);
                *low = sum;
                if lost != 0.0 {
                    self.add_to_rest(group, lost);
                }
            }
        } else {
            self.add_to_rest(group, value);
        }
    }

    #[cold]
    fn add_to_rest(&mut self, group: usize, value: f64) {
        self.change_rest(group, |rest| rest.add(value));
    }

    fn change_rest(&mut self, group: usize, change: impl FnOnce(&mut Expansion)) {
        let rest = self.rest.entry(group as u32).or_default();
        let before = if rest.is_empty() { 0 } else { rest.bytes() };
        change(rest);
        self.rest_bytes = self.rest_bytes + rest.bytes() - before.min(self.rest_bytes);
    }

    /// Adds a value of each row, without those that are null.
    pub fn add_values(&mut self, groups: Groups<'_>, values: &[f64], nulls: Option<&NullBuffer>) {
        self.grow(groups.n_groups());
        let ids = groups.ids().filter(|_| self.pairs.len() >= FAR);
        let (None | Some(0), Some(ids)) = (nulls.map(NullBuffer::null_count), ids) else {
            groups.for_valid(nulls, |row, group| self.add(group, values[row]));
            return;
        };
        for (ids, values) in ids.chunks(BLOCK).zip(values.chunks(BLOCK)) {
            let bits = ids
                .iter()
                .fold(0, |bits, id| bits | self.pairs[*id as usize][0].to_bits());
            black_box(bits);
            for (id, value) in ids.iter().zip(values) {
                self.add(*id as usize, *value);
            }
        }
    }

    /// Adds every value; `of` gives the row's value, or none.
    pub fn add_all(&mut self, groups: Groups<'_>, of: impl Fn(usize) -> Option<f64>) {
        self.grow(groups.n_groups());
        groups.for_each(|row, group| {
            if let Some(value) = of(row) {
                self.add(group, value);
            }
        });
    }

    /// The exact sum of a group.
    pub fn exact(&self, group: usize) -> Expansion {
        let mut exact = self.rest.get(&(group as u32)).cloned().unwrap_or_default();
        for term in self.pairs[group] {
            exact.add(term);
        }
        exact
    }

    /// The sum of a group, rounded once.
    pub fn value(&self, group: usize) -> f64 {
        if self.rest.is_empty() {
            let [high, low] = self.pairs[group];
            return high + low;
        }
        self.exact(group).value()
    }

    /// Three columns, a row for each group: both terms, and the rest where there
    /// is one; the last two of type null where no group has any.
    pub fn partial(&mut self) -> Vec<ArrayRef> {
        let pairs = std::mem::take(&mut self.pairs);
        let expansions = std::mem::take(&mut self.rest);
        self.rest_bytes = 0;
        let rest: ArrayRef = if expansions.is_empty() {
            Arc::new(NullArray::new(pairs.len()))
        } else {
            let mut rest = BinaryBuilder::new();
            for group in 0..pairs.len() {
                rest.append_option(expansions.get(&(group as u32)).map(Expansion::encode));
            }
            Arc::new(rest.finish())
        };
        let terms = |which: usize| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(
                pairs.iter().map(|pair| pair[which]),
            ))
        };
        let low: ArrayRef = match pairs.iter().all(|pair| pair[1] == 0.0) {
            true => Arc::new(NullArray::new(pairs.len())),
            false => terms(1),
        };
        vec![terms(0), low, rest]
    }

    /// Adds what [`partial`](Self::partial) gave, row by row.
    pub fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) {
        for terms in &partial[..2] {
            if let Some(terms) = terms.as_primitive_opt::<Float64Type>() {
                self.add_all(groups, |row| Some(terms.value(row)));
            }
        }
        let Some(rest) = partial[2].as_binary_opt::<i32>() else {
            return;
        };
        groups.for_each(|row, group| {
            if rest.is_valid(row) {
                self.change_rest(group, |sum| sum.add_encoded(rest.value(row)));
            }
        });
    }

    pub fn bytes(&self) -> usize {
        size_of::<[f64; 2]>() * self.pairs.capacity() + self.rest_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sums = ExactSums::default();
        sums.add_all(Groups::one(values.len()), |row| Some(values[row]));
        sums.value(0)
    }

    #[test]
    fn sums_far_away_are_those_of_one_value_after_the_other() {
        let n_groups = FAR + 3;
        let ids: Vec<u32> = (0..100_003_u32)
            .map(|row| row.wrapping_mul(2_654_435_761) % n_groups as u32 / (1 + row % 3))
            .collect();
        let values: Vec<f64> = ids.iter().map(|id| f64::from(*id) / 7.0 - 900.0).collect();
        let even: NullBuffer = (0..ids.len()).map(|row| row % 2 == 0).collect();
        for nulls in [None, Some(&even)] {
            let groups = Groups::of(&ids, n_groups);
            let (mut at_once, mut plain) = (ExactSums::default(), ExactSums::default());
            at_once.add_values(groups, &values, nulls);
            let valid = |row: &usize| nulls.is_none_or(|nulls| nulls.is_valid(*row));
            plain.add_all(groups, |row| Some(row).filter(valid).map(|row| values[row]));
            assert!((0..n_groups).all(|group| at_once.exact(group) == plain.exact(group)));
        }
    }

    #[test]
    fn what_cancels_leaves_exactly_what_is_left() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[1e16, 1.0, -1e16]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e300, 1e-300, -1e300, 1e-300]), 2e-300);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, 5e-324, -f64::MAX]), 5e-324);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert!(sum(&[f64::NAN, 1.0]).is_nan());
    }

    #[test]
    fn ties_are_broken_by_what_lies_further_down() {
        let half = f64::EPSILON / 2.0;
        assert_eq!(sum(&[1.0, half]), 1.0);
        assert_eq!(sum(&[1.0, half, 1e-300]), 1.0 + f64::EPSILON);
        assert_eq!(sum(&[1.0, half, -1e-300]), 1.0);
        assert_eq!(sum(&[1.0 + f64::EPSILON, half]), 1.0 + 2.0 * f64::EPSILON);
    }

    #[test]
    fn no_order_and_no_cut_changes_a_sum_of_wild_values() {
        let mut state = 7_u64;
        let values: Vec<f64> = (0..300)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let exponent = (state >> 50) % 2040;
                f64::from_bits((state & !(0x7FF << 52)) | (exponent << 52))
            })
            .collect();
        let whole = sum(&values);
        assert!(whole.is_finite());
        let mut reversed = values.clone();
        reversed.reverse();
        assert_eq!(sum(&reversed).to_bits(), whole.to_bits());
        for cut in [0, 1, 17, 150, 299] {
            let mut total = ExactSums::default();
            for part in [&values[cut..], &values[..cut]] {
                let mut sums = ExactSums::default();
                sums.add_all(Groups::one(part.len()), |row| Some(part[row]));
                total.merge(Groups::one(1), &sums.partial());
            }
            assert_eq!(total.value(0).to_bits(), whole.to_bits(), "cut at {cut}");
        }
    }

    #[test]
    fn wide_numbers_are_rounded_as_expansions_are() {
        let mut state = 11_u64;
        for bits in 0..255_u8 {
            for shape in 0..40 {
                state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
                let one = i256::ONE << bits;
                // Near a power of two, near a tie, and anything.
                let value = match shape % 4 {
                    0 => one.wrapping_sub(i256::ONE),
                    1 => one
                        .wrapping_add(one >> 53)
                        .wrapping_add(i256::from(shape % 3 - 1)),
                    2 => one.wrapping_add(one >> 52).wrapping_add(one >> 53),
                    _ => one
                        .wrapping_add(i256::from_i128(state.into()) & one.wrapping_sub(i256::ONE)),
                };
                let value = if shape % 8 < 4 {
                    value
                } else {
                    value.wrapping_neg()
                };
                for base in [0, -978, 600] {
                    let mut exact = Expansion::default();
                    exact.add_wide(value, base);
                    assert_eq!(rounded_wide(value, base), exact.value(), "{value} {base}");
                }
            }
        }
    }

    #[test]
    fn whole_numbers_are_added_without_rounding() {
        let mut exact = Expansion::default();
        exact.add_int(i128::from(u64::MAX) * 3);
        exact.add_int(-(i128::from(u64::MAX) * 3) + 1);
        assert_eq!(exact.value(), 1.0);
    }
}
