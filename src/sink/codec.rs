//! How bytes of part files are compressed: one codec, or one a column.
//!
//! In:  a codec with its level as text, names of columns.
//! Out: `Codec`, and for each leaf of a Parquet file the one that it has.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_schema::Schema;

use crate::error::{Error, Result};
use crate::expr::col;

/// How part files are compressed. Parses "zstd", "zstd:9", "gzip:6", "snappy", "lz4", "none".
///
/// ```
/// use windrow::sink::Codec;
/// assert_eq!("zstd".parse::<Codec>().unwrap(), Codec::Zstd(1));
/// assert_eq!(Codec::Gzip(9).to_string(), "gzip:9");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Zstandard, level 1 to 22.
    Zstd(i32),
    /// Snappy.
    Snappy,
    /// Gzip, level 1 to 9.
    Gzip(u32),
    /// LZ4: raw blocks in Parquet, frames in Arrow IPC.
    Lz4,
    /// No compression.
    None,
}

impl Codec {
    /// Refuses a level that the codec has not.
    pub(crate) fn check(self) -> Result<()> {
        // A codec made in code did not go through the parser.
        self.to_string().parse::<Codec>().map(drop)
    }

    /// The codec without its level, as part files record it and reports print it.
    pub fn family(self) -> &'static str {
        match self {
            Codec::Zstd(_) => "zstd",
            Codec::Snappy => "snappy",
            Codec::Gzip(_) => "gzip",
            Codec::Lz4 => "lz4",
            Codec::None => "none",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Codec::Zstd(level) => write!(f, "zstd:{level}"),
            Codec::Gzip(level) => write!(f, "gzip:{level}"),
            other => f.pad(other.family()),
        }
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason: String| Error::config("compression", reason);
        let lower = text.to_ascii_lowercase();
        let (name, level) = match lower.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (lower.as_str(), None),
        };
        let level_in = |least: i32, most: i32, default: i32| match level {
            None => Ok(default),
            Some(level) => level
                .parse::<i32>()
                .ok()
                .filter(|level| (least..=most).contains(level))
                .ok_or_else(|| {
                    wrong(format!(
                        "{text:?}: the level of {name} is a number from {least} to {most}"
                    ))
                }),
        };
        let codec = match name {
            "zstd" => return Ok(Codec::Zstd(level_in(1, 22, 1)?)),
            "gzip" | "gz" => return Ok(Codec::Gzip(level_in(1, 9, 6)?.unsigned_abs())),
            "snappy" => Codec::Snappy,
            "lz4" => Codec::Lz4,
            "none" | "uncompressed" => Codec::None,
            _ => {
                return Err(wrong(format!(
                    "{text:?} is not a codec; use zstd, zstd:1 to zstd:22, gzip, gzip:1 to gzip:9, snappy, lz4 or none"
                )));
            }
        };
        if level.is_some() {
            return Err(wrong(format!("{text:?}: {name} has no levels")));
        }
        Ok(codec)
    }
}

/// The codec of each column of a Parquet file.
#[derive(Debug, Clone)]
pub(crate) struct Codecs {
    /// Of columns that are not named.
    pub(crate) others: Codec,
    /// Of columns, and fields of structs, by name.
    named: Arc<[(String, Codec)]>,
}

impl Codecs {
    pub(crate) fn new(others: Codec, named: &[(String, Codec)]) -> Self {
        Codecs {
            others,
            named: named.into(),
        }
    }

    /// The same, with another codec for columns that are not named.
    pub(crate) fn with_others(&self, others: Codec) -> Self {
        Codecs {
            others,
            named: Arc::clone(&self.named),
        }
    }

    /// The codec of a leaf by its path, such as `s.x`: that of the longest name
    /// that is the path or begins it.
    pub(crate) fn of(&self, path: &str) -> Codec {
        let begins = |name: &str| {
            let rest = path.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let named = self.named.iter().filter(|(name, _)| begins(name));
        let longest = named.max_by_key(|(name, _)| name.len());
        longest.map_or(self.others, |(_, codec)| *codec)
    }

    /// Refuses names of columns that are not there.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`], with near names.
    pub(crate) fn check_columns(&self, schema: &Schema) -> Result<()> {
        self.named
            .iter()
            .try_for_each(|(name, _)| col(name).bind(schema).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_parse_and_print_as_they_are_written() {
        for (text, codec) in [
            ("zstd", Codec::Zstd(1)),
            ("ZSTD:19", Codec::Zstd(19)),
            ("gzip", Codec::Gzip(6)),
            ("gz:1", Codec::Gzip(1)),
            ("snappy", Codec::Snappy),
            ("lz4", Codec::Lz4),
            ("none", Codec::None),
        ] {
            assert_eq!(text.parse::<Codec>().unwrap(), codec, "{text}");
            assert_eq!(codec.to_string().parse::<Codec>().unwrap(), codec, "{text}");
        }
        for text in [
            "", "zip", "zstd:0", "zstd:23", "gzip:0", "gzip:10", "lz4:1", "zstd:", "zstd:x",
        ] {
            assert!(text.parse::<Codec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_leaf_has_the_codec_of_the_longest_name_that_begins_its_path() {
        let named = [
            ("s", Codec::Snappy),
            ("s.x", Codec::None),
            ("t", Codec::Lz4),
        ];
        let named = named.map(|(name, codec)| (name.to_owned(), codec));
        let codecs = Codecs::new(Codec::Zstd(3), &named);
        for (path, codec) in [
            ("s.y", Codec::Snappy),
            ("s.x", Codec::None),
            ("s.x.list.item", Codec::None),
            ("t.list.item", Codec::Lz4),
            ("tea", Codec::Zstd(3)),
            ("u.t", Codec::Zstd(3)),
        ] {
            assert_eq!(codecs.of(path), codec, "{path}");
        }
        assert_eq!(codecs.with_others(Codec::None).of("u"), Codec::None);
        assert_eq!(codecs.with_others(Codec::None).of("t"), Codec::Lz4);
    }
}
