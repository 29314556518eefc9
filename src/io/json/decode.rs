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
//! columns for the records it selects. If it fails on a record, decoding ends
//! before that one.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Schema};

use super::build::{BadRecord, Built, DecodeOptions, Task};
use super::grammar::{DEEPEST, SchemaMode};
use super::lines::{ALL, Chunk, Line, Which};
use super::object::{Object, Wanted};
use super::schema::JsonSchema;
use crate::error::{Error, Result};
use crate::expr::RowError;

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
    /// Whatever evaluation meets; over a [`RowError`] where a row is to blame,
    /// which must be the first such row. Decoding ends with it.
    fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray>;
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
    /// Line ends of the chunk that end none of its `lines`: those within quotes, and a header's.
    pub inner_lines: u64,
    /// Keys that came twice in one object; the last value counted.
    pub duplicate_keys: u64,
    /// Values left out because the schema does not know their key ([`SchemaMode::Ignore`]).
    pub ignored_values: u64,
    /// Columns of text without types of which a field at the start of the file is
    /// a number or a boolean, whatever type the column has.
    pub typed: Vec<Arc<str>>,
    /// The line that each row came from.
    pub places: Vec<Line>,
    /// The record that the predicate could not judge; decoding ended before it.
    pub failed: Option<FailedRecord>,
}

impl Decoded {
    /// The same, if every record that was read is in it once; `of` says what was read.
    pub(in crate::io) fn adding_up(self, of: &str) -> Result<Self> {
        let (rows, bad) = (self.batch.num_rows() as u64, self.bad.len() as u64);
        let (lines, filtered, blank) = (self.lines, self.filtered, self.blank);
        if rows + filtered + bad + blank == lines {
            return Ok(self);
        }
        Err(Error::internal(format!(
            "{lines} {of} became {rows} rows, {filtered} filtered, {bad} bad and {blank} blank"
        )))
    }
}

/// A record that a predicate could not judge.
#[derive(Debug, Clone)]
pub struct FailedRecord {
    /// Its line in the chunk.
    pub place: Line,
    /// Why; over a [`RowError`].
    pub error: Error,
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

impl Decoder {
    /// A decoder of records, with a condition on rows if there is one.
    pub fn new(options: Arc<DecodeOptions>, predicate: Option<Arc<dyn RowPredicate>>) -> Self {
        let wanted = options.columns.as_deref().map(set_of);
        let mut decoder = Decoder {
            options,
            wanted,
            predicate: None,
            full: None,
            narrow: None,
            tail: Vec::new(),
        };
        decoder.set_predicate(predicate);
        decoder
    }

    /// Takes another condition on rows from now on, or none.
    pub fn set_predicate(&mut self, predicate: Option<Arc<dyn RowPredicate>>) {
        self.predicate = predicate.map(|predicate| {
            let wanted = set_of(predicate.columns());
            (predicate, wanted)
        });
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
    /// chunk outgrows 2 GiB; what the predicate returns without a row to blame. Bad records are no
    /// errors here: they are in [`Decoded::bad`], and a row that the predicate
    /// fails on is in [`Decoded::failed`].
    pub fn decode(&mut self, text: &[u8], schema: &JsonSchema) -> Result<Decoded> {
        if self.options.max_depth > DEEPEST {
            return Err(Error::config(
                "max-depth",
                format!(
                    "{} is above {DEEPEST}, the most that fits every thread's stack",
                    self.options.max_depth
                ),
            ));
        }
        let mut tail = std::mem::take(&mut self.tail);
        let decoded = self.decode_chunk(&Chunk::new(text, &mut tail), schema);
        self.tail = tail;
        decoded?.adding_up("lines of JSON")
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
        let selected = match select(predicate.as_ref(), &seen.batch) {
            Ok(selected) => selected,
            Err(error) => return self.decode_before(chunk, schema, &seen, error),
        };
        let selected: Vec<Line> = selected.iter().map(|row| seen.lines[*row]).collect();
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

impl Decoder {
    /// What stands before the record that the predicate failed on, with that failure.
    #[cold]
    fn decode_before(
        &mut self,
        chunk: &Chunk<'_>,
        schema: &JsonSchema,
        seen: &Built,
        error: Error,
    ) -> Result<Decoded> {
        let Some(&place) = RowError::of(&error).and_then(|at| seen.lines.get(at.row)) else {
            return Err(error);
        };
        let mut tail = Vec::new();
        let before = Chunk::new(&chunk.text[..place.byte], &mut tail);
        let mut decoded = self.decode_chunk(&before, schema)?;
        // Without the rows behind it, an earlier one may be found.
        decoded.failed.get_or_insert(FailedRecord { place, error });
        Ok(decoded)
    }
}

fn set_of(columns: &[String]) -> Wanted {
    Arc::new(columns.iter().map(|name| name.as_bytes().into()).collect())
}

/// The rows of a batch that a predicate selects.
pub(in crate::io) fn select(
    predicate: &dyn RowPredicate,
    seen: &RecordBatch,
) -> Result<Vec<usize>> {
    let rows = seen.num_rows();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for name in predicate.columns() {
        let known = seen.schema_ref().column_with_name(name);
        let (field, column) = match known {
            Some((idx, field)) => (field.clone(), Arc::clone(seen.column(idx))),
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
    Ok(mask.set_indices().collect())
}

impl Built {
    fn into_decoded(self, filtered: u64) -> Decoded {
        Decoded {
            batch: self.batch,
            schema: self.schema,
            lines: self.visited.lines,
            blank: self.visited.blank,
            filtered,
            bad: self.bad,
            stopped: self.stopped,
            inner_lines: 0,
            duplicate_keys: self.visited.duplicate_keys,
            ignored_values: self.visited.ignored_values,
            typed: Vec::new(),
            places: self.lines,
            failed: None,
        }
    }
}
