//! What any thread may do to a chunk, whatever its neighbours are.
//!
//! In:  a chunk, and the schema as far as it is known.
//! Out: rows, and everything the balance sheet needs, relative to the chunk.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::schema::RunSchema;
use super::source::Chunk;
use crate::error::Result;
use crate::io::json::{DecodeOptions, Decoder, RowPredicate};
use crate::ops::Operator;

/// A record that did not decode, relative to its chunk.
#[derive(Debug)]
pub(crate) struct Bad {
    pub byte: u64,
    pub line: u64,
    pub column: Option<String>,
    pub reason: String,
    /// Its text, where it will be kept.
    pub raw: Option<Vec<u8>>,
}

/// What became of a chunk.
#[derive(Debug)]
pub(crate) struct Worked {
    pub batch: RecordBatch,
    /// The schema of `batch`, wide enough for this chunk alone.
    pub schema: RunSchema,
    /// Bytes of text, or logical bytes where there was none.
    pub text_bytes: u64,
    /// Of the chunk, decompressed, from the file's start.
    pub first_byte: u64,
    pub lines: u64,
    pub blank: u64,
    pub filtered: u64,
    pub bad: Vec<Bad>,
    pub duplicate_keys: u64,
    pub ignored_values: u64,
}

/// Makes workers: one for each thread.
#[derive(Clone)]
pub(crate) struct WorkerPlan {
    pub decode: Arc<DecodeOptions>,
    pub predicate: Option<Arc<dyn RowPredicate>>,
    /// Filters on batches that need no decoding, or that could not be pushed into it.
    pub filters: Vec<crate::expr::BoundExpr>,
    /// Whether the text of bad records is kept.
    pub keep_raw: bool,
}

impl WorkerPlan {
    pub fn build(&self) -> Worker {
        Worker {
            decoder: Decoder::new(Arc::clone(&self.decode), self.predicate.clone()),
            filters: self
                .filters
                .iter()
                .cloned()
                .map(crate::ops::Filter::new)
                .collect(),
            keep_raw: self.keep_raw,
        }
    }
}

/// One thread's decoder and operators, with the buffers that they reuse.
pub(crate) struct Worker {
    decoder: Decoder,
    filters: Vec<crate::ops::Filter>,
    keep_raw: bool,
}

impl Worker {
    /// Decodes a chunk and takes it through the steps. The text's buffer comes back, to be reused.
    pub fn work(
        &mut self,
        chunk: Chunk,
        path: &str,
        schema: &RunSchema,
    ) -> Result<(Worked, Vec<u8>)> {
        let (mut worked, buffer) = match chunk {
            Chunk::Text(text) => {
                let start = schema
                    .decoded()
                    .expect("text units come with a schema that widens");
                let decoded = self.decoder.decode(&text.bytes, start)?;
                let keep_raw = self.keep_raw;
                let bad = decoded
                    .bad
                    .into_iter()
                    .map(|bad| {
                        let from = usize::try_from(bad.byte).unwrap_or(usize::MAX);
                        let raw = keep_raw.then(|| {
                            text.bytes
                                .get(from..from.saturating_add(bad.len))
                                .unwrap_or_default()
                                .to_vec()
                        });
                        Bad {
                            byte: bad.byte,
                            line: bad.line,
                            column: bad.column,
                            reason: bad.reason,
                            raw,
                        }
                    })
                    .collect();
                let worked = Worked {
                    batch: schema.with_path(decoded.batch, path)?,
                    schema: schema.local(decoded.schema),
                    text_bytes: text.bytes.len() as u64,
                    first_byte: text.first_byte,
                    lines: decoded.lines,
                    blank: decoded.blank,
                    filtered: decoded.filtered,
                    bad,
                    duplicate_keys: decoded.duplicate_keys,
                    ignored_values: decoded.ignored_values,
                };
                (worked, text.bytes)
            }
            Chunk::Batch(batch) => {
                let rows = batch.num_rows() as u64;
                let worked = Worked {
                    text_bytes: crate::partition::batch_bytes(&batch),
                    schema: schema.clone(),
                    batch,
                    first_byte: 0,
                    lines: rows,
                    blank: 0,
                    filtered: 0,
                    bad: Vec::new(),
                    duplicate_keys: 0,
                    ignored_values: 0,
                };
                (worked, Vec::new())
            }
        };
        for filter in &mut self.filters {
            let before = worked.batch.num_rows();
            worked.batch = filter.push(worked.batch)?;
            worked.filtered += (before - worked.batch.num_rows()) as u64;
        }
        Ok((worked, buffer))
    }
}
