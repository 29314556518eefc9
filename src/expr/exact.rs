//! Values under the type that was promised, or an error: nothing is rounded,
//! cut off or left out.
//!
//! In:  a column as the types of a batch gave it.
//! Out: the same values in the promised type; else the first row whose value it
//! does not hold.
//!
//! Columns of text may widen after a plan was built. What is computed from them
//! keeps its type, so a value that came later may not fit it any more.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ListArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow_ord::cmp::not_distinct;
use arrow_schema::{DataType, FieldRef, Fields, SchemaRef};

use super::cast::cast;
use super::convert::Value;
use super::row_error::Failure;
use super::text::texts;
use super::types;
use crate::error::Error;

/// The values in the type `to`; `bound` is the type the plan knew them under.
pub(super) fn exactly(value: &Value, bound: &DataType, to: &DataType) -> Result<ArrayRef, Failure> {
    let array = &value.array;
    match (array.data_type(), to) {
        (from, to) if from == to => Ok(Arc::clone(array)),
        (DataType::Null, to) => Ok(new_null_array(to, array.len())),
        (DataType::Struct(_), DataType::Struct(fields)) => members(array.as_struct(), fields),
        (DataType::List(_), DataType::List(item)) => {
            let list = array.as_list::<i32>();
            let items = nested(list.values(), item.data_type()).map_err(|failure| {
                at_row(failure, |idx| {
                    list.value_offsets()[1..].partition_point(|end| (*end as usize) <= idx)
                })
            })?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                items,
                nulls,
            )?))
        }
        _ => scalars(value, bound, to),
    }
}

/// A batch with the columns of `schema`, by name: in wider types where those
/// are, null where it has none. Other columns do not come out.
///
/// # Errors
///
/// [`Error::Plan`] naming the column and the first value that does not fit.
pub(crate) fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let rows = batch.num_rows();
    let column = |field: &FieldRef| match batch.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), rows)),
        Some(column) => nested(column, field.data_type()).map_err(|failure| match failure {
            Failure::Row(at) => Error::plan(format!("column {:?}: {}", field.name(), at.reason)),
            Failure::Other(error) => error,
        }),
    };
    let columns = schema
        .fields()
        .iter()
        .map(column)
        .collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &rows,
    )?)
}

fn nested(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Failure> {
    let from = array.data_type().clone();
    exactly(&Value::rows(Arc::clone(array)), &from, to)
}

/// Members by name: those that a batch lacks are null; one more is an error
/// where it has a value.
fn members(array: &StructArray, to: &Fields) -> Result<ArrayRef, Failure> {
    for (name, column) in array.column_names().into_iter().zip(array.columns()) {
        if to.find(name).is_none() {
            let row = (0..array.len()).find(|row| array.is_valid(*row) && column.is_valid(*row));
            if let Some(row) = row {
                return Err(Failure::at(
                    row,
                    format!("the field {name:?} was not known when the plan was built"),
                ));
            }
        }
    }
    let columns = to
        .iter()
        .map(|field| match array.column_by_name(field.name()) {
            Some(column) => nested(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), array.len())),
        });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(StructArray::try_new_with_length(
        to.clone(),
        columns,
        array.nulls().cloned(),
        array.len(),
    )?))
}

/// There and back: what does not come back as it was does not fit.
fn scalars(value: &Value, bound: &DataType, to: &DataType) -> Result<ArrayRef, Failure> {
    let array = &value.array;
    let result = cast(value, bound, to, true)?;
    let back = cast(
        &Value::rows(Arc::clone(&result)),
        to,
        array.data_type(),
        true,
    )?;
    let lost = if array.data_type().is_nested() || back.data_type() != array.data_type() {
        (0..array.len()).find(|row| array.is_valid(*row) && result.is_null(*row))
    } else {
        let same = not_distinct(&back, array)?;
        (0..same.len()).find(|row| !same.value(*row))
    };
    let Some(row) = lost else {
        return Ok(result);
    };
    let shown = match texts(&array.slice(row, 1)) {
        Ok(texts) if texts.is_valid(0) => format!("{:?}", texts.value(0)),
        _ => "the value".to_owned(),
    };
    Err(Failure::at(
        row,
        format!(
            "{shown} is not {}, the type that the column has since the plan was built; \
             cast it to the type it is to have",
            types::name(to)
        ),
    ))
}

pub(super) fn at_row(failure: Failure, row_of: impl Fn(usize) -> usize) -> Failure {
    match failure {
        Failure::Row(mut at) => {
            at.row = row_of(at.row);
            Failure::Row(at)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int64Type;
    use arrow_array::{Float64Array, Int64Array, StringArray};
    use arrow_schema::Field;

    use super::*;

    fn to(array: ArrayRef, to: &DataType) -> Result<ArrayRef, (usize, String)> {
        exactly(&Value::rows(array), to, to).map_err(|failure| match failure {
            Failure::Row(at) => (at.row, at.reason),
            Failure::Other(error) => panic!("{error}"),
        })
    }

    #[test]
    fn a_value_keeps_all_it_says_or_its_row_is_named() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(-7.0)]));
        let whole = to(floats, &DataType::Int64).unwrap();
        let expected: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(-7)]));
        assert_eq!(&whole, &expected);
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.5]));
        let (row, reason) = to(floats, &DataType::Int64).unwrap_err();
        assert_eq!(row, 1);
        assert!(reason.starts_with("\"2.5\" is not int64"), "{reason}");
        let text: ArrayRef = Arc::new(StringArray::from(vec!["12", "007"]));
        assert_eq!(to(text, &DataType::Int64).unwrap_err().0, 1);
        let big: ArrayRef = Arc::new(Int64Array::from(vec![0, (1 << 53) + 1]));
        assert_eq!(to(big, &DataType::Float64).unwrap_err().0, 1);
    }

    #[test]
    fn members_that_are_missing_are_null_and_new_ones_are_refused() {
        let member = |name: &str| Arc::new(Field::new(name, DataType::Int64, true));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let array = |name: &str| -> ArrayRef {
            Arc::new(StructArray::from(vec![(
                member(name),
                Arc::clone(&numbers),
            )]))
        };
        let both = DataType::Struct(vec![member("a"), member("b")].into());
        let found = to(array("b"), &both).unwrap();
        assert_eq!(found.as_struct().column(0).null_count(), 2);
        assert_eq!(found.as_struct().column(1), &numbers);
        assert_eq!(to(array("c"), &both).unwrap_err().0, 0);
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1)]),
            None,
            Some(vec![]),
            Some(vec![Some(2), Some((1 << 53) + 1)]),
        ]);
        let floats = DataType::new_list(DataType::Float64, true);
        assert_eq!(to(Arc::new(lists), &floats).unwrap_err().0, 3);
    }
}
