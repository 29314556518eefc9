//! What any thread may do to a chunk, whatever its neighbours are.
//!
//! In:  a chunk, and the schema as far as it is known.
//! Out: rows, and everything the balance sheet needs, relative to the chunk.
//!
//! An expression that has no value for a row ends the chunk: what stands before
//! that row comes out as if the chunk ended there, with the failure.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::predicate::Predicate;
use super::schema::RunSchema;
use super::source::{Chunk, Passed};
use crate::error::Result;
use crate::expr::BoundExpr;
use crate::io::json::{
    BadRecord, DecodeOptions, Decoder, FailedRecord, JsonSchema, Line, RowPredicate,
};
use crate::io::{LongRecord, TextChunk};
use crate::ops::{Filter, Kept};

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
    pub blank: u64,
    pub filtered: u64,
    /// Row groups that no row of the chunk was read from.
    pub skipped_row_groups: u64,
    pub bad: Vec<Bad>,
    pub duplicate_keys: u64,
    pub ignored_values: u64,
    /// Where each row of `batch` came from, if somebody will ask.
    pub places: Option<Vec<Line>>,
    /// Where the first row came from, if rows have no columns at all.
    pub bare: Option<Line>,
    /// Why nothing behind these rows was looked at.
    pub failed: Option<FailedRecord>,
}

/// Makes workers: one for each thread.
#[derive(Clone)]
pub(crate) struct WorkerPlan {
    pub decode: Arc<DecodeOptions>,
    /// What rows must be to be kept.
    pub filter: Option<BoundExpr>,
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
    pub fn build(&self) -> Worker {
        Worker {
            decoder: Decoder::new(Arc::clone(&self.decode), None),
            predicate: None,
            filter: self.filter.clone().map(Filter::new),
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

/// One thread's decoder and operators, with the buffers that they reuse.
pub(crate) struct Worker {
    decoder: Decoder,
    /// The filter that the decoder has.
    predicate: Option<Arc<Predicate>>,
    /// The same, for batches that need no decoding.
    filter: Option<Filter>,
    plan: WorkerPlan,
}

impl Worker {
    /// Decodes a chunk and takes it through the steps. The text's buffer comes back, to be reused.
    pub fn work(
        &mut self,
        chunk: Chunk,
        path: &str,
        schema: &RunSchema,
    ) -> Result<(Worked, Vec<u8>)> {
        match chunk {
            Chunk::Text(mut text) => {
                let worked = match text.long.take() {
                    Some(long) => self.long(&text, long, path, schema)?,
                    None => self.text(&text, path, schema)?,
                };
                Ok((worked, text.bytes))
            }
            Chunk::Batch(batch, passed) => Ok((self.batch(batch, passed, schema)?, Vec::new())),
        }
    }

    fn text(&mut self, text: &TextChunk, path: &str, schema: &RunSchema) -> Result<Worked> {
        let start = schema
            .decoded()
            .expect("text units come with a schema that widens");
        if self
            .predicate
            .as_ref()
            .is_none_or(|known| !known.is_about(path))
        {
            self.predicate = self.plan.predicate(path);
            let predicate = self.predicate.clone();
            self.decoder
                .set_predicate(predicate.map(|predicate| predicate as Arc<dyn RowPredicate>));
        }
        let mut decoded = self.decoder.decode(&text.bytes, start)?;
        if let Some(failed) = &mut decoded.failed {
            self.judge_alone(failed, &text.bytes)?;
        }
        let bare = decoded.batch.num_columns() == 0;
        let batch = schema.with_path(decoded.batch, path)?;
        Ok(Worked {
            batch,
            schema: schema.local(decoded.schema),
            text_bytes: text.bytes.len() as u64,
            first_byte: Some(text.first_byte),
            lines: decoded.lines,
            blank: decoded.blank,
            filtered: decoded.filtered,
            skipped_row_groups: 0,
            bad: decoded
                .bad
                .into_iter()
                .map(|bad| self.bad(bad, &text.bytes))
                .collect(),
            duplicate_keys: decoded.duplicate_keys,
            ignored_values: decoded.ignored_values,
            bare: decoded.places.first().filter(|_| bare).copied(),
            places: self.plan.keep_places.then_some(decoded.places),
            failed: decoded.failed,
        })
    }

    /// A record that was too long to be read whole.
    fn long(
        &mut self,
        text: &TextChunk,
        long: LongRecord,
        path: &str,
        schema: &RunSchema,
    ) -> Result<Worked> {
        let nothing = TextChunk {
            bytes: Vec::new(),
            ..text.clone()
        };
        let bad = Bad {
            byte: 0,
            line: 0,
            column: None,
            reason: long.reason,
            raw: self.plan.keep_raw.then(|| text.bytes.clone()),
            shortened_from: Some(long.bytes),
        };
        Ok(Worked {
            text_bytes: long.bytes,
            lines: 1,
            bad: vec![bad],
            ..self.text(&nothing, path, schema)?
        })
    }

    fn batch(
        &mut self,
        mut batch: RecordBatch,
        passed: Passed,
        schema: &RunSchema,
    ) -> Result<Worked> {
        let mut failed = None;
        let kept = match &self.filter {
            None => Kept::all(batch.clone()),
            Some(filter) => {
                let (kept, failure) = filter.keep_before_failure(&batch)?;
                if let Some((row, error)) = failure {
                    batch = batch.slice(0, row);
                    failed = Some(FailedRecord {
                        place: row_place(row),
                        error,
                    });
                }
                kept
            }
        };
        let first = kept.places().next().map(row_place);
        let bare = first.filter(|_| kept.batch.num_columns() == 0);
        Ok(Worked {
            text_bytes: crate::partition::batch_bytes(&batch),
            schema: schema.clone(),
            first_byte: None,
            lines: batch.num_rows() as u64 + passed.rows,
            blank: 0,
            filtered: (batch.num_rows() - kept.batch.num_rows()) as u64 + passed.rows,
            skipped_row_groups: passed.row_groups,
            bad: Vec::new(),
            duplicate_keys: 0,
            ignored_values: 0,
            bare,
            places: self
                .plan
                .keep_places
                .then(|| kept.places().map(row_place).collect()),
            batch: kept.batch,
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
    fn judge_alone(&mut self, failed: &mut FailedRecord, text: &[u8]) -> Result<()> {
        let rest = &text[failed.place.byte..];
        let record = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        if let Some(alone) = self.decoder.decode(record, &self.plan.given)?.failed {
            failed.error = alone.error;
        }
        Ok(())
    }
}

/// The place of a row of a batch that came from no text.
fn row_place(row: usize) -> Line {
    Line {
        byte: 0,
        number: row as u64,
    }
}
