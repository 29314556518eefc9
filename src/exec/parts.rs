//! Units that are partitions: made by a function, or by other pipelines.
//!
//! In:  a function; for a stage behind another, that one's pipeline.
//! Out: one unit for each partition. Functions are called when a worker gets to
//!      the unit, on any thread.
//!
//! A pipeline in front runs on a thread of its own and waits while nobody
//! takes its partitions; it ends when it is dismissed or its units are dropped.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::build::Given;
use super::context::Context;
use super::handover::{Giver, Taken, Taker, handover};
use super::keep::{Kept, keep_for};
use super::output::Part;
use super::pass::each_part;
use super::report::StageReport;
use super::sheet::{Front, Stage};
use super::source::{ChunkReader, Open, Unit, Units, batches_reader};
use crate::error::{Error, Result};
use crate::expr::fit;
use crate::memory::held_bytes;
use crate::plan::{Local, Make, Map, PartitionRows, Physical, Source, united};

/// How often somebody who waits for a partition asks whether it is still wanted.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// The units of a function that makes partitions.
pub(super) fn made_units(make: &Local<Make>, n_partitions: usize, schema: &SchemaRef) -> Units {
    let (make, schema) = (make.clone(), Arc::clone(schema));
    Box::new((0..n_partitions).map(move |idx| {
        let (call, schema) = (make.clone(), Arc::clone(&schema));
        let open: Open = Box::new(move || Ok(batches_reader(call.call(idx, &schema)?)));
        Ok(Unit {
            path: Arc::clone(&make.name),
            file: 0,
            ends_file: idx + 1 == n_partitions,
            after_all: false,
            open,
        })
    }))
}

/// What a function makes of the partitions of another pipeline.
pub(super) fn mapped(
    map: &Local<Map>,
    input: &Arc<Physical>,
    schema: &SchemaRef,
    context: &Context,
) -> Result<Given> {
    let (name, front) = (Arc::clone(&map.name), Front::default());
    let change: Arc<Change> = {
        let (map, schema) = (map.clone(), Arc::clone(schema));
        Arc::new(move |part| map.apply(rows_of(&part)?, &schema))
    };
    Ok(Given {
        schema: Arc::clone(schema),
        held_bytes: 0,
        counted: None,
        stage: Some(Stage {
            report: StageReport::of(name.to_string()),
            keeps_rows: false,
            fronts: vec![front.clone()],
            late: None,
        }),
        units: Box::new(PartUnits::start(input, context, front, name, 0, change)?),
    })
}

/// The partitions of another pipeline, as they come out of it.
pub(super) fn part_units(
    input: &Arc<Physical>,
    context: &Context,
    front: Front,
    name: Arc<str>,
) -> Result<Units> {
    let rows = |part: Part| Ok(rows_of(&part)?.batches);
    let units = PartUnits::start(input, context, front, name, 0, Arc::new(rows))?;
    Ok(Box::new(units))
}

/// Inputs of a union, and the columns that all of them have together.
pub(super) struct Branches {
    branches: Vec<Branch>,
    schema: SchemaRef,
}

enum Branch {
    /// Text: its columns are known only once all of it is read.
    Kept(Arc<Kept>, Front),
    Running(Arc<Physical>, Front),
}

impl Branch {
    fn front(&self) -> Front {
        match self {
            Branch::Kept(_, front) | Branch::Running(_, front) => front.clone(),
        }
    }
}

impl Branches {
    /// Reads those inputs whose columns only reading can tell, and keeps their rows.
    pub fn open(inputs: &[(Arc<Physical>, SchemaRef)], context: &Context) -> Result<Self> {
        let mut branches = Vec::new();
        let mut schemas = Vec::new();
        for (input, known) in inputs {
            if widens(&input.scan.source) {
                let (kept, sheet) = keep_for(input, context)?;
                schemas.push(kept.schema()?);
                branches.push(Branch::Kept(Arc::new(kept), Front::over(sheet)));
            } else {
                schemas.push(Arc::clone(known));
                branches.push(Branch::Running(Arc::clone(input), Front::default()));
            }
        }
        Ok(Branches {
            branches,
            schema: united(&schemas)?,
        })
    }

    /// The partitions of all inputs, in order.
    pub fn given(self, context: &Context) -> Given {
        Given {
            schema: Arc::clone(&self.schema),
            held_bytes: 0,
            counted: None,
            stage: Some(Stage {
                report: StageReport::of("concat"),
                keeps_rows: true,
                fronts: self.branches.iter().map(Branch::front).collect(),
                late: None,
            }),
            units: self.units(context),
        }
    }

    fn units(self, context: &Context) -> Units {
        let (schema, context) = (self.schema, context.clone());
        let inputs = self.branches.into_iter().enumerate();
        Box::new(inputs.flat_map(move |(idx, branch)| -> Units {
            let name: Arc<str> = format!("input {idx} of concat").into();
            let schema = Arc::clone(&schema);
            match branch {
                Branch::Kept(kept, _) => kept_units(kept, name, idx as u32, schema),
                Branch::Running(input, front) => {
                    let change: Arc<Change> =
                        Arc::new(move |part| fitted(rows_of(&part)?.batches, &schema));
                    match PartUnits::start(&input, &context, front, name, idx as u32, change) {
                        Ok(units) => Box::new(units),
                        Err(error) => Box::new(std::iter::once(Err(error))),
                    }
                }
            }
        }))
    }
}

/// Whether the columns of a source are known only once all of it is read.
pub(super) fn widens(source: &Source) -> bool {
    match source {
        Source::Text { .. } => true,
        Source::Union(inputs) => inputs.iter().any(|(input, _)| widens(&input.scan.source)),
        Source::Folded { input, .. }
        | Source::Sorted { input, .. }
        | Source::Ahead { input, .. }
        | Source::Shuffled { input, .. }
        | Source::Picked { input, .. } => widens(&input.scan.source),
        Source::Joined { left, right, .. } => {
            widens(&left.scan.source) || widens(&right.scan.source)
        }
        Source::Shared(shared) => shared.plan.widens(),
        Source::Columns { .. }
        | Source::Batches(_)
        | Source::Made { .. }
        | Source::Mapped { .. } => false,
    }
}

/// The partitions that were kept, with all columns of a schema.
pub(super) fn kept_units(kept: Arc<Kept>, path: Arc<str>, file: u32, schema: SchemaRef) -> Units {
    let n_partitions = kept.n_partitions();
    Box::new((0..n_partitions).map(move |idx| {
        let (kept, schema) = (Arc::clone(&kept), Arc::clone(&schema));
        Ok(Unit {
            path: Arc::clone(&path),
            file,
            ends_file: idx + 1 == n_partitions,
            after_all: false,
            open: Box::new(move || {
                let batches = kept.read(idx)?;
                let fitted = batches.map(move |batch| fit(&batch?, &schema));
                Ok(batches_reader(Box::new(fitted)))
            }),
        })
    }))
}

/// Batches with all columns of a union: cast where the type is wider, null
/// where there is none.
fn fitted(batches: Vec<RecordBatch>, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    batches.iter().map(|batch| fit(batch, schema)).collect()
}

fn send_all(input: &Physical, context: &Context, front: &Front, giver: &Giver<Part>) -> Result<()> {
    let send = &mut |part: Part| {
        let bytes = part.batches.iter().map(held_bytes).sum();
        // It is not taken if nobody wants the rest.
        Ok(match giver.give(part, bytes) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    };
    let (_, sheet) = each_part(input, context, front, send)?;
    front.end(sheet);
    Ok(())
}

/// Makes the rows of a unit of those of a partition.
type Change = dyn Fn(Part) -> Result<Vec<RecordBatch>> + Send + Sync;

/// The partitions of a pipeline that runs on a thread of its own.
struct PartUnits {
    path: Arc<str>,
    file: u32,
    change: Arc<Change>,
    front: Front,
    /// None once the pipeline is over.
    taker: Option<Taker<Part>>,
    run: Option<JoinHandle<Result<()>>>,
}

impl PartUnits {
    fn start(
        input: &Arc<Physical>,
        context: &Context,
        front: Front,
        path: Arc<str>,
        file: u32,
        change: Arc<Change>,
    ) -> Result<Self> {
        let (giver, taker) = handover();
        let (input, context, its_front) = (Arc::clone(input), context.clone(), front.clone());
        let run = std::thread::Builder::new()
            .name("partitions".into())
            .spawn(move || send_all(&input, &context, &its_front, &giver))
            .map_err(|source| Error::io("partitions", "start a thread for", source))?;
        Ok(PartUnits {
            path,
            file,
            change,
            front,
            taker: Some(taker),
            run: Some(run),
        })
    }

    /// The next partition. None at the end, or if it is of no use any more.
    fn receive(&mut self) -> Option<Part> {
        let taker = self.taker.as_mut()?;
        loop {
            match taker.take(ASK_AGAIN) {
                Taken::Item(part) => return Some(part),
                Taken::Late if !self.front.is_dismissed() => {}
                Taken::Late | Taken::Over => return None,
            }
        }
    }

    fn join(&mut self) -> Option<Result<()>> {
        self.taker = None;
        let joined = self.run.take()?.join();
        Some(joined.unwrap_or_else(|panic| Err(Error::panic("making partitions", &*panic))))
    }
}

impl Iterator for PartUnits {
    type Item = Result<Unit>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(part) = self.receive() else {
            // Once it has ended, or was dismissed: then it ends with its next chunk.
            return match self.join()? {
                Ok(()) => None,
                Err(error) => Some(Err(error)),
            };
        };
        let change = Arc::clone(&self.change);
        Some(Ok(Unit {
            path: Arc::clone(&self.path),
            file: self.file,
            ends_file: false,
            after_all: false,
            open: Box::new(move || opened(change(part)?)),
        }))
    }
}

impl Drop for PartUnits {
    fn drop(&mut self) {
        self.front.dismiss();
        // What the pipeline says now is of no use to anybody.
        drop(self.join());
    }
}

/// The columns of a partition that come out.
fn rows_of(part: &Part) -> Result<PartitionRows> {
    let batches = part.batches.iter();
    let finished = batches.map(|batch| part.schema.finish(batch, &part.schema));
    Ok(PartitionRows {
        idx: part.idx,
        schema: part.schema.output()?,
        batches: finished.collect::<Result<_>>()?,
    })
}

fn opened(batches: Vec<RecordBatch>) -> Result<Box<dyn ChunkReader>> {
    Ok(batches_reader(Box::new(batches.into_iter().map(Ok))))
}
