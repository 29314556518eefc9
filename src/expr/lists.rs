//! Lists, taken apart.
//!
//! In:  a column of lists, or one of JSON text that holds some.
//! Out: the items of all rows, and which of them belong to each row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, GenericListArray, OffsetSizeTrait, RecordBatch, StringArray, new_empty_array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};

use super::convert::{Class, Value};
use super::eval::{BoundExpr, plain};
use super::exact::{at_row, exactly};
use super::json_text;
use crate::error::Result;

/// Lists of a column: all items, and which belong to each row; none where there is no list.
pub(super) struct Lists {
    pub items: ArrayRef,
    /// Whether the items are JSON text.
    pub json: bool,
    /// Where the items of each row begin and end.
    pub rows: Vec<Option<(usize, usize)>>,
}

impl Lists {
    /// The lists of a column. `alone` says whether a text that is no list counts as
    /// the one item of one.
    pub fn of(value: &Value, alone: bool) -> Result<Self> {
        let array = &value.array;
        let nulls = array.logical_nulls();
        let nulls = nulls.as_ref();
        Ok(match array.data_type() {
            DataType::List(item) => Lists::between(array.as_list::<i32>(), item, nulls),
            DataType::LargeList(item) => Lists::between(array.as_list::<i64>(), item, nulls),
            DataType::FixedSizeList(item, size) => {
                let size = *size as usize;
                let list = array.as_fixed_size_list();
                let rows = (0..list.len())
                    .map(|row| is_valid(nulls, row).then_some((row * size, (row + 1) * size)));
                Lists {
                    items: Arc::clone(list.values()),
                    json: json_text::is_json(item),
                    rows: rows.collect(),
                }
            }
            // A batch in which the column mixed with other values holds JSON text.
            other if Class::of(other) == Class::Text => Lists::of_texts(value, alone)?,
            _ => Lists {
                items: Arc::new(StringArray::new_null(0)),
                json: false,
                rows: vec![None; array.len()],
            },
        })
    }

    /// Lists whose ends are told by offsets.
    fn between<O: OffsetSizeTrait>(
        list: &GenericListArray<O>,
        item: &Field,
        nulls: Option<&NullBuffer>,
    ) -> Self {
        let ends = list.offsets().windows(2).enumerate();
        let rows = ends.map(|(row, ends)| {
            is_valid(nulls, row).then_some((ends[0].as_usize(), ends[1].as_usize()))
        });
        Lists {
            items: Arc::clone(list.values()),
            json: json_text::is_json(item),
            rows: rows.collect(),
        }
    }

    /// Lists in JSON text; with `alone`, any other text is a list of itself.
    fn of_texts(value: &Value, alone: bool) -> Result<Self> {
        let texts = value.texts()?;
        let mut items = Vec::new();
        let mut rows = Vec::with_capacity(texts.len());
        for text in &texts {
            let start = items.len();
            match (text, text.and_then(json_text::items)) {
                (_, Some(list)) => items.extend(list.into_iter().map(json_text::scalar)),
                (Some(text), None) if alone => items.push(Some(text.into())),
                _ => {
                    rows.push(None);
                    continue;
                }
            }
            rows.push(Some((start, items.len())));
        }
        Ok(Lists {
            items: Arc::new(items.into_iter().collect::<StringArray>()),
            json: false,
            rows,
        })
    }
}

fn is_valid(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(row))
}

/// The items of a column of lists, in the type that was promised.
pub(crate) struct Items {
    /// All of them.
    pub values: ArrayRef,
    /// Where those of each row begin and end; none where there is no list.
    pub rows: Vec<Option<(usize, usize)>>,
}

/// The type of the items of a column: of a list, or of JSON text that may hold
/// some; none if it holds no lists.
pub(crate) fn item_type(field: &Field) -> Option<DataType> {
    let item = match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().clone()
        }
        DataType::Null => DataType::Null,
        _ if json_text::is_json(field) => DataType::Utf8,
        _ => return None,
    };
    // Nothing but nulls is text, as in a column of JSON.
    Some(match item {
        DataType::Null => DataType::Utf8,
        item => item,
    })
}

impl BoundExpr {
    /// The items of its lists as `to`, whatever types the batch has. A text among
    /// lists is the one item of a list.
    ///
    /// # Errors
    ///
    /// As [`BoundExpr::column`].
    pub(crate) fn items(&self, batch: &RecordBatch, to: &DataType) -> Result<Items> {
        self.first_failure(batch, |node, rows| {
            let lists = Lists::of(&node.eval(rows)?, true)?.used();
            if lists.items.is_empty() {
                return Ok(Items {
                    values: new_empty_array(to),
                    rows: lists.rows,
                });
            }
            let items = plain(Value {
                json: lists.json,
                ..Value::rows(lists.items)
            })?;
            let bound = items.array.data_type().clone();
            let row_of = |item: usize| {
                let holds = |row: &Option<(usize, usize)>| row.is_some_and(|(_, end)| item < end);
                lists.rows.iter().position(holds).unwrap_or(0)
            };
            let values = exactly(&items, &bound, to)
                .map_err(|failure| at_row(failure, row_of).named(&self.text))?;
            Ok(Items {
                values,
                rows: lists.rows,
            })
        })
    }
}

impl Lists {
    /// Without items that stand before or behind those of all rows: of a slice of a column.
    fn used(self) -> Self {
        let rows = || self.rows.iter().flatten();
        let first = rows().map(|(start, _)| *start).min().unwrap_or(0);
        let last = rows().map(|(_, end)| *end).max().unwrap_or(0);
        let moved = |(start, end): (usize, usize)| (start - first, end - first);
        Lists {
            items: self.items.slice(first, last - first),
            json: self.json,
            rows: self.rows.iter().map(|row| row.map(moved)).collect(),
        }
    }
}
