//! Text cut into chunks of whole records.
//!
//! In:  a source, and the first byte that is asked for.
//! Out: chunks, each of one block; what a chunk is does not depend on how much
//!      the source hands out at once.

use std::cell::Cell;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::io::array::{ArrayText, is_array};
use crate::io::csv::{CsvLayout, CsvOptions};
use crate::io::framing::{Ends, Framing, RecordKind};
use crate::io::head::{BOM_BYTES, HEAD_BYTES, refuse_wide, skip_bom};
use crate::io::salvage::Damage;
use crate::io::source::{Filled, Source};
use crate::io::store::SourceFile;
use crate::io::text::{TextChunk, TextOptions, TextReader};

/// Bytes read past the end of a block at first, to finish its last record.
const OVERHANG_BYTES: usize = 64 << 10;

/// Room for text that is made at once.
const LEAST_ROOM_BYTES: usize = 64 << 10;

/// Most room that a thread keeps for the next source.
const KEPT_ROOM_BYTES: usize = 4 << 20;

thread_local! {
    /// Room of the source before, kept: made anew for each of many small files,
    /// it would be cleared twice, by the kernel and here.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Cuts a source into chunks of whole lines.
pub(crate) struct Lines {
    pub(super) source: Box<dyn Source>,
    pub(super) file: Arc<SourceFile>,
    pub(super) options: TextOptions,
    pub(super) framing: Framing,
    /// Where records end.
    pub(super) ends: Ends,
    pub(super) array: Option<ArrayText>,
    csv_layout: Option<Arc<CsvLayout>>,
    /// `text[from..to]` is read and not handed out; behind `to` lies room.
    pub(super) text: Vec<u8>,
    pub(super) from: usize,
    pub(super) to: usize,
    /// The decompressed byte of `text[from]`.
    pub(super) position: u64,
    /// Records that begin here or later are another unit's.
    end: u64,
    /// Why nothing can be read behind `text[to]`.
    pub(super) stop: Option<Stop>,
    /// Whether `text[from]` may stand inside a line whose start was lost.
    pub(super) after_gap: bool,
    /// Newlines passed, where [`Lines::counts_lines`].
    pub(super) n_lines: u64,
}

/// What comes next of the text.
enum Next {
    /// So many held bytes are whole lines.
    Lines(usize),
    /// The record at hand is longer than allowed.
    TooLong,
    /// Nothing: the source is read out.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Gap,
    End,
}

impl Lines {
    /// The whole of a text: a byte order mark is dropped, an array of records
    /// is made into lines, and the layout of CSV is found.
    pub(crate) fn whole(
        source: Box<dyn Source>,
        file: Arc<SourceFile>,
        options: TextOptions,
        framing: &Framing,
    ) -> Result<Self> {
        let mut lines = Lines::from(source, file, options, framing, 0, u64::MAX);
        lines.drop_bom()?;
        match &framing.records {
            RecordKind::Json => lines.look_for_array()?,
            RecordKind::Line => lines.ends = Ends::Line,
            RecordKind::Csv(csv) => lines.look_for_layout(csv)?,
        }
        Ok(lines)
    }

    fn look_for_array(&mut self) -> Result<()> {
        let mut look = 256;
        let is_array = loop {
            // Counted from the file's start, as `units` does.
            self.gather(look - self.position as usize)?;
            match is_array(&self.text[self.from..self.to]) {
                Some(is_array) => break is_array,
                None if self.stop.is_some() || look >= HEAD_BYTES => break false,
                None => look *= 2,
            }
        };
        if is_array {
            let mut array = ArrayText::new(self.position);
            array.rewrite(&self.file.path, &mut self.text[self.from..self.to])?;
            if self.stop == Some(Stop::End) {
                array.finish(&self.file.path)?;
            }
            self.array = Some(array);
        }
        Ok(())
    }

    fn look_for_layout(&mut self, csv: &CsvOptions) -> Result<()> {
        let longest = longest_record(&self.options);
        let mut look = LEAST_ROOM_BYTES.min(longest);
        let layout = loop {
            self.gather(look)?;
            let head = &self.text[self.from..self.to];
            let is_all = self.stop.is_some();
            let found = CsvLayout::find(head, is_all, csv, &self.file.path, self.position)?;
            match found {
                Some(layout) => break Arc::new(layout),
                None if look >= longest => return Err(self.too_long()),
                None => look = look.saturating_mul(2).min(longest),
            }
        };
        self.ends = Ends::Csv(Arc::clone(layout.dialect()));
        self.csv_layout = Some(layout);
        Ok(())
    }

    /// The records that begin in `start..end`, where one begins at `start`.
    pub(crate) fn range(
        source: Box<dyn Source>,
        file: Arc<SourceFile>,
        options: TextOptions,
        framing: &Framing,
        start: u64,
        end: u64,
    ) -> Result<Self> {
        let mut lines = Lines::from(source, file, options, framing, start, end);
        match framing.records {
            RecordKind::Json => {}
            RecordKind::Line => lines.ends = Ends::Line,
            RecordKind::Csv(_) => {
                return Err(Error::internal("a range of CSV has no first record"));
            }
        }
        if start == 0 {
            lines.drop_bom()?;
        }
        Ok(lines)
    }

    fn from(
        source: Box<dyn Source>,
        file: Arc<SourceFile>,
        options: TextOptions,
        framing: &Framing,
        start: u64,
        end: u64,
    ) -> Self {
        Lines {
            source,
            file,
            options,
            framing: framing.clone(),
            ends: Ends::Json,
            array: None,
            csv_layout: None,
            text: ROOM.take(),
            from: 0,
            to: 0,
            position: start,
            end,
            stop: None,
            after_gap: false,
            n_lines: 0,
        }
    }

    fn drop_bom(&mut self) -> Result<()> {
        self.gather(BOM_BYTES)?;
        let head = &self.text[self.from..self.to];
        let bom = skip_bom(&self.file.path, head)?;
        if self.framing.records == RecordKind::Json {
            refuse_wide(&self.file.path, head)?;
        }
        self.skip(bom);
        // The first record begins with its file, mark and all.
        self.end = self.end.max(self.position.saturating_add(1));
        Ok(())
    }

    /// Passes over text that is held.
    pub(super) fn skip(&mut self, n: usize) {
        self.from += n;
        self.position += n as u64;
    }

    /// Reads until `wanted` bytes are held or nothing follows.
    pub(super) fn gather(&mut self, wanted: usize) -> Result<()> {
        if self.from > 0 && self.text.len() - self.from < wanted {
            self.text.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        let full = self.from + wanted;
        if self.text.len() < full && self.text.len() >= full / 2 {
            self.text.resize(full, 0); // a buffer that was handed back lacks little
        }
        while self.to < full && self.stop.is_none() {
            // Room is made as text comes, so that a small file costs little.
            if self.to == self.text.len() {
                let more = (self.to * 2).max(LEAST_ROOM_BYTES).min(full);
                self.text.resize(more, 0);
            }
            let room = full.min(self.text.len());
            match self.source.fill(&mut self.text[self.to..room])? {
                Filled::Bytes(n) => {
                    let new = &mut self.text[self.to..self.to + n];
                    if let Some(array) = &mut self.array {
                        array.rewrite(&self.file.path, new)?;
                    }
                    self.to += n;
                }
                Filled::Gap if self.array.is_some() => {
                    self.lose_rest_of_array();
                    self.stop = Some(Stop::Gap);
                }
                Filled::Gap => self.stop = Some(Stop::Gap),
                Filled::End => {
                    if let Some(array) = &self.array {
                        array.finish(&self.file.path)?;
                    }
                    self.stop = Some(Stop::End);
                }
            }
        }
        Ok(())
    }

    /// Reads on until it is known what the next chunk is.
    fn find_chunk(&mut self) -> Result<Next> {
        let longest = longest_record(&self.options);
        'record: loop {
            if self.after_gap && !self.pass_lost_start(longest)? {
                continue;
            }
            if self.position >= self.end {
                return Ok(Next::End);
            }
            let blocksize = self.options.blocksize;
            let block_end = (self.position / blocksize + 1).saturating_mul(blocksize);
            let room =
                usize::try_from(block_end.min(self.end) - self.position).unwrap_or(usize::MAX);
            let mut window = self
                .options
                .chunk_bytes
                .min(room.saturating_add(OVERHANG_BYTES))
                .min(longest);
            loop {
                let held = &self.text[self.from..self.to];
                let view = &held[..held.len().min(window)];
                let is_all = self.stop.is_some() && view.len() == held.len();
                let cut = if is_all || view.len() == window {
                    self.ends.of_records(view, room)
                } else {
                    self.ends.of_block(view, room)
                };
                if let Some(n) = cut {
                    return Ok(Next::Lines(n));
                }
                // No newline in all of it, whether or not the text ends here.
                if view.len() == longest {
                    return Ok(Next::TooLong);
                }
                if is_all {
                    match self.end_of_text() {
                        Some(0) => return Ok(Next::End),
                        Some(n) => return Ok(Next::Lines(n)),
                        None => continue 'record,
                    }
                }
                if view.len() == window {
                    window = window.saturating_mul(2).min(longest);
                }
                self.gather(window)?;
            }
        }
    }

    /// Makes the first `n` held bytes a chunk, in `reuse` or instead of it.
    fn hand_out(&mut self, n: usize, mut reuse: Vec<u8>) -> TextChunk {
        let first_byte = self.position;
        let tail = self.to - self.from - n;
        let bytes = if self.from == 0 && tail <= n {
            // Room behind the tail is made when it is read into; a buffer that
            // one long record stretched is not kept.
            if reuse.capacity() / 4 > self.options.chunk_bytes {
                reuse = Vec::new();
            }
            if reuse.len() < tail {
                reuse.resize(tail, 0);
            }
            reuse[..tail].copy_from_slice(&self.text[n..self.to]);
            let mut bytes = std::mem::replace(&mut self.text, reuse);
            bytes.truncate(n);
            self.to = tail;
            self.position += n as u64;
            bytes
        } else {
            reuse.clear();
            reuse.extend_from_slice(&self.text[self.from..self.from + n]);
            self.skip(n);
            reuse
        };
        if self.counts_lines() {
            self.n_lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        }
        TextChunk {
            file: self.file.index,
            first_byte,
            block: first_byte / self.options.blocksize,
            bytes,
            long: None,
            replaced: self.source.replaced(self.position),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let room = std::mem::take(&mut self.text);
        if (1..=KEPT_ROOM_BYTES).contains(&room.capacity()) {
            // A thread that ends keeps nothing.
            let _ = ROOM.try_with(|kept| kept.set(room));
        }
    }
}

impl TextReader for Lines {
    fn next_chunk(&mut self, reuse: Vec<u8>) -> Result<Option<TextChunk>> {
        match self.find_chunk()? {
            Next::Lines(n) => Ok(Some(self.hand_out(n, reuse))),
            Next::TooLong if self.options.pass_long => self.pass_long().map(Some),
            Next::TooLong => Err(self.too_long()),
            Next::End => Ok(None),
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        self.source.stored_bytes_read()
    }

    fn damage(&self) -> Option<&Damage> {
        self.source.damage().filter(|damage| damage.n_spans > 0)
    }

    fn csv_layout(&self) -> Option<&Arc<CsvLayout>> {
        self.csv_layout.as_ref()
    }
}

/// One more than the longest record has, for its newline.
fn longest_record(options: &TextOptions) -> usize {
    usize::try_from(options.max_record_bytes.saturating_add(1)).unwrap_or(usize::MAX)
}
