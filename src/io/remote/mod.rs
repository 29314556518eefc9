//! Objects behind URLs.
//!
//! In:  `s3://`, `gs://`, `az://` and `https://` inputs.
//! Out: which objects they stand for, and their bytes, as if from a local file.
//!
//! ```text
//! listing   a prefix or a glob to objects, in order of their keys
//! object    exactly the bytes that were asked for, of the version that was listed
//! ahead     one object as a stream, some pieces fetched before they are asked for
//! chunks    the column chunks of one row group
//! tails     the ends of objects, fetched before their footers are read
//! stores    which client speaks to which host
//! runtime   the only threads that run anything asynchronous
//! ```
//!
//! Nothing is ever silently short: a body that breaks off is asked for again
//! from the byte where it stopped, and an object that was replaced meanwhile
//! is an error.

mod ahead;
mod chunks;
mod listing;
mod object;
mod runtime;
mod say;
mod stores;
mod tails;

pub(crate) use ahead::Ahead;
pub(crate) use chunks::Chunks;
pub(crate) use listing::{Listing, check};
pub(crate) use object::Object;
pub(crate) use tails::Tails;
