//! Buckets of two sides, joined one by one.
//!
//! In:  as many buckets of the build side as of the probe side; equal keys lie
//!      in buckets of one number.
//! Out: units of joined rows, those of one probe row in build order.
//!
//! A bucket with far more rows than others is shared out among several tasks:
//! each takes a stretch of the larger side past all rows of the other one. What
//! only who sees all rows can tell is told by the task that ends last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;

use super::joining::Joining;
use super::tasks::{Cut, Tasks};
use super::unit_of;
use crate::error::Result;
use crate::exec::hot::HotRows;
use crate::exec::source::{Open, Units, batches_reader};
use crate::memory::Budget;
use crate::ops::join::{JoinKind, JoinSpec, JoinTable};
use crate::shuffle::Bucket;

/// A join of buckets.
pub(super) struct BucketJoin {
    pub spec: Arc<JoinSpec>,
    pub build: Vec<Bucket>,
    pub probe: Vec<Bucket>,
    /// How each pair of them is shared out.
    pub cuts: Vec<Cut>,
    /// Bytes of a block.
    pub block_bytes: u64,
    pub budget: Budget,
    /// Where tasks are counted.
    pub tasks: Arc<Tasks>,
}

impl BucketJoin {
    /// Whether joined rows may come of a pair of buckets.
    fn has_rows(&self, build: &Bucket, probe: &Bucket) -> bool {
        probe.rows() > 0 || (build.rows() > 0 && self.spec.kind.keeps_build())
    }

    /// The bucket of each unit.
    pub fn of_units(&self) -> Vec<u32> {
        let pairs = (0_u32..).zip(self.build.iter().zip(&self.probe).zip(&self.cuts));
        let filled = pairs.filter(|(_, ((build, probe), _))| self.has_rows(build, probe));
        let units = filled.flat_map(|(bucket, (_, cut))| (0..cut.tasks()).map(move |_| bucket));
        units.collect()
    }
}

/// A unit for each bucket, or for each task of one that is shared out.
pub(super) fn bucket_units(join: BucketJoin) -> Units {
    let sides = join.build.iter().zip(&join.probe);
    let filled: Vec<bool> = sides
        .map(|(build, probe)| join.has_rows(build, probe))
        .collect();
    let (spec, budget, block_bytes, tasks) = (join.spec, join.budget, join.block_bytes, join.tasks);
    let pairs = join.build.into_iter().zip(join.probe).zip(join.cuts);
    let pairs = pairs.zip(filled).filter(|(_, filled)| *filled);
    let pairs: Vec<_> = pairs.map(|(pair, _)| pair).collect();
    Box::new(pairs.into_iter().flat_map(move |((build, probe), cut)| {
        let pair = Arc::new(Pair {
            spec: Arc::clone(&spec),
            build,
            probe,
            cut,
            block_bytes,
            budget: budget.clone(),
            whole: Mutex::new(None),
            running: AtomicU64::new(cut.tasks()),
            met: Mutex::default(),
            tasks: Arc::clone(&tasks),
        });
        (0..cut.tasks()).map(move |task| {
            let pair = Arc::clone(&pair);
            let open: Open = Box::new(move || {
                let mut joining = Joining::new(pair, task);
                let rows = std::iter::from_fn(move || joining.next().transpose());
                Ok(batches_reader(Box::new(rows)))
            });
            Ok(unit_of(open))
        })
    }))
}

/// A bucket of each side.
pub(super) struct Pair {
    pub spec: Arc<JoinSpec>,
    pub build: Bucket,
    pub probe: Bucket,
    pub cut: Cut,
    pub block_bytes: u64,
    budget: Budget,
    /// The build side, if it is one block: all tasks look it up.
    pub whole: Mutex<Option<Arc<JoinTable>>>,
    /// Tasks that have not come to their end.
    running: AtomicU64,
    /// Who met somebody in any of the tasks that have, where they are several.
    pub met: Mutex<Met>,
    tasks: Arc<Tasks>,
}

/// Rows that met somebody.
#[derive(Default)]
pub(super) struct Met {
    /// Of the probe side, by their place in the bucket.
    pub probe: Vec<bool>,
    /// Of each block of the build side, a bit for each.
    pub build: Vec<Vec<u64>>,
}

impl Pair {
    /// A table of some build rows, for a join of this kind.
    pub fn table(&self, kind: JoinKind, rows: Vec<RecordBatch>) -> Result<JoinTable> {
        let spec = match kind == self.spec.kind {
            true => Arc::clone(&self.spec),
            false => Arc::new(JoinSpec {
                kind,
                ..(*self.spec).clone()
            }),
        };
        JoinTable::build(spec, rows, 1, self.budget.open())
    }

    /// Whether several tasks share the probe rows.
    pub fn shares_probe(&self) -> bool {
        matches!(self.cut, Cut::Probe(2..))
    }

    /// Whether several tasks share the build rows.
    pub fn shares_build(&self) -> bool {
        matches!(self.cut, Cut::Build(2..))
    }

    /// Adds who met somebody.
    pub fn add_met(&self, probe: &[bool], build: Vec<Vec<u64>>) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let n_rows = met.probe.len().max(probe.len());
        met.probe.resize(n_rows, false);
        for (met, more) in met.probe.iter_mut().zip(probe) {
            *met |= more;
        }
        let n_blocks = met.build.len().max(build.len());
        met.build.resize(n_blocks, Vec::new());
        for (met, more) in met.build.iter_mut().zip(build) {
            met.resize(met.len().max(more.len()), 0);
            for (met, more) in met.iter_mut().zip(more) {
                *met |= more;
            }
        }
    }

    /// A task has come to its end; whether it is the last one.
    pub fn ends(&self) -> bool {
        self.running.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Counts a task that took so many rows of the side that is cut.
    pub fn note(&self, rows: u64, hot: HotRows) {
        self.tasks.note(rows, hot);
    }
}
