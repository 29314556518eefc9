//! One input, walked: a file, a folder, a glob or a URL.
//!
//! In:  a path or pattern.
//! Out: the files it stands for, sorted by the bytes of their paths.
//!
//! A folder's names are held while it is walked, never the whole tree's; at
//! most a few folders are open. Each folder is entered once, so links that
//! lead in circles, or to the same place twice, end.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::error::{Error, Result};
use crate::io::pattern::{self, MANIFEST, Pattern, is_glob, no_match};
#[cfg(feature = "cloud")]
use crate::io::remote;
use crate::io::url;

/// A file that was found.
pub(crate) enum Found {
    Local {
        /// The path it was found at.
        path: PathBuf,
        /// The path with every link resolved: what makes it the same file.
        real: PathBuf,
    },
    #[cfg(feature = "cloud")]
    Remote(remote::Object),
}

/// A walk over one input.
pub(crate) enum Walk {
    /// A file given by its name.
    File(Option<PathBuf>),
    /// A folder or a glob.
    Tree(Box<Tree>),
    /// A URL.
    #[cfg(feature = "cloud")]
    Remote(Box<remote::Listing>),
}

/// A walk over a folder.
pub(crate) struct Tree {
    /// What the user wrote.
    input: String,
    /// The folder the walk starts in.
    root: PathBuf,
    entries: walkdir::IntoIter,
    /// What the paths below `root` must match; everything in a folder.
    pattern: Option<Pattern>,
    /// The real paths of the folders the walk is in, the root's first.
    inside: Vec<PathBuf>,
    /// The real paths of the folders it has been in.
    visited: HashSet<PathBuf>,
    n_found: u64,
}

impl Walk {
    /// Whether `input` can be understood, without looking at any file.
    pub(crate) fn check(input: &str) -> Result<()> {
        if url::scheme(input).is_some() {
            return check_url(input);
        }
        if is_glob(input) && !Path::new(input).exists() {
            pattern::split(input)?;
        }
        Ok(())
    }

    /// Begins to walk `input`.
    pub(crate) fn start(input: &str) -> Result<Self> {
        if url::scheme(input).is_some() {
            return start_url(input);
        }
        let path = Path::new(input);
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                Ok(Walk::Tree(Box::new(Tree::new(input, path, None, None)?)))
            }
            Ok(_) => Ok(Walk::File(Some(path.to_path_buf()))),
            Err(_) if is_glob(input) => {
                let glob = pattern::split(input)?;
                let base = if glob.base.is_empty() { "." } else { glob.base };
                Ok(Walk::Tree(Box::new(Tree::new(
                    input,
                    base.as_ref(),
                    Some(glob.pattern),
                    glob.depth,
                )?)))
            }
            Err(source) => Err(Error::io(input, "open", source)),
        }
    }

    /// The next file, or none when the walk is over.
    pub(crate) fn next_file(&mut self) -> Result<Option<Found>> {
        match self {
            Walk::File(path) => {
                let Some(path) = path.take() else {
                    return Ok(None);
                };
                // What a pipe's link points at has no path of its own.
                let real = real_path(&path).unwrap_or_else(|_| path.clone());
                Ok(Some(Found::Local { path, real }))
            }
            Walk::Tree(tree) => tree.next_file(),
            #[cfg(feature = "cloud")]
            Walk::Remote(listing) => Ok(listing.next_object()?.map(Found::Remote)),
        }
    }
}

impl Tree {
    fn new(
        input: &str,
        root: &Path,
        pattern: Option<Pattern>,
        max_depth: Option<usize>,
    ) -> Result<Self> {
        if !root.is_dir() {
            return Err(no_match(input));
        }
        let entries = WalkDir::new(root)
            .follow_links(true)
            .max_depth(max_depth.unwrap_or(usize::MAX))
            .max_open(4)
            .sort_by(by_path_bytes)
            .into_iter();
        Ok(Tree {
            input: input.to_string(),
            root: root.to_path_buf(),
            entries,
            pattern,
            inside: Vec::new(),
            visited: HashSet::new(),
            n_found: 0,
        })
    }

    fn next_file(&mut self) -> Result<Option<Found>> {
        loop {
            let entry = match self.entries.next() {
                None if self.n_found == 0 => return Err(self.nothing_found()),
                None => return Ok(None),
                Some(Ok(entry)) => entry,
                Some(Err(error)) => match self.judge(error) {
                    None => continue,
                    Some(error) => return Err(error),
                },
            };
            if entry.depth() > 0 && self.hides(entry.path(), entry.file_type().is_dir()) {
                if entry.file_type().is_dir() {
                    self.entries.skip_current_dir();
                }
                continue;
            }
            if entry.file_type().is_dir() {
                let real = real_path(entry.path())?;
                if !self.visited.insert(real.clone()) {
                    self.entries.skip_current_dir();
                }
                self.inside.truncate(entry.depth());
                self.inside.push(real);
                continue;
            }
            // A pipe or a device in a folder would be waited on for ever.
            if !entry.file_type().is_file() || !self.matches(entry.path()) {
                continue;
            }
            let real = match self.inside.get(entry.depth().saturating_sub(1)) {
                Some(folder) if !entry.path_is_symlink() => folder.join(entry.file_name()),
                _ => real_path(entry.path())?,
            };
            self.n_found += 1;
            return Ok(Some(Found::Local {
                path: shown(entry.into_path()),
                real,
            }));
        }
    }

    /// An input that stands for nothing. A folder that was written without rows has no
    /// part file, which is no mistake of whoever reads it.
    fn nothing_found(&self) -> Error {
        if self.pattern.is_none() && self.root.join(MANIFEST).is_file() {
            let reason = "no file matches: what was written there has no rows";
            return Error::config(url::shown(&self.input), reason);
        }
        no_match(&self.input)
    }

    /// Whether a name below the root is passed over, with all that is below it.
    fn hides(&self, path: &Path, is_dir: bool) -> bool {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        pattern::hides(self.pattern.as_ref(), name, is_dir)
    }

    fn matches(&self, path: &Path) -> bool {
        let Some(pattern) = &self.pattern else {
            return true;
        };
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        pattern.matcher.is_match(below)
    }

    /// The error of an entry, or none where it does not matter: a folder that a
    /// link reached from inside itself, or a name that is passed over anyway.
    fn judge(&self, error: walkdir::Error) -> Option<Error> {
        if error.loop_ancestor().is_some() {
            return None;
        }
        let path = error.path().unwrap_or(&self.root).to_path_buf();
        let is_link = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
        let passed_over = self.hides(&path, !is_link) || (is_link && !self.matches(&path));
        if error.depth() > 0 && passed_over {
            return None;
        }
        let source = error
            .into_io_error()
            .unwrap_or_else(|| std::io::Error::other("the folder cannot be walked"));
        Some(Error::io(path.display(), "read", source))
    }
}

/// Order of full paths by their bytes, found name by name: a folder's name
/// counts with the slash that follows it, so `a.json` comes before `a/b.json`.
fn by_path_bytes(a: &DirEntry, b: &DirEntry) -> Ordering {
    let slash = |entry: &DirEntry| entry.file_type().is_dir().then_some(&b'/');
    let (a_end, b_end) = (slash(a), slash(b));
    let a = a.file_name().as_encoded_bytes().iter().chain(a_end);
    let b = b.file_name().as_encoded_bytes().iter().chain(b_end);
    a.cmp(b)
}

#[cfg(feature = "cloud")]
fn check_url(input: &str) -> Result<()> {
    remote::check(input)
}

#[cfg(feature = "cloud")]
fn start_url(input: &str) -> Result<Walk> {
    Ok(Walk::Remote(Box::new(remote::Listing::start(input)?)))
}

#[cfg(not(feature = "cloud"))]
fn check_url(input: &str) -> Result<()> {
    Err(Error::config(
        url::shown(input),
        "this windrow was built without remote inputs: build it with --features cloud, or write ./ before a local path of this name",
    ))
}

#[cfg(not(feature = "cloud"))]
fn start_url(input: &str) -> Result<Walk> {
    check_url(input).and_then(|()| Err(no_match(input)))
}

/// The path as users expect it: `a.json`, not `./a.json`; but never a bare
/// `-`, which would mean standard input.
fn shown(path: PathBuf) -> PathBuf {
    match path.strip_prefix("./") {
        Ok(bare) if bare != Path::new("-") => bare.to_path_buf(),
        _ => path,
    }
}

fn real_path(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(|source| Error::io(path.display(), "open", source))
}
