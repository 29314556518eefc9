//! The columns of several frames put one behind the other.
//!
//! In:  the columns of each.
//! Out: all of them by name, in order of first appearance, with types that hold
//!      the values of all.

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::expr::common_type;

/// The columns of all, by name. What a frame lacks is null in its rows; numbers
/// beside fractions are fractions, other scalars beside each other are text.
///
/// # Errors
///
/// [`Error::Plan`] naming the column and both types, if no type holds both.
pub fn united<'a>(schemas: impl IntoIterator<Item = &'a SchemaRef>) -> Result<SchemaRef> {
    let mut schemas = schemas.into_iter();
    let Some(first) = schemas.next() else {
        return Ok(Arc::new(Schema::empty()));
    };
    let mut fields: Vec<FieldRef> = first.fields().iter().cloned().collect();
    for schema in schemas {
        for field in &mut fields {
            *field = Arc::new(match schema.column_with_name(field.name()) {
                None => field.as_ref().clone().with_nullable(true),
                Some((_, other)) => joined(field, other)?,
            });
        }
        for field in schema.fields() {
            if !fields.iter().any(|known| known.name() == field.name()) {
                fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn joined(field: &Field, other: &Field) -> Result<Field> {
    let (left, right) = (field.data_type(), other.data_type());
    let data_type = common_type(left, right).ok_or_else(|| {
        Error::plan(format!(
            "column {:?} is {right}, but {left} in frames before; cast one of them",
            field.name()
        ))
    })?;
    let nullable = field.is_nullable() || other.is_nullable();
    let joined = Field::new(field.name(), data_type, nullable);
    // A mark, such as that of JSON text, says something of all values or of none.
    Ok(if field.metadata() == other.metadata() {
        joined.with_metadata(field.metadata().clone())
    } else {
        joined
    })
}

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;

    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
        let fields = fields
            .iter()
            .map(|(name, kind)| Field::new(*name, kind.clone(), false));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    #[test]
    fn columns_meet_by_name_and_types_widen() {
        let a = schema(&[("n", DataType::Int64), ("x", DataType::Boolean)]);
        let b = schema(&[("late", DataType::Utf8), ("n", DataType::Float64)]);
        let both = united([&a, &b]).unwrap();
        let shown: Vec<String> = both
            .fields()
            .iter()
            .map(|field| {
                format!(
                    "{} {} {}",
                    field.name(),
                    field.data_type(),
                    field.is_nullable()
                )
            })
            .collect();
        assert_eq!(
            shown,
            ["n Float64 false", "x Boolean true", "late Utf8 true"]
        );
        let list = schema(&[("n", DataType::new_list(DataType::Int64, true))]);
        let error = united([&a, &list]).unwrap_err().to_string();
        assert!(error.contains("column \"n\" is List"), "{error}");
    }
}
