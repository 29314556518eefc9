//! How windrow is used, page by page. Every example is run as a test.
//!
//! In:  nothing.
//! Out: the pages of `docs/`, where the documentation of the crate is read.

#[doc = include_str!("../docs/tour.md")]
pub mod tour {}

#[doc = include_str!("../docs/cookbook.md")]
pub mod cookbook {}

#[doc = include_str!("../docs/from-dask.md")]
pub mod from_dask {}
