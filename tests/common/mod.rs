//! What the promise tests share: runs of the command, inputs, and a second
//! opinion on what came out.
//!
//! ```text
//! cli      runs `windrow ARGS...` as a user would
//! oracle   a slow, plain reader of JSON that keeps every number as it is written
//! table    part files, read with the parquet crate alone, against the oracle
//! folder   what lies in a folder, hidden files too
//! ```
#![allow(dead_code, unused_imports)] // Each test file uses its part.

#[path = "../cli_common/mod.rs"]
pub mod cli;
pub mod folder;
#[path = "../../benches/generate/mod.rs"]
pub mod generate;
pub mod oracle;
pub mod table;

use std::path::{Path, PathBuf};

use generate::{Layout, LogSet, Logs, Seed};

/// The project's fixtures.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// The real logs that tests may find on this machine; without them, says that `what` is skipped.
pub fn real_data(what: &str) -> Option<PathBuf> {
    let found = std::env::var_os("WINDROW_REAL_DATA").map(PathBuf::from);
    if found.is_none() {
        println!("skipped: {what} needs WINDROW_REAL_DATA");
    }
    found
}

/// A path as the text of an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes a generated log of `rows` rows as files into `dir`.
pub fn log_files(dir: &Path, rows: u64, layout: Layout) -> Vec<generate::Written> {
    LogSet {
        logs: Logs::new(Seed(41), rows),
        layout: Layout {
            threads: 2,
            ..layout
        },
        seed: Seed(41),
    }
    .write(dir)
    .unwrap()
}
