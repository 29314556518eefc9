//! Moves no rows that lie as they are asked for.
//!
//! Rows that one shuffle put into partitions by key stay there through steps that
//! look at each row alone, also under new names of the keys.

use super::Logical;
use crate::plan::ShuffleBy;

pub(super) fn apply(plan: Logical) -> Logical {
    plan.rewrite(&|node| match node {
        Logical::Shuffle {
            input,
            by: by @ ShuffleBy::Hash { .. },
        } if input.partitioning() == by.partitioning() => *input,
        other => other,
    })
}
