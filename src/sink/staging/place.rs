//! The moves that make staged files visible.
//!
//! In:  a folder with everything the target shall get.
//! Out: the target with it, by one exchange of folders, or file by file after a
//!      note that lets the next run finish what a dead one began.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::super::file::{StagedFile, sync};
use super::super::report::MANIFEST;
use super::NEW;
use super::lock::remove;
use crate::error::{Error, Result};

/// The note's name inside the staging folder.
const NOTE: &str = "note.json";

/// What is left to do once every staged file is complete.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// Old files that go, relative to the target.
    dead: Vec<PathBuf>,
}

/// Gives a folder a name that nothing has yet.
pub(super) fn rename_new(new: &Path, target: &Path) -> Result<()> {
    match renameat_with(CWD, new, CWD, target, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Without the flag a folder in the way that is not empty still refuses.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(new, target)
            .map_err(|source| Error::io(target.display(), "rename the staged folder to", source)),
        Err(error) => Err(Error::io(
            target.display(),
            "rename the staged folder to",
            error.into(),
        )),
    }
}

/// Exchanges two folders at once; `false` if the system has no way to.
pub(super) fn exchange(new: &Path, target: &Path) -> Result<bool> {
    // Whoever may use the old folder may use the new one.
    let mode = fs::metadata(target)
        .map_err(|source| Error::io(target.display(), "look at", source))?
        .permissions();
    fs::set_permissions(new, mode)
        .map_err(|source| Error::io(new.display(), "set the mode of", source))?;
    match renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(
            Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::BUSY,
        ) => Ok(false),
        Err(error) => Err(Error::io(
            target.display(),
            "exchange with the staged folder",
            error.into(),
        )),
    }
}

/// Gives every old file but the manifest a second name below `new`; `false` if
/// the file system cannot, with nothing but what was staged left below `new`.
pub(super) fn link_all(target: &Path, holds: &BTreeSet<PathBuf>, new: &Path) -> Result<bool> {
    let mut linked: Vec<PathBuf> = Vec::new();
    for held in holds
        .iter()
        .filter(|held| held.as_path() != Path::new(MANIFEST))
    {
        let (from, to) = (target.join(held), new.join(held));
        if let Err(error) = link(&from, &to) {
            for path in linked.iter().rev() {
                remove(path)?;
            }
            return match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Err(Error::io(to.display(), "link an old file to", error))
                }
                _ => Ok(false),
            };
        }
        linked.push(to);
    }
    Ok(true)
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(from)?;
    if found.is_dir() {
        return fs::create_dir_all(to);
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::hard_link(from, to)
}

/// Flushes every file and folder below and including `root`.
pub(super) fn sync_all(root: &Path) -> Result<()> {
    // Part files were flushed when they were settled; the manifest was not.
    let manifest = root.join(MANIFEST);
    if manifest.exists() {
        sync(&manifest)?;
    }
    for folder in folders(root)? {
        sync(&folder)?;
    }
    Ok(())
}

/// Every folder below and including `root`, the deepest first.
fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    walk(root, |entry| entry.file_type().is_dir())
}

fn walk(root: &Path, wanted: impl Fn(&walkdir::DirEntry) -> bool) -> Result<Vec<PathBuf>> {
    walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .contents_first(true)
        .into_iter()
        .filter(|entry| entry.as_ref().map_or(true, &wanted))
        .map(|entry| {
            entry.map(walkdir::DirEntry::into_path).map_err(|error| {
                let source = error
                    .into_io_error()
                    .unwrap_or_else(|| io::Error::other("the folder contains itself"));
                Error::io(root.display(), "list", source)
            })
        })
        .collect()
}

/// Notes that everything is staged: from here on the run counts as done, and
/// whoever finds the note does the moves that are left.
pub(super) fn note(work: &Path, new: &Path, dead: BTreeSet<PathBuf>) -> Result<()> {
    let dead = dead
        .into_iter()
        .filter(|held| fs::symlink_metadata(new.join(held)).is_err())
        .collect();
    let text = serde_json::to_vec(&Note { dead })
        .map_err(|error| Error::external("noting what is left to move", error))?;
    let draft = work.join("note.draft");
    StagedFile::create(&draft)?.put(&text)?;
    sync(&draft)?;
    let note = work.join(NOTE);
    fs::rename(&draft, &note).map_err(|source| Error::io(note.display(), "rename to", source))?;
    sync(work)
}

/// Does the moves of a note, if there is one: staged files first, the manifest
/// after them, then the old files go. Can be done again from any point.
pub(super) fn move_noted(work: &Path, target: &Path) -> Result<()> {
    let path = work.join(NOTE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::io(path.display(), "read", source)),
    };
    let note: Note = serde_json::from_slice(&text)
        .map_err(|error| Error::corrupt(path.display(), None, error.to_string()))?;
    let new = work.join(NEW);
    let manifest = new.join(MANIFEST);
    if new.exists() {
        for file in walk(&new, |entry| !entry.file_type().is_dir())? {
            if file != manifest {
                move_file(&new, &file, target)?;
            }
        }
        sync_folders(&new, target)?;
        if manifest.exists() {
            move_file(&new, &manifest, target)?;
        }
    }
    for held in &note.dead {
        remove(&target.join(held))?;
        for parent in held
            .ancestors()
            .skip(1)
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            // Stays while it holds something.
            if fs::remove_dir(target.join(parent)).is_err() {
                break;
            }
        }
    }
    sync(target)?;
    fs::remove_file(&path).map_err(|source| Error::io(path.display(), "remove", source))
}

fn move_file(new: &Path, file: &Path, target: &Path) -> Result<()> {
    let relative = file
        .strip_prefix(new)
        .map_err(|_| Error::internal("a staged file lies outside the staging folder"))?;
    let to = target.join(relative);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)
            .map_err(|source| Error::io(parent.display(), "create", source))?;
    }
    fs::rename(file, &to)
        .map_err(|source| Error::io(to.display(), "rename a staged file to", source))
}

fn sync_folders(new: &Path, target: &Path) -> Result<()> {
    for folder in folders(new)? {
        if let Ok(relative) = folder.strip_prefix(new) {
            sync(&target.join(relative))?;
        }
    }
    Ok(())
}
