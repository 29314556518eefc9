//! Moves filters down into the scan, where rows that fail are never built.
//!
//! A filter passes a repartition (fewer rows are laid out, evenly) and a
//! selection (which only drops columns). It does not pass a limit: the first
//! ten rows that are kept are not those kept of the first ten.

use super::Logical;
use crate::expr::Expr;

pub(super) fn apply(plan: Logical) -> Logical {
    plan.rewrite(&|node| match node {
        Logical::Filter { input, predicate } => sink(*input, predicate),
        other => other,
    })
}

/// Puts a filter as far below `node` as it may go.
fn sink(node: Logical, predicate: Expr) -> Logical {
    match node {
        Logical::Scan(mut scan) => {
            scan.predicate = Some(match scan.predicate.take() {
                Some(first) => first.and(predicate),
                None => predicate,
            });
            Logical::Scan(scan)
        }
        Logical::Repartition { input, by } => Logical::Repartition {
            input: Box::new(sink(*input, predicate)),
            by,
        },
        Logical::Coalesce { input, bytes } => Logical::Coalesce {
            input: Box::new(sink(*input, predicate)),
            bytes,
        },
        Logical::Select { input, columns } => Logical::Select {
            input: Box::new(sink(*input, predicate)),
            columns,
        },
        Logical::Filter {
            input,
            predicate: first,
        } => Logical::Filter {
            input,
            predicate: first.and(predicate),
        },
        limit @ Logical::Limit { .. } => Logical::Filter {
            input: Box::new(limit),
            predicate,
        },
    }
}
