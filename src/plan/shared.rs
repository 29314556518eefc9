//! What several plans have in common.
//!
//! In:  plans.
//! Out: a part that stands in them more than once; the plans with something else
//!      in its place.
//!
//! Parts are the same if they are built of the same calls on one source: the
//! frame that one call of a reader gave, not another one of the same files.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::logical::{Logical, Scan};
use super::optimize::optimize;
use super::source::Source;
use crate::expr::roots;

/// A part that stands in the plans more than once and is worth doing once: the
/// largest one around a scan that all who read it have in common, so that every
/// scan is read once; then what is costly to compute, the largest first.
pub(crate) fn shared_part(plans: &[Logical]) -> Option<&Logical> {
    let mut parts: Vec<(usize, &Logical)> = Vec::new();
    for plan in plans {
        add_parts(plan, &mut parts);
    }
    // Larger ones first; of equal size, those of the first plan.
    parts.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let parts: Vec<&Logical> = parts.into_iter().map(|(_, part)| part).collect();
    let n_times = |part: &Logical| parts.iter().filter(|other| same(part, other)).count();
    for scan in parts.iter().filter(|part| reads(part)) {
        let n_reads = n_times(scan);
        let of_all = |part: &&&Logical| {
            let n_scans = part
                .scans()
                .iter()
                .filter(|other| is_scan(scan, other))
                .count();
            n_scans > 0 && n_scans < n_reads && n_scans * n_times(part) == n_reads
        };
        if let Some(part) = parts.iter().find(of_all) {
            return Some(part);
        }
    }
    let costly = parts.iter().filter(|part| {
        matches!(
            part,
            Logical::Aggregate { .. } | Logical::MapPartitions { .. }
        )
    });
    costly.copied().find(|part| n_times(part) > 1)
}

/// Adds every part, with its number of nodes, which comes back.
fn add_parts<'a>(plan: &'a Logical, parts: &mut Vec<(usize, &'a Logical)>) -> usize {
    let mut inside = Vec::new();
    let inputs = plan.inputs().into_iter();
    let sizes = inputs.map(|input| add_parts(input, &mut inside));
    let size = 1 + sizes.sum::<usize>();
    if looks_at_partitions(plan) {
        // Of what is further below, partitions might be others.
        inside.retain(|(within, _)| *within == size - 1);
    }
    parts.append(&mut inside);
    parts.push((size, plan));
    size
}

/// Whether what a node gives depends on the partitions of its input.
fn looks_at_partitions(node: &Logical) -> bool {
    matches!(
        node,
        Logical::MapPartitions { .. } | Logical::Partition { .. }
    )
}

/// Whether it is a scan whose rows are not there yet.
fn reads(part: &Logical) -> bool {
    match part {
        Logical::Scan(scan) => match &scan.source {
            Source::Batches(_) | Source::Shared(_) => false,
            Source::Made { make, .. } => !make.ready,
            _ => true,
        },
        _ => false,
    }
}

fn is_scan(part: &Logical, other: &Scan) -> bool {
    matches!(part, Logical::Scan(scan) if same_scan(scan, other))
}

/// The plan with `other` wherever `part` stands.
pub(crate) fn replaced(plan: Logical, part: &Logical, other: &Logical) -> Logical {
    if same(&plan, part) {
        return other.clone();
    }
    if looks_at_partitions(&plan) && !plan.input().is_some_and(|input| same(input, part)) {
        return plan;
    }
    plan.map_inputs(&|input| replaced(input, part, other))
}

/// Logical bytes of filtered rows of files of columns that are worth keeping:
/// beyond them, reading the files again costs no more.
const KEPT_BYTES: u64 = 32 << 20;

/// Where a part stands.
#[derive(Debug, Clone, Copy)]
struct Occurrence<'a> {
    part: &'a Logical,
    /// Nodes in it.
    size: usize,
    /// Whether all of its rows are asked for there.
    whole: bool,
}

/// A part that stands in plans of one run more than once and is worth computing
/// once, the largest first; and how many times it stands there.
///
/// Joins, aggregates, sorts and functions are, and what is read of text; of files
/// of columns, a filter that leaves few rows. But no part of which all who read it
/// ask only for some rows: each finds its own sooner.
pub(super) fn common_part(plans: &[Logical]) -> Option<(&Logical, usize)> {
    let mut all = Vec::new();
    for plan in plans {
        add_occurrences(plan, true, &mut all);
    }
    // Larger ones first; of equal size, those of the first plan.
    all.sort_by_key(|of| std::cmp::Reverse(of.size));
    let worth = |of: &&Occurrence<'_>| is_worth_sharing(of.part);
    all.iter().filter(worth).find_map(|of| {
        let alike = || all.iter().filter(|other| same(of.part, other.part));
        let n_times = alike().count();
        (n_times > 1 && alike().any(|other| other.whole)).then_some((of.part, n_times))
    })
}

/// Adds every part, as [`add_parts`] does.
fn add_occurrences<'a>(plan: &'a Logical, whole: bool, all: &mut Vec<Occurrence<'a>>) -> usize {
    let below = match plan {
        Logical::Filter { .. } | Logical::Limit { .. } | Logical::Sample { .. } => false,
        Logical::Project { .. }
        | Logical::Repartition { .. }
        | Logical::Coalesce { .. }
        | Logical::Explode { .. } => whole,
        // What is behind them does not change what they ask for.
        _ => true,
    };
    let mut inside = Vec::new();
    let inputs = plan.inputs().into_iter();
    let sizes = inputs.map(|input| add_occurrences(input, below, &mut inside));
    let size = 1 + sizes.sum::<usize>();
    if looks_at_partitions(plan) {
        // Of what is further below, partitions might be others.
        inside.retain(|of| of.size == size - 1);
    }
    all.append(&mut inside);
    let whole = whole || matches!(plan, Logical::Aggregate { .. });
    all.push(Occurrence {
        part: plan,
        size,
        whole,
    });
    size
}

/// Whether a part that stands in plans more than once is computed once.
pub(super) fn is_worth_sharing(part: &Logical) -> bool {
    is_costly(part) || is_sparse(part)
}

/// Whether computing a part is work beyond reading columns.
fn is_costly(part: &Logical) -> bool {
    match part {
        Logical::Aggregate { .. }
        | Logical::Join { .. }
        | Logical::Sort { .. }
        | Logical::Window { .. }
        | Logical::Explode { .. }
        | Logical::MapPartitions { .. } => true,
        Logical::Scan(scan) => match &scan.source {
            Source::Text { .. } => true,
            Source::Made { make, .. } => !make.ready,
            _ => false,
        },
        other => other.inputs().into_iter().any(is_costly),
    }
}

/// Whether a part is made of files of columns, of which it leaves few rows.
fn is_sparse(part: &Logical) -> bool {
    let filters = |node: &Logical| matches!(node, Logical::Filter { .. } | Logical::Sample { .. });
    let mut node = part;
    let mut filtered = false;
    while let Some(input) = node.input() {
        filtered |= filters(node);
        node = input;
    }
    filtered && reads(node) && part.estimate().bytes <= KEPT_BYTES
}

/// The columns of a source that these plans look at, once the rules have said
/// which; none: all, and those that come late.
pub(crate) fn asked_of(plans: &[Logical], source: &Source) -> Option<BTreeSet<String>> {
    let mut asked = BTreeSet::new();
    for plan in plans {
        let optimized = optimize(plan.clone());
        for scan in optimized.scans() {
            if same_source(&scan.source, source) {
                asked.extend(scan.columns.clone()?);
                let predicate = scan.predicate.iter();
                asked.extend(predicate.flat_map(|term| roots(term, &scan.schema)));
            }
        }
    }
    Some(asked)
}

/// Whether both give the same rows because they are built alike.
fn same(a: &Logical, b: &Logical) -> bool {
    let alike = match (a, b) {
        (Logical::Scan(a), Logical::Scan(b)) => same_scan(a, b),
        (Logical::Filter { predicate: a, .. }, Logical::Filter { predicate: b, .. }) => a == b,
        (Logical::Project { projection: a, .. }, Logical::Project { projection: b, .. }) => a == b,
        (Logical::Repartition { by: a, .. }, Logical::Repartition { by: b, .. }) => a == b,
        (Logical::Coalesce { bytes: a, .. }, Logical::Coalesce { bytes: b, .. }) => a == b,
        (Logical::Limit { rows: a, .. }, Logical::Limit { rows: b, .. }) => a == b,
        (Logical::Explode { columns: a, .. }, Logical::Explode { columns: b, .. }) => a == b,
        (Logical::Shuffle { by: a, .. }, Logical::Shuffle { by: b, .. }) => a == b,
        (Logical::Window { windows: a, .. }, Logical::Window { windows: b, .. }) => a == b,
        (Logical::Partition { idx: a, .. }, Logical::Partition { idx: b, .. }) => a == b,
        (Logical::Aggregate { fold: a, .. }, Logical::Aggregate { fold: b, .. }) => a == b,
        (Logical::Union { .. }, Logical::Union { .. }) => true,
        (Logical::MapPartitions { map: a, .. }, Logical::MapPartitions { map: b, .. }) => {
            a.is_same(b)
        }
        (
            Logical::Sample { seed, from, to, .. },
            Logical::Sample {
                seed: other_seed,
                from: other_from,
                to: other_to,
                ..
            },
        ) => (seed, from, to) == (other_seed, other_from, other_to),
        (Logical::Join { join: a, .. }, Logical::Join { join: b, .. }) => a == b,
        (Logical::Sort { sort: a, .. }, Logical::Sort { sort: b, .. }) => a == b,
        // Others are not compared: computing them twice is never wrong.
        _ => false,
    };
    let (left, right) = (a.inputs(), b.inputs());
    alike && left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same(a, b))
}

fn same_scan(a: &Scan, b: &Scan) -> bool {
    same_source(&a.source, &b.source) && a.columns == b.columns && a.predicate == b.predicate
}

fn same_source(a: &Source, b: &Source) -> bool {
    match (a, b) {
        (Source::Text { look: a, .. }, Source::Text { look: b, .. }) => Arc::ptr_eq(a, b),
        (Source::Columns { inputs: a, .. }, Source::Columns { inputs: b, .. }) => Arc::ptr_eq(a, b),
        (Source::Batches(a), Source::Batches(b)) => Arc::ptr_eq(a, b),
        (Source::Made { make: a, .. }, Source::Made { make: b, .. }) => a.is_same(b),
        (Source::Shared(a), Source::Shared(b)) => a.number == b.number,
        _ => false,
    }
}
