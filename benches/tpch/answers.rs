//! Stored answers, and whether a table is one of them.
//!
//! In:  a table, and the text of an answer: a line of names, then a line for
//! each row, cells between `|`, blanks around them without meaning, `NULL` for no value.
//! Out: nothing, or the first cell that differs.
//!
//! Rows stand in their order. Whole numbers, dates, texts, and decimals with as
//! many digits as the answer has must be the same; fractions may differ by half of
//! the answer's last digit, and by 1e-12 of themselves.

#![allow(dead_code)] // Each target that takes this module in uses its own part of it.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use windrow::Table;
use windrow::arrow::schema::DataType;

/// An answer to a query.
pub struct Answer<'a> {
    names: Vec<&'a str>,
    rows: Vec<Vec<&'a str>>,
}

impl<'a> Answer<'a> {
    pub fn parse(text: &'a str) -> Self {
        let cells = |line: &'a str| line.split('|').map(str::trim).collect::<Vec<_>>();
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        Answer {
            names: lines.next().map(cells).unwrap_or_default(),
            rows: lines.map(cells).collect(),
        }
    }

    /// The names of its columns.
    pub fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// Whether the table has the same rows, in the same order.
    ///
    /// # Errors
    ///
    /// The first difference, as a sentence.
    pub fn check(&self, table: &Table) -> Result<(), String> {
        if table.num_rows() != self.rows.len() {
            let (found, wanted) = (table.num_rows(), self.rows.len());
            return Err(format!("{found} rows, not {wanted}"));
        }
        let mut wanted = self.rows.iter().enumerate();
        for batch in table.batches() {
            if batch.num_columns() != self.names.len() {
                let (found, wanted) = (batch.num_columns(), self.names.len());
                return Err(format!("{found} columns, not {wanted}"));
            }
            for (row, (n, cells)) in (0..batch.num_rows()).zip(wanted.by_ref()) {
                for ((column, cell), name) in batch.columns().iter().zip(cells).zip(&self.names) {
                    check_cell(column, row, cell)
                        .map_err(|difference| format!("row {}, {name}: {difference}", n + 1))?;
                }
            }
        }
        Ok(())
    }
}

fn check_cell(column: &ArrayRef, row: usize, wanted: &str) -> Result<(), String> {
    let found = arrow_cast::display::array_value_to_string(column, row)
        .map_err(|error| format!("no text of a {}: {error}", column.data_type()))?;
    let digits = wanted.split_once('.').map_or(0, |(_, behind)| behind.len());
    let same = match column.data_type() {
        _ if column.is_null(row) || wanted == "NULL" => column.is_null(row) && wanted == "NULL",
        DataType::Float64 => near(
            column.as_primitive::<Float64Type>().value(row),
            wanted,
            digits,
        ),
        DataType::Decimal128(_, scale) if usize::try_from(*scale) != Ok(digits) => {
            let value = found.parse().map_err(|_| format!("{found} is no number"))?;
            near(value, wanted, digits)
        }
        _ => found.trim() == wanted,
    };
    match same {
        true => Ok(()),
        false => Err(format!("{found}, not {wanted}")),
    }
}

/// Whether a number is what a text with so many digits behind the point says.
fn near(found: f64, wanted: &str, digits: usize) -> bool {
    let Ok(wanted) = wanted.parse::<f64>() else {
        return false;
    };
    let half = 0.5 * 10_f64.powi(-(digits as i32));
    (found - wanted).abs() <= half + wanted.abs() * 1e-12
}
