//! Values inside JSON text.
//!
//! In:  texts that hold JSON, as columns of mixed objects and scalars do.
//! Out: the text of a member, unquoted where it is a string; none where there is none.
//!
//! The JSON of a column is valid; any other text gives no value, never an
//! error. Nothing here recurses.

use std::borrow::Cow;

use arrow_array::StringArray;
use arrow_schema::Field;

/// Metadata by which a field says that its texts are JSON (Arrow's canonical extension type).
const EXTENSION_NAME: &str = "ARROW:extension:name";
const JSON_EXTENSION: &str = "arrow.json";

/// Whether a field is marked as JSON text, so that its strings are quoted.
pub(crate) fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION_NAME).map(String::as_str) == Some(JSON_EXTENSION)
}

/// The texts of scalars: strings without their quotes, null for `null`, all else as it is.
pub(crate) fn unquoted(texts: &StringArray) -> StringArray {
    texts.iter().map(|text| text.and_then(scalar)).collect()
}

/// The texts of a nested member of each object; null where there is none.
pub(crate) fn members(texts: &StringArray, steps: &[String]) -> StringArray {
    texts
        .iter()
        .map(|text| {
            let mut value = text?;
            for step in steps {
                value = member(value, step)?;
            }
            scalar(value)
        })
        .collect()
}

/// The items of a list, as they are written; none if the text is no list.
pub(crate) fn items(text: &str) -> Option<Vec<&str>> {
    let mut rest = text
        .trim_ascii_start()
        .strip_prefix('[')?
        .trim_ascii_start();
    let mut items = Vec::new();
    if rest.starts_with(']') {
        return Some(items);
    }
    loop {
        let (item, after) = rest.split_at_checked(value_end(rest)?)?;
        items.push(item);
        rest = after.trim_ascii_start();
        if rest.starts_with(']') {
            return Some(items);
        }
        rest = rest.strip_prefix(',')?.trim_ascii_start();
    }
}

/// The text of a scalar: a string without its quotes, none for `null`, all else as it is.
pub(crate) fn scalar(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim_ascii();
    if value == "null" {
        None
    } else if value.starts_with('"') {
        unescape(value)
    } else {
        Some(Cow::Borrowed(value))
    }
}

/// The value of a key in an object, as it is written.
fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut rest = object.trim_ascii_start().strip_prefix('{')?;
    loop {
        rest = rest.trim_ascii_start();
        let (name, after) = rest.split_at_checked(value_end(rest)?)?;
        let found = unescape(name)? == key;
        rest = after
            .trim_ascii_start()
            .strip_prefix(':')?
            .trim_ascii_start();
        let (value, after) = rest.split_at_checked(value_end(rest)?)?;
        if found {
            return Some(value);
        }
        rest = after.trim_ascii_start().strip_prefix(',')?;
    }
}

/// Where the value that starts a text ends.
fn value_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return (depth == 1).then_some(at + 1),
            b'}' | b']' => depth -= 1,
            _ if depth == 0 => {
                // A bare word or number ends where the structure goes on.
                let end = bytes[at..]
                    .iter()
                    .position(|byte| b",:]} \t\r\n".contains(byte))
                    .map_or(bytes.len(), |len| at + len);
                return (end > at).then_some(end);
            }
            _ => {}
        }
        at += 1;
    }
}

/// The place after the quote that closes the string opened at `open`.
fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The string between quotes, with escapes resolved; none if it is no whole string.
fn unescape(quoted: &str) -> Option<Cow<'_, str>> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return (!inner.contains('"')).then_some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(ch) = chars.next() {
        match ch {
            '"' => return None,
            '\\' => text.push(match chars.next()? {
                escaped @ ('"' | '\\' | '/') => escaped,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let unit = hex(&mut chars)?;
                    if (0xD800..0xDC00).contains(&unit) {
                        let low = (chars.next()? == '\\' && chars.next()? == 'u')
                            .then(|| hex(&mut chars))??;
                        let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                        char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + low)?
                    } else {
                        char::from_u32(unit)?
                    }
                }
                _ => return None,
            }),
            _ => text.push(ch),
        }
    }
    Some(Cow::Owned(text))
}

fn hex(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| Some(value * 16 + chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;

    fn at(text: &str, path: &str) -> Option<String> {
        let steps: Vec<String> = path.split('/').map(str::to_owned).collect();
        let found = members(&StringArray::from(vec![text]), &steps);
        found.is_valid(0).then(|| found.value(0).to_owned())
    }

    #[test]
    fn members_are_found_at_any_depth() {
        let text = r#"{"a":{"b":[1,{"c":2}],"x":"y"},"n":null,"q\"\u00e9":"\ud83d\ude00\n","t":true,"z":-1.5e3}"#;
        assert_eq!(at(text, "a/x").as_deref(), Some("y"));
        assert_eq!(at(text, "a/b").as_deref(), Some(r#"[1,{"c":2}]"#));
        assert_eq!(
            at(text, "a").as_deref(),
            Some(r#"{"b":[1,{"c":2}],"x":"y"}"#)
        );
        assert_eq!(at(text, "q\"é").as_deref(), Some("😀\n"));
        assert_eq!(at(text, "t").as_deref(), Some("true"));
        assert_eq!(at(text, "z").as_deref(), Some("-1.5e3"));
        for path in ["n", "none", "a/none", "t/x", "a/x/y", ""] {
            assert_eq!(at(text, path), None, "{path}");
        }
    }

    #[test]
    fn text_that_is_no_json_gives_nothing() {
        for text in [
            "",
            "abc",
            "{",
            "{}",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "{\"a\":\"",
            "{\"a\":\"x\\",
            "[1]",
            "\"a\"",
            "{a:1}",
            "{\"a\" 1}",
            "{\"b\":]}",
            "{\"a\":\"\\ud800\"}",
        ] {
            assert_eq!(at(text, "a"), None, "{text}");
        }
    }

    #[test]
    fn strings_lose_their_quotes() {
        let texts = StringArray::from(vec![r#""a\tb""#, "5", "null", r#"{"a":1}"#, r#"""#]);
        let plain: Vec<Option<String>> = unquoted(&texts)
            .iter()
            .map(|text| text.map(str::to_owned))
            .collect();
        let expected = [Some("a\tb"), Some("5"), None, Some(r#"{"a":1}"#), None];
        assert_eq!(plain, expected.map(|text| text.map(str::to_owned)));
    }

    #[test]
    fn items_of_a_list_are_cut_apart() {
        assert_eq!(items("[]"), Some(vec![]));
        assert_eq!(
            items(r#"[1,"a]",[2,3],{"b":[4]} , null]"#),
            Some(vec!["1", "\"a]\"", "[2,3]", "{\"b\":[4]}", "null"])
        );
        for text in ["", "[", "[1", "[1,", "[1,]", "5", "{}"] {
            assert_eq!(items(text), None, "{text}");
        }
    }
}
