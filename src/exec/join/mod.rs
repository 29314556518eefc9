//! Rows of two pipelines beside each other.
//!
//! In:  the pipelines of both frames, and a merge.
//! Out: units of joined rows, in the order of the probe side.
//!
//! ```text
//! build side ─▶ held until its size is known ─▶ table ──┐
//! probe side ─▶ units, as they are read ────────────────┴─▶ units of joined rows
//! ```
//!
//! The probe side streams: each of its units is read, looked up and joined by
//! whatever thread takes it. A build side that is too large to be held is cut by
//! key, and so is the probe side: see `grace.rs`. The rows and their order are the same.

mod broadcast;
mod bucket;
mod grace;
mod order;
mod reach;
mod side;

use std::sync::Arc;

use arrow_array::RecordBatch;

use self::broadcast::joined_units;
use self::grace::{BuildRows, grace};
use self::reach::within_reach;
use self::side::ProbeSide;
use super::build::Given;
use super::run::{Context, Run, hold_all};
use super::sheet::{Front, Stage};
use crate::error::{Error, Result};
use crate::ops::join::JoinTable;
use crate::plan::{Join, Physical, Side};
use crate::size::ByteSize;

/// What joined rows are called where an error has to tell the place of one.
const PATH: &str = "merge";

/// The share of the memory that the held side of a merge may take by default:
/// beside its rows stand their index, and rows that are being put together.
const HELD_SHARE: u64 = 4;

/// The build side, by what fits.
enum Build {
    Whole(Vec<RecordBatch>),
    Cut(BuildRows),
}

/// Reads the build side, and opens the probe side.
///
/// # Errors
///
/// The first error of the build side; [`Error::Plan`] if text turned out to have
/// keys that cannot be compared.
pub(super) fn join_rows(
    join: &Join,
    left: &Arc<Physical>,
    right: &Arc<Physical>,
    context: &Context,
) -> Result<Given> {
    let (probe, build) = match join.how.probe().0 {
        Side::Left => (left, right),
        Side::Right => (right, left),
    };
    let held = hold_all(build, context)?;
    let limit = join
        .hold
        .unwrap_or(ByteSize::new(context.settings.memory.bytes() / HELD_SHARE));
    let run = Run::new(context)?;
    if join.next_to.is_some() && held.bytes > limit.bytes() {
        return Err(Error::Memory {
            operator: "merge_asof",
            wanted: ByteSize::new(held.bytes),
            limit,
            cure: "raise --memory: the right frame is held whole".to_owned(),
        });
    }
    let build = match held.bytes <= limit.bytes() {
        true => Build::Whole(held.batches.collect::<Result<_>>()?),
        false => Build::Cut(BuildRows {
            bytes: held.bytes,
            batches: held.batches,
        }),
    };
    let probe = match &build {
        Build::Whole(rows) => within_reach(probe, join, &held.schema, rows)?,
        Build::Cut(_) => Arc::clone(probe),
    };
    let probe = ProbeSide::open(&probe, context)?;
    let build_front = Front::over(held.sheet);
    let (fronts, left, right) = match join.how.probe().0 {
        Side::Left => (vec![probe.front, build_front], &probe.schema, &held.schema),
        Side::Right => (vec![build_front, probe.front], &held.schema, &probe.schema),
    };
    let spec = join.with_late(left, right)?.spec(left, right)?;
    let schema = Arc::clone(&spec.schema);
    let units = match build {
        Build::Cut(rows) => grace(spec, probe.units, &probe.schema, rows, limit.bytes(), &run)?,
        Build::Whole(rows) => {
            let reservation = run.drive.budget.open();
            let table = JoinTable::build(Arc::new(spec), rows, run.drive.threads, reservation)?;
            joined_units(probe.units, &Arc::new(table))
        }
    };
    Ok(Given {
        units,
        schema,
        held_bytes: probe.held_bytes,
        counted: None,
        stage: Some(Stage {
            name: PATH.to_owned(),
            keeps_rows: false,
            fronts,
        }),
    })
}
