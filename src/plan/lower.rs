//! From a logical plan to one pipeline.
//!
//! In:  an optimized chain.
//! Out: a scan, steps that any thread may do to any batch, steps that need
//!      input order, and the layout of what comes out.

use std::cell::Cell;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use super::estimate::Estimate;
use super::explode::exploded;
use super::fold::Fold;
use super::join::Join;
use super::logical::{Logical, Scan};
use super::merge_how::Side;
use super::sort::{Sort, SortInto};
use super::source::Source;
use super::unfused::unfused;
use super::ways::{Lowering, Way, Ways};
use super::window::{NamedWindow, windowed};
use crate::error::Result;
use crate::expr::{Expr, Projection};
use crate::partition::{By, Partitioning};
use crate::size::ByteSize;

/// One step of a pipeline.
#[derive(Debug, Clone)]
pub enum Step {
    /// Keeps rows for which this is true.
    Filter(Expr),
    /// Chooses, renames, leaves out and computes columns.
    Project(Projection),
    /// Makes a row of each item of these columns of lists.
    Explode(Vec<String>),
    /// Adds columns of windows over the rows so far. Needs input order.
    Window(Vec<NamedWindow>),
    /// Keeps the first rows. Needs input order.
    Limit(u64),
    /// Fails where rows are not sorted by this column. Needs input order.
    CheckSorted(String),
    /// Keeps rows whose number, by the seed and their place, lies in the share.
    /// Needs input order.
    Sample {
        /// Other seeds give other rows.
        seed: u64,
        /// The least number that is kept.
        from: f64,
        /// The least that is kept no more.
        to: f64,
    },
}

impl Step {
    /// The columns that come out of it, of those that go in.
    fn output(&self, schema: SchemaRef) -> Result<SchemaRef> {
        match self {
            Step::Project(projection) => projection.schema(&schema),
            Step::Explode(columns) => exploded(&schema, columns),
            Step::Window(windows) => windowed(&schema, windows),
            Step::Filter(_) | Step::Limit(_) | Step::CheckSorted(_) | Step::Sample { .. } => {
                Ok(schema)
            }
        }
    }
}

/// How the rows that come out lie in partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As they were read: a partition for each block of this many bytes of
    /// text. Small files share a block.
    Blocks(u64),
    /// Partitions of about this many logical bytes; the last may be smaller.
    Coalesce(u64),
    /// Partitions of about this many logical bytes: even ones where the bytes of
    /// all rows are known before the first comes out, else as [`Layout::Coalesce`].
    Even(u64),
    /// One for each file that is read.
    Files,
    /// As the source gives them.
    Given,
    /// As asked for.
    By(By),
}

/// A pipeline, ready to be built.
#[derive(Debug, Clone)]
pub struct Physical {
    /// What is read, with its own columns and predicate.
    pub scan: Scan,
    /// Done to each batch by any thread.
    pub steps: Vec<Step>,
    /// Done to each batch in input order.
    pub ordered: Vec<Step>,
    /// The layout of what comes out.
    pub layout: Layout,
    /// The column that rows are sorted by over all partitions, smallest first
    /// and nulls last, where that is known.
    pub sorted_by: Option<String>,
    /// Columns of text that come out, and that whoever takes the rows asks only
    /// which of them are equal: they may come as dictionaries, batch by batch.
    pub coded: Vec<String>,
    /// How work may be spared.
    pub ways: Ways,
    /// Tells it from the other pipelines of its plan: a report says by it what came of which.
    pub number: usize,
}

impl Physical {
    /// The columns that come out, as far as they are known before text is read.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] if a step names an unknown column, or types do not meet.
    pub(crate) fn output(&self) -> Result<SchemaRef> {
        let steps = self.steps.iter().chain(&self.ordered);
        steps.fold(self.scan.output(), |schema, step| step.output(schema?))
    }

    /// Whether the rows that come out, and their bytes, are counted before the
    /// first one does: a stage in front has held them all.
    pub(crate) fn is_counted(&self) -> bool {
        let scan = &self.scan;
        matches!(scan.source, Source::Sorted { .. })
            && self.steps.is_empty()
            && self.ordered.is_empty()
            && scan.predicate.is_none()
            && scan.columns.is_none()
    }

    /// Whether fewer rows may come out than were read, as [`Logical::leaves_out`].
    pub(crate) fn leaves_out(&self) -> bool {
        let mut steps = self.steps.iter().chain(&self.ordered);
        let drops = |step: &Step| {
            matches!(
                step,
                Step::Filter(_) | Step::Limit(_) | Step::Sample { .. } | Step::Explode(_)
            )
        };
        self.scan.predicate.is_some() || steps.any(drops) || self.scan.source.leaves_out()
    }
}

/// Logical bytes per partition where nothing else decides (128 MiB).
pub(crate) const DEFAULT_BYTES: u64 = 128 << 20;

/// Lowers a plan. `blocksize` is that of the session, for sources that name none.
#[must_use]
pub fn lower(plan: Logical, blocksize: ByteSize) -> Physical {
    lower_without(plan, blocksize, &[])
}

/// The same without the ways to spare work of these names, see [`Way`]: rows and
/// their order are the same.
#[must_use]
pub fn lower_without(plan: Logical, blocksize: ByteSize, off: &[&str]) -> Physical {
    let (ways, numbers) = (Ways::without(off), Cell::new(0));
    let to = Lowering {
        blocksize,
        ways,
        numbers: &numbers,
    };
    stage(plan, to)
}

/// A plan as a pipeline that ends here: others read what comes out of it.
pub(super) fn stage(plan: Logical, to: Lowering<'_>) -> Physical {
    let sorted_by = match plan.partitioning() {
        Partitioning::Range { key } => Some(key),
        _ => None,
    };
    let physical = Physical {
        sorted_by,
        ..lower_node(plan, to)
    };
    ended(physical, to)
}

/// A pipeline to which no step is added any more.
fn ended(physical: Physical, to: Lowering<'_>) -> Physical {
    match to.ways.takes(Way::Fusion) {
        true => physical,
        false => unfused(physical, to),
    }
}

fn lower_node(plan: Logical, to: Lowering<'_>) -> Physical {
    match plan {
        Logical::Scan(scan) => scanned(*scan, to),
        Logical::Union { inputs, schema } => united(inputs, schema, to),
        Logical::Join { left, right, join } => joined(*left, *right, join, to),
        Logical::MapPartitions { input, map, schema } => {
            let estimate = Estimate {
                exact: false,
                ..input.estimate()
            };
            let input = Arc::new(stage(*input, to));
            given(Source::Mapped { map, input }, schema, estimate, to)
        }
        Logical::Partition { input, idx } => {
            let schema = columns_of(&input);
            let input = Arc::new(stage(*input, to));
            given(
                Source::Picked { idx, input },
                schema,
                Estimate::default(),
                to,
            )
        }
        Logical::Aggregate {
            input,
            fold,
            schema,
        } => folded(*input, fold, schema, to),
        Logical::Sort { input, sort } => sorted(*input, sort, to),
        Logical::Shuffle { input, by } => {
            let (schema, estimate) = (columns_of(&input), input.estimate());
            let input = Arc::new(stage(*input, to));
            given(Source::Shuffled { by, input }, schema, estimate, to)
        }
        Logical::Filter { input, predicate } => {
            with_step(lower_node(*input, to), Step::Filter(predicate))
        }
        Logical::Project { input, projection } => {
            with_step(lower_node(*input, to), Step::Project(projection))
        }
        Logical::Explode { input, columns } => {
            with_step(lower_node(*input, to), Step::Explode(columns))
        }
        Logical::Window { input, windows } => windows_over(*input, windows, to),
        Logical::Limit { input, rows } => in_order(lower_node(*input, to), [Step::Limit(rows)]),
        Logical::Sample {
            input,
            seed,
            from,
            to: end,
        } => {
            let to_end = Step::Sample {
                seed,
                from,
                to: end,
            };
            in_order(lower_node(*input, to), [to_end])
        }
        Logical::Repartition { input, by } => Physical {
            layout: Layout::By(by),
            ..lower_node(*input, to)
        },
        Logical::Coalesce { input, bytes } => Physical {
            layout: Layout::Coalesce(bytes),
            ..lower_node(*input, to)
        },
    }
}

/// The columns that come out, as far as they are known. Unknown ones were refused
/// when the plan was built.
fn columns_of(plan: &Logical) -> SchemaRef {
    let none = |_| Arc::new(Schema::empty());
    plan.schema().unwrap_or_else(none)
}

/// What is read, in the partitions in which it lies.
fn scanned(scan: Scan, to: Lowering<'_>) -> Physical {
    let layout = match &scan.source {
        Source::Text { options, .. } => {
            Layout::Blocks(options.blocksize.unwrap_or(to.blocksize).bytes())
        }
        // Part files of a sorted write are partitions with known bounds.
        Source::Columns { .. } if matches!(scan.lies, Partitioning::Range { .. }) => Layout::Files,
        Source::Columns { .. } | Source::Batches(_) => Layout::Coalesce(DEFAULT_BYTES),
        // Where partitions are as they were read, they were kept so.
        Source::Shared(shared) => match shared.lowered(to).layout {
            Layout::Coalesce(bytes) | Layout::Even(bytes) => Layout::Coalesce(bytes),
            _ => Layout::Given,
        },
        Source::Made { .. }
        | Source::Mapped { .. }
        | Source::Folded { .. }
        | Source::Sorted { .. }
        | Source::Ahead { .. }
        | Source::Shuffled { .. }
        | Source::Picked { .. }
        | Source::Joined { .. }
        | Source::Union(_) => Layout::Given,
    };
    Physical {
        scan,
        steps: Vec::new(),
        ordered: Vec::new(),
        layout,
        sorted_by: None,
        coded: Vec::new(),
        ways: to.ways,
        number: to.next_number(),
    }
}

/// A stage of the rows of several inputs.
fn united(inputs: Vec<Logical>, schema: SchemaRef, to: Lowering<'_>) -> Physical {
    let estimates = inputs.iter().map(Logical::estimate);
    let estimate = estimates.reduce(Estimate::and).unwrap_or_default();
    let lowered = inputs.into_iter().map(|input| {
        let columns = columns_of(&input);
        (Arc::new(stage(input, to)), columns)
    });
    given(Source::Union(lowered.collect()), schema, estimate, to)
}

/// A stage of what all rows are folded into.
fn folded(input: Logical, fold: Fold, schema: SchemaRef, to: Lowering<'_>) -> Physical {
    let input = Arc::new(Physical {
        coded: fold.coded(),
        ..stage(input, to)
    });
    Physical {
        // A few rows, or many groups: how many shows only at the end.
        layout: Layout::Coalesce(DEFAULT_BYTES),
        ..given(
            Source::Folded { fold, input },
            schema,
            Estimate::default(),
            to,
        )
    }
}

/// A stage of sorted rows; of rows that are said to be sorted, a step that checks it.
fn sorted(input: Logical, sort: Sort, to: Lowering<'_>) -> Physical {
    let layout = match sort.into {
        SortInto::Given => {
            let checks = sort.by.into_iter().map(|by| Step::CheckSorted(by.column));
            return in_order(lower_node(input, to), checks);
        }
        SortInto::Any => Layout::Even(DEFAULT_BYTES),
        SortInto::Keys(_) => Layout::Given,
    };
    let (schema, estimate) = (columns_of(&input), input.estimate());
    let input = Arc::new(stage(input, to));
    Physical {
        layout,
        ..given(Source::Sorted { sort, input }, schema, estimate, to)
    }
}

/// Windows over rows so far as a step; those that look at rows behind as a stage
/// behind it, laid out as its rows were where somebody asked for that.
fn windows_over(input: Logical, windows: Vec<NamedWindow>, to: Lowering<'_>) -> Physical {
    let (columns, estimate) = (columns_of(&input), input.estimate());
    let (ahead, along): (Vec<_>, Vec<_>) = windows
        .into_iter()
        .partition(|(_, window)| window.looks_ahead());
    let mut physical = lower_node(input, to);
    let columns = windowed(&columns, &along).unwrap_or(columns);
    if !along.is_empty() {
        physical.ordered.push(Step::Window(along));
    }
    if ahead.is_empty() {
        return physical;
    }
    let schema = windowed(&columns, &ahead).unwrap_or(columns);
    let layout = asked_layout(physical.layout);
    let source = Source::Ahead {
        windows: ahead,
        input: Arc::new(ended(physical, to)),
    };
    Physical {
        layout,
        ..given(source, schema, estimate, to)
    }
}

/// How a stage is laid out that takes the place of rows laid out so: those
/// partitions end where rows were read, unless somebody asked for them.
fn asked_layout(layout: Layout) -> Layout {
    match layout {
        Layout::By(by) => Layout::By(by),
        Layout::Coalesce(bytes) => Layout::Coalesce(bytes),
        Layout::Blocks(_) | Layout::Files | Layout::Given | Layout::Even(_) => {
            Layout::Coalesce(DEFAULT_BYTES)
        }
    }
}

/// A stage of joined rows. It is laid out as the frame was whose order it has,
/// where somebody asked for that.
fn joined(left: Logical, right: Logical, join: Join, to: Lowering<'_>) -> Physical {
    let estimate = Estimate::default();
    let way = join.way(&left, &right, to.ways);
    let schema = join.schema(&columns_of(&left), &columns_of(&right));
    let schema = schema.unwrap_or_else(|_| Arc::new(Schema::empty()));
    let (left, right) = (stage(left, to), stage(right, to));
    let asked = match join.how.probe().0 {
        Side::Left => left.layout,
        Side::Right => right.layout,
    };
    let source = Source::Joined {
        join: Arc::new(join),
        left: Arc::new(left),
        right: Arc::new(right),
        way,
    };
    Physical {
        layout: asked_layout(asked),
        ..given(source, schema, estimate, to)
    }
}

/// A stage whose source gives it its partitions.
pub(super) fn given(
    source: Source,
    schema: SchemaRef,
    estimate: Estimate,
    to: Lowering<'_>,
) -> Physical {
    Physical {
        scan: Scan {
            source,
            schema,
            columns: None,
            predicate: None,
            estimate,
            lies: Partitioning::Unknown,
        },
        steps: Vec::new(),
        ordered: Vec::new(),
        layout: Layout::Given,
        sorted_by: None,
        coded: Vec::new(),
        ways: to.ways,
        number: to.next_number(),
    }
}

/// Adds steps that need input order.
fn in_order(mut physical: Physical, steps: impl IntoIterator<Item = Step>) -> Physical {
    physical.ordered.extend(steps);
    physical
}

/// Adds a step that needs no order: to any thread's, unless an ordered one came before it.
fn with_step(mut physical: Physical, step: Step) -> Physical {
    if physical.ordered.is_empty() {
        physical.steps.push(step);
    } else {
        physical.ordered.push(step);
    }
    physical
}
