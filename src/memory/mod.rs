//! One budget for the rows that operators hold, and files for what is over.
//!
//! In:  requests to hold bytes; batches that must wait.
//! Out: reservations; the same batches in the same order, from memory or from disk.
//!
//! See `README.md` in this folder for the picture of how the budget is shared.

mod budget;
mod freed;
mod spill;
mod stack;
mod store;

pub use budget::{Budget, Reservation};
pub(crate) use budget::{Buffers, HeldBuffers, held_bytes, held_bytes_each};
pub use spill::{Segment, SegmentWriter, SpillDir, SpillFile, SpillReader, SpillWriter};
pub use stack::RowStack;
pub use store::{KeptRows, Replay, RowStore};
