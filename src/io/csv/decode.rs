//! Chunks of CSV records to batches: the decoder that one worker owns.
//!
//! In:  about 1 MiB of whole records, the layout of their file, and the schema known so far.
//! Out: a batch, the schema it has, and every record accounted for.
//!
//! `lines = rows + filtered + bad + blank` holds for every chunk, where a line
//! is a record, however many line ends stand in its quotes, or a blank line or
//! comment. A header is none of them.
//!
//! ```text
//! decode ── all fits ────────────────────────────────▶ batch
//!    └───── something new ── learn the rest ── decode ─▶ batch, wider schema
//! ```
//!
//! With a predicate, its columns alone are decoded for every record, and all
//! columns for the records it selects.

use std::collections::HashSet;
use std::sync::Arc;

use super::build::Built;
use super::cell::Records;
use super::layout::CsvLayout;
use super::rows::Rows;
use super::task::{Task, Which, padded, without_padding};
use super::typed::looked_at;
use crate::error::Result;
use crate::expr::RowError;
use crate::io::json::decode::select;
use crate::io::json::scan::Text;
use crate::io::json::{
    DecodeOptions, Decoded, FailedRecord, JsonSchema, Line, RowPredicate, SchemaMode,
};

/// Names of columns that are asked for.
type Wanted = Arc<HashSet<String>>;

/// Decodes chunks of one input. Owned by one worker; keeps its buffers between chunks.
pub struct CsvDecoder {
    options: Arc<DecodeOptions>,
    wanted: Option<Wanted>,
    predicate: Option<(Arc<dyn RowPredicate>, Wanted)>,
    keep_places: bool,
    /// Columns under construction, kept for the next chunk like this one.
    full: Option<Rows>,
    narrow: Option<Rows>,
}

impl CsvDecoder {
    /// A decoder of records, with a condition on rows if there is one.
    pub fn new(options: Arc<DecodeOptions>, predicate: Option<Arc<dyn RowPredicate>>) -> Self {
        let mut decoder = CsvDecoder {
            wanted: options.columns.as_deref().map(set_of),
            predicate: None,
            keep_places: true,
            options,
            full: None,
            narrow: None,
        };
        decoder.set_predicate(predicate);
        decoder
    }

    /// The same decoder, which tells the line of each row or, if nobody will
    /// ask and rows have columns, does not. Default: it does.
    #[must_use]
    pub fn with_places(mut self, keep: bool) -> Self {
        self.keep_places = keep;
        self
    }

    /// Tells the line of each row from now on; false if it did so before.
    pub fn keep_places(&mut self) -> bool {
        !std::mem::replace(&mut self.keep_places, true)
    }

    /// Takes another condition on rows from now on, or none.
    pub fn set_predicate(&mut self, predicate: Option<Arc<dyn RowPredicate>>) {
        self.predicate = predicate.map(|predicate| {
            let wanted = set_of(predicate.columns());
            (predicate, wanted)
        });
    }

    /// Decodes `text`, whole records of a file with this `layout`, of which the
    /// last may lack its line end, knowing `schema` from before. `first_byte` is
    /// its place in the file. The text comes back as it was, perhaps with more room.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) if the schema has a type that no field is decoded to,
    /// or one column of the chunk outgrows 2 GiB; what the predicate returns
    /// without a row to blame. Bad records are no errors here: they are in
    /// [`Decoded::bad`], and a row that the predicate fails on is in [`Decoded::failed`].
    pub fn decode(
        &mut self,
        text: &mut Vec<u8>,
        first_byte: u64,
        layout: &Arc<CsvLayout>,
        schema: &JsonSchema,
    ) -> Result<Decoded> {
        let from = layout.records_from.saturating_sub(first_byte);
        let from = usize::try_from(from).map_or(text.len(), |from| from.min(text.len()));
        let len = padded(text, &layout.dialect);
        let decoded = self.decode_records(text, len, from, layout, schema);
        let typed = match looked_at(layout, first_byte) {
            0 => Vec::new(),
            end => {
                let wanted = self.wanted.clone();
                let task = self.task(text, len, from, layout, wanted.as_deref());
                task.typed(end, schema)
            }
        };
        without_padding(text, len);
        let decoded = Decoded { typed, ..decoded? };
        decoded.adding_up("records of CSV")
    }

    /// The records in `from..len` of a padded text.
    fn task<'a>(
        &self,
        text: &'a [u8],
        len: usize,
        from: usize,
        layout: &'a Arc<CsvLayout>,
        wanted: Option<&'a HashSet<String>>,
    ) -> Task<'a> {
        Task {
            records: Records {
                text: Text::ended_by(text, len + 1, layout.dialect.terminator),
                len,
                dialect: &layout.dialect,
            },
            layout,
            which: Which::From(from),
            is_utf8: simdutf8::basic::from_utf8(&text[..len]).is_ok(),
            mode: self.options.mode,
            wanted,
            keep_bad: self.options.keep_bad,
        }
    }

    /// Decodes the records in `from..len` of a padded text.
    fn decode_records(
        &mut self,
        text: &[u8],
        len: usize,
        from: usize,
        layout: &Arc<CsvLayout>,
        schema: &JsonSchema,
    ) -> Result<Decoded> {
        let options = Arc::clone(&self.options);
        let wanted = self.wanted.clone();
        let projected = match &options.columns {
            Some(columns) => schema.project(columns),
            None => schema.clone(),
        };
        let task = self.task(text, len, from, layout, wanted.as_deref());
        let Some((predicate, predicate_wanted)) = self.predicate.clone() else {
            let built = task.build(&projected, &mut self.full)?;
            return Ok(self.decoded(built, &task, 0));
        };

        let looked_at = Task {
            mode: SchemaMode::Widen,
            wanted: Some(&predicate_wanted),
            ..task
        };
        let narrow = schema.project(predicate.columns());
        let seen = looked_at.build(&narrow, &mut self.narrow)?;
        let selected = match select(predicate.as_ref(), &seen.batch) {
            Ok(selected) => selected,
            Err(error) => {
                // What stands before the record that the predicate failed on, with that failure.
                let failed = RowError::of(&error).and_then(|at| seen.starts.get(at.row));
                let Some(&byte) = failed else {
                    return Err(error);
                };
                let mut decoded = self.decode_head(text, byte, from, layout, schema)?;
                let place = Line {
                    byte,
                    number: task.line_of(byte),
                };
                // Without the rows behind it, an earlier one may be found.
                decoded.failed.get_or_insert(FailedRecord { place, error });
                return Ok(decoded);
            }
        };
        let selected: Vec<usize> = selected.iter().map(|row| seen.starts[*row]).collect();
        let filtered = (seen.starts.len() - selected.len()) as u64;
        let chosen = Task {
            which: Which::Only(&selected),
            ..task
        };
        let mut built = chosen.build(&projected, &mut self.full)?;
        if let (true, Some(last)) = (built.stopped, built.bad.last()) {
            // A selected record does not fit: the chunk ends with it, and nothing behind it counts.
            let end = task.records.after_record(last.byte as usize);
            if end < len {
                return self.decode_head(text, end, from, layout, schema);
            }
        }
        built.stopped |= seen.stopped;
        built.bad.extend(seen.bad);
        built.bad.sort_by_key(|bad| bad.byte);
        built.lines = seen.lines;
        built.blank = seen.blank;
        Ok(self.decoded(built, &task, filtered))
    }

    /// Decodes as if the chunk ended at byte `end`.
    #[cold]
    fn decode_head(
        &mut self,
        text: &[u8],
        end: usize,
        from: usize,
        layout: &Arc<CsvLayout>,
        schema: &JsonSchema,
    ) -> Result<Decoded> {
        let mut head = text[..end].to_vec();
        let len = padded(&mut head, &layout.dialect);
        self.decode_records(&head, len, from.min(len), layout, schema)
    }

    fn decoded(&self, built: Built, task: &Task<'_>, filtered: u64) -> Decoded {
        let is_asked = self.keep_places || built.batch.num_columns() == 0;
        Decoded {
            inner_lines: task.inner_lines(built.lines),
            places: if is_asked {
                task.places(&built.starts)
            } else {
                Vec::new()
            },
            failed: None,
            batch: built.batch,
            schema: built.schema,
            lines: built.lines,
            blank: built.blank,
            filtered,
            bad: built.bad,
            stopped: built.stopped,
            duplicate_keys: 0,
            ignored_values: built.ignored_values,
            typed: Vec::new(),
        }
    }
}

fn set_of(names: &[String]) -> Wanted {
    Arc::new(names.iter().cloned().collect())
}
