//! The balance sheet of a run.
//!
//! In:  counts per file, in input order.
//! Out: a report whose sums hold: `lines = rows + rejected + blank`, per file
//!      and in total, and `rows + exploded = rows written + filtered + limited`.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::sink::OutputReport;
use crate::size::ByteSize;

/// One input file's lines and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct InputReport {
    /// The file.
    pub path: String,
    /// Lines of text, or rows of a column file.
    pub lines: u64,
    /// Lines that decoded, filtered ones too.
    pub rows: u64,
    /// Lines that did not decode.
    pub rejected: u64,
    /// Lines of nothing but white space.
    pub blank: u64,
    /// Rows for which the filter was not true.
    pub filtered: u64,
    /// Row groups of a Parquet file that were not read, because the footer
    /// says that the filter is true for none of their rows.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped_row_groups: u64,
    /// What was lost to damage, in words; only with salvage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// A column that ended up wider than JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WidenedReport {
    /// Its path, members separated by dots.
    pub column: String,
    /// What it holds now.
    pub to: String,
}

/// What a run read, wrote and noticed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunReport {
    /// Per input file, in input order.
    pub inputs: Vec<InputReport>,
    /// Per part file, in row order.
    pub outputs: Vec<OutputReport>,
    /// Of all inputs.
    pub lines: u64,
    /// Of all inputs.
    pub rows: u64,
    /// Of all inputs.
    pub rejected: u64,
    /// Of all inputs.
    pub blank: u64,
    /// Of all inputs.
    pub filtered: u64,
    /// Of all inputs.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped_row_groups: u64,
    /// Rows cut off by a limit, of those that were read.
    pub limited: u64,
    /// Rows that were made of items of lists, beyond one for each row.
    #[serde(skip_serializing_if = "is_zero")]
    pub exploded: u64,
    /// Keys that stood twice in a record; the last one counts.
    pub duplicate_keys: u64,
    /// Values of keys outside the schema, with schema mode "ignore".
    pub ignored_values: u64,
    /// Columns that hold text because their values had no type in common.
    pub widened: Vec<WidenedReport>,
    /// Part files that were written anew because the schema widened behind them.
    pub rewritten_parts: u64,
    /// Bytes of stored input.
    pub stored_bytes_read: u64,
    /// Bytes written to spill files.
    pub spilled_bytes: u64,
    /// The most that was reserved in the memory budget.
    pub peak_bytes: u64,
    /// Wall time.
    pub seconds: f64,
    /// Where the output is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PathBuf>,
}

impl RunReport {
    /// Rows written.
    pub fn rows_written(&self) -> u64 {
        self.outputs.iter().map(|output| output.rows).sum()
    }

    /// Rows that came out of all steps.
    pub(crate) fn rows_out(&self) -> u64 {
        self.rows + self.exploded - self.filtered - self.limited
    }

    /// Sums up the inputs, and checks every sum.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] naming the sum that does not hold.
    pub(crate) fn add_up(&mut self) -> Result<()> {
        for input in &self.inputs {
            check(
                &input.path,
                "lines = rows + rejected + blank",
                input.lines,
                input.rows + input.rejected + input.blank,
            )?;
        }
        let sum = |of: fn(&InputReport) -> u64| self.inputs.iter().map(of).sum();
        self.lines = sum(|input| input.lines);
        self.rows = sum(|input| input.rows);
        self.rejected = sum(|input| input.rejected);
        self.blank = sum(|input| input.blank);
        self.filtered = sum(|input| input.filtered);
        self.skipped_row_groups = sum(|input| input.skipped_row_groups);
        Ok(())
    }

    /// Checks that every row that was read and kept is among the `rows` to be published.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if rows are missing or doubled.
    pub(crate) fn check_written(&self, rows: u64) -> Result<()> {
        check(
            "all inputs",
            "rows + exploded = rows written + filtered + limited",
            self.rows + self.exploded,
            rows + self.filtered + self.limited,
        )
    }
}

fn check(of: &str, sum: &str, left: u64, right: u64) -> Result<()> {
    if left == right {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{of}: {sum}, but {left} is not {right}"
    )))
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.inputs.len();
        write!(
            f,
            "{} lines of {files} {} = {} rows + {} rejected + {} blank",
            self.lines,
            plural(files as u64, "file", "files"),
            self.rows,
            self.rejected,
            self.blank
        )?;
        if self.filtered > 0 {
            write!(f, "; {} rows did not pass the filter", self.filtered)?;
        }
        if self.skipped_row_groups > 0 {
            write!(
                f,
                "; {} {} not read",
                self.skipped_row_groups,
                plural(self.skipped_row_groups, "row group was", "row groups were")
            )?;
        }
        if self.limited > 0 {
            write!(f, "; {} rows were past the limit", self.limited)?;
        }
        if self.exploded > 0 {
            write!(f, "; {} more rows were made of lists", self.exploded)?;
        }
        writeln!(f)?;
        let parts = self.outputs.len() as u64;
        let stored: u64 = self.outputs.iter().map(|output| output.stored_bytes).sum();
        write!(
            f,
            "{} rows in {parts} {}, {}",
            self.rows_written(),
            plural(parts, "part", "parts"),
            ByteSize::new(stored)
        )?;
        if let Some(output) = self.outputs.first() {
            write!(f, ", {}", output.codec)?;
            if self.stored_bytes_read > 0 && stored > 0 {
                write!(
                    f,
                    " (read back), {:.2} of the input's {}",
                    stored as f64 / self.stored_bytes_read as f64,
                    ByteSize::new(self.stored_bytes_read)
                )?;
            }
        }
        for widened in &self.widened {
            write!(f, "\ncolumn {:?} holds {}", widened.column, widened.to)?;
        }
        if self.duplicate_keys > 0 {
            write!(
                f,
                "\n{} {} stood twice in a record: the last one counts",
                self.duplicate_keys,
                plural(self.duplicate_keys, "key", "keys")
            )?;
        }
        if self.ignored_values > 0 {
            write!(
                f,
                "\n{} values of keys outside the schema were ignored",
                self.ignored_values
            )?;
        }
        if self.rewritten_parts > 0 {
            write!(
                f,
                "\n{} {} written anew under a wider schema",
                self.rewritten_parts,
                plural(self.rewritten_parts, "part was", "parts were")
            )?;
        }
        if self.spilled_bytes > 0 {
            write!(f, "\n{} spilled", ByteSize::new(self.spilled_bytes))?;
        }
        for input in &self.inputs {
            if let Some(damage) = &input.damage {
                write!(f, "\n{}: {damage}", input.path)?;
            }
        }
        Ok(())
    }
}

/// For serde, which passes a reference.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn plural(count: u64, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}
