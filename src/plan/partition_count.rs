//! How many partitions a plan gives, as far as that is known before it runs.
//!
//! In:  a plan.
//! Out: their number, a bound or a guess of it, or that only a run can tell.
//!
//! A partition without rows is none, so what leaves rows out makes of a number a
//! bound. A guess is made where sizes were told by files and nothing was counted.

use std::fmt;

use super::estimate::{Estimate, counted};
use super::fold::Fold;
use super::logical::{Logical, Scan};
use super::lower::DEFAULT_BYTES;
use super::shuffle::ShuffleBy;
use super::sort::SortInto;
use super::source::Source;
use crate::partition::{By, Partitioning};

/// A number of partitions, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionCount {
    /// So many.
    Exactly(u64),
    /// So many, or fewer where some turn out to be empty.
    AtMost(u64),
    /// By the bytes that are expected.
    About(u64),
    /// Only a run can tell.
    Unknown,
}

use PartitionCount::{About, AtMost, Exactly, Unknown};

impl PartitionCount {
    /// After rows were left out.
    fn with_fewer_rows(self) -> Self {
        match self {
            Exactly(n) => AtMost(n),
            other => other,
        }
    }

    /// Of both.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Unknown, _) | (_, Unknown) => Unknown,
            (Exactly(a), Exactly(b)) => Exactly(a + b),
            (About(a), Exactly(b) | AtMost(b) | About(b)) | (Exactly(a) | AtMost(a), About(b)) => {
                About(a + b)
            }
            (Exactly(a) | AtMost(a), Exactly(b) | AtMost(b)) => AtMost(a + b),
        }
    }
}

impl fmt::Display for PartitionCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, n) = match self {
            Exactly(n) => ("", n),
            AtMost(n) => ("at most ", n),
            About(n) => ("about ", n),
            Unknown => return f.write_str("as many partitions as a run will tell"),
        };
        write!(f, "{before}{}", counted(*n, "partition", "partitions"))
    }
}

impl Logical {
    /// How many partitions come out.
    pub fn partition_count(&self) -> PartitionCount {
        match self {
            Logical::Scan(scan) => of_scan(scan),
            Logical::Project { input, .. } => input.partition_count(),
            Logical::Filter { input, .. }
            | Logical::Sample { input, .. }
            | Logical::MapPartitions { input, .. }
            | Logical::Explode { input, .. }
            | Logical::Limit { input, .. } => input.partition_count().with_fewer_rows(),
            Logical::Repartition { input, by } => laid_out(input, *by),
            Logical::Coalesce { input, bytes } => by_bytes(input.estimate(), *bytes),
            Logical::Partition { .. } => Exactly(1),
            Logical::Aggregate { fold, .. } => match fold {
                Fold::Groups { keys, .. } if keys.is_empty() => Exactly(1),
                Fold::Groups { .. } => Unknown,
                Fold::TopRows { .. } | Fold::Describe { .. } => AtMost(1),
            },
            Logical::Sort { input, sort } => match sort.into {
                SortInto::Any => by_bytes(input.estimate(), DEFAULT_BYTES),
                SortInto::Keys(by) => laid_out(input, by).with_fewer_rows(),
                SortInto::Given => input.partition_count(),
            },
            Logical::Shuffle { by, .. } => AtMost(match by {
                ShuffleBy::Hash { count, .. } => *count as u64,
                ShuffleBy::Divisions { bounds, .. } => bounds.len().saturating_sub(1) as u64,
            }),
            Logical::Union { inputs, .. } => {
                let counts = inputs.iter().map(Logical::partition_count);
                counts.reduce(PartitionCount::and).unwrap_or(Exactly(0))
            }
            // Their rows are laid out anew by sizes that only a run can tell.
            Logical::Window { .. } | Logical::Join { .. } => Unknown,
        }
    }
}

fn of_scan(scan: &Scan) -> PartitionCount {
    let count = match &scan.source {
        Source::Made { make, n_partitions } => match make.ready {
            true => Exactly(*n_partitions as u64),
            false => AtMost(*n_partitions as u64),
        },
        Source::Columns { .. } if matches!(scan.lies, Partitioning::Range { .. }) => Unknown,
        Source::Batches(_) => by_bytes(scan.estimate, DEFAULT_BYTES),
        // What footers say of bytes is not what they take in memory.
        Source::Columns { .. } => match by_bytes(scan.estimate, DEFAULT_BYTES) {
            Exactly(n) if n > 0 => About(n),
            other => other,
        },
        _ => Unknown,
    };
    match scan.predicate {
        None => count,
        Some(_) => count.with_fewer_rows(),
    }
}

/// Of rows that are laid out as asked.
fn laid_out(input: &Logical, by: By) -> PartitionCount {
    let estimate = input.estimate();
    match by {
        By::Count(n) if estimate.exact => Exactly(estimate.rows.min(n as u64)),
        By::Count(n) => AtMost(n as u64),
        By::Rows(rows) if estimate.exact => Exactly(estimate.rows.div_ceil(rows.max(1))),
        By::Rows(rows) if estimate.rows > 0 => About(estimate.rows.div_ceil(rows.max(1))),
        By::Bytes(bytes) => by_bytes(estimate, bytes.bytes()),
        By::Rows(_) | By::FileBytes(_) => Unknown,
    }
}

/// Of rows in partitions that end once they have about so many bytes.
fn by_bytes(estimate: Estimate, bytes: u64) -> PartitionCount {
    match (estimate.exact, estimate.rows, estimate.bytes) {
        (true, 0, _) => Exactly(0),
        (true, _, of_all) if of_all <= bytes => Exactly(1),
        (false, 0, _) => Unknown,
        (_, _, of_all) => About(of_all.div_ceil(bytes.max(1)).max(1)),
    }
}
