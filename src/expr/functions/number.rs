//! Functions of numbers.
//!
//! In:  columns, by the numbers they hold.
//! Out: whole numbers from whole numbers, decimals from decimals, fractions from fractions.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use super::Kind;
use crate::error::Result;
use crate::expr::convert::Value;
use crate::expr::decimal::{self, Decimals, Digits};
use crate::expr::number::{Num, Numbers, ints_to_array};
use crate::expr::row_error::Failure;

/// Whether numbers are NaN; whole ones and decimals never are.
pub(super) fn is_nan(value: &Value) -> Result<ArrayRef> {
    let numbers = value.numbers()?.to_floats();
    let nan = BooleanBuffer::collect_bool(numbers.len(), |row| numbers.value(row).is_nan());
    Ok(Arc::new(BooleanArray::new(nan, numbers.nulls().cloned())))
}

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
    let result = (0..rows)
        .map(|row| {
            let value = number(row)?.exact_int()?;
            Some(match kind {
                Kind::Abs => value.abs(),
                Kind::Floor | Kind::Ceil => value,
                _ => round_int(value, digits(row)?),
            })
        })
        .collect();
    let what = |row: usize| {
        let value = number(row).unwrap_or(Num::Int(0));
        format!("{} of {value}", format!("{kind:?}").to_lowercase())
    };
    whole_numbers(result, to, matches!(numbers, Numbers::UInt(_)), what)
}

/// Whole numbers of 64 bits, of the type that was bound; of the other one where
/// a batch is `retyped` and needs it. `what` names a row's that fits neither.
fn whole_numbers(
    values: Vec<Option<i128>>,
    to: &DataType,
    retyped: bool,
    what: impl Fn(usize) -> String,
) -> Result<ArrayRef, Failure> {
    let fits = |value: i128| match to {
        DataType::UInt64 => u64::try_from(value).is_ok(),
        _ => i64::try_from(value).is_ok() || (retyped && u64::try_from(value).is_ok()),
    };
    let misfit = values
        .iter()
        .position(|value| value.is_some_and(|value| !fits(value)));
    if let Some(row) = misfit {
        let reason = format!("{} does not fit 64 bits", what(row));
        return Err(Failure::at(row, reason));
    }
    // Each fits one of the two; a column of both is beyond any whole number.
    Ok(
        ints_to_array(values.iter().map(|value| value.map(Some)), to).unwrap_or_else(|| {
            let floats = values.iter().map(|value| value.map(|value| value as f64));
            Arc::new(floats.collect::<Float64Array>())
        }),
    )
}

/// Quotients rounded down: exact for whole numbers and decimals, of `f64` for
/// others. Null where the divisor is 0.
pub(super) fn floor_quotients(
    args: &[Value],
    rows: usize,
    to: &DataType,
) -> Result<ArrayRef, Failure> {
    let place = |arg: usize, row: usize| if args[arg].constant { 0 } else { row };
    if args
        .iter()
        .any(|arg| decimal::is_decimal(arg.array.data_type()))
        && let (Some(a), Some(b)) = (Decimals::of(&args[0].array)?, Decimals::of(&args[1].array)?)
    {
        let result = (0..rows).map(|row| {
            let (left, right) = (a.get(place(0, row))?, b.get(place(1, row))?);
            (right != 0).then(|| decimal::floor_quotient((left, a.behind), (right, b.behind)))
        });
        let result: Vec<Option<i128>> = result.collect();
        let what = |_: usize| "a quotient of decimals".to_owned();
        return whole_numbers(result, &DataType::Int64, false, what);
    }
    let (a, b) = (args[0].numbers()?, args[1].numbers()?);
    let pair = |row: usize| Some((a.get(place(0, row))?, b.get(place(1, row))?));
    let whole = |numbers: &Numbers| matches!(numbers, Numbers::Int(_) | Numbers::UInt(_));
    if to.is_floating() || !whole(&a) || !whole(&b) {
        let result = (0..rows).map(|row| {
            let (left, right) = pair(row)?;
            let (left, right) = (left.to_f64(), right.to_f64());
            // -0 is 0, as it is for whole numbers.
            (right != 0.0).then(|| (left / right).floor() + 0.0)
        });
        return Ok(Arc::new(result.collect::<Float64Array>()));
    }
    let result = (0..rows).map(|row| {
        let (left, right) = pair(row)?;
        let (left, right) = (left.exact_int()?, right.exact_int()?);
        (right != 0).then(|| decimal::floor_quotient((left, 0), (right, 0)))
    });
    let what = |row: usize| match pair(row) {
        Some((left, right)) => format!("the quotient of {left} and {right}"),
        None => "a quotient".to_owned(),
    };
    let retyped = [&a, &b]
        .into_iter()
        .any(|side| matches!(side, Numbers::UInt(_)));
    whole_numbers(result.collect(), to, retyped, what)
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
        let value = decimals.get(place)?;
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
