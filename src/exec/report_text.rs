//! The balance sheet of a run, as text.
//!
//! In:  a report.
//! Out: what was read and what became of it, what was written, and what the run
//!      noticed; nothing of what did not happen.

use std::fmt::{self, Display, Formatter};

use super::report::{InputReport, RunReport, StageReport};
use crate::io::Replaced;
use crate::size::ByteSize;

impl Display for RunReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.read(f)?;
        for stage in &self.stages {
            write!(f, "; {stage}")?;
        }
        writeln!(f)?;
        self.written(f)?;
        self.noticed(f)?;
        for input in &self.inputs {
            damaged(input, f)?;
            replaced(input, f)?;
        }
        Ok(())
    }
}

impl RunReport {
    /// Lines and rows, and rows that did not come out.
    fn read(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let files = self.inputs.len();
        write!(
            f,
            "{} {} of {files} {} = {} {} + {} rejected + {} blank",
            self.lines,
            plural(self.lines, "line", "lines"),
            plural(files as u64, "file", "files"),
            self.rows,
            plural(self.rows, "row", "rows"),
            self.rejected,
            self.blank
        )?;
        if self.filtered > 0 {
            let rows = plural(self.filtered, "row", "rows");
            write!(f, "; {} {rows} did not pass the filter", self.filtered)?;
        }
        if self.skipped_row_groups > 0 {
            let were = plural(self.skipped_row_groups, "row group was", "row groups were");
            write!(f, "; {} {were} not read", self.skipped_row_groups)?;
        }
        if self.skipped_files > 0 {
            let were = plural(self.skipped_files, "file was", "files were");
            write!(f, "; {} {were} not read", self.skipped_files)?;
        }
        if self.limited > 0 {
            let were = plural(self.limited, "row was", "rows were");
            write!(f, "; {} {were} past the limit", self.limited)?;
        }
        if self.exploded > 0 {
            let were = plural(self.exploded, "more row was", "more rows were");
            write!(f, "; {} {were} made of lists", self.exploded)?;
        }
        Ok(())
    }

    /// Rows, parts and bytes.
    fn written(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (rows, parts) = (self.rows_written(), self.outputs.len() as u64);
        let stored: u64 = self.outputs.iter().map(|output| output.stored_bytes).sum();
        write!(
            f,
            "{rows} {} in {parts} {}, {}",
            plural(rows, "row", "rows"),
            plural(parts, "part", "parts"),
            ByteSize::new(stored)
        )?;
        let Some(output) = self.outputs.first() else {
            return Ok(());
        };
        write!(f, ", {}", output.codec)?;
        if self.stored_bytes_read > 0 && stored > 0 {
            let share = share(stored, self.stored_bytes_read);
            let read = ByteSize::new(self.stored_bytes_read);
            write!(f, " (read back), {share} of the input's {read}")?;
        }
        Ok(())
    }

    /// What a user should know beside, a line each.
    fn noticed(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for widened in &self.widened {
            write!(f, "\ncolumn {:?} holds {}", widened.column, widened.to)?;
        }
        if self.duplicate_keys > 0 {
            let keys = plural(self.duplicate_keys, "key", "keys");
            write!(
                f,
                "\n{} {keys} stood twice in a record: the last one counts",
                self.duplicate_keys
            )?;
        }
        if self.ignored_values > 0 {
            let values = plural(self.ignored_values, "value", "values");
            let were = plural(self.ignored_values, "was", "were");
            write!(
                f,
                "\n{} {values} of keys outside the schema {were} ignored",
                self.ignored_values
            )?;
        }
        if self.rewritten_parts > 0 {
            let were = plural(self.rewritten_parts, "part was", "parts were");
            write!(
                f,
                "\n{} {were} written anew under a wider schema",
                self.rewritten_parts
            )?;
        }
        if self.spilled_bytes > 0 {
            let runs = plural(self.spilled_runs, "run", "runs");
            let bytes = ByteSize::new(self.spilled_bytes);
            write!(f, "\n{bytes} spilled in {} {runs}", self.spilled_runs)?;
        }
        Ok(())
    }
}

impl Display for StageReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (rows_in, rows_out) = (self.rows_in, self.rows_out);
        let rows = plural(rows_in, "row", "rows");
        write!(f, "{}: {rows_in} {rows} in, {rows_out} out", self.name)?;
        if let Some(way) = &self.way {
            write!(f, ", {way}")?;
        }
        if let Some(tasks) = &self.tasks {
            let mean = tasks.rows / tasks.tasks.max(1);
            let (n, largest) = (tasks.tasks, tasks.largest_rows);
            write!(
                f,
                ", {n} {}, {largest} {} in the largest and {mean} in the mean",
                plural(n, "task", "tasks"),
                plural(largest, "row", "rows")
            )?;
        }
        for hot in &self.hot_keys {
            let (columns, rows) = (hot.columns.join(", "), hot.rows);
            let (value, tasks) = (&hot.value, hot.tasks);
            write!(
                f,
                ", {columns} = {value} is hot: {rows} rows shared by {tasks} tasks"
            )?;
        }
        for filter in &self.runtime_filters {
            let (asked, passed) = (filter.asked, filter.passed);
            write!(
                f,
                ", {passed} of {asked} rows passed the filter on {}",
                filter.column
            )?;
            if filter.unasked > 0 {
                write!(f, " and {} unasked", filter.unasked)?;
            }
        }
        Ok(())
    }
}

fn damaged(input: &InputReport, f: &mut Formatter<'_>) -> fmt::Result {
    match &input.damage {
        Some(damage) => write!(f, "\n{}: {damage}", input.path),
        None => Ok(()),
    }
}

fn replaced(input: &InputReport, f: &mut Formatter<'_>) -> fmt::Result {
    let Some(Replaced { count, line, byte }) = input.replaced else {
        return Ok(());
    };
    let sequences = plural(count, "sequence", "sequences");
    write!(
        f,
        "\n{}: {count} {sequences} of bytes became U+FFFD, the first at line {line} (byte {byte})",
        input.path
    )
}

/// A part of a whole with two decimals, or with two digits that count where it is small. Neither is zero.
fn share(part: u64, whole: u64) -> String {
    let share = part as f64 / whole as f64;
    let decimals = if share < 0.1 {
        (1.0 - share.log10().floor()) as usize
    } else {
        2
    };
    format!("{share:.decimals$}")
}

fn plural(count: u64, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_share_is_not_shown_as_nothing() {
        for (part, whole, shown) in [
            (68, 100, "0.68"),
            (166, 10, "16.60"),
            (1, 10, "0.10"),
            (123, 10_000, "0.012"),
            (28, 10_000, "0.0028"),
            (1, 3_000_000, "0.00000033"),
        ] {
            assert_eq!(share(part, whole), shown);
        }
    }
}
