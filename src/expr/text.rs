//! The canonical text of a value.
//!
//! In:  arrays of any type.
//! Out: a `Utf8` array: strings as they are, all else in the one text that
//! equal values share, whichever type holds them.
//!
//! A whole number looks the same from `Int64` and from `Float64`; objects and
//! lists are JSON with keys in byte order and without null members. So a
//! comparison of texts does not depend on how a batch happened to be typed.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_cast::cast::{CastOptions, cast, cast_with_options};
use arrow_schema::DataType;

use super::convert::Times;
use super::json_text::is_json;
use super::time;
use crate::error::{Error, Result};

/// Appends the shortest text that reads back as `value`; a whole number in the
/// range of 64-bit integers looks like the integer it equals.
pub(crate) fn push_float(value: f64, text: &mut String) {
    const I64_START: f64 = i64::MIN as f64;
    const U64_END: f64 = 18_446_744_073_709_551_616.0;
    let whole = value.trunc() == value && !(value == 0.0 && value.is_sign_negative());
    if whole && (I64_START..U64_END).contains(&value) {
        push(text, value as i128);
    } else if value.is_finite() {
        push(text, format_args!("{value:?}"));
    } else {
        push(text, value);
    }
}

/// 0.1 in 32 bits is not 0.1 in 64 bits, but both are written 0.1.
fn push_float32(value: f32, text: &mut String) {
    if value.trunc() == value {
        push_float(f64::from(value), text);
    } else {
        push(text, format_args!("{value:?}"));
    }
}

fn push(text: &mut String, value: impl std::fmt::Display) {
    write!(text, "{value}").expect("writing to memory does not fail");
}

/// The texts of a column; null where it is null.
///
/// # Errors
///
/// [`Error::Plan`] for a type that has no text.
pub(crate) fn texts(array: &ArrayRef) -> Result<StringArray> {
    macro_rules! ints {
        ($type:ty) => {
            Ok(written(array.as_primitive::<$type>(), |value, text| {
                push(text, value)
            }))
        };
    }
    match array.data_type() {
        DataType::Utf8 => Ok(array.as_string::<i32>().clone()),
        DataType::Null => Ok(StringArray::new_null(array.len())),
        DataType::LargeUtf8 | DataType::Utf8View => {
            Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
        }
        DataType::Dictionary(_, values) => texts(&cast(array, values)?),
        DataType::RunEndEncoded(_, values) => texts(&cast(array, values.data_type())?),
        DataType::Boolean => Ok(array
            .as_boolean()
            .iter()
            .map(|value| value.map(|value| if value { "true" } else { "false" }))
            .collect()),
        DataType::Int8 => ints!(Int8Type),
        DataType::Int16 => ints!(Int16Type),
        DataType::Int32 => ints!(Int32Type),
        DataType::Int64 => ints!(Int64Type),
        DataType::UInt8 => ints!(UInt8Type),
        DataType::UInt16 => ints!(UInt16Type),
        DataType::UInt32 => ints!(UInt32Type),
        DataType::UInt64 => ints!(UInt64Type),
        DataType::Float64 => Ok(written(array.as_primitive::<Float64Type>(), push_float)),
        DataType::Float32 => Ok(written(array.as_primitive::<Float32Type>(), push_float32)),
        DataType::Float16 => texts(&cast(array, &DataType::Float32)?),
        DataType::Date32 => dates(array),
        DataType::Timestamp(_, zone) => timestamps(array, zone.is_some()),
        DataType::Date64 => {
            let stamp = DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, None);
            texts(&cast(array, &stamp)?)
        }
        DataType::Struct(_)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Map(..) => json(array),
        other => {
            let lenient = CastOptions {
                safe: true,
                ..CastOptions::default()
            };
            let texts = cast_with_options(array, &DataType::Utf8, &lenient)
                .map_err(|_| Error::plan(format!("{other} has no text")))?;
            Ok(texts.as_string::<i32>().clone())
        }
    }
}

fn dates(array: &ArrayRef) -> Result<StringArray> {
    Ok(Times::of(array)?.written(|nanos, text| {
        text.push_str(&time::date_text(
            i64::try_from(nanos.div_euclid(time::DAY)).unwrap_or(0),
        ));
    }))
}

fn timestamps(array: &ArrayRef, utc: bool) -> Result<StringArray> {
    Ok(Times::of(array)?.written(|nanos, text| {
        text.push_str(&time::timestamp_text(nanos, 'T'));
        text.push_str(if utc { "Z" } else { "" });
    }))
}

fn written<T: ArrowPrimitiveType>(
    array: &arrow_array::PrimitiveArray<T>,
    mut write: impl FnMut(T::Native, &mut String),
) -> StringArray {
    let mut text = String::new();
    array
        .iter()
        .map(|value| {
            value.map(|value| {
                text.clear();
                write(value, &mut text);
                text.clone()
            })
        })
        .collect()
}

impl Times {
    fn written(&self, mut write: impl FnMut(i128, &mut String)) -> StringArray {
        (0..self.values.len())
            .map(|row| {
                self.get(row).map(|nanos| {
                    let mut text = String::new();
                    write(nanos, &mut text);
                    text
                })
            })
            .collect()
    }
}

/// The canonical JSON of objects and lists.
fn json(array: &ArrayRef) -> Result<StringArray> {
    let writer = JsonWriter::new(array, false)?;
    Ok((0..array.len())
        .map(|row| {
            array.is_valid(row).then(|| {
                let mut text = String::new();
                writer.write(row, &mut text);
                text
            })
        })
        .collect())
}

/// How a column is written as JSON; as deep as its type.
enum JsonWriter {
    /// Members in the byte order of their keys, each with its quoted key.
    Object(Vec<(String, JsonWriter)>, ArrayRef),
    /// Items with where each row's begin and end.
    List(Box<JsonWriter>, Vec<(usize, usize)>, ArrayRef),
    /// Texts, and whether they are strings, which are quoted; JSON stays as it is.
    Scalar(StringArray, bool),
}

impl JsonWriter {
    /// `json` says that the texts of the array are JSON themselves.
    fn new(array: &ArrayRef, json: bool) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let mut members: Vec<_> = fields.iter().zip(columns).collect();
                members.sort_by(|a, b| a.0.name().as_bytes().cmp(b.0.name().as_bytes()));
                let members = members
                    .into_iter()
                    .map(|(field, column)| {
                        let mut key = String::new();
                        push_quoted(field.name(), &mut key);
                        Ok((key, JsonWriter::new(column, is_json(field))?))
                    })
                    .collect::<Result<_>>()?;
                JsonWriter::Object(members, Arc::clone(array))
            }
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                let ends = list.offsets().windows(2);
                let rows = ends.map(|ends| (ends[0] as usize, ends[1] as usize));
                JsonWriter::list(list.values(), is_json(item), rows.collect(), array)?
            }
            DataType::LargeList(item) => {
                let list = array.as_list::<i64>();
                let ends = list.offsets().windows(2);
                let rows = ends.map(|ends| (ends[0] as usize, ends[1] as usize));
                JsonWriter::list(list.values(), is_json(item), rows.collect(), array)?
            }
            DataType::FixedSizeList(item, size) => {
                let size = *size as usize;
                let list = array.as_fixed_size_list();
                let rows = (0..list.len()).map(|row| (row * size, (row + 1) * size));
                JsonWriter::list(list.values(), is_json(item), rows.collect(), array)?
            }
            // A map is a list of its entries.
            DataType::Map(..) => {
                let map = array.as_map();
                let entries: ArrayRef = Arc::new(map.entries().clone());
                let ends = map.offsets().windows(2);
                let rows = ends.map(|ends| (ends[0] as usize, ends[1] as usize));
                JsonWriter::list(&entries, false, rows.collect(), array)?
            }
            other => {
                let plain = json || other.is_numeric() || *other == DataType::Boolean;
                JsonWriter::Scalar(texts(array)?, !plain)
            }
        })
    }

    fn list(
        items: &ArrayRef,
        json: bool,
        rows: Vec<(usize, usize)>,
        array: &ArrayRef,
    ) -> Result<Self> {
        let items = Box::new(JsonWriter::new(items, json)?);
        Ok(JsonWriter::List(items, rows, Arc::clone(array)))
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            JsonWriter::Object(_, array) | JsonWriter::List(_, _, array) => array.is_null(row),
            JsonWriter::Scalar(texts, _) => texts.is_null(row),
        }
    }

    fn write(&self, row: usize, text: &mut String) {
        if self.is_null(row) {
            text.push_str("null");
            return;
        }
        match self {
            JsonWriter::Object(members, _) => {
                let mut before = '{';
                for (key, member) in members {
                    if !member.is_null(row) {
                        text.push(before);
                        text.push_str(key);
                        text.push(':');
                        member.write(row, text);
                        before = ',';
                    }
                }
                text.push_str(if before == '{' { "{}" } else { "}" });
            }
            JsonWriter::List(items, rows, _) => {
                let (start, end) = rows[row];
                text.push('[');
                for item in start..end {
                    if item > start {
                        text.push(',');
                    }
                    items.write(item, text);
                }
                text.push(']');
            }
            JsonWriter::Scalar(texts, true) => push_quoted(texts.value(row), text),
            JsonWriter::Scalar(texts, false) => text.push_str(texts.value(row)),
        }
    }
}

/// Appends a string in quotes, escaping what JSON demands and nothing else.
fn push_quoted(value: &str, text: &mut String) {
    text.push('"');
    for ch in value.chars() {
        match ch {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            control if control < ' ' => push(text, format_args!("\\u{:04x}", control as u32)),
            other => text.push(other),
        }
    }
    text.push('"');
}
