//! One run at a time into one target.
//!
//! In:  the staging folder's path.
//! Out: a lock that is held until it is dropped or the process dies, however it dies.
//!
//! The lock is the kernel's on an open file, so no dead run can hold it. The
//! file also names its owner, by process and the time it started: for messages,
//! and as the judge on file systems without locks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const LOCK: &str = "lock";

/// Tries at a folder that another run removes just then.
const TRIES: usize = 100;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    process: u32,
    /// Start of the process in clock ticks since the machine started: tells a
    /// process from a later one of the same number.
    started: Option<u64>,
    host: String,
}

impl Owner {
    fn this() -> Self {
        let process = std::process::id();
        Owner {
            process,
            started: start_of(process),
            host: host(),
        }
    }

    /// Whether the owner still runs; a process of another machine may.
    fn alive(&self) -> bool {
        self.host != host() || (self.started.is_some() && start_of(self.process) == self.started)
    }
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// When a process started, from the kernel's table; nothing if it does not run.
fn start_of(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the name in brackets and may hold anything.
    let rest = &stat[stat.rfind(')')? + 1..];
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// The right to write, as long as it lives. The folder stays until its owner removes it.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Whether the folder was there before, left by a run that died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    New,
    Stale,
}

/// Makes the staging folder, or takes over the one of a dead run, and locks it.
///
/// # Errors
///
/// [`Error::Io`] if another run holds it, it cannot be made, or it is not ours.
pub(super) fn acquire(folder: &Path) -> Result<(Lock, Found)> {
    for _ in 0..TRIES {
        let found = match fs::DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => Found::New,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Found::Stale,
            Err(source) => {
                return Err(Error::io(
                    folder.display(),
                    "create the staging folder",
                    source,
                ));
            }
        };
        if let Some(lock) = lock(folder)? {
            return Ok((lock, found));
        }
    }
    Err(busy(folder, None))
}

/// Locks a staging folder if it is there; nothing if it is not.
pub(super) fn take_over(folder: &Path) -> Result<Option<Lock>> {
    for _ in 0..TRIES {
        let gone = |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        if fs::symlink_metadata(folder).is_err_and(|error| gone(error.kind())) {
            return Ok(None);
        }
        if let Some(lock) = lock(folder)? {
            return Ok(Some(lock));
        }
    }
    Err(busy(folder, None))
}

/// Locks a folder that is there; nothing if it went away meanwhile.
fn lock(folder: &Path) -> Result<Option<Lock>> {
    let failed = |source| Error::io(folder.display(), "lock the staging folder", source);
    match fs::symlink_metadata(folder) {
        Ok(found) if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() => {
            return Err(Error::config(
                "to",
                format!(
                    "{} is in the way of the staging folder and was not made by this user; remove it",
                    folder.display()
                ),
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    }
    let path = folder.join(LOCK);
    let mut file = match OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(busy(folder, owner(&mut file))),
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => {
            if let Some(owner) = owner(&mut file).filter(Owner::alive) {
                return Err(busy(folder, Some(owner)));
            }
        }
        Err(error) => return Err(failed(error.into())),
    }
    // The run that had it may have removed the folder between our open and our lock.
    let ours = file.metadata().map_err(failed)?;
    match fs::symlink_metadata(&path) {
        Ok(there) if there.ino() == ours.ino() && there.dev() == ours.dev() => {}
        _ => return Ok(None),
    }
    let named = name_owner(&mut file);
    if let Err(source) = named {
        // The folder is ours, and nobody waits for it.
        remove(folder)?;
        return Err(failed(source));
    }
    Ok(Some(Lock { _file: file }))
}

fn name_owner(file: &mut File) -> io::Result<()> {
    let text = serde_json::to_vec(&Owner::this())?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

fn owner(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn busy(folder: &Path, owner: Option<Owner>) -> Error {
    let who = match owner {
        Some(owner) if owner.host == host() => format!("process {}", owner.process),
        Some(owner) => format!("process {} on {}", owner.process, owner.host),
        None => "another process".to_owned(),
    };
    Error::io(
        folder.display(),
        "lock the staging folder",
        io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("{who} is writing to the same target; wait for it or choose another folder"),
        ),
    )
}

/// Removes everything in a staging folder but the lock.
pub(super) fn clear(folder: &Path) -> Result<()> {
    let failed = |path: &Path, source| Error::io(path.display(), "remove stale staging in", source);
    let entries = fs::read_dir(folder).map_err(|source| failed(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| failed(folder, source))?;
        if entry.file_name() != LOCK {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file or a whole folder; links are removed, not followed. Gone already is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => remove_folder(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(path.display(), "remove", error))
        }
        _ => Ok(()),
    }
}

/// Removes a folder. Those of an old output that nobody may write are opened for it.
fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        removed => return removed,
    }
    for entry in walkdir::WalkDir::new(path) {
        let entry = entry?;
        if entry.file_type().is_dir() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700))?;
        }
    }
    fs::remove_dir_all(path)
}

/// Where a run stages beside its target: `.NAME.windrow`.
pub(super) fn beside(target: &Path) -> Option<PathBuf> {
    let parent = target.parent()?;
    let name = target.file_name()?;
    let mut hidden = std::ffi::OsString::from(".");
    if name.len() <= 200 {
        hidden.push(name);
    } else {
        let crc = crc32fast::hash(name.as_encoded_bytes());
        hidden.push(format!("{crc:08x}"));
    }
    hidden.push(".windrow");
    Some(parent.join(hidden))
}

/// Where a run stages inside a target that cannot be swapped as a whole.
pub(super) fn inside(target: &Path) -> PathBuf {
    target.join(".windrow")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_freed_by_death() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(".out.windrow");
        let (lock, found) = acquire(&folder).unwrap();
        assert_eq!(found, Found::New);
        let error = acquire(&folder).unwrap_err().to_string();
        let own = format!("process {} is writing", std::process::id());
        assert!(error.contains(&own), "{error}");
        fs::write(folder.join("litter"), "x").unwrap();
        drop(lock); // as the kernel does when a process dies
        let (_lock, found) = acquire(&folder).unwrap();
        assert_eq!(found, Found::Stale);
        clear(&folder).unwrap();
        assert!(!folder.join("litter").exists() && folder.join("lock").exists());
    }

    #[test]
    fn an_owner_is_alive_only_with_its_own_start_time() {
        let this = Owner::this();
        assert!(this.alive());
        let later = Owner {
            started: this.started.map(|started| started + 1),
            ..this.clone()
        };
        assert!(!later.alive(), "another process of the same number");
        let gone = Owner {
            process: u32::MAX,
            ..this.clone()
        };
        assert!(!gone.alive());
        let elsewhere = Owner {
            host: "elsewhere".into(),
            ..gone
        };
        assert!(elsewhere.alive(), "nothing is known of other machines");
    }

    #[test]
    fn a_link_in_the_place_of_staging_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        fs::create_dir(&other).unwrap();
        let folder = dir.path().join(".out.windrow");
        std::os::unix::fs::symlink(&other, &folder).unwrap();
        let error = acquire(&folder).unwrap_err().to_string();
        assert!(error.contains("in the way"), "{error}");
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    }
}
