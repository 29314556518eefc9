//! What stands in a plan more than once is computed once.
//!
//! Parts that are built alike of one frame become sources that hold their plan.
//! The other rules work on the plan around them as on any; then each part is
//! asked for the columns that somebody looks at, and is optimized by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Logical;
use crate::expr::{Named, Projection, col, roots};
use crate::plan::shared::{common_part, replaced};
use crate::plan::{Shared, Source};

pub(super) fn apply(plan: Logical) -> Logical {
    let mut plans = vec![plan];
    let mut number = 1;
    while let Some((part, readers)) = common_part(&plans) {
        let part = part.clone();
        let shared = Arc::new(Shared::new(number, readers, part.clone()));
        let Ok(scan) = shared.scan() else {
            // Unknown columns were refused when the plan was built.
            break;
        };
        let rest = plans.into_iter().map(|plan| replaced(plan, &part, &scan));
        plans = rest.collect();
        plans.push(part);
        number += 1;
    }
    let mut plans = plans.into_iter();
    let plan = plans.next();
    // Parts that were found later may stand in earlier ones, and the other way round.
    let parts: BTreeMap<usize, Logical> = (1..).zip(plans).collect();
    match plan {
        Some(plan) => with_parts(plan, &parts),
        None => unreachable!("there is the plan itself"),
    }
}

/// The plan with each shared part as it is now, its own parts in it.
fn with_parts(plan: Logical, parts: &BTreeMap<usize, Logical>) -> Logical {
    let mut done: BTreeMap<usize, Arc<Shared>> = BTreeMap::new();
    with_done(plan, parts, &mut done)
}

fn with_done(
    plan: Logical,
    parts: &BTreeMap<usize, Logical>,
    done: &mut BTreeMap<usize, Arc<Shared>>,
) -> Logical {
    for shared in shared_in(&plan) {
        if let (false, Some(part)) = (done.contains_key(&shared.number), parts.get(&shared.number))
        {
            let part = with_done(part.clone(), parts, done);
            let part = Shared::new(shared.number, shared.readers, part);
            done.insert(shared.number, Arc::new(part));
        }
    }
    let done = &*done;
    plan.rewrite(&|node| match node {
        Logical::Scan(mut scan) => {
            if let Source::Shared(shared) = &mut scan.source
                && let Some(part) = done.get(&shared.number)
            {
                *shared = Arc::clone(part);
            }
            Logical::Scan(scan)
        }
        other => other,
    })
}

/// The parts that a plan reads, each once, not those that these read.
fn shared_in(plan: &Logical) -> Vec<Arc<Shared>> {
    let mut found: BTreeMap<usize, Arc<Shared>> = BTreeMap::new();
    for scan in plan.scans() {
        if let Source::Shared(shared) = &scan.source {
            found.insert(shared.number, Arc::clone(shared));
        }
    }
    found.into_values().collect()
}

/// The plan with its parts optimized, too, by `rules`.
pub(super) fn settled(plan: Logical, rules: &dyn Fn(Logical) -> Logical) -> Logical {
    let mut readers = vec![plan];
    let mut parts = BTreeMap::new();
    let mut waiting = all_parts(&readers[0]);
    // A part is settled once all who read it are: only then it is known which columns they ask for.
    while let Some(next) = next_part(&waiting) {
        let Some(shared) = waiting.remove(&next) else {
            break;
        };
        let part = rules(asked_for(&shared.plan, asked_of(next, &readers)));
        readers.push(part.clone());
        parts.insert(next, part);
    }
    with_parts(readers.swap_remove(0), &parts)
}

/// All parts that a plan reads, and that those read.
fn all_parts(plan: &Logical) -> BTreeMap<usize, Arc<Shared>> {
    let mut all = BTreeMap::new();
    let mut rest = shared_in(plan);
    while let Some(shared) = rest.pop() {
        rest.extend(shared_in(&shared.plan));
        all.insert(shared.number, shared);
    }
    all
}

/// A part that no other one that waits reads.
fn next_part(waiting: &BTreeMap<usize, Arc<Shared>>) -> Option<usize> {
    let read: BTreeSet<usize> = (waiting.values())
        .flat_map(|shared| shared_in(&shared.plan))
        .map(|shared| shared.number)
        .collect();
    waiting
        .keys()
        .copied()
        .find(|number| !read.contains(number))
}

/// The columns of a part that plans look at; none: all, and those that come late.
fn asked_of(number: usize, plans: &[Logical]) -> Option<BTreeSet<String>> {
    let mut asked = BTreeSet::new();
    for scan in plans.iter().flat_map(Logical::scans) {
        if matches!(&scan.source, Source::Shared(shared) if shared.number == number) {
            asked.extend(scan.columns.clone()?);
            let predicate = scan.predicate.iter();
            asked.extend(predicate.flat_map(|term| roots(term, &scan.schema)));
        }
    }
    Some(asked)
}

/// A part with no other columns than are asked for, but always one.
fn asked_for(part: &Logical, asked: Option<BTreeSet<String>>) -> Logical {
    let (Some(asked), Ok(schema)) = (asked, part.schema()) else {
        return part.clone();
    };
    let names = || schema.fields().iter().map(|field| field.name());
    let mut kept: Vec<_> = names().filter(|name| asked.contains(*name)).collect();
    if kept.is_empty() {
        kept.extend(names().next());
    }
    if kept.len() == schema.fields().len() {
        return part.clone();
    }
    let projection = Projection::only(
        kept.into_iter()
            .map(|name| Named {
                name: name.clone(),
                expr: col(name.as_str()),
            })
            .collect(),
    );
    Logical::Project {
        input: Box::new(part.clone()),
        projection,
    }
}
