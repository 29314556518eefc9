//! Variance, standard deviation and correlation.
//!
//! In:  numbers, taken as `f64`.
//! Out: `Float64`; null with too few values, NaN where a value is not finite or
//!      so large (1e140) that its square leaves the range.
//!
//! Kept are the count and exact sums of values and of their products. The
//! numerator `n·Σx² − (Σx)²` is exact as well before it is rounded, so nothing
//! cancels, however far the mean lies from zero, and no cut changes a bit.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, Float64Array, UInt64Array};
use arrow_buffer::NullBuffer;

use super::exact::{ExactSums, Expansion};
use super::state::{Groups, State};
use crate::error::Result;
use crate::expr::number::Numbers;

/// What is made of the sums.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Variance { ddof: u8, root: bool },
    Correlation,
}

/// Counts and sums, one of each per group.
pub(super) struct Moments {
    moment: Moment,
    counts: Vec<u64>,
    /// Σx, Σx²; for a correlation also Σy, Σy², Σxy.
    sums: Vec<ExactSums>,
}

/// Columns of a partial that one exact sum takes.
const SUM_COLUMNS: usize = 3;

impl Moments {
    pub fn new(moment: Moment) -> Self {
        let n_sums = match moment {
            Moment::Variance { .. } => 2,
            Moment::Correlation => 5,
        };
        Moments {
            moment,
            counts: Vec::new(),
            sums: (0..n_sums).map(|_| ExactSums::default()).collect(),
        }
    }

    /// `n·Σab − Σa·Σb` of a group, by where the sums are.
    fn cross(&self, group: usize, products: usize, a: usize, b: usize) -> f64 {
        let exact = |idx: usize| self.sums[idx].exact(group);
        Expansion::cross(
            self.counts[group] as f64,
            &exact(products),
            &exact(a),
            &exact(b),
        )
    }

    fn value(&self, group: usize) -> Option<f64> {
        let n = self.counts[group];
        match self.moment {
            Moment::Variance { ddof, root } => {
                if n <= u64::from(ddof) {
                    return None;
                }
                let scaled = self.cross(group, 1, 0, 0);
                // One division: the divisor is exact for up to 9e7 values.
                let variance = scaled / (n as f64 * (n - u64::from(ddof)) as f64);
                Some(if root { variance.sqrt() } else { variance })
            }
            Moment::Correlation if n < 2 => None,
            Moment::Correlation => {
                let x = self.cross(group, 1, 0, 0);
                let y = self.cross(group, 3, 2, 2);
                let both = self.cross(group, 4, 0, 2);
                // NaN where a column does not vary; `clamp` keeps NaN.
                Some((both / x.sqrt() / y.sqrt()).clamp(-1.0, 1.0))
            }
        }
    }
}

impl State for Moments {
    fn grow(&mut self, n_groups: usize) {
        if n_groups > self.counts.len() {
            self.counts.resize(n_groups, 0);
        }
        for sum in &mut self.sums {
            sum.grow(n_groups);
        }
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let columns = columns
            .iter()
            .map(|column| Ok(Numbers::of(column)?.to_floats()))
            .collect::<Result<Vec<_>>>()?;
        let nulls = columns.iter().fold(None, |nulls, column| {
            NullBuffer::union(nulls.as_ref(), column.nulls())
        });
        groups.for_valid(nulls.as_ref(), |row, group| {
            self.counts[group] += 1;
            for (column, sums) in columns.iter().zip(self.sums.chunks_mut(2)) {
                let value = column.value(row);
                sums[0].add(group, value);
                sums[1].add_product(group, value, value);
            }
            if let ([x, y], [.., both]) = (columns.as_slice(), self.sums.as_mut_slice()) {
                both.add_product(group, x.value(row), y.value(row));
            }
        });
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let counts = partial[0].as_primitive::<UInt64Type>();
        groups.for_each(|row, group| self.counts[group] += counts.value(row));
        for (sum, columns) in self.sums.iter_mut().zip(partial[1..].chunks(SUM_COLUMNS)) {
            sum.merge(groups, columns);
        }
        Ok(())
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let counts = UInt64Array::from(std::mem::take(&mut self.counts));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(counts)];
        columns.extend(self.sums.iter_mut().flat_map(ExactSums::partial));
        Ok(columns)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let values: Float64Array = (0..self.counts.len())
            .map(|group| self.value(group))
            .collect();
        *self = Moments::new(self.moment);
        Ok(Arc::new(values))
    }

    fn bytes(&self) -> usize {
        8 * self.counts.capacity() + self.sums.iter().map(ExactSums::bytes).sum::<usize>()
    }
}
