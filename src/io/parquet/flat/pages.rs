//! The pages of a column chunk, one after the other.
//!
//! In:  an open file, where the chunk lies, where its pages lie if that is known.
//! Out: decompressed pages. Those that hold none of the rows that are asked for
//!      are stepped over: neither read, where their places are known, nor decompressed.

use std::ops::Range;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Compression;
use parquet::file::page_index::offset_index::PageLocation;

use super::codec::decompress;
use super::fault::{Fault, Outcome, damaged};
use super::header::{self, Body, PageHeader};
use super::room::Room;
use crate::io::pread::Pread;

/// Bytes of a chunk that are read at once, where pages are not read one by one.
const AHEAD_BYTES: u64 = 1 << 20;

/// Bytes that are looked at for a header, to begin with.
const HEADER_BYTES: u64 = 256;

/// The pages of one chunk.
pub(super) struct Pages {
    file: Pread,
    codec: Compression,
    /// Where the page at hand begins, its header first.
    page_at: u64,
    /// Where the next page begins, its first row, and where the chunk ends.
    at: u64,
    row: usize,
    end: u64,
    places: Option<Places>,
    /// Stored bytes from a place of the file on.
    held: Room,
    held_at: u64,
    held_len: usize,
    /// The page at hand.
    body: Room,
}

/// The places of all pages of a file, and which of them are this chunk's.
pub(super) struct Places {
    pub metadata: ArrowReaderMetadata,
    pub group: usize,
    pub leaf: usize,
    /// Whether pages are read one by one, since few of them may be wanted.
    pub one_by_one: bool,
}

impl Places {
    fn pages(&self) -> &[PageLocation] {
        let index = self.metadata.metadata().offset_index();
        let of_group = index.and_then(|index| index.get(self.group));
        let of_leaf = of_group.and_then(|group| group.get(self.leaf));
        of_leaf.map_or(&[], |index| index.page_locations().as_slice())
    }
}

impl Pages {
    pub fn new(file: Pread, codec: Compression, chunk: Range<u64>, places: Option<Places>) -> Self {
        Pages {
            file,
            codec,
            page_at: chunk.start,
            at: chunk.start,
            row: 0,
            end: chunk.end,
            places: places.filter(|places| !places.pages().is_empty()),
            held: Room::default(),
            held_at: 0,
            held_len: 0,
            body: Room::default(),
        }
    }

    /// The byte of the file at which the page at hand begins, or the one that could not be read.
    pub fn page_at(&self) -> u64 {
        self.page_at
    }

    /// The page at hand.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Goes to the next page of a dictionary, or of rows behind the next `owed`
    /// ones. Those of pages that are stepped over are taken off. None at the end.
    pub fn next(&mut self, owed: &mut usize) -> Outcome<Option<PageHeader>> {
        loop {
            self.step_over(owed);
            if self.at >= self.end {
                return Ok(None);
            }
            self.page_at = self.at;
            let (header, length) = self.header()?;
            let stored_at = self.at + length as u64;
            let left = self.end - stored_at;
            if header.stored_bytes as u64 > left {
                return damaged(format!(
                    "a page of {} bytes where {left} are left",
                    header.stored_bytes
                ));
            }
            self.at = stored_at + header.stored_bytes as u64;
            match &header.body {
                Body::Other => continue,
                Body::Dictionary { .. } => {}
                Body::Data { slots, .. } | Body::DataV2 { slots, .. } => {
                    self.row += slots;
                    if slots <= owed {
                        *owed -= slots;
                        continue;
                    }
                }
            }
            self.open(&header, stored_at)?;
            self.let_go();
            return Ok(Some(header));
        }
    }

    /// Goes to the page that holds the row behind the next `owed` ones. The
    /// dictionary in front of all pages is not stepped over.
    fn step_over(&mut self, owed: &mut usize) {
        let Some(places) = &self.places else {
            return;
        };
        let pages = places.pages();
        let row = self.row.saturating_add(*owed);
        let behind = pages.partition_point(|page| page.first_row_index <= row as i64);
        let Some(page) = behind.checked_sub(1).and_then(|idx| pages.get(idx)) else {
            return;
        };
        let at = page.offset as u64;
        let is_dictionary_due = pages[0].offset as u64 > self.at;
        if at > self.at && at < self.end && !is_dictionary_due {
            let first_row = page.first_row_index as usize;
            if let Some(stepped) = first_row.checked_sub(self.row) {
                *owed -= stepped;
                (self.at, self.row) = (at, first_row);
            }
        }
    }

    /// The next page's header, and its length.
    fn header(&mut self) -> Outcome<(PageHeader, usize)> {
        let left = self.end - self.at;
        let mut looked_at = HEADER_BYTES.min(left);
        loop {
            let bytes = self.stored(self.at, looked_at as usize)?;
            match header::read(bytes) {
                Ok(read) => return Ok(read),
                Err(reason) if looked_at == left => return damaged(reason),
                Err(_) => looked_at = looked_at.saturating_mul(16).min(left),
            }
        }
    }

    /// Decompresses a page.
    fn open(&mut self, header: &PageHeader, stored_at: u64) -> Outcome<()> {
        self.stored(stored_at, header.stored_bytes)?;
        let from = (stored_at - self.held_at) as usize;
        let stored = &self.held[from..][..header.stored_bytes];
        if header.crc.is_some_and(|crc| crc != crc32fast::hash(stored)) {
            return damaged("the checksum of a page is wrong");
        }
        if self.body.capacity() == 0 {
            self.body = Room::take();
        }
        self.body.clear();
        let (plain, is_compressed) = match header.body {
            Body::DataV2 {
                level_bytes,
                is_compressed,
                ..
            } => (level_bytes, is_compressed),
            _ => (0, true),
        };
        let Some(length) = header.bytes.checked_sub(plain) else {
            return damaged("a page has less bytes than its levels");
        };
        let Some((levels, values)) = stored.split_at_checked(plain) else {
            return damaged("the levels of a page are cut short");
        };
        let codec = match is_compressed {
            true => self.codec,
            false => Compression::UNCOMPRESSED,
        };
        match levels.is_empty() {
            true => decompress(codec, values, length, &mut self.body),
            false => {
                self.body.extend_from_slice(levels);
                decompress(codec, values, length, &mut self.body)
            }
        }
    }

    /// Gives stored bytes to the next column, where pages are read one by one
    /// and nothing behind the one at hand was.
    fn let_go(&mut self) {
        if self.at >= self.held_at + self.held_len as u64 {
            self.held = Room::default();
            self.held_len = 0;
        }
    }

    /// Stored bytes of the chunk, which hold so many from `at` on.
    fn stored(&mut self, at: u64, n: usize) -> Outcome<&[u8]> {
        let held = self.held_at..self.held_at + self.held_len as u64;
        let wanted_end = at + n as u64;
        if !(held.contains(&at) || n == 0) || wanted_end > held.end {
            self.fetch(at, n)?;
        }
        let from = (at - self.held_at) as usize;
        Ok(&self.held[from..][..n])
    }

    /// Holds bytes from `at` on, `n` and perhaps those behind them.
    fn fetch(&mut self, at: u64, n: usize) -> Outcome<()> {
        let until = match &self.places {
            Some(places) if places.one_by_one => page_end(places.pages(), at),
            _ => at + AHEAD_BYTES,
        };
        let end = until.max(at + n as u64).min(self.end);
        let length = usize::try_from(end - at).unwrap_or(usize::MAX);
        // What is there already need not be read again.
        let held_end = self.held_at + self.held_len as u64;
        let kept = match self.held_at <= at && at < held_end {
            true => {
                let from = (at - self.held_at) as usize;
                self.held.copy_within(from..self.held_len, 0);
                self.held_len - from
            }
            false => 0,
        };
        if self.held.capacity() == 0 {
            self.held = Room::take();
        }
        if self.held.len() < length {
            self.held.resize(length, 0);
        }
        (self.held_at, self.held_len) = (at, kept);
        let rest = &mut self.held[kept..length];
        self.file
            .read_into(at + kept as u64, rest)
            .map_err(Fault::Read)?;
        self.held_len = length;
        Ok(())
    }
}

/// Where the page ends that holds a byte; the first one's beginning, in front of it.
fn page_end(pages: &[PageLocation], at: u64) -> u64 {
    let behind = pages.partition_point(|page| page.offset as u64 <= at);
    match (behind.checked_sub(1), pages.first()) {
        (Some(idx), _) => pages[idx].offset as u64 + pages[idx].compressed_page_size as u64,
        (None, Some(first)) => first.offset as u64,
        (None, None) => at,
    }
}
