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

/// The Arrow types of windrow's public signatures, at the version of the newest DataFusion
/// release, under the names that the `arrow` crate has for them. A program that wants its
/// kernels depends on `arrow` of the same version: its types are these.
///
/// ```
/// use windrow::arrow::array::{ListArray, cast::AsArray};
/// use windrow::arrow::datatypes::{DataType, Int64Type};
///
/// let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]);
/// assert_eq!(lists.value(0).as_primitive::<Int64Type>().value(0), 1);
/// assert_eq!(lists.value_type(), DataType::Int64);
/// ```
pub mod arrow {
    pub use arrow_array as array;
    pub use arrow_buffer as buffer;
    pub use arrow_schema as schema;

    /// Types of columns: what says which one a column has, and what names it in Rust.
    pub mod datatypes {
        pub use arrow_array::types::*;
        pub use arrow_schema::*;
    }
}

/// The examples of the README, compiled as this crate's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
