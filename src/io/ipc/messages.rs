//! Where the batches of a file lie.
//!
//! In:  an open file or stream.
//! Out: its schema; place, rows and dictionaries of each batch.
//!
//! A file says in its footer where messages lie; a stream is walked from one
//! message to the next, over their bodies. In a stream, dictionaries change on
//! the way, so a batch knows how many came before it.

use std::sync::Arc;

use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Message, MessageHeader, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::file::reader::Length;

use crate::error::{Error, Result};
use crate::io::pread::Pread;

const MAGIC: &[u8; 6] = b"ARROW1";
/// The footer's length and the magic bytes behind it.
const TAIL_BYTES: u64 = 10;
/// What a message begins with.
const MARK: [u8; 4] = [0xff; 4];
/// The mark and the length of a message's description.
const PREFIX_BYTES: u64 = 8;
/// Most rows that a batch may claim: no column of more has been seen, and what
/// a batch lacks is filled in for each of them.
const MOST_ROWS: i64 = i32::MAX as i64;

/// A message, without its body.
pub(super) struct Described {
    bytes: Bytes,
}

impl Described {
    /// The description itself, whose form was checked when it was read.
    pub fn message(&self) -> std::result::Result<Message<'_>, String> {
        root_as_message(&self.bytes).map_err(|error| format!("a message is invalid ({error})"))
    }
}

/// Where a message lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its first byte.
    at: u64,
    /// Bytes of its description, mark and length included.
    description_bytes: u64,
    /// Bytes behind them.
    pub body_bytes: u64,
}

impl Place {
    /// Where the body begins.
    pub fn body(&self) -> u64 {
        self.at + self.description_bytes
    }

    fn end(&self) -> u64 {
        self.body() + self.body_bytes
    }
}

/// A batch, before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub place: Place,
    pub rows: u64,
    /// How many of the file's dictionaries it may use.
    pub n_dictionaries: usize,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Contents {
    pub schema: SchemaRef,
    pub version: MetadataVersion,
    pub dictionaries: Vec<Place>,
    pub batches: Vec<Stored>,
}

/// A file that is being looked at.
pub(super) struct Reader<'a> {
    pub file: &'a Pread,
    pub name: &'a str,
}

impl Reader<'_> {
    fn corrupt(&self, reason: String) -> Error {
        Error::corrupt(self.name, None, reason)
    }

    fn read(&self, at: u64, n: u64) -> Result<Bytes> {
        let bytes = self.file.len();
        if at.checked_add(n).is_none_or(|end| end > bytes) {
            return Err(self.corrupt(format!(
                "bytes {at} to {at}+{n} lie behind the file's end, {bytes}"
            )));
        }
        let n = usize::try_from(n).map_err(|_| self.corrupt(format!("{n} bytes are too many")))?;
        let read = self.file.read(at, n);
        read.map_err(|source| Error::io(self.name, "read", source))
    }

    /// What the file holds.
    pub fn contents(&self) -> Result<Contents> {
        let bytes = self.file.len();
        let head = self.read(0, bytes.min(MAGIC.len() as u64))?;
        if head.starts_with(&MARK) {
            return self.stream();
        }
        if bytes < MAGIC.len() as u64 + TAIL_BYTES {
            return Err(self.corrupt(format!("an Arrow file has more than {bytes} bytes")));
        }
        let mut tail = [0; TAIL_BYTES as usize];
        tail.copy_from_slice(&self.read(bytes - TAIL_BYTES, TAIL_BYTES)?);
        let length = read_footer_length(tail)
            .map_err(|_| self.corrupt("it does not end as an Arrow file does".into()))?;
        let room = bytes - TAIL_BYTES - MAGIC.len() as u64;
        if length as u64 > room {
            return Err(self.corrupt(format!(
                "its footer claims {length} bytes where the file has {room}"
            )));
        }
        self.by_footer(&self.read(bytes - TAIL_BYTES - length as u64, length as u64)?)
    }

    fn by_footer(&self, footer: &[u8]) -> Result<Contents> {
        let footer = root_as_footer(footer)
            .map_err(|error| self.corrupt(format!("its footer is invalid ({error})")))?;
        let schema = footer.schema();
        let place = |block: &arrow_ipc::Block| {
            let parts = [
                u64::try_from(block.offset()),
                u64::try_from(block.metaDataLength()),
                u64::try_from(block.bodyLength()),
            ];
            match parts {
                [Ok(at), Ok(description_bytes), Ok(body_bytes)] => {
                    self.within(at, description_bytes, body_bytes)
                }
                _ => Err(self.corrupt("its footer has a place below zero".into())),
            }
        };
        let dictionaries = footer.dictionaries().into_iter().flatten().map(place);
        let mut contents = Contents {
            schema: self.schema(schema)?,
            version: footer.version(),
            dictionaries: dictionaries.collect::<Result<_>>()?,
            batches: Vec::new(),
        };
        for block in footer.recordBatches().into_iter().flatten() {
            let place = place(block)?;
            let rows = self.rows(&self.describe(&place)?)?;
            contents.batches.push(Stored {
                place,
                rows,
                n_dictionaries: contents.dictionaries.len(),
            });
        }
        Ok(contents)
    }

    /// Walks over the messages of a stream, to its mark of the end or the file's.
    fn stream(&self) -> Result<Contents> {
        let mut contents: Option<Contents> = None;
        let mut at = 0;
        while at < self.file.len() {
            let prefix = self.read(at, PREFIX_BYTES)?;
            let length = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
            if prefix[..4] != MARK {
                return Err(self.corrupt(format!("there is no message at byte {at}")));
            }
            if length == 0 {
                break;
            }
            let mut place = self.within(at, PREFIX_BYTES + u64::from(length), 0)?;
            let described = self.describe(&place)?;
            let message = described.message().map_err(|reason| self.corrupt(reason))?;
            let body = u64::try_from(message.bodyLength());
            let body = body.map_err(|_| self.corrupt("a body is shorter than nothing".into()))?;
            place = self.within(at, place.description_bytes, body)?;
            at = place.end();
            match (message.header_type(), &mut contents) {
                (MessageHeader::Schema, None) => {
                    contents = Some(Contents {
                        schema: self.schema(message.header_as_schema())?,
                        version: message.version(),
                        dictionaries: Vec::new(),
                        batches: Vec::new(),
                    });
                }
                (MessageHeader::DictionaryBatch, Some(contents)) => {
                    contents.dictionaries.push(place);
                }
                (MessageHeader::RecordBatch, Some(contents)) => contents.batches.push(Stored {
                    rows: self.rows(&described)?,
                    n_dictionaries: contents.dictionaries.len(),
                    place,
                }),
                (other, _) => {
                    return Err(self.corrupt(format!("a stream has no {other:?} there")));
                }
            }
        }
        contents.ok_or_else(|| self.corrupt("a stream begins with its schema".into()))
    }

    fn schema(&self, stored: Option<arrow_ipc::Schema<'_>>) -> Result<SchemaRef> {
        let stored = stored.ok_or_else(|| self.corrupt("it has no schema".into()))?;
        if !stored.endianness().equals_to_target_endianness() {
            return Err(self.corrupt("its bytes are in the order of other machines".into()));
        }
        let schema: Schema = fb_to_schema(stored);
        Ok(Arc::new(schema))
    }

    /// A message's place, which must lie within the file.
    fn within(&self, at: u64, description_bytes: u64, body_bytes: u64) -> Result<Place> {
        let end = at
            .checked_add(description_bytes)
            .and_then(|end| end.checked_add(body_bytes));
        let bytes = self.file.len();
        // A message begins with its length or a mark: eight bytes at least.
        if end.is_none_or(|end| end > bytes) || description_bytes < PREFIX_BYTES {
            return Err(self.corrupt(format!(
                "a batch at byte {at} of {description_bytes} + {body_bytes} bytes does not lie within the file's {bytes}"
            )));
        }
        Ok(Place {
            at,
            description_bytes,
            body_bytes,
        })
    }

    /// Reads what describes a message. Old files begin it with its length alone.
    pub fn describe(&self, place: &Place) -> Result<Described> {
        let bytes = self.read(place.at, place.description_bytes)?;
        let skipped = if bytes.starts_with(&MARK) { 8 } else { 4 };
        let described = Described {
            bytes: bytes.slice(skipped..),
        };
        described.message().map_err(|reason| self.corrupt(reason))?;
        Ok(described)
    }

    fn rows(&self, described: &Described) -> Result<u64> {
        let message = described.message().map_err(|reason| self.corrupt(reason))?;
        let batch = message.header_as_record_batch();
        let batch = batch.ok_or_else(|| self.corrupt("a message is no batch".into()))?;
        match batch.length() {
            rows @ 0..=MOST_ROWS => Ok(rows.unsigned_abs()),
            rows => Err(self.corrupt(format!("a batch claims {rows} rows"))),
        }
    }
}
