//! Rows in the order of some of their columns.
//!
//! In:  rows, and the columns that order them.
//! Out: codes that compare as rows do; the order of rows; edges between ranges of rows.
//!
//! ```text
//! columns ─ keys ─▶ codes ─ order ─▶ places of rows, in order
//!                     └──── edges ─▶ ranges that share rows out evenly
//! ```

mod by;
mod cells;
mod codes;
mod edges;
mod keys;

pub use by::SortBy;
pub use codes::Codes;
pub use edges::Edges;
pub use keys::SortKeys;
pub(super) use keys::{canonical, fixed};
