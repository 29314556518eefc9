//! A pipeline's rows, sorted.
//!
//! In:  a pipeline, and columns that order its rows.
//! Out: the rows in order, a piece at a time, made on any thread.
//!
//! ```text
//! rows ─ hold + sample ─▶ edges ─ cut ─▶ range 0 │ range 1 │ …   each sorted when
//!        (the first, or all)      (may spill)                    its turn comes
//! ```
//!
//! The input is read once. Where its first rows tell how all of them lie, the
//! others are cut into ranges as they are decoded; else all rows are held first,
//! which moves them twice. A range is small enough to be sorted in cache and in
//! the budget; rows of one heavy key are a range that needs no sort and is
//! streamed, however large it is. Which ranges there are shows nowhere: rows
//! come in order, equal ones in input order.

mod partitions;
mod sorted;
mod uneven;

use std::sync::Arc;

use self::partitions::{cut_ranges, partitions};
use self::sorted::{Ranges, Sorted};
use super::build::{Built, Given, build};
use super::context::Context;
use super::control::Phase;
use super::output::{Early, Held, Hold, NoAppend, Ranged, Sampled, Scatter};
use super::report::StageReport;
use super::run::{CHUNK_BYTES, Run};
use super::scatter::ScatterPlan;
use super::schema::RunSchema;
use super::sheet::{Front, Stage};
use crate::error::Result;
use crate::ops::{Codes, Edges, SortKeys};
use crate::plan::{Layout, Physical, Sort, SortInto};
use crate::shuffle::ByRange;

/// Logical bytes of a range, where there is memory: more do not stay in the
/// caches while they are sorted, fewer make shards of few rows.
const RANGE_BYTES: u64 = 8 << 20;

/// Most ranges that are made for the sake of memory: each takes 4 bytes of a chunk.
const MOST_RANGES: u64 = 1_024;

/// Ranges of rows of which nobody knows how many there will be.
const USUAL_RANGES: usize = 256;

/// Rows that are held, in logical bytes, before those behind them are cut as
/// they come; of a small budget, its sixteenth.
const FIRST_BYTES: u64 = 32 << 20;

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
    let early = early(sort, &mut built, &run)?;
    let columns = sort.by.iter().map(|by| by.column.clone()).collect();
    let hold = Hold::new(&run.drive.budget, Arc::clone(&run.drive.spill_dir));
    let ranged = Ranged::new(Sampled::new(hold, columns), early);
    let (mut first, NoAppend) = run.drive(built, ranged, NoAppend)?;
    let sheet = run.sheet(&mut first)?;
    let run_schema = first.schema;
    let schema = run_schema.output()?;
    let keys = SortKeys::try_new(&sort.by, &schema)?;
    let cut = match first.output {
        Ranged::Cut(cut) => {
            context.progress.set_phase(Phase::Laying);
            let counted = (cut.buckets.rows().iter().sum(), cut.buckets.bytes());
            let ranges = Ranges {
                buckets: cut.buckets.finish(),
                equal: cut.edges.equal().to_vec(),
            };
            let ranges = uneven::evened(ranges, counted, &keys, &schema, &run)?;
            Cut {
                partitions: vec![partitions::all(ranges.buckets.len())],
                ranges,
                counted,
            }
        }
        Ranged::Held(sampled, _) => {
            let (sample, hold) = sampled.finish(&run_schema, &schema)?;
            let sample = keys.codes_of(&sample)?;
            cut_held(hold.held(), &sample, sort, &keys, run_schema, &run)?
        }
    };
    let sorted = Sorted {
        partitions: cut.partitions,
        ranges: cut.ranges,
        keys,
        operator: sort.name(),
        budget: run.drive.budget.clone(),
        schema: Arc::clone(&schema),
    };
    let mut report = StageReport::of(sort.name());
    report.shuffles = 1;
    sorted.tell(&sort.by, &mut report)?;
    Ok(Given {
        units: sorted.units(),
        schema,
        held_bytes: 0,
        counted: Some(cut.counted),
        stage: Some(Stage {
            report,
            keeps_rows: true,
            fronts: vec![Front::over(sheet)],
            late: None,
        }),
    })
}

/// Rows that were cut into ranges.
struct Cut {
    partitions: Vec<Vec<partitions::Piece>>,
    ranges: Ranges,
    /// Rows, and their logical bytes.
    counted: (u64, u64),
}

/// What lets rows be cut into ranges as they are decoded: nothing where their
/// types may change on the way, a step needs them in order first, or partitions
/// are to end where a sample of all of them says.
fn early(sort: &Sort, built: &mut Built, run: &Run) -> Result<Option<Early>> {
    let fixed = built.schema.decoded().is_none() && built.ordered.is_empty();
    if !fixed || sort.into != SortInto::Any {
        return Ok(None);
    }
    let schema = built.schema.output()?;
    let plan = Arc::new(ScatterPlan::later());
    built.workers.scatter = Some(Arc::clone(&plan));
    Ok(Some(Early {
        keys: SortKeys::try_new(&sort.by, &schema)?,
        schema,
        plan,
        known_rows: built.known_rows,
        range_bytes: range_bytes(run),
        usual_ranges: USUAL_RANGES,
        first_bytes: FIRST_BYTES.min(run.drive.budget.limit().bytes() / 16),
        most_ranges: MOST_RANGES,
        budget: run.drive.budget.clone(),
        spill_dir: Arc::clone(&run.drive.spill_dir),
    }))
}

/// Cuts rows of which all were held into ranges.
fn cut_held(
    held: Held,
    sample: &Codes,
    sort: &Sort,
    keys: &SortKeys,
    run_schema: RunSchema,
    run: &Run,
) -> Result<Cut> {
    let counted = (held.rows, held.bytes);
    let cuts = cut_ranges(sort.into, counted);
    let n_ranges = cuts * wanted_ranges(counted.1, run).div_ceil(cuts);
    let edges = Edges::of_sample(sample, n_ranges);
    let route = Arc::new(ByRange::new(keys.clone(), edges.clone()));
    let (budget, spill_dir) = (&run.drive.budget, &run.drive.spill_dir);
    let output = Scatter::new(edges.n_ranges(), budget, Arc::clone(spill_dir));
    let plan = Some(Arc::new(ScatterPlan::of(route)));
    let (second, NoAppend) = run.drive_held(held, run_schema, plan, output, NoAppend)?;
    let buckets = second.output.buckets;
    Ok(Cut {
        counted: (counted.0, buckets.bytes()),
        partitions: partitions(sort.into, counted, sample, &edges, buckets.rows()),
        ranges: Ranges {
            equal: edges.equal().to_vec(),
            buckets: buckets.finish(),
        },
    })
}

/// Bytes of ranges that are small enough for the budget.
fn range_bytes(run: &Run) -> u64 {
    let share = run.drive.budget.limit().bytes() / (16 * run.drive.threads as u64);
    RANGE_BYTES.min(share).max(1)
}

/// How many of these so many bytes make.
fn wanted_ranges(bytes: u64, run: &Run) -> usize {
    bytes.div_ceil(range_bytes(run)).clamp(1, MOST_RANGES) as usize
}
