//! A join of sides that are both too large to be held.
//!
//! In:  both sides, and how much of one may be held at once.
//! Out: units of joined rows, in the same order as if one side had been held.
//!
//! ```text
//! build ─ by key ─▶ buckets ─┐
//!                            ├─ bucket by bucket ─▶ joined rows ─ by place ─▶ buckets ─ sort ─▶ units
//! probe ─ by key ─▶ buckets ─┘                      (numbered)
//! ```
//!
//! Probe rows are numbered as they come, so that joined rows find back to their
//! order. A bucket of the build side that is still too large is joined block by
//! block; one with far more rows than others is shared out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::SchemaRef;

use super::bucket::{BucketJoin, bucket_units};
use super::in_step::step_units;
use super::tasks::{Cut, Tasks, cuts};
use crate::error::Result;
use crate::exec::order::{ByPlace, PLACE, UNMET, ordered_units, with_place};
use crate::exec::run::Run;
use crate::exec::scatter::{ScatteredUnits, scatter_units};
use crate::exec::source::{Units, batch_unit, map_batches};
use crate::exec::together::{ByKey, Together};
use crate::ops::join::{JoinKind, JoinSpec, KeyHashes, Taken};
use crate::partition::row_bytes;
use crate::shuffle::{Bucket, Route, bucket_of};

/// Buckets of one shuffle at most: each is a segment of every spill file.
const MOST_BUCKETS: u64 = 256;

/// The rows of the build side.
pub(super) struct BuildRows {
    /// Logical bytes.
    pub bytes: u64,
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

/// Joined rows.
pub(super) struct CutRows {
    pub units: Units,
    pub schema: SchemaRef,
    /// Which units have which keys, where rows come by key and not in their order.
    pub together: Option<Together>,
}

/// How much is held at once, and where rows are counted and go.
pub(super) struct Cutting<'a> {
    /// Bytes of one side, of all that are joined at the same time.
    pub limit: u64,
    /// Whether rows may come by key, with their places in a last column, and how.
    pub by_key: Option<ByKey>,
    /// Rows of one task at most, of the side that has more of them.
    pub most_rows: u64,
    /// Where it is counted how many rows each task had.
    pub tasks: &'a Arc<Tasks>,
}

/// Joins rows bucket by bucket, none of which takes more than about its limit
/// with all that are joined at the same time.
///
/// # Errors
///
/// The first error of the probe side; [`Error::Io`] if rows must be spilled and cannot.
pub(super) fn grace(
    spec: JoinSpec,
    probe: Units,
    probe_schema: &SchemaRef,
    build: BuildRows,
    cutting: &Cutting<'_>,
    run: &Run,
) -> Result<CutRows> {
    // As much again stands beside it while it is put together.
    let at_once = (cutting.limit / (2 * run.drive.threads as u64)).max(1);
    let n_buckets = |bytes: u64| bytes.div_ceil(at_once).clamp(1, MOST_BUCKETS) as usize;
    // Where each has to fit as a whole, most do if they are half as large.
    let in_order = cutting.by_key == Some(ByKey::InOrder);
    let n_keys = match in_order {
        true => n_buckets(build.bytes.saturating_mul(2)),
        false => n_buckets(build.bytes),
    };
    let (schema, build_schema) = (Arc::clone(&spec.schema), Arc::clone(&spec.build_schema));
    let spec = Arc::new(placed(spec, probe_schema));
    let route = |keys: &[usize], come_out: bool| {
        let keys = KeyHashes::new(spec.forms.clone(), keys.to_vec(), spec.nulls_match);
        Arc::new(ByKeys {
            keys: match in_order && come_out {
                true => keys.with_nulls_together(),
                false => keys,
            },
            bytes: (0..n_keys).map(|_| AtomicU64::new(0)).collect(),
            counts_bytes: in_order,
        })
    };
    let (probe_comes_out, build_comes_out) = (
        spec.kind.keeps_probe() || spec.kind == JoinKind::Anti,
        spec.kind.keeps_build(),
    );
    let by_build = route(&spec.build_keys, build_comes_out);
    let first = (spec.kind == JoinKind::KeepBoth).then_some(UNMET);
    let rows = batch_unit(build.batches);
    let build_rows = scattered(run, rows, &build_schema, Arc::clone(&by_build), first)?;
    let by_probe = route(&spec.probe_keys, probe_comes_out);
    let probe_rows = scattered(run, probe, probe_schema, by_probe, Some(0))?;
    let total = |buckets: &[Bucket]| buckets.iter().map(Bucket::rows).sum::<u64>();
    let n_places = n_buckets(probe_rows.bytes + build.bytes);
    let by_place = Arc::new(ByPlace {
        column: schema.fields().len(),
        n_probe: total(&probe_rows.buckets),
        n_build: total(&build_rows.buckets),
        n_buckets: n_places,
    });
    let pairs = probe_rows.buckets.iter().zip(&build_rows.buckets);
    let rows: Vec<_> = pairs
        .map(|(probe, build)| (probe.rows(), build.rows()))
        .collect();
    let join = BucketJoin {
        spec: Arc::clone(&spec),
        cuts: cuts(&rows, cutting.most_rows),
        build: build_rows.buckets,
        probe: probe_rows.buckets,
        block_bytes: at_once,
        budget: run.drive.budget.clone(),
        tasks: Arc::clone(cutting.tasks),
    };
    let comes_by_key = match cutting.by_key {
        Some(ByKey::AnyOrder) => true,
        // Build rows in one block: probe rows go past it in their order, and those that
        // met nobody come behind all of them, unless the task that ends last gives them.
        Some(ByKey::InOrder) => {
            let in_order = |cut: &Cut| match cut {
                Cut::Probe(tasks) => *tasks == 1 || !build_comes_out,
                Cut::Build(tasks) => *tasks == 1,
            };
            join.cuts.iter().all(in_order) && by_build.most_bytes() <= at_once
        }
        None => false,
    };
    if comes_by_key {
        return Ok(CutRows {
            schema: Arc::clone(&spec.schema),
            together: Some(Together {
                buckets: join.of_units(),
                n_buckets: n_keys,
                place: Some(PLACE.to_owned()),
            }),
            units: bucket_units(join),
        });
    }
    let joined = match spec.next_to {
        None => bucket_units(join),
        Some(_) => step_units(join, &run.drive.spill_dir),
    };
    let rows = scatter_units(run, joined, &spec.schema, by_place, None)?;
    Ok(CutRows {
        units: ordered_units(rows, at_once, &schema),
        schema,
        together: None,
    })
}

/// The same join with one column more: the place of the probe row, or of the
/// build row where there is none.
fn placed(spec: JoinSpec, probe: &SchemaRef) -> JoinSpec {
    let place = probe.fields().len();
    let with_build = spec.kind == JoinKind::KeepBoth;
    let (taken, build_schema) = if with_build {
        let build = spec.build_schema.fields().len();
        let taken = Taken::Key {
            probe: place,
            build,
        };
        (taken, with_place(&spec.build_schema, false))
    } else {
        (Taken::Probe(place), Arc::clone(&spec.build_schema))
    };
    let mut output = spec.output;
    output.push(taken);
    JoinSpec {
        output,
        schema: with_place(&spec.schema, false),
        build_schema,
        ..spec
    }
}

/// Rows by bucket; with their places from `first` on in a last column, if it is given.
fn scattered(
    run: &Run,
    units: Units,
    schema: &SchemaRef,
    route: Arc<ByKeys>,
    first: Option<u64>,
) -> Result<ScatteredUnits> {
    if first.is_none() {
        return scatter_units(run, units, schema, route, None);
    }
    let schema = with_place(schema, false);
    let to = Arc::clone(&schema);
    // The places in the batch; the shuffle adds the rows before it.
    let units = map_batches(units, move |batch| {
        let places: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..batch.num_rows() as u64));
        let columns = batch.columns().iter().cloned().chain([places]).collect();
        Ok(RecordBatch::try_new(Arc::clone(&to), columns)?)
    });
    scatter_units(run, units, &schema, route, first)
}

/// Rows whose keys meet go to one bucket.
struct ByKeys {
    keys: KeyHashes,
    /// Logical bytes of the rows of each bucket, if they are counted.
    bytes: Vec<AtomicU64>,
    counts_bytes: bool,
}

impl ByKeys {
    /// Logical bytes of the largest bucket so far, if they are counted.
    fn most_bytes(&self) -> u64 {
        let bytes = self.bytes.iter().map(|bytes| bytes.load(Ordering::Relaxed));
        bytes.max().unwrap_or(0)
    }
}

impl Route for ByKeys {
    fn n_buckets(&self) -> usize {
        self.bytes.len()
    }

    fn route(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let hashes = self.keys.of(rows)?.into_iter();
        let to = hashes.map(|hash| bucket_of(hash, self.bytes.len()));
        let to: Vec<u32> = to.collect();
        if self.counts_bytes {
            for (bucket, bytes) in to.iter().zip(row_bytes(rows)) {
                self.bytes[*bucket as usize].fetch_add(bytes, Ordering::Relaxed);
            }
        }
        Ok(to)
    }
}
