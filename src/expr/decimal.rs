//! Decimals: whole numbers of up to 38 digits, some of them behind the point.
//!
//! In:  columns of decimals and of whole numbers; literals beside them.
//! Out: sums, differences, products and remainders that are exact, quotients rounded
//!      once, comparisons that round nothing.
//!
//! | | digits behind the point | digits before it |
//! |---|---|---|
//! | `a + b`, `a - b` | the more of the two | one beyond the more of the two |
//! | `a * b` | those of both | those of both |
//! | `a % b` | the more of the two | the more of the two |
//! | `a / b` | a `Float64`, as of whole numbers | |
//!
//! A whole number counts as a decimal with nothing behind the point, a literal as
//! one of just the digits that it is written with (one of more than 17 stands in
//! quotes: without them it is the nearest fraction). A type has at most 38 digits:
//! where it would need more, a value that does not fit is an error at its row. More
//! than 38 digits behind the point, and decimals beside fractions, are fractions.

mod short;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Decimal128Array};
use arrow_buffer::{NullBuffer, ScalarBuffer, i256};
use arrow_cast::cast;
use arrow_schema::DataType;

pub(super) use short::Bits;

use super::ast::BinaryOp;
use super::row_error::Failure;
use super::scalar::Scalar;
use crate::error::Result;

/// Digits of the largest type.
const MOST_DIGITS: u8 = 38;

/// How many digits a type has, and how many of them stand behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digits {
    pub all: u8,
    pub behind: u8,
}

impl Digits {
    /// Of decimals and whole numbers; none of other types.
    pub fn of(data_type: &DataType) -> Option<Self> {
        let (all, behind) = match data_type {
            DataType::Int8 | DataType::UInt8 => (3, 0),
            DataType::Int16 | DataType::UInt16 => (5, 0),
            DataType::Int32 | DataType::UInt32 => (10, 0),
            DataType::Int64 => (19, 0),
            DataType::UInt64 => (20, 0),
            DataType::Null => (1, 0),
            DataType::Decimal32(all, behind)
            | DataType::Decimal64(all, behind)
            | DataType::Decimal128(all, behind) => (*all, u8::try_from(*behind).ok()?),
            DataType::Dictionary(_, values) => return Digits::of(values),
            DataType::RunEndEncoded(_, values) => return Digits::of(values.data_type()),
            _ => return None,
        };
        Some(Digits { all, behind })
    }

    fn before(self) -> u8 {
        self.all.saturating_sub(self.behind)
    }

    /// The type of so many digits, as far as there is one.
    fn capped(before: u8, behind: u8) -> Self {
        let all = before.saturating_add(behind).clamp(1, MOST_DIGITS);
        Digits { all, behind }
    }

    pub fn data_type(self) -> DataType {
        DataType::Decimal128(self.all, self.behind as i8)
    }

    /// Whether values that do not fit must be looked for: with fewer digits,
    /// none can be.
    pub fn may_overflow(self) -> bool {
        self.all == MOST_DIGITS
    }

    /// Whether a value has no more of them.
    pub fn fits(self, value: i128) -> bool {
        value.unsigned_abs() < power(self.all).unsigned_abs()
    }

    /// Those that hold the values of both, as far as there are any.
    fn both(self, other: Self) -> Self {
        let behind = self.behind.max(other.behind);
        Digits::capped(self.before().max(other.before()), behind)
    }
}

/// Whether a type is that of decimals that are computed exactly.
pub(crate) fn is_decimal(data_type: &DataType) -> bool {
    let plain = match data_type {
        DataType::Dictionary(_, values) => values,
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    };
    plain.is_decimal() && Digits::of(plain).is_some()
}

/// The digits of a column computed from two, one of which at least is one of decimals.
pub(crate) fn result_digits(op: BinaryOp, left: &DataType, right: &DataType) -> Option<Digits> {
    if !is_decimal(left) && !is_decimal(right) {
        return None;
    }
    let (a, b) = (Digits::of(left)?, Digits::of(right)?);
    let both = a.both(b);
    match op {
        BinaryOp::Plus | BinaryOp::Minus => {
            let before = a.before().max(b.before());
            Some(Digits::capped(before.saturating_add(1), both.behind))
        }
        BinaryOp::Multiply if a.behind + b.behind <= MOST_DIGITS => Some(Digits::capped(
            a.before().saturating_add(b.before()),
            a.behind + b.behind,
        )),
        BinaryOp::Modulo => Some(both),
        _ => None,
    }
}

/// The type that holds the decimals, or whole numbers, of two types.
pub(crate) fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    if !is_decimal(a) && !is_decimal(b) {
        return None;
    }
    Some(Digits::of(a)?.both(Digits::of(b)?).data_type())
}

/// A literal as the decimal that its text is: 0.05 is five hundredths.
pub(crate) fn of_literal(literal: &Scalar) -> Option<ArrayRef> {
    let text = match literal {
        Scalar::Int64(_) | Scalar::UInt64(_) => literal.to_string(),
        // The shortest text that is this number, without exponent.
        Scalar::Float64(value) if value.is_finite() => format!("{value}"),
        Scalar::Utf8(text) => text.trim_ascii().to_owned(),
        _ => return None,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{}{behind}", before.trim_start_matches('0'));
    let is_number = !(before.is_empty() && behind.is_empty())
        && before
            .bytes()
            .chain(behind.bytes())
            .all(|byte| byte.is_ascii_digit());
    if !is_number || all.len() > usize::from(MOST_DIGITS) {
        return None;
    }
    let value: i128 = if all.is_empty() { 0 } else { all.parse().ok()? };
    let value = if negative { -value } else { value };
    let digits = Digits {
        all: (all.len() as u8).max(1),
        behind: behind.len() as u8,
    };
    let array = Decimal128Array::from(vec![value]).with_data_type(digits.data_type());
    Some(Arc::new(array))
}

/// A column of decimals.
#[derive(Debug, Clone)]
pub(crate) struct Decimals {
    pub values: ScalarBuffer<i128>,
    pub nulls: Option<NullBuffer>,
    /// Digits behind the point.
    pub behind: u8,
}

impl Decimals {
    /// The decimals of an array; none of other types.
    pub fn of(array: &ArrayRef) -> Result<Option<Self>> {
        let Some(digits) = Digits::of(array.data_type()) else {
            return Ok(None);
        };
        let values = match array.data_type() {
            DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().values().clone(),
            DataType::Decimal32(..) | DataType::Decimal64(..) => {
                return Decimals::of(&cast(array, &digits.data_type())?);
            }
            DataType::Dictionary(_, values) => return Decimals::of(&cast(array, values)?),
            DataType::RunEndEncoded(_, values) => {
                return Decimals::of(&cast(array, values.data_type())?);
            }
            DataType::Null => vec![0; array.len()].into(),
            DataType::UInt64 => {
                let values = array.as_primitive::<UInt64Type>().values();
                values.iter().copied().map(i128::from).collect()
            }
            _ => {
                let whole = cast(array, &DataType::Int64)?;
                let values = whole.as_primitive::<Int64Type>().values();
                values.iter().copied().map(i128::from).collect()
            }
        };
        Ok(Some(Decimals {
            values,
            nulls: array.logical_nulls(),
            behind: digits.behind,
        }))
    }

    /// The value of a row; none where it is null.
    pub fn get(&self, row: usize) -> Option<i128> {
        let null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        (!null).then(|| self.values[row])
    }

    /// What its values are multiplied by to have `behind` digits behind the point.
    fn factor(&self, behind: u8) -> i128 {
        power(behind.saturating_sub(self.behind))
    }
}

/// A side of a computation, of which one row may stand for all.
pub(crate) struct Side<'a> {
    pub decimals: &'a Decimals,
    pub constant: bool,
}

impl Side<'_> {
    fn value(&self, row: usize) -> i128 {
        self.decimals.values[if self.constant { 0 } else { row }]
    }

    /// The values of some rows; one, if it stands for all.
    fn values(&self, rows: Range<usize>) -> &[i128] {
        match self.constant {
            true => &self.decimals.values[..1],
            false => &self.decimals.values[rows],
        }
    }
}

/// Computes row by row what has `to` digits; not quotients.
pub(crate) fn compute(
    op: BinaryOp,
    left: &Side<'_>,
    right: &Side<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
    to: Digits,
) -> Result<ArrayRef, Failure> {
    let (a, b) = (left.decimals, right.decimals);
    let (up_a, up_b) = (a.factor(to.behind), b.factor(to.behind));
    if let Some(values) = short::compute(op, (left, up_a), (right, up_b), rows) {
        let array = Decimal128Array::new(values.into(), nulls);
        return Ok(Arc::new(array.with_data_type(to.data_type())));
    }
    let end = power(MOST_DIGITS);
    let all_fit = !to.may_overflow();
    let fits = |(value, whole): (i128, bool)| (value, whole && (all_fit || value.abs() < end));
    let sum = |a: i128, b: i128, minus: bool| {
        let ((a, a_fits), (b, b_fits)) = (product(a, up_a), product(b, up_b));
        let (sum, wrapped) = match minus {
            true => a.overflowing_sub(b),
            false => a.overflowing_add(b),
        };
        fits((sum, a_fits && b_fits && !wrapped))
    };
    let (mut values, wrong) = match op {
        BinaryOp::Plus => each(left, right, rows, |a, b| sum(a, b, false)),
        BinaryOp::Minus => each(left, right, rows, |a, b| sum(a, b, true)),
        BinaryOp::Multiply => each(left, right, rows, |a, b| fits(product(a, b))),
        _ => each(left, right, rows, |a, b| {
            let ((a, a_fits), (b, b_fits)) = (product(a, up_a), product(b, up_b));
            // What is divided by 0 is null.
            (a.checked_rem(b).unwrap_or(0), a_fits && b_fits)
        }),
    };
    let nulls = match op {
        BinaryOp::Modulo => NullBuffer::union(nulls.as_ref(), not_zero(right, rows).as_ref()),
        _ => nulls,
    };
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    for row in wrong.into_iter().filter(|row| valid(*row)) {
        let (a, b) = (left.value(row), right.value(row));
        let value = wide(op, (a, up_a), (b, up_b)).filter(|value| to.fits(*value));
        values[row] = value.ok_or_else(|| {
            let (a, b) = (
                text(a, left.decimals.behind),
                text(b, right.decimals.behind),
            );
            let reason = format!("{a} {} {b} does not fit {MOST_DIGITS} digits", op.symbol());
            Failure::at(row, reason)
        })?;
    }
    let array = Decimal128Array::new(values.into(), nulls);
    Ok(Arc::new(array.with_data_type(to.data_type())))
}

/// A result that 128 bits may hold, though they do not hold what it is computed from.
#[cold]
fn wide(op: BinaryOp, (a, up_a): (i128, i128), (b, up_b): (i128, i128)) -> Option<i128> {
    let [a, b, up_a, up_b] = [a, b, up_a, up_b].map(i256::from_i128);
    let value = match op {
        BinaryOp::Multiply => a.checked_mul(b)?,
        BinaryOp::Plus => a.checked_mul(up_a)?.checked_add(b.checked_mul(up_b)?)?,
        BinaryOp::Minus => a.checked_mul(up_a)?.checked_sub(b.checked_mul(up_b)?)?,
        _ => a.checked_mul(up_a)?.checked_rem(b.checked_mul(up_b)?)?,
    };
    value.to_i128()
}

/// The nearest `f64` to each quotient; 0 divides nothing.
pub(crate) fn quotients(
    left: &Side<'_>,
    right: &Side<'_>,
    rows: usize,
    nulls: Option<&NullBuffer>,
) -> Vec<Option<f64>> {
    let (a, b) = (left.decimals, right.decimals);
    let behind = a.behind.max(b.behind);
    let (up_a, up_b) = (a.factor(behind), b.factor(behind));
    let divide = |row: usize| {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let (one, other) = (left.value(row), right.value(row));
        if other == 0 {
            return None;
        }
        // Both in one unit: as whole numbers they are exact up to 2^53.
        Some(
            match (product(one, up_a), product(other, up_b)) {
                ((one, true), (other, true)) => one as f64 / other as f64,
                _ => (one as f64 * up_a as f64) / (other as f64 * up_b as f64),
            } + 0.0,
        )
    };
    (0..rows).map(divide).collect()
}

/// How two decimals stand to each other, whatever their scales.
pub(crate) fn compare(a: (i128, u8), b: (i128, u8)) -> Ordering {
    if a.1 > b.1 {
        return compare(b, a).reverse();
    }
    match a.0.checked_mul(power(b.1 - a.1)) {
        Some(value) => value.cmp(&b.0),
        // Beyond all 128 bits is beyond the other one.
        None => a.0.cmp(&0),
    }
}

/// The largest decimal with `behind` digits behind the point that is not above
/// one, and whether it is that one; the ends of 128 bits stand for all beyond them.
pub(crate) fn floor_at((value, own): (i128, u8), behind: u8) -> (i128, bool) {
    if own <= behind {
        return match value.checked_mul(power(behind - own)) {
            Some(value) => (value, true),
            None if value < 0 => (i128::MIN, false),
            None => (i128::MAX, false),
        };
    }
    let step = power(own - behind);
    (value.div_euclid(step), value % step == 0)
}

/// A decimal with no more than `digits` behind the point, of what has `behind`:
/// the nearest one, halves away from zero. Negative digits stand before the point.
pub(crate) fn round(value: i128, behind: u8, digits: i32) -> i128 {
    let dropped = i32::from(behind).saturating_sub(digits);
    match u8::try_from(dropped) {
        Ok(0) | Err(_) if dropped <= 0 => value,
        Ok(dropped) if dropped <= MOST_DIGITS => {
            let step = power(dropped);
            let (whole, rest) = (value / step, value % step);
            let up = i128::from(rest.abs() >= step - rest.abs()) * value.signum();
            (whole + up) * step
        }
        _ => 0,
    }
}

/// The next whole number below, or above, of what has `behind` digits behind the point.
pub(crate) fn whole_beside(value: i128, behind: u8, above: bool) -> i128 {
    let step = power(behind);
    let below = value.div_euclid(step);
    (below + i128::from(above && value % step != 0)) * step
}

/// The quotient of two decimals, rounded down to a whole number; the divisor is
/// not 0. What 128 bits do not hold is their end.
pub(crate) fn floor_quotient(a: (i128, u8), b: (i128, u8)) -> i128 {
    let behind = a.1.max(b.1);
    let scales = [a, b].map(|(_, own)| power(behind - own));
    if let (Some(a), Some(b)) = (a.0.checked_mul(scales[0]), b.0.checked_mul(scales[1])) {
        let quotient = a.checked_div(b).unwrap_or(i128::MAX);
        let below = a.checked_rem(b).is_some_and(|rest| rest != 0) && (a < 0) != (b < 0);
        return quotient - i128::from(below);
    }
    let wide = |value: i128, scale: i128| {
        i256::from_i128(value).wrapping_mul(i256::from_i128(scale)) // Each has 128 bits.
    };
    let (wide_a, wide_b) = (wide(a.0, scales[0]), wide(b.0, scales[1]));
    let quotient = wide_a.wrapping_div(wide_b).to_i128();
    let below = wide_a.wrapping_rem(wide_b) != i256::ZERO && (a.0 < 0) != (b.0 < 0);
    quotient.map_or(i128::MAX, |quotient| quotient - i128::from(below))
}

/// 10 to a power of at most 38.
fn power(exponent: u8) -> i128 {
    10_i128.pow(exponent.min(MOST_DIGITS).into())
}

/// A product, and whether 128 bits hold it. Most factors have 64.
#[inline]
fn product(a: i128, b: i128) -> (i128, bool) {
    let (short_a, short_b) = (a as i64, b as i64);
    if i128::from(short_a) == a && i128::from(short_b) == b {
        return (i128::from(short_a) * i128::from(short_b), true);
    }
    let (product, wrapped) = a.overflowing_mul(b);
    (product, !wrapped)
}

/// Runs over the values of both sides; tells which rows went wrong.
#[inline]
fn each(
    left: &Side<'_>,
    right: &Side<'_>,
    rows: usize,
    run: impl Fn(i128, i128) -> (i128, bool),
) -> (Vec<i128>, Vec<usize>) {
    let (a, b) = (&left.decimals.values, &right.decimals.values);
    let mut all_fit = true;
    let mut note = |(value, fits): (i128, bool)| {
        all_fit &= fits;
        value
    };
    let values: Vec<i128> = match (left.constant, right.constant) {
        (false, false) => a.iter().zip(b).map(|(a, b)| note(run(*a, *b))).collect(),
        (true, false) => b.iter().map(|b| note(run(a[0], *b))).collect(),
        (false, true) => a.iter().map(|a| note(run(*a, b[0]))).collect(),
        (true, true) => vec![note(run(a[0], b[0])); rows],
    };
    let wrong = |row: &usize| !run(left.value(*row), right.value(*row)).1;
    match all_fit {
        true => (values, Vec::new()),
        false => (values, (0..rows).filter(wrong).collect()),
    }
}

/// Which rows are not divided by 0; none if no row is.
fn not_zero(side: &Side<'_>, rows: usize) -> Option<NullBuffer> {
    let valid: Vec<bool> = (0..rows).map(|row| side.value(row) != 0).collect();
    let valid = NullBuffer::from(valid);
    (valid.null_count() > 0).then_some(valid)
}

/// A decimal as it is written.
fn text(value: i128, behind: u8) -> String {
    let (sign, digits) = (
        if value < 0 { "-" } else { "" },
        value.unsigned_abs().to_string(),
    );
    if behind == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = usize::from(behind) + 1);
    let (before, after) = digits.split_at(digits.len() - usize::from(behind));
    format!("{sign}{before}.{after}")
}
