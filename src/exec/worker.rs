//! What any thread may do to a chunk, whatever its neighbours are.
//!
//! In:  a chunk, and the schema as far as it is known.
//! Out: rows, and everything the balance sheet needs, relative to the chunk.
//!
//! An expression that has no value for a row ends the chunk: what stands before
//! that row comes out as if the chunk ended there, with the failure.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;

use super::fold::Folding;
use super::folder::Folder;
use super::hot_groups::ChunkKeys;
use super::predicate::Predicate;
use super::scatter::ScatterPlan;
use super::schema::RunSchema;
use super::source::{Chunk, Passed};
use super::steps::{Failure, RowStep, RowSteps, Stepped};
use crate::error::{Error, Result};
use crate::expr::BoundExpr;
use crate::io::csv::{CsvDecoder, CsvLayout};
use crate::io::json::{
    BadRecord, DecodeOptions, Decoded, Decoder, FailedRecord, JsonSchema, Line, RowPredicate,
};
use crate::io::line::LineDecoder;
use crate::io::{LongRecord, Replaced, TextChunk};
use crate::memory::Buffers;
use crate::plan::FileFormat;
use crate::shuffle::Shards;

/// A record that did not decode, relative to its chunk.
#[derive(Debug)]
pub(crate) struct Bad {
    pub byte: u64,
    pub line: u64,
    pub column: Option<String>,
    pub reason: String,
    /// Its text, where it will be kept.
    pub raw: Option<Vec<u8>>,
    /// Bytes of the whole record, if only its beginning was read.
    pub shortened_from: Option<u64>,
}

/// What became of a chunk.
#[derive(Debug)]
pub(crate) struct Worked {
    pub batch: RecordBatch,
    /// The schema of `batch`, wide enough for this chunk alone.
    pub schema: RunSchema,
    /// Bytes of text, or logical bytes where there was none.
    pub text_bytes: u64,
    /// Of the chunk, decompressed, from the file's start; none where there was no text.
    pub first_byte: Option<u64>,
    pub lines: u64,
    /// Line ends that end none of them.
    pub inner_lines: u64,
    pub blank: u64,
    pub filtered: u64,
    /// Rows that were made of items of lists, beyond one for each row.
    pub added: u64,
    /// What was passed over in front of the chunk.
    pub skipped: Passed,
    pub bad: Vec<Bad>,
    pub duplicate_keys: u64,
    pub ignored_values: u64,
    /// What of the text became U+FFFD.
    pub replaced: Option<Replaced>,
    /// Columns of text without types that begin with numbers or booleans.
    pub typed: Vec<Arc<str>>,
    /// Where each row of `batch` came from, if somebody will ask.
    pub places: Option<Vec<Line>>,
    /// Where the first row came from, if rows have no columns at all.
    pub bare: Option<Line>,
    /// What the rows were folded into, if that is asked for; then `batch` only
    /// counts them. Nothing where it stayed with a pool of folders.
    pub folded: Option<Vec<RecordBatch>>,
    /// The bucket that all groups of the rows are of, where that is known.
    pub bucket: Option<u32>,
    /// Keys that many of the rows have that were folded, if it was looked for them.
    pub hot: Option<ChunkKeys>,
    /// Its rows cut by bucket, if that is asked for; then `batch` only counts them.
    pub shards: Option<Shards>,
    /// Why nothing behind these rows was looked at.
    pub failed: Option<FailedRecord>,
}

impl Worked {
    /// The memory that its rows hold, or what was made of them.
    pub fn buffers(&self) -> Buffers {
        let folded = self.folded.iter().flatten();
        let shards = self.shards.iter().flat_map(Shards::batches);
        let batches = folded.chain(shards).chain([&self.batch]);
        Buffers::of(batches.flat_map(RecordBatch::columns))
    }

    /// Lets rows go that something else was made of; they still count.
    pub fn count_only(&mut self) -> Result<()> {
        let rows = RecordBatchOptions::new().with_row_count(Some(self.batch.num_rows()));
        let none = Arc::new(Schema::empty());
        self.batch = RecordBatch::try_new_with_options(none, Vec::new(), &rows)?;
        Ok(())
    }
}

/// Makes workers: one for each thread.
#[derive(Clone)]
pub(crate) struct WorkerPlan {
    /// What text holds, if chunks are text.
    pub format: FileFormat,
    /// Where lines of text tell their place.
    pub byte_column: Option<String>,
    pub decode: Arc<DecodeOptions>,
    /// What records must be to be decoded.
    pub filter: Option<BoundExpr>,
    /// What is known of columns that only the filter looks at, before any record is read.
    pub filter_head: Option<JsonSchema>,
    /// What is done to rows.
    pub steps: Vec<RowStep>,
    /// What rows are folded into, if no step needs them in order first.
    pub fold: Option<Arc<Folding>>,
    /// How rows are cut by bucket, if no step needs them in order first.
    pub scatter: Option<Arc<ScatterPlan>>,
    /// The column that holds the input's path, if there is one.
    pub path_column: Option<Arc<str>>,
    /// What is known of records before any is read.
    pub given: JsonSchema,
    /// Whether the text of bad records is kept.
    pub keep_raw: bool,
    /// Whether a later step may have to name the place of a row.
    pub keep_places: bool,
}

impl WorkerPlan {
    fn decoder(&self) -> Decode {
        let options = Arc::clone(&self.decode);
        match self.format {
            FileFormat::Csv => Decode::Csv(Box::new(
                CsvDecoder::new(options, None).with_places(self.keep_places),
            )),
            FileFormat::Text => {
                Decode::Line(LineDecoder::new(options, None, self.byte_column.clone()))
            }
            FileFormat::Json | FileFormat::Parquet | FileFormat::Ipc => {
                Decode::Json(Box::new(Decoder::new(options, None)))
            }
        }
    }

    pub fn build(&self) -> Worker {
        Worker {
            decoder: self.decoder(),
            predicate: None,
            steps: RowSteps::new(&self.steps),
            folder: None,
            spare: Vec::new(),
            unit: None,
            plan: self.clone(),
        }
    }

    /// The filter as the decoder takes it, for records of the file at `path`.
    fn predicate(&self, path: &str) -> Option<Arc<Predicate>> {
        let bound = self.filter.clone()?;
        Some(Arc::new(match &self.path_column {
            Some(column) if bound.root_columns().iter().any(|name| **name == **column) => {
                Predicate::of_file(bound, Arc::clone(column), path)
            }
            _ => Predicate::new(bound),
        }))
    }
}

/// From records to rows, by what a record is.
enum Decode {
    Json(Box<Decoder>),
    Csv(Box<CsvDecoder>),
    Line(LineDecoder),
}

impl Decode {
    fn set_predicate(&mut self, predicate: Option<Arc<dyn RowPredicate>>) {
        match self {
            Decode::Json(json) => json.set_predicate(predicate),
            Decode::Csv(csv) => csv.set_predicate(predicate),
            Decode::Line(lines) => lines.set_predicate(predicate),
        }
    }

    /// Has the decoder tell the places of rows from now on, if it did not.
    #[cold]
    fn keep_places(&mut self) -> bool {
        match self {
            Decode::Csv(csv) => csv.keep_places(),
            Decode::Json(_) | Decode::Line(_) => false,
        }
    }

    /// Decodes records that stand at `first_byte` of their file; CSV with its layout.
    fn decode(
        &mut self,
        text: &mut Vec<u8>,
        first_byte: u64,
        layout: Option<&Arc<CsvLayout>>,
        schema: &JsonSchema,
    ) -> Result<Decoded> {
        match (self, layout) {
            (Decode::Json(json), _) => json.decode(text, schema),
            (Decode::Line(lines), _) => lines.decode(text, first_byte),
            (Decode::Csv(csv), Some(layout)) => csv.decode(text, first_byte, layout, schema),
            (Decode::Csv(_), None) => Err(Error::internal("CSV came without its layout")),
        }
    }
}

/// What a chunk of text is decoded with.
struct TextRead<'a> {
    layout: Option<&'a Arc<CsvLayout>>,
    /// Of its file.
    path: &'a str,
    schema: &'a RunSchema,
    /// The columns that are known before.
    start: &'a JsonSchema,
}

/// One thread's decoder and operators, with the buffers that they reuse.
pub(crate) struct Worker {
    /// Room for the next chunk's text: each thread keeps its own.
    pub spare: Vec<u8>,
    /// The unit that its thread read last.
    pub unit: Option<u64>,
    decoder: Decode,
    /// The filter that the decoder has.
    predicate: Option<Arc<Predicate>>,
    steps: RowSteps,
    /// Made for the first chunk, empty between chunks.
    folder: Option<Folder>,
    plan: WorkerPlan,
}

impl Worker {
    /// Decodes chunk `number` of the input, counted so that it grows with the
    /// input, and takes it through the steps. The text's buffer comes back, to be reused.
    pub fn work(
        &mut self,
        chunk: Chunk,
        number: u64,
        path: &str,
        schema: &RunSchema,
    ) -> Result<(Worked, Vec<u8>)> {
        let (mut worked, spare) = match chunk {
            Chunk::Text(mut text) => {
                let worked = match text.long.take() {
                    Some(long) => self.long(text.clone(), None, long, path, schema)?,
                    None => self.text(&mut text, None, path, schema)?,
                };
                (worked, text.bytes)
            }
            Chunk::Csv(mut text, layout) => {
                let layout = Some(&layout);
                let worked = match text.long.take() {
                    Some(long) => self.long(text.clone(), layout, long, path, schema)?,
                    None => self.text(&mut text, layout, path, schema)?,
                };
                (worked, text.bytes)
            }
            Chunk::Batch(batch, passed) => (self.batch(batch, passed, schema)?, Vec::new()),
            Chunk::Work(make) => {
                let batch = make()?;
                (self.batch(batch, Passed::default(), schema)?, Vec::new())
            }
        };
        if let Some(folding) = &self.plan.fold {
            folding.fold(&mut self.folder, &mut worked, number)?;
        }
        if let Some(scatter) = &self.plan.scatter {
            scatter.cut(&mut worked)?;
        }
        Ok((worked, spare))
    }

    fn text(
        &mut self,
        text: &mut TextChunk,
        layout: Option<&Arc<CsvLayout>>,
        path: &str,
        schema: &RunSchema,
    ) -> Result<Worked> {
        let known = schema
            .decoded()
            .expect("text units come with a schema that widens");
        let with_filter = self.plan.filter_head.as_ref();
        let with_filter = with_filter.map(|head| known.merge(head));
        let start = with_filter.as_ref().unwrap_or(known);
        self.filter_file(path);
        let read = TextRead {
            layout,
            path,
            schema,
            start,
        };
        let (decoded, batch, stepped, mut failed) = self.step_text(text, &read)?;
        let Stepped { batch: kept, added } = stepped;
        if let Some(failed) = &mut failed {
            self.judge_alone(failed, text, layout, path, schema)?;
        }
        let places = self.places(&batch, &kept, |row| decoded.places[row])?;
        Ok(Worked {
            schema: schema.local(decoded.schema),
            text_bytes: text.bytes.len() as u64,
            first_byte: Some(text.first_byte),
            lines: decoded.lines,
            inner_lines: decoded.inner_lines,
            blank: decoded.blank,
            filtered: decoded.filtered + batch.num_rows() as u64 + added - kept.num_rows() as u64,
            added,
            skipped: Passed::default(),
            bad: decoded
                .bad
                .into_iter()
                .map(|bad| self.bad(bad, &text.bytes))
                .collect(),
            duplicate_keys: decoded.duplicate_keys,
            ignored_values: decoded.ignored_values,
            replaced: text.replaced,
            typed: decoded.typed,
            bare: first_bare(&kept, places.as_deref()),
            places: places.filter(|_| self.plan.keep_places),
            batch: kept,
            folded: None,
            bucket: None,
            hot: None,
            shards: None,
            failed,
        })
    }

    /// Decodes a chunk and takes its rows through the steps: what was decoded, the rows
    /// in front of the steps and behind them, and the record that failed, if one did.
    /// Then these are the rows before it.
    fn step_text(
        &mut self,
        text: &mut TextChunk,
        read: &TextRead<'_>,
    ) -> Result<(Decoded, RecordBatch, Stepped, Option<FailedRecord>)> {
        let (at, layout, start) = (text.first_byte, read.layout, read.start);
        let mut decoded = self.decoder.decode(&mut text.bytes, at, layout, start)?;
        let mut failed = None;
        loop {
            failed = decoded.failed.take().or(failed);
            let batch = read.schema.with_path(decoded.batch.clone(), read.path)?;
            let stepped = self.steps.push(&batch, false);
            let asks_places = match &stepped {
                Ok(stepped) => stepped.batch.num_columns() == 0,
                Err(failure) => matches!(failure, Failure::Row(..)),
            };
            let lacks_places = decoded.places.len() < batch.num_rows();
            if asks_places && lacks_places && self.decoder.keep_places() {
                decoded = self.decoder.decode(&mut text.bytes, at, layout, start)?;
                continue;
            }
            match stepped {
                Ok(stepped) => return Ok((decoded, batch, stepped, failed)),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Row(row, error)) => {
                    let place = decoded.places[row];
                    failed = Some(FailedRecord { place, error });
                    let mut before = text.bytes[..place.byte].to_vec();
                    decoded = self.decoder.decode(&mut before, at, layout, start)?;
                }
            }
        }
    }

    /// Has the decoder filter records of the file at `path`.
    fn filter_file(&mut self, path: &str) {
        let known = self.predicate.as_ref();
        if known.is_some_and(|known| known.is_about(path)) {
            return;
        }
        self.predicate = self.plan.predicate(path);
        let predicate = self.predicate.clone();
        let predicate = predicate.map(|predicate| predicate as Arc<dyn RowPredicate>);
        self.decoder.set_predicate(predicate);
    }

    /// Where the rows stand that the steps `kept` of `batch`, whose rows stand
    /// where `place_of` says; nothing where nobody asks.
    fn places(
        &self,
        batch: &RecordBatch,
        kept: &RecordBatch,
        place_of: impl Fn(usize) -> Line,
    ) -> Result<Option<Vec<Line>>> {
        if !self.plan.keep_places && kept.num_columns() > 0 {
            return Ok(None);
        }
        let rows = self.steps.kept(batch)?;
        Ok(Some(rows.into_iter().map(place_of).collect()))
    }

    /// A record that was too long to be read whole.
    fn long(
        &mut self,
        text: TextChunk,
        layout: Option<&Arc<CsvLayout>>,
        long: LongRecord,
        path: &str,
        schema: &RunSchema,
    ) -> Result<Worked> {
        let mut nothing = TextChunk {
            bytes: Vec::new(),
            ..text.clone()
        };
        let bad = Bad {
            byte: 0,
            line: 0,
            column: None,
            reason: long.reason,
            raw: self.plan.keep_raw.then(|| text.bytes.clone()),
            shortened_from: (long.bytes > text.bytes.len() as u64).then_some(long.bytes),
        };
        Ok(Worked {
            text_bytes: long.bytes,
            lines: 1,
            bad: vec![bad],
            ..self.text(&mut nothing, layout, path, schema)?
        })
    }

    fn batch(
        &mut self,
        mut batch: RecordBatch,
        passed: Passed,
        schema: &RunSchema,
    ) -> Result<Worked> {
        let mut failed = None;
        let Stepped { batch: kept, added } = loop {
            match self.steps.push(&batch, passed.all_others) {
                Ok(stepped) => break stepped,
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Row(row, error)) => {
                    batch = batch.slice(0, row);
                    failed = Some(FailedRecord {
                        place: row_place(row),
                        error,
                    });
                }
            }
        };
        let places = self.places(&batch, &kept, row_place)?;
        Ok(Worked {
            text_bytes: crate::partition::batch_bytes(&batch),
            schema: schema.clone(),
            first_byte: None,
            lines: batch.num_rows() as u64 + passed.rows,
            inner_lines: 0,
            blank: 0,
            filtered: batch.num_rows() as u64 + added - kept.num_rows() as u64 + passed.rows,
            added,
            skipped: passed,
            bad: Vec::new(),
            duplicate_keys: 0,
            ignored_values: 0,
            replaced: None,
            typed: Vec::new(),
            bare: first_bare(&kept, places.as_deref()),
            places: places.filter(|_| self.plan.keep_places),
            batch: kept,
            folded: None,
            bucket: None,
            hot: None,
            shards: None,
            failed,
        })
    }

    fn bad(&self, bad: BadRecord, text: &[u8]) -> Bad {
        let from = usize::try_from(bad.byte).unwrap_or(usize::MAX);
        let raw = self.plan.keep_raw.then(|| {
            text.get(from..from.saturating_add(bad.len))
                .unwrap_or_default()
                .to_vec()
        });
        Bad {
            byte: bad.byte,
            line: bad.line,
            column: bad.column,
            reason: bad.reason,
            raw,
            shortened_from: None,
        }
    }

    /// Says what is wrong with a record in the words that it gives when it is
    /// read alone: in a chunk, the types of its neighbours show in its values.
    #[cold]
    fn judge_alone(
        &mut self,
        failed: &mut FailedRecord,
        text: &TextChunk,
        layout: Option<&Arc<CsvLayout>>,
        path: &str,
        schema: &RunSchema,
    ) -> Result<()> {
        let rest = &text.bytes[failed.place.byte..];
        let end = match layout {
            Some(layout) => layout.record_around(rest, 0).1,
            None => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
        };
        let mut record = rest[..end].to_vec();
        let at = text.first_byte + failed.place.byte as u64;
        let given = &self.plan.given;
        let decoded = self.decoder.decode(&mut record, at, layout, given)?;
        if let Some(alone) = decoded.failed {
            failed.error = alone.error;
            return Ok(());
        }
        let batch = schema.with_path(decoded.batch, path)?;
        if let Err(Failure::Row(_, error)) = self.steps.push(&batch, false) {
            failed.error = error;
        }
        Ok(())
    }
}

fn first_bare(kept: &RecordBatch, places: Option<&[Line]>) -> Option<Line> {
    places?.first().filter(|_| kept.num_columns() == 0).copied()
}

/// The place of a row of a batch that came from no text.
fn row_place(row: usize) -> Line {
    Line {
        byte: 0,
        number: row as u64,
    }
}
