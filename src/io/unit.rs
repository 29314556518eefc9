//! What can be opened on its own.
//!
//! In:  a file of the list.
//! Out: its units: byte ranges of a plain file, or the whole of anything else.
//!
//! The units of a file, in order, hold each of its records exactly once.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::io::array::is_array;
use crate::io::compression::Compression;
use crate::io::framing::{Framing, RecordKind};
use crate::io::head::{HEAD_BYTES, skip_bom};
use crate::io::ranges;
use crate::io::source;
use crate::io::store::SourceFile;

/// A piece of a file that is read from its start to its end by one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Which part of it.
    pub extent: Extent,
}

/// Which part of a file a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it, as one stream.
    Whole,
    /// The records whose first byte lies in `start..end` of a plain file.
    Range {
        /// First byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
}

impl Unit {
    /// All of a file.
    pub fn whole(file: Arc<SourceFile>) -> Self {
        Unit {
            file,
            extent: Extent::Whole,
        }
    }

    /// Stored bytes this unit will read; 0 where that is not known.
    pub fn stored_bytes(&self) -> u64 {
        match self.extent {
            Extent::Whole => self.file.bytes,
            Extent::Range { start, end } => end - start,
        }
    }
}

/// Cuts a file into units: ranges of about `range_bytes` if it is plain text
/// with a record a line, else one. Gzip and zstd files, pipes, standard input
/// and a top-level JSON array are one unit. Opens the file only if it is
/// longer than one range, and reads its first bytes then.
///
/// # Errors
///
/// [`Error::Config`] for a codec that is not read, [`Error::Io`] if the file cannot be read.
pub fn units(file: &SourceFile, range_bytes: u64) -> Result<Vec<Unit>> {
    units_framed(file, range_bytes, &Framing::default())
}

/// The same for records of any kind. CSV is one unit: where its records begin
/// depends on all quotes before.
///
/// # Errors
///
/// As [`units`].
pub fn units_framed(file: &SourceFile, range_bytes: u64, framing: &Framing) -> Result<Vec<Unit>> {
    let shared = Arc::new(file.clone());
    // Nothing to cut, or nothing that could be read twice. A file in /proc has
    // a length of zero and is read as a stream.
    let mut ranges = ranges::cut(file.bytes, range_bytes);
    let many = ranges.next().is_some() && ranges.next().is_some();
    if !file.seekable || !many || !framing.is_cuttable() || !is_cuttable(file, framing)? {
        return Ok(vec![Unit::whole(shared)]);
    }
    Ok(ranges::cut(file.bytes, range_bytes)
        .map(|range| Unit {
            file: Arc::clone(&shared),
            extent: Extent::Range {
                start: range.start,
                end: range.end,
            },
        })
        .collect())
}

/// Whether a record begins after every newline of the file as it is stored.
fn is_cuttable(file: &SourceFile, framing: &Framing) -> Result<bool> {
    let mut reader = source::open_head(file)?;
    let mut head = vec![0; 4 << 10];
    let mut filled = 0;
    loop {
        let n = source::read(&mut reader, &mut head[filled..], &file.path)?;
        filled += n;
        let known = &head[..filled];
        if n > 0 && filled < head.len() {
            continue;
        }
        if Compression::detect(&file.path, known)? != Compression::None {
            return Ok(false);
        }
        if framing.records == RecordKind::Line {
            return Ok(!matches!(known, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]));
        }
        let text = &known[skip_bom(&file.path, known)?..];
        match is_array(text) {
            Some(array) => return Ok(!array),
            None if n == 0 || filled >= HEAD_BYTES => return Ok(true),
            None => head.resize(HEAD_BYTES, 0),
        }
    }
}

/// The codec of a file, by its first bytes; none for standard input and pipes,
/// which must not be read ahead of time.
///
/// # Errors
///
/// [`Error::Config`] for a codec that is not read, [`Error::Io`] if the file cannot be read.
pub fn compression(file: &SourceFile) -> Result<Option<Compression>> {
    if !file.seekable {
        return Ok(None);
    }
    let mut head = [0; super::compression::MAGIC_BYTES];
    let filled = source::read_full(&mut source::open_head(file)?, &mut head, &file.path)?;
    Compression::detect(&file.path, &head[..filled]).map(Some)
}

/// Refuses options that no reader can work with.
pub(crate) fn at_least_one(setting: &str, value: u64) -> Result<()> {
    if value == 0 {
        return Err(Error::config(setting, "it must be more than zero"));
    }
    Ok(())
}
