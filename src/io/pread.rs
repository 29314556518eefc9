//! An open file, read at places.
//!
//! In:  one descriptor, a file in the memory, or an object behind a URL.
//! Out: the reads the Parquet decoder asks for, each at its own place.
//!
//! Reading at a place leaves no cursor to share, so one descriptor serves all
//! columns; and a length is held against the file before memory is taken for it.
//! What is opened and read is counted, so that a test can tell what a scan costs.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

#[cfg(feature = "cloud")]
use crate::io::remote::Chunks;
#[cfg(feature = "cloud")]
use crate::io::store::Place;
use crate::io::store::SourceFile;

/// How often files of columns were opened, and how much of them was read.
#[derive(Debug, Default)]
pub struct Reads {
    opens: AtomicU64,
    bytes: AtomicU64,
}

impl Reads {
    /// Files opened so far, each as often as it was.
    pub fn opens(&self) -> u64 {
        self.opens.load(Ordering::Relaxed)
    }

    /// Stored bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add_bytes(&self, n: usize) {
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// A file of known length.
#[derive(Clone)]
pub(super) struct Pread {
    stored: Stored,
    bytes: u64,
    reads: Arc<Reads>,
    /// The first read that failed: the decoder passes on no more than its text.
    failure: Arc<Mutex<Option<Error>>>,
}

#[derive(Clone)]
enum Stored {
    Local(Arc<File>),
    /// All of a file, as memory that the system fills when it is looked at.
    Mapped(Bytes),
    #[cfg(feature = "cloud")]
    Remote(Chunks),
}

/// Bytes that are read for the header of a page: most have fewer than a
/// hundred, and what follows is asked for once more, whole.
const HEADER_BYTES: usize = 1 << 10;

/// A reader that begins at a place of its own.
pub(super) struct From {
    file: Pread,
    at: u64,
}

impl Pread {
    /// Opens a file. Of an object, `wanted` is what will be read, and `room`
    /// how many bytes of that may be held.
    pub(super) fn open(
        file: &SourceFile,
        wanted: Vec<Range<u64>>,
        room: u64,
        reads: &Arc<Reads>,
    ) -> std::io::Result<Self> {
        let (stored, bytes) = open(file, wanted, room)?;
        reads.opens.fetch_add(1, Ordering::Relaxed);
        Ok(Pread {
            stored,
            bytes,
            reads: Arc::clone(reads),
            failure: Arc::default(),
        })
    }

    /// Reads a file that lies in memory.
    pub(super) fn of_map(map: Bytes, reads: &Arc<Reads>) -> Self {
        Pread {
            bytes: map.len() as u64,
            stored: Stored::Mapped(map),
            reads: Arc::clone(reads),
            failure: Arc::default(),
        }
    }

    /// The bytes in a range that lies in the file, if they are in memory: nothing is copied.
    pub(super) fn mapped(&self, range: Range<u64>) -> Option<Bytes> {
        match &self.stored {
            Stored::Mapped(map) => Some(map.slice(range.start as usize..range.end as usize)),
            _ => None,
        }
    }

    /// Exactly `n` bytes from `at` on.
    pub(super) fn read(&self, at: u64, n: usize) -> std::io::Result<Bytes> {
        if !self.holds(at, n) {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                format!(
                    "bytes {at} to {at}+{n} lie behind the file's end, {}",
                    self.bytes
                ),
            ));
        }
        self.reads.add_bytes(n);
        self.noted(match &self.stored {
            Stored::Local(file) => read_exactly(file, at, n).map(Bytes::from),
            Stored::Mapped(map) => Ok(map.slice(at as usize..at as usize + n)),
            #[cfg(feature = "cloud")]
            Stored::Remote(chunks) => chunks.read(at, n),
        })
    }

    /// Fills `buf` with the bytes from `at` on.
    pub(super) fn read_into(&self, at: u64, buf: &mut [u8]) -> std::io::Result<()> {
        match &self.stored {
            Stored::Local(file) if self.holds(at, buf.len()) => {
                self.reads.add_bytes(buf.len());
                file.read_exact_at(buf, at)
            }
            _ => {
                buf.copy_from_slice(&self.read(at, buf.len())?);
                Ok(())
            }
        }
    }

    fn holds(&self, at: u64, n: usize) -> bool {
        at.checked_add(n as u64)
            .is_some_and(|end| end <= self.bytes)
    }

    /// What the system or the store said to the first read that failed, once.
    pub(super) fn take_failure(&self) -> Option<Error> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }

    fn noted<T>(&self, outcome: std::io::Result<T>) -> std::io::Result<T> {
        outcome.map_err(|error| {
            let copy = Error::new(error.kind(), error.to_string());
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
            copy
        })
    }

    fn read_some(&self, at: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        self.noted(match &self.stored {
            Stored::Local(file) => file.read_at(buf, at),
            Stored::Mapped(map) => {
                let left = map.get(at as usize..).unwrap_or_default();
                let n = left.len().min(buf.len());
                buf[..n].copy_from_slice(&left[..n]);
                Ok(n)
            }
            #[cfg(feature = "cloud")]
            Stored::Remote(chunks) => chunks.read_some(at, buf.len()).map(|some| {
                buf[..some.len()].copy_from_slice(&some);
                some.len()
            }),
        })
    }
}

/// Exactly `n` bytes, into memory that nobody clears first.
fn read_exactly(file: &File, at: u64, n: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(n);
    while bytes.len() < n {
        let from = at + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), from) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // There may have been more room than was asked for.
    bytes.truncate(n);
    Ok(bytes)
}

#[cfg(feature = "cloud")]
fn open(file: &SourceFile, wanted: Vec<Range<u64>>, room: u64) -> std::io::Result<(Stored, u64)> {
    match file.place() {
        Place::Remote(object) => {
            let chunks = Chunks::new(object.clone(), wanted, room);
            Ok((Stored::Remote(chunks), object.bytes()))
        }
        _ => open_local(file),
    }
}

#[cfg(not(feature = "cloud"))]
fn open(file: &SourceFile, _wanted: Vec<Range<u64>>, _room: u64) -> std::io::Result<(Stored, u64)> {
    open_local(file)
}

/// A file as memory. What others write to it shows in what was read of it, and
/// where they cut it short, looking behind its new end kills the process.
pub(super) fn map(file: &SourceFile) -> std::io::Result<Bytes> {
    let file = File::open(file.location())?;
    // SAFETY: nothing here writes to the map or outlives it: `Bytes` owns it. That no
    // other process changes the file is what whoever asks for a map has to see to.
    // What it is for: no column is copied, which `tests/io_ipc.rs` sees by addresses.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Bytes::from_owner(map))
}

fn open_local(file: &SourceFile) -> std::io::Result<(Stored, u64)> {
    let file = File::open(file.location())?;
    let bytes = file.metadata()?.len();
    Ok((Stored::Local(Arc::new(file)), bytes))
}

impl Length for Pread {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Pread {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let from = From {
            file: self.clone(),
            at: start,
        };
        Ok(BufReader::with_capacity(HEADER_BYTES, from))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.read(start, length)
            .map_err(|source| ParquetError::External(Box::new(source)))
    }
}

impl Read for From {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read_some(self.at, buf)?;
        self.file.reads.add_bytes(n);
        self.at += n as u64;
        Ok(n)
    }
}
