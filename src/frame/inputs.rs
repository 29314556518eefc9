//! What may stand for a list of inputs.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Files, globs, folders, URLs, `@lists` or `-`: one, or many in order.
///
/// Paths that are not UTF-8 cannot be named in reports and are replaced
/// character by character; such files are then not found, which is an error.
pub trait IntoInputs {
    /// The inputs as text.
    fn into_inputs(self) -> Vec<String>;
}

impl IntoInputs for &str {
    fn into_inputs(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl IntoInputs for String {
    fn into_inputs(self) -> Vec<String> {
        vec![self]
    }
}

impl IntoInputs for &Path {
    fn into_inputs(self) -> Vec<String> {
        vec![self.to_string_lossy().into_owned()]
    }
}

impl IntoInputs for PathBuf {
    fn into_inputs(self) -> Vec<String> {
        self.as_path().into_inputs()
    }
}

impl IntoInputs for &PathBuf {
    fn into_inputs(self) -> Vec<String> {
        self.as_path().into_inputs()
    }
}

impl IntoInputs for &[String] {
    fn into_inputs(self) -> Vec<String> {
        self.to_vec()
    }
}

impl IntoInputs for &Vec<String> {
    fn into_inputs(self) -> Vec<String> {
        self.clone()
    }
}

impl<T: IntoInputs> IntoInputs for Vec<T> {
    fn into_inputs(self) -> Vec<String> {
        self.into_iter().flat_map(T::into_inputs).collect()
    }
}

impl<T: IntoInputs, const N: usize> IntoInputs for [T; N] {
    fn into_inputs(self) -> Vec<String> {
        self.into_iter().flat_map(T::into_inputs).collect()
    }
}

/// Replaces `@-`, a list on standard input, by its lines: inputs are listed
/// more than once, and standard input can be read only once.
pub(super) fn expand(inputs: Vec<String>) -> Result<Vec<String>> {
    let mut expanded = Vec::with_capacity(inputs.len());
    for input in inputs {
        if input != "@-" {
            expanded.push(input);
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|source| Error::io("@-", "read", source))?;
            if !line.trim().is_empty() {
                expanded.push(line);
            }
        }
    }
    Ok(expanded)
}
