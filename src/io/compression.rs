//! Which codec a file is stored with.
//!
//! In:  its first bytes; never its name.
//! Out: a `Compression` windrow reads, or an error that names the one it is.

use std::fmt;

use crate::error::{Error, Result};

/// Bytes needed to tell every codec apart.
pub(crate) const MAGIC_BYTES: usize = 10;

/// How the bytes of a text file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip, of one member or many.
    Gzip,
    /// Zstandard, of one frame or many.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

/// Codecs that are recognised but not read: name, first bytes, what unpacks it.
const OTHERS: [(&str, &[u8], &str); 9] = [
    ("bzip2", b"1AY&SY", "bzip2 -dc"), // after "BZh" and a digit
    ("xz", b"\xfd7zXZ\0", "xz -dc"),
    ("lz4", b"\x04\x22\x4d\x18", "lz4 -dc"),
    ("lz4", b"\x02\x21\x4c\x18", "lz4 -dc"),
    ("Unix compress", b"\x1f\x9d", "uncompress -c"),
    ("snappy", b"\xff\x06\0\0sNaPpY", "snzip -dc"),
    ("zip", b"PK\x03\x04", "unzip -p"),
    ("zip", b"PK\x05\x06", "unzip -p"),
    ("7z", b"7z\xbc\xaf\x27\x1c", "7z x -so"),
];

impl Compression {
    /// The codec of a file that begins with `head`, of which the first
    /// ten bytes are looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming `path` and the codec, if it is one windrow does not read.
    pub fn detect(path: &str, head: &[u8]) -> Result<Self> {
        if head.starts_with(b"\x1f\x8b") {
            return Ok(Compression::Gzip);
        }
        let skippable = matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        if head.starts_with(b"\x28\xb5\x2f\xfd") || skippable {
            return Ok(Compression::Zstd);
        }
        for (name, magic, tool) in OTHERS {
            let at = if name == "bzip2" && head.starts_with(b"BZh") {
                4
            } else {
                0
            };
            if head.get(at..).is_some_and(|head| head.starts_with(magic)) {
                return Err(Error::config(
                    path,
                    format!(
                        "this is {name}, and windrow reads plain text, gzip and zstd: unpack it first, as in `{tool} FILE | windrow COMMAND -`"
                    ),
                ));
            }
        }
        Ok(Compression::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_told_by_their_first_bytes() {
        let detect = |head: &[u8]| Compression::detect("x.gz", head).unwrap();
        assert_eq!(detect(b""), Compression::None);
        assert_eq!(detect(b"{\"a\":1}"), Compression::None);
        assert_eq!(detect(b"\x1f"), Compression::None);
        assert_eq!(detect(b"BZh is text"), Compression::None);
        assert_eq!(detect(b"\x1f\x8b\x08"), Compression::Gzip);
        assert_eq!(detect(b"\x28\xb5\x2f\xfd\x04"), Compression::Zstd);
        assert_eq!(detect(b"\x5e\x2a\x4d\x18\x04"), Compression::Zstd);
    }

    #[test]
    fn other_codecs_are_refused_by_name() {
        for (head, name) in [
            (b"BZh91AY&SY\0".as_slice(), "bzip2"),
            (b"\xfd7zXZ\0\0", "xz"),
            (b"\x04\x22\x4d\x18", "lz4"),
            (b"PK\x03\x04", "zip"),
            (b"\x1f\x9d\x90", "Unix compress"),
        ] {
            let error = Compression::detect("logs.json", head)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(name) && error.contains("logs.json"),
                "{error}"
            );
        }
    }
}
