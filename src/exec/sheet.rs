//! Balance sheets of runs behind one another.
//!
//! In:  the sheet of each run whose rows another run reads, once it is over.
//! Out: one sheet: its inputs are the files that were read, and each stage says
//!      how many rows it made of how many.
//!
//! A stage in front belongs to the run behind it, so nothing of it is visible
//! before that one's output is: its rejects files travel with its sheet.
//!
//! ```text
//! files ─▶ run in front ─▶ Front ─▶ run behind ─▶ output
//!              └───── sheet ───▶ Stage ──▶ └─▶ one sheet, published with the output
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::rejects::{self, Rejects};
use super::report::{InputReport, PipelineReport, Read, RunReport, StageReport};
use super::worker::Worked;
use crate::error::Result;

/// What a run has read and noticed, and the bad records that it kept aside.
#[derive(Default)]
pub(super) struct Sheet {
    pub report: RunReport,
    /// To be published with the output.
    pub rejects: Vec<Rejects>,
    /// Whether a run in front was ended when this one had rows enough: how far
    /// it had got depends on timing, and nothing that must not may hold its counts.
    pub raced: bool,
}

impl Sheet {
    /// Makes the rejects files visible.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Io`] if one cannot be written.
    pub fn publish(self) -> Result<RunReport> {
        rejects::publish(self.rejects)?;
        Ok(self.report)
    }
}

/// A run in front of another: whoever reads its rows holds one end, it the other.
#[derive(Clone, Default)]
pub(super) struct Front(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Once the run is over.
    sheet: Mutex<Option<Sheet>>,
    /// Of a pipeline that is run unit by unit, by whoever reads it: what units
    /// of each file have come to.
    tally: Mutex<Tally>,
    /// What gives the rows of such a pipeline, where other runs do.
    stage: Option<Stage>,
    /// Which pipeline of the plan that is.
    number: Option<usize>,
    /// Whether it was over before its rows were read.
    was_over: bool,
    dismissed: AtomicBool,
}

#[derive(Default)]
struct Tally {
    /// By the place of the file among the inputs.
    inputs: BTreeMap<u32, InputReport>,
    exploded: u64,
    bytes: u64,
}

impl Front {
    /// A run that is over.
    pub fn over(sheet: Sheet) -> Self {
        let front = Front(Arc::new(Shared {
            was_over: true,
            ..Shared::default()
        }));
        front.end(sheet);
        front
    }

    /// A pipeline without bad records that is run unit by unit, behind `stage` if there is one.
    pub fn tallied(stage: Option<Stage>, number: Option<usize>) -> Self {
        Front(Arc::new(Shared {
            stage,
            number,
            ..Shared::default()
        }))
    }

    /// Counts a chunk of a unit, or that a unit was begun.
    pub fn tally(&self, file: u32, path: &str, chunk: Option<&Worked>) {
        let mut tally = self.0.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let input = tally.inputs.entry(file).or_default();
        if input.path.is_empty() {
            input.path = path.to_owned();
        }
        if let Some(chunk) = chunk {
            input.lines += chunk.lines;
            input.rows += chunk.lines;
            input.filtered += chunk.filtered;
            input.skipped_row_groups += chunk.skipped.row_groups;
            input.skipped_files += chunk.skipped.files;
            tally.exploded += chunk.added;
            tally.bytes += chunk.text_bytes;
        }
    }

    /// The run has ended with this sheet.
    pub fn end(&self, sheet: Sheet) {
        *self.0.sheet.lock().unwrap_or_else(PoisonError::into_inner) = Some(sheet);
    }

    /// Nobody wants more of its rows.
    pub fn dismiss(&self) {
        self.0.dismissed.store(true, Ordering::Relaxed);
        if let Some(stage) = &self.0.stage {
            stage.fronts.iter().for_each(Front::dismiss);
        }
    }

    /// Whether more of its rows are of no use.
    pub fn is_dismissed(&self) -> bool {
        self.0.dismissed.load(Ordering::Relaxed)
    }

    /// None of a run that was not begun, or did not come to an end of its own.
    fn take(&self, whole: bool) -> Result<Option<Sheet>> {
        let mut sheet = self.0.sheet.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sheet) = sheet.take() {
            return Ok(Some(sheet));
        }
        let mut tally = self.0.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = std::mem::take(&mut *tally);
        if tally.inputs.is_empty() {
            return Ok(None);
        }
        let mut sheet = Sheet::default();
        sheet.report.inputs = tally.inputs.into_values().collect();
        sheet.report.exploded = tally.exploded;
        sheet.report.add_up()?;
        if let Some(number) = self.0.number {
            let read = Read {
                bytes: tally.bytes,
                seconds: None,
            };
            sheet.report.pipelines = vec![PipelineReport::of(number, &sheet.report, read)];
        }
        if let Some(stage) = &self.0.stage {
            stage.put_before(&mut sheet, whole)?;
        }
        Ok(Some(sheet))
    }
}

/// What stands between the runs in front and this one.
#[derive(Clone)]
pub(super) struct Stage {
    /// As reports call it, and how it was done.
    pub report: StageReport,
    /// Whether as many rows come out as go in.
    pub keeps_rows: bool,
    /// The runs that give its rows, in the order of its inputs.
    pub fronts: Vec<Front>,
    /// What adds to the report that which shows only once all rows came out.
    pub late: Option<Late>,
}

/// Completes the report of a stage.
pub(super) type Late = Arc<dyn Fn(&mut StageReport) + Send + Sync>;

impl Stage {
    /// Puts the sheet of the run behind this stage behind those of the runs in
    /// front. `whole` unless the run behind needed only some of the rows.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Internal`] if rows were lost or doubled on the way;
    /// [`crate::Error::Io`] if rejects files of one name cannot be joined.
    pub fn put_before(&self, behind: &mut Sheet, whole: bool) -> Result<()> {
        let (mut reports, mut rejects) = (Vec::new(), Vec::new());
        for front in &self.fronts {
            behind.raced |= !whole && !front.0.was_over;
            if let Some(sheet) = front.take(whole)? {
                behind.raced |= sheet.raced;
                reports.push(sheet.report);
                rejects.extend(sheet.rejects);
            }
        }
        rejects.append(&mut behind.rejects);
        behind.rejects = rejects::joined(rejects)?;
        let kept = self.keeps_rows && whole;
        let mut report = self.report.clone();
        if let Some(late) = &self.late {
            late(&mut report);
        }
        behind.report.put_behind(report, kept, reports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, lines: u64, rows: u64) -> RunReport {
        let mut report = RunReport {
            inputs: vec![InputReport {
                path: path.into(),
                lines,
                rows,
                rejected: lines - rows,
                ..InputReport::default()
            }],
            ..RunReport::default()
        };
        report.add_up().unwrap();
        report
    }

    fn sheet(report: RunReport) -> Sheet {
        Sheet {
            report,
            ..Sheet::default()
        }
    }

    #[test]
    fn files_stand_in_the_sheet_and_stages_beside_them() {
        let fronts = [read("a", 10, 9), read("b", 5, 5)];
        let stage = Stage {
            report: StageReport::of("join"),
            keeps_rows: false,
            fronts: fronts.map(|report| Front::over(sheet(report))).to_vec(),
            late: None,
        };
        let mut joined = sheet(read("join", 40, 40));
        stage.put_before(&mut joined, true).unwrap();
        joined.report.check_written(40).unwrap();
        let again = Stage {
            report: StageReport::of("agg"),
            keeps_rows: false,
            fronts: vec![Front::over(joined), Front::default()],
            late: None,
        };
        let mut last = sheet(read("agg", 7, 7));
        again.put_before(&mut last, true).unwrap();
        let report = last.report;
        let files: Vec<_> = report.inputs.iter().map(|i| (&*i.path, i.rows)).collect();
        assert_eq!(files, [("a", 9), ("b", 5)]);
        assert_eq!((report.lines, report.rows, report.rejected), (15, 14, 1));
        let stages = report.stages.iter();
        let stages: Vec<_> = stages
            .map(|stage| (&*stage.name, stage.rows_in, stage.rows_out))
            .collect();
        assert_eq!(stages, [("join", 14, 40), ("agg", 40, 7)]);
        report.check_written(7).unwrap();
        assert!(report.check_written(8).is_err());
    }

    #[test]
    fn a_row_lost_between_two_runs_is_an_error() {
        for (came_out, whole, right) in [(9, true, true), (8, true, false), (8, false, true)] {
            let stage = Stage {
                report: StageReport::of("concat"),
                keeps_rows: true,
                fronts: vec![Front::over(sheet(read("a", 9, 9)))],
                late: None,
            };
            let mut behind = sheet(read("concat", came_out, came_out));
            assert_eq!(stage.put_before(&mut behind, whole).is_ok(), right);
        }
    }
}
