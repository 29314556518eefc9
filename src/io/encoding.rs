//! Text that is not UTF-8, made into it.
//!
//! In:  decompressed bytes, and what they mean.
//! Out: the same text as UTF-8; bytes that mean nothing are an error with their
//!      place, or become U+FFFD and are counted.
//!
//! Places are those of the text as UTF-8, as all that comes later sees no other.

use std::fmt;
use std::str::FromStr;

use std::collections::VecDeque;

use encoding_rs::{Decoder, DecoderResult, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::{Error, Position, Result};
use crate::io::framing::{Framing, RecordKind};
use crate::io::salvage::Damage;
use crate::io::source::{Filled, Source};

/// Bytes asked of the source at once.
const READ_BYTES: usize = 64 << 10;

/// Longest sequence of bytes that no encoding can tell the meaning of yet.
const MOST_UNDECODED: usize = 8;

/// What the bytes of a text mean.
///
/// ```
/// use windrow::io::Encoding;
/// assert_eq!("latin1".parse::<Encoding>()?.to_string(), "windows-1252");
/// assert_eq!(Encoding::default().to_string(), "UTF-8");
/// assert!("klingon".parse::<Encoding>().is_err());
/// # Ok::<(), windrow::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Default for Encoding {
    /// UTF-8; a text that begins with the byte order mark of UTF-16 is that.
    fn default() -> Self {
        Encoding(UTF_8)
    }
}

impl Encoding {
    pub(crate) fn is_utf8(self) -> bool {
        self.0 == UTF_8
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.name())
    }
}

impl FromStr for Encoding {
    type Err = Error;

    /// A name of the WHATWG's Encoding Standard, in which `latin1` and
    /// `iso-8859-1` mean Windows-1252, as most files of that name are.
    fn from_str(text: &str) -> Result<Self> {
        encoding_rs::Encoding::for_label(text.trim().as_bytes())
            .map(Encoding)
            .ok_or_else(|| {
                Error::config(
                    "encoding",
                    format!(
                        "{text:?} is not the name of an encoding, such as utf-8, utf-16le or latin1"
                    ),
                )
            })
    }
}

/// What stands for bytes that mean nothing.
const REPLACEMENT: &str = "\u{FFFD}";

/// Sequences of bytes that mean nothing, each of which became U+FFFD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Replaced {
    /// How many.
    pub count: u64,
    /// The line of the first, from 1.
    pub line: u64,
    /// The byte of the first, in the text as UTF-8, the others replaced as well.
    pub byte: u64,
}

impl Replaced {
    /// Counts those that lie behind as well.
    pub(crate) fn add(&mut self, behind: Replaced) {
        self.count += behind.count;
    }
}

/// A source as UTF-8.
pub(crate) struct Transcoded {
    source: Box<dyn Source>,
    path: String,
    encoding: Encoding,
    /// Whether a byte order mark may say that it is UTF-16.
    may_be_utf16: bool,
    /// Whether bytes that mean nothing are replaced.
    lossy: bool,
    /// What was replaced and not told yet, one entry a line.
    replaced: VecDeque<Replaced>,
    state: State,
    /// What is read and not taken yet.
    stored: Held,
    /// What is decoded and not handed out yet.
    text: Held,
    /// Why nothing is read behind `stored`.
    stop: Option<Filled>,
    /// UTF-8 decoded, and newlines in it.
    produced: u64,
    newlines: u64,
}

enum State {
    /// Nothing was seen yet.
    Fresh,
    /// It is UTF-8 already.
    Plain,
    Decode(Decoder),
    /// The last bytes were taken.
    Over,
}

/// Bytes between two places.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Held {
    fn get(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    /// Moves bytes to `out`; how many.
    fn take(&mut self, out: &mut [u8]) -> usize {
        let n = self.get().len().min(out.len());
        out[..n].copy_from_slice(&self.get()[..n]);
        self.from += n;
        n
    }

    /// Room behind the bytes.
    fn room(&mut self) -> &mut [u8] {
        if self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        if self.bytes.len() < self.to + READ_BYTES {
            self.bytes.resize(self.to + READ_BYTES, 0);
        }
        &mut self.bytes[self.to..]
    }
}

impl Transcoded {
    pub fn new(source: Box<dyn Source>, path: &str, framing: &Framing) -> Self {
        Transcoded {
            source,
            path: path.to_owned(),
            encoding: framing.encoding,
            may_be_utf16: !matches!(framing.records, RecordKind::Json),
            lossy: framing.lossy,
            replaced: VecDeque::new(),
            state: State::Fresh,
            stored: Held::default(),
            text: Held::default(),
            stop: None,
            produced: 0,
            newlines: 0,
        }
    }

    /// Reads once, unless nothing can be read.
    fn refill(&mut self) -> Result<()> {
        if self.stop.is_none() {
            match self.source.fill(self.stored.room())? {
                Filled::Bytes(n) => self.stored.to += n,
                other => self.stop = Some(other),
            }
        }
        Ok(())
    }

    /// Tells the encoding from the first bytes, where it is not given.
    fn begin(&mut self) -> Result<State> {
        while self.stored.get().len() < 4 && self.stop.is_none() {
            self.refill()?;
        }
        let (found, refused) = match self.stored.get() {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => (UTF_8, true), // UTF-32, by name later
            [0xff, 0xfe, ..] if self.may_be_utf16 => (UTF_16LE, false),
            [0xfe, 0xff, ..] if self.may_be_utf16 => (UTF_16BE, false),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => (UTF_8, true),
            _ => (UTF_8, false),
        };
        let encoding = if self.encoding.is_utf8() {
            found
        } else {
            self.encoding.0
        };
        Ok(if encoding != UTF_8 {
            State::Decode(encoding.new_decoder_with_bom_removal())
        } else if self.lossy && !refused {
            // A mark is passed on, as where nothing is decoded.
            State::Decode(encoding.new_decoder_without_bom_handling())
        } else {
            State::Plain
        })
    }

    /// Puts U+FFFD where bytes meant nothing.
    fn replace(&mut self) {
        let found = Replaced {
            count: 1,
            line: self.newlines + 1,
            byte: self.produced,
        };
        match self.replaced.back_mut() {
            Some(last) if last.line == found.line => last.add(found),
            _ => self.replaced.push_back(found),
        }
        self.text.room()[..REPLACEMENT.len()].copy_from_slice(REPLACEMENT.as_bytes());
        self.text.to += REPLACEMENT.len();
        self.produced += REPLACEMENT.len() as u64;
    }

    /// Decodes what is held. At a gap the characters on both sides stand for themselves.
    fn decode(&mut self) -> Result<()> {
        let State::Decode(decoder) = &mut self.state else {
            return Ok(());
        };
        let is_last = self.stop.is_some();
        let encoding = decoder.encoding();
        let room = self.text.room();
        let (result, taken, n) =
            decoder.decode_to_utf8_without_replacement(self.stored.get(), room, is_last);
        self.newlines += memchr::memchr_iter(b'\n', &room[..n]).count() as u64;
        self.stored.from += taken;
        self.text.to += n;
        self.produced += n as u64;
        match result {
            DecoderResult::Malformed(..) if self.lossy => {
                self.replace();
                Ok(())
            }
            DecoderResult::Malformed(..) => Err(Error::Decode {
                at: Position {
                    path: self.path.clone(),
                    byte: self.produced,
                    line: self.newlines + 1,
                },
                column: None,
                reason: format!(
                    "not {} (bytes are counted as those of the text in UTF-8)",
                    encoding.name()
                ),
            }),
            DecoderResult::InputEmpty if is_last => {
                self.state = match self.stop {
                    Some(Filled::Gap) => State::Decode(encoding.new_decoder_without_bom_handling()),
                    _ => State::Over,
                };
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Source for Transcoded {
    fn fill(&mut self, out: &mut [u8]) -> Result<Filled> {
        loop {
            let n = self.text.take(out);
            if n > 0 {
                return Ok(Filled::Bytes(n));
            }
            match self.state {
                State::Fresh => self.state = self.begin()?,
                State::Over => return Ok(Filled::End),
                State::Plain => {
                    let n = self.stored.take(out);
                    if n > 0 {
                        return Ok(Filled::Bytes(n));
                    }
                    return match self.stop.take() {
                        Some(stop) => Ok(stop),
                        None => self.source.fill(out),
                    };
                }
                State::Decode(_)
                    if self.stored.get().is_empty() && self.stop == Some(Filled::Gap) =>
                {
                    self.stop = None;
                    return Ok(Filled::Gap);
                }
                State::Decode(_) => {
                    if self.stored.get().len() < READ_BYTES {
                        self.refill()?;
                    }
                    self.decode()?;
                    // Beside bytes that mean nothing there may be more text at hand.
                    while self.lossy
                        && matches!(self.state, State::Decode(_))
                        && self.stored.get().len() > MOST_UNDECODED
                        && self.text.get().len() < READ_BYTES
                    {
                        self.decode()?;
                    }
                }
            }
        }
    }

    fn stored_bytes_read(&self) -> u64 {
        self.source.stored_bytes_read()
    }

    fn damage(&self) -> Option<&Damage> {
        self.source.damage()
    }

    fn damage_mut(&mut self) -> Option<&mut Damage> {
        self.source.damage_mut()
    }

    fn replaced(&mut self, before: u64) -> Option<Replaced> {
        let mut all: Option<Replaced> = None;
        while let Some(next) = self
            .replaced
            .front()
            .copied()
            .filter(|next| next.byte < before)
        {
            self.replaced.pop_front();
            match &mut all {
                Some(all) => all.add(next),
                None => all = Some(next),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::source::Stored;

    fn read(bytes: &[u8], encoding: &str, step: usize) -> Result<String> {
        let stored = Stored::new(Box::new(std::io::Cursor::new(bytes.to_vec())), "x");
        let framing = Framing {
            records: RecordKind::Line,
            encoding: encoding.parse()?,
            lossy: false,
        };
        let mut source = Transcoded::new(Box::new(stored), "x", &framing);
        let (mut all, mut out) = (Vec::new(), vec![0; step]);
        while let Filled::Bytes(n) = source.fill(&mut out)? {
            all.extend_from_slice(&out[..n]);
        }
        Ok(String::from_utf8(all).unwrap())
    }

    #[test]
    fn every_encoding_gives_the_same_text_at_every_step() {
        let text = "a,b\né,\u{10348}\nlast";
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for step in [1, 2, 3, 5, 100] {
            let marked = [b"\xff\xfe".as_slice(), &little].concat();
            assert_eq!(read(&marked, "utf-8", step).unwrap(), text);
            assert_eq!(read(&marked, "utf-16le", step).unwrap(), text);
            assert_eq!(read(&little, "utf-16le", step).unwrap(), text);
            let marked = [b"\xfe\xff".as_slice(), &big].concat();
            assert_eq!(read(&marked, "utf-8", step).unwrap(), text);
            assert_eq!(read(text.as_bytes(), "utf-8", step).unwrap(), text);
            assert_eq!(read(b"caf\xe9\n\x80", "latin1", step).unwrap(), "café\n€");
            assert_eq!(read(b"", "utf-8", step).unwrap(), "");
        }
    }

    #[test]
    fn long_texts_pass_through_small_buffers() {
        let text = "zwölf,\u{1F33E}\n".repeat(20_000);
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        let marked: Vec<u8> = [0xff, 0xfe].into_iter().chain(units).collect();
        assert_eq!(read(&marked, "utf-8", 1 << 16).unwrap(), text);
    }

    #[test]
    fn bytes_that_mean_nothing_have_a_place() {
        let mut bytes = b"\xff\xfea\0\n\0b\0".to_vec();
        bytes.extend([0x00, 0xdc, b'c', 0]);
        let error = read(&bytes, "utf-8", 64).unwrap_err().to_string();
        assert!(error.contains("x: line 2 (byte 3"), "{error}");
        assert!(error.contains("UTF-16"), "{error}");
        let odd = read(b"\xff\xfea\0b", "utf-8", 64);
        assert!(odd.is_err());
    }

    #[test]
    fn bytes_that_mean_nothing_are_replaced_and_counted_line_by_line() {
        let bytes = b"a\xff\xfe\nb\xe2\x82\n\xf0\x9f\n\xc3\xa9\nend\x80";
        let wanted = String::from_utf8_lossy(bytes);
        for step in [1, 2, 3, 7, 100] {
            let framing = Framing {
                lossy: true,
                ..Framing::default()
            };
            let stored = Stored::new(Box::new(std::io::Cursor::new(bytes.to_vec())), "x");
            let mut source = Transcoded::new(Box::new(stored), "x", &framing);
            let (mut all, mut out) = (Vec::new(), vec![0; step]);
            while let Filled::Bytes(n) = source.fill(&mut out).unwrap() {
                all.extend_from_slice(&out[..n]);
            }
            assert_eq!(String::from_utf8(all).unwrap(), wanted);
            let first = source.replaced(5).unwrap();
            assert_eq!((first.count, first.line, first.byte), (2, 1, 1));
            let rest = source.replaced(u64::MAX).unwrap();
            assert_eq!((rest.count, rest.line, rest.byte), (3, 2, 9));
            assert_eq!(source.replaced(u64::MAX), None);
        }
    }
}
