//! Many rows, one value: sums, extremes, counts, quantiles and the like.
//!
//! In:  batches, and for each row the group it belongs to.
//! Out: one value per group; for a whole frame there is one group.
//!
//! ```text
//! text, Rust ─▶ AggExpr ─ bind ▶ BoundAggregate ─▶ Accumulator (one a thread)
//!
//! batches ─ update ─▶ accumulator ─ partial ─▶ columns (spilled, shuffled)
//!                     accumulator ◀─ merge ──── columns
//!                     accumulator ─ finish ─▶ one value per group
//! ```
//!
//! Any cut of the rows into partials, merged in input order, gives the answer
//! of the whole, bit by bit. So sums of fractions are exact until they are
//! rounded once (`exact`), variances too (`moments`), and the sketches are such
//! that merging does not change them (`histogram`, `sketch`). Only a product of
//! fractions may differ in its last bit (`product`).
//!
//! Nulls are no values. Without values a result is null, and a count is 0. Every
//! NaN is one value above all numbers.

mod accumulator;
mod ast;
mod bind;
mod build;
mod count;
mod distinct;
mod exact;
mod extreme;
mod few;
mod fixed;
mod gather;
mod histogram;
mod moments;
mod narrow;
mod pick;
mod product;
mod quantile;
mod sift;
mod sketch;
mod state;
mod sum;
mod top;
mod user;
mod window;

pub use accumulator::Accumulator;
pub use ast::{AggExpr, Aggregate, corr, count, covar, output_names};
pub(super) use ast::{find, misplaced, names};
pub use bind::BoundAggregate;
pub(crate) use bind::OfValues;
pub(super) use exact::Expansion;
pub(super) use product::Factors;
pub(super) use quantile::between;
pub(crate) use sift::Sift;
pub use state::Groups;
pub(crate) use state::RowCounts;
pub(super) use state::nulls_where;
pub use user::{UserAggregate, UserState};
