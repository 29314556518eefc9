//! Rows meet by key: from batches in input order to buckets in input order.
//!
//! In:  batches, and a rule that gives each row its bucket.
//! Out: for each bucket its rows, in input order, from memory or from disk.
//!
//! ```text
//! batch ─ route ─▶ bucket of each row ─ split ─▶ shards ─ in input order ─▶ buckets ─▶ read one
//!         any thread                   any thread                           (may spill)  any thread
//! ```
//!
//! See `README.md` in this folder for what is guaranteed.

mod buckets;
mod gather;
mod route;
mod split;

pub use buckets::{Bucket, BucketReader, Buckets, Stretch};
pub(crate) use gather::{At, gather};
pub use route::{ByHash, ByRange, Route, bucket_of};
pub(crate) use split::starts;
pub use split::{Shards, split, split_all};
