//! One pass over the lines of a chunk: rows built, or a schema learned.
//!
//! In:  a chunk, which of its lines, and what is known of their schema.
//! Out: a batch under a schema wide enough for it, and the lines that are no records.
//!
//! A pass either ends, or meets a key or type that the schema lacks. Then the
//! rest of the lines is learned from in one go and the pass is made again; the
//! second one cannot meet anything new. So a chunk costs at most two passes and
//! one look, whatever it holds.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;

use super::grammar::{Fault, Parser, SchemaMode, Stop};
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

/// Cells, mostly null ones, that a byte of text may become. Logs have 0.05; a
/// table of records that share no key would have as many as records squared.
const MOST_CELLS: usize = 64;

/// How one round of building a chunk's rows is asked for.
pub(super) struct Task<'a> {
    pub chunk: &'a Chunk<'a>,
    pub which: Which<'a>,
    pub mode: SchemaMode,
    pub wanted: Option<&'a Wanted>,
    pub options: &'a DecodeOptions,
}

/// What one round gave.
pub(super) struct Built {
    pub batch: RecordBatch,
    pub schema: JsonSchema,
    /// Where each row came from.
    pub lines: Vec<Line>,
    pub bad: Vec<BadRecord>,
    pub visited: Visited,
    pub stopped: bool,
}

impl Task<'_> {
    /// Builds the rows, from columns kept in `cache` if they are of an equal schema.
    pub fn build(
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
                return built.finish(self.chunk.text.len(), object, self.mode, cache);
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
        text_bytes: usize,
        mut object: Object,
        mode: SchemaMode,
        cache: &mut Option<(JsonSchema, Object)>,
    ) -> Result<Built> {
        let rows = self.lines.len();
        let n_leaves = self.schema.fields().n_leaves();
        if rows.saturating_mul(n_leaves) > text_bytes.max(1 << 20).saturating_mul(MOST_CELLS) {
            return Err(Error::config(
                "columns",
                format!(
                    "{rows} records with {n_leaves} different columns would take far more memory \
                     than their text; name the columns that are wanted"
                ),
            ));
        }
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
    let mut fields = Fields::of_record();
    learn(&task, Line { byte: 0, number: 0 }, &mut fields);
    JsonSchema::from_fields(fields)
}
