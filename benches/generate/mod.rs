//! Logs made from a seed: every test file and every benchmark set comes from here.
//!
//! In:  a `Seed` and a number of rows or bytes.
//! Out: JSON Lines, plain or gzipped, in memory or as files.
//!
//! The same call gives the same bytes on every machine: only integers, IEEE
//! division and square roots are used, never a clock, a locale or `powf`. Row *i*
//! is a function of the seed, the number of rows and *i* alone, so a set can be
//! cut into files anywhere, and made on several threads, without changing a byte.
//!
//! ```text
//! random    seed ▶ numbers
//! words     what the text is made of
//! logs      row number ▶ one line
//! gzip      lines ▶ members, and members with a fault
//! files     lines ▶ a folder of files of even or skewed sizes
//! fixtures  the contents of `data/`
//! ```
//!
//! Tests, benches and the `generate` example take this folder in by `#[path]`.

// Each target that takes this module in uses its own part of it.
#![allow(dead_code, unused_imports)]

mod files;
mod fixtures;
mod gzip;
mod logs;
mod random;
mod words;

pub use files::{Layout, LogSet, Written};
pub use fixtures::{Fixture, Holds, fixtures, readme};
pub use gzip::{Header, corrupt_bit, gzip, member, members};
pub use logs::{Logs, MEAN_LINE_BYTES, Order};
pub use random::{Random, Seed};

use windrow::ByteSize;

/// About `target` bytes of access and application log, one JSON object a line.
///
/// Whole lines only, ending in a newline; within 3 % of the target from 1 MiB on.
pub fn json_logs(seed: Seed, target: ByteSize) -> Vec<u8> {
    let rows = (target.bytes() / MEAN_LINE_BYTES).max(1);
    Logs::new(seed, rows).text()
}
