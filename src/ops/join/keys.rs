//! Key columns of two frames, brought to one form in which equal values are equal.
//!
//! In:  a column of either side.
//! Out: its values in a type that both sides share, and the rows whose value
//!      the other side's type cannot hold: they meet nothing.
//!
//! Numbers meet by value: 1, 1.0 and 1.00 are one key. Every NaN is one key, and
//! -0 is 0. Points in time meet as instants, whatever their unit.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Decimal128Array, Int64Array, UInt64Array, new_null_array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};

use crate::error::{Error, Result};
use crate::expr::plain_type;

/// What two key columns are brought to.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// Whole numbers of 64 bits with a sign: `Int64`.
    Signed,
    /// Those without: `UInt64`.
    Unsigned,
    /// Both kinds: `Decimal128(38, 0)`.
    Wide,
    /// Fractions by their bits, with one NaN and one zero: `UInt64`.
    Fraction,
    /// `Decimal128` of 38 digits, so many of them behind the point.
    Decimal(i8),
    /// `Utf8`.
    Text,
    /// `Binary`.
    Bytes,
    /// Numbers that stand for points in time or spans, in this type's unit: `Int64`.
    Ticks(DataType),
    /// Values of this type, as they are.
    Same(DataType),
}

/// A key column in its form.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    /// The values; null where they were.
    pub values: ArrayRef,
    /// Rows whose value the form cannot hold. It is not null, and meets nothing.
    pub never: Option<BooleanBuffer>,
}

impl KeyColumn {
    /// Some of its rows.
    pub fn slice(&self, rows: &Range<usize>) -> Self {
        let never = self.never.as_ref();
        KeyColumn {
            values: self.values.slice(rows.start, rows.len()),
            never: never.map(|never| never.slice(rows.start, rows.len())),
        }
    }
}

/// The forms of the key columns of a join, in order.
#[derive(Debug, Clone)]
pub struct KeyForms(Vec<Form>);

impl KeyForms {
    /// How columns of these names and types meet, pair by pair.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] naming a pair of columns with both types, if their
    /// values cannot be compared.
    pub fn try_new(pairs: &[(&str, &DataType, &str, &DataType)]) -> Result<Self> {
        let form = |(left, left_type, right, right_type): &(&str, &DataType, &str, &DataType)| {
            let types = (
                plain_type((*left_type).clone()),
                plain_type((*right_type).clone()),
            );
            form_of(&types.0, &types.1).ok_or_else(|| {
                Error::plan(format!(
                    "the keys {left:?} ({left_type}) and {right:?} ({right_type}) cannot be compared; cast one of them"
                ))
            })
        };
        Ok(KeyForms(pairs.iter().map(form).collect::<Result<_>>()?))
    }

    /// The types of the keys in their forms.
    pub(super) fn types(&self) -> Vec<DataType> {
        self.0.iter().map(Form::data_type).collect()
    }

    /// The unit of the first key, if it is points in time.
    pub(super) fn tick_unit(&self) -> Option<TimeUnit> {
        match self.0.first() {
            Some(Form::Ticks(DataType::Timestamp(unit, _))) => Some(*unit),
            Some(Form::Ticks(DataType::Date64)) => Some(TimeUnit::Millisecond),
            _ => None,
        }
    }

    /// The key columns of one side, each in its form.
    pub(super) fn bring(&self, columns: &[ArrayRef]) -> Result<Vec<KeyColumn>> {
        let forms = self.0.iter().zip(columns);
        forms.map(|(form, column)| form.bring(column)).collect()
    }
}

/// What values of both types are compared as, if they can be.
fn form_of(left: &DataType, right: &DataType) -> Option<Form> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Date64, Duration, LargeBinary, Map, Null, Time32,
        Time64, Timestamp, UInt64, Utf8,
    };
    if *left == Null || *right == Null {
        let known = if *left == Null { right } else { left };
        return if *known == Null {
            Some(Form::Signed)
        } else {
            form_of(known, known)
        };
    }
    let whole = |of: &DataType| of.is_integer();
    let decimal = |of: &DataType| match of {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => Some(*scale),
        other if other.is_integer() => Some(0),
        _ => None,
    };
    let bytes = |of: &DataType| matches!(of, Binary | LargeBinary | BinaryView);
    Some(match (left, right) {
        (Boolean, Boolean) => Form::Signed,
        (UInt64, UInt64) => Form::Unsigned,
        (a, b) if whole(a) && whole(b) => match (a, b) {
            (UInt64, _) | (_, UInt64) => Form::Wide,
            _ => Form::Signed,
        },
        (a, b) if a.is_floating() && b.is_floating() => Form::Fraction,
        // Whole numbers beside fractions: only whole fractions can be among them.
        (a, b) if (whole(a) && b.is_floating()) || (a.is_floating() && whole(b)) => Form::Wide,
        (Utf8, Utf8) => Form::Text,
        (a, b) if bytes(a) && bytes(b) => Form::Bytes,
        (Timestamp(a, zone), Timestamp(b, other)) if zone.is_some() == other.is_some() => {
            Form::Ticks(Timestamp(finer(*a, *b), zone.clone()))
        }
        (Date32 | Date64, Date32 | Date64) => Form::Ticks(Date64),
        (Time32(_) | Time64(_) | Duration(_), _) if left == right => Form::Ticks(left.clone()),
        (a, b) => match (decimal(a), decimal(b)) {
            (Some(a), Some(b)) => Form::Decimal(a.max(b)),
            _ if a == b && !matches!(a, Map(..)) => Form::Same(a.clone()),
            _ => return None,
        },
    })
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    let per_second = |unit: TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if per_second(a) >= per_second(b) { a } else { b }
}

impl Form {
    /// The type of the values in this form.
    fn data_type(&self) -> DataType {
        match self {
            Form::Signed | Form::Ticks(_) => DataType::Int64,
            Form::Unsigned | Form::Fraction => DataType::UInt64,
            Form::Wide => DataType::Decimal128(38, 0),
            Form::Decimal(scale) => DataType::Decimal128(38, *scale),
            Form::Text => DataType::Utf8,
            Form::Bytes => DataType::Binary,
            Form::Same(same) => same.clone(),
        }
    }

    fn bring(&self, column: &ArrayRef) -> Result<KeyColumn> {
        let to = self.data_type();
        let plain = plain_type(column.data_type().clone());
        let column = match *column.data_type() == plain {
            true => Arc::clone(column),
            false => cast(column, &plain)?,
        };
        if plain == DataType::Null {
            return Ok(KeyColumn {
                values: new_null_array(&to, column.len()),
                never: None,
            });
        }
        let values: ArrayRef = match self {
            _ if plain == to => Arc::clone(&column),
            Form::Fraction => fraction_bits(&cast(&column, &DataType::Float64)?),
            Form::Wide if plain.is_floating() => {
                exact_whole(&cast(&column, &DataType::Float64)?, &to)?
            }
            Form::Ticks(unit) => {
                let ticks = cast(&column, unit)?;
                match unit {
                    DataType::Time32(_) => cast(&cast(&ticks, &DataType::Int32)?, &to)?,
                    _ => cast(&ticks, &to)?,
                }
            }
            _ => cast(&column, &to)?,
        };
        let never = newly_null(&column, &values);
        Ok(KeyColumn { values, never })
    }
}

/// The bits of floats, with one NaN and one zero.
fn fraction_bits(column: &ArrayRef) -> ArrayRef {
    let floats = column.as_primitive::<Float64Type>();
    let bits = |value: f64| {
        if value.is_nan() {
            f64::NAN.to_bits()
        } else {
            (value + 0.0).to_bits()
        }
    };
    let values: Vec<u64> = floats.values().iter().map(|value| bits(*value)).collect();
    Arc::new(UInt64Array::new(values.into(), floats.nulls().cloned()))
}

/// Floats that are whole numbers, as such; others are null.
fn exact_whole(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    // Beyond this no whole number of 64 bits lies.
    const FAR: f64 = 1e20;
    let floats = column.as_primitive::<Float64Type>();
    let whole = floats.iter().map(|value| {
        value
            .filter(|value| value.trunc() == *value && value.abs() < FAR)
            .map(|value| value as i128)
    });
    Ok(Arc::new(
        whole
            .collect::<Decimal128Array>()
            .with_data_type(to.clone()),
    ))
}

/// Rows that are null in `after` but were not in `before`.
fn newly_null(before: &ArrayRef, after: &ArrayRef) -> Option<BooleanBuffer> {
    if after.null_count() == before.null_count() {
        return None;
    }
    let valid = |of: Option<&NullBuffer>| match of {
        Some(nulls) => nulls.inner().clone(),
        None => BooleanBuffer::new_set(before.len()),
    };
    let lost = &valid(before.nulls()) & &!&valid(after.nulls());
    Some(lost)
}

/// Whole numbers of a column in its form, one way to look at each type that holds them.
pub(super) enum Whole<'a> {
    Signed(&'a Int64Array),
    Unsigned(&'a UInt64Array),
    Wide(&'a Decimal128Array),
}

impl<'a> Whole<'a> {
    /// Whether columns of a type hold such.
    pub fn holds(data_type: &DataType) -> bool {
        use DataType::{Decimal128, Int64, UInt64};
        matches!(data_type, Int64 | UInt64 | Decimal128(..))
    }

    /// The whole numbers that a column holds, if it holds such.
    pub fn of(column: &'a ArrayRef) -> Option<Self> {
        match column.data_type() {
            DataType::Int64 => Some(Whole::Signed(column.as_primitive())),
            DataType::UInt64 => Some(Whole::Unsigned(column.as_primitive())),
            DataType::Decimal128(..) => Some(Whole::Wide(column.as_primitive())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        BooleanArray, Float32Array, Float64Array, Int8Array, Int32Array, TimestampMillisecondArray,
        TimestampSecondArray,
    };

    use super::*;

    /// The pairs of rows whose keys are equal.
    fn meeting(left: ArrayRef, right: ArrayRef) -> Vec<(usize, usize)> {
        let pair = [("l", left.data_type(), "r", right.data_type())];
        let forms = KeyForms::try_new(&pair).unwrap();
        let left = forms.bring(&[left]).unwrap().remove(0);
        let right = forms.bring(&[right]).unwrap().remove(0);
        assert_eq!(left.values.data_type(), right.values.data_type());
        let mut met = Vec::new();
        let held = |key: &KeyColumn, row: usize| {
            key.values.is_valid(row) && key.never.as_ref().is_none_or(|never| !never.value(row))
        };
        for l in 0..left.values.len() {
            for r in 0..right.values.len() {
                let same = left.values.slice(l, 1) == right.values.slice(r, 1);
                if held(&left, l) && held(&right, r) && same {
                    met.push((l, r));
                }
            }
        }
        met
    }

    #[test]
    fn numbers_meet_by_value_whatever_their_types() {
        let bytes: ArrayRef = Arc::new(Int8Array::from(vec![Some(1), None, Some(-1)]));
        let longs: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 1]));
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 1.5, f32::NAN]));
        let decimals: ArrayRef = Arc::new(
            Decimal128Array::from(vec![100, 150, -100])
                .with_precision_and_scale(9, 2)
                .unwrap(),
        );
        assert_eq!(meeting(bytes.clone(), longs.clone()), [(0, 1)]);
        assert_eq!(meeting(bytes.clone(), floats.clone()), [(0, 0)]);
        assert_eq!(meeting(floats.clone(), longs.clone()), [(0, 1)]);
        assert_eq!(meeting(bytes, decimals.clone()), [(0, 0), (2, 2)]);
        let error = KeyForms::try_new(&[("a", floats.data_type(), "b", decimals.data_type())]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("\"a\" (Float32)"), "{error}");
        assert!(error.contains("\"b\" (Decimal128(9, 2))"), "{error}");
    }

    #[test]
    fn every_nan_is_one_key_and_minus_zero_is_zero() {
        let odd = f64::from_bits(f64::NAN.to_bits() | 1);
        let left: ArrayRef = Arc::new(Float64Array::from(vec![odd, -0.0, 2.0]));
        let right: ArrayRef = Arc::new(Float64Array::from(vec![0.0, f64::NAN, -2.0]));
        assert_eq!(meeting(left, right), [(0, 1), (1, 0)]);
    }

    #[test]
    fn instants_meet_in_every_unit_but_not_beside_local_times() {
        let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1, i64::MAX, 2]));
        let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![2000, 1]));
        assert_eq!(meeting(seconds.clone(), millis), [(2, 0)]);
        let zoned = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
        assert!(KeyForms::try_new(&[("a", seconds.data_type(), "b", &zoned)]).is_err());
        let truth: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
        assert_eq!(meeting(truth.clone(), truth.clone()), [(0, 0), (1, 1)]);
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(KeyForms::try_new(&[("a", truth.data_type(), "b", numbers.data_type())]).is_err());
    }
}
