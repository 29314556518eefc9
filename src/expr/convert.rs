//! What a value is, and how a column of any type is looked at as conditions or times.
//!
//! In:  arrays as the batch has them.
//! Out: conditions and points in time by value; null where the value is neither.
//!
//! A batch of JSON may hold a column under another type than the plan knew.
//! Every conversion here gives the same answer for the same value under each
//! of those types, so no answer depends on how a batch was typed.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Int64Array, PrimitiveArray, StringArray,
    UInt32Array, new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use arrow_select::take::take;

use super::number::Numbers;
use super::text::texts;
use super::{json_text, time};
use crate::error::Result;

/// What the values of a type are, as far as expressions tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing is known: only nulls so far.
    Null,
    Bool,
    Number,
    Text,
    Time,
    /// Objects, lists and maps.
    Nested,
    /// Everything else: times of day, durations, intervals.
    Other,
}

impl Class {
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Class::Null,
            DataType::Boolean => Class::Bool,
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView => Class::Text,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Class::Time,
            DataType::Dictionary(_, values) => Class::of(values),
            DataType::RunEndEncoded(_, values) => Class::of(values.data_type()),
            other if other.is_numeric() => Class::Number,
            other if other.is_nested() => Class::Nested,
            _ => Class::Other,
        }
    }
}

/// What an expression gave: one value per row, or one for all rows.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub array: ArrayRef,
    /// Whether `array` has one row that stands for all.
    pub constant: bool,
    /// Whether its texts are JSON, so that strings among them are quoted.
    pub json: bool,
}

impl Value {
    pub fn rows(array: ArrayRef) -> Self {
        Value {
            array,
            constant: false,
            json: false,
        }
    }

    pub fn constant(array: ArrayRef) -> Self {
        Value {
            array,
            constant: true,
            json: false,
        }
    }

    /// The same values with one row for each of the batch.
    pub fn into_array(self, rows: usize) -> Result<ArrayRef> {
        if !self.constant {
            return Ok(self.array);
        }
        if self.array.is_null(0) || *self.array.data_type() == DataType::Null {
            return Ok(new_null_array(self.array.data_type(), rows));
        }
        Ok(take(&self.array, &Int64Array::from(vec![0; rows]), None)?)
    }

    /// The values of some rows, in their order.
    pub fn only(&self, rows: &[u32]) -> Result<Value> {
        if self.constant || rows.len() == self.array.len() {
            return Ok(self.clone());
        }
        Ok(Value {
            array: take(&self.array, &UInt32Array::from(rows.to_vec()), None)?,
            ..self.clone()
        })
    }

    /// The texts, canonical.
    pub fn texts(&self) -> Result<StringArray> {
        let texts = texts(&self.array)?;
        Ok(if self.json {
            json_text::unquoted(&texts)
        } else {
            texts
        })
    }

    pub fn numbers(&self) -> Result<Numbers> {
        if self.json {
            let texts: ArrayRef = Arc::new(self.texts()?);
            return Numbers::of(&texts);
        }
        Numbers::of(&self.array)
    }

    pub fn times(&self) -> Result<Times> {
        if self.json {
            let texts: ArrayRef = Arc::new(self.texts()?);
            return Times::of(&texts);
        }
        Times::of(&self.array)
    }

    /// The conditions: booleans, and the texts `true` and `false`.
    pub fn bools(&self) -> Result<BooleanArray> {
        if let Some(bools) = self.array.as_boolean_opt() {
            return Ok(bools.clone());
        }
        if Class::of(self.array.data_type()) != Class::Text {
            return Ok(BooleanArray::new_null(self.array.len()));
        }
        Ok(self
            .texts()?
            .iter()
            .map(|text| match text {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            })
            .collect())
    }

    /// The conditions with one row for each of the batch.
    pub fn bools_of(&self, rows: usize) -> Result<BooleanArray> {
        let bools = self.bools()?;
        if !self.constant {
            return Ok(bools);
        }
        Ok(if bools.is_null(0) {
            BooleanArray::new_null(rows)
        } else if bools.value(0) {
            BooleanArray::new(BooleanBuffer::new_set(rows), None)
        } else {
            BooleanArray::new(BooleanBuffer::new_unset(rows), None)
        })
    }
}

/// Points in time as their array counts them, from 1970 in UTC.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ticks<'a> {
    /// Days.
    Short(&'a [i32]),
    Long(&'a [i64]),
}

impl<'a> Ticks<'a> {
    /// Those of an array, nulls too, and the nanoseconds of one; none of what is
    /// neither dates nor timestamps.
    pub fn of(array: &'a ArrayRef) -> Option<(Self, i128)> {
        macro_rules! long {
            ($type:ty) => {
                Ticks::Long(array.as_primitive::<$type>().values())
            };
        }
        Some(match array.data_type() {
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>().values();
                (Ticks::Short(days), time::DAY)
            }
            DataType::Date64 => (long!(Date64Type), 1_000_000),
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Second => (long!(TimestampSecondType), time::SECOND),
                TimeUnit::Millisecond => (long!(TimestampMillisecondType), 1_000_000),
                TimeUnit::Microsecond => (long!(TimestampMicrosecondType), 1_000),
                TimeUnit::Nanosecond => (long!(TimestampNanosecondType), 1),
            },
            _ => return None,
        })
    }
}

/// Points in time, in nanoseconds from 1970 in UTC.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    pub values: Vec<i128>,
    pub nulls: Option<NullBuffer>,
}

impl Times {
    /// The points in time of an array: dates at midnight, timestamps, and texts that spell one.
    pub fn of(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Date32 => Times::scaled::<Date32Type>(array, time::DAY),
            DataType::Date64 => Times::scaled::<Date64Type>(array, 1_000_000),
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Second => Times::scaled::<TimestampSecondType>(array, time::SECOND),
                TimeUnit::Millisecond => {
                    Times::scaled::<TimestampMillisecondType>(array, 1_000_000)
                }
                TimeUnit::Microsecond => Times::scaled::<TimestampMicrosecondType>(array, 1_000),
                TimeUnit::Nanosecond => Times::scaled::<TimestampNanosecondType>(array, 1),
            },
            DataType::Utf8 => Times::collect(
                array
                    .as_string::<i32>()
                    .iter()
                    .map(|text| text.and_then(time::parse).map(|instant| instant.nanos)),
            ),
            DataType::Dictionary(_, values) => Times::of(&cast(array, values)?)?,
            DataType::RunEndEncoded(_, values) => Times::of(&cast(array, values.data_type())?)?,
            other if Class::of(other) == Class::Text => {
                let texts: ArrayRef = Arc::new(texts(array)?);
                Times::of(&texts)?
            }
            _ => Times {
                values: vec![0; array.len()],
                nulls: Some(NullBuffer::new_null(array.len())),
            },
        })
    }

    fn scaled<T: ArrowPrimitiveType>(array: &ArrayRef, nanos: i128) -> Self
    where
        i128: From<T::Native>,
    {
        let array: &PrimitiveArray<T> = array.as_primitive();
        Times {
            values: array
                .values()
                .iter()
                .map(|value| i128::from(*value) * nanos)
                .collect(),
            nulls: array.nulls().cloned(),
        }
    }

    pub fn collect(times: impl Iterator<Item = Option<i128>>) -> Self {
        let mut valid = Vec::new();
        let values = times
            .map(|time| {
                valid.push(time.is_some());
                time.unwrap_or(0)
            })
            .collect();
        Times {
            values,
            nulls: Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0),
        }
    }

    /// The point in time of a row; none where it is null.
    pub fn get(&self, row: usize) -> Option<i128> {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(self.values[row]),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<i128>> {
        (0..self.values.len()).map(|row| self.get(row))
    }

    /// As an array of a time type, rounded down to its unit; null where the type cannot hold it.
    pub fn to_array(&self, to: &DataType) -> ArrayRef {
        fn array<T: ArrowPrimitiveType>(times: &Times, nanos: i128, zone: &DataType) -> ArrayRef
        where
            T::Native: TryFrom<i128>,
        {
            let values: PrimitiveArray<T> = times
                .iter()
                .map(|time| time.and_then(|time| T::Native::try_from(time.div_euclid(nanos)).ok()))
                .collect();
            // The type differs from `T`'s at most by its zone, which is no part of the values.
            Arc::new(values.with_data_type(zone.clone()))
        }
        match to {
            DataType::Date32 => array::<Date32Type>(self, time::DAY, to),
            DataType::Date64 => array::<Date64Type>(self, 1_000_000, to),
            DataType::Timestamp(TimeUnit::Second, _) => {
                array::<TimestampSecondType>(self, time::SECOND, to)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                array::<TimestampMillisecondType>(self, 1_000_000, to)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                array::<TimestampNanosecondType>(self, 1, to)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                array::<TimestampMicrosecondType>(self, 1_000, to)
            }
            other => new_null_array(other, self.values.len()),
        }
    }
}

/// Where both sides have a value; a constant side counts for every row.
pub(crate) fn both_valid(
    rows: usize,
    left: (Option<&NullBuffer>, bool),
    right: (Option<&NullBuffer>, bool),
) -> Option<NullBuffer> {
    let side = |(nulls, constant): (Option<&NullBuffer>, bool)| match nulls {
        Some(nulls) if constant && nulls.is_null(0) => Some(NullBuffer::new_null(rows)),
        _ if constant => None,
        nulls => nulls.cloned(),
    };
    NullBuffer::union(side(left).as_ref(), side(right).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_way_to_an_array_and_back() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("2024-02-29T12:00:00.123456789Z"),
            Some("1969-12-31 23:59:59.5"),
            None,
            Some("n/a"),
        ]));
        let times = Times::of(&texts).unwrap();
        for (unit, step) in [
            (TimeUnit::Second, 1_000_000_000),
            (TimeUnit::Millisecond, 1_000_000),
            (TimeUnit::Microsecond, 1_000),
            (TimeUnit::Nanosecond, 1),
        ] {
            let to = DataType::Timestamp(unit, Some("UTC".into()));
            let array = times.to_array(&to);
            assert_eq!(array.data_type(), &to);
            let back: Vec<_> = Times::of(&array).unwrap().iter().collect();
            let down: Vec<_> = times
                .iter()
                .map(|time| time.map(|time| time.div_euclid(step) * step))
                .collect();
            assert_eq!(back, down);
        }
    }

    #[test]
    fn a_time_beyond_its_type_is_null() {
        let times = Times::collect([time::parse("9999-01-01").map(|at| at.nanos)].into_iter());
        let nanos = times.to_array(&DataType::Timestamp(TimeUnit::Nanosecond, None));
        assert!(nanos.is_null(0));
        let days = times.to_array(&DataType::Date32);
        assert_eq!(days.as_primitive::<Date32Type>().value(0), 2_932_532);
    }

    #[test]
    fn a_constant_stands_for_every_row() {
        let one = Value::constant(Arc::new(StringArray::from(vec!["a"])));
        assert_eq!(
            one.into_array(3).unwrap().as_string::<i32>(),
            &StringArray::from(vec!["a", "a", "a"])
        );
        let null = Value::constant(new_null_array(&DataType::Null, 1));
        assert_eq!(null.bools_of(2).unwrap(), BooleanArray::new_null(2));
    }
}
