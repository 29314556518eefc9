//! One pass over the records of a chunk: rows built, or a schema learned.
//!
//! In:  a chunk, which of its records, and what is known of their schema.
//! Out: a batch under a schema wide enough for it, and the records that are bad.
//!
//! A pass either ends, or meets a value that its column does not hold. Then the
//! rest of the records is learned from in one go and the pass is made again; the
//! second one cannot meet anything new.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;

use super::cell::Records;
use super::layout::CsvLayout;
use super::read::{Slot, Verdict};
use super::rows::Rows;
use super::task::{Broken, OPEN_LINE, Task, Visit, Which, padded};
use crate::error::{Error, Result};
use crate::io::json::lattice::{Fields, Scalars};
use crate::io::json::scan::Text;
use crate::io::json::{BadRecord, JsonSchema, SchemaMode};

/// What one round gave.
pub(super) struct Built {
    pub batch: RecordBatch,
    pub schema: JsonSchema,
    /// Where the record of each row begins.
    pub starts: Vec<usize>,
    pub bad: Vec<BadRecord>,
    /// Records and blank lines, and how many of those.
    pub lines: u64,
    pub blank: u64,
    pub stopped: bool,
    pub ignored_values: u64,
}

impl Task<'_> {
    /// Builds the rows, in columns kept in `cache` if they fit.
    pub fn build(&self, asked: &JsonSchema, cache: &mut Option<Rows>) -> Result<Built> {
        let mut rows = match cache.take() {
            Some(rows) if rows.is_for(self, asked) => rows,
            _ => Rows::new(self, asked, asked.clone())?,
        };
        for _ in 0..2 {
            let mut built = Built {
                batch: RecordBatch::new_empty(Arc::new(Schema::empty())),
                schema: rows.schema.clone(),
                starts: Vec::new(),
                bad: Vec::new(),
                lines: 0,
                blank: 0,
                stopped: false,
                ignored_values: 0,
            };
            let Some(unknown) = self.read(&mut rows, &mut built) else {
                return built.finish(rows, self.mode, cache);
            };
            let mut fields = rows.schema.fields().clone();
            rows.teach(&mut fields);
            self.learn(unknown, &rows, &mut fields);
            rows = Rows::new(self, asked, JsonSchema::from_fields(fields))?;
        }
        Err(Error::internal(
            "a chunk of CSV did not fit the schema that was learned from it",
        ))
    }

    /// Reads records into `rows`. Returns where the first one begins that the
    /// schema must be widened for, if one does.
    fn read(&self, rows: &mut Rows, built: &mut Built) -> Option<usize> {
        let mut unknown = None;
        let mut record = 0;
        let mut broken = Broken::default();
        let (lines, blank) = self.visit(|pos| {
            record += 1;
            let n_rows = built.starts.len();
            let overruns = broken.is_overrun(self, pos);
            if overruns {
                // Its quote closes behind the broken record, if at all.
            } else if self.is_utf8 && rows.unknown.is_none() {
                if let Some(next) = self.records.read_record(&mut rows.slots, pos, record) {
                    built.starts.push(pos);
                    return Visit::Next(next);
                }
            } else if let Some(next) = self.read_doubtful(rows, pos, record) {
                built.starts.push(pos);
                return Visit::Next(next);
            }
            let verdict = if overruns {
                Verdict::Bad(None, OPEN_LINE.to_owned())
            } else {
                self.verdict(rows, pos, n_rows, record)
            };
            let (field, reason) = match verdict {
                Verdict::Widen => {
                    rows.roll_back(n_rows, record);
                    unknown = Some(pos);
                    return Visit::Stop;
                }
                Verdict::Bad(field, reason) => (field, reason),
            };
            let next = if self.keep_bad {
                broken.behind(self, pos)
            } else {
                self.records.after_record(pos)
            };
            built.bad.push(self.bad_record(pos, next, field, reason));
            rows.roll_back(n_rows, record);
            built.stopped = !self.keep_bad;
            if built.stopped {
                Visit::Stop
            } else {
                Visit::Next(next)
            }
        });
        (built.lines, built.blank) = (lines, blank);
        built.ignored_values = built.starts.len() as u64 * rows.n_ignored;
        unknown
    }

    /// Reads a record of a chunk in which not all is well.
    #[cold]
    fn read_doubtful(&self, rows: &mut Rows, pos: usize, record: u64) -> Option<usize> {
        let is_sound = rows.unknown.is_none() && self.utf8_fault(pos).is_none();
        is_sound
            .then(|| self.records.read_record(&mut rows.slots, pos, record))
            .flatten()
    }

    fn verdict(&self, rows: &mut Rows, pos: usize, n_rows: usize, record: u64) -> Verdict {
        if let Some(at) = self.utf8_fault(pos) {
            return Verdict::Bad(None, format!("not UTF-8 at byte {at} of the record"));
        }
        match (self.records.cells(pos, rows.slots.len()), rows.unknown) {
            (Ok(_), Some(field)) => {
                Verdict::Bad(Some(field), "the column is not in the schema".to_owned())
            }
            _ => self.records.judge(&mut rows.slots, pos, n_rows, record),
        }
    }

    /// Joins into `fields` what the records from `first` on add to the columns
    /// of `rows`, of those that this is about.
    fn learn(&self, first: usize, rows: &Rows, fields: &mut Fields) {
        let which = match self.which {
            Which::From(_) => Which::From(first),
            Which::Only(starts) => {
                Which::Only(&starts[starts.partition_point(|start| *start < first)..])
            }
        };
        let n_fields = rows.slots.len();
        let open: Vec<(usize, usize)> = rows
            .fields
            .iter()
            .enumerate()
            .filter_map(|(column, field)| field.map(|field| (column, field)))
            .filter(|(_, field)| {
                matches!(&rows.slots[*field], Slot::Build(column) if column.fixed.is_none())
            })
            .collect();
        let mut broken = Broken::default();
        Task { which, ..*self }.visit(|pos| {
            let cells = match self.utf8_fault(pos) {
                _ if broken.is_overrun(self, pos) => None,
                None => self.records.cells(pos, n_fields).ok(),
                Some(_) => None,
            };
            let Some(cells) = cells else {
                return if self.keep_bad {
                    Visit::Next(broken.behind(self, pos))
                } else {
                    Visit::Stop
                };
            };
            for (column, field) in &open {
                let node = fields.node_mut(*column);
                if let Some(cell) = cells
                    .get(*field)
                    .filter(|_| node.scalars != Scalars::TEXT_FIELD)
                {
                    node.scalars = node.scalars.join(self.records.meaning(cell).1);
                }
            }
            let end = cells.last().map_or(pos, |cell| cell.next);
            Visit::Next(self.records.after_line_end(end))
        });
    }
}

impl Built {
    fn finish(
        mut self,
        mut rows: Rows,
        mode: SchemaMode,
        cache: &mut Option<Rows>,
    ) -> Result<Built> {
        let n_rows = self.starts.len();
        let has_news = mode == SchemaMode::Widen && rows.has_news();
        if has_news {
            let mut fields = rows.schema.fields().clone();
            rows.teach(&mut fields);
            self.schema = JsonSchema::from_fields(fields);
        }
        let columns = rows.finish(n_rows)?;
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        self.batch = RecordBatch::try_new_with_options(self.schema.to_arrow(), columns, &options)?;
        if !has_news {
            *cache = Some(rows);
        }
        Ok(self)
    }
}

/// The schema of the records in `text`, which begins at byte `first_byte` of a
/// file with this layout: a first look. A last record cut short does no harm.
pub fn infer(text: &[u8], first_byte: u64, layout: &Arc<CsvLayout>) -> Result<JsonSchema> {
    let mut text = text.to_vec();
    let from = layout.records_from.saturating_sub(first_byte);
    let from = usize::try_from(from).map_or(text.len(), |from| from.min(text.len()));
    let len = padded(&mut text, &layout.dialect);
    let task = Task {
        records: Records {
            text: Text::ended_by(&text, len + 1, layout.dialect.terminator),
            len,
            dialect: &layout.dialect,
        },
        layout,
        which: Which::From(from),
        is_utf8: simdutf8::basic::from_utf8(&text[..len]).is_ok(),
        mode: SchemaMode::Widen,
        wanted: None,
        keep_bad: true,
    };
    let rows = Rows::new(&task, &JsonSchema::empty(), JsonSchema::empty())?;
    let mut fields = rows.schema.fields().clone();
    task.learn(from, &rows, &mut fields);
    Ok(JsonSchema::from_fields(fields))
}
