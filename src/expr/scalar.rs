//! A constant of an expression.
//!
//! In:  Rust values, or literals of the text of an expression.
//! Out: one [`Scalar`], its type, its text, and an array of one row.
//!
//! Whole numbers are `Int64` wherever they fit: `UInt64` holds only those
//! beyond `i64::MAX`. `From` keeps that.

use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, StringArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{DataType, TimeUnit};

use super::convert::Times;
use super::time;

/// The zone of timestamps that name an instant.
pub(crate) const UTC: &str = "UTC";

/// One constant value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Int64(i64),
    /// A whole number beyond `i64::MAX`.
    UInt64(u64),
    /// Any other number.
    Float64(f64),
    /// A text.
    Utf8(String),
    /// A day, counted from 1970-01-01.
    Date(i32),
    /// A point in time, in the years 0 to 9999.
    Timestamp {
        /// Nanoseconds from 1970-01-01T00:00:00, in UTC.
        nanos: i128,
        /// Whether the text named its offset; without one it is read as UTC.
        utc: bool,
    },
}

impl Scalar {
    /// The Arrow type of the value; timestamps are in microseconds, or in
    /// nanoseconds where they need it and can.
    pub fn data_type(&self) -> DataType {
        match self {
            Scalar::Null => DataType::Null,
            Scalar::Boolean(_) => DataType::Boolean,
            Scalar::Int64(_) => DataType::Int64,
            Scalar::UInt64(_) => DataType::UInt64,
            Scalar::Float64(_) => DataType::Float64,
            Scalar::Utf8(_) => DataType::Utf8,
            Scalar::Date(_) => DataType::Date32,
            Scalar::Timestamp { nanos, utc } => {
                let unit = if nanos % 1_000 != 0 && i64::try_from(*nanos).is_ok() {
                    TimeUnit::Nanosecond
                } else {
                    TimeUnit::Microsecond
                };
                DataType::Timestamp(unit, utc.then(|| UTC.into()))
            }
        }
    }

    /// The value as an array of one row.
    pub fn to_array(&self) -> ArrayRef {
        match self {
            Scalar::Null => Arc::new(NullArray::new(1)),
            Scalar::Boolean(value) => Arc::new(BooleanArray::from(vec![*value])),
            Scalar::Int64(value) => Arc::new(Int64Array::from(vec![*value])),
            Scalar::UInt64(value) => Arc::new(UInt64Array::from(vec![*value])),
            Scalar::Float64(value) => Arc::new(Float64Array::from(vec![*value])),
            Scalar::Utf8(value) => Arc::new(StringArray::from(vec![value.as_str()])),
            Scalar::Date(days) => Arc::new(Date32Array::from(vec![*days])),
            Scalar::Timestamp { nanos, utc } => {
                let zone = utc.then_some(UTC);
                match self.data_type() {
                    // The type is nanoseconds only where the value fits them.
                    DataType::Timestamp(TimeUnit::Nanosecond, _) => Arc::new(
                        TimestampNanosecondArray::from(vec![i64::try_from(*nanos).ok()])
                            .with_timezone_opt(zone),
                    ),
                    _ => Arc::new(
                        TimestampMicrosecondArray::from(vec![
                            i64::try_from(nanos.div_euclid(1_000)).ok(),
                        ])
                        .with_timezone_opt(zone),
                    ),
                }
            }
        }
    }

    /// The first value of an array, if a scalar says all there is to it.
    pub(crate) fn from_array(array: &ArrayRef) -> Option<Scalar> {
        if array.is_empty() {
            return None;
        }
        if array.is_null(0) || *array.data_type() == DataType::Null {
            return Some(Scalar::Null);
        }
        Some(match array.data_type() {
            DataType::Boolean => Scalar::Boolean(array.as_boolean().value(0)),
            DataType::Int64 => Scalar::Int64(array.as_primitive::<Int64Type>().value(0)),
            DataType::UInt64 => Scalar::from(array.as_primitive::<UInt64Type>().value(0)),
            DataType::Float64 => Scalar::Float64(array.as_primitive::<Float64Type>().value(0)),
            DataType::Utf8 => Scalar::from(array.as_string::<i32>().value(0)),
            DataType::Date32 => Scalar::Date(array.as_primitive::<Date32Type>().value(0)),
            DataType::Timestamp(_, zone) => Scalar::Timestamp {
                nanos: Times::of(array).ok()?.get(0)?,
                utc: zone.is_some(),
            },
            _ => return None,
        })
    }

    /// Whether it is a number.
    pub(crate) fn is_number(&self) -> bool {
        matches!(
            self,
            Scalar::Int64(_) | Scalar::UInt64(_) | Scalar::Float64(_)
        )
    }
}

/// The literal as an expression's text writes it.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => f.write_str("null"),
            Scalar::Boolean(value) => write!(f, "{value}"),
            Scalar::Int64(value) => write!(f, "{value}"),
            Scalar::UInt64(value) => write!(f, "{value}"),
            Scalar::Float64(value) if value.is_finite() => write!(f, "{value:?}"),
            // There is no literal for these; the cast gives the same value.
            Scalar::Float64(value) => write!(f, "cast('{value}' as float64)"),
            Scalar::Utf8(value) => write!(f, "'{}'", value.replace('\'', "''")),
            Scalar::Date(days) => write!(f, "date '{}'", time::date_text(i64::from(*days))),
            Scalar::Timestamp { nanos, utc } => write!(
                f,
                "timestamp '{}{}'",
                time::timestamp_text(*nanos, ' '),
                if *utc { "Z" } else { "" }
            ),
        }
    }
}

macro_rules! from_integer {
    ($($native:ty),*) => {$(
        impl From<$native> for Scalar {
            fn from(value: $native) -> Self {
                Scalar::Int64(i64::from(value))
            }
        }
    )*};
}
from_integer!(i8, i16, i32, i64, u8, u16, u32);

impl From<u64> for Scalar {
    fn from(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => Scalar::Int64(value),
            Err(_) => Scalar::UInt64(value),
        }
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Scalar::Boolean(value)
    }
}

impl From<f32> for Scalar {
    fn from(value: f32) -> Self {
        Scalar::Float64(f64::from(value))
    }
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Self {
        Scalar::Float64(value)
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Scalar::Utf8(value.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Scalar::Utf8(value)
    }
}

impl<T: Into<Scalar>> From<Option<T>> for Scalar {
    fn from(value: Option<T>) -> Self {
        value.map_or(Scalar::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_has_the_type_and_one_row() {
        for scalar in [
            Scalar::Null,
            true.into(),
            (-5).into(),
            u64::MAX.into(),
            0.25.into(),
            "it's".into(),
            Scalar::Date(19_723),
            Scalar::Timestamp {
                nanos: 1_001,
                utc: true,
            },
            Scalar::Timestamp {
                nanos: 253_402_300_799_000_000_001,
                utc: false,
            },
        ] {
            let array = scalar.to_array();
            assert_eq!(array.len(), 1, "{scalar}");
            assert_eq!(array.data_type(), &scalar.data_type(), "{scalar}");
            assert!(array.is_valid(0) || scalar == Scalar::Null, "{scalar}");
        }
    }

    #[test]
    fn whole_numbers_are_int64_wherever_they_fit() {
        assert_eq!(Scalar::from(5_u64), Scalar::Int64(5));
        assert_eq!(Scalar::from(u64::MAX), Scalar::UInt64(u64::MAX));
        assert_eq!(Scalar::from(None::<i64>), Scalar::Null);
    }

    #[test]
    fn literals_print_as_they_are_written() {
        assert_eq!(Scalar::from("it's").to_string(), "'it''s'");
        assert_eq!(Scalar::from(3.0).to_string(), "3.0");
        assert_eq!(Scalar::Date(19_723).to_string(), "date '2024-01-01'");
        assert_eq!(
            Scalar::Timestamp {
                nanos: 1_704_067_200_500_000_000,
                utc: true
            }
            .to_string(),
            "timestamp '2024-01-01 00:00:00.5Z'"
        );
    }
}
