//! What workers take turns to read.
//!
//! In:  a scan.
//! Out: units in input order, each opened when its turn comes, each giving chunks in order.
//!
//! A unit is what can be opened on its own: a byte range of a plain file, a
//! whole compressed file, a Parquet row group. Files are listed as they are
//! needed and never all held.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::stream::Streamed;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::io::csv::CsvLayout;
use crate::io::{self, Damage, FileList, Framing, SourceFile, TextChunk, TextOptions, TextReader};
use crate::memory::Replay;

use super::schema::RunSchema;

/// A piece of input that a worker handles alone.
pub(crate) enum Chunk {
    /// Whole lines.
    Text(TextChunk),
    /// Whole records of CSV, and what their file's first one says of them.
    Csv(TextChunk, Arc<CsvLayout>),
    /// Rows that need no decoding.
    Batch(RecordBatch, Passed),
    /// Rows that whoever takes the chunk makes first.
    Work(Box<dyn FnOnce() -> Result<RecordBatch> + Send>),
}

/// What a reader of column files passed over, because the scan's filter is not
/// true for any of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Rows that are in no batch.
    pub rows: u64,
    /// Row groups of which nothing was read.
    pub row_groups: u64,
    /// Files of which not even the footer was asked for: their rows are not counted.
    pub files: u64,
    /// Whether the filter is true for all rows that are in a batch.
    pub all_others: bool,
}

impl Passed {
    /// Whether nothing was passed over.
    pub fn is_none(&self) -> bool {
        (self.rows, self.row_groups, self.files) == (0, 0, 0)
    }
}

/// Reads the chunks of one unit, in order.
pub(crate) trait ChunkReader: Send {
    /// The next chunk; `reuse` is a buffer that may be filled. `None` at the end.
    fn next(&mut self, reuse: Vec<u8>) -> Result<Option<Chunk>>;
    /// Stored bytes read so far.
    fn stored_bytes_read(&self) -> u64;
    /// What was lost to damage, once the end is reached.
    fn damage(&self) -> Option<String> {
        None
    }
}

/// Opens a unit when a worker gets to it.
pub(crate) type Open = Box<dyn FnOnce() -> Result<Box<dyn ChunkReader>> + Send>;

/// A unit that has not been opened.
pub(crate) struct Unit {
    /// The file it belongs to, as it is shown.
    pub path: Arc<str>,
    /// The file's place in the list of inputs.
    pub file: u32,
    /// Whether no other unit of this file follows.
    pub ends_file: bool,
    /// Whether it is opened only when all rows of the units before it went on.
    pub after_all: bool,
    /// Opens it.
    pub open: Open,
}

/// Units in input order.
pub(crate) type Units = Box<dyn Iterator<Item = Result<Unit>> + Send>;

/// Stored bytes of a plain file that make one unit. Large enough that opening
/// and finding a boundary cost nothing, small enough to be shared out.
const RANGE_BYTES: u64 = 16 << 20;

/// Units whose first bytes may be on their way while others are read. At
/// 50 ms for an answer these are 300 small objects a second.
const MOST_BEGUN: u64 = 16;

/// Opens and reads on a thread of its own, where reading may take long.
pub(crate) fn patient(
    cancel: Option<Cancel>,
    open: impl FnOnce() -> Result<Box<dyn ChunkReader>> + Send + 'static,
) -> Open {
    match cancel {
        None => Box::new(open),
        Some(cancel) => Box::new(move || Ok(Box::new(Streamed::open(&cancel, open)?))),
    }
}

/// The units of text files. Units of objects behind URLs are begun before
/// their turn, as many as one reader's `ahead_bytes` hold.
pub(crate) fn text_units(
    files: FileList,
    options: TextOptions,
    framing: Framing,
    cancel: &Cancel,
) -> Units {
    Box::new(TextUnits {
        cancel: cancel.clone(),
        files: Some(files),
        options,
        n_begun: (options.ahead_bytes / io::FIRST_AHEAD_BYTES).clamp(1, MOST_BEGUN) as usize,
        framing,
        ready: VecDeque::new(),
    })
}

struct TextUnits {
    /// None once they have ended or failed.
    files: Option<FileList>,
    options: TextOptions,
    framing: Framing,
    cancel: Cancel,
    n_begun: usize,
    ready: VecDeque<Result<Listed>>,
}

/// A unit that waits for its turn.
struct Listed {
    path: Arc<str>,
    file: u32,
    ends_file: bool,
    /// Whether reading may keep its reader waiting for long.
    may_wait: bool,
    unit: Waiting,
}

enum Waiting {
    Cold(io::Unit),
    Begun(io::Begun),
}

impl TextUnits {
    /// Lists one more file. False if there is none.
    fn list_more(&mut self) -> bool {
        let Some(next) = self.files.as_mut().and_then(FileList::next) else {
            self.files = None;
            return false;
        };
        if let Err(error) = next.and_then(|file| self.add(&file)) {
            // Met in its place; what follows is not wanted any more.
            self.files = None;
            self.ready.push_back(Err(error));
        }
        true
    }

    fn add(&mut self, file: &SourceFile) -> Result<()> {
        let units = io::units_framed(file, RANGE_BYTES, &self.framing)?;
        let path: Arc<str> = Arc::from(file.path.as_str());
        let last = units.len().saturating_sub(1);
        for (idx, unit) in units.into_iter().enumerate() {
            self.ready.push_back(Ok(Listed {
                path: Arc::clone(&path),
                file: file.index,
                ends_file: idx == last,
                may_wait: file.may_wait(),
                unit: Waiting::Cold(unit),
            }));
        }
        Ok(())
    }

    /// Begins the units in front, listing files as long as they are remote.
    fn begin_ahead(&mut self) {
        let is_remote = |listed: &Result<Listed>| match listed {
            Ok(listed) => match &listed.unit {
                Waiting::Cold(unit) => unit.file.is_remote(),
                Waiting::Begun(_) => true,
            },
            Err(_) => false,
        };
        while self.ready.len() <= self.n_begun && self.ready.back().is_none_or(is_remote) {
            if !self.list_more() {
                break;
            }
        }
        for listed in self.ready.iter_mut().take(self.n_begun) {
            let begun = match listed {
                Ok(listed) => listed.begin(&self.options),
                Err(_) => Ok(()),
            };
            if let Err(error) = begun {
                *listed = Err(error);
            }
        }
    }
}

impl Listed {
    /// Lets the first bytes of an object come.
    fn begin(&mut self, options: &TextOptions) -> Result<()> {
        match &self.unit {
            Waiting::Cold(unit) if unit.file.is_remote() => {
                self.unit = Waiting::Begun(io::begin(unit.clone(), options)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn into_unit(self, options: TextOptions, framing: Framing, cancel: &Cancel) -> Unit {
        let (may_wait, unit) = (self.may_wait, self.unit);
        let open = move || -> Result<Box<dyn ChunkReader>> {
            Ok(Box::new(Text {
                reader: match unit {
                    Waiting::Cold(unit) => io::open_framed(&unit, &options, &framing)?,
                    Waiting::Begun(begun) => begun.open(&options, &framing)?,
                },
            }))
        };
        Unit {
            path: self.path,
            file: self.file,
            ends_file: self.ends_file,
            after_all: false,
            open: patient(may_wait.then(|| cancel.clone()), open),
        }
    }
}

impl Iterator for TextUnits {
    type Item = Result<Unit>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            if !self.list_more() {
                return None;
            }
        }
        self.begin_ahead();
        let next = self.ready.pop_front()?;
        let framing = self.framing.clone();
        Some(next.map(|listed| listed.into_unit(self.options, framing, &self.cancel)))
    }
}

struct Text {
    reader: Box<dyn TextReader>,
}

impl ChunkReader for Text {
    fn next(&mut self, reuse: Vec<u8>) -> Result<Option<Chunk>> {
        let chunk = self.reader.next_chunk(reuse)?;
        Ok(chunk.map(|chunk| match self.reader.csv_layout() {
            Some(layout) => Chunk::Csv(chunk, Arc::clone(layout)),
            None => Chunk::Text(chunk),
        }))
    }

    fn stored_bytes_read(&self) -> u64 {
        self.reader.stored_bytes_read()
    }

    fn damage(&self) -> Option<String> {
        self.reader.damage().map(in_words)
    }
}

/// What a reader passed over, as a report says it.
fn in_words(damage: &Damage) -> String {
    let spans: Vec<String> = damage
        .spans
        .iter()
        .map(|span| {
            format!(
                "from byte {} to byte {}: {}",
                span.from_byte, span.to_byte, span.reason
            )
        })
        .collect();
    let mut words = format!(
        "{} damaged {} passed over, {}",
        damage.n_spans,
        if damage.n_spans == 1 {
            "stretch"
        } else {
            "stretches"
        },
        spans.join("; ")
    );
    if damage.n_spans > damage.spans.len() as u64 {
        words.push_str("; …");
    }
    let lines = if damage.partial_lines == 1 {
        "line"
    } else {
        "lines"
    };
    words.push_str(&format!("; {} cut {lines} dropped", damage.partial_lines));
    words
}

/// One unit of rows that were held, brought up to the final schema as they come back.
pub(crate) fn replay_unit(
    replay: Replay,
    schemas: Vec<(u64, RunSchema)>,
    last: RunSchema,
) -> Units {
    let from = schemas
        .into_iter()
        .flat_map(|(batches, schema)| (0..batches).map(move |_| schema.clone()));
    batch_unit(Box::new(
        replay
            .zip(from)
            .map(move |(batch, from)| last.conform(&batch?, &from)),
    ))
}

/// Rows in a unit of batches in memory, so that many are read at once.
const UNIT_ROWS: usize = 1 << 17;

/// Units of batches in memory, large ones cut.
pub(crate) fn memory_units(batches: &Arc<Vec<RecordBatch>>) -> Units {
    let mut units: Vec<Vec<RecordBatch>> = Vec::new();
    let mut rows = UNIT_ROWS;
    for batch in batches.iter() {
        for from in (0..batch.num_rows().max(1)).step_by(UNIT_ROWS) {
            let piece = batch.slice(from, UNIT_ROWS.min(batch.num_rows() - from));
            if rows + piece.num_rows() > UNIT_ROWS {
                units.push(Vec::new());
                rows = 0;
            }
            rows += piece.num_rows();
            if let Some(unit) = units.last_mut() {
                unit.push(piece);
            }
        }
    }
    let n_units = units.len();
    Box::new(units.into_iter().enumerate().map(move |(idx, batches)| {
        Ok(Unit {
            path: Arc::from("memory"),
            file: 0,
            ends_file: idx + 1 == n_units,
            after_all: false,
            open: Box::new(move || Ok(batches_reader(Box::new(batches.into_iter().map(Ok))))),
        })
    }))
}

/// One unit for batches in memory.
pub(crate) fn memory_unit(batches: &[RecordBatch]) -> Units {
    let batches: Vec<_> = batches.to_vec();
    batch_unit(Box::new(batches.into_iter().map(Ok)))
}

/// One unit of batches that come when they are asked for.
pub(crate) fn batch_unit(batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>) -> Units {
    Box::new(std::iter::once(Ok(Unit {
        path: Arc::from("memory"),
        file: 0,
        ends_file: true,
        after_all: false,
        open: Box::new(move || Ok(batches_reader(batches))),
    })))
}

/// A reader of batches.
pub(crate) fn batches_reader(
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
) -> Box<dyn ChunkReader> {
    Box::new(Batches { batches })
}

/// Units of batches with the columns `schema`, less those that nobody needs.
pub(crate) fn with_columns(units: Units, schema: &SchemaRef) -> Units {
    let schema = Arc::clone(schema);
    map_batches(units, move |batch| only(&batch, &schema))
}

/// Units of what `change` makes of each batch.
pub(crate) fn map_batches(
    units: Units,
    change: impl Fn(RecordBatch) -> Result<RecordBatch> + Clone + Send + 'static,
) -> Units {
    Box::new(units.map(move |unit| {
        let unit = unit?;
        let (open, change) = (unit.open, change.clone());
        let open: Open = Box::new(move || {
            Ok(Box::new(MappedBatches {
                reader: open()?,
                change,
            }))
        });
        Ok(Unit { open, ..unit })
    }))
}

/// What a function makes of the batches of another reader.
struct MappedBatches<F> {
    reader: Box<dyn ChunkReader>,
    change: F,
}

impl<F> ChunkReader for MappedBatches<F>
where
    F: Fn(RecordBatch) -> Result<RecordBatch> + Clone + Send + 'static,
{
    fn next(&mut self, reuse: Vec<u8>) -> Result<Option<Chunk>> {
        let change = self.change.clone();
        Ok(match self.reader.next(reuse)? {
            None => None,
            Some(Chunk::Batch(batch, passed)) => Some(Chunk::Batch(change(batch)?, passed)),
            Some(Chunk::Work(make)) => Some(Chunk::Work(Box::new(move || change(make()?)))),
            Some(Chunk::Text(_) | Chunk::Csv(..)) => {
                return Err(Error::internal("text came in place of rows"));
            }
        })
    }

    fn stored_bytes_read(&self) -> u64 {
        self.reader.stored_bytes_read()
    }
}

/// The columns of a batch that a schema names.
fn only(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let places = schema
        .fields()
        .iter()
        .map(|field| batch.schema_ref().index_of(field.name()));
    let places = places.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(batch.project(&places)?)
}

/// Batches from any iterator.
struct Batches {
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

impl ChunkReader for Batches {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        let batch = self.batches.next().transpose()?;
        Ok(batch.map(|batch| Chunk::Batch(batch, Passed::default())))
    }

    fn stored_bytes_read(&self) -> u64 {
        0
    }
}
