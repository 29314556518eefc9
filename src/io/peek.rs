//! A first look at a text, without taking it away.
//!
//! In:  a file, or standard input.
//! Out: its first lines; reading it later begins at its first byte again.

use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::io::csv::CsvLayout;
use crate::io::framing::Framing;
use crate::io::lines::Lines;
use crate::io::source::Stored;
use crate::io::store::SourceFile;
use crate::io::text::{self, TextOptions, TextReader};
use crate::io::unit::Unit;

/// The first lines of a text.
#[derive(Debug, Default)]
pub struct Peek {
    /// Whole lines, unless the first one is longer than what was looked at.
    pub text: Vec<u8>,
    /// Stored bytes that they took.
    pub stored_bytes: u64,
    /// Whether this is all the text there is.
    pub whole: bool,
    /// The byte of the file that `text` begins with, decompressed.
    pub first_byte: u64,
    /// What a CSV file's first record says of the others.
    pub csv_layout: Option<Arc<CsvLayout>>,
}

/// Stored bytes of standard input that were read ahead, to be read again.
static STDIN_AHEAD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// About the first `bytes` of a file's decompressed text, behind records
/// longer than `max_record_bytes` if it begins with such.
///
/// # Errors
///
/// As [`text::open`] and [`TextReader::next_chunk`].
pub fn peek(
    file: &SourceFile,
    bytes: usize,
    max_record_bytes: u64,
    framing: &Framing,
) -> Result<Peek> {
    let options = TextOptions {
        chunk_bytes: bytes.max(1),
        ahead_bytes: bytes as u64, // a look needs little more than it shows
        max_record_bytes,
        pass_long: true,
        ..TextOptions::default()
    };
    if file.is_stdin() {
        return peek_stdin(file, options, framing);
    }
    if !file.seekable {
        return Ok(Peek::default()); // a pipe can be read only once
    }
    let unit = Unit::whole(Arc::new(file.clone()));
    let mut reader = text::open_framed(&unit, &options, framing)?;
    let peek = first_of(&mut *reader)?;
    Ok(Peek {
        whole: file.bytes > 0 && peek.stored_bytes >= file.bytes,
        ..peek
    })
}

fn first_of(reader: &mut dyn TextReader) -> Result<Peek> {
    // The first lines that are records, as far as length tells.
    let first = loop {
        match reader.next_chunk(Vec::new())? {
            Some(chunk) if chunk.long.is_some() => {}
            first => break first,
        }
    };
    Ok(Peek {
        whole: false,
        first_byte: first.as_ref().map_or(0, |chunk| chunk.first_byte),
        text: first.map(|chunk| chunk.bytes).unwrap_or_default(),
        stored_bytes: reader.stored_bytes_read(),
        csv_layout: reader.csv_layout().cloned(),
    })
}

fn peek_stdin(file: &SourceFile, options: TextOptions, framing: &Framing) -> Result<Peek> {
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
    let input = Stored::new(Box::new(Cursor::new(ahead.clone())), &file.path);
    drop(ahead);
    // What was read ahead may end inside a member: whole lines before that are all we want.
    let source = text::decompressed(input, &file.path, true, framing)?;
    let mut lines = Lines::whole(source, Arc::new(file.clone()), options, framing)?;
    Ok(Peek {
        whole,
        ..first_of(&mut lines)?
    })
}

/// Standard input from its first byte, whatever was looked at before.
pub(crate) fn stdin() -> Box<dyn Read + Send> {
    let ahead = std::mem::take(&mut *STDIN_AHEAD.lock().unwrap_or_else(PoisonError::into_inner));
    Box::new(Cursor::new(ahead).chain(std::io::stdin()))
}
