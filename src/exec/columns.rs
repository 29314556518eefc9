//! Units of column files: a row group, or a whole IPC file.
//!
//! In:  column files, the columns and the filter of a scan.
//! Out: units in file order; row groups that hold no row for the filter, as
//!      the footer tells, are counted and not read.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::control::Cancel;
use super::source::{Chunk, ChunkReader, Passed, Unit, Units, patient};
use crate::error::Result;
use crate::expr::BoundExpr;
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

/// How column files are read.
pub(crate) struct ColumnScan<'a> {
    pub format: FileFormat,
    /// The united schema of all files.
    pub all: &'a SchemaRef,
    /// The columns that are read; all if there is none.
    pub built: Option<&'a [String]>,
    /// The filter that every row will meet: what holds no row for it is not read.
    pub predicate: Option<BoundExpr>,
    /// Whether the place of a row within its file may have to be told.
    pub needs_places: bool,
    /// Bytes of an object that one reader holds.
    pub ahead_bytes: u64,
}

/// The units of Parquet or IPC files, in order.
pub(crate) fn units(inputs: &[String], scan: ColumnScan<'_>, cancel: &Cancel) -> Result<Units> {
    // Rows of a row group that are left out are counted in front of the others,
    // which is wrong where an error has to tell the number of a row.
    let may_fail = (scan.predicate.as_ref()).is_some_and(BoundExpr::may_fail);
    Ok(Box::new(ColumnUnits {
        by_page: !scan.needs_places && !may_fail,
        cancel: cancel.clone(),
        ahead_bytes: scan.ahead_bytes,
        files: Box::new(for_footers(io::list(inputs)?)),
        parquet: scan.format == FileFormat::Parquet,
        schema: read_schema(scan.all, scan.built)?,
        predicate: scan.predicate,
        ready: VecDeque::new(),
    }))
}

struct ColumnUnits {
    cancel: Cancel,
    /// Bytes of an object that one reader holds.
    ahead_bytes: u64,
    files: Box<dyn Iterator<Item = Result<SourceFile>> + Send>,
    parquet: bool,
    /// Of every batch.
    schema: SchemaRef,
    predicate: Option<BoundExpr>,
    /// Whether pages may be left out, too.
    by_page: bool,
    ready: VecDeque<Unit>,
}

impl ColumnUnits {
    fn add(&mut self, file: SourceFile) -> Result<()> {
        if self.parquet {
            self.add_parquet(&file)?;
        } else {
            let opened = file.clone();
            self.push(&file, file.bytes, move || {
                let batches = IpcInput::open(&opened)?.batches()?;
                Ok((Box::new(batches) as Batches, Passed::default()))
            });
        }
        if let Some(last) = self.ready.back_mut() {
            last.ends_file = true;
        }
        Ok(())
    }

    /// A unit for each row group that is read, and one for those between them that are not.
    fn add_parquet(&mut self, file: &SourceFile) -> Result<()> {
        let input = ParquetInput::open(file)?.with_ahead_bytes(self.ahead_bytes);
        let input = Arc::new(input);
        // What this file lacks is filled with nulls afterwards.
        let names: Arc<[String]> = (self.schema.fields().iter())
            .map(|field| field.name().clone())
            .filter(|name| input.schema().column_with_name(name).is_some())
            .collect();
        let (mut passed, mut passed_bytes) = (Passed::default(), 0);
        for (idx, group) in input.row_groups().iter().enumerate() {
            if let Some(predicate) = &self.predicate
                && !input.may_match(idx, predicate, &self.schema)?
            {
                passed.rows += group.rows;
                passed.row_groups += 1;
                passed_bytes += group.stored_bytes;
                continue;
            }
            if passed.row_groups > 0 {
                self.pass_over(file, std::mem::take(&mut passed), passed_bytes);
                passed_bytes = 0;
            }
            let (input, names) = (Arc::clone(&input), Arc::clone(&names));
            let predicate = self.predicate.clone().filter(|_| self.by_page);
            let schema = Arc::clone(&self.schema);
            self.push(file, group.stored_bytes, move || {
                let names = Some(&*names);
                let batches = match &predicate {
                    Some(predicate) => {
                        input.read_matching(idx, names, BATCH_ROWS, predicate, &schema)?
                    }
                    None => input.read_row_group(idx, names, BATCH_ROWS)?,
                };
                let passed = Passed {
                    rows: batches.rows_passed(),
                    row_groups: 0,
                };
                Ok((Box::new(batches) as Batches, passed))
            });
        }
        if passed.row_groups > 0 || input.row_groups().is_empty() {
            self.pass_over(file, passed, passed_bytes);
        }
        Ok(())
    }

    /// A unit that is read.
    fn push(
        &mut self,
        file: &SourceFile,
        stored_bytes: u64,
        open: impl FnOnce() -> Result<(Batches, Passed)> + Send + 'static,
    ) {
        let schema = Arc::clone(&self.schema);
        let may_wait = file.may_wait().then(|| self.cancel.clone());
        self.ready.push_back(Unit {
            path: Arc::from(file.path.as_str()),
            file: file.index,
            ends_file: false,
            open: patient(may_wait, move || {
                let (batches, passed) = open()?;
                Ok(Box::new(ColumnReader {
                    batches,
                    schema,
                    passed: (passed.rows > 0).then_some(passed),
                    stored_bytes,
                    done: false,
                }))
            }),
        });
    }

    /// A unit that is only counted.
    fn pass_over(&mut self, file: &SourceFile, passed: Passed, stored_bytes: u64) {
        let schema = Arc::clone(&self.schema);
        self.ready.push_back(Unit {
            path: Arc::from(file.path.as_str()),
            file: file.index,
            ends_file: false,
            open: Box::new(move || {
                Ok(Box::new(ColumnReader {
                    batches: Box::new(std::iter::empty()),
                    schema,
                    passed: Some(passed),
                    stored_bytes,
                    done: false,
                }))
            }),
        });
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

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Batches of one unit, brought up to the united schema.
struct ColumnReader {
    batches: Batches,
    schema: SchemaRef,
    /// What was passed over in front of them.
    passed: Option<Passed>,
    stored_bytes: u64,
    done: bool,
}

impl ChunkReader for ColumnReader {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        if let Some(passed) = self.passed.take() {
            let none = RecordBatch::new_empty(Arc::clone(&self.schema));
            return Ok(Some(Chunk::Batch(none, passed)));
        }
        let Some(batch) = self.batches.next().transpose()? else {
            self.done = true;
            return Ok(None);
        };
        let batch = conform_to(&batch, &self.schema)?;
        Ok(Some(Chunk::Batch(batch, Passed::default())))
    }

    fn stored_bytes_read(&self) -> u64 {
        if self.done { self.stored_bytes } else { 0 }
    }
}
