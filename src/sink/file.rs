//! A file under construction: bytes go in, a checksum and a length come out.
//!
//! In:  bytes in order.
//! Out: the file, and the CRC-32 of what was handed to the system.
//!
//! The checksum is taken before the write, so that `verify` later finds what
//! the disk changed. Errors name the file, also those that come back through
//! another crate's error type.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

use crate::error::{Error, Result};

/// The CRC-32 and the length of a file, or of its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) crc32: u32,
    pub(crate) bytes: u64,
}

/// What a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) whole: Sum,
    /// Of what lies before the footer, in formats that can grow in place.
    pub(crate) body: Option<Sum>,
}

/// A new file that is written once, from start to end.
pub(crate) struct StagedFile {
    file: File,
    path: PathBuf,
    crc: crc32fast::Hasher,
    written: u64,
    /// A place whose sum is wanted beside that of the whole, and that sum.
    mark: Option<(u64, Option<Sum>)>,
}

impl StagedFile {
    /// Makes a file that must not exist yet.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|source| Error::io(path.display(), "create", source))?;
        Ok(StagedFile {
            file,
            path: path.to_owned(),
            crc: crc32fast::Hasher::new(),
            written: 0,
            mark: None,
        })
    }

    /// Takes the sum of the first `bytes` bytes, of which none behind the last
    /// was written yet, on the way.
    pub(crate) fn mark(&mut self, bytes: u64) {
        self.mark = Some((bytes, None));
        self.note(&[]);
    }

    /// Adds to the checksum, past the mark if that lies in these bytes.
    fn note(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if let Some((at, sum @ None)) = &mut self.mark
            && *at <= self.written + bytes.len() as u64
        {
            let (before, behind) = bytes.split_at((*at - self.written) as usize);
            self.crc.update(before);
            *sum = Some(Sum {
                crc32: self.crc.clone().finalize(),
                bytes: *at,
            });
            rest = behind;
        }
        self.crc.update(rest);
        self.written += bytes.len() as u64;
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Writes all of `bytes`, naming the file where that fails.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes)
            .map_err(|source| Error::io(self.path.display(), "write", source))
    }

    /// The sum of everything written, and of what lies before the mark.
    pub(crate) fn close(self) -> Closed {
        Closed {
            whole: Sum {
                crc32: self.crc.finalize(),
                bytes: self.written,
            },
            body: self.mark.and_then(|(_, sum)| sum),
        }
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.note(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A failure inside the Parquet crate: the system's error where there is one, else the crate's.
pub(crate) fn parquet_error(path: &Path, doing: &'static str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(source) => Error::io(path.display(), doing, *source),
            Err(inner) => other(path, doing, ParquetError::External(inner)),
        },
        error => other(path, doing, error),
    }
}

/// A failure inside an Arrow crate: the system's error where there is one, else the crate's.
pub(crate) fn arrow_error(path: &Path, doing: &'static str, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, source) => Error::io(path.display(), doing, source),
        error => other(path, doing, error),
    }
}

fn other(
    path: &Path,
    doing: &'static str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::external(format!("{}: cannot {doing}", path.display()), error)
}

/// The CRC-32 and the length of a file as it is on disk.
pub(crate) fn checksum(path: &Path) -> Result<Sum> {
    let mut file = File::open(path).map_err(|source| Error::io(path.display(), "open", source))?;
    let mut crc = crc32fast::Hasher::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer) {
            Ok(0) => {
                return Ok(Sum {
                    crc32: crc.finalize(),
                    bytes,
                });
            }
            Ok(read) => {
                crc.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::io(path.display(), "read", source)),
        }
    }
}

/// Flushes a file or a folder to the disk.
pub(crate) fn sync(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| Error::io(path.display(), "sync", source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_while_writing_is_that_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let mut file = StagedFile::create(&path).unwrap();
        file.put(b"hay").unwrap();
        file.put(&[7; 100_000]).unwrap();
        assert_eq!(file.close().whole, checksum(&path).unwrap());
        let again = StagedFile::create(&path).err().unwrap().to_string();
        assert!(again.contains("part: cannot create"), "{again}");
    }

    #[test]
    fn a_full_disk_is_named_through_another_crate_s_error() {
        let full = io::Error::from_raw_os_error(28);
        let error = parquet_error(Path::new("out/p"), "write", ParquetError::from(full));
        assert!(
            matches!(&error, Error::Io { path, source, .. } if path == "out/p" && source.raw_os_error() == Some(28)),
            "{error:?}"
        );
    }
}
