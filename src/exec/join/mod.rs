//! Rows of two pipelines beside each other.
//!
//! In:  the pipelines of both frames, and a merge.
//! Out: units of joined rows, in the order of the probe side.
//!
//! ```text
//! build side ─▶ held until its size is known ─▶ table ──┐
//! probe side ─▶ units, as they are read ────────────────┴─▶ units of joined rows
//! ```
//!
//! The probe side streams: each of its units is read, looked up and joined by
//! whatever thread takes it. A build side that is too large to be held is cut by
//! key, and so is the probe side: see `grace.rs`. Where the probe side is small
//! and the other one is not, that one streams: see `flipped.rs`. Where both
//! are sorted by a key they go side by side: see `in_order.rs`; where times are
//! looked for, past blocks of those that do not fit: see `in_step.rs`. The rows and
//! their order are the same.

mod broadcast;
mod bucket;
mod flipped;
mod grace;
mod in_order;
mod in_step;
mod joining;
mod reach;
mod side;
mod tasks;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use self::broadcast::joined_units;
use self::flipped::flipped;
use self::grace::{BuildRows, CutRows, Cutting, grace};
use self::in_order::{Keys, Windows, moved};
use self::in_step::{Held as HeldBlocks, InStep, in_time};
use self::reach::{Held, Near, within_reach};
pub(super) use self::reach::{before_steps, projections};
use self::side::{InTurn, ProbeSide};
use self::tasks::Tasks;
use super::build::Given;
use super::context::Context;
use super::pass::{HeldRows, hold_all};
use super::report::{RuntimeFilterReport, StageReport};
use super::run::Run;
use super::sheet::{Front, Late, Stage};
use super::source::{Open, Unit, Units, batch_unit};
use super::together::{MayComeByKey, Together};
use crate::error::Result;
use crate::expr::KeySet;
use crate::memory::Reservation;
use crate::ops::join::{JoinSpec, JoinTable, Steps};
use crate::plan::{Join, JoinWay, OneOrder, Physical, Side, Way, Ways};
use crate::size::ByteSize;

/// What joined rows are called where an error has to tell the place of one.
const PATH: &str = "merge";

/// A unit of rows that a merge gives, or moves.
pub(super) fn unit_of(open: Open) -> Unit {
    Unit {
        path: Arc::from(PATH),
        file: 0,
        ends_file: false,
        after_all: false,
        open,
    }
}

/// The share of the memory that the held side of a merge may take by default:
/// beside its rows stand their index, and rows that are being put together.
const HELD_SHARE: u64 = 4;

/// The build side, by what fits.
enum Build {
    Whole(Vec<RecordBatch>),
    Cut(BuildRows),
}

/// Two pipelines, and how much of one may be held.
struct Sides<'a> {
    join: &'a Join,
    probe: &'a Arc<Physical>,
    build: &'a Arc<Physical>,
    /// Which of the frames the probe side is: the one whose order counts.
    probe_is: Side,
    limit: ByteSize,
    /// Whether rows may come by key, with their places, where they are cut by key.
    by_key: MayComeByKey<'a>,
    ways: Ways,
    run: Run,
}

/// Joined rows, and what they were made of.
struct Joined {
    units: Units,
    schema: SchemaRef,
    held_bytes: u64,
    probe: Front,
    build: Front,
    report: StageReport,
    /// Which units have which keys, where rows come by key.
    together: Option<Together>,
    /// Of rows that are joined as they are read.
    tasks: Option<Arc<Tasks>>,
    /// What rows of the side that streams were asked for.
    asked: Vec<(String, Arc<KeySet>)>,
}

impl Joined {
    /// What is known of tasks and filters once all rows came out.
    fn late(&mut self) -> Late {
        let (tasks, asked) = (self.tasks.take(), std::mem::take(&mut self.asked));
        Arc::new(move |report| {
            if let Some(tasks) = &tasks {
                tasks.tell(report);
            }
            let filters = asked.iter().map(|(column, keys)| {
                let tested = keys.tested();
                RuntimeFilterReport {
                    column: column.clone(),
                    asked: tested.asked,
                    passed: tested.found,
                    unasked: tested.unasked,
                }
            });
            report.runtime_filters = filters.collect();
        })
    }
}

/// Reads the side that is held, and opens the one that streams past it; or
/// opens both, where both are sorted.
///
/// # Errors
///
/// The first error of the held side; [`Error::Plan`] if text turned out to have
/// keys that cannot be compared.
pub(super) fn join_rows(
    join: &Join,
    sides: (&Arc<Physical>, &Arc<Physical>),
    way: (&JoinWay, Ways),
    context: &Context,
) -> Result<Given> {
    Ok(joined(join, sides, way, &|_, _| Ok(None), context)?.0)
}

/// As [`join_rows`], for whoever brings rows together by their keys: where they are
/// cut by key, and `may` says so, they stay so, and a last column tells their places.
///
/// # Errors
///
/// As [`join_rows`].
pub(super) fn join_by_key(
    join: &Join,
    sides: (&Arc<Physical>, &Arc<Physical>),
    way: (&JoinWay, Ways),
    may: MayComeByKey<'_>,
    context: &Context,
) -> Result<(Given, Option<Together>)> {
    joined(join, sides, way, may, context)
}

fn joined(
    join: &Join,
    (left, right): (&Arc<Physical>, &Arc<Physical>),
    (way, ways): (&JoinWay, Ways),
    by_key: MayComeByKey<'_>,
    context: &Context,
) -> Result<(Given, Option<Together>)> {
    let (probe_is, _) = join.how.probe();
    let (probe, build) = match probe_is {
        Side::Left => (left, right),
        Side::Right => (right, left),
    };
    let run = Run::new(context)?;
    let memory = run.drive.budget.limit().bytes();
    let sides = Sides {
        join,
        probe,
        build,
        probe_is,
        limit: join.hold.unwrap_or(ByteSize::new(memory / HELD_SHARE)),
        by_key,
        ways,
        run,
    };
    let joined = match way {
        JoinWay::Hold(held, _) if *held == probe_is => sides.holding_probe(context),
        JoinWay::Hold(_, order) => sides.holding_build(None, order.as_ref(), context),
        JoinWay::InOrder(order) => ProbeSide::running(sides.build, context)
            .and_then(|build| sides.in_order(build, order, context)),
    };
    let mut joined = joined.map_err(|error| error.asked_by(join.name()))?;
    let late = Some(joined.late());
    let (probe, build) = (joined.probe, joined.build);
    let given = Given {
        units: joined.units,
        schema: joined.schema,
        held_bytes: joined.held_bytes,
        counted: None,
        stage: Some(Stage {
            report: joined.report,
            keeps_rows: false,
            fronts: match probe_is {
                Side::Left => vec![probe, build],
                Side::Right => vec![build, probe],
            },
            late,
        }),
    };
    Ok((given, joined.together))
}

impl Sides<'_> {
    /// Whether a side of so many bytes is held whole.
    fn holds(&self, bytes: u64) -> bool {
        self.ways.takes(Way::Broadcast) && bytes <= self.limit.bytes()
    }

    /// A pipeline without rows that meet none of those held.
    fn near(
        &self,
        streamed: &Arc<Physical>,
        side: Side,
        held: &Held<'_>,
        reservation: &mut Reservation,
    ) -> Result<Near> {
        match self.ways.takes(Way::RuntimeFilter) {
            true => within_reach(streamed, (self.join, side), held, reservation),
            false => Ok(Near::all(streamed)),
        }
    }

    /// Holds the build side, if it is not too large. The probe side streams past
    /// it: it may be `read` already. Where both have one order, neither has to fit.
    fn holding_build(
        self,
        read: Option<HeldRows>,
        order: Option<&OneOrder>,
        context: &Context,
    ) -> Result<Joined> {
        let held = hold_all(self.build, context)?;
        let fits = self.holds(held.bytes);
        if let (false, Some(order)) = (fits, order) {
            return self.in_order(ProbeSide::held(held), order, context);
        }
        if self.join.next_to.is_some() && !fits {
            return self.in_step(ProbeSide::open(self.probe, context)?, held);
        }
        let build = match fits {
            true => Build::Whole(held.batches.collect::<Result<_>>()?),
            false => Build::Cut(BuildRows {
                bytes: held.bytes,
                batches: held.batches,
            }),
        };
        let mut reservation = self.run.drive.budget.open();
        let mut near = Near::all(self.probe);
        let probe = match (read, &build) {
            (Some(rows), _) => ProbeSide::held(rows),
            (None, Build::Whole(rows)) => {
                let held = Held {
                    pipeline: self.build,
                    schema: &held.schema,
                    rows,
                };
                near = self.near(self.probe, self.probe_is, &held, &mut reservation)?;
                ProbeSide::open(&near.pipeline, context)?
            }
            (None, Build::Cut(_)) => ProbeSide::open(self.probe, context)?,
        };
        let spec = self.spec(&probe.schema, &held.schema)?;
        let sides = (probe, Front::over(held.sheet));
        match build {
            Build::Cut(rows) => self.cut(rows, spec, sides),
            Build::Whole(rows) => self.past((rows, reservation), near, held.bytes, spec, sides),
        }
    }

    /// Lets two sides that are sorted by their times go side by side, cut by key
    /// before that if there are keys.
    fn in_step(&self, probe: ProbeSide, build: HeldRows) -> Result<Joined> {
        let spec = self.spec(&probe.schema, &build.schema)?;
        let steps = Steps::try_new(&Arc::new(spec.clone()))?;
        let bytes = build.bytes;
        let of = steps.clone();
        let build_in_time = steps.build_in_time();
        let rows = in_time(build.batches, build_in_time, move |rows| of.of_build(rows));
        let of = steps.clone();
        let probe_rows = Box::new(InTurn::new(probe.units));
        let probe_in_time = steps.probe_in_time();
        let probe_rows = in_time(probe_rows, probe_in_time, move |rows| of.of_probe(rows));
        if !spec.probe_keys.is_empty() {
            let probe = ProbeSide {
                units: batch_unit(probe_rows),
                ..probe
            };
            let rows = BuildRows {
                bytes,
                batches: rows,
            };
            return self.cut(rows, spec, (probe, Front::over(build.sheet)));
        }
        let held = HeldBlocks {
            budget: self.run.drive.budget.clone(),
            spill_dir: Arc::clone(&self.run.drive.spill_dir),
            block_bytes: (self.limit.bytes() / 2).max(1),
        };
        let schema = Arc::clone(&spec.schema);
        let joined = InStep::new(&Arc::new(spec), probe_rows, rows, &held)?;
        let (other, bytes) = (self.probe_is.other(), ByteSize::new(bytes));
        let way = format!("{other} rows ({bytes}) were too many to be held: block by block");
        Ok(Joined {
            units: batch_unit(Box::new(joined)),
            schema,
            held_bytes: probe.held_bytes,
            probe: probe.front,
            build: Front::over(build.sheet),
            report: StageReport {
                way: Some(way),
                ..StageReport::of(PATH)
            },
            asked: Vec::new(),
            together: None,
            tasks: None,
        })
    }

    /// The joined rows of two sides that are both cut by key.
    fn cut(
        &self,
        rows: BuildRows,
        spec: JoinSpec,
        (probe, build): (ProbeSide, Front),
    ) -> Result<Joined> {
        let bytes = ByteSize::new(rows.bytes);
        let (of_probe, of_build) = (&probe.schema, &spec.build_schema);
        let by_key = match self.probe_is {
            Side::Left => (self.by_key)(of_probe, of_build)?,
            Side::Right => (self.by_key)(of_build, of_probe)?,
        };
        let tasks = Arc::new(Tasks::new(self.key_names()));
        let cutting = Cutting {
            limit: self.limit.bytes(),
            by_key,
            most_rows: u64::MAX,
            tasks: &tasks,
        };
        let CutRows {
            units,
            schema,
            together,
        } = grace(spec, probe.units, &probe.schema, rows, &cutting, &self.run)?;
        let other = self.probe_is.other();
        let way = format!("{other} rows ({bytes}) were too many to be held: both sides cut by key");
        Ok(Joined {
            units,
            schema,
            held_bytes: probe.held_bytes,
            probe: probe.front,
            build,
            report: StageReport {
                way: Some(way),
                shuffles: 1,
                ..StageReport::of(PATH)
            },
            together,
            tasks: Some(tasks),
            asked: Vec::new(),
        })
    }

    /// The joined rows of probe rows that stream past all build rows, which are so
    /// many `bytes`; `near` is what the probe rows come from.
    fn past(
        &self,
        (rows, reservation): (Vec<RecordBatch>, Reservation),
        near: Near,
        bytes: u64,
        spec: JoinSpec,
        (probe, build): (ProbeSide, Front),
    ) -> Result<Joined> {
        let (other, bytes) = (self.probe_is.other(), ByteSize::new(bytes));
        let told = near.told(self.probe_is);
        let schema = Arc::clone(&spec.schema);
        let threads = self.run.drive.threads;
        let table = JoinTable::build(Arc::new(spec), rows, threads, reservation)?;
        Ok(Joined {
            units: joined_units(probe.units, &Arc::new(table)),
            schema,
            held_bytes: probe.held_bytes,
            probe: probe.front,
            build,
            report: StageReport {
                way: Some(format!("{other} rows ({bytes}) held{told}")),
                ..StageReport::of(PATH)
            },
            together: None,
            tasks: None,
            asked: near.asked,
        })
    }

    /// Holds the probe side, which should be small, and lets the build side stream
    /// past it.
    fn holding_probe(self, context: &Context) -> Result<Joined> {
        let held = hold_all(self.probe, context)?;
        if !self.holds(held.bytes) {
            return self.holding_build(Some(held), None, context);
        }
        let rows = held.batches.collect::<Result<Vec<_>>>()?;
        let other = self.probe_is.other();
        let mut reservation = self.run.drive.budget.open();
        let of_held = Held {
            pipeline: self.probe,
            schema: &held.schema,
            rows: &rows,
        };
        let near = self.near(self.build, other, &of_held, &mut reservation)?;
        let large = ProbeSide::open(&near.pipeline, context)?;
        let spec = self.spec(&held.schema, &large.schema)?;
        let schema = Arc::clone(&spec.schema);
        let at_once = self.limit.bytes() / (2 * self.run.drive.threads as u64);
        let units = flipped(
            spec,
            (rows, reservation),
            &held.schema,
            large.units,
            at_once.max(1),
            &self.run,
        )?;
        let (this, bytes) = (self.probe_is, ByteSize::new(held.bytes));
        let told = near.told(other);
        let way = format!("{this} rows ({bytes}) held, past which the {other} ones streamed{told}");
        Ok(Joined {
            units,
            schema,
            held_bytes: large.held_bytes,
            probe: Front::over(held.sheet),
            build: large.front,
            report: StageReport {
                way: Some(way),
                ..StageReport::of(PATH)
            },
            together: None,
            tasks: None,
            asked: near.asked,
        })
    }

    /// Lets both sides go side by side; the build side is moved first where it has
    /// not the order of the probe side.
    fn in_order(self, build: ProbeSide, order: &OneOrder, context: &Context) -> Result<Joined> {
        let probe = ProbeSide::running(self.probe, context)?;
        let spec = self.spec(&probe.schema, &build.schema)?;
        let schema = Arc::clone(&spec.schema);
        let (of_probe, of_build) = Keys::of(order, self.probe_is, (&probe.schema, &build.schema))?;
        let fronts = (probe.front.clone(), build.front.clone());
        let mut report = StageReport::of(PATH);
        report.way = Some(order.to_string());
        let build = match (order, &of_build) {
            (OneOrder::Hashed { moves: true, .. }, Keys::Hashed(route)) => {
                report.shuffles = 1;
                moved(build, route, &self.run)?
            }
            _ => build,
        };
        let tasks = Arc::new(Tasks::new(self.key_names()));
        let (limit, sides) = (self.limit.bytes(), ((probe, of_probe), (build, of_build)));
        let windows = Windows::new(spec, sides, limit, &tasks, self.run);
        Ok(Joined {
            units: Box::new(windows),
            schema,
            held_bytes: 0,
            probe: fronts.0,
            build: fronts.1,
            report,
            together: None,
            tasks: Some(tasks),
            asked: Vec::new(),
        })
    }

    /// The join of sides that turned out to have these columns.
    fn spec(&self, probe: &SchemaRef, build: &SchemaRef) -> Result<JoinSpec> {
        let (left, right) = match self.probe_is {
            Side::Left => (probe, build),
            Side::Right => (build, probe),
        };
        self.join.with_late(left, right)?.spec(left, right)
    }

    /// The key columns, as the probe side calls them.
    fn key_names(&self) -> Vec<String> {
        let names = self
            .join
            .on
            .iter()
            .map(|(left, right)| match self.probe_is {
                Side::Left => left.clone(),
                Side::Right => right.clone(),
            });
        names.collect()
    }
}
