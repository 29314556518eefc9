//! Values made of the rows around a row: shifts, running and rolling aggregates.
//!
//! In:  rows in the order of the frame, with the group of each.
//! Out: a value for each row, of the rows of its group around it.
//!
//! ```text
//! text ── parse ─┐                        ┌─▶ Running: batches in order ▶ columns
//!                ├▶ WindowExpr ─ bind ▶ BoundWindow
//! Rust ── build ─┘  (Display)             └─▶ Course: may it be told as rows pass?
//! ```
//!
//! Rows stand in the order of the frame: there is no other order in a window.
//! What is kept between batches are the rows that windows still hold and one
//! state for each group, so no cut of the rows into batches changes an answer.
//! Sums are exact before they are rounded: a value that leaves a window leaves
//! nothing behind.

mod ast;
mod bind;
mod build;
mod conditions;
mod fold;
mod marks;
mod moments;
mod pick;
mod ranks;
mod span;
mod sums;

pub use ast::{Frame, WindowExpr, Windowed, row_number};
pub(crate) use bind::{BoundWindow, Course, Misplaced};
pub use build::Rolling;
pub(crate) use fold::{Ran, Running, WindowRows};
pub(crate) use pick::ticks_of;
pub(super) use span::parse_span;
