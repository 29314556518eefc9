//! Rows that several stages of one run read, computed once.
//!
//! In:  a pipeline, and its number in the plan.
//! Out: its rows, in order, for each who asks; kept until the last has asked and read.
//!
//! The first who asks runs the pipeline, others wait for it. Rows are held under
//! the budget of the run, half of it at most, and past that on disk. The files
//! that were read stand in the sheet of the first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::SchemaRef;

use super::build::{Given, build};
use super::context::Context;
use super::control::Phase;
use super::output::{NoAppend, Share, SharedRows};
use super::report::StageReport;
use super::run::{CHUNK_BYTES, Run};
use super::sheet::{Front, Stage};
use super::source::{Unit, Units, batches_reader};
use crate::error::{Error, Result};
use crate::plan::Shared;

/// Parts of a run that were computed and are not read by all yet.
#[derive(Default)]
pub(crate) struct SharedParts(Mutex<BTreeMap<usize, Arc<Mutex<Part>>>>);

impl fmt::Debug for SharedParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(lock(&self.0).keys()).finish()
    }
}

#[derive(Default)]
struct Part {
    /// How many have asked.
    asked: usize,
    /// Once it was computed.
    rows: Option<Result<Arc<PartRows>>>,
}

/// What was computed, and the schema of every row.
struct PartRows {
    rows: Arc<SharedRows>,
    schema: SchemaRef,
}

/// The rows of a shared part, for one of those who read it.
///
/// # Errors
///
/// As [`super::collect`], the same for all who ask; [`Error::Io`] if rows must be
/// spilled and cannot.
pub(super) fn shared_rows(shared: &Shared, context: &Context) -> Result<Given> {
    let run = Run::new(context)?;
    let parts = Arc::clone(&run.parts);
    let part = {
        let mut parts = lock(&parts.0);
        Arc::clone(parts.entry(shared.number).or_default())
    };
    let mut part = lock(&part);
    let mut front = Front::default();
    let rows = match &part.rows {
        Some(rows) => rows.clone(),
        None => {
            let computed = compute(shared, &run).map(|(rows, sheet)| {
                front = sheet;
                Arc::new(rows)
            });
            part.rows = Some(computed.clone());
            computed
        }
    };
    part.asked += 1;
    if part.asked >= shared.readers {
        // Whoever reads them still holds them.
        lock(&parts.0).remove(&shared.number);
    }
    let rows = rows?;
    Ok(Given {
        counted: Some(rows.rows.counted()),
        schema: Arc::clone(&rows.schema),
        held_bytes: 0,
        stage: Some(Stage {
            report: StageReport::of(name(shared)),
            // Those who come later read what is in no file.
            keeps_rows: false,
            fronts: vec![front],
            late: None,
        }),
        units: units(Arc::clone(&rows.rows), name(shared).into()),
    })
}

fn name(shared: &Shared) -> String {
    format!("shared rows {}", shared.number)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn compute(shared: &Shared, run: &Run) -> Result<(PartRows, Front)> {
    let physical = shared
        .pipeline()
        .ok_or_else(|| Error::internal("a shared part was not lowered"))?;
    run.context.progress.set_phase(Phase::Reading);
    let built = build(physical, &run.context, CHUNK_BYTES)?;
    let (budget, spill_dir) = (&run.drive.budget, &run.drive.spill_dir);
    let done = run.lay_out(built, |cut| {
        Ok((Share::new(cut, budget, Arc::clone(spill_dir)), NoAppend))
    })?;
    let rows = PartRows {
        schema: done.schema.output()?,
        rows: Arc::new(done.output.shared(done.schema)),
    };
    Ok((rows, Front::over(done.sheet)))
}

/// A unit for each partition.
fn units(rows: Arc<SharedRows>, path: Arc<str>) -> Units {
    let n_partitions = rows.n_partitions();
    Box::new((0..n_partitions).map(move |idx| {
        let rows = Arc::clone(&rows);
        Ok(Unit {
            path: Arc::clone(&path),
            file: 0,
            ends_file: idx + 1 == n_partitions,
            after_all: false,
            open: Box::new(move || Ok(batches_reader(Box::new(rows.read(idx))))),
        })
    }))
}
