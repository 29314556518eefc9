//! Part files of text: slices of rows, compressed each for itself.
//!
//! In:  row groups, as batches; a way to write rows as text.
//! Out: slices that any thread writes and compresses, each as a gzip member or
//!      zstd frame of its own, appended in order; and the text of such files again.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use flate2::{Compression, GzBuilder};

use super::codec::Codec;
use super::csv::{self, CsvStyle};
use super::file::{Closed, StagedFile};
use super::json;
use crate::error::{Error, Result};

/// Arrow bytes in a slice: enough for a compressor to learn its text, and
/// little enough for threads to share a row group.
const SLICE_BYTES: u64 = 1 << 20;

const GZIP: [u8; 2] = [0x1F, 0x8B];
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// How rows become text.
#[derive(Debug, Clone)]
pub(crate) enum TextForm {
    /// One object a line.
    Json,
    /// One record a row.
    Csv(Arc<CsvStyle>),
}

impl TextForm {
    fn write(&self, batch: &RecordBatch, text: &mut Vec<u8>) -> Result<()> {
        match self {
            TextForm::Json => json::write_lines(batch, text),
            TextForm::Csv(style) => csv::write_records(batch, style, text),
        }
    }
}

/// A slice of rows, to be written as text and compressed on any thread.
pub(crate) struct TextJob {
    batches: Arc<Vec<RecordBatch>>,
    start: usize,
    len: usize,
    form: TextForm,
    codec: Codec,
}

impl TextJob {
    /// Cuts a row group of `bytes` of Arrow data into slices of equally many rows.
    pub(crate) fn cut(
        batches: Vec<RecordBatch>,
        rows: usize,
        bytes: u64,
        form: TextForm,
        codec: Codec,
    ) -> impl Iterator<Item = TextJob> {
        let slices = bytes.div_ceil(SLICE_BYTES).max(1);
        let slices = usize::try_from(slices).unwrap_or(rows).min(rows).max(1);
        let slice = rows.div_ceil(slices).max(1);
        let batches = Arc::new(batches);
        (0..rows).step_by(slice).map(move |start| TextJob {
            batches: Arc::clone(&batches),
            start,
            len: slice.min(rows - start),
            form: form.clone(),
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
            self.form.write(&batch.slice(skip, take), &mut text)?;
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
    let failed = |error| Error::external("compressing text", error);
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

/// A file of text under construction.
pub(crate) struct TextFile {
    file: StagedFile,
    codec: Codec,
}

impl TextFile {
    pub(crate) fn create(path: &Path, codec: Codec) -> Result<Self> {
        Ok(TextFile {
            file: StagedFile::create(path)?,
            codec,
        })
    }

    /// Appends a compressed member.
    pub(crate) fn append(&mut self, member: &[u8]) -> Result<()> {
        self.file.put(member)
    }

    /// Compresses text and appends it.
    pub(crate) fn append_text(&mut self, text: Vec<u8>) -> Result<()> {
        let member = compress(text, self.codec)?;
        self.append(&member)
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.file.written()
    }

    /// Ends the file. A compressed one without rows still has a member, or it
    /// would not be what its name says.
    pub(crate) fn finish(mut self) -> Result<Closed> {
        if self.file.written() == 0 {
            self.append_text(Vec::new())?;
        }
        Ok(self.file.close())
    }
}

/// A file's text, and the codec its first bytes name.
pub(crate) fn open(path: &Path) -> Result<(Box<dyn BufRead>, &'static str)> {
    let reading = |source| Error::io(path.display(), "read", source);
    let file = File::open(path).map_err(|source| Error::io(path.display(), "open", source))?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let head = file.fill_buf().map_err(reading)?;
    Ok(if head.starts_with(&GZIP) {
        let text = flate2::bufread::MultiGzDecoder::new(file);
        (Box::new(BufReader::with_capacity(1 << 18, text)), "gzip")
    } else if head.starts_with(&ZSTD) {
        let text = zstd::stream::read::Decoder::with_buffer(file).map_err(reading)?;
        (Box::new(BufReader::with_capacity(1 << 18, text)), "zstd")
    } else {
        (Box::new(file), "none")
    })
}
