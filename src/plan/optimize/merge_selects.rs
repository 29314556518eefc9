//! Of two selections in a row the later one decides; a selection passes a repartition.

use super::Logical;

pub(super) fn apply(plan: Logical) -> Logical {
    plan.rewrite(&|node| match node {
        Logical::Select { input, columns } => sink(*input, columns),
        other => other,
    })
}

fn sink(node: Logical, columns: Vec<String>) -> Logical {
    match node {
        // The later names are a subset of the earlier ones, or the plan would not have been built.
        Logical::Select { input, .. } => sink(*input, columns),
        Logical::Repartition { input, by } => Logical::Repartition {
            input: Box::new(sink(*input, columns)),
            by,
        },
        Logical::Coalesce { input, bytes } => Logical::Coalesce {
            input: Box::new(sink(*input, columns)),
            bytes,
        },
        other => Logical::Select {
            input: Box::new(other),
            columns,
        },
    }
}
