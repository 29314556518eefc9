//! One pass over the records of a chunk: rows built, or a schema learned.
//!
//! In:  a chunk, which of its records, and what is known of their schema.
//! Out: a batch under a schema wide enough for it, and the records that are bad.
//!
//! A pass either ends, or meets a value that its column does not hold. Then the
//! rest of the records is learned from in one go and the pass is made again; the
//! second one cannot meet anything new.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::Schema;

use super::cell::Records;
use super::dialect::Dialect;
use super::layout::CsvLayout;
use super::read::{Slot, Verdict};
use crate::error::{Error, Result};
use crate::io::json::column::Column;
use crate::io::json::lattice::{Fields, Kind, Node, Scalars};
use crate::io::json::scan::{PAD, Text};
use crate::io::json::{BadRecord, JsonSchema, Line, SchemaMode};

/// Which records of a chunk to visit.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    /// All from this byte on, where one begins.
    From(usize),
    /// Those that begin here, sorted.
    Only(&'a [usize]),
}

/// How one round of building a chunk's rows is asked for.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub records: Records<'a>,
    pub layout: &'a Arc<CsvLayout>,
    pub which: Which<'a>,
    pub is_utf8: bool,
    pub mode: SchemaMode,
    /// Columns to build. None: all.
    pub wanted: Option<&'a HashSet<String>>,
    /// Whether to go on after a bad record.
    pub keep_bad: bool,
}

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

/// Columns under construction, for files of one layout and one schema.
pub(super) struct Rows {
    layout: Arc<CsvLayout>,
    /// What was asked for.
    asked: JsonSchema,
    /// The same with the columns that the layout adds.
    schema: JsonSchema,
    /// By field.
    slots: Vec<Slot>,
    /// By column of the schema: its field, if the file has it.
    fields: Vec<Option<usize>>,
    /// The first field that no column of the schema is for, where that makes records bad.
    unknown: Option<usize>,
    n_ignored: u64,
}

/// Appends what [`Records`] need behind a text; returns the length without it.
pub(super) fn padded(text: &mut Vec<u8>, dialect: &Dialect) -> usize {
    let len = text.len();
    text.push(dialect.terminator);
    text.resize(len + 1 + PAD, dialect.quote.unwrap_or(b'"'));
    len
}

/// Takes the padding away again.
pub(super) fn without_padding(text: &mut Vec<u8>, len: usize) {
    text.truncate(len);
}

impl Rows {
    /// Columns for the fields of `task`, of which `asked` knows types.
    fn new(task: &Task<'_>, asked: &JsonSchema, known: JsonSchema) -> Result<Self> {
        let mut fields = known.fields().clone();
        let mut slots = Vec::with_capacity(task.layout.names.len());
        let (mut unknown, mut n_ignored) = (None, 0);
        for (idx, name) in task.layout.names.iter().enumerate() {
            let is_wanted = task.wanted.is_none_or(|wanted| wanted.contains(&**name));
            slots.push(match (fields.get(name.as_bytes()), task.mode) {
                _ if !is_wanted => Slot::Skip,
                (Some(node), _) => Slot::Build(Box::new(column(name, node)?)),
                (None, SchemaMode::Widen) => {
                    fields.push(Arc::clone(name), Node::default());
                    Slot::Build(Box::new(Column::new(&Node::default())))
                }
                (None, SchemaMode::Ignore) => {
                    n_ignored += 1;
                    Slot::Ignore
                }
                (None, SchemaMode::Strict) => {
                    unknown = unknown.or(Some(idx));
                    Slot::Ignore
                }
            });
        }
        let schema = if fields.len() == known.fields().len() {
            known
        } else {
            JsonSchema::from_fields(fields)
        };
        let place = |name: &Arc<str>| task.layout.names.iter().position(|other| other == name);
        let fields = schema
            .fields()
            .iter()
            .map(|(name, _)| place(name))
            .collect();
        Ok(Rows {
            layout: Arc::clone(task.layout),
            asked: asked.clone(),
            schema,
            slots,
            fields,
            unknown,
            n_ignored,
        })
    }

    fn is_for(&self, task: &Task<'_>, schema: &JsonSchema) -> bool {
        let same_layout = Arc::ptr_eq(&self.layout, task.layout) || self.layout == *task.layout;
        same_layout && self.asked == *schema
    }

    fn roll_back(&mut self, rows: usize, record: u64) {
        for slot in &mut self.slots {
            if let Slot::Build(column) = slot {
                column.roll_back(rows, record);
            }
        }
    }

    /// Adds to `fields` what the values of this round say beyond the schema.
    fn teach(&self, fields: &mut Fields) {
        for (idx, field) in self.fields.iter().enumerate() {
            if let Some(Slot::Build(column)) = field.map(|field| &self.slots[field]) {
                column.teach(fields.node_mut(idx));
            }
        }
    }

    fn has_news(&self) -> bool {
        let columns = self.fields.iter().zip(self.schema.fields().iter());
        columns.into_iter().any(|(field, (_, node))| {
            matches!(field.map(|field| &self.slots[field]),
                Some(Slot::Build(column)) if column.has_news(node))
        })
    }

    /// The columns as a batch; they are empty again.
    fn finish(&mut self, rows: usize) -> Result<Vec<ArrayRef>> {
        let arrow = self.schema.to_arrow();
        let columns = self.fields.iter().zip(arrow.fields());
        columns
            .map(|(field, known)| match field {
                Some(field) => match &mut self.slots[*field] {
                    Slot::Build(column) => column.finish(rows, known.data_type()),
                    Slot::Skip | Slot::Ignore => Err(Error::internal(format!(
                        "the column {:?} was not built",
                        known.name()
                    ))),
                },
                None => Ok(new_null_array(known.data_type(), rows)),
            })
            .collect()
    }
}

/// A column for the fields of one name.
fn column(name: &str, node: &Node) -> Result<Column> {
    match node.kind() {
        Kind::Scalar(_) | Kind::Fixed(_) => Ok(Column::new(node)),
        Kind::Json | Kind::Struct(_) | Kind::List(_) => Err(Error::config(
            "schema",
            format!(
                "the column {name:?} has the type {}, which a CSV field is not decoded to",
                node.field(name).data_type()
            ),
        )),
    }
}

/// Why a line of a broken record is bad that has another quote too many.
const OPEN_LINE: &str =
    "a quoted field of the line is not closed within the record whose quotes are broken";

/// The record whose quotes are broken, while its lines are read for themselves:
/// one quote too many does not take all lines with it up to the next quote. Its
/// end, which whoever cut the text went by, is not read past, so that the rows
/// are the same at every cut.
#[derive(Default)]
struct Broken {
    /// Where it ends.
    end: usize,
}

impl Broken {
    /// Whether `pos` lies in the broken record and what begins there does not end in it.
    fn is_overrun(&self, task: &Task<'_>, pos: usize) -> bool {
        if pos >= self.end {
            return false;
        }
        let records = &task.records;
        let within = records.text.between(0, self.end);
        match records.dialect.record_end(within, pos) {
            Some(_) => false,
            // The text may end without a line end.
            None => self.end < records.len || records.all_cells(pos).is_err(),
        }
    }

    /// Where to go on behind a bad record: if its quotes are broken, at its second line.
    fn behind(&mut self, task: &Task<'_>, pos: usize) -> usize {
        let records = &task.records;
        let is_overrun = self.is_overrun(task, pos);
        let end = match is_overrun {
            true => self.end,
            false => records.after_record(pos),
        };
        let terminator = records.dialect.terminator;
        let line = memchr::memchr(terminator, records.text.between(pos, end));
        match line {
            Some(line) if is_overrun || records.all_cells(pos).is_err() => {
                self.end = self.end.max(end);
                pos + line + 1
            }
            _ => end,
        }
    }
}

/// What a visit found: where the next record starts, or that this is enough.
enum Visit {
    Next(usize),
    Stop,
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

    /// Where in the record at `pos` the first byte is that is not UTF-8, if there is one.
    fn utf8_fault(&self, pos: usize) -> Option<usize> {
        if self.is_utf8 {
            return None;
        }
        let checked = simdutf8::compat::from_utf8(self.records.record(pos));
        checked.err().map(|error| error.valid_up_to())
    }

    fn bad_record(
        &self,
        pos: usize,
        next: usize,
        field: Option<usize>,
        reason: String,
    ) -> BadRecord {
        BadRecord {
            byte: pos as u64,
            line: self.line_of(pos),
            len: self.records.without_line_end(pos, next).len(),
            column: field.map(|field| self.layout.names[field].to_string()),
            reason,
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

    /// Calls `visit` with the start of each record. Returns how many records and
    /// blank lines there were until the end or a stop, and how many of them
    /// blank, comments among these; both are meant for [`Which::From`] only.
    fn visit(&self, mut visit: impl FnMut(usize) -> Visit) -> (u64, u64) {
        let (mut lines, mut blank) = (0, 0);
        match self.which {
            Which::Only(starts) => {
                for start in starts {
                    if let Visit::Stop = visit(*start) {
                        break;
                    }
                }
            }
            Which::From(from) => {
                let mut pos = from;
                while pos < self.records.len {
                    lines += 1;
                    if let Some(next) = self.blank_end(pos) {
                        blank += 1;
                        pos = next;
                        continue;
                    }
                    match visit(pos) {
                        Visit::Next(next) => pos = next,
                        Visit::Stop => break,
                    }
                }
            }
        }
        (lines, blank)
    }

    /// The record behind the line at `pos`, if that is blank or a comment.
    #[inline(always)]
    fn blank_end(&self, pos: usize) -> Option<usize> {
        let records = &self.records;
        if records.is_line_end(pos) {
            return Some(records.after_line_end(pos));
        }
        let dialect = records.dialect;
        if dialect.comment.is_none() && !dialect.trim {
            return None;
        }
        if Some(records.text.byte(pos)) == dialect.comment {
            return Some(records.after_record(pos));
        }
        let mut end = pos;
        while dialect.is_blank(records.text.byte(end)) {
            end += 1;
        }
        records
            .is_line_end(end)
            .then(|| records.after_line_end(end))
    }

    /// The physical line of the chunk that byte `pos` is in, the first is 0.
    #[cold]
    pub fn line_of(&self, pos: usize) -> u64 {
        let before = self.records.text.between(0, pos);
        memchr::memchr_iter(self.records.dialect.terminator, before).count() as u64
    }

    /// Where each row came from.
    pub fn places(&self, starts: &[usize]) -> Vec<Line> {
        let (mut from, mut number) = (0, 0);
        let place = |&byte: &usize| {
            let between = self.records.text.between(from, byte);
            number += memchr::memchr_iter(self.records.dialect.terminator, between).count() as u64;
            from = byte;
            Line { byte, number }
        };
        starts.iter().map(place).collect()
    }

    /// Line ends of the chunk that end none of its `lines` records and blank lines.
    pub fn inner_lines(&self, lines: u64) -> u64 {
        let (text, dialect) = (self.records.text, self.records.dialect);
        let all = text.between(0, self.records.len);
        let has_header = matches!(self.which, Which::From(from) if from > 0);
        let has_quotes = dialect
            .quote
            .is_some_and(|quote| memchr::memchr(quote, all).is_some());
        if !has_header && !has_quotes {
            return 0;
        }
        let is_cut = all.last().is_some_and(|last| *last != dialect.terminator);
        let ends = memchr::memchr_iter(dialect.terminator, all).count() as u64 + u64::from(is_cut);
        ends.saturating_sub(lines)
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
