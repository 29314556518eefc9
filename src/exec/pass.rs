//! Runs that write no part files.
//!
//! In:  a physical plan, and what the run may use.
//! Out: batches, sizes, bounds or a count, with the balance sheet; or all rows, kept.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::build::build;
use super::context::Context;
use super::control::Phase;
use super::output::{
    Bounds, Collect, Count, Each, EachPart, Keep, Last, NoAppend, Output, Parts, Sizes, Visit,
};
use super::report::RunReport;
use super::run::{CHUNK_BYTES, LaidOut, Run};
use super::schema::RunSchema;
use super::sheet::{Front, Sheet};
use crate::error::Result;
use crate::memory::{Budget, SpillDir};
use crate::partition::{Cut, PartitionSize};
use crate::plan::{Layout, Physical, Step};

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
/// As [`super::write`]; [`Error::Memory`](crate::Error::Memory) if they do not fit the budget.
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
