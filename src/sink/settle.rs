//! A staged part becomes the file that readers will see.
//!
//! In:  the segments of a part and the run's final schema.
//! Out: one file in its place, read back, with its report.
//!
//! One segment of the final schema is renamed, and one that only lacks columns may
//! grow where it lies; anything else is written again.
//! Either way what the report says about rows and codec is read from the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow_schema::SchemaRef;

use super::encode::Style;
use super::file::{Sum, checksum, sync};
use super::options::Format;
use super::part::{FinishedPart, Segment};
use super::report::{OutputReport, Range};
use super::schema::difference;
use super::widen::Widen;
use super::{csv, ipc, json, parquet};
use crate::error::{Error, Result};

/// What a file was found to hold.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: u64,
    /// Before compression, as the format holds them.
    pub(crate) bytes: u64,
    pub(crate) row_groups: u64,
    /// Every codec in use, sorted; more than one only where columns have their own.
    pub(crate) codecs: Vec<&'static str>,
    /// Parquet: the codecs that each leaf has, by its path.
    pub(crate) of_leaves: BTreeSet<(String, &'static str)>,
    pub(crate) ranges: BTreeMap<String, Range>,
}

impl Found {
    /// The codec in words: several joined, "none" for a file without data.
    pub(crate) fn codec(&self) -> String {
        match self.codecs.as_slice() {
            [] => "none".to_owned(),
            codecs => codecs.join("+"),
        }
    }
}

/// Makes the part's file at `path`, which readers will know as `name`.
pub(crate) fn settle(
    part: &FinishedPart,
    path: &Path,
    name: String,
    style: &Style,
    stored: &SchemaRef,
    durable: bool,
    widen: &Widen<'_>,
) -> Result<OutputReport> {
    let (sum, rewritten) = place(part, path, style, stored, widen)?;
    if durable {
        sync(path)?;
    }
    let found = inspect(path, style.format)?;
    prove(path, &found, style, part.rows())?;
    Ok(OutputReport {
        path: name,
        rows: found.rows,
        bytes: part.bytes(),
        stored_bytes: sum.bytes,
        codec: found.codec(),
        row_groups: found.row_groups,
        crc32: format!("{:08x}", sum.crc32),
        rewritten,
        ranges: found.ranges,
    })
}

/// Puts the part's file at `path`: as it is, grown, or written again.
/// Gives its sum, and whether it was written again.
fn place(
    part: &FinishedPart,
    path: &Path,
    style: &Style,
    stored: &SchemaRef,
    widen: &Widen<'_>,
) -> Result<(Sum, bool)> {
    if let [whole] = part.segments.as_slice()
        && let Some(sum) = in_place(whole, style, stored)?
    {
        std::fs::rename(&whole.path, path)
            .map_err(|source| Error::io(path.display(), "rename a staged file to", source))?;
        return Ok((sum, false));
    }
    let sum = rewrite(&part.segments, path, style, stored, widen)?;
    for segment in &part.segments {
        std::fs::remove_file(&segment.path)
            .map_err(|source| Error::io(segment.path.display(), "remove", source))?;
    }
    Ok((sum, true))
}

/// Brings a segment to the final schema where it lies, if that can be done.
fn in_place(segment: &Segment, style: &Style, stored: &SchemaRef) -> Result<Option<Sum>> {
    if style.stored(&segment.known)? == *stored {
        return Ok(Some(segment.closed.whole));
    }
    match (style.format, segment.closed.body) {
        (Format::Parquet, Some(body)) => {
            parquet::grow(&segment.path, &segment.known, body, stored, &style.parquet)
        }
        _ => Ok(None),
    }
}

fn rewrite(
    segments: &[Segment],
    path: &Path,
    style: &Style,
    stored: &SchemaRef,
    widen: &Widen<'_>,
) -> Result<Sum> {
    match style.format {
        Format::Parquet => {
            let sources: Vec<parquet::Source<'_>> = segments
                .iter()
                .map(|segment| parquet::Source {
                    path: &segment.path,
                    known: &segment.known,
                })
                .collect();
            parquet::splice(&sources, path, stored, &style.parquet, widen)
        }
        Format::Ipc => ipc::rewrite(segments, path, stored, style.codec, widen),
        Format::Json => json::rewrite(segments, path, stored, style.codec, widen),
        Format::Csv => csv::rewrite(segments, path, stored, &style.csv, style.codec, widen),
    }
}

/// Reads back what a file says about itself; text, which has no footer, whole.
pub(crate) fn inspect(path: &Path, format: Format) -> Result<Found> {
    match format {
        Format::Parquet => parquet::inspect(path),
        Format::Ipc => ipc::inspect(path),
        Format::Json => json::inspect(path),
        Format::Csv => csv::inspect(path),
    }
}

/// What was asked for must be what is there, column by column.
fn prove(path: &Path, found: &Found, style: &Style, rows: u64) -> Result<()> {
    if found.rows != rows {
        return Err(Error::internal(format!(
            "{} holds {} rows and {rows} were written",
            path.display(),
            found.rows
        )));
    }
    let wrong = |what: String, found: &str, asked: &str| {
        Err(Error::internal(format!(
            "{what} is compressed with {found} and {asked} was asked for"
        )))
    };
    if style.format == Format::Parquet {
        for (leaf, found) in &found.of_leaves {
            let asked = style.parquet.codecs.of(leaf).family();
            if *found != asked {
                return wrong(format!("{}: column {leaf:?}", path.display()), found, asked);
            }
        }
        return Ok(());
    }
    let asked = style.codec.family();
    match found.codecs.iter().find(|found| **found != asked) {
        Some(found) => wrong(path.display().to_string(), found, asked),
        None => Ok(()),
    }
}

/// The Arrow schema of a file of another program; nothing for formats without one.
pub(crate) fn schema_of(path: &Path, format: Format) -> Result<Option<SchemaRef>> {
    match format {
        Format::Parquet => Ok(Some(parquet::read_schema(path)?)),
        Format::Ipc => Ok(Some(ipc::read_schema(path)?)),
        Format::Json | Format::Csv => Err(Error::config(
            "append",
            format!(
                "{} came without a manifest, so its columns are not known; write to another folder",
                path.display()
            ),
        )),
    }
}

/// A report on a file of another program, whose schema must be `stored`.
pub(crate) fn adopt(
    path: &Path,
    name: String,
    format: Format,
    stored: &SchemaRef,
) -> Result<OutputReport> {
    if let Some(schema) = schema_of(path, format)?
        && let Some(difference) = difference(&schema, stored)
    {
        return Err(Error::config(
            "append",
            format!("{} has another schema: {difference}", path.display()),
        ));
    }
    let sum = checksum(path)?;
    let found = inspect(path, format)?;
    Ok(OutputReport {
        path: name,
        rows: found.rows,
        bytes: found.bytes,
        stored_bytes: sum.bytes,
        codec: found.codec(),
        row_groups: found.row_groups,
        crc32: format!("{:08x}", sum.crc32),
        rewritten: false,
        ranges: found.ranges,
    })
}
