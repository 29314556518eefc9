//! Texts put together, and compared with patterns.
//!
//! In:  values of two operands.
//! Out: one value a row; two constants give one row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, StringArray};
use arrow_string::like;

use super::Pattern;
use crate::error::Result;
use crate::expr::compare::with_texts;
use crate::expr::convert::Value;
use crate::expr::like::Parts;

/// `||`. Two constants give one row.
pub(super) fn concat(left: &Value, right: &Value, rows: usize) -> Result<ArrayRef> {
    let (a, b) = (left.texts()?, right.texts()?);
    let rows = if left.constant && right.constant {
        1
    } else {
        rows
    };
    let mut text = String::new();
    let joined = (0..rows).map(|row| {
        let left = if left.constant { 0 } else { row };
        let right = if right.constant { 0 } else { row };
        (a.is_valid(left) && b.is_valid(right)).then(|| {
            text.clear();
            text.push_str(a.value(left));
            text.push_str(b.value(right));
            text.clone()
        })
    });
    Ok(Arc::new(joined.collect::<StringArray>()))
}

/// `like` and its kin. Two constants give one row.
pub(super) fn matches(
    text: &Value,
    pattern: &Value,
    which: Pattern,
    rows: usize,
) -> Result<ArrayRef> {
    let mut texts = text.texts()?;
    if text.constant && !pattern.constant {
        let all = Value::constant(Arc::new(texts)).into_array(rows)?;
        texts = all.as_string::<i32>().clone();
    }
    let one = pattern.texts()?;
    if pattern.constant
        && one.is_valid(0)
        && !which.case_insensitive
        && let Some(parts) = Parts::of(one.value(0))
    {
        let found = parts.find(&texts);
        let found = if which.negated { !&found } else { found };
        return Ok(Arc::new(BooleanArray::new(found, texts.nulls().cloned())));
    }
    let kernel = match (which.case_insensitive, which.negated) {
        (false, false) => like::like,
        (false, true) => like::nlike,
        (true, false) => like::ilike,
        (true, true) => like::nilike,
    };
    let found = with_texts(one, pattern.constant, |pattern| kernel(&texts, pattern))?;
    Ok(Arc::new(found))
}
