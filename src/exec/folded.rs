//! A stage that folds all rows in front of it.
//!
//! In:  a pipeline, and what its rows are folded into.
//! Out: the folded rows, to be read by the pipeline behind it: a few in one
//!      unit, or many groups in ranges of their order.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use super::build::{Given, build};
use super::context::Context;
use super::control::Phase;
use super::each::each;
use super::fold::{FoldPlan, Folding, Held};
use super::group::Merge;
use super::output::{Answer, Folded, NoAppend};
use super::report::{StageReport, TasksReport};
use super::run::{CHUNK_BYTES, Run};
use super::scheduler::Drive;
use super::sheet::{Front, Stage};
use super::source::memory_unit;
use crate::error::{Error, Result};
use crate::memory::held_bytes;
use crate::plan::{Fold, Layout, Physical};
use crate::shuffle::Bucket;

/// Folds all rows of a pipeline.
///
/// # Errors
///
/// As [`super::collect`].
pub(super) fn fold_all(fold: &Fold, physical: &Physical, context: &Context) -> Result<Given> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let mut built = build(physical, &run.context, CHUNK_BYTES)?;
    built.layout = Layout::Coalesce(u64::MAX);
    let plan = FoldPlan {
        fold: fold.clone(),
        schema: built.schema.output()?,
    };
    let (budget, spill_dir) = (&run.drive.budget, &run.drive.spill_dir);
    let folding = Arc::new(Folding::new(plan.clone(), budget, spill_dir)?);
    // Rows that an ordered step has yet to see cannot be folded before it.
    if built.ordered.is_empty() {
        built.workers.fold = Some(Arc::clone(&folding));
    }
    let folded = Folded::new(Arc::clone(&folding))?;
    let done = run.lay_out(built, |_| Ok((folded, NoAppend)))?;
    let schema = done.schema.output()?;
    let mut stage = Stage {
        report: StageReport {
            shuffles: u64::from(matches!(done.output.answer, Answer::Tables(..))),
            ..StageReport::of(fold.name())
        },
        keeps_rows: false,
        fronts: vec![Front::over(done.sheet)],
    };
    let rows = match done.output.answer {
        Answer::Rows(rows) => rows,
        Answer::Tables(tables, key_types) => {
            let buckets = part(&folding, tables, &key_types, &run.drive)?;
            tell(&buckets, &mut stage.report);
            let merge = Merge::new(plan, schema, &run.drive);
            let groups = merge.all(buckets, run.drive.threads, &run.drive.cancel)?;
            return groups.given(stage);
        }
    };
    let schema = match rows.first() {
        Some(batch) => batch.schema(),
        None => fold.schema(&schema)?,
    };
    // Small ones, so that what is done to them is shared out.
    let batches: Vec<_> = rows.iter().flat_map(pieces).collect();
    Ok(Given {
        units: memory_unit(&batches),
        schema,
        held_bytes: rows.iter().map(held_bytes).sum(),
        counted: None,
        stage: Some(stage),
    })
}

/// Puts tables into the store, each on a thread, and gives its buckets.
fn part(
    folding: &Folding,
    tables: Vec<Held>,
    key_types: &[DataType],
    drive: &Drive,
) -> Result<Vec<Bucket>> {
    let Some(store) = &folding.store else {
        return Err(Error::internal("tables came that have no store"));
    };
    let tables: Vec<_> = tables.into_iter().map(Mutex::new).collect();
    let leave = |idx: usize| {
        let mut table = tables[idx].lock().unwrap_or_else(PoisonError::into_inner);
        table.leave_for(store)
    };
    each(
        drive.threads,
        &drive.cancel,
        "parting groups",
        tables.len(),
        leave,
    )?;
    store.finish(key_types)
}

/// Says how groups that no table held are shared out. Rows of one key were
/// folded where they were read, so a key with many rows makes no task large.
fn tell(buckets: &[Bucket], report: &mut StageReport) {
    let filled = || buckets.iter().filter(|bucket| bucket.rows() > 0);
    report.way = Some(format!(
        "in {} buckets, {} of them on disk",
        filled().count(),
        filled().filter(|bucket| bucket.is_spilled()).count()
    ));
    report.tasks = Some(TasksReport {
        tasks: filled().count() as u64,
        rows: filled().map(Bucket::rows).sum(),
        largest_rows: filled().map(Bucket::rows).max().unwrap_or(0),
    });
}

/// Rows in a piece of what was folded.
const PIECE_ROWS: usize = 8192;

fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(PIECE_ROWS);
    starts.map(|start| batch.slice(start, PIECE_ROWS.min(batch.num_rows() - start)))
}
