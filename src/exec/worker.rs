//! What any thread may do to a chunk, whatever its neighbours are.
//!
//! In:  a chunk, and the schema as far as it is known.
//! Out: rows, and everything the balance sheet needs, relative to the chunk.
//!
//! An expression that has no value for a row ends the chunk: what stands before
//! that row comes out as if the chunk ended there, with the failure.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::filters::{Failure, Filters};
use super::schema::RunSchema;
use super::source::Chunk;
use crate::error::Result;
use crate::expr::BoundExpr;
use crate::io::TextChunk;
use crate::io::json::{
    BadRecord, DecodeOptions, Decoder, FailedRecord, JsonSchema, Line, RowPredicate,
};

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
    pub predicate: Option<Arc<dyn RowPredicate>>,
    /// Filters on batches that need no decoding, or that could not be pushed into it.
    pub filters: Vec<BoundExpr>,
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
            decoder: Decoder::new(Arc::clone(&self.decode), self.predicate.clone()),
            filters: Filters::new(&self.filters),
            given: self.given.clone(),
            keep_raw: self.keep_raw,
            keep_places: self.keep_places,
        }
    }
}

/// One thread's decoder and operators, with the buffers that they reuse.
pub(crate) struct Worker {
    decoder: Decoder,
    filters: Filters,
    given: JsonSchema,
    keep_raw: bool,
    keep_places: bool,
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
                let worked = self.text(&mut text, path, schema)?;
                Ok((worked, text.bytes))
            }
            Chunk::Batch(batch) => Ok((self.batch(batch, schema)?, Vec::new())),
        }
    }

    fn text(&mut self, text: &mut TextChunk, path: &str, schema: &RunSchema) -> Result<Worked> {
        let start = schema
            .decoded()
            .expect("text units come with a schema that widens");
        let long = text.long.take();
        // Of a record that is too long, there is nothing to decode.
        let mut end = match long {
            Some(_) => 0,
            None => text.bytes.len(),
        };
        let mut failed = None;
        loop {
            let mut decoded = self.decoder.decode(&text.bytes[..end], start)?;
            failed = decoded.failed.take().or(failed);
            let batch = schema.with_path(decoded.batch, path)?;
            let kept = match self.filters.push(&batch) {
                Ok(kept) => kept,
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Row(row, error)) => {
                    let place = decoded.places[row];
                    end = place.byte;
                    failed = Some(FailedRecord { place, error });
                    continue;
                }
            };
            let mut bad: Vec<Bad> = decoded
                .bad
                .into_iter()
                .map(|bad| self.bad(bad, &text.bytes))
                .collect();
            let places = self.places(&batch, &kept, |row| decoded.places[row])?;
            if let Some(failed) = &mut failed {
                self.judge_alone(failed, &text.bytes, path, schema)?;
            }
            let text_bytes = match &long {
                Some(long) => long.bytes,
                None => text.bytes.len() as u64,
            };
            let lines = decoded.lines + u64::from(long.is_some());
            bad.extend(long.map(|long| Bad {
                byte: 0,
                line: 0,
                column: None,
                reason: long.reason,
                raw: self.keep_raw.then(|| text.bytes.clone()),
                shortened_from: Some(long.bytes),
            }));
            return Ok(Worked {
                filtered: decoded.filtered + (batch.num_rows() - kept.num_rows()) as u64,
                schema: schema.local(decoded.schema),
                text_bytes,
                first_byte: Some(text.first_byte),
                lines,
                blank: decoded.blank,
                bad,
                duplicate_keys: decoded.duplicate_keys,
                ignored_values: decoded.ignored_values,
                bare: first_bare(&kept, places.as_deref()),
                places: places.filter(|_| self.keep_places),
                batch: kept,
                failed,
            });
        }
    }

    fn batch(&mut self, mut batch: RecordBatch, schema: &RunSchema) -> Result<Worked> {
        let mut failed = None;
        let kept = loop {
            match self.filters.push(&batch) {
                Ok(kept) => break kept,
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
            lines: batch.num_rows() as u64,
            blank: 0,
            filtered: (batch.num_rows() - kept.num_rows()) as u64,
            bare: first_bare(&kept, places.as_deref()),
            places: places.filter(|_| self.keep_places),
            batch: kept,
            bad: Vec::new(),
            duplicate_keys: 0,
            ignored_values: 0,
            failed,
        })
    }

    fn bad(&self, bad: BadRecord, text: &[u8]) -> Bad {
        let from = usize::try_from(bad.byte).unwrap_or(usize::MAX);
        let raw = self.keep_raw.then(|| {
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

    /// Where the rows stand that the filters `kept` of `batch`, whose rows stand
    /// where `place_of` says; nothing where nobody asks.
    fn places(
        &self,
        batch: &RecordBatch,
        kept: &RecordBatch,
        place_of: impl Fn(usize) -> Line,
    ) -> Result<Option<Vec<Line>>> {
        if !self.keep_places && kept.num_columns() > 0 {
            return Ok(None);
        }
        let rows = self.filters.kept(batch)?;
        Ok(Some(rows.into_iter().map(place_of).collect()))
    }

    /// Says what is wrong with a record in the words that it gives when it is
    /// read alone: in a chunk, the types of its neighbours show in its values.
    #[cold]
    fn judge_alone(
        &mut self,
        failed: &mut FailedRecord,
        text: &[u8],
        path: &str,
        schema: &RunSchema,
    ) -> Result<()> {
        let rest = &text[failed.place.byte..];
        let record = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        let decoded = self.decoder.decode(record, &self.given)?;
        if let Some(alone) = decoded.failed {
            failed.error = alone.error;
            return Ok(());
        }
        let batch = schema.with_path(decoded.batch, path)?;
        if let Err(Failure::Row(_, error)) = self.filters.push(&batch) {
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
