//! Where one call reads and writes.
//!
//! In:  stored bytes, and room for text.
//! Out: how far both are used.

/// Input and room of one call.
pub(super) struct Buffers<'a> {
    pub input: &'a [u8],
    /// Bytes of `input` that were read.
    pub taken: usize,
    pub out: &'a mut [u8],
    /// Bytes of `out` that were written.
    pub given: usize,
}

impl Buffers<'_> {
    pub fn input_left(&self) -> usize {
        self.input.len() - self.taken
    }

    pub fn room(&self) -> usize {
        self.out.len() - self.given
    }

    /// Writes a byte, for which there is room.
    pub fn give(&mut self, byte: u8) {
        self.out[self.given] = byte;
        self.given += 1;
    }

    /// Writes as much of `n` bytes from the input as both sides have; how many.
    pub fn pass(&mut self, n: usize) -> usize {
        let n = n.min(self.input_left()).min(self.room());
        self.out[self.given..self.given + n]
            .copy_from_slice(&self.input[self.taken..self.taken + n]);
        self.given += n;
        self.taken += n;
        n
    }
}

/// Writes at `at` the `n` bytes that lie `distance` before it, in `window` where
/// they are older than `out`.
pub(super) fn copy_back(window: &[u8], out: &mut [u8], at: usize, n: usize, distance: usize) {
    let old = distance.saturating_sub(at).min(n);
    if old > 0 {
        let from = window.len() - (distance - at);
        out[at..at + old].copy_from_slice(&window[from..from + old]);
    }
    for place in at + old..at + n {
        out[place] = out[place - distance];
    }
}
