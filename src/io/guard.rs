//! Other crates' decoders, kept from ending the process.
//!
//! In:  a call that reads a file that may be damaged.
//! Out: its result; a panic inside it becomes an error naming the file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};

/// Runs `read`, which must leave nothing half done that is used after a panic.
pub(crate) fn guarded<T>(path: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no more is known");
        Err(Error::corrupt(
            path,
            None,
            format!("its decoder gave up: {message}"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_the_file() {
        let error = guarded::<()>("x.parquet", || panic!("index {} of {}", 3, 2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x.parquet: damaged: its decoder gave up: index 3 of 2"
        );
        assert_eq!(guarded("x", || Ok(1)).unwrap(), 1);
    }
}
