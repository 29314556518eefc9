//! A stage that folds all rows in front of it.
//!
//! In:  a pipeline, and what its rows are folded into.
//! Out: the folded rows, to be read by the pipeline behind it: a few in one
//!      unit, or many groups in ranges of their order.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::DataType;

use super::build::{Built, Given};
use super::context::Context;
use super::control::Phase;
use super::each::{each, each_of};
use super::fold::{FoldPlan, Folding, Held};
use super::folder::Folder;
use super::group::{Made, Merge, N_BUCKETS, in_place, places};
use super::output::{Answer, Folded, NoAppend};
use super::report::{HotKeyReport, StageReport, TasksReport};
use super::run::Run;
use super::scheduler::Drive;
use super::schema::RunSchema;
use super::sheet::{Front, Stage};
use super::source::memory_unit;
use super::together::{Together, build_together, reads_again};
use crate::error::{Error, Result};
use crate::memory::held_bytes;
use crate::ops::Frequent;
use crate::plan::{Fold, Layout, Physical, Way, Ways};
use crate::shuffle::Bucket;

/// Folds all rows of a pipeline.
///
/// # Errors
///
/// As [`super::collect`].
pub(super) fn fold_all(
    fold: &Fold,
    physical: &Physical,
    ways: Ways,
    context: &Context,
) -> Result<Given> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let (built, together) = build_together(fold, physical, &run.context)?;
    // Rows that are not in their order: one that a step fails on may not be the first.
    let again = together.as_ref().is_some_and(|of| of.place.is_some()) && reads_again(physical);
    match fold_built(fold, (built, together), ways, &run) {
        Err(Error::Evaluate { .. }) if again => {
            let in_order = Physical {
                ways: physical.ways.leaving_off(Way::GroupsTogether),
                ..physical.clone()
            };
            fold_all(fold, &in_order, ways, context)
        }
        done => done,
    }
}

/// Folds the rows of a pipeline that was built.
fn fold_built(
    fold: &Fold,
    (mut built, together): (Built, Option<Together>),
    ways: Ways,
    run: &Run,
) -> Result<Given> {
    built.layout = Layout::Coalesce(u64::MAX);
    let plan = FoldPlan {
        operator: fold.name(),
        fold: fold.clone(),
        schema: built.schema.output()?,
        place: together.as_ref().and_then(|of| of.place.clone()),
    };
    let (budget, spill_dir) = (&run.drive.budget, &run.drive.spill_dir);
    let early = ways.takes(Way::PartialAggregation);
    let folding = Folding::new(plan.clone(), early, together, budget, spill_dir)?;
    let folding = Arc::new(folding);
    // Rows that an ordered step has yet to see cannot be folded before it.
    if built.ordered.is_empty() && folding.has_workers() {
        built.workers.fold = Some(Arc::clone(&folding));
    }
    let folded = Folded::new(Arc::clone(&folding))?;
    let done = run.lay_out(built, |_| Ok((folded, NoAppend)))?;
    let schema = done.schema.output()?;
    let mut stage = Stage {
        report: StageReport {
            shuffles: match done.output.answer {
                Answer::Tables(..) if !folding.is_together() => 1,
                _ => 0,
            },
            hot_keys: hot_keys(fold, &done.output),
            ..StageReport::of(fold.name())
        },
        keeps_rows: false,
        fronts: vec![Front::over(done.sheet)],
        late: None,
    };
    let rows = match done.output.answer {
        Answer::Rows(rows) => rows,
        Answer::Tables(tables, key_types) => {
            if let ([types], true) = (&key_types[..], folding.passes()) {
                let merge = Merge::new(plan, schema, &run.drive);
                return group(&folding, tables, types, &merge, stage);
            }
            let parted = part(&folding, tables, &key_types, &run.drive)?;
            tell(parted.buckets.iter().flatten(), &mut stage.report);
            if let (true, Some(way)) = (folding.is_together(), &mut stage.report.way) {
                way.push_str(", as rows lay before");
            }
            if let Fold::Groups { .. } = fold {
                let buckets: Vec<Bucket> = parted.buckets.into_iter().flatten().collect();
                let groups = Merge::new(plan, schema, &run.drive).all(&buckets)?;
                return groups.given(stage);
            }
            vec![describe(&plan, parted, &done.schema, &run.drive)?]
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

/// Keys that many of the rows had that were grouped, where there are more groups
/// than buckets: of a few groups each has many rows.
fn hot_keys(fold: &Fold, folded: &Folded) -> Vec<HotKeyReport> {
    let many = match &folded.answer {
        Answer::Rows(rows) => rows.iter().map(RecordBatch::num_rows).sum::<usize>() > N_BUCKETS,
        Answer::Tables(..) => true,
    };
    match fold {
        Fold::Groups { keys, .. } if many => folded.hot.report(keys),
        _ => Vec::new(),
    }
}

/// Groups what is in tables, beside them and in the store: where it lies, if
/// nothing of it is in the store and memory allows it.
fn group(
    folding: &Folding,
    tables: Vec<Held>,
    key_types: &[DataType],
    merge: &Merge,
    mut stage: Stage,
) -> Result<Given> {
    let (threads, cancel) = (merge.threads, &merge.cancel);
    let asides = each_of(threads, cancel, "emptying tables", tables, Held::into_aside)?;
    if !folding.has_left()
        && let Some(groups) = in_place(merge, &asides, key_types)?
    {
        drop(asides);
        tell_tasks(&groups.tasks, 0, &mut stage.report);
        return Ok(groups.given(stage));
    }
    let [store] = &folding.stores[..] else {
        return Err(Error::internal("rows pass by tables that have no store"));
    };
    each_of(threads, cancel, "parting groups", asides, |mut aside| {
        aside.leave_for(store, &mut merge.groups()?)
    })?;
    let buckets = store.finish(key_types)?;
    tell(buckets.iter(), &mut stage.report);
    merge.all(&buckets)?.given(stage)
}

/// Tables that left for their stores.
struct Parted {
    /// Whose tables are empty by now.
    held: Vec<Held>,
    /// Those of each store.
    buckets: Vec<Vec<Bucket>>,
}

/// Puts tables into their stores, each on a thread, and gives the buckets of these.
fn part(
    folding: &Folding,
    tables: Vec<Held>,
    key_types: &[Vec<DataType>],
    drive: &Drive,
) -> Result<Parted> {
    let tables: Vec<_> = tables.into_iter().map(Mutex::new).collect();
    let leave = |idx: usize| {
        let mut table = tables[idx].lock().unwrap_or_else(PoisonError::into_inner);
        table.leave_for(&folding.stores)
    };
    each(
        drive.threads,
        &drive.cancel,
        "parting groups",
        tables.len(),
        leave,
    )?;
    let stores = folding.stores.iter().zip(key_types);
    let buckets = stores.map(|(store, types)| store.finish(types));
    let held = tables.into_iter();
    Ok(Parted {
        buckets: buckets.collect::<Result<_>>()?,
        held: held
            .map(|table| table.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect(),
    })
}

/// Describes rows whose texts were counted in more groups than tables hold.
fn describe(
    plan: &FoldPlan,
    parted: Parted,
    schema: &RunSchema,
    drive: &Drive,
) -> Result<RecordBatch> {
    let mut all = Folder::bind(plan)?;
    for held in parted.held {
        all.take_in(held.folder)?;
    }
    let mut frequent = Vec::new();
    for (column, buckets) in all.texts().into_iter().zip(parted.buckets) {
        let counted = FoldPlan {
            operator: plan.operator,
            fold: Fold::counts(vec![column]),
            schema: Arc::clone(&plan.schema),
            place: None,
        };
        let merge = Merge::new(counted, schema.output()?, drive);
        let of_rows = |rows: RecordBatch| {
            let counted = rows.project(&[0, 1])?;
            Frequent::of(&counted, places(&rows))
        };
        let of_parts = |parts: Vec<Frequent>| Ok(Frequent::of_all(parts));
        let parts = merge.each(
            &buckets,
            &Made {
                of_rows: &of_rows,
                of_parts: &of_parts,
            },
        )?;
        frequent.push(Frequent::of_all(parts));
    }
    all.describe(frequent, schema)
}

/// Says how groups that no table held are shared out. Rows of one key were
/// folded where they were read, so a key with many rows makes no task large.
fn tell<'a>(buckets: impl Iterator<Item = &'a Bucket> + Clone, report: &mut StageReport) {
    let rows: Vec<u64> = buckets.clone().map(Bucket::rows).collect();
    let spilled = buckets.filter(|bucket| bucket.is_spilled()).count();
    tell_tasks(&rows, spilled, report);
}

/// The same of tasks, by the rows of each: it has a bucket, or a part of one where
/// a key has many rows.
fn tell_tasks(rows: &[u64], spilled: usize, report: &mut StageReport) {
    let filled = || rows.iter().filter(|rows| **rows > 0);
    report.way = Some(format!(
        "in {} buckets, {spilled} of them on disk",
        filled().count(),
    ));
    report.tasks = Some(TasksReport {
        tasks: filled().count() as u64,
        rows: filled().sum(),
        largest_rows: filled().max().copied().unwrap_or(0),
    });
}

/// Rows in a piece of what was folded.
const PIECE_ROWS: usize = 8192;

fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(PIECE_ROWS);
    starts.map(|start| batch.slice(start, PIECE_ROWS.min(batch.num_rows() - start)))
}
