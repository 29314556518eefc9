//! Batches to part files, all or nothing.
//!
//! In:  row groups of batches, part by part, under a schema that may widen.
//! Out: part files and a manifest in the target folder, complete or not at all.
//!
//! `README.md` beside this file shows how a run is staged and committed.

mod codec;
mod part_name;
mod options;
mod file;
mod rows;
mod schema;
mod shown;
mod plain;
mod widen;
mod report;
mod hive;
mod csv;
mod ipc;
mod json;
mod parquet;
mod members;
mod encode;
mod part;
mod settle;
mod staging;
mod verify;

pub use codec::Codec;
pub use csv::CsvStyle;
pub use encode::{EncodeJob, Encoded, jobs};
pub use hive::{HivePath, split};
pub use json::json_lines;
pub(crate) use options::check_known;
pub use options::{Existing, Format, WriteOptions};
pub(crate) use parquet::codec_name;
pub use part::{FinishedPart, Flush, PartWriter};
pub use part_name::PartName;
pub use report::{MANIFEST, Manifest, ManifestInfo, OutputReport, Range, SORTED_BY};
pub use schema::ColumnSchema;
pub use staging::{Beside, Committed, Job, Staging};
pub use verify::{Finding, VerifyReport, verify};
pub use widen::Widen;
