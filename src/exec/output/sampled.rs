//! Rows that wait until all are counted, with a sample of their keys.
//!
//! In:  rows in input order.
//! Out: the same rows in the same order, and the key columns of some of them.
//!
//! A row is in the sample by its number among all rows: which ones are depends
//! on no cut and no timing.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow_schema::Schema;
use arrow_select::concat::concat;
use arrow_select::take::take_record_batch;

use super::{Group, Hold, Output, Rows};
use crate::error::{Error, Result};
use crate::exec::schema::RunSchema;
use crate::expr::hash_u64;

/// Rows of a sample: sixteen for each of the most ranges that rows are cut into.
pub(crate) const SAMPLE_ROWS: usize = 65_536;

/// Holds rows, and the keys of those with the least hashes of their numbers.
pub(crate) struct Sampled {
    pub hold: Hold,
    columns: Vec<String>,
    /// Rows so far.
    rows: u64,
    /// The largest hash that is let in.
    limit: u64,
    picked: Vec<Picked>,
    n_picked: usize,
}

/// Keys of some rows of a batch, under the schema that the run then had.
struct Picked {
    hashes: Vec<u64>,
    keys: RecordBatch,
    from: RunSchema,
}

impl Sampled {
    /// Samples these columns.
    pub fn new(hold: Hold, columns: Vec<String>) -> Self {
        Sampled {
            hold,
            columns,
            rows: 0,
            limit: u64::MAX,
            picked: Vec::new(),
            n_picked: 0,
        }
    }

    fn pick(&mut self, rows: &Rows, schema: &RunSchema) -> Result<()> {
        let first = self.rows;
        self.rows += rows.batch.num_rows() as u64;
        let hashes = (first..self.rows).map(hash_u64).zip(0_u32..);
        let (hashes, places): (Vec<u64>, Vec<u32>) =
            hashes.filter(|(hash, _)| *hash <= self.limit).unzip();
        if hashes.is_empty() {
            return Ok(());
        }
        let some = take_record_batch(&rows.batch, &UInt32Array::from(places))?;
        let some = schema.finish(&some, &rows.from)?;
        let keys = self.columns.iter();
        let keys: Vec<usize> = keys
            .filter_map(|name| some.schema().index_of(name).ok())
            .collect();
        self.n_picked += hashes.len();
        self.picked.push(Picked {
            hashes,
            keys: some.project(&keys)?,
            from: schema.clone(),
        });
        if self.n_picked > 2 * SAMPLE_ROWS {
            self.cut()?;
        }
        Ok(())
    }

    /// Leaves the rows with the least hashes.
    fn cut(&mut self) -> Result<()> {
        let hashes = self.picked.iter().flat_map(|picked| &picked.hashes);
        let mut hashes: Vec<u64> = hashes.copied().collect();
        if hashes.len() <= SAMPLE_ROWS {
            return Ok(());
        }
        let (_, limit, _) = hashes.select_nth_unstable(SAMPLE_ROWS - 1);
        self.limit = *limit;
        for picked in &mut self.picked {
            let kept = picked.hashes.iter().zip(0_u32..);
            let kept = kept.filter(|(hash, _)| **hash <= self.limit);
            let (hashes, places): (Vec<u64>, Vec<u32>) = kept.unzip();
            if hashes.len() < picked.hashes.len() {
                picked.keys = take_record_batch(&picked.keys, &UInt32Array::from(places))?;
                picked.hashes = hashes;
            }
        }
        self.picked.retain(|picked| !picked.hashes.is_empty());
        self.n_picked = self.picked.iter().map(|picked| picked.hashes.len()).sum();
        Ok(())
    }

    /// The sampled columns, once all rows came, and the rows.
    ///
    /// # Errors
    ///
    /// As [`Sampled::sample`].
    pub fn finish(mut self, schema: &RunSchema, output: &Schema) -> Result<(Vec<ArrayRef>, Hold)> {
        let columns = self.sample(schema, output)?;
        Ok((columns, self.hold))
    }

    /// The sampled columns of the rows so far, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if one of the columns is not among those of all rows, `output`.
    pub fn sample(&mut self, schema: &RunSchema, output: &Schema) -> Result<Vec<ArrayRef>> {
        self.cut()?;
        let keys = self.picked.iter();
        let keys = keys.map(|picked| schema.conform_some(&picked.keys, &picked.from));
        let keys = keys.collect::<Result<Vec<RecordBatch>>>()?;
        let column = |name: &String| {
            let of = output
                .field_with_name(name)
                .map_err(|_| crate::expr::unknown_column(name, output))?
                .data_type();
            let arrays = keys.iter().map(|keys| match keys.column_by_name(name) {
                Some(column) => Arc::clone(column),
                // It came later.
                None => new_null_array(of, keys.num_rows()),
            });
            let arrays: Vec<ArrayRef> = arrays.collect();
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            match arrays.is_empty() {
                true => Ok(new_null_array(of, 0)),
                false => concat(&arrays).map_err(Error::from),
            }
        };
        self.columns.iter().map(column).collect()
    }
}

impl Output for Sampled {
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>> {
        self.pick(&rows, schema)?;
        self.hold.push(rows, schema)
    }
}
