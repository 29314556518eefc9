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
//! A bucket that does not fit is cut again, by other bits of the same hash. Of one
//! group that does not fit, what can be told of its values is told from disk; only
//! what needs them all at once, such as a list, is an error.
//!
//! Before anything is refused, rows and groups wait in memory, and are grouped
//! where they lie: that moves hashes and numbers of rows alone.
//!
//! ```text
//! table ─ full ─▶ aside ─ all in memory ─▶ in place ─▶ placed ─▶ rows in one order
//!                   └──── refused ─▶ store ─▶ merge ─▶ runs ─▶ rows in one order
//! ```

mod alone;
mod aside;
mod found;
mod in_place;
mod keys;
mod merge;
mod narrow;
mod placed;
mod routed;
mod runs;
mod store;

pub(super) use aside::Aside;
pub(super) use in_place::in_place;
pub(super) use merge::{Made, Merge};
pub(super) use runs::places;
pub(super) use store::{GroupStore, N_BUCKETS};

#[cfg(test)]
mod tests;
