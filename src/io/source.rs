//! Stored bytes, and the text they stand for.
//!
//! In:  an open file or stream.
//! Out: decompressed bytes, written straight into the caller's buffer.
//!
//! Every source knows how many stored bytes it has taken, so that progress and
//! damage are reported in the bytes of the file as it lies on disk.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::error::{Error, Result};
use crate::io::encoding::Replaced;
use crate::io::head::HEAD_BYTES;
#[cfg(feature = "cloud")]
use crate::io::remote;
use crate::io::salvage::Damage;
#[cfg(feature = "cloud")]
use crate::io::store::Place;
use crate::io::store::SourceFile;

/// Bytes asked of the system at once. Inflating from 128 KiB was as fast as
/// from 1 MiB, and 15 % faster than from 32 KiB.
const READ_BYTES: usize = 128 << 10;

/// Bytes of an object that are fetched before they are asked for, where
/// nobody says how many: 8 MiB hide 50 ms of latency at 160 MB/s.
pub(crate) const AHEAD_BYTES: u64 = 8 << 20;

/// Bytes of an object that are asked for first: small objects come whole.
pub const FIRST_AHEAD_BYTES: u64 = 512 << 10;

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
    /// What was replaced on lines that begin `before` a byte, and was not told yet.
    fn replaced(&mut self, _before: u64) -> Option<Replaced> {
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
    /// Opens a file or standard input, to read all of it.
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
    file: Opened,
    path: String,
    from: u64,
    at: u64,
    /// The file must be at least this long, as it was when it was cut.
    bytes: u64,
}

impl Plain {
    pub(crate) fn new(mut file: Opened, path: &str, from: u64, bytes: u64) -> Result<Self> {
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

/// A file or an object, open at a place.
pub(crate) enum Opened {
    Local(File),
    #[cfg(feature = "cloud")]
    Remote(remote::Ahead),
}

impl Read for Opened {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Opened::Local(file) => file.read(out),
            #[cfg(feature = "cloud")]
            Opened::Remote(ahead) => ahead.read(out),
        }
    }
}

impl Seek for Opened {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match self {
            Opened::Local(file) => file.seek(to),
            #[cfg(feature = "cloud")]
            Opened::Remote(ahead) => ahead.seek(to),
        }
    }
}

impl Opened {
    /// Asks for the first bytes of an object, without waiting for them.
    pub(crate) fn begin(&mut self) -> std::io::Result<()> {
        match self {
            Opened::Local(_) => Ok(()),
            #[cfg(feature = "cloud")]
            Opened::Remote(ahead) => ahead.begin(),
        }
    }
}

/// Opens what can be read more than once, at its first byte.
pub(crate) fn open(file: &SourceFile) -> Result<Opened> {
    open_ahead(file, None, AHEAD_BYTES)
}

/// The same, told what of it will be read (all, if nothing is said) and how
/// many bytes of an object may be fetched ahead. An object is open at the
/// range's first byte, a file of this machine at its own.
pub(crate) fn open_ahead(
    file: &SourceFile,
    range: Option<Range<u64>>,
    ahead_bytes: u64,
) -> Result<Opened> {
    #[cfg(feature = "cloud")]
    if let Place::Remote(object) = file.place() {
        return Ok(Opened::Remote(match range {
            None => remote::Ahead::whole(object.clone(), ahead_bytes),
            Some(range) => remote::Ahead::range(object.clone(), range, ahead_bytes),
        }));
    }
    #[cfg(not(feature = "cloud"))]
    let _ = (range, ahead_bytes); // a local file is read ahead by the system
    let file =
        File::open(file.location()).map_err(|source| Error::io(&file.path, "open", source))?;
    Ok(Opened::Local(file))
}

/// What `reader` holds, up to its end or the end of `head`; says how much.
pub(crate) fn read_full(reader: &mut dyn Read, head: &mut [u8], path: &str) -> Result<usize> {
    let mut filled = 0;
    while filled < head.len() {
        match read(reader, &mut head[filled..], path)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// The first bytes of a file, at most [`HEAD_BYTES`] of them, to a reader that
/// may look at fewer. Of an object they are fetched once for several looks.
pub(crate) fn open_head(file: &SourceFile) -> Result<Box<dyn Read>> {
    #[cfg(feature = "cloud")]
    if let Place::Remote(object) = file.place() {
        let head = object
            .read(0..object.bytes().min(HEAD_BYTES as u64))
            .map_err(|source| Error::io(&file.path, "read", source))?;
        return Ok(Box::new(std::io::Cursor::new(head)));
    }
    Ok(Box::new(open(file)?.take(HEAD_BYTES as u64)))
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
