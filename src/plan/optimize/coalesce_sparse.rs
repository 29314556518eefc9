//! Joins neighbouring partitions that a filter may have left nearly empty.
//!
//! Only where the caller asked for no layout: 214 files of which a filter
//! keeps one row in a thousand become one partition, not 214.

use super::Logical;
use crate::plan::Source;
use crate::plan::window::looks_ahead;

/// Logical bytes of Arrow data that a joined partition has at most (128 MiB).
const TARGET_BYTES: u64 = 128 << 20;

pub(super) fn apply(plan: Logical) -> Logical {
    // The partitions that one is taken of are those that computing all of them gives.
    joined(plan.rewrite(&|node| match node {
        Logical::Partition { input, idx } => Logical::Partition {
            input: Box::new(joined(*input)),
            idx,
        },
        other => other,
    }))
}

fn joined(plan: Logical) -> Logical {
    if lays_out(&plan) || !filters(&plan) {
        return plan;
    }
    Logical::Coalesce {
        input: Box::new(plan),
        bytes: TARGET_BYTES,
    }
}

fn lays_out(plan: &Logical) -> bool {
    match plan {
        Logical::Repartition { .. }
        | Logical::Coalesce { .. }
        | Logical::MapPartitions { .. }
        | Logical::Aggregate { .. }
        | Logical::Sort { .. }
        | Logical::Shuffle { .. }
        | Logical::Partition { .. }
        | Logical::Join { .. }
        | Logical::Union { .. } => true,
        Logical::Scan(scan) => match &scan.source {
            Source::Shared(shared) => lays_out(&shared.plan),
            source => matches!(source, Source::Made { .. }),
        },
        Logical::Window { input, windows } => looks_ahead(windows) || lays_out(input),
        other => other.input().is_some_and(lays_out),
    }
}

fn filters(plan: &Logical) -> bool {
    match plan {
        Logical::Filter { .. } | Logical::Sample { .. } => true,
        Logical::Scan(scan) => {
            let shared = match &scan.source {
                Source::Shared(shared) => filters(&shared.plan),
                _ => false,
            };
            shared || scan.predicate.is_some()
        }
        other => other.input().is_some_and(filters),
    }
}
