//! The moves that make staged files visible.
//!
//! In:  a folder with everything the target shall get.
//! Out: the target with it, by one exchange of folders, or file by file after a
//!      note that lets the next run finish what a dead one began.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, CWD, RenameFlags, access, renameat_with};
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
    let mode_of = |folder: &Path| match fs::metadata(folder) {
        Ok(found) => Ok(found.permissions()),
        Err(source) => Err(Error::io(folder.display(), "look at", source)),
    };
    let set_mode = |mode: fs::Permissions| {
        fs::set_permissions(new, mode)
            .map_err(|source| Error::io(new.display(), "set the mode", source))
    };
    let staged = mode_of(new)?;
    // Whoever may use the old folder may use the new one.
    set_mode(mode_of(target)?)?;
    match renameat_with(CWD, new, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(
            Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::BUSY,
        ) => {
            // Files are moved out of it instead.
            set_mode(staged)?;
            Ok(false)
        }
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

/// Refuses a folder whose names this process may not change; one that is not
/// there is none of these.
pub(super) fn check_writable(folder: &Path) -> Result<()> {
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(Error::io(folder.display(), "write to", error.into())),
    }
}

/// Refuses moves that the system would refuse, as long as there is a way back.
pub(super) fn check_moves(new: &Path, target: &Path, dead: &BTreeSet<PathBuf>) -> Result<()> {
    let mut touched: BTreeSet<PathBuf> = dead
        .iter()
        .filter_map(|held| Some(target.join(held.parent()?)))
        .collect();
    for folder in folders(new)? {
        if let Ok(relative) = folder.strip_prefix(new) {
            touched.insert(target.join(relative));
        }
    }
    touched.iter().try_for_each(|folder| check_writable(folder))
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
        let path = target.join(held);
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_dir()) {
            remove(&path)?;
        }
        for folder in held.ancestors().filter(|held| !held.as_os_str().is_empty()) {
            // Folders go once they hold nothing, and the system's refusal is the check.
            let _ = fs::remove_dir(target.join(folder));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn all(root: &Path) -> Vec<(PathBuf, String)> {
        walk(root, |entry| !entry.file_type().is_dir())
            .unwrap()
            .into_iter()
            .map(|path| {
                let relative = path.strip_prefix(root).unwrap().to_owned();
                (relative, fs::read_to_string(path).unwrap())
            })
            .collect()
    }

    const STAGED: [(&str, &str); 4] = [
        ("k=a/part-000001.parquet", "new 1"),
        ("k=b/part-000002.parquet", "new 2"),
        ("part-000000.parquet", "new 0"),
        (MANIFEST, "new manifest"),
    ];
    const OLD: [(&str, &str); 5] = [
        ("k=a/part-000000.parquet", "old"),
        ("k=c/d=e/part-000002.parquet", "old"),
        ("part-000000.parquet", "old"),
        (MANIFEST, "old manifest"),
        ("k=b/part-000003.parquet", "old"),
    ];

    #[test]
    fn noted_moves_can_be_ended_from_any_point() {
        let mut wanted: Vec<(PathBuf, String)> = STAGED
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        wanted.sort();
        for done in 0..=STAGED.len() + OLD.len() {
            let root = tempfile::tempdir().unwrap();
            let (work, target) = (root.path().join("work"), root.path().join("out"));
            let new = work.join(NEW);
            for (path, text) in STAGED {
                put(&new.join(path), text);
            }
            for (path, text) in OLD {
                put(&target.join(path), text);
            }
            let dead: BTreeSet<PathBuf> = OLD.iter().map(|(path, _)| PathBuf::from(path)).collect();
            note(&work, &new, dead.clone()).unwrap();
            // What a run had done when it died.
            for (path, _) in STAGED.iter().take(done) {
                move_file(&new, &new.join(path), &target).unwrap();
            }
            for held in dead.iter().take(done.saturating_sub(STAGED.len())) {
                if !STAGED.iter().any(|(path, _)| Path::new(path) == held) {
                    remove(&target.join(held)).unwrap();
                }
            }
            move_noted(&work, &target).unwrap();
            let mut found = all(&target);
            found.sort();
            assert_eq!(found, wanted, "after {done} steps");
            assert!(!target.join("k=c").exists(), "empty folders go");
            assert!(!work.join(NOTE).exists());
            move_noted(&work, &target).unwrap();
        }
    }

    #[test]
    fn old_files_get_a_second_name_or_nothing_does() {
        let root = tempfile::tempdir().unwrap();
        let (new, target) = (root.path().join("new"), root.path().join("out"));
        for (path, text) in OLD {
            put(&target.join(path), text);
        }
        put(&new.join("k=a/part-000009.parquet"), "new");
        let mut holds: BTreeSet<PathBuf> =
            OLD.iter().map(|(path, _)| PathBuf::from(path)).collect();
        assert!(link_all(&target, &holds, &new).unwrap());
        assert_eq!(
            all(&new).len(),
            OLD.len(),
            "all but the manifest, and the new one"
        );
        fs::remove_dir_all(&new).unwrap();
        put(&new.join("k=a/part-000009.parquet"), "new");
        holds.insert("zz-not-there".into());
        assert!(!link_all(&target, &holds, &new).unwrap());
        assert_eq!(all(&new).len(), 1, "only what was staged is left");
    }

    #[test]
    fn a_folder_that_cannot_be_exchanged_keeps_its_own_mode() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        // No folder can be exchanged with one that lies in it.
        let (new, target) = (root.path().join("new"), root.path().join("new/out"));
        fs::create_dir_all(&target).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o555)).unwrap();
        assert!(!exchange(&new, &target).unwrap());
        let mode = fs::metadata(&new).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn an_exchange_keeps_the_mode_and_swaps_whole_folders() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let (new, target) = (root.path().join("new"), root.path().join("out"));
        put(&new.join("a"), "new");
        put(&target.join("b"), "old");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o2751)).unwrap();
        assert!(exchange(&new, &target).unwrap());
        assert_eq!(all(&target), [(PathBuf::from("a"), "new".to_owned())]);
        assert_eq!(all(&new), [(PathBuf::from("b"), "old".to_owned())]);
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o2751);
        let error = rename_new(&new, &target).unwrap_err();
        assert!(
            matches!(error, Error::Io { .. }),
            "nothing is renamed over: {error}"
        );
    }
}
