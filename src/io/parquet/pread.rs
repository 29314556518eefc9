//! An open file, read at places.
//!
//! In:  one descriptor.
//! Out: the reads the Parquet decoder asks for, each at its own place.
//!
//! Reading at a place leaves no cursor to share, so one descriptor serves all
//! columns; and a length is held against the file before memory is taken for it.

use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// A file of known length.
#[derive(Clone)]
pub(super) struct Pread {
    file: Arc<File>,
    bytes: u64,
}

/// A reader that begins at a place of its own.
pub(super) struct From {
    file: Arc<File>,
    at: u64,
}

impl Pread {
    pub(super) fn new(file: File) -> std::io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Pread {
            file: Arc::new(file),
            bytes,
        })
    }

    /// Exactly `n` bytes from `at` on.
    pub(super) fn read(&self, at: u64, n: usize) -> std::io::Result<Vec<u8>> {
        if at.checked_add(n as u64).is_none_or(|end| end > self.bytes) {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                format!(
                    "bytes {at} to {at}+{n} lie behind the file's end, {}",
                    self.bytes
                ),
            ));
        }
        let mut buf = vec![0; n];
        self.file.read_exact_at(&mut buf, at)?;
        Ok(buf)
    }
}

impl Length for Pread {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Pread {
    type T = BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(From {
            file: Arc::clone(&self.file),
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.read(start, length)
            .map(Bytes::from)
            .map_err(|source| ParquetError::External(Box::new(source)))
    }
}

impl Read for From {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
