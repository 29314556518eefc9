//! Sessions of so many threads and so much memory.

use windrow::{ByteSize, Session, Settings};

pub fn session(threads: usize, memory: ByteSize) -> Session {
    Session::new(Settings {
        threads,
        memory,
        ..Settings::default()
    })
}
