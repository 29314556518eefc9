//! Text in, whole lines out.
//!
//! In:  a source of decompressed bytes, and where its first byte stands.
//! Out: chunks of whole records, each within one block.
//!
//! Where a chunk ends is a function of the text and the options alone:
//!
//! ```text
//! block       |<------------- blocksize ------------->|
//! records     [   ][      ][    ][  ][        ][    ][   ][    ]
//! chunks      [              ][                       ][
//!              ^ at most chunk_bytes, unless one record is longer
//! ```
//!
//! A record belongs to the block its first byte falls in. The text is read
//! into the buffer that becomes the chunk; only the tail behind a chunk's last
//! newline is copied.

mod cut;
mod gap;
mod long;

pub(crate) use cut::Lines;
