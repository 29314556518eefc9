//! Medians and other quantiles of the values in a window.
//!
//! In:  numbers, coming and going, taken as `f64`.
//! Out: what group-by gives for the same values.
//!
//! Values lie in two halves, each in order: as many below as the rank asks for.
//! So a row costs the logarithm of the window.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};

use super::fold::{Kernel, WindowRows};
use super::sums::floats;
use crate::error::Result;
use crate::expr::aggregate::between;
use crate::expr::number::{float_order, of_float_order};

/// The value below which a share lies.
#[derive(Clone)]
pub(super) struct Quantiles {
    pub q: f64,
}

/// Values by their keys, each with how often it is there.
#[derive(Default)]
struct Half {
    counts: BTreeMap<i64, usize>,
    len: usize,
}

impl Half {
    fn insert(&mut self, key: i64) {
        *self.counts.entry(key).or_default() += 1;
        self.len += 1;
    }

    fn remove(&mut self, key: i64) {
        if let Some(count) = self.counts.get_mut(&key) {
            *count -= 1;
            self.len -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }

    fn first(&self) -> Option<i64> {
        self.counts.first_key_value().map(|(key, _)| *key)
    }

    fn last(&self) -> Option<i64> {
        self.counts.last_key_value().map(|(key, _)| *key)
    }
}

/// The values of a window.
#[derive(Default)]
pub(super) struct Halves {
    low: Half,
    high: Half,
}

impl Halves {
    /// Puts the values up to the rank that `q` asks for into the lower half.
    fn settle(&mut self, q: f64) {
        let n = self.low.len + self.high.len;
        let wanted = match n {
            0 => 0,
            n => (q * (n - 1) as f64).floor() as usize + 1,
        };
        while self.low.len > wanted
            && let Some(key) = self.low.last()
        {
            self.low.remove(key);
            self.high.insert(key);
        }
        while self.low.len < wanted
            && let Some(key) = self.high.first()
        {
            self.high.remove(key);
            self.low.insert(key);
        }
    }
}

impl Kernel for Quantiles {
    type Value = f64;
    type State = Halves;
    type Out = f64;

    fn values(&self, rows: &WindowRows<'_>) -> Result<Vec<Option<f64>>> {
        floats(rows)
    }

    fn add(&self, state: &mut Halves, value: f64) {
        let key = float_order(value);
        if state.low.last().is_some_and(|last| key <= last) {
            state.low.insert(key);
        } else {
            state.high.insert(key);
        }
        state.settle(self.q);
    }

    fn remove(&self, state: &mut Halves, value: f64) {
        let key = float_order(value);
        if state.low.last().is_some_and(|last| key <= last) {
            state.low.remove(key);
        } else {
            state.high.remove(key);
        }
        state.settle(self.q);
    }

    fn result(&self, state: &Halves) -> Result<Option<f64>, String> {
        let n = state.low.len + state.high.len;
        let Some(low) = state.low.last().map(of_float_order) else {
            return Ok(None);
        };
        let share = (self.q * (n - 1) as f64).fract();
        let high = state.high.first().map_or(low, of_float_order);
        Ok(Some(between(low, high, share)))
    }

    fn column(&self, results: Vec<Option<f64>>) -> Result<ArrayRef> {
        Ok(Arc::new(Float64Array::from(results)))
    }

    fn state_bytes(&self, state: &Halves) -> usize {
        // A tree holds a key and a count for each value, two thirds full.
        24 * (state.low.counts.len() + state.high.counts.len())
    }
}
