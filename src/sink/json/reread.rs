//! Our own JSON Lines, read back.
//!
//! In:  files that this module's writer made.
//! Out: their rows and codec; or the same rows under a wider schema.
//!
//! Only columns whose type changed are parsed; the text of the others is
//! copied. A reader for text that is known to be ours can be small: members
//! come in the order of the schema, and there is no white space.

use std::io::BufRead;
use std::path::Path;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use super::parse::{Spans, broken, cut_members, parse};
use super::text::{Lines, write_text};
use crate::error::{Error, Result};
use crate::sink::codec::Codec;
use crate::sink::file::Sum;
use crate::sink::members::{TextFile, open};
use crate::sink::part::Segment;
use crate::sink::schema::same_column;
use crate::sink::settle::Found;
use crate::sink::widen::{Widen, widen_columns};

/// Rows widened at once.
const WINDOW_ROWS: usize = 8192;

/// Decompresses a file and counts its lines.
pub(crate) fn inspect(path: &Path) -> Result<Found> {
    let (mut text, codec) = open(path)?;
    let mut found = Found {
        row_groups: 1,
        codecs: vec![codec],
        ..Found::default()
    };
    let mut last = b'\n';
    loop {
        let buffer = match text.fill_buf() {
            Ok([]) => break,
            Ok(buffer) => buffer,
            Err(error) => return Err(Error::corrupt(path.display(), None, error.to_string())),
        };
        found.rows += memchr::memchr_iter(b'\n', buffer).count() as u64;
        found.bytes += buffer.len() as u64;
        last = buffer[buffer.len() - 1];
        let read = buffer.len();
        text.consume(read);
    }
    if last != b'\n' {
        let reason = "the last line has no end";
        return Err(Error::corrupt(path.display(), None, reason));
    }
    Ok(found)
}

/// Writes segments one after the other under the final schema. Gives the
/// file's CRC-32 and length.
pub(crate) fn rewrite(
    segments: &[Segment],
    path: &Path,
    stored: &SchemaRef,
    codec: Codec,
    widen: &Widen<'_>,
) -> Result<Sum> {
    let mut out = TextFile::create(path, codec)?;
    for segment in segments {
        let columns = Columns::new(&segment.known, stored);
        let (mut text, _) = open(&segment.path)?;
        loop {
            let (lines, rows) = next_lines(&mut text, &segment.path)?;
            if rows == 0 {
                break;
            }
            let wider = columns
                .widen(&lines, rows, widen)
                .map_err(|error| match error {
                    Error::Corrupt { reason, .. } => {
                        Error::corrupt(segment.path.display(), None, reason)
                    }
                    other => other,
                })?;
            out.append_text(wider)?;
        }
    }
    Ok(out.finish()?.whole)
}

/// The next lines of a file, whole, and how many.
fn next_lines(text: &mut Box<dyn BufRead>, path: &Path) -> Result<(Vec<u8>, usize)> {
    let mut lines = Vec::new();
    for row in 0..WINDOW_ROWS {
        let read = text
            .read_until(b'\n', &mut lines)
            .map_err(|source| Error::io(path.display(), "read", source))?;
        if read == 0 {
            return Ok((lines, row));
        }
    }
    Ok((lines, WINDOW_ROWS))
}

/// What becomes of each column of a segment.
struct Columns<'a> {
    known: &'a SchemaRef,
    stored: &'a SchemaRef,
    /// `"name":` of each known column.
    keys: Vec<Vec<u8>>,
    /// Known columns that have another type now.
    changed: Vec<usize>,
    /// Known columns that must be parsed: those, and those that may not be null.
    parsed: Vec<bool>,
}

impl<'a> Columns<'a> {
    fn new(known: &'a SchemaRef, stored: &'a SchemaRef) -> Self {
        let keys = known.fields().iter().map(|field| {
            let mut key = Vec::new();
            write_text(field.name(), &mut key);
            key.push(b':');
            key
        });
        let changed: Vec<usize> = (0..known.fields().len())
            .filter(|&idx| {
                let field = known.field(idx);
                stored
                    .field_with_name(field.name())
                    .is_ok_and(|now| !same_column(now, field))
            })
            .collect();
        let parsed = (0..known.fields().len())
            .map(|idx| changed.contains(&idx) || !known.field(idx).is_nullable())
            .collect();
        Columns {
            keys: keys.collect(),
            known,
            stored,
            changed,
            parsed,
        }
    }

    /// Lines of the final schema from lines of the known one.
    fn widen(&self, lines: &[u8], rows: usize, widen: &Widen<'_>) -> Result<Vec<u8>> {
        let spans = self.spans(lines, rows)?;
        let columns = (0..self.keys.len())
            .map(|idx| {
                if !self.parsed[idx] {
                    return Ok(None);
                }
                parse(self.known.field(idx), &spans[idx]).map(Some)
            })
            .collect::<Result<Vec<Option<ArrayRef>>>>()?;
        let wide = widen_columns(
            &columns,
            rows,
            self.known,
            &self.changed,
            self.stored,
            widen,
        )?;
        let fields = self.changed.iter().map(|&idx| {
            let name = self.known.field(idx).name();
            self.stored.field_with_name(name).cloned()
        });
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = SchemaRef::new(arrow_schema::Schema::new(fields));
        let wide = RecordBatch::try_new_with_options(schema, wide, &options)?;
        let wide = Lines::try_new(&wide)?;

        let mut out = Vec::with_capacity(lines.len() + lines.len() / 8);
        for row in 0..rows {
            self.write_line(row, &spans, &wide, &mut out)?;
        }
        Ok(out)
    }

    /// One line of the final schema: text that is copied, and what was widened.
    fn write_line(
        &self,
        row: usize,
        spans: &[Spans<'_>],
        wide: &Lines<'_>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        out.push(b'{');
        let start = out.len();
        for field in self.stored.fields() {
            let Some((idx, _)) = self.known.column_with_name(field.name()) else {
                continue;
            };
            let before = out.len();
            if before > start {
                out.push(b',');
            }
            out.extend_from_slice(&self.keys[idx]);
            let present = match self.changed.iter().position(|changed| *changed == idx) {
                Some(place) => wide.write_value(place, row, out)?,
                None => spans[idx][row]
                    .map(|text| out.extend_from_slice(text))
                    .is_some(),
            };
            if !present {
                out.truncate(before);
            }
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    /// The text of every value, by column; nothing where a member is left out.
    fn spans<'t>(&self, lines: &'t [u8], rows: usize) -> Result<Vec<Spans<'t>>> {
        let mut spans: Vec<Spans<'t>> = vec![Vec::with_capacity(rows); self.keys.len()];
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let members = line
                .strip_prefix(b"{")
                .and_then(|line| line.strip_suffix(b"}\n"))
                .ok_or_else(broken)?;
            cut_members(members, &self.keys, &mut spans)?;
        }
        Ok(spans)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::sink::members::compress;

    #[test]
    fn rows_and_codec_are_read_from_the_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for codec in [Codec::None, Codec::Gzip(6), Codec::Zstd(1)] {
            let mut file = File::create(&path).unwrap();
            for member in ["{}\n{}\n", "{}\n"] {
                let member = compress(member.as_bytes().to_vec(), codec).unwrap();
                file.write_all(&member).unwrap();
            }
            drop(file);
            let found = inspect(&path).unwrap();
            assert_eq!((found.rows, found.bytes), (3, 9), "{codec}");
            assert_eq!(found.codecs, [codec.family()]);
        }
    }

    #[test]
    fn a_file_cut_short_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for codec in [Codec::None, Codec::Gzip(6), Codec::Zstd(1)] {
            let whole = compress(b"{\"a\":1}\n".repeat(9), codec).unwrap();
            std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
            let error = inspect(&path).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{codec}: {error}");
        }
    }
}
