//! A plan, with what came of it.
//!
//! In:  a plan, its pipeline, and what running it told.
//! Out: each stage with its rows and bytes, and the run as a whole: as text or JSON.
//!
//! Rows, bytes and files are the same in every run of the same plan under the same
//! settings, but for stages in front of a limit, of which it depends on timing how
//! far they got. Times, memory and what was spilled differ from run to run.

use std::fmt;

use serde::Serialize;

use super::skew::Spread;
use crate::exec::{PipelineReport, RunReport};
use crate::partition::PartitionSize;
use crate::plan::{self, Explained, Physical};
use crate::size::ByteSize;

/// A plan that was run, made by [`crate::DataFrame::explain_analyze`].
///
/// Displays as text; serializes as
/// `{"plan":{…},"stages":[{"stage":…,"ran":{…}}],"partitions":{…},"report":{…}}`.
#[derive(Debug, Clone, Serialize)]
pub struct Analyzed {
    /// What was to be run, with the rows and bytes that were expected.
    pub plan: Explained,
    /// What came of each stage, in the order of the plan's.
    pub stages: Vec<AnalyzedStage>,
    /// How the rows that came out lie in partitions.
    pub partitions: AnalyzedPartitions,
    /// The balance sheet of the run.
    pub report: RunReport,
}

/// A stage of a plan that was run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnalyzedStage {
    /// What it does: a stage of [`Explained::stages`].
    pub stage: String,
    /// What came of it; none if it read nothing, or lays out rows that the stage before it held.
    pub ran: Option<PipelineReport>,
}

/// What came out of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AnalyzedPartitions {
    /// How many there are.
    pub n_partitions: u64,
    /// Rows in each.
    pub rows: Spread,
    /// Logical bytes of Arrow data in each.
    pub bytes: Spread,
}

impl Analyzed {
    /// A plan, lowered to `physical`, and what its run gave.
    pub(crate) fn new(
        plan: Explained,
        physical: &Physical,
        sizes: &[PartitionSize],
        report: RunReport,
    ) -> Self {
        let ran = |number: usize| {
            let mut all = report.pipelines.iter();
            all.find(|pipeline| pipeline.number == number).cloned()
        };
        let numbers = plan::stages(physical).into_iter().map(|stage| stage.number);
        let stages = plan.stages.iter().zip(numbers);
        let stages = stages.map(|(stage, number)| AnalyzedStage {
            stage: stage.clone(),
            ran: number.and_then(ran),
        });
        let spread = |of: fn(&PartitionSize) -> u64| Spread::of(sizes.iter().map(of).collect());
        Analyzed {
            stages: stages.collect(),
            partitions: AnalyzedPartitions {
                n_partitions: sizes.len() as u64,
                rows: spread(|size| size.rows),
                bytes: spread(|size| size.bytes),
            },
            plan,
            report,
        }
    }
}

impl fmt::Display for Analyzed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.write_plans(f)?;
        writeln!(f, "stages, as they ran")?;
        for AnalyzedStage { stage, ran } in &self.stages {
            writeln!(f, "  {stage}")?;
            if let Some(ran) = ran {
                write_ran(ran, f)?;
            }
        }
        let AnalyzedPartitions {
            n_partitions,
            rows,
            bytes,
        } = self.partitions;
        writeln!(f, "in all")?;
        writeln!(
            f,
            "  rows: {}; {}; partitions: {n_partitions}, balance {:.2}",
            rows.total,
            ByteSize::new(bytes.total),
            rows.balance
        )?;
        let report = &self.report;
        if report.stored_bytes_read > 0 {
            let read = ByteSize::new(report.stored_bytes_read);
            writeln!(f, "  read: {read} of files")?;
        }
        if report.spilled_runs > 0 {
            let (bytes, runs) = (ByteSize::new(report.spilled_bytes), report.spilled_runs);
            writeln!(f, "  spilled: {bytes}; runs: {runs}")?;
        }
        let shuffles: u64 = report.stages.iter().map(|stage| stage.shuffles).sum();
        let peak = ByteSize::new(report.peak_bytes);
        writeln!(
            f,
            "  shuffles: {shuffles}; memory: {peak} at most; {:.3} s",
            report.seconds
        )
    }
}

/// What came of a stage, below it.
fn write_ran(ran: &PipelineReport, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(stage) = &ran.stage {
        writeln!(f, "       {stage}")?;
    }
    write!(f, "       rows: {} in", ran.rows_in)?;
    for (rows, what) in [
        (ran.rejected, "rejected"),
        (ran.filtered, "filtered out"),
        (ran.exploded, "more made of lists"),
        (ran.limited, "past the limit"),
    ] {
        if rows > 0 {
            write!(f, ", {rows} {what}")?;
        }
    }
    write!(
        f,
        ", {} out; {} in",
        ran.rows_out,
        ByteSize::new(ran.bytes_in)
    )?;
    for (count, what) in [
        (ran.files, "files"),
        (ran.skipped_files, "files passed over"),
        (ran.skipped_row_groups, "row groups passed over"),
    ] {
        if count > 0 {
            write!(f, "; {what}: {count}")?;
        }
    }
    match ran.seconds {
        Some(seconds) => writeln!(f, "; {seconds:.3} s"),
        None => writeln!(f, "; along with the stage that reads it"),
    }
}
