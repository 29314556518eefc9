//! One Parquet file, read row group by row group.
//!
//! In:  a file, here or behind a URL.
//! Out: schema, row groups, and the batches of one.
//!
//! No descriptor is held between row groups, so any number of files can be
//! known at once. A row group gives as many rows as the footer promised, or an error.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};

use super::pread::Pread;
use super::statistics::GroupStatistics;
use super::{footer, int96, pages};
use crate::error::{Error, Result};
use crate::expr::BoundExpr;
use crate::io::guard::guarded;
use crate::io::source::AHEAD_BYTES;
use crate::io::store::SourceFile;

/// The length of the footer's length and the magic bytes behind it.
const TAIL_BYTES: usize = 8;
const MAGIC: &[u8; 4] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8; 4] = b"PARE";

/// A Parquet file whose footer was read and checked. Clones share it.
#[derive(Clone)]
pub struct ParquetInput {
    file: Arc<SourceFile>,
    metadata: ArrowReaderMetadata,
    /// The same with the index of every page, once it was asked for.
    indexed: Arc<OnceLock<Option<ArrowReaderMetadata>>>,
    row_groups: Arc<[RowGroup]>,
    stored_bytes: u64,
    ahead_bytes: u64,
}

/// What the footer says of a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowGroup {
    /// Rows.
    pub rows: u64,
    /// Bytes of its pages, decompressed but still encoded.
    pub bytes: u64,
    /// Bytes of its pages as stored.
    pub stored_bytes: u64,
}

impl ParquetInput {
    /// Reads and checks a file's footer; the rows stay where they are. Files
    /// with 96-bit time stamps have those columns read once, to find a unit
    /// that holds them exactly.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] naming the file if it is damaged, encrypted or no
    /// Parquet file; [`Error::Io`] if it cannot be read.
    pub fn open(file: &SourceFile) -> Result<Self> {
        guarded(&file.path, || Self::open_unguarded(file))
    }

    fn open_unguarded(source: &SourceFile) -> Result<Self> {
        let name = source.path.as_str();
        let file = open(source, Vec::new(), AHEAD_BYTES)?;
        let metadata = read_footer(&file, name)?;
        let row_groups = row_groups(&metadata, &file, name)?;
        let mut arrow = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options())
            .map_err(|error| failed(name, error))?;
        if int96::has_any(metadata.file_metadata().schema_descr()) {
            let file = open(source, int96::chunks(&metadata), AHEAD_BYTES)?;
            let units = int96::units(&file, &metadata).map_err(|error| failed(name, error))?;
            let schema = Arc::new(int96::with_units(arrow.schema(), &units));
            arrow = ArrowReaderMetadata::try_new(metadata, options().with_schema(schema))
                .map_err(|error| failed(name, error))?;
        }
        Ok(ParquetInput {
            file: Arc::new(source.clone()),
            metadata: arrow,
            indexed: Arc::default(),
            row_groups: row_groups.into(),
            stored_bytes: parquet::file::reader::Length::len(&file),
            ahead_bytes: AHEAD_BYTES,
        })
    }

    /// The same file, of which a reader holds so many bytes of stored columns,
    /// if it lies behind a URL. Default 8 MiB.
    pub fn with_ahead_bytes(mut self, bytes: u64) -> Self {
        self.ahead_bytes = bytes;
        self
    }

    /// The file's columns, as Arrow types.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The footer itself: codecs, encodings, statistics.
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.metadata.metadata()
    }

    /// The row groups, in file order.
    pub fn row_groups(&self) -> &[RowGroup] {
        &self.row_groups
    }

    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.row_groups.iter().map(|group| group.rows).sum()
    }

    /// Bytes of the file.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Whether row group `idx` may hold a row for which `predicate` is true, or
    /// on which it fails, by the footer's statistics alone. `schema` is that of
    /// the batches it would be evaluated on: the file's, or one it is brought up to.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] naming the file, if its statistics cannot be read.
    pub fn may_match(&self, idx: usize, predicate: &BoundExpr, schema: &Schema) -> Result<bool> {
        let known = GroupStatistics {
            metadata: &self.metadata,
            idx,
        };
        guarded(&self.file.path, || predicate.may_match(schema, &known))
    }

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
        self.read(idx, columns, batch_rows, &self.metadata, None)
    }

    /// The same without rows whose pages leave no room for `predicate`, by the
    /// index of pages. Rows for which it is not true may still come. `schema`
    /// is as in [`ParquetInput::may_match`].
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
        let selected = match self.indexed() {
            Some(metadata) if idx < self.row_groups.len() => {
                // Bounds that cannot be made sense of select every row.
                let selection = guarded(&self.file.path, || {
                    pages::select(metadata, idx, predicate, schema)
                });
                selection
                    .unwrap_or_default()
                    .map(|selection| (metadata, selection))
            }
            _ => None,
        };
        match selected {
            Some((metadata, selection)) => {
                self.read(idx, columns, batch_rows, metadata, Some(selection))
            }
            None => self.read_row_group(idx, columns, batch_rows),
        }
    }

    /// The footer with the index of pages, read when it is first asked for.
    /// What fails here fails again, and is told, when rows are read.
    fn indexed(&self) -> Option<&ArrowReaderMetadata> {
        let read = || {
            let range = pages::index_range(self.metadata())?;
            let file = open(&self.file, vec![range], self.ahead_bytes).ok()?;
            let metadata = pages::read_index(&file, self.metadata())?;
            let options = options().with_schema(Arc::clone(self.schema()));
            ArrowReaderMetadata::try_new(Arc::new(metadata), options).ok()
        };
        self.indexed
            .get_or_init(|| guarded(&self.file.path, || Ok(read())).unwrap_or_default())
            .as_ref()
    }

    fn read(
        &self,
        idx: usize,
        columns: Option<&[String]>,
        batch_rows: usize,
        metadata: &ArrowReaderMetadata,
        selection: Option<RowSelection>,
    ) -> Result<ParquetBatches> {
        let name = self.file.path.clone();
        let group = *self.row_groups.get(idx).ok_or_else(|| {
            Error::config(
                "row group",
                format!("{name} has {}, not {idx}", self.row_groups.len()),
            )
        })?;
        if batch_rows == 0 {
            return Err(Error::config("batch_rows", "it must be more than zero"));
        }
        let wanted = columns
            .map(|columns| self.indices(columns, &name))
            .transpose()?;
        let mask = match &wanted {
            None => ProjectionMask::all(),
            Some(roots) => {
                ProjectionMask::roots(self.metadata.parquet_schema(), roots.iter().copied())
            }
        };
        let ranges = match &selection {
            None => self.chunks(idx, &mask),
            Some(selection) => self.selected(idx, &mask, metadata, selection),
        };
        let rows = (selection.as_ref()).map_or(group.rows, |rows| rows.row_count() as u64);
        let file = open(&self.file, ranges, self.ahead_bytes)?;
        let failures = file.clone();
        let reader = guarded(&name, || {
            let builder =
                ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
                    .with_row_groups(vec![idx])
                    .with_projection(mask)
                    .with_batch_size(batch_rows);
            match selection {
                None => builder,
                Some(selection) => builder.with_row_selection(selection),
            }
            .build()
            .map_err(|error| failed(&name, error))
        })?;
        let order = wanted.map(|wanted| positions(&wanted));
        let schema = match &order {
            None => reader.schema(),
            Some(order) => Arc::new(reader.schema().project(order)?),
        };
        Ok(ParquetBatches {
            reader: Some(reader),
            failures,
            name,
            idx,
            order,
            schema,
            rows_passed: group.rows - rows,
            rows_left: rows,
        })
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

    /// The places of columns in the file.
    fn indices(&self, columns: &[String], name: &str) -> Result<Vec<usize>> {
        columns
            .iter()
            .map(|column| {
                self.schema()
                    .index_of(column)
                    .map_err(|_| Error::plan(format!("{name} has no column {column:?}")))
            })
            .collect()
    }
}

/// The batches of one row group, in order. Ends with its first error.
pub struct ParquetBatches {
    reader: Option<ParquetRecordBatchReader>,
    /// The file that is read, for what it knows of reads that failed.
    failures: Pread,
    name: String,
    idx: usize,
    /// Which read column each wanted one is.
    order: Option<Vec<usize>>,
    schema: SchemaRef,
    rows_passed: u64,
    rows_left: u64,
}

impl ParquetBatches {
    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of the row group that do not come.
    pub fn rows_passed(&self) -> u64 {
        self.rows_passed
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        let name = &self.name;
        let batch = guarded(name, || match reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(match self.failures.take_failure() {
                Some(source) => Error::io(name, "read", source),
                None => Error::corrupt(name, None, format!("row group {}: {error}", self.idx)),
            }),
        })?;
        let counts = |what: &str| {
            Error::corrupt(
                name,
                None,
                format!(
                    "row group {} holds {what} rows than its footer says",
                    self.idx
                ),
            )
        };
        let Some(batch) = batch else {
            if self.rows_left > 0 {
                return Err(counts("fewer"));
            }
            return Ok(None);
        };
        self.rows_left = self
            .rows_left
            .checked_sub(batch.num_rows() as u64)
            .ok_or_else(|| counts("more"))?;
        match &self.order {
            None => Ok(Some(batch)),
            Some(order) => Ok(Some(batch.project(order)?)),
        }
    }
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.reader = None;
        }
        next
    }
}

fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new()
}

fn open(file: &SourceFile, wanted: Vec<Range<u64>>, room: u64) -> Result<Pread> {
    Pread::open(file, wanted, room).map_err(|source| Error::io(&file.path, "open", source))
}

/// Reads the footer, its length first, and checks it before it is decoded.
fn read_footer(file: &Pread, name: &str) -> Result<Arc<ParquetMetaData>> {
    let corrupt = |reason: String| Error::corrupt(name, None, reason);
    let read = |at: u64, n: usize| {
        file.read(at, n)
            .map_err(|source| Error::io(name, "read", source))
    };
    let bytes = parquet::file::reader::Length::len(file);
    if bytes < (MAGIC.len() + TAIL_BYTES) as u64 {
        return Err(corrupt(format!(
            "a Parquet file has at least {} bytes, this one {bytes}",
            MAGIC.len() + TAIL_BYTES
        )));
    }
    let mut tail = [0; TAIL_BYTES];
    tail.copy_from_slice(&read(bytes - TAIL_BYTES as u64, TAIL_BYTES)?);
    // The first bytes are looked at only where the last ones are wrong: of an
    // object they would be one more request.
    let ends_well = &tail[4..] == MAGIC;
    if &tail[4..] == MAGIC_ENCRYPTED || (!ends_well && read(0, MAGIC.len())? == MAGIC_ENCRYPTED[..])
    {
        return Err(corrupt(
            "it is encrypted, which windrow does not read".into(),
        ));
    }
    let tail = FooterTail::try_new(&tail).map_err(|_| {
        corrupt("it does not end as a Parquet file does: its end is missing".into())
    })?;
    let length = tail.metadata_length();
    let room = bytes - (MAGIC.len() + TAIL_BYTES) as u64;
    if length as u64 > room {
        return Err(corrupt(format!(
            "its footer claims {length} bytes where the file has {room}"
        )));
    }
    let footer = read(bytes - TAIL_BYTES as u64 - length as u64, length)?;
    footer::check(&footer).map_err(corrupt)?;
    ParquetMetaDataReader::decode_metadata(&footer)
        .map(Arc::new)
        .map_err(|error| failed(name, error))
}

/// The row groups, whose column chunks must lie within the file.
fn row_groups(metadata: &ParquetMetaData, file: &Pread, name: &str) -> Result<Vec<RowGroup>> {
    let bytes = parquet::file::reader::Length::len(file);
    let n_columns = metadata.file_metadata().schema_descr().num_columns();
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for (idx, group) in metadata.row_groups().iter().enumerate() {
        let wrong = |what: String| Error::corrupt(name, None, format!("row group {idx}: {what}"));
        let size = |value: i64, what: &str| {
            u64::try_from(value).map_err(|_| wrong(format!("{what} is {value}")))
        };
        if group.num_columns() != n_columns {
            return Err(wrong(format!(
                "it has {} columns, the schema {n_columns}",
                group.num_columns()
            )));
        }
        let (mut raw, mut stored) = (0u64, 0u64);
        for column in group.columns() {
            let start = column
                .dictionary_page_offset()
                .unwrap_or_else(|| column.data_page_offset());
            let start = size(start, "a column's place")?;
            size(column.data_page_offset(), "a column's place")?;
            let length = size(column.compressed_size(), "a column's length")?;
            if start.checked_add(length).is_none_or(|end| end > bytes) {
                return Err(wrong(format!(
                    "column {:?} reaches from byte {start} over {length} bytes, behind the file's end at {bytes}",
                    column.column_path().string()
                )));
            }
            stored = stored.saturating_add(length);
            raw = raw.saturating_add(size(column.uncompressed_size(), "a column's length")?);
        }
        groups.push(RowGroup {
            rows: size(group.num_rows(), "its count of rows")?,
            bytes: raw,
            stored_bytes: stored,
        });
    }
    Ok(groups)
}

/// Where the wanted columns stand among those read, which keep the file's order.
fn positions(wanted: &[usize]) -> Vec<usize> {
    let mut read = wanted.to_vec();
    read.sort_unstable();
    read.dedup();
    wanted
        .iter()
        .map(|column| read.partition_point(|other| other < column))
        .collect()
}

/// A decoder's error, with the file it was about.
fn failed(name: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
                Error::io(name, "read", *source)
            }
            Ok(source) => Error::corrupt(name, None, source.to_string()),
            Err(source) => Error::corrupt(name, None, source.to_string()),
        },
        other => Error::corrupt(name, None, other.to_string()),
    }
}
