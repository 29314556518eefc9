//! What a run may use, and how the outside sees and stops it.
//!
//! In:  settings of a session.
//! Out: a context that runs share; the stages of one run share its budget, its
//!      spill folder and the parts that several of them read.

use std::sync::Arc;

use super::control::Progress;
use super::shared::SharedParts;
use crate::cancel::Cancel;
use crate::config::Settings;
use crate::io::{KnownFiles, Reads};
use crate::memory::{Budget, SpillDir};
use crate::size::ByteSize;

/// What a run may use, and how the outside sees and stops it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Threads, memory, folders.
    pub settings: Settings,
    /// Stops the run.
    pub cancel: Cancel,
    /// Shows it.
    pub progress: Arc<Progress>,
    /// What kept rows may take of the memory: runs have as much less.
    pub(crate) kept: Budget,
    /// For tests: a smaller budget than settings may ask for.
    pub(crate) budget: Option<ByteSize>,
    /// What the run has that this is a part of, if it is.
    pub(crate) shared: Option<Shared>,
    /// Footers that were read.
    pub(crate) files: Arc<KnownFiles>,
}

/// What all stages of one run take from.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(super) budget: Budget,
    pub(super) spill_dir: Arc<SpillDir>,
    /// What several of them read.
    pub(super) parts: Arc<SharedParts>,
}

/// The share of the memory that footers may take, and the most that is of use:
/// those of 10,000 files of 20 columns.
const FOOTER_SHARE: u64 = 16;
const MOST_FOOTER_BYTES: u64 = 128 << 20;

impl Context {
    /// Settings, with a way to stop and to watch that nobody holds yet.
    pub fn new(settings: Settings) -> Self {
        let memory = settings.memory.bytes();
        let kept = Budget::new(ByteSize::new(memory / 2));
        let most_footers = (memory / FOOTER_SHARE).min(MOST_FOOTER_BYTES);
        Context {
            files: Arc::new(KnownFiles::new(&kept, most_footers)),
            kept,
            settings,
            cancel: Cancel::new(),
            progress: Arc::new(Progress::default()),
            budget: None,
            shared: None,
        }
    }

    /// How often Parquet and Arrow IPC files were opened, and how many bytes were read of them.
    pub fn reads(&self) -> &Reads {
        self.files.reads()
    }
}
