//! Deflate data (RFC 1951) to its text, piece by piece.
//!
//! In:  stored bytes as they come, cut anywhere.
//! Out: text in the caller's buffer; where the data ends, to the byte.
//!
//! Two engines do the same: zlib-rs, in Rust, by default, and ISA-L, in
//! assembly and twice as fast, with the feature `isal`. Neither looks at
//! checksums: that is the container's part.

#[cfg(feature = "isal")]
mod isal;
#[cfg(not(feature = "isal"))]
mod zlib;

#[cfg(feature = "isal")]
pub(crate) use self::isal::Inflater;
#[cfg(not(feature = "isal"))]
pub(crate) use self::zlib::Inflater;

/// Bytes that [`Step::back`] may ask for: what an engine reads ahead of itself.
pub(crate) const READ_AHEAD: usize = 8;

/// What one call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes of the input that are done with.
    pub taken: usize,
    /// Bytes of earlier calls that turned out to lie behind the data's end.
    pub back: usize,
    /// Bytes of text written.
    pub given: usize,
    /// How things stand.
    pub status: Status,
}

/// How the data stands after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// More input or more room is needed.
    More,
    /// The data is over.
    End,
    /// This is no deflate data.
    Invalid,
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Text that compresses, with matches near and far.
    fn text() -> Vec<u8> {
        let mut text = Vec::new();
        let mut seed = 7u32;
        while text.len() < 300_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let line = format!("{{\"n\":{},\"s\":\"{}\"}}\n", seed >> 20, seed % 97);
            text.extend_from_slice(line.as_bytes());
        }
        text
    }

    fn deflate(text: &[u8], level: u32) -> Vec<u8> {
        let level = flate2::Compression::new(level);
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflates with so many bytes at hand and so much room; gives the text
    /// and how many bytes were left behind the end.
    fn inflate(stored: &[u8], piece: usize, room: usize) -> (Vec<u8>, usize) {
        let mut inflater = Inflater::new();
        let (mut at, mut end, mut text) = (0, 0, Vec::new());
        let mut out = vec![0; room];
        loop {
            if at == end {
                end = (end + piece).min(stored.len());
            }
            let step = inflater.step(&stored[at..end], &mut out);
            text.extend_from_slice(&out[..step.given]);
            at = at + step.taken - step.back;
            match step.status {
                Status::End => return (text, stored.len() - at),
                Status::More => assert!(at < stored.len() || step.given > 0, "no end in sight"),
                Status::Invalid => panic!("the data is valid"),
            }
        }
    }

    #[test]
    fn any_pieces_give_the_same_text_and_the_same_end() {
        let text = text();
        for level in [0, 1, 6] {
            let mut stored = deflate(&text, level);
            stored.extend_from_slice(b"eight or more bytes behind");
            for (piece, room) in [
                (1, 7),
                (3, 300_001),
                (1000, 1 << 20),
                (usize::MAX >> 1, 4096),
            ] {
                let (got, behind) = inflate(&stored, piece, room);
                assert!(
                    got == text,
                    "level {level}, {piece} bytes at hand, room for {room}"
                );
                assert_eq!(behind, 26, "level {level}, {piece} bytes at hand");
            }
        }
    }

    #[test]
    fn an_inflater_is_used_again_after_a_reset() {
        let mut inflater = Inflater::new();
        let mut out = vec![0; 64];
        for text in [b"first".as_slice(), b"second", b""] {
            inflater.reset();
            let stored = deflate(text, 6);
            let step = inflater.step(&stored, &mut out);
            assert_eq!((step.status, step.taken), (Status::End, stored.len()));
            assert_eq!(&out[..step.given], text);
        }
    }

    #[test]
    fn what_is_no_deflate_data_is_found_out() {
        let mut inflater = Inflater::new();
        let mut out = [0; 64];
        let first = inflater.step(&[0xff; 64], &mut out).status;
        let second = inflater.step(&[0xff; 64], &mut out).status;
        assert!(first == Status::Invalid || second == Status::Invalid);
    }
}
