//! What will happen, as plain data.
//!
//! In:  a logical plan, built call by call from a scan.
//! Out: the same answer in fewer steps (`optimize`), then a physical pipeline (`lower`).
//!
//! A plan grows with the calls that made it, never with files or partitions.
//!
//! ```text
//! logical     scan ▶ repartition ▶ filter ▶ select
//! optimize    scan[filter, columns] ▶ repartition
//! physical    scan ▶ steps on any thread ▶ steps in order ▶ layout
//! ```

mod common;
mod display;
mod estimate;
mod explode;
mod fold;
mod join;
mod join_way;
mod local;
mod logical;
mod lower;
mod merge_how;
pub mod optimize;
mod partition_count;
mod shared;
mod shuffle;
mod sort;
mod source;
mod unfused;
mod union;
mod ways;
mod window;

pub use common::Shared;
pub(crate) use display::stages;
pub use display::{Explained, ExplainedNode, explain, physical_text};
pub use estimate::Estimate;
pub(crate) use estimate::counted;
pub(crate) use explode::exploded;
pub use fold::{Fold, TopCall};
pub use join::{ColumnOf, Join};
pub use join_way::{JoinWay, OneOrder};
pub(crate) use local::columns_text;
pub use local::{Local, Make, Map, PartitionRows};
pub use logical::{Logical, Scan};
pub(crate) use lower::DEFAULT_BYTES;
pub use lower::{Layout, Physical, Step, lower, lower_without};
pub use merge_how::{MergeHow, Side};
pub use partition_count::PartitionCount;
pub(crate) use shared::{asked_of, replaced, shared_part};
pub use shuffle::ShuffleBy;
pub(crate) use shuffle::typed_array;
pub use sort::{Sort, SortInto};
pub use source::{
    ColumnOptions, FileFormat, Folder, Look, MaxRejects, OnBadRecord, ReadOptions, Source,
};
pub use union::united;
pub use ways::{Way, Ways};
pub use window::NamedWindow;
pub(crate) use window::windowed;
