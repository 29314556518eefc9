//! The first bytes of a text.
//!
//! In:  how a decompressed text begins.
//! Out: how many bytes of byte order mark to skip, or that it is not UTF-8.

use crate::error::{Error, Position, Result};

/// How much of a text is looked at to tell an array of records from lines.
pub(crate) const HEAD_BYTES: usize = 64 << 10;

/// Bytes of a byte order mark at most.
pub(crate) const BOM_BYTES: usize = 4;

/// How many bytes of byte order mark a text begins with: 0 or 3.
pub(crate) fn skip_bom(path: &str, head: &[u8]) -> Result<usize> {
    let other = match head {
        [0xef, 0xbb, 0xbf, ..] => return Ok(3),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => "UTF-32",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
        _ => return Ok(0),
    };
    Err(refused(path, &format!("this is {other}"), other))
}

/// Refuses JSON that is UTF-16 without a mark: every other byte of its start is
/// zero, which no JSON in UTF-8 has.
pub(crate) fn refuse_wide(path: &str, head: &[u8]) -> Result<()> {
    let encoding = match head {
        [1..=255, 0, 1..=255, 0, ..] => "UTF-16LE",
        [0, 1..=255, 0, 1..=255, ..] => "UTF-16BE",
        _ => return Ok(()),
    };
    let found = format!("this looks like {encoding} without a byte order mark");
    Err(refused(path, &found, encoding))
}

fn refused(path: &str, found: &str, encoding: &str) -> Error {
    Error::Decode {
        at: Position {
            path: path.to_string(),
            byte: 0,
            line: 1,
        },
        column: None,
        reason: format!(
            "{found}, and windrow reads UTF-8: convert it first, as in `iconv -f {encoding} -t UTF-8`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_named_without_a_mark_too() {
        for (head, name) in [(b"{\0\"\0", "UTF-16LE"), (b"\0{\0\"", "UTF-16BE")] {
            let error = refuse_wide("x.json", head).unwrap_err().to_string();
            assert!(error.contains(&format!("iconv -f {name}")), "{error}");
        }
        for head in [b"{\"a\"".as_slice(), b"{}", b"", b"\0\0\0\0", b"{\0\"a"] {
            refuse_wide("x.json", head).unwrap();
        }
    }

    #[test]
    fn a_mark_is_skipped_and_other_encodings_are_named() {
        assert_eq!(skip_bom("x", b"\xef\xbb\xbf{}").unwrap(), 3);
        assert_eq!(skip_bom("x", b"{}").unwrap(), 0);
        assert_eq!(skip_bom("x", b"\xef\xbb").unwrap(), 0);
        for (head, name) in [
            (b"\xff\xfe{\0".as_slice(), "UTF-16"),
            (b"\xfe\xff\0{", "UTF-16"),
            (b"\xff\xfe\0\0", "UTF-32"),
        ] {
            let error = skip_bom("x.json", head).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("x.json: line 1"),
                "{error}"
            );
        }
    }
}
