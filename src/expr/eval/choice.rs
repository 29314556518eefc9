//! Values that come from one of several columns, row by row.
//!
//! In:  columns, each for the rows that reached it.
//! Out: one column of all rows, null where none was reached.

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;

use super::{Node, Rows, plain};
use crate::error::Result;
use crate::expr::convert::Value;
use crate::expr::unify::unify;

/// Rows that get their value from one of several columns.
pub(super) struct Choice {
    rows: usize,
    /// Rows without a value yet, in order.
    pub pending: Vec<u32>,
    /// For each row, which piece holds its value, and where in it.
    from: Vec<Option<(usize, usize)>>,
    pieces: Vec<ArrayRef>,
}

impl Choice {
    pub fn new(rows: usize) -> Self {
        Choice {
            rows,
            pending: (0..rows as u32).collect(),
            from: vec![None; rows],
            pieces: Vec::new(),
        }
    }

    /// Takes the pending rows that a condition, by place among the pending, picks.
    pub fn split_off(&mut self, is_hit: impl Fn(usize) -> bool) -> Vec<u32> {
        let mut reached = Vec::new();
        let mut rest = Vec::new();
        for (place, row) in self.pending.iter().enumerate() {
            if is_hit(place) {
                reached.push(*row);
            } else {
                rest.push(*row);
            }
        }
        self.pending = rest;
        reached
    }

    /// Computes a result for the rows that reached it.
    pub fn add(&mut self, rows: &Rows<'_>, reached: Vec<u32>, then: &Node) -> Result<()> {
        if reached.is_empty() {
            return Ok(());
        }
        let value = plain(rows.only(&reached, then)?)?;
        for (place, row) in reached.iter().enumerate() {
            let place = if value.constant { 0 } else { place };
            self.from[*row as usize] = Some((self.pieces.len(), place));
        }
        self.pieces.push(value.array);
        Ok(())
    }

    /// Gives pending rows their value from an array over them, where a condition holds.
    pub fn settle(&mut self, array: ArrayRef, holds: impl Fn(usize) -> bool) {
        let piece = self.pieces.len();
        let mut rest = Vec::new();
        for (place, row) in self.pending.iter().enumerate() {
            if holds(place) {
                self.from[*row as usize] = Some((piece, place));
            } else {
                rest.push(*row);
            }
        }
        self.pending = rest;
        self.pieces.push(array);
    }

    pub fn finish(mut self, to: &DataType) -> Result<Value> {
        // A piece of one null stands for all rows that got no value.
        let none = self.pieces.len();
        self.pieces.push(new_null_array(to, 1));
        let pieces = unify(&self.pieces, to)?;
        if self.rows == 0 {
            return Ok(Value::rows(pieces[none].slice(0, 0)));
        }
        let from: Vec<(usize, usize)> = self
            .from
            .into_iter()
            .map(|from| from.unwrap_or((none, 0)))
            .collect();
        let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
        Ok(Value::rows(interleave(&pieces, &from)?))
    }
}
