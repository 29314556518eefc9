//! A row group, cut into pieces that any thread may encode.
//!
//! In:  the batches of one row group, a schema, a format and a codec.
//! Out: independent jobs; their results, which are appended in order to one open file.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::codec::Codec;
use super::csv::{self, CsvStyle};
use super::file::Closed;
use super::ipc::{IPC_DEPTH, IpcFile, IpcJob, IpcMessage};
use super::members::{TextFile, TextForm, TextJob};
use super::options::{Format, WriteOptions};
use super::parquet::{Blooms, ColumnChunk, ColumnJob, ParquetFile, Stored};
use super::rows::Rows;
use super::schema::{check_batch, check_depth, stored_schema};
use crate::error::{Error, Result};
use crate::partition::batch_bytes;

/// Row groups of fewer bytes (1 MiB) are compressed by [`SMALL_LEVEL`], where no level was asked
/// for: of a few thousand rows it makes files 3 to 4 % smaller, and takes no time to speak of.
const SMALL_BYTES: u64 = 1 << 20;

/// The level of zstd for those.
const SMALL_LEVEL: i32 = 3;

/// The format of part files, and how they are stored.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    pub(crate) format: Format,
    pub(crate) codec: Codec,
    /// Whether nobody asked for that codec.
    pub(crate) by_default: bool,
    pub(crate) csv: Arc<CsvStyle>,
    /// How the columns of Parquet are stored, and what its footers hold.
    pub(crate) parquet: Stored,
}

impl Style {
    /// What options ask for.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the codec does not fit the format, or CSV could not be read again.
    pub(crate) fn of(options: &WriteOptions) -> Result<Self> {
        options.csv.check()?;
        options.check_bloom()?;
        options.check_metadata()?;
        Ok(Style {
            format: options.format,
            codec: options.codec()?,
            by_default: options.codec.is_none(),
            csv: Arc::new(options.csv.clone()),
            parquet: Stored {
                codecs: options.codecs()?,
                blooms: Blooms::new(&options.bloom),
                metadata: options.metadata.as_slice().into(),
            },
        })
    }

    /// The schema as part files hold it.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if a name occurs twice, types nest too deep, or there is no
    /// column in a format that needs one.
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
        if names.is_empty() && self.format != Format::Json {
            return Err(Error::plan(
                "there is no column to write: no row showed one",
            ));
        }
        if self.format == Format::Csv {
            self.csv.check_columns(schema)?;
        }
        if self.format == Format::Ipc {
            check_depth(
                schema,
                IPC_DEPTH,
                "an Arrow IPC file can hold; Parquet and JSON can",
            )?;
        }
        stored_schema(schema, self.format == Format::Ipc)
    }

    /// The codec of a row group of so many bytes.
    fn codec_of(&self, bytes: u64) -> Codec {
        match self.codec {
            Codec::Zstd(_) if self.by_default && bytes < SMALL_BYTES => Codec::Zstd(SMALL_LEVEL),
            asked => asked,
        }
    }

    /// Starts a file of the given schema, with `room` for more columns in
    /// formats that can take them later.
    pub(crate) fn create(&self, path: &Path, stored: &SchemaRef, room: bool) -> Result<Open> {
        Ok(match self.format {
            Format::Parquet => {
                Open::Parquet(ParquetFile::create(path, stored, &self.parquet, room)?)
            }
            Format::Json => Open::Text(TextFile::create(path, self.codec)?),
            Format::Csv => {
                let mut file = TextFile::create(path, self.codec)?;
                file.append_text(csv::header(stored, &self.csv))?;
                Open::Text(file)
            }
            Format::Ipc => Open::Ipc(IpcFile::create(path, stored, self.codec)?),
        })
    }
}

/// A file under construction, in one of the formats.
pub(crate) enum Open {
    Parquet(ParquetFile),
    Text(TextFile),
    Ipc(IpcFile),
}

impl Open {
    /// Appends the encoded pieces of one row group; gives the bytes stored so far.
    pub(crate) fn append(&mut self, pieces: Vec<Piece>) -> Result<u64> {
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
            Open::Text(file) => {
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

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Open::Parquet(file) => file.written(),
            Open::Text(file) => file.written(),
            Open::Ipc(file) => file.written(),
        }
    }

    /// Ends the file; gives what it came to.
    pub(crate) fn finish(self) -> Result<Closed> {
        match self {
            Open::Parquet(file) => file.finish(),
            Open::Text(file) => file.finish(),
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
pub(crate) struct Share {
    /// The run's schema of these rows.
    pub(crate) schema: SchemaRef,
    /// Which piece, of how many.
    pub(crate) place: (usize, usize),
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

enum Work {
    Column(ColumnJob),
    Text(TextJob),
    Ipc(IpcJob),
}

/// What a job made, by format.
pub(crate) enum Piece {
    Columns(Vec<ColumnChunk>),
    Text(Vec<u8>),
    Message(IpcMessage),
}

/// What an [`EncodeJob`] made, to be appended to its part in order.
pub struct Encoded {
    pub(crate) piece: Piece,
    pub(crate) share: Share,
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
            Work::Text(job) => Piece::Text(job.run()?),
            Work::Ipc(job) => Piece::Message(job.run()?),
        };
        Ok(Encoded {
            piece,
            share: self.share,
        })
    }
}

/// Cuts one row group into jobs that any thread may run, for a part of this
/// schema; all their results go to one call of [`PartWriter::append`](super::PartWriter::append), in this
/// order. No rows, no jobs.
///
/// Parquet: one job a column. JSON and CSV: one a slice of rows, each a compressed
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
    let style = Style::of(options)?;
    let stored = style.stored(schema)?;
    cut(&style, schema, &stored, batches)
}

/// As [`jobs`], with what it works out first.
pub(crate) fn cut(
    style: &Style,
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
            let how = style.parquet.with_codec(style.codec_of(bytes));
            for (idx, field) in stored.fields().iter().enumerate() {
                works.push(Work::Column(ColumnJob {
                    field: Arc::clone(field),
                    rows: Rows::of_column(&batches, idx),
                    how: how.clone(),
                }));
            }
        }
        Format::Json => {
            let jobs = TextJob::cut(batches, rows, bytes, TextForm::Json, style.codec);
            works.extend(jobs.map(Work::Text));
        }
        Format::Csv => {
            let form = TextForm::Csv(Arc::clone(&style.csv));
            let jobs = TextJob::cut(batches, rows, bytes, form, style.codec);
            works.extend(jobs.map(Work::Text));
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
