//! Buckets shared out to tasks.
//!
//! In:  rows of each bucket, of both sides.
//! Out: how many tasks share which side of a bucket, so that none has many more
//!      rows than others; at the end how many rows each had, and which keys were hot.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::exec::hot::{HotKeys, HotRows, key_text};
use crate::exec::report::{StageReport, TasksReport};
use crate::ops::join::KeyHashes;
use crate::shuffle::{Bucket, BucketReader};
use arrow_array::RecordBatch;

/// Rows of a task below which a bucket is not shared out further: one batch that
/// is looked up at once.
const SHARED_ROWS: u64 = 1 << 13;

/// Which rows of a bucket a task takes, and how many tasks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Some of the probe rows go past all build rows.
    Probe(u64),
    /// All probe rows go past some of the build rows.
    Build(u64),
}

impl Cut {
    pub fn tasks(self) -> u64 {
        match self {
            Cut::Probe(tasks) | Cut::Build(tasks) => tasks,
        }
    }
}

/// How buckets of so many probe and build rows are cut, so that no task has much
/// more than the mean of all, nor more than `most`; those with few rows stay whole.
pub(super) fn cuts(rows: &[(u64, u64)], most: u64) -> Vec<Cut> {
    even_cuts(rows, SHARED_ROWS, most)
}

fn even_cuts(rows: &[(u64, u64)], least: u64, most: u64) -> Vec<Cut> {
    let larger = |(probe, build): &(u64, u64)| *probe.max(build);
    let filled: Vec<u64> = rows.iter().map(larger).filter(|rows| *rows > 0).collect();
    let total: u64 = filled.iter().sum();
    let mut most = most;
    let tasks_of = |rows: u64, most: u64| rows.div_ceil(most.max(1)).max(1);
    loop {
        let tasks: u64 = filled.iter().map(|rows| tasks_of(*rows, most)).sum();
        let mean = total / tasks.max(1);
        let next = (mean + mean / 4).max(least).max(1);
        // Smaller tasks lower the mean in turn.
        if next >= most {
            break;
        }
        most = next;
    }
    let cut = |rows: &(u64, u64)| {
        let tasks = tasks_of(larger(rows), most);
        match rows.0 >= rows.1 {
            true => Cut::Probe(tasks),
            false => Cut::Build(tasks),
        }
    };
    rows.iter().map(cut).collect()
}

/// What tasks came to, all together.
pub(super) struct Tasks {
    /// Names of the key columns, as the probe side calls them.
    names: Vec<String>,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    report: TasksReport,
    hot: HotKeys,
}

impl Tasks {
    /// None yet, of a join by the keys with these names.
    pub fn new(names: Vec<String>) -> Self {
        Tasks {
            names,
            done: Mutex::default(),
        }
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task has ended that took so many rows of the larger side.
    pub fn note(&self, rows: u64, hot: HotRows) {
        let mut done = self.done();
        done.report.tasks += 1;
        done.report.rows += rows;
        done.report.largest_rows = done.report.largest_rows.max(rows);
        done.hot.add(&self.names, hot);
    }

    /// Adds all of them to a report, where there were any; hot keys that several
    /// tasks shared, those with most rows first.
    pub fn tell(&self, report: &mut StageReport) {
        let done = self.done();
        if done.report.tasks == 0 {
            return;
        }
        report.hot_keys = done.hot.shared();
        report.tasks = Some(done.report.clone());
    }
}

/// Counts the rows of a batch of a task that have a hot key.
pub(super) fn note_hot(hot: &mut HotRows, batch: &RecordBatch, keys: &KeyHashes) -> Result<()> {
    hot.note(&keys.of(batch)?, |row| {
        key_text(keys.places().iter().map(|place| batch.column(*place)), row)
    })
}

/// A stretch of the rows of a bucket, in their order.
pub(super) struct Stretch {
    reader: BucketReader,
    /// Rows read so far.
    row: u64,
    rows: Range<u64>,
}

impl Stretch {
    /// Share `share` of `n_shares` even ones.
    pub fn of(bucket: &Bucket, share: u64, n_shares: u64) -> Self {
        let end = |share: u64| {
            let end = u128::from(bucket.rows()) * u128::from(share) / u128::from(n_shares.max(1));
            end as u64
        };
        Stretch {
            reader: bucket.read(),
            row: 0,
            rows: end(share)..end(share + 1),
        }
    }

    /// How many rows it has.
    pub fn len(&self) -> u64 {
        self.rows.end - self.rows.start
    }
}

impl Iterator for Stretch {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.row < self.rows.end {
            let batch = match self.reader.next()? {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            let (first, end) = (self.row, self.row + batch.num_rows() as u64);
            self.row = end;
            let (from, to) = (first.max(self.rows.start), end.min(self.rows.end));
            if from < to {
                let rows = batch.slice((from - first) as usize, (to - from) as usize);
                return Some(Ok(rows));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_task_of_a_hot_bucket_has_more_than_half_as_much_again_as_the_mean() {
        let mut rows = vec![(1_000_u64, 900); 63];
        rows.push((63_000, 10));
        rows.push((10, 31_000));
        let cuts = even_cuts(&rows, 1, u64::MAX);
        let tasks: u64 = cuts.iter().map(|cut| cut.tasks()).sum();
        let total: u64 = rows.iter().map(|(probe, build)| probe.max(build)).sum();
        for ((probe, build), cut) in rows.iter().zip(&cuts) {
            let of_task = probe.max(build).div_ceil(cut.tasks());
            assert!(of_task <= total / tasks * 3 / 2, "{of_task} in {cut:?}");
        }
        assert_eq!(cuts[0], Cut::Probe(1));
        assert!(matches!(cuts[63], Cut::Probe(20..)));
        assert!(matches!(cuts[64], Cut::Build(10..)));
        assert_eq!(
            even_cuts(&[(0, 0), (0, 0)], 1, u64::MAX),
            [Cut::Probe(1); 2]
        );
        assert_eq!(even_cuts(&rows, 1 << 16, u64::MAX)[63], Cut::Probe(1));
        // One that is alone has no other to be compared with.
        assert_eq!(even_cuts(&[(63_000, 10)], 1, u64::MAX), [Cut::Probe(1)]);
        assert_eq!(even_cuts(&[(63_000, 10)], 1, 10_000), [Cut::Probe(7)]);
    }
}
