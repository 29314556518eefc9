//! Units of column files: a stretch of a row group, or batches of an IPC file.
//!
//! In:  column files, the columns and the filter of a scan.
//! Out: units in file order; row groups that hold no row for the filter, as
//!      the footer tells, are counted and not read.
//!
//! A large row group is several units, so that it keeps every thread busy.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{FieldRef, Schema, SchemaRef};

use super::source::{Chunk, ChunkReader, Passed, Unit, Units, patient};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::expr::BoundExpr;
use crate::io::columns::{Fill, check_widens, for_footers, in_type_of, path_column};
use crate::io::hive;
use crate::io::parquet::{ParquetBatches, RowFilter, Stretch, Wanted};
use crate::io::{self, IpcBatches, KnownFiles, ParquetInput, SourceFile};
use crate::plan::{ColumnOptions, FileFormat, Folder, Way, Ways};

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

/// Which files are read.
pub(crate) struct ColumnFiles<'a> {
    pub inputs: &'a [String],
    pub format: FileFormat,
    pub options: &'a ColumnOptions,
    /// The columns that their folders give.
    pub folders: &'a [Folder],
}

/// What is wanted of column files, and how they are read.
pub(crate) struct ColumnScan<'a> {
    /// The united schema of all files.
    pub all: &'a SchemaRef,
    /// Those columns and fields of it that are read.
    pub schema: &'a SchemaRef,
    /// The filter that every row will meet: what holds no row for it is not read.
    pub predicate: Option<BoundExpr>,
    /// How work may be spared.
    pub ways: Ways,
    /// Columns of text that may come as dictionaries.
    pub coded: Vec<String>,
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
pub(crate) fn units(
    files: &ColumnFiles<'_>,
    scan: ColumnScan<'_>,
    cancel: &Cancel,
) -> Result<Units> {
    // Rows of a row group that are left out are counted in front of the others,
    // which is wrong where an error has to tell the number of a row.
    let may_fail = (scan.predicate.as_ref()).is_some_and(BoundExpr::may_fail);
    Ok(Box::new(ColumnUnits {
        by_row: !scan.needs_places && !may_fail && scan.ways.takes(Way::LateColumns),
        cancel: cancel.clone(),
        ahead_bytes: scan.ahead_bytes,
        stretch_bytes: scan.stretch_bytes,
        files: Box::new(for_footers(io::list(files.inputs)?, scan.known)),
        known: Arc::clone(scan.known),
        parquet: files.format == FileFormat::Parquet,
        schema: Arc::clone(scan.schema),
        all: Arc::clone(scan.all),
        predicate: scan.predicate.filter(|_| scan.ways.takes(Way::Statistics)),
        coded: scan.coded.into(),
        folders: files.folders.to_vec(),
        include_path: files.options.include_path.clone(),
        memory_map: files.options.memory_map,
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
    /// Columns of text that may come as dictionaries.
    coded: Arc<[String]>,
    /// Whether rows may be left out, and not row groups only.
    by_row: bool,
    folders: Vec<Folder>,
    /// The column that holds the path.
    include_path: Option<String>,
    /// Whether Arrow IPC files are mapped into memory.
    memory_map: bool,
    ready: VecDeque<Unit>,
}

impl ColumnUnits {
    fn add(&mut self, file: SourceFile) -> Result<()> {
        let certain = self.folders.iter().filter(|folder| !folder.in_files);
        let certain = self.given(&file.path, certain)?;
        if let Some(filter) = self.row_filter(&certain)?
            && !filter.may_match_given()?
        {
            let passed = Passed {
                files: 1,
                ..Passed::default()
            };
            self.pass_over(&file, passed, file.bytes);
        } else if self.parquet {
            self.add_parquet(&file)?;
        } else {
            self.add_ipc(&file)?;
        }
        if let Some(last) = self.ready.back_mut() {
            last.ends_file = true;
        }
        Ok(())
    }

    /// The columns of a file that have one value in all its rows: of some of
    /// its folders, and the path.
    fn given<'a>(
        &self,
        path: &str,
        folders: impl Iterator<Item = &'a Folder>,
    ) -> Result<Vec<(String, ArrayRef)>> {
        let folders: Vec<FieldRef> = folders.map(|folder| Arc::clone(&folder.column)).collect();
        let mut given = hive::values(path, &folders);
        for (name, value) in &mut given {
            *value = in_type_of(value, self.all.field_with_name(name)?, path)?;
        }
        if let Some(name) = &self.include_path {
            given.push((name.clone(), path_column(path, 1)?));
        }
        Ok(given)
    }

    /// The filter on rows of a file of which so much is given; nothing if there is none.
    fn row_filter(&self, given: &[(String, ArrayRef)]) -> Result<Option<RowFilter>> {
        let Some(predicate) = &self.predicate else {
            return Ok(None);
        };
        let fill = Fill::default().with_given(given.to_vec());
        RowFilter::with_fill(predicate.clone(), &self.all, fill).map(Some)
    }

    /// What the batches of a file are brought up to, whose own columns these are.
    fn fill(&self, file: &SourceFile, own: &Schema) -> Result<Fill> {
        let counts = |folder: &&Folder| {
            !folder.in_files || own.fields().find(folder.column.name()).is_none()
        };
        let given = self.given(&file.path, self.folders.iter().filter(counts))?;
        let fill = Fill::to(Arc::clone(&self.schema)).with_given(given);
        let fill = fill.with_coded(&self.coded);
        check_widens(own, &fill.asked(), &file.path)?;
        Ok(fill)
    }

    fn add_ipc(&mut self, file: &SourceFile) -> Result<()> {
        let mut input = self.known.ipc(file)?;
        if self.memory_map {
            input = input.memory_mapped();
        }
        let fill = self.fill(file, input.schema())?;
        let wanted: Arc<[String]> = (fill.asked().fields().iter())
            .map(|field| field.name().clone())
            .filter(|name| input.schema().fields().find(name).is_some())
            .collect();
        let runs = input.runs(self.stretch_bytes);
        if runs.is_empty() {
            self.pass_over(file, Passed::default(), file.bytes);
        }
        for (run, bytes) in runs {
            let (input, wanted) = (input.clone(), Arc::clone(&wanted));
            self.push(file, bytes, fill.clone(), move || {
                let batches = input.read(run, Some(&wanted))?;
                Ok((Box::new(batches) as Batches, Passed::default()))
            });
        }
        Ok(())
    }

    /// Units for each row group that is read, and one for those between them that are not.
    fn add_parquet(&mut self, file: &SourceFile) -> Result<()> {
        let input = self.known.parquet(file)?.with_ahead_bytes(self.ahead_bytes);
        let input = Arc::new(input);
        let fill = self.fill(file, input.schema())?;
        let filter = self.row_filter(fill.all_given())?.map(Arc::new);
        let wanted = Arc::new(Wanted {
            // What this file lacks is filled in afterwards.
            columns: input.has_of(&fill.asked()),
            batch_rows: BATCH_ROWS,
            coded: Arc::clone(&self.coded),
            filter: filter.clone().filter(|_| self.by_row),
        });
        let (mut passed, mut passed_bytes) = (Passed::default(), 0);
        for (idx, group) in input.row_groups().iter().enumerate() {
            if let Some(filter) = &filter
                && !input.may_match(idx, filter)?
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
            // Found out by whoever comes first to one of its stretches.
            let judged = Arc::new(OnceLock::new());
            for stretch in stretches {
                let rows = stretch.rows.end - stretch.rows.start;
                let share = rows as f64 / group.rows.max(1) as f64;
                let bytes = (group.stored_bytes as f64 * share) as u64;
                let (input, wanted) = (Arc::clone(&input), Arc::clone(&wanted));
                let (filter, judged) = (filter.clone(), Arc::clone(&judged));
                self.push(file, bytes, fill.clone(), move || {
                    if let Some(filter) = filter
                        && !may_hold(&input, stretch.group, &filter, &judged)?
                    {
                        return Ok(nothing_of(&stretch));
                    }
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
                    passed,
                    told: 0,
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
                    passed,
                    told: 0,
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

/// Whether a row group may hold a row for a filter, by its Bloom filters.
fn may_hold(
    input: &ParquetInput,
    group: usize,
    filter: &RowFilter,
    judged: &OnceLock<bool>,
) -> Result<bool> {
    match judged.get() {
        Some(judged) => Ok(*judged),
        None => {
            let found = input.may_hold(group, filter)?;
            Ok(*judged.get_or_init(|| found))
        }
    }
}

/// A stretch that is only counted, and its row group with the first one.
fn nothing_of(stretch: &Stretch) -> (Batches, Passed) {
    let passed = Passed {
        rows: stretch.rows.end - stretch.rows.start,
        row_groups: u64::from(stretch.rows.start == 0),
        ..Passed::default()
    };
    (Box::new(std::iter::empty()), passed)
}

fn read_stretch(
    input: &ParquetInput,
    stretch: &Stretch,
    wanted: &Wanted,
) -> Result<(Batches, Passed)> {
    let batches = input.read(stretch, wanted)?;
    Ok((Box::new(batches), Passed::default()))
}

/// The batches of a unit.
trait BatchIterator: Iterator<Item = Result<RecordBatch>> + Send {
    /// Rows that were left out so far.
    fn rows_passed(&self) -> u64 {
        0
    }

    /// Whether the filter is true for all rows that come.
    fn are_filtered(&self) -> bool {
        false
    }
}

impl BatchIterator for ParquetBatches {
    fn rows_passed(&self) -> u64 {
        ParquetBatches::rows_passed(self)
    }

    fn are_filtered(&self) -> bool {
        ParquetBatches::are_filtered(self)
    }
}

impl BatchIterator for IpcBatches {}

impl BatchIterator for std::iter::Empty<Result<RecordBatch>> {}

type Batches = Box<dyn BatchIterator>;

/// Batches of one unit, brought up to the united schema.
struct ColumnReader {
    batches: Batches,
    fill: Fill,
    /// What was passed over in front of the next one.
    passed: Passed,
    /// Rows that were passed over among those in front of it, and were told.
    told: u64,
    stored_bytes: u64,
    done: bool,
}

impl ChunkReader for ColumnReader {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        let batch = match self.done {
            true => None,
            false => self.batches.next().transpose()?,
        };
        self.done = batch.is_none();
        let mut passed = std::mem::take(&mut self.passed);
        let rows_passed = self.batches.rows_passed();
        passed.all_others = self.batches.are_filtered();
        passed.rows += rows_passed - std::mem::replace(&mut self.told, rows_passed);
        let batch = match batch {
            Some(batch) => self.fill.apply(&batch)?,
            // What is left out behind the last batch comes with one of no rows.
            None if passed.is_none() => return Ok(None),
            None => RecordBatch::new_empty(Arc::clone(self.fill.schema())),
        };
        Ok(Some(Chunk::Batch(batch, passed)))
    }

    fn stored_bytes_read(&self) -> u64 {
        if self.done { self.stored_bytes } else { 0 }
    }
}
