//! Records that did not decode, kept aside.
//!
//! In:  bad records in input order.
//! Out: a JSON Lines file: `{"file":…,"line":…,"byte":…,"column":…,"reason":…,"raw":…}`.
//!
//! Of a record that was too long to be read, `raw` is the beginning and
//! `raw_bytes` the whole length.
//!
//! The file is staged beside its target and appears only with the output.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::worker::Bad;
use crate::error::{Error, Position, Result};

/// A rejects file being written.
pub(crate) struct Rejects {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    line: u64,
    byte: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
    reason: &'a str,
    raw: String,
    /// The bytes themselves, where `raw` cannot hold them.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_hex: Option<String>,
    /// Bytes of the whole record, where `raw` is only its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_bytes: Option<u64>,
}

impl Rejects {
    /// Stages a file that will appear at `target`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if its folder cannot be written.
    pub fn create(target: &Path) -> Result<Self> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".windrow-rejects-")
            .tempfile_in(folder)
            .map_err(|source| Error::io(target.display(), "create", source))?;
        Ok(Rejects {
            target: target.to_path_buf(),
            file: BufWriter::new(file),
        })
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be written.
    pub fn write(&mut self, at: &Position, bad: &Bad) -> Result<()> {
        let raw = bad.raw.as_deref().unwrap_or_default();
        let line = Line {
            file: &at.path,
            line: at.line,
            byte: at.byte,
            column: bad.column.as_deref(),
            reason: &bad.reason,
            raw: String::from_utf8_lossy(raw).into_owned(),
            raw_hex: std::str::from_utf8(raw)
                .is_err()
                .then(|| raw.iter().map(|byte| format!("{byte:02x}")).collect()),
            raw_bytes: bad.shortened_from,
        };
        serde_json::to_writer(&mut self.file, &line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|source| Error::io(self.target.display(), "write", source))
    }

    /// Adds the records of another file behind those of this one.
    fn append(&mut self, other: Rejects) -> Result<()> {
        let failed = |source| Error::io(self.target.display(), "write", source);
        let other = other.file.into_inner();
        let mut other = other.map_err(|error| failed(error.into_error()))?;
        other.seek(SeekFrom::Start(0)).map_err(failed)?;
        std::io::copy(&mut other, &mut self.file).map_err(failed)?;
        Ok(())
    }

    /// Makes the file durable and visible, over an older one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if that fails; the older file stays then.
    fn publish(self) -> Result<()> {
        let failed = |source| Error::io(self.target.display(), "write", source);
        let file = self
            .file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.target)
            .map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// One file for each target, with the records of all that have it, in order.
///
/// # Errors
///
/// [`Error::Io`] if one cannot be read or written.
pub(super) fn joined(all: Vec<Rejects>) -> Result<Vec<Rejects>> {
    let mut joined: Vec<Rejects> = Vec::new();
    for rejects in all {
        match joined.iter_mut().find(|one| one.target == rejects.target) {
            Some(one) => one.append(rejects)?,
            None => joined.push(rejects),
        }
    }
    Ok(joined)
}

/// Makes files durable and visible, each over an older one.
///
/// # Errors
///
/// [`Error::Io`] if that fails; files before it are visible then.
pub(super) fn publish(all: Vec<Rejects>) -> Result<()> {
    all.into_iter().try_for_each(Rejects::publish)
}
