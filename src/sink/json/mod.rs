//! JSON Lines part files.
//!
//! In:  rows, as batches.
//! Out: one object a line, nulls left out; and rows from such lines again.

use arrow_array::RecordBatch;

use crate::error::Result;

mod parse;
mod reread;
mod text;

pub(crate) use parse::parse;
pub(crate) use reread::{inspect, rewrite};
pub(crate) use text::Lines;

/// The rows of a batch as JSON Lines, as part files hold them.
///
/// # Errors
///
/// [`Error::Plan`](crate::Error::Plan) or [`Error::External`](crate::Error::External)
/// for a value that JSON cannot hold.
pub fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    write_lines(batch, &mut text)?;
    Ok(text)
}

/// Appends the rows of a batch as lines.
pub(crate) fn write_lines(batch: &RecordBatch, text: &mut Vec<u8>) -> Result<()> {
    Lines::try_new(batch)?.write(text)
}
