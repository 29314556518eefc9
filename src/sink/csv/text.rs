//! Rows as records of CSV.
//!
//! In:  a batch, and how CSV is written.
//! Out: a header; one line a row, but for line ends in quotes.

use arrow_array::{Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Schema};

use super::{CsvStyle, is_nested};
use crate::error::Result;
use crate::sink::json::Lines;
use crate::sink::plain::{Float, Style, WriteValue, by_key, plain};

impl Style for &CsvStyle {
    const DOING: &'static str = "writing CSV";

    /// The fewest digits that read back as the same float, always with a point or
    /// an exponent of two digits or more, as Python has it: one way for a whole
    /// column, so that it is known to be of floats when it is read.
    fn float(self, value: impl Float, out: &mut Vec<u8>) -> Result<()> {
        let magnitude = value.into().abs();
        if magnitude.is_infinite() {
            let sign = if value.into() < 0.0 { "-" } else { "" };
            return self.put(format_args!("{sign}inf"), out);
        }
        if magnitude == 0.0 || magnitude.is_nan() || (1e-4..1e16).contains(&magnitude) {
            return self.put(format_args!("{value:?}"), out);
        }
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        match exponent.strip_prefix('-') {
            Some(exponent) => self.put(format_args!("{digits}e-{exponent:0>2}"), out),
            None => self.put(format_args!("{digits}e+{exponent:0>2}"), out),
        }
    }

    fn text(self, text: &str, out: &mut Vec<u8>) {
        write_text(text.as_bytes(), self, out);
    }
}

/// One column of a batch.
struct Column<'a> {
    nulls: Option<NullBuffer>,
    write: WriteValue<'a>,
}

/// The names of the columns, as a record.
pub(crate) fn header(schema: &Schema, style: &CsvStyle) -> Vec<u8> {
    let mut out = Vec::new();
    for (idx, field) in schema.fields().iter().enumerate() {
        if idx > 0 {
            out.push(style.delimiter);
        }
        let name = field.name().as_bytes();
        // A name with what might be a delimiter is quoted, so that readers tell which one is.
        if name.iter().any(|byte| b",;\t|".contains(byte)) {
            write_quoted(name, &mut out);
        } else {
            write_text(name, style, &mut out);
        }
    }
    out.push(b'\n');
    out
}

/// Appends every row of a batch as a record.
///
/// # Errors
///
/// [`crate::Error::Plan`] or [`crate::Error::External`] for a value that has no text.
pub(crate) fn write_records(
    batch: &RecordBatch,
    style: &CsvStyle,
    out: &mut Vec<u8>,
) -> Result<()> {
    // Nested columns are JSON's to write.
    let json = Lines::try_new(batch)?;
    let columns = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .enumerate()
        .map(|(idx, (field, column))| {
            Ok(Column {
                nulls: column
                    .logical_nulls()
                    .filter(|nulls| nulls.null_count() > 0),
                write: if is_nested(field.data_type()) {
                    nested(&json, idx, style)
                } else {
                    flat(column.as_ref(), style)?
                },
            })
        })
        .collect::<Result<Vec<_>>>()?;
    for row in 0..batch.num_rows() {
        for (idx, column) in columns.iter().enumerate() {
            if idx > 0 {
                out.push(style.delimiter);
            }
            match &column.nulls {
                Some(nulls) if nulls.is_null(row) => out.extend_from_slice(style.null.as_bytes()),
                _ => (column.write)(row, out)?,
            }
        }
        out.push(b'\n');
    }
    Ok(())
}

fn nested<'a>(json: &'a Lines<'a>, idx: usize, style: &'a CsvStyle) -> WriteValue<'a> {
    Box::new(move |row, out| {
        let mut value = Vec::new();
        json.write_value(idx, row, &mut value)?;
        write_text(&value, style, out);
        Ok(())
    })
}

fn flat<'a>(column: &'a dyn Array, style: &'a CsvStyle) -> Result<WriteValue<'a>> {
    if let Some(plain) = plain(column, style) {
        return Ok(plain);
    }
    if let DataType::Dictionary(_, _) = column.data_type() {
        return by_key(column, |values| flat(values.as_ref(), style));
    }
    let formatter = ArrayFormatter::try_new(column, &FormatOptions::default())?;
    Ok(Box::new(move |row, out| {
        let shown = formatter.value(row).try_to_string()?;
        write_text(shown.as_bytes(), style, out);
        Ok(())
    }))
}

/// Text, in quotes where it would not read back as it is.
fn write_text(text: &[u8], style: &CsvStyle, out: &mut Vec<u8>) {
    let is_plain =
        !text.is_empty() && text != style.null.as_bytes() && !needs_quotes(text, style.delimiter);
    if is_plain {
        return out.extend_from_slice(text);
    }
    write_quoted(text, out);
}

fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut start = 0;
    for quote in memchr::memchr_iter(b'"', text) {
        out.extend_from_slice(&text[start..=quote]);
        out.push(b'"');
        start = quote + 1;
    }
    out.extend_from_slice(&text[start..]);
    out.push(b'"');
}

/// Whether text without quotes would be cut, or taken for a quoted one.
pub(super) fn needs_quotes(text: &[u8], delimiter: u8) -> bool {
    memchr::memchr3(b'"', b'\n', b'\r', text).is_some() || memchr::memchr(delimiter, text).is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float32Array, Float64Array, StringArray};

    use super::*;

    fn written(columns: Vec<ArrayRef>, style: &CsvStyle) -> String {
        let named = columns.into_iter().enumerate();
        let named = named.map(|(idx, column)| (format!("c{idx}"), column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let mut out = header(batch.schema_ref(), style);
        write_records(&batch, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_quoted_where_it_would_not_come_back() {
        let texts = ["a", "", "a,b", "x\ny", "say \"hi\"", "\r", " b ", "NA"];
        let mut column: Vec<Option<&str>> = texts.into_iter().map(Some).collect();
        column.push(None);
        let column: ArrayRef = Arc::new(StringArray::from(column));
        let style = CsvStyle::default();
        assert_eq!(
            written(vec![column.clone(), column.clone()], &style),
            "c0,c1\na,a\n\"\",\"\"\n\"a,b\",\"a,b\"\n\"x\ny\",\"x\ny\"\n\
             \"say \"\"hi\"\"\",\"say \"\"hi\"\"\"\n\"\r\",\"\r\"\n b , b \nNA,NA\n,\n"
        );
        let style = CsvStyle {
            null: "NA".into(),
            ..style
        };
        assert!(written(vec![column], &style).ends_with(" b \n\"NA\"\nNA\n"));
    }

    #[test]
    fn floats_are_floats_again() {
        let wide = [
            1.0,
            -0.0,
            0.1,
            1e16,
            1e-5,
            5e-324,
            f64::MAX,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        let wide: ArrayRef = Arc::new(Float64Array::from(wide.to_vec()));
        let text = written(vec![wide], &CsvStyle::default());
        assert_eq!(
            text,
            "c0\n1.0\n-0.0\n0.1\n1e+16\n1e-05\n5e-324\n1.7976931348623157e+308\n-inf\nNaN\n"
        );
        let narrow: ArrayRef = Arc::new(Float32Array::from(vec![0.1f32, 1e-7, 16_777_216.0]));
        let text = written(vec![narrow], &CsvStyle::default());
        assert_eq!(text, "c0\n0.1\n1e-07\n16777216.0\n");
    }
}
