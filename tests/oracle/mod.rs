//! Slow, plain versions of what frames do: row by row, value by value, with
//! nothing shared, planned or cut.
//!
//! ```text
//! rows     a table of named cells, from JSON text and from batches
//! value    expressions of whole numbers, as windrow and as a function of a row
//! calls    frame calls, applied to a frame and to rows
//! merge    which rows of two sides meet, by looking at every pair
//! plan     steps of all kinds on tables of numbers, texts, dates and lists
//! shape    those of them that move rows, or make other columns of them
//! window   values of the rows around a row, by looking at all rows
//! ```
#![allow(dead_code, unused_imports)] // Each test file uses its part.

pub mod calls;
pub mod merge;
pub mod plan;
pub mod rows;
pub mod shape;
pub mod value;
pub mod window;

pub use calls::Call;
pub use rows::{Cell, Row, rows_of};
pub use value::Value;
