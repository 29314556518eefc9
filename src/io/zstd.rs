//! Zstandard, every frame of it, checked.
//!
//! In:  stored bytes of one or many frames, skippable ones among them.
//! Out: their text, in order.
//!
//! The decoder checks each frame's checksum where it has one. A frame whose
//! window is larger than 128 MiB is refused: it would hold that much memory.

use zstd::stream::raw::{Decoder, Operation};

use crate::error::{Error, Result};
use crate::io::salvage::{Damage, DamagedSpan, TRIAL_BYTES, find_next};
use crate::io::source::{Filled, Source, Stored};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A zstd file, read from its first byte to its last.
pub(crate) struct Zstd {
    input: Stored,
    decoder: Decoder<'static>,
    /// How many bytes the decoder wants next; 0 between frames.
    hint: usize,
    frame_byte: u64,
    /// The last call filled its buffer, so the decoder may hold more text.
    holds_text: bool,
    over: bool,
    damage: Option<Damage>,
}

impl Zstd {
    /// With `salvage`, damage makes a gap instead of an error.
    pub(crate) fn try_new(mut input: Stored, salvage: bool) -> Result<Self> {
        if salvage {
            input.keep_history(TRIAL_BYTES);
        }
        let decoder =
            Decoder::new().map_err(|source| Error::external("starting a zstd decoder", source))?;
        Ok(Zstd {
            input,
            decoder,
            hint: 0,
            frame_byte: 0,
            holds_text: false,
            over: false,
            damage: salvage.then(Damage::default),
        })
    }

    fn step(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            if self.over {
                return Ok(0);
            }
            if self.hint == 0 {
                self.frame_byte = self.input.offset();
            }
            let at_end = self.input.available().is_empty() && !self.input.refill()?;
            if at_end && !self.holds_text {
                self.over = true;
                if self.hint == 0 {
                    return Ok(0);
                }
                return Err(self.corrupt(format!(
                    "the file ends inside the zstd frame that begins at byte {}",
                    self.frame_byte
                )));
            }
            // No more than one block at once, so that an error's place is known to a block.
            let held = self.input.available();
            let offered = &held[..held.len().min(self.hint.max(MAGIC.len()))];
            let status = match self.decoder.run_on_buffers(offered, out) {
                Ok(status) => status,
                Err(error) => {
                    return Err(self.corrupt(format!(
                        "the zstd frame at byte {} is invalid ({error})",
                        self.frame_byte
                    )));
                }
            };
            self.input.take(status.bytes_read);
            self.hint = status.remaining;
            // A hint of zero means that the frame is over and all of it was given.
            self.holds_text = status.remaining > 0 && status.bytes_written == out.len();
            if status.bytes_written > 0 {
                return Ok(status.bytes_written);
            }
        }
    }

    fn corrupt(&self, reason: String) -> Error {
        Error::corrupt(&self.input.path, Some(self.input.offset()), reason)
    }

    fn resume(&mut self, from_byte: u64, reason: String) -> Result<()> {
        let past = self.input.offset() - self.frame_byte;
        self.input
            .go_back(past.saturating_sub(1).min(TRIAL_BYTES as u64));
        if past == 0 {
            let n = self.input.want(1)?;
            self.input.take(n);
        }
        self.over = !find_next(&mut self.input, &MAGIC, decodes)?;
        self.decoder
            .reinit()
            .map_err(|source| Error::external("starting a zstd decoder", source))?;
        self.hint = 0;
        self.holds_text = false;
        let to_byte = self.input.offset();
        if let Some(damage) = &mut self.damage {
            damage.push(DamagedSpan {
                from_byte: from_byte.min(to_byte),
                to_byte,
                reason,
                kept: false,
            });
        }
        Ok(())
    }
}

impl Source for Zstd {
    fn fill(&mut self, out: &mut [u8]) -> Result<Filled> {
        match self.step(out) {
            Ok(0) => Ok(Filled::End),
            Ok(n) => Ok(Filled::Bytes(n)),
            Err(Error::Corrupt {
                byte: Some(byte),
                reason,
                ..
            }) if self.damage.is_some() => {
                self.resume(byte, reason)?;
                Ok(Filled::Gap)
            }
            Err(error) => Err(error),
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        self.input.offset()
    }

    fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    fn damage_mut(&mut self) -> Option<&mut Damage> {
        self.damage.as_mut()
    }
}

/// Whether a frame begins `bytes` and decodes as far as they go.
fn decodes(bytes: &[u8], _at_end: bool) -> bool {
    let Ok(mut decoder) = Decoder::new() else {
        return false;
    };
    let mut out = vec![0; TRIAL_BYTES];
    let (mut at, mut text) = (0, 0);
    loop {
        let Ok(status) = decoder.run_on_buffers(&bytes[at..], &mut out) else {
            return false;
        };
        at += status.bytes_read;
        text += status.bytes_written;
        if status.remaining == 0 {
            return true;
        }
        if status.bytes_read == 0 && status.bytes_written == 0 {
            return text >= 512 || at == TRIAL_BYTES;
        }
    }
}
