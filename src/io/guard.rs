//! Other crates' decoders, kept from ending the process.
//!
//! In:  a call that reads a file that may be damaged.
//! Out: its result; a panic inside it becomes an error naming the file.
//!
//! The decoders of the Parquet and Arrow formats panic on some damaged files. The
//! error tells what they had to say, so nothing is printed: the first call puts
//! a hook before the process's own that keeps quiet inside guarded calls, on
//! their threads, and passes every other panic on.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    /// How many guarded calls this thread is in.
    static GUARDED: Cell<u32> = const { Cell::new(0) };
}

/// Runs `read`, which must leave nothing half done that is used after a panic.
pub(crate) fn guarded<T>(path: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A thread that is ending has no flag any more, and is in no call.
            if GUARDED.try_with(Cell::get).unwrap_or(0) == 0 {
                before(panic);
            }
        }));
    });
    GUARDED.with(|calls| calls.set(calls.get() + 1));
    let outcome = catch_unwind(AssertUnwindSafe(read));
    GUARDED.with(|calls| calls.set(calls.get() - 1));
    outcome.unwrap_or_else(|panic| {
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
