//! Rows of named cells. A name that a row does not have is null.

use std::collections::BTreeMap;

use windrow::arrow::array::cast::AsArray;
use windrow::arrow::array::types::{Float64Type, Int64Type};
use windrow::arrow::array::{Array, RecordBatch};
use windrow::arrow::schema::DataType;

/// One value. Numbers of both kinds are equal by value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Cell {
    pub fn int(&self) -> Option<i64> {
        match self {
            Cell::Number(number) => Some(*number as i64),
            _ => None,
        }
    }
}

impl From<Option<i64>> for Cell {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Cell::Null, |value| Cell::Number(value as f64))
    }
}

/// A row: what is not null, by name.
pub type Row = BTreeMap<String, Cell>;

/// The cells of batches, row by row, nulls left out.
pub fn rows_of<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let first = rows.len();
        rows.resize(first + batch.num_rows(), Row::new());
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            for (place, row) in rows[first..].iter_mut().enumerate() {
                let cell = cell(column.as_ref(), place);
                if cell != Cell::Null {
                    row.insert(field.name().clone(), cell);
                }
            }
        }
    }
    rows
}

fn cell(column: &dyn Array, row: usize) -> Cell {
    if column.is_null(row) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Boolean => Cell::Bool(column.as_boolean().value(row)),
        DataType::Int64 => Cell::Number(column.as_primitive::<Int64Type>().value(row) as f64),
        DataType::Float64 => Cell::Number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        other => panic!("no test makes {other}"),
    }
}
