//! Makes a plan happen.
//!
//! In:  a physical plan, and what the run may use.
//! Out: files, batches, sizes or a count, with a balance sheet that adds up.
//!
//! ```text
//! units ─▶ read + decode ─▶ sequence (in input order) ─▶ encode ─▶ append (in order) ─▶ commit
//!          any thread       schema, lines, cuts          any thread
//! ```
//!
//! Schedulers carry no semantics: rows, files and errors are the same for every
//! number of threads.

mod bad;
mod bind;
mod build;
mod chunk_place;
mod columns;
mod context;
mod control;
mod draft;
mod each;
mod fold;
mod folded;
mod folder;
mod group;
mod handover;
mod hot;
mod hot_groups;
mod join;
mod keep;
mod order;
mod output;
mod parts;
mod pass;
mod passing;
mod pick;
mod predicate;
mod queue;
mod reader;
mod rejects;
mod report;
mod report_text;
mod run;
mod scatter;
mod scheduler;
mod schema;
mod sequence;
mod shared;
mod sheet;
mod shuffled;
mod sort;
mod source;
mod steps;
mod stream;
mod task;
mod together;
mod window;
mod worker;
mod write;

pub(crate) use build::longest_record;
pub use context::Context;
pub use control::{Phase, Progress};
pub use keep::{Kept, keep};
pub use pass::{Collected, bounds, collect, count, last, sizes, visit};
pub use reader::Batches;
pub use report::{
    HotKeyReport, InputReport, PipelineReport, RunReport, RuntimeFilterReport, StageReport,
    TasksReport, WidenedReport,
};
pub(crate) use stream::patiently;
pub use write::write;
