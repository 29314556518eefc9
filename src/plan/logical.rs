//! The calls that were made, as a chain of nodes.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use super::estimate::Estimate;
use super::explode::exploded;
use super::fold::{Fold, TopCall};
use super::join::Join;
use super::local::{Local, Map};
use super::shuffle::ShuffleBy;
use super::sort::{Sort, SortInto, range_of};
use super::source::Source;
use super::window::{NamedWindow, looks_ahead, windowed};
use crate::error::Result;
use crate::expr::{Expr, Projection};
use crate::partition::{By, Partitioning};

/// A source with what has been pushed into it.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Where rows come from.
    pub source: Source,
    /// Its columns: all of them for column files, those of a first look for text.
    pub schema: SchemaRef,
    /// The columns that are built, in this order. `None`: all there are.
    pub columns: Option<Vec<String>>,
    /// Only rows for which this is true are built.
    pub predicate: Option<Expr>,
    /// Of the whole source, without columns and predicate.
    pub estimate: Estimate,
    /// How its rows lie: sorted, where a manifest says so and the bounds of its files
    /// agree; and as they lay before, where they were kept.
    pub lies: Partitioning,
}

impl Scan {
    /// Columns that come out.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] if one of `columns` is unknown.
    pub fn output(&self) -> Result<SchemaRef> {
        match &self.columns {
            Some(columns) => project(&self.schema, columns),
            None => Ok(Arc::clone(&self.schema)),
        }
    }
}

/// A plan: a chain of calls on a scan.
#[derive(Debug, Clone)]
pub enum Logical {
    /// Reads a source.
    Scan(Box<Scan>),
    /// Rows for which the predicate is true.
    Filter {
        /// Rows come from here.
        input: Box<Logical>,
        /// True, false or null for each row.
        predicate: Expr,
    },
    /// Columns chosen, renamed, left out, computed.
    Project {
        /// Rows come from here.
        input: Box<Logical>,
        /// Which.
        projection: Projection,
    },
    /// The same rows in other partitions.
    Repartition {
        /// Rows come from here.
        input: Box<Logical>,
        /// The layout asked for.
        by: By,
    },
    /// The same rows, in partitions that end once they have about this many bytes.
    Coalesce {
        /// Rows come from here.
        input: Box<Logical>,
        /// Logical bytes of Arrow data per partition.
        bytes: u64,
    },
    /// The rows whose number, by the seed and their place, lies in a share.
    Sample {
        /// Rows come from here.
        input: Box<Logical>,
        /// Other seeds give other rows.
        seed: u64,
        /// Numbers go from 0 to 1; this is the least that is kept.
        from: f64,
        /// The least that is kept no more.
        to: f64,
    },
    /// What a function makes of each partition. It cannot leave this process.
    MapPartitions {
        /// Partitions come from here.
        input: Box<Logical>,
        /// Makes rows of one.
        map: Local<Map>,
        /// The columns that it has declared.
        schema: SchemaRef,
    },
    /// A row for each item of lists, side by side.
    Explode {
        /// Rows come from here.
        input: Box<Logical>,
        /// The columns of lists, which become columns of items.
        columns: Vec<String>,
    },
    /// The same rows with columns of windows over them.
    Window {
        /// Rows come from here.
        input: Box<Logical>,
        /// What is added, with the names of the columns.
        windows: Vec<NamedWindow>,
    },
    /// One of the partitions.
    Partition {
        /// Partitions come from here.
        input: Box<Logical>,
        /// Its place among them, from 0.
        idx: usize,
    },
    /// All rows folded into a few, which are one partition.
    Aggregate {
        /// Rows come from here.
        input: Box<Logical>,
        /// What is made of them.
        fold: Fold,
        /// The columns that come out, as known before reading.
        schema: SchemaRef,
    },
    /// Rows of two inputs beside each other, by key.
    Join {
        /// The frame that was merged.
        left: Box<Logical>,
        /// The frame that it was merged with.
        right: Box<Logical>,
        /// Keys, rows and columns.
        join: Join,
    },
    /// All rows in another order.
    Sort {
        /// Rows come from here.
        input: Box<Logical>,
        /// Which order.
        sort: Sort,
    },
    /// The same rows in partitions by key.
    Shuffle {
        /// Rows come from here.
        input: Box<Logical>,
        /// Which partition each goes to.
        by: ShuffleBy,
    },
    /// The rows of several inputs, one behind the other, their columns by name.
    Union {
        /// In this order.
        inputs: Vec<Logical>,
        /// The columns of all.
        schema: SchemaRef,
    },
    /// The first rows, in input order.
    Limit {
        /// Rows come from here.
        input: Box<Logical>,
        /// How many.
        rows: u64,
    },
}

impl Logical {
    /// The nodes that this one reads from, in order.
    pub fn inputs(&self) -> Vec<&Logical> {
        match self {
            Logical::Union { inputs, .. } => inputs.iter().collect(),
            Logical::Join { left, right, .. } => vec![left, right],
            other => other.input().into_iter().collect(),
        }
    }

    /// The one node that this one reads from, if it is one.
    pub fn input(&self) -> Option<&Logical> {
        match self {
            Logical::Scan(_) | Logical::Union { .. } | Logical::Join { .. } => None,
            Logical::Filter { input, .. }
            | Logical::Project { input, .. }
            | Logical::Repartition { input, .. }
            | Logical::Coalesce { input, .. }
            | Logical::Sample { input, .. }
            | Logical::MapPartitions { input, .. }
            | Logical::Explode { input, .. }
            | Logical::Window { input, .. }
            | Logical::Partition { input, .. }
            | Logical::Aggregate { input, .. }
            | Logical::Sort { input, .. }
            | Logical::Shuffle { input, .. }
            | Logical::Limit { input, .. } => Some(input),
        }
    }

    /// The same node on what `change` makes of its one input. A scan stays as it
    /// is, and so do a union and a join, whose inputs are plans of their own.
    #[must_use]
    pub fn map_input(self, change: impl FnOnce(Logical) -> Logical) -> Logical {
        let changed = |input: Box<Logical>| Box::new(change(*input));
        match self {
            Logical::Scan(_) | Logical::Union { .. } | Logical::Join { .. } => self,
            Logical::Filter { input, predicate } => Logical::Filter {
                input: changed(input),
                predicate,
            },
            Logical::Project { input, projection } => Logical::Project {
                input: changed(input),
                projection,
            },
            Logical::Repartition { input, by } => Logical::Repartition {
                input: changed(input),
                by,
            },
            Logical::Coalesce { input, bytes } => Logical::Coalesce {
                input: changed(input),
                bytes,
            },
            Logical::Sample {
                input,
                seed,
                from,
                to,
            } => Logical::Sample {
                input: changed(input),
                seed,
                from,
                to,
            },
            Logical::MapPartitions { input, map, schema } => Logical::MapPartitions {
                input: changed(input),
                map,
                schema,
            },
            Logical::Explode { input, columns } => Logical::Explode {
                input: changed(input),
                columns,
            },
            Logical::Window { input, windows } => Logical::Window {
                input: changed(input),
                windows,
            },
            Logical::Partition { input, idx } => Logical::Partition {
                input: changed(input),
                idx,
            },
            Logical::Aggregate {
                input,
                fold,
                schema,
            } => Logical::Aggregate {
                input: changed(input),
                fold,
                schema,
            },
            Logical::Sort { input, sort } => Logical::Sort {
                input: changed(input),
                sort,
            },
            Logical::Shuffle { input, by } => Logical::Shuffle {
                input: changed(input),
                by,
            },
            Logical::Limit { input, rows } => Logical::Limit {
                input: changed(input),
                rows,
            },
        }
    }

    /// Applies `change` to every node, inputs first.
    #[must_use]
    pub fn rewrite(self, change: &dyn Fn(Logical) -> Logical) -> Logical {
        change(self.map_inputs(&|input| input.rewrite(change)))
    }

    /// The same node on what `change` makes of each of its inputs.
    #[must_use]
    pub fn map_inputs(self, change: &dyn Fn(Logical) -> Logical) -> Logical {
        match self {
            Logical::Union { inputs, schema } => Logical::Union {
                inputs: inputs.into_iter().map(change).collect(),
                schema,
            },
            Logical::Join { left, right, join } => Logical::Join {
                left: Box::new(change(*left)),
                right: Box::new(change(*right)),
                join,
            },
            other => other.map_input(change),
        }
    }

    /// The scans at the plan's feet, in order.
    pub fn scans(&self) -> Vec<&Scan> {
        match self {
            Logical::Scan(scan) => vec![scan],
            other => other
                .inputs()
                .into_iter()
                .flat_map(Logical::scans)
                .collect(),
        }
    }

    /// Whether the columns that come out are known only once all is read.
    pub fn widens(&self) -> bool {
        match self {
            Logical::Scan(scan) => match &scan.source {
                Source::Shared(shared) => shared.plan.widens(),
                source => matches!(source, Source::Text { .. }),
            },
            Logical::MapPartitions { .. } => false,
            other => other.inputs().into_iter().any(Logical::widens),
        }
    }

    /// Whether the first rows come out before all were read.
    pub fn streams(&self) -> bool {
        match self {
            Logical::Aggregate { .. } | Logical::Join { .. } | Logical::Shuffle { .. } => false,
            Logical::Sort { sort, .. } => sort.into == SortInto::Given,
            Logical::Window { windows, .. } if looks_ahead(windows) => false,
            other => other.inputs().into_iter().all(Logical::streams),
        }
    }

    /// Whether fewer rows may come out than were read: then the keys of those are
    /// most likely fewer, too.
    pub(crate) fn leaves_out(&self) -> bool {
        match self {
            Logical::Scan(scan) => scan.predicate.is_some() || scan.source.leaves_out(),
            Logical::Filter { .. }
            | Logical::Limit { .. }
            | Logical::Sample { .. }
            | Logical::Partition { .. }
            | Logical::MapPartitions { .. }
            | Logical::Explode { .. } => true,
            Logical::Aggregate { input, fold, .. } => {
                !matches!(fold, Fold::Groups { .. }) || input.leaves_out()
            }
            other => other.inputs().into_iter().any(Logical::leaves_out),
        }
    }

    /// Columns that come out. Text may bring more than a first look showed.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Plan`] if a step names an unknown column, or types do not meet.
    pub fn schema(&self) -> Result<SchemaRef> {
        match self {
            Logical::Scan(scan) => scan.output(),
            Logical::Project { input, projection } => projection.schema(&*input.schema()?),
            Logical::Explode { input, columns } => exploded(&*input.schema()?, columns),
            Logical::Window { input, windows } => windowed(&*input.schema()?, windows),
            Logical::MapPartitions { schema, .. }
            | Logical::Union { schema, .. }
            | Logical::Aggregate { schema, .. } => Ok(Arc::clone(schema)),
            Logical::Join { left, right, join } => join.schema(&*left.schema()?, &*right.schema()?),
            Logical::Filter { input, .. }
            | Logical::Repartition { input, .. }
            | Logical::Coalesce { input, .. }
            | Logical::Sample { input, .. }
            | Logical::Partition { input, .. }
            | Logical::Sort { input, .. }
            | Logical::Shuffle { input, .. }
            | Logical::Limit { input, .. } => input.schema(),
        }
    }

    /// How rows lie. What is known of a column follows it to its new name.
    pub fn partitioning(&self) -> Partitioning {
        match self {
            Logical::Aggregate {
                fold: Fold::TopRows { by, call, .. },
                ..
            } => match call {
                TopCall::Sorted => range_of(by).unwrap_or(Partitioning::Single),
                TopCall::Largest | TopCall::Smallest => Partitioning::Single,
            },
            Logical::Partition { .. }
            | Logical::Aggregate {
                fold: Fold::Describe { .. },
                ..
            } => Partitioning::Single,
            // Sorted rows are cut elsewhere, and stay sorted.
            Logical::Repartition { input, by } => match (input.partitioning(), by) {
                (range @ Partitioning::Range { .. }, _) => range,
                (_, By::Count(1)) => Partitioning::Single,
                _ => Partitioning::Unknown,
            },
            Logical::Coalesce { input, .. } => match input.partitioning() {
                range @ Partitioning::Range { .. } => range,
                _ => Partitioning::Unknown,
            },
            Logical::Sort { sort, .. } => sort.partitioning(),
            Logical::Shuffle { by, .. } => by.partitioning(),
            Logical::Aggregate { .. } | Logical::MapPartitions { .. } | Logical::Union { .. } => {
                Partitioning::Unknown
            }
            Logical::Join { left, right, join } => join.partitioning(left, right),
            Logical::Scan(scan) => match scan.output() {
                Ok(schema) => scan.lies.clone().renamed(|name| {
                    let is_there = schema.column_with_name(name).is_some();
                    is_there.then(|| name.to_owned())
                }),
                Err(_) => Partitioning::Unknown,
            },
            Logical::Project { input, projection } => match input.schema() {
                Ok(schema) => input
                    .partitioning()
                    .renamed(|name| projection.follow(name, &schema)),
                Err(_) => Partitioning::Unknown,
            },
            // What was known of a column of lists says nothing of their items.
            Logical::Explode { input, columns } => input
                .partitioning()
                .renamed(|name| (!columns.iter().any(|own| own == name)).then(|| name.to_owned())),
            // Rows that are held until all came lie anew.
            Logical::Window { input, windows } => match input.partitioning() {
                Partitioning::Hash { .. } if looks_ahead(windows) => Partitioning::Unknown,
                // What was known of a column says nothing of one that takes its place.
                known => known.renamed(|name| {
                    (!windows.iter().any(|(own, _)| own == name)).then(|| name.to_owned())
                }),
            },
            Logical::Filter { input, .. }
            | Logical::Sample { input, .. }
            | Logical::Limit { input, .. } => input.partitioning(),
        }
    }
}

/// The named fields, in the order of the names.
fn project(schema: &SchemaRef, columns: &[String]) -> Result<SchemaRef> {
    let fields = columns
        .iter()
        .map(|name| match schema.column_with_name(name) {
            Some((_, field)) => Ok(field.clone()),
            None => Err(crate::expr::unknown_column(name, schema)),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}
