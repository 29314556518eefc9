//! gzip members, sound ones and others.
//!
//! In:  bytes.
//! Out: gzip files without a time stamp: the same bytes whenever they are made.

use std::io::Write;

use flate2::{Compress, Compression, FlushCompress, Status};

/// Which optional fields a member's header has (RFC 1952 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// None.
    #[default]
    Plain,
    /// All: extra field, name, comment and header checksum.
    Full,
}

/// Level of every generated member: gzip's own default.
const LEVEL: u32 = 6;

/// `text` as a gzip file of one member.
pub fn gzip(text: &[u8]) -> Vec<u8> {
    member(text, Header::Plain)
}

/// `text` cut into `n` pieces of even size, wherever that falls, each a member.
pub fn members(text: &[u8], n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in 0..n {
        let (start, end) = (text.len() * piece / n, text.len() * (piece + 1) / n);
        out.extend_from_slice(&gzip(&text[start..end]));
    }
    out
}

/// `text` as one member.
pub fn member(text: &[u8], header: Header) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    if header == Header::Full {
        const FHCRC_FEXTRA_FNAME_FCOMMENT: u8 = 0b1_1110;
        out[3] = FHCRC_FEXTRA_FNAME_FCOMMENT;
        out.extend_from_slice(&[8, 0, b'W', b'R', 4, 0, 1, 2, 3, 4]);
        out.extend_from_slice(b"access.json\0made by windrow's generator\0");
        let checksum = crc32fast::hash(&out) as u16;
        out.extend_from_slice(&checksum.to_le_bytes());
    }
    deflate(text, &mut out);
    out.extend_from_slice(&crc32fast::hash(text).to_le_bytes());
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out
}

fn deflate(text: &[u8], out: &mut Vec<u8>) {
    let mut stream = Compress::new(Compression::new(LEVEL), false);
    loop {
        out.reserve(text.len() / 4 + 4096);
        let read = stream.total_in() as usize;
        let status = stream
            .compress_vec(&text[read..], out, FlushCompress::Finish)
            .expect("a fresh stream with room to write cannot fail");
        if status == Status::StreamEnd {
            break;
        }
    }
}

/// A writer of one member without a time stamp; `finish` writes its trailer.
pub fn gzip_writer<W: Write>(out: W) -> flate2::write::GzEncoder<W> {
    flate2::write::GzEncoder::new(out, Compression::new(LEVEL))
}

/// Turns over bit `bit` (0 to 7) of byte `byte`.
pub fn corrupt_bit(bytes: &mut [u8], byte: usize, bit: u32) {
    bytes[byte] ^= 1 << bit;
}
