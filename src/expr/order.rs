//! A key by which rows are put in order, in types that do not change.
//!
//! In:  a column as a batch has it, and the type it was planned as.
//! Out: one or two columns; comparing them one after the other compares the values.
//!
//! A batch of JSON may hold whole numbers where others hold fractions. Numbers
//! compare by the nearest `f64`, then exactly; what is no number among numbers
//! has no place and is null. NaN is above all numbers, and -0 is 0.

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Int64Array};
use arrow_schema::DataType;

use super::convert::{Class, Times, Value};
use super::number::{Num, Numbers, float_key};
use super::text::texts;
use crate::error::Result;

/// The columns that stand for a key.
///
/// # Errors
///
/// [`Error::Plan`](crate::Error::Plan) for a type that has no text among texts.
pub(crate) fn order_columns(column: &ArrayRef, planned: &DataType) -> Result<Vec<ArrayRef>> {
    Ok(match Class::of(planned) {
        Class::Number if column.data_type().is_decimal() && column.data_type() == planned => {
            vec![ArrayRef::clone(column)]
        }
        Class::Null | Class::Number => numbers(column)?,
        Class::Text => vec![Arc::new(texts(column)?)],
        Class::Bool => vec![Arc::new(Value::rows(Arc::clone(column)).bools()?)],
        Class::Time => {
            let times = Times::of(column)?;
            vec![Arc::new(Decimal128Array::new(
                times.values.into(),
                times.nulls,
            ))]
        }
        Class::Nested | Class::Other => vec![Arc::clone(column)],
    })
}

fn numbers(column: &ArrayRef) -> Result<Vec<ArrayRef>> {
    let numbers = Numbers::of(column)?;
    let all = || (0..numbers.len()).map(|row| numbers.value(row));
    let nearest = all().map(|number| float_key(number.to_f64())).collect();
    let exact = all().map(|number| match number {
        Num::Int(value) => value,
        // Beside a fraction, or NaN, there is no whole number with the same nearest `f64`.
        Num::Float(value) => value as i128,
    });
    let nulls = || numbers.nulls().cloned();
    Ok(vec![
        Arc::new(Int64Array::new(nearest, nulls())),
        Arc::new(Decimal128Array::new(exact.collect(), nulls())),
    ])
}
