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
//! which order groups first appear. Where aggregates look at the order of rows, those
//! of a key have to come in their order, which buckets that are joined in one go give:
//! rows whose key is null are cut to one of these then, and do not lie all over.
//! Which row a step fails on first shows in input order only: then all is read once
//! more the other way, or, where that cannot be, rows are brought together as ever.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::bind::Steps;
use super::build::{Built, build, from_given};
use super::context::Context;
use super::join::{before_steps, join_by_key, projections};
use super::run::CHUNK_BYTES;
use super::scheduler::unit_of;
use super::shuffled::shuffle_all;
use crate::error::{Error, Result};
use crate::expr::{Named, Projection, col, roots};
use crate::ops;
use crate::partition::Partitioning;
use crate::plan::{Fold, Join, Physical, ShuffleBy, Source, Step, Way};

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

/// How rows may come that lie together by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByKey {
    /// In any order.
    AnyOrder,
    /// Those of one key in their order.
    InOrder,
}

/// Tells whether joined rows may come by key, by the columns that both sides have.
pub(super) type MayComeByKey<'a> = &'a dyn Fn(&SchemaRef, &SchemaRef) -> Result<Option<ByKey>>;

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
    let Fold::Groups { keys, .. } = fold else {
        return whole();
    };
    let takes = physical.ways.takes(Way::GroupsTogether);
    if !takes || keys.is_empty() || !physical.ordered.is_empty() {
        return whole();
    }
    match &physical.scan.source {
        Source::Joined {
            join,
            left,
            right,
            way,
        } => {
            let may = |of_left: &SchemaRef, of_right: &SchemaRef| {
                by_key(fold, physical, join, (of_left, of_right))
            };
            let sides = (left, right);
            let (given, together) = join_by_key(join, sides, (way, physical.ways), &may, context)?;
            let place = together.as_ref().and_then(|of| of.place.as_deref());
            let built = match place {
                Some(place) => from_given(&keeping(physical, place), given)?,
                None => from_given(physical, given)?,
            };
            Ok((built, together))
        }
        Source::Shuffled { by, input } => match by {
            ShuffleBy::Hash { keys: own, count } => {
                let given = shuffle_all(by, input, context)?;
                let keys = keys_in_front(keys, &with_columns(physical, &given.schema))?;
                let built = from_given(physical, given)?;
                let lie_together = own.iter().all(|key| keys.contains(key));
                Ok((built, lie_together.then(|| Together::of_units(*count))))
            }
            ShuffleBy::Divisions { .. } => whole(),
        },
        // Partitions that were kept.
        Source::Made { n_partitions, .. } => match &physical.scan.lies {
            Partitioning::Hash { keys: own, .. }
                if keys_in_front(keys, physical)?.is_superset(&own.iter().cloned().collect()) =>
            {
                let together = Together::of_units(*n_partitions);
                Ok((build(physical, context, CHUNK_BYTES)?, Some(together)))
            }
            _ => whole(),
        },
        _ => whole(),
    }
}

/// Whether rows that are joined by key may be grouped as they come, where the sides
/// have these columns.
fn by_key(
    fold: &Fold,
    physical: &Physical,
    join: &Join,
    (left, right): (&SchemaRef, &SchemaRef),
) -> Result<Option<ByKey>> {
    let Fold::Groups { keys, .. } = fold else {
        return Ok(None);
    };
    let join = join.with_late(left, right)?;
    let physical = with_columns(physical, &join.schema(left, right)?);
    let in_front = keys_in_front(keys, &physical)?;
    if !join.brings_together(&in_front, left, right) || !are_of_one_place(keys, &join, &physical)? {
        return Ok(None);
    }
    if Steps::bind(&physical, false)?.read.may_fail() && !reads_again(&physical) {
        return Ok(None);
    }
    let ops::Fold::Groups(groups) = fold.bind(&*physical.output()?)? else {
        return Ok(None);
    };
    Ok(Some(match groups.is_order_free() {
        true => ByKey::AnyOrder,
        false => ByKey::InOrder,
    }))
}

/// Whether joined rows of one place are all of one group: nothing tells groups of one
/// place apart that came in another order.
fn are_of_one_place(keys: &[String], join: &Join, physical: &Physical) -> Result<bool> {
    let made_of = made_of(keys, physical)?;
    Ok(made_of.is_some_and(|of| of.iter().all(|column| join.is_of_probe(column))))
}

/// The columns in front of the steps of a pipeline that these are made of, if each row
/// comes out once at most.
fn made_of(columns: &[String], physical: &Physical) -> Result<Option<BTreeSet<String>>> {
    let Some(passed) = projections(physical)? else {
        return Ok(None);
    };
    let mut made_of: BTreeSet<String> = columns.iter().cloned().collect();
    for (projection, before) in passed.into_iter().rev() {
        let mut of = BTreeSet::new();
        for name in &made_of {
            match projection
                .columns
                .iter()
                .find(|column| column.name == *name)
            {
                Some(column) => of.extend(roots(&column.expr, &before)),
                None => of.extend(projection.source(name, &before).map(str::to_owned)),
            }
        }
        made_of = of;
    }
    Ok(Some(made_of))
}

/// The same pipeline, whose source turned out to have these columns.
fn with_columns(physical: &Physical, columns: &SchemaRef) -> Physical {
    let mut late = physical.clone();
    late.scan.schema = Arc::clone(columns);
    late
}

/// What the keys of groups are called where the rows of a pipeline come from, those
/// that are there as they are. Rows that lie together by some keys do so by more.
fn keys_in_front(keys: &[String], physical: &Physical) -> Result<BTreeSet<String>> {
    let mut in_front = BTreeSet::new();
    for key in keys {
        in_front.extend(before_steps(physical, key)?);
    }
    Ok(in_front)
}

/// Whether all rows of a pipeline can be read a second time, and are the same then.
pub(super) fn reads_again(physical: &Physical) -> bool {
    match &physical.scan.source {
        Source::Columns { .. } | Source::Batches(_) => true,
        Source::Joined { left, right, .. } => reads_again(left) && reads_again(right),
        Source::Folded { input, .. }
        | Source::Sorted { input, .. }
        | Source::Shuffled { input, .. }
        | Source::Ahead { input, .. }
        | Source::Picked { input, .. } => reads_again(input),
        Source::Union(inputs) => inputs.iter().all(|(input, _)| reads_again(input)),
        // Text may come from a pipe, and functions may be asked once; what is shared
        // is gone once all have read it.
        Source::Text { .. } | Source::Made { .. } | Source::Mapped { .. } | Source::Shared(_) => {
            false
        }
    }
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
