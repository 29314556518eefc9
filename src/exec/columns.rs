//! Units of column files: a row group, or a whole IPC file.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::control::Cancel;
use super::source::{Chunk, ChunkReader, Unit, Units, patient};
use crate::error::Result;
use crate::io::columns::{conform_to, for_footers};
use crate::io::{self, IpcInput, ParquetInput, SourceFile};
use crate::plan::FileFormat;

/// Rows in a batch: as many as a row group is encoded from at once, and few
/// enough that a batch of wide rows stays small.
const BATCH_ROWS: usize = 8192;

/// The schema that batches are read with: the united one, less what nobody needs.
pub(crate) fn read_schema(all: &SchemaRef, built: Option<&[String]>) -> Result<SchemaRef> {
    let Some(built) = built else {
        return Ok(Arc::clone(all));
    };
    let indices: Vec<usize> = (0..all.fields().len())
        .filter(|idx| built.contains(all.field(*idx).name()))
        .collect();
    Ok(Arc::new(all.project(&indices)?))
}

/// The units of Parquet or IPC files, in order. `built` names the columns that
/// are read; all if there is none.
pub(crate) fn units(
    inputs: &[String],
    format: FileFormat,
    all: &SchemaRef,
    built: Option<&[String]>,
    ahead_bytes: u64,
    cancel: &Cancel,
) -> Result<Units> {
    Ok(Box::new(ColumnUnits {
        cancel: cancel.clone(),
        ahead_bytes,
        files: Box::new(for_footers(io::list(inputs)?)),
        parquet: format == FileFormat::Parquet,
        schema: read_schema(all, built)?,
        ready: VecDeque::new(),
    }))
}

struct ColumnUnits {
    cancel: Cancel,
    /// Bytes of an object that one reader holds.
    ahead_bytes: u64,
    files: Box<dyn Iterator<Item = Result<SourceFile>> + Send>,
    parquet: bool,
    schema: SchemaRef,
    ready: VecDeque<Unit>,
}

impl ColumnUnits {
    fn add(&mut self, file: SourceFile) -> Result<()> {
        let path: Arc<str> = Arc::from(file.path.as_str());
        let index = file.index;
        let may_wait = file.may_wait().then(|| self.cancel.clone());
        let schema = Arc::clone(&self.schema);
        if !self.parquet {
            self.ready.push_back(Unit {
                path,
                file: index,
                ends_file: true,
                open: patient(may_wait, move || {
                    let batches = IpcInput::open(&file)?.batches()?;
                    Ok(Box::new(ColumnReader {
                        batches: Box::new(batches),
                        schema,
                        stored_bytes: file.bytes,
                        done: false,
                    }))
                }),
            });
            return Ok(());
        }
        let input = ParquetInput::open(&file)?.with_ahead_bytes(self.ahead_bytes);
        let input = Arc::new(input);
        let groups = input.row_groups();
        if groups.is_empty() {
            self.ready.push_back(Unit {
                path: Arc::clone(&path),
                file: index,
                ends_file: true,
                open: Box::new(move || {
                    Ok(Box::new(ColumnReader {
                        batches: Box::new(std::iter::empty()),
                        schema,
                        stored_bytes: file.bytes,
                        done: false,
                    }))
                }),
            });
            return Ok(());
        }
        let last = groups.len() - 1;
        for (idx, group) in groups.iter().enumerate() {
            let (input, schema) = (Arc::clone(&input), Arc::clone(&schema));
            let stored_bytes = group.stored_bytes;
            self.ready.push_back(Unit {
                path: Arc::clone(&path),
                file: index,
                ends_file: idx == last,
                open: patient(may_wait.clone(), move || {
                    // What this file lacks is filled with nulls afterwards.
                    let names: Vec<String> = schema
                        .fields()
                        .iter()
                        .map(|field| field.name().clone())
                        .filter(|name| input.schema().column_with_name(name).is_some())
                        .collect();
                    Ok(Box::new(ColumnReader {
                        batches: Box::new(input.read_row_group(idx, Some(&names), BATCH_ROWS)?),
                        schema,
                        stored_bytes,
                        done: false,
                    }))
                }),
            });
        }
        Ok(())
    }
}

impl Iterator for ColumnUnits {
    type Item = Result<Unit>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(unit) = self.ready.pop_front() {
                return Some(Ok(unit));
            }
            let added = match self.files.next()? {
                Ok(file) => self.add(file),
                Err(error) => Err(error),
            };
            if let Err(error) = added {
                return Some(Err(error));
            }
        }
    }
}

/// Batches of one unit, brought up to the united schema.
struct ColumnReader {
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
    schema: SchemaRef,
    stored_bytes: u64,
    done: bool,
}

impl ChunkReader for ColumnReader {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        match self.batches.next().transpose()? {
            Some(batch) => Ok(Some(Chunk::Batch(conform_to(&batch, &self.schema)?))),
            None => {
                self.done = true;
                Ok(None)
            }
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        if self.done { self.stored_bytes } else { 0 }
    }
}
