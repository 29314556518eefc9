//! Probe rows that no build row can meet, left out before they are read.
//!
//! In:  the build side, held; the pipeline of the probe side.
//! Out: the same pipeline with a filter more: keys between the least and the
//!      largest of the build side. A reader of Parquet passes over row groups for it.
//!
//! Only where such rows would not come out, and where no step of the pipeline
//! may fail on one of them.

use std::sync::Arc;

use arrow_arith::aggregate::{max, max_string, min, min_string};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema};

use super::side::output;
use crate::error::Result;
use crate::exec::bind::Steps;
use crate::exec::parts::widens;
use crate::expr::{Expr, col, lit};
use crate::ops::join::JoinKind;
use crate::plan::{Join, Physical, Side, Step};

/// The probe side without rows that cannot meet one of `build`.
///
/// # Errors
///
/// [`crate::Error::Plan`] if the pipeline cannot be bound.
pub(super) fn within_reach(
    probe: &Arc<Physical>,
    join: &Join,
    build_schema: &Schema,
    build: &[RecordBatch],
) -> Result<Arc<Physical>> {
    let (side, kind) = join.how.probe();
    let drops = matches!(kind, JoinKind::Inner | JoinKind::Semi) && !join.nulls_match;
    if !drops || !probe.ordered.is_empty() || widens(&probe.scan.source) {
        return Ok(Arc::clone(probe));
    }
    if Steps::bind(probe, false)?.read.may_fail() {
        return Ok(Arc::clone(probe));
    }
    let probe_schema = output(probe)?;
    let terms = join.on.iter().filter_map(|(left, right)| {
        let (of_probe, of_build) = match side {
            Side::Left => (left, right),
            Side::Right => (right, left),
        };
        let (_, field) = probe_schema.column_with_name(of_probe)?;
        let (idx, _) = build_schema.column_with_name(of_build)?;
        let columns: Vec<&ArrayRef> = build.iter().map(|batch| batch.column(idx)).collect();
        between(of_probe, field.data_type(), &columns)
    });
    let Some(filter) = terms.reduce(Expr::and) else {
        return Ok(Arc::clone(probe));
    };
    let mut probe = (**probe).clone();
    probe.steps.push(Step::Filter(filter));
    Ok(Arc::new(probe))
}

/// The condition that a column lies between the least and the largest of some
/// values; none for types of which that says little.
fn between(name: &str, data_type: &DataType, values: &[&ArrayRef]) -> Option<Expr> {
    let whole = |of: &DataType| of.is_integer() && *of != DataType::UInt64;
    let all = |fits: &dyn Fn(&DataType) -> bool| {
        fits(data_type) && values.iter().all(|values| fits(values.data_type()))
    };
    let between = |low: Option<Expr>, high: Option<Expr>| match (low, high) {
        (Some(low), Some(high)) => col(name).ge(low).and(col(name).le(high)),
        // There is no value that one could be equal to.
        _ => lit(false),
    };
    if all(&whole) {
        let longs = values.iter().map(|values| cast(values, &DataType::Int64));
        let longs = longs.collect::<std::result::Result<Vec<_>, _>>().ok()?;
        let longs = || {
            longs
                .iter()
                .map(|values| values.as_primitive::<Int64Type>())
        };
        let low = longs().filter_map(min).min();
        let high = longs().filter_map(max).max();
        return Some(between(low.map(lit), high.map(lit)));
    }
    if all(&|of| *of == DataType::Utf8) {
        let texts = || values.iter().map(|values| values.as_string::<i32>());
        let low = texts().filter_map(min_string).min();
        let high = texts().filter_map(max_string).max();
        return Some(between(low.map(lit), high.map(lit)));
    }
    None
}
