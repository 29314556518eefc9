//! What targets share: an input as a file, because files are what windrow reads.

use std::path::PathBuf;
use std::sync::OnceLock;

/// Puts bytes into the file of this process, in memory where the system has such a folder.
pub fn file(ending: &str, bytes: &[u8]) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let root = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let folder = root.join(format!("windrow-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for inputs");
        folder
    });
    let path = folder.join(format!("input.{ending}"));
    std::fs::write(&path, bytes).expect("the input is written");
    path
}

/// Splits off the first byte, which chooses sizes.
#[allow(dead_code, reason = "not every target has a choice")]
pub fn choice(data: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((usize::from(*first), rest))
}

/// A session on one thread with little memory, so that a file that asks for much is refused.
#[allow(dead_code, reason = "not every target runs a frame")]
pub fn session() -> windrow::Session {
    windrow::Session::new(windrow::Settings {
        threads: 1,
        memory: windrow::ByteSize::mib(64),
        scheduler: windrow::SchedulerKind::Serial,
        ..windrow::Settings::default()
    })
}
