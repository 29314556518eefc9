//! Rows by range of their order, as soon as their ranges are known.
//!
//! In:  rows in input order; cut by workers, once these know how.
//! Out: buckets of ranges; or all rows and a sample, where the first ones do not
//!      tell how the others lie.
//!
//! ```text
//! rows   ─ hold + sample ─┐ enough? edges, and workers cut what comes
//! shards ─────────────────┴─▶ buckets
//! ```

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::hold::room_beside;
use super::{Group, Hold, Output, Rows, Sampled};
use crate::error::Result;
use crate::exec::scatter::ScatterPlan;
use crate::exec::schema::RunSchema;
use crate::memory::{Budget, SpillDir};
use crate::ops::{Codes, Edges, SortKeys};
use crate::shuffle::{Buckets, ByRange};

/// Stretches of the first rows, each of which must look like all of them.
const STRETCHES: usize = 8;

/// What it takes to cut rows before all of them came.
pub(crate) struct Early {
    pub keys: SortKeys,
    /// Of every row.
    pub schema: SchemaRef,
    /// What workers cut by, once it is known.
    pub plan: Arc<ScatterPlan>,
    /// Rows that will come, where that is known.
    pub known_rows: Option<u64>,
    /// Logical bytes that a range should have.
    pub range_bytes: u64,
    /// Ranges where it is not known how many rows will come.
    pub usual_ranges: usize,
    pub most_ranges: u64,
    /// Logical bytes of rows that tell how all lie.
    pub first_bytes: u64,
    pub budget: Budget,
    pub spill_dir: Arc<SpillDir>,
}

/// Rows that were cut as they came.
pub(crate) struct CutRows {
    budget: Budget,
    pub buckets: Buckets,
    pub edges: Edges,
    plan: Arc<ScatterPlan>,
}

/// Holds rows, and cuts them into ranges if it may.
pub(crate) enum Ranged {
    /// All rows so far, and what the others may be cut with.
    Held(Sampled, Option<Box<Early>>),
    /// Ranges of all rows so far.
    Cut(CutRows),
}

impl Ranged {
    /// Holds all rows, or, with `early`, the first ones.
    pub fn new(sampled: Sampled, early: Option<Early>) -> Self {
        Ranged::Held(sampled, early.map(Box::new))
    }

    /// Cuts what was held, if that tells how the rows behind it lie.
    fn begin(sampled: &mut Sampled, early: Early, schema: &RunSchema) -> Result<Option<CutRows>> {
        let sample = sampled.sample(schema, &early.schema)?;
        let sample = early.keys.codes_of(&sample)?;
        if !is_mixed(&sample) {
            return Ok(None);
        }
        let edges = Edges::of_sample(&sample, early.n_ranges(&sampled.hold));
        let nothing = Hold::new(&early.budget, Arc::clone(&early.spill_dir));
        let held = std::mem::replace(&mut sampled.hold, nothing).held();
        let route = Arc::new(ByRange::new(early.keys, edges.clone()));
        let room = room_beside(&early.budget);
        let mut buckets = Buckets::new(edges.n_ranges(), &early.budget, room, early.spill_dir);
        early.plan.set(route);
        for rows in held.replay {
            if let Some(shards) = early.plan.shards(&schema.finish(&rows?, schema)?)? {
                buckets.push(shards)?;
            }
        }
        Ok(Some(CutRows {
            budget: early.budget,
            buckets,
            edges,
            plan: early.plan,
        }))
    }
}

impl Early {
    fn n_ranges(&self, hold: &Hold) -> usize {
        let Some(rows) = self.known_rows else {
            return self.usual_ranges;
        };
        let bytes = u128::from(hold.bytes()) * u128::from(rows) / u128::from(hold.rows().max(1));
        let ranges = bytes.div_ceil(u128::from(self.range_bytes));
        ranges.clamp(1, u128::from(self.most_ranges)) as usize
    }
}

/// Whether rows come in no order: in each stretch of them, a quarter to three
/// quarters of all stand before the middle one.
fn is_mixed(sample: &Codes) -> bool {
    let order = sample.order();
    let Some(&middle) = order.get(order.len() / 2) else {
        return false;
    };
    let is_before = |row| sample.cmp_to(row, sample, middle as usize) == Ordering::Less;
    (0..STRETCHES).all(|stretch| {
        let rows = stretch * sample.len() / STRETCHES..(stretch + 1) * sample.len() / STRETCHES;
        let n_rows = rows.len();
        let before = rows.filter(|&row| is_before(row)).count();
        before * 4 >= n_rows && before * 4 <= 3 * n_rows
    })
}

impl Output for Ranged {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        match self {
            Ranged::Cut(cut) => {
                let shards = match rows.shards {
                    Some(shards) => Some(shards),
                    // Worked before the edges were known.
                    None => cut.plan.shards(&schema.finish(&rows.batch, &rows.from)?)?,
                };
                if let Some(shards) = shards {
                    cut.budget.takes(shards.num_rows() as u64, shards.bytes())?;
                    cut.buckets.push(shards)?;
                }
            }
            Ranged::Held(sampled, early) => {
                sampled.push(rows, schema)?;
                if let Some(early) =
                    early.take_if(|early| sampled.hold.bytes() >= early.first_bytes)
                    && let Some(cut) = Ranged::begin(sampled, *early, schema)?
                {
                    *self = Ranged::Cut(cut);
                }
            }
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;
    use crate::ops::SortBy;

    #[test]
    fn rows_are_mixed_where_every_stretch_looks_alike() {
        let schema = Schema::new(vec![Field::new("key", DataType::Int64, true)]);
        let keys = SortKeys::try_new(&[SortBy::from("key")], &schema).unwrap();
        let is_mixed = |of: fn(i64) -> i64| {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values((0..4_000).map(of)));
            is_mixed(&keys.codes_of(&[column]).unwrap())
        };
        assert!(is_mixed(|row| row * 7_919 % 4_001));
        assert!(is_mixed(|row| row * 7_919 % 5));
        let others: [fn(i64) -> i64; 4] = [|row| row, |row| -row, |row| row / 500 * 7 % 8, |_| 3];
        for of in others {
            assert!(!is_mixed(of));
        }
        let none: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
        assert!(!super::is_mixed(&keys.codes_of(&[none]).unwrap()));
    }
}
