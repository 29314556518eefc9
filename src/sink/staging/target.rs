//! What the target is before a run touches it.
//!
//! In:  the target folder as given, and the inputs.
//! Out: its real path, what it holds, and whether it may be written.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::super::options::{Existing, Format};
use super::super::part_name::{PartName, is_part_name, part_number};
use super::super::report::{MANIFEST, Manifest};
use crate::error::{Error, Result};

/// The target folder as it was found.
#[derive(Debug)]
pub(super) struct Target {
    /// Without links and dots.
    pub(super) path: PathBuf,
    pub(super) exists: bool,
    /// Everything in it, relative, sorted; folders only if they are empty.
    pub(super) holds: BTreeSet<PathBuf>,
    pub(super) manifest: Option<Manifest>,
}

impl Target {
    /// Resolves the path and looks inside.
    pub(super) fn look(dir: &Path) -> Result<Self> {
        let path = resolve(dir)?;
        let exists = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => true,
            Ok(found) => {
                let what = if found.is_symlink() {
                    "a link to nowhere"
                } else {
                    "a file"
                };
                return Err(Error::config(
                    "to",
                    format!("{} is {what}, and part files need a folder", dir.display()),
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(Error::io(dir.display(), "look at", source)),
        };
        let holds = if exists {
            list(&path)?
        } else {
            BTreeSet::new()
        };
        let manifest = if exists { Manifest::read(&path)? } else { None };
        Ok(Target {
            path,
            exists,
            holds,
            manifest,
        })
    }

    pub(super) fn is_used(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Refuses a used folder that may not be written.
    pub(super) fn check(&self, existing: Existing, named: &PartName) -> Result<()> {
        let Some(first) = self.holds.first() else {
            return Ok(());
        };
        match existing {
            Existing::Refuse => {
                let what = match &self.manifest {
                    Some(manifest) => match manifest.parts.len() {
                        1 => "holds a part file of an earlier run".to_owned(),
                        parts => format!("holds {parts} part files of an earlier run"),
                    },
                    None => format!("is not empty (it holds {})", first.display()),
                };
                Err(Error::config(
                    "to",
                    format!(
                        "{} {what}; use --append to add to it, --overwrite to replace it, or another folder",
                        self.path.display()
                    ),
                ))
            }
            Existing::Append => Ok(()),
            Existing::Overwrite => {
                match self.holds.iter().find(|held| !self.is_ours(held, named)) {
                    None => Ok(()),
                    Some(foreign) => Err(Error::config(
                        "overwrite",
                        format!(
                            "{} holds {}, which is not a part file and would be lost; move it away or choose another folder",
                            self.path.display(),
                            foreign.display()
                        ),
                    )),
                }
            }
        }
    }

    /// The number after that of every part file there is, under its usual name or
    /// one of the form `named`.
    pub(super) fn next_number(&self, named: &PartName) -> u64 {
        let listed = self.manifest.iter().flat_map(|manifest| &manifest.parts);
        let listed = listed.map(|part| Path::new(&part.path));
        self.holds
            .iter()
            .map(PathBuf::as_path)
            .chain(listed)
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?;
                named.number(name).or_else(|| part_number(name))
            })
            .max()
            .map_or(0, |number| number + 1)
    }

    /// The files of a format, sorted.
    pub(super) fn data_files(&self, format: Format) -> impl Iterator<Item = PathBuf> + '_ {
        let endings: &[&str] = match format {
            Format::Parquet => &[".parquet"],
            Format::Ipc => &[".arrow", ".feather"],
            Format::Json => &[".json", ".json.gz", ".json.zst", ".jsonl"],
            Format::Csv => &[".csv", ".csv.gz", ".csv.zst"],
        };
        self.holds
            .iter()
            .filter(move |held| {
                let name = held
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or("");
                !name.starts_with(['.', '_']) && endings.iter().any(|ending| name.ends_with(ending))
            })
            .map(|held| self.path.join(held))
    }

    /// A path below the target as the manifest names it.
    pub(super) fn relative(&self, file: &Path) -> Result<String> {
        let relative = file.strip_prefix(&self.path).unwrap_or(file);
        relative.to_str().map(str::to_owned).ok_or_else(|| {
            Error::config(
                "append",
                format!("{} is not a name in UTF-8", file.display()),
            )
        })
    }

    /// Whether a file is part of a data set: listed in the manifest, named as
    /// part files and their markers are, or an empty folder.
    fn is_ours(&self, held: &Path, named: &PartName) -> bool {
        let full = self.path.join(held);
        let Ok(found) = fs::symlink_metadata(&full) else {
            return true; // gone already
        };
        if found.is_dir() {
            return true;
        }
        if !found.is_file() {
            return false;
        }
        let Some(name) = held.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        let listed = self.manifest.as_ref().is_some_and(|manifest| {
            manifest
                .parts
                .iter()
                .any(|part| Path::new(&part.path) == held)
        });
        let marker = matches!(
            name,
            "_SUCCESS" | "_metadata" | "_common_metadata" | MANIFEST
        ) || (name.starts_with('.') && name.ends_with(".crc"));
        listed || marker || is_part_name(name) || named.is_of(name)
    }
}

/// A path without links and dots, whose last components need not exist.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(Error::config("to", "the target folder has no name"));
    }
    let absolute =
        std::path::absolute(path).map_err(|source| Error::io(path.display(), "resolve", source))?;
    let mut missing = Vec::new();
    let mut existing = absolute.as_path();
    loop {
        match existing.canonicalize() {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A dangling link is there although it leads nowhere.
                if fs::symlink_metadata(existing).is_ok() {
                    let mut real = existing.to_owned();
                    real.extend(missing.iter().rev());
                    return Ok(real);
                }
                match existing.components().next_back() {
                    Some(Component::Normal(name)) => missing.push(name),
                    _ => {
                        return Err(Error::config(
                            "to",
                            format!(
                                "{} cannot be resolved: write it without \"..\"",
                                path.display()
                            ),
                        ));
                    }
                }
                existing = existing.parent().unwrap_or(Path::new("/"));
            }
            Err(source) => return Err(Error::io(path.display(), "resolve", source)),
        }
    }
}

/// Everything below a folder: files, links and empty folders; not our own
/// staging, and not `lost+found`, which a fresh disk holds.
pub(crate) fn list(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut holds = BTreeSet::new();
    let walk = walkdir::WalkDir::new(root)
        .min_depth(1)
        .follow_links(false)
        .into_iter()
        .filter_entry(|entry| {
            !(entry.depth() == 1
                && (entry.file_name() == ".windrow" || entry.file_name() == "lost+found"))
        });
    for entry in walk {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).display().to_string();
            let source = error
                .into_io_error()
                .unwrap_or_else(|| io::Error::other("the folder contains itself"));
            Error::io(path, "list", source)
        })?;
        let relative = entry
            .path()
            .strip_prefix(root)
            .map_err(|_| Error::internal("a walk left its root"))?;
        if let Some(parent) = relative.parent() {
            holds.remove(parent);
        }
        holds.insert(relative.to_owned());
    }
    Ok(holds)
}

/// Refuses a target that is an input, holds one, or lies in an input folder.
pub(super) fn check_inputs(target: &Path, inputs: &[PathBuf]) -> Result<()> {
    for input in inputs {
        let real = input
            .canonicalize()
            .map_err(|source| Error::io(input.display(), "resolve", source))?;
        let clash = if real == target {
            "is also an input"
        } else if real.starts_with(target) {
            "holds an input"
        } else if target.starts_with(&real) {
            "lies in an input folder"
        } else {
            continue;
        };
        return Err(Error::config(
            "to",
            format!(
                "{} {clash} ({}); write to a folder outside",
                target.display(),
                input.display()
            ),
        ));
    }
    Ok(())
}

/// Whether a folder can be replaced as a whole by a rename beside it.
///
/// Not where something is mounted on it, nor the folder this process works in,
/// or a shell in it would be left in a folder that is gone.
pub(super) fn can_be_swapped(target: &Path) -> bool {
    let Some(parent) = target.parent() else {
        return false;
    };
    let Ok(here) = fs::symlink_metadata(target) else {
        return true; // not there yet
    };
    let same_disk = fs::symlink_metadata(parent).is_ok_and(|parent| parent.dev() == here.dev());
    let mounted = statx(
        CWD,
        target,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS,
    )
    .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    let worked_in = std::env::current_dir()
        .and_then(|dir| dir.canonicalize())
        .is_ok_and(|dir| dir.starts_with(target));
    same_disk && !mounted && !worked_in
}
