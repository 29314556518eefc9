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

use super::control::Cancel;
use super::stream::Streamed;
use crate::error::Result;
use crate::io::{self, Damage, FileList, SourceFile, TextChunk, TextOptions, TextReader};
use crate::memory::Replay;

use super::schema::RunSchema;

/// A piece of input that a worker handles alone.
pub(crate) enum Chunk {
    /// Whole lines.
    Text(TextChunk),
    /// Rows that need no decoding.
    Batch(RecordBatch),
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
    /// Opens it.
    pub open: Open,
}

/// Units in input order.
pub(crate) type Units = Box<dyn Iterator<Item = Result<Unit>> + Send>;

/// Stored bytes of a plain file that make one unit. Large enough that opening
/// and finding a boundary cost nothing, small enough to be shared out.
const RANGE_BYTES: u64 = 16 << 20;

/// The units of text files.
pub(crate) fn text_units(files: FileList, options: TextOptions, cancel: &Cancel) -> Units {
    Box::new(TextUnits {
        cancel: cancel.clone(),
        files,
        options,
        ready: VecDeque::new(),
    })
}

struct TextUnits {
    files: FileList,
    options: TextOptions,
    cancel: Cancel,
    ready: VecDeque<Result<Unit>>,
}

impl TextUnits {
    fn add(&mut self, file: &SourceFile) -> Result<()> {
        let units = io::units(file, RANGE_BYTES)?;
        let path: Arc<str> = Arc::from(file.path.as_str());
        let last = units.len().saturating_sub(1);
        for (idx, unit) in units.into_iter().enumerate() {
            let options = self.options;
            let cancel = self.cancel.clone();
            let seekable = file.seekable;
            self.ready.push_back(Ok(Unit {
                path: Arc::clone(&path),
                file: file.index,
                ends_file: idx == last,
                open: Box::new(move || {
                    let open = move || -> Result<Box<dyn ChunkReader>> {
                        Ok(Box::new(Text {
                            reader: io::open(&unit, &options)?,
                        }))
                    };
                    if seekable {
                        open()
                    } else {
                        Ok(Box::new(Streamed::open(&cancel, open)?))
                    }
                }),
            }));
        }
        Ok(())
    }
}

impl Iterator for TextUnits {
    type Item = Result<Unit>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(unit) = self.ready.pop_front() {
                return Some(unit);
            }
            let added = match self.files.next()? {
                Ok(file) => self.add(&file),
                Err(error) => Err(error),
            };
            if let Err(error) = added {
                return Some(Err(error));
            }
        }
    }
}

struct Text {
    reader: Box<dyn TextReader>,
}

impl ChunkReader for Text {
    fn next(&mut self, reuse: Vec<u8>) -> Result<Option<Chunk>> {
        Ok(self.reader.next_chunk(reuse)?.map(Chunk::Text))
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
    words.push_str(&format!("; {} cut lines dropped", damage.partial_lines));
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

/// One unit for batches in memory.
pub(crate) fn memory_unit(batches: &[RecordBatch]) -> Units {
    let batches: Vec<_> = batches.to_vec();
    batch_unit(Box::new(batches.into_iter().map(Ok)))
}

fn batch_unit(batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>) -> Units {
    Box::new(std::iter::once(Ok(Unit {
        path: Arc::from("memory"),
        file: 0,
        ends_file: true,
        open: Box::new(move || Ok(Box::new(Batches { batches }))),
    })))
}

/// Batches from any iterator.
struct Batches {
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

impl ChunkReader for Batches {
    fn next(&mut self, _reuse: Vec<u8>) -> Result<Option<Chunk>> {
        Ok(self.batches.next().transpose()?.map(Chunk::Batch))
    }

    fn stored_bytes_read(&self) -> u64 {
        0
    }
}
