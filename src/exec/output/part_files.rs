//! Row groups to part files.
//!
//! In:  encoded row groups, in order.
//! Out: part files, a partition each, under the schema that held when their
//!      row groups were sealed; and what a commit needs to widen older ones.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::flush::Flusher;
use super::row_groups::{Tag, WritePlan};
use super::{Append, Encoded};
use crate::error::{Error, Result};
use crate::exec::schema::RunSchema;
use crate::sink::{FinishedPart, HivePath, PartWriter, Staging};

/// Part files that are open at once under `--partition-on`.
const MAX_OPEN_PARTS: usize = 32;

/// A part file that is being written.
struct OpenPart {
    writer: PartWriter,
    partition_idx: u64,
    schema: SchemaRef,
    /// When it was last appended to.
    used: u64,
    stored_bytes: u64,
}

/// Writes row groups to part files, in order.
pub(crate) struct PartAppender {
    plan: Arc<WritePlan>,
    staging: Staging,
    open: HashMap<Option<HivePath>, OpenPart>,
    finished: Vec<FinishedPart>,
    /// Waits for the disk beside the run, where the run has several threads and
    /// the output is to be durable.
    flusher: Option<Flusher>,
    schemas: Vec<(SchemaRef, RunSchema)>,
    clock: u64,
}

/// Every part file, closed, and what its commit needs.
pub(crate) struct Written {
    pub staging: Staging,
    pub parts: Vec<FinishedPart>,
    /// The schemas under which files were written, and what they meant to the run.
    pub schemas: Vec<(SchemaRef, RunSchema)>,
}

impl PartAppender {
    pub fn new(plan: Arc<WritePlan>, staging: Staging, threaded: bool) -> Self {
        PartAppender {
            flusher: (threaded && plan.options.durable).then(Flusher::new),
            plan,
            staging,
            open: HashMap::new(),
            finished: Vec::new(),
            schemas: Vec::new(),
            clock: 0,
        }
    }

    /// Closes every part file that is open and hands everything over to be committed.
    pub fn finish(mut self) -> Result<Written> {
        let mut open: Vec<_> = self.open.drain().collect();
        open.sort_by_key(|(_, part)| part.used);
        for (_, part) in open {
            self.finished.push(part.writer.finish()?);
        }
        if let Some(flusher) = self.flusher.take() {
            flusher.finish()?;
        }
        Ok(Written {
            staging: self.staging,
            parts: self.finished,
            schemas: self.schemas,
        })
    }

    fn close(&mut self, folder: &Option<HivePath>) -> Result<()> {
        if let Some(part) = self.open.remove(folder) {
            let part = part.writer.finish()?;
            if let Some(flusher) = &mut self.flusher {
                flusher.add(&part)?;
            }
            self.finished.push(part);
        }
        Ok(())
    }
}

impl Append for PartAppender {
    fn append(&mut self, tag: Tag, encoded: Vec<Encoded>) -> Result<()> {
        self.clock += 1;
        let full = self.open.get(&tag.folder).is_some_and(|part| {
            part.partition_idx != tag.partition_idx
                || self
                    .plan
                    .file_bytes
                    .is_some_and(|bytes| part.stored_bytes >= bytes)
        });
        if full {
            self.close(&tag.folder)?;
        }
        if !self.open.contains_key(&tag.folder) && self.open.len() >= MAX_OPEN_PARTS {
            let oldest = self
                .open
                .iter()
                .min_by_key(|(_, part)| part.used)
                .map(|(folder, _)| folder.clone());
            if let Some(oldest) = oldest {
                self.close(&oldest)?;
            }
        }
        // The latest meaning of a schema holds for all rows that were written under it.
        match self.schemas.last_mut() {
            Some((schema, meaning)) if *schema == tag.schema => *meaning = tag.run_schema.clone(),
            _ => {
                let meaning = tag.run_schema.clone();
                self.schemas.push((Arc::clone(&tag.schema), meaning));
            }
        }
        let part = match self.open.entry(tag.folder.clone()) {
            Entry::Occupied(entry) => {
                let part = entry.into_mut();
                if part.schema != tag.schema {
                    part.writer.next_segment(&tag.schema)?;
                    part.schema = Arc::clone(&tag.schema);
                }
                part
            }
            Entry::Vacant(entry) => entry.insert(OpenPart {
                writer: self.staging.part(tag.folder.as_ref(), &tag.schema)?,
                partition_idx: tag.partition_idx,
                schema: Arc::clone(&tag.schema),
                used: 0,
                stored_bytes: 0,
            }),
        };
        part.used = self.clock;
        part.stored_bytes = part.writer.append(encoded)?;
        tracing::debug!(rows = tag.rows, bytes = tag.bytes, "row group written");
        Ok(())
    }
}

/// What a commit needs to bring rows of an older file up to the final schema:
/// it hands over those columns of them that changed.
pub(crate) fn widen_with<'a>(
    schemas: &'a [(SchemaRef, RunSchema)],
    last: &'a RunSchema,
) -> impl Fn(&RecordBatch, &Schema) -> Result<RecordBatch> + Sync + 'a {
    move |batch, narrow| {
        let has_all = |schema: &SchemaRef| {
            narrow.fields().iter().all(|field| {
                schema
                    .field_with_name(field.name())
                    .is_ok_and(|known| known == field.as_ref())
            })
        };
        let from = schemas
            .iter()
            .rev()
            .find(|(schema, _)| has_all(schema))
            .map(|(_, run)| run)
            .ok_or_else(|| Error::internal("a part file has a schema that no row group had"))?;
        last.conform_some(batch, from)
    }
}
