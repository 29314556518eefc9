//! Columns of the types that only a user's schema asks for.
//!
//! In:  a scalar of the text, as a string or a number.
//! Out: narrow integers, `Float32`, dates and timestamps; a value that the type
//!      does not hold exactly is refused, but for the rounding of a decimal
//!      fraction to the nearest float.

use std::sync::Arc;

use arrow_array::timezone::Tz;
use arrow_array::types::Date32Type;
use arrow_array::{Array, ArrayRef, Float32Array, Int64Array};
use arrow_buffer::NullBuffer;
use arrow_cast::parse::{Parser, string_to_datetime};
use arrow_schema::{DataType, TimeUnit};

use super::buffer::take_all;
use super::number::Number;
use crate::error::{Error, Result};

/// A scalar as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(in crate::io) enum Scalar<'a> {
    /// Without quotes and escapes.
    String(&'a [u8]),
    /// The value and the literal.
    Number(Number, &'a [u8]),
}

/// Values of one fixed type, held wide until the column is finished.
#[derive(Debug)]
pub(in crate::io) struct FixedColumn {
    data_type: DataType,
    ints: Vec<i64>,
    floats: Vec<f32>,
    zone: Option<Tz>,
}

/// Whether a user's schema may ask for this scalar type.
pub(in crate::io) fn is_supported(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Date32
        | DataType::Timestamp(_, None) => true,
        DataType::Timestamp(_, Some(zone)) => zone.parse::<Tz>().is_ok(),
        _ => false,
    }
}

impl FixedColumn {
    pub fn new(data_type: &DataType) -> Self {
        let zone = match data_type {
            DataType::Timestamp(_, Some(zone)) => zone.parse().ok(),
            _ => None,
        };
        FixedColumn {
            data_type: data_type.clone(),
            ints: Vec::new(),
            floats: Vec::new(),
            zone,
        }
    }

    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Appends a value; `false`, with nothing appended, if the type does not hold it.
    pub fn push(&mut self, value: Scalar<'_>) -> bool {
        if self.data_type == DataType::Float32 {
            return self
                .float(value)
                .map(|float| self.floats.push(float))
                .is_some();
        }
        self.int(value).map(|int| self.ints.push(int)).is_some()
    }

    /// Whether the type holds a value.
    pub fn holds(&self, value: Scalar<'_>) -> bool {
        if self.data_type == DataType::Float32 {
            self.float(value).is_some()
        } else {
            self.int(value).is_some()
        }
    }

    fn float(&self, value: Scalar<'_>) -> Option<f32> {
        match value {
            // From the literal, as rounding twice is not rounding.
            Scalar::Number(Number::Float(_), literal) => {
                let float: f32 = std::str::from_utf8(literal).ok()?.parse().ok()?;
                float.is_finite().then_some(float)
            }
            Scalar::Number(Number::Int(int), _) => {
                (int as f32 as i128 == i128::from(int)).then_some(int as f32)
            }
            Scalar::Number(Number::UInt(int), _) => {
                (int as f32 as i128 == i128::from(int)).then_some(int as f32)
            }
            Scalar::Number(Number::Huge, _) | Scalar::String(_) => None,
        }
    }

    fn int(&self, value: Scalar<'_>) -> Option<i64> {
        match (&self.data_type, value) {
            (DataType::Timestamp(unit, _), Scalar::String(text)) => self.timestamp(text, *unit),
            (DataType::Date32, Scalar::String(text)) => date(text).map(i64::from),
            (_, Scalar::Number(Number::Int(int), _)) => self.range().contains(&int).then_some(int),
            _ => None,
        }
    }

    fn range(&self) -> std::ops::RangeInclusive<i64> {
        match self.data_type {
            DataType::Int8 => i64::from(i8::MIN)..=i64::from(i8::MAX),
            DataType::Int16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
            DataType::Int32 | DataType::Date32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
            DataType::UInt8 => 0..=i64::from(u8::MAX),
            DataType::UInt16 => 0..=i64::from(u16::MAX),
            DataType::UInt32 => 0..=i64::from(u32::MAX),
            _ => i64::MIN..=i64::MAX,
        }
    }

    /// An RFC 3339 time, or one without an offset, which is in the column's
    /// zone (UTC if it has none). Refused if the unit would cut it.
    fn timestamp(&self, text: &[u8], unit: TimeUnit) -> Option<i64> {
        let text = std::str::from_utf8(text).ok()?;
        let zone = match self.zone {
            Some(zone) => zone,
            None => "+00:00".parse().ok()?,
        };
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        if fraction.bytes().take_while(u8::is_ascii_digit).count() > 9 {
            return None;
        }
        let time = string_to_datetime(&zone, text).ok()?;
        let (per_second, nanos_per_unit) = match unit {
            TimeUnit::Second => (1, 1_000_000_000),
            TimeUnit::Millisecond => (1_000, 1_000_000),
            TimeUnit::Microsecond => (1_000_000, 1_000),
            TimeUnit::Nanosecond => (1_000_000_000, 1),
        };
        let nanos = i64::from(time.timestamp_subsec_nanos());
        if nanos % nanos_per_unit != 0 {
            return None;
        }
        // Seconds may be far below zero while the product with the fraction fits.
        let whole = i128::from(time.timestamp()) * per_second + i128::from(nanos / nanos_per_unit);
        i64::try_from(whole).ok()
    }

    pub fn push_nulls(&mut self, n: usize) {
        if self.data_type == DataType::Float32 {
            self.floats.resize(self.floats.len() + n, 0.0);
        } else {
            self.ints.resize(self.ints.len() + n, 0);
        }
    }

    pub fn truncate(&mut self, rows: usize) {
        self.floats.truncate(rows);
        self.ints.truncate(rows);
    }

    pub fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        if self.data_type == DataType::Float32 {
            let floats = take_all(&mut self.floats);
            return Ok(Arc::new(Float32Array::try_new(floats.into(), nulls)?));
        }
        let wide = Int64Array::try_new(take_all(&mut self.ints).into(), nulls)?;
        let wide: ArrayRef = match &self.data_type {
            // A timestamp is the integer itself; a cast of a zoned one would move it.
            DataType::Timestamp(_, _) => {
                let data = wide
                    .into_data()
                    .into_builder()
                    .data_type(self.data_type.clone());
                let data = data.build().map_err(Error::from)?;
                return Ok(arrow_array::make_array(data));
            }
            DataType::Date32 => arrow_cast::cast(&wide, &DataType::Int32)?,
            _ => Arc::new(wide),
        };
        Ok(arrow_cast::cast(&wide, &self.data_type)?)
    }
}

/// Days since 1970-01-01 of a date `YYYY-MM-DD`; a time of day is refused, not dropped.
fn date(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    if text.len() > 10 && !text.starts_with(['+', '-']) {
        return None;
    }
    Date32Type::parse(text)
}
