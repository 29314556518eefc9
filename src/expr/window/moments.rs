//! Variances of the values in a window.
//!
//! In:  numbers, coming and going, taken as `f64`.
//! Out: what group-by gives for the same values: exact before it is rounded.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};

use super::fold::{Kernel, WindowRows};
use super::sums::floats;
use crate::error::Result;
use crate::expr::aggregate::Expansion;

/// A variance, or its root.
#[derive(Clone)]
pub(super) struct Variances {
    pub ddof: u8,
    pub root: bool,
}

/// Exact sums of the values and of their squares.
#[derive(Default)]
pub(super) struct Squares {
    count: u64,
    sum: Expansion,
    squares: Expansion,
    /// Values that have no finite square: with one, the variance is NaN.
    special: u64,
}

impl Squares {
    fn is_special(value: f64) -> bool {
        !(value * value).is_finite()
    }
}

impl Kernel for Variances {
    type Value = f64;
    type State = Squares;
    type Out = f64;

    fn values(&self, rows: &WindowRows<'_>) -> Result<Vec<Option<f64>>> {
        floats(rows)
    }

    fn add(&self, state: &mut Squares, value: f64) {
        state.count += 1;
        if Squares::is_special(value) {
            state.special += 1;
        } else {
            state.sum.add(value);
            state.squares.add_product(value, value);
        }
    }

    fn remove(&self, state: &mut Squares, value: f64) {
        state.count -= 1;
        if Squares::is_special(value) {
            state.special -= 1;
        } else {
            state.sum.add(-value);
            state.squares.add_product(-value, value);
        }
    }

    fn result(&self, state: &Squares) -> Result<Option<f64>, String> {
        let (n, ddof) = (state.count, u64::from(self.ddof));
        if n <= ddof {
            return Ok(None);
        }
        if state.special > 0 {
            return Ok(Some(f64::NAN));
        }
        let scaled = Expansion::cross(n as f64, &state.squares, &state.sum, &state.sum);
        let variance = scaled / (n as f64 * (n - ddof) as f64);
        Ok(Some(if self.root { variance.sqrt() } else { variance }))
    }

    fn column(&self, results: Vec<Option<f64>>) -> Result<ArrayRef> {
        Ok(Arc::new(Float64Array::from(results)))
    }

    fn state_bytes(&self, state: &Squares) -> usize {
        state.sum.heap_bytes() + state.squares.heap_bytes()
    }
}
