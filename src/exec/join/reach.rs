//! Rows that no held row can meet, left out before they are read.
//!
//! In:  one side, held; the pipeline of the other one.
//! Out: the same pipeline with a filter more: keys between the least and the
//!      largest of the held side. A reader of Parquet passes over row groups for it.
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
use crate::plan::{Join, Physical, Side, Step};

/// The pipeline of one side of a join without rows that cannot meet one of the
/// held rows of the other.
///
/// # Errors
///
/// [`crate::Error::Plan`] if the pipeline cannot be bound.
pub(super) fn within_reach(
    streamed: &Arc<Physical>,
    (join, side): (&Join, Side),
    held_schema: &Schema,
    held: &[RecordBatch],
) -> Result<Arc<Physical>> {
    let drops = join.how.needs_partner(side) && !join.nulls_match;
    if !drops || !streamed.ordered.is_empty() || widens(&streamed.scan.source) {
        return Ok(Arc::clone(streamed));
    }
    if Steps::bind(streamed, false)?.read.may_fail() {
        return Ok(Arc::clone(streamed));
    }
    let schema = output(streamed)?;
    let terms = join.on.iter().filter_map(|(left, right)| {
        let (name, of_held) = match side {
            Side::Left => (left, right),
            Side::Right => (right, left),
        };
        let (_, field) = schema.column_with_name(name)?;
        let (idx, _) = held_schema.column_with_name(of_held)?;
        let columns: Vec<&ArrayRef> = held.iter().map(|batch| batch.column(idx)).collect();
        between(name, field.data_type(), &columns)
    });
    let Some(filter) = terms.reduce(Expr::and) else {
        return Ok(Arc::clone(streamed));
    };
    let mut streamed = (**streamed).clone();
    streamed.steps.push(Step::Filter(filter));
    Ok(Arc::new(streamed))
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
