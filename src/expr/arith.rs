//! Arithmetic that never wraps.
//!
//! In:  two columns of numbers of any type.
//! Out: a column of the type that was bound; wider only where the batch holds
//! fractions that the plan did not know of.
//!
//! Whole numbers are computed exactly and must fit 64 bits; decimals as
//! [`super::decimal`] says; `/` always gives a fraction; a divisor of 0 gives null.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, UInt64Array};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use super::ast::BinaryOp;
use super::convert::{Value, both_valid};
use super::decimal::{self, Decimals, Digits, Side, result_digits};
use super::number::Numbers;
use super::row_error::Failure;

/// The type of a result, from the types and, for literals, the signs of the operands.
pub(crate) fn result_type(op: BinaryOp, left: &DataType, right: &DataType) -> DataType {
    if let Some(digits) = result_digits(op, left, right) {
        return digits.data_type();
    }
    let is_int = |data_type: &DataType| data_type.is_integer() || *data_type == DataType::Null;
    if op == BinaryOp::Divide || !is_int(left) || !is_int(right) {
        return DataType::Float64;
    }
    let unsigned = *left == DataType::UInt64 && *right == DataType::UInt64;
    if unsigned && op != BinaryOp::Minus {
        DataType::UInt64
    } else {
        DataType::Int64
    }
}

/// Computes row by row. Constants on both sides give one row. `retyped` says
/// that a side has another type than was bound: only then may the result.
pub(crate) fn compute(
    op: BinaryOp,
    left: &Value,
    right: &Value,
    rows: usize,
    to: &DataType,
    retyped: bool,
) -> Result<ArrayRef, Failure> {
    if let Some(computed) = decimals(op, left, right, rows, to)? {
        return Ok(computed);
    }
    let constants = (left.constant, right.constant);
    let sides = Numeric {
        rows: if constants.0 && constants.1 { 1 } else { rows },
        left: left.numbers()?,
        right: right.numbers()?,
        constants,
    };
    let whole = |numbers: &Numbers| matches!(numbers, Numbers::Int(_) | Numbers::UInt(_));
    if to.is_floating() || !whole(&sides.left) || !whole(&sides.right) {
        return Ok(sides.floats(op));
    }
    sides.whole(op, to, retyped)
}

/// Numbers on both sides of an operator.
struct Numeric {
    rows: usize,
    left: Numbers,
    right: Numbers,
    /// Whether a side has one value for all rows.
    constants: (bool, bool),
}

impl Numeric {
    /// The places of a row's operands.
    fn at(&self, row: usize) -> (usize, usize) {
        let (left, right) = self.constants;
        (if left { 0 } else { row }, if right { 0 } else { row })
    }

    fn nulls(&self) -> Option<NullBuffer> {
        let (left, right) = self.constants;
        both_valid(
            self.rows,
            (self.left.nulls(), left),
            (self.right.nulls(), right),
        )
    }

    /// Both operands of a row of whole numbers.
    fn ints(&self, row: usize) -> (i128, i128) {
        let (left, right) = self.at(row);
        let left = self.left.value(left).exact_int().unwrap_or(0);
        (left, self.right.value(right).exact_int().unwrap_or(0))
    }

    fn floats(&self, op: BinaryOp) -> ArrayRef {
        let nulls = self.nulls();
        let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let (a, b) = (self.left.to_floats(), self.right.to_floats());
        let result = |row: usize| {
            let (left, right) = self.at(row);
            let (left, right) = (a.value(left), b.value(right));
            let result = match op {
                BinaryOp::Plus => left + right,
                BinaryOp::Minus => left - right,
                BinaryOp::Multiply => left * right,
                BinaryOp::Divide if right != 0.0 => left / right,
                BinaryOp::Modulo if right != 0.0 => left % right,
                _ => return None,
            };
            // -0 is 0, as it is for whole numbers.
            (!is_null(row)).then_some(result + 0.0)
        };
        Arc::new((0..self.rows).map(result).collect::<Float64Array>())
    }

    fn whole(&self, op: BinaryOp, to: &DataType, retyped: bool) -> Result<ArrayRef, Failure> {
        let nulls = self.nulls();
        let exact = |row: usize| -> Result<Option<i128>, Failure> {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                return Ok(None);
            }
            let (left, right) = self.ints(row);
            let result = match op {
                BinaryOp::Plus => left.checked_add(right),
                BinaryOp::Minus => left.checked_sub(right),
                BinaryOp::Multiply => left.checked_mul(right),
                _ if right == 0 => return Ok(None),
                _ => left.checked_rem(right),
            };
            // Only a product of two numbers near 2^64 leaves an i128.
            result
                .map(Some)
                .ok_or_else(|| too_large(row, op, left, right))
        };
        let signed = || {
            (0..self.rows)
                .map(|row| {
                    Ok(match exact(row)? {
                        Some(value) => Some(i64::try_from(value).map_err(|_| row)?),
                        None => None,
                    })
                })
                .collect::<Result<Int64Array, Misfit>>()
                .map(array)
        };
        let unsigned = || {
            (0..self.rows)
                .map(|row| {
                    Ok(match exact(row)? {
                        Some(value) => Some(u64::try_from(value).map_err(|_| row)?),
                        None => None,
                    })
                })
                .collect::<Result<UInt64Array, Misfit>>()
                .map(array)
        };
        let is_unsigned = *to == DataType::UInt64;
        let first = if is_unsigned { unsigned() } else { signed() };
        let failed = match first {
            Ok(array) => return Ok(array),
            Err(failed) => failed,
        };
        if retyped {
            let second = if is_unsigned { signed() } else { unsigned() };
            if let Ok(array) = second {
                return Ok(array);
            }
        }
        Err(match failed {
            Misfit::Failure(failure) => failure,
            Misfit::Row(row) => {
                let (left, right) = self.ints(row);
                too_large(row, op, left, right)
            }
        })
    }
}

/// Computes decimals, beside decimals or whole numbers; none of others.
fn decimals(
    op: BinaryOp,
    left: &Value,
    right: &Value,
    rows: usize,
    to: &DataType,
) -> Result<Option<ArrayRef>, Failure> {
    let types = [left, right].map(|side| side.array.data_type());
    if !types.into_iter().any(decimal::is_decimal) {
        return Ok(None);
    }
    let (Some(a), Some(b)) = (Decimals::of(&left.array)?, Decimals::of(&right.array)?) else {
        return Ok(None);
    };
    let constants = (left.constant, right.constant);
    let rows = if constants.0 && constants.1 { 1 } else { rows };
    let nulls = both_valid(
        rows,
        (a.nulls.as_ref(), constants.0),
        (b.nulls.as_ref(), constants.1),
    );
    let side = |decimals, constant| Side { decimals, constant };
    let (a, b) = (side(&a, constants.0), side(&b, constants.1));
    if op == BinaryOp::Divide {
        let quotients = decimal::quotients(&a, &b, rows, nulls.as_ref());
        return Ok(Some(Arc::new(Float64Array::from(quotients))));
    }
    // A batch may have decimals of more digits than were bound: they are kept.
    let own = result_digits(op, types[0], types[1]);
    match own.or_else(|| Digits::of(to)) {
        Some(digits) => Ok(Some(decimal::compute(op, &a, &b, rows, nulls, digits)?)),
        None => Ok(None),
    }
}

/// Why a result does not fit a type.
enum Misfit {
    Row(usize),
    Failure(Failure),
}

impl From<usize> for Misfit {
    fn from(row: usize) -> Self {
        Misfit::Row(row)
    }
}

impl From<Failure> for Misfit {
    fn from(failure: Failure) -> Self {
        Misfit::Failure(failure)
    }
}

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn too_large(row: usize, op: BinaryOp, left: i128, right: i128) -> Failure {
    Failure::at(
        row,
        format!("{left} {} {right} does not fit 64 bits", op.symbol()),
    )
}
