//! Our own CSV, read back.
//!
//! In:  files that this module's writer made.
//! Out: their rows and codec; or the same rows under a wider schema.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::text::{header, write_records};
use super::{CsvStyle, is_nested};
use crate::error::{Error, Result};
use crate::io::csv::{CsvDecoder, CsvLayout, CsvOptions};
use crate::io::json::{DecodeOptions, JsonSchema, SchemaMode};
use crate::sink::codec::Codec;
use crate::sink::file::Sum;
use crate::sink::json::parse;
use crate::sink::members::{TextFile, open};
use crate::sink::part::Segment;
use crate::sink::schema::stored_schema;
use crate::sink::settle::Found;
use crate::sink::widen::{Widen, widen_batch};

/// Rows widened at once.
const WINDOW_ROWS: usize = 8192;

/// Decompresses a file and counts its records but for the header.
pub(crate) fn inspect(path: &Path) -> Result<Found> {
    let (mut text, codec) = open(path)?;
    let mut found = Found {
        row_groups: 1,
        codecs: vec![codec],
        ..Found::default()
    };
    // All quotes come in pairs, so their number tells where a line end is one.
    let (mut records, mut is_quoted, mut last) = (0u64, false, 0);
    loop {
        let buffer = match text.fill_buf() {
            Ok([]) => break,
            Ok(buffer) => buffer,
            Err(error) => return Err(Error::corrupt(path.display(), None, error.to_string())),
        };
        for at in memchr::memchr2_iter(b'"', b'\n', buffer) {
            if buffer[at] == b'"' {
                is_quoted = !is_quoted;
            } else {
                records += u64::from(!is_quoted);
            }
        }
        found.bytes += buffer.len() as u64;
        last = buffer[buffer.len() - 1];
        let read = buffer.len();
        text.consume(read);
    }
    if is_quoted || last != b'\n' {
        let reason = "the last record has no end";
        return Err(Error::corrupt(path.display(), None, reason));
    }
    found.rows = records.saturating_sub(1);
    Ok(found)
}

/// Writes segments one after the other under the final schema. Gives the
/// file's sum.
pub(crate) fn rewrite(
    segments: &[Segment],
    path: &Path,
    stored: &SchemaRef,
    style: &CsvStyle,
    codec: Codec,
    widen: &Widen<'_>,
) -> Result<Sum> {
    let mut out = TextFile::create(path, codec)?;
    out.append_text(header(stored, style))?;
    for segment in segments {
        let held = stored_schema(&segment.known, false)?;
        let mut records = Records::open(&segment.path, style)?;
        while let Some(batch) = records.next(&held)? {
            let wide = widen_batch(&batch, &segment.known, stored, widen)?;
            let mut text = Vec::new();
            write_records(&wide, style, &mut text)?;
            out.append_text(text)?;
        }
    }
    Ok(out.finish()?.whole)
}

/// The records of a staged file, some at a time.
struct Records<'a> {
    text: Box<dyn BufRead>,
    path: &'a Path,
    options: CsvOptions,
    layout: Option<Arc<CsvLayout>>,
    /// Text read so far.
    at: u64,
}

impl<'a> Records<'a> {
    fn open(path: &'a Path, style: &CsvStyle) -> Result<Self> {
        let (text, _) = open(path)?;
        let nulls = match style.null.as_str() {
            "" => Vec::new(),
            null => vec![null.to_owned()],
        };
        Ok(Records {
            text,
            path,
            options: CsvOptions {
                delimiter: Some(style.delimiter),
                nulls,
                ..CsvOptions::default()
            },
            layout: None,
            at: 0,
        })
    }

    fn broken(&self) -> Error {
        let reason = "a staged record is not as it was written";
        Error::corrupt(self.path.display(), None, reason)
    }

    /// The next records, whole.
    fn window(&mut self) -> Result<Vec<u8>> {
        let mut lines = Vec::new();
        let (mut n, mut is_quoted) = (0, false);
        while n < WINDOW_ROWS {
            let start = lines.len();
            let read = self
                .text
                .read_until(b'\n', &mut lines)
                .map_err(|source| Error::io(self.path.display(), "read", source))?;
            if read == 0 {
                break;
            }
            is_quoted ^= memchr::memchr_iter(b'"', &lines[start..]).count() % 2 == 1;
            n += usize::from(!is_quoted);
        }
        Ok(lines)
    }

    /// The next rows, of the schema `held`.
    fn next(&mut self, held: &SchemaRef) -> Result<Option<RecordBatch>> {
        let mut lines = self.window()?;
        if lines.is_empty() {
            return Ok(None);
        }
        let layout = match &self.layout {
            Some(layout) => Arc::clone(layout),
            None => {
                let name = self.path.display().to_string();
                let found = CsvLayout::find(&lines, true, &self.options, &name, 0)?;
                let layout = Arc::new(found.ok_or_else(|| self.broken())?);
                self.layout = Some(Arc::clone(&layout));
                layout
            }
        };
        let names = held
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), DataType::Utf8, true));
        let texts = JsonSchema::from_arrow(&Schema::new(names.collect::<Vec<_>>()))?;
        let options = DecodeOptions {
            mode: SchemaMode::Strict,
            ..DecodeOptions::default()
        };
        let at = self.at;
        self.at += lines.len() as u64;
        let decoded =
            CsvDecoder::new(Arc::new(options), None).decode(&mut lines, at, &layout, &texts)?;
        if !decoded.bad.is_empty() || decoded.blank > 0 {
            return Err(self.broken());
        }
        let columns = held
            .fields()
            .iter()
            .zip(decoded.batch.columns())
            .map(|(field, column)| typed(field, column))
            .collect::<Result<Vec<_>>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(decoded.batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(held), columns, &rows)?;
        Ok(Some(batch))
    }
}

/// A column of text as it was before it was written.
fn typed(field: &Field, text: &ArrayRef) -> Result<ArrayRef> {
    if is_nested(field.data_type()) {
        let values = text.as_string::<i32>().iter();
        let spans: Vec<Option<&[u8]>> = values.map(|value| value.map(str::as_bytes)).collect();
        return parse(field, &spans);
    }
    let exact = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(text, field.data_type(), &exact)?)
}
