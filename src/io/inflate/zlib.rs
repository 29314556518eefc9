//! Inflating with zlib-rs.
//!
//! In:  pieces of deflate data.
//! Out: text. Nothing is read ahead of the data's end.

use flate2::{Decompress, FlushDecompress};

use super::{Status, Step};

/// The state of one stream.
pub(crate) struct Inflater(Decompress);

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater(Decompress::new(false))
    }

    /// Begins another stream.
    pub(crate) fn reset(&mut self) {
        self.0.reset(false);
    }

    /// Inflates until input or room is used up, or the data ends.
    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Step {
        let (taken, given) = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, out, FlushDecompress::None);
        Step {
            // Within one buffer, so both differences fit.
            taken: (self.0.total_in() - taken) as usize,
            back: 0,
            given: (self.0.total_out() - given) as usize,
            status: match status {
                Ok(flate2::Status::StreamEnd) => Status::End,
                Ok(_) => Status::More,
                Err(_) => Status::Invalid,
            },
        }
    }
}
