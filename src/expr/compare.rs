//! Comparisons by value, with three truth values.
//!
//! In:  two values, and how they are compared: as numbers, texts, times or conditions.
//! Out: a condition per row; unknown where either side has no value of that kind.
//!
//! How a pair is compared is decided once, by [`Mode::of`] from the types that
//! were bound and from literals, never from the types of a batch.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Datum, Scalar as ArrowScalar, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_cast::cast;
use arrow_ord::cmp;
use arrow_schema::DataType;

use super::ast::BinaryOp;
use super::convert::{Class, Ticks, Value, both_valid};
use super::decimal::{self, Decimals, Digits, is_decimal};
use super::number::{Num, Numbers, float_key};
use super::scalar::Scalar;
use super::time;
use crate::error::Result;

/// How two values are compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mode {
    Number,
    /// Decimals and whole numbers, without rounding.
    Decimal,
    Text,
    Time,
    Bool,
    /// By Arrow's own order of a type that expressions do not look into.
    Native(DataType),
}

/// One side of a comparison when it is bound.
pub(crate) struct Side<'a> {
    pub data_type: &'a DataType,
    /// The value, if it is constant.
    pub literal: Option<&'a Scalar>,
}

impl Mode {
    /// How two sides are compared; none if they cannot be.
    ///
    /// A constant takes the type of the other side where its text allows it, so
    /// `status = '500'` compares numbers and `status = 'n/a'` texts. Beside a
    /// number, a text column is read as numbers, and beside a time as times.
    pub fn of(left: &Side<'_>, right: &Side<'_>) -> Option<Mode> {
        let (a, b) = (Class::of(left.data_type), Class::of(right.data_type));
        match (a, b) {
            (Class::Nested, _) | (_, Class::Nested) => None,
            (Class::Null, Class::Null) => Some(Mode::Text),
            (Class::Null, _) => Mode::alone(b, right.data_type),
            (_, Class::Null) => Mode::alone(a, left.data_type),
            (Class::Other, Class::Other) => {
                (left.data_type == right.data_type).then(|| Mode::Native(left.data_type.clone()))
            }
            (Class::Number, Class::Number) => Some(Mode::of_numbers(left, right)),
            _ if a == b => Mode::alone(a, left.data_type),
            (Class::Text, other) => Mode::beside_text(other, left),
            (other, Class::Text) => Mode::beside_text(other, right),
            _ => None,
        }
    }

    fn of_numbers(left: &Side<'_>, right: &Side<'_>) -> Mode {
        let types = [left.data_type, right.data_type];
        let exact = types.iter().all(|of| Digits::of(of).is_some());
        match exact && types.into_iter().any(is_decimal) {
            true => Mode::Decimal,
            false => Mode::Number,
        }
    }

    fn alone(class: Class, data_type: &DataType) -> Option<Mode> {
        match class {
            Class::Number => Some(Mode::Number),
            Class::Text | Class::Null => Some(Mode::Text),
            Class::Time => Some(Mode::Time),
            Class::Bool => Some(Mode::Bool),
            Class::Other => Some(Mode::Native(data_type.clone())),
            Class::Nested => None,
        }
    }

    fn beside_text(other: Class, text: &Side<'_>) -> Option<Mode> {
        let literal = match text.literal {
            Some(Scalar::Utf8(literal)) => Some(literal.as_str()),
            _ => None,
        };
        match (other, literal) {
            (Class::Number, Some(literal)) if Num::parse(literal).is_none() => Some(Mode::Text),
            (Class::Number, _) => Some(Mode::Number),
            (Class::Bool, Some("true" | "false") | None) => Some(Mode::Bool),
            (Class::Bool, Some(_)) => Some(Mode::Text),
            (Class::Time, Some(literal)) if time::parse(literal).is_none() => None,
            (Class::Time, _) => Some(Mode::Time),
            _ => None,
        }
    }
}

/// Compares two values row by row; `rows` says how many there are.
pub(crate) fn compare(
    op: BinaryOp,
    mode: &Mode,
    left: &Value,
    right: &Value,
    rows: usize,
) -> Result<BooleanArray> {
    // A constant stands on the right, so that the loops below know one shape less.
    if left.constant && !right.constant {
        return compare(op.mirrored(), mode, right, left, rows);
    }
    let rows = if left.constant { 1 } else { rows };
    let constants = (left.constant, right.constant);
    match mode {
        Mode::Number => {
            let (a, b) = (left.numbers()?, right.numbers()?);
            let nulls = both_valid(rows, (a.nulls(), constants.0), (b.nulls(), constants.1));
            let bits = compare_numbers(op, &a, &b, constants.1, rows);
            Ok(BooleanArray::new(bits, nulls))
        }
        Mode::Decimal => match (Decimals::of(&left.array)?, Decimals::of(&right.array)?) {
            (Some(a), Some(b)) => {
                let nulls = both_valid(
                    rows,
                    (a.nulls.as_ref(), constants.0),
                    (b.nulls.as_ref(), constants.1),
                );
                let bits = compare_decimals(op, &a, &b, constants.1);
                Ok(BooleanArray::new(bits, nulls))
            }
            // A batch that has other types than were bound.
            _ => compare(op, &Mode::Number, left, right, rows),
        },
        Mode::Time => {
            if let Some(bits) = compare_ticks(op, left, right)? {
                let nulls = [left, right].map(|side| side.array.nulls());
                let nulls = both_valid(rows, (nulls[0], constants.0), (nulls[1], constants.1));
                return Ok(BooleanArray::new(bits, nulls));
            }
            let (a, b) = (left.times()?, right.times()?);
            let nulls = both_valid(
                rows,
                (a.nulls.as_ref(), constants.0),
                (b.nulls.as_ref(), constants.1),
            );
            let bits = slices(op, &a.values, &b.values, constants.1, |a, b| a.cmp(b));
            Ok(BooleanArray::new(bits, nulls))
        }
        Mode::Bool => {
            let (a, b) = (left.bools()?, right.bools()?);
            let nulls = both_valid(rows, (a.nulls(), constants.0), (b.nulls(), constants.1));
            let bits = collect(op, rows, |row| {
                let right = b.value(if constants.1 { 0 } else { row });
                a.value(row).cmp(&right)
            });
            Ok(BooleanArray::new(bits, nulls))
        }
        Mode::Text => kernel(
            op,
            Arc::new(left.texts()?),
            Arc::new(right.texts()?),
            constants.1,
        ),
        Mode::Native(data_type) => kernel(
            op,
            cast(&left.array, data_type)?,
            cast(&right.array, data_type)?,
            constants.1,
        ),
    }
}

fn kernel(op: BinaryOp, left: ArrayRef, right: ArrayRef, constant: bool) -> Result<BooleanArray> {
    let run = |right: &dyn Datum| match op {
        BinaryOp::NotEq => cmp::neq(&left, right),
        BinaryOp::Lt => cmp::lt(&left, right),
        BinaryOp::LtEq => cmp::lt_eq(&left, right),
        BinaryOp::Gt => cmp::gt(&left, right),
        BinaryOp::GtEq => cmp::gt_eq(&left, right),
        _ => cmp::eq(&left, right),
    };
    Ok(if constant {
        run(&ArrowScalar::new(right))?
    } else {
        run(&right)?
    })
}

/// Numbers of one type compare in tight loops; others row by row, exactly.
fn compare_numbers(
    op: BinaryOp,
    left: &Numbers,
    right: &Numbers,
    constant: bool,
    rows: usize,
) -> BooleanBuffer {
    match (left, right) {
        (Numbers::Int(a), Numbers::Int(b)) => {
            slices(op, a.values(), b.values(), constant, |a, b| a.cmp(b))
        }
        (Numbers::UInt(a), Numbers::UInt(b)) => {
            slices(op, a.values(), b.values(), constant, |a, b| a.cmp(b))
        }
        (Numbers::Float(a), Numbers::Float(b)) => {
            slices(op, a.values(), b.values(), constant, |a, b| {
                float_key(*a).cmp(&float_key(*b))
            })
        }
        // A whole literal beside a column of floats is most often one itself.
        (Numbers::Float(a), Numbers::Int(b)) if constant && is_exact(b.value(0)) => {
            slices(op, a.values(), &[b.value(0) as f64], true, |a, b| {
                float_key(*a).cmp(&float_key(*b))
            })
        }
        _ => collect(op, rows, |row| {
            let right = right.value(if constant { 0 } else { row });
            left.value(row).total_cmp(right)
        }),
    }
}

/// Compares times as their arrays count them, where both count alike or one is a
/// constant; none where they must be converted.
fn compare_ticks(op: BinaryOp, left: &Value, right: &Value) -> Result<Option<BooleanBuffer>> {
    if left.json || right.json {
        return Ok(None);
    }
    let Some((a, step)) = Ticks::of(&left.array) else {
        return Ok(None);
    };
    if !right.constant {
        return Ok(match (a, Ticks::of(&right.array)) {
            (Ticks::Short(a), Some((Ticks::Short(b), _))) => {
                Some(slices(op, a, b, false, |a, b| a.cmp(b)))
            }
            (Ticks::Long(a), Some((Ticks::Long(b), other))) if step == other => {
                Some(slices(op, a, b, false, |a, b| a.cmp(b)))
            }
            _ => None,
        });
    }
    let Some(nanos) = right.times()?.get(0) else {
        return Ok(None);
    };
    // A tick that begins before the constant is below it.
    let (tick, exact) = (nanos.div_euclid(step), nanos.rem_euclid(step) == 0);
    let rest = if exact {
        Ordering::Equal
    } else {
        Ordering::Less
    };
    Ok(match a {
        Ticks::Short(days) => i32::try_from(tick)
            .ok()
            .map(|tick| slices(op, days, &[tick], true, |a, b| a.cmp(b).then(rest))),
        Ticks::Long(ticks) => i64::try_from(tick)
            .ok()
            .map(|tick| slices(op, ticks, &[tick], true, |a, b| a.cmp(b).then(rest))),
    })
}

fn compare_decimals(
    op: BinaryOp,
    left: &Decimals,
    right: &Decimals,
    constant: bool,
) -> BooleanBuffer {
    let (a, b) = (&left.values[..], &right.values[..]);
    if left.behind == right.behind {
        return slices(op, a, b, constant, |a, b| a.cmp(b));
    }
    if let ([one], true) = (b, constant) {
        // Between which of its values, or at which, the other side has the constant.
        let (floor, exact) = decimal::floor_at((*one, right.behind), left.behind);
        return match exact {
            true => slices(op, a, &[floor], true, |a, b| a.cmp(b)),
            false => slices(op, a, &[floor], true, |a, b| a.cmp(b).then(Ordering::Less)),
        };
    }
    let (behind_a, behind_b) = (left.behind, right.behind);
    slices(op, a, b, constant, |a, b| {
        decimal::compare((*a, behind_a), (*b, behind_b))
    })
}

fn is_exact(value: i64) -> bool {
    value.unsigned_abs() <= 1 << 53
}

#[inline]
fn slices<L, R>(
    op: BinaryOp,
    left: &[L],
    right: &[R],
    constant: bool,
    order: impl Fn(&L, &R) -> Ordering,
) -> BooleanBuffer {
    match right {
        [one] if constant => collect(op, left.len(), |row| order(&left[row], one)),
        _ => collect(op, left.len().min(right.len()), |row| {
            order(&left[row], &right[row])
        }),
    }
}

#[inline]
fn collect(op: BinaryOp, rows: usize, order: impl Fn(usize) -> Ordering) -> BooleanBuffer {
    match op {
        BinaryOp::NotEq => BooleanBuffer::collect_bool(rows, |row| order(row).is_ne()),
        BinaryOp::Lt => BooleanBuffer::collect_bool(rows, |row| order(row).is_lt()),
        BinaryOp::LtEq => BooleanBuffer::collect_bool(rows, |row| order(row).is_le()),
        BinaryOp::Gt => BooleanBuffer::collect_bool(rows, |row| order(row).is_gt()),
        BinaryOp::GtEq => BooleanBuffer::collect_bool(rows, |row| order(row).is_ge()),
        _ => BooleanBuffer::collect_bool(rows, |row| order(row).is_eq()),
    }
}

/// Whether two values are equal row by row and both there.
pub(crate) fn equal(mode: &Mode, left: &Value, right: &Value, rows: usize) -> Result<BooleanArray> {
    let equal = compare(BinaryOp::Eq, mode, left, right, rows)?;
    if left.constant && right.constant {
        return Value::constant(Arc::new(equal)).bools_of(rows);
    }
    Ok(equal)
}

/// The texts of a constant side as Arrow's kernels take it.
pub(crate) fn with_texts<T>(
    texts: StringArray,
    constant: bool,
    run: impl FnOnce(&dyn Datum) -> T,
) -> T {
    if constant {
        run(&ArrowScalar::new(texts))
    } else {
        run(&texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float64Array, Int64Array, UInt64Array};

    fn mode(left: &DataType, right: &Scalar) -> Option<Mode> {
        let right_type = right.data_type();
        Mode::of(
            &Side {
                data_type: left,
                literal: None,
            },
            &Side {
                data_type: &right_type,
                literal: Some(right),
            },
        )
    }

    #[test]
    fn a_literal_takes_the_type_of_the_column_where_it_can() {
        let day = Scalar::Date(0);
        let stamp = DataType::Timestamp(arrow_schema::TimeUnit::Second, None);
        assert_eq!(mode(&DataType::Int64, &"500".into()), Some(Mode::Number));
        assert_eq!(mode(&DataType::Int64, &"n/a".into()), Some(Mode::Text));
        assert_eq!(mode(&DataType::Utf8, &500.into()), Some(Mode::Number));
        assert_eq!(mode(&DataType::Utf8, &"500".into()), Some(Mode::Text));
        assert_eq!(mode(&DataType::Utf8, &day), Some(Mode::Time));
        assert_eq!(mode(&stamp, &"2024-01-01".into()), Some(Mode::Time));
        assert_eq!(mode(&stamp, &"soon".into()), None);
        assert_eq!(mode(&stamp, &5.into()), None);
        assert_eq!(mode(&DataType::Boolean, &"true".into()), Some(Mode::Bool));
        assert_eq!(mode(&DataType::Boolean, &"yes".into()), Some(Mode::Text));
        assert_eq!(mode(&DataType::Boolean, &1.into()), None);
        assert_eq!(mode(&DataType::Null, &1.into()), Some(Mode::Number));
    }

    #[test]
    fn times_compare_alike_whatever_they_are_counted_in() {
        use arrow_array::types::{Date32Type, Int32Type};
        use arrow_schema::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let days = [-3, 0, 1, 19_723, 19_724];
        let dates: ArrayRef = Arc::new(
            arrow_array::PrimitiveArray::<Int32Type>::from_iter(
                days.map(Some).into_iter().chain([None]),
            )
            .reinterpret_cast::<Date32Type>(),
        );
        let in_type = |of: &DataType| Value::rows(cast(&dates, of).unwrap());
        let units = [Second, Millisecond, Microsecond, Nanosecond];
        let stamps = units.map(|unit| DataType::Timestamp(unit, None));
        let columns: Vec<Value> = [DataType::Date32, DataType::Date64]
            .iter()
            .chain(&stamps)
            .map(in_type)
            .collect();
        let ops = [BinaryOp::Lt, BinaryOp::LtEq, BinaryOp::Eq, BinaryOp::GtEq];
        let slowly = |op: BinaryOp, a: &Value, b: &Value| -> BooleanArray {
            let (a, b) = (a.times().unwrap(), b.times().unwrap());
            let pair = |row: usize| {
                let other = if b.values.len() == 1 { 0 } else { row };
                let order = a.get(row)?.cmp(&b.get(other)?);
                Some(match op {
                    BinaryOp::Lt => order.is_lt(),
                    BinaryOp::LtEq => order.is_le(),
                    BinaryOp::Eq => order.is_eq(),
                    _ => order.is_ge(),
                })
            };
            (0..6).map(pair).collect()
        };
        // Midnight, a moment behind it, and what no array counts.
        let day = time::DAY;
        let moments = [0, day, day + 1, -1, day * 19_724, day * 2_000_000];
        let moments = moments.map(|nanos| Scalar::Timestamp { nanos, utc: false });
        for column in &columns {
            for op in ops {
                for other in &columns {
                    let found = compare(op, &Mode::Time, column, other, 6).unwrap();
                    assert_eq!(found, slowly(op, column, other), "{op:?} {other:?}");
                }
                for moment in &moments {
                    let constant = Value::constant(moment.to_array());
                    let found = compare(op, &Mode::Time, column, &constant, 6).unwrap();
                    assert_eq!(found, slowly(op, column, &constant), "{op:?} {moment}");
                }
            }
        }
    }

    #[test]
    fn numbers_of_different_types_compare_exactly() {
        let ints = Value::rows(Arc::new(Int64Array::from(vec![i64::MAX, -1, 3])));
        let uints = Value::rows(Arc::new(UInt64Array::from(vec![1 << 63, u64::MAX, 3])));
        let floats = Value::rows(Arc::new(Float64Array::from(vec![
            9_223_372_036_854_775_808.0,
            -0.5,
            3.0,
        ])));
        let run = |op, a: &Value, b: &Value| {
            let result = compare(op, &Mode::Number, a, b, 3).unwrap();
            result.iter().map(Option::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(run(BinaryOp::Lt, &ints, &uints), [true, true, false]);
        assert_eq!(run(BinaryOp::Lt, &ints, &floats), [true, true, false]);
        assert_eq!(run(BinaryOp::Eq, &uints, &floats), [true, false, true]);
        assert_eq!(run(BinaryOp::GtEq, &floats, &ints), [true, true, true]);
    }

    #[test]
    fn a_constant_on_either_side_gives_mirrored_answers() {
        let ints = Value::rows(Arc::new(Int64Array::from(vec![1, 2, 3])));
        let two = Value::constant(Arc::new(Float64Array::from(vec![2.0])));
        let right = compare(BinaryOp::Lt, &Mode::Number, &ints, &two, 3).unwrap();
        let left = compare(BinaryOp::Gt, &Mode::Number, &two, &ints, 3).unwrap();
        assert_eq!(right, BooleanArray::from(vec![true, false, false]));
        assert_eq!(left, right);
    }
}
