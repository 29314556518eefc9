//! Going on after damage, and saying what was lost.
//!
//! In:  stored bytes behind a place that cannot be read.
//! Out: the place of the next gzip member or zstd frame that can, and a `Damage`.
//!
//! Nothing is skipped without a span in the report. A candidate counts only if
//! it decodes: the magic bytes alone turn up by chance in compressed data.

use crate::error::Result;
use crate::io::source::Stored;

/// Stored bytes a decoder may have run past the true end of a damaged member,
/// into the next; and how many a candidate must decode to be believed.
pub(crate) const TRIAL_BYTES: usize = 64 << 10;

/// What was passed over in one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Damage {
    /// The places, in file order; of very many, the first thousand.
    pub spans: Vec<DamagedSpan>,
    /// How many places there were.
    pub n_spans: u64,
    /// Pieces of lines at the edges of the places that were dropped, as no
    /// whole record. How many lines lay between is not known.
    pub partial_lines: u64,
}

/// One place whose text is lost or cannot be vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSpan {
    /// The stored byte where decoding failed; where it goes on, if it failed
    /// only behind that. Damage may lie before it: wrong bytes can decode for a while.
    pub from_byte: u64,
    /// The stored byte where decoding went on; the file's end if it did not.
    pub to_byte: u64,
    /// What was wrong.
    pub reason: String,
    /// Whether the text of this span was kept: it decoded, but its checksum is wrong.
    pub kept: bool,
}

impl Damage {
    const MOST_SPANS: usize = 1000;

    pub(crate) fn push(&mut self, span: DamagedSpan) {
        self.n_spans += 1;
        if self.spans.len() < Self::MOST_SPANS {
            self.spans.push(span);
        }
    }
}

/// Moves `input` forward to the next place that starts with one of `magics`
/// and that `decodes` believes, looking at up to [`TRIAL_BYTES`] from there
/// (told whether they reach the file's end). False if there is none.
pub(crate) fn find_next(
    input: &mut Stored,
    magic: &[u8],
    decodes: impl Fn(&[u8], bool) -> bool,
) -> Result<bool> {
    let finder = memchr::memmem::Finder::new(magic);
    loop {
        let n = input.want(TRIAL_BYTES)?;
        let at_end = n < TRIAL_BYTES;
        match finder.find(input.available()) {
            Some(at) => {
                input.take(at);
                let n = input.want(TRIAL_BYTES)?;
                let trial = &input.available()[..n.min(TRIAL_BYTES)];
                if decodes(trial, n < TRIAL_BYTES) {
                    return Ok(true);
                }
                input.take(1);
            }
            None if at_end => {
                input.take(n);
                return Ok(false);
            }
            // The magic may lie across the edge of what is at hand.
            None => {
                let n = input.available().len();
                input.take(n - (magic.len() - 1));
            }
        }
    }
}
