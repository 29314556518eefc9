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
pub use along::{Windowed, Windows};
pub use column::WindowColumn;
