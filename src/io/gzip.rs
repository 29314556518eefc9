//! gzip, every member of it, checked.
//!
//! In:  stored bytes of one or many gzip members (RFC 1952).
//! Out: their text, inflated straight into the caller's buffer.
//!
//! Every member's header, CRC-32 and length are checked before its end is
//! believed. Zeros after the last member are padding; anything else there is
//! an error. Text already given out before an error is the file's own text
//! unless the damage itself decodes, which only the checksum shows.

use crate::error::{Error, Result};
use crate::io::inflate::{Inflater, READ_AHEAD, Status};
use crate::io::salvage::{Damage, DamagedSpan, TRIAL_BYTES, find_next};
use crate::io::source::{Filled, Source, Stored};

/// First bytes of a member: magic and the one method there is, deflate.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// A gzip file, read from its first byte to its last.
pub(crate) struct Gzip {
    input: Stored,
    inflate: Inflater,
    crc: crc32fast::Hasher,
    state: State,
    /// Where the current member begins, and how much text it gave.
    member_byte: u64,
    member_text: u64,
    /// Whether any member began, and whether the current one's data is over.
    begun: bool,
    ended: bool,
    damage: Option<Damage>,
}

enum State {
    /// Before a member.
    Between,
    /// Inside the deflate data.
    Body,
    /// The text of this call came first.
    Failed(Error),
    Done,
}

impl Gzip {
    /// With `salvage`, damage makes a gap instead of an error.
    pub(crate) fn new(mut input: Stored, salvage: bool) -> Self {
        input.keep_history(if salvage { TRIAL_BYTES } else { READ_AHEAD });
        Gzip {
            input,
            inflate: Inflater::new(),
            crc: crc32fast::Hasher::new(),
            state: State::Between,
            member_byte: 0,
            member_text: 0,
            begun: false,
            ended: false,
            damage: salvage.then(Damage::default),
        }
    }

    fn corrupt(&self, byte: u64, reason: impl Into<String>) -> Error {
        Error::corrupt(&self.input.path, Some(byte), reason)
    }

    fn truncated(&self) -> Error {
        self.corrupt(
            self.input.offset(),
            format!(
                "the file ends inside the gzip member that begins at byte {}",
                self.member_byte
            ),
        )
    }

    /// Writes text until `out` is full, a member ends or the file does.
    fn step(&mut self, out: &mut [u8], filled: &mut usize) -> Result<()> {
        loop {
            match self.state {
                State::Done => return Ok(()),
                State::Failed(_) => {
                    if let State::Failed(error) = std::mem::replace(&mut self.state, State::Done) {
                        return Err(error);
                    }
                }
                State::Between => {
                    if !self.next_member()? {
                        self.state = State::Done;
                        return Ok(());
                    }
                    self.state = State::Body;
                }
                State::Body => {
                    let ended = self.inflate(out, filled)?;
                    if ended {
                        self.state = State::Between;
                        self.trailer()?;
                    }
                    if *filled == out.len() || (ended && *filled > 0) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Inflates once. True if the member's data ended.
    fn inflate(&mut self, out: &mut [u8], filled: &mut usize) -> Result<bool> {
        let at_end = self.input.available().is_empty() && !self.input.refill()?;
        let step = self
            .inflate
            .step(self.input.available(), &mut out[*filled..]);
        let given = step.given;
        self.crc.update(&out[*filled..*filled + given]);
        self.input.take(step.taken);
        self.input.go_back(step.back as u64);
        *filled += given;
        self.member_text += given as u64;
        match step.status {
            Status::End => {
                self.ended = true;
                Ok(true)
            }
            Status::More if at_end && given == 0 => Err(self.truncated()),
            Status::More => Ok(false),
            // What an inflater says of it ("bad state") helps nobody.
            Status::Invalid => Err(self.corrupt(
                self.input.offset(),
                format!(
                    "the compressed data of the gzip member at byte {} is invalid",
                    self.member_byte
                ),
            )),
        }
    }

    /// Checks what follows the data: CRC-32 and length of the text.
    fn trailer(&mut self) -> Result<()> {
        let at = self.input.offset();
        if self.input.want(8)? < 8 {
            let n = self.input.available().len();
            self.input.take(n);
            return Err(self.truncated());
        }
        let (crc, text) = trailer(self.input.available());
        self.input.take(8);
        let computed = std::mem::take(&mut self.crc).finalize();
        if crc != computed {
            return Err(self.corrupt(
                at,
                format!("the text of the gzip member at byte {} has checksum {computed:08x}, {crc:08x} is stored", self.member_byte),
            ));
        }
        if text != self.member_text as u32 {
            return Err(self.corrupt(
                at,
                format!("the text of the gzip member at byte {} has {} bytes (modulo 2^32), {text} are stored", self.member_byte, self.member_text as u32),
            ));
        }
        Ok(())
    }

    /// Goes to the data of the next member. False at the end of the file.
    fn next_member(&mut self) -> Result<bool> {
        if self.begun && !self.skip_padding()? {
            return Ok(false);
        }
        self.member_byte = self.input.offset();
        let padded = self.begun;
        self.begun = true;
        self.ended = false;
        for want in MAGIC {
            match self.input.take_byte()? {
                Some(byte) if byte == want => {}
                None => return Err(self.truncated()),
                Some(_) if padded => {
                    return Err(self.corrupt(
                        self.member_byte,
                        "what follows the last gzip member is neither another member nor zeros",
                    ));
                }
                Some(_) => {
                    return Err(self.corrupt(self.member_byte, "the gzip header is invalid"));
                }
            }
        }
        self.header()?;
        self.inflate.reset();
        self.crc.reset();
        self.member_text = 0;
        Ok(true)
    }

    /// Skips zeros. False if the file ends after them.
    fn skip_padding(&mut self) -> Result<bool> {
        loop {
            let zeros = self.input.available().iter().take_while(|b| **b == 0);
            let n = zeros.count();
            self.input.take(n);
            if !self.input.available().is_empty() {
                return Ok(true);
            }
            if !self.input.refill()? {
                return Ok(false);
            }
        }
    }

    /// Reads a header behind its magic, optional fields and all.
    fn header(&mut self) -> Result<()> {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&MAGIC);
        let flags = self.header_byte(&mut crc)?;
        if flags & RESERVED != 0 {
            return Err(self.corrupt(
                self.member_byte,
                format!("the gzip header has unknown flags {flags:#04x}"),
            ));
        }
        for _time_level_system in 0..6 {
            self.header_byte(&mut crc)?;
        }
        if flags & FEXTRA != 0 {
            let low = self.header_byte(&mut crc)?;
            let high = self.header_byte(&mut crc)?;
            for _ in 0..u16::from_le_bytes([low, high]) {
                self.header_byte(&mut crc)?;
            }
        }
        for text in [FNAME, FCOMMENT] {
            if flags & text != 0 {
                while self.header_byte(&mut crc)? != 0 {}
            }
        }
        if flags & FHCRC != 0 {
            let computed = crc.clone().finalize() as u16;
            let low = self.header_byte(&mut crc)?;
            let high = self.header_byte(&mut crc)?;
            if computed != u16::from_le_bytes([low, high]) {
                return Err(
                    self.corrupt(self.member_byte, "the checksum of the gzip header is wrong")
                );
            }
        }
        Ok(())
    }

    fn header_byte(&mut self, crc: &mut crc32fast::Hasher) -> Result<u8> {
        match self.input.take_byte()? {
            Some(byte) => {
                crc.update(&[byte]);
                Ok(byte)
            }
            None => Err(self.truncated()),
        }
    }

    /// Notes the damage and goes on behind it. True if text is missing there.
    fn resume(&mut self, from_byte: u64, reason: String) -> Result<bool> {
        // A wrong checksum is found when the member is over: its text was
        // given out, and the next member's follows it without a gap.
        let kept = self.ended;
        let found = if kept {
            true
        } else {
            // The decoder may have run over the start of the next member.
            let past = self.input.offset() - self.member_byte;
            self.input
                .go_back(past.saturating_sub(1).min(TRIAL_BYTES as u64));
            find_next(&mut self.input, &MAGIC, decodes)?
        };
        self.state = if found { State::Between } else { State::Done };
        // What was found is a member: what it begins with is no padding.
        self.begun = kept;
        self.ended = false;
        let to_byte = self.input.offset();
        let span = DamagedSpan {
            from_byte: if kept { self.member_byte } else { from_byte }.min(to_byte),
            to_byte,
            reason,
            kept,
        };
        if let Some(damage) = &mut self.damage {
            damage.push(span);
        }
        Ok(!kept)
    }
}

impl Source for Gzip {
    fn fill(&mut self, out: &mut [u8]) -> Result<Filled> {
        loop {
            let mut filled = 0;
            match self.step(out, &mut filled) {
                Ok(()) if filled > 0 => return Ok(Filled::Bytes(filled)),
                Ok(()) => return Ok(Filled::End),
                Err(error) if filled > 0 => {
                    self.state = State::Failed(error);
                    return Ok(Filled::Bytes(filled));
                }
                Err(Error::Corrupt {
                    byte: Some(byte),
                    reason,
                    ..
                }) if self.damage.is_some() => {
                    if self.resume(byte, reason)? {
                        return Ok(Filled::Gap);
                    }
                }
                Err(error) => return Err(error),
            }
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

fn trailer(bytes: &[u8]) -> (u32, u32) {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    (word(0), word(4))
}

/// Whether a gzip member begins `bytes`: it ends with its right checksum, or
/// decodes as far as the bytes go and gives at least 512 bytes of text.
fn decodes(bytes: &[u8], at_end: bool) -> bool {
    let mut member = Gzip::new(
        Stored::new(Box::new(std::io::Cursor::new(bytes.to_vec())), ""),
        false,
    );
    let mut out = vec![0; TRIAL_BYTES];
    let mut text = 0;
    if !matches!(member.next_member(), Ok(true)) {
        return false;
    }
    loop {
        let mut filled = 0;
        match member.inflate(&mut out, &mut filled) {
            Ok(true) if member.input.available().len() >= 8 => return member.trailer().is_ok(),
            Ok(true) => return !at_end || text + filled >= 512,
            Ok(false) => text += filled,
            // It decoded up to the end of what was looked at.
            Err(_) if member.input.offset() == bytes.len() as u64 => return text >= 512,
            Err(_) => return false,
        }
    }
}
