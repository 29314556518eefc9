//! One part file: from batches to a staged file.
//!
//! In:  row groups, as batches, under a schema that may widen between them.
//! Out: segments: staged files of one schema each, which `Staging::commit` makes one part.
//!
//! ```text
//! PartWriter::jobs ─▶ EncodeJob::run (any thread) ─▶ PartWriter::append (in order)
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::hive::HivePath;
use super::ipc::{IpcFile, IpcJob, IpcMessage};
use super::json::{JsonFile, JsonJob};
use super::options::{Codec, Format, WriteOptions};
use super::parquet::{ColumnChunk, ColumnJob, ParquetFile, compression};
use super::rows::Rows;
use super::schema::{check_batch, stored_schema};
use crate::error::{Error, Result};
use crate::partition::batch_bytes;

/// The format and codec of part files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) format: Format,
    pub(crate) codec: Codec,
}

/// How and where the part files of a run are staged; one for all of them.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) style: Style,
    /// Where segments are staged.
    pub(crate) segments: PathBuf,
}

impl Style {
    /// The schema as part files hold it.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if a name occurs twice, there is no column, or types nest too deep.
    pub(crate) fn stored(&self, schema: &Schema) -> Result<SchemaRef> {
        let mut names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::plan(format!(
                "two columns are named {:?}; rename one before writing",
                pair[0]
            )));
        }
        if names.is_empty() {
            return Err(Error::plan("there is no column to write"));
        }
        stored_schema(schema, self.format == Format::Ipc)
    }

    /// Starts a file of the given schema.
    pub(crate) fn create(&self, path: &Path, stored: &SchemaRef) -> Result<Open> {
        Ok(match self.format {
            Format::Parquet => Open::Parquet(ParquetFile::create(path, stored, self.codec)?),
            Format::Json => Open::Json(JsonFile::create(path, self.codec)?),
            Format::Ipc => Open::Ipc(IpcFile::create(path, stored, self.codec)?),
        })
    }
}

/// A file under construction, in one of the formats.
pub(crate) enum Open {
    Parquet(ParquetFile),
    Json(JsonFile),
    Ipc(IpcFile),
}

impl Open {
    /// Appends the encoded pieces of one row group; gives the bytes stored so far.
    fn append(&mut self, pieces: Vec<Piece>) -> Result<u64> {
        fn wanted<T>(piece: Piece, get: impl Fn(Piece) -> Option<T>) -> Result<T> {
            get(piece).ok_or_else(|| Error::internal("a piece of another format was appended"))
        }
        match self {
            Open::Parquet(file) => {
                let chunks = pieces
                    .into_iter()
                    .map(|piece| {
                        wanted(piece, |piece| match piece {
                            Piece::Columns(chunks) => Some(chunks),
                            _ => None,
                        })
                    })
                    .collect::<Result<Vec<_>>>()?;
                file.append(chunks.into_iter().flatten())
            }
            Open::Json(file) => {
                for piece in pieces {
                    file.append(&wanted(piece, |piece| match piece {
                        Piece::Text(text) => Some(text),
                        _ => None,
                    })?)?;
                }
                Ok(file.written())
            }
            Open::Ipc(file) => {
                for piece in pieces {
                    file.append(&wanted(piece, |piece| match piece {
                        Piece::Message(message) => Some(message),
                        _ => None,
                    })?)?;
                }
                Ok(file.written())
            }
        }
    }

    /// Ends the file; gives its CRC-32 and length.
    pub(crate) fn finish(self) -> Result<(u32, u64)> {
        match self {
            Open::Parquet(file) => file.finish(),
            Open::Json(file) => file.finish(),
            Open::Ipc(file) => file.finish(),
        }
    }
}

/// A piece of a row group that can be encoded on any thread, independent of the others.
pub struct EncodeJob {
    work: Work,
    share: Share,
}

/// What a piece is of its row group.
struct Share {
    /// The run's schema of these rows.
    schema: SchemaRef,
    /// Which piece, of how many.
    place: (usize, usize),
    rows: u64,
    bytes: u64,
}

enum Work {
    Column(ColumnJob),
    Json(JsonJob),
    Ipc(IpcJob),
}

enum Piece {
    Columns(Vec<ColumnChunk>),
    Text(Vec<u8>),
    Message(IpcMessage),
}

/// What an [`EncodeJob`] made, to be appended to its part in order.
pub struct Encoded {
    piece: Piece,
    share: Share,
}

impl EncodeJob {
    /// Encodes and compresses.
    ///
    /// # Errors
    ///
    /// [`Error::External`] naming the column if a value cannot be encoded.
    pub fn run(self) -> Result<Encoded> {
        let piece = match self.work {
            Work::Column(job) => Piece::Columns(job.run()?),
            Work::Json(job) => Piece::Text(job.run()?),
            Work::Ipc(job) => Piece::Message(job.run()?),
        };
        Ok(Encoded {
            piece,
            share: self.share,
        })
    }
}

/// Cuts one row group into jobs that any thread may run, for a part of this
/// schema; all their results go to one call of [`PartWriter::append`], in this
/// order. No rows, no jobs.
///
/// Parquet: one job a column. JSON: one a slice of rows, each a compressed
/// member of its own. IPC: one a record batch. How the rows are cut into
/// `batches` does not change what is written.
///
/// # Errors
///
/// [`Error::Internal`] if a batch does not have the schema; [`Error::Plan`] if
/// it cannot be written; [`Error::Config`] if the codec does not fit the format.
pub fn jobs(
    schema: &SchemaRef,
    options: &WriteOptions,
    batches: Vec<RecordBatch>,
) -> Result<Vec<EncodeJob>> {
    let style = Style {
        format: options.format,
        codec: options.codec()?,
    };
    let stored = style.stored(schema)?;
    cut(style, schema, &stored, batches)
}

fn cut(
    style: Style,
    known: &SchemaRef,
    stored: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<Vec<EncodeJob>> {
    for batch in &batches {
        check_batch(batch, known)?;
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        return Ok(Vec::new());
    }
    let bytes: u64 = batches.iter().map(batch_bytes).sum();
    let mut works = Vec::new();
    match style.format {
        Format::Parquet => {
            for (idx, field) in stored.fields().iter().enumerate() {
                works.push(Work::Column(ColumnJob {
                    field: Arc::clone(field),
                    rows: Rows::of_column(&batches, idx),
                    compression: compression(style.codec)?,
                }));
            }
        }
        Format::Json => {
            let jobs = JsonJob::cut(batches, rows, bytes, style.codec);
            works.extend(jobs.map(Work::Json));
        }
        Format::Ipc => {
            let jobs = IpcJob::cut(batches, rows, stored, style.codec);
            works.extend(jobs.map(Work::Ipc));
        }
    }
    let count = works.len();
    let jobs = works.into_iter().enumerate().map(|(idx, work)| EncodeJob {
        work,
        share: Share {
            schema: Arc::clone(known),
            place: (idx, count),
            // The first piece carries the row group's figures.
            rows: if idx == 0 { rows as u64 } else { 0 },
            bytes: if idx == 0 { bytes } else { 0 },
        },
    });
    Ok(jobs.collect())
}

/// A staged file of one schema.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// The run's schema when it was written.
    pub(crate) known: SchemaRef,
    pub(crate) rows: u64,
    /// Of rows, as Arrow would hold them.
    pub(crate) bytes: u64,
    pub(crate) crc32: u32,
    pub(crate) stored_bytes: u64,
}

impl Segment {
    /// A staged file without rows.
    pub(crate) fn empty(style: Style, path: PathBuf, stored: &SchemaRef) -> Result<Self> {
        let (crc32, stored_bytes) = style.create(&path, stored)?.finish()?;
        Ok(Segment {
            path,
            known: Arc::clone(stored),
            rows: 0,
            bytes: 0,
            crc32,
            stored_bytes,
        })
    }
}

/// A part file whose rows are all staged.
#[derive(Debug)]
pub struct FinishedPart {
    pub(crate) number: u64,
    pub(crate) folder: Option<HivePath>,
    pub(crate) segments: Vec<Segment>,
}

impl FinishedPart {
    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows).sum()
    }

    /// Size of those rows as Arrow data, in bytes.
    pub fn bytes(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.bytes)
            .sum::<u64>()
            .div_ceil(8)
    }

    /// Bytes staged on disk.
    pub fn stored_bytes(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.stored_bytes)
            .sum()
    }
}

/// Writes one part file. Nothing is created before the first row.
pub struct PartWriter {
    recipe: Arc<Recipe>,
    number: u64,
    folder: Option<HivePath>,
    known: SchemaRef,
    stored: SchemaRef,
    open: Option<(PathBuf, Open)>,
    rows: u64,
    bytes: u64,
    finished: Vec<Segment>,
    finished_bytes: u64,
}

impl PartWriter {
    pub(crate) fn new(
        recipe: Arc<Recipe>,
        number: u64,
        folder: Option<HivePath>,
        schema: &SchemaRef,
    ) -> Result<Self> {
        Ok(PartWriter {
            stored: recipe.style.stored(schema)?,
            known: Arc::clone(schema),
            recipe,
            number,
            folder,
            open: None,
            rows: 0,
            bytes: 0,
            finished: Vec::new(),
            finished_bytes: 0,
        })
    }

    /// Cuts one row group of this part into jobs, as [`jobs`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if a batch does not have the part's schema.
    pub fn jobs(&self, batches: Vec<RecordBatch>) -> Result<Vec<EncodeJob>> {
        cut(self.recipe.style, &self.known, &self.stored, batches)
    }

    /// Appends one row group: the results of the jobs of one [`PartWriter::jobs`]
    /// call, in its order. Gives the bytes stored so far.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] naming the file; [`Error::Internal`] if pieces are missing or out of order.
    pub fn append(&mut self, encoded: Vec<Encoded>) -> Result<u64> {
        let count = encoded.len();
        for (idx, piece) in encoded.iter().enumerate() {
            if piece.share.place != (idx, count) {
                return Err(Error::internal(
                    "the pieces of a row group are not all there, in order",
                ));
            }
            if piece.share.schema != self.known {
                return Err(Error::internal(
                    "a row group has another schema than its part",
                ));
            }
        }
        if encoded.is_empty() {
            return Ok(self.stored_bytes());
        }
        self.rows += encoded.iter().map(|piece| piece.share.rows).sum::<u64>();
        self.bytes += encoded.iter().map(|piece| piece.share.bytes).sum::<u64>();
        let pieces = encoded.into_iter().map(|encoded| encoded.piece).collect();
        let written = match &mut self.open {
            Some((_, open)) => open.append(pieces)?,
            None => {
                let name = format!("{:06}-{}", self.number, self.finished.len());
                let path = self.recipe.segments.join(name);
                let mut open = self.recipe.style.create(&path, &self.stored)?;
                let written = open.append(pieces)?;
                self.open = Some((path, open));
                written
            }
        };
        Ok(self.finished_bytes + written)
    }

    /// Goes on under a schema that has widened. Rows after this call have it;
    /// rows before are widened at commit.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the segment so far cannot be ended.
    pub fn next_segment(&mut self, schema: &SchemaRef) -> Result<()> {
        if schema == &self.known {
            return Ok(());
        }
        let stored = self.recipe.style.stored(schema)?;
        self.end_segment()?;
        self.known = Arc::clone(schema);
        self.stored = stored;
        Ok(())
    }

    /// The schema rows must have now.
    pub fn schema(&self) -> &SchemaRef {
        &self.known
    }

    /// Rows appended so far.
    pub fn rows(&self) -> u64 {
        self.rows
            + self
                .finished
                .iter()
                .map(|segment| segment.rows)
                .sum::<u64>()
    }

    fn stored_bytes(&self) -> u64 {
        let open = match &self.open {
            Some((_, Open::Parquet(file))) => file.written(),
            Some((_, Open::Json(file))) => file.written(),
            Some((_, Open::Ipc(file))) => file.written(),
            None => 0,
        };
        self.finished_bytes + open
    }

    fn end_segment(&mut self) -> Result<()> {
        let Some((path, open)) = self.open.take() else {
            return Ok(());
        };
        let (crc32, stored_bytes) = open.finish()?;
        self.finished_bytes += stored_bytes;
        self.finished.push(Segment {
            path,
            known: Arc::clone(&self.known),
            rows: std::mem::take(&mut self.rows),
            bytes: std::mem::take(&mut self.bytes),
            crc32,
            stored_bytes,
        });
        Ok(())
    }

    /// Ends the part. One without rows leaves no file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if its footer cannot be written.
    pub fn finish(mut self) -> Result<FinishedPart> {
        self.end_segment()?;
        Ok(FinishedPart {
            number: self.number,
            folder: self.folder,
            segments: self.finished,
        })
    }
}
