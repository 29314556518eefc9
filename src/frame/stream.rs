//! Rows as they come, batch by batch.
//!
//! In:  a frame.
//! Out: an iterator over its batches in order, of bounded memory; or a reader
//!      whose batches all have one schema.

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};

use super::dataframe::DataFrame;
use crate::error::{Error, Result};
use crate::exec::{Batches, RunReport};

/// The batches of a frame, in input order, while it is read. Dropping it ends
/// the run within a chunk.
pub struct Stream {
    batches: Batches,
}

impl Stream {
    /// The balance sheet of what was read, once all batches were taken.
    pub fn report(&self) -> Option<&RunReport> {
        self.batches.finished().map(|(_, report)| report)
    }

    /// Columns and types of all rows, once all batches were taken.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.batches
            .finished()
            .map(|(schema, _)| SchemaRef::clone(schema))
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

/// A [`Stream`] whose batches have one schema, which is known beforehand.
pub struct Reader {
    schema: SchemaRef,
    stream: Stream,
}

impl Iterator for Reader {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.stream.next()? {
            Ok(batch) if batch.schema() == self.schema => return Some(Ok(batch)),
            Ok(batch) => fitted(&batch, &self.schema),
            Err(error) => Err(error),
        };
        Some(batch.map_err(|error| ArrowError::ExternalError(Box::new(error))))
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

/// A batch that knows fewer columns or narrower types than were promised; more
/// than that cannot be given any more.
fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let held = batch.schema();
    if let Some(late) = held
        .fields()
        .iter()
        .find(|field| schema.column_with_name(field.name()).is_none())
    {
        return Err(Error::plan(format!(
            "column {:?} came after the schema of the reader was given; select columns, or take batches with stream()",
            late.name()
        )));
    }
    crate::expr::fit(batch, schema)
}

impl DataFrame {
    /// The batches, in input order, as they are made: for rows that need not fit
    /// in memory. The run goes on beside the caller, a few batches ahead, and
    /// ends when the stream is dropped. A batch of text has the columns found
    /// so far; later ones may have more, and wider types.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use windrow::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// use windrow::prelude::*;
    /// # fn main() -> windrow::Result<()> {
    /// # let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    /// # let batch = RecordBatch::try_from_iter([("n", n)])?;
    /// let frame = Session::default().from_batches(batch.schema(), [batch])?;
    /// let mut rows = 0;
    /// for batch in frame.filter("n > 2")?.stream()? {
    ///     rows += batch?.num_rows();
    /// }
    /// assert_eq!(rows, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no thread to be had; the first error of the
    /// input comes in its place, behind the rows before it.
    pub fn stream(&self) -> Result<Stream> {
        let batches = Batches::start(self.lower(), self.session().context().clone())?;
        Ok(Stream { batches })
    }

    /// The batches as Arrow's reader, for other libraries: all have the schema
    /// that is known now. Text that brings more columns or wider types is an
    /// error where that happens.
    ///
    /// # Errors
    ///
    /// As [`DataFrame::stream`].
    pub fn reader(&self) -> Result<Reader> {
        Ok(Reader {
            schema: self.schema()?,
            stream: self.stream()?,
        })
    }
}
