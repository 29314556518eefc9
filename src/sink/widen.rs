//! Rows written under an earlier schema, seen under the final one.
//!
//! In:  columns as a segment of a part file stored them.
//! Out: the same values under the run's final schema, by the run's own rule.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, NullArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow_array::{LargeListArray, ListArray, new_null_array};
use arrow_schema::{DataType, Schema, SchemaRef};

use super::schema::{same_column, stored_column};
use crate::error::{Error, Result};

/// Converts a batch of an earlier schema to the final one.
///
/// It is handed a batch and its schema, exactly one that a part was written
/// under, and gives the same rows in the same order under the final schema.
/// Columns that are the same in both may hold nulls in the place of their
/// values; what becomes of them is not used.
pub type Widen<'a> = dyn Fn(&RecordBatch, &Schema) -> Result<RecordBatch> + Sync + 'a;

/// Widens columns read from a segment that was written under `known`: `columns`
/// has one entry per field of it, or nothing for nullable ones that did not
/// change. Gives those at `wanted`, as part files of the schema `stored` hold them.
pub(crate) fn widen_columns(
    columns: &[Option<ArrayRef>],
    rows: usize,
    known: &SchemaRef,
    wanted: &[usize],
    stored: &Schema,
    widen: &Widen<'_>,
) -> Result<Vec<ArrayRef>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let columns = columns
        .iter()
        .zip(known.fields())
        .map(|(column, field)| match column {
            Some(column) => as_known(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows)),
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(known), columns, &options)?;
    let wide = widen(&batch, known)?;
    if wide.num_rows() != rows {
        return Err(Error::internal(format!(
            "widening {rows} rows gave {}",
            wide.num_rows()
        )));
    }
    wanted
        .iter()
        .map(|&idx| {
            let name = known.field(idx).name();
            let column = wide
                .column_by_name(name)
                .ok_or_else(|| Error::internal(format!("widening lost the column {name:?}")))?;
            stored_column(column, stored.field_with_name(name)?)
        })
        .collect()
}

/// Widens a whole batch read from a segment to the final schema of part files;
/// columns that are not in it yet are null.
pub(crate) fn widen_batch(
    batch: &RecordBatch,
    known: &SchemaRef,
    stored: &SchemaRef,
    widen: &Widen<'_>,
) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns: Vec<Option<ArrayRef>> = batch.columns().iter().cloned().map(Some).collect();
    let held = batch.schema();
    let changed: Vec<usize> = (0..columns.len())
        .filter(|&idx| {
            let now = stored.field_with_name(held.field(idx).name());
            now.is_ok_and(|now| !same_column(held.field(idx), now))
        })
        .collect();
    let wide = widen_columns(&columns, rows, known, &changed, stored, widen)?;
    let columns = stored
        .fields()
        .iter()
        .map(|field| match held.column_with_name(field.name()) {
            Some((idx, _)) => match changed.iter().position(|changed| *changed == idx) {
                Some(place) => Arc::clone(&wide[place]),
                None => Arc::clone(batch.column(idx)),
            },
            None => new_null_array(field.data_type(), rows),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let stored = Arc::clone(stored);
    Ok(RecordBatch::try_new_with_options(
        stored, columns, &options,
    )?)
}

/// A column as the run knew it when it was written: text that stands for a type
/// of only nulls becomes that type again. Depth is bounded by the stored schema's.
fn as_known(column: &ArrayRef, known: &DataType) -> Result<ArrayRef> {
    if column.data_type() == known {
        return Ok(Arc::clone(column));
    }
    Ok(match known {
        DataType::Null => Arc::new(NullArray::new(column.len())),
        DataType::Struct(fields) if !fields.is_empty() => {
            let members = column.as_struct();
            let children = members
                .columns()
                .iter()
                .zip(fields)
                .map(|(child, field)| as_known(child, field.data_type()))
                .collect::<Result<Vec<_>>>()?;
            let nulls = members.nulls().cloned();
            Arc::new(StructArray::try_new(fields.clone(), children, nulls)?)
        }
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let values = as_known(list.values(), item.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?)
        }
        DataType::LargeList(item) => {
            let list = column.as_list::<i64>();
            let values = as_known(list.values(), item.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(LargeListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?)
        }
        // Types that `stored_schema` changed in a way a cast turns back.
        _ => arrow_cast::cast(column, known)?,
    })
}
