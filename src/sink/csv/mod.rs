//! CSV part files.
//!
//! In:  row groups, as batches of flat columns.
//! Out: a header and one record a row, as RFC 4180 has it but for `\n` as the line end.
//!
//! What is written reads back as it was: text that would not is in quotes,
//! floats are written so that they are floats again. Null is nothing, or the
//! text that was chosen for it; the empty text is `""`. So in a table of one column
//! a null is a blank line, which is a record of one empty field, not no record.

use arrow_schema::{DataType, Field, Schema};

use crate::error::{Error, Result};

mod reread;
mod text;

pub(crate) use reread::{inspect, rewrite};
pub(crate) use text::{header, write_records};

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvStyle {
    /// What stands between fields, an ASCII character. Default: a comma.
    pub delimiter: u8,
    /// The text of a null. Default: nothing. In a table of one column that makes
    /// a blank line, which programs that pass over blank lines (pandas, Spark) do
    /// not take for a row: choose a text for them.
    pub null: String,
    /// Whether structs, lists and maps are written as JSON text. Default: such
    /// columns are refused before anything is written.
    pub nested_as_json: bool,
}

impl Default for CsvStyle {
    fn default() -> Self {
        CsvStyle {
            delimiter: b',',
            null: String::new(),
            nested_as_json: false,
        }
    }
}

impl CsvStyle {
    /// Refuses what could not be read again.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the option.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.delimiter.is_ascii() || matches!(self.delimiter, b'\n' | b'\r' | b'"' | 0) {
            return Err(Error::config(
                "write-delimiter",
                "it must be one ASCII character, and neither a quote nor a line end",
            ));
        }
        if text::needs_quotes(self.null.as_bytes(), self.delimiter) {
            return Err(Error::config(
                "write-null",
                format!(
                    "{:?} could not stand without quotes, and in quotes it is no null",
                    self.null
                ),
            ));
        }
        Ok(())
    }

    /// Refuses columns that have no text.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] naming the first.
    pub(crate) fn check_columns(&self, schema: &Schema) -> Result<()> {
        let nested = |field: &&std::sync::Arc<Field>| is_nested(field.data_type());
        match schema.fields().iter().find(nested) {
            Some(field) if !self.nested_as_json => Err(Error::plan(format!(
                "column {:?} is {}, which CSV has no form for: leave it out, or have it \
                 written as JSON text (--nested-as-json)",
                field.name(),
                field.data_type()
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether a value of this type holds others.
fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_nested(values),
        other => other.is_nested(),
    }
}
