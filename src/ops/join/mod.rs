//! Rows of two sides meet by key.
//!
//! In:  the batches of one side, then those of the other.
//! Out: the rows of a join, in the order of the other side.
//!
//! ```text
//! build side ─▶ rows, index of keys ──┐
//! probe side ─▶ keys ─▶ look up ─▶ pairs ─▶ gather the columns that come out
//! ```
//!
//! A null key meets nothing, unless asked to. Every NaN is one key and -0 is 0,
//! as in a group-by.

mod asof;
mod bytes;
mod codes;
mod index;
mod keys;
mod pairs;
mod probe;
mod ranked;
mod rows;
mod slots;
mod spec;
mod steps;
mod table;

pub use asof::{Direction, InTime, Nearest, Run, Times, Tolerance};
pub use index::KeyHashes;
pub use keys::KeyForms;
pub use probe::{JoinTable, Matches, Rest};
pub use spec::{JoinKind, JoinSpec, NextTo, Taken};
pub use steps::Steps;
