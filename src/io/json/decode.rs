//! Chunks of lines to batches: the decoder that one worker owns.
//!
//! In:  about 1 MiB of whole lines, and the schema known so far.
//! Out: a batch, the schema it has, and every line accounted for.
//!
//! `lines = rows + filtered + bad + blank` holds for every chunk.
//!
//! ```text
//! decode ── all known ───────────────────────────────▶ batch
//!    └───── something new ── learn the rest ── decode ─▶ batch, wider schema
//! ```
//!
//! With a predicate, its columns alone are decoded for every record, and all
//! columns for the records it selects.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Schema};

use super::grammar::{DEEPEST, Fault, Parser, SchemaMode, Stop};
use super::lattice::Fields;
use super::lines::{ALL, Chunk, Line, Visit, Visited, Which, line_end};
use super::object::{Object, Wanted};
use super::scan::Text;
use super::schema::JsonSchema;
use crate::error::{Error, Result};

/// How records are decoded.
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    /// Top-level keys to build; others are checked and left out. Default: all.
    pub columns: Option<Vec<String>>,
    /// What to do with keys and types outside the schema. Default: widen it.
    pub mode: SchemaMode,
    /// Whether to go on after a bad record; otherwise the chunk ends with it. Default: no.
    pub keep_bad: bool,
    /// Levels of objects and lists a record may have, itself included; at most
    /// 256. Default 128; raise it for data that is known and nested deeper.
    pub max_depth: usize,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        DecodeOptions {
            columns: None,
            mode: SchemaMode::Widen,
            keep_bad: false,
            max_depth: 128,
        }
    }
}

/// A condition on rows that the decoder evaluates before it builds them.
pub trait RowPredicate: Send + Sync {
    /// The top-level keys the condition looks at.
    fn columns(&self) -> &[String];

    /// Which rows of `batch` to keep; null is no.
    ///
    /// `batch` has the columns of [`RowPredicate::columns`], in that order. Their
    /// types are those that the chunk at hand needs, all-null `Utf8` where no
    /// record has the key: what is selected must follow from the values and not
    /// from such a type, or it would depend on where chunks are cut.
    ///
    /// # Errors
    ///
    /// Whatever evaluation meets; decoding ends with it.
    fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray>;
}

/// A line that is no record of the schema, with places relative to its chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// The line's first byte in the chunk.
    pub byte: u64,
    /// The line's number in the chunk; the first is 0.
    pub line: u64,
    /// The line's length in bytes, without its newline.
    pub len: usize,
    /// The column to blame, keys joined by dots, if one is.
    pub column: Option<String>,
    /// What is wrong, with the value and the type it does not fit.
    pub reason: String,
}

/// What became of a chunk.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The rows, in the order of the lines; its schema is `schema.to_arrow()`.
    pub batch: RecordBatch,
    /// The schema of the rows: the one given, of the wanted columns, and
    /// whatever these rows add.
    pub schema: JsonSchema,
    /// Lines read: all of the chunk, or up to and with the bad one if `stopped`.
    pub lines: u64,
    /// Lines of nothing but white space.
    pub blank: u64,
    /// Records that the predicate did not select.
    pub filtered: u64,
    /// Lines that are no records, in order.
    pub bad: Vec<BadRecord>,
    /// Whether decoding ended at a bad record, as [`DecodeOptions::keep_bad`] was not set.
    pub stopped: bool,
    /// Keys that came twice in one object; the last value counted.
    pub duplicate_keys: u64,
    /// Values left out because the schema does not know their key ([`SchemaMode::Ignore`]).
    pub ignored_values: u64,
}

/// Decodes chunks of one input. Owned by one worker; keeps its buffers between chunks.
///
/// ```
/// use std::sync::Arc;
/// use windrow::io::json::{DecodeOptions, Decoder, JsonSchema};
/// let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), None);
/// let text = b"{\"ip\":\"10.0.0.7\",\"status\":200}\n\n{\"status\":404}\n";
/// let decoded = decoder.decode(text, &JsonSchema::empty())?;
/// assert_eq!((decoded.lines, decoded.batch.num_rows(), decoded.blank), (3, 2, 1));
/// assert_eq!(decoded.batch.schema().field(1).name(), "status");
/// # Ok::<(), windrow::Error>(())
/// ```
pub struct Decoder {
    options: Arc<DecodeOptions>,
    wanted: Option<Wanted>,
    predicate: Option<(Arc<dyn RowPredicate>, Wanted)>,
    /// Columns under construction, kept for the next chunk of an equal schema.
    full: Option<(JsonSchema, Object)>,
    narrow: Option<(JsonSchema, Object)>,
    tail: Vec<u8>,
}

/// How one round of building a chunk's rows is asked for.
struct Task<'a> {
    chunk: &'a Chunk<'a>,
    which: Which<'a>,
    mode: SchemaMode,
    wanted: Option<&'a Wanted>,
    options: &'a DecodeOptions,
}

/// What one round gave.
struct Built {
    batch: RecordBatch,
    schema: JsonSchema,
    /// Where each row came from.
    lines: Vec<Line>,
    bad: Vec<BadRecord>,
    visited: Visited,
    stopped: bool,
}

impl Decoder {
    /// A decoder of records, with a condition on rows if there is one.
    pub fn new(options: Arc<DecodeOptions>, predicate: Option<Arc<dyn RowPredicate>>) -> Self {
        let wanted = options.columns.as_deref().map(set_of);
        let predicate = predicate.map(|predicate| {
            let wanted = set_of(predicate.columns());
            (predicate, wanted)
        });
        Decoder {
            options,
            wanted,
            predicate,
            full: None,
            narrow: None,
            tail: Vec::new(),
        }
    }

    /// Decodes `text`, whole lines of which the last may lack its newline,
    /// knowing `schema` from before.
    ///
    /// What `schema` has beyond the wanted columns is not in the result, but a
    /// predicate's columns take their types from it.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the depth limit is above 256 or one column of the
    /// chunk outgrows 2 GiB; whatever the predicate returns. Bad records are no
    /// errors here: they are in [`Decoded::bad`].
    pub fn decode(&mut self, text: &[u8], schema: &JsonSchema) -> Result<Decoded> {
        if self.options.max_depth > DEEPEST {
            return Err(Error::config(
                "max_depth",
                format!(
                    "{} is above {DEEPEST}, the most that fits every thread's stack",
                    self.options.max_depth
                ),
            ));
        }
        let mut tail = std::mem::take(&mut self.tail);
        let decoded = self.decode_chunk(&Chunk::new(text, &mut tail), schema);
        self.tail = tail;
        let decoded = decoded?;
        let rows = decoded.batch.num_rows() as u64;
        let sum = rows + decoded.filtered + decoded.bad.len() as u64 + decoded.blank;
        if sum != decoded.lines {
            return Err(Error::internal(format!(
                "{} lines of JSON became {rows} rows, {} filtered, {} bad and {} blank",
                decoded.lines,
                decoded.filtered,
                decoded.bad.len(),
                decoded.blank
            )));
        }
        Ok(decoded)
    }

    fn decode_chunk(&mut self, chunk: &Chunk<'_>, schema: &JsonSchema) -> Result<Decoded> {
        let options = Arc::clone(&self.options);
        let wanted = self.wanted.clone();
        let projected = match &options.columns {
            Some(columns) => schema.project(columns),
            None => schema.clone(),
        };
        let task = Task {
            chunk,
            which: ALL,
            mode: options.mode,
            wanted: wanted.as_ref(),
            options: &options,
        };
        let Some((predicate, predicate_wanted)) = self.predicate.clone() else {
            return Ok(task.build(&projected, &mut self.full)?.into_decoded(0));
        };

        let looked_at = Task {
            mode: SchemaMode::Widen,
            wanted: Some(&predicate_wanted),
            ..task
        };
        let narrow = schema.project(predicate.columns());
        let seen = looked_at.build(&narrow, &mut self.narrow)?;
        let selected = select(predicate.as_ref(), &seen)?;
        let filtered = (seen.lines.len() - selected.len()) as u64;
        let chosen = Task {
            which: Which::Only(&selected),
            ..task
        };
        let mut built = chosen.build(&projected, &mut self.full)?;
        if let (true, Some(last)) = (built.stopped, built.bad.last()) {
            // A selected record does not fit: the chunk ends with it, and nothing behind it counts.
            let end = last.byte as usize + last.len + 1;
            if end < chunk.text.len() {
                let mut tail = Vec::new();
                return self.decode_chunk(&Chunk::new(&chunk.text[..end], &mut tail), schema);
            }
        }
        built.stopped |= seen.stopped;
        built.bad.extend(seen.bad);
        built.bad.sort_by_key(|bad| bad.byte);
        built.visited.lines = seen.visited.lines;
        built.visited.blank = seen.visited.blank;
        Ok(built.into_decoded(filtered))
    }
}

fn set_of(columns: &[String]) -> Wanted {
    Arc::new(columns.iter().map(|name| name.as_bytes().into()).collect())
}

/// The lines of the rows that a predicate selects.
fn select(predicate: &dyn RowPredicate, seen: &Built) -> Result<Vec<Line>> {
    let rows = seen.batch.num_rows();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for name in predicate.columns() {
        let known = seen.batch.schema_ref().column_with_name(name);
        let (field, column) = match known {
            Some((idx, field)) => (field.clone(), Arc::clone(seen.batch.column(idx))),
            None => (
                Field::new(name, DataType::Utf8, true),
                new_null_array(&DataType::Utf8, rows),
            ),
        };
        fields.push(field);
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
    let mask = predicate.mask(&batch)?;
    if mask.len() != rows {
        return Err(Error::internal(format!(
            "a predicate judged {} of {rows} rows",
            mask.len()
        )));
    }
    let mask = match mask.nulls() {
        Some(nulls) => mask.values() & nulls.inner(),
        None => mask.values().clone(),
    };
    Ok(mask.set_indices().map(|row| seen.lines[row]).collect())
}

impl Task<'_> {
    fn build(
        &self,
        schema: &JsonSchema,
        cache: &mut Option<(JsonSchema, Object)>,
    ) -> Result<Built> {
        let mut schema = schema.clone();
        let mut object = match cache.take() {
            Some((known, object)) if known == schema => object,
            _ => Object::new(schema.fields()),
        };
        // One round decodes, or meets something new; what is new is learned to
        // the end of the chunk, so the second round cannot meet any more.
        for _ in 0..2 {
            object.wanted = self.wanted.cloned();
            let mut built = Built {
                batch: RecordBatch::new_empty(Arc::new(Schema::empty())),
                schema: schema.clone(),
                lines: Vec::new(),
                bad: Vec::new(),
                visited: Visited::default(),
                stopped: false,
            };
            let Some(unknown) = self.read(&mut object, &mut built) else {
                return built.finish(object, self.mode, cache);
            };
            let mut fields = schema.fields().clone();
            object.teach(&mut fields);
            learn(self, unknown, &mut fields);
            schema = JsonSchema::from_fields(fields);
            object = Object::new(schema.fields());
        }
        Err(Error::internal(
            "a chunk of JSON did not fit the schema that was learned from it",
        ))
    }

    /// Reads lines into `object`. Returns the first line that does not fit the schema, if one must widen it.
    fn read(&self, object: &mut Object, built: &mut Built) -> Option<Line> {
        let mut unknown = None;
        let (max_depth, chunk) = (self.options.max_depth, self.chunk);
        let schema = built.schema.clone();
        let fields = schema.fields();
        built.visited = chunk.visit(self.which, max_depth, self.mode, |parser, pos, line| {
            parser.record += 1;
            let rows = built.lines.len();
            let counted = (parser.duplicate_keys, parser.ignored_values);
            let utf8_fault = chunk.utf8_fault(line);
            if utf8_fault.is_none() {
                match parser.read_record(object, pos) {
                    Ok(next) => {
                        built.lines.push(line);
                        return Visit::Next(next);
                    }
                    Err(stop) => {
                        if judge(parser, stop, pos, fields) {
                            object.roll_back(rows, parser.record);
                            unknown = Some(line);
                            return Visit::Stop;
                        }
                    }
                }
            }
            let fault = utf8_fault.is_none().then_some(&parser.fault);
            built
                .bad
                .push(bad_record(chunk, line, fault, utf8_fault, parser.text, pos));
            object.roll_back(rows, parser.record);
            (parser.duplicate_keys, parser.ignored_values) = counted;
            built.stopped = !self.options.keep_bad;
            if built.stopped {
                Visit::Stop
            } else {
                Visit::Next(line_end(parser.text.as_bytes(), pos) + 1)
            }
        });
        unknown
    }
}

/// Whether a record that could not be read asks for a wider schema. Otherwise
/// the parser's fault says what is wrong with it: first of all its grammar, then
/// what a user's schema refuses, so that the verdict is the same whatever else
/// the schema knew.
#[cold]
#[inline(never)]
fn judge(parser: &mut Parser<'_>, stop: Stop, pos: usize, fields: &Fields) -> bool {
    if stop == Stop::Bad {
        return false;
    }
    let misfit = parser.fault.clone();
    if parser.skip_record(pos).is_err() {
        return false;
    }
    if stop == Stop::Misfit {
        parser.fault = misfit;
        return false;
    }
    !(fields.any_fixed() && parser.check_object(fields, pos) == Err(Stop::Misfit))
}

#[cold]
fn bad_record(
    chunk: &Chunk<'_>,
    line: Line,
    fault: Option<&Fault>,
    utf8_fault: Option<usize>,
    text: Text<'_>,
    start: usize,
) -> BadRecord {
    let reason = match (fault, utf8_fault) {
        (Some(fault), None) => fault.reason(text, start),
        (_, at) => format!("not UTF-8 at byte {} of the record", at.unwrap_or(0)),
    };
    BadRecord {
        byte: line.byte as u64,
        line: line.number,
        len: chunk.line(line.byte).len(),
        column: fault.and_then(Fault::column),
        reason,
    }
}

/// Joins into `fields` what the lines from `first` on add, of those that `task` is about.
fn learn(task: &Task<'_>, first: Line, fields: &mut Fields) {
    let which = match task.which {
        Which::From(_) => Which::From(first),
        Which::Only(lines) => {
            Which::Only(&lines[lines.partition_point(|line| line.byte < first.byte)..])
        }
    };
    let fixed = fields.any_fixed().then(|| fields.clone());
    let max_depth = task.options.max_depth;
    task.chunk
        .visit(which, max_depth, SchemaMode::Widen, |parser, pos, line| {
            let is_record = task.chunk.utf8_fault(line).is_none()
                && parser.skip_record(pos).is_ok()
                && fixed
                    .as_ref()
                    .is_none_or(|fixed| parser.check_object(fixed, pos) != Err(Stop::Misfit));
            if is_record {
                // The grammar has accepted the record, so this goes to its end.
                let learned = parser.learn_object(fields, pos, task.wanted);
                debug_assert!(learned.is_ok());
            } else if !task.options.keep_bad {
                return Visit::Stop;
            }
            Visit::Next(line_end(parser.text.as_bytes(), pos) + 1)
        });
}

impl Built {
    fn finish(
        mut self,
        mut object: Object,
        mode: SchemaMode,
        cache: &mut Option<(JsonSchema, Object)>,
    ) -> Result<Built> {
        let rows = self.lines.len();
        let arrow = self.schema.to_arrow();
        let has_news = mode == SchemaMode::Widen && object.has_news(self.schema.fields());
        if has_news {
            let mut fields = self.schema.fields().clone();
            object.teach(&mut fields);
            self.schema = JsonSchema::from_fields(fields);
        }
        let columns = object.finish(rows, arrow.fields())?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        self.batch = RecordBatch::try_new_with_options(self.schema.to_arrow(), columns, &options)?;
        if !has_news {
            *cache = Some((self.schema.clone(), object));
        }
        Ok(self)
    }

    fn into_decoded(self, filtered: u64) -> Decoded {
        Decoded {
            batch: self.batch,
            schema: self.schema,
            lines: self.visited.lines,
            blank: self.visited.blank,
            filtered,
            bad: self.bad,
            stopped: self.stopped,
            duplicate_keys: self.visited.duplicate_keys,
            ignored_values: self.visited.ignored_values,
        }
    }
}

/// The schema of the records in `text`: a first look.
///
/// Lines that are no records, or nested deeper than `max_depth`, are passed
/// over, so a last line cut short by a sample's end does no harm.
pub fn infer(text: &[u8], max_depth: usize) -> JsonSchema {
    let options = DecodeOptions {
        keep_bad: true,
        max_depth,
        ..DecodeOptions::default()
    };
    let mut tail = Vec::new();
    let task = Task {
        chunk: &Chunk::new(text, &mut tail),
        which: ALL,
        mode: SchemaMode::Widen,
        wanted: None,
        options: &options,
    };
    let mut fields = Fields::default();
    learn(&task, Line { byte: 0, number: 0 }, &mut fields);
    JsonSchema::from_fields(fields)
}
