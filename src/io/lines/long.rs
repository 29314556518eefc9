//! Records that are longer than allowed.
//!
//! In:  text in which no record ends within the longest that is read.
//! Out: an error with its place, or its first bytes and the text behind it.

use super::cut::{Lines, Stop};
use crate::error::{Error, Position, Result};
use crate::io::framing::Ends;
use crate::io::locate;
use crate::io::text::{LongRecord, TextChunk};
use crate::size::ByteSize;

/// Bytes kept of a record that is too long: enough to recognise it by.
const LONG_KEPT_BYTES: usize = 4 << 10;

impl Lines {
    /// Passes over the record at hand, which is longer than allowed, and over
    /// its newline; gives its first bytes. Holds no more of it than is held already.
    /// Of CSV only the first line goes, in whole: where the record ends is not
    /// known without all of its quotes, and one of them may be one too many.
    pub(super) fn pass_long(&mut self) -> Result<TextChunk> {
        let first_byte = self.position;
        let terminator = self.ends.terminator();
        let held = &self.text[self.from..self.to];
        let line = memchr::memchr(terminator, held).unwrap_or(held.len());
        let kept = match self.ends {
            Ends::Csv(_) if line < held.len() => line,
            _ => line.min(LONG_KEPT_BYTES),
        };
        let mut kept = held[..kept].to_vec();
        // Not in the middle of a character.
        if let Err(error) = std::str::from_utf8(&kept)
            && error.error_len().is_none()
        {
            kept.truncate(error.valid_up_to());
        }
        let behind = loop {
            let held = self.to - self.from;
            if let Some(at) = memchr::memchr(terminator, &self.text[self.from..self.to]) {
                self.skip(at + 1);
                break self.position - 1;
            }
            self.skip(held);
            if self.stop == Some(Stop::Gap) {
                self.stop = None;
                self.after_gap = true;
                break self.position;
            }
            if self.stop == Some(Stop::End) {
                break self.position;
            }
            self.gather(self.options.chunk_bytes)?;
        };
        self.n_lines += 1;
        // The room that the record had stretched is given back.
        self.text = self.text[self.from..self.to].to_vec();
        self.to -= self.from;
        self.from = 0;
        Ok(TextChunk {
            file: self.file.index,
            first_byte,
            block: first_byte / self.options.blocksize,
            bytes: kept,
            long: Some(LongRecord {
                bytes: behind - first_byte,
                reason: self.why_too_long(),
            }),
            replaced: self.source.replaced(self.position),
        })
    }

    /// Whether lines are counted as they pass: rereading would not find that of a
    /// failure in a stream, in an array that was made into lines, and behind damage.
    pub(super) fn counts_lines(&self) -> bool {
        !self.file.seekable || self.array.is_some() || self.options.salvage
    }

    fn why_too_long(&self) -> String {
        format!(
            "the record is longer than {}: raise {} to read it, if it is one",
            ByteSize::new(self.options.max_record_bytes),
            self.options.limited_by
        )
    }

    /// The error of a record that is longer than allowed.
    pub(super) fn too_long(&self) -> Error {
        let line = if self.counts_lines() {
            Ok(self.n_lines + 1)
        } else {
            locate::line_of(&self.file, self.position, &self.framing)
        };
        match line {
            Ok(line) => Error::Decode {
                at: Position {
                    path: self.file.path.clone(),
                    byte: self.position,
                    line,
                },
                column: None,
                reason: self.why_too_long(),
            },
            Err(error) => error,
        }
    }
}
