//! One run: passes over rows, under one budget, with one balance sheet.
//!
//! In:  a pipeline that was built, and an output.
//! Out: what the output made of its rows; `pass.rs` and `write.rs` say which.
//!
//! A layout that needs totals takes two passes over rows, never over the
//! input: the first holds rows (and spills them), the second lays them out.

use std::sync::Arc;
use std::time::Instant;

use super::build::Built;
use super::context::{Context, Shared};
use super::control::Phase;
use super::each::each;
use super::output::{Append, Held, Hold, NoAppend, Output, counted_cut, streaming_cut};
use super::queue::Listing;
use super::report::{PipelineReport, Read, RunReport, WidenedReport};
use super::scatter::ScatterPlan;
use super::scheduler::{self, Drive};
use super::schema::RunSchema;
use super::sequence::Sequencer;
use super::shared::SharedParts;
use super::sheet::Sheet;
use super::source::replay_unit;
use super::window::Room;
use crate::cancel::Cancel;
use crate::config::{SchedulerKind, Settings};
use crate::error::{Error, Place, Result};
use crate::memory::{Budget, SpillDir};
use crate::partition::{By, Cut};
use crate::plan::Layout;
use crate::size::ByteSize;

/// Bytes of text that a decoder is handed at once. Measured: at 1 MiB the text
/// and the columns made of it stay in the second-level cache.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// The least a run needs: row groups being filled and encoded, and text in flight.
const LEAST_MEMORY: u64 = 32 << 20;

/// The least budget under which two row groups may be encoded at the same time,
/// while a third is filled; more would only hold memory. Under a smaller one,
/// rows are read ahead while the only one is encoded.
const TWO_GROUPS_BYTES: u64 = 256 << 20;

/// What is shared by the passes of one run.
pub(super) struct Run {
    /// For stages that this one is made of: they share its budget.
    pub context: Context,
    pub drive: Drive,
    /// What several stages of the run read.
    pub parts: Arc<SharedParts>,
    /// Whether this is a stage of another run.
    is_stage: bool,
    started: Instant,
    /// What earlier runs of the session had read.
    read_before: u64,
}

/// What laying out gave.
pub(super) struct LaidOut<O, A> {
    pub output: O,
    pub appender: A,
    /// Of all rows.
    pub schema: RunSchema,
    /// Of the pass over the input, and of the runs in front.
    pub sheet: Sheet,
    /// Where the first row came from, if it had no columns.
    pub bare: Option<Place>,
}

impl Run {
    /// One of its own; of a stage of another run, one that shares that one's budget.
    pub fn new(context: &Context) -> Result<Self> {
        let settings = &context.settings;
        settings.check()?;
        if settings.memory.bytes() < LEAST_MEMORY {
            return Err(Error::config(
                "memory",
                format!(
                    "{} is less than the {} that a run needs",
                    settings.memory,
                    ByteSize::new(LEAST_MEMORY)
                ),
            ));
        }
        let threads = match settings.scheduler {
            SchedulerKind::Serial => 1,
            SchedulerKind::Threaded => settings.threads,
        };
        let memory = settings.memory.bytes() - context.kept.used();
        let shared = context.shared.clone().unwrap_or_else(|| Shared {
            budget: Budget::new(context.budget.unwrap_or(ByteSize::new(memory))),
            spill_dir: Arc::new(spill_dir(settings, threads, context.cancel.clone())),
            parts: Arc::default(),
        });
        let parts = Arc::clone(&shared.parts);
        Ok(Run {
            context: Context {
                shared: Some(shared.clone()),
                ..context.clone()
            },
            is_stage: context.shared.is_some(),
            parts,
            drive: Drive {
                threads,
                cancel: context.cancel.clone(),
                progress: Arc::clone(&context.progress),
                budget: shared.budget,
                spill_dir: shared.spill_dir,
                max_groups: if settings.memory.bytes() < TWO_GROUPS_BYTES {
                    1
                } else {
                    2
                },
            },
            started: Instant::now(),
            read_before: context.progress.stored_bytes_read(),
        })
    }

    /// Drives one pass.
    pub fn drive<O: Output, A: Append>(
        &self,
        built: Built,
        output: O,
        appender: A,
    ) -> Result<(Sequencer<O>, A)> {
        let listing = Listing {
            units: built.units,
            may_wait: built.units_wait,
            fronts: match &built.stage {
                Some(stage) => stage.fronts.clone(),
                None => Vec::new(),
            },
            window_bytes: match built.decodes {
                true => text_window_bytes(&self.context.settings),
                false => window_bytes(&self.context.settings),
            },
        };
        let (number, started) = (built.number, Instant::now());
        let mut ordered = built.ordered;
        let room = Room::of(&self.drive);
        for step in &mut ordered {
            step.take_from(&room);
        }
        let sequencer = Sequencer::new(
            built.stage,
            built.schema,
            ordered,
            built.bad,
            output,
            Arc::clone(&self.context.progress),
        )
        .by_file(built.layout == Layout::Files);
        let mut ahead = self.drive.budget.open();
        ahead.resize_anyway(built.ahead_bytes);
        let (mut sequencer, appender) =
            scheduler::run(&self.drive, listing, &built.workers, sequencer, appender)?;
        sequencer.ran = number.map(|number| (number, started.elapsed()));
        Ok((sequencer, appender))
    }

    /// Holds the rows of a pipeline until all were read.
    pub fn hold(&self, built: Built) -> Result<(Sequencer<Hold>, NoAppend)> {
        let hold = Hold::new(&self.drive.budget, Arc::clone(&self.drive.spill_dir));
        self.drive(built, hold, NoAppend)
    }

    /// Drives the pass after rows were held: `held` is laid out by `output`.
    pub fn drive_held<O: Output, A: Append>(
        &self,
        held: Held,
        schema: RunSchema,
        scatter: Option<Arc<ScatterPlan>>,
        output: O,
        appender: A,
    ) -> Result<(Sequencer<O>, A)> {
        self.context.progress.set_phase(Phase::Laying);
        let units = replay_unit(held.replay, held.schemas, schema.clone());
        let mut built = Built::of_rows(units, schema);
        built.workers.scatter = scatter;
        self.drive(built, output, appender)
    }

    /// Runs a pipeline into an output that is made once its cut is known.
    /// The balance sheet is that of the pass over the input.
    pub fn lay_out<O: Output, A: Append>(
        &self,
        built: Built,
        make: impl FnOnce(Cut) -> Result<(O, A)>,
    ) -> Result<LaidOut<O, A>> {
        let layout = built.layout;
        let cut = match (layout, built.known_rows, built.known_bytes) {
            (Layout::By(By::Count(_)), Some(rows), _) => Some(counted_cut(layout, rows, 0)),
            (Layout::By(By::Bytes(_)) | Layout::Even(_), Some(rows), Some(bytes)) => {
                Some(counted_cut(layout, rows, bytes))
            }
            _ => streaming_cut(layout),
        };
        if let Some(cut) = cut {
            let (output, appender) = make(cut)?;
            let (mut sequencer, appender) = self.drive(built, output, appender)?;
            return Ok(LaidOut {
                sheet: self.sheet(&mut sequencer)?,
                bare: sequencer.bare,
                output: sequencer.output,
                appender,
                schema: sequencer.schema,
            });
        }
        let held = self.hold(built);
        let (mut first, NoAppend) = held.map_err(|error| error.asked_by("repartition"))?;
        let sheet = self.sheet(&mut first)?;
        let schema = first.schema;
        let held = first.output.held();
        let (output, appender) = make(counted_cut(layout, held.rows, held.bytes))?;
        let (second, appender) = self.drive_held(held, schema.clone(), None, output, appender)?;
        Ok(LaidOut {
            output: second.output,
            appender,
            schema,
            sheet,
            bare: first.bare,
        })
    }

    /// The sheet of a pass over the input, behind those of the runs in front.
    pub fn sheet<O: Output>(&self, sequencer: &mut Sequencer<O>) -> Result<Sheet> {
        let mut report = RunReport {
            inputs: std::mem::take(&mut sequencer.inputs),
            duplicate_keys: sequencer.counts.duplicate_keys,
            ignored_values: sequencer.counts.ignored_values,
            limited: sequencer.counts.limited,
            exploded: sequencer.counts.exploded,
            stored_bytes_read: self.context.progress.stored_bytes_read() - self.read_before,
            ..RunReport::default()
        };
        if let Some(schema) = sequencer.schema.decoded() {
            report.widened = schema
                .widened_columns_with(&sequencer.counts.typed)
                .into_iter()
                .map(|widened| WidenedReport {
                    column: widened.path,
                    to: widened.kind.to_owned(),
                })
                .collect();
        }
        report.add_up()?;
        if let Some((number, took)) = sequencer.ran {
            let read = Read {
                bytes: sequencer.counts.bytes,
                seconds: Some(took.as_secs_f64()),
            };
            report.pipelines = vec![PipelineReport::of(number, &report, read)];
        }
        let mut sheet = Sheet {
            report,
            rejects: sequencer.take_rejects().into_iter().collect(),
            raced: false,
        };
        if let Some(stage) = sequencer.take_stage() {
            stage.put_before(&mut sheet, !sequencer.is_done())?;
        }
        Ok(sheet)
    }

    /// Adds what is known once all passes are over; of stages, the run that
    /// they are part of knows it.
    pub fn close(&self, report: &mut RunReport) {
        if self.is_stage {
            return;
        }
        report.spilled_bytes += self.drive.spill_dir.written();
        report.spilled_runs += self.drive.spill_dir.runs();
        report.peak_bytes = self.drive.budget.peak();
        report.seconds = self.started.elapsed().as_secs_f64();
    }

    /// The end of a run that writes no part files.
    pub fn end(&self, sheet: Sheet) -> Result<RunReport> {
        let mut report = sheet.publish()?;
        self.close(&mut report);
        Ok(report)
    }
}

/// The folder of what a run spills, which all its threads write to at once, or
/// one, where memory is small: each that writes has an allocator's heap of its own.
fn spill_dir(settings: &Settings, threads: usize, cancel: Cancel) -> SpillDir {
    let threads = match settings.memory.bytes() < TWO_GROUPS_BYTES {
        true => 1,
        false => threads,
    };
    SpillDir::new(&settings.spill_dir, settings.spill_limit).written_by(threads, move |n, task| {
        each(threads, &cancel, "writing rows that do not fit", n, task).map(drop)
    })
}

/// Bytes that may be decoded ahead of their turn.
pub(super) fn window_bytes(settings: &Settings) -> u64 {
    (settings.memory.bytes() / 8).clamp(4 << 20, 64 << 20)
}

/// The same of text: threads take turns at a file, so that few of its rows wait
/// for their turn. More would be fresh memory, which the kernel clears first:
/// with 64 MiB for two threads a conversion takes 3 % more CPU time.
fn text_window_bytes(settings: &Settings) -> u64 {
    window_bytes(settings).min(settings.threads as u64 * (8 << 20))
}
