//! Inputs that are URLs.
//!
//! In:  an input as the user wrote it.
//! Out: whether it is a URL, and how it is shown: without what may be secret.

use std::borrow::Cow;

/// The scheme of an input that is a URL: `s3` of `s3://bucket/key`. A local
/// path that looks like one is written with `./` before it.
pub fn scheme(input: &str) -> Option<&str> {
    let (scheme, _) = input.split_once("://")?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let starts = scheme.bytes().next()?.is_ascii_alphabetic();
    (starts && scheme.bytes().all(letter)).then_some(scheme)
}

/// An input as it may be printed. Of a URL, the user and password are left
/// out, and of a query (which may be a signature) only 32 bits of a checksum
/// stay, so that two queries to one address can be told apart.
pub fn shown(input: &str) -> Cow<'_, str> {
    let Some(scheme) = scheme(input) else {
        return Cow::Borrowed(input);
    };
    let rest = &input[scheme.len() + 3..];
    let is_web = is_web(scheme);
    // In the key of an object store, `?` is a wildcard and `#` a character.
    let end = rest.find(['?', '#']).filter(|_| is_web);
    let (address, tail) = rest.split_at(end.unwrap_or(rest.len()));
    let authority = address.find('/').unwrap_or(address.len());
    // abfss://container@account has no secret before its @.
    let secret = address[..authority]
        .rfind('@')
        .filter(|&at| is_web || address[..at].contains(':'))
        .map_or(0, |at| at + 1);
    let query = tail.split('#').next().unwrap_or_default();
    if secret == 0 && tail.is_empty() {
        return Cow::Borrowed(input);
    }
    let mut shown = format!("{scheme}://{}", &address[secret..]);
    if !query.is_empty() {
        shown.push_str(&format!("?…{:08x}", crc32fast::hash(query.as_bytes())));
    }
    Cow::Owned(shown)
}

/// Whether URLs of this scheme name one file each, with `?` before a query.
pub(crate) fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

/// The URLs within a text, such as another crate's error, as they may be printed.
#[cfg(feature = "cloud")]
pub(crate) fn scrubbed(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'()<>,;".contains(c);
    text.split_inclusive(ends)
        .map(|word| {
            let url = word.trim_end_matches(ends);
            format!("{}{}", shown(url), &word[url.len()..])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        assert_eq!(scheme("s3://b/k"), Some("s3"));
        assert_eq!(scheme("https://h/x?y"), Some("https"));
        for path in ["a/b", "./s3://b", "://x", "a b://c", "3s://x", "c:/x", "-"] {
            assert_eq!(scheme(path), None, "{path}");
        }
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (given, want) in [
            ("a?b", "a?b"),
            ("s3://b/x?[0-9]#.json", "s3://b/x?[0-9]#.json"),
            ("https://h/x.json", "https://h/x.json"),
            ("https://h/x.json#part", "https://h/x.json"),
            ("https://ann:pw@h/x", "https://h/x"),
            ("https://token@h", "https://h"),
            ("s3://key:secret@b/k", "s3://b/k"),
            (
                "abfss://box@acc.dfs.core.windows.net/k",
                "abfss://box@acc.dfs.core.windows.net/k",
            ),
        ] {
            assert_eq!(shown(given), want);
        }
        let signed = shown("https://ann:pw@h/x.json?X-Amz-Signature=canary");
        assert!(signed.starts_with("https://h/x.json?…"), "{signed}");
        assert!(
            !signed.contains("canary") && !signed.contains("pw"),
            "{signed}"
        );
        assert_ne!(signed, shown("https://h/x.json?X-Amz-Signature=other"));
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn urls_within_a_text_are_scrubbed() {
        let text = "GET https://h/x?sig=canary in 3s (http://u:canary@h/y), <https://h?canary>";
        let scrubbed = scrubbed(text);
        assert!(!scrubbed.contains("canary"), "{scrubbed}");
        assert!(scrubbed.contains("GET https://h/x?…") && scrubbed.contains(" in 3s ("));
    }
}
