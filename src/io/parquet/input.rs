//! One Parquet file, known by its footer.
//!
//! In:  a file, here or behind a URL.
//! Out: schema, row groups, and what their statistics leave room for.
//!
//! No descriptor is held, so any number of files can be known at once; `read`
//! opens the file again for rows.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};

use super::late::RowFilter;
use super::statistics::GroupStatistics;
use super::{footer, int96, pages};
use crate::error::{Error, Result};
use crate::io::guard::guarded;
use crate::io::pread::{Pread, Reads};
use crate::io::source::AHEAD_BYTES;
use crate::io::store::SourceFile;

/// The length of the footer's length and the magic bytes behind it.
const TAIL_BYTES: usize = 8;
const MAGIC: &[u8; 4] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8; 4] = b"PARE";

/// A Parquet file whose footer was read and checked. Clones share it.
#[derive(Clone)]
pub struct ParquetInput {
    pub(super) file: Arc<SourceFile>,
    reads: Arc<Reads>,
    pub(super) metadata: ArrowReaderMetadata,
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
        Self::open_counted(file, &Arc::default())
    }

    /// The same; what is read of the file, now and later, is counted in `reads`.
    pub(in crate::io) fn open_counted(file: &SourceFile, reads: &Arc<Reads>) -> Result<Self> {
        guarded(&file.path, || Self::open_unguarded(file, reads))
    }

    fn open_unguarded(source: &SourceFile, reads: &Arc<Reads>) -> Result<Self> {
        let name = source.path.as_str();
        let open = |wanted| open(source, wanted, AHEAD_BYTES, reads);
        let file = open(Vec::new())?;
        let metadata = read_footer(&file, name)?;
        let row_groups = row_groups(&metadata, &file, name)?;
        let mut arrow = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options())
            .map_err(|error| failed(name, error))?;
        if int96::has_any(metadata.file_metadata().schema_descr()) {
            let file = open(int96::chunks(&metadata))?;
            let units = int96::units(&file, &metadata).map_err(|error| failed(name, error))?;
            let schema = Arc::new(int96::with_units(arrow.schema(), &units));
            arrow = ArrowReaderMetadata::try_new(metadata, options().with_schema(schema))
                .map_err(|error| failed(name, error))?;
        }
        Ok(ParquetInput {
            file: Arc::new(source.clone()),
            reads: Arc::clone(reads),
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

    /// The same version of the file, at its place in another list. The index of
    /// pages, which may be large, is read again.
    pub(in crate::io) fn listed_as(&self, file: &SourceFile) -> Self {
        ParquetInput {
            file: Arc::new(file.clone()),
            indexed: Arc::default(),
            ..self.clone()
        }
    }

    /// Bytes of memory that the footer takes.
    pub(in crate::io) fn held_bytes(&self) -> u64 {
        (self.metadata().memory_size() + std::mem::size_of_val(&*self.row_groups)) as u64
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

    /// Whether row group `idx` may hold a row for which `filter` is true, or
    /// on which it fails, by the footer's statistics alone.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] naming the file, if its statistics cannot be read.
    pub fn may_match(&self, idx: usize, filter: &RowFilter) -> Result<bool> {
        let known = GroupStatistics {
            metadata: &self.metadata,
            filter,
            idx,
        };
        let predicate = filter.predicate();
        guarded(&self.file.path, || {
            predicate.may_match(filter.bound_to(), &known)
        })
    }

    /// The footer with the index of pages, read when it is first asked for.
    /// What fails here fails again, and is told, when rows are read.
    pub(super) fn indexed(&self) -> Option<&ArrowReaderMetadata> {
        let read = || {
            let range = pages::index_range(self.metadata())?;
            let file = self.reopen(vec![range]).ok()?;
            let metadata = pages::read_index(&file, self.metadata())?;
            let options = options().with_schema(Arc::clone(self.schema()));
            ArrowReaderMetadata::try_new(Arc::new(metadata), options).ok()
        };
        self.indexed
            .get_or_init(|| guarded(&self.file.path, || Ok(read())).unwrap_or_default())
            .as_ref()
    }

    /// The file once more. Of an object, `wanted` is what will be read.
    pub(super) fn reopen(&self, wanted: Vec<Range<u64>>) -> Result<Pread> {
        open(&self.file, wanted, self.ahead_bytes, &self.reads)
    }
}

pub(super) fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new()
}

fn open(
    file: &SourceFile,
    wanted: Vec<Range<u64>>,
    room: u64,
    reads: &Arc<Reads>,
) -> Result<Pread> {
    Pread::open(file, wanted, room, reads).map_err(|source| Error::io(&file.path, "open", source))
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

/// A decoder's error, with the file it was about.
pub(super) fn failed(name: &str, error: ParquetError) -> Error {
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
