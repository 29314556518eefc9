//! Moves filters down into the scan, where rows that fail are never built.
//!
//! A filter passes a repartition (fewer rows are laid out, evenly), a sort (fewer
//! rows are sorted) and, under
//! the names that columns have there, a projection that does not compute what
//! it looks at. It passes a join to the side that it looks at. It does not pass a limit or a sample: the first ten rows that are kept are
//! not those kept of the first ten. Of several terms each goes as far as it can.

use super::{Logical, filter_through_join};
use crate::expr::{Expr, Projection, roots};
use crate::plan::{ShuffleBy, SortInto, exploded};

pub(super) fn apply(plan: Logical) -> Logical {
    plan.rewrite(&|node| match node {
        Logical::Filter { input, predicate } => sink(*input, predicate),
        other => other,
    })
}

/// Puts a filter as far below `node` as it may go.
pub(super) fn sink(node: Logical, predicate: Expr) -> Logical {
    match node {
        Logical::Scan(mut scan) => {
            scan.predicate = Some(match scan.predicate.take() {
                Some(first) => first.and(predicate),
                None => predicate,
            });
            Logical::Scan(scan)
        }
        // What is said to be sorted is checked whole.
        Logical::Sort { ref sort, .. } if sort.into == SortInto::Given => filtered(node, predicate),
        // Whether rows lie outside of all partitions is told of all rows.
        Logical::Shuffle {
            by: ShuffleBy::Divisions { .. },
            ..
        } => filtered(node, predicate),
        Logical::Repartition { .. }
        | Logical::Coalesce { .. }
        | Logical::Shuffle { .. }
        | Logical::Sort { .. } => node.map_input(|input| sink(input, predicate)),
        Logical::Project { input, projection } => pass(*input, projection, predicate),
        Logical::Explode { input, columns } => before_items(*input, columns, predicate),
        Logical::Filter {
            input,
            predicate: first,
        } => Logical::Filter {
            input,
            predicate: first.and(predicate),
        },
        Logical::Join { left, right, join } => {
            filter_through_join::sink(*left, *right, join, predicate)
        }
        // What these give depends on all rows that they are given.
        whole @ (Logical::Limit { .. }
        | Logical::Window { .. }
        | Logical::Sample { .. }
        | Logical::Union { .. }
        | Logical::Aggregate { .. }
        | Logical::Partition { .. }
        | Logical::MapPartitions { .. }) => filtered(whole, predicate),
    }
}

/// Puts the terms that know nothing of what is computed below the projection.
fn pass(input: Logical, projection: Projection, predicate: Expr) -> Logical {
    let project = |input| Logical::Project {
        input: Box::new(input),
        projection: projection.clone(),
    };
    let Ok(schema) = input.schema() else {
        return filtered(project(input), predicate);
    };
    if let Some(whole) = projection.before(&predicate, &schema) {
        return project(sink(input, whole));
    }
    let (mut below, mut above) = (Vec::new(), Vec::new());
    for term in predicate.conjuncts() {
        match projection.before(&term, &schema) {
            Some(term) => below.push(term),
            None => above.push(term),
        }
    }
    let input = match all_of(below) {
        Some(below) => sink(input, below),
        None => input,
    };
    match all_of(above) {
        Some(above) => filtered(project(input), above),
        None => project(input),
    }
}

/// Puts the terms that look at no item below the explosion of lists.
fn before_items(input: Logical, columns: Vec<String>, predicate: Expr) -> Logical {
    let schema = input.schema();
    let Ok(schema) = schema.and_then(|schema| exploded(&schema, &columns)) else {
        let input = Box::new(input);
        return filtered(Logical::Explode { input, columns }, predicate);
    };
    let of_items = |term: &Expr| {
        roots(term, &schema)
            .iter()
            .any(|name| columns.contains(name))
    };
    let (above, below) = predicate.conjuncts().into_iter().partition(of_items);
    let input = Box::new(match all_of(below) {
        Some(below) => sink(input, below),
        None => input,
    });
    let items = Logical::Explode { input, columns };
    match all_of(above) {
        Some(above) => filtered(items, above),
        None => items,
    }
}

pub(super) fn all_of(terms: Vec<Expr>) -> Option<Expr> {
    terms.into_iter().reduce(Expr::and)
}

pub(super) fn filtered(input: Logical, predicate: Expr) -> Logical {
    Logical::Filter {
        input: Box::new(input),
        predicate,
    }
}
