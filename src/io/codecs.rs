//! bzip2, xz, lz4 and snappy: decoders of other crates, read as sources.
//!
//! In:  stored bytes of one or many streams.
//! Out: their text, in order, as far as it can be read.
//!
//! These decoders do not tell where a damaged stream begins, so with salvage
//! what precedes the damage is kept and the rest of the file is given up.
//! Snappy has no mark for its end: a file cut between two of its chunks of
//! 64 KiB looks whole. A checksum is checked where there is one; lz4 may have none.

use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::io::compression::Compression;
use crate::io::guard::guarded;
use crate::io::salvage::{Damage, DamagedSpan};
use crate::io::source::{Filled, Source, Stored};

/// Memory that an xz stream may ask for, in KiB: its highest preset takes 65 MiB.
#[cfg(feature = "codecs")]
const XZ_MEMORY_KIB: u32 = 256 << 10;

/// A file in one of these codecs.
pub(crate) struct Decoded {
    /// The decoder over `input`.
    reader: Box<dyn Read + Send>,
    input: Shared,
    path: String,
    codec: Compression,
    damage: Option<Damage>,
    over: bool,
}

/// Stored bytes that a decoder takes, and whose place is asked for meanwhile.
#[derive(Clone)]
struct Shared {
    input: Arc<Mutex<Stored>>,
    /// Whether a decoder asked for more than there is.
    wants_more: Arc<AtomicBool>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Shared {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let mut input = self.lock();
        if input.available().is_empty() {
            let has_more = input.refill().map_err(std::io::Error::other)?;
            self.wants_more.store(!has_more, Ordering::Relaxed);
        }
        let held = input.available();
        let n = held.len().min(out.len());
        out[..n].copy_from_slice(&held[..n]);
        input.take(n);
        Ok(n)
    }
}

impl Decoded {
    /// With `salvage`, damage ends the text instead of being an error.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] for a codec that is read elsewhere.
    pub(crate) fn try_new(input: Stored, codec: Compression, salvage: bool) -> Result<Self> {
        let path = input.path.clone();
        let input = Shared {
            input: Arc::new(Mutex::new(input)),
            wants_more: Arc::default(),
        };
        let stored = input.clone();
        let reader: Box<dyn Read + Send> = match codec {
            Compression::Lz4 => lz4(stored),
            Compression::Snappy => Box::new(snap::read::FrameDecoder::new(stored)),
            #[cfg(feature = "codecs")]
            Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(stored)),
            #[cfg(feature = "codecs")]
            Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
                stored,
                true,
                XZ_MEMORY_KIB,
            )),
            other => return Err(Error::internal(format!("{other} has a reader of its own"))),
        };
        Ok(Decoded {
            reader,
            input,
            path,
            codec,
            damage: salvage.then(Damage::default),
            over: false,
        })
    }

    /// Text of the next stream that has any; 0 at the end.
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            let before = self.input.lock().offset();
            let Decoded { reader, path, .. } = self;
            let read = guarded(path, || Ok(reader.read(out)))?;
            match read {
                Ok(0) if self.codec == Compression::Lz4 => {
                    if !self.next_frame()? {
                        return Ok(0);
                    }
                }
                // A decoder may end with each stream.
                Ok(0) if self.input.lock().offset() == before => return Ok(0),
                Ok(0) => {}
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Goes on with the next frame of lz4, each with a decoder of its own: one
    /// decoder takes a file cut between two blocks for whole, and stumbles over
    /// frames of different block sizes.
    fn next_frame(&mut self) -> Result<bool> {
        if self.input.wants_more.load(Ordering::Relaxed) {
            return Err(self.failed(ErrorKind::UnexpectedEof.into()));
        }
        if self.input.lock().want(1)? == 0 {
            return Ok(false);
        }
        self.reader = lz4(self.input.clone());
        Ok(true)
    }

    fn failed(&self, error: std::io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(reading) => reading,
            Err(error) => Error::corrupt(
                &self.path,
                Some(self.input.lock().offset()),
                format!(
                    "the {} stream is invalid or cut short ({error})",
                    self.codec
                ),
            ),
        }
    }
}

fn lz4(input: Shared) -> Box<dyn Read + Send> {
    Box::new(lz4_flex::frame::FrameDecoder::new(input))
}

impl Source for Decoded {
    fn fill(&mut self, out: &mut [u8]) -> Result<Filled> {
        if self.over {
            return Ok(Filled::End);
        }
        match (self.read(out), &mut self.damage) {
            (Ok(0), _) => Ok(Filled::End),
            (Ok(n), _) => Ok(Filled::Bytes(n)),
            (Err(Error::Corrupt { reason, .. }), Some(damage)) => {
                let mut input = self.input.lock();
                let from_byte = input.offset();
                loop {
                    let n = input.available().len();
                    input.take(n);
                    if !input.refill()? {
                        break;
                    }
                }
                damage.push(DamagedSpan {
                    from_byte,
                    to_byte: input.offset(),
                    reason,
                    kept: false,
                });
                self.over = true;
                Ok(Filled::Gap)
            }
            (Err(error), _) => Err(error),
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        self.input.lock().offset()
    }

    fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    fn damage_mut(&mut self) -> Option<&mut Damage> {
        self.damage.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text() -> Vec<u8> {
        (0..20_000)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect()
    }

    fn encoded(codec: Compression, text: &[u8]) -> Vec<u8> {
        match codec {
            Compression::Lz4 => {
                // As the lz4 command writes it; without a checksum a changed bit may pass.
                let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
                let mut out = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                out.write_all(text).unwrap();
                out.finish().unwrap()
            }
            Compression::Snappy => {
                let mut out = snap::write::FrameEncoder::new(Vec::new());
                out.write_all(text).unwrap();
                out.into_inner().unwrap()
            }
            #[cfg(feature = "codecs")]
            Compression::Bzip2 => {
                let level = bzip2::Compression::fast();
                let mut out = bzip2::write::BzEncoder::new(Vec::new(), level);
                out.write_all(text).unwrap();
                out.finish().unwrap()
            }
            #[cfg(feature = "codecs")]
            Compression::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(1);
                let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
                out.write_all(text).unwrap();
                out.finish().unwrap()
            }
            other => panic!("{other} is tested elsewhere"),
        }
    }

    const CODECS: &[Compression] = &[
        Compression::Lz4,
        Compression::Snappy,
        #[cfg(feature = "codecs")]
        Compression::Bzip2,
        #[cfg(feature = "codecs")]
        Compression::Xz,
    ];

    /// The text that could be read, and why no more.
    fn read(stored: &[u8], codec: Compression, salvage: bool) -> (Vec<u8>, Option<Error>, Decoded) {
        assert_eq!(Compression::detect("x", stored).unwrap(), codec);
        let input = Stored::new(Box::new(std::io::Cursor::new(stored.to_vec())), "x");
        let mut source = Decoded::try_new(input, codec, salvage).unwrap();
        let (mut all, mut out) = (Vec::new(), vec![0; 10_000]);
        loop {
            match source.fill(&mut out) {
                Ok(Filled::Bytes(n)) => all.extend_from_slice(&out[..n]),
                Ok(Filled::Gap) => {}
                Ok(Filled::End) => return (all, None, source),
                Err(error) => return (all, Some(error), source),
            }
        }
    }

    #[test]
    fn all_streams_of_a_file_are_read() {
        for &codec in CODECS {
            let text = text();
            let mut stored = encoded(codec, &text[..text.len() / 2]);
            stored.extend(encoded(codec, b""));
            stored.extend(encoded(codec, &text[text.len() / 2..]));
            let (found, error, source) = read(&stored, codec, false);
            assert!(error.is_none(), "{codec}: {error:?}");
            assert!(
                found == text,
                "{codec}: {} of {} bytes",
                found.len(),
                text.len()
            );
            assert_eq!(source.stored_bytes_read(), stored.len() as u64, "{codec}");
        }
    }

    #[test]
    fn a_file_cut_short_or_changed_is_an_error_with_its_place() {
        for &codec in CODECS {
            let text = text();
            let stored = encoded(codec, &text);
            for cut in [
                stored.len() - 1,
                stored.len() - 5,
                stored.len() / 2,
                stored.len() / 3,
            ] {
                let (found, error, _) = read(&stored[..cut], codec, false);
                assert!(text.starts_with(&found), "{codec}");
                let error = error
                    .unwrap_or_else(|| panic!("{codec} cut at {cut}"))
                    .to_string();
                assert!(
                    error.contains("x: ") && error.contains(&codec.to_string()),
                    "{error}"
                );
            }
            let mut changed = stored.clone();
            changed[stored.len() / 2] ^= 0x10;
            assert!(
                read(&changed, codec, false).1.is_some(),
                "{codec}: a changed bit"
            );
        }
    }

    #[test]
    fn salvage_keeps_what_precedes_the_damage_and_says_so() {
        for &codec in CODECS {
            let text = text();
            let mut stored = encoded(codec, &text);
            stored.extend(encoded(codec, &text));
            stored.truncate(stored.len() - 10);
            let (found, error, source) = read(&stored, codec, true);
            assert!(
                error.is_none() && found.len() >= text.len(),
                "{codec}: {error:?}"
            );
            assert!(found.starts_with(&text), "{codec}");
            let damage = source.damage().unwrap();
            assert_eq!(damage.n_spans, 1, "{codec}");
            assert_eq!(damage.spans[0].to_byte, stored.len() as u64, "{codec}");
        }
    }
}
