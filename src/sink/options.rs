//! What to write, where, and over what.
//!
//! In:  a format, a codec and what may happen to an existing folder, as text or as types.
//! Out: `WriteOptions`, checked: every codec that is accepted is one the format can hold.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use arrow_schema::Schema;
use serde::{Deserialize, Serialize};

use super::csv::CsvStyle;
use super::parquet::Blooms;
use crate::error::{Error, Result};

/// The format of part files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// JSON Lines: one object a line.
    Json,
    /// The Arrow IPC file format, also called Feather 2.
    Ipc,
    /// CSV: a header, then one record a row.
    Csv,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Format::Parquet => "parquet",
            Format::Json => "json",
            Format::Ipc => "ipc",
            Format::Csv => "csv",
        })
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "parquet" => Ok(Format::Parquet),
            "json" | "jsonl" | "ndjson" => Ok(Format::Json),
            "ipc" | "arrow" | "feather" => Ok(Format::Ipc),
            "csv" => Ok(Format::Csv),
            _ => Err(Error::config(
                "format",
                format!("{text:?} cannot be written; use parquet, json, csv or ipc"),
            )),
        }
    }
}

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

/// What to do when the target folder already holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// Stop with an error. The default.
    #[default]
    Refuse,
    /// Add part files after those that are there.
    Append,
    /// Put the new output in the place of the old one, at once, when it is complete.
    Overwrite,
}

/// Where and how part files are written.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The target folder. Its missing parents are made.
    pub dir: PathBuf,
    /// The format of part files. Default Parquet.
    pub format: Format,
    /// Their compression. Default: zstd(1) for Parquet (zstd(3) for row groups below a mebibyte), lz4 for IPC, none for JSON and CSV.
    pub codec: Option<Codec>,
    /// What may happen to a folder in use. Default: it is refused.
    pub existing: Existing,
    /// Whether a run without rows leaves one part file that holds only the
    /// schema (for JSON, which has none, an empty file). Default no.
    pub schema_file_if_empty: bool,
    /// Columns whose values become folders `column=value`. Default none.
    pub partition_on: Vec<String>,
    /// Columns of Parquet that get a Bloom filter in each row group, for readers
    /// that look for single values of them: text, binary, whole numbers, dates
    /// or times; `s.x` for a field of a struct. Takes about 10 to 20 bits for
    /// each distinct value of a row group. Default none.
    pub bloom: Vec<String>,
    /// Whether files and folders are flushed to the disk before the run is
    /// called done. Default yes; switch off for output that is cheap to make again.
    pub durable: bool,
    /// How CSV is written.
    pub csv: CsvStyle,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions {
            dir: PathBuf::new(),
            format: Format::default(),
            codec: None,
            existing: Existing::default(),
            schema_file_if_empty: false,
            partition_on: Vec::new(),
            bloom: Vec::new(),
            durable: true,
            csv: CsvStyle::default(),
        }
    }
}

impl WriteOptions {
    /// Whether the rows of a sorted frame are sorted over all files of the folder.
    pub(crate) fn keeps_order(&self) -> bool {
        self.partition_on.is_empty() && self.existing != Existing::Append
    }

    /// Parquet with zstd(1), of row groups below a mebibyte zstd(3), into a folder
    /// that must not be in use.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        WriteOptions {
            dir: dir.into(),
            ..WriteOptions::default()
        }
    }

    /// The codec that will be used: the one asked for, else the format's default.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the format cannot hold the codec or it has no such level.
    pub fn codec(&self) -> Result<Codec> {
        let Some(codec) = self.codec else {
            return Ok(match self.format {
                Format::Parquet => Codec::Zstd(1),
                Format::Json | Format::Csv => Codec::None,
                Format::Ipc => Codec::Lz4,
            });
        };
        // A codec made in code did not go through the parser.
        codec.to_string().parse::<Codec>()?;
        let fits = match self.format {
            Format::Parquet => true,
            Format::Json | Format::Csv => {
                matches!(codec, Codec::Zstd(_) | Codec::Gzip(_) | Codec::None)
            }
            Format::Ipc => matches!(codec, Codec::Zstd(_) | Codec::Lz4 | Codec::None),
        };
        if fits {
            return Ok(codec);
        }
        let choice = match self.format {
            Format::Parquet => "zstd, gzip, snappy, lz4 or none",
            Format::Json | Format::Csv => "gzip, zstd or none",
            Format::Ipc => "lz4, zstd or none",
        };
        Err(Error::config(
            "compression",
            format!(
                "{} files cannot hold {}; use {choice}",
                self.format,
                codec.family()
            ),
        ))
    }

    /// Refuses Bloom filters in files that have none.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the option.
    pub(crate) fn check_bloom(&self) -> Result<()> {
        if self.bloom.is_empty() || self.format == Format::Parquet {
            return Ok(());
        }
        let reason = format!(
            "only Parquet has Bloom filters, {} files have none",
            self.format
        );
        Err(Error::config("bloom", reason))
    }

    /// Refuses Bloom filters of columns that are not there, or of a type without them.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names; [`Error::Config`] for a type.
    pub(crate) fn check_bloom_columns(&self, schema: &Schema) -> Result<()> {
        Blooms::new(&self.bloom).check(schema)
    }

    /// What a part file's name ends in, with the codec where readers tell it by name.
    pub(crate) fn extension(&self) -> Result<&'static str> {
        Ok(match (self.format, self.codec()?) {
            (Format::Parquet, _) => "parquet",
            (Format::Ipc, _) => "arrow",
            (Format::Json, Codec::Gzip(_)) => "json.gz",
            (Format::Json, Codec::Zstd(_)) => "json.zst",
            (Format::Json, _) => "json",
            (Format::Csv, Codec::Gzip(_)) => "csv.gz",
            (Format::Csv, Codec::Zstd(_)) => "csv.zst",
            (Format::Csv, _) => "csv",
        })
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
    fn a_codec_that_the_format_cannot_hold_is_refused_by_name() {
        let options = |format, codec| WriteOptions {
            format,
            codec: Some(codec),
            ..WriteOptions::default()
        };
        assert!(options(Format::Parquet, Codec::Snappy).codec().is_ok());
        assert!(options(Format::Json, Codec::Gzip(6)).codec().is_ok());
        let error = options(Format::Json, Codec::Snappy).codec().unwrap_err();
        assert_eq!(
            error.to_string(),
            "compression: json files cannot hold snappy; use gzip, zstd or none"
        );
        assert!(options(Format::Ipc, Codec::Gzip(6)).codec().is_err());
        let level = options(Format::Parquet, Codec::Zstd(40)).codec();
        assert!(level.unwrap_err().to_string().contains("1 to 22"));
    }
}
