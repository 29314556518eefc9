//! Seeing what there is: sizes, skew, hot keys, types. Reads, and changes nothing.
//!
//! In:  sizes per partition, Parquet footers, columns.
//! Out: [`Skew`] with a verdict and the call that cures it, [`HotKeys`], as text, JSON or HTML; plans as pictures,
//!      and with what came of them.
//!
//! Every figure is an integer count or a ratio of two of them, so a report
//! equals an independent count of the same files.

pub mod analyzed;
pub mod skew;
pub mod verdict;
pub mod hot;
pub mod keys;
pub mod footers;
pub mod rows;
pub mod text;
pub mod render;
pub mod html;
pub mod graph;
pub mod storage;

pub use crate::io::RawRecord;
pub use crate::io::schema_text::{parse_schema, print_schema, type_text};
pub use crate::partition::PartitionSize;
pub use crate::sink::json_lines;
pub use analyzed::{Analyzed, AnalyzedPartitions, AnalyzedStage};
pub use graph::PlanGraph;
pub use hot::{HotKey, HotKeys, HotReport};
pub use keys::KeyCounter;
pub use render::RenderOptions;
pub use rows::{cells, raw_record};
pub use skew::{PartitionSizes, Skew, Spread};
pub use storage::{ColumnStorage, FooterKey, Storage};
pub use verdict::Cure;
