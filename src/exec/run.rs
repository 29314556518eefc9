//! From a physical plan to its result: the one bridge from steps to operators.
//!
//! In:  a pipeline, and what the run may use.
//! Out: files, batches, sizes or a count, with the balance sheet.
//!
//! A layout that needs totals takes two passes over rows, never over the
//! input: the first holds rows (and spills them), the second lays them out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::columns;
use super::control::{Cancel, Phase, Progress};
use super::output::{
    Append, Collect, Count, Each, Held, Hold, NoAppend, Output, PartAppender, RowGroups, Sizes,
    Visit, WritePlan, counted_cut, streaming_cut, widen_with,
};
use super::rejects::Rejects;
use super::report::{RunReport, WidenedReport};
use super::scheduler::{self, Drive};
use super::schema::RunSchema;
use super::sequence::{BadPolicy, Ordered, Sequencer};
use super::source::{Units, memory_unit, replay_unit, text_units};
use super::worker::WorkerPlan;
use crate::config::{SchedulerKind, Settings};
use crate::error::{Error, Result};
use crate::expr::BoundExpr;
use crate::io::json::{DecodeOptions, RowPredicate, SchemaMode};
use crate::io::{self, TextOptions};
use crate::memory::{Budget, SpillDir};
use crate::partition::{By, Cut, PartitionSize};
use crate::plan::{Layout, OnBadRecord, Physical, Source, Step};
use crate::sink::{ManifestInfo, Staging, WriteOptions};

/// Bytes of text that a decoder is handed at once. Measured: at 1 MiB the text
/// and the columns made of it stay in the second-level cache.
const CHUNK_BYTES: usize = 1 << 20;

/// The least a run needs: row groups being filled and encoded, and text in flight.
const LEAST_MEMORY: u64 = 32 << 20;

/// What a run may use, and how the outside sees and stops it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Threads, memory, folders.
    pub settings: Settings,
    /// Stops the run.
    pub cancel: Cancel,
    /// Shows it.
    pub progress: Arc<Progress>,
}

impl Context {
    /// Settings, with a way to stop and to watch that nobody holds yet.
    pub fn new(settings: Settings) -> Self {
        Context {
            settings,
            cancel: Cancel::new(),
            progress: Arc::new(Progress::default()),
        }
    }
}

/// What is shared by the passes of one run.
struct Run<'a> {
    context: &'a Context,
    drive: Drive,
    started: Instant,
    /// What earlier runs of the session had read.
    read_before: u64,
}

/// A pipeline's parts, built.
struct Built {
    units: Units,
    workers: WorkerPlan,
    schema: RunSchema,
    ordered: Vec<Ordered>,
    bad: BadPolicy,
    layout: Layout,
    /// Rows that will come out, where they are known before reading.
    known_rows: Option<u64>,
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

impl<'a> Run<'a> {
    fn new(context: &'a Context) -> Result<Self> {
        let settings = &context.settings;
        settings.check()?;
        if settings.memory.bytes() < LEAST_MEMORY {
            return Err(Error::config(
                "memory",
                format!(
                    "{} is less than the {} that a run needs",
                    settings.memory,
                    crate::size::ByteSize::new(LEAST_MEMORY)
                ),
            ));
        }
        let threads = match settings.scheduler {
            SchedulerKind::Serial => 1,
            SchedulerKind::Threaded => settings.threads,
        };
        Ok(Run {
            context,
            drive: Drive {
                threads,
                cancel: context.cancel.clone(),
                progress: Arc::clone(&context.progress),
                budget: Budget::new(settings.memory),
                spill_dir: Arc::new(SpillDir::new(&settings.spill_dir, settings.spill_limit)),
                window_bytes: (settings.memory.bytes() / 8).clamp(4 << 20, 64 << 20),
            },
            started: Instant::now(),
            read_before: context.progress.stored_bytes_read(),
        })
    }

    /// Builds a pipeline: opens lists, binds expressions, stages a rejects file.
    fn build(&self, physical: &Physical, chunk_bytes: usize) -> Result<Built> {
        let scan = &physical.scan;
        let mut columns = scan.columns.clone();
        let mut filters = Vec::new();
        for step in &physical.steps {
            match step {
                Step::Filter(predicate) => filters.push(predicate.bind(&scan.schema)?),
                // Filters find their columns by name, so that columns may be left out last.
                Step::Select(names) => columns = Some(names.clone()),
                Step::Limit(_) => unreachable!("a limit needs input order"),
            }
        }
        let mut ordered = Vec::new();
        for step in &physical.ordered {
            match step {
                Step::Filter(predicate) => {
                    ordered.push(Ordered::filter(predicate.bind(&scan.schema)?));
                }
                Step::Limit(rows) => ordered.push(Ordered::limit(*rows)),
                Step::Select(names) => columns = Some(names.clone()),
            }
        }
        let predicate = match &scan.predicate {
            Some(predicate) => Some(predicate.bind(&scan.schema)?),
            None => None,
        };
        let filtered = predicate.is_some()
            || !filters.is_empty()
            || physical
                .ordered
                .iter()
                .any(|step| !matches!(step, Step::Select(_)));

        // Columns that must be built: those that come out, and those that filters
        // which could not be pushed down look at.
        let built = columns.as_ref().map(|columns| {
            let mut built = columns.clone();
            let late = physical.steps.iter().chain(&physical.ordered);
            for step in late {
                if let Step::Filter(predicate) = step
                    && let Ok(bound) = predicate.bind(&scan.schema)
                {
                    built.extend(bound.root_columns().iter().cloned());
                }
            }
            built
        });
        let (units, schema, workers, bad, known_rows) = match &scan.source {
            Source::Json {
                inputs,
                options,
                look,
            } => {
                let path_column = options.include_path.as_deref();
                let decoded = built.map(|mut built| {
                    built.retain(|name| Some(name.as_str()) != path_column);
                    built
                });
                let start = match &decoded {
                    Some(decoded) => look.head.merge(&look.spread).project(decoded),
                    None => look.head.clone(),
                };
                let text = TextOptions {
                    chunk_bytes,
                    blocksize: match physical.layout {
                        Layout::Blocks(bytes) => bytes,
                        _ => u64::MAX,
                    },
                    max_record_bytes: options.max_record.bytes(),
                    salvage: options.salvage,
                };
                let rejects = match (&options.on_bad_record, &options.rejects) {
                    (OnBadRecord::Reject, Some(path)) => Some(Rejects::create(path)?),
                    _ => None,
                };
                let workers = WorkerPlan {
                    decode: Arc::new(DecodeOptions {
                        columns: decoded,
                        mode: options.schema_mode,
                        keep_bad: options.on_bad_record != OnBadRecord::Fail,
                        max_depth: options.max_depth,
                    }),
                    predicate: predicate
                        .map(|bound| Arc::new(Pushed::new(bound)) as Arc<dyn RowPredicate>),
                    filters,
                    keep_raw: rejects.is_some(),
                };
                let bad = BadPolicy {
                    on_bad: options.on_bad_record,
                    rejects,
                    max: options.max_rejects,
                };
                let files = io::list(inputs)?;
                (
                    text_units(files, text, &self.context.cancel),
                    RunSchema::json(start, path_column),
                    workers,
                    bad,
                    None,
                )
            }
            Source::Columns { inputs, format } => {
                filters.splice(0..0, predicate);
                let units = columns::units(inputs, *format, &scan.schema, built.as_deref())?;
                let schema = columns::read_schema(&scan.schema, built.as_deref())?;
                let known = (scan.estimate.exact && !filtered).then_some(scan.estimate.rows);
                (
                    units,
                    RunSchema::fixed(schema),
                    batch_workers(filters),
                    no_bad(),
                    known,
                )
            }
            Source::Batches(batches) => {
                filters.splice(0..0, predicate);
                let known = (!filtered).then_some(scan.estimate.rows);
                (
                    memory_unit(batches),
                    RunSchema::fixed(Arc::clone(&scan.schema)),
                    batch_workers(filters),
                    no_bad(),
                    known,
                )
            }
        };
        Ok(Built {
            units,
            workers,
            schema: schema.with_columns(columns),
            ordered,
            bad,
            layout: physical.layout,
            known_rows,
        })
    }

    /// Drives one pass.
    fn drive<O: Output, A: Append>(
        &self,
        built: Built,
        output: O,
        appender: A,
    ) -> Result<(Sequencer<O>, A)> {
        let sequencer = Sequencer::new(
            built.schema,
            built.ordered,
            built.bad,
            output,
            Arc::clone(&self.context.progress),
        );
        scheduler::run(
            &self.drive,
            built.units,
            &built.workers,
            sequencer,
            appender,
        )
    }

    /// Drives the pass after rows were held: `held` is laid out by `output`.
    fn drive_held<O: Output, A: Append>(
        &self,
        held: Held,
        schema: RunSchema,
        output: O,
        appender: A,
    ) -> Result<(Sequencer<O>, A)> {
        self.context.progress.set_phase(Phase::Laying);
        let built = Built {
            units: replay_unit(held.replay, held.schemas, schema.clone()),
            workers: batch_workers(Vec::new()),
            schema,
            ordered: Vec::new(),
            bad: no_bad(),
            layout: Layout::Coalesce(u64::MAX),
            known_rows: None,
        };
        self.drive(built, output, appender)
    }

    /// Runs a pipeline into an output that is made once its cut is known.
    /// The balance sheet is that of the pass over the input.
    fn lay_out<O: Output, A: Append>(
        &self,
        built: Built,
        make: impl FnOnce(Cut) -> Result<(O, A)>,
    ) -> Result<(O, A, RunSchema, RunReport, Option<Rejects>)> {
        let layout = built.layout;
        let cut = match (layout, built.known_rows) {
            (Layout::By(By::Count(_)), Some(rows)) => Some(counted_cut(layout, rows, 0)),
            _ => streaming_cut(layout),
        };
        if let Some(cut) = cut {
            let (output, appender) = make(cut)?;
            let (mut sequencer, appender) = self.drive(built, output, appender)?;
            let rejects = sequencer.take_rejects();
            let report = self.report(&mut sequencer)?;
            return Ok((
                sequencer.output,
                appender,
                sequencer.schema,
                report,
                rejects,
            ));
        }
        let hold = Hold::new(&self.drive.budget, Arc::clone(&self.drive.spill_dir));
        let (mut first, NoAppend) = self.drive(built, hold, NoAppend)?;
        let rejects = first.take_rejects();
        let report = self.report(&mut first)?;
        let schema = first.schema;
        let held = first.output.held();
        let (output, appender) = make(counted_cut(layout, held.rows, held.bytes))?;
        let (second, appender) = self.drive_held(held, schema.clone(), output, appender)?;
        Ok((second.output, appender, schema, report, rejects))
    }

    fn report<O: Output>(&self, sequencer: &mut Sequencer<O>) -> Result<RunReport> {
        let mut report = RunReport {
            inputs: std::mem::take(&mut sequencer.inputs),
            duplicate_keys: sequencer.counts.duplicate_keys,
            ignored_values: sequencer.counts.ignored_values,
            limited: sequencer.counts.limited,
            stored_bytes_read: self.context.progress.stored_bytes_read() - self.read_before,
            ..RunReport::default()
        };
        if let Some(schema) = sequencer.schema.decoded() {
            report.widened = schema
                .widened_columns()
                .into_iter()
                .map(|widened| WidenedReport {
                    column: widened.path,
                    to: widened.kind.to_owned(),
                })
                .collect();
        }
        report.add_up()?;
        Ok(report)
    }

    fn close(&self, report: &mut RunReport) {
        report.spilled_bytes = self.drive.spill_dir.written();
        report.peak_bytes = self.drive.budget.peak();
        report.seconds = self.started.elapsed().as_secs_f64();
    }
}

/// A filter that the decoder evaluates on the columns it looks at.
struct Pushed {
    bound: BoundExpr,
    columns: Vec<String>,
}

impl Pushed {
    fn new(bound: BoundExpr) -> Self {
        Pushed {
            columns: bound.root_columns().to_vec(),
            bound,
        }
    }
}

impl RowPredicate for Pushed {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn mask(&self, batch: &RecordBatch) -> Result<arrow_array::BooleanArray> {
        self.bound.mask(batch)
    }
}

fn batch_workers(filters: Vec<BoundExpr>) -> WorkerPlan {
    WorkerPlan {
        decode: Arc::new(DecodeOptions {
            columns: None,
            mode: SchemaMode::Widen,
            keep_bad: false,
            max_depth: 0,
        }),
        predicate: None,
        filters,
        keep_raw: false,
    }
}

fn no_bad() -> BadPolicy {
    BadPolicy {
        on_bad: OnBadRecord::Fail,
        rejects: None,
        max: None,
    }
}

/// Writes the rows of a pipeline: all of them, or nothing is visible.
///
/// # Errors
///
/// The first error of the input in input order, else the first of the output.
pub fn write(physical: &Physical, options: &WriteOptions, context: &Context) -> Result<RunReport> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let inputs = input_places(&physical.scan.source)?;
    // Before anything is read: a target that cannot be used is refused at once.
    let staging = Staging::open(options, &inputs)?;
    let mut built = run.build(physical, CHUNK_BYTES)?;
    if let Some(existing) = staging.existing_schema()? {
        built.schema = built.schema.starting_from(&existing)?;
    }
    built.schema = built.schema.with_folders(&options.partition_on);
    let file_bytes = match built.layout {
        Layout::By(By::FileBytes(size)) => Some(size.bytes()),
        _ => None,
    };
    if !options.partition_on.is_empty() {
        check_folders(&built, options)?;
    }
    let (_, appender, schema, mut report, rejects) = run.lay_out(built, |cut| {
        let plan = Arc::new(WritePlan {
            options: options.clone(),
            cut,
            file_bytes,
        });
        Ok((
            RowGroups::new(Arc::clone(&plan), &run.drive.budget),
            PartAppender::new(plan, staging),
        ))
    })?;
    context.cancel.check()?;
    context.progress.set_phase(Phase::Committing);
    let written = appender.finish()?;
    let output = schema.output()?;
    let manifest = ManifestInfo {
        inputs: serde_json::to_value(&report.inputs).unwrap_or_default(),
        options: manifest_options(physical, options),
        balance: serde_json::json!({
            "lines": report.lines, "rows": report.rows, "rejected": report.rejected,
            "blank": report.blank, "filtered": report.filtered, "limited": report.limited,
        }),
    };
    let threads = run.drive.threads;
    let committed = written.staging.commit(
        written.parts,
        &output,
        &widen_with(&written.schemas, &schema),
        manifest,
        &|jobs| run_jobs(jobs, threads),
    )?;
    report.rewritten_parts = committed.rewritten;
    report.outputs = committed.outputs;
    report.target = Some(options.dir.clone());
    report.check_written()?;
    if let Some(rejects) = rejects {
        rejects.publish()?;
    }
    run.close(&mut report);
    Ok(report)
}

/// Refuses a layout that folders cannot have, and folders that do not exist.
fn check_folders(built: &Built, options: &WriteOptions) -> Result<()> {
    if matches!(
        built.layout,
        Layout::By(By::Count(_) | By::Bytes(_) | By::FileBytes(_))
    ) {
        return Err(Error::config(
            "partition-on",
            "files lie in folders by value; their number or size cannot be asked for as well, but --partition-rows can",
        ));
    }
    let all = built.schema.clone().with_folders(&[]).output()?;
    for name in &options.partition_on {
        if all.column_with_name(name).is_none() {
            return Err(crate::expr::unknown_column(name, &all));
        }
    }
    if all.fields().len() == options.partition_on.len() {
        return Err(Error::config(
            "partition-on",
            "no column would be left for the files",
        ));
    }
    Ok(())
}

fn manifest_options(physical: &Physical, options: &WriteOptions) -> serde_json::Value {
    serde_json::json!({
        "plan": crate::plan::physical_text(physical),
        "format": options.format.to_string(),
        "codec": options.codec.map(|codec| codec.to_string()),
        "partition_on": options.partition_on,
    })
}

/// Local places that the output must not touch.
fn input_places(source: &Source) -> Result<Vec<PathBuf>> {
    match source {
        Source::Json { inputs, .. } | Source::Columns { inputs, .. } => io::places(inputs),
        Source::Batches(_) => Ok(Vec::new()),
    }
}

/// Runs independent jobs on a few threads; the first error in their order wins.
fn run_jobs(jobs: Vec<crate::sink::Job<'_>>, threads: usize) -> Result<()> {
    let jobs: Vec<_> = jobs
        .into_iter()
        .map(|job| std::sync::Mutex::new(Some(job)))
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failed = std::sync::Mutex::new(None::<(usize, Error)>);
    let work = || {
        loop {
            let idx = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(job) = jobs.get(idx) else { return };
            let job = job
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
            if let Some(Err(error)) = job.map(|job| job()) {
                let mut failed = failed
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(first, _)| idx < *first) {
                    *failed = Some((idx, error));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(jobs.len()) {
            scope.spawn(work);
        }
        work();
    });
    match failed
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// Gathers the rows of a pipeline in memory.
///
/// # Errors
///
/// As [`write()`]; [`Error::Memory`] if they do not fit the budget.
pub fn collect(physical: &Physical, context: &Context) -> Result<Collected> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    // A limit wants little: read little at a time.
    let few = physical
        .ordered
        .iter()
        .any(|step| matches!(step, Step::Limit(rows) if *rows < 10_000));
    let chunk_bytes = if few { 64 << 10 } else { CHUNK_BYTES };
    let built = run.build(physical, chunk_bytes)?;
    let budget = run.drive.budget.clone();
    let (output, NoAppend, schema, mut report, rejects) =
        run.lay_out(built, |cut| Ok((Collect::new(cut, &budget), NoAppend)))?;
    let partitions = output
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
    if let Some(rejects) = rejects {
        rejects.publish()?;
    }
    run.close(&mut report);
    Ok(Collected {
        schema: schema.output()?,
        partitions,
        report,
    })
}

/// Counts the rows of a pipeline.
///
/// # Errors
///
/// As [`write()`].
pub fn count(physical: &Physical, context: &Context) -> Result<(u64, RunReport)> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let mut built = run.build(physical, CHUNK_BYTES)?;
    built.layout = Layout::Coalesce(u64::MAX);
    let (output, NoAppend, _, mut report, rejects) =
        run.lay_out(built, |_| Ok((Count::default(), NoAppend)))?;
    if let Some(rejects) = rejects {
        rejects.publish()?;
    }
    run.close(&mut report);
    Ok((output.rows, report))
}

/// Measures the partitions of a pipeline.
///
/// # Errors
///
/// As [`write()`].
pub fn sizes(physical: &Physical, context: &Context) -> Result<(Vec<PartitionSize>, RunReport)> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let built = run.build(physical, CHUNK_BYTES)?;
    let (output, NoAppend, _, mut report, _) =
        run.lay_out(built, |cut| Ok((Sizes::new(cut), NoAppend)))?;
    run.close(&mut report);
    Ok((output.sizes, report))
}

/// Shows every batch of a pipeline to `each`, in input order, and keeps none.
/// Gives the schema that the last one has, and the balance sheet.
///
/// # Errors
///
/// As [`write()`], and those of `each`.
pub fn visit(
    physical: &Physical,
    context: &Context,
    each: &mut Each<'_>,
) -> Result<(SchemaRef, RunReport)> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let mut built = run.build(physical, CHUNK_BYTES)?;
    built.layout = Layout::Coalesce(u64::MAX);
    let (_, NoAppend, schema, mut report, rejects) =
        run.lay_out(built, |_| Ok((Visit { each }, NoAppend)))?;
    if let Some(rejects) = rejects {
        rejects.publish()?;
    }
    run.close(&mut report);
    Ok((schema.output()?, report))
}
