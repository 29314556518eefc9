//! Parquet part files.
//!
//! In:  row groups, as batches.
//! Out: a file whose row groups are those handed in, encoded column by column
//!      on any thread and appended in order by one.
//!
//! ```text
//! row group ─▶ ColumnJob per column ─▶ chunks ─▶ ParquetFile ─▶ footer
//!              (choose encoding, encode, compress)   (append)
//! ```
//!
//! What is written is a function of the rows and the options: pages end at
//! windows counted from the row group's start, encodings are chosen from its values.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::new_null_array;
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{
    ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata, parquet_to_arrow_schema,
};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::codec::{Codec, Codecs};
use super::file::{Closed, StagedFile, parquet_error};
use super::rows::Rows;
use super::schema::stored_column;
use crate::error::{Error, Result};

mod bloom;
mod column;
mod footer;
mod grow;
mod splice;

pub(crate) use bloom::Blooms;
pub(crate) use footer::{codec_name, inspect, read_schema};
pub(crate) use grow::grow;
pub(crate) use splice::{Source, splice};

/// Rows handed to a column writer at once. Measured: 8,192 against the crate's
/// 1,024 is a few percent, and no page may end at a batch's end.
const WINDOW_ROWS: usize = 8192;

/// Groups within groups of a column that any thread has the stack for. The crate's
/// writer calls itself for each level: 13 KiB of stack were seen in an optimised
/// build, of the 2 MiB that most threads have.
const SHALLOW: usize = 16;

/// Bytes of stack for each of more groups; what is not used takes no memory.
const GROUP_BYTES: usize = 128 << 10;

/// Bytes written at once. The crate hands over eight kilobytes at a time, which
/// costs the kernel twice as much.
const WRITE_BYTES: usize = 256 << 10;

/// Largest data page before compression, in bytes.
const PAGE_BYTES: usize = 1 << 20;

/// Most rows in a page. The crate's 20,000 would cut pages of narrow columns
/// long before they hold a mebibyte.
const PAGE_ROWS: usize = 1 << 17;

/// Largest dictionary page, in bytes; a column with more is not dictionary-encoded.
const DICTIONARY_BYTES: usize = 2 << 20;

/// Statistics and page boundaries of min and max values are cut at this many bytes.
const STATISTICS_BYTES: usize = 64;

/// The crate's name for a codec.
fn compression(codec: Codec) -> Result<Compression, ParquetError> {
    Ok(match codec {
        Codec::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level)?),
        Codec::Gzip(level) => Compression::GZIP(GzipLevel::try_new(level)?),
        Codec::Snappy => Compression::SNAPPY,
        Codec::Lz4 => Compression::LZ4_RAW,
        Codec::None => Compression::UNCOMPRESSED,
    })
}

/// How the crate writes a file of these leaves.
fn properties(
    how: &Stored,
    leaves: &SchemaDescriptor,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    let mut properties = WriterProperties::builder();
    for leaf in leaves.columns() {
        let compression = how.compression(leaf)?;
        properties = properties.set_column_compression(leaf.path().clone(), compression);
    }
    let metadata = how.metadata.iter();
    let metadata = metadata.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let metadata: Vec<KeyValue> = metadata.collect();
    Ok(properties
        .set_key_value_metadata((!metadata.is_empty()).then_some(metadata))
        .set_created_by(concat!("windrow version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .set_write_batch_size(WINDOW_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES))
}

fn parquet_schema(schema: &Schema) -> Result<SchemaDescriptor> {
    ArrowSchemaConverter::new()
        .convert(schema)
        .map_err(|source| Error::plan(format!("these columns cannot be Parquet: {source}")))
}

/// Puts the Arrow types (time zones, dictionaries, ...) into a file's metadata,
/// unless Parquet's own types tell them: of a file of 40 KB that was 4 %.
fn note_types(schema: &Schema, descriptor: &SchemaDescriptor, properties: &mut WriterProperties) {
    if !parquet_to_arrow_schema(descriptor, None).is_ok_and(|told| told == *schema) {
        add_encoded_arrow_schema_to_metadata(schema, properties);
    }
}

/// One column of one row group, to be encoded on any thread.
pub(crate) struct ColumnJob {
    /// The column as part files hold it.
    pub(crate) field: FieldRef,
    /// Its values, as the run holds them.
    pub(crate) rows: Rows,
    pub(crate) how: Stored,
}

/// How columns are stored, and what the footer holds beside them.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) codecs: Codecs,
    pub(crate) blooms: Blooms,
    /// Keys and values of the user.
    pub(crate) metadata: Arc<[(String, String)]>,
}

impl Stored {
    /// The same, with another codec for columns that have none of their own.
    pub(crate) fn with_codec(&self, others: Codec) -> Self {
        Stored {
            codecs: self.codecs.with_others(others),
            ..self.clone()
        }
    }

    fn compression(&self, leaf: &ColumnDescriptor) -> Result<Compression, ParquetError> {
        compression(self.codecs.of(&leaf.path().string()))
    }
}

/// An encoded leaf of a column of a row group.
pub(crate) struct ColumnChunk(Chunk);

enum Chunk {
    /// Encoded by `column`.
    Ours(column::Encoded),
    /// Encoded by the crate.
    Crates(ArrowColumnChunk),
}

impl ColumnChunk {
    /// Appends the chunk to a row group, behind the leaves before it.
    fn append_to<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        match self.0 {
            Chunk::Ours(chunk) => chunk.append_to(group),
            Chunk::Crates(chunk) => chunk.append_to_row_group(group),
        }
    }
}

impl ColumnJob {
    /// Encodes and compresses the column: one chunk per leaf.
    pub(crate) fn run(self) -> Result<Vec<ColumnChunk>> {
        let stored = self
            .rows
            .arrays()
            .iter()
            .map(|array| stored_column(array, &self.field))
            .collect::<Result<Vec<_>>>()?;
        let schema: SchemaRef = Arc::new(Schema::new(vec![Arc::clone(&self.field)]));
        let descriptor = parquet_schema(&schema)?;

        if let Some(leaves) = column::leaves(&self.field, &stored)? {
            return encode(&leaves, &descriptor, &self.how).map_err(|error| self.failed(error));
        }
        let rows = Rows::new(stored);
        let groups = descriptor.columns().iter();
        match groups.map(|leaf| leaf.path().parts().len()).max() {
            Some(deep) if deep > SHALLOW => on_stack(deep * GROUP_BYTES, || {
                self.run_crates(&rows, schema, &descriptor)
            }),
            _ => self.run_crates(&rows, schema, &descriptor),
        }
    }

    fn failed(&self, source: ParquetError) -> Error {
        let name = self.field.name();
        Error::external(format!("encoding column {name:?} as Parquet"), source)
    }

    /// Has the crate encode a column that `column` does not know.
    fn run_crates(
        &self,
        rows: &Rows,
        schema: SchemaRef,
        descriptor: &SchemaDescriptor,
    ) -> Result<Vec<ColumnChunk>> {
        let failed = |source| self.failed(source);
        // The crate hands out column writers only beside a file writer; this one
        // writes nothing but four bytes to nowhere.
        let nowhere = SerializedFileWriter::new(
            io::sink(),
            descriptor.root_schema_ptr(),
            Arc::new(properties(&self.how, descriptor).map_err(failed)?.build()),
        )
        .map_err(failed)?;
        let mut writers = ArrowRowGroupWriterFactory::new(&nowhere, schema)
            .create_column_writers(0)
            .map_err(failed)?;
        for window in rows.windows(WINDOW_ROWS) {
            let leaves = compute_leaves(&self.field, &window?).map_err(failed)?;
            for (leaf, writer) in leaves.iter().zip(&mut writers) {
                writer.write(leaf).map_err(failed)?;
            }
        }
        writers
            .into_iter()
            .map(|writer| Ok(ColumnChunk(Chunk::Crates(writer.close().map_err(failed)?))))
            .collect()
    }
}

/// Runs on a thread with a stack of so many bytes.
fn on_stack<T: Send>(bytes: usize, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes);
        let thread = thread
            .spawn_scoped(scope, run)
            .map_err(|source| Error::external("starting a thread for a deep column", source))?;
        match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn encode(
    leaves: &[column::Leaf<'_>],
    descriptor: &SchemaDescriptor,
    how: &Stored,
) -> Result<Vec<ColumnChunk>, ParquetError> {
    leaves
        .iter()
        .zip(descriptor.columns())
        .map(|(leaf, column)| {
            let chunk = column::encode(leaf, Arc::clone(column), how)?;
            Ok(ColumnChunk(Chunk::Ours(chunk)))
        })
        .collect()
}

/// A column of a row group of nothing but nulls.
fn null_chunks(field: &FieldRef, rows: usize, how: &Stored) -> Result<Vec<ColumnChunk>> {
    // That all is null says more than a filter would.
    let how = Stored {
        blooms: Blooms::default(),
        ..how.clone()
    };
    match column::null_leaves(field, rows) {
        Some(leaves) => {
            let schema = Schema::new(vec![Arc::clone(field)]);
            encode(&leaves, &parquet_schema(&schema)?, &how).map_err(|source| {
                Error::external(
                    format!("encoding column {:?} as Parquet", field.name()),
                    source,
                )
            })
        }
        None => ColumnJob {
            field: Arc::clone(field),
            rows: nulls(field.data_type(), rows),
            how,
        }
        .run(),
    }
}

fn nulls(data_type: &DataType, rows: usize) -> Rows {
    let window = new_null_array(data_type, WINDOW_ROWS.min(rows));
    let arrays = (0..rows)
        .step_by(WINDOW_ROWS)
        .map(|start| window.slice(0, WINDOW_ROWS.min(rows - start)))
        .collect();
    Rows::new(arrays)
}

/// A Parquet file under construction.
pub(crate) struct ParquetFile {
    writer: SerializedFileWriter<BufWriter<StagedFile>>,
    /// Whether row groups leave room for columns that are seen later.
    room: bool,
}

impl ParquetFile {
    /// Starts a file of a stored schema, with `room` for more columns or without.
    pub(crate) fn create(path: &Path, schema: &Schema, how: &Stored, room: bool) -> Result<Self> {
        let descriptor = parquet_schema(schema)?;
        let failed = |error| parquet_error(path, "write", error);
        let mut properties = properties(how, &descriptor).map_err(failed)?.build();
        note_types(schema, &descriptor, &mut properties);
        let file = BufWriter::with_capacity(WRITE_BYTES, StagedFile::create(path)?);
        let writer =
            SerializedFileWriter::new(file, descriptor.root_schema_ptr(), Arc::new(properties))
                .map_err(failed)?;
        Ok(ParquetFile { writer, room })
    }

    fn path(&self) -> &Path {
        self.writer.inner().get_ref().path()
    }

    /// Appends one row group; `chunks` are its leaves in order.
    pub(crate) fn append(&mut self, chunks: impl IntoIterator<Item = ColumnChunk>) -> Result<u64> {
        let path = self.path().to_owned();
        let failed = |error| parquet_error(&path, "write", error);
        let before = self.written();
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for chunk in chunks {
            chunk.append_to(&mut group).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        if self.room && self.written() - before >= grow::LEAST_GROUP_BYTES {
            self.writer
                .write_all(&[0; grow::ROOM_BYTES])
                .map_err(|source| Error::io(path.display(), "write", source))?;
        }
        Ok(self.written())
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Writes the footer; gives what the file came to.
    pub(crate) fn finish(mut self) -> Result<Closed> {
        let path = self.path().to_owned();
        let body = self.written();
        self.writer.inner_mut().get_mut().mark(body);
        let file = self
            .writer
            .into_inner()
            .map_err(|error| parquet_error(&path, "write", error))?;
        let file = file
            .into_inner()
            .map_err(|error| Error::io(path.display(), "write", error.into_error()))?;
        Ok(file.close())
    }
}
