//! One type for values from several columns.
//!
//! In:  the types, or the columns, that `case` and `coalesce` choose from.
//! Out: the type they have in common, or the columns in it.
//!
//! Numbers of different types are whole numbers where all are, decimals where one
//! is and all others are whole, else fractions, which rounds what an `f64` cannot
//! hold, as arithmetic does;
//! different scalars are text, as in a column of JSON that mixes them.

use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};
use arrow_cast::cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{DataType, TimeUnit};

use super::convert::{Class, Times};
use super::decimal::{self, Digits};
use super::number::{Num, Numbers, ints_to_array};
use super::scalar::UTC;
use super::text::texts;
use crate::error::Result;

/// The type that holds the values of both; none for objects or lists beside anything else.
pub(crate) fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    if a == b {
        return Some(a.clone());
    }
    match (Class::of(a), Class::of(b)) {
        (Class::Null, _) => Some(b.clone()),
        (_, Class::Null) => Some(a.clone()),
        (Class::Number, Class::Number) => Some(common_number(a, b)),
        (Class::Time, Class::Time) => {
            let zoned = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
            let zone = (zoned(a) || zoned(b)).then(|| UTC.into());
            let nanos = |data_type: &DataType| {
                matches!(data_type, DataType::Timestamp(TimeUnit::Nanosecond, _))
            };
            let unit = if nanos(a) || nanos(b) {
                TimeUnit::Nanosecond
            } else {
                TimeUnit::Microsecond
            };
            Some(DataType::Timestamp(unit, zone))
        }
        (Class::Nested | Class::Other, _) | (_, Class::Nested | Class::Other) => None,
        _ => Some(DataType::Utf8),
    }
}

/// No 64-bit type holds negative numbers and those beyond `i64`; this does.
const WIDE: DataType = DataType::Decimal128(20, 0);

fn common_number(a: &DataType, b: &DataType) -> DataType {
    let whole = |data_type: &DataType| data_type.is_integer() || *data_type == WIDE;
    let beyond = |data_type: &DataType| *data_type == DataType::UInt64 || *data_type == WIDE;
    if !whole(a) || !whole(b) {
        decimal::common_type(a, b).unwrap_or(DataType::Float64)
    } else if beyond(a) || beyond(b) {
        WIDE
    } else {
        DataType::Int64
    }
}

/// The columns in one type: `to`, unless a batch typed one of them so that `to`
/// cannot hold it.
pub(super) fn unify(columns: &[ArrayRef], to: &DataType) -> Result<Vec<ArrayRef>> {
    let fits =
        |column: &ArrayRef| column.data_type() == to || *column.data_type() == DataType::Null;
    if columns.iter().all(fits) {
        return Ok(columns
            .iter()
            .map(|column| match column.data_type() {
                DataType::Null => new_null_array(to, column.len()),
                _ => Arc::clone(column),
            })
            .collect());
    }
    let is_class = |class: Class| {
        columns.iter().all(|column| {
            let own = Class::of(column.data_type());
            own == class || own == Class::Null
        })
    };
    match Class::of(to) {
        Class::Number if is_class(Class::Number) => numbers(columns, to),
        Class::Time if is_class(Class::Time) => columns
            .iter()
            .map(|column| Ok(Times::of(column)?.to_array(to)))
            .collect(),
        _ => columns
            .iter()
            .map(|column| Ok(Arc::new(texts(column)?) as ArrayRef))
            .collect(),
    }
}

fn numbers(columns: &[ArrayRef], to: &DataType) -> Result<Vec<ArrayRef>> {
    let whole = |column: &ArrayRef| {
        column.data_type().is_integer() || [&WIDE, &DataType::Null].contains(&column.data_type())
    };
    if *to == WIDE && columns.iter().all(whole) {
        return columns.iter().map(|column| Ok(cast(column, to)?)).collect();
    }
    let exact = |column: &ArrayRef| Digits::of(column.data_type()).is_some();
    if decimal::is_decimal(to) && columns.iter().all(exact) {
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let in_type = |column: &ArrayRef| Ok(cast_with_options(column, to, &strict)?);
        return columns.iter().map(in_type).collect();
    }
    let numbers = columns
        .iter()
        .map(Numbers::of)
        .collect::<Result<Vec<_>>>()?;
    let all = || {
        let rows = |column: &'_ Numbers| 0..column.len();
        numbers
            .iter()
            .flat_map(move |column| rows(column).map(move |row| column.get(row)))
    };
    if !to.is_floating() {
        // All values at once, so that every piece gets the same type.
        if let Some(whole) = ints_to_array(all().map(|number| number.map(Num::exact_int)), to) {
            let mut start = 0;
            return Ok(numbers
                .iter()
                .map(|column| {
                    let piece = whole.slice(start, column.len());
                    start += column.len();
                    piece
                })
                .collect());
        }
        // Fractions that the plan did not know of: as in a column of JSON, text
        // if an `f64` cannot hold the whole numbers among them.
        let exact = |number: Num| match number {
            Num::Int(value) => value as f64 as i128 == value,
            Num::Float(_) => true,
        };
        if !all().flatten().all(exact) {
            return columns
                .iter()
                .map(|column| Ok(Arc::new(texts(column)?) as ArrayRef))
                .collect();
        }
    }
    Ok(numbers
        .iter()
        .map(|column| Arc::new(column.to_floats()) as ArrayRef)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_meet_where_both_fit() {
        use DataType::{Boolean, Date32, Float64, Int32, Int64, Null, UInt64, Utf8};
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let zoned = DataType::Timestamp(TimeUnit::Second, Some("+01:00".into()));
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let list = DataType::new_list(Int64, true);
        for (a, b, common) in [
            (Int64, Int64, Some(Int64)),
            (Null, Utf8, Some(Utf8)),
            (Int32, UInt64, Some(WIDE)),
            (WIDE, Int64, Some(WIDE)),
            (WIDE, Float64, Some(Float64)),
            (Int64, Float64, Some(Float64)),
            (Int64, Utf8, Some(Utf8)),
            (Boolean, Int64, Some(Utf8)),
            (Date32, micros.clone(), Some(micros.clone())),
            (zoned, micros, Some(utc)),
            (list.clone(), list.clone(), Some(list.clone())),
            (list, Utf8, None),
        ] {
            assert_eq!(common_type(&a, &b), common, "{a} {b}");
            assert_eq!(common_type(&b, &a), common, "{b} {a}");
        }
    }
}
