//! One part file: from encoded row groups to staged files.
//!
//! In:  row groups, encoded, under a schema that may widen between them.
//! Out: segments: staged files of one schema each, which `Staging::commit` makes one part.
//!
//! ```text
//! jobs ─▶ EncodeJob::run (any thread) ─▶ PartWriter::append (in order) ─▶ segments
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::encode::{EncodeJob, Encoded, Open, Style, cut};
use super::file::{Closed, sync};
use super::hive::HivePath;
use crate::error::{Error, Result};

/// How and where the part files of a run are staged; one for all of them.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) style: Style,
    /// Where segments are staged.
    pub(crate) segments: PathBuf,
    /// Whether columns may still be found when a part is written.
    pub(crate) room: bool,
}

/// A staged file of one schema.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// The run's schema when it was written.
    pub(crate) known: SchemaRef,
    pub(crate) rows: u64,
    /// Of rows, as Arrow would hold them.
    pub(crate) bytes: u64,
    pub(crate) closed: Closed,
}

impl Segment {
    /// A staged file without rows.
    pub(crate) fn empty(style: &Style, path: PathBuf, stored: &SchemaRef) -> Result<Self> {
        let closed = style.create(&path, stored, false)?.finish()?;
        Ok(Segment {
            path,
            known: Arc::clone(stored),
            rows: 0,
            bytes: 0,
            closed,
        })
    }
}

/// A part file whose rows are all staged.
#[derive(Debug)]
pub struct FinishedPart {
    pub(crate) number: u64,
    pub(crate) folder: Option<HivePath>,
    pub(crate) segments: Vec<Segment>,
}

impl FinishedPart {
    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows).sum()
    }

    /// Size of those rows as Arrow data, in bytes.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Whether it is staged as the one file that it will be.
    pub fn is_one_file(&self) -> bool {
        self.segments.len() == 1
    }

    /// Its files as they are staged, to be flushed before the commit needs them.
    pub fn flush(&self) -> Flush {
        Flush(
            self.segments
                .iter()
                .map(|segment| segment.path.clone())
                .collect(),
        )
    }

    /// Bytes staged on disk.
    pub fn stored_bytes(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.closed.whole.bytes)
            .sum()
    }
}

/// The files of a part, to be brought to the disk from any thread.
#[derive(Debug)]
pub struct Flush(Vec<PathBuf>);

impl Flush {
    /// Waits until the disk has them.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] naming the file.
    pub fn run(&self) -> Result<()> {
        self.0.iter().try_for_each(|path| sync(path))
    }
}

/// Writes one part file. Nothing is created before the first row.
pub struct PartWriter {
    recipe: Arc<Recipe>,
    number: u64,
    folder: Option<HivePath>,
    known: SchemaRef,
    stored: SchemaRef,
    open: Option<(PathBuf, Open)>,
    rows: u64,
    bytes: u64,
    finished: Vec<Segment>,
    finished_bytes: u64,
}

impl PartWriter {
    pub(crate) fn new(
        recipe: Arc<Recipe>,
        number: u64,
        folder: Option<HivePath>,
        schema: &SchemaRef,
    ) -> Result<Self> {
        Ok(PartWriter {
            stored: recipe.style.stored(schema)?,
            known: Arc::clone(schema),
            recipe,
            number,
            folder,
            open: None,
            rows: 0,
            bytes: 0,
            finished: Vec::new(),
            finished_bytes: 0,
        })
    }

    /// Cuts one row group of this part into jobs, as [`jobs`](super::jobs) does.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if a batch does not have the part's schema.
    pub fn jobs(&self, batches: Vec<RecordBatch>) -> Result<Vec<EncodeJob>> {
        cut(&self.recipe.style, &self.known, &self.stored, batches)
    }

    /// Appends one row group: the results of the jobs of one [`PartWriter::jobs`]
    /// call, in its order. Gives the bytes stored so far.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] naming the file; [`Error::Internal`] if pieces are missing or out of order.
    pub fn append(&mut self, encoded: Vec<Encoded>) -> Result<u64> {
        let count = encoded.len();
        for (idx, piece) in encoded.iter().enumerate() {
            if piece.share.place != (idx, count) {
                return Err(Error::internal(
                    "the pieces of a row group are not all there, in order",
                ));
            }
            if piece.share.schema != self.known {
                return Err(Error::internal(
                    "a row group has another schema than its part",
                ));
            }
        }
        if encoded.is_empty() {
            return Ok(self.stored_bytes());
        }
        self.rows += encoded.iter().map(|piece| piece.share.rows).sum::<u64>();
        self.bytes += encoded.iter().map(|piece| piece.share.bytes).sum::<u64>();
        let pieces = encoded.into_iter().map(|encoded| encoded.piece).collect();
        let written = match &mut self.open {
            Some((_, open)) => open.append(pieces)?,
            None => {
                let name = format!("{:06}-{}", self.number, self.finished.len());
                let path = self.recipe.segments.join(name);
                let mut open = self
                    .recipe
                    .style
                    .create(&path, &self.stored, self.recipe.room)?;
                let written = open.append(pieces)?;
                self.open = Some((path, open));
                written
            }
        };
        Ok(self.finished_bytes + written)
    }

    /// Goes on under a schema that has widened. Rows after this call have it;
    /// rows before are widened at commit.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the segment so far cannot be ended.
    pub fn next_segment(&mut self, schema: &SchemaRef) -> Result<()> {
        if schema == &self.known {
            return Ok(());
        }
        let stored = self.recipe.style.stored(schema)?;
        self.end_segment()?;
        self.known = Arc::clone(schema);
        self.stored = stored;
        Ok(())
    }

    /// The schema rows must have now.
    pub fn schema(&self) -> &SchemaRef {
        &self.known
    }

    /// Rows appended so far.
    pub fn rows(&self) -> u64 {
        self.rows
            + self
                .finished
                .iter()
                .map(|segment| segment.rows)
                .sum::<u64>()
    }

    fn stored_bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |(_, open)| open.written());
        self.finished_bytes + open
    }

    fn end_segment(&mut self) -> Result<()> {
        let Some((path, open)) = self.open.take() else {
            return Ok(());
        };
        let closed = open.finish()?;
        self.finished_bytes += closed.whole.bytes;
        self.finished.push(Segment {
            path,
            known: Arc::clone(&self.known),
            rows: std::mem::take(&mut self.rows),
            bytes: std::mem::take(&mut self.bytes),
            closed,
        });
        Ok(())
    }

    /// Ends the part. One without rows leaves no file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if its footer cannot be written.
    pub fn finish(mut self) -> Result<FinishedPart> {
        self.end_segment()?;
        Ok(FinishedPart {
            number: self.number,
            folder: self.folder,
            segments: self.finished,
        })
    }
}
