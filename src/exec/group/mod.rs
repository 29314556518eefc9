//! More groups than tables should hold.
//!
//! In:  partials of groups, in any order, or in input order where that matters.
//! Out: one row for each group, in the order in which groups first appear.
//!
//! ```text
//! table ─ full, or refused by the budget ─▶ partial ─ by hash of its keys ─▶ 64 buckets (may spill)
//! bucket ─ any thread ─▶ merged ─▶ its groups in input order (may spill) ─┐
//! bucket ─ any thread ─▶ merged ─▶ its groups in input order (may spill) ─┴▶ one order, a range at a time
//! ```
//!
//! A bucket that does not fit is cut again, by other bits of the same hash. Only
//! one group that does not fit is an error.

mod merge;
mod runs;
mod store;

pub(super) use merge::Merge;
pub(super) use store::{GroupStore, N_BUCKETS};

#[cfg(test)]
mod tests;
