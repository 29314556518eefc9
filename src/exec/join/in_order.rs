//! A join of two sides that both come in the order of a key.
//!
//! In:  two pipelines, each with rows sorted by one of its key columns.
//! Out: units of joined rows, in the order of the probe side. No row is moved, and
//!      of either side no more is held than a few windows.
//!
//! ```text
//! probe  1 1 2 5 │ 5 6 8 9 │ …      windows end between keys, the same ones on
//! build  1 3 4   │ 5 5 7 9 │ …      both sides; any thread joins one
//! ```
//!
//! A window whose build rows do not fit, because one key has so many, is cut by
//! key and by place as a whole join would be: see `grace.rs`.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::take::take_record_batch;

use super::bucket::{BucketJoin, bucket_units};
use super::grace::{BuildRows, grace};
use super::side::ProbeSide;
use super::tasks::{Cut, Tasks};
use crate::error::{Error, Result};
use crate::exec::run::Run;
use crate::exec::source::{Chunk, ChunkReader, Unit, Units, batch_unit};
use crate::expr::common_type;
use crate::ops::join::JoinSpec;
use crate::ops::{Codes, SortBy, SortKeys};
use crate::partition::batch_bytes;
use crate::shuffle::{Bucket, Buckets, split};

/// Logical bytes of a window, of both sides, where there is memory: enough to make
/// a task of, and few enough to stay in a cache near all cores.
const WINDOW_BYTES: u64 = 8 << 20;

/// The share of a window that the rows at hand of one side take at most; and how
/// many rows they may be anyway.
const AHEAD_SHARE: u64 = 4;
const AHEAD_ROWS: usize = 1_024;

/// Probe rows of a window that one task takes.
const TASK_ROWS: u64 = 1 << 16;

/// The rows of a window, of both sides.
struct Window {
    probe: Bucket,
    build: Bucket,
    build_bytes: u64,
}

/// Cuts two sides into windows.
pub(super) struct Windows {
    spec: Arc<JoinSpec>,
    probe: Sorted,
    build: Sorted,
    probe_schema: SchemaRef,
    /// Bytes of a block of build rows.
    block_bytes: u64,
    /// Bytes of a window.
    window_bytes: u64,
    tasks: Arc<Tasks>,
    run: Run,
    /// Units of the window at hand.
    units: Units,
}

impl Windows {
    /// Of sides that are sorted by the columns `keys` of probe and build side.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for keys that have no common order.
    pub fn new(
        spec: JoinSpec,
        (probe, build): (ProbeSide, ProbeSide),
        keys: (&str, &str),
        limit: u64,
        tasks: &Arc<Tasks>,
        run: Run,
    ) -> Result<Self> {
        let (of_probe, of_build) = (
            probe.schema.index_of(keys.0)?,
            build.schema.index_of(keys.1)?,
        );
        let data_types = (
            probe.schema.field(of_probe).data_type(),
            build.schema.field(of_build).data_type(),
        );
        let data_type = common_type(data_types.0, data_types.1)
            .ok_or_else(|| Error::internal("sides have no order in common"))?;
        let block_bytes = (limit / (2 * run.drive.threads as u64)).max(1);
        let window_bytes = block_bytes.min(WINDOW_BYTES);
        Ok(Windows {
            probe_schema: Arc::clone(&probe.schema),
            probe: Sorted::new(probe, (of_probe, keys.0), &data_type, window_bytes)?,
            build: Sorted::new(build, (of_build, keys.1), &data_type, window_bytes)?,
            spec: Arc::new(spec),
            block_bytes,
            window_bytes,
            tasks: Arc::clone(tasks),
            run,
            units: Box::new(std::iter::empty()),
        })
    }

    /// The next window; none at the end.
    fn window(&mut self) -> Result<Option<Window>> {
        let drive = &self.run.drive;
        let open = || Buckets::new(1, &drive.budget, 0, Arc::clone(&drive.spill_dir));
        let (mut probe, mut build) = (open(), open());
        // The key up to which rows were taken, of which there may be more.
        let mut unfinished: Option<Bound> = None;
        while let Some(bound) = self.bound()? {
            self.probe.give(&bound, Ordering::Less, &mut probe)?;
            self.build.give(&bound, Ordering::Less, &mut build)?;
            let ends_here = unfinished.is_none_or(|key| key.cmp(&bound) == Ordering::Less);
            if ends_here && probe.bytes() + build.bytes() >= self.window_bytes {
                return Ok(Some(Window::of(probe, build)));
            }
            self.probe.give(&bound, Ordering::Equal, &mut probe)?;
            self.build.give(&bound, Ordering::Equal, &mut build)?;
            unfinished = Some(bound);
        }
        let is_empty = probe.rows()[0] + build.rows()[0] == 0;
        Ok((!is_empty).then(|| Window::of(probe, build)))
    }

    /// Of both sides all rows are at hand that come before this key; none at their end.
    fn bound(&mut self) -> Result<Option<Bound>> {
        let bounds = (self.probe.last()?, self.build.last()?);
        Ok(match bounds {
            (Some(a), Some(b)) => Some(match a.cmp(&b) {
                Ordering::Greater => b,
                _ => a,
            }),
            (a, b) => a.or(b),
        })
    }

    fn units_of(&self, window: Window) -> Result<Units> {
        if window.build_bytes > self.block_bytes {
            let build = BuildRows {
                bytes: window.build_bytes,
                batches: Box::new(window.build.read()),
            };
            let probe = batch_unit(Box::new(window.probe.read()));
            let limit = self.block_bytes * 2 * self.run.drive.threads as u64;
            let spec = (*self.spec).clone();
            return grace(
                spec,
                probe,
                &self.probe_schema,
                build,
                limit,
                &self.tasks,
                &self.run,
            );
        }
        let tasks = window.probe.rows().div_ceil(TASK_ROWS).max(1);
        Ok(bucket_units(BucketJoin {
            spec: Arc::clone(&self.spec),
            // Stretches of probe rows, one behind the other, keep their order.
            cuts: vec![Cut::Probe(tasks)],
            build: vec![window.build],
            probe: vec![window.probe],
            block_bytes: u64::MAX,
            budget: self.run.drive.budget.clone(),
            tasks: Arc::clone(&self.tasks),
        }))
    }
}

impl Window {
    fn of(probe: Buckets, build: Buckets) -> Self {
        let build_bytes = build.bytes();
        let only = |buckets: Buckets| buckets.finish().swap_remove(0);
        Window {
            probe: only(probe),
            build: only(build),
            build_bytes,
        }
    }
}

impl Iterator for Windows {
    type Item = Result<Unit>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(unit) = self.units.next() {
                return Some(unit);
            }
            let units = self.window().and_then(|window| match window {
                Some(window) => self.units_of(window).map(Some),
                None => Ok(None),
            });
            match units {
                Ok(Some(units)) => self.units = units,
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// A key of one of the sides.
#[derive(Clone)]
struct Bound {
    codes: Arc<Codes>,
    row: usize,
}

impl Bound {
    fn cmp(&self, other: &Bound) -> Ordering {
        self.codes.cmp_to(self.row, &other.codes, other.row)
    }
}

/// The rows of one side, which must come in the order of their key.
struct Sorted {
    units: Units,
    reader: Option<Box<dyn ChunkReader>>,
    /// Place and name of the key.
    place: usize,
    name: String,
    keys: SortKeys,
    /// The type in which both sides have one order.
    data_type: DataType,
    /// Bytes that it gives at a time, about.
    most_bytes: u64,
    /// Rows that were read, in small batches, and not looked at.
    read: VecDeque<RecordBatch>,
    ahead: Option<Ahead>,
    /// The last key so far.
    last: Option<Bound>,
}

/// Rows that were read and not given.
struct Ahead {
    rows: RecordBatch,
    codes: Arc<Codes>,
    /// How many were given.
    given: usize,
}

impl Sorted {
    fn new(
        side: ProbeSide,
        (place, name): (usize, &str),
        data_type: &DataType,
        window_bytes: u64,
    ) -> Result<Self> {
        let schema = Schema::new(vec![Field::new(name, data_type.clone(), true)]);
        Ok(Sorted {
            units: side.units,
            reader: None,
            place,
            name: name.to_owned(),
            keys: SortKeys::try_new(&[SortBy::from(name)], &schema)?,
            data_type: data_type.clone(),
            most_bytes: window_bytes / AHEAD_SHARE,
            read: VecDeque::new(),
            ahead: None,
            last: None,
        })
    }

    /// The last key of the rows that are at hand; none at the end.
    fn last(&mut self) -> Result<Option<Bound>> {
        while self.ahead.is_none() {
            if let Some(rows) = self.read.pop_front() {
                self.ahead = Some(self.checked(rows)?);
                break;
            }
            let Some(rows) = self.read()? else {
                return Ok(None);
            };
            let (n_rows, bytes) = (rows.num_rows(), batch_bytes(&rows).max(1));
            let fitting = n_rows as u128 * u128::from(self.most_bytes) / u128::from(bytes);
            let step = (fitting as usize).max(AHEAD_ROWS);
            let starts = (0..n_rows).step_by(step);
            let pieces = starts.map(|start| rows.slice(start, step.min(n_rows - start)));
            self.read.extend(pieces);
        }
        Ok(self.last.clone())
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.next(Vec::new())? {
                    Some(Chunk::Batch(rows, _)) => return Ok(Some(rows)),
                    Some(Chunk::Work(make)) => return make().map(Some),
                    Some(Chunk::Text(_) | Chunk::Csv(..)) => {
                        return Err(Error::internal("text came in place of rows"));
                    }
                    None => self.reader = None,
                }
            }
            let Some(unit) = self.units.next() else {
                return Ok(None);
            };
            self.reader = Some((unit?.open)()?);
        }
    }

    /// Rows with the codes of their keys, if these go on in order.
    fn checked(&mut self, rows: RecordBatch) -> Result<Ahead> {
        let key: ArrayRef = cast(rows.column(self.place), &self.data_type)?;
        let codes = Arc::new(self.keys.codes_of(&[key])?);
        let first = Bound {
            codes: Arc::clone(&codes),
            row: 0,
        };
        let goes_on = match &self.last {
            Some(last) => last.cmp(&first) != Ordering::Greater,
            None => true,
        };
        if !goes_on || !codes.are_sorted() {
            let name = &self.name;
            return Err(Error::plan(format!(
                "rows are said to be sorted by {name:?}, and are not"
            )));
        }
        self.last = Some(Bound {
            row: codes.len() - 1,
            codes: Arc::clone(&codes),
        });
        Ok(Ahead {
            rows,
            codes,
            given: 0,
        })
    }

    /// Gives rows at hand whose key stands to `bound` as `most` says, or before that.
    fn give(&mut self, bound: &Bound, most: Ordering, to: &mut Buckets) -> Result<()> {
        let Some(ahead) = &mut self.ahead else {
            return Ok(());
        };
        let (mut from, mut end) = (ahead.given, ahead.rows.num_rows());
        while from < end {
            let middle = from + (end - from) / 2;
            match ahead.codes.cmp_to(middle, &bound.codes, bound.row) <= most {
                true => from = middle + 1,
                false => end = middle,
            }
        }
        let n_rows = end - ahead.given;
        if n_rows > 0 {
            let places = ahead.given as u32..end as u32;
            // A window that had a part of a batch would hold, and count, all of it.
            let rows = take_record_batch(&ahead.rows, &UInt32Array::from_iter_values(places))?;
            to.push(split(&rows, &vec![0; n_rows], 1)?)?;
        }
        ahead.given = end;
        if end == ahead.rows.num_rows() {
            self.ahead = None;
        }
        Ok(())
    }
}
