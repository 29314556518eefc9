//! Rows in memory.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::SchemaRef;

use crate::exec::{Collected, RunReport};

/// Rows that were computed, by partition. Displays as a table.
#[derive(Debug, Clone)]
pub struct Table {
    collected: Collected,
}

/// Widest column in a display, in characters.
const MAX_WIDTH: usize = 40;

/// Most rows in a display; the rest is counted.
const MAX_ROWS: usize = 100;

impl Table {
    pub(super) fn new(collected: Collected) -> Self {
        Table { collected }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.collected.schema)
    }

    /// Rows.
    pub fn num_rows(&self) -> usize {
        self.batches().map(RecordBatch::num_rows).sum()
    }

    /// Partitions.
    pub fn num_partitions(&self) -> usize {
        self.collected.partitions.len()
    }

    /// Batches of each partition.
    pub fn partitions(&self) -> &[Vec<RecordBatch>] {
        &self.collected.partitions
    }

    /// All batches, in order.
    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.collected.partitions.iter().flatten()
    }

    /// All batches, in order, without a copy.
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.collected.partitions.into_iter().flatten().collect()
    }

    /// The balance sheet of what was read.
    pub fn report(&self) -> &RunReport {
        &self.collected.report
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let mut rows: Vec<Vec<String>> = vec![
            schema
                .fields()
                .iter()
                .map(|field| cell(field.name()))
                .collect(),
        ];
        let options = FormatOptions::default().with_null("null");
        'batches: for batch in self.batches() {
            let formatters = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| fmt::Error)?;
            for row in 0..batch.num_rows() {
                if rows.len() > MAX_ROWS {
                    break 'batches;
                }
                rows.push(
                    formatters
                        .iter()
                        .map(|column| cell(&column.value(row).to_string()))
                        .collect(),
                );
            }
        }
        let widths: Vec<usize> = (0..schema.fields().len())
            .map(|column| {
                rows.iter()
                    .map(|row| row[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for (number, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (text, width) in row.iter().zip(&widths) {
                line.push_str(text);
                line.extend(std::iter::repeat_n(' ', width + 2 - text.chars().count()));
            }
            writeln!(f, "{}", line.trim_end())?;
            if number == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                writeln!(f, "{}", rule.join("  "))?;
            }
        }
        let total = self.num_rows();
        if total > MAX_ROWS {
            writeln!(f, "... {} more rows", total - MAX_ROWS)?;
        }
        write!(f, "{total} rows")
    }
}

/// Text that fits a cell: one line, not too long, control characters shown.
fn cell(text: &str) -> String {
    let mut short = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX_WIDTH {
            short.pop();
            short.push('…');
            break;
        }
        if c.is_control() {
            short.push('·');
        } else {
            short.push(c);
        }
    }
    short
}
