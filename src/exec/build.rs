//! From a physical plan to operators: the one bridge.
//!
//! In:  a pipeline of steps.
//! Out: units to read, workers, steps in order, the schema to start from.

use std::sync::Arc;

use super::columns;
use super::rejects::Rejects;
use super::run::Context;
use super::schema::RunSchema;
use super::sequence::{BadPolicy, Ordered};
use super::source::{Units, memory_unit, text_units};
use super::worker::WorkerPlan;
use crate::config::Settings;
use crate::error::Result;
use crate::expr::BoundExpr;
use crate::io::json::{DecodeOptions, JsonSchema, SchemaMode};
use crate::io::{self, TextOptions};
use crate::plan::{FileFormat, Layout, Look, OnBadRecord, Physical, ReadOptions, Source, Step};

/// The share of the budget that one record's text may take: its columns, and
/// the pages they are encoded to, take as much again, and text is read ahead.
const RECORD_SHARE: u64 = 8;

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
    /// Bytes that readers may hold of what they fetch ahead.
    pub ahead_bytes: u64,
}

/// Builds a pipeline: opens lists, binds expressions, stages a rejects file.
pub(super) fn build(physical: &Physical, context: &Context, chunk_bytes: usize) -> Result<Built> {
    let scan = &physical.scan;
    let steps = Steps::bind(physical)?;
    let ahead_bytes = reader_ahead(&context.settings);
    let read = match &scan.source {
        Source::Text {
            format,
            inputs,
            options,
            look,
        } => {
            let (max_record_bytes, limited_by) = longest_record(options, &context.settings);
            let text = TextOptions {
                chunk_bytes,
                blocksize: match physical.layout {
                    Layout::Blocks(bytes) => bytes,
                    _ => u64::MAX,
                },
                max_record_bytes,
                limited_by,
                pass_long: options.on_bad_record != OnBadRecord::Fail,
                salvage: options.salvage,
                ahead_bytes,
            };
            let framing = options.framing(*format);
            let units = text_units(io::list(inputs)?, text, framing, &context.cancel);
            read_text(units, *format, options, look, steps.read, steps.asks_places)?
        }
        Source::Columns { inputs, format } => {
            let built = steps.read.columns.as_deref();
            Read {
                units: columns::units(
                    inputs,
                    *format,
                    &scan.schema,
                    built,
                    ahead_bytes,
                    &context.cancel,
                )?,
                schema: RunSchema::fixed(columns::read_schema(&scan.schema, built)?),
                workers: batch_workers(steps.read.filter, steps.asks_places),
                bad: no_bad(),
            }
        }
        Source::Batches(batches) => Read {
            units: memory_unit(batches),
            schema: RunSchema::fixed(Arc::clone(&scan.schema)),
            workers: batch_workers(steps.read.filter, steps.asks_places),
            bad: no_bad(),
        },
    };
    Ok(Built {
        units: read.units,
        workers: read.workers,
        schema: read.schema.with_columns(steps.columns),
        ordered: steps.ordered,
        bad: read.bad,
        layout: physical.layout,
        ahead_bytes: most_ahead(&scan.source, &context.settings),
        known_rows: (scan.estimate.exact && !steps.drops_rows).then_some(scan.estimate.rows),
    })
}

/// Bytes of objects behind URLs that one reader fetches ahead: a share of an
/// eighth of the budget for each thread, and one for units that are begun.
fn reader_ahead(settings: &Settings) -> u64 {
    let shares = settings.threads as u64 + 1;
    (settings.memory.bytes() / 8 / shares).clamp(1 << 20, 8 << 20)
}

/// What all readers of a source may fetch ahead.
fn most_ahead(source: &Source, settings: &Settings) -> u64 {
    let inputs = match source {
        Source::Text { inputs, .. } | Source::Columns { inputs, .. } => inputs,
        Source::Batches(_) => return 0,
    };
    match io::may_be_remote(inputs) {
        true => reader_ahead(settings) * (settings.threads as u64 + 1),
        false => 0,
    }
}

/// The longest record that is read, and the setting that says so.
pub(crate) fn longest_record(options: &ReadOptions, settings: &Settings) -> (u64, &'static str) {
    let asked = options.max_record.bytes();
    let fitting = settings.memory.bytes() / RECORD_SHARE;
    if fitting < asked {
        (fitting, "memory (a record may take an eighth of it)")
    } else {
        (asked, "max-record")
    }
}

/// A plan's steps, bound.
struct Steps {
    /// Columns that come out, in this order. `None`: all.
    columns: Option<Vec<String>>,
    /// What concerns reading.
    read: ReadSteps,
    /// What needs input order.
    ordered: Vec<Ordered>,
    /// Whether fewer rows may come out than are read.
    drops_rows: bool,
    /// Whether a step in input order may have to name the place of a row.
    asks_places: bool,
}

/// What any thread does to a chunk.
struct ReadSteps {
    /// Columns that must be built: those that come out, and those that later
    /// filters look at. `None`: all.
    columns: Option<Vec<String>>,
    /// All filters that need no order, those of the scan first. Together, so
    /// that it makes no difference which of them a rule has moved where.
    filter: Option<BoundExpr>,
}

impl Steps {
    fn bind(physical: &Physical) -> Result<Self> {
        let scan = &physical.scan;
        let mut columns = scan.columns.clone();
        let mut filter = scan.predicate.clone();
        let mut ordered = Vec::new();
        let mut looked_at = Vec::new();
        for step in &physical.steps {
            match step {
                Step::Filter(predicate) => {
                    filter = Some(match filter {
                        Some(first) => first.and(predicate.clone()),
                        None => predicate.clone(),
                    });
                }
                // Filters find their columns by name, so that columns may be left out last.
                Step::Select(names) => columns = Some(names.clone()),
                Step::Limit(rows) => ordered.push(Ordered::limit(*rows)),
            }
        }
        for step in &physical.ordered {
            match step {
                Step::Filter(predicate) => {
                    let bound = predicate.bind(&scan.schema)?;
                    looked_at.extend(bound.root_columns().iter().cloned());
                    ordered.push(Ordered::filter(bound));
                }
                Step::Limit(rows) => ordered.push(Ordered::limit(*rows)),
                Step::Select(names) => columns = Some(names.clone()),
            }
        }
        let filter = match filter {
            Some(filter) => Some(filter.bind(&scan.schema)?),
            None => None,
        };
        // Where nothing is decoded, nobody else reads what the filter looks at.
        if let (Some(filter), false) = (&filter, matches!(scan.source, Source::Text { .. })) {
            looked_at.extend(filter.root_columns().iter().cloned());
        }
        let built = columns.clone().map(|mut built| {
            built.extend(looked_at);
            built
        });
        Ok(Steps {
            drops_rows: filter.is_some() || !ordered.is_empty(),
            asks_places: ordered
                .iter()
                .any(|step| matches!(step, Ordered::Filter(_))),
            columns,
            read: ReadSteps {
                columns: built,
                filter,
            },
            ordered,
        })
    }
}

/// How a source is read.
struct Read {
    units: Units,
    workers: WorkerPlan,
    schema: RunSchema,
    bad: BadPolicy,
}

fn read_text(
    units: Units,
    format: FileFormat,
    options: &ReadOptions,
    look: &Look,
    steps: ReadSteps,
    keep_places: bool,
) -> Result<Read> {
    let path_column = options.include_path.as_deref();
    let decoded = steps.columns.map(|mut built| {
        built.retain(|name| Some(name.as_str()) != path_column);
        built
    });
    let start = match &decoded {
        Some(decoded) => look.head.merge(&look.spread).project(decoded),
        None if format == FileFormat::Csv => typed_head(look),
        None => look.head.clone(),
    };
    let rejects = match (&options.on_bad_record, &options.rejects) {
        (OnBadRecord::Reject, Some(path)) => Some(Rejects::create(path)?),
        _ => None,
    };
    Ok(Read {
        units,
        workers: WorkerPlan {
            format,
            byte_column: options.include_byte.clone(),
            decode: Arc::new(DecodeOptions {
                columns: decoded,
                mode: options.schema_mode,
                keep_bad: options.on_bad_record != OnBadRecord::Fail,
                max_depth: options.max_depth,
            }),
            filter: steps.filter,
            path_column: path_column.map(Arc::from),
            given: match options.schema {
                Some(_) => look.head.clone(),
                None => JsonSchema::default(),
            },
            keep_raw: rejects.is_some(),
            keep_places,
        },
        schema: RunSchema::json(start, path_column),
        bad: BadPolicy {
            on_bad: options.on_bad_record,
            rejects,
            max: options.max_rejects,
        },
    })
}

/// The columns of the head with the types of all that was looked at: a filter on
/// text is one on fields as they were written, also where early ones are numbers.
fn typed_head(look: &Look) -> JsonSchema {
    let head = look.head.to_arrow();
    let names: Vec<String> = head
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    look.head.merge(&look.spread.project(&names))
}

pub(super) fn batch_workers(filter: Option<BoundExpr>, keep_places: bool) -> WorkerPlan {
    WorkerPlan {
        format: FileFormat::Json,
        byte_column: None,
        decode: Arc::new(DecodeOptions {
            columns: None,
            mode: SchemaMode::Widen,
            keep_bad: false,
            max_depth: 0,
        }),
        filter,
        path_column: None,
        given: JsonSchema::default(),
        keep_raw: false,
        keep_places,
    }
}

pub(super) fn no_bad() -> BadPolicy {
    BadPolicy {
        on_bad: OnBadRecord::Fail,
        rejects: None,
        max: None,
    }
}
