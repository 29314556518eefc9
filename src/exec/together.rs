//! Groups of rows whose keys lie together already.
//!
//! In:  a pipeline, and what its rows are grouped by.
//! Out: the pipeline, built; and which of its units have the rows of which keys.
//!
//! Rows that were brought together by key for a merge, or that lie in partitions
//! by key, are not brought together once more to be grouped by that key:
//!
//! ```text
//! merge cut by key ─▶ units of joined rows, with places ─▶ tables of a bucket ─▶ merged, in one order
//! partitions       ─▶ units of rows                     ─┘
//! ```
//!
//! Joined rows come bucket by bucket then, and the column of their places tells in
//! which order groups first appear. So this is for aggregates to which the order of
//! rows is all the same, and, of joined rows, for steps of which none can fail on a
//! row: which row comes first would depend on the memory.

use super::bind::Steps;
use super::build::{Built, build, from_given};
use super::context::Context;
use super::join::{before_steps, join_by_key};
use super::parts::widens;
use super::run::CHUNK_BYTES;
use super::scheduler::unit_of;
use super::shuffled::shuffle_all;
use crate::error::{Error, Result};
use crate::expr::{Named, Projection, col};
use crate::ops;
use crate::partition::Partitioning;
use crate::plan::{Fold, Physical, ShuffleBy, Source, Step, Way};

/// Which units have the rows of which keys.
#[derive(Debug, Clone)]
pub(crate) struct Together {
    /// The bucket of each unit: equal keys are in units of one bucket, but for
    /// those with a null.
    pub buckets: Vec<u32>,
    pub n_buckets: usize,
    /// The column of places, where rows do not come in their order.
    pub place: Option<String>,
}

impl Together {
    /// Each of so many units has keys of its own.
    fn of_units(n_units: usize) -> Self {
        Together {
            buckets: (0..n_units as u32).collect(),
            n_buckets: n_units,
            place: None,
        }
    }

    /// The bucket of the rows of a chunk with this number.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if it is of no unit that is known.
    pub fn bucket(&self, chunk: u64) -> Result<u32> {
        let unit = usize::try_from(unit_of(chunk)).ok();
        let bucket = unit.and_then(|unit| self.buckets.get(unit));
        bucket
            .copied()
            .ok_or_else(|| Error::internal("a chunk came of no unit"))
    }
}

/// Builds a pipeline whose rows are folded. Where rows with equal keys lie together
/// in its units, it is told which units.
///
/// # Errors
///
/// As [`build`].
pub(super) fn build_together(
    fold: &Fold,
    physical: &Physical,
    context: &Context,
) -> Result<(Built, Option<Together>)> {
    let whole = || Ok((build(physical, context, CHUNK_BYTES)?, None));
    if !physical.ways.takes(Way::GroupsTogether) {
        return whole();
    }
    let Some(keys) = keys_in_front(fold, physical)? else {
        return whole();
    };
    match &physical.scan.source {
        Source::Joined {
            join,
            left,
            right,
            way,
        } if join.brings_together(&keys, &*left.output()?, &*right.output()?)
            && !Steps::bind(physical, false)?.read.may_fail() =>
        {
            let (given, together) =
                join_by_key(join, (left, right), (way, physical.ways), context)?;
            let place = together.as_ref().and_then(|of| of.place.as_deref());
            let built = match place {
                Some(place) => from_given(&keeping(physical, place), given)?,
                None => from_given(physical, given)?,
            };
            Ok((built, together))
        }
        Source::Shuffled { by, input } => match by {
            ShuffleBy::Hash { keys: own, count } if own.iter().all(|key| keys.contains(key)) => {
                let built = from_given(physical, shuffle_all(by, input, context)?)?;
                Ok((built, Some(Together::of_units(*count))))
            }
            _ => whole(),
        },
        // Partitions that were kept.
        Source::Made { n_partitions, .. } => match &physical.scan.lies {
            Partitioning::Hash { keys: own, .. } if own.iter().all(|key| keys.contains(key)) => {
                let together = Together::of_units(*n_partitions);
                Ok((build(physical, context, CHUNK_BYTES)?, Some(together)))
            }
            _ => whole(),
        },
        _ => whole(),
    }
}

/// What the keys of groups are called where the rows of a pipeline come from; none
/// if one is not there as it is, if the order of rows changes an answer, or if text
/// may have other types than is known.
fn keys_in_front(fold: &Fold, physical: &Physical) -> Result<Option<Vec<String>>> {
    let (Fold::Groups { keys, .. }, true) = (fold, physical.ordered.is_empty()) else {
        return Ok(None);
    };
    let is_by_key = matches!(
        physical.scan.source,
        Source::Joined { .. } | Source::Shuffled { .. } | Source::Made { .. }
    );
    if keys.is_empty() || !is_by_key || widens(&physical.scan.source) {
        return Ok(None);
    }
    let ops::Fold::Groups(groups) = fold.bind(&*physical.output()?)? else {
        return Ok(None);
    };
    if !groups.is_order_free() {
        return Ok(None);
    }
    let keys = keys.iter().map(|key| before_steps(physical, key));
    keys.collect()
}

/// The same pipeline, from which a column of its source comes out, too.
fn keeping(physical: &Physical, column: &str) -> Physical {
    let mut keeping = physical.clone();
    if let Some(columns) = &mut keeping.scan.columns {
        columns.push(column.to_owned());
    }
    for step in &mut keeping.steps {
        if let Step::Project(Projection {
            rest: None,
            columns,
        }) = step
        {
            columns.push(Named {
                name: column.to_owned(),
                expr: col(column),
            });
        }
    }
    keeping
}
