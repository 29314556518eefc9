//! JSON records to columns: the decoder that this project is worth using for.
//!
//! In:  chunks of lines, one JSON object a line (RFC 8259, all of it checked).
//! Out: Arrow batches under a schema that only grows, and every line accounted for.
//!
//! ```text
//! lines ──▶ build ──▶ read ──▶ object ──▶ column, buffer ──▶ batch
//!             │        │ unusual (fixed, canonical)
//!             │        └ grammar (scan, number, string)
//!             └ something new ──▶ learn ──▶ lattice, schema ──▶ read again
//!
//! batch under an older schema ──▶ conform ──▶ batch under the final one
//! ```

pub(in crate::io) mod scan;
mod string;
pub(in crate::io) mod lattice;
pub(in crate::io) mod number;
mod grammar;
pub(in crate::io) mod spelling;
mod canonical;
pub(in crate::io) mod fixed;
pub(in crate::io) mod buffer;
pub(in crate::io) mod column;
mod object;
mod learn;
mod unusual;
mod read;
mod lines;
mod schema;
mod conform;
mod build;
pub(in crate::io) mod decode;

pub use build::{BadRecord, DecodeOptions, infer};
pub use conform::conform;
pub use decode::{Decoded, Decoder, FailedRecord, RowPredicate};
pub use grammar::SchemaMode;
pub use lines::Line;
pub use schema::{JsonSchema, WidenedColumn};
