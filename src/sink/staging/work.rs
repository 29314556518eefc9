//! The staging folder of a run.
//!
//! In:  the target's path.
//! Out: a locked, empty folder on the same file system, removed with everything
//!      in it on drop; what dead runs left is gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::file::sync;
use super::lock::{self, Found, Lock};
use super::place;
use super::target::can_be_swapped;
use crate::error::{Error, Result};

/// A locked staging folder.
pub(super) struct Work {
    pub(super) folder: PathBuf,
    /// Whether it lies beside the target, so that both can be exchanged.
    pub(super) beside: bool,
    /// Parents of the target that were made for it, outermost first.
    made: Vec<PathBuf>,
    /// Held until the folder is gone.
    _lock: Lock,
}

impl Work {
    /// Makes and locks the staging folder: beside the target, or inside where
    /// the target is mounted or its parent may not be written.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if neither can be made or another run holds it.
    pub(super) fn take(target: &Path) -> Result<Self> {
        let inside = lock::inside(target);
        let beside = lock::beside(target);
        if let Some(folder) = beside.as_ref().filter(|_| can_be_swapped(target)) {
            let made = create_parents(target)?;
            match lock::acquire(folder) {
                Ok((lock, found)) => {
                    let work = Work {
                        folder: folder.clone(),
                        beside: true,
                        made,
                        _lock: lock,
                    };
                    work.recover(found, target)?;
                    clean(&inside, target)?;
                    return Ok(work);
                }
                Err(error) if is_denied(&error) && target.is_dir() => {}
                Err(error) => {
                    remove_parents(&made);
                    return Err(error);
                }
            }
        }
        let (lock, found) = lock::acquire(&inside)?;
        let work = Work {
            folder: inside,
            beside: false,
            made: Vec::new(),
            _lock: lock,
        };
        work.recover(found, target)?;
        if let Some(beside) = beside {
            clean(&beside, target)?;
        }
        Ok(work)
    }

    /// Flushes the names of the parents that were made.
    pub(super) fn sync_parents(&self) -> Result<()> {
        self.made
            .iter()
            .filter_map(|made| made.parent())
            .try_for_each(sync)
    }

    /// Ends what a dead run had begun, and empties the folder.
    fn recover(&self, found: Found, target: &Path) -> Result<()> {
        match found {
            Found::New => Ok(()),
            Found::Stale => {
                place::move_noted(&self.folder, target)?;
                lock::clear(&self.folder)
            }
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = lock::remove(&self.folder) {
            // The next run into this target removes it.
            tracing::warn!(%error, "the staging folder is left behind");
        }
        remove_parents(&self.made);
    }
}

/// Removes the staging folder of a dead run where this run does not stage.
fn clean(folder: &Path, target: &Path) -> Result<()> {
    let Some(_lock) = lock::take_over(folder)? else {
        return Ok(());
    };
    place::move_noted(folder, target)?;
    lock::remove(folder)
}

fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. }
        if matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
}

/// Makes the missing parents of the target; gives those it made, outermost first.
fn create_parents(target: &Path) -> Result<Vec<PathBuf>> {
    let mut missing: Vec<PathBuf> = target
        .ancestors()
        .skip(1)
        .take_while(|parent| fs::symlink_metadata(parent).is_err())
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    for (idx, parent) in missing.iter().enumerate() {
        match fs::create_dir(parent) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Ok(()) => {}
            Err(source) => {
                remove_parents(&missing[..idx]);
                return Err(Error::io(parent.display(), "create", source));
            }
        }
    }
    Ok(missing)
}

/// Removes parents that hold nothing. With the target in them they stay, and
/// the system's refusal is the check.
fn remove_parents(made: &[PathBuf]) {
    for parent in made.iter().rev() {
        if fs::remove_dir(parent).is_err() {
            break;
        }
    }
}
