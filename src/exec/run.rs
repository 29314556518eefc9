//! A physical plan and its result.
//!
//! In:  a pipeline, and what the run may use.
//! Out: batches, sizes or a count, with the balance sheet; files are `write.rs`'s.
//!
//! A layout that needs totals takes two passes over rows, never over the
//! input: the first holds rows (and spills them), the second lays them out.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::build::{Built, build};
use super::control::{Cancel, Phase, Progress};
use super::output::{
    Append, Bounds, Collect, Count, Each, EachPart, Held, Hold, Keep, Last, NoAppend, Output,
    Parts, Sizes, Visit, counted_cut, streaming_cut,
};
use super::queue::Listing;
use super::report::{RunReport, WidenedReport};
use super::scatter::ScatterPlan;
use super::scheduler::{self, Drive};
use super::schema::RunSchema;
use super::sequence::Sequencer;
use super::shared::SharedParts;
use super::sheet::{Front, Sheet};
use super::source::replay_unit;
use crate::config::{SchedulerKind, Settings};
use crate::error::{Error, Place, Result};
use crate::io::KnownFiles;
use crate::memory::{Budget, SpillDir};
use crate::partition::{By, Cut, PartitionSize};
use crate::plan::{Layout, Physical, Step};
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

/// What a run may use, and how the outside sees and stops it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Threads, memory, folders.
    pub settings: Settings,
    /// Stops the run.
    pub cancel: Cancel,
    /// Shows it.
    pub progress: Arc<Progress>,
    /// What kept rows may take of the memory: runs have as much less.
    pub(crate) kept: Budget,
    /// For tests: a smaller budget than settings may ask for.
    pub(crate) budget: Option<ByteSize>,
    /// What the run has that this is a part of, if it is.
    pub(crate) shared: Option<Shared>,
    /// Footers that were read.
    pub(crate) files: Arc<KnownFiles>,
}

/// What all stages of one run take from.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    budget: Budget,
    spill_dir: Arc<SpillDir>,
    /// What several of them read.
    parts: Arc<SharedParts>,
}

/// The share of the memory that footers may take, and the most that is of use:
/// those of 10,000 files of 20 columns.
const FOOTER_SHARE: u64 = 16;
const MOST_FOOTER_BYTES: u64 = 128 << 20;

impl Context {
    /// Settings, with a way to stop and to watch that nobody holds yet.
    pub fn new(settings: Settings) -> Self {
        let memory = settings.memory.bytes();
        let kept = Budget::new(ByteSize::new(memory / 2));
        let most_footers = (memory / FOOTER_SHARE).min(MOST_FOOTER_BYTES);
        Context {
            files: Arc::new(KnownFiles::new(&kept, most_footers)),
            kept,
            settings,
            cancel: Cancel::new(),
            progress: Arc::new(Progress::default()),
            budget: None,
            shared: None,
        }
    }
}

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

/// Rows of a pipeline, by partition.
#[derive(Debug, Clone)]
pub struct Collected {
    /// Of every batch.
    pub schema: SchemaRef,
    /// Batches of each partition, in order.
    pub partitions: Vec<Vec<RecordBatch>>,
    /// What was read.
    pub report: RunReport,
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
            spill_dir: Arc::new(SpillDir::new(&settings.spill_dir, settings.spill_limit)),
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
                window_bytes: window_bytes(settings),
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
        };
        let mut ordered = built.ordered;
        for step in &mut ordered {
            step.take_from(&self.drive.budget);
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
        scheduler::run(&self.drive, listing, &built.workers, sequencer, appender)
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
        let (mut first, NoAppend) = self.hold(built)?;
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
        report.spilled_runs += self.drive.spill_dir.files();
        report.peak_bytes = self.drive.budget.peak();
        report.seconds = self.started.elapsed().as_secs_f64();
    }

    /// The end of a run that writes no part files.
    fn end(&self, sheet: Sheet) -> Result<RunReport> {
        let mut report = sheet.publish()?;
        self.close(&mut report);
        Ok(report)
    }
}

/// Bytes that may be decoded ahead of their turn.
pub(super) fn window_bytes(settings: &Settings) -> u64 {
    (settings.memory.bytes() / 8).clamp(4 << 20, 64 << 20)
}

/// How a run that writes no part files reads.
struct Pass {
    chunk_bytes: usize,
    /// Whether partitions are of no interest.
    as_one: bool,
}

/// All rows at once, however they lie in partitions.
const AS_ONE: Pass = Pass {
    chunk_bytes: CHUNK_BYTES,
    as_one: true,
};

/// The partitions of a pipeline.
const AS_PARTS: Pass = Pass {
    chunk_bytes: CHUNK_BYTES,
    as_one: false,
};

/// Runs a pipeline into an output that is made of a cut and the run's budget.
fn pass<O: Output>(
    physical: &Physical,
    context: &Context,
    how: &Pass,
    make: impl FnOnce(Cut, &Budget) -> O,
) -> Result<(Run, LaidOut<O, NoAppend>)> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let mut built = build(physical, &run.context, how.chunk_bytes)?;
    if how.as_one {
        built.layout = Layout::Coalesce(u64::MAX);
    }
    let budget = run.drive.budget.clone();
    let done = run.lay_out(built, |cut| Ok((make(cut, &budget), NoAppend)))?;
    Ok((run, done))
}

/// Gathers the rows of a pipeline in memory.
///
/// # Errors
///
/// As [`super::write`]; [`Error::Memory`] if they do not fit the budget.
pub fn collect(physical: &Physical, context: &Context) -> Result<Collected> {
    // A limit wants little: read little at a time.
    let few = physical
        .ordered
        .iter()
        .any(|step| matches!(step, Step::Limit(rows) if *rows < 10_000));
    let how = Pass {
        chunk_bytes: if few { 64 << 10 } else { CHUNK_BYTES },
        as_one: false,
    };
    let (run, done) = pass(physical, context, &how, Collect::new)?;
    let schema = done.schema;
    let partitions = done
        .output
        .partitions
        .iter()
        .map(|partition| {
            partition
                .batches
                .iter()
                .map(|(batch, from)| schema.finish(batch, from))
                .collect()
        })
        .collect::<Result<Vec<Vec<_>>>>()?;
    Ok(Collected {
        schema: schema.output()?,
        partitions,
        report: run.end(done.sheet)?,
    })
}

/// Gathers the last `rows` rows of a pipeline in memory, as one partition.
///
/// # Errors
///
/// As [`collect`].
pub fn last(physical: &Physical, rows: u64, context: &Context) -> Result<Collected> {
    let (run, done) = pass(physical, context, &AS_ONE, |_, budget| {
        Last::new(rows, budget)
    })?;
    let schema = done.schema;
    let kept = done.output.kept.iter();
    let batches = kept.map(|rows| schema.finish(&rows.batch, &rows.from));
    let partitions = vec![batches.collect::<Result<Vec<_>>>()?];
    Ok(Collected {
        schema: schema.output()?,
        partitions,
        report: run.end(done.sheet)?,
    })
}

/// Counts the rows of a pipeline.
///
/// # Errors
///
/// As [`super::write`].
pub fn count(physical: &Physical, context: &Context) -> Result<(u64, RunReport)> {
    let (run, done) = pass(physical, context, &AS_ONE, |_, _| Count::default())?;
    Ok((done.output.rows, run.end(done.sheet)?))
}

/// Measures the partitions of a pipeline.
///
/// # Errors
///
/// As [`super::write`].
pub fn sizes(physical: &Physical, context: &Context) -> Result<(Vec<PartitionSize>, RunReport)> {
    let (run, done) = pass(physical, context, &AS_PARTS, |cut, _| Sizes::new(cut))?;
    Ok((done.output.sizes, run.end(done.sheet)?))
}

/// The least and the greatest key of each partition of a pipeline whose rows
/// are sorted by `column`, smallest first and nulls last: arrays of one row.
///
/// # Errors
///
/// As [`super::write`].
pub fn bounds(
    physical: &Physical,
    column: &str,
    context: &Context,
) -> Result<Vec<(ArrayRef, ArrayRef)>> {
    let make = |cut, _: &Budget| Bounds::new(column, cut);
    let (run, done) = pass(physical, context, &AS_PARTS, make)?;
    run.end(done.sheet)?;
    Ok(done.output.bounds)
}

/// Hands every partition of a pipeline to `each`, in order, until that has
/// enough or `front` is dismissed. Gives the schema that the last one has, and
/// the sheet, whose rejects files are yet to be published.
///
/// # Errors
///
/// As [`super::write`], and those of `each`.
pub(super) fn each_part(
    physical: &Physical,
    context: &Context,
    front: &Front,
    each: &mut EachPart<'_>,
) -> Result<(RunSchema, Sheet)> {
    let (run, done) = pass(physical, context, &AS_PARTS, |cut, budget| {
        Parts::new(cut, budget, front.clone(), each)
    })?;
    let (schema, mut sheet) = (done.schema, done.sheet);
    let taken = done.output.rows_taken();
    if done.output.is_done() {
        sheet.report.limit_to(taken);
    }
    sheet.report.check_written(taken)?;
    run.close(&mut sheet.report);
    Ok((schema, sheet))
}

/// Keeps the rows of a pipeline by partition, past the budget in `spill_dir`.
/// Gives the schema that the last one has, and the sheet.
///
/// # Errors
///
/// As [`super::write`].
pub(super) fn keep_all(
    physical: &Physical,
    context: &Context,
    spill_dir: &Arc<SpillDir>,
) -> Result<(Keep, RunSchema, Sheet)> {
    let (run, done) = pass(physical, context, &AS_PARTS, |cut, budget| {
        Keep::new(cut, &context.kept, budget, spill_dir)
    })?;
    let mut sheet = done.sheet;
    sheet.report.check_written(done.output.rows)?;
    run.close(&mut sheet.report);
    Ok((done.output, done.schema, sheet))
}

/// Shows every batch of a pipeline to `each`, in input order, and keeps none.
/// Gives the schema that the last one has, and the balance sheet.
///
/// # Errors
///
/// As [`super::write`], and those of `each`.
pub fn visit(
    physical: &Physical,
    context: &Context,
    each: &mut Each<'_>,
) -> Result<(SchemaRef, RunReport)> {
    let (run, done) = pass(physical, context, &AS_ONE, |_, _| Visit { each })?;
    Ok((done.schema.output()?, run.end(done.sheet)?))
}

/// All rows of a pipeline, held until their number and size are known.
pub(super) struct HeldRows {
    pub schema: SchemaRef,
    /// How many.
    pub rows: u64,
    /// Logical bytes.
    pub bytes: u64,
    /// What was read for them.
    pub sheet: Sheet,
    /// The rows, in order.
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

/// Holds the rows of a pipeline, past the budget on disk. Give the context of
/// the [`Run`] that reads them: it shares its budget.
///
/// # Errors
///
/// As [`super::write`].
pub(super) fn hold_all(physical: &Physical, context: &Context) -> Result<HeldRows> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let built = build(physical, &run.context, CHUNK_BYTES)?;
    let (mut first, NoAppend) = run.hold(built)?;
    let sheet = run.sheet(&mut first)?;
    let schema = first.schema;
    let held = first.output.held();
    let from = held
        .schemas
        .into_iter()
        .flat_map(|(batches, schema)| (0..batches).map(move |_| schema.clone()));
    let rows = held.replay.zip(from);
    Ok(HeldRows {
        schema: schema.output()?,
        rows: held.rows,
        bytes: held.bytes,
        sheet,
        batches: Box::new(rows.map(move |(batch, from)| schema.finish(&batch?, &from))),
    })
}
