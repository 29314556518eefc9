//! The rows of each bucket, in memory and, past the budget, on disk.
//!
//! In:  the shards of batches, in input order.
//! Out: for each bucket its rows, in that order.
//!
//! ```text
//! in memory   [0|1|2] [0|1|2] [0|1|2]          refused? all of it becomes one
//! on disk     0 0 0 │ 1 1 1 │ 2 2 2            run on disk, bucket behind bucket
//! ```
//!
//! Shards of a section of buckets share their memory, so spilling one bucket
//! alone would free nothing: all goes at once, which also makes few files with
//! long segments: one for each thread, with buckets that stand together. Once all were taken in, each section stands for itself, and
//! its memory goes with the last of its buckets. Rows are counted in and out; a
//! difference is an error.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

use super::split::{Section, Shards, buckets_a_section};
use crate::cancel::check;
use crate::error::{Error, Result};
use crate::memory::{
    Budget, Reservation, Segment, SegmentWriter, SpillDir, SpillFile, SpillReader, held_bytes_each,
};
use crate::partition::batch_bytes;

/// Rows of a spilled batch: enough to make its headers and its codec worth it.
const SPILLED_ROWS: usize = 8_192;

/// The share of the budget that such a batch takes at most, where it is made of
/// smaller ones: who reads it back holds all of it.
const SPILLED_SHARE: u64 = 16;

/// The share of the budget, and the most bytes, below which nothing is spilled:
/// so that others who fill the budget cannot make each batch a file of its own.
const LEAST_SPILL_SHARE: u64 = 64;
const LEAST_SPILL_BYTES: u64 = 8 << 20;

/// Rows of what is on disk, written at once, read bucket by bucket: of each
/// bucket one stretch for every schema that its rows had.
type Spilled = Vec<Vec<OnDisk>>;

/// Where rows of a bucket lie.
#[derive(Clone)]
struct OnDisk {
    file: Arc<SpillFile>,
    segment: Segment,
}

/// Shards of a section of buckets that are in memory, what they hold of the
/// budget, and the folder of those that are not.
struct InMemory {
    sections: Vec<Section>,
    _reservation: Reservation,
    _spill_dir: Arc<SpillDir>,
}

/// Collects shards under a budget.
pub struct Buckets {
    spill_dir: Arc<SpillDir>,
    reservation: Reservation,
    /// Fewer bytes than these are held even if the budget refuses.
    least_spill: u64,
    /// Bytes of a spilled batch that is made of smaller ones, about.
    spilled_bytes: u64,
    shards: Vec<Shards>,
    /// Bytes that these hold of the budget, by section.
    held: Vec<u64>,
    spilled: Vec<Arc<Spilled>>,
    rows: Vec<u64>,
    bytes: u64,
}

impl Buckets {
    /// `n_buckets` empty buckets that take from `budget`, but for `room` bytes
    /// which they leave to others, and spill to `spill_dir`.
    pub fn new(n_buckets: usize, budget: &Budget, room: u64, spill_dir: Arc<SpillDir>) -> Self {
        Buckets {
            spill_dir,
            reservation: budget.open_leaving(room),
            least_spill: (budget.limit().bytes() / LEAST_SPILL_SHARE).min(LEAST_SPILL_BYTES),
            spilled_bytes: budget.limit().bytes() / SPILLED_SHARE,
            shards: Vec::new(),
            held: vec![0; n_buckets.div_ceil(buckets_a_section(n_buckets))],
            spilled: Vec::new(),
            rows: vec![0; n_buckets],
            bytes: 0,
        }
    }

    /// Rows of each bucket so far.
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// Logical bytes of all rows so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes in the shards of a batch that comes behind all batches so far. Its
    /// schema may differ from theirs. Spills what is in memory if the budget refuses.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it must spill and cannot; [`Error::Internal`] for shards
    /// of another number of buckets.
    pub fn push(&mut self, shards: Shards) -> Result<()> {
        if shards.n_buckets() != self.rows.len() {
            return Err(Error::internal(format!(
                "shards of {} buckets for {}",
                shards.n_buckets(),
                self.rows.len()
            )));
        }
        if shards.num_rows() == 0 {
            return Ok(());
        }
        for (bucket, rows) in self.rows.iter_mut().enumerate() {
            *rows += shards.len(bucket) as u64;
        }
        self.bytes += shards.bytes();
        let each = held_bytes_each(shards.batches());
        let held = self.reservation.bytes() + each.iter().sum::<u64>();
        for (held, more) in self.held.iter_mut().zip(each) {
            *held += more;
        }
        self.shards.push(shards);
        if self.reservation.try_resize(held) {
            return Ok(());
        }
        if held < self.least_spill {
            self.reservation.resize_anyway(held);
            return Ok(());
        }
        self.spill()
    }

    /// Moves all shards in memory to disk.
    fn spill(&mut self) -> Result<()> {
        let shards = std::mem::take(&mut self.shards);
        let each = buckets_a_section(self.rows.len());
        let n_buckets = self.rows.len();
        let most_bytes = self.spilled_bytes;
        let written = self
            .spill_dir
            .write_run(self.held.len(), |writer, sections| {
                let buckets = sections.start * each..(sections.end * each).min(n_buckets);
                buckets
                    .map(|bucket| write_bucket(writer, &shards, bucket, most_bytes))
                    .collect::<Result<Vec<_>>>()
            })?;
        tracing::debug!(batches = shards.len(), "spilled buckets");
        drop(shards);
        let on_disk = written.into_iter().flat_map(|(file, buckets)| {
            let lies = move |segment| OnDisk {
                file: Arc::clone(&file),
                segment,
            };
            let buckets = buckets.into_iter();
            buckets.map(move |segments| segments.into_iter().map(&lies).collect())
        });
        self.spilled.push(Arc::new(on_disk.collect()));
        self.reservation.resize_anyway(0);
        self.held.fill(0);
        Ok(())
    }

    /// The buckets, to be read in any order, by any thread. What is in memory of
    /// an eighth of them, which stand together, stays until all of these are dropped.
    pub fn finish(mut self) -> Vec<Bucket> {
        let each = buckets_a_section(self.rows.len());
        let mut sections: Vec<Vec<Section>> = self.held.iter().map(|_| Vec::new()).collect();
        for shards in self.shards {
            let filled = shards.into_sections().into_iter().zip(&mut sections);
            for (section, of_all) in filled.filter(|(section, _)| section.rows().num_rows() > 0) {
                of_all.push(section);
            }
        }
        let of_section = sections
            .into_iter()
            .zip(&self.held)
            .map(|(sections, held)| {
                Arc::new(InMemory {
                    sections,
                    _reservation: self.reservation.split_off(*held),
                    _spill_dir: Arc::clone(&self.spill_dir),
                })
            });
        let of_section: Vec<Arc<InMemory>> = of_section.collect();
        let buckets = self.rows.into_iter().enumerate();
        buckets
            .map(|(idx, rows)| Bucket {
                idx,
                rows,
                spilled: self.spilled.clone(),
                memory: Arc::clone(&of_section[idx / each]),
                in_section: idx % each,
            })
            .collect()
    }
}

/// Writes the rows of one bucket: a segment for each schema.
fn write_bucket(
    writer: &mut SegmentWriter,
    shards: &[Shards],
    bucket: usize,
    most_bytes: u64,
) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for run in shards.chunk_by(|a, b| a.schema() == b.schema()) {
        let schema = Arc::clone(run[0].schema());
        let filled = run.iter().filter(|shards| !shards.is_empty(bucket));
        let filled = filled.map(|shards| shards.shard(bucket));
        let mut batches = joined(filled, &schema, most_bytes).peekable();
        if batches.peek().is_some() {
            segments.push(writer.write(&schema, batches)?);
        }
    }
    Ok(segments)
}

/// Small batches of one schema joined into larger ones, of about so many bytes at most.
fn joined(
    mut batches: impl Iterator<Item = RecordBatch>,
    schema: &SchemaRef,
    most_bytes: u64,
) -> impl Iterator<Item = Result<RecordBatch>> {
    std::iter::from_fn(move || {
        let mut some = vec![batches.next()?];
        let mut rows = some[0].num_rows();
        let mut bytes = batch_bytes(&some[0]);
        while rows < SPILLED_ROWS
            && bytes < most_bytes
            && let Some(batch) = batches.next()
        {
            rows += batch.num_rows();
            bytes += batch_bytes(&batch);
            some.push(batch);
        }
        Some(match some.len() {
            1 => Ok(some.remove(0)),
            _ => concat_batches(schema, &some).map_err(Error::from),
        })
    })
}

/// The rows of one bucket. Clones share them.
#[derive(Clone)]
pub struct Bucket {
    idx: usize,
    rows: u64,
    spilled: Vec<Arc<Spilled>>,
    memory: Arc<InMemory>,
    /// Its place in the sections that are in memory.
    in_section: usize,
}

impl Bucket {
    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether any of its rows must be read from disk.
    pub fn is_spilled(&self) -> bool {
        let mut parts = self.spilled.iter();
        parts.any(|part| !part[self.idx].is_empty())
    }

    /// Its rows in input order, in small batches, each with the schema it came
    /// with. Reads one spill file at a time.
    pub fn read(&self) -> BucketReader {
        BucketReader {
            bucket: self.clone(),
            part: 0,
            segment: 0,
            open: None,
            shard: 0,
            rows_left: self.rows,
        }
    }
}

/// The batches of a [`Bucket`], in input order; none is empty.
pub struct BucketReader {
    bucket: Bucket,
    /// The file that is read, and the segment in it that comes next.
    part: usize,
    segment: usize,
    open: Option<SpillReader>,
    /// The shard in memory that comes next.
    shard: usize,
    rows_left: u64,
}

/// Rows of a batch that stand together.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// They, among others.
    pub rows: RecordBatch,
    /// Which ones they are.
    pub places: Range<usize>,
}

impl Stretch {
    /// They alone, without a copy.
    pub fn batch(&self) -> RecordBatch {
        match self.places.len() == self.rows.num_rows() {
            true => self.rows.clone(),
            false => self.rows.slice(self.places.start, self.places.len()),
        }
    }
}

impl BucketReader {
    /// The next rows, as they lie: columns of which nobody asks are not cut.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if they were spilled and cannot be read; [`Error::Internal`]
    /// if there are more or fewer rows than went in; [`Error::Cancelled`].
    pub fn next_stretch(&mut self) -> Result<Option<Stretch>> {
        check()?;
        let next = self.next_rows()?;
        let rows = next.as_ref().map_or(0, |next| next.places.len() as u64);
        match (self.rows_left.checked_sub(rows), &next) {
            (None, _) | (Some(1..), None) => Err(Error::internal(format!(
                "bucket {} of a shuffle was given {} rows and gave others back",
                self.bucket.idx, self.bucket.rows
            ))),
            (Some(left), _) => {
                self.rows_left = left;
                Ok(next)
            }
        }
    }

    fn next_rows(&mut self) -> Result<Option<Stretch>> {
        let idx = self.bucket.idx;
        loop {
            if let Some(batch) = self.open.as_mut().and_then(Iterator::next) {
                let rows = batch?;
                let places = 0..rows.num_rows();
                return Ok(Some(Stretch { rows, places }));
            }
            self.open = None;
            let Some(part) = self.bucket.spilled.get(self.part) else {
                break;
            };
            match part[idx].get(self.segment) {
                Some(on_disk) => {
                    self.segment += 1;
                    self.open = Some(on_disk.file.read_part(on_disk.segment)?);
                }
                None => (self.part, self.segment) = (self.part + 1, 0),
            }
        }
        let in_section = self.bucket.in_section;
        while let Some(section) = self.bucket.memory.sections.get(self.shard) {
            self.shard += 1;
            if section.len(in_section) > 0 {
                return Ok(Some(Stretch {
                    rows: section.rows().clone(),
                    places: section.places(in_section),
                }));
            }
        }
        Ok(None)
    }
}

impl Iterator for BucketReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_stretch().transpose()?;
        Some(next.map(|rows| rows.batch()))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::super::{ByHash, Route, split};
    use super::*;
    use crate::size::ByteSize;

    /// Rows whose number is their place; the type of `key` changes on the way.
    fn batch(from: i64, rows: i64) -> RecordBatch {
        let places = from..from + rows;
        let key: ArrayRef = if from < 900 {
            Arc::new(Int64Array::from_iter_values(
                places.clone().map(|n| n * n % 83),
            ))
        } else {
            let keys = places.clone().map(|n| (n * n % 83) as f64);
            Arc::new(Float64Array::from_iter_values(keys))
        };
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(
            places.clone().map(|n| format!("row {n}")),
        ));
        let place: ArrayRef = Arc::new(Int64Array::from_iter_values(places));
        RecordBatch::try_from_iter([("key", key), ("text", text), ("place", place)]).unwrap()
    }

    fn places(batches: impl Iterator<Item = Result<RecordBatch>>) -> Vec<i64> {
        use arrow_array::cast::AsArray;
        use arrow_array::types::Int64Type;
        let mut places = Vec::new();
        for batch in batches {
            let batch = batch.unwrap();
            let column = batch.column(2).as_primitive::<Int64Type>();
            let texts = batch.column(1).as_string::<i32>();
            for (place, text) in column.values().iter().zip(texts) {
                assert_eq!(text, Some(format!("row {place}").as_str()));
                places.push(*place);
            }
        }
        places
    }

    #[test]
    fn buckets_hold_their_rows_in_order_at_every_budget_and_cut() {
        let parent = tempfile::tempdir().unwrap();
        let n = 7;
        let route = ByHash::try_new(vec![0], n).unwrap();
        let mut wanted = vec![Vec::new(); n];
        let all = [batch(0, 900), batch(900, 600)];
        for (rows, first) in all.iter().zip([0, 900]) {
            for (row, bucket) in route.route(rows).unwrap().into_iter().enumerate() {
                wanted[bucket as usize].push(first + row as i64);
            }
        }
        for limit in [0, 1, 3_000, 20_000, 1 << 20] {
            for rows in [5, 13, 150] {
                let budget = Budget::new(ByteSize::new(limit));
                let spill_dir = SpillDir::new(parent.path(), None);
                // To several files, the last first.
                let last_first = |n, task: &(dyn Fn(usize) -> Result<()> + Sync)| {
                    (0..n).rev().try_for_each(task)
                };
                let spill_dir = Arc::new(spill_dir.written_by(1 + rows / 60, last_first));
                let mut buckets = Buckets::new(n, &budget, 0, Arc::clone(&spill_dir));
                for from in (0..1_500).step_by(rows) {
                    let batch = batch(from, (rows as i64).min(1_500 - from));
                    let to = route.route(&batch).unwrap();
                    buckets.push(split(&batch, &to, n).unwrap()).unwrap();
                    buckets
                        .push(split(&batch.slice(0, 0), &[], n).unwrap())
                        .unwrap();
                    assert!(budget.used() <= limit);
                }
                assert_eq!(buckets.rows().iter().sum::<u64>(), 1_500);
                assert_eq!(spill_dir.written() > 0, limit < 1 << 20, "{limit}");
                let buckets = buckets.finish();
                // In any order, and more than once.
                for (bucket, wanted) in buckets.iter().zip(&wanted).rev() {
                    assert_eq!(places(bucket.read()), *wanted, "{limit} {rows}");
                    assert_eq!(places(bucket.read()), *wanted);
                    assert_eq!(bucket.rows(), wanted.len() as u64);
                    assert!(limit < 1 << 20 || !bucket.is_spilled());
                }
                drop(buckets);
                assert_eq!(budget.used(), 0);
            }
        }
    }

    #[test]
    fn memory_goes_with_the_buckets_that_are_dropped() {
        let parent = tempfile::tempdir().unwrap();
        for n in [3, 8, 64] {
            let budget = Budget::new(ByteSize::mib(64));
            let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
            let mut buckets = Buckets::new(n, &budget, 0, spill_dir);
            for from in (0..8).map(|batch| batch * 1_000) {
                let to: Vec<u32> = (0..1_000).map(|row| row * 7 % n as u32).collect();
                let rows = batch(1_000 + from, 1_000);
                buckets.push(split(&rows, &to, n).unwrap()).unwrap();
            }
            let all = budget.used();
            let mut left = n as u64;
            for bucket in buckets.finish() {
                // All that is left, and less than two eighths of what is gone.
                let most = all * left / n as u64 + all.div_ceil(8.min(n as u64));
                assert!(budget.used() <= most + all / 50, "{left} of {n}");
                assert_eq!(bucket.read().count(), 8);
                drop(bucket);
                left -= 1;
            }
            assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn shards_of_other_buckets_are_refused() {
        let budget = Budget::new(ByteSize::mib(1));
        let parent = tempfile::tempdir().unwrap();
        let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
        let mut buckets = Buckets::new(3, &budget, 0, spill_dir);
        assert!(
            buckets
                .push(split(&batch(0, 2), &[0, 1], 4).unwrap())
                .is_err()
        );
    }
}
