//! What can go wrong, as fields; the sentence is made in `Display`.
//!
//! In:  places and facts from every layer.
//! Out: one `Error` type, whose text names the file, line and byte where there is one.
//!
//! The same mistake gives the same text at every blocksize and thread count:
//! a [`Position`] counts decompressed bytes and lines from the file's start.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::size::{ByteSize, ParseSizeError};

/// The result of every fallible call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in the input, counted in decompressed data from the file's start.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The file's path as it was given or found; `-` for standard input.
    pub path: String,
    /// Byte in decompressed data, the first is 0.
    pub byte: u64,
    /// Line, the first is 1.
    pub line: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: line {} (byte {})", self.path, self.line, self.byte)
    }
}

/// The place of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A record of text.
    Record(Position),
    /// A row of a file of columns, or of rows in memory.
    Row {
        /// The file's path; `memory` for rows that came from none.
        path: String,
        /// The row, the first is 1.
        row: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Record(at) => write!(
                f,
                "{}: line {} (byte {} decompressed)",
                at.path, at.line, at.byte
            ),
            Place::Row { path, row } => write!(f, "{path}: row {row}"),
        }
    }
}

/// Everything that can go wrong. Clones are cheap: sources are shared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// A record does not fit the schema or the format.
    Decode {
        /// Where the record starts.
        at: Position,
        /// The column, where one is to blame.
        column: Option<String>,
        /// What is wrong, with the value and both types where they are known.
        reason: String,
    },
    /// An expression has no value for a row: an overflow, a cast that does not
    /// fit. The record is sound, so no policy for bad records passes it over.
    Evaluate {
        /// Where the row stands in the input.
        at: Place,
        /// What was being done, with the expression.
        doing: String,
        /// What is wrong, with the value.
        reason: String,
    },
    /// No record has any key, and the format has no rows without columns.
    NoColumns {
        /// Where the first of them stands.
        at: Place,
        /// How many there are.
        rows: u64,
        /// The format that was asked for.
        format: String,
    },
    /// Stored bytes are damaged: a truncated gzip, a wrong checksum, a broken footer.
    Corrupt {
        /// The file.
        path: String,
        /// The byte in the file as it is stored (compressed), where known.
        byte: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// The system refused something.
    Io {
        /// The file or folder.
        path: String,
        /// What was being done: "open", "read", "write", "sync", "rename" …
        doing: &'static str,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// A setting or an argument cannot be used.
    Config {
        /// The setting's name, as the user writes it.
        setting: String,
        /// Why not, and what would do.
        reason: String,
    },
    /// The plan cannot be made: an unknown column, types that do not meet.
    Plan {
        /// What is wrong.
        reason: String,
        /// Names that come near an unknown one, best first.
        near: Vec<String>,
    },
    /// An operator needed more than the budget and had nothing to spill.
    Memory {
        /// Who asked.
        operator: &'static str,
        /// How much it asked for.
        wanted: ByteSize,
        /// The whole budget.
        limit: ByteSize,
        /// Which setting to change, and what it is for.
        cure: String,
    },
    /// Another crate failed where no place in the input is to blame.
    External {
        /// What was being done, with the file where there is one.
        doing: String,
        /// What it said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// User code gave an error for a partition.
    Task {
        /// Which task, in words: "partition 3 of map_partitions".
        task: String,
        /// The error it gave.
        source: Arc<Error>,
    },
    /// User code panicked on a partition.
    Panic {
        /// Which task, in words: "partition 3 of map_partitions".
        task: String,
        /// The panic's text.
        message: String,
    },
    /// The run was cancelled (Ctrl-C, TERM, or by the caller).
    Cancelled,
    /// Counts that must agree do not: a fault of windrow, never of the input.
    Internal {
        /// Which sum, and both sides of it.
        reason: String,
    },
}

impl Error {
    /// An I/O error with its file and what was being done.
    pub fn io(path: impl fmt::Display, doing: &'static str, source: std::io::Error) -> Self {
        Error::Io {
            path: path.to_string(),
            doing,
            source: Arc::new(source),
        }
    }

    /// A setting that cannot be used.
    pub fn config(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Config {
            setting: setting.into(),
            reason: reason.into(),
        }
    }

    /// A plan that cannot be made, without near names.
    pub fn plan(reason: impl Into<String>) -> Self {
        Error::Plan {
            reason: reason.into(),
            near: Vec::new(),
        }
    }

    /// Damaged stored bytes.
    pub fn corrupt(path: impl fmt::Display, byte: Option<u64>, reason: impl Into<String>) -> Self {
        Error::Corrupt {
            path: path.to_string(),
            byte,
            reason: reason.into(),
        }
    }

    /// Another crate's error, with what was being done.
    pub fn external(
        doing: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Error::External {
            doing: doing.into(),
            source: Arc::new(source),
        }
    }

    /// What user code gave for a partition. One that was cancelled stays just that.
    pub(crate) fn of_task(task: impl Into<String>, source: Error) -> Self {
        match source {
            Error::Cancelled => Error::Cancelled,
            source => Error::Task {
                task: task.into(),
                source: Arc::new(source),
            },
        }
    }

    /// Of user code that knew no partition: the same, with the place of the one
    /// it worked on. Other errors stay as they are.
    pub(crate) fn on_partition(self, place: impl fmt::Display) -> Self {
        let on = |task: String| format!("{task} on {place}");
        match self {
            Error::Panic { task, message } => Error::Panic {
                task: on(task),
                message,
            },
            Error::Task { task, source } => Error::Task {
                task: on(task),
                source,
            },
            other => other,
        }
    }

    /// The operator of an error of rows that were refused before anyone knew for whom.
    pub(crate) const NOBODY: &'static str = "a batch";

    /// The same, of rows that `operator` asked for.
    pub(crate) fn asked_by(self, operator: &'static str) -> Self {
        match self {
            Error::Memory {
                operator: Self::NOBODY,
                wanted,
                limit,
                cure,
            } => Error::Memory {
                operator,
                wanted,
                limit,
                cure,
            },
            other => other,
        }
    }

    /// Calls user code for `task`: a panic there is an error that names it.
    pub(crate) fn guarded<T>(
        task: impl FnOnce() -> String,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        catch_unwind(AssertUnwindSafe(call))
            .unwrap_or_else(|panic| Err(Error::panic(task(), &*panic)))
    }

    /// A panic, from what it left behind.
    pub(crate) fn panic(task: impl Into<String>, panic: &(dyn std::any::Any + Send)) -> Self {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Error::Panic {
            task: task.into(),
            message,
        }
    }

    /// A sum that does not add up.
    pub fn internal(reason: impl Into<String>) -> Self {
        Error::Internal {
            reason: reason.into(),
        }
    }

    /// Whether the request was at fault, not the data or the system: the
    /// command ends with 2 then, and with 1 otherwise.
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Config { .. } | Error::Plan { .. } => true,
            Error::Task { source, .. } => source.is_usage(),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Decode { at, column, reason } => {
                write!(
                    f,
                    "{}: line {} (byte {} decompressed): ",
                    at.path, at.line, at.byte
                )?;
                if let Some(column) = column {
                    write!(f, "column {column:?}: ")?;
                }
                f.write_str(reason)
            }
            Error::Evaluate { at, doing, reason } => write!(f, "{at}: {doing}: {reason}"),
            Error::NoColumns { at, rows, format } => write!(
                f,
                "{at}: none of the {rows} rows from here on has a column, and {format} files cannot \
                 hold rows without columns; as JSON they can be written"
            ),
            Error::Corrupt { path, byte, reason } => match byte {
                Some(byte) => write!(f, "{path}: damaged at byte {byte}: {reason}"),
                None => write!(f, "{path}: damaged: {reason}"),
            },
            Error::Io {
                path,
                doing,
                source,
            } => write!(f, "{path}: cannot {doing}: {source}"),
            Error::Config { setting, reason } => write!(f, "{setting}: {reason}"),
            Error::Plan { reason, near } => {
                f.write_str(reason)?;
                match near.as_slice() {
                    [] => Ok(()),
                    [one] => write!(f, "; did you mean {one:?}?"),
                    many => {
                        f.write_str("; did you mean one of ")?;
                        for (idx, name) in many.iter().enumerate() {
                            if idx > 0 {
                                f.write_str(", ")?;
                            }
                            write!(f, "{name:?}")?;
                        }
                        f.write_str("?")
                    }
                }
            }
            Error::Memory {
                operator,
                wanted,
                limit,
                cure,
            } => write!(
                f,
                "{operator} needs {wanted} but the memory budget is {limit}: {cure}"
            ),
            Error::External { doing, source } => write!(f, "{doing}: {source}"),
            Error::Task { task, source } => write!(f, "{task}: {source}"),
            Error::Panic { task, message } => write!(f, "{task} panicked: {message}"),
            Error::Cancelled => f.write_str("interrupted"),
            Error::Internal { reason } => write!(
                f,
                "the balance sheet does not add up, which is a fault of windrow: {reason}"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source.as_ref()),
            Error::External { source, .. } => Some(source.as_ref()),
            Error::Task { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl From<ParseSizeError> for Error {
    fn from(source: ParseSizeError) -> Self {
        Error::config("size", source.to_string())
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(source: arrow_schema::ArrowError) -> Self {
        Error::external("working on columns", source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decode_error_names_file_line_byte_and_column() {
        let error = Error::Decode {
            at: Position {
                path: "access-07.json.gz".into(),
                byte: 1_048_733,
                line: 8121,
            },
            column: Some("status".into()),
            reason: "\"n/a\" is not Int64".into(),
        };
        assert_eq!(
            error.to_string(),
            "access-07.json.gz: line 8121 (byte 1048733 decompressed): column \"status\": \"n/a\" is not Int64"
        );
    }

    #[test]
    fn errors_can_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
    }
}
