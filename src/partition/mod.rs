//! What a task holds: rows in batches, how large they are, and where one partition ends.
//!
//! In:  record batches in input order.
//! Out: sizes per row and batch, pieces that belong to partitions, the words for a layout.
//!
//! Sizes are logical: they count values, not buffers, so a slice or a shared
//! buffer is never counted twice and the same rows weigh the same in any batch.

mod by;
mod cut;
mod sizes;
mod take;

pub use by::{By, Partitioning};
pub use cut::{Cut, Cutter, Piece};
pub use sizes::{PartitionSize, batch_bytes, row_bytes};
pub(crate) use sizes::{array_bytes, most_bytes};
pub(crate) use take::{RowNumbers, take_rows};
