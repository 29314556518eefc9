//! What the outside may see of a run.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of the run that is under way, for a progress line. All only grow,
/// but for `memory_bytes`.
#[derive(Debug, Default)]
pub struct Progress {
    stored_bytes_total: AtomicU64,
    stored_bytes_read: AtomicU64,
    text_bytes: AtomicU64,
    rows: AtomicU64,
    files: AtomicU64,
    files_done: AtomicU64,
    memory_bytes: AtomicU64,
    spilled_bytes: AtomicU64,
    phase: AtomicU64,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reading, decoding and, where nothing must wait, writing.
    Reading,
    /// Laying out rows that had to be counted first.
    Laying,
    /// Making the output durable and visible.
    Committing,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident, $set:ident, $method:ident);* $(;)?) => {
        $(
            $(#[$doc])*
            pub fn $name(&self) -> u64 {
                self.$name.load(Ordering::Relaxed)
            }
            pub(crate) fn $set(&self, value: u64) {
                self.$name.$method(value, Ordering::Relaxed);
            }
        )*
    };
}

impl Progress {
    counters! {
        /// Stored (compressed) bytes of all inputs.
        stored_bytes_total, set_stored_bytes_total, store;
        /// Stored (compressed) bytes read so far.
        stored_bytes_read, add_stored_bytes_read, fetch_add;
        /// Decompressed bytes of text decoded so far.
        text_bytes, add_text_bytes, fetch_add;
        /// Rows that came out so far.
        rows, add_rows, fetch_add;
        /// Input files.
        files, set_files, store;
        /// Input files read to their end.
        files_done, add_files_done, fetch_add;
        /// Bytes reserved in the memory budget now.
        memory_bytes, set_memory_bytes, store;
        /// Bytes written to spill files so far.
        spilled_bytes, set_spilled_bytes, store;
    }

    /// What is being done now.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Reading,
            1 => Phase::Laying,
            _ => Phase::Committing,
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        let number = match phase {
            Phase::Reading => 0,
            Phase::Laying => 1,
            Phase::Committing => 2,
        };
        self.phase.store(number, Ordering::Relaxed);
    }
}
