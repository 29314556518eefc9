//! Of two selections in a row the later one decides; columns are chosen and
//! computed before rows are laid out.

use super::Logical;
use crate::expr::Projection;

pub(super) fn apply(plan: Logical) -> Logical {
    plan.rewrite(&|node| match node {
        Logical::Project { input, projection } => sink(*input, projection),
        other => other,
    })
}

fn sink(node: Logical, projection: Projection) -> Logical {
    match node {
        Logical::Repartition { .. } | Logical::Coalesce { .. } => {
            node.map_input(|input| sink(input, projection))
        }
        Logical::Project {
            input,
            projection: first,
        } if selects(&input, &first, &projection) => sink(*input, projection),
        other => Logical::Project {
            input: Box::new(other),
            projection,
        },
    }
}

/// Whether both only select by name: the later names are a subset of the
/// earlier ones, or the plan would not have been built.
fn selects(input: &Logical, first: &Projection, then: &Projection) -> bool {
    let Ok(schema) = input.schema() else {
        return false;
    };
    first.selection(&schema).is_some() && then.selection(&schema).is_some()
}
