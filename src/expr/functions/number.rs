//! Functions of numbers.
//!
//! In:  columns, by the numbers they hold.
//! Out: whole numbers from whole numbers, decimals from decimals, fractions from fractions.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Decimal128Array, Float64Array};
use arrow_schema::DataType;

use super::Kind;
use crate::expr::convert::Value;
use crate::expr::decimal::{self, Decimals, Digits};
use crate::expr::number::{Num, Numbers, ints_to_array};
use crate::expr::row_error::Failure;

pub(super) fn run(
    kind: Kind,
    args: &[Value],
    rows: usize,
    to: &DataType,
) -> Result<ArrayRef, Failure> {
    if decimal::is_decimal(args[0].array.data_type())
        && let Some(decimals) = Decimals::of(&args[0].array)?
        && let Some(to) = Digits::of(to)
    {
        return of_decimals(kind, args, &decimals, rows, to);
    }
    let numbers = args[0].numbers()?;
    let constant = args[0].constant;
    let digits = digits_of(args)?;
    let number = |row: usize| numbers.get(if constant { 0 } else { row });
    let whole = matches!(numbers, Numbers::Int(_) | Numbers::UInt(_));
    if to.is_floating() || !whole {
        let result = (0..rows).map(|row| {
            let value = number(row)?.to_f64();
            let result = match kind {
                Kind::Abs => value.abs(),
                Kind::Floor => value.floor(),
                Kind::Ceil => value.ceil(),
                _ => round_float(value, digits(row)?),
            };
            Some(result + 0.0) // -0 is 0, as it is for whole numbers.
        });
        return Ok(Arc::new(result.collect::<Float64Array>()));
    }
    let result: Vec<Option<Option<i128>>> = (0..rows)
        .map(|row| {
            let value = number(row)?.exact_int()?;
            Some(Some(match kind {
                Kind::Abs => value.abs(),
                Kind::Floor | Kind::Ceil => value,
                _ => round_int(value, digits(row)?),
            }))
        })
        .collect();
    let retyped = matches!(numbers, Numbers::UInt(_));
    let fits = |value: i128| match to {
        DataType::UInt64 => u64::try_from(value).is_ok(),
        _ => i64::try_from(value).is_ok() || (retyped && u64::try_from(value).is_ok()),
    };
    let misfit = result
        .iter()
        .position(|value| value.flatten().is_some_and(|value| !fits(value)));
    if let Some(row) = misfit {
        let value = number(row).unwrap_or(Num::Int(0));
        let what = format!("{kind:?}").to_lowercase();
        return Err(Failure::at(
            row,
            format!("{what} of {value} does not fit 64 bits"),
        ));
    }
    // Each fits one of the two; a column of both is beyond any whole number.
    Ok(
        ints_to_array(result.iter().copied(), to).unwrap_or_else(|| {
            let floats = result
                .iter()
                .map(|value| value.flatten().map(|value| value as f64));
            Arc::new(floats.collect::<Float64Array>())
        }),
    )
}

/// To how many digits each row is rounded.
fn digits_of(args: &[Value]) -> Result<impl Fn(usize) -> Option<i32>, Failure> {
    let digits = match args.get(1) {
        Some(digits) => Some((digits.numbers()?, digits.constant)),
        None => None,
    };
    // Beyond 400 digits either way no f64 has any.
    Ok(move |row: usize| match &digits {
        None => Some(0),
        Some((digits, constant)) => digits
            .get(if *constant { 0 } else { row })
            .and_then(Num::truncated)
            .map(|digits| digits.clamp(-400, 400) as i32),
    })
}

/// Decimals of as many digits behind the point as there were.
fn of_decimals(
    kind: Kind,
    args: &[Value],
    decimals: &Decimals,
    rows: usize,
    to: Digits,
) -> Result<ArrayRef, Failure> {
    let (constant, behind) = (args[0].constant, decimals.behind);
    let digits = digits_of(args)?;
    let result = (0..rows).map(|row| {
        let place = if constant { 0 } else { row };
        let null = decimals
            .nulls
            .as_ref()
            .is_some_and(|nulls| nulls.is_null(place));
        let value = (!null).then(|| decimals.values[place])?;
        Some(match kind {
            Kind::Abs => value.abs(),
            Kind::Floor => decimal::whole_beside(value, behind, false),
            Kind::Ceil => decimal::whole_beside(value, behind, true),
            _ => decimal::round(value, behind, digits(row)?),
        })
    });
    let result: Decimal128Array = result.collect();
    let misfit = (0..rows).find(|row| result.is_valid(*row) && !to.fits(result.value(*row)));
    if let Some(row) = misfit {
        let what = format!("{kind:?}").to_lowercase();
        let reason = format!("{what} of a decimal does not fit {} digits", to.all);
        return Err(Failure::at(row, reason));
    }
    let to = Digits { behind, ..to }.data_type();
    Ok(Arc::new(result.with_data_type(to)))
}

/// Rounds by the decimal text of a number, so that 1.005 to 2 digits is the
/// nearest of what `f64` holds, and 2.5 goes to 3.
fn round_float(value: f64, digits: i32) -> f64 {
    if !value.is_finite() || digits > 308 {
        return value;
    }
    let scale = 10_f64.powi(digits.abs());
    let rounded = if digits >= 0 {
        (value * scale).round() / scale
    } else {
        (value / scale).round() * scale
    };
    // A scale beyond f64 leaves a large number as it is and a small one at 0.
    if rounded.is_finite() {
        rounded
    } else if digits >= 0 {
        value
    } else {
        0.0
    }
}

fn round_int(value: i128, digits: i32) -> i128 {
    if digits >= 0 {
        return value;
    }
    // A 64-bit number has no more than 20 digits.
    if digits < -20 {
        return 0;
    }
    let step = 10_i128.pow(digits.unsigned_abs());
    let half = if value < 0 { -step / 2 } else { step / 2 };
    (value + half) / step * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_takes_halves_away_from_zero() {
        assert_eq!(round_float(2.5, 0), 3.0);
        assert_eq!(round_float(-2.5, 0), -3.0);
        assert_eq!(round_float(2.345_67, 2), 2.35);
        assert_eq!(round_float(1234.5, -2), 1200.0);
        assert_eq!(round_float(1e300, 300), 1e300);
        assert_eq!(round_float(5.0, -400), 0.0);
        assert_eq!(round_int(1250, -2), 1300);
        assert_eq!(round_int(-1250, -2), -1300);
        assert_eq!(round_int(1249, -2), 1200);
        assert_eq!(round_int(7, 3), 7);
        assert_eq!(round_int(7, -30), 0);
    }
}
