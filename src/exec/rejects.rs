//! Records that did not decode, kept aside.
//!
//! In:  bad records in input order.
//! Out: a JSON Lines file: `{"file":…,"line":…,"byte":…,"column":…,"reason":…,"raw":…}`.
//!
//! Of a record that was too long to be read, `raw` is the beginning and
//! `raw_bytes` the whole length.
//!
//! The file is staged beside its target and appears only with the output; if that
//! then does not appear, an older file takes its place again.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::Serialize;
use tempfile::{NamedTempFile, TempPath};

use super::worker::Bad;
use crate::error::{Error, Position, Result};
use crate::sink::Beside;

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
        Ok(Rejects {
            target: target.to_path_buf(),
            file: BufWriter::new(staged(target)?),
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
    fn publish(self) -> Result<Visible> {
        let target = self.target;
        let failed = |source| Error::io(target.display(), "write", source);
        let file = self.file.into_inner();
        let file = file.map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        if target.is_dir() {
            return Err(failed(std::io::ErrorKind::IsADirectory.into()));
        }
        let path = file.into_temp_path();
        let older = match renameat_with(CWD, &*path, CWD, &target, RenameFlags::EXCHANGE) {
            Ok(()) => Some(path),
            Err(Errno::NOENT) => {
                let shown = path.persist(&target);
                shown.map_err(|error| failed(error.error))?;
                None
            }
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => put_aside(path, &target)?,
            Err(error) => return Err(failed(error.into())),
        };
        Ok(Visible { target, older })
    }
}

/// A file beside `target`, removed when it is dropped.
fn staged(target: &Path) -> Result<NamedTempFile> {
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".windrow-rejects-")
        .tempfile_in(folder)
        .map_err(|source| Error::io(target.display(), "create", source))
}

/// Puts a file in the place of an older one where the two cannot be exchanged
/// at once; gives the older one.
fn put_aside(path: TempPath, target: &Path) -> Result<Option<TempPath>> {
    let failed = |source| Error::io(target.display(), "write", source);
    let aside = staged(target)?.into_temp_path();
    let older = match std::fs::rename(target, &aside) {
        Ok(()) => Some(aside),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(failed(source)),
    };
    match (path.persist(target), older) {
        (Ok(()), older) => Ok(older),
        (Err(error), older) => {
            if let Some(older) = older {
                older.persist(target).map_err(|error| failed(error.error))?;
            }
            Err(failed(error.error))
        }
    }
}

/// A rejects file that is there for all to see.
struct Visible {
    target: PathBuf,
    /// What it took the place of, removed with this.
    older: Option<TempPath>,
}

impl Visible {
    /// Puts back what was there before.
    fn take_back(self) -> Result<()> {
        let target = self.target;
        let taken = match self.older {
            Some(older) => older.persist(&target).map_err(|error| error.error),
            None => std::fs::remove_file(&target),
        };
        taken.map_err(|source| Error::io(target.display(), "take back", source))
    }
}

/// The rejects files of an output, which appear with it.
#[derive(Default)]
pub(super) struct WithOutput {
    staged: Vec<Rejects>,
    visible: Vec<Visible>,
}

impl WithOutput {
    pub fn new(staged: Vec<Rejects>) -> Self {
        WithOutput {
            staged,
            visible: Vec::new(),
        }
    }
}

impl Beside for WithOutput {
    fn show(&mut self) -> Result<()> {
        for rejects in self.staged.drain(..) {
            match rejects.publish() {
                Ok(visible) => self.visible.push(visible),
                Err(error) => {
                    take_back(&mut self.visible)?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn hide(&mut self) -> Result<()> {
        take_back(&mut self.visible)
    }
}

fn take_back(visible: &mut Vec<Visible>) -> Result<()> {
    visible.drain(..).try_for_each(Visible::take_back)
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
/// [`Error::Io`] if that fails; then none is visible.
pub(super) fn publish(all: Vec<Rejects>) -> Result<()> {
    WithOutput::new(all).show()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejects(target: &Path, text: &str) -> Rejects {
        let mut rejects = Rejects::create(target).unwrap();
        rejects.file.write_all(text.as_bytes()).unwrap();
        rejects
    }

    /// What a folder holds: names and texts.
    fn held(folder: &Path) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut held: Vec<_> = entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(&path).unwrap_or_default())
            })
            .collect();
        held.sort();
        held
    }

    #[test]
    fn rejects_of_an_output_that_failed_are_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let (older, none) = (dir.path().join("older"), dir.path().join("none"));
        std::fs::write(&older, "of an earlier run").unwrap();
        let before = held(dir.path());
        let both = || vec![rejects(&older, "new"), rejects(&none, "new")];
        let mut files = WithOutput::new(both());
        files.show().unwrap();
        assert_eq!(std::fs::read_to_string(&older).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(&none).unwrap(), "new");
        files.hide().unwrap();
        drop(files);
        assert_eq!(held(dir.path()), before);

        publish(both()).unwrap();
        let after = [("none", "new"), ("older", "new")];
        assert_eq!(held(dir.path()), after.map(|(a, b)| (a.into(), b.into())));
    }

    #[test]
    fn one_of_two_files_was_left_when_the_other_could_not_appear() {
        let dir = tempfile::tempdir().unwrap();
        let (first, folder) = (dir.path().join("first"), dir.path().join("folder"));
        std::fs::create_dir(&folder).unwrap();
        let all = vec![rejects(&first, "new"), rejects(&folder, "new")];
        let error = publish(all).unwrap_err().to_string();
        assert!(error.contains("folder"), "{error}");
        assert_eq!(held(dir.path()).len(), 1);
    }
}
