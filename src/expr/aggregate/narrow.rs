//! Sums of small whole numbers and of their products, in 64 bits.
//!
//! In:  one or two columns of `f64`, with the group of each row.
//! Out: for each group the sums of both and of products of pairs, as long as
//!      none of them can have left 64 bits.
//!
//! What a group has stands together: a row touches one line of the cache or two.

use arrow_buffer::NullBuffer;

use super::fixed::small_row;
use super::state::Groups;

/// Sums of columns, and of products.
type Totals<const C: usize, const P: usize> = ([i64; C], [i64; P]);

/// The sums of `C` columns and of `P` products of two of them, one of each per group.
#[derive(Debug)]
pub(super) struct NarrowSums<const C: usize, const P: usize> {
    /// Which columns are multiplied.
    pairs: [(usize, usize); P],
    totals: Vec<Totals<C, P>>,
    /// No sum of any of the values so far is larger than this in size.
    bound: f64,
}

/// Sums that are bound by this are far from the ends of 64 bits, however the bound was rounded.
const MOST: f64 = (1_u64 << 62) as f64;

impl<const C: usize, const P: usize> NarrowSums<C, P> {
    pub fn new(pairs: [(usize, usize); P]) -> Self {
        NarrowSums {
            pairs,
            totals: Vec::new(),
            bound: 0.0,
        }
    }

    pub fn grow(&mut self, n_groups: usize) {
        if n_groups > self.totals.len() {
            self.totals.resize(n_groups, ([0; C], [0; P]));
        }
    }

    /// Adds the rows of a batch that are not null, but for those that have other
    /// than small whole numbers: they are given back, as rows and groups. None,
    /// and nothing was added, if 64 bits might not hold the sums.
    pub fn add(
        &mut self,
        groups: Groups<'_>,
        nulls: Option<&NullBuffer>,
        columns: [&[f64]; C],
    ) -> Option<Vec<(usize, usize)>> {
        let largest = columns.iter().copied().map(largest).fold(1.0, f64::max);
        let bound = self.bound + largest * largest * groups.n_rows() as f64;
        if bound > MOST {
            return None;
        }
        self.bound = bound;
        let (pairs, mut missed) = (self.pairs, Vec::new());
        let totals = &mut self.totals;
        groups.for_valid(nulls, |row, group| {
            let Some(numbers) = small_row(columns, row) else {
                return missed.push((row, group));
            };
            let (sums, products) = &mut totals[group];
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum += number;
            }
            for (sum, (a, b)) in products.iter_mut().zip(pairs) {
                *sum += numbers[a] * numbers[b];
            }
        });
        Some(missed)
    }

    /// What each group has.
    pub fn totals(&self) -> impl Iterator<Item = Totals<C, P>> {
        self.totals.iter().copied()
    }

    pub fn bytes(&self) -> usize {
        size_of::<Totals<C, P>>() * self.totals.capacity()
    }
}

/// The largest size of any number. Eight at a time, so that the loop vectorises;
/// NaN, which is no number, is passed over.
fn largest(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut most = [0.0_f64; 8];
    for chunk in chunks {
        for (most, value) in most.iter_mut().zip(chunk) {
            *most = if value.abs() > *most {
                value.abs()
            } else {
                *most
            };
        }
    }
    let rest = rest.iter().map(|value| value.abs());
    most.into_iter().chain(rest).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_in_64_bits_until_they_might_leave_them() {
        let pairs = [(0, 0), (0, 1)];
        let (x, y) = ([3.0, -2.0, 0.5, 4.0], [1.0, 5.0, 6.0, f64::NAN]);
        let ids = [0, 1, 0, 1];
        let mut sums = NarrowSums::<2, 2>::new(pairs);
        sums.grow(2);
        let missed = sums.add(Groups::of(&ids, 2), None, [&x, &y]);
        assert_eq!(missed, Some(vec![(2, 0), (3, 1)]));
        let wanted = vec![([3, 1], [9, 3]), ([-2, 5], [4, -10])];
        assert_eq!(sums.totals().collect::<Vec<_>>(), wanted);
        let large = [f64::from(1_u32 << 31); 4];
        assert!(
            sums.add(Groups::of(&ids, 2), None, [&large, &large])
                .is_none()
        );
        assert!(
            sums.add(Groups::of(&ids, 2), None, [&[f64::INFINITY; 4], &x])
                .is_none()
        );
        assert_eq!(sums.totals().collect::<Vec<_>>(), wanted);
        assert!(sums.bytes() >= 64);
    }
}
