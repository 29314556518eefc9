//! The rows of the build side, to be gathered from.
//!
//! In:  its batches, and which of their columns come out.
//! Out: these columns of chosen rows, any row any number of times, null where none is chosen.
//!
//! Batches are put together, as far as one array can hold them: gathering from
//! one array is several times faster than from many.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, new_empty_array, new_null_array};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat;
use arrow_select::interleave::interleave;

use super::table::{ALONE, NONE, on_threads};
use crate::cancel::check;
use crate::error::{Error, Result};
use crate::memory::{HeldBuffers, held_bytes};
use crate::partition::{RowNumbers, batch_bytes, take_rows};

/// Bytes of a piece at most: offsets of texts and lists have 31 bits, and of a
/// dictionary each batch may bring its values.
const PIECE_BYTES: u64 = 1 << 30;

/// Rows by number, over all pieces.
#[derive(Debug)]
pub(super) struct BuildRows {
    /// Of the columns that come out.
    schema: SchemaRef,
    /// Their places among all columns, ascending.
    taken: Vec<usize>,
    pieces: Vec<RecordBatch>,
    /// The number of the first row of each piece.
    starts: Vec<u32>,
    n_rows: usize,
}

impl BuildRows {
    /// Takes batches of `schema`, and of their columns those at the places `taken`,
    /// which ascend; at most 2^32 - 2 rows are of use.
    ///
    /// # Errors
    ///
    /// None that can happen: types agree, and sizes are watched.
    pub fn new(
        schema: &SchemaRef,
        taken: &[usize],
        batches: Vec<RecordBatch>,
        threads: usize,
    ) -> Result<Self> {
        let mut rows = BuildRows {
            schema: Arc::new(schema.project(taken)?),
            taken: taken.to_vec(),
            pieces: Vec::new(),
            starts: Vec::new(),
            n_rows: 0,
        };
        let (mut open, mut bytes) = (Vec::new(), 0);
        let mut buffers = HeldBuffers::default();
        for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            let batch = batch.project(taken)?;
            // Of slices of one batch the rows count, of dictionaries what stands in them.
            let more = buffers.more_of(&batch).max(batch_bytes(&batch));
            if bytes + more > PIECE_BYTES && !open.is_empty() {
                rows.close(std::mem::take(&mut open), threads)?;
                (bytes, buffers) = (0, HeldBuffers::default());
            }
            buffers.add(&batch);
            bytes += more;
            open.push(batch);
        }
        rows.close(open, threads)?;
        Ok(rows)
    }

    /// Makes one piece of some batches.
    fn close(&mut self, batches: Vec<RecordBatch>, threads: usize) -> Result<()> {
        let Some(first) = batches.first() else {
            return Ok(());
        };
        let piece = match batches.len() {
            1 => first.clone(),
            _ => self.put_together(&batches, threads)?,
        };
        self.starts.push(self.n_rows as u32);
        self.n_rows += piece.num_rows();
        self.pieces.push(piece);
        Ok(())
    }

    /// One batch of several, its columns shared out among threads.
    fn put_together(&self, batches: &[RecordBatch], threads: usize) -> Result<RecordBatch> {
        let n_columns = self.schema.fields().len();
        let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let column = |idx: usize| -> Result<ArrayRef> {
            let parts: Vec<&dyn Array> = batches
                .iter()
                .map(|batch| batch.column(idx).as_ref())
                .collect();
            check()?;
            Ok(concat(&parts)?)
        };
        let threads = if n_rows < ALONE { 1 } else { threads };
        let mut columns: Vec<Option<ArrayRef>> = vec![None; n_columns];
        on_threads(&mut columns, threads, |idx, put| {
            *put = Some(column(idx)?);
            Ok(())
        })?;
        let rows = arrow_array::RecordBatchOptions::new().with_row_count(Some(n_rows));
        let columns = columns.into_iter().flatten().collect();
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(schema, columns, &rows)?)
    }

    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(held_bytes).sum()
    }

    /// Chooses rows, to gather columns of.
    pub fn choose(&self, rows: Vec<u32>) -> Chosen<'_> {
        let places = match self.pieces.len() {
            0 | 1 => Places::One(RowNumbers::or_none(rows, NONE)),
            // Null is the only row of an array behind those of the pieces.
            n_pieces => Places::Many(
                rows.into_iter()
                    .map(|row| match row {
                        NONE => (n_pieces, 0),
                        row => {
                            let piece = self.starts.partition_point(|start| *start <= row) - 1;
                            (piece, (row - self.starts[piece]) as usize)
                        }
                    })
                    .collect(),
            ),
        };
        Chosen { rows: self, places }
    }
}

enum Places {
    One(RowNumbers),
    Many(Vec<(usize, usize)>),
}

/// Rows that were chosen.
pub(super) struct Chosen<'a> {
    rows: &'a BuildRows,
    places: Places,
}

impl Chosen<'_> {
    /// The column at a place among all columns, of the chosen rows.
    ///
    /// # Errors
    ///
    /// If texts of the chosen rows take more than 2 GiB.
    pub fn column(&self, place: usize) -> Result<ArrayRef> {
        let idx = self.rows.taken.binary_search(&place);
        let idx = idx.map_err(|_| Error::internal("a column comes out that was not taken"))?;
        let field = self.rows.schema.field(idx);
        match &self.places {
            Places::One(rows) => {
                let column = match self.rows.pieces.first() {
                    Some(piece) => Arc::clone(piece.column(idx)),
                    None => new_empty_array(field.data_type()),
                };
                if column.is_empty() {
                    return Ok(new_null_array(field.data_type(), rows.len()));
                }
                Ok(take_rows(&column, rows)?)
            }
            Places::Many(places) => {
                let null = new_null_array(field.data_type(), 1);
                let pieces = self.rows.pieces.iter().map(|piece| piece.column(idx));
                let all: Vec<&dyn Array> = pieces
                    .chain([&null])
                    .map(|column| column.as_ref())
                    .collect();
                Ok(interleave(&all, places)?)
            }
        }
    }
}
