//! Units that are partitions: made by a function, or by another pipeline.
//!
//! In:  a function; for a stage behind another, that one's pipeline.
//! Out: one unit for each partition. Functions are called when a worker gets to
//!      the unit, on any thread.
//!
//! The pipeline in front runs on a thread of its own and waits while nobody
//! takes its partitions; it ends when its units are dropped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::output::Part;
use super::run::{Context, each_part};
use super::source::{ChunkReader, Open, Unit, Units, batches_reader};
use crate::error::{Error, Result};
use crate::plan::{Local, Make, Map, PartitionRows, Physical};

/// Partitions that were made and not taken yet.
const AHEAD: usize = 1;

/// The units of a function that makes partitions.
pub(super) fn made_units(make: &Local<Make>, n_partitions: usize, schema: &SchemaRef) -> Units {
    let (make, schema) = (make.clone(), Arc::clone(schema));
    Box::new((0..n_partitions).map(move |idx| {
        let (call, schema) = (make.clone(), Arc::clone(&schema));
        let open: Open = Box::new(move || opened(call.call(idx, &schema)?));
        Ok(Unit {
            path: Arc::clone(&make.name),
            file: 0,
            ends_file: idx + 1 == n_partitions,
            open,
        })
    }))
}

/// The units of a function on the partitions of another pipeline.
pub(super) fn mapped_units(
    map: &Local<Map>,
    input: &Arc<Physical>,
    schema: &SchemaRef,
    context: &Context,
) -> Result<Units> {
    let (sender, receiver) = sync_channel(AHEAD);
    let (input, context) = (Arc::clone(input), context.clone());
    let run = std::thread::Builder::new()
        .name("partitions".into())
        .spawn(move || send_all(&input, &context, &sender))
        .map_err(|source| Error::io("partitions", "start a thread for", source))?;
    Ok(Box::new(MappedUnits {
        map: map.clone(),
        schema: Arc::clone(schema),
        receiver: Some(receiver),
        run: Some(run),
    }))
}

fn send_all(input: &Physical, context: &Context, sender: &SyncSender<Part>) -> Result<()> {
    // Only if nobody wants the rest: then nobody looks at the error either.
    let send = &mut |part| sender.send(part).map_err(|_| Error::Cancelled);
    each_part(input, context, send).map(drop)
}

struct MappedUnits {
    map: Local<Map>,
    schema: SchemaRef,
    /// None once the pipeline is over.
    receiver: Option<Receiver<Part>>,
    run: Option<JoinHandle<Result<()>>>,
}

impl MappedUnits {
    fn join(&mut self) -> Option<Result<()>> {
        self.receiver = None;
        let joined = self.run.take()?.join();
        Some(joined.unwrap_or_else(|panic| Err(Error::panic("making partitions", &*panic))))
    }
}

impl Iterator for MappedUnits {
    type Item = Result<Unit>;

    fn next(&mut self) -> Option<Self::Item> {
        let Ok(part) = self.receiver.as_ref()?.recv() else {
            return match self.join()? {
                Ok(()) => None,
                Err(error) => Some(Err(error)),
            };
        };
        let (map, schema) = (self.map.clone(), Arc::clone(&self.schema));
        Some(Ok(Unit {
            path: Arc::clone(&self.map.name),
            file: 0,
            ends_file: false,
            open: Box::new(move || opened(map.apply(rows_of(&part)?, &schema)?)),
        }))
    }
}

impl Drop for MappedUnits {
    fn drop(&mut self) {
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
