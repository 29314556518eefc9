//! Strings: escapes undone on the way in, put back on the way out.
//!
//! In:  text at a backslash, or the bytes of a string.
//! Out: the character meant, or JSON's shortest quoted form.

use std::io::Write;

/// What is wrong with an escape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum BadEscape {
    /// Not one of the nine that JSON knows, or hex digits missing.
    Unknown,
    /// Half of a surrogate pair: no character.
    LoneSurrogate,
}

/// Reads the escape whose backslash is at `pos`; returns its character and where it ends.
pub(super) fn read_escape(text: &[u8], pos: usize) -> Result<(char, usize), BadEscape> {
    let plain = |c| Ok((c, pos + 2));
    match text[pos + 1] {
        b'"' => plain('"'),
        b'\\' => plain('\\'),
        b'/' => plain('/'),
        b'b' => plain('\u{8}'),
        b'f' => plain('\u{C}'),
        b'n' => plain('\n'),
        b'r' => plain('\r'),
        b't' => plain('\t'),
        b'u' => {
            let first = hex4(text, pos + 2).ok_or(BadEscape::Unknown)?;
            match first {
                0xD800..0xDC00 => {
                    if text[pos + 6] != b'\\' || text[pos + 7] != b'u' {
                        return Err(BadEscape::LoneSurrogate);
                    }
                    let second = hex4(text, pos + 8).ok_or(BadEscape::Unknown)?;
                    if !(0xDC00..0xE000).contains(&second) {
                        return Err(BadEscape::LoneSurrogate);
                    }
                    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                    let c = char::from_u32(code).expect("a pair is at most 0x10FFFF");
                    Ok((c, pos + 12))
                }
                0xDC00..0xE000 => Err(BadEscape::LoneSurrogate),
                code => {
                    let c = char::from_u32(code).expect("surrogates are handled above");
                    Ok((c, pos + 6))
                }
            }
        }
        _ => Err(BadEscape::Unknown),
    }
}

fn hex4(text: &[u8], pos: usize) -> Option<u32> {
    text[pos..pos + 4].iter().try_fold(0, |value, digit| {
        Some(value << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// Appends a character as UTF-8.
pub(super) fn push_char(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Appends a string in quotes, escaping only what JSON asks for.
pub(super) fn write_quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0C => b'f',
            0..0x20 => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            write!(out, "{byte:04x}").expect("writing to memory does not fail");
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(escape: &str) -> Result<(char, usize), BadEscape> {
        let mut text = escape.as_bytes().to_vec();
        text.extend([b'"'; 16]);
        read_escape(&text, 0)
    }

    #[test]
    fn every_escape_of_json_is_understood() {
        for (escape, c) in [
            (r#"\""#, '"'),
            (r"\\", '\\'),
            (r"\/", '/'),
            (r"\b", '\u{8}'),
            (r"\f", '\u{C}'),
            (r"\n", '\n'),
            (r"\r", '\r'),
            (r"\t", '\t'),
            (r"\u0000", '\0'),
            (r"\u00e9", 'é'),
            (r"\uFFFF", '\u{FFFF}'),
            (r"\uD83D\uDE00", '😀'),
            (r"\uDBFF\uDFFF", '\u{10FFFF}'),
        ] {
            assert_eq!(read(escape), Ok((c, escape.len())), "{escape}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_no_character() {
        for escape in [
            r"\uD800",
            r"\uDC00",
            r"\uD800\n",
            r"\uD800\uD800",
            r"\uD800A",
        ] {
            assert_eq!(read(escape), Err(BadEscape::LoneSurrogate), "{escape}");
        }
        for escape in [r"\x", r"\u12", r"\u+123", r"\uD800\uZZZZ", "\\\n"] {
            assert_eq!(read(escape), Err(BadEscape::Unknown), "{escape}");
        }
    }

    #[test]
    fn quoting_every_character_reads_back() {
        for c in (0..0x300).filter_map(char::from_u32) {
            let mut out = Vec::new();
            write_quoted(format!("a{c}b").as_bytes(), &mut out);
            let back: String = serde_json::from_slice(&out).unwrap();
            assert_eq!(back, format!("a{c}b"));
        }
    }
}
