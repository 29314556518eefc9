//! About how much a plan gives, before it runs.
//!
//! In:  what sources were counted or thought to hold.
//! Out: rows and bytes of any node; only what was counted is called exact.

use std::fmt;

use arrow_schema::SchemaRef;

use super::fold::Fold;
use super::join::Join;
use super::logical::Logical;
use super::merge_how::MergeHow;
use crate::error::Result;
use crate::expr::Expr;
use crate::size::ByteSize;

/// What is known of how much a node gives before it runs. No rows, and those not
/// exact, are said of what nothing is known of: a function may give any number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// Rows.
    pub rows: u64,
    /// Logical bytes of Arrow data.
    pub bytes: u64,
    /// Whether both were counted, not estimated.
    pub exact: bool,
}

impl Estimate {
    /// The estimate for the rows of both.
    pub(super) fn and(self, other: Self) -> Self {
        Estimate {
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
            exact: self.exact && other.exact,
        }
    }

    /// The estimate for a share of the rows, by a factor from 0 to 1.
    fn scaled(self, factor: f64) -> Self {
        Estimate {
            rows: (self.rows as f64 * factor).ceil() as u64,
            bytes: (self.bytes as f64 * factor).ceil() as u64,
            exact: self.exact && self.rows == 0,
        }
    }

    /// Whether anything is known.
    pub(crate) fn is_known(&self) -> bool {
        self.exact || self.rows > 0
    }

    /// How many rows, in words.
    pub(crate) fn rows_text(&self) -> String {
        if !self.is_known() {
            return "as many rows as a run will tell".to_owned();
        }
        let about = if self.exact { "" } else { "about " };
        format!("{about}{}", counted(self.rows, "row", "rows"))
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rows_text())?;
        if self.is_known() {
            let about = if self.exact { "" } else { "about " };
            write!(f, ", {about}{}", ByteSize::new(self.bytes))?;
        }
        Ok(())
    }
}

/// A number of things, in words.
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Rows of a group that are guessed where nothing is known of keys.
const ROWS_OF_A_GROUP: u64 = 100;

/// Share of rows that is guessed to pass a predicate of which nothing is known.
const SELECTIVITY: f64 = 0.2;

/// Share of those that is guessed to pass a further term.
const OF_FURTHER_TERM: f64 = 0.5;

/// No more terms than these count: many say the same.
const MOST_TERMS: usize = 5;

impl Logical {
    /// About how much comes out.
    pub fn estimate(&self) -> Estimate {
        match self {
            Logical::Scan(scan) => {
                let mut estimate = scan.estimate;
                if let Some(columns) = &scan.columns {
                    let share = columns.len() as f64 / scan.schema.fields().len().max(1) as f64;
                    estimate.bytes = (estimate.bytes as f64 * share.min(1.0)) as u64;
                }
                match &scan.predicate {
                    Some(predicate) => estimate.scaled(selectivity(predicate)),
                    None => estimate,
                }
            }
            Logical::Filter { input, predicate } => input.estimate().scaled(selectivity(predicate)),
            Logical::Project { input, projection } => {
                let mut estimate = input.estimate();
                let columns = |schema: Result<SchemaRef>| schema.map_or(1, |s| s.fields().len());
                let before = input.schema();
                let after = before.clone().and_then(|schema| projection.schema(&schema));
                let share = columns(after) as f64 / columns(before).max(1) as f64;
                estimate.bytes = (estimate.bytes as f64 * share) as u64;
                estimate
            }
            Logical::Repartition { input, .. }
            | Logical::Coalesce { input, .. }
            | Logical::Sort { input, .. }
            | Logical::Shuffle { input, .. } => input.estimate(),
            Logical::Window { input, windows } => {
                let mut estimate = input.estimate();
                // A number of 64 bits each, about; rows stay as many as they are.
                estimate.bytes += 8 * estimate.rows * windows.len() as u64;
                estimate
            }
            Logical::Sample {
                input, from, to, ..
            } => input.estimate().scaled(to - from),
            Logical::Union { inputs, .. } => {
                let estimates = inputs.iter().map(Logical::estimate);
                estimates.reduce(Estimate::and).unwrap_or_default()
            }
            Logical::Aggregate { input, fold, .. } => folded(fold, input.estimate()),
            Logical::Join { left, right, join } => joined(join, left.estimate(), right.estimate()),
            Logical::MapPartitions { input, .. } | Logical::Explode { input, .. } => Estimate {
                exact: false,
                ..input.estimate()
            },
            // How many partitions there are is not known.
            Logical::Partition { input, .. } => input.estimate().scaled(SELECTIVITY),
            Logical::Limit { input, rows } => {
                let estimate = input.estimate();
                if estimate.rows <= *rows {
                    return estimate;
                }
                Estimate {
                    rows: *rows,
                    ..estimate.scaled(*rows as f64 / estimate.rows as f64)
                }
            }
        }
    }
}

/// Share of rows that is guessed to pass a predicate.
fn selectivity(predicate: &Expr) -> f64 {
    let further = predicate.n_conjuncts().clamp(1, MOST_TERMS) - 1;
    SELECTIVITY * OF_FURTHER_TERM.powi(further as i32)
}

/// About how much a fold leaves.
fn folded(fold: &Fold, of: Estimate) -> Estimate {
    let rows = match fold {
        Fold::Groups { keys, .. } if keys.is_empty() => 1,
        Fold::Groups { .. } => of.rows.div_ceil(ROWS_OF_A_GROUP),
        Fold::TopRows { rows, .. } => of.rows.min(*rows as u64),
        Fold::Describe { .. } => 12,
    };
    let row_bytes = of.bytes / of.rows.max(1);
    Estimate {
        rows,
        bytes: rows * row_bytes,
        exact: false,
    }
}

/// About how much a join gives: each row of the larger side is guessed to have
/// one partner.
fn joined(join: &Join, left: Estimate, right: Estimate) -> Estimate {
    let row_bytes = |of: Estimate| of.bytes / of.rows.max(1);
    let (rows, row_bytes) = match join.how {
        MergeHow::Cross => (
            left.rows.saturating_mul(right.rows),
            row_bytes(left) + row_bytes(right),
        ),
        MergeHow::Semi | MergeHow::Anti => (left.rows, row_bytes(left)),
        MergeHow::Left => (left.rows, row_bytes(left) + row_bytes(right)),
        MergeHow::Right => (right.rows, row_bytes(left) + row_bytes(right)),
        MergeHow::Inner | MergeHow::Outer => {
            let rows = left.rows.max(right.rows);
            (rows, row_bytes(left) + row_bytes(right))
        }
    };
    Estimate {
        rows,
        bytes: rows.saturating_mul(row_bytes),
        exact: false,
    }
}
