//! Arrow IPC files and streams to batches.
//!
//! In:  a file in Arrow's IPC file format, or a stream that lies in a file.
//! Out: its schema, and the wanted columns of any of its batches, in order.
//!
//! ```text
//! messages  where each batch lies, and its rows: by the footer, or message by message
//! body      of a batch: the buffers of the wanted columns, read and decompressed
//! input     a file; batches of it
//! ```
//!
//! What the file claims is held against its size before memory is taken, and
//! compressed buffers grow with what comes out of them, whatever they claim.

mod body;
mod input;
mod messages;

pub use input::{IpcBatches, IpcInput};
