//! Single rows and records, for eyes and for programs.
//!
//! In:  columns of a batch; a file and a byte.
//! Out: text of cells, one raw record.

use arrow_array::Array;
use arrow_cast::display::{ArrayFormatter, FormatOptions};

use crate::error::Result;
use crate::io::{RawRecord, SourceFile, TextOptions, record_at};
use crate::plan::{FileFormat, ReadOptions};

/// The values of a column as people read them; null is `null`.
///
/// # Errors
///
/// [`crate::Error::External`] for a type that has no text.
pub fn cells(column: &dyn Array) -> Result<Vec<String>> {
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(column, &options)?;
    (0..column.len())
        .map(|row| Ok(formatter.value(row).try_to_string()?))
        .collect()
}

/// The record that a byte of a file's decompressed text lies in; none behind its end.
/// Reads the file up to there. Without `format`, that is told as for reading. Of `options` count
/// those that say what the text is, how long a record may be, and whether damage is passed over.
///
/// # Errors
///
/// [`crate::Error::Io`] if there is no such file, [`crate::Error::Corrupt`] if it is damaged before that byte
/// and `options.salvage` is not set, [`crate::Error::Decode`] if a record is too long.
pub fn raw_record(
    path: &str,
    byte: u64,
    format: Option<FileFormat>,
    options: &ReadOptions,
) -> Result<Option<RawRecord>> {
    let file = SourceFile::at(path, 0)?;
    let format = match format {
        Some(format) => format,
        None => FileFormat::of(&file)?,
    };
    let text = TextOptions {
        max_record_bytes: options.max_record.bytes(),
        salvage: options.salvage,
        ..TextOptions::default()
    };
    record_at(&file, byte, &text, &options.framing(format))
}
