//! Products.
//!
//! In:  numbers.
//! Out: their product; null without values.
//!
//! Whole numbers are multiplied exactly, and it is the same in every order
//! whether the product fits: zeros are set aside, so what is left only grows.
//! Fractions are multiplied to 106 bits with an exponent of their own and
//! rounded once; only the last bit of an answer, once in some 2^40, may hinge
//! on how the input was cut.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, UInt64Array,
};
use arrow_schema::{ArrowError, DataType};

use super::exact::{two_product, two_sum};
use super::state::{Groups, Seen, State};
use crate::error::{Error, Result};
use crate::expr::number::{Num, Numbers};

/// The product of a group, as a whole number and as a fraction: which of them
/// is the answer shows only at the end.
#[derive(Debug, Clone, Copy)]
pub(in crate::expr) struct Factors {
    /// That of whole numbers without zeros; 0 stands for one that left 128 bits.
    whole: i128,
    /// Whether there was a zero among them.
    zero: bool,
    /// That of all numbers is `high + low` times 2^`exponent`; `high` is from 1 to 2 in size, or special.
    high: f64,
    low: f64,
    exponent: i64,
}

const ONE: Factors = Factors {
    whole: 1,
    zero: false,
    high: 1.0,
    low: 0.0,
    exponent: 0,
};

impl Default for Factors {
    fn default() -> Self {
        ONE
    }
}

impl Factors {
    pub fn multiply_int(&mut self, value: i128) {
        if value == 0 {
            self.zero = true;
        } else {
            self.whole = self.whole.checked_mul(value).unwrap_or(0);
        }
        let nearest = value as f64;
        let (fraction, exponent) = parts(nearest);
        // What 53 bits do not hold; beyond 2^127 there is nothing left of it.
        let rest = value.wrapping_sub(nearest as i128) as f64;
        self.multiply(fraction, scaled(rest, -exponent), exponent);
    }

    fn multiply(&mut self, high: f64, low: f64, exponent: i64) {
        let (product, lost) = two_product(self.high, high);
        if !product.is_finite() || product == 0.0 {
            (self.high, self.low) = (self.high * high, 0.0);
            return;
        }
        let lost = lost + (self.high * low + self.low * high);
        let (high, low) = two_sum(product, lost);
        let (_, by) = parts(high);
        (self.high, self.low) = (scaled(high, -by), scaled(low, -by));
        self.exponent += exponent + by;
    }

    pub fn multiply_float(&mut self, value: f64) {
        let (fraction, exponent) = parts(value);
        self.multiply(fraction, 0.0, exponent);
    }

    /// The whole number; none if it left 128 bits.
    pub fn as_int(&self) -> Option<i128> {
        match (self.zero, self.whole) {
            (true, _) => Some(0),
            (false, 0) => None,
            (false, whole) => Some(whole),
        }
    }

    pub fn as_float(&self) -> f64 {
        let value = self.high + self.low;
        // In two steps, since neither power may be a number; it rounds only
        // where the result is subnormal.
        let first = self.exponent.clamp(-1000, 1000);
        let second = (self.exponent - first).clamp(-1000, 1000);
        scaled(scaled(value, first), second)
    }
}

/// The number as one from 1 to 2 in size and a power of two; special ones as they are.
fn parts(value: f64) -> (f64, i64) {
    if value == 0.0 || !value.is_finite() {
        return (value, 0);
    }
    let (value, below) = if value.abs() < f64::MIN_POSITIVE {
        (value * scaled(1.0, 64), -64)
    } else {
        (value, 0)
    };
    let exponent = ((value.to_bits() >> 52) & 0x7FF) as i64 - 1023;
    let fraction = f64::from_bits((value.to_bits() & !(0x7FF << 52)) | (1023 << 52));
    (fraction, exponent + below)
}

/// Times a power of two from -1022 to 1023.
fn scaled(value: f64, by: i64) -> f64 {
    value * f64::from_bits(((1023 + by) as u64) << 52)
}

/// Products, one per group.
pub(super) struct Product {
    result: DataType,
    text: Arc<str>,
    factors: Vec<Factors>,
    seen: Seen,
    fractions: bool,
}

impl Product {
    pub fn new(result: DataType, text: Arc<str>) -> Self {
        Product {
            fractions: result == DataType::Float64,
            result,
            text,
            factors: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn finish_ints(&mut self) -> Result<ArrayRef> {
        let products: Vec<i128> = self
            .factors
            .iter()
            .map(|factors| factors.as_int().ok_or_else(|| self.overflow()))
            .collect::<Result<_>>()?;
        let nulls = self.seen.take_nulls();
        let fits = |_| self.overflow();
        Ok(if self.result == DataType::UInt64 {
            let products: Result<Vec<u64>> = products
                .into_iter()
                .map(|product| u64::try_from(product).map_err(fits))
                .collect();
            Arc::new(UInt64Array::new(products?.into(), nulls))
        } else {
            let products: Result<Vec<i64>> = products
                .into_iter()
                .map(|product| i64::try_from(product).map_err(fits))
                .collect();
            Arc::new(Int64Array::new(products?.into(), nulls))
        })
    }

    fn overflow(&self) -> Error {
        Error::external(
            format!("computing {}", self.text),
            ArrowError::ArithmeticOverflow(format!(
                "the product does not fit {}; cast what is multiplied to float64",
                self.result
            )),
        )
    }
}

impl State for Product {
    fn grow(&mut self, n_groups: usize) {
        self.seen.grow(n_groups);
        self.factors.resize(self.seen.len(), ONE);
    }

    fn update(&mut self, groups: Groups<'_>, columns: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let numbers = Numbers::of(&columns[0])?;
        groups.for_valid(numbers.nulls(), |row, group| {
            self.seen.set(group);
            match numbers.value(row) {
                Num::Int(value) => self.factors[group].multiply_int(value),
                Num::Float(value) => {
                    self.fractions = true;
                    self.factors[group].multiply_float(value);
                }
            }
        });
        Ok(())
    }

    fn merge(&mut self, groups: Groups<'_>, partial: &[ArrayRef]) -> Result<()> {
        self.grow(groups.n_groups());
        let whole = partial[0].as_primitive::<Decimal128Type>();
        let zeros = partial[1].as_boolean();
        let [high, low] = [2, 3].map(|idx: usize| partial[idx].as_primitive::<Float64Type>());
        let exponents = partial[4].as_primitive::<Int64Type>();
        groups.for_valid(zeros.nulls(), |row, group| {
            self.seen.set(group);
            self.fractions |= whole.is_null(row);
            let factors = &mut self.factors[group];
            factors.whole = factors.whole.checked_mul(whole.value(row)).unwrap_or(0);
            factors.zero |= zeros.value(row);
            factors.multiply(high.value(row), low.value(row), exponents.value(row));
        });
        Ok(())
    }

    /// The whole number, null among fractions; whether there was a zero, null
    /// without values; the fraction in three columns.
    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let factors = std::mem::take(&mut self.factors);
        let whole = factors
            .iter()
            .map(|of| (!self.fractions).then_some(of.whole));
        let zeros = factors.iter().map(|of| of.zero).collect();
        let exponents = factors.iter().map(|of| of.exponent);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(whole.collect::<Decimal128Array>()),
            Arc::new(BooleanArray::new(zeros, self.seen.take_nulls())),
            Arc::new(Float64Array::from_iter_values(
                factors.iter().map(|of| of.high),
            )),
            Arc::new(Float64Array::from_iter_values(
                factors.iter().map(|of| of.low),
            )),
            Arc::new(Int64Array::from_iter_values(exponents)),
        ];
        self.fractions = self.result == DataType::Float64;
        Ok(columns)
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let result = if self.fractions {
            let products = self.factors.iter().map(Factors::as_float).collect();
            Arc::new(Float64Array::new(products, self.seen.take_nulls()))
        } else {
            self.finish_ints()?
        };
        *self = Product::new(self.result.clone(), Arc::clone(&self.text));
        Ok(result)
    }

    fn bytes(&self) -> usize {
        size_of::<Factors>() * self.factors.capacity() + self.seen.bytes()
    }
}
