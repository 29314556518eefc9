//! A pipeline's rows, sorted.
//!
//! In:  a pipeline, and columns that order its rows.
//! Out: the rows in order, a piece at a time, made on any thread.
//!
//! ```text
//! rows ─ hold + sample ─▶ edges ─ scatter ─▶ range 0 │ range 1 │ …   each sorted when
//!        (may spill)               (may spill)                       its turn comes
//! ```
//!
//! The input is read once. A range is small enough to be sorted in cache and
//! in the budget; rows of one heavy key are a range that needs no sort and is
//! streamed, however large it is. Which ranges there are shows nowhere: rows
//! come in order, equal ones in input order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_cast::display::array_value_to_string;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

use super::build::{Given, build};
use super::context::Context;
use super::control::Phase;
use super::output::{Hold, NoAppend, Sampled, Scatter};
use super::report::{HotKeyReport, StageReport, TasksReport};
use super::run::{CHUNK_BYTES, Run};
use super::scatter::ScatterPlan;
use super::sheet::{Front, Stage};
use super::source::{Chunk, ChunkReader, Passed, Unit, Units};
use crate::error::Result;
use crate::memory::Budget;
use crate::ops::{Codes, Edges, SortBy, SortKeys};
use crate::partition::{By, batch_bytes};
use crate::plan::{Layout, Physical, Sort, SortInto};
use crate::shuffle::{Bucket, BucketReader, Buckets, ByRange};

/// Logical bytes of a range, where there is memory: more do not stay in the
/// second-level cache while they are sorted, fewer make shards of few rows.
const RANGE_BYTES: u64 = 4 << 20;

/// Most ranges that are made for the sake of memory: each takes 4 bytes of a chunk.
const MOST_RANGES: u64 = 1_024;

/// Ranges in a partition that ends between keys: its size is right to within one.
const RANGES_A_PARTITION: usize = 8;

/// Most hot keys that a report names.
const MOST_HOT_KEYS: usize = 10;

/// Rows of a batch of a range that is streamed.
const STREAMED_ROWS: usize = 8_192;

/// Sorts the rows of a pipeline.
///
/// # Errors
///
/// As [`super::write`]; [`Error::Plan`](crate::Error::Plan) for columns that have no order;
/// [`Error::Memory`](crate::Error::Memory) if a range is too large to be sorted.
pub(super) fn sort_all(sort: &Sort, physical: &Physical, context: &Context) -> Result<Given> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let mut built = build(physical, &run.context, CHUNK_BYTES)?;
    built.layout = Layout::Coalesce(u64::MAX);
    let (budget, spill_dir) = (&run.drive.budget, &run.drive.spill_dir);
    let columns = sort.by.iter().map(|by| by.column.clone()).collect();
    let hold = Hold::new(budget, Arc::clone(spill_dir));
    let (mut first, NoAppend) = run.drive(built, Sampled::new(hold, columns), NoAppend)?;
    let sheet = run.sheet(&mut first)?;
    let run_schema = first.schema;
    let schema = run_schema.output()?;
    let keys = SortKeys::try_new(&sort.by, &schema)?;
    let (sample, hold) = first.output.finish(&run_schema, &schema)?;
    let sample = keys.codes_of(&sample)?;
    let held = hold.held();
    let totals = (held.rows, held.bytes);
    let cuts = cut_ranges(sort.into, totals);
    let n_ranges = cuts * wanted_ranges(totals.1, &run).div_ceil(cuts);
    let route = ByRange::new(keys.clone(), Edges::of_sample(&sample, n_ranges));
    let edges = route.edges().clone();
    let output = Scatter::new(edges.n_ranges(), budget, Arc::clone(spill_dir));
    let plan = Arc::new(ScatterPlan {
        route: Arc::new(route),
    });
    let (second, NoAppend) = run.drive_held(held, run_schema, Some(plan), output, NoAppend)?;
    let buckets = second.output.buckets;
    let bytes = buckets.bytes();
    let sorted = Sorted {
        partitions: partitions(sort.into, totals, &sample, &edges, &buckets),
        equal: (0..edges.n_ranges())
            .map(|range| edges.is_equal(range))
            .collect(),
        buckets: buckets.finish(),
        keys,
        operator: sort.name(),
        budget: budget.clone(),
        schema: Arc::clone(&schema),
    };
    let mut report = StageReport::of(sort.name());
    report.shuffles = 1;
    sorted.tell(&sort.by, &mut report)?;
    Ok(Given {
        units: sorted.units(),
        schema,
        held_bytes: 0,
        counted: Some((totals.0, bytes)),
        stage: Some(Stage {
            report,
            keeps_rows: true,
            fronts: vec![Front::over(sheet)],
        }),
    })
}

/// Ranges that are small enough for the budget.
fn wanted_ranges(bytes: u64, run: &Run) -> usize {
    let share = run.drive.budget.limit().bytes() / (16 * run.drive.threads as u64);
    let range = RANGE_BYTES.min(share).max(1);
    bytes.div_ceil(range).clamp(1, MOST_RANGES) as usize
}

/// Partitions that are asked for, by the rows and bytes that there are.
fn wanted_partitions(by: By, (rows, bytes): (u64, u64)) -> u64 {
    let wanted = match by {
        By::Count(n) => n as u64,
        By::Rows(n) => rows.div_ceil(n.max(1)),
        By::Bytes(size) | By::FileBytes(size) => {
            let target = size.bytes().max(1);
            (bytes + target / 2) / target
        }
    };
    wanted.clamp(1, rows.max(1))
}

/// Ranges of which partitions that end between keys are made; their number
/// depends on the rows alone.
fn cut_ranges(into: SortInto, totals: (u64, u64)) -> usize {
    match into {
        SortInto::Any | SortInto::Given => 1,
        SortInto::Keys(by) => {
            let partitions = wanted_partitions(by, totals) as usize;
            match partitions {
                1 => 1,
                many => many.saturating_mul(RANGES_A_PARTITION),
            }
        }
    }
}

/// Rows of a range, all or some, that belong to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    range: usize,
    /// Only of a range whose rows are all equal.
    rows: Option<Range<u64>>,
}

/// The pieces of each partition.
///
/// A partition ends where an even share of the rows does, moved to the nearest
/// end of a range that depends on the rows alone; but inside a heavy key, which
/// is more than half a partition, exactly there.
fn partitions(
    into: SortInto,
    totals: (u64, u64),
    sample: &Codes,
    edges: &Edges,
    buckets: &Buckets,
) -> Vec<Vec<Piece>> {
    let whole = |range| Piece { range, rows: None };
    let SortInto::Keys(by) = into else {
        return vec![(0..edges.n_ranges()).map(whole).collect()];
    };
    let n = wanted_partitions(by, totals);
    let cuts = Edges::of_sample(sample, cut_ranges(into, totals));
    let ends = partition_ends(n, &cuts.counts_in(edges, buckets.rows()), totals.0, &cuts);
    let mut partitions = Vec::new();
    let mut open = Vec::new();
    let mut ends = ends.into_iter().peekable();
    let mut before = 0;
    for (range, &rows) in buckets.rows().iter().enumerate() {
        let mut from = 0;
        while let Some(end) = ends.next_if(|&end| end < before + rows) {
            let to = end - before;
            if to > from {
                let rows = Some(from..to);
                open.push(Piece { range, rows });
            }
            from = to;
            partitions.push(std::mem::take(&mut open));
        }
        match (from, rows) {
            (0, _) => open.push(whole(range)),
            (from, rows) => open.push(Piece {
                range,
                rows: Some(from..rows),
            }),
        }
        before += rows;
    }
    partitions.push(open);
    partitions
}

/// The rows behind which partitions end, in order, the last one left out;
/// `counts` are those of the ranges between `cuts`.
fn partition_ends(n: u64, counts: &[u64], total: u64, cuts: &Edges) -> Vec<u64> {
    let mut ends = Vec::new();
    let mut range = 0;
    let mut before = 0;
    for partition in 1..n {
        let target = (u128::from(total) * u128::from(partition) / u128::from(n)) as u64;
        while range < counts.len() && before + counts[range] <= target {
            before += counts[range];
            range += 1;
        }
        let rows = counts.get(range).copied().unwrap_or(0);
        let heavy = cuts.is_equal(range) && rows * 2 > total / n;
        let end = if heavy || target == before {
            target
        } else if target - before <= rows / 2 {
            before
        } else {
            before + rows
        };
        if end > ends.last().copied().unwrap_or(0) && end < total {
            ends.push(end);
        }
    }
    ends
}

/// Ranges of rows, and the partitions that they make.
struct Sorted {
    partitions: Vec<Vec<Piece>>,
    /// Of each range, whether its rows are all equal.
    equal: Vec<bool>,
    buckets: Vec<Bucket>,
    keys: SortKeys,
    operator: &'static str,
    budget: Budget,
    schema: SchemaRef,
}

impl Sorted {
    /// Says how the rows are shared out: ranges are tasks; a range of one key is
    /// not sorted, and as many tasks as it has pieces.
    fn tell(&self, by: &[SortBy], report: &mut StageReport) -> Result<()> {
        let mut tasks = TasksReport::default();
        for (bucket, &equal) in self.buckets.iter().zip(&self.equal) {
            let rows = bucket.rows();
            if rows > 0 && !equal {
                tasks.tasks += 1;
                tasks.rows += rows;
                tasks.largest_rows = tasks.largest_rows.max(rows);
            }
            if rows > STREAMED_ROWS as u64 && equal {
                report.hot_keys.push(hot_key(bucket, by)?);
            }
        }
        let hot = &mut report.hot_keys;
        hot.sort_by_key(|key| std::cmp::Reverse(key.rows));
        hot.truncate(MOST_HOT_KEYS);
        let spilled = self.buckets.iter().filter(|bucket| bucket.is_spilled());
        report.way = Some(format!(
            "{} ranges, {} of them on disk",
            self.buckets.len(),
            spilled.count()
        ));
        report.tasks = (tasks.tasks > 0).then_some(tasks);
        Ok(())
    }

    /// One unit for each partition. Each piece has its bucket to itself, or with
    /// other pieces of it, so that memory goes with what was given.
    fn units(mut self) -> Units {
        let buckets = std::mem::take(&mut self.buckets);
        let with_bucket = |piece: Piece| (buckets[piece.range].clone(), piece);
        let partitions: Vec<VecDeque<_>> = std::mem::take(&mut self.partitions)
            .into_iter()
            .map(|pieces| pieces.into_iter().map(with_bucket).collect())
            .collect();
        drop(buckets);
        let last = partitions.len().saturating_sub(1);
        let sorted = Arc::new(self);
        Box::new(
            partitions
                .into_iter()
                .enumerate()
                .map(move |(idx, pieces)| {
                    let sorted = Arc::clone(&sorted);
                    Ok(Unit {
                        path: Arc::from(sorted.operator),
                        file: 0,
                        ends_file: idx == last,
                        after_all: false,
                        open: Box::new(move || {
                            Ok(Box::new(SortedReader {
                                sorted,
                                pieces,
                                streamed: None,
                            }))
                        }),
                    })
                }),
        )
    }

    /// The rows of a range, in order.
    fn sort(&self, bucket: &Bucket) -> Result<RecordBatch> {
        let mut reservation = self.budget.open();
        let mut batches = Vec::new();
        let mut wanted = 0;
        for batch in bucket.read() {
            let batch = batch?;
            // Beside the rows as they came stand the same rows in order.
            wanted += 2 * batch_bytes(&batch);
            if wanted <= self.budget.limit().bytes() / 8 {
                reservation.resize_anyway(wanted);
            } else if !reservation.try_resize(wanted) {
                let cure =
                    "raise --memory: these rows lie too near to each other to be sorted in parts";
                return Err(reservation.refused(self.operator, wanted, cure));
            }
            batches.push(batch);
        }
        let rows = concat_batches(&self.schema, &batches)?;
        drop(batches);
        let codes = self.keys.codes(&rows)?;
        if codes.are_sorted() {
            return Ok(rows);
        }
        Ok(take_record_batch(&rows, &UInt32Array::from(codes.order()))?)
    }
}

/// The key that all rows of a bucket have.
fn hot_key(bucket: &Bucket, by: &[SortBy]) -> Result<HotKeyReport> {
    let mut values = Vec::new();
    if let Some(batch) = bucket.read().next() {
        let batch = batch?;
        for by in by {
            let column = batch.column(batch.schema_ref().index_of(&by.column)?);
            values.push(array_value_to_string(column, 0)?);
        }
    }
    Ok(HotKeyReport {
        columns: by.iter().map(|by| by.column.clone()).collect(),
        value: values.join(", "),
        rows: bucket.rows(),
        tasks: bucket.rows().div_ceil(STREAMED_ROWS as u64),
    })
}

/// Gives the rows of a partition: ranges to be sorted by whoever takes them,
/// and rows that need no sort.
struct SortedReader {
    sorted: Arc<Sorted>,
    pieces: VecDeque<(Bucket, Piece)>,
    streamed: Option<Streamed>,
}

impl SortedReader {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(streamed) = &mut self.streamed {
                if let Some(batch) = streamed.next_batch(&self.sorted.schema)? {
                    return Ok(Some(Chunk::Batch(batch, Passed::default())));
                }
                self.streamed = None;
            }
            let Some((bucket, piece)) = self.pieces.pop_front() else {
                return Ok(None);
            };
            if bucket.rows() == 0 {
                continue;
            }
            if !self.sorted.equal[piece.range] {
                let sorted = Arc::clone(&self.sorted);
                return Ok(Some(Chunk::Work(Box::new(move || sorted.sort(&bucket)))));
            }
            let rows = piece.rows.unwrap_or(0..bucket.rows());
            self.streamed = Some(Streamed {
                batches: bucket.read(),
                skip: rows.start,
                left: rows.end - rows.start,
            });
        }
    }
}

impl ChunkReader for SortedReader {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        self.next_chunk()
    }

    fn stored_bytes_read(&self) -> u64 {
        0
    }
}

/// Some rows of a range, as they came.
struct Streamed {
    batches: BucketReader,
    /// Rows that belong to an earlier partition.
    skip: u64,
    left: u64,
}

impl Streamed {
    fn next_batch(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        let mut some = Vec::new();
        let mut rows = 0;
        while self.left > 0 && rows < STREAMED_ROWS {
            let Some(batch) = self.batches.next() else {
                break;
            };
            let batch = batch?;
            let skipped = self.skip.min(batch.num_rows() as u64) as usize;
            self.skip -= skipped as u64;
            let taken = self.left.min((batch.num_rows() - skipped) as u64) as usize;
            self.left -= taken as u64;
            rows += taken;
            if taken > 0 {
                some.push(batch.slice(skipped, taken));
            }
        }
        match some.len() {
            0 => Ok(None),
            1 => Ok(some.pop()),
            _ => Ok(Some(concat_batches(schema, &some)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::memory::SpillDir;
    use crate::ops::SortBy;
    use crate::shuffle::{Route, split};
    use crate::size::ByteSize;

    fn batch(keys: &[i64]) -> RecordBatch {
        let places: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys.len() as i64));
        let keys: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
        RecordBatch::try_from_iter([("key", keys), ("place", places)]).unwrap()
    }

    /// The keys of partitions of `n`, cut between keys.
    fn cut(keys: &[i64], n: usize, more_ranges: usize) -> Vec<Vec<i64>> {
        let rows = batch(keys);
        let totals = (keys.len() as u64, batch_bytes(&rows));
        let into = SortInto::Keys(By::Count(n));
        let sort_keys = SortKeys::try_new(&[SortBy::from("key")], &rows.schema()).unwrap();
        let sample = sort_keys.codes(&rows).unwrap();
        let edges = Edges::of_sample(&sample, cut_ranges(into, totals) * more_ranges);
        let route = ByRange::new(sort_keys, edges.clone());
        let parent = tempfile::tempdir().unwrap();
        let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
        let budget = Budget::new(ByteSize::mib(64));
        let mut buckets = Buckets::new(edges.n_ranges(), &budget, 0, spill_dir);
        let to = route.route(&rows).unwrap();
        buckets
            .push(split(&rows, &to, edges.n_ranges()).unwrap())
            .unwrap();
        let sorted = Sorted {
            partitions: partitions(into, totals, &sample, &edges, &buckets),
            equal: (0..edges.n_ranges())
                .map(|range| edges.is_equal(range))
                .collect(),
            buckets: buckets.finish(),
            keys: route.keys().clone(),
            operator: "set_index",
            budget,
            schema: rows.schema(),
        };
        let mut partitions = Vec::new();
        for unit in sorted.units() {
            let mut reader = (unit.unwrap().open)().unwrap();
            let mut keys = Vec::new();
            while let Some(chunk) = reader.next(Vec::new()).unwrap() {
                let rows = match chunk {
                    Chunk::Work(make) => make().unwrap(),
                    Chunk::Batch(rows, _) => rows,
                    Chunk::Text(_) | Chunk::Csv(..) => panic!("no text went in"),
                };
                keys.extend_from_slice(rows.column(0).as_primitive::<Int64Type>().values());
            }
            partitions.push(keys);
        }
        partitions.retain(|keys| !keys.is_empty());
        partitions
    }

    #[test]
    fn partitions_end_between_keys_and_are_even_at_any_number_of_ranges() {
        let many: Vec<i64> = (0..4_000).map(|n| n * n % 1_009).collect();
        let heavy: Vec<i64> = many
            .iter()
            .map(|n| if n % 2 == 0 { 300 } else { *n })
            .collect();
        let same = vec![7; 1_000];
        for keys in [&many, &heavy, &same] {
            let mut wanted = keys.clone();
            wanted.sort_unstable();
            for n in [1, 2, 5, 16] {
                let found = cut(keys, n, 1);
                assert_eq!(found, cut(keys, n, 5), "{n}");
                assert_eq!(found.concat(), wanted);
                assert_eq!(found.len(), n);
                let mean = keys.len() / n;
                for pair in found.windows(2) {
                    let (last, first) = (pair[0].last().unwrap(), pair[1][0]);
                    let rows = keys.iter().filter(|key| **key == first).count();
                    assert!(*last < first || rows * 2 > mean, "{first} is cut");
                }
                for part in &found {
                    assert!(part.len() * 2 <= mean * 3 + 2, "{} of {mean}", part.len());
                }
            }
        }
    }

    #[test]
    fn memory_goes_with_the_rows_that_were_given() {
        let keys: Vec<i64> = (0..8_000).map(|n| n * n % 4_001).collect();
        let rows = batch(&keys);
        let sort_keys = SortKeys::try_new(&[SortBy::from("key")], &rows.schema()).unwrap();
        let edges = Edges::of_sample(&sort_keys.codes(&rows).unwrap(), 16);
        let route = ByRange::new(sort_keys, edges.clone());
        let parent = tempfile::tempdir().unwrap();
        let budget = Budget::new(ByteSize::mib(64));
        let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
        let mut buckets = Buckets::new(edges.n_ranges(), &budget, 0, spill_dir);
        let to = route.route(&rows).unwrap();
        let shards = split(&rows, &to, edges.n_ranges()).unwrap();
        buckets.push(shards).unwrap();
        let whole = |range| Piece { range, rows: None };
        let sorted = Sorted {
            partitions: vec![(0..edges.n_ranges()).map(whole).collect()],
            equal: vec![false; edges.n_ranges()],
            buckets: buckets.finish(),
            keys: route.keys().clone(),
            operator: "sort_values",
            budget: budget.clone(),
            schema: rows.schema(),
        };
        let all = budget.used();
        let mut reader = (sorted.units().next().unwrap().unwrap().open)().unwrap();
        let mut n_rows = 0;
        while let Some(chunk) = reader.next(Vec::new()).unwrap() {
            let Chunk::Work(make) = chunk else {
                panic!("these rows are to be sorted")
            };
            n_rows += make().unwrap().num_rows() as u64;
            let left = all * (8_000 - n_rows) / 8_000;
            assert!(budget.used() <= left + all / 4, "{n_rows} rows");
        }
        assert_eq!((n_rows, budget.used()), (8_000, 0));
    }

    #[test]
    fn a_range_that_does_not_fit_says_which_setting_to_change() {
        let rows = batch(&[3, 1, 2]);
        let parent = tempfile::tempdir().unwrap();
        let spill_dir = Arc::new(SpillDir::new(parent.path(), None));
        let budget = Budget::new(ByteSize::new(64));
        let mut buckets = Buckets::new(1, &budget, 0, spill_dir);
        buckets.push(split(&rows, &[0, 0, 0], 1).unwrap()).unwrap();
        let sorted = Sorted {
            partitions: Vec::new(),
            equal: vec![false],
            buckets: buckets.finish(),
            keys: SortKeys::try_new(&[SortBy::from("key")], &rows.schema()).unwrap(),
            operator: "sort_values",
            budget,
            schema: rows.schema(),
        };
        let error = sorted.sort(&sorted.buckets[0]).unwrap_err().to_string();
        assert!(
            error.contains("sort_values") && error.contains("--memory"),
            "{error}"
        );
    }
}
