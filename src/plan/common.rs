//! Rows that several parts of one plan read.
//!
//! In:  a part of a plan, how many others read it.
//! Out: a source in its place, and the pipeline that gives its rows, once.

use std::sync::{Arc, OnceLock};

use super::logical::{Logical, Scan};
use super::lower::{Physical, stage};
use super::source::Source;
use super::ways::Lowering;
use crate::error::Result;

/// A part of a plan that is computed once, and kept until the last has read it.
#[derive(Debug)]
pub struct Shared {
    /// It is told by its number from others of its plan, the first is 1.
    pub number: usize,
    /// How many times it is read.
    pub readers: usize,
    /// Gives the rows.
    pub plan: Logical,
    pipeline: OnceLock<Physical>,
}

impl Shared {
    /// A part that so many others read.
    pub(super) fn new(number: usize, readers: usize, plan: Logical) -> Self {
        Shared {
            number,
            readers,
            plan,
            pipeline: OnceLock::new(),
        }
    }

    /// The pipeline, the same for all who read it.
    pub(super) fn lowered(&self, to: Lowering<'_>) -> &Physical {
        self.pipeline.get_or_init(|| stage(self.plan.clone(), to))
    }

    /// The pipeline, once the plan that reads it was lowered.
    pub(crate) fn pipeline(&self) -> Option<&Physical> {
        self.pipeline.get()
    }

    /// What stands in its place.
    pub(super) fn scan(self: &Arc<Self>) -> Result<Logical> {
        Ok(Logical::Scan(Box::new(Scan {
            schema: self.plan.schema()?,
            columns: None,
            predicate: None,
            estimate: self.plan.estimate(),
            lies: self.plan.partitioning(),
            source: Source::Shared(Arc::clone(self)),
        })))
    }
}
