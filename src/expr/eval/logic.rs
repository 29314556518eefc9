//! What is true, false or unknown.
//!
//! In:  values of rows, or the terms that have them.
//! Out: booleans; a term that can fail is asked only of the rows that reach it.

use std::sync::Arc;

use arrow_arith::boolean::{and_kleene, not, or_kleene};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};

use super::{Node, Rows};
use crate::error::Result;
use crate::expr::compare::{Mode, equal};
use crate::expr::convert::Value;
use crate::expr::members::Members;

/// `and` and `or` over any number of terms: `decides` is the value of a term
/// that settles a row.
pub(super) fn chain(terms: &[Node], rows: &Rows<'_>, decides: bool) -> Result<Value> {
    let count = rows.len();
    let mut result: Option<BooleanArray> = None;
    for term in terms {
        let so_far = match result {
            None => {
                result = Some(term.eval(rows)?.bools_of(count)?);
                continue;
            }
            Some(so_far) => so_far,
        };
        let settled = so_far.null_count() == 0
            && if decides {
                !so_far.has_false()
            } else {
                !so_far.has_true()
            };
        if settled {
            return Ok(Value::rows(Arc::new(so_far)));
        }
        let next = if term.fails {
            let open: Vec<u32> = (0..count)
                .filter(|row| so_far.is_null(*row) || so_far.value(*row) != decides)
                .map(|row| row as u32)
                .collect();
            let found = rows.only(&open, term)?.bools_of(open.len())?;
            spread(&found, &open, count, decides)
        } else {
            term.eval(rows)?.bools_of(count)?
        };
        result = Some(if decides {
            or_kleene(&so_far, &next)?
        } else {
            and_kleene(&so_far, &next)?
        });
    }
    let empty = || BooleanArray::from(vec![!decides; count]);
    Ok(Value::rows(Arc::new(result.unwrap_or_else(empty))))
}

/// Conditions of some rows among all; the others are settled already.
fn spread(found: &BooleanArray, open: &[u32], count: usize, settled: bool) -> BooleanArray {
    let mut all = vec![Some(settled); count];
    for (value, row) in found.iter().zip(open) {
        all[*row as usize] = value;
    }
    all.into_iter().collect()
}

/// `in`, as `or` over `=` says it.
pub(super) fn is_in(
    inner: &Node,
    members: &Members,
    items: &[(Mode, Node)],
    negated: bool,
    rows: &Rows<'_>,
) -> Result<Value> {
    let inner = inner.eval(rows)?;
    let mut found = Value {
        array: Arc::new(members.contain(&inner)?),
        constant: inner.constant,
        json: false,
    };
    for (mode, item) in items {
        let item = item.eval(rows)?;
        let equal = equal(mode, &inner, &item, rows.len())?;
        let so_far = found.bools_of(rows.len())?;
        found = Value::rows(Arc::new(or_kleene(&so_far, &equal)?));
    }
    if negated {
        found.array = Arc::new(not(&found.bools()?)?);
    }
    Ok(found)
}

pub(super) fn is_null(value: &Value, negated: bool) -> Result<ArrayRef> {
    let nulls = if value.json {
        value.texts()?.logical_nulls()
    } else {
        value.array.logical_nulls()
    };
    let rows = value.array.len();
    let valid = nulls.map_or_else(
        || BooleanBuffer::new_set(rows),
        |nulls: NullBuffer| nulls.into_inner(),
    );
    let bits = if negated { valid } else { !&valid };
    Ok(Arc::new(BooleanArray::new(bits, None)))
}

pub(super) fn is_bool(value: &Value, wanted: bool, negated: bool) -> Result<ArrayRef> {
    let bools = value.bools()?;
    let hit =
        (0..bools.len()).map(|row| (bools.is_valid(row) && bools.value(row) == wanted) != negated);
    let bits: BooleanBuffer = hit.collect();
    Ok(Arc::new(BooleanArray::new(bits, None)))
}
