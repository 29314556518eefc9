//! Where rows come from, and how they are to be read.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{FieldRef, SchemaRef};

use super::common::Shared;
use super::fold::Fold;
use super::join::Join;
use super::join_way::JoinWay;
use super::local::{Local, Make, Map};
use super::lower::Physical;
use super::shuffle::ShuffleBy;
use super::sort::Sort;
use super::window::NamedWindow;
use crate::error::{Error, Result};
use crate::io::csv::CsvOptions;
use crate::io::json::{JsonSchema, SchemaMode};
use crate::io::{Encoding, Framing, RecordKind, SourceFile};
use crate::size::ByteSize;

/// The format of input files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// JSON Lines, or a top-level array of objects; plain, gzip or zstd.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC files.
    Ipc,
    /// CSV and its relatives.
    Csv,
    /// Lines of text.
    Text,
}

impl FileFormat {
    /// The format of a file: by its first bytes where those tell, else by its
    /// name, else JSON.
    ///
    /// # Errors
    ///
    /// As [`crate::io::Format::detect`].
    pub fn of(file: &SourceFile) -> Result<FileFormat> {
        Ok(match crate::io::Format::detect(file)? {
            crate::io::Format::Json => FileFormat::Json,
            crate::io::Format::Parquet => FileFormat::Parquet,
            crate::io::Format::Ipc => FileFormat::Ipc,
            crate::io::Format::Csv => FileFormat::Csv,
        })
    }

    /// Whether records are decoded from text, under a schema that widens.
    pub fn is_text(self) -> bool {
        matches!(self, FileFormat::Json | FileFormat::Csv | FileFormat::Text)
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileFormat::Json => "json",
            FileFormat::Parquet => "parquet",
            FileFormat::Ipc => "ipc",
            FileFormat::Csv => "csv",
            FileFormat::Text => "text",
        })
    }
}

/// What to do with a record that does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRecord {
    /// Stop with an error that names file, line and byte.
    #[default]
    Fail,
    /// Count it and go on.
    Skip,
    /// Count it, keep it in the rejects file, and go on.
    Reject,
}

/// How many records may be bad before the run fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxRejects {
    /// At most this many.
    Count(u64),
    /// At most this share of all lines, in percent.
    Percent(f64),
}

impl FromStr for MaxRejects {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::config(
                "max-rejects",
                format!("{text:?} is neither a number like 100 nor a share like 0.1%"),
            )
        };
        match text.trim().strip_suffix('%') {
            Some(share) => match share.trim().parse::<f64>() {
                Ok(share) if (0.0..=100.0).contains(&share) => Ok(MaxRejects::Percent(share)),
                _ => Err(wrong()),
            },
            None => text
                .trim()
                .parse()
                .map(MaxRejects::Count)
                .map_err(|_| wrong()),
        }
    }
}

/// How text is read. The defaults read any log and lose nothing.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Target decompressed bytes of text per partition. Default: that of the
    /// session's settings (128 MiB). Changes where partitions end, never their rows.
    pub blocksize: Option<ByteSize>,
    /// The schema, applied while parsing. Default: found while reading.
    pub schema: Option<SchemaRef>,
    /// What to do with keys and types outside the schema. Default: widen it.
    pub schema_mode: SchemaMode,
    /// What to do with a record that does not decode, or is longer than
    /// `max_record`. Default: stop. An expression that has no value for a sound
    /// record (an overflow, a cast that does not fit) is the query's fault and
    /// always stops, with the record's place.
    pub on_bad_record: OnBadRecord,
    /// Where records that do not decode are kept, as JSON Lines with file,
    /// line, byte, reason and raw text. Needed by, and only used with, [`OnBadRecord::Reject`].
    pub rejects: Option<PathBuf>,
    /// How many records may be bad before the run fails. Default: any number.
    pub max_rejects: Option<MaxRejects>,
    /// Keep what precedes damage in a compressed file, and go on behind it.
    pub salvage: bool,
    /// Name of a column to hold the path that a row was read from. Default: none.
    pub include_path: Option<String>,
    /// Longest record that is read, in bytes of text. Default 256 MiB; never
    /// more than an eighth of the memory budget. A longer one is a bad record,
    /// of which the rejects file holds the beginning.
    pub max_record: ByteSize,
    /// Deepest nesting that is read. Default 128.
    pub max_depth: usize,
    /// What the bytes of CSV and lines of text mean. Default: UTF-8, or UTF-16
    /// where a byte order mark says so. JSON is always UTF-8.
    pub encoding: Encoding,
    /// Whether bytes that mean nothing in the encoding become U+FFFD, one for
    /// each sequence that could begin a character, and are counted by file with
    /// the place of the first ([`InputReport::replaced`](crate::InputReport::replaced)).
    /// A plain file is read from its start then, by one thread; what reads its
    /// records are many. Default: no, a record that holds some is bad.
    pub lossy: bool,
    /// Name of a column to hold the byte, decompressed, that a line of text
    /// begins at. Default: none.
    pub include_byte: Option<String>,
    /// How the fields of CSV are told apart.
    pub csv: CsvOptions,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            blocksize: None,
            schema: None,
            schema_mode: SchemaMode::Widen,
            on_bad_record: OnBadRecord::Fail,
            rejects: None,
            max_rejects: None,
            salvage: false,
            include_path: None,
            max_record: ByteSize::mib(256),
            max_depth: 128,
            encoding: Encoding::default(),
            lossy: false,
            include_byte: None,
            csv: CsvOptions::default(),
        }
    }
}

impl ReadOptions {
    /// Refuses options that contradict each other.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the option.
    pub fn check(&self) -> Result<()> {
        if self.blocksize.is_some_and(|size| size.bytes() == 0) {
            return Err(Error::config("blocksize", "it must be more than zero"));
        }
        self.csv.check()?;
        match (self.on_bad_record, &self.rejects) {
            (OnBadRecord::Reject, None) => Err(Error::config(
                "on-bad-record",
                "\"reject\" needs a file to keep records in (--rejects FILE)",
            )),
            (OnBadRecord::Fail | OnBadRecord::Skip, Some(_)) => Err(Error::config(
                "rejects",
                "a rejects file is only written with --on-bad-record reject",
            )),
            _ if self.schema.is_none() && self.schema_mode != SchemaMode::Widen => {
                Err(Error::config(
                    "schema-mode",
                    "\"strict\" and \"ignore\" need a schema (--schema FILE)",
                ))
            }
            _ if self.max_rejects.is_some() && self.on_bad_record == OnBadRecord::Fail => Err(
                Error::config("max-rejects", "it has no meaning with --on-bad-record fail"),
            ),
            _ => Ok(()),
        }
    }
}

impl ReadOptions {
    /// Refuses options that mean nothing for `format`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the option.
    pub(crate) fn check_format(&self, format: FileFormat) -> Result<()> {
        let is_default = self.encoding == Encoding::default();
        match format {
            FileFormat::Json if !is_default => Err(Error::config(
                "encoding",
                "JSON is UTF-8 always: it is for CSV and text",
            )),
            FileFormat::Text if self.schema.is_some() => Err(Error::config(
                "schema",
                "text has one column, line: there is nothing to choose",
            )),
            FileFormat::Json | FileFormat::Csv if self.include_byte.is_some() => Err(
                Error::config("include-byte", "it is for lines of text only"),
            ),
            _ => Ok(()),
        }
    }

    /// How text of `format` is cut into records.
    pub fn framing(&self, format: FileFormat) -> Framing {
        Framing {
            records: match format {
                FileFormat::Csv => RecordKind::Csv(Arc::new(self.csv.clone())),
                FileFormat::Text => RecordKind::Line,
                FileFormat::Json | FileFormat::Parquet | FileFormat::Ipc => RecordKind::Json,
            },
            encoding: self.encoding,
            lossy: self.lossy,
        }
    }
}

/// How Parquet and Arrow IPC files are read. The defaults read any list of
/// files and lose nothing.
#[derive(Debug, Clone)]
pub struct ColumnOptions {
    /// Whether folders named like `day=2026-01-05` give columns: 64-bit
    /// integers or dates where all values are written so, else text; null for
    /// `__HIVE_DEFAULT_PARTITION__`. Where a file holds such a column itself,
    /// that counts, unless a `schema` is given: then no file is asked. Default:
    /// yes. A filter on these columns opens no file below a folder that it leaves out.
    pub hive_folders: bool,
    /// Name of a column to hold the path that a row was read from. Default: none.
    pub include_path: Option<String>,
    /// The columns, by name: what a file lacks is null, what it has beside
    /// these is not read, and types must widen to these. Default: all columns
    /// of all files, for which every footer is read before the plan is made.
    pub schema: Option<SchemaRef>,
    /// Whether Arrow IPC files are mapped into memory, where columns that are not
    /// compressed are used as they lie, without a copy. Default: no, they are read at
    /// their places: where somebody else cuts a mapped file short, or writes to it,
    /// while its rows are in use, the system kills the process (SIGBUS), or rows change.
    /// For Arrow IPC alone; objects behind URLs are read as ever.
    pub memory_map: bool,
}

impl Default for ColumnOptions {
    fn default() -> Self {
        ColumnOptions {
            hive_folders: true,
            include_path: None,
            schema: None,
            memory_map: false,
        }
    }
}

/// What of the options for text has a meaning for files of columns.
impl From<&ReadOptions> for ColumnOptions {
    fn from(options: &ReadOptions) -> Self {
        ColumnOptions {
            include_path: options.include_path.clone(),
            ..ColumnOptions::default()
        }
    }
}

/// A column that the names of folders give.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Its name, and the type that its values have.
    pub column: FieldRef,
    /// Whether some file holds such a column itself, which counts there.
    pub in_files: bool,
}

/// What a first look at text files showed.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Of the first records of the first file that has any: what decoding starts from.
    pub head: JsonSchema,
    /// Of the first records of files all over the list: what names are checked against.
    pub spread: JsonSchema,
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Records of text: JSON, CSV or lines.
    Text {
        /// Which of them.
        format: FileFormat,
        /// Files, globs, folders, URLs, `@lists`, `-`, as given.
        inputs: Arc<[String]>,
        /// How they are read.
        options: Arc<ReadOptions>,
        /// What they look like.
        look: Arc<Look>,
    },
    /// Parquet or Arrow IPC files.
    Columns {
        /// Files, globs, folders, URLs, `@lists`, as given.
        inputs: Arc<[String]>,
        /// Which of the two.
        format: FileFormat,
        /// How they are read.
        options: Arc<ColumnOptions>,
        /// The columns that their folders give.
        folders: Arc<[Folder]>,
    },
    /// Rows in memory.
    Batches(Arc<Vec<RecordBatch>>),
    /// Partitions that a function makes when their turn comes.
    Made {
        /// Makes one by its place.
        make: Local<Make>,
        /// How many there are.
        n_partitions: usize,
    },
    /// The partitions of other pipelines, one behind the other, each with the
    /// columns that are known of it.
    Union(Vec<(Arc<Physical>, SchemaRef)>),
    /// The few rows that all rows of another pipeline are folded into.
    Folded {
        /// What is made of them.
        fold: Fold,
        /// Gives the rows.
        input: Arc<Physical>,
    },
    /// The rows of another pipeline, sorted.
    Sorted {
        /// In this order.
        sort: Sort,
        /// Gives the rows.
        input: Arc<Physical>,
    },
    /// The rows of another pipeline, in partitions by key.
    Shuffled {
        /// Which partition each goes to.
        by: ShuffleBy,
        /// Gives the rows.
        input: Arc<Physical>,
    },
    /// The rows of another pipeline with windows that look at rows behind.
    Ahead {
        /// What is added, with the names of the columns.
        windows: Vec<NamedWindow>,
        /// Gives the rows.
        input: Arc<Physical>,
    },
    /// Rows that other pipelines of the same plan read as well.
    Shared(Arc<Shared>),
    /// One partition of another pipeline.
    Picked {
        /// Its place among the partitions.
        idx: usize,
        /// Gives the partitions.
        input: Arc<Physical>,
    },
    /// The rows of two other pipelines beside each other, by key.
    Joined {
        /// Keys, rows and columns.
        join: Arc<Join>,
        /// Gives the rows of the left frame.
        left: Arc<Physical>,
        /// Gives those of the right one.
        right: Arc<Physical>,
        /// How they meet.
        way: JoinWay,
    },
    /// What a function makes of each partition of another pipeline.
    Mapped {
        /// Makes rows of a partition.
        map: Local<Map>,
        /// Gives the partitions.
        input: Arc<Physical>,
    },
}

impl Source {
    /// Whether its keys are most likely not all that there are: of rows in memory
    /// nobody knows, and what stages in front left out is gone.
    pub(crate) fn leaves_out(&self) -> bool {
        match self {
            Source::Text { .. } | Source::Columns { .. } => false,
            Source::Joined { left, right, .. } => left.leaves_out() || right.leaves_out(),
            Source::Sorted { input, .. }
            | Source::Shuffled { input, .. }
            | Source::Ahead { input, .. } => input.leaves_out(),
            Source::Folded { fold, input } => {
                !matches!(fold, Fold::Groups { .. }) || input.leaves_out()
            }
            Source::Shared(shared) => shared.plan.leaves_out(),
            Source::Union(inputs) => inputs.iter().any(|(input, _)| input.leaves_out()),
            Source::Batches(_)
            | Source::Made { .. }
            | Source::Mapped { .. }
            | Source::Picked { .. } => true,
        }
    }
}
