//! Units of column files: a stretch of a row group, or a whole IPC file.
//!
//! In:  column files, the columns and the filter of a scan.
//! Out: units in file order; row groups that hold no row for the filter, as
//!      the footer tells, are counted and not read.
//!
//! A large row group is several units, so that it keeps every thread busy.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::control::Cancel;
use super::source::{Chunk, ChunkReader, Passed, Unit, Units, patient};
use crate::error::Result;
use crate::expr::BoundExpr;
use crate::io::columns::{Fill, for_footers};
use crate::io::parquet::{RowFilter, Stretch, Wanted};
use crate::io::{self, KnownFiles, ParquetInput, SourceFile};
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
    /// Bytes of decompressed columns that make one unit.
    pub stretch_bytes: u64,
    /// Footers that were read.
    pub known: &'a Arc<KnownFiles>,
}

/// The units of Parquet or IPC files, in order.
pub(crate) fn units(inputs: &[String], scan: ColumnScan<'_>, cancel: &Cancel) -> Result<Units> {
    // Rows of a row group that are left out are counted in front of the others,
    // which is wrong where an error has to tell the number of a row.
    let may_fail = (scan.predicate.as_ref()).is_some_and(BoundExpr::may_fail);
    Ok(Box::new(ColumnUnits {
        by_row: !scan.needs_places && !may_fail,
        cancel: cancel.clone(),
        ahead_bytes: scan.ahead_bytes,
        stretch_bytes: scan.stretch_bytes,
        files: Box::new(for_footers(io::list(inputs)?, scan.known)),
        known: Arc::clone(scan.known),
        parquet: scan.format == FileFormat::Parquet,
        schema: read_schema(scan.all, scan.built)?,
        all: Arc::clone(scan.all),
        predicate: scan.predicate,
        ready: VecDeque::new(),
    }))
}

struct ColumnUnits {
    cancel: Cancel,
    /// Bytes of an object that one reader holds.
    ahead_bytes: u64,
    stretch_bytes: u64,
    files: Box<dyn Iterator<Item = Result<SourceFile>> + Send>,
    known: Arc<KnownFiles>,
    parquet: bool,
    /// Of every batch.
    schema: SchemaRef,
    /// What the predicate was bound to.
    all: SchemaRef,
    predicate: Option<BoundExpr>,
    /// Whether rows may be left out, and not row groups only.
    by_row: bool,
    ready: VecDeque<Unit>,
}

impl ColumnUnits {
    fn add(&mut self, file: SourceFile) -> Result<()> {
        if self.parquet {
            self.add_parquet(&file)?;
        } else {
            let (opened, known) = (file.clone(), Arc::clone(&self.known));
            let fill = Fill::to(Arc::clone(&self.schema));
            self.push(&file, file.bytes, fill, move || {
                let batches = known.ipc(&opened)?.batches()?;
                Ok((Box::new(batches) as Batches, Passed::default()))
            });
        }
        if let Some(last) = self.ready.back_mut() {
            last.ends_file = true;
        }
        Ok(())
    }

    /// Units for each row group that is read, and one for those between them that are not.
    fn add_parquet(&mut self, file: &SourceFile) -> Result<()> {
        let input = self.known.parquet(file)?.with_ahead_bytes(self.ahead_bytes);
        let input = Arc::new(input);
        let fill = Fill::to(Arc::clone(&self.schema));
        let filter = match &self.predicate {
            Some(predicate) if self.by_row => {
                let filter = RowFilter::new(predicate.clone(), &self.all)?;
                Some(Arc::new(filter))
            }
            _ => None,
        };
        let wanted = Arc::new(Wanted {
            // What this file lacks is filled in afterwards.
            columns: input.has_of(&self.schema),
            batch_rows: BATCH_ROWS,
            filter,
        });
        let (mut passed, mut passed_bytes) = (Passed::default(), 0);
        for (idx, group) in input.row_groups().iter().enumerate() {
            if let Some(predicate) = &self.predicate
                && !input.may_match(idx, predicate, &self.all)?
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
            let bytes = self.stretch_bytes;
            let stretches = input.stretches(idx, &wanted.columns, bytes, BATCH_ROWS as u64);
            for stretch in stretches {
                let rows = stretch.rows.end - stretch.rows.start;
                let share = rows as f64 / group.rows.max(1) as f64;
                let bytes = (group.stored_bytes as f64 * share) as u64;
                let (input, wanted) = (Arc::clone(&input), Arc::clone(&wanted));
                self.push(file, bytes, fill.clone(), move || {
                    read_stretch(&input, &stretch, &wanted)
                });
            }
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
        fill: Fill,
        open: impl FnOnce() -> Result<(Batches, Passed)> + Send + 'static,
    ) {
        let may_wait = file.may_wait().then(|| self.cancel.clone());
        self.ready.push_back(Unit {
            path: Arc::from(file.path.as_str()),
            file: file.index,
            ends_file: false,
            after_all: false,
            open: patient(may_wait, move || {
                let (batches, passed) = open()?;
                Ok(Box::new(ColumnReader {
                    batches,
                    fill,
                    passed: (passed.rows > 0).then_some(passed),
                    stored_bytes,
                    done: false,
                }))
            }),
        });
    }

    /// A unit that is only counted.
    fn pass_over(&mut self, file: &SourceFile, passed: Passed, stored_bytes: u64) {
        let fill = Fill::to(Arc::clone(&self.schema));
        self.ready.push_back(Unit {
            path: Arc::from(file.path.as_str()),
            file: file.index,
            ends_file: false,
            after_all: false,
            open: Box::new(move || {
                Ok(Box::new(ColumnReader {
                    batches: Box::new(std::iter::empty()),
                    fill,
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

fn read_stretch(
    input: &ParquetInput,
    stretch: &Stretch,
    wanted: &Wanted,
) -> Result<(Batches, Passed)> {
    let batches = input.read(stretch, wanted)?;
    let passed = Passed {
        rows: batches.rows_passed(),
        row_groups: 0,
    };
    Ok((Box::new(batches), passed))
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Batches of one unit, brought up to the united schema.
struct ColumnReader {
    batches: Batches,
    fill: Fill,
    /// What was passed over in front of them.
    passed: Option<Passed>,
    stored_bytes: u64,
    done: bool,
}

impl ChunkReader for ColumnReader {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        if let Some(passed) = self.passed.take() {
            let none = RecordBatch::new_empty(Arc::clone(self.fill.schema()));
            return Ok(Some(Chunk::Batch(none, passed)));
        }
        let Some(batch) = self.batches.next().transpose()? else {
            self.done = true;
            return Ok(None);
        };
        let batch = self.fill.apply(&batch)?;
        Ok(Some(Chunk::Batch(batch, Passed::default())))
    }

    fn stored_bytes_read(&self) -> u64 {
        if self.done { self.stored_bytes } else { 0 }
    }
}
