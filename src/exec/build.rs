//! From a physical plan to operators: the one bridge.
//!
//! In:  a pipeline of steps.
//! Out: units to read, workers, steps in order, the schema to start from.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::bind::{ReadSteps, Steps};
use super::columns::{self, ColumnScan};
use super::parts::{Branches, made_units, mapped_units};
use super::rejects::Rejects;
use super::run::{Context, fold_all};
use super::schema::RunSchema;
use super::sequence::{BadPolicy, Ordered};
use super::source::{Units, memory_unit, text_units, with_columns};
use super::steps::RowStep;
use super::worker::WorkerPlan;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::io::json::{DecodeOptions, JsonSchema, SchemaMode};
use crate::io::{self, TextOptions};
use crate::plan::{FileFormat, Layout, Look, OnBadRecord, Physical, ReadOptions, Source};

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
    /// Bytes that readers may hold of what they fetch ahead, or hold of rows that were folded.
    pub ahead_bytes: u64,
}

/// Builds a pipeline: opens lists, binds expressions, stages a rejects file.
pub(super) fn build(physical: &Physical, context: &Context, chunk_bytes: usize) -> Result<Built> {
    let mut whole: Physical;
    let mut branches = None;
    let mut folded = None;
    let physical = match &physical.scan.source {
        Source::Union(inputs) => {
            let opened = Branches::open(inputs, context)?;
            // Text among the inputs may have brought columns that the plan did not know.
            whole = physical.clone();
            whole.scan.schema = Arc::clone(&opened.schema);
            branches = Some(opened);
            &whole
        }
        Source::Folded { fold, input } => {
            let rows = fold_all(fold, input, context)?;
            whole = physical.clone();
            whole.scan.schema = Arc::clone(&rows.schema);
            folded = Some(rows);
            &whole
        }
        _ => physical,
    };
    let scan = &physical.scan;
    let ahead_bytes = reader_ahead(&context.settings);
    let decodes = matches!(scan.source, Source::Text { .. });
    let steps = Steps::bind(physical, decodes)?;
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
                    ColumnScan {
                        format: *format,
                        all: &scan.schema,
                        built,
                        predicate: steps.read.filter.clone(),
                        needs_places: steps.asks_places,
                        ahead_bytes,
                    },
                    &context.cancel,
                )?,
                schema: RunSchema::fixed(columns::read_schema(&scan.schema, built)?),
                workers: batch_workers(steps.read.all_steps(), steps.asks_places),
                bad: no_bad(),
            }
        }
        Source::Made { make, n_partitions } => {
            let units = made_units(make, *n_partitions, &scan.schema);
            read_batches(units, &scan.schema, steps.read, steps.asks_places)?
        }
        Source::Mapped { map, input } => {
            let units = mapped_units(map, input, &scan.schema, context)?;
            read_batches(units, &scan.schema, steps.read, steps.asks_places)?
        }
        Source::Union(_) => {
            let branches = branches
                .take()
                .ok_or_else(|| Error::internal("no inputs to unite"))?;
            let units = branches.units(context);
            read_batches(units, &scan.schema, steps.read, steps.asks_places)?
        }
        Source::Folded { .. } => {
            let rows = folded
                .as_ref()
                .ok_or_else(|| Error::internal("nothing was folded"))?;
            let units = memory_unit(&rows.batches);
            read_batches(units, &scan.schema, steps.read, steps.asks_places)?
        }
        Source::Batches(batches) => {
            let units = memory_unit(batches);
            read_batches(units, &scan.schema, steps.read, steps.asks_places)?
        }
    };
    Ok(Built {
        units: read.units,
        workers: read.workers,
        schema: read.schema.with_shape(steps.shape, steps.computed),
        ordered: steps.ordered,
        bad: read.bad,
        layout: physical.layout,
        ahead_bytes: folded.map_or_else(
            || most_ahead(&scan.source, &context.settings),
            |rows| rows.held_bytes,
        ),
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
        // Rows in memory are fetched already; a stage in front fetches for itself.
        _ => return 0,
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

/// How a source is read.
struct Read {
    units: Units,
    workers: WorkerPlan,
    schema: RunSchema,
    bad: BadPolicy,
}

/// Rows that need no decoding, with the columns that somebody needs.
fn read_batches(
    units: Units,
    all: &SchemaRef,
    steps: ReadSteps,
    keep_places: bool,
) -> Result<Read> {
    let schema = columns::read_schema(all, steps.columns.as_deref())?;
    let units = if schema == *all {
        units
    } else {
        with_columns(units, &schema)
    };
    Ok(Read {
        units,
        schema: RunSchema::fixed(schema),
        workers: batch_workers(steps.all_steps(), keep_places),
        bad: no_bad(),
    })
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
        // A column that what comes out names is there from the start, as one that is selected.
        None => {
            let head = if format == FileFormat::Csv {
                typed_head(look)
            } else {
                look.head.clone()
            };
            head.merge(&look.head.merge(&look.spread).project(&steps.named))
        }
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
            steps: steps.steps,
            fold: None,
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

pub(super) fn batch_workers(steps: Vec<RowStep>, keep_places: bool) -> WorkerPlan {
    WorkerPlan {
        format: FileFormat::Json,
        byte_column: None,
        decode: Arc::new(DecodeOptions {
            columns: None,
            mode: SchemaMode::Widen,
            keep_bad: false,
            max_depth: 0,
        }),
        filter: None,
        steps,
        fold: None,
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
