//! The probe side of a join, as units of rows that need nothing more.
//!
//! In:  a pipeline.
//! Out: units of the rows that come out of it, in order, with their schema.
//!
//! A pipeline that any thread can run chunk by chunk is run where its rows are
//! wanted. Others run on threads of their own: those with steps in input order,
//! and those in which a row may fail, whose place only input order tells. Text
//! is read first, since only its end tells its columns.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::PATH;
use crate::error::{Error, Result};
use crate::exec::bind::Steps;
use crate::exec::build::{Built, build};
use crate::exec::context::Context;
use crate::exec::keep::keep_for;
use crate::exec::parts::{kept_units, part_units, widens};
use crate::exec::pass::HeldRows;
use crate::exec::run::CHUNK_BYTES;
use crate::exec::schema::RunSchema;
use crate::exec::sheet::Front;
use crate::exec::source::{Chunk, ChunkReader, Open, Passed, Unit, Units, batch_unit};
use crate::exec::worker::Worker;
use crate::plan::{Layout, Physical};

/// Logical bytes of a piece that one thread hands to another.
const PIECE_BYTES: u64 = 8 << 20;

/// The share of the memory that such a piece takes at most: of each side one is
/// filled, one waits, and one is read.
const PIECE_SHARE: u64 = 64;

/// Rows in units.
pub(super) struct ProbeSide {
    pub units: Units,
    pub schema: SchemaRef,
    /// Bytes that the units hold before they are read.
    pub held_bytes: u64,
    /// What is read for them.
    pub front: Front,
}

impl ProbeSide {
    /// Rows that were held, in one unit.
    pub fn held(rows: HeldRows) -> Self {
        ProbeSide {
            units: batch_unit(rows.batches),
            schema: rows.schema,
            held_bytes: 0,
            front: Front::over(rows.sheet),
        }
    }

    /// Opens a pipeline that runs on threads of its own, and waits where nobody
    /// takes its rows; its layout is of no interest.
    pub fn running(physical: &Arc<Physical>, context: &Context) -> Result<Self> {
        let share = context.settings.memory.bytes() / PIECE_SHARE;
        let pieces = Arc::new(Physical {
            layout: Layout::Coalesce(PIECE_BYTES.min(share)),
            ..(**physical).clone()
        });
        if widens(&physical.scan.source) {
            let (kept, sheet) = keep_for(&pieces, context)?;
            let kept = Arc::new(kept);
            let schema = kept.schema()?;
            return Ok(ProbeSide {
                front: Front::over(sheet),
                units: kept_units(kept, Arc::from(PATH), 0, Arc::clone(&schema)),
                schema,
                held_bytes: 0,
            });
        }
        let front = Front::default();
        Ok(ProbeSide {
            units: part_units(&pieces, context, front.clone(), Arc::from(PATH))?,
            front,
            schema: physical.output()?,
            held_bytes: 0,
        })
    }

    /// Opens a pipeline; its layout is of no interest.
    pub fn open(physical: &Arc<Physical>, context: &Context) -> Result<Self> {
        let runs = widens(&physical.scan.source)
            || !physical.ordered.is_empty()
            || Steps::bind(physical, false)?.read.may_fail();
        if runs {
            return ProbeSide::running(physical, context);
        }
        let mut built = build(physical, context, CHUNK_BYTES)?;
        let front = Front::tallied(built.stage.take(), built.number);
        let schema = built.schema.output()?;
        Ok(ProbeSide {
            schema,
            held_bytes: built.ahead_bytes,
            units: worked_units(built, &front),
            front,
        })
    }
}

/// Batches in order.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// The batches of units, in order, read one after the other.
pub(super) struct InTurn {
    units: Units,
    reader: Option<Box<dyn ChunkReader>>,
}

impl InTurn {
    pub fn new(units: Units) -> Self {
        InTurn {
            units,
            reader: None,
        }
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.next(Vec::new())? {
                    Some(Chunk::Batch(rows, _)) => return Ok(Some(rows)),
                    Some(Chunk::Work(make)) => {
                        let rows = make()?;
                        if rows.num_rows() > 0 {
                            return Ok(Some(rows));
                        }
                    }
                    Some(Chunk::Text(_) | Chunk::Csv(..)) => {
                        return Err(Error::internal("text came in place of rows"));
                    }
                    None => self.reader = None,
                }
                continue;
            }
            let Some(unit) = self.units.next() else {
                return Ok(None);
            };
            self.reader = Some((unit?.open)()?);
        }
    }
}

impl Iterator for InTurn {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The units of a pipeline whose steps are done by whoever reads them.
fn worked_units(built: Built, front: &Front) -> Units {
    let (workers, schema, front) = (built.workers, built.schema, front.clone());
    Box::new(built.units.map(move |unit| {
        let unit = unit?;
        let (workers, schema, open) = (workers.clone(), schema.clone(), unit.open);
        let (file, path, front) = (unit.file, Arc::clone(&unit.path), front.clone());
        let open: Open = Box::new(move || {
            front.tally(file, &path, None);
            Ok(Box::new(WorkedReader {
                front,
                file,
                reader: open()?,
                worker: workers.build(),
                schema,
                path,
            }))
        });
        Ok(Unit { open, ..unit })
    }))
}

/// Takes what another reader gives through the steps of a pipeline.
struct WorkedReader {
    reader: Box<dyn ChunkReader>,
    worker: Worker,
    schema: RunSchema,
    front: Front,
    file: u32,
    path: Arc<str>,
}

impl ChunkReader for WorkedReader {
    fn next(&mut self, reuse: Vec<u8>) -> Result<Option<Chunk>> {
        let Some(chunk) = self.reader.next(reuse)? else {
            return Ok(None);
        };
        let (worked, _) = self.worker.work(chunk, 0, &self.path, &self.schema)?;
        if let Some(failed) = worked.failed {
            return Err(Error::internal(format!(
                "a step failed that cannot: {}",
                failed.error
            )));
        }
        self.front.tally(self.file, &self.path, Some(&worked));
        let rows = self.schema.finish(&worked.batch, &worked.schema)?;
        Ok(Some(Chunk::Batch(rows, Passed::default())))
    }

    fn stored_bytes_read(&self) -> u64 {
        self.reader.stored_bytes_read()
    }
}
