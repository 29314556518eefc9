//! Stored bytes, and the text they stand for.
//!
//! In:  an open file or stream.
//! Out: decompressed bytes, written straight into the caller's buffer.
//!
//! Every source knows how many stored bytes it has taken, so that progress and
//! damage are reported in the bytes of the file as it lies on disk.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use crate::error::{Error, Result};
use crate::io::salvage::Damage;
use crate::io::store::SourceFile;

/// Bytes asked of the system at once. Inflating from 128 KiB was as fast as
/// from 1 MiB, and 15 % faster than from 32 KiB.
const READ_BYTES: usize = 128 << 10;

/// What one call of [`Source::fill`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Some text is missing here: what comes next does not continue what came before.
    Gap,
    /// Nothing more.
    End,
}

/// Text, byte after byte.
pub(crate) trait Source: Send {
    /// Writes text to the front of `out`, which is not empty.
    fn fill(&mut self, out: &mut [u8]) -> Result<Filled>;
    /// Stored bytes taken so far.
    fn stored_bytes_read(&self) -> u64;
    /// What was lost so far, where the source goes on after damage.
    fn damage(&self) -> Option<&Damage> {
        None
    }
    /// The same, to add to.
    fn damage_mut(&mut self) -> Option<&mut Damage> {
        None
    }
}

/// Stored bytes, buffered, with their place in the file.
pub(crate) struct Stored {
    reader: Box<dyn Read + Send>,
    pub path: String,
    buf: Vec<u8>,
    /// `buf[pos..end]` is read but not taken.
    pos: usize,
    end: usize,
    /// The place of `buf[0]` in the file.
    base: u64,
    /// Taken bytes kept in front of `pos`, to go back to.
    history: usize,
}

impl Stored {
    /// Opens a file or standard input.
    pub(crate) fn open(file: &SourceFile) -> Result<Self> {
        let reader: Box<dyn Read + Send> = if file.is_stdin() {
            crate::io::peek::stdin()
        } else {
            Box::new(open(file)?)
        };
        Ok(Stored::new(reader, &file.path))
    }

    pub(crate) fn new(reader: Box<dyn Read + Send>, path: &str) -> Self {
        Stored {
            reader,
            path: path.to_string(),
            buf: Vec::new(),
            pos: 0,
            end: 0,
            base: 0,
            history: 0,
        }
    }

    /// Keeps at least `bytes` taken bytes from now on, for [`Stored::go_back`].
    pub(crate) fn keep_history(&mut self, bytes: usize) {
        self.history = bytes;
    }

    /// The bytes that are read and not taken.
    pub(crate) fn available(&self) -> &[u8] {
        &self.buf[self.pos..self.end]
    }

    /// Takes the first `n` available bytes.
    pub(crate) fn take(&mut self, n: usize) {
        self.pos += n;
        debug_assert!(self.pos <= self.end);
    }

    /// Takes one byte, or none at the end of the file.
    pub(crate) fn take_byte(&mut self) -> Result<Option<u8>> {
        if self.pos == self.end && !self.refill()? {
            return Ok(None);
        }
        let byte = self.buf[self.pos];
        self.pos += 1;
        Ok(Some(byte))
    }

    /// The place of the first byte that is not taken.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.pos as u64
    }

    /// Gives back up to `n` taken bytes, as far as they are still held.
    pub(crate) fn go_back(&mut self, n: u64) {
        self.pos -= usize::try_from(n).map_or(self.pos, |n| n.min(self.pos));
    }

    /// Reads until `n` bytes are available or the file ends; says how many are.
    pub(crate) fn want(&mut self, n: usize) -> Result<usize> {
        while self.end - self.pos < n && self.refill()? {}
        Ok(self.end - self.pos)
    }

    /// Reads more behind the available bytes. False at the end of the file.
    pub(crate) fn refill(&mut self) -> Result<bool> {
        let keep_from = self.pos.saturating_sub(self.history);
        if keep_from > 0 {
            self.buf.copy_within(keep_from..self.end, 0);
            self.base += keep_from as u64;
            self.pos -= keep_from;
            self.end -= keep_from;
        }
        if self.buf.len() < self.end + READ_BYTES {
            self.buf.resize(self.end + READ_BYTES, 0);
        }
        let n = read(&mut *self.reader, &mut self.buf[self.end..], &self.path)?;
        self.end += n;
        Ok(n > 0)
    }

    /// Takes bytes into `out`: those at hand, else straight from the file.
    fn take_into(&mut self, out: &mut [u8]) -> Result<usize> {
        let held = self.available();
        if held.is_empty() {
            let n = read(&mut *self.reader, out, &self.path)?;
            self.base += n as u64;
            return Ok(n);
        }
        let n = held.len().min(out.len());
        out[..n].copy_from_slice(&held[..n]);
        self.take(n);
        Ok(n)
    }
}

/// Text that is stored as it is, to the end of the stream.
impl Source for Stored {
    fn fill(&mut self, out: &mut [u8]) -> Result<Filled> {
        match self.take_into(out)? {
            0 => Ok(Filled::End),
            n => Ok(Filled::Bytes(n)),
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        self.offset()
    }
}

/// A plain file from a given byte on.
pub(crate) struct Plain {
    file: File,
    path: String,
    from: u64,
    at: u64,
    /// The file must be at least this long, as it was when it was cut.
    bytes: u64,
}

impl Plain {
    pub(crate) fn new(mut file: File, path: &str, from: u64, bytes: u64) -> Result<Self> {
        file.seek(SeekFrom::Start(from))
            .map_err(|source| Error::io(path, "seek", source))?;
        Ok(Plain {
            file,
            path: path.to_string(),
            from,
            at: from,
            bytes,
        })
    }
}

impl Source for Plain {
    fn fill(&mut self, out: &mut [u8]) -> Result<Filled> {
        let n = read(&mut self.file, out, &self.path)?;
        self.at += n as u64;
        if n > 0 {
            return Ok(Filled::Bytes(n));
        }
        if self.at < self.bytes {
            return Err(became_shorter(&self.path, self.at, self.bytes));
        }
        Ok(Filled::End)
    }

    fn stored_bytes_read(&self) -> u64 {
        self.at - self.from
    }
}

/// A file ends at byte `at` that had `bytes` when it was cut.
pub(crate) fn became_shorter(path: &str, at: u64, bytes: u64) -> Error {
    Error::corrupt(
        path,
        Some(at),
        format!("the file became shorter while it was read: it had {bytes} bytes or more"),
    )
}

/// Opens an ordinary file.
pub(crate) fn open(file: &SourceFile) -> Result<File> {
    File::open(file.location()).map_err(|source| Error::io(&file.path, "open", source))
}

/// Reads once, again if a signal came in between.
pub(crate) fn read(reader: &mut dyn Read, out: &mut [u8], path: &str) -> Result<usize> {
    loop {
        match reader.read(out) {
            Ok(n) => return Ok(n),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::io(path, "read", source)),
        }
    }
}
