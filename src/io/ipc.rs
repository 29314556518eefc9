//! Arrow IPC files to batches.
//!
//! In:  a file that Arrow's IPC file format describes.
//! Out: its schema and its batches, in order.
//!
//! The footer's claims are held against the file's size before memory is taken.

use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_schema::{ArrowError, SchemaRef};

use crate::error::{Error, Result};
use crate::io::guard::guarded;
use crate::io::source::{self, Opened};
use crate::io::store::SourceFile;

const MAGIC: &[u8; 6] = b"ARROW1";
/// The footer's length and the magic bytes behind it.
const TAIL_BYTES: u64 = 10;

/// An Arrow IPC file whose footer was read and checked.
#[derive(Clone)]
pub struct IpcInput {
    file: Arc<SourceFile>,
    schema: SchemaRef,
    n_batches: usize,
    stored_bytes: u64,
}

impl IpcInput {
    /// Reads and checks a file's footer; the rows stay where they are.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] naming the file if it is damaged or no Arrow IPC
    /// file; [`Error::Io`] if it cannot be read.
    pub fn open(source: &SourceFile) -> Result<Self> {
        let name = source.path.as_str();
        guarded(name, || {
            let mut file = open(source)?;
            let stored_bytes = check(&mut file, name)?;
            let reader = reader(file, name)?;
            Ok(IpcInput {
                file: Arc::new(source.clone()),
                schema: reader.schema(),
                n_batches: reader.num_batches(),
                stored_bytes,
            })
        })
    }

    /// The same; what is read of the file, now and later, is counted in `reads`.
    pub(in crate::io) fn open_counted(
        source: &SourceFile,
        _reads: &Arc<super::Reads>,
    ) -> Result<Self> {
        Self::open(source)
    }

    /// The same version of the file, at its place in another list.
    pub(in crate::io) fn listed_as(&self, file: &SourceFile) -> Self {
        IpcInput {
            file: Arc::new(file.clone()),
            ..self.clone()
        }
    }

    /// Bytes of memory that the footer takes.
    pub(in crate::io) fn held_bytes(&self) -> u64 {
        1024
    }

    /// The file's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many batches it holds.
    pub fn n_batches(&self) -> usize {
        self.n_batches
    }

    /// Bytes of the file.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// All batches, in order. Holds one descriptor until it is dropped.
    ///
    /// # Errors
    ///
    /// As [`IpcInput::open`].
    pub fn batches(&self) -> Result<IpcBatches> {
        let name = self.file.path.clone();
        let reader = guarded(&name, || {
            let mut file = open(&self.file)?;
            check(&mut file, &name)?;
            reader(file, &name)
        })?;
        Ok(IpcBatches {
            reader: Some(reader),
            name,
        })
    }
}

/// The batches of one file. Ends with its first error.
pub struct IpcBatches {
    reader: Option<FileReader<BufReader<Opened>>>,
    name: String,
}

impl Iterator for IpcBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let name = &self.name;
        let next = guarded(name, || match reader.next() {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(failed(name, error)),
        })
        .transpose();
        if !matches!(next, Some(Ok(_))) {
            self.reader = None;
        }
        next
    }
}

fn open(file: &SourceFile) -> Result<BufReader<Opened>> {
    source::open(file).map(BufReader::new)
}

fn reader(file: BufReader<Opened>, name: &str) -> Result<FileReader<BufReader<Opened>>> {
    FileReader::try_new(file, None).map_err(|error| failed(name, error))
}

/// A decoder's error: damage, unless reading itself failed.
fn failed(name: &str, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, source) if source.kind() != ErrorKind::UnexpectedEof => {
            Error::io(name, "read", source)
        }
        other => Error::corrupt(name, None, other.to_string()),
    }
}

/// Whether the footer and all it points to lie within the file. Gives its size.
fn check(file: &mut BufReader<Opened>, name: &str) -> Result<u64> {
    let io = |source| Error::io(name, "read", source);
    let corrupt = |reason: String| Error::corrupt(name, None, reason);
    let bytes = file.seek(SeekFrom::End(0)).map_err(io)?;
    if bytes < MAGIC.len() as u64 + TAIL_BYTES {
        return Err(corrupt(format!(
            "an Arrow file has more than {bytes} bytes"
        )));
    }
    let mut tail = [0; TAIL_BYTES as usize];
    file.seek(SeekFrom::Start(bytes - TAIL_BYTES)).map_err(io)?;
    file.read_exact(&mut tail).map_err(io)?;
    let length = arrow_ipc::reader::read_footer_length(tail)
        .map_err(|_| corrupt("it does not end as an Arrow file does".into()))?;
    let room = bytes - TAIL_BYTES - MAGIC.len() as u64;
    if length as u64 > room {
        return Err(corrupt(format!(
            "its footer claims {length} bytes where the file has {room}"
        )));
    }
    let mut footer = vec![0; length];
    file.seek(SeekFrom::Start(bytes - TAIL_BYTES - length as u64))
        .map_err(io)?;
    file.read_exact(&mut footer).map_err(io)?;
    let footer = arrow_ipc::root_as_footer(&footer)
        .map_err(|error| corrupt(format!("its footer is invalid ({error})")))?;
    let blocks = footer.recordBatches().into_iter().flatten();
    let dictionaries = footer.dictionaries().into_iter().flatten();
    for block in blocks.chain(dictionaries) {
        let parts = [
            u64::try_from(block.offset()),
            u64::try_from(block.metaDataLength()),
            u64::try_from(block.bodyLength()),
        ];
        let end = parts.into_iter().try_fold(0u64, |sum, part| {
            part.ok().and_then(|part| sum.checked_add(part))
        });
        // A message begins with its length or a mark: eight bytes at least.
        if end.is_none_or(|end| end > bytes) || block.metaDataLength() < 8 {
            return Err(corrupt(format!(
                "a batch at byte {} of {} + {} bytes does not lie within the file's {bytes}",
                block.offset(),
                block.metaDataLength(),
                block.bodyLength()
            )));
        }
    }
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    Ok(bytes)
}
