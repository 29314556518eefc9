//! The rows of a stretch, window by window.
//!
//! In:  columns, a filter, which rows may pass it.
//! Out: batches of those that do, in order.
//!
//! Batches have the rows asked for, however many of a window pass: a window may
//! fill one and begin the next.

use std::collections::VecDeque;
use std::ops::Range;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, Fields, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use super::super::input::ParquetInput;
use super::super::leaves::leaves;
use super::super::read::{Rows, Wanted};
use super::column::{Column, Picks, Shape};
use super::fault::{Fault, Outcome};
use super::filter::{Filter, Loading};
use super::pages::{Pages, Places};
use super::{column, is_flat};
use crate::error::{Error, Result};
use crate::io::pread::Pread;

/// Of so many rows less than one is wanted where they are read one by one.
const SPARSE: usize = 32;

/// What is read of a stretch, column by column.
pub(in crate::io::parquet) struct FlatRows {
    path: String,
    group: usize,
    columns: Vec<OneColumn>,
    /// The columns of batches, by their place among those.
    slots: Vec<usize>,
    schema: SchemaRef,
    filter: Option<Filter>,
    /// Rows that may pass, in order, and the first one that nobody looked at.
    ranges: VecDeque<Range<usize>>,
    row: usize,
    batch_rows: usize,
    /// Rows that were appended and did not come out.
    filled: usize,
    ready: Option<RecordBatch>,
    /// Rows that were looked at, and do not pass.
    passed: u64,
    /// Whether nothing may be left behind the last row.
    whole: bool,
}

/// A column that is read.
pub(super) struct OneColumn {
    pub field: FieldRef,
    pub column: Box<dyn Column>,
    /// Whether it comes out.
    pub wanted: bool,
    /// Whether it holds the window at hand.
    pub loaded: bool,
    /// The window at hand, once a filter has looked at it.
    pub shown: Option<ArrayRef>,
}

impl OneColumn {
    /// What went wrong in a row group, with its place.
    pub fn failed(&self, path: &str, group: usize, fault: Fault) -> Error {
        fault.at(path, group, self.field.name(), self.column.page_at())
    }
}

impl FlatRows {
    /// The rows of a stretch; None if one of its columns is none of ours.
    /// `rows` tells those that may pass, `typed` the types that columns come with.
    pub fn open(
        input: &ParquetInput,
        group: usize,
        rows: &Rows,
        typed: &ArrowReaderMetadata,
        wanted: &Wanted,
    ) -> Result<Option<Self>> {
        if input.file.is_remote() || rows.count == 0 {
            return Ok(None);
        }
        let Some(asked) = Asked::of(input, wanted) else {
            return Ok(None);
        };
        let opening = Opening {
            input,
            group,
            rows,
            typed,
            one_by_one: wanted.filter.is_some() || rows.selection.is_some(),
        };
        let Some(columns) = opening.columns(&asked.leaves)? else {
            return Ok(None);
        };
        let fields: Vec<FieldRef> = (asked.slots.iter())
            .map(|slot| FieldRef::clone(&columns[*slot].field))
            .collect();
        let ranges = rows.ranges();
        let count = ranges.iter().map(Range::len).sum();
        let filter = wanted.filter.as_deref();
        let filter = filter.map(|filter| Filter::new(filter, &columns, count));
        let whole = rows.selection.is_none() && filter.is_none();
        Ok(Some(FlatRows {
            path: input.file.path.clone(),
            group,
            columns,
            slots: asked.slots,
            schema: SchemaRef::new(Schema::new(fields)),
            filter,
            row: 0,
            ranges,
            batch_rows: wanted.batch_rows,
            filled: 0,
            ready: None,
            passed: 0,
            whole,
        }))
    }

    /// The columns of batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether rows come only if they pass a filter.
    pub fn is_filtered(&self) -> bool {
        self.filter.is_some()
    }

    /// Rows that were looked at so far and do not pass.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// The next batch.
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.take() {
                return Ok(Some(batch));
            }
            let Some(range) = self.ranges.front_mut() else {
                if self.filled > 0 {
                    return self.flush().map(Some);
                }
                if std::mem::take(&mut self.whole) {
                    self.check_end()?;
                }
                return Ok(None);
            };
            let skipped = range.start - self.row;
            let most = match self.filter {
                Some(_) => self.batch_rows,
                None => self.batch_rows - self.filled,
            };
            let n = range.len().min(most);
            range.start += n;
            self.row = range.start;
            if range.start == range.end {
                self.ranges.pop_front();
            }
            for column in &mut self.columns {
                column.column.skip(skipped);
            }
            self.window(n)?;
        }
    }

    /// Reads `n` rows, of which those that pass are appended.
    fn window(&mut self, n: usize) -> Result<()> {
        for column in &mut self.columns {
            column.loaded = false;
        }
        let Some(filter) = &mut self.filter else {
            return self.append(0..n, None);
        };
        let mut columns = Loading {
            path: &self.path,
            group: self.group,
            columns: &mut self.columns,
            rows: n,
        };
        filter.look_at(&mut columns)?;
        let left = std::mem::take(&mut filter.left);
        self.passed += (n - left.len()) as u64;
        let outcome = self.append_left(n, &left);
        if let Some(filter) = &mut self.filter {
            filter.left = left;
        }
        outcome
    }

    /// Appends rows of a window, which may fill a batch and begin another.
    fn append_left(&mut self, n: usize, left: &[u32]) -> Result<()> {
        let room = self.batch_rows - self.filled;
        if left.len() <= room {
            return self.append(0..n, Some(left));
        }
        let (now, later) = left.split_at(room);
        let cut = later[0] as usize;
        self.append(0..cut, Some(now))?;
        self.append(cut..n, Some(later))
    }

    /// Appends rows of a part of the window: `left` of it, or all.
    fn append(&mut self, part: Range<usize>, left: Option<&[u32]>) -> Result<()> {
        let left = left.filter(|left| left.len() < part.len());
        for column in &mut self.columns {
            let outcome = column.take(&part, left);
            outcome.map_err(|fault| column.failed(&self.path, self.group, fault))?;
        }
        self.filled += left.map_or(part.len(), <[u32]>::len);
        if self.filled >= self.batch_rows {
            self.ready = Some(self.flush()?);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.filled);
        let mut arrays: Vec<Option<ArrayRef>> = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let array = column.wanted.then(|| column.column.finish()).transpose();
            arrays.push(array.map_err(|fault| column.failed(&self.path, self.group, fault))?);
        }
        let columns = self.slots.iter().filter_map(|slot| arrays[*slot].clone());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = SchemaRef::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(
            schema,
            columns.collect(),
            &options,
        )?)
    }

    /// Refuses rows that the footer does not know of.
    fn check_end(&mut self) -> Result<()> {
        for column in &mut self.columns {
            let outcome = match column.column.has_more() {
                Ok(false) => continue,
                Ok(true) => Fault::Damaged("it holds more rows than its footer says".into()),
                Err(fault) => fault,
            };
            return Err(column.failed(&self.path, self.group, outcome));
        }
        Ok(())
    }
}

/// The stored columns of a stretch.
struct Asked {
    /// Those of the filter first, each once, and whether it comes out.
    leaves: Vec<(usize, bool)>,
    /// Which of them the columns of batches are.
    slots: Vec<usize>,
}

impl Asked {
    /// None if one of the columns is stored as several.
    fn of(input: &ParquetInput, wanted: &Wanted) -> Option<Self> {
        let single = |fields: &Fields| -> Option<Vec<usize>> {
            let of = leaves(input.schema(), fields).into_iter();
            of.map(|of| (of.len() == 1).then(|| of[0])).collect()
        };
        let mut asked = Asked {
            leaves: Vec::new(),
            slots: Vec::new(),
        };
        if let Some(filter) = &wanted.filter {
            for leaf in single(input.has_of(&filter.asked()).fields())? {
                asked.place(leaf, false);
            }
        }
        for leaf in single(wanted.columns.fields())? {
            let slot = asked.place(leaf, true);
            asked.slots.push(slot);
        }
        Some(asked)
    }

    /// The place of a leaf among all.
    fn place(&mut self, leaf: usize, wanted: bool) -> usize {
        match self.leaves.iter().position(|at| at.0 == leaf) {
            Some(at) => {
                self.leaves[at].1 |= wanted;
                at
            }
            None => {
                self.leaves.push((leaf, wanted));
                self.leaves.len() - 1
            }
        }
    }
}

/// What columns are opened with.
struct Opening<'a> {
    input: &'a ParquetInput,
    group: usize,
    rows: &'a Rows,
    typed: &'a ArrowReaderMetadata,
    one_by_one: bool,
}

impl Opening<'_> {
    /// The columns of some leaves; None if there is one that is not ours.
    fn columns(&self, found: &[(usize, bool)]) -> Result<Option<Vec<OneColumn>>> {
        let chunks = self.input.metadata().row_group(self.group).columns();
        if !found.iter().all(|(leaf, _)| is_flat(&chunks[*leaf])) {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(found.len());
        let mut file = None;
        for (leaf, wanted) in found {
            let opened = match &file {
                Some(file) => Pread::clone(file),
                None => file.insert(self.input.reopen(Vec::new())?).clone(),
            };
            match self.column(*leaf, *wanted, opened) {
                Some(column) => columns.push(column),
                None => return Ok(None),
            }
        }
        Ok(Some(columns))
    }

    fn column(&self, leaf: usize, wanted: bool, file: Pread) -> Option<OneColumn> {
        let chunk = self.input.metadata().row_group(self.group).column(leaf);
        let name = &chunk.column_path().parts()[0];
        let (_, plain) = self.input.schema().fields().find(name)?;
        let (_, field) = self.typed.schema().fields().find(name)?;
        let descriptor = chunk.column_descr();
        let shape = Shape {
            data_type: plain.data_type().clone(),
            nullable: descriptor.max_def_level() == 1,
            coded: wanted && plain.data_type() != field.data_type(),
        };
        let column = column(descriptor.physical_type(), shape, || {
            let (start, length) = chunk.byte_range();
            let places = Places {
                metadata: self.rows.metadata.clone(),
                group: self.group,
                leaf,
                one_by_one: self.one_by_one,
            };
            Pages::new(
                file,
                chunk.compression(),
                start..start + length,
                Some(places),
            )
        })?;
        Some(OneColumn {
            field: FieldRef::clone(field),
            column,
            wanted,
            loaded: false,
            shown: None,
        })
    }
}

impl OneColumn {
    /// Appends rows of a part of the window: `left` of it, or all.
    fn take(&mut self, part: &Range<usize>, left: Option<&[u32]>) -> Outcome<()> {
        match (left, self.loaded) {
            (_, true) if !self.wanted => Ok(()),
            (None, true) => self.column.pick(Picks::All(part.clone())),
            (Some(left), true) => self.column.pick(Picks::Some(left)),
            (Some(left), false) if self.wanted && !left.is_empty() => self.choose(part, left),
            (None, false) if self.wanted => self.column.append(part.len()),
            _ => {
                self.column.skip(part.len());
                Ok(())
            }
        }
    }

    /// Reads rows of a part of the window, and appends `left` of them.
    fn choose(&mut self, part: &Range<usize>, left: &[u32]) -> Outcome<()> {
        if left.len() * SPARSE > part.len() {
            self.column.load(part.len())?;
            let from = part.start as u32;
            return match from {
                0 => self.column.pick(Picks::Some(left)),
                _ => {
                    let left: Vec<u32> = left.iter().map(|row| row - from).collect();
                    self.column.pick(Picks::Some(&left))
                }
            };
        }
        let mut at = part.start;
        for row in left {
            let row = *row as usize;
            self.column.skip(row - at);
            self.column.append(1)?;
            at = row + 1;
        }
        self.column.skip(part.end - at);
        Ok(())
    }
}
