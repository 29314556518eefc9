//! Parquet files to batches.
//!
//! In:  a file of any writer.
//! Out: its schema and row groups, and each row group's batches.
//!
//! What the footer claims is checked against the file's size before anything
//! is allocated or followed, page checksums are verified where they are
//! stored, and the rows that come out are counted against the footer. A file
//! that fails is refused with its name; it never ends the process.

mod batches;
mod bloom;
mod coded;
mod flat;
mod footer;
mod input;
mod int96;
mod late;
mod leaves;
mod pages;
mod read;
mod statistics;

pub use batches::ParquetBatches;
pub use input::{ParquetInput, RowGroup};
pub use late::RowFilter;
pub use read::{Stretch, Wanted};
