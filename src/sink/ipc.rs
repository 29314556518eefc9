//! Arrow IPC part files.
//!
//! In:  row groups, as batches.
//! Out: the IPC file format: record batches encoded on any thread, appended in
//!      order, and a footer that says where each one lies.
//!
//! Dictionary columns are stored as their values: the format has one dictionary
//! per file, which threads that encode row groups in parallel do not share.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::reader::{FileReader, read_footer_length};
use arrow_ipc::writer::{
    DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions,
    write_message,
};
use arrow_ipc::{
    Block, CompressionType, FooterBuilder, MetadataVersion, root_as_footer, root_as_message,
};
use arrow_schema::SchemaRef;
use flatbuffers::FlatBufferBuilder;

use super::codec::Codec;
use super::file::{Closed, StagedFile, Sum, arrow_error};
use super::part::Segment;
use super::rows::compact;
use super::schema::stored_column;
use super::settle::Found;
use super::widen::{Widen, widen_batch};
use crate::error::{Error, Result};

/// Rows in a record batch.
const BATCH_ROWS: usize = 1 << 16;

/// Deepest nesting of types in it: readers follow 64 tables, and footer, schema
/// and the type itself are tables too.
pub(super) const IPC_DEPTH: usize = 60;

/// What an IPC file starts and ends with.
const MAGIC: &[u8; 6] = b"ARROW1";

fn write_options(codec: Codec) -> Result<IpcWriteOptions> {
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?;
    Ok(match codec {
        Codec::Lz4 => options.try_with_compression(Some(CompressionType::LZ4_FRAME))?,
        Codec::Zstd(level) => options
            .try_with_compression(Some(CompressionType::ZSTD))?
            .try_with_compression_level(Some(level))
            .map_err(|error| Error::config("compression", error.to_string()))?,
        _ => options,
    })
}

/// One record batch, to be encoded on any thread.
pub(crate) struct IpcJob {
    batches: Arc<Vec<RecordBatch>>,
    stored: SchemaRef,
    start: usize,
    len: usize,
    codec: Codec,
}

/// An encoded record batch, with the lengths of its head and body.
pub(crate) struct IpcMessage {
    bytes: Vec<u8>,
    head: usize,
    body: usize,
}

impl IpcJob {
    /// Cuts a row group into record batches.
    pub(crate) fn cut(
        batches: Vec<RecordBatch>,
        rows: usize,
        stored: &SchemaRef,
        codec: Codec,
    ) -> impl Iterator<Item = IpcJob> {
        let batches = Arc::new(batches);
        let stored = Arc::clone(stored);
        (0..rows).step_by(BATCH_ROWS).map(move |start| IpcJob {
            batches: Arc::clone(&batches),
            stored: Arc::clone(&stored),
            start,
            len: BATCH_ROWS.min(rows - start),
            codec,
        })
    }

    pub(crate) fn run(self) -> Result<IpcMessage> {
        let batch = compact(&self.batches, self.start, self.len)?;
        encode(&to_stored(&batch, &self.stored)?, self.codec)
    }
}

/// A batch with the columns that part files hold.
fn to_stored(batch: &RecordBatch, stored: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(stored.fields())
        .map(|(column, field)| stored_column(column, field))
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(stored),
        columns,
        &options,
    )?)
}

fn encode(batch: &RecordBatch, codec: Codec) -> Result<IpcMessage> {
    let options = write_options(codec)?;
    let (_, data) = IpcDataGenerator::default().encode(
        batch,
        &mut DictionaryTracker::new(true),
        &options,
        &mut IpcWriteContext::default(),
    )?;
    let mut bytes = Vec::with_capacity(data.ipc_message.len() + data.arrow_data.len() + 128);
    let (head, body) = write_message(&mut bytes, data, &options)?;
    Ok(IpcMessage { bytes, head, body })
}

/// An IPC file under construction.
pub(crate) struct IpcFile {
    file: StagedFile,
    schema: SchemaRef,
    blocks: Vec<Block>,
}

impl IpcFile {
    /// Starts a file of a stored schema.
    pub(crate) fn create(path: &Path, schema: &SchemaRef, codec: Codec) -> Result<Self> {
        let options = write_options(codec)?;
        let mut head = MAGIC.to_vec();
        head.resize(64, 0); // messages start at the alignment
        let message: EncodedData = IpcDataGenerator::default()
            .schema_to_bytes_with_dictionary_tracker(
                schema,
                &mut DictionaryTracker::new(true),
                &options,
            );
        write_message(&mut head, message, &options)?;
        let mut file = StagedFile::create(path)?;
        file.put(&head)?;
        Ok(IpcFile {
            file,
            schema: Arc::clone(schema),
            blocks: Vec::new(),
        })
    }

    /// Appends a record batch.
    pub(crate) fn append(&mut self, message: &IpcMessage) -> Result<()> {
        let wide = |_| Error::internal("a record batch of more than 2 GiB of metadata");
        self.blocks.push(Block::new(
            i64::try_from(self.file.written()).map_err(wide)?,
            i32::try_from(message.head).map_err(wide)?,
            i64::try_from(message.body).map_err(wide)?,
        ));
        self.file.put(&message.bytes)
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.file.written()
    }

    /// Writes the footer; gives what the file came to.
    pub(crate) fn finish(mut self) -> Result<Closed> {
        let mut builder = FlatBufferBuilder::new();
        let dictionaries = builder.create_vector::<Block>(&[]);
        let blocks = builder.create_vector(&self.blocks);
        let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, &self.schema);
        let mut footer = FooterBuilder::new(&mut builder);
        footer.add_version(MetadataVersion::V5);
        footer.add_schema(schema);
        footer.add_dictionaries(dictionaries);
        footer.add_recordBatches(blocks);
        let root = footer.finish();
        builder.finish(root, None);
        let footer = builder.finished_data();
        let length = i32::try_from(footer.len())
            .map_err(|_| Error::internal("an IPC footer of more than 2 GiB"))?;
        // An empty message ends the batches: a continuation mark and no length.
        self.file.put(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])?;
        self.file.put(footer)?;
        self.file.put(&length.to_le_bytes())?;
        self.file.put(MAGIC)?;
        Ok(self.file.close())
    }
}

fn open(path: &Path) -> Result<FileReader<BufReader<File>>> {
    let file = File::open(path).map_err(|source| Error::io(path.display(), "open", source))?;
    FileReader::try_new_buffered(file, None)
        .map_err(|error| arrow_error(path, "read the footer", error))
}

/// The Arrow schema of a file.
pub(crate) fn read_schema(path: &Path) -> Result<SchemaRef> {
    Ok(open(path)?.schema())
}

/// Writes segments one after the other as a file of the schema `stored`.
/// Gives its CRC-32 and length.
pub(crate) fn rewrite(
    segments: &[Segment],
    path: &Path,
    stored: &SchemaRef,
    codec: Codec,
    widen: &Widen<'_>,
) -> Result<Sum> {
    let mut out = IpcFile::create(path, stored, codec)?;
    for segment in segments {
        for batch in open(&segment.path)? {
            let batch = batch.map_err(|error| arrow_error(&segment.path, "read", error))?;
            let wide = widen_batch(&batch, &segment.known, stored, widen)?;
            out.append(&encode(&compact(&[wide], 0, batch.num_rows())?, codec)?)?;
        }
    }
    Ok(out.finish()?.whole)
}

/// What the footer and the heads of the record batches say.
pub(crate) fn inspect(path: &Path) -> Result<Found> {
    let reading = |source| Error::io(path.display(), "read", source);
    let broken = |reason: String| Error::corrupt(path.display(), None, reason);
    let mut file = File::open(path).map_err(|source| Error::io(path.display(), "open", source))?;
    let length = file.metadata().map_err(reading)?.len();

    let mut tail = [0; 10];
    read_at(&mut file, length.saturating_sub(10), &mut tail).map_err(reading)?;
    let footer_len = read_footer_length(tail).map_err(|error| broken(error.to_string()))?;
    let start = length
        .checked_sub(10 + footer_len as u64)
        .ok_or_else(|| broken("the footer is longer than the file".into()))?;
    let mut footer = vec![0; footer_len];
    read_at(&mut file, start, &mut footer).map_err(reading)?;
    let footer = root_as_footer(&footer).map_err(|error| broken(error.to_string()))?;

    let mut found = Found::default();
    for block in footer.recordBatches().into_iter().flatten() {
        let wrong = |_| broken("a record batch has no place".into());
        let offset = u64::try_from(block.offset()).map_err(wrong)?;
        let head_len = u64::try_from(block.metaDataLength()).map_err(wrong)?;
        if offset.checked_add(head_len).is_none_or(|end| end > length) || head_len < 8 {
            return Err(broken("a record batch lies outside the file".into()));
        }
        let mut head = vec![0; head_len as usize]; // at most the file's length
        read_at(&mut file, offset, &mut head).map_err(reading)?;
        // A continuation mark and the length come before the message.
        let message = root_as_message(&head[8..]).map_err(|error| broken(error.to_string()))?;
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| broken("a record batch is something else".into()))?;
        found.rows += batch.length().unsigned_abs();
        found.bytes += block.bodyLength().unsigned_abs();
        found.row_groups += 1;
        found
            .codecs
            .push(match batch.compression().map(|body| body.codec()) {
                None => "none",
                Some(CompressionType::LZ4_FRAME) => "lz4",
                Some(CompressionType::ZSTD) => "zstd",
                Some(_) => "unknown",
            });
    }
    found.codecs.sort_unstable();
    found.codecs.dedup();
    Ok(found)
}

fn read_at(file: &mut File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}
