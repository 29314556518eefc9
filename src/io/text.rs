//! Opens a unit as text.
//!
//! In:  a unit and how its text is to be cut.
//! Out: chunks of whole lines, in order, with their place in the file.
//!
//! Chunks of a unit follow each other without a gap, and those of a file's
//! units in order make up its text, less a byte order mark and, where they are
//! passed over, what lies behind the first bytes of records that are too long.
//! CRLF is kept.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::io::boundary::first_record;
use crate::io::codecs::Decoded;
use crate::io::compression::{Compression, MAGIC_BYTES};
use crate::io::csv::CsvLayout;
use crate::io::encoding::{Replaced, Transcoded};
use crate::io::framing::{Framing, RecordKind};
use crate::io::gzip::Gzip;
use crate::io::lines::Lines;
use crate::io::salvage::Damage;
use crate::io::source::{self, AHEAD_BYTES, Opened, Plain, Source, Stored};
use crate::io::store::SourceFile;
use crate::io::unit::{Extent, Unit, at_least_one};
use crate::io::zstd::Zstd;
use crate::size::ByteSize;

/// The largest chunk there is: its buffer is made before anything is read.
pub const MOST_CHUNK_BYTES: usize = 64 << 20;

/// How text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Bytes of a chunk at most, unless one record is longer. Default 1 MiB,
    /// so that a chunk and what is decoded from it stay in cache: decoding ran
    /// at 1,100 MB/s so, at 700 MB/s from 64 MiB.
    pub chunk_bytes: usize,
    /// Decompressed bytes of a block; no chunk holds records of two. Default 128 MiB.
    pub blocksize: u64,
    /// The longest record, in bytes without its newline. Default 256 MiB; it
    /// keeps a file without newlines from filling the memory.
    pub max_record_bytes: u64,
    /// The setting to raise for a longer record, as messages name it. Default `max-record`.
    pub limited_by: &'static str,
    /// Whether to go on behind a record that is longer: then its first bytes are
    /// a chunk of their own, with [`TextChunk::long`]. Default no: it is an error.
    pub pass_long: bool,
    /// Whether to go on behind damage in gzip and zstd files. Default no:
    /// damage is an error. What is lost then is told by [`TextReader::damage`].
    pub salvage: bool,
    /// Bytes of an object behind a URL that a reader fetches ahead and holds.
    /// Default 8 MiB; larger hides more latency. Files of this machine need none.
    pub ahead_bytes: u64,
}

impl Default for TextOptions {
    fn default() -> Self {
        TextOptions {
            chunk_bytes: 1 << 20,
            blocksize: 128 << 20,
            max_record_bytes: 256 << 20,
            limited_by: "max-record",
            pass_long: false,
            salvage: false,
            ahead_bytes: AHEAD_BYTES,
        }
    }
}

/// Whole lines of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextChunk {
    /// The lines, with their newlines; the last of a file may have none.
    pub bytes: Vec<u8>,
    /// Which file: [`SourceFile::index`].
    pub file: u32,
    /// The decompressed byte of the file that `bytes` begins with.
    pub first_byte: u64,
    /// `first_byte / blocksize`: which block the records belong to.
    pub block: u64,
    /// Set if this is one record that is too long; `bytes` holds its beginning.
    pub long: Option<LongRecord>,
    /// What of it was no text and became U+FFFD. Only with [`Framing::lossy`].
    pub replaced: Option<Replaced>,
}

/// A record that is too long to be read: of which only the beginning was kept,
/// or of CSV the first line, the rest being read as records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongRecord {
    /// Bytes of all that is passed over, without its newline.
    pub bytes: u64,
    /// The limit that it passes and the setting to raise, in words.
    pub reason: String,
}

/// Text, read from a unit chunk by chunk.
pub trait TextReader: Send {
    /// The next chunk, or none at the end. `reuse` is a chunk's buffer that is
    /// no longer needed (or an empty one): handed back as it came, it saves
    /// the system's work for fresh memory.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] for damage, naming the stored byte;
    /// [`Error::Decode`] for a record that is too long or a broken top-level
    /// array; [`Error::Io`] if reading fails. Nothing can be read afterwards.
    fn next_chunk(&mut self, reuse: Vec<u8>) -> Result<Option<TextChunk>>;

    /// Stored bytes taken from the file so far.
    fn stored_bytes_read(&self) -> u64;

    /// What was passed over so far, if anything was. Only with [`TextOptions::salvage`].
    fn damage(&self) -> Option<&Damage>;

    /// What a file's first record says of the others. Only of CSV.
    fn csv_layout(&self) -> Option<&Arc<CsvLayout>>;
}

/// Opens a unit of JSON lines; as [`open_framed`].
///
/// # Errors
///
/// As [`open_framed`].
pub fn open(unit: &Unit, options: &TextOptions) -> Result<Box<dyn TextReader>> {
    open_framed(unit, options, &Framing::default())
}

/// Opens a unit. Holds one descriptor, and two chunks of memory at most beside
/// the decoder's own.
///
/// Plain text and its codecs are told apart by their first bytes. A text of
/// JSON that is one array of objects is handed out with a record a line, every
/// byte in its place.
///
/// # Errors
///
/// [`Error::Config`] for options of zero, chunks above
/// [`MOST_CHUNK_BYTES`] or a codec that is not read,
/// [`Error::Decode`] for UTF-16 or UTF-32 where that is not read and for a
/// header that is no record, [`Error::Io`] if the file cannot be
/// read; else as [`TextReader::next_chunk`].
pub fn open_framed(
    unit: &Unit,
    options: &TextOptions,
    framing: &Framing,
) -> Result<Box<dyn TextReader>> {
    check(options)?;
    let file = match unit.file.is_stdin() {
        true => None,
        false => Some(open_stored(unit, options)?),
    };
    lines(unit, file, options, framing)
}

/// A unit that will be read before long.
pub struct Begun {
    unit: Unit,
    file: Option<Opened>,
}

/// Gets ready to open a unit. Of an object, the first bytes are asked for, so
/// that they are on their way; nothing happens to a file of this machine.
///
/// # Errors
///
/// [`Error::Io`] if nothing can be asked for.
pub fn begin(unit: Unit, options: &TextOptions) -> Result<Begun> {
    let file = match unit.file.is_remote() {
        false => None,
        true => {
            let mut file = open_stored(&unit, options)?;
            file.begin()
                .map_err(|source| Error::io(&unit.file.path, "read", source))?;
            Some(file)
        }
    };
    Ok(Begun { unit, file })
}

impl Begun {
    /// Opens the unit, as [`open_framed`] does.
    ///
    /// # Errors
    ///
    /// As [`open_framed`].
    pub fn open(self, options: &TextOptions, framing: &Framing) -> Result<Box<dyn TextReader>> {
        match self.file {
            None => open_framed(&self.unit, options, framing),
            file => {
                check(options)?;
                lines(&self.unit, file, options, framing)
            }
        }
    }
}

fn check(options: &TextOptions) -> Result<()> {
    at_least_one("chunk_bytes", options.chunk_bytes as u64)?;
    if options.chunk_bytes > MOST_CHUNK_BYTES {
        let most = ByteSize::new(MOST_CHUNK_BYTES as u64);
        return Err(Error::config(
            "chunk_bytes",
            format!("it can be {most} at most"),
        ));
    }
    at_least_one("blocksize", options.blocksize)?;
    at_least_one("max-record", options.max_record_bytes)
}

/// Opens the stored bytes of a unit.
fn open_stored(unit: &Unit, options: &TextOptions) -> Result<Opened> {
    match unit.extent {
        Extent::Whole => source::open_ahead(&unit.file, None, options.ahead_bytes),
        // The byte before it tells whether a record begins with the range.
        Extent::Range { start, end } => {
            let range = start.saturating_sub(1)..end;
            source::open_ahead(&unit.file, Some(range), options.ahead_bytes)
        }
    }
}

/// Cuts a unit into chunks of lines; without a file it is standard input.
fn lines(
    unit: &Unit,
    file: Option<Opened>,
    options: &TextOptions,
    framing: &Framing,
) -> Result<Box<dyn TextReader>> {
    let lines = match (unit.extent, file) {
        (Extent::Range { start, end }, Some(mut file)) => {
            let path = &unit.file.path;
            let first = first_record(&mut file, path, start..end)?;
            // A range inside one record has none of its own.
            let from = first.unwrap_or(end);
            let source = Plain::new(file, path, from, unit.file.bytes)?;
            let source = Box::new(source);
            Lines::range(source, unit.file.clone(), *options, framing, from, end)?
        }
        (_, file) => {
            let input = match file {
                Some(file) => Stored::new(Box::new(file), &unit.file.path),
                None => Stored::open(&unit.file)?,
            };
            let source = decompressed(input, &unit.file.path, options.salvage, framing)?;
            Lines::whole(source, unit.file.clone(), *options, framing)?
        }
    };
    Ok(Box::new(lines))
}

/// A file's text, from the first byte.
pub(crate) fn open_whole(
    file: &SourceFile,
    salvage: bool,
    framing: &Framing,
) -> Result<Box<dyn Source>> {
    decompressed(Stored::open(file)?, &file.path, salvage, framing)
}

/// The text that stored bytes stand for.
pub(crate) fn decompressed(
    mut input: Stored,
    path: &str,
    salvage: bool,
    framing: &Framing,
) -> Result<Box<dyn Source>> {
    input.want(MAGIC_BYTES)?;
    let source: Box<dyn Source> = match Compression::detect(path, input.available())? {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(Gzip::new(input, salvage)),
        Compression::Zstd => Box::new(Zstd::try_new(input, salvage)?),
        other => Box::new(Decoded::try_new(input, other, salvage)?),
    };
    Ok(match framing.records {
        RecordKind::Json if !framing.lossy => source,
        _ => Box::new(Transcoded::new(source, path, framing)),
    })
}
