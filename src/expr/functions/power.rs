//! Powers, roots and logarithms.
//!
//! In:  columns, by the numbers they hold.
//! Out: `Float64`; null where a number has no such value: the root of -1, the
//!      logarithm of 0, 0 to a negative power, as a divisor of 0 gives null.
//!
//! What leaves the range of `f64` is infinite, as it is for `*`; NaN stays NaN.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array};

use super::Kind;
use crate::expr::convert::Value;
use crate::expr::row_error::Failure;

pub(super) fn run(kind: Kind, args: &[Value], rows: usize) -> Result<ArrayRef, Failure> {
    let columns = args
        .iter()
        .map(|arg| Ok((arg.numbers()?.to_floats(), arg.constant)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let number = |arg: usize, row: usize| {
        let (column, constant) = columns.get(arg)?;
        let row = if *constant { 0 } else { row };
        column.is_valid(row).then(|| column.value(row))
    };
    let result = (0..rows).map(|row| {
        let value = number(0, row)?;
        let result = match kind {
            Kind::Pow => power(value, number(1, row)?),
            Kind::Sqrt => of_domain(value, value >= 0.0, f64::sqrt),
            Kind::Ln => of_domain(value, value > 0.0, f64::ln),
            Kind::Log10 => of_domain(value, value > 0.0, f64::log10),
            _ => Some(value.exp()),
        };
        result.map(|result| result + 0.0) // -0 is 0, as it is for whole numbers.
    });
    Ok(Arc::new(result.collect::<Float64Array>()))
}

/// A function that only some numbers have; that of NaN is NaN.
fn of_domain(value: f64, has: bool, function: fn(f64) -> f64) -> Option<f64> {
    (has || value.is_nan()).then(|| function(value))
}

fn power(base: f64, exponent: f64) -> Option<f64> {
    let result = base.powf(exponent);
    let by_zero = base == 0.0 && exponent < 0.0;
    let undefined = result.is_nan() && !base.is_nan() && !exponent.is_nan();
    (!by_zero && !undefined).then_some(result)
}
