//! Plain values as text: what JSON and CSV have in common.
//!
//! In:  a column, and how a format writes floats and texts.
//! Out: what writes the value of a row, for conditions, numbers and texts; the
//!      type is looked at once, not at each row.

use std::fmt::{Debug, Display, LowerExp};
use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use crate::error::{Error, Result};

/// Writes the value of a row that is not null.
pub(super) type WriteValue<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<()> + 'a>;

/// A float of any width, shown with the fewest digits that give it back.
pub(super) trait Float: Copy + Into<f64> + Debug + LowerExp {}

impl Float for f32 {}
impl Float for f64 {}

/// How a format writes values that others write otherwise.
pub(super) trait Style: Copy {
    /// What is being done, for errors.
    const DOING: &'static str;

    /// Appends a float.
    fn float(self, value: impl Float, out: &mut Vec<u8>) -> Result<()>;

    /// Appends a text.
    fn text(self, text: &str, out: &mut Vec<u8>);

    /// Appends a value as it is shown.
    fn put(self, value: impl Display, out: &mut Vec<u8>) -> Result<()> {
        write!(out, "{value}").map_err(|error| Error::external(Self::DOING, error))
    }
}

/// What writes conditions, numbers and texts; none for other types.
pub(super) fn plain<'a>(column: &'a dyn Array, style: impl Style + 'a) -> Option<WriteValue<'a>> {
    Some(match column.data_type() {
        DataType::Boolean => {
            let values = column.as_boolean();
            Box::new(move |row, out| style.put(values.value(row), out))
        }
        DataType::Int8 => whole::<Int8Type>(column, style),
        DataType::Int16 => whole::<Int16Type>(column, style),
        DataType::Int32 => whole::<Int32Type>(column, style),
        DataType::Int64 => whole::<Int64Type>(column, style),
        DataType::UInt8 => whole::<UInt8Type>(column, style),
        DataType::UInt16 => whole::<UInt16Type>(column, style),
        DataType::UInt32 => whole::<UInt32Type>(column, style),
        DataType::UInt64 => whole::<UInt64Type>(column, style),
        DataType::Float16 => {
            let values = column.as_primitive::<Float16Type>();
            Box::new(move |row, out| style.float(values.value(row).to_f32(), out))
        }
        DataType::Float32 => float::<Float32Type>(column, style),
        DataType::Float64 => float::<Float64Type>(column, style),
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            text(style, move |row| values.value(row))
        }
        DataType::LargeUtf8 => {
            let values = column.as_string::<i64>();
            text(style, move |row| values.value(row))
        }
        DataType::Utf8View => {
            let values = column.as_string_view();
            text(style, move |row| values.value(row))
        }
        _ => return None,
    })
}

/// What writes the values of a dictionary, by what writes those that it holds.
pub(super) fn by_key<'a>(
    column: &'a dyn Array,
    of: impl FnOnce(&'a ArrayRef) -> Result<WriteValue<'a>>,
) -> Result<WriteValue<'a>> {
    let dictionary = column.as_any_dictionary();
    let values = dictionary.values();
    if values.is_empty() {
        // Then every row is null, and this is never called.
        return Ok(Box::new(|_, _| Ok(())));
    }
    let write = of(values)?;
    let keys = dictionary.normalized_keys();
    Ok(Box::new(move |row, out| write(keys[row], out)))
}

fn whole<'a, T>(column: &'a dyn Array, style: impl Style + 'a) -> WriteValue<'a>
where
    T: ArrowPrimitiveType,
    T::Native: Display,
{
    let values = column.as_primitive::<T>();
    Box::new(move |row, out| style.put(values.value(row), out))
}

fn float<'a, T>(column: &'a dyn Array, style: impl Style + 'a) -> WriteValue<'a>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    let values = column.as_primitive::<T>();
    Box::new(move |row, out| style.float(values.value(row), out))
}

fn text<'a>(style: impl Style + 'a, value: impl Fn(usize) -> &'a str + 'a) -> WriteValue<'a> {
    Box::new(move |row, out| {
        style.text(value(row), out);
        Ok(())
    })
}
