//! What may stand for a list of inputs.

use std::path::{Path, PathBuf};

/// Files, globs, folders, `@lists` or `-`: one, or many in order.
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
