//! Local places that a run reads from, for those who must not write there.
//!
//! In:  inputs as given.
//! Out: input folders, and one file of each other folder that is read from.

use std::collections::HashSet;
use std::path::PathBuf;

use super::store::list;
use super::url::scheme;
use crate::error::{Error, Result};

/// Canonical places of `inputs`: a folder stands for all in it, now and later;
/// of files that were named or matched, one stands for all in its folder.
///
/// # Errors
///
/// As listing the inputs.
pub fn places(inputs: &[String]) -> Result<Vec<PathBuf>> {
    let mut places = Vec::new();
    let mut folders: HashSet<PathBuf> = HashSet::new();
    for input in inputs {
        if std::path::Path::new(input).is_dir() {
            places.push(canonical(std::path::Path::new(input))?);
        }
    }
    let local: Vec<String> = inputs
        .iter()
        .filter(|input| scheme(input).is_none())
        .cloned()
        .collect();
    if local.is_empty() {
        return Ok(places);
    }
    for file in list(&local)? {
        let file = file?;
        if file.may_wait() {
            continue; // a stream, or an object behind a URL
        }
        let parent = file.location().parent().unwrap_or_else(|| "".as_ref());
        if !folders.contains(parent) {
            folders.insert(parent.to_path_buf());
            places.push(canonical(file.location())?);
        }
    }
    Ok(places)
}

fn canonical(path: &std::path::Path) -> Result<PathBuf> {
    path.canonicalize()
        .map_err(|source| Error::io(path.display(), "find", source))
}
