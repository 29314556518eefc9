//! Leaves out rows of a held side whose key some join below has left out.
//!
//! Where rows of the left side are those that met a filtered frame by some key,
//! and that key has to equal one of the right side, rows of the right side that
//! meet nothing of the filtered frame meet nothing at all. They are left out
//! before they are held:
//!
//! ```text
//! (a semi f by a = f) join b by a = b   ─▶   (a semi f by a = f) join (b semi f by b = f) by a = b
//! ```
//!
//! Only where the filtered frame has few rows beside the right side. It then
//! stands in the plan twice, and is computed once: see `common_parts`.

use super::Logical;
use crate::expr::{Expr, col};
use crate::plan::shared::is_worth_sharing;
use crate::plan::{ColumnOf, Join, MergeHow};

/// Rows of the right side for each row of the filtered frame, from which on it pays.
const LEAST_ROWS_EACH: u64 = 4;

pub(super) fn apply(plan: Logical) -> Logical {
    plan.rewrite(&|node| match node {
        Logical::Join { left, right, join } => {
            let right = match partners(&left, &right, &join) {
                Some((few, by)) => Box::new(Logical::Join {
                    left: right,
                    right: Box::new(few),
                    join: by,
                }),
                None => right,
            };
            Logical::Join { left, right, join }
        }
        other => other,
    })
}

/// The few rows that rows of the right side must meet, and how.
fn partners(left: &Logical, right: &Logical, join: &Join) -> Option<(Logical, Join)> {
    if join.how != MergeHow::Inner || !is_plain(join) || right.widens() {
        return None;
    }
    join.on.iter().find_map(|(of_left, of_right)| {
        let (few, key) = met_by(left, of_left)?;
        let least = few.estimate().rows.checked_mul(LEAST_ROWS_EACH)?;
        // If its rows met some already, they are most likely the same ones.
        if least > right.estimate().rows || met_by(right, of_right).is_some() {
            return None;
        }
        let (of_few, schema) = (few.schema().ok()?, right.schema().ok()?);
        let types = [
            schema.column_with_name(of_right)?.1.data_type(),
            of_few.column_with_name(&key)?.1.data_type(),
            left.schema().ok()?.column_with_name(of_left)?.1.data_type(),
        ]
        .map(Clone::clone);
        if types.iter().any(|of| *of != types[0]) {
            return None;
        }
        let by = Join {
            how: MergeHow::Semi,
            on: vec![(of_right.clone(), key)],
            ..join.clone()
        };
        Some((few.clone(), by.settled(&schema, &of_few).ok()?))
    })
}

/// Whether rows meet for equal keys alone.
fn is_plain(join: &Join) -> bool {
    join.next_to.is_none() && !join.nulls_match
}

/// The frame with few of its rows left that all values of a column met below, and
/// its key.
fn met_by<'a>(plan: &'a Logical, column: &str) -> Option<(&'a Logical, String)> {
    match plan {
        Logical::Filter { input, .. } => met_by(input, column),
        Logical::Project { input, projection } => {
            match projection.before(&col(column), &*input.schema().ok()?)? {
                Expr::Column(name) => met_by(input, &name),
                _ => None,
            }
        }
        Logical::Join { left, right, join } if is_plain(join) => {
            let (_, of) = join.columns.iter().find(|(shown, _)| shown == column)?;
            let (ColumnOf::Left(name) | ColumnOf::Both(name)) = of else {
                return None;
            };
            let met = join.on.iter().find(|(of_left, _)| of_left == name);
            match (join.how, met) {
                (MergeHow::Inner | MergeHow::Semi, Some((_, key)))
                    if right.leaves_out() && is_worth_sharing(right) =>
                {
                    Some((right, key.clone()))
                }
                (MergeHow::Inner | MergeHow::Semi | MergeHow::Left | MergeHow::Anti, _) => {
                    met_by(left, name)
                }
                _ => None,
            }
        }
        _ => None,
    }
}
