//! A partitioned DataFrame engine on Apache Arrow.
//!
//! In:  logs and tables of any shape: JSON, CSV, text, columns; files, globs, folders, any codec.
//! Out: even partitions, as Parquet, JSON Lines, CSV or Arrow IPC, with nothing lost.
//!
//! ```text
//! walk      io ▶ partition ▶ ops ▶ shuffle ▶ ops ▶ sink          (exec drives, plan decides)
//! ```
//!
//! [`guide::tour`] takes ten minutes, [`guide::cookbook`] has recipes, and
//! [`guide::from_dask`] says what Dask's calls are called here.
//!
//! ```
//! use windrow::prelude::*;
//!
//! let logs = windrow::read_json("data/logs/*.json.gz")?; // lazy: a first look at the columns
//! let errors = logs.filter("status >= 500")?;
//! let by_user = errors.groupby(["user"])?.agg([count(), col("bytes").sum()])?;
//! println!("{}", by_user.nlargest(3, "bytes")?.compute()?);
//! # Ok::<(), windrow::Error>(())
//! ```
//!
//! The modules below stand bottom to top: each imports only from those before
//! it, which `tests/layering.rs` checks.

#![deny(missing_docs)]
#![warn(unsafe_op_in_unsafe_fn)]

pub mod size;
pub mod error;
pub mod cancel;
pub mod config;
pub mod partition;
pub mod expr;
pub mod memory;
pub mod io;
pub mod sink;
pub mod ops;
pub mod shuffle;
pub mod plan;
pub mod exec;
pub mod inspect;
pub mod frame;
pub mod guide;

pub use cancel::Cancel;
pub use config::{SchedulerKind, Settings};
pub use error::{Error, Place, Position, Result};
pub use exec::{
    HotKeyReport, InputReport, Phase, PipelineReport, Progress, RunReport, RuntimeFilterReport,
    StageReport, TasksReport,
};
pub use frame::{
    AsofOptions, Between, ColumnInfo, DataFrame, Divisions, Estimate, EstimatedColumn, GroupBy,
    How, IndexOptions, Info, InspectOptions, IntoAggregate, IntoColumn, IntoInputs, Keep,
    LazyWrite, MergeOptions, RankOptions, Reader, Resample, Session, Stream, Table, Ties,
    compute_all, concat, read_csv, read_ipc, read_json, read_parquet, read_text,
};
pub use io::csv::CsvOptions;
pub use io::json::SchemaMode;
pub use io::{Encoding, Replaced};
pub use ops::SortBy;
pub use ops::join::{Direction, Tolerance};
pub use partition::By;
pub use plan::{
    ColumnOptions, FileFormat, MaxRejects, MergeHow, OnBadRecord, PartitionRows, ReadOptions,
};
pub use sink::{Codec, CsvStyle, Existing, Format, PartName, WriteOptions, verify};
pub use size::ByteSize;

/// What most programs need.
pub mod prelude {
    pub use crate::cancel::Cancel;
    pub use crate::exec::RunReport;
    pub use crate::expr::{
        AggExpr, Expr, coalesce, col, corr, count, covar, list, lit, row_number, when,
    };
    pub use crate::frame::{DataFrame, Session, Table};
    pub use crate::partition::By;
    pub use crate::plan::ReadOptions;
    pub use crate::sink::WriteOptions;
    pub use crate::{ByteSize, Settings};
}

/// The Arrow types of windrow's public signatures, at the version of the newest DataFusion release.
pub mod arrow {
    pub use arrow_array as array;
    pub use arrow_schema as schema;
}

/// The examples of the README, compiled as this crate's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
