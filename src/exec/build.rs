//! From a physical plan to operators: the one bridge.
//!
//! In:  a pipeline of steps.
//! Out: units to read, workers, steps in order, the schema to start from.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::bad::BadPolicy;
use super::bind::{ReadSteps, Steps};
use super::columns::{self, ColumnFiles, ColumnScan};
use super::context::Context;
use super::folded::fold_all;
use super::join::join_rows;
use super::parts::{Branches, made_units, mapped};
use super::passing::Ordered;
use super::pick::pick;
use super::rejects::Rejects;
use super::run::window_bytes;
use super::schema::RunSchema;
use super::shared::shared_rows;
use super::sheet::Stage;
use super::shuffled::shuffle_all;
use super::sort::sort_all;
use super::source::{Units, memory_units, text_units, with_columns};
use super::steps::RowStep;
use super::window::look_ahead;
use super::worker::WorkerPlan;
use crate::config::Settings;
use crate::error::Result;
use crate::io::columns::narrowed;
use crate::io::json::{DecodeOptions, JsonSchema, SchemaMode};
use crate::io::{self, TextOptions};
use crate::plan::{Estimate, FileFormat, Layout, Look, OnBadRecord, Physical, ReadOptions, Source};

/// The share of the budget that one record's text may take: its columns, and
/// the pages they are encoded to, take as much again, and text is read ahead.
const RECORD_SHARE: u64 = 8;

/// Units of column files that fit what may be decoded ahead of its turn.
const STRETCHES_AHEAD: u64 = 4;

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
    /// Their logical bytes, where those are known too.
    pub known_bytes: Option<u64>,
    /// Bytes that readers may hold of what they fetch ahead, or hold of rows that were folded.
    pub ahead_bytes: u64,
    /// What gives the rows, where other runs do.
    pub stage: Option<Stage>,
    /// Whether asking for the next unit may take long.
    pub units_wait: bool,
    /// Whether text is decoded.
    pub decodes: bool,
    /// Which pipeline of its plan it is; none of rows that were held.
    pub number: Option<usize>,
}

impl Built {
    /// Rows that nothing more is done to, in one partition.
    pub fn of_rows(units: Units, schema: RunSchema) -> Self {
        Built {
            units,
            workers: batch_workers(Vec::new(), false),
            schema,
            ordered: Vec::new(),
            bad: no_bad(),
            layout: Layout::Coalesce(u64::MAX),
            known_rows: None,
            known_bytes: None,
            ahead_bytes: 0,
            stage: None,
            units_wait: false,
            decodes: false,
            number: None,
        }
    }
}

/// Rows that need no decoding: what memory, a function or a stage in front gives.
pub(super) struct Given {
    pub units: Units,
    pub schema: SchemaRef,
    /// Bytes that the units hold before they are read.
    pub held_bytes: u64,
    /// Whose rows these are; none where nothing was read for them.
    pub stage: Option<Stage>,
    /// Rows, and their logical bytes, where they are counted before they are read.
    pub counted: Option<(u64, u64)>,
}

/// Builds a pipeline: opens lists, runs stages in front, binds expressions,
/// stages a rejects file.
pub(super) fn build(physical: &Physical, context: &Context, chunk_bytes: usize) -> Result<Built> {
    // Stages in front end with work on the calling thread.
    let _working = context.cancel.enter();
    let schema = &physical.scan.schema;
    let given = match &physical.scan.source {
        Source::Text {
            format,
            inputs,
            options,
            look,
        } => {
            let text = TextScan {
                format: *format,
                inputs,
                options,
                look,
            };
            return from_text(physical, &text, context, chunk_bytes);
        }
        Source::Columns {
            inputs,
            format,
            options,
            folders,
        } => {
            let files = ColumnFiles {
                inputs,
                format: *format,
                options,
                folders,
            };
            return from_columns(physical, &files, context);
        }
        Source::Batches(batches) => Given {
            units: memory_units(batches),
            schema: Arc::clone(schema),
            held_bytes: 0,
            stage: None,
            counted: None,
        },
        Source::Made { make, n_partitions } => Given {
            units: made_units(make, *n_partitions, schema),
            schema: Arc::clone(schema),
            held_bytes: 0,
            stage: None,
            counted: None,
        },
        Source::Mapped { map, input } => mapped(map, input, schema, context)?,
        Source::Union(inputs) => Branches::open(inputs, context)?.given(context),
        Source::Folded { fold, input } => fold_all(fold, input, physical.ways, context)?,
        Source::Sorted { sort, input } => {
            sort_all(sort, input, context).map_err(|error| error.asked_by(sort.name()))?
        }
        Source::Shuffled { by, input } => shuffle_all(by, input, context)?,
        Source::Ahead { windows, input } => look_ahead(windows, input, context)?,
        Source::Shared(shared) => shared_rows(shared, context)?,
        Source::Picked { idx, input } => pick(*idx, input, context)?,
        Source::Joined {
            join,
            left,
            right,
            way,
        } => join_rows(join, (left, right), (way, physical.ways), context)?,
    };
    from_given(physical, given)
}

/// Text files, and how they are read.
struct TextScan<'a> {
    format: FileFormat,
    inputs: &'a [String],
    options: &'a ReadOptions,
    look: &'a Look,
}

fn from_text(
    physical: &Physical,
    scan: &TextScan<'_>,
    context: &Context,
    chunk_bytes: usize,
) -> Result<Built> {
    let (options, settings) = (scan.options, &context.settings);
    let (max_record_bytes, limited_by) = longest_record(options, settings);
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
        ahead_bytes: reader_ahead(settings),
    };
    let ahead_bytes = most_ahead(scan.inputs, settings);
    assemble(physical, true, ahead_bytes, |steps, keep_places| {
        let framing = options.framing(scan.format);
        let files = io::list(scan.inputs)?;
        let units = text_units(files, text, framing, &context.cancel);
        read_text(units, scan, steps, keep_places)
    })
}

fn from_columns(physical: &Physical, files: &ColumnFiles<'_>, context: &Context) -> Result<Built> {
    let (all, settings) = (&physical.scan.schema, &context.settings);
    let ahead_bytes = most_ahead(files.inputs, settings);
    assemble(physical, false, ahead_bytes, |steps, needs_places| {
        let schema = match &steps.columns {
            None => Arc::clone(all),
            Some(_) => Arc::new(narrowed(all, &steps.paths)),
        };
        let scan = ColumnScan {
            all,
            schema: &schema,
            predicate: steps.filter.clone(),
            ways: physical.ways,
            coded: steps.coded.clone(),
            needs_places,
            ahead_bytes: reader_ahead(settings),
            stretch_bytes: window_bytes(settings) / STRETCHES_AHEAD,
            known: &context.files,
        };
        Ok(Read {
            units: columns::units(files, scan, &context.cancel)?,
            schema: RunSchema::fixed(schema),
            workers: batch_workers(steps.all_steps(), needs_places),
            bad: no_bad(),
        })
    })
}

/// Rows as they are given, less the columns that nobody needs.
pub(super) fn from_given(physical: &Physical, given: Given) -> Result<Built> {
    // Text in front may have brought columns that the plan did not know.
    let mut physical = physical.clone();
    physical.scan.schema = Arc::clone(&given.schema);
    if let Some((rows, bytes)) = given.counted {
        let exact = true;
        physical.scan.estimate = Estimate { rows, bytes, exact };
    }
    let bytes = given.counted.map(|(_, bytes)| bytes);
    let known_bytes = bytes.filter(|_| physical.is_counted());
    let (all, units) = (given.schema, given.units);
    let built = assemble(&physical, false, given.held_bytes, |steps, keep_places| {
        let schema = columns::read_schema(&all, steps.columns.as_deref())?;
        Ok(Read {
            units: if schema == all {
                units
            } else {
                with_columns(units, &schema)
            },
            schema: RunSchema::fixed(schema),
            workers: batch_workers(steps.all_steps(), keep_places),
            bad: no_bad(),
        })
    })?;
    Ok(Built {
        units_wait: given.stage.is_some(),
        stage: given.stage,
        known_bytes,
        ..built
    })
}

/// Binds the steps of a pipeline and puts them behind what `read` makes of
/// those that concern reading; its second argument is whether places of rows are asked for.
fn assemble(
    physical: &Physical,
    decodes: bool,
    ahead_bytes: u64,
    read: impl FnOnce(ReadSteps, bool) -> Result<Read>,
) -> Result<Built> {
    let estimate = &physical.scan.estimate;
    let steps = Steps::bind(physical, decodes)?;
    let read = read(steps.read, steps.asks_places)?;
    Ok(Built {
        units: read.units,
        workers: read.workers,
        schema: read.schema.with_shape(steps.shape, steps.computed),
        ordered: steps.ordered,
        bad: read.bad,
        layout: physical.layout,
        ahead_bytes,
        stage: None,
        units_wait: true,
        decodes,
        number: Some(physical.number),
        known_rows: (estimate.exact && !steps.changes_rows).then_some(estimate.rows),
        known_bytes: None,
    })
}

/// Bytes of objects behind URLs that one reader fetches ahead: a share of an
/// eighth of the budget for each thread, and one for units that are begun.
fn reader_ahead(settings: &Settings) -> u64 {
    let shares = settings.threads as u64 + 1;
    (settings.memory.bytes() / 8 / shares).clamp(1 << 20, 8 << 20)
}

/// What all readers of files may fetch ahead.
fn most_ahead(inputs: &[String], settings: &Settings) -> u64 {
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

fn read_text(
    units: Units,
    scan: &TextScan<'_>,
    steps: ReadSteps,
    keep_places: bool,
) -> Result<Read> {
    let (options, look, format) = (scan.options, scan.look, scan.format);
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
    // Without them, every chunk would learn anew what the filter looks at.
    let filter_head = match (&decoded, &steps.filter) {
        (Some(_), Some(filter)) => Some(look.head.project(filter.root_columns())),
        _ => None,
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
            filter_head,
            filter: steps.filter,
            steps: steps.steps,
            fold: None,
            scatter: None,
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

fn batch_workers(steps: Vec<RowStep>, keep_places: bool) -> WorkerPlan {
    WorkerPlan {
        format: FileFormat::Json,
        byte_column: None,
        decode: Arc::new(DecodeOptions {
            columns: None,
            mode: SchemaMode::Widen,
            keep_bad: false,
            max_depth: 0,
        }),
        filter_head: None,
        filter: None,
        steps,
        fold: None,
        scatter: None,
        path_column: None,
        given: JsonSchema::default(),
        keep_raw: false,
        keep_places,
    }
}

fn no_bad() -> BadPolicy {
    BadPolicy {
        on_bad: OnBadRecord::Fail,
        rejects: None,
        max: None,
    }
}
