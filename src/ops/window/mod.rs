//! Columns of windows over rows.
//!
//! ```text
//! along     rows ─▶ Windows ─▶ rows with columns, as they pass
//! ahead     rows ─▶ Ahead, forwards ─▶ held ─▶ Ahead, backwards ─▶ held ─▶ rows with columns
//! ```

mod ahead;
mod along;
mod column;
mod groups;

pub use ahead::Ahead;
pub(crate) use along::before_failure;
pub use along::{Apart, Failed, Windowed, Windows};
pub use column::WindowColumn;
pub(crate) use column::with_columns;
