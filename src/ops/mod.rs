//! One operator a file: batches in, batches out.
//!
//! In:  batches in order.
//! Out: batches in the same order.
//!
//! Operators have no threads, no async and no files but through `memory`.
//! Those here stream: they hold no rows.

mod filter;
mod limit;

pub use filter::{Filter, Kept};
pub use limit::Limit;

use arrow_array::RecordBatch;

use crate::error::Result;

/// What happens to a batch on its way.
pub trait Operator: Send {
    /// The rows that come out for a batch that goes in; maybe none.
    ///
    /// # Errors
    ///
    /// Whatever evaluating an expression on these rows may give.
    fn push(&mut self, batch: RecordBatch) -> Result<RecordBatch>;
}
