//! The first rows.

use arrow_array::RecordBatch;

/// Lets the first `rows` rows pass, in input order. Whoever drives it asks
/// [`Limit::is_done`] and stops reading.
#[derive(Debug)]
pub struct Limit {
    left: u64,
}

impl Limit {
    /// A limit of `rows` rows.
    pub fn new(rows: u64) -> Self {
        Limit { left: rows }
    }

    /// Whether no row more will pass.
    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The rows of the next batch that pass.
    pub fn push(&mut self, batch: RecordBatch) -> RecordBatch {
        let rows = batch.num_rows() as u64;
        if rows <= self.left {
            self.left -= rows;
            return batch;
        }
        let kept = usize::try_from(self.left).unwrap_or(usize::MAX);
        self.left = 0;
        batch.slice(0, kept)
    }
}
