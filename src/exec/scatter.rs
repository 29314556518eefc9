//! Rows, shuffled into buckets.
//!
//! In:  rows of one schema, and what gives each its bucket.
//! Out: buckets, each with its rows in input order.
//!
//! Rows are routed in the types that all rows of the run end with, so that
//! equal keys meet. Where only reading can tell those types, rows are held
//! first and routed on their second way through: the input is read once.

use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::build::{Built, build};
use super::context::Context;
use super::control::Phase;
use super::output::{NoAppend, Scatter};
use super::run::{CHUNK_BYTES, Run};
use super::schema::RunSchema;
use super::sheet::Sheet;
use super::source::Units;
use super::worker::Worked;
use crate::error::Result;
use crate::plan::{Layout, Physical};
use crate::shuffle::{Bucket, Route, Shards, split};

/// How workers cut rows, from the beginning or once that is known.
pub(crate) struct ScatterPlan {
    route: OnceLock<Arc<dyn Route>>,
}

impl ScatterPlan {
    /// By a route that is known.
    pub fn of(route: Arc<dyn Route>) -> Self {
        ScatterPlan {
            route: route.into(),
        }
    }

    /// Not before [`set`](Self::set): until then, rows stay as they are.
    pub fn later() -> Self {
        ScatterPlan {
            route: OnceLock::new(),
        }
    }

    /// Lets rows be cut from now on. The first route stays.
    pub fn set(&self, route: Arc<dyn Route>) {
        self.route.get_or_init(|| route);
    }

    /// Cuts the rows of a chunk by bucket: shards take their place.
    pub fn cut(&self, worked: &mut Worked) -> Result<()> {
        if self.route.get().is_none() {
            return Ok(());
        }
        let rows = worked.schema.finish(&worked.batch, &worked.schema)?;
        worked.shards = self.shards(&rows)?;
        worked.count_only()
    }

    /// Rows by bucket; none if it is not known which.
    pub fn shards(&self, rows: &RecordBatch) -> Result<Option<Shards>> {
        let shards = self.route.get().map(|route| {
            let to = route.route(rows)?;
            split(rows, &to, route.n_buckets())
        });
        shards.transpose()
    }
}

/// Rows of units by bucket.
pub(super) struct ScatteredUnits {
    /// Their memory counts in the budget of the run until all are dropped.
    pub buckets: Vec<Bucket>,
    /// Logical bytes of all rows.
    pub bytes: u64,
}

/// Shuffles rows of one schema that units of a run give. With `first`, the
/// places in a batch that the last column holds become places among all rows,
/// counted from there.
///
/// # Errors
///
/// Those of the units and of the route; [`crate::Error::Io`] if rows must be
/// spilled and cannot.
pub(super) fn scatter_units(
    run: &Run,
    units: Units,
    schema: &SchemaRef,
    route: Arc<dyn Route>,
    first: Option<u64>,
) -> Result<ScatteredUnits> {
    let (budget, spill_dir) = (&run.drive.budget, &run.drive.spill_dir);
    let output = Scatter::new(route.n_buckets(), budget, Arc::clone(spill_dir)).placing(first);
    let mut built = Built::of_rows(units, RunSchema::fixed(Arc::clone(schema)));
    built.units_wait = true;
    built.workers.scatter = Some(Arc::new(ScatterPlan::of(route)));
    let (done, NoAppend) = run.drive(built, output, NoAppend)?;
    Ok(ScatteredUnits {
        bytes: done.output.buckets.bytes(),
        buckets: done.output.buckets.finish(),
    })
}

/// Rows of a pipeline by bucket.
pub(super) struct Scattered {
    /// Of every row.
    pub schema: SchemaRef,
    /// Their memory counts in the budget of the run until all are dropped.
    pub buckets: Vec<Bucket>,
    /// Logical bytes of all rows.
    pub bytes: u64,
    /// What was read.
    pub sheet: Sheet,
}

/// Shuffles the rows of a pipeline: at once where its columns are known, else
/// held first, as stages do.
///
/// # Errors
///
/// As [`super::write`], and those of the route.
pub(super) fn scatter(
    physical: &Physical,
    context: &Context,
    route: impl FnOnce(&SchemaRef) -> Result<Arc<dyn Route>>,
) -> Result<Scattered> {
    let run = Run::new(context)?;
    context.progress.set_phase(Phase::Reading);
    let mut built = build(physical, &run.context, CHUNK_BYTES)?;
    built.layout = Layout::Coalesce(u64::MAX);
    let (budget, spill_dir) = (&run.drive.budget, &run.drive.spill_dir);
    let scatter_to = |n| Scatter::new(n, budget, Arc::clone(spill_dir));
    if built.schema.decoded().is_none() && built.ordered.is_empty() {
        let schema = built.schema.output()?;
        let route = route(&schema)?;
        let output = scatter_to(route.n_buckets());
        built.workers.scatter = Some(Arc::new(ScatterPlan::of(route)));
        let (mut only, NoAppend) = run.drive(built, output, NoAppend)?;
        return Ok(Scattered {
            schema,
            sheet: run.sheet(&mut only)?,
            bytes: only.output.buckets.bytes(),
            buckets: only.output.buckets.finish(),
        });
    }
    let (mut first, NoAppend) = run.hold(built)?;
    let sheet = run.sheet(&mut first)?;
    let schema = first.schema;
    let route = route(&schema.output()?)?;
    let output = scatter_to(route.n_buckets());
    let plan = Arc::new(ScatterPlan::of(route));
    let held = first.output.held();
    let (second, NoAppend) = run.drive_held(held, schema.clone(), Some(plan), output, NoAppend)?;
    Ok(Scattered {
        schema: schema.output()?,
        sheet,
        bytes: second.output.buckets.bytes(),
        buckets: second.output.buckets.finish(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    use super::*;
    use crate::config::Settings;
    use crate::partition::Partitioning;
    use crate::plan::{FileFormat, Logical, Look, ReadOptions, Scan, Source, lower};
    use crate::shuffle::ByHash;
    use crate::size::ByteSize;

    const BUCKETS: usize = 5;

    fn physical(source: Source, schema: SchemaRef, limit: Option<u64>) -> Physical {
        let scan = Logical::Scan(Box::new(Scan {
            source,
            schema,
            columns: None,
            predicate: None,
            estimate: Default::default(),
            lies: Partitioning::Unknown,
        }));
        let plan = match limit {
            None => scan,
            Some(rows) => Logical::Limit {
                input: Box::new(scan),
                rows,
            },
        };
        lower(plan, ByteSize::mib(1))
    }

    /// A key that starts as a whole number and ends as text, 0 to 40.
    fn lines(rows: usize) -> String {
        let line = |n: usize| {
            let key = n * n % 41;
            let key = match n {
                0..1_000 => format!("{key}"),
                1_000..1_500 => format!("{key}.5"),
                _ => format!("\"{key}\""),
            };
            format!("{{\"key\":{key},\"place\":{n}}}\n")
        };
        (0..rows).map(line).collect()
    }

    fn text(path: &Path, limit: Option<u64>) -> Physical {
        let source = Source::Text {
            format: FileFormat::Json,
            inputs: Arc::from([path.display().to_string()]),
            options: Arc::new(ReadOptions::default()),
            look: Arc::new(Look::default()),
        };
        physical(source, Arc::new(arrow_schema::Schema::empty()), limit)
    }

    /// The keys of each bucket with the places of their rows, in order.
    fn keys_by_bucket(scattered: &Scattered) -> Vec<BTreeMap<String, Vec<i64>>> {
        let of_bucket = |bucket: &Bucket| {
            let mut keys: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for batch in bucket.read() {
                let batch = batch.unwrap();
                assert_eq!(batch.schema(), scattered.schema);
                let texts = arrow_cast::cast(batch.column(0), &arrow_schema::DataType::Utf8);
                let texts = texts.unwrap();
                let places = batch.column(1).as_primitive::<Int64Type>();
                for (key, place) in texts.as_string::<i32>().iter().zip(places.values()) {
                    keys.entry(key.unwrap().into()).or_default().push(*place);
                }
            }
            keys
        };
        scattered.buckets.iter().map(of_bucket).collect()
    }

    fn scattered(physical: &Physical, threads: usize, memory: ByteSize, dir: &Path) -> Scattered {
        let settings = Settings {
            threads,
            memory,
            spill_dir: dir.to_path_buf(),
            ..Settings::default()
        };
        let by_key = |_: &SchemaRef| Ok(Arc::new(ByHash::try_new(vec![0], BUCKETS)?) as _);
        scatter(physical, &Context::new(settings), by_key).unwrap()
    }

    fn check(physical: &Physical, rows: usize) {
        let dir = tempfile::tempdir().unwrap();
        let mut first = None;
        for threads in [1, 2, 5] {
            let scattered = scattered(physical, threads, ByteSize::mib(64), dir.path());
            let found = keys_by_bucket(&scattered);
            assert_eq!(
                scattered.sheet.report.rows - scattered.sheet.report.limited,
                rows as u64
            );
            let mut seen = std::collections::BTreeSet::new();
            for (key, places) in found.iter().flatten() {
                assert!(seen.insert(key.clone()), "{key} is in two buckets");
                assert!(places.is_sorted(), "{key}: {places:?}");
            }
            let all: usize = found.iter().flatten().map(|(_, places)| places.len()).sum();
            assert_eq!(all, rows);
            assert_eq!(*first.get_or_insert(found.clone()), found);
        }
    }

    #[test]
    fn equal_keys_meet_in_order_also_where_their_type_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        for rows in [0, 900, 1_400, 2_000] {
            std::fs::write(&path, lines(rows)).unwrap();
            check(&text(&path, None), rows);
        }
        check(&text(&path, Some(1_700)), 1_700);
    }

    #[test]
    fn rows_past_the_budget_come_back_from_disk() {
        let rows = 60_000;
        let place: arrow_array::ArrayRef =
            Arc::new(arrow_array::Int64Array::from_iter_values(0..rows));
        let key: arrow_array::ArrayRef = Arc::new(arrow_array::StringArray::from_iter_values(
            (0..rows).map(|n| format!("{:>400}", n * n % 41)),
        ));
        let batch = RecordBatch::try_from_iter([("key", key), ("place", place)]).unwrap();
        let pieces = (0..60).map(|idx| batch.slice(idx * 1_000, 1_000)).collect();
        let physical = physical(Source::Batches(Arc::new(pieces)), batch.schema(), None);
        let dir = tempfile::tempdir().unwrap();
        let ample = scattered(&physical, 2, ByteSize::gib(1), dir.path());
        assert!(!ample.buckets.iter().any(Bucket::is_spilled));
        for threads in [1, 5] {
            let tiny = scattered(&physical, threads, ByteSize::mib(32), dir.path());
            assert!(tiny.buckets.iter().all(Bucket::is_spilled));
            assert_eq!(keys_by_bucket(&tiny), keys_by_bucket(&ample));
            assert_eq!(tiny.bytes, ample.bytes);
        }
    }
}
