//! A join in the order of a small side, past which a large one streams.
//!
//! In:  the held rows of the side whose order counts; the other side, as units.
//! Out: units of joined rows, in the same order as if the large side had been held.
//!
//! ```text
//! small side ─ numbered ─▶ table ──┐
//! large side ─▶ units, as they come ┴─▶ joined rows ─ by number ─▶ buckets ─ sort ─▶ units
//! ```
//!
//! A stable sort by number leaves the partners of one row in the order of the
//! large side. Where only rows of the small side come out, they are those of the
//! table that were met, or were not, and need no sort.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::SchemaRef;

use super::broadcast::joined_units;
use crate::error::Result;
use crate::exec::order::{ByPlace, UNMET, ordered_units, with_place};
use crate::exec::run::Run;
use crate::exec::scatter::scatter_units;
use crate::exec::source::{Units, map_batches};
use crate::memory::Reservation;
use crate::ops::join::{JoinKind, JoinSpec, JoinTable, Taken};

/// Buckets of places at most; one may have more rows than fit, and is sorted in parts.
const BUCKETS: u64 = 64;

/// Rows of the small side for each bucket, if they are few: batches are not cut to
/// pieces that cost more than their rows.
const BUCKET_ROWS: u64 = 1 << 14;

/// The joined rows of a small side, whose order they have, and a large one that streams.
///
/// # Errors
///
/// The first error of the large side; [`crate::Error::Io`] if rows must be spilled and cannot.
pub(super) fn flipped(
    spec: JoinSpec,
    (small, reservation): (Vec<RecordBatch>, Reservation),
    small_schema: &SchemaRef,
    large: Units,
    at_once: u64,
    run: &Run,
) -> Result<Units> {
    let schema = Arc::clone(&spec.schema);
    let spec = spec.flipped(small_schema);
    let table = |spec, rows| JoinTable::build(Arc::new(spec), rows, run.drive.threads, reservation);
    if spec.kind.is_of_build() {
        return Ok(joined_units(large, &Arc::new(table(spec, small)?)));
    }
    let n_small: u64 = small.iter().map(|batch| batch.num_rows() as u64).sum();
    let placed_schema = with_place(small_schema, false);
    let mut output = spec.output;
    output.push(Taken::Build(small_schema.fields().len()));
    let keeps_large = matches!(spec.kind, JoinKind::KeepBoth | JoinKind::KeepProbe);
    let spec = JoinSpec {
        output,
        schema: with_place(&schema, keeps_large),
        build_schema: Arc::clone(&placed_schema),
        ..spec
    };
    let joined_schema = Arc::clone(&spec.schema);
    let table = Arc::new(table(spec, placed(small, &placed_schema)?)?);
    let joined = match keeps_large {
        true => map_batches(joined_units(large, &table), behind_all),
        false => joined_units(large, &table),
    };
    let route = Arc::new(ByPlace {
        column: schema.fields().len(),
        n_probe: n_small,
        n_build: 1,
        n_buckets: n_small.div_ceil(BUCKET_ROWS).clamp(1, BUCKETS) as usize,
    });
    let rows = scatter_units(run, joined, &joined_schema, route, None)?;
    Ok(ordered_units(rows, at_once, &schema))
}

/// Rows with their number in a last column.
fn placed(rows: Vec<RecordBatch>, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut next = 0;
    let numbered = rows.into_iter().map(|batch| {
        let end = next + batch.num_rows() as u64;
        let places: ArrayRef = Arc::new(UInt64Array::from_iter_values(next..end));
        next = end;
        let columns = batch.columns().iter().cloned().chain([places]).collect();
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    });
    numbered.collect()
}

/// Rows of the large side that met nobody have no place: they come behind all
/// others, in the order in which they are.
fn behind_all(batch: RecordBatch) -> Result<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    if let Some(last) = columns.last_mut() {
        let places = last.as_primitive::<UInt64Type>().iter();
        let places = places.map(|place| place.unwrap_or(UNMET));
        *last = Arc::new(UInt64Array::from_iter_values(places));
    }
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
