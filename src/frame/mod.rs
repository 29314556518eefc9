//! The API: a data frame that is lazy until it is computed or written.
//!
//! In:  inputs and calls.
//! Out: plans, and what running them gives.

mod aggregate;
mod columns;
mod compute_all;
mod concat;
mod dataframe;
mod distinct;
mod estimate;
mod estimate_sample;
mod groups;
mod info;
mod inputs;
mod inspect;
mod from_reader;
mod lazy_write;
mod look;
mod merge;
mod partitions;
mod pivot;
mod planned;
mod rank;
mod resample;
mod reshape;
mod sample;
mod session;
mod shuffle;
mod sort;
mod show;
mod stream;
mod table;
mod window;

pub use aggregate::{GroupBy, IntoAggregate};
pub use columns::{How, IntoColumn};
pub use compute_all::compute_all;
pub use concat::concat;
pub use dataframe::DataFrame;
pub use distinct::Keep;
pub use estimate::{Between, Estimate, EstimatedColumn};
pub use info::{ColumnInfo, Info};
pub use inputs::IntoInputs;
pub use inspect::InspectOptions;
pub use lazy_write::LazyWrite;
pub use merge::{AsofOptions, MergeOptions};
pub use rank::{RankOptions, Ties};
pub use resample::Resample;
pub use session::Session;
pub use sort::{Divisions, IndexOptions};
pub use stream::{Reader, Stream};
pub use table::Table;

use crate::error::Result;
use crate::plan::ReadOptions;

/// Reads JSON Lines (or top-level arrays of objects), plain, gzip or zstd, with
/// default options in the [default session](Session::default_session). See [`Session::read_json`].
///
/// # Errors
///
/// As [`Session::read_json`].
pub fn read_json(inputs: impl IntoInputs) -> Result<DataFrame> {
    Session::default_session()?.read_json(inputs, ReadOptions::default())
}

/// Reads CSV and its relatives with default options in the [default session](Session::default_session).
/// See [`Session::read_csv`].
///
/// # Errors
///
/// As [`Session::read_csv`].
pub fn read_csv(inputs: impl IntoInputs) -> Result<DataFrame> {
    Session::default_session()?.read_csv(inputs, ReadOptions::default())
}

/// Reads lines of text into one column in the [default session](Session::default_session). See [`Session::read_text`].
///
/// # Errors
///
/// As [`Session::read_text`].
pub fn read_text(inputs: impl IntoInputs) -> Result<DataFrame> {
    Session::default_session()?.read_text(inputs, ReadOptions::default())
}

/// Reads Parquet files in the [default session](Session::default_session). See [`Session::read_parquet`].
///
/// # Errors
///
/// As [`Session::read_parquet`].
pub fn read_parquet(inputs: impl IntoInputs) -> Result<DataFrame> {
    Session::default_session()?.read_parquet(inputs)
}

/// Reads Arrow IPC files in the [default session](Session::default_session). See [`Session::read_ipc`].
///
/// # Errors
///
/// As [`Session::read_ipc`].
pub fn read_ipc(inputs: impl IntoInputs) -> Result<DataFrame> {
    Session::default_session()?.read_ipc(inputs)
}
