//! Bytes to whole lines, and files to batches.
//!
//! In:  inputs as the user wrote them.
//! Out: text in chunks of whole lines, or Arrow batches where the format has them.
//!
//! ```text
//! walk ▶ store        which files, in which order
//! url ▶ remote        objects behind URLs, and their bytes
//! ranges ▶ unit       what of them can be opened on its own
//! source, gzip, zstd, codecs  stored bytes to decompressed bytes, checked
//! boundary, lines     decompressed bytes to chunks of whole records
//! parquet, ipc        files that hold batches already
//! ```

mod array;
mod boundary;
mod codecs;
pub mod columns;
pub mod compression;
pub mod csv;
mod encoding;
pub mod format;
mod framing;
mod guard;
mod gzip;
mod head;
pub mod hive;
mod inflate;
pub mod ipc;
pub mod json;
mod known;
pub mod line;
mod lines;
pub mod locate;
mod pattern;
mod peek;
mod places;
pub mod parquet;
mod pread;
pub mod ranges;
#[cfg(feature = "cloud")]
mod remote;
pub mod salvage;
pub mod schema_text;
mod source;
pub mod store;
pub mod text;
pub mod unit;
pub mod url;
mod walk;
mod zstd;

pub use compression::Compression;
pub use encoding::{Encoding, Replaced};
pub use format::Format;
pub use framing::{Framing, RecordKind};
pub use ipc::{IpcBatches, IpcInput};
pub use known::KnownFiles;
pub use locate::{RawRecord, line_of, record_at};
pub use parquet::{ParquetBatches, ParquetInput, RowFilter, RowGroup, Stretch, Wanted};
pub use peek::{Peek, peek};
pub use places::places;
pub use pread::Reads;
pub use salvage::{Damage, DamagedSpan};
pub use source::FIRST_AHEAD_BYTES;
pub use store::{FileList, SourceFile, list, may_be_remote};
pub use text::{
    Begun, LongRecord, MOST_CHUNK_BYTES, TextChunk, TextOptions, TextReader, begin, open,
    open_framed,
};
pub use unit::{Extent, Unit, compression, units, units_framed};
