//! What goes wrong inside a column, before its file and row group are named.

use std::io;

use crate::error::Error;

/// Why a column cannot be decoded.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file could not be read.
    Read(io::Error),
    /// What is stored makes no sense.
    Damaged(String),
}

pub(super) type Outcome<T> = Result<T, Fault>;

/// The outcome of what makes no sense.
pub(super) fn damaged<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Fault::Damaged(reason.into()))
}

impl Fault {
    /// The error, with the place it is about: `byte` is where the page begins.
    pub fn at(self, path: &str, group: usize, column: &str, byte: u64) -> Error {
        match self {
            Fault::Read(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Error::corrupt(path, Some(byte), source.to_string())
            }
            Fault::Read(source) => Error::io(path, "read", source),
            Fault::Damaged(reason) => {
                let reason = format!("row group {group}, column {column:?}: {reason}");
                Error::corrupt(path, Some(byte), reason)
            }
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Read(error)
    }
}
