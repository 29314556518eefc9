//! The balance sheet of a run.
//!
//! In:  counts per file, in input order; the reports of runs in front.
//! Out: a report whose sums hold: `lines = rows + rejected + blank`, per file
//!      and in total, and of rows
//!      `read + exploded + made by stages = taken by stages + filtered + limited + written`.
//!
//! A run that reads what a stage gives (an aggregate, a join, a function on
//! partitions) is one with the runs in front of it: `put_behind` lists their
//! files as its inputs, and the stage with the rows that went in and came out.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::io::Replaced;
use crate::sink::OutputReport;

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
    /// 1 if the file was not read at all, nor its rows counted: the filter is
    /// true for none of them, because of the values that its folders give.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped_files: u64,
    /// What was lost to damage, in words; only with salvage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// What was no text and became U+FFFD, in the lines that were read; only
    /// where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
}

/// A stage between runs: what it made of the rows that came to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StageReport {
    /// What it does.
    pub name: String,
    /// Rows that the runs in front gave it.
    pub rows_in: u64,
    /// Rows that it gave to the run behind it.
    pub rows_out: u64,
    /// Rows of those for which a filter behind it was not true.
    pub filtered: u64,
    /// How it was done, where that is not the same always: which side of a merge
    /// was held, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// How often the rows of an input were moved so that equal keys meet.
    #[serde(skip_serializing_if = "is_zero")]
    pub shuffles: u64,
    /// The tasks that shared the rows, where they were cut by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TasksReport>,
    /// Keys that had so many rows that several tasks shared them, those with most rows first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hot_keys: Vec<HotKeyReport>,
    /// Filters on the rows of one side of a merge, made of the keys of the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runtime_filters: Vec<RuntimeFilterReport>,
}

impl StageReport {
    /// Of a stage of this name, before anything is known of it.
    pub(crate) fn of(name: impl Into<String>) -> Self {
        StageReport {
            name: name.into(),
            ..StageReport::default()
        }
    }
}

/// What came of the rows that one pipeline of a plan read.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PipelineReport {
    /// Tells it from others of its plan.
    #[serde(skip)]
    pub(crate) number: usize,
    /// Files that were opened, or passed over; none of what a stage in front gave.
    #[serde(skip_serializing_if = "is_zero")]
    pub files: u64,
    /// Rows that came to it, those passed over among them.
    pub rows_in: u64,
    /// Bytes of text, or logical bytes of Arrow data, that were decoded or taken
    /// from a stage in front; not of rows that were passed over.
    pub bytes_in: u64,
    /// Rows that came out.
    pub rows_out: u64,
    /// Lines that did not decode.
    #[serde(skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Rows for which its filters were not true.
    #[serde(skip_serializing_if = "is_zero")]
    pub filtered: u64,
    /// Rows that were made of items of lists, beyond one for each row.
    #[serde(skip_serializing_if = "is_zero")]
    pub exploded: u64,
    /// Rows that a limit cut off.
    #[serde(skip_serializing_if = "is_zero")]
    pub limited: u64,
    /// Row groups that were not read.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped_row_groups: u64,
    /// Files that were not read.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped_files: u64,
    /// Wall time from its first row to its last; none where the stage behind it
    /// ran it along with its own rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What gave the rows, where other runs did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageReport>,
}

impl PipelineReport {
    /// Of a run whose report so far tells of its own rows only.
    pub(super) fn of(number: usize, report: &RunReport, read: Read) -> Self {
        PipelineReport {
            number,
            files: report.inputs.len() as u64,
            rows_in: report.rows,
            bytes_in: read.bytes,
            rows_out: report.rows_out(),
            rejected: report.rejected,
            filtered: report.filtered,
            exploded: report.exploded,
            limited: report.limited,
            skipped_row_groups: report.skipped_row_groups,
            skipped_files: report.skipped_files,
            seconds: read.seconds,
            stage: None,
        }
    }
}

/// How much was read, and how long that took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Read {
    pub bytes: u64,
    pub seconds: Option<f64>,
}

/// Tasks that shared the rows of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TasksReport {
    /// How many there were.
    pub tasks: u64,
    /// Rows of all of them: of the side that has more of them, key by key.
    pub rows: u64,
    /// Rows of the largest one.
    pub largest_rows: u64,
}

/// A filter that was made of the keys of one side of a merge while it ran, for rows
/// of the other side: what came of the rows that got to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RuntimeFilterReport {
    /// The key of those rows.
    pub column: String,
    /// Rows of which it was asked whether they may meet one. What files tell of
    /// stretches of rows is not counted.
    pub asked: u64,
    /// Those of them that may.
    pub passed: u64,
    /// Rows that were let by unasked, since most beside them may meet one.
    pub unasked: u64,
}

/// A key with so many rows that several tasks shared them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HotKeyReport {
    /// The columns.
    pub columns: Vec<String>,
    /// Their values.
    pub value: String,
    /// Rows that have them. Tasks of a merge count them, each from the batch on in
    /// which it first had many; of rows that are grouped, a few of some chunks tell
    /// about how many they are.
    pub rows: u64,
    /// Tasks that had such rows; where rows are grouped, about how many chunks.
    pub tasks: u64,
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
    /// Stages between runs, each behind those in front of it. How far one had
    /// got when a limit was reached behind it depends on timing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageReport>,
    /// What came of each pipeline of the plan, for who knows the plan.
    #[serde(skip)]
    pub(crate) pipelines: Vec<PipelineReport>,
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
    /// Of all inputs and stages.
    pub filtered: u64,
    /// Of all inputs.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped_row_groups: u64,
    /// Of all inputs.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped_files: u64,
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
    /// Spill files: as often, rows went to disk because the budget was full.
    pub spilled_runs: u64,
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
        self.filtered = sum(|input| input.filtered)
            + self.stages.iter().map(|stage| stage.filtered).sum::<u64>();
        self.skipped_row_groups = sum(|input| input.skipped_row_groups);
        self.skipped_files = sum(|input| input.skipped_files);
        Ok(())
    }

    /// Checks that every row that was read and kept is among the `rows` to be published.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if rows are missing or doubled.
    pub(crate) fn check_written(&self, rows: u64) -> Result<()> {
        let (made, taken) = self.staged();
        check(
            "all inputs",
            "rows + exploded + made by stages = rows written + filtered + limited + taken by stages",
            self.rows + self.exploded + made,
            rows + self.filtered + self.limited + taken,
        )
    }

    /// Rows that stages made, and those that they were made of.
    fn staged(&self) -> (u64, u64) {
        let sum = |of: fn(&StageReport) -> u64| self.stages.iter().map(of).sum();
        (sum(|stage| stage.rows_out), sum(|stage| stage.rows_in))
    }

    /// Rows that came out of all steps and stages.
    pub(crate) fn rows_out(&self) -> u64 {
        let (made, taken) = self.staged();
        (self.rows + self.exploded + made).saturating_sub(self.filtered + self.limited + taken)
    }

    /// Counts what is left of the rows, but for the first `taken`, as cut off.
    pub(crate) fn limit_to(&mut self, taken: u64) {
        self.limited += self.rows_out().saturating_sub(taken);
    }

    /// Makes this report, whose inputs are what a stage gave, that of the runs
    /// in `fronts` too. Time and memory are its own already: they share its budget.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if the stage keeps its rows and some are missing or doubled.
    pub(crate) fn put_behind(
        &mut self,
        stage: StageReport,
        keeps_rows: bool,
        fronts: Vec<RunReport>,
    ) -> Result<()> {
        let given = std::mem::take(&mut self.inputs);
        let stage = StageReport {
            rows_in: fronts.iter().map(RunReport::rows_out).sum(),
            rows_out: given.iter().map(|input| input.rows).sum(),
            filtered: given.iter().map(|input| input.filtered).sum(),
            ..stage
        };
        if keeps_rows {
            check(
                &stage.name,
                "rows in = rows out",
                stage.rows_in,
                stage.rows_out,
            )?;
        }
        for own in &mut self.pipelines {
            own.files = 0;
            own.stage = Some(stage.clone());
        }
        let (mut widened, mut pipelines) = (Vec::new(), Vec::new());
        for front in fronts {
            pipelines.extend(front.pipelines);
            self.inputs.extend(front.inputs);
            self.stages.extend(front.stages);
            self.limited += front.limited;
            self.exploded += front.exploded;
            self.duplicate_keys += front.duplicate_keys;
            self.ignored_values += front.ignored_values;
            self.spilled_bytes += front.spilled_bytes;
            self.spilled_runs += front.spilled_runs;
            widened.extend(front.widened);
        }
        pipelines.append(&mut self.pipelines);
        self.pipelines = pipelines;
        widened.append(&mut self.widened);
        for column in widened {
            if !self.widened.contains(&column) {
                self.widened.push(column);
            }
        }
        self.stages.push(stage);
        self.add_up()
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

/// For serde, which passes a reference.
fn is_zero(count: &u64) -> bool {
    *count == 0
}
