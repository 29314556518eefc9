//! Tells the scan which columns are looked at; others are skipped, not built.
//!
//! From the last node down: what a node is asked for, and what it looks at
//! itself, is what it asks of its input. Columns that nobody asks for are not
//! computed. The scan's own predicate reads its columns whether they are asked
//! for or not.

use std::collections::BTreeSet;

use arrow_schema::SchemaRef;

use super::Logical;
use crate::expr::{Projection, roots};
use crate::plan::window::asked;
use crate::plan::{Fold, Join, NamedWindow};

pub(super) fn apply(plan: Logical) -> Logical {
    ask(plan, None)
}

/// `wanted` are the columns of `node` that somebody looks at; none: all, and
/// those that come late.
fn ask(node: Logical, wanted: Option<BTreeSet<String>>) -> Logical {
    match node {
        Logical::Scan(mut scan) => {
            if let Some(wanted) = wanted {
                let all = scan.columns.take().unwrap_or_else(|| {
                    let fields = scan.schema.fields().iter();
                    fields.map(|field| field.name().clone()).collect()
                });
                let asked = all.into_iter().filter(|name| wanted.contains(name));
                scan.columns = Some(asked.collect());
            }
            Logical::Scan(scan)
        }
        Logical::Project { input, projection } => project(*input, projection, wanted),
        Logical::Filter { input, predicate } => {
            let wanted = wanted.and_then(|mut wanted| {
                wanted.extend(roots(&predicate, &*input.schema().ok()?));
                Some(wanted)
            });
            Logical::Filter {
                input: Box::new(ask(*input, wanted)),
                predicate,
            }
        }
        Logical::Sort { input, sort } => {
            let wanted = sort.asked(wanted);
            Logical::Sort {
                input: Box::new(ask(*input, wanted)),
                sort,
            }
        }
        Logical::Shuffle { input, by } => {
            let wanted = by.asked(wanted);
            Logical::Shuffle {
                input: Box::new(ask(*input, wanted)),
                by,
            }
        }
        Logical::Explode { input, columns } => {
            let wanted = wanted.map(|mut wanted| {
                wanted.extend(columns.iter().cloned());
                wanted
            });
            Logical::Explode {
                input: Box::new(ask(*input, wanted)),
                columns,
            }
        }
        Logical::Window { input, windows } => windowed(*input, windows, wanted),
        Logical::Aggregate {
            input,
            fold,
            schema,
        } => aggregate(*input, fold, schema, wanted),
        Logical::Join { left, right, join } => joined(*left, *right, join, wanted),
        // A function may look at every column, and where partitions end may depend on them.
        whole @ (Logical::MapPartitions { .. } | Logical::Partition { .. }) => {
            whole.map_input(|input| ask(input, None))
        }
        // All inputs give the same columns, those that come late too.
        Logical::Union { inputs, schema } => Logical::Union {
            inputs: inputs.into_iter().map(|input| ask(input, None)).collect(),
            schema,
        },
        other => other.map_input(|input| ask(input, wanted)),
    }
}

/// Asks each side for its keys and for the columns that are wanted of it.
fn joined(
    left: Logical,
    right: Logical,
    mut join: Join,
    wanted: Option<BTreeSet<String>>,
) -> Logical {
    let asked = wanted.map(|wanted| {
        join.columns.retain(|(name, _)| wanted.contains(name));
        join.passes_late = false;
        join.needs()
    });
    let (of_left, of_right) = match asked {
        Some((left, right)) => (Some(left), Some(right)),
        // Half a join shows nothing of the right frame.
        None if !join.how.shows_right() => (None, Some(join.needs().1)),
        None => (None, None),
    };
    Logical::Join {
        left: Box::new(ask(left, of_left)),
        right: Box::new(ask(right, of_right)),
        join,
    }
}

/// Asks for the columns that a fold looks at; one that lets rows out, for
/// those that are wanted of them as well.
fn aggregate(
    input: Logical,
    fold: Fold,
    schema: SchemaRef,
    wanted: Option<BTreeSet<String>>,
) -> Logical {
    let wanted = match input.schema() {
        Ok(schema) => fold.asked(wanted, &schema),
        Err(_) => None,
    };
    let input = Box::new(ask(input, wanted));
    // Where rows come out, those that nobody wants are gone.
    let left = input.schema().and_then(|schema| fold.schema(&schema));
    Logical::Aggregate {
        input,
        fold,
        schema: left.unwrap_or(schema),
    }
}

/// Asks for the columns that windows look at of which somebody wants the answer.
fn windowed(
    input: Logical,
    windows: Vec<NamedWindow>,
    wanted: Option<BTreeSet<String>>,
) -> Logical {
    let Ok(schema) = input.schema() else {
        let input = Box::new(input);
        return Logical::Window { input, windows };
    };
    let (windows, needed) = asked(windows, wanted, &schema);
    let input = ask(input, needed);
    match windows.is_empty() {
        true => input,
        false => Logical::Window {
            input: Box::new(input),
            windows,
        },
    }
}

fn project(input: Logical, projection: Projection, wanted: Option<BTreeSet<String>>) -> Logical {
    let Ok(schema) = input.schema() else {
        return Logical::Project {
            input: Box::new(input),
            projection,
        };
    };
    let (projection, needed) = match wanted {
        Some(wanted) => {
            let (reduced, needed) = projection.reduced(&wanted, &schema);
            (reduced, Some(needed))
        }
        None => {
            let needed = projection.needs(&schema);
            (projection, needed)
        }
    };
    if let (Some(names), Logical::Scan(_)) = (projection.selection(&schema), &input) {
        let Logical::Scan(mut scan) = input else {
            unreachable!("matched above")
        };
        scan.columns = Some(names);
        return Logical::Scan(scan);
    }
    let input = Box::new(ask(input, needed));
    if projection.is_all() {
        return *input;
    }
    Logical::Project { input, projection }
}
