//! Footers that were read, kept while their files stay as they are.
//!
//! In:  Parquet and Arrow IPC files, again and again: a first look, then runs.
//! Out: what their footers say, each read once.
//!
//! A file is the same while path, size, number and time of change are; of an
//! object, while its tag is. What is kept is counted in a budget and bounded.
//! Once there is no room, a new footer takes the place of any other: of a list
//! that is longer than the room a part is then found again, where giving up the
//! one that was used longest ago would find nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::pread::Reads;
use super::store::{SourceFile, Version};
use super::{IpcInput, ParquetInput};
use crate::error::Result;
use crate::memory::{Budget, Reservation};

/// Files that were changed so shortly ago may change again at the same time,
/// as far as a file system's clock tells.
const UNSETTLED: Duration = Duration::from_millis(50);

/// Footers of files of columns, shared by a session's frames.
#[derive(Debug)]
pub struct KnownFiles {
    kept: Mutex<Kept>,
    most_bytes: u64,
    reads: Arc<Reads>,
}

#[derive(Debug)]
struct Kept {
    files: HashMap<Key, Entry>,
    /// The keys, to choose one from.
    keys: Vec<Key>,
    /// Of all entries.
    memory: Reservation,
    turn: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    path: String,
    bytes: u64,
    version: Version,
}

#[derive(Clone)]
enum Entry {
    Parquet(ParquetInput),
    Ipc(IpcInput),
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Entry::Parquet(_) => "Parquet",
            Entry::Ipc(_) => "Ipc",
        })
    }
}

impl Entry {
    /// Bytes of memory that it takes, with its key and its place in the table.
    fn held_bytes(&self, key: &Key) -> u64 {
        let footer = match self {
            Entry::Parquet(input) => input.held_bytes(),
            Entry::Ipc(input) => input.held_bytes(),
        };
        footer + 2 * (key.path.len() + size_of::<Key>() + size_of::<Entry>()) as u64
    }
}

impl KnownFiles {
    /// Keeps at most `most_bytes` of footers, within `budget`.
    pub fn new(budget: &Budget, most_bytes: u64) -> Self {
        KnownFiles {
            kept: Mutex::new(Kept {
                files: HashMap::new(),
                keys: Vec::new(),
                memory: budget.open(),
                turn: 0,
            }),
            most_bytes,
            reads: Arc::default(),
        }
    }

    /// What was opened and read of all files so far.
    pub fn reads(&self) -> &Arc<Reads> {
        &self.reads
    }

    /// Whether the footer of a file need not be read.
    pub fn has(&self, file: &SourceFile) -> bool {
        key(file).is_some_and(|key| self.lock().files.contains_key(&key))
    }

    /// A Parquet file, by its footer.
    ///
    /// # Errors
    ///
    /// As [`ParquetInput::open`].
    pub fn parquet(&self, file: &SourceFile) -> Result<ParquetInput> {
        if let Some(Entry::Parquet(input)) = self.find(file) {
            return Ok(input.listed_as(file));
        }
        let input = ParquetInput::open_counted(file, &self.reads)?;
        self.keep(file, Entry::Parquet(input.clone()));
        Ok(input)
    }

    /// An Arrow IPC file, by its footer.
    ///
    /// # Errors
    ///
    /// As [`IpcInput::open`].
    pub fn ipc(&self, file: &SourceFile) -> Result<IpcInput> {
        if let Some(Entry::Ipc(input)) = self.find(file) {
            return Ok(input.listed_as(file));
        }
        let input = IpcInput::open_counted(file, &self.reads)?;
        self.keep(file, Entry::Ipc(input.clone()));
        Ok(input)
    }

    fn find(&self, file: &SourceFile) -> Option<Entry> {
        self.lock().files.get(&key(file)?).cloned()
    }

    fn keep(&self, file: &SourceFile, entry: Entry) {
        let Some(key) = key(file).filter(|key| is_settled(&key.version)) else {
            return;
        };
        let bytes = entry.held_bytes(&key);
        let mut kept = self.lock();
        loop {
            let all = kept.memory.bytes() + bytes;
            if all <= self.most_bytes && kept.memory.try_resize(all) {
                break;
            }
            if !kept.drop_one() {
                return;
            }
        }
        if kept.files.insert(key.clone(), entry).is_none() {
            kept.keys.push(key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Drops any entry. False if there is none.
    fn drop_one(&mut self) -> bool {
        if self.keys.is_empty() {
            return false;
        }
        // Any sequence that jumps about will do; this one is Weyl's.
        self.turn = self.turn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let place = (self.turn >> 32) as usize % self.keys.len();
        let key = self.keys.swap_remove(place);
        if let Some(entry) = self.files.remove(&key) {
            let bytes = entry.held_bytes(&key);
            let left = self.memory.bytes().saturating_sub(bytes);
            self.memory.resize_anyway(left);
        }
        true
    }
}

fn key(file: &SourceFile) -> Option<Key> {
    Some(Key {
        path: file.input(),
        bytes: file.bytes,
        version: file.version()?.clone(),
    })
}

fn is_settled(version: &Version) -> bool {
    match version {
        Version::Local { changed, .. } => {
            let age = SystemTime::now().duration_since(*changed);
            age.is_ok_and(|age| age > UNSETTLED)
        }
        #[cfg(feature = "cloud")]
        Version::Tag(_) => true,
    }
}
