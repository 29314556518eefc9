//! Whether any or all conditions in a window are true.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::fold::{Kernel, WindowRows};
use super::sums::of;
use crate::error::Result;

/// Any, or all.
#[derive(Clone)]
pub(super) struct Conditions {
    pub any: bool,
}

/// How many conditions are false, and how many true.
#[derive(Default)]
pub(super) struct Truths([u64; 2]);

impl Kernel for Conditions {
    type Value = bool;
    type State = Truths;
    type Out = bool;

    fn values(&self, rows: &WindowRows<'_>) -> Result<Vec<Option<bool>>> {
        // Of nulls alone, a column may have any type.
        let conditions = cast(of(rows)?, &DataType::Boolean)?;
        Ok(conditions.as_boolean().iter().collect())
    }

    fn add(&self, state: &mut Truths, value: bool) {
        state.0[usize::from(value)] += 1;
    }

    fn remove(&self, state: &mut Truths, value: bool) {
        state.0[usize::from(value)] -= 1;
    }

    fn result(&self, Truths([n_false, n_true]): &Truths) -> Result<Option<bool>, String> {
        let answer = match self.any {
            true => *n_true > 0,
            false => *n_false == 0,
        };
        Ok((n_false + n_true > 0).then_some(answer))
    }

    fn column(&self, results: Vec<Option<bool>>) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::from(results)))
    }

    fn state_bytes(&self, _: &Truths) -> usize {
        0
    }
}
