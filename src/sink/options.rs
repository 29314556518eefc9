//! What to write, where, and over what.
//!
//! In:  a format, a codec and what may happen to an existing folder, as text or as types.
//! Out: `WriteOptions`, checked: every codec that is accepted is one the format can hold.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use arrow_schema::{FieldRef, Schema, SchemaRef};
use parquet::arrow::ARROW_SCHEMA_META_KEY;
use serde::{Deserialize, Serialize};

use super::codec::{Codec, Codecs};
use super::csv::CsvStyle;
use super::parquet::Blooms;
use super::part_name::PartName;
use crate::error::{Error, Result};
use crate::expr::nearest;

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
    /// Codecs of single columns of Parquet, by name; `s.x` for a field of a
    /// struct. Other columns have `codec`. Give text that is seldom read a
    /// higher level, and what no codec makes smaller (hashes, images) none.
    /// Default: no column has another one.
    pub column_codecs: Vec<(String, Codec)>,
    /// What may happen to a folder in use. Default: it is refused.
    pub existing: Existing,
    /// Whether a run without rows leaves one part file that holds only the
    /// schema (for JSON, which has none, an empty file). Default no.
    pub schema_file_if_empty: bool,
    /// The columns of the output, in this order and these types: values are cast,
    /// and one that the type does not hold exactly is an error; nullable columns
    /// that the rows lack are null. A column of the rows that is none of these is
    /// refused, also one that text brings late. Columns of `partition_on` are among
    /// them. Default: the columns that there are.
    pub schema: Option<SchemaRef>,
    /// What part files are called. Default `part-{i:06}`, for `part-000042.parquet`.
    pub part_name: PartName,
    /// Columns whose values become folders `column=value`. Default none.
    pub partition_on: Vec<String>,
    /// Columns of Parquet that get a Bloom filter in each row group, for readers
    /// that look for single values of them: text, binary, whole numbers, dates
    /// or times; `s.x` for a field of a struct. Takes about 10 to 20 bits for
    /// each distinct value of a row group. Default none.
    pub bloom: Vec<String>,
    /// Keys and values that the footer of each Parquet file holds, in this
    /// order; [`Storage`](crate::inspect::Storage) shows those of any file. What
    /// the footers of inputs hold is not taken over: it may speak of columns
    /// that are no longer there. Default none.
    pub metadata: Vec<(String, String)>,
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
            column_codecs: Vec::new(),
            existing: Existing::default(),
            schema_file_if_empty: false,
            schema: None,
            part_name: PartName::default(),
            partition_on: Vec::new(),
            bloom: Vec::new(),
            metadata: Vec::new(),
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
        codec.check()?;
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

    /// The codec of each column of Parquet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a codec has no such level, a column is named twice, or
    /// the format has one codec a file.
    pub(crate) fn codecs(&self) -> Result<Codecs> {
        let wrong = |reason: String| Err(Error::config("compression", reason));
        if !self.column_codecs.is_empty() && self.format != Format::Parquet {
            return wrong(format!(
                "only Parquet has codecs by column, {} files have one for all",
                self.format
            ));
        }
        for (idx, (name, codec)) in self.column_codecs.iter().enumerate() {
            codec.check()?;
            if self.column_codecs[..idx]
                .iter()
                .any(|(other, _)| other == name)
            {
                return wrong(format!("column {name:?} has two codecs"));
            }
        }
        Ok(Codecs::new(self.codec()?, &self.column_codecs))
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

    /// Refuses keys that a footer cannot hold, and files without a footer.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the option.
    pub(crate) fn check_metadata(&self) -> Result<()> {
        let wrong = |reason: String| Err(Error::config("metadata", reason));
        if !self.metadata.is_empty() && self.format != Format::Parquet {
            return wrong(format!(
                "only Parquet has keys and values in its footer, {} files have none",
                self.format
            ));
        }
        for (idx, (key, _)) in self.metadata.iter().enumerate() {
            if key.is_empty() {
                return wrong("a key is empty".to_owned());
            }
            if key == ARROW_SCHEMA_META_KEY {
                return wrong(format!(
                    "{key:?} is where Arrow's types are kept; use another key"
                ));
            }
            if self.metadata[..idx].iter().any(|(other, _)| other == key) {
                return wrong(format!("{key:?} has two values"));
            }
        }
        Ok(())
    }

    /// Refuses columns that the output is not to have, codecs and Bloom filters of
    /// columns that are not there, and filters of a type without them.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] for an unknown column, with near names; [`Error::Config`] for a type.
    pub(crate) fn check_columns(&self, schema: &Schema) -> Result<()> {
        let schema = match &self.schema {
            Some(given) => {
                check_known(schema, given)?;
                given
            }
            None => schema,
        };
        let in_files = |field: &&FieldRef| !self.partition_on.contains(field.name());
        let fields = schema.fields().iter().filter(in_files).cloned();
        let schema = Schema::new(fields.collect::<Vec<_>>());
        self.codecs()?.check_columns(&schema)?;
        Blooms::new(&self.bloom).check(&schema)
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

/// Refuses a column that an output with the columns `given` would leave out.
///
/// # Errors
///
/// [`Error::Plan`] naming it, with near names.
pub(crate) fn check_known(found: &Schema, given: &Schema) -> Result<()> {
    let names = || given.fields().iter().map(|field| field.name().as_str());
    let mut found = found.fields().iter().map(|field| field.name());
    match found.find(|name| names().all(|given| given != name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(Error::Plan {
            reason: format!(
                "column {unknown:?} is not in the schema of the output: leave it out, or add it there"
            ),
            near: nearest(unknown, names()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
