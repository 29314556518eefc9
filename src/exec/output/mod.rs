//! Where rows go once they are in order.
//!
//! In:  rows in input order, each with the schema it was decoded under.
//! Out: what the caller asked for: counts, sizes, batches, row groups for files.

mod bounds;
mod collect;
mod flush;
mod fold;
mod hold;
mod keep;
mod last;
mod part_files;
mod parts;
mod ranged;
mod row_groups;
mod sampled;
mod scatter;
mod share;
mod visit;
mod waiting;

use arrow_array::RecordBatch;

use super::hot_groups::ChunkKeys;
use super::schema::RunSchema;
use crate::error::Result;
use crate::partition::{By, Cut};
use crate::plan::Layout;
use crate::shuffle::Shards;
pub(crate) use crate::sink::{EncodeJob as Job, Encoded};
pub(crate) use bounds::Bounds;
pub(crate) use collect::{Collect, Count, Pick, Sizes};
pub(crate) use fold::{Answer, Folded};
pub(crate) use hold::{Held, Hold, room_beside};
pub(crate) use keep::{Keep, KeptRows, KeptRun};
pub(crate) use last::Last;
pub(crate) use part_files::{PartAppender, widen_with};
pub(crate) use parts::{EachPart, Part, Parts};
pub(crate) use ranged::{Early, Ranged};
pub(crate) use row_groups::{RowGroups, Tag, WritePlan};
pub(crate) use sampled::{SAMPLE_ROWS, Sampled};
pub(crate) use scatter::Scatter;
pub(crate) use share::{Share, SharedRows};
pub(crate) use visit::{Each, Visit};

/// Rows that came from one chunk.
#[derive(Debug)]
pub(crate) struct Rows {
    pub batch: RecordBatch,
    /// The schema of `batch`.
    pub from: RunSchema,
    /// Bytes of text they were decoded from.
    pub text_bytes: u64,
    /// What a worker folded them into; then `batch` only counts them.
    pub folded: Option<Vec<RecordBatch>>,
    /// The bucket that all groups of those are of that were folded, where that is known.
    pub bucket: Option<u32>,
    /// Keys that many of those have that were folded.
    pub hot: Option<ChunkKeys>,
    /// They, cut by bucket; then `batch` only counts them.
    pub shards: Option<Shards>,
}

/// A row group: jobs for any thread, then an append in order.
pub(crate) struct Group {
    pub tag: Tag,
    pub jobs: Vec<Job>,
}

/// Takes rows in input order.
pub(crate) trait Output: Send {
    /// Takes rows; gives row groups that are ready to be encoded. `schema` is
    /// the run's, and covers that of the rows.
    fn push(&mut self, rows: Rows, schema: &RunSchema) -> Result<Vec<Group>>;

    /// The end of the rows: row groups that are left. Asked again until it gives
    /// none, so that not all of them need be in memory at once.
    fn finish(&mut self, schema: &RunSchema) -> Result<Vec<Group>> {
        let _ = schema;
        Ok(Vec::new())
    }

    /// The end of a unit, which is a partition where partitions are given.
    fn end_unit(&mut self) {}

    /// Whether more rows would change nothing.
    fn is_done(&self) -> bool {
        false
    }
}

/// Takes encoded row groups in order.
pub(crate) trait Append: Send {
    /// Appends one row group.
    fn append(&mut self, tag: Tag, encoded: Vec<Encoded>) -> Result<()>;
}

/// For outputs that write nothing.
pub(crate) struct NoAppend;

impl Append for NoAppend {
    fn append(&mut self, _tag: Tag, _encoded: Vec<Encoded>) -> Result<()> {
        Ok(())
    }
}

/// The cut of a layout that needs no totals. `None` if it does: rows must be held first.
pub(crate) fn streaming_cut(layout: Layout) -> Option<Cut> {
    match layout {
        Layout::Blocks(bytes) => Some(Cut::Text(bytes)),
        Layout::Coalesce(bytes) | Layout::Even(bytes) => Some(Cut::Bytes(bytes)),
        Layout::Given | Layout::Files => Some(Cut::Given),
        Layout::By(By::Rows(rows)) => Some(Cut::Rows(rows)),
        Layout::By(By::FileBytes(_)) => Some(Cut::Never),
        Layout::By(By::Count(_) | By::Bytes(_)) => None,
    }
}

/// The cut of a layout once totals are known.
pub(crate) fn counted_cut(layout: Layout, total_rows: u64, total_bytes: u64) -> Cut {
    match layout {
        Layout::By(By::Count(partitions)) => Cut::Count {
            partitions: (partitions as u64).min(total_rows).max(1),
            total_rows,
        },
        Layout::By(By::Bytes(target)) => even(target.bytes(), total_rows, total_bytes),
        Layout::Even(target) => even(target, total_rows, total_bytes),
        other => streaming_cut(other).unwrap_or(Cut::Never),
    }
}

/// Partitions of about `target` bytes, all as large as each other.
fn even(target: u64, total_rows: u64, total_bytes: u64) -> Cut {
    // Rounded, so that each differs from the target by as little as can be.
    let target = target.max(1);
    let partitions = (total_bytes + target / 2) / target;
    Cut::EvenBytes {
        partitions: partitions.clamp(1, total_rows.max(1)),
        total_bytes,
    }
}
