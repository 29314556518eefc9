//! Functions of lists and objects, and of JSON text that may hold them.
//!
//! In:  columns of lists and objects; scalars that lists are made of.
//! Out: counts, conditions, items, members, lists.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, ListArray, StringArray, UInt64Array, new_null_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, FieldRef};
use arrow_select::interleave::interleave;
use arrow_select::nullif::nullif;
use arrow_select::take::take;

use super::Kind;
use super::text::Places;
use crate::error::{Error, Result};
use crate::expr::ast::BinaryOp;
use crate::expr::compare::{Mode, compare};
use crate::expr::convert::{Class, Value};
use crate::expr::eval::plain;
use crate::expr::json_text;
use crate::expr::lists::Lists;
use crate::expr::unify::unify;

/// How many items each list has.
pub(super) fn length(list: &Value) -> Result<ArrayRef> {
    let lists = Lists::of(list, false)?;
    let lengths = lists
        .rows
        .iter()
        .map(|row| row.map(|(start, end)| (end - start) as i64));
    Ok(Arc::new(lengths.collect::<Int64Array>()))
}

/// Whether a list has an item that equals a constant.
pub(super) fn contains(list: &Value, wanted: &Value, mode: &Mode) -> Result<ArrayRef> {
    let lists = Lists::of(list, false)?;
    let items = Value {
        json: lists.json,
        ..Value::rows(lists.items)
    };
    let found = compare(BinaryOp::Eq, mode, &items, wanted, items.array.len())?;
    if wanted.array.logical_null_count() > 0 {
        return Ok(Arc::new(BooleanArray::new_null(lists.rows.len())));
    }
    let any = lists.rows.iter().map(|row| {
        row.map(|(start, end)| (start..end).any(|item| found.is_valid(item) && found.value(item)))
    });
    Ok(Arc::new(any.collect::<BooleanArray>()))
}

/// The nth item of each list, from 1, or from its end if negative; null where there is none.
pub(super) fn get(args: &[Value], rows: usize, to: &DataType) -> Result<ArrayRef> {
    let lists = Lists::of(&args[0], false)?;
    let places = Places::of(&args[1])?;
    let picked = (0..rows).map(|row| {
        let (start, end) = lists.rows[if args[0].constant { 0 } else { row }]?;
        let n = places.get(row)?;
        let item = match n {
            0 => return None,
            1.. => start.checked_add(usize::try_from(n - 1).ok()?)?,
            _ => end.checked_sub(usize::try_from(n.unsigned_abs()).ok()?)?,
        };
        (start..end).contains(&item).then_some(item as u64)
    });
    let picked: UInt64Array = picked.collect();
    if lists.items.is_empty() {
        return Ok(new_null_array(to, rows));
    }
    let items = plain(Value {
        json: lists.json,
        ..Value::rows(lists.items)
    })?;
    Ok(take(&items.array, &picked, None)?)
}

/// A list of the arguments for each row.
pub(super) fn list(args: &[Value], rows: usize, to: &DataType) -> Result<ArrayRef> {
    let DataType::List(item) = to else {
        return Err(Error::internal("list was bound to something else"));
    };
    let columns = args.iter().map(|arg| plain(arg.clone())?.into_array(rows));
    let columns = unify(&columns.collect::<Result<Vec<_>>>()?, item.data_type())?;
    let arrays: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    let from: Vec<(usize, usize)> = (0..rows)
        .flat_map(|row| (0..arrays.len()).map(move |column| (column, row)))
        .collect();
    let items = interleave(&arrays, &from)?;
    // A batch may type a column wider than the plan knew.
    let item: FieldRef = Arc::new(Field::new(item.name(), items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(arrays.len(), rows));
    Ok(Arc::new(ListArray::try_new(item, offsets, items, None)?))
}

/// The parts of each text between separators.
pub(super) fn split(texts: &StringArray, separator: impl Fn(usize) -> Option<String>) -> ArrayRef {
    let mut parts: Vec<&str> = Vec::new();
    let mut lengths = Vec::with_capacity(texts.len());
    let mut valid = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let before = parts.len();
        let both = text.zip(separator(row));
        valid.push(both.is_some());
        match both {
            // Nothing separates nothing: the text is one part.
            Some((text, separator)) if separator.is_empty() => parts.push(text),
            Some((text, separator)) => parts.extend(text.split(separator.as_str())),
            None => {}
        }
        lengths.push(parts.len() - before);
    }
    let items: ArrayRef = Arc::new(StringArray::from(parts));
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(item, offsets, items, Some(valid.into())))
}

/// A member of each object; none if there are no objects, or none has it.
pub(crate) fn member(value: &Value, name: &str) -> Result<Option<Value>> {
    let array = &value.array;
    let constant = value.constant;
    Ok(Some(match array.data_type() {
        DataType::Struct(fields) => {
            let Some((idx, field)) = fields.find(name) else {
                return Ok(None);
            };
            let parent = array.as_struct();
            let child = parent.column(idx);
            let array = match parent.nulls() {
                // A field of nothing is nothing.
                Some(nulls) if nulls.null_count() > 0 => {
                    nullif(child, &BooleanArray::new(!nulls.inner(), None))?
                }
                _ => Arc::clone(child),
            };
            Value {
                array,
                constant,
                json: json_text::is_json(field),
            }
        }
        other if Class::of(other) == Class::Text => {
            let texts = crate::expr::text::texts(array)?;
            let found = json_text::members(&texts, &[name.to_owned()]);
            Value {
                array: Arc::new(found),
                constant,
                json: false,
            }
        }
        _ => return Ok(None),
    }))
}

/// `length`, `contains` and others of what was bound as a list.
pub(super) fn run(kind: Kind, args: &[Value], rows: usize, to: &DataType) -> Result<ArrayRef> {
    match kind {
        Kind::ListGet => get(args, rows, to),
        _ => list(args, rows, to),
    }
}
