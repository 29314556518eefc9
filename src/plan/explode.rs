//! The columns of rows that were made of lists.
//!
//! In:  columns, and the names of those that hold lists.
//! Out: the same columns, items in place of lists.

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::expr::{item_type, unknown_column};

/// The columns after some of lists became columns of their items.
///
/// # Errors
///
/// [`crate::Error::Plan`] for an unknown column, with near names; for one that
/// holds no lists; for one that comes twice.
pub(crate) fn exploded(input: &Schema, columns: &[String]) -> Result<SchemaRef> {
    let mut fields: Vec<FieldRef> = input.fields().iter().cloned().collect();
    for (idx, name) in columns.iter().enumerate() {
        let Some((place, field)) = input.column_with_name(name) else {
            return Err(unknown_column(name, input));
        };
        if columns[..idx].contains(name) {
            return Err(Error::plan(format!("column {name:?} is exploded twice")));
        }
        let item = item_type(field).ok_or_else(|| {
            let of = field.data_type();
            Error::plan(format!(
                "column {name:?} is {of}: it has no items to explode"
            ))
        })?;
        fields[place] = Arc::new(Field::new(name, item, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}
