//! Rows as a table of text.
//!
//! In:  rows in memory, and the terminal columns there are.
//! Out: a line of names, a line for each row, how many rows there are; columns
//!      that do not fit are counted and named, long cells end in "…".

use std::fmt;
use std::io::IsTerminal;

use arrow_cast::display::{ArrayFormatter, FormatOptions};

use super::table::Table;
use crate::inspect::text::{left, width};
use crate::plan::counted;

/// Widest cell, in terminal columns.
const MAX_WIDTH: usize = 40;

/// Most rows that are shown; the rest is counted.
const MAX_ROWS: usize = 100;

/// Most columns that are named where they are not shown.
const MAX_NAMES: usize = 8;

/// Terminal columns between two columns of the table.
const GAP: usize = 2;

/// A table, and the width it must fit.
pub(super) struct Shown<'a> {
    pub table: &'a Table,
    pub width: Option<usize>,
}

/// Columns of the terminal that stdout is: those that `COLUMNS` says, else those
/// that the terminal says. None where it is no terminal: text for a file is whole.
pub(super) fn terminal_width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    let asked = || {
        let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
        Some(usize::from(size.ws_col))
    };
    told.or_else(asked).filter(|columns| *columns > 0)
}

impl Shown<'_> {
    /// The cells of each column, its name first.
    fn columns(&self) -> Result<Vec<Vec<String>>, fmt::Error> {
        let options = FormatOptions::default().with_null("null");
        let schema = self.table.schema();
        let mut columns: Vec<Vec<String>> = schema
            .fields()
            .iter()
            .map(|field| vec![cell(field.name())])
            .collect();
        let mut left = MAX_ROWS;
        for batch in self.table.batches() {
            let rows = batch.num_rows().min(left);
            left -= rows;
            for (cells, array) in columns.iter_mut().zip(batch.columns()) {
                let texts = ArrayFormatter::try_new(array, &options).map_err(|_| fmt::Error)?;
                cells.extend((0..rows).map(|row| cell(&texts.value(row).to_string())));
            }
        }
        Ok(columns)
    }

    /// How many of columns of these widths fit, from the left; at least one.
    fn fitting(&self, widths: &[usize]) -> usize {
        let Some(limit) = self.width else {
            return widths.len();
        };
        let ends = widths.iter().scan(0, |end, width| {
            *end += width + GAP;
            Some(*end - GAP)
        });
        ends.take_while(|end| *end <= limit)
            .count()
            .max(1)
            .min(widths.len())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns()?;
        let widest = |cells: &Vec<String>| cells.iter().map(|cell| width(cell)).max().unwrap_or(0);
        let widths: Vec<usize> = columns.iter().map(widest).collect();
        let fit = self.fitting(&widths);
        let shown = || columns.iter().zip(&widths).take(fit);
        let total = self.table.num_rows();
        for row in (0..=total.min(MAX_ROWS)).filter(|_| !columns.is_empty()) {
            let cells = shown().map(|(cells, width)| left(&cells[row], width + GAP));
            writeln!(f, "{}", cells.collect::<String>().trim_end())?;
            if row == 0 {
                let rule: Vec<String> = shown().map(|(_, width)| "-".repeat(*width)).collect();
                writeln!(f, "{}", rule.join("  "))?;
            }
        }
        if total > MAX_ROWS && !columns.is_empty() {
            writeln!(f, "... {} more rows", total - MAX_ROWS)?;
        }
        f.write_str(&rows_text(total as u64))?;
        let hidden = &columns[fit..];
        if hidden.is_empty() {
            return Ok(());
        }
        let named = hidden.iter().take(MAX_NAMES).map(|cells| cells[0].as_str());
        let names = named.collect::<Vec<_>>().join(", ");
        let more = if hidden.len() > MAX_NAMES {
            ", …"
        } else {
            ""
        };
        let (hidden, all) = (hidden.len(), columns.len());
        write!(f, "; {hidden} of {all} columns not shown: {names}{more}")
    }
}

/// How many rows there are, in words.
pub(super) fn rows_text(rows: u64) -> String {
    counted(rows, "row", "rows")
}

/// Text that fits a cell: one line, not too wide, control characters shown.
fn cell(text: &str) -> String {
    let mut short = String::new();
    let mut used = 0;
    for c in text.chars() {
        let c = if c.is_control() { '·' } else { c };
        let mut bytes = [0; 4];
        used += width(c.encode_utf8(&mut bytes));
        if used > MAX_WIDTH {
            while width(&short) >= MAX_WIDTH {
                short.pop();
            }
            short.push('…');
            break;
        }
        short.push(c);
    }
    short
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::frame::Session;

    #[test]
    fn rows_without_columns_are_counted_and_no_lines() {
        let table = |columns: &[&str]| {
            let one: ArrayRef = Arc::new(Int64Array::from(vec![7]));
            let batch = RecordBatch::try_from_iter([("n", one)]).unwrap();
            let frame = Session::default().from_batches(batch.schema(), [batch]);
            let frame = frame.unwrap().select(columns.iter().copied()).unwrap();
            frame.compute().unwrap().show(None).to_string()
        };
        assert_eq!(table(&["n"]), "n\n-\n7\n1 row");
        assert_eq!(table(&[]), "1 row");
    }

    #[test]
    fn a_cell_fits_in_terminal_columns_not_in_characters() {
        assert_eq!(cell("a\tb"), "a·b");
        let narrow = cell(&"x".repeat(41));
        assert_eq!((width(&narrow), narrow.chars().last()), (40, Some('…')));
        let wide = cell(&"東".repeat(30));
        assert!(width(&wide) <= 40, "{}", width(&wide));
        assert_eq!(cell(&"東".repeat(20)), "東".repeat(20));
    }
}
