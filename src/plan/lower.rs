//! From a logical plan to one pipeline.
//!
//! In:  an optimized chain.
//! Out: a scan, steps that any thread may do to any batch, steps that need
//!      input order, and the layout of what comes out.

use super::logical::{Logical, Scan};
use super::source::Source;
use crate::expr::Expr;
use crate::partition::By;
use crate::size::ByteSize;

/// One step of a pipeline.
#[derive(Debug, Clone)]
pub enum Step {
    /// Keeps rows for which this is true.
    Filter(Expr),
    /// Keeps these columns, in this order.
    Select(Vec<String>),
    /// Keeps the first rows. Needs input order.
    Limit(u64),
}

/// How the rows that come out lie in partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As they were read: a partition for each block of this many bytes of
    /// text. Small files share a block.
    Blocks(u64),
    /// Partitions of about this many logical bytes; the last may be smaller.
    Coalesce(u64),
    /// As asked for.
    By(By),
}

/// A pipeline, ready to be built.
#[derive(Debug, Clone)]
pub struct Physical {
    /// What is read, with its own columns and predicate.
    pub scan: Scan,
    /// Done to each batch by any thread.
    pub steps: Vec<Step>,
    /// Done to each batch in input order.
    pub ordered: Vec<Step>,
    /// The layout of what comes out.
    pub layout: Layout,
}

/// Logical bytes per partition where nothing else decides (128 MiB).
const DEFAULT_BYTES: u64 = 128 << 20;

/// Lowers a plan. `blocksize` is that of the session, for sources that name none.
pub fn lower(plan: Logical, blocksize: ByteSize) -> Physical {
    match plan {
        Logical::Scan(scan) => {
            let layout = match &scan.source {
                Source::Text { options, .. } => {
                    Layout::Blocks(options.blocksize.unwrap_or(blocksize).bytes())
                }
                Source::Columns { .. } | Source::Batches(_) => Layout::Coalesce(DEFAULT_BYTES),
            };
            Physical {
                scan: *scan,
                steps: Vec::new(),
                ordered: Vec::new(),
                layout,
            }
        }
        Logical::Filter { input, predicate } => {
            with_step(lower(*input, blocksize), Step::Filter(predicate))
        }
        Logical::Select { input, columns } => {
            with_step(lower(*input, blocksize), Step::Select(columns))
        }
        Logical::Limit { input, rows } => {
            let mut physical = lower(*input, blocksize);
            physical.ordered.push(Step::Limit(rows));
            physical
        }
        Logical::Repartition { input, by } => Physical {
            layout: Layout::By(by),
            ..lower(*input, blocksize)
        },
        Logical::Coalesce { input, bytes } => Physical {
            layout: Layout::Coalesce(bytes),
            ..lower(*input, blocksize)
        },
    }
}

/// Adds a step that needs no order: to any thread's, unless an ordered one came before it.
fn with_step(mut physical: Physical, step: Step) -> Physical {
    if physical.ordered.is_empty() {
        physical.steps.push(step);
    } else {
        physical.ordered.push(step);
    }
    physical
}
