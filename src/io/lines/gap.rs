//! Text on both sides of what was lost to damage.
//!
//! In:  text that ends in a gap, and what follows behind it.
//! Out: whole records only; pieces at the edges are dropped and counted.

use super::cut::{Lines, Stop};
use crate::error::Result;
use crate::io::salvage::Damage;
use crate::io::source::{Filled, Source};

impl Lines {
    /// Behind a gap nobody knows how deep in an array the text goes on, so
    /// the damage reaches to the file's end.
    pub(super) fn lose_rest_of_array(&mut self) {
        self.source = Box::new(Over {
            stored: self.source.stored_bytes_read(),
            damage: self.source.damage_mut().map(std::mem::take),
        });
        if let Some(span) = self
            .source
            .damage_mut()
            .and_then(|all| all.spans.last_mut())
        {
            span.to_byte = span.to_byte.max(self.file.bytes);
        }
        self.array = None;
    }

    /// What to do with text that no newline ends and nothing follows: hand
    /// out so many bytes, or go on behind the gap.
    pub(super) fn end_of_text(&mut self) -> Option<usize> {
        let rest = &self.text[self.from..self.to];
        if self.stop == Some(Stop::End) {
            return Some(rest.len());
        }
        if self.ends.is_whole(rest) {
            return Some(rest.len());
        }
        self.drop_piece(rest.len());
        self.stop = None;
        self.after_gap = true;
        None
    }

    /// Passes over the rest of a line whose start was lost. A line that is
    /// whole stays. False if there is another gap before its end.
    pub(super) fn pass_lost_start(&mut self, longest: usize) -> Result<bool> {
        let mut window = self.options.chunk_bytes;
        loop {
            self.gather(window.min(longest))?;
            let held = &self.text[self.from..self.to];
            let newline = memchr::memchr(b'\n', held);
            let line = &held[..newline.unwrap_or(held.len())];
            if newline.is_none() && self.stop.is_none() {
                if window >= longest {
                    self.drop_piece(self.to - self.from);
                } else {
                    window = window.saturating_mul(2);
                }
                continue;
            }
            self.after_gap = false;
            if self.ends.is_whole(line) || line.trim_ascii().is_empty() {
                return Ok(true);
            }
            self.drop_piece(newline.map_or(held.len(), |at| at + 1));
            if newline.is_some() || self.stop == Some(Stop::End) {
                return Ok(true);
            }
            self.stop = None;
            self.after_gap = true;
            return Ok(false);
        }
    }

    /// Drops held text that is no whole record, and counts it.
    fn drop_piece(&mut self, n: usize) {
        let piece = &self.text[self.from..self.from + n];
        let is_blank = piece.trim_ascii().is_empty();
        if let Some(damage) = self.source.damage_mut() {
            damage.partial_lines += u64::from(!is_blank);
        }
        self.skip(n);
    }
}

/// A source that was given up.
struct Over {
    stored: u64,
    damage: Option<Damage>,
}

impl Source for Over {
    fn fill(&mut self, _out: &mut [u8]) -> Result<Filled> {
        Ok(Filled::End)
    }
    fn stored_bytes_read(&self) -> u64 {
        self.stored
    }
    fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    fn damage_mut(&mut self) -> Option<&mut Damage> {
        self.damage.as_mut()
    }
}
