//! Byte ranges of a plain file: arithmetic only.
//!
//! In:  a file's size and how long a range should be, both in bytes.
//! Out: ranges, sorted and disjoint, that cover the file.
//!
//! A record belongs to the range its first byte falls in, so that every
//! record is in exactly one; `boundary` finds the first record of each:
//!
//! ```text
//! bytes    {"a":1}\n{"a":22}\n{"a":3}\n
//! cut at             ^ range_bytes
//! ranges   [---------)[--------------)
//! records  [1     ][22     ]  [3     ]     the second ends after its range
//! ```

use std::ops::Range;

/// Cuts `0..bytes` into ranges of `range_bytes`; the last may be shorter, but
/// by at most half: a rest below that is joined to the range before it.
/// `range_bytes` of zero counts as one.
pub fn cut(bytes: u64, range_bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let step = range_bytes.max(1);
    let n = (bytes / step + u64::from(bytes % step > step / 2)).max(u64::from(bytes > 0));
    (0..n).map(move |idx| {
        let start = idx * step;
        let end = if idx + 1 == n { bytes } else { start + step };
        start..end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_file_at_every_size() {
        for bytes in 0..200u64 {
            for range_bytes in 0..=bytes + 1 {
                let mut at = 0;
                for range in cut(bytes, range_bytes) {
                    assert_eq!(range.start, at, "{bytes} by {range_bytes}");
                    assert!(range.end > range.start, "{bytes} by {range_bytes}");
                    assert!(range.end - range.start <= range_bytes.max(1) * 3 / 2);
                    at = range.end;
                }
                assert_eq!(at, bytes, "{bytes} by {range_bytes}");
            }
        }
    }

    #[test]
    fn a_small_rest_joins_the_range_before_it() {
        assert_eq!(cut(100, 30).collect::<Vec<_>>(), [0..30, 30..60, 60..100]);
        assert_eq!(cut(110, 30).count(), 4);
        assert_eq!(cut(u64::MAX, u64::MAX).last(), Some(0..u64::MAX));
    }
}
