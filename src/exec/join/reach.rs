//! Rows that no held row can meet, left out before they are read.
//!
//! In:  one side, held; the pipeline of the other one.
//! Out: the same pipeline with a filter more: keys between the least and the
//!      largest of the held side, and whole numbers that are among its keys. A
//!      reader of Parquet passes over row groups and pages for it, and decodes
//!      other columns of those rows only that are left.
//!
//! Only where such rows would not come out, and where no step of the pipeline
//! may fail on one of them. The filter goes where the column comes from:
//!
//! ```text
//! held keys ─▶ filter ─▶ joined rows ─▶ the side that has the column, and the other one by its key
//!                     ─▶ groups      ─▶ the rows that are grouped by it
//!                     ─▶ sorted rows, partitions by key, frames one behind the other ─▶ their rows
//!                     ─▶ files       ─▶ the reader
//!                     ─▶ rows in memory, shared ones, … ─▶ a step in front of the next stage
//! ```
//!
//! Rows that several stages read are left out where one of them reads them: the others
//! may want them.

use std::sync::Arc;

use arrow_arith::aggregate::{max_string, min_string};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};

use crate::error::Result;
use crate::exec::bind::Steps;
use crate::exec::parts::widens;
use crate::expr::{Expr, KeySet, Projection, col, lit};
use crate::memory::Reservation;
use crate::plan::{ColumnOf, Fold, Join, MergeHow, Physical, ShuffleBy, Side, Source, Step};

/// Rows of one side of a join that are held.
pub(super) struct Held<'a> {
    /// What gave them.
    pub pipeline: &'a Physical,
    pub schema: &'a Schema,
    pub rows: &'a [RecordBatch],
}

/// A pipeline without rows that nobody will miss.
pub(super) struct Near {
    pub pipeline: Arc<Physical>,
    /// The keys by which rows are left out.
    by: Vec<String>,
    /// Of those the ones that are looked up one by one.
    pub asked: Vec<(String, Arc<KeySet>)>,
}

impl Near {
    /// A pipeline with all of its rows.
    pub fn all(pipeline: &Arc<Physical>) -> Self {
        Near {
            pipeline: Arc::clone(pipeline),
            by: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// What a report says of it, behind how the rows met.
    pub fn told(&self, of: Side) -> String {
        match self.by.is_empty() {
            true => String::new(),
            false => format!(
                "; {of} rows that meet none passed over by {}",
                self.by.join(", ")
            ),
        }
    }
}

/// The pipeline of one side of a join without rows that cannot meet one of the
/// held rows of the other. What is kept of keys counts in `reservation`.
///
/// # Errors
///
/// [`crate::Error::Plan`] if the pipeline cannot be bound.
pub(super) fn within_reach(
    streamed: &Arc<Physical>,
    (join, side): (&Join, Side),
    held: &Held<'_>,
    reservation: &mut Reservation,
) -> Result<Near> {
    let mut near = Near::all(streamed);
    if !join.how.needs_partner(side) || join.nulls_match || !leads_on(&streamed.scan.source) {
        return Ok(near);
    }
    // Else its keys are most likely all that there are.
    let chosen = held.pipeline.leaves_out();
    for (left, right) in &join.on {
        let (name, of_held) = match side {
            Side::Left => (left, right),
            Side::Right => (right, left),
        };
        let Some((idx, _)) = held.schema.column_with_name(of_held) else {
            continue;
        };
        let columns: Vec<&ArrayRef> = held.rows.iter().map(|batch| batch.column(idx)).collect();
        let Some(reach) = Reach::of(&columns, chosen, reservation) else {
            continue;
        };
        if let Some(narrowed) = narrowed(&near.pipeline, name, &reach, Ahead::Nothing)? {
            near.pipeline = narrowed;
            near.by.push(name.clone());
            if let Reach::Whole {
                keys: Some(keys), ..
            } = reach
            {
                near.asked.push((name.clone(), keys));
            }
        }
    }
    Ok(near)
}

/// What the keys of held rows say of those that may meet them.
enum Reach {
    /// There is none.
    Nothing,
    /// Whole numbers within bounds, or those of the keys.
    Whole {
        data_type: DataType,
        range: (i64, i64),
        keys: Option<Arc<KeySet>>,
    },
    /// Texts within bounds.
    Texts(String, String),
}

impl Reach {
    /// Of some keys; with a set of them where they were `chosen` among others and
    /// there is room. Nothing for keys of which bounds say little.
    fn of(columns: &[&ArrayRef], chosen: bool, reservation: &mut Reservation) -> Option<Self> {
        let Some(first) = columns.first() else {
            return Some(Reach::Nothing);
        };
        let data_type = first.data_type().clone();
        if columns.iter().any(|keys| *keys.data_type() != data_type) {
            return None;
        }
        if KeySet::takes(&data_type) {
            let Some(range) = KeySet::range_of(columns)? else {
                return Some(Reach::Nothing);
            };
            let n_rows = columns.iter().map(|keys| keys.len()).sum();
            let bytes = reservation.bytes() + KeySet::most_bytes(n_rows);
            let keys = match chosen && reservation.try_resize(bytes) {
                true => Some(Arc::new(KeySet::of(columns, range)?)),
                false => None,
            };
            return Some(Reach::Whole {
                data_type,
                range,
                keys,
            });
        }
        if data_type != DataType::Utf8 {
            return None;
        }
        let texts = || columns.iter().map(|keys| keys.as_string::<i32>());
        let low = texts().filter_map(min_string).min();
        let high = texts().filter_map(max_string).max();
        Some(match (low, high) {
            (Some(low), Some(high)) => Reach::Texts(low.to_owned(), high.to_owned()),
            _ => Reach::Nothing,
        })
    }

    /// Whether it tells single keys, or that there is none.
    fn is_narrow(&self) -> bool {
        match self {
            Reach::Nothing => true,
            Reach::Whole { keys, .. } => keys.is_some(),
            Reach::Texts(..) => false,
        }
    }

    /// The condition on a column of this name and type; none if its values are others.
    fn on(&self, name: &str, of: &DataType) -> Option<Expr> {
        match self {
            // There is no value that one could be equal to.
            Reach::Nothing => Some(lit(false)),
            Reach::Whole {
                data_type,
                range: (low, high),
                keys,
            } => {
                let whole = data_type.is_integer() && of.is_integer() && KeySet::takes(of);
                if !whole && of != data_type {
                    return None;
                }
                match keys {
                    Some(keys) => Some(Expr::AmongKeys {
                        expr: Box::new(col(name)),
                        keys: Arc::clone(keys),
                    }),
                    None => whole.then(|| col(name).ge(lit(*low)).and(col(name).le(lit(*high)))),
                }
            }
            Reach::Texts(low, high) => (*of == DataType::Utf8).then(|| {
                let low = col(name).ge(lit(low.as_str()));
                low.and(col(name).le(lit(high.as_str())))
            }),
        }
    }
}

/// What rows that are left out would have gone through before they met nobody.
#[derive(Clone, Copy, PartialEq)]
enum Ahead {
    /// The lookup by their key: that is as quick as a filter.
    Nothing,
    /// Another stage.
    Stage,
}

/// A pipeline without rows out of reach in the column `name` that comes out of
/// it; none if they cannot be left out sooner than they come out.
fn narrowed(
    pipeline: &Physical,
    name: &str,
    reach: &Reach,
    ahead: Ahead,
) -> Result<Option<Arc<Physical>>> {
    let stays = !pipeline.ordered.is_empty() || widens(&pipeline.scan.source);
    if stays || Steps::bind(pipeline, false)?.read.may_fail() {
        return Ok(None);
    }
    let schema = pipeline.output()?;
    let Some((_, field)) = schema.column_with_name(name) else {
        return Ok(None);
    };
    let Some(condition) = reach.on(name, field.data_type()) else {
        return Ok(None);
    };
    let source = &pipeline.scan.source;
    // Bounds that leave out little are not worth a column that is decoded sooner.
    let in_front = match is_stage(source) && reach.is_narrow() {
        true => before_steps(pipeline, name)?,
        false => None,
    };
    let in_front = match in_front {
        Some(name) => narrowed_source(source, &name, reach, ahead)?,
        None => None,
    };
    let mut narrowed = pipeline.clone();
    match in_front {
        Some(source) => narrowed.scan.source = source,
        None if is_columns(source) || ahead == Ahead::Stage && reach.is_narrow() => {
            narrowed.steps.push(Step::Filter(condition));
        }
        None => return Ok(None),
    }
    Ok(Some(Arc::new(narrowed)))
}

/// Whether rows may be left out before a join that is next to them.
fn leads_on(source: &Source) -> bool {
    is_columns(source) || is_stage(source)
}

fn is_columns(source: &Source) -> bool {
    matches!(source, Source::Columns { .. })
}

/// Whether rows come from a stage in front that may give fewer.
fn is_stage(source: &Source) -> bool {
    matches!(
        source,
        Source::Joined { .. }
            | Source::Folded { .. }
            | Source::Sorted { .. }
            | Source::Shuffled { .. }
            | Source::Union(_)
    )
}

/// What a column that comes out of a pipeline is called in front of its steps,
/// if it is there.
pub(in crate::exec) fn before_steps(pipeline: &Physical, name: &str) -> Result<Option<String>> {
    let Some(passed) = projections(pipeline)? else {
        return Ok(None);
    };
    let column = passed.iter().rev().try_fold(col(name), |column, before| {
        let (projection, input) = before;
        projection.before(&column, input)
    });
    Ok(match column {
        Some(Expr::Column(name)) => Some(name),
        _ => None,
    })
}

/// The projections that rows of a pipeline pass, each with the columns in front of it,
/// if each row comes out once at most.
pub(in crate::exec) fn projections(
    pipeline: &Physical,
) -> Result<Option<Vec<(&Projection, SchemaRef)>>> {
    let mut schema = pipeline.scan.output()?;
    let mut passed = Vec::new();
    for step in &pipeline.steps {
        match step {
            Step::Filter(_) => {}
            Step::Project(projection) => {
                let after = projection.schema(&schema)?;
                passed.push((projection, std::mem::replace(&mut schema, after)));
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(passed))
}

/// A stage in front of a pipeline without rows out of reach in one of its columns.
fn narrowed_source(
    source: &Source,
    name: &str,
    reach: &Reach,
    ahead: Ahead,
) -> Result<Option<Source>> {
    match source {
        // Groups are left out whole.
        Source::Folded {
            fold: fold @ Fold::Groups { keys, aggregates },
            input,
        } if keys.iter().any(|key| key == name)
            && !aggregates.iter().any(|(_, of)| of.may_fail()) =>
        {
            let input = narrowed(input, name, reach, Ahead::Stage)?;
            let fold = fold.clone();
            Ok(input.map(|input| Source::Folded { fold, input }))
        }
        // Rows that are left keep their order, and each its partition.
        Source::Sorted { sort, input } => {
            let input = narrowed(input, name, reach, Ahead::Stage)?;
            let sort = sort.clone();
            Ok(input.map(|input| Source::Sorted { sort, input }))
        }
        // Between divisions, a row may lie outside of all of them, which is an error.
        Source::Shuffled {
            by: by @ ShuffleBy::Hash { .. },
            input,
        } => {
            let input = narrowed(input, name, reach, Ahead::Stage)?;
            let by = by.clone();
            Ok(input.map(|input| Source::Shuffled { by, input }))
        }
        Source::Union(inputs) => {
            let mut any = false;
            let mut near = Vec::with_capacity(inputs.len());
            for (input, schema) in inputs {
                let narrowed = narrowed(input, name, reach, ahead)?;
                any |= narrowed.is_some();
                let input = narrowed.unwrap_or_else(|| Arc::clone(input));
                near.push((input, Arc::clone(schema)));
            }
            Ok(any.then_some(Source::Union(near)))
        }
        Source::Joined {
            join,
            left,
            right,
            way,
        } => {
            let (of_left, of_right) = on_sides(join, name);
            let side = |pipeline: &Arc<Physical>, name: Option<&str>| match name {
                Some(name) => narrowed(pipeline, name, reach, Ahead::Stage),
                None => Ok(None),
            };
            let (new_left, new_right) = (side(left, of_left)?, side(right, of_right)?);
            if new_left.is_none() && new_right.is_none() {
                return Ok(None);
            }
            Ok(Some(Source::Joined {
                join: Arc::clone(join),
                left: new_left.unwrap_or_else(|| Arc::clone(left)),
                right: new_right.unwrap_or_else(|| Arc::clone(right)),
                way: way.clone(),
            }))
        }
        _ => Ok(None),
    }
}

/// What a column of joined rows is called on each side whose rows may be left
/// out by it: where it stands, and where a key has to be equal to it.
fn on_sides<'a>(join: &'a Join, name: &str) -> (Option<&'a str>, Option<&'a str>) {
    let column = join.columns.iter().find(|(shown, _)| shown == name);
    let (Some((_, of)), None) = (column, &join.next_to) else {
        return (None, None);
    };
    let of_left = |wanted: &str| {
        let pair = join.on.iter().find(|(left, _)| left == wanted);
        pair.map(|(_, right)| right.as_str())
    };
    let of_right = |wanted: &str| {
        let pair = join.on.iter().find(|(_, right)| right == wanted);
        pair.map(|(left, _)| left.as_str())
    };
    match (join.how, of) {
        (MergeHow::Outer, _)
        | (MergeHow::Left, ColumnOf::Right(_))
        | (MergeHow::Right, ColumnOf::Left(_)) => (None, None),
        (_, ColumnOf::Left(name)) => (Some(name), of_left(name)),
        (_, ColumnOf::Right(name)) => (of_right(name), Some(name)),
        (_, ColumnOf::Both(name)) => (Some(name), Some(name)),
    }
}
