//! The rows of a Parquet file.
//!
//! In:  a stretch of a row group, the columns that are wanted, a filter.
//! Out: batches in order; together as many rows as the footer promised, less
//!      those that are known to be left out, or an error.
//!
//! A stretch is read on its own, so that one large row group occupies every
//! thread. What is not wanted costs as little as the file allows:
//!
//! ```text
//! row group ── bounds of pages ─▶ rows ── filter's columns, decoded ─▶ fewer rows ─▶ the other columns
//! ```

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection,
};

use super::batches::{Crated, Decoder, Opened, ParquetBatches, Slot};
use super::coded;
use super::flat::FlatRows;
use super::input::{ParquetInput, failed};
use super::late::{Early, RowFilter};
use super::leaves::leaves;
use super::pages;
use crate::error::{Error, Result};
use crate::expr::BoundExpr;
use crate::io::guard::guarded;

/// Rows of one row group that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The row group's place in the file.
    pub group: usize,
    /// Its rows.
    pub rows: Range<u64>,
}

/// What is wanted of rows.
#[derive(Clone)]
pub struct Wanted {
    /// The columns, by name and in this order; of structs no more fields than
    /// these have. Types are the file's.
    pub columns: SchemaRef,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Columns of text that may come as dictionaries with 32-bit keys, and do
    /// where the file holds all their rows so: in some batches and not in others.
    pub coded: Arc<[String]>,
    /// Rows for which it is not true need not come.
    pub filter: Option<Arc<RowFilter>>,
}

impl ParquetInput {
    /// The batches of row group `idx`, of `batch_rows` rows but for the last:
    /// all columns, or `columns` in the order given (of no columns, batches
    /// still tell their rows). Holds one descriptor until it is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for a column the file lacks; [`Error::Config`] for
    /// batches of no rows or a row group there is none of; else as [`ParquetInput::open`].
    pub fn read_row_group(
        &self,
        idx: usize,
        columns: Option<&[String]>,
        batch_rows: usize,
    ) -> Result<ParquetBatches> {
        self.read_group(idx, columns, batch_rows, None)
    }

    /// The same without rows that are known not to pass `predicate`: by the
    /// index of pages, or because the columns it looks at were decoded first.
    /// Rows for which it is not true may still come. `schema` is that of
    /// the batches it would be evaluated on: the file's, or one it is brought up to.
    ///
    /// # Errors
    ///
    /// As [`ParquetInput::read_row_group`].
    pub fn read_matching(
        &self,
        idx: usize,
        columns: Option<&[String]>,
        batch_rows: usize,
        predicate: &BoundExpr,
        schema: &Schema,
    ) -> Result<ParquetBatches> {
        let filter = RowFilter::new(predicate.clone(), schema)?;
        self.read_group(idx, columns, batch_rows, Some(Arc::new(filter)))
    }

    fn read_group(
        &self,
        idx: usize,
        columns: Option<&[String]>,
        batch_rows: usize,
        filter: Option<Arc<RowFilter>>,
    ) -> Result<ParquetBatches> {
        let wanted = Wanted {
            columns: self.choose(columns)?,
            batch_rows,
            coded: Arc::new([]),
            filter,
        };
        self.read(&self.whole(idx), &wanted)
    }

    /// All of row group `idx`.
    pub fn whole(&self, idx: usize) -> Stretch {
        let rows = self.row_groups().get(idx).map_or(0, |group| group.rows);
        Stretch {
            group: idx,
            rows: 0..rows,
        }
    }

    fn choose(&self, columns: Option<&[String]>) -> Result<SchemaRef> {
        let Some(columns) = columns else {
            return Ok(Arc::clone(self.schema()));
        };
        let find = |column: &String| match self.schema().fields().find(column) {
            Some((_, field)) => Ok(Arc::clone(field)),
            None => Err(no_column(&self.file.path, column)),
        };
        let fields: Vec<FieldRef> = columns.iter().map(find).collect::<Result<_>>()?;
        Ok(Arc::new(Schema::new(fields)))
    }

    /// The fields of `wanted` that this file has anything of.
    pub(crate) fn has_of(&self, wanted: &Schema) -> SchemaRef {
        let found = leaves(self.schema(), wanted.fields()).into_iter();
        let fields = wanted.fields().iter().zip(found);
        let fields: Vec<FieldRef> = fields
            .filter(|(_, leaves)| !leaves.is_empty())
            .map(|(field, _)| Arc::clone(field))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// Row group `idx` in stretches of about so many bytes of the wanted
    /// columns, decompressed, none of fewer than `least_rows` rows but the last.
    ///
    /// It stays whole where a reader would have to decode what lies before its
    /// stretch: behind a URL, and where lists without an index of pages are wanted.
    pub fn stretches(
        &self,
        idx: usize,
        wanted: &Schema,
        bytes: u64,
        least_rows: u64,
    ) -> Vec<Stretch> {
        let whole = self.whole(idx);
        let group = self.metadata().row_group(idx);
        let wanted: Vec<usize> = leaves(self.schema(), wanted.fields()).concat();
        let columns = || wanted.iter().map(|leaf| group.column(*leaf));
        let can_skip = |column: &parquet::file::metadata::ColumnChunkMetaData| {
            column.column_descr().max_rep_level() == 0 || column.offset_index_offset().is_some()
        };
        if self.file.is_remote() || !columns().all(can_skip) {
            return vec![whole];
        }
        let total: i64 = columns().map(|column| column.uncompressed_size()).sum();
        let pieces = u64::try_from(total).unwrap_or(0).div_ceil(bytes.max(1));
        let rows = whole.rows.end.div_ceil(pieces.max(1)).max(least_rows);
        if rows >= whole.rows.end {
            return vec![whole];
        }
        // Whole batches, so that no stretch ends in a small one.
        let rows = rows.next_multiple_of(least_rows.max(1));
        let starts = (0..whole.rows.end).step_by(usize::try_from(rows).unwrap_or(usize::MAX));
        starts
            .map(|start| Stretch {
                group: idx,
                rows: start..(start + rows).min(whole.rows.end),
            })
            .collect()
    }

    /// The batches of a stretch, of so many rows but for the last. Holds one
    /// descriptor until it is dropped, and the filter's columns of the rows that
    /// pass, if they were decoded first.
    ///
    /// # Errors
    ///
    /// As [`ParquetInput::read_row_group`].
    pub fn read(&self, stretch: &Stretch, wanted: &Wanted) -> Result<ParquetBatches> {
        let name = self.file.path.as_str();
        let groups = self.row_groups();
        let group = groups.get(stretch.group).ok_or_else(|| {
            let reason = format!("{name} has {}, not {}", groups.len(), stretch.group);
            Error::config("row group", reason)
        })?;
        if wanted.batch_rows == 0 {
            return Err(Error::config("batch_rows", "it must be more than zero"));
        }
        let mut rows = self.rows_of(stretch, group.rows, wanted.filter.as_deref());
        let mut columns = Columns::of(self, &wanted.columns)?;
        let coded = coded::with_dictionaries(&rows.metadata, stretch.group, &wanted.coded);
        let coded = coded.unwrap_or_else(|| rows.metadata.clone());
        if let Some(flat) = FlatRows::open(self, stretch.group, &rows, &coded, wanted)? {
            let passed = stretch.rows.end - stretch.rows.start - rows.count;
            return Ok(ParquetBatches::new(passed, Decoder::Flat(flat)));
        }
        let mut early = None;
        if let Some(filter) = &wanted.filter
            && rows.count > 0
        {
            early = Early::decode(self, stretch.group, &mut rows, filter, &mut columns, wanted)?;
        }
        rows.metadata = coded;
        let rows_left = rows.count;
        let opened = match rows_left {
            0 => None,
            // Of no columns the footer says all.
            _ if columns.leaves.is_empty() => None,
            _ => Some(self.start(stretch.group, &rows, &columns.leaves, wanted.batch_rows)?),
        };
        let passed = stretch.rows.end - stretch.rows.start - rows_left;
        let crated = Crated {
            schema: columns.schema(opened.as_ref().map(Opened::schema), early.as_ref()),
            opened,
            early,
            bare_rows: columns.leaves.is_empty().then_some(wanted.batch_rows),
            slots: columns.slots,
            name: name.to_owned(),
            group: stretch.group,
            rows_left,
        };
        Ok(ParquetBatches::new(passed, Decoder::Crate(crated)))
    }

    /// The rows of a stretch whose pages leave room for the filter.
    fn rows_of(&self, stretch: &Stretch, all: u64, filter: Option<&RowFilter>) -> Rows {
        let count = stretch.rows.end - stretch.rows.start;
        let part = count < all;
        let indexed = match filter.is_some() || part {
            true => self.indexed(),
            false => None,
        };
        let metadata = indexed.unwrap_or(&self.metadata).clone();
        // Bounds that cannot be made sense of select every row.
        let selected = filter.filter(|_| indexed.is_some()).and_then(|filter| {
            let select = || pages::select(&metadata, stretch.group, &stretch.rows, filter);
            guarded(&self.file.path, select).unwrap_or_default()
        });
        let ranges = match selected {
            Some(ranges) => ranges,
            None if part => vec![to_usize(&stretch.rows)],
            None => {
                return Rows {
                    metadata,
                    selection: None,
                    count,
                };
            }
        };
        let total = usize::try_from(all).unwrap_or(usize::MAX);
        let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), total);
        Rows {
            metadata,
            count: selection.row_count() as u64,
            selection: Some(selection),
        }
    }

    /// Begins to read the stored columns `leaves` of some rows.
    pub(super) fn start(
        &self,
        group: usize,
        rows: &Rows,
        leaves: &[usize],
        batch_rows: usize,
    ) -> Result<Opened> {
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), leaves.iter().copied());
        let ranges = match &rows.selection {
            None => self.chunks(group, &mask),
            Some(selection) => self.selected(group, &mask, &rows.metadata, selection),
        };
        let file = self.reopen(ranges)?;
        let failures = file.clone();
        let name = self.file.path.as_str();
        let reader = guarded(name, || {
            let metadata = rows.metadata.clone();
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(batch_rows);
            match &rows.selection {
                None => builder,
                Some(selection) => builder.with_row_selection(selection.clone()),
            }
            .build()
            .map_err(|error| failed(name, error))
        })?;
        Ok(Opened::new(reader, failures))
    }

    /// Where the pages lie that hold selected rows, and the dictionaries they use.
    fn selected(
        &self,
        idx: usize,
        mask: &ProjectionMask,
        metadata: &ArrowReaderMetadata,
        selection: &RowSelection,
    ) -> Vec<Range<u64>> {
        let Some(places) = metadata.metadata().offset_index() else {
            return self.chunks(idx, mask);
        };
        let columns = self.metadata().row_group(idx).columns().iter();
        let mut ranges = Vec::new();
        for ((leaf, column), pages) in columns.enumerate().zip(&places[idx]) {
            let pages = pages.page_locations();
            if let (true, Some(first)) = (mask.leaf_included(leaf), pages.first()) {
                let (start, _) = column.byte_range();
                let dictionary = start..u64::try_from(first.offset).unwrap_or(start);
                ranges.extend(Some(dictionary).filter(|range| !range.is_empty()));
                ranges.extend(selection.scan_ranges(pages));
            }
        }
        ranges
    }

    /// Where the column chunks lie that a reader of row group `idx` will want.
    fn chunks(&self, idx: usize, mask: &ProjectionMask) -> Vec<Range<u64>> {
        let columns = self.metadata().row_group(idx).columns().iter().enumerate();
        columns
            .filter(|(leaf, _)| mask.leaf_included(*leaf))
            .map(|(_, column)| column.byte_range())
            .map(|(start, length)| start..start + length)
            .collect()
    }
}

fn no_column(path: &str, column: &str) -> Error {
    Error::plan(format!("{path} has no column {column:?}"))
}

fn to_usize(rows: &Range<u64>) -> Range<usize> {
    let bound = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
    bound(rows.start)..bound(rows.end)
}

/// Rows of a row group that are read.
pub(super) struct Rows {
    /// The footer, with the index of pages if that helps to find them.
    pub metadata: ArrowReaderMetadata,
    /// Which, of the whole row group. None: all.
    pub selection: Option<RowSelection>,
    /// How many.
    pub count: u64,
}

impl Rows {
    /// Those that follow each other, in order.
    pub fn ranges(&self) -> VecDeque<Range<usize>> {
        let Some(selection) = &self.selection else {
            let count = usize::try_from(self.count).unwrap_or(usize::MAX);
            return Some(0..count)
                .filter(|all| !all.is_empty())
                .into_iter()
                .collect();
        };
        let mut row = 0;
        let ranges = selection.iter().map(|run| {
            row += run.row_count;
            (run.skip, row - run.row_count..row)
        });
        ranges
            .filter(|(skip, range)| !skip && !range.is_empty())
            .map(|(_, range)| range)
            .collect()
    }
}

/// The columns that come out.
pub(super) struct Columns {
    /// The wanted ones.
    wanted: SchemaRef,
    /// The stored columns of each.
    pub of: Vec<Vec<usize>>,
    /// The stored columns that are read.
    pub leaves: Vec<usize>,
    pub slots: Vec<Slot>,
}

impl Columns {
    fn of(input: &ParquetInput, wanted: &SchemaRef) -> Result<Self> {
        let of = leaves(input.schema(), wanted.fields());
        for (field, leaves) in wanted.fields().iter().zip(&of) {
            if leaves.is_empty() {
                return Err(no_column(&input.file.path, field.name()));
            }
        }
        let mut columns = Columns {
            wanted: Arc::clone(wanted),
            leaves: Vec::new(),
            slots: vec![Slot::Read(0); of.len()],
            of,
        };
        columns.read_all_but(&[]);
        Ok(columns)
    }

    /// Takes some of the columns from those that were decoded early: `early`
    /// holds pairs of the place here and there. The others are read.
    pub fn read_all_but(&mut self, early: &[(usize, usize)]) {
        // What is read comes in the order of the file.
        let mut read: Vec<usize> = Vec::new();
        for (place, of) in self.of.iter().enumerate() {
            match early.iter().find(|(here, _)| *here == place) {
                Some((_, there)) => self.slots[place] = Slot::Early(*there),
                None => read.push(of[0]),
            }
        }
        let mut order = read.clone();
        order.sort_unstable();
        order.dedup();
        self.leaves = Vec::new();
        for (place, of) in self.of.iter().enumerate() {
            if early.iter().all(|(here, _)| *here != place) {
                self.slots[place] = Slot::Read(order.partition_point(|first| *first < of[0]));
                self.leaves.extend(of);
            }
        }
    }

    /// The schema of batches; that of the file where none comes.
    fn schema(&self, read: Option<SchemaRef>, early: Option<&Early>) -> SchemaRef {
        let Some(read) = read else {
            return Arc::clone(&self.wanted);
        };
        let field = |slot: &Slot| match (slot, early) {
            (Slot::Early(idx), Some(early)) => Arc::clone(&early.schema().fields()[*idx]),
            (Slot::Read(idx) | Slot::Early(idx), _) => Arc::clone(&read.fields()[*idx]),
        };
        let fields: Vec<FieldRef> = self.slots.iter().map(field).collect();
        Arc::new(Schema::new(fields))
    }
}
