//! One partition of a pipeline.
//!
//! In:  a pipeline, and the place of a partition.
//! Out: its rows, held in memory; what lies behind it is not read.

use super::build::{Given, build};
use super::context::Context;
use super::control::Phase;
use super::output::{NoAppend, Pick};
use super::report::StageReport;
use super::run::{CHUNK_BYTES, LaidOut, Run};
use super::sheet::{Front, Stage};
use super::source::memory_unit;
use crate::error::{Error, Result};
use crate::memory::held_bytes;
use crate::plan::{Physical, Source};

/// Takes one partition of a pipeline; what lies behind it is not read.
///
/// # Errors
///
/// As [`super::collect`]; [`Error::Plan`] if there are not so many partitions.
pub(super) fn pick(idx: usize, physical: &Physical, context: &Context) -> Result<Given> {
    match &physical.scan.source {
        // What a function makes is counted, empty partitions too.
        Source::Made { n_partitions, .. } if *n_partitions <= idx => {
            return Err(missing(idx, *n_partitions));
        }
        _ => {}
    }
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let built = build(physical, &run.context, CHUNK_BYTES)?;
    let budget = run.drive.budget.clone();
    let LaidOut {
        output,
        schema,
        mut sheet,
        ..
    } = run.lay_out(built, |cut| Ok((Pick::new(idx, cut, &budget), NoAppend)))?;
    if output.seen <= idx {
        return Err(missing(idx, output.seen));
    }
    let rows = output.partition.batches.iter();
    let rows = rows.map(|(batch, from)| schema.finish(batch, from));
    let batches = rows.collect::<Result<Vec<_>>>()?;
    let n_rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    sheet.report.limit_to(n_rows);
    Ok(Given {
        units: memory_unit(&batches),
        schema: schema.output()?,
        counted: None,
        held_bytes: batches.iter().map(held_bytes).sum(),
        stage: Some(Stage {
            report: StageReport::of(format!("partition {idx}")),
            keeps_rows: true,
            fronts: vec![Front::over(sheet)],
            late: None,
        }),
    })
}

fn missing(idx: usize, n_partitions: usize) -> Error {
    Error::plan(format!(
        "there is no partition {idx}: there are {n_partitions}, counted from 0"
    ))
}
