//! Freed memory goes back to the system while a budget is small.
//!
//! In:  bytes that holders of a budget gave back.
//! Out: nothing; now and then the allocator is asked to let go of free pages.
//!
//! The allocator of the GNU C library keeps what was freed, up to tens of
//! mebibytes for each thread: of a budget of 64 MiB as much again. Other
//! allocators have settings of their own for this and are not asked.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::size::ByteSize;

/// Budgets from this on are large against what an allocator keeps.
const ROOMY_BYTES: u64 = 1 << 30;

/// The share of a budget that is given back between two requests. Measured on
/// a sort of 320 MiB under 64 MiB: asking eight times as often lowers no peak.
const SHARE: u64 = 8;

/// Counts what was given back.
#[derive(Debug)]
pub(super) struct Freed {
    bytes: AtomicU64,
    /// After so many, free pages are let go; never of a roomy budget.
    every: Option<u64>,
}

impl Freed {
    /// For a budget of so many bytes.
    pub fn under(limit: ByteSize) -> Self {
        let small = limit.bytes() < ROOMY_BYTES;
        Freed {
            bytes: AtomicU64::new(0),
            every: small.then(|| (limit.bytes() / SHARE).max(1)),
        }
    }

    /// Counts bytes that are about to be freed, or were.
    pub fn add(&self, bytes: u64) {
        let Some(every) = self.every else {
            return;
        };
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before / every != (before + bytes) / every {
            let_go();
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn let_go() {
    unsafe extern "C" {
        /// Part of the GNU C library since 2.8 as it is here.
        fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    // SAFETY: the signature is that of malloc.h; it may be called at any time
    // from any thread, and touches free memory of the library's own heaps alone.
    unsafe { malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn let_go() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roomy_budget_never_asks() {
        assert_eq!(Freed::under(ByteSize::gib(1)).every, None);
        assert_eq!(Freed::under(ByteSize::mib(64)).every, Some(8 << 20));
        // A budget of nothing is one that tests have.
        Freed::under(ByteSize::new(0)).add(1);
    }
}
