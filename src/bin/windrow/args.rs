//! Flags that several commands share, and the options they become.
//!
//! In:  words of a command line, parsed by clap into types with units.
//! Out: `Settings`, `ReadOptions` and a layout of the library.
//!
//! A flag is here only if the engine does what it says. Names and units are
//! those of the library's options, which also hold the defaults.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::{ArgAction, Args, ValueEnum};
use windrow::arrow::schema::SchemaRef;
use windrow::inspect::parse_schema;
use windrow::{
    By, ByteSize, Encoding, Error, FileFormat, MaxRejects, OnBadRecord, ReadOptions, Result,
    SchemaMode, Settings, SortBy,
};

use crate::csv_args::CsvArgs;
use crate::progress::When;

/// A value of a flag. clap names the flag, so that only the reason is left to say.
///
/// # Errors
///
/// Why it is none, in words.
pub fn value<T: FromStr<Err = Error>>(text: &str) -> std::result::Result<T, String> {
    text.parse().map_err(|error| match error {
        Error::Config { reason, .. } => reason,
        other => other.to_string(),
    })
}

/// What to read.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// Files, globs, folders (recursively), URLs, @FILE (a list of these), or - (standard input)
    ///
    /// Quote globs, so that windrow expands them and not the shell: then their
    /// number has no limit. Compression is told by content, not by name.
    /// URLs (s3://, gs://, az://, https://) need a build with the feature cloud:
    /// s3://bucket/prefix/ is read like a folder, s3://bucket/a/*.gz like a glob;
    /// credentials come from the environment (AWS_*, GOOGLE_*, AZURE_*).
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<String>,

    /// Format of the input [default: told by its content]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub from: Option<From>,
}

/// Input formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// JSON Lines, or an array of objects; plain, gzip or zstd
    #[value(alias = "jsonl", alias = "ndjson")]
    Json,
    /// Apache Parquet
    Parquet,
    /// Arrow IPC files
    #[value(alias = "arrow", alias = "feather")]
    Ipc,
    /// CSV, or what is near to it: tabs, semicolons, no header; in any codec
    #[value(alias = "tsv")]
    Csv,
    /// Lines, as they are, in one column
    #[value(alias = "lines")]
    Text,
}

impl From {
    /// The library's word for it.
    pub fn format(self) -> FileFormat {
        match self {
            From::Json => FileFormat::Json,
            From::Parquet => FileFormat::Parquet,
            From::Ipc => FileFormat::Ipc,
            From::Csv => FileFormat::Csv,
            From::Text => FileFormat::Text,
        }
    }
}

/// Which rows and columns to keep.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows and columns")]
pub struct PickArgs {
    /// Read only these columns, in this order
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,

    /// Keep only rows for which this SQL expression is true, such as "status >= 500 and user is not null"
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,

    /// Add a column that holds the path each row was read from (text input)
    #[arg(long, value_name = "COLUMN")]
    pub include_path: Option<String>,
}

/// How records become rows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading text")]
pub struct ReadArgs {
    /// Columns and types, as `windrow schema --output json` prints them [default: found while reading]
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,

    /// What to do with keys that --schema does not have
    ///
    /// A value that the type of its column does not hold makes the record bad in every mode.
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Mode::Widen)]
    pub schema_mode: Mode,

    /// What to do with a record that does not decode, or is too long
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnBad::Fail)]
    pub on_bad_record: OnBad,

    /// Keep bad records in this file: JSON Lines with file, line, byte, reason and raw text
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Fail when more records are bad than this number, or this share of all lines (0.1%)
    #[arg(long, value_name = "N|P%", value_parser = value::<MaxRejects>)]
    pub max_rejects: Option<MaxRejects>,

    /// Keep what can be read of truncated or damaged gzip files, and report what was lost
    #[arg(long)]
    pub salvage: bool,

    /// Read bytes that mean nothing as U+FFFD, and report how many there were; else they are an error
    #[arg(long)]
    pub lossy: bool,

    /// Decompressed bytes of text per partition [default: 128MiB]
    #[arg(long, value_name = "SIZE")]
    pub blocksize: Option<ByteSize>,

    /// Longest record that is read; an eighth of --memory if that is less [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub max_record: Option<ByteSize>,

    /// Deepest nesting that is read [default: 128]
    #[arg(long, value_name = "N")]
    pub max_depth: Option<usize>,

    /// What the bytes of CSV and lines mean, such as latin1 or utf-16le [default: utf-8, or utf-16 by its mark]
    #[arg(long, value_name = "NAME", value_parser = value::<Encoding>)]
    pub encoding: Option<Encoding>,

    /// Add a column that holds the byte each line begins at (--from text)
    #[arg(long, value_name = "COLUMN")]
    pub include_byte: Option<String>,

    #[command(flatten)]
    pub csv: CsvArgs,
}

/// The name of the first flag that was given.
pub fn first_given(flags: &[(&'static str, bool)]) -> Option<&'static str> {
    flags
        .iter()
        .find(|(_, given)| *given)
        .map(|(name, _)| *name)
}

/// What to do with keys outside a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// They become columns: nothing is lost
    Widen,
    /// The record is bad
    Strict,
    /// Leave them out, and count them
    Ignore,
}

/// What to do with a record that does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnBad {
    /// Stop, and name file, line and byte
    Fail,
    /// Count it and go on
    Skip,
    /// Count it, keep it in --rejects, and go on
    Reject,
}

impl ReadArgs {
    /// The first flag that was given, of those that only text has a use for.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("schema", self.schema.is_some()),
            ("schema-mode", self.schema_mode != Mode::Widen),
            ("on-bad-record", self.on_bad_record != OnBad::Fail),
            ("rejects", self.rejects.is_some()),
            ("max-rejects", self.max_rejects.is_some()),
            ("salvage", self.salvage),
            ("lossy", self.lossy),
            ("blocksize", self.blocksize.is_some()),
            ("max-record", self.max_record.is_some()),
        ];
        first_given(&flags)
    }

    /// Refuses flags that would do nothing for input of this format.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the flag.
    pub fn check(&self, format: Option<FileFormat>) -> Result<()> {
        let text_only = self.given();
        let json_only = self.max_depth.map(|_| "max-depth");
        let csv_only = self.csv.given();
        let line_only = self.include_byte.as_ref().map(|_| "include-byte");
        let Some(format) = format else {
            return Ok(());
        };
        let useless = match format {
            FileFormat::Json => csv_only
                .or(line_only)
                .or(self.encoding.map(|_| "encoding"))
                .map(|flag| (flag, "CSV or text")),
            FileFormat::Csv => json_only
                .map(|flag| (flag, "JSON"))
                .or(line_only.map(|flag| (flag, "text"))),
            FileFormat::Text => json_only
                .map(|flag| (flag, "JSON"))
                .or(csv_only.map(|flag| (flag, "CSV"))),
            FileFormat::Parquet | FileFormat::Ipc => text_only
                .or(json_only)
                .or(csv_only)
                .or(line_only)
                .or(self.encoding.map(|_| "encoding"))
                .map(|flag| (flag, "text")),
        };
        match useless {
            Some((flag, what)) => Err(Error::config(
                flag,
                format!("it is for {what}, and has no meaning for {format} input"),
            )),
            None => Ok(()),
        }
    }

    /// The library's options.
    ///
    /// # Errors
    ///
    /// If `--schema` cannot be read or parsed.
    pub fn options(&self, include_path: Option<String>) -> Result<ReadOptions> {
        let defaults = ReadOptions::default();
        Ok(ReadOptions {
            blocksize: self.blocksize,
            schema: self.schema.as_deref().map(read_schema).transpose()?,
            schema_mode: match self.schema_mode {
                Mode::Widen => SchemaMode::Widen,
                Mode::Strict => SchemaMode::Strict,
                Mode::Ignore => SchemaMode::Ignore,
            },
            on_bad_record: match self.on_bad_record {
                OnBad::Fail => OnBadRecord::Fail,
                OnBad::Skip => OnBadRecord::Skip,
                OnBad::Reject => OnBadRecord::Reject,
            },
            rejects: self.rejects.clone(),
            max_rejects: self.max_rejects,
            salvage: self.salvage,
            lossy: self.lossy,
            include_path,
            max_record: self.max_record.unwrap_or(defaults.max_record),
            max_depth: self.max_depth.unwrap_or(defaults.max_depth),
            encoding: self.encoding.unwrap_or_default(),
            include_byte: self.include_byte.clone(),
            csv: self.csv.options(),
        })
    }
}

/// In which order rows come out.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows and columns")]
pub struct OrderArgs {
    /// Sort all rows by these columns: "ts" or "bytes desc, ts nulls first" [default: the order of the input]
    ///
    /// Smallest first and nulls last unless told otherwise; equal rows keep
    /// their order. Parts are ranges of the order, one behind the other.
    #[arg(long, value_name = "COL[ desc],…", value_delimiter = ',', value_parser = value::<SortBy>)]
    pub sort_by: Vec<SortBy>,
}

/// How rows are cut into part files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Partitions")]
#[group(multiple = false)]
pub struct LayoutArgs {
    /// Exactly this many parts, whose rows differ by at most one
    #[arg(long, value_name = "N")]
    pub npartitions: Option<usize>,

    /// Even parts of about this many bytes in memory (Arrow)
    #[arg(long, value_name = "SIZE")]
    pub partition_size: Option<ByteSize>,

    /// Parts of this many rows; the last may have fewer
    #[arg(long, value_name = "N")]
    pub partition_rows: Option<u64>,

    /// Parts of about this many bytes on disk; the last may be smaller
    #[arg(long, value_name = "SIZE")]
    pub file_size: Option<ByteSize>,
}

impl LayoutArgs {
    /// The layout asked for, if any.
    pub fn by(&self) -> Option<By> {
        self.npartitions
            .map(By::Count)
            .or(self.partition_size.map(By::Bytes))
            .or(self.partition_rows.map(By::Rows))
            .or(self.file_size.map(By::FileBytes))
    }
}

/// How to run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub struct RunArgs {
    /// Memory for rows that must be held; more is spilled to disk [default: 60 % of what there is]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,

    /// Threads [default: the cores this process may use]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Folder for spill files [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub spill_dir: Option<PathBuf>,

    /// When to show progress on stderr
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto)]
    pub progress: When,

    /// Print nothing but results and errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Log what is done to stderr; twice for more
    #[arg(long, short, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

impl RunArgs {
    /// Defaults, the settings file and `WINDROW_*` variables, then these flags.
    ///
    /// # Errors
    ///
    /// If a variable, the settings file or a flag cannot be used.
    pub fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::from_env()?;
        if let Some(memory) = self.memory {
            settings.memory = memory;
        }
        if let Some(threads) = self.threads {
            settings.threads = threads;
        }
        if let Some(dir) = &self.spill_dir {
            settings.spill_dir = dir.clone();
        }
        settings.check()?;
        Ok(settings)
    }
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Print {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Columns and types, as a file says them.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read, [`Error::Config`] naming it if it says none.
pub fn read_schema(path: &Path) -> Result<SchemaRef> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::io(path.display(), "read", source))?;
    match parse_schema(&text) {
        Ok(schema) => Ok(Arc::new(schema)),
        Err(Error::Config { reason, .. }) => {
            Err(Error::config(format!("schema {}", path.display()), reason))
        }
        Err(other) => Err(other),
    }
}
