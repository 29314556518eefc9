//! One operator a file: batches in, batches out.
//!
//! In:  batches in order.
//! Out: batches in the same order.
//!
//! Operators have no threads, no async and no files but through `memory`.
//! [`Filter`], [`Explode`] and [`Limit`] stream: they hold no rows. The others block: they
//! take batches and partials in input order and answer at the end.

mod aggregate;
mod compute;
mod describe;
mod explode;
mod filter;
mod fold;
pub mod join;
mod in_order;
mod limit;
mod places;
mod sample;
mod seen;
mod sort;
#[cfg(test)]
mod test_rows;
mod top_rows;
pub mod window;

pub use aggregate::Aggregate;
pub(crate) use aggregate::{RowPlaces, Ungrouped, ValueColumn};
pub use compute::Compute;
pub use describe::Describe;
pub(crate) use describe::Frequent;
pub use explode::{Explode, Exploded};
pub use filter::{Filter, Kept};
pub use fold::Fold;
pub use in_order::InOrder;
pub use limit::Limit;
pub(crate) use places::{PLACE_COLUMNS, PlaceNumbers, input_order};
pub use sample::Sample;
pub use seen::Seen;
pub use sort::{Codes, Edges, SortBy, SortKeys};
pub use top_rows::{Bar, TopKey, TopRows};

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
