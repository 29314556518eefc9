//! From a physical plan to operators: the one bridge.
//!
//! In:  a pipeline of steps.
//! Out: units to read, workers, steps in order, the schema to start from.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::columns;
use super::rejects::Rejects;
use super::run::Context;
use super::schema::RunSchema;
use super::sequence::{BadPolicy, Ordered};
use super::source::{Units, memory_unit, text_units};
use super::worker::WorkerPlan;
use crate::error::Result;
use crate::expr::BoundExpr;
use crate::io::json::{DecodeOptions, RowPredicate, SchemaMode};
use crate::io::{self, TextOptions};
use crate::plan::{Layout, OnBadRecord, Physical, Source, Step};

/// A pipeline's parts, built.
pub(super) struct Built {
    pub units: Units,
    pub workers: WorkerPlan,
    pub schema: RunSchema,
    pub ordered: Vec<Ordered>,
    pub bad: BadPolicy,
    pub layout: Layout,
    /// Rows that will come out, where they are known before reading.
    pub known_rows: Option<u64>,
}

/// Builds a pipeline: opens lists, binds expressions, stages a rejects file.
pub(super) fn build(physical: &Physical, context: &Context, chunk_bytes: usize) -> Result<Built> {
    let scan = &physical.scan;
    let mut columns = scan.columns.clone();
    let mut filters = Vec::new();
    for step in &physical.steps {
        match step {
            Step::Filter(predicate) => filters.push(predicate.bind(&scan.schema)?),
            // Filters find their columns by name, so that columns may be left out last.
            Step::Select(names) => columns = Some(names.clone()),
            Step::Limit(_) => unreachable!("a limit needs input order"),
        }
    }
    let mut ordered = Vec::new();
    for step in &physical.ordered {
        match step {
            Step::Filter(predicate) => {
                ordered.push(Ordered::filter(predicate.bind(&scan.schema)?));
            }
            Step::Limit(rows) => ordered.push(Ordered::limit(*rows)),
            Step::Select(names) => columns = Some(names.clone()),
        }
    }
    let predicate = match &scan.predicate {
        Some(predicate) => Some(predicate.bind(&scan.schema)?),
        None => None,
    };
    let filtered = predicate.is_some()
        || !filters.is_empty()
        || physical
            .ordered
            .iter()
            .any(|step| !matches!(step, Step::Select(_)));

    // Columns that must be built: those that come out, and those that filters
    // which could not be pushed down look at.
    let built = columns.as_ref().map(|columns| {
        let mut built = columns.clone();
        let late = physical.steps.iter().chain(&physical.ordered);
        for step in late {
            if let Step::Filter(predicate) = step
                && let Ok(bound) = predicate.bind(&scan.schema)
            {
                built.extend(bound.root_columns().iter().cloned());
            }
        }
        built
    });
    let (units, schema, workers, bad, known_rows) = match &scan.source {
        Source::Json {
            inputs,
            options,
            look,
        } => {
            let path_column = options.include_path.as_deref();
            // The decoder does not know the path: a filter on it comes after.
            let on_path = |bound: &BoundExpr| {
                path_column.is_some_and(|path| bound.root_columns().iter().any(|name| name == path))
            };
            let (predicate, late) = match predicate {
                Some(bound) if on_path(&bound) => (None, Some(bound)),
                other => (other, None),
            };
            let mut built = built;
            if let (Some(built), Some(late)) = (&mut built, &late) {
                built.extend(late.root_columns().iter().cloned());
            }
            filters.splice(0..0, late);
            let decoded = built.map(|mut built| {
                built.retain(|name| Some(name.as_str()) != path_column);
                built
            });
            let start = match &decoded {
                Some(decoded) => look.head.merge(&look.spread).project(decoded),
                None => look.head.clone(),
            };
            let text = TextOptions {
                chunk_bytes,
                blocksize: match physical.layout {
                    Layout::Blocks(bytes) => bytes,
                    _ => u64::MAX,
                },
                max_record_bytes: options.max_record.bytes(),
                salvage: options.salvage,
            };
            let rejects = match (&options.on_bad_record, &options.rejects) {
                (OnBadRecord::Reject, Some(path)) => Some(Rejects::create(path)?),
                _ => None,
            };
            let workers = WorkerPlan {
                decode: Arc::new(DecodeOptions {
                    columns: decoded,
                    mode: options.schema_mode,
                    keep_bad: options.on_bad_record != OnBadRecord::Fail,
                    max_depth: options.max_depth,
                }),
                predicate: predicate
                    .map(|bound| Arc::new(Pushed::new(bound)) as Arc<dyn RowPredicate>),
                filters,
                keep_raw: rejects.is_some(),
            };
            let bad = BadPolicy {
                on_bad: options.on_bad_record,
                rejects,
                max: options.max_rejects,
            };
            let files = io::list(inputs)?;
            (
                text_units(files, text, &context.cancel),
                RunSchema::json(start, path_column),
                workers,
                bad,
                None,
            )
        }
        Source::Columns { inputs, format } => {
            filters.splice(0..0, predicate);
            let units = columns::units(inputs, *format, &scan.schema, built.as_deref())?;
            let schema = columns::read_schema(&scan.schema, built.as_deref())?;
            let known = (scan.estimate.exact && !filtered).then_some(scan.estimate.rows);
            (
                units,
                RunSchema::fixed(schema),
                batch_workers(filters),
                no_bad(),
                known,
            )
        }
        Source::Batches(batches) => {
            filters.splice(0..0, predicate);
            let known = (!filtered).then_some(scan.estimate.rows);
            (
                memory_unit(batches),
                RunSchema::fixed(Arc::clone(&scan.schema)),
                batch_workers(filters),
                no_bad(),
                known,
            )
        }
    };
    Ok(Built {
        units,
        workers,
        schema: schema.with_columns(columns),
        ordered,
        bad,
        layout: physical.layout,
        known_rows,
    })
}

/// A filter that the decoder evaluates on the columns it looks at.
struct Pushed {
    bound: BoundExpr,
    columns: Vec<String>,
}

impl Pushed {
    fn new(bound: BoundExpr) -> Self {
        Pushed {
            columns: bound.root_columns().to_vec(),
            bound,
        }
    }
}

impl RowPredicate for Pushed {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn mask(&self, batch: &RecordBatch) -> Result<arrow_array::BooleanArray> {
        self.bound.mask(batch)
    }
}

pub(super) fn batch_workers(filters: Vec<BoundExpr>) -> WorkerPlan {
    WorkerPlan {
        decode: Arc::new(DecodeOptions {
            columns: None,
            mode: SchemaMode::Widen,
            keep_bad: false,
            max_depth: 0,
        }),
        predicate: None,
        filters,
        keep_raw: false,
    }
}

pub(super) fn no_bad() -> BadPolicy {
    BadPolicy {
        on_bad: OnBadRecord::Fail,
        rejects: None,
        max: None,
    }
}
