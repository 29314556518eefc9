//! Which files are read, and in which order.
//!
//! In:  what the user wrote: files, globs, folders, URLs, `@lists`, `-`.
//! Out: one `SourceFile` after the other, as the folders are walked.
//!
//! The inputs keep the order they were given in; the files one input finds are
//! sorted by the bytes of their paths. A file that several inputs reach, or
//! that a link shows twice, is read once, under the first path it was found at.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};
#[cfg(feature = "cloud")]
use crate::io::remote;
use crate::io::url;
use crate::io::walk::{Found, Walk};

/// The name an input has when it is standard input.
pub const STDIN: &str = "-";

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as it was given or found, as users are shown it; `-` is standard
    /// input. A URL is shown without its query, which may be secret.
    pub path: String,
    /// Bytes as stored; 0 for standard input and pipes.
    pub bytes: u64,
    /// Its place among the files of the run, from 0.
    pub index: u32,
    /// Whether it is an ordinary file or an object: it can be opened again and cut.
    pub seekable: bool,
    place: Place,
    version: Option<Version>,
}

/// What tells two versions of a file apart, beside its size.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Version {
    /// Of a file on this machine: its number, and when it was changed.
    Local { number: u64, changed: SystemTime },
    /// Of an object: its tag.
    #[cfg(feature = "cloud")]
    Tag(String),
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this machine, at the path that is shown.
    Shown,
    /// On this machine, at a path that is not Unicode.
    Raw(PathBuf),
    /// Behind a URL.
    #[cfg(feature = "cloud")]
    Remote(remote::Object),
}

impl SourceFile {
    /// One file by its path or URL; `-` is standard input.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it is not there; [`Error::Config`] if it is a folder,
    /// or a URL that stands for several objects or that this build does not read.
    pub fn at(path: &str, index: u32) -> Result<Self> {
        if path == STDIN {
            return Ok(SourceFile {
                path: STDIN.into(),
                bytes: 0,
                index,
                seekable: false,
                place: Place::Shown,
                version: None,
            });
        }
        if url::scheme(path).is_some() {
            return SourceFile::at_url(path, index);
        }
        SourceFile::found(Path::new(path), index)
    }

    fn at_url(url: &str, index: u32) -> Result<Self> {
        let mut walk = Walk::start(url)?;
        match (walk.next_file()?, walk.next_file()?) {
            (Some(found), None) => SourceFile::of(found, index),
            _ => Err(Error::config(
                url::shown(url),
                "this stands for several objects, not for one",
            )),
        }
    }

    /// The path to open, of a file on this machine.
    pub(crate) fn location(&self) -> &Path {
        match &self.place {
            Place::Raw(path) => path,
            _ => Path::new(&self.path),
        }
    }

    /// Where its bytes are.
    #[cfg(feature = "cloud")]
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// What tells this version from others of the same size; none where nothing does.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Whether it lies behind a URL.
    pub fn is_remote(&self) -> bool {
        !matches!(self.place, Place::Shown | Place::Raw(_))
    }

    /// Whether a read may keep its caller waiting for long.
    pub fn may_wait(&self) -> bool {
        !self.seekable || self.is_remote()
    }

    /// An input that names this file and nothing else, whatever it is called.
    /// Of a URL it may hold secrets: it is for [`list`], not for eyes.
    pub fn input(&self) -> String {
        match &self.place {
            #[cfg(feature = "cloud")]
            Place::Remote(object) => object.input(),
            _ if self.path.starts_with('@') || url::scheme(&self.path).is_some() => {
                format!("./{}", self.path)
            }
            _ => self.path.clone(),
        }
    }

    /// Whether this is standard input.
    pub fn is_stdin(&self) -> bool {
        self.path == STDIN
    }

    fn of(found: Found, index: u32) -> Result<Self> {
        match found {
            Found::Local { path, .. } if path.as_os_str() == STDIN => SourceFile::at(STDIN, index),
            Found::Local { path, .. } => SourceFile::found(&path, index),
            #[cfg(feature = "cloud")]
            Found::Remote(object) => Ok(SourceFile {
                path: object.shown(),
                bytes: object.bytes(),
                index,
                seekable: true,
                version: object.tag().map(Version::Tag),
                place: Place::Remote(object),
            }),
        }
    }

    fn found(path: &Path, index: u32) -> Result<Self> {
        let meta =
            std::fs::metadata(path).map_err(|source| Error::io(path.display(), "open", source))?;
        if meta.is_dir() {
            return Err(Error::config(
                path.display().to_string(),
                "this is a folder, not a file",
            ));
        }
        Ok(SourceFile {
            path: path.display().to_string(),
            bytes: if meta.is_file() { meta.len() } else { 0 },
            index,
            seekable: meta.is_file(),
            version: version(&meta),
            place: match path.to_str() {
                Some(_) => Place::Shown,
                None => Place::Raw(path.to_path_buf()),
            },
        })
    }
}

fn version(meta: &Metadata) -> Option<Version> {
    let changed = meta.modified().ok().filter(|_| meta.is_file())?;
    Some(Version::Local {
        number: meta.ino(),
        changed,
    })
}

/// Lists the files of `inputs`, one at a time: memory follows the largest
/// folder, not the tree, but for 16 bytes a file to find duplicates by.
///
/// An input is, in this order:
/// - `-`: standard input;
/// - `@file`: a list, one input a line (`@-` reads the list from standard input);
/// - a URL, with the crate feature `cloud`: `https://host/file` is one file;
///   `s3://`, `gs://` and `az://` name an object by its key, all objects below
///   `bucket/prefix/`, or a glob over keys, where `[*]` is a `*` itself. Keys
///   are written as they are, not percent-encoded;
/// - a path that exists: a file of any name, or a folder, searched to the
///   bottom for everything whose name starts with neither `.` nor `_`;
/// - a glob of files: `*`, `?`, `[a-z]`, `{a,b}` within one name, `**` over
///   folders. A wildcard skips names that start with `.` unless the pattern
///   itself has such a name, and `_windrow.json`, windrow's own manifest.
///
/// Links are followed; a folder is entered once however many links lead to it.
/// Write `./-`, `./@x` or `./s3://x` for files of such names.
///
/// # Errors
///
/// [`Error::Config`] if there is no input or a glob cannot be understood. The
/// iterator ends with its first error: an input that matches nothing
/// ([`Error::Config`], naming it), a file or folder that cannot be read ([`Error::Io`]).
///
/// ```
/// # fn main() -> windrow::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # for name in ["b.json", "a.json", "_SUCCESS"] { std::fs::write(dir.path().join(name), "{}\n").unwrap(); }
/// let folder = dir.path().display().to_string();
/// let files: Vec<_> = windrow::io::list(&[folder])?.collect::<windrow::Result<_>>()?;
/// assert_eq!(files.len(), 2);
/// assert!(files[0].path.ends_with("a.json"));
/// # Ok(())
/// # }
/// ```
pub fn list(inputs: &[String]) -> Result<FileList> {
    if inputs.is_empty() {
        return Err(Error::config(
            "input",
            "nothing to read: give a file, a folder, a glob or - for standard input",
        ));
    }
    for input in inputs {
        Walk::check(input)?;
    }
    Ok(FileList {
        inputs: Vec::from(inputs).into_iter(),
        listed: None,
        walk: None,
        seen: Seen::default(),
        n_files: 0,
        duplicates: 0,
        over: false,
    })
}

/// Whether objects behind URLs may be among the files of `inputs`: if a URL is, or a list.
pub fn may_be_remote(inputs: &[String]) -> bool {
    let may_be = |input: &String| input.starts_with('@') || url::scheme(input).is_some();
    cfg!(feature = "cloud") && inputs.iter().any(may_be)
}

/// The files of a run, found as they are asked for. Made by [`list`].
pub struct FileList {
    inputs: std::vec::IntoIter<String>,
    listed: Option<ListFile>,
    walk: Option<Walk>,
    seen: Seen,
    n_files: u32,
    duplicates: u64,
    over: bool,
}

/// The lines of an `@list` still to come.
struct ListFile {
    name: String,
    lines: std::io::Lines<Box<dyn BufRead + Send>>,
    line: u64,
    is_empty: bool,
}

impl FileList {
    /// How often a file was found again so far; each was skipped.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    fn advance(&mut self) -> Result<Option<SourceFile>> {
        loop {
            if let Some(walk) = &mut self.walk {
                match walk.next_file()? {
                    Some(found) => match self.take(found)? {
                        Some(file) => return Ok(Some(file)),
                        None => continue,
                    },
                    None => self.walk = None,
                }
            }
            let input = match self.next_listed()? {
                Some(input) => input,
                None => match self.inputs.next() {
                    None => return Ok(None),
                    Some(input) => match input.strip_prefix('@') {
                        Some(list) => {
                            self.listed = Some(ListFile::open(list)?);
                            continue;
                        }
                        None => input,
                    },
                },
            };
            if input == STDIN {
                let found = Found::Local {
                    path: STDIN.into(),
                    real: STDIN.into(),
                };
                if let Some(file) = self.take(found)? {
                    return Ok(Some(file));
                }
            } else {
                self.walk = Some(Walk::start(&input)?);
            }
        }
    }

    /// The next input of the `@list` being read.
    fn next_listed(&mut self) -> Result<Option<String>> {
        let Some(list) = &mut self.listed else {
            return Ok(None);
        };
        for line in list.lines.by_ref() {
            list.line += 1;
            let line = line.map_err(|source| Error::io(&list.name, "read", source))?;
            let input = line.trim_end_matches('\r');
            if input.trim().is_empty() {
                continue;
            }
            if input.starts_with('@') || input == STDIN {
                return Err(Error::config(
                    format!("@{}", list.name),
                    format!("line {}: {input:?} cannot stand in a list", list.line),
                ));
            }
            Walk::check(input)?;
            list.is_empty = false;
            return Ok(Some(input.to_string()));
        }
        if list.is_empty {
            return Err(Error::config(format!("@{}", list.name), "it names no file"));
        }
        self.listed = None;
        Ok(None)
    }

    fn take(&mut self, found: Found) -> Result<Option<SourceFile>> {
        let is_new = match &found {
            Found::Local { real, .. } => self.seen.insert(real),
            #[cfg(feature = "cloud")]
            Found::Remote(object) => self.seen.insert(Path::new(object.url())),
        };
        if !is_new {
            self.duplicates += 1;
            return Ok(None);
        }
        let index = self.n_files;
        self.n_files = index
            .checked_add(1)
            .ok_or_else(|| Error::config("input", "more than 4,294,967,295 files"))?;
        SourceFile::of(found, index).map(Some)
    }
}

impl Iterator for FileList {
    type Item = Result<SourceFile>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.advance().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl ListFile {
    fn open(name: &str) -> Result<Self> {
        let reader: Box<dyn BufRead + Send> = if name == STDIN {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let file = File::open(name).map_err(|source| Error::io(name, "open", source))?;
            Box::new(BufReader::new(file))
        };
        Ok(ListFile {
            name: name.to_string(),
            lines: reader.lines(),
            line: 0,
            is_empty: true,
        })
    }
}

/// Which paths were seen: 128 keyed bits of each, so that a hundred million
/// names need not be held. Two names share their bits once in 10^22 runs of that size.
#[derive(Default)]
struct Seen {
    keys: (RandomState, RandomState),
    hashes: HashSet<(u64, u64)>,
}

impl Seen {
    fn insert(&mut self, path: &Path) -> bool {
        self.hashes
            .insert((self.keys.0.hash_one(path), self.keys.1.hash_one(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(inputs: &[String]) -> Vec<String> {
        list(inputs)
            .unwrap()
            .map(|file| file.unwrap().path)
            .collect()
    }

    fn tree(names: &[&str]) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}\n").unwrap();
        }
        let root = dir.path().display().to_string();
        (dir, root)
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_its_path_bytes() {
        let all = ["a.json", "a/b.json", "a/c/d.json", "a0.json", "B.json"];
        let (_dir, root) = tree(&all);
        let mut want: Vec<_> = all.iter().map(|name| format!("{root}/{name}")).collect();
        want.sort();
        assert_eq!(names(&[root]), want);
    }

    #[test]
    fn a_folder_hides_names_with_a_dot_or_underscore_first() {
        let (_dir, root) = tree(&["x.json", ".y.json", "_SUCCESS", "_tmp/z.json", ".git/a"]);
        assert_eq!(
            names(std::slice::from_ref(&root)),
            [format!("{root}/x.json")]
        );
        // Named literally they are read.
        let given = format!("{root}/_tmp");
        assert_eq!(names(&[given]), [format!("{root}/_tmp/z.json")]);
        let given = format!("{root}/.y.json");
        assert_eq!(names(std::slice::from_ref(&given)), [given]);
    }

    #[test]
    fn globs_match_within_a_name_or_over_folders() {
        let (_dir, root) = tree(&[
            "a/1.json",
            "a/b/2.json",
            "c/3.json.gz",
            "4.json",
            "a/.h.json",
            "a/_windrow.json",
        ]);
        let found = |glob: &str| -> Vec<String> {
            names(&[format!("{root}/{glob}")])
                .iter()
                .map(|path| path[root.len() + 1..].to_string())
                .collect()
        };
        assert_eq!(found("*.json"), ["4.json"]);
        assert_eq!(found("*/*.json"), ["a/1.json"]);
        assert_eq!(found("**/*.json"), ["4.json", "a/1.json", "a/b/2.json"]);
        assert_eq!(found("{a,c}/*"), ["a/1.json", "c/3.json.gz"]);
        assert_eq!(found("{a/b,c}/*"), ["a/b/2.json", "c/3.json.gz"]);
        assert_eq!(found("[a-b]//?.json"), ["a/1.json"]);
        assert_eq!(found("a/.*.json"), ["a/.h.json"]);
        assert_eq!(found("a/_windrow.json"), ["a/_windrow.json"]);
    }

    #[test]
    fn a_path_that_exists_is_not_a_glob() {
        let (_dir, root) = tree(&["log[1].json", "log1.json"]);
        let given = format!("{root}/log[1].json");
        assert_eq!(names(std::slice::from_ref(&given)), [given]);
    }

    #[test]
    fn a_file_reached_twice_is_read_once_and_counted() {
        let (_dir, root) = tree(&["a.json", "b.json"]);
        std::os::unix::fs::symlink(format!("{root}/b.json"), format!("{root}/0-latest.json"))
            .unwrap();
        let inputs = [
            format!("{root}/a.json"),
            format!("{root}/*.json"),
            root.clone(),
            format!("{root}/./a.json"),
        ];
        let mut files = list(&inputs).unwrap();
        let found: Vec<_> = files.by_ref().map(|file| file.unwrap()).collect();
        let paths: Vec<_> = found.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [format!("{root}/a.json"), format!("{root}/0-latest.json")]
        );
        assert_eq!(found[1].index, 1);
        assert_eq!(files.duplicates(), 6);
    }

    #[test]
    fn hard_links_are_two_files() {
        let (_dir, root) = tree(&["a.json"]);
        std::fs::hard_link(format!("{root}/a.json"), format!("{root}/b.json")).unwrap();
        assert_eq!(names(&[root]).len(), 2);
    }

    #[test]
    fn loops_of_links_end() {
        let (_dir, root) = tree(&["a/1.json", "b/2.json"]);
        use std::os::unix::fs::symlink;
        symlink(&root, format!("{root}/a/up")).unwrap();
        symlink(format!("{root}/b"), format!("{root}/a/x")).unwrap();
        symlink(format!("{root}/a"), format!("{root}/b/y")).unwrap();
        symlink("self", format!("{root}/b/.self")).unwrap();
        let found = names(std::slice::from_ref(&root));
        assert_eq!(
            found,
            [format!("{root}/a/1.json"), format!("{root}/a/x/2.json")]
        );
        assert_eq!(names(&[format!("{root}/**/*.json")]), found);
    }

    #[test]
    fn what_matches_nothing_is_named() {
        let (_dir, root) = tree(&["a.json"]);
        std::fs::create_dir(format!("{root}/empty")).unwrap();
        for input in ["*.csv", "empty", "**/none/*", "a.json/*"] {
            let input = format!("{root}/{input}");
            let error = list(std::slice::from_ref(&input))
                .unwrap()
                .next()
                .unwrap()
                .unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{input}: {error}");
            assert!(error.to_string().contains(&input), "{error}");
        }
        let gone = format!("{root}/gone.json");
        let error = list(std::slice::from_ref(&gone))
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(error.to_string().contains(&gone), "{error}");
        assert!(list(&["a[".to_string()]).is_err());
        assert!(list(&[]).is_err());
    }

    #[test]
    fn a_broken_link_is_an_error_and_ends_the_list() {
        let (_dir, root) = tree(&["a.json", "z.json"]);
        std::os::unix::fs::symlink("gone", format!("{root}/m.json")).unwrap();
        let mut files = list(std::slice::from_ref(&root)).unwrap();
        assert!(files.next().unwrap().is_ok());
        let error = files.next().unwrap().unwrap_err();
        assert!(error.to_string().contains("m.json"), "{error}");
        assert!(files.next().is_none());
    }

    #[test]
    fn a_list_names_its_inputs_line_by_line() {
        let (_dir, root) = tree(&["a.json", "sub/b.json", "sub/c.json"]);
        let list_path = format!("{root}/files.txt");
        std::fs::write(&list_path, format!("{root}/sub/*.json\r\n\n{root}/a.json")).unwrap();
        assert_eq!(
            names(&[format!("@{list_path}")]),
            [
                format!("{root}/sub/b.json"),
                format!("{root}/sub/c.json"),
                format!("{root}/a.json")
            ]
        );
        std::fs::write(&list_path, "\n \n").unwrap();
        let error = list(&[format!("@{list_path}")]).unwrap().next();
        let error = error.unwrap().unwrap_err().to_string();
        assert!(error.ends_with("it names no file"), "{error}");
        std::fs::write(&list_path, "\n@other.txt\n").unwrap();
        let error = list(&[format!("@{list_path}")])
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn standard_input_is_one_file_of_unknown_size() {
        let file = SourceFile::at("-", 3).unwrap();
        assert!(file.is_stdin() && !file.seekable);
        assert_eq!((file.bytes, file.index), (0, 3));
        assert_eq!(names(&["-".to_string(), "-".to_string()]), ["-"]);
    }

    #[test]
    fn names_that_are_not_unicode_can_be_opened() {
        use std::os::unix::ffi::OsStrExt;
        let (dir, root) = tree(&[]);
        let path = dir
            .path()
            .join(std::ffi::OsStr::from_bytes(b"log-\xff.json"));
        std::fs::write(&path, "{}\n").unwrap();
        let file = list(&[root]).unwrap().next().unwrap().unwrap();
        assert_eq!(file.location(), path);
        assert_eq!(file.bytes, 3);
    }
}
