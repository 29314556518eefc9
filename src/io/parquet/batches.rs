//! The batches of a stretch, whoever decodes them.
//!
//! In:  a decoder of ours, or the parquet crate's with what the filter has decoded already.
//! Out: batches in order, as many rows as were promised.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::flat::FlatRows;
use super::late::Early;
use crate::error::{Error, Result};
use crate::io::guard::guarded;
use crate::io::pread::Pread;

/// The batches of one stretch, in order. Ends with its first error.
pub struct ParquetBatches {
    schema: SchemaRef,
    /// Rows that were left out before any was decoded.
    passed: u64,
    decoder: Option<Decoder>,
    are_filtered: bool,
    /// Rows that the decoder left out, once it is done.
    passed_later: u64,
}

/// Who decodes a stretch.
pub(super) enum Decoder {
    Flat(FlatRows),
    Crate(Crated),
}

impl ParquetBatches {
    pub(super) fn new(passed: u64, decoder: Decoder) -> Self {
        let (schema, are_filtered) = match &decoder {
            Decoder::Flat(flat) => (flat.schema(), flat.is_filtered()),
            Decoder::Crate(crated) => (&crated.schema, crated.early.is_some()),
        };
        ParquetBatches {
            schema: Arc::clone(schema),
            are_filtered,
            passed,
            decoder: Some(decoder),
            passed_later: 0,
        }
    }

    /// Whether it is decoded here.
    #[cfg(test)]
    pub(super) fn is_flat(&self) -> bool {
        matches!(self.decoder, Some(Decoder::Flat(_)))
    }

    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of the stretch that were left out so far: all that are, once the last batch came.
    pub fn rows_passed(&self) -> u64 {
        let now = match &self.decoder {
            Some(Decoder::Flat(flat)) => flat.passed(),
            _ => self.passed_later,
        };
        self.passed + now
    }

    /// Whether all rows that come pass the filter: where the columns it looks at
    /// are decoded before the others.
    pub fn are_filtered(&self) -> bool {
        self.are_filtered
    }
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.decoder.as_mut()? {
            Decoder::Flat(flat) => flat.next(),
            Decoder::Crate(crated) => crated.next(),
        };
        if !matches!(next, Ok(Some(_))) {
            self.passed_later = self.rows_passed() - self.passed;
            // Nothing is held any more.
            self.decoder = None;
        }
        next.transpose()
    }
}

/// What the parquet crate decodes.
pub(super) struct Crated {
    pub schema: SchemaRef,
    pub opened: Option<Opened>,
    pub early: Option<Early>,
    pub slots: Vec<Slot>,
    /// Rows of a batch, if batches have no columns.
    pub bare_rows: Option<usize>,
    pub name: String,
    pub group: usize,
    pub rows_left: u64,
}

impl Crated {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(most) = self.bare_rows {
            let rows = usize::try_from(self.rows_left).map_or(most, |left| left.min(most));
            self.rows_left -= rows as u64;
            return match rows {
                0 => Ok(None),
                _ => self.batch(rows, Vec::new()).map(Some),
            };
        }
        let Some(opened) = &mut self.opened else {
            return Ok(None);
        };
        let batch = opened.next(&self.name, self.group)?;
        let counts = |what: &str| {
            let reason = format!(
                "row group {} holds {what} rows than its footer says",
                self.group
            );
            Error::corrupt(&self.name, None, reason)
        };
        let Some(batch) = batch else {
            if self.rows_left > 0 {
                return Err(counts("fewer"));
            }
            return Ok(None);
        };
        let rows = batch.num_rows();
        self.rows_left = (self.rows_left.checked_sub(rows as u64)).ok_or_else(|| counts("more"))?;
        let early = match &mut self.early {
            Some(early) => Some(early.take(rows)?),
            None => None,
        };
        let column = |slot: &Slot| match (slot, &early) {
            (Slot::Early(idx), Some(early)) => Arc::clone(early.column(*idx)),
            (Slot::Read(idx) | Slot::Early(idx), _) => Arc::clone(batch.column(*idx)),
        };
        let columns = self.slots.iter().map(column).collect();
        self.batch(rows, columns).map(Some)
    }

    fn batch(&self, rows: usize, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}

/// A reader, and the file that it reads, for what that knows of reads that failed.
pub(super) struct Opened {
    reader: ParquetRecordBatchReader,
    failures: Pread,
}

impl Opened {
    pub fn new(reader: ParquetRecordBatchReader, failures: Pread) -> Self {
        Opened { reader, failures }
    }

    /// The columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    /// The next batch of row group `group`.
    pub fn next(&mut self, name: &str, group: usize) -> Result<Option<RecordBatch>> {
        guarded(name, || match self.reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(match self.failures.take_failure() {
                Some(source) => Error::io(name, "read", source),
                None => Error::corrupt(name, None, format!("row group {group}: {error}")),
            }),
        })
    }
}

/// Where a column of a batch comes from.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    /// This one of those that are read now.
    Read(usize),
    /// This one of those that were decoded for the filter.
    Early(usize),
}
