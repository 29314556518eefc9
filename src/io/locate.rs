//! The slow path: which record, byte and line.
//!
//! In:  a file and a byte of its decompressed text.
//! Out: the record there, with its line.
//!
//! The fast path carries only bytes; a line is counted after a failure, by
//! reading the file again from its start. Standard input cannot be read again.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::io::framing::Framing;
use crate::io::source::Filled;
use crate::io::store::SourceFile;
use crate::io::text::{TextOptions, open_framed, open_whole};
use crate::io::unit::Unit;

/// A record as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Decompressed byte it begins at.
    pub first_byte: u64,
    /// Its line, the first is 1; in a top-level array, its number.
    pub line: u64,
    /// Its bytes, without the line end.
    pub bytes: Vec<u8>,
}

/// The record that decompressed byte `byte` of a file lies in; its newline
/// counts as its own, and so do those that a record of CSV holds. None behind the end. Reads the file up to there,
/// with the `options` that it is read with but for the blocksize, so that a byte means the same.
///
/// # Errors
///
/// As [`open_framed`] and the reader it gives; [`Error::Config`] for standard input.
pub fn record_at(
    file: &SourceFile,
    byte: u64,
    options: &TextOptions,
    framing: &Framing,
) -> Result<Option<RawRecord>> {
    refuse_stream(file)?;
    let options = TextOptions {
        blocksize: u64::MAX,
        ..*options
    };
    let unit = Unit::whole(Arc::new(file.clone()));
    let mut reader = open_framed(&unit, &options, framing)?;
    let mut buf = Vec::new();
    let mut newlines = 0;
    while let Some(chunk) = reader.next_chunk(std::mem::take(&mut buf))? {
        let behind = chunk.first_byte + chunk.bytes.len() as u64;
        if byte >= behind {
            newlines += memchr::memchr_iter(b'\n', &chunk.bytes).count() as u64;
            buf = chunk.bytes;
            continue;
        }
        // Before the first record lies only a byte order mark.
        let at = byte.saturating_sub(chunk.first_byte) as usize;
        let text = &chunk.bytes;
        let (from, to) = match reader.csv_layout() {
            Some(layout) => layout.record_around(text, at),
            None => (
                memchr::memrchr(b'\n', &text[..at]).map_or(0, |at| at + 1),
                memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end),
            ),
        };
        newlines += memchr::memchr_iter(b'\n', &text[..from]).count() as u64;
        let record = &text[from..to];
        return Ok(Some(RawRecord {
            first_byte: chunk.first_byte + from as u64,
            line: newlines + 1,
            bytes: record.strip_suffix(b"\r").unwrap_or(record).to_vec(),
        }));
    }
    Ok(None)
}

/// The line that decompressed byte `byte` of a file lies in, the first is 1.
/// Reads the file up to there, and does not look at what its lines hold.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Corrupt`]; [`Error::Config`] for standard input.
pub fn line_of(file: &SourceFile, byte: u64, framing: &Framing) -> Result<u64> {
    refuse_stream(file)?;
    let mut source = open_whole(file, false, framing)?;
    let mut buf = vec![0; 256 << 10];
    let mut left = byte;
    let mut newlines = 0;
    while left > 0 {
        let room = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let Filled::Bytes(n) = source.fill(&mut buf[..room])? else {
            break;
        };
        newlines += memchr::memchr_iter(b'\n', &buf[..n]).count() as u64;
        left -= n as u64;
    }
    Ok(newlines + 1)
}

fn refuse_stream(file: &SourceFile) -> Result<()> {
    if file.seekable {
        return Ok(());
    }
    Err(Error::config(
        &file.path,
        "a stream cannot be read a second time: store it in a file first",
    ))
}
