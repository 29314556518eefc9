//! Globs, and names that are passed over.
//!
//! In:  an input with wildcards.
//! Out: what the names below its fixed part must match.
//!
//! The same for folders and for the keys of a bucket.

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Error, Result};
use crate::io::url::shown;

/// The name of the manifest windrow leaves beside its parts.
pub(super) const MANIFEST: &str = "_windrow.json";

const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// The part of a glob after its last folder without wildcards.
pub(crate) struct Pattern {
    pub matcher: GlobMatcher,
    /// Whether a name in it starts with a dot, so that such names match.
    shows_hidden: bool,
    /// Whether it names windrow's manifest.
    shows_manifest: bool,
}

/// A glob, taken apart.
pub(crate) struct Glob<'a> {
    /// What stands before the first name with a wildcard: empty, or it ends with a slash.
    pub base: &'a str,
    pub pattern: Pattern,
    /// How deep below the base it can reach, where that is known.
    pub depth: Option<usize>,
}

pub(crate) fn is_glob(input: &str) -> bool {
    input.contains(WILDCARDS)
}

/// Cuts a glob into the folder before its first wildcard and the pattern below it.
pub(crate) fn split(input: &str) -> Result<Glob<'_>> {
    let wild = input.find(WILDCARDS).unwrap_or(input.len());
    let cut = input[..wild].rfind('/').map_or(0, |slash| slash + 1);
    let (base, rest) = input.split_at(cut);
    let mut pattern = rest.to_string();
    while pattern.contains("//") {
        pattern = pattern.replace("//", "/");
    }
    let matcher = GlobBuilder::new(&pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| Error::config(input, error.kind().to_string()))?
        .compile_matcher();
    let any_depth = pattern.contains("**") || pattern.contains('{');
    let depth = (!any_depth).then(|| pattern.split('/').count());
    Ok(Glob {
        base,
        pattern: Pattern {
            matcher,
            shows_hidden: pattern
                .split(['/', '{', ','])
                .any(|name| name.starts_with('.')),
            shows_manifest: pattern.contains(MANIFEST),
        },
        depth,
    })
}

/// What everything that a glob matches starts with.
#[cfg(feature = "cloud")]
pub(crate) fn literal(input: &str) -> &str {
    // A backslash takes the meaning from the wildcard behind it.
    let ends = |c: char| c == '\\' || WILDCARDS.contains(&c);
    &input[..input.find(ends).unwrap_or(input.len())]
}

/// Whether a name below the root is passed over, with all that is below it:
/// in a folder, which has no pattern, or under a glob.
pub(crate) fn hides(pattern: Option<&Pattern>, name: &[u8], is_dir: bool) -> bool {
    match pattern {
        None => name.starts_with(b".") || name.starts_with(b"_"),
        Some(pattern) => {
            (name.starts_with(b".") && !pattern.shows_hidden)
                || (!is_dir && name == MANIFEST.as_bytes() && !pattern.shows_manifest)
        }
    }
}

/// An input stands for nothing.
pub(crate) fn no_match(input: &str) -> Error {
    Error::config(shown(input), "no file matches")
}
