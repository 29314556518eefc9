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
    /// bzip2, of one stream or many. Needs the feature `codecs`.
    Bzip2,
    /// xz, of one stream or many. Needs the feature `codecs`.
    Xz,
    /// LZ4, of one frame or many.
    Lz4,
    /// Snappy in its framing format.
    Snappy,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::Lz4 => "lz4",
            Compression::Snappy => "snappy",
        })
    }
}

/// Codecs by their first bytes.
const READ: [(Compression, &[u8]); 4] = [
    (Compression::Xz, b"\xfd7zXZ\0"),
    (Compression::Lz4, b"\x04\x22\x4d\x18"),
    (Compression::Snappy, b"\xff\x06\0\0sNaPpY"),
    (Compression::Bzip2, b"BZh"), // and a digit, then what a block or the end begins with
];

/// What a bzip2 stream goes on with: a block, or its end.
const BZIP2: [&[u8]; 2] = [b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"];

/// Codecs that are recognised but not read: name, first bytes, what unpacks it.
const OTHERS: [(&str, &[u8], &str); 5] = [
    ("lz4 of the legacy format", b"\x02\x21\x4c\x18", "lz4 -dc"),
    ("Unix compress", b"\x1f\x9d", "uncompress -c"),
    ("zip", b"PK\x03\x04", "unzip -p"),
    ("zip", b"PK\x05\x06", "unzip -p"),
    ("7z", b"7z\xbc\xaf\x27\x1c", "7z x -so"),
];

/// Files of columns, whose rows are found from their ends: name, first bytes.
const COLUMNS: [(&str, &[u8]); 3] = [
    ("Parquet", b"PAR1\x15"),
    ("Arrow IPC", b"ARROW1\0\0"),
    ("an Arrow IPC stream", b"\xff\xff\xff\xff"),
];

impl Compression {
    /// The codec of a file that begins with `head`, of which the first
    /// ten bytes are looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming `path` and the codec, if it is one windrow does not read,
    /// or if this is no text at all.
    pub fn detect(path: &str, head: &[u8]) -> Result<Self> {
        if head.starts_with(b"\x1f\x8b") {
            return Ok(Compression::Gzip);
        }
        let skippable = matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        if head.starts_with(b"\x28\xb5\x2f\xfd") || skippable {
            return Ok(Compression::Zstd);
        }
        let known = READ.iter().find(|(codec, magic)| {
            head.starts_with(magic)
                && (*codec != Compression::Bzip2
                    || BZIP2
                        .iter()
                        .any(|next| head.get(4..).is_some_and(|head| head.starts_with(next))))
        });
        if let Some((codec, _)) = known {
            return codec.or_refuse(path);
        }
        if let Some((name, _)) = COLUMNS.iter().find(|(_, magic)| head.starts_with(magic)) {
            return Err(Error::config(
                path,
                format!(
                    "this is {name}, not text: give it as a file, read under its own format, \
                     not as text or through standard input"
                ),
            ));
        }
        let other = OTHERS.iter().find(|(_, magic, _)| head.starts_with(magic));
        match other {
            Some((name, _, tool)) => Err(refused(path, name, tool)),
            None => Ok(Compression::None),
        }
    }

    /// The codec, if this build reads it.
    fn or_refuse(self, path: &str) -> Result<Self> {
        if cfg!(feature = "codecs") {
            return Ok(self);
        }
        match self {
            Compression::Bzip2 => Err(refused(path, "bzip2", "bzip2 -dc")),
            Compression::Xz => Err(refused(path, "xz", "xz -dc")),
            other => Ok(other),
        }
    }
}

fn refused(path: &str, name: &str, tool: &str) -> Error {
    Error::config(
        path,
        format!(
            "this is {name}, which windrow does not read: unpack it first, as in `{tool} FILE | windrow COMMAND -`"
        ),
    )
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
        assert_eq!(detect(b"\x04\x22\x4d\x18\x60"), Compression::Lz4);
        assert_eq!(detect(b"\xff\x06\0\0sNaPpY"), Compression::Snappy);
        for (head, codec) in [
            (b"BZh91AY&SY".as_slice(), Compression::Bzip2),
            (b"BZh1\x17\x72\x45\x38\x50\x90", Compression::Bzip2),
            (b"\xfd7zXZ\0\0", Compression::Xz),
        ] {
            let found = Compression::detect("x", head);
            assert_eq!(found.ok(), cfg!(feature = "codecs").then_some(codec));
        }
    }

    #[test]
    fn files_of_columns_are_no_text() {
        for (head, name) in [
            (b"PAR1\x15\0".as_slice(), "this is Parquet"),
            (b"ARROW1\0\0", "this is Arrow IPC"),
        ] {
            let error = Compression::detect("-", head).unwrap_err().to_string();
            assert!(error.starts_with("-: ") && error.contains(name), "{error}");
        }
        assert_eq!(
            Compression::detect("-", b"PAR1,x").unwrap(),
            Compression::None
        );
    }

    #[test]
    fn other_codecs_are_refused_by_name() {
        for (head, name) in [
            (b"PK\x03\x04".as_slice(), "zip"),
            (b"\x02\x21\x4c\x18", "lz4"),
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
