//! Values of our own JSON text, as columns.
//!
//! In:  the text of each value of a column, as the writer made it.
//! Out: the column, of the type it was written from.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, StringBuilder};
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int64Type, UInt64Type};
use arrow_array::{ArrayRef, LargeListArray, ListArray, NullArray, PrimitiveArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Fields};

use super::text::{is_json, write_text};
use crate::error::{Error, Result};

/// The text of a column's values; nothing for null.
pub(crate) type Spans<'t> = Vec<Option<&'t [u8]>>;

/// The length of the value that text starts with.
fn skip_value(text: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                at += string_len(&text[at..]);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The length of the string that text starts with, with both quotes.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

pub(super) fn broken() -> Error {
    Error::corrupt("", None, "a staged value is not as it was written")
}

/// A column from the text of its values. Types nest at most as deep as the
/// stored schema's limit lets pass, and so do these calls.
pub(crate) fn parse(field: &Field, spans: &Spans<'_>) -> Result<ArrayRef> {
    Ok(match field.data_type() {
        DataType::Null => Arc::new(NullArray::new(spans.len())),
        DataType::Boolean => {
            let mut values = BooleanBuilder::with_capacity(spans.len());
            for span in spans {
                values.append_option(span.map(|text| text == b"true"));
            }
            Arc::new(values.finish())
        }
        DataType::Int64 => numbers::<Int64Type>(spans)?,
        DataType::UInt64 => numbers::<UInt64Type>(spans)?,
        DataType::Float64 => numbers::<Float64Type>(spans)?,
        DataType::Utf8 if is_json(field) => {
            let mut values = StringBuilder::new();
            for span in spans {
                values.append_option(span.map(text).transpose()?);
            }
            Arc::new(values.finish())
        }
        DataType::Utf8 => strings(spans)?,
        DataType::Struct(fields) => members(fields, spans)?,
        DataType::List(item) => {
            let (values, lengths, nulls) = items(item, spans)?;
            let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
            Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?)
        }
        DataType::LargeList(item) => {
            let (values, lengths, nulls) = items(item, spans)?;
            let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
            Arc::new(LargeListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?)
        }
        // Narrow numbers, decimals, times, dictionaries: by way of their text.
        other => cast(&strings(spans)?, other)?,
    })
}

fn text(span: &[u8]) -> Result<&str> {
    std::str::from_utf8(span).map_err(|_| broken())
}

fn numbers<T: ArrowPrimitiveType>(spans: &Spans<'_>) -> Result<ArrayRef>
where
    T::Native: std::str::FromStr,
{
    let values = spans
        .iter()
        .map(|span| match span {
            // A float that JSON cannot hold was written as null.
            None | Some(b"null") => Ok(None),
            Some(span) => text(span)?.parse().map(Some).map_err(|_| broken()),
        })
        .collect::<Result<PrimitiveArray<T>>>()?;
    Ok(Arc::new(values))
}

/// Strings without their quotes and escapes; other values as their text.
fn strings(spans: &Spans<'_>) -> Result<ArrayRef> {
    let mut values = StringBuilder::new();
    let mut plain = Vec::new();
    for span in spans {
        match span {
            None => values.append_null(),
            Some([b'"', inner @ .., b'"']) => {
                plain.clear();
                unescape(inner, &mut plain)?;
                values.append_value(text(&plain)?);
            }
            Some(other) => values.append_value(text(other)?),
        }
    }
    Ok(Arc::new(values.finish()))
}

/// Takes back the escapes that [`write_text`] makes, which are not all of JSON's.
fn unescape(inner: &[u8], plain: &mut Vec<u8>) -> Result<()> {
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let (&escape, after) = rest.split_first().ok_or_else(broken)?;
        rest = after;
        plain.push(match escape {
            b'"' | b'\\' => escape,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'f' => 0x0C,
            b'u' => {
                let (digits, after) = rest.split_at_checked(4).ok_or_else(broken)?;
                rest = after;
                u8::from_str_radix(text(digits)?, 16).map_err(|_| broken())?
            }
            _ => return Err(broken()),
        });
    }
    plain.extend_from_slice(rest);
    Ok(())
}

/// Adds to each column the text of its member of an object, which `rest` is without its
/// braces; nothing where the member is left out. `keys` are as they are written, with the colon.
pub(super) fn cut_members<'t>(
    mut rest: &'t [u8],
    keys: &[Vec<u8>],
    columns: &mut [Spans<'t>],
) -> Result<()> {
    for (key, column) in keys.iter().zip(columns) {
        let Some(value) = rest.strip_prefix(key.as_slice()) else {
            column.push(None);
            continue;
        };
        let len = skip_value(value);
        column.push(Some(&value[..len]));
        rest = value[len..].strip_prefix(b",").unwrap_or(&value[len..]);
    }
    match rest {
        [] => Ok(()),
        _ => Err(broken()),
    }
}

fn members(fields: &Fields, spans: &Spans<'_>) -> Result<ArrayRef> {
    let keys: Vec<Vec<u8>> = fields
        .iter()
        .map(|field| {
            let mut key = Vec::new();
            write_text(field.name(), &mut key);
            key.push(b':');
            key
        })
        .collect();
    let mut columns: Vec<Spans<'_>> = vec![Vec::with_capacity(spans.len()); fields.len()];
    for span in spans {
        let rest: &[u8] = match span {
            Some([b'{', inner @ .., b'}']) => inner,
            Some(_) => return Err(broken()),
            None => &[],
        };
        cut_members(rest, &keys, &mut columns)?;
    }
    let children = fields
        .iter()
        .zip(&columns)
        .map(|(field, spans)| parse(field, spans))
        .collect::<Result<Vec<_>>>()?;
    let valid: NullBuffer = spans.iter().map(Option::is_some).collect::<Vec<_>>().into();
    Ok(Arc::new(StructArray::try_new_with_length(
        fields.clone(),
        children,
        Some(valid),
        spans.len(),
    )?))
}

type Items = (ArrayRef, Vec<usize>, Option<NullBuffer>);

fn items(item: &Field, spans: &Spans<'_>) -> Result<Items> {
    let mut inner: Spans<'_> = Vec::new();
    let mut lengths = Vec::with_capacity(spans.len());
    for span in spans {
        let before = inner.len();
        let mut rest: &[u8] = match span {
            Some([b'[', inner @ .., b']']) => inner,
            Some(_) => return Err(broken()),
            None => &[],
        };
        while !rest.is_empty() {
            let len = skip_value(rest);
            if len == 0 {
                return Err(broken());
            }
            let value = &rest[..len];
            inner.push((value != b"null").then_some(value));
            rest = rest[len..].strip_prefix(b",").unwrap_or(&rest[len..]);
        }
        lengths.push(inner.len() - before);
    }
    if i32::try_from(inner.len()).is_err() {
        return Err(Error::plan(
            "a list column holds too many items to be widened",
        ));
    }
    let values = parse(item, &inner)?;
    let valid: NullBuffer = spans.iter().map(Option::is_some).collect::<Vec<_>>().into();
    Ok((values, lengths, Some(valid)))
}
