//! JSON Lines part files.
//!
//! In:  row groups, as batches.
//! Out: one object a line, nulls left out; slices of rows are compressed on any
//!      thread, each as a gzip member or zstd frame of its own, and appended in order.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use flate2::{Compression, GzBuilder};

use super::file::{Closed, StagedFile};
use super::options::Codec;
use crate::error::{Error, Result};

mod parse;
mod reread;
mod text;

pub(crate) use reread::{inspect, rewrite};
use text::Lines;

/// Arrow bytes in a slice: enough for a compressor to learn its text, and
/// little enough for threads to share a row group.
const SLICE_BYTES: u64 = 1 << 20;

/// The rows of a batch as JSON Lines, as part files hold them.
///
/// # Errors
///
/// [`Error::Plan`] or [`Error::External`] for a value that JSON cannot hold.
pub fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    Lines::try_new(batch)?.write(&mut text)?;
    Ok(text)
}

/// A slice of rows, to be written as text and compressed on any thread.
pub(crate) struct JsonJob {
    batches: Arc<Vec<RecordBatch>>,
    start: usize,
    len: usize,
    codec: Codec,
}

impl JsonJob {
    /// Cuts a row group of `bytes` of Arrow data into slices of equally many rows.
    pub(crate) fn cut(
        batches: Vec<RecordBatch>,
        rows: usize,
        bytes: u64,
        codec: Codec,
    ) -> impl Iterator<Item = JsonJob> {
        let slices = bytes.div_ceil(SLICE_BYTES).max(1);
        let slices = usize::try_from(slices).unwrap_or(rows).min(rows).max(1);
        let slice = rows.div_ceil(slices).max(1);
        let batches = Arc::new(batches);
        (0..rows).step_by(slice).map(move |start| JsonJob {
            batches: Arc::clone(&batches),
            start,
            len: slice.min(rows - start),
            codec,
        })
    }

    pub(crate) fn run(self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let (mut skip, mut want) = (self.start, self.len);
        for batch in self.batches.iter() {
            if skip >= batch.num_rows() {
                skip -= batch.num_rows();
                continue;
            }
            let take = want.min(batch.num_rows() - skip);
            let slice = batch.slice(skip, take);
            Lines::try_new(&slice)?.write(&mut text)?;
            (skip, want) = (0, want - take);
            if want == 0 {
                break;
            }
        }
        compress(text, self.codec)
    }
}

/// Compresses text as a member that can stand alone.
pub(crate) fn compress(text: Vec<u8>, codec: Codec) -> Result<Vec<u8>> {
    let failed = |error| Error::external("compressing JSON", error);
    match codec {
        Codec::Gzip(level) => {
            let out = Vec::with_capacity(text.len() / 4);
            let mut encoder = GzBuilder::new().write(out, Compression::new(level));
            encoder.write_all(&text).map_err(failed)?;
            encoder.finish().map_err(failed)
        }
        Codec::Zstd(level) => {
            let mut encoder = zstd::bulk::Compressor::new(level).map_err(failed)?;
            encoder.include_checksum(true).map_err(failed)?;
            encoder.compress(&text).map_err(failed)
        }
        _ => Ok(text),
    }
}

/// A JSON Lines file under construction.
pub(crate) struct JsonFile {
    file: StagedFile,
    codec: Codec,
}

impl JsonFile {
    pub(crate) fn create(path: &Path, codec: Codec) -> Result<Self> {
        Ok(JsonFile {
            file: StagedFile::create(path)?,
            codec,
        })
    }

    /// Appends a compressed member.
    pub(crate) fn append(&mut self, member: &[u8]) -> Result<()> {
        self.file.put(member)
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.file.written()
    }

    /// Ends the file. A compressed one without rows still has a member, or it
    /// would not be what its name says.
    pub(crate) fn finish(mut self) -> Result<Closed> {
        if self.file.written() == 0 {
            let empty = compress(Vec::new(), self.codec)?;
            self.file.put(&empty)?;
        }
        Ok(self.file.close())
    }
}
