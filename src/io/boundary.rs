//! Moves a cut to the start of a record.
//!
//! In:  an open plain file and a range of it.
//! Out: where the first record that begins in the range begins.
//!
//! A record begins at byte 0 and after every newline. The search starts one
//! byte before the range, so a range that begins with a record keeps it; it
//! ends with the range, so the searches of all ranges together read the file
//! at most once, however long its lines are.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use crate::error::{Error, Result};
use crate::io::source::{became_shorter, read};

/// Bytes of one probe: most log lines are far shorter.
const PROBE_BYTES: usize = 16 << 10;

/// The first byte of the first record that begins within `range`, or none if
/// the range lies inside one record. Reads one probe where lines are short.
///
/// # Errors
///
/// [`Error::Io`] naming `path`; [`Error::Corrupt`] if the file ends before the range.
pub fn first_record(
    file: &mut (impl Read + Seek),
    path: &str,
    range: Range<u64>,
) -> Result<Option<u64>> {
    if range.start == 0 {
        return Ok((range.end > 0).then_some(0));
    }
    let mut at = range.start - 1;
    file.seek(SeekFrom::Start(at))
        .map_err(|source| Error::io(path, "seek", source))?;
    let mut probe = [0u8; PROBE_BYTES];
    while at + 1 < range.end {
        let n = read(file, &mut probe, path)?;
        if n == 0 {
            return Err(became_shorter(path, at, range.end));
        }
        if let Some(newline) = memchr::memchr(b'\n', &probe[..n]) {
            let start = at + newline as u64 + 1;
            return Ok((start < range.end).then_some(start));
        }
        at += n as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn every_record_is_the_first_of_some_range() {
        let mut text = b"a\nbb\r\n\n".to_vec();
        text.extend(vec![b'x'; PROBE_BYTES * 2 + 7]);
        text.extend(b"\nlast");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&text).unwrap();
        let starts: Vec<u64> = std::iter::once(0)
            .chain(memchr::memchr_iter(b'\n', &text).map(|at| at as u64 + 1))
            .collect();
        let end = text.len() as u64;
        let cuts: Vec<u64> = (0..20).chain(end - 8..=end).collect();
        for &from in &cuts {
            for &to in cuts.iter().filter(|&&to| to > from) {
                let want = starts.iter().copied().find(|s| (from..to).contains(s));
                let got = first_record(&mut file, "x", from..to).unwrap();
                assert_eq!(got, want, "{from}..{to}");
            }
        }
    }
}
