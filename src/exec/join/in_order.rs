//! A join of two sides that both come in one order.
//!
//! In:  two pipelines, each with rows sorted by one of its key columns, or both in
//!      as many partitions by key.
//! Out: units of joined rows, in the order of the probe side. No row is moved, and
//!      of either side no more is held than a few windows.
//!
//! ```text
//! probe  1 1 2 5 │ 5 6 8 9 │ …      windows end between keys, the same ones on
//! build  1 3 4   │ 5 5 7 9 │ …      both sides; any thread joins one
//! ```
//!
//! Partitions by hash are in the order of their numbers. A window whose build rows do not fit, because one key has so many, is cut by
//! key and by place as a whole join would be: see `grace.rs`.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::take::take_record_batch;

use super::bucket::{BucketJoin, bucket_units};
use super::grace::{BuildRows, Cutting, grace};
use super::side::{InTurn, ProbeSide};
use super::tasks::{Cut, Tasks};
use super::unit_of;
use crate::error::{Error, Result};
use crate::exec::run::Run;
use crate::exec::scatter::scatter_units;
use crate::exec::source::{Open, Unit, Units, batch_unit, batches_reader};
use crate::expr::{common_type, unknown_column};
use crate::ops::join::JoinSpec;
use crate::ops::{Codes, SortBy, SortKeys};
use crate::partition::batch_bytes;
use crate::plan::{OneOrder, Side};
use crate::shuffle::{Bucket, Buckets, ByHash, Route, split};

/// Logical bytes of a window, of both sides, where there is memory: enough to make
/// a task of, and few enough to stay in a cache near all cores.
const WINDOW_BYTES: u64 = 8 << 20;

/// The share of a window that the rows at hand of one side take at most; and how
/// many rows they may be anyway.
const AHEAD_SHARE: u64 = 4;
const AHEAD_ROWS: usize = 1_024;

/// Rows of a window that one task takes.
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
    /// Of sides that come in the order of their keys.
    pub fn new(
        spec: JoinSpec,
        (probe, build): ((ProbeSide, Keys), (ProbeSide, Keys)),
        limit: u64,
        tasks: &Arc<Tasks>,
        run: Run,
    ) -> Self {
        let block_bytes = (limit / (2 * run.drive.threads as u64)).max(1);
        let window_bytes = block_bytes.min(WINDOW_BYTES);
        Windows {
            probe_schema: Arc::clone(&probe.0.schema),
            probe: Sorted::new(probe, window_bytes),
            build: Sorted::new(build, window_bytes),
            spec: Arc::new(spec),
            block_bytes,
            window_bytes,
            tasks: Arc::clone(tasks),
            run,
            units: Box::new(std::iter::empty()),
        }
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
            let cutting = Cutting {
                limit,
                by_key: None,
                // Of other windows nothing is known here.
                most_rows: TASK_ROWS,
                tasks: &self.tasks,
            };
            let schema = &self.probe_schema;
            return Ok(grace(spec, probe, schema, build, &cutting, &self.run)?.units);
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

/// What rows of one side are in the order of.
pub(super) enum Keys {
    /// A column, in the type in which both sides have one order.
    Sorted {
        place: usize,
        name: String,
        keys: SortKeys,
        data_type: DataType,
    },
    /// The partition that a row belongs to.
    Hashed(ByHash),
}

impl Keys {
    /// Those of the probe and the build side, which have these columns.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for keys that are not there, or have no order in common.
    pub fn of(
        order: &OneOrder,
        probe_is: Side,
        (probe, build): (&SchemaRef, &SchemaRef),
    ) -> Result<(Keys, Keys)> {
        let place = |schema: &SchemaRef, name: &str| {
            let known = schema.column_with_name(name);
            known
                .map(|(place, _)| place)
                .ok_or_else(|| unknown_column(name, schema))
        };
        match order {
            OneOrder::Sorted { left, right } => {
                let (of_probe, of_build) = match probe_is {
                    Side::Left => (left, right),
                    Side::Right => (right, left),
                };
                let places = (place(probe, of_probe)?, place(build, of_build)?);
                let types = (probe.field(places.0), build.field(places.1));
                let data_type = common_type(types.0.data_type(), types.1.data_type());
                let data_type =
                    data_type.ok_or_else(|| Error::internal("sides have no order in common"))?;
                let sorted = |place: usize, name: &str| {
                    let schema = Schema::new(vec![Field::new(name, data_type.clone(), true)]);
                    Ok::<_, Error>(Keys::Sorted {
                        place,
                        name: name.to_owned(),
                        keys: SortKeys::try_new(&[SortBy::from(name)], &schema)?,
                        data_type: data_type.clone(),
                    })
                };
                Ok((sorted(places.0, of_probe)?, sorted(places.1, of_build)?))
            }
            OneOrder::Hashed {
                left, right, count, ..
            } => {
                let (of_probe, of_build) = match probe_is {
                    Side::Left => (left, right),
                    Side::Right => (right, left),
                };
                let hashed = |schema: &SchemaRef, names: &[String]| {
                    let places = names.iter().map(|name| place(schema, name));
                    let places = places.collect::<Result<Vec<_>>>()?;
                    Ok::<_, Error>(Keys::Hashed(ByHash::try_new(places, *count)?))
                };
                Ok((hashed(probe, of_probe)?, hashed(build, of_build)?))
            }
        }
    }

    /// Numbers of rows that grow with their order.
    fn codes(&self, rows: &RecordBatch) -> Result<Codes> {
        match self {
            Keys::Sorted {
                place,
                keys,
                data_type,
                ..
            } => keys.codes_of(&[cast(rows.column(*place), data_type)?]),
            Keys::Hashed(route) => {
                let partitions = route.route(rows)?.into_iter();
                Ok(Codes::Fixed(partitions.map(u128::from).collect()))
            }
        }
    }

    /// The error of rows that are not in order.
    fn unsorted(&self) -> Error {
        Error::plan(match self {
            Keys::Sorted { name, .. } => {
                format!("rows are said to be sorted by {name:?}, and are not")
            }
            Keys::Hashed(_) => "rows are said to lie in partitions by key, and do not".to_owned(),
        })
    }
}

/// The rows of a side in partitions by their keys, in the order of these.
///
/// # Errors
///
/// Those of the side; [`Error::Io`] if rows must be spilled and cannot.
pub(super) fn moved(side: ProbeSide, route: &ByHash, run: &Run) -> Result<ProbeSide> {
    let rows = scatter_units(run, side.units, &side.schema, Arc::new(route.clone()), None)?;
    let units = rows.buckets.into_iter().map(|bucket| {
        let open: Open = Box::new(move || Ok(batches_reader(Box::new(bucket.read()))));
        Ok(unit_of(open))
    });
    Ok(ProbeSide {
        units: Box::new(units),
        ..side
    })
}

/// The rows of one side, which must come in the order of their keys.
struct Sorted {
    rows: InTurn,
    keys: Keys,
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
    fn new((side, keys): (ProbeSide, Keys), window_bytes: u64) -> Self {
        Sorted {
            rows: InTurn::new(side.units),
            keys,
            most_bytes: window_bytes / AHEAD_SHARE,
            read: VecDeque::new(),
            ahead: None,
            last: None,
        }
    }

    /// The last key of the rows that are at hand; none at the end.
    fn last(&mut self) -> Result<Option<Bound>> {
        while self.ahead.is_none() {
            if let Some(rows) = self.read.pop_front() {
                self.ahead = Some(self.checked(rows)?);
                break;
            }
            let Some(rows) = self.rows.next().transpose()? else {
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

    /// Rows with the codes of their keys, if these go on in order.
    fn checked(&mut self, rows: RecordBatch) -> Result<Ahead> {
        let codes = Arc::new(self.keys.codes(&rows)?);
        let first = Bound {
            codes: Arc::clone(&codes),
            row: 0,
        };
        let goes_on = match &self.last {
            Some(last) => last.cmp(&first) != Ordering::Greater,
            None => true,
        };
        if !goes_on || !codes.are_sorted() {
            return Err(self.keys.unsorted());
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
