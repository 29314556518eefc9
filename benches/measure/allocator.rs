//! The allocator of the benchmarks that ask questions, set as a program sets it
//! that asks many: pages are small, and kept when they are freed, since the next
//! question needs as many.
//!
//! Huge pages, which the kernel may give mimalloc, come fresh from the host of a
//! virtual machine: with them the first question of joins took twice the time.
//! mimalloc hands them back every second by default, and the kernel clears them
//! again: 5 to 8 % of the time of all questions, at the same peak of memory.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, and the value that says never.
const KEEP: (c_int, c_long) = (15, -1);

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// To be called before there are other threads.
pub fn settle() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        eprintln!("memory may come in huge pages: {error}");
    }
    // SAFETY: the signature is that of mimalloc.h, and options are not read while
    // the only thread sets one.
    unsafe { mi_option_set(KEEP.0, KEEP.1) };
}
