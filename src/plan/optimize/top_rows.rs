//! The first rows of sorted rows are found without sorting the others.
//!
//! A limit passes a projection on its way to the sort. Where columns of text may
//! widen, the order of rows is known only once all were read: there, all are
//! sorted. So they are where so many rows are asked for that holding them all at
//! once would weigh more than a sort, which may spill; also the largest or
//! smallest ones.

use super::Logical;
use crate::plan::{Fold, Sort, SortInto, TopCall};

/// Rows that are held at most, twice over.
const MOST_ROWS: u64 = 10_000;

/// Their bytes, as far as they can be told: an eighth of the least budget that a
/// run has, since twice as many rows are held, and as they come out once more.
const MOST_BYTES: u64 = 4 << 20;

/// Bytes of the largest or smallest rows: beyond, twice as many and as they come
/// out once more would not fit the least budget that a run has.
const MOST_BEST_BYTES: u64 = 8 << 20;

pub(super) fn apply(plan: Logical) -> Logical {
    plan.rewrite(&|node| match node {
        Logical::Limit { input, rows } => limited(*input, rows),
        Logical::Aggregate {
            input,
            fold: Fold::TopRows { rows, by, call },
            ..
        } if call != TopCall::Sorted
            && weighs_more(&input, rows as u64, MOST_BEST_BYTES)
            && !input.widens() =>
        {
            let into = SortInto::Any;
            let sort = Sort { by, into };
            first(Logical::Sort { input, sort }, rows as u64)
        }
        other => other,
    })
}

/// The first `rows` rows of `node`.
fn limited(node: Logical, rows: u64) -> Logical {
    match node {
        Logical::Project { .. } if leads_to_sort(&node, rows) => {
            node.map_input(|input| limited(input, rows))
        }
        Logical::Sort { input, sort } if is_few(&input, &sort, rows) => {
            let Ok(schema) = input.schema() else {
                return first(Logical::Sort { input, sort }, rows);
            };
            Logical::Aggregate {
                input,
                fold: Fold::TopRows {
                    rows: rows as usize,
                    by: sort.by,
                    call: TopCall::Sorted,
                },
                schema,
            }
        }
        other => first(other, rows),
    }
}

fn first(input: Logical, rows: u64) -> Logical {
    let input = Box::new(input);
    Logical::Limit { input, rows }
}

/// Whether nothing but projections stands before a sort of which few rows are wanted.
fn leads_to_sort(node: &Logical, rows: u64) -> bool {
    match node {
        Logical::Project { input, .. } => leads_to_sort(input, rows),
        Logical::Sort { input, sort } => is_few(input, sort, rows),
        _ => false,
    }
}

fn is_few(input: &Logical, sort: &Sort, rows: u64) -> bool {
    sort.into == SortInto::Any
        && rows <= MOST_ROWS
        && !weighs_more(input, rows, MOST_BYTES)
        && !input.widens()
}

/// Whether so many rows weigh more than `most` bytes, as far as that can be told.
fn weighs_more(input: &Logical, rows: u64, most: u64) -> bool {
    let estimate = input.estimate();
    let row_bytes = estimate.bytes / estimate.rows.max(1);
    rows.saturating_mul(row_bytes) > most
}
