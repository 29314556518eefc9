//! A first look at a text, without taking it away.
//!
//! In:  a file, or standard input.
//! Out: its first lines; reading it later begins at its first byte again.

use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::io::compression::{Compression, MAGIC_BYTES};
use crate::io::gzip::Gzip;
use crate::io::lines::Lines;
use crate::io::source::{Source, Stored};
use crate::io::store::SourceFile;
use crate::io::text::{self, TextOptions, TextReader};
use crate::io::unit::Unit;
use crate::io::zstd::Zstd;

/// The first lines of a text.
#[derive(Debug, Default)]
pub struct Peek {
    /// Whole lines, unless the first one is longer than what was looked at.
    pub text: Vec<u8>,
    /// Stored bytes that they took.
    pub stored_bytes: u64,
    /// Whether this is all the text there is.
    pub whole: bool,
}

/// Stored bytes of standard input that were read ahead, to be read again.
static STDIN_AHEAD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// About the first `bytes` of a file's decompressed text, behind records
/// longer than `max_record_bytes` if it begins with such.
///
/// # Errors
///
/// As [`text::open`] and [`TextReader::next_chunk`].
pub fn peek(file: &SourceFile, bytes: usize, max_record_bytes: u64) -> Result<Peek> {
    let options = TextOptions {
        chunk_bytes: bytes.max(1),
        ahead_bytes: bytes as u64, // a look needs little more than it shows
        max_record_bytes,
        pass_long: true,
        ..TextOptions::default()
    };
    if file.is_stdin() {
        return peek_stdin(file, options);
    }
    if !file.seekable {
        return Ok(Peek::default()); // a pipe can be read only once
    }
    let mut reader = text::open(&Unit::whole(Arc::new(file.clone())), &options)?;
    let first = first_chunk(reader.as_mut())?;
    Ok(Peek {
        whole: file.bytes > 0 && reader.stored_bytes_read() >= file.bytes,
        text: first,
        stored_bytes: reader.stored_bytes_read(),
    })
}

/// The first lines that are records, as far as length tells.
fn first_chunk(reader: &mut dyn TextReader) -> Result<Vec<u8>> {
    loop {
        match reader.next_chunk(Vec::new())? {
            None => return Ok(Vec::new()),
            Some(chunk) if chunk.long.is_none() => return Ok(chunk.bytes),
            Some(_) => {}
        }
    }
}

fn peek_stdin(file: &SourceFile, options: TextOptions) -> Result<Peek> {
    let mut ahead = STDIN_AHEAD.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = options.chunk_bytes;
    let mut more = Vec::new();
    std::io::stdin()
        .lock()
        .take(wanted.saturating_sub(ahead.len()) as u64)
        .read_to_end(&mut more)
        .map_err(|source| Error::io(&file.path, "read", source))?;
    ahead.extend_from_slice(&more);
    let whole = ahead.len() < wanted;
    let mut input = Stored::new(Box::new(Cursor::new(ahead.clone())), &file.path);
    drop(ahead);
    input.want(MAGIC_BYTES)?;
    // What was read ahead may end inside a member: whole lines before that are all we want.
    let source: Box<dyn Source> = match Compression::detect(&file.path, input.available())? {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(Gzip::new(input, true)),
        Compression::Zstd => Box::new(Zstd::try_new(input, true)?),
    };
    let mut lines = Lines::whole(source, Arc::new(file.clone()), options)?;
    Ok(Peek {
        text: first_chunk(&mut lines)?,
        stored_bytes: lines.stored_bytes_read(),
        whole,
    })
}

/// Standard input from its first byte, whatever was looked at before.
pub(crate) fn stdin() -> Box<dyn Read + Send> {
    let ahead = std::mem::take(&mut *STDIN_AHEAD.lock().unwrap_or_else(PoisonError::into_inner));
    Box::new(Cursor::new(ahead).chain(std::io::stdin()))
}
