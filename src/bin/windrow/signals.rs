//! Ctrl-C and TERM.
//!
//! In:  signals.
//! Out: the first asks the run to stop and clean up; the second ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use windrow::{Error, Result};

use crate::console::to_stderr;

/// Calls `stop` at the first signal, from a thread of its own.
///
/// # Errors
///
/// [`Error::Io`] if the system takes no handler.
pub fn watch(stop: impl Fn() + Send + 'static) -> Result<()> {
    let failed = |source| Error::io("signals", "watch", source);
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for (idx, _) in signals.forever().enumerate() {
                if idx > 0 {
                    std::process::exit(130);
                }
                stop();
                to_stderr("stopping; once more to stop without cleaning up");
            }
        })
        .map_err(failed)?;
    Ok(())
}
