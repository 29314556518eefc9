//! The buffers of a batch.
//!
//! In:  a message that describes a batch, and which of its columns are wanted.
//! Out: those columns; nothing else is read, nor held.
//!
//! A batch's description lists the lengths of all its arrays and the places of
//! all their buffers, one column behind the other. The lists are cut down to
//! the wanted columns, whose buffers are put together anew, decompressed:
//!
//! ```text
//! columns      a        b                 c
//! buffers      [n][v]   [n][offsets][v]   [n][v]
//! wanted       a                          c
//! put together [n][v][n][v]
//! ```
//!
//! Of a file that lies in memory they stay where they are, unless they are compressed.

use std::collections::HashMap;
use std::io::Read;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{CompressionType, FieldNode, MetadataVersion, RecordBatchBuilder};
use arrow_schema::{DataType, Schema, SchemaRef, UnionMode};
use flatbuffers::FlatBufferBuilder;

/// Where buffers begin, so that any type can be read in place.
const ALIGNMENT: usize = 64;

/// Reads bytes of a body: those from a place on, so many.
pub(super) type ReadBytes<'a> = dyn FnMut(u64, usize) -> crate::Result<bytes::Bytes> + 'a;

/// Why a batch cannot be read.
pub(super) enum Failure {
    /// Its bytes could not be had.
    Read(crate::Error),
    /// They make no sense.
    Corrupt(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure::Corrupt(reason)
    }
}

/// How many arrays and buffers a column has.
#[derive(Clone, Copy, Default)]
struct Parts {
    nodes: usize,
    buffers: usize,
}

impl Parts {
    fn and(self, other: Parts) -> Parts {
        Parts {
            nodes: self.nodes + other.nodes,
            buffers: self.buffers.saturating_add(other.buffers),
        }
    }
}

/// Counts the parts of a column. `data_buffers` tells, for each column of views
/// in order, how many buffers hold its texts. As deep as the schema, whose
/// depth was limited when it was read.
fn parts(
    data_type: &DataType,
    version: MetadataVersion,
    data_buffers: &mut dyn Iterator<Item = i64>,
) -> Result<Parts, String> {
    let own = |buffers: usize| Parts { nodes: 1, buffers };
    Ok(match data_type {
        DataType::Null => own(0),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => own(3),
        DataType::Utf8View | DataType::BinaryView => {
            let more = data_buffers.next().and_then(|n| usize::try_from(n).ok());
            own(2usize.saturating_add(more.ok_or("a column of views tells no buffers")?))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
            own(2).and(parts(item.data_type(), version, data_buffers)?)
        }
        DataType::ListView(item) | DataType::LargeListView(item) => {
            own(3).and(parts(item.data_type(), version, data_buffers)?)
        }
        DataType::FixedSizeList(item, _) => {
            own(1).and(parts(item.data_type(), version, data_buffers)?)
        }
        DataType::Struct(fields) => {
            let mut all = own(1);
            for field in fields {
                all = all.and(parts(field.data_type(), version, data_buffers)?);
            }
            all
        }
        DataType::RunEndEncoded(ends, values) => own(0)
            .and(parts(ends.data_type(), version, data_buffers)?)
            .and(parts(values.data_type(), version, data_buffers)?),
        DataType::Union(fields, mode) => {
            let nulls = usize::from(version < MetadataVersion::V5);
            let mut all = own(1 + nulls + usize::from(*mode == UnionMode::Dense));
            for (_, field) in fields.iter() {
                all = all.and(parts(field.data_type(), version, data_buffers)?);
            }
            all
        }
        // Numbers, times, booleans, bytes of one length, and keys of dictionaries.
        _ => own(2),
    })
}

/// Reads the columns `wanted` of a batch of `schema`. Where all bytes of the body are
/// in memory, `mapped`, arrays of buffers that are not compressed lie in those.
pub(super) fn read(
    batch: arrow_ipc::RecordBatch<'_>,
    (body_bytes, mapped): (u64, Option<bytes::Bytes>),
    schema: &Schema,
    wanted: &[usize],
    dictionaries: &HashMap<i64, ArrayRef>,
    version: MetadataVersion,
    read_bytes: &mut ReadBytes<'_>,
) -> Result<RecordBatch, Failure> {
    let codec = batch.compression().map(|compression| compression.codec());
    let mut all_counts = batch.variadicBufferCounts().into_iter().flatten();
    let mut nodes = batch.nodes().into_iter().flatten();
    let mut buffers = batch.buffers().into_iter().flatten();
    let mut chosen = Chosen {
        mapped: mapped.filter(|_| codec.is_none()),
        ..Chosen::default()
    };
    for (idx, field) in schema.fields().iter().enumerate() {
        let mut counts = Vec::new();
        let mut data_buffers = all_counts.by_ref().inspect(|count| counts.push(*count));
        let parts = parts(field.data_type(), version, &mut data_buffers)?;
        let is_wanted = wanted.contains(&idx);
        for _ in 0..parts.nodes {
            let node = nodes
                .next()
                .ok_or("a batch has too few columns".to_owned())?;
            if is_wanted {
                chosen.nodes.push(*node);
            }
        }
        for _ in 0..parts.buffers {
            let buffer = buffers
                .next()
                .ok_or("a batch has too few buffers".to_owned())?;
            if is_wanted {
                let bytes = stored(buffer, body_bytes, read_bytes)?;
                match &chosen.mapped {
                    Some(_) => chosen.keep(buffer, bytes.len()),
                    None => chosen.push(&bytes, codec)?,
                }
            }
        }
        if is_wanted {
            chosen.counts.extend(counts);
        }
    }
    let projected = schema.project(wanted).map_err(|error| error.to_string())?;
    Ok(chosen.decode(batch.length(), projected.into(), dictionaries, version)?)
}

/// The bytes of a buffer as they lie in the body.
fn stored(
    buffer: &arrow_ipc::Buffer,
    body_bytes: u64,
    read_bytes: &mut ReadBytes<'_>,
) -> Result<bytes::Bytes, Failure> {
    let place = (
        u64::try_from(buffer.offset()),
        u64::try_from(buffer.length()),
    );
    let (Ok(at), Ok(length)) = place else {
        return Err("a buffer lies below zero".to_owned().into());
    };
    if length == 0 {
        return Ok(bytes::Bytes::new());
    }
    if at.checked_add(length).is_none_or(|end| end > body_bytes) {
        let reason = format!("a buffer at {at} of {length} bytes is not within {body_bytes}");
        return Err(reason.into());
    }
    let length = usize::try_from(length).map_err(|_| format!("{length} bytes are too many"))?;
    read_bytes(at, length).map_err(Failure::Read)
}

/// The parts of the wanted columns.
#[derive(Default)]
struct Chosen {
    nodes: Vec<FieldNode>,
    buffers: Vec<arrow_ipc::Buffer>,
    counts: Vec<i64>,
    /// Their buffers, put together.
    body: MutableBuffer,
    /// The body as it lies in memory, of which buffers are parts as they are.
    mapped: Option<bytes::Bytes>,
}

impl Chosen {
    /// Adds a buffer where it lies.
    fn keep(&mut self, stored: &arrow_ipc::Buffer, length: usize) {
        let at = if length == 0 { 0 } else { stored.offset() };
        let kept = arrow_ipc::Buffer::new(at, length as i64);
        self.buffers.push(kept);
    }

    /// Adds a buffer, decompressed.
    fn push(&mut self, stored: &[u8], codec: Option<CompressionType>) -> Result<(), String> {
        let start = self.body.len();
        match (codec, stored.is_empty()) {
            (None, _) | (_, true) => self.body.extend_from_slice(stored),
            (Some(codec), false) => self.decompress(stored, codec)?,
        }
        let length = self.body.len() - start;
        let padded = self.body.len().next_multiple_of(ALIGNMENT);
        self.body.resize(padded, 0);
        self.buffers
            .push(arrow_ipc::Buffer::new(start as i64, length as i64));
        Ok(())
    }

    /// Memory is taken as bytes come out, whatever length the buffer claims.
    fn decompress(&mut self, stored: &[u8], codec: CompressionType) -> Result<(), String> {
        let Some((claimed, packed)) = stored.split_first_chunk::<8>() else {
            return Err("a compressed buffer is shorter than its length".into());
        };
        let claimed = match i64::from_le_bytes(*claimed) {
            // This one is stored as it is.
            -1 => {
                self.body.extend_from_slice(packed);
                return Ok(());
            }
            claimed => u64::try_from(claimed)
                .map_err(|_| format!("a buffer claims {claimed} bytes, decompressed"))?,
        };
        let mut from: Box<dyn Read + '_> = match codec {
            CompressionType::LZ4_FRAME => Box::new(lz4_flex::frame::FrameDecoder::new(packed)),
            CompressionType::ZSTD => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed);
                Box::new(decoder.map_err(|error| error.to_string())?)
            }
            other => {
                return Err(format!(
                    "a buffer is compressed by {other:?}, which is unknown"
                ));
            }
        };
        let mut left = claimed;
        let mut piece = vec![0; claimed.clamp(1, 128 << 10) as usize];
        loop {
            let n = from.read(&mut piece).map_err(|error| error.to_string())?;
            if n == 0 {
                break;
            }
            left = left
                .checked_sub(n as u64)
                .ok_or_else(|| format!("a buffer holds more than the {claimed} bytes it claims"))?;
            self.body.extend_from_slice(&piece[..n]);
        }
        match left {
            0 => Ok(()),
            _ => Err(format!(
                "a buffer holds fewer than the {claimed} bytes it claims"
            )),
        }
    }

    /// The columns, out of a description of no others.
    fn decode(
        self,
        rows: i64,
        schema: SchemaRef,
        dictionaries: &HashMap<i64, ArrayRef>,
        version: MetadataVersion,
    ) -> Result<RecordBatch, String> {
        let mut fbb = FlatBufferBuilder::new();
        let nodes = fbb.create_vector(&self.nodes);
        let buffers = fbb.create_vector(&self.buffers);
        let counts = (!self.counts.is_empty()).then(|| fbb.create_vector(&self.counts));
        let mut builder = RecordBatchBuilder::new(&mut fbb);
        builder.add_length(rows);
        builder.add_nodes(nodes);
        builder.add_buffers(buffers);
        if let Some(counts) = counts {
            builder.add_variadicBufferCounts(counts);
        }
        let root = builder.finish();
        fbb.finish(root, None);
        let described = flatbuffers::root::<arrow_ipc::RecordBatch<'_>>(fbb.finished_data())
            .map_err(|error| error.to_string())?;
        let body = match self.mapped {
            Some(mapped) => Buffer::from(mapped),
            None => Buffer::from(self.body),
        };
        RecordBatchDecoder::try_new(&body, described, schema, dictionaries, &version)
            .and_then(RecordBatchDecoder::read_record_batch)
            .map_err(|error| error.to_string())
    }
}
