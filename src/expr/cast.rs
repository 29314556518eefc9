//! Values as another type.
//!
//! In:  a column, the class it was bound to, the type that is wanted.
//! Out: the column in that type; where a value does not fit, null or an error
//! that quotes it.
//!
//! A fraction cast to a whole number loses its fraction, as in Arrow. A text
//! is cast as what it spells: `'3.7'` to a whole number is 3, like 3.7.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, UInt64Array, new_null_array,
};
use arrow_buffer::NullBuffer;
use arrow_cast::cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use arrow_select::take::take;

use super::convert::{Class, Value};
use super::number::{Num, Numbers, ints_to_array, not_finite};
use super::row_error::Failure;
use super::types;
use crate::error::Result;

/// Whether a class of values has a meaning as another type.
pub(crate) fn can_cast(from: &DataType, to: &DataType) -> bool {
    match (Class::of(from), Class::of(to)) {
        (Class::Null, _) => true,
        (_, Class::Text) if Class::of(from) != Class::Other => true,
        (Class::Number, Class::Time) | (Class::Time, Class::Number) => false,
        (Class::Time, Class::Bool) | (Class::Bool, Class::Time) => false,
        (
            Class::Text | Class::Number | Class::Bool | Class::Time,
            Class::Number | Class::Bool | Class::Time,
        ) => true,
        _ => can_cast_types(from, to),
    }
}

/// Casts a column. `bound` is the type the plan knew it under, which decides
/// what its values mean.
pub(crate) fn cast(
    value: &Value,
    bound: &DataType,
    to: &DataType,
    lenient: bool,
) -> Result<ArrayRef, Failure> {
    if value.array.data_type() == to && !value.json {
        return Ok(Arc::clone(&value.array));
    }
    if !lenient && to.is_nested() {
        return whole(value, to);
    }
    let result = leniently(value, Class::of(bound), to)?;
    if !lenient {
        nothing_is_lost(value, &result, to)?;
    }
    Ok(result)
}

/// Refuses a value that is null in `result` only. The text null of JSON was none before.
fn nothing_is_lost(value: &Value, result: &ArrayRef, to: &DataType) -> Result<(), Failure> {
    if result.logical_null_count() <= value.array.logical_null_count() {
        return Ok(());
    }
    let (before, after) = (value.array.logical_nulls(), result.logical_nulls());
    let is_null =
        |nulls: &Option<NullBuffer>, row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let texts = value.texts()?;
    let lost = (0..result.len())
        .filter(|row| is_null(&after, *row) && !is_null(&before, *row))
        .find(|row| !value.json || texts.is_valid(*row));
    match lost {
        None => Ok(()),
        Some(row) if texts.is_valid(row) => Err(unfit(row, texts.value(row), to)),
        // Bytes that are no text are shown as what they are.
        Some(row) => Err(unfit(row, &shown(&value.array.slice(row, 1))?, to)),
    }
}

/// Casts lists and objects, all that is in them included: the first row whose values do
/// not fit is an error.
fn whole(value: &Value, to: &DataType) -> Result<ArrayRef, Failure> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    if let Ok(cast) = cast_with_options(&value.array, to, &strict) {
        return Ok(cast);
    }
    // Arrow also looks at items that belong to no row, so rows are looked at alone.
    let n_rows = value.array.len() as u64;
    let rows = |rows: Range<u64>| take(&value.array, &UInt64Array::from_iter_values(rows), None);
    for row in 0..n_rows {
        let alone = rows(row..row + 1)?;
        if cast_with_options(&alone, to, &strict).is_err() {
            return Err(unfit(row as usize, &shown(&alone)?, to));
        }
    }
    Ok(cast_with_options(&rows(0..n_rows)?, to, &strict)?)
}

fn unfit(row: usize, text: &str, to: &DataType) -> Failure {
    Failure::at(row, format!("{} is not {}", quote(text), types::name(to)))
}

/// The one value of an array, as tables show it.
fn shown(value: &ArrayRef) -> Result<String, Failure> {
    let options = FormatOptions::default().with_null("null");
    let texts = ArrayFormatter::try_new(value, &options)?;
    Ok(texts.value(0).try_to_string()?)
}

fn quote(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Casts with null where a value does not fit.
fn leniently(value: &Value, bound: Class, to: &DataType) -> Result<ArrayRef, Failure> {
    match Class::of(to) {
        Class::Null => Ok(new_null_array(to, value.array.len())),
        Class::Text => onward(Arc::new(value.texts()?), to),
        Class::Time => Ok(value.times()?.to_array(to)),
        Class::Bool => Ok(Arc::new(to_bools(value)?)),
        // Decimals keep digits that a float would round.
        Class::Number if is_decimal(to) || is_decimal(value.array.data_type()) => {
            let array = if value.json || Class::of(value.array.data_type()) == Class::Text {
                Arc::new(value.texts()?)
            } else {
                Arc::clone(&value.array)
            };
            if can_cast_types(array.data_type(), to) {
                onward(array, to)
            } else {
                Ok(new_null_array(to, array.len()))
            }
        }
        // Conditions count as 1 and 0, beside numbers that a batch may hold as well.
        Class::Number if bound == Class::Bool => {
            let (bools, numbers) = (value.bools()?, value.numbers()?);
            let counted = (0..bools.len()).map(|row| {
                let counted = bools.is_valid(row).then(|| bools.value(row));
                let counted = counted.map(|value| Num::Int(i128::from(value)));
                counted.or(numbers.get(row))
            });
            to_number(&Numbers::collect(counted), to)
        }
        Class::Number if to.is_floating() && Class::of(value.array.data_type()) == Class::Text => {
            onward(Arc::new(spelled_floats(value)?), to)
        }
        Class::Number => to_number(&value.numbers()?, to),
        Class::Nested | Class::Other => {
            if can_cast_types(value.array.data_type(), to) {
                onward(Arc::clone(&value.array), to)
            } else {
                Ok(new_null_array(to, value.array.len()))
            }
        }
    }
}

/// Casts onward with Arrow's own rules, null where a value does not fit.
fn onward(array: ArrayRef, to: &DataType) -> Result<ArrayRef, Failure> {
    let lenient = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    if array.data_type() == to {
        Ok(array)
    } else {
        Ok(cast_with_options(&array, to, &lenient)?)
    }
}

/// What texts spell, NaN and infinities among it: no number that meets others by
/// chance, but one to whoever asks for floats.
fn spelled_floats(value: &Value) -> Result<Float64Array, Failure> {
    let (texts, numbers) = (value.texts()?, value.numbers()?);
    let floats = (0..texts.len()).map(|row| match numbers.get(row) {
        Some(number) => Some(number.to_f64()),
        None if texts.is_valid(row) => not_finite(texts.value(row).trim_ascii()),
        None => None,
    });
    Ok(floats.collect())
}

fn to_number(numbers: &Numbers, to: &DataType) -> Result<ArrayRef, Failure> {
    if to.is_floating() {
        return onward(Arc::new(numbers.to_floats()), to);
    }
    let whole = (0..numbers.len()).map(|row| {
        let whole = numbers.get(row).and_then(Num::truncated);
        // What no 64-bit type holds fits no narrower one either.
        whole
            .filter(|whole| (i128::from(i64::MIN)..1 << 64).contains(whole))
            .map(Some)
    });
    match ints_to_array(whole.clone(), to) {
        Some(array) => onward(array, to),
        // Negative numbers beside ones beyond i64: each type takes its own.
        None if *to == DataType::UInt64 => {
            let unsigned = whole.map(|whole| whole.flatten().and_then(|v| u64::try_from(v).ok()));
            Ok(Arc::new(unsigned.collect::<UInt64Array>()))
        }
        None => {
            let signed = whole.map(|whole| whole.flatten().and_then(|v| i64::try_from(v).ok()));
            onward(Arc::new(signed.collect::<Int64Array>()), to)
        }
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    )
}

/// `true` and `false` in any case; numbers are true unless they are 0.
fn to_bools(value: &Value) -> Result<BooleanArray> {
    let bools = value.bools()?;
    if *value.array.data_type() == DataType::Boolean {
        return Ok(bools);
    }
    let numbers = value.numbers()?;
    let texts = match Class::of(value.array.data_type()) {
        Class::Text => Some(value.texts()?),
        _ => None,
    };
    Ok((0..bools.len())
        .map(|row| {
            let spelt = texts
                .as_ref()
                .filter(|texts| texts.is_valid(row))
                .and_then(|texts| {
                    let text = texts.value(row).trim_ascii();
                    [true, false].into_iter().find(|known| {
                        text.eq_ignore_ascii_case(if *known { "true" } else { "false" })
                    })
                });
            let number = numbers
                .get(row)
                .map(|number| number.total_cmp(Num::Int(0)).is_ne());
            bools
                .is_valid(row)
                .then(|| bools.value(row))
                .or(spelt)
                .or(number)
        })
        .collect())
}
