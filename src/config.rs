//! Settings of a run: every default in one place.
//!
//! In:  defaults, then a TOML file, then `WINDROW_*` variables, then code.
//! Out: one `Settings`; later sources win.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::size::ByteSize;

/// How tasks are run. Schedulers carry no semantics: both give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulerKind {
    /// Everything on the calling thread, in plan order: the reference.
    Serial,
    /// A pool of threads that share work chunk by chunk.
    #[default]
    Threaded,
}

/// What every run needs to know about the machine and its limits.
///
/// ```
/// use windrow::{ByteSize, Settings};
/// let settings = Settings { memory: ByteSize::mib(256), ..Settings::default() };
/// assert!(settings.threads >= 1);
/// ```
///
/// A TOML file names what it changes; `WINDROW_CONFIG` says where it is:
///
/// ```
/// # fn main() -> windrow::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("windrow.toml");
/// std::fs::write(&path, r#"
/// threads = 4
/// memory = "2GiB"
/// spill_dir = "/var/tmp"
/// spill_limit = "100GiB"
/// blocksize = "64MiB"
/// scheduler = "threaded"
/// "#).unwrap();
/// let settings = windrow::Settings::from_toml_file(&path)?;
/// assert_eq!(settings.memory, windrow::ByteSize::mib(2048));
/// # Ok(())
/// # }
/// ```
///
/// Variables win over the file, and what is set in code wins over both:
///
/// | variable | field | example |
/// |---|---|---|
/// | `WINDROW_CONFIG` | (the file) | `/etc/windrow.toml` |
/// | `WINDROW_THREADS` | [`threads`](Settings::threads) | `4` |
/// | `WINDROW_MEMORY` | [`memory`](Settings::memory) | `2GiB` |
/// | `WINDROW_SPILL_DIR` | [`spill_dir`](Settings::spill_dir) | `/var/tmp` |
/// | `WINDROW_SPILL_LIMIT` | [`spill_limit`](Settings::spill_limit) | `100GiB` |
/// | `WINDROW_BLOCKSIZE` | [`blocksize`](Settings::blocksize) | `64MiB` |
/// | `WINDROW_SCHEDULER` | [`scheduler`](Settings::scheduler) | `serial` |
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Worker threads. Default: the cores this process may use.
    pub threads: usize,
    /// Budget for rows held by operators. Default: 60 % of what the cgroup or
    /// the machine has. Lower it to leave room for others; more is spilled then.
    pub memory: ByteSize,
    /// Where spill files go. Default: the system's folder for temporary files.
    pub spill_dir: PathBuf,
    /// Largest total of spill files. Default: no limit but the disk.
    pub spill_limit: Option<ByteSize>,
    /// Target decompressed bytes per partition of a text source. Default 128 MiB.
    pub blocksize: ByteSize,
    /// Which scheduler runs the tasks. Default: threads.
    pub scheduler: SchedulerKind,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory: ByteSize::new(machine_memory() / 10 * 6),
            spill_dir: std::env::temp_dir(),
            spill_limit: None,
            blocksize: ByteSize::mib(128),
            scheduler: SchedulerKind::default(),
        }
    }
}

impl Settings {
    /// Defaults, changed by `WINDROW_CONFIG` (a TOML file) and then by
    /// `WINDROW_THREADS`, `WINDROW_MEMORY`, `WINDROW_SPILL_DIR`,
    /// `WINDROW_SPILL_LIMIT`, `WINDROW_BLOCKSIZE` and `WINDROW_SCHEDULER`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the variable or file; [`Error::Io`] if the file cannot be read.
    pub fn from_env() -> Result<Self> {
        let mut settings = match std::env::var_os("WINDROW_CONFIG") {
            Some(path) => Settings::from_toml_file(Path::new(&path))?,
            None => Settings::default(),
        };
        let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        if let Some(value) = text("WINDROW_THREADS") {
            settings.threads = value.parse().map_err(|_| {
                Error::config("WINDROW_THREADS", format!("{value:?} is not a number"))
            })?;
        }
        if let Some(value) = text("WINDROW_MEMORY") {
            settings.memory = parse_size("WINDROW_MEMORY", &value)?;
        }
        if let Some(value) = text("WINDROW_SPILL_DIR") {
            settings.spill_dir = value.into();
        }
        if let Some(value) = text("WINDROW_SPILL_LIMIT") {
            settings.spill_limit = Some(parse_size("WINDROW_SPILL_LIMIT", &value)?);
        }
        if let Some(value) = text("WINDROW_BLOCKSIZE") {
            settings.blocksize = parse_size("WINDROW_BLOCKSIZE", &value)?;
        }
        if let Some(value) = text("WINDROW_SCHEDULER") {
            settings.scheduler = match value.as_str() {
                "serial" => SchedulerKind::Serial,
                "threaded" => SchedulerKind::Threaded,
                _ => {
                    return Err(Error::config(
                        "WINDROW_SCHEDULER",
                        format!("{value:?} is neither \"serial\" nor \"threaded\""),
                    ));
                }
            };
        }
        settings.check()?;
        Ok(settings)
    }

    /// Defaults, changed by a TOML file whose keys are this struct's fields.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read, [`Error::Config`] if it does not parse.
    pub fn from_toml_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::io(path.display(), "read", source))?;
        let settings: Settings = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let place = match before {
                Some(before) => format!("line {}: ", before.matches('\n').count() + 1),
                None => String::new(),
            };
            Error::config(
                path.display().to_string(),
                format!("{place}{}", error.message()),
            )
        })?;
        settings.check()?;
        Ok(settings)
    }

    /// Refuses what cannot run.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for no threads, a blocksize of zero or less than the least memory.
    pub fn check(&self) -> Result<()> {
        if self.threads == 0 {
            return Err(Error::config("threads", "at least 1 is needed"));
        }
        if self.blocksize.bytes() == 0 {
            return Err(Error::config("blocksize", "it must be more than zero"));
        }
        Ok(())
    }
}

fn parse_size(name: &str, value: &str) -> Result<ByteSize> {
    value.parse().map_err(|_| {
        Error::config(
            name,
            format!("{value:?} is not a size; write it like 4096, 64MiB or 1.5GB"),
        )
    })
}

/// Bytes of memory this process may use: the least of the machine's and the cgroup's.
fn machine_memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib * 1024)
        })
        .unwrap_or(4 << 30);
    let group = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .filter_map(|path| std::fs::read_to_string(path).ok())
    .filter_map(|text| text.trim().parse::<u64>().ok())
    .min();
    group.map_or(machine, |limit| limit.min(machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settings_file_changes_only_what_it_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("windrow.toml");
        std::fs::write(
            &path,
            "threads = 3\nmemory = \"256MiB\"\nblocksize = 4096\n",
        )
        .unwrap();
        let settings = Settings::from_toml_file(&path).unwrap();
        assert_eq!(settings.threads, 3);
        assert_eq!(settings.memory, ByteSize::mib(256));
        assert_eq!(settings.blocksize, ByteSize::kib(4));
        assert_eq!(settings.spill_dir, Settings::default().spill_dir);
        for (text, place) in [
            (
                "threads = 3\ntreads = 3\n",
                "line 2: unknown field `treads`",
            ),
            ("threads = \n", "line 1: "),
            ("# a comment\n\nmemory = \"much\"\n", "line 3: "),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Settings::from_toml_file(&path).unwrap_err().to_string();
            assert!(error.contains(place) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn settings_that_cannot_run_are_refused() {
        let none = Settings {
            threads: 0,
            ..Settings::default()
        };
        assert!(none.check().is_err());
    }
}
