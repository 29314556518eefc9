//! Lines as they are: the decoder of plain text.
//!
//! In:  chunks of lines.
//! Out: a batch with a column `line`, and one with the byte at which each
//!      begins where that is asked for. Every line is a row, a blank one, too;
//!      one that is not UTF-8 is bad.

use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Result};
use crate::expr::RowError;
use crate::io::json::decode::select;
use crate::io::json::{
    BadRecord, DecodeOptions, Decoded, FailedRecord, JsonSchema, Line, RowPredicate,
};

/// The name of the column that holds lines.
pub const LINE_COLUMN: &str = "line";

/// The columns of text, with that of bytes if it has a name.
///
/// # Errors
///
/// [`Error::Config`] if the name is that of the lines.
pub fn line_schema(byte_column: Option<&str>) -> Result<JsonSchema> {
    if byte_column == Some(LINE_COLUMN) {
        return Err(Error::config(
            "include-byte",
            format!("{LINE_COLUMN:?} is the name of the column of lines; choose another"),
        ));
    }
    let line = Field::new(LINE_COLUMN, DataType::Utf8, true);
    let byte = byte_column.map(|name| Field::new(name, DataType::UInt64, true));
    let fields: Vec<Field> = [line].into_iter().chain(byte).collect();
    JsonSchema::from_arrow(&Schema::new(fields))
}

/// Lines that are told apart.
struct Cut {
    all: RecordBatch,
    schema: JsonSchema,
    /// Of each row.
    places: Vec<Line>,
    n_lines: u64,
    bad: Vec<BadRecord>,
    /// Whether the last one is bad, and those behind it were not looked at.
    stopped: bool,
}

/// Decodes chunks of lines. Owned by one worker.
pub struct LineDecoder {
    options: Arc<DecodeOptions>,
    predicate: Option<Arc<dyn RowPredicate>>,
    byte_column: Option<String>,
}

impl LineDecoder {
    /// A decoder of lines, with a condition on rows if there is one.
    pub fn new(
        options: Arc<DecodeOptions>,
        predicate: Option<Arc<dyn RowPredicate>>,
        byte_column: Option<String>,
    ) -> Self {
        LineDecoder {
            options,
            predicate,
            byte_column,
        }
    }

    /// Takes another condition on rows from now on, or none.
    pub fn set_predicate(&mut self, predicate: Option<Arc<dyn RowPredicate>>) {
        self.predicate = predicate;
    }

    /// Decodes `text`, whole lines of which the last may lack its newline, that
    /// begins at byte `first_byte` of its file.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the lines are above 2 GiB; what the predicate returns
    /// without a row to blame.
    pub fn decode(&self, text: &[u8], first_byte: u64) -> Result<Decoded> {
        if i32::try_from(text.len()).is_err() {
            return Err(Error::config(
                "max-record",
                "one line is above the 2 GiB that a column of text can hold",
            ));
        }
        let Cut {
            all,
            schema,
            mut places,
            n_lines,
            bad,
            stopped,
        } = self.cut(text, first_byte)?;
        let kept = match self.keep(&all) {
            Ok(kept) => kept,
            Err(error) => {
                let failed = RowError::of(&error).and_then(|at| places.get(at.row));
                let Some(&place) = failed else {
                    return Err(error);
                };
                let mut decoded = self.decode(&text[..place.byte], first_byte)?;
                decoded.failed.get_or_insert(FailedRecord { place, error });
                return Ok(decoded);
            }
        };
        if let Some(rows) = &kept {
            places = rows.iter().map(|row| places[*row]).collect();
        }
        let kept = match &kept {
            Some(rows) => {
                let rows = UInt32Array::from_iter_values(rows.iter().map(|row| *row as u32));
                arrow_select::take::take_record_batch(&all, &rows)?
            }
            None => all.clone(),
        };
        let (schema, batch) = self.project(&schema, &kept)?;
        Ok(Decoded {
            filtered: (all.num_rows() - batch.num_rows()) as u64,
            batch,
            schema,
            lines: n_lines,
            blank: 0,
            bad,
            stopped,
            inner_lines: 0,
            duplicate_keys: 0,
            ignored_values: 0,
            typed: Vec::new(),
            places,
            failed: None,
        })
    }

    /// The lines of `text`, until a bad one if that is not to be kept.
    fn cut(&self, text: &[u8], first_byte: u64) -> Result<Cut> {
        let mut lines = StringBuilder::with_capacity(text.len() / 64, text.len());
        let mut bytes = UInt64Builder::new();
        let (mut bad, mut places) = (Vec::new(), Vec::new());
        let (mut n_lines, mut start, mut stopped) = (0, 0, false);
        while start < text.len() && !stopped {
            let rest = &text[start..];
            let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
            match simdutf8::compat::from_utf8(line) {
                Ok(line) => {
                    lines.append_value(line);
                    bytes.append_value(first_byte + start as u64);
                    places.push(Line {
                        byte: start,
                        number: n_lines,
                    });
                }
                Err(error) => {
                    bad.push(BadRecord {
                        byte: start as u64,
                        line: n_lines,
                        len: line.len(),
                        column: None,
                        reason: format!("not UTF-8 at byte {} of the record", error.valid_up_to()),
                    });
                    stopped = !self.options.keep_bad;
                }
            }
            n_lines += 1;
            start += len + 1;
        }
        let schema = line_schema(self.byte_column.as_deref())?;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(lines.finish())];
        if self.byte_column.is_some() {
            columns.push(Arc::new(bytes.finish()));
        }
        Ok(Cut {
            all: RecordBatch::try_new(schema.to_arrow(), columns)?,
            schema,
            places,
            n_lines,
            bad,
            stopped,
        })
    }

    /// The rows to keep; none means all.
    fn keep(&self, all: &RecordBatch) -> Result<Option<Vec<usize>>> {
        let Some(predicate) = &self.predicate else {
            return Ok(None);
        };
        select(predicate.as_ref(), all).map(Some)
    }

    fn project(
        &self,
        schema: &JsonSchema,
        batch: &RecordBatch,
    ) -> Result<(JsonSchema, RecordBatch)> {
        let Some(wanted) = &self.options.columns else {
            return Ok((schema.clone(), batch.clone()));
        };
        let schema = schema.project(wanted);
        let arrow = schema.to_arrow();
        let columns = arrow
            .fields()
            .iter()
            .filter_map(|field| batch.column_by_name(field.name()).cloned())
            .collect();
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(arrow, columns, &rows)?;
        Ok((schema, batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;

    #[test]
    fn every_line_is_a_row_and_bytes_that_are_no_text_are_bad() {
        let options = DecodeOptions {
            keep_bad: true,
            ..DecodeOptions::default()
        };
        let decoder = LineDecoder::new(Arc::new(options), None, Some("at".into()));
        let decoded = decoder.decode(b"a\r\n\n\xff\n last", 100).unwrap();
        let lines: Vec<_> = decoded.batch.column(0).as_string::<i32>().iter().collect();
        assert_eq!(lines, [Some("a"), Some(""), Some(" last")]);
        let at = decoded
            .batch
            .column(1)
            .as_primitive::<arrow_array::types::UInt64Type>();
        assert_eq!(at.values(), &[100, 103, 106]);
        assert_eq!((decoded.lines, decoded.blank, decoded.bad.len()), (4, 0, 1));
        assert_eq!((decoded.bad[0].byte, decoded.bad[0].line), (4, 2));
    }
}
