//! The progress line of long work.
//!
//! In:  the counters of a run, looked at ten times a second.
//! Out: on a terminal one line that moves; elsewhere, when asked, a line every
//!      five seconds: percent of stored bytes read, rows/s, bytes/s, memory, spill, time left.
//!
//! Bytes are those stored (compressed), since they are the ones whose total is
//! known before reading, so percent never goes back.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use windrow::ByteSize;

use crate::console::to_stderr;

/// When progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, for work that takes longer than half a second
    Auto,
    /// Also elsewhere, as plain lines
    Always,
    /// Never
    Never,
}

/// Counters at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// Stored bytes of all inputs; 0 where they are not known.
    pub stored_total: u64,
    /// Stored bytes read so far.
    pub stored_read: u64,
    /// Rows so far.
    pub rows: u64,
    /// Bytes held under the budget.
    pub memory: u64,
    /// Bytes spilled so far.
    pub spilled: u64,
    /// What is being done.
    pub phase: &'static str,
}

const LOOK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_millis(500);
const PLAIN: Duration = Duration::from_secs(5);

/// Shows progress until it is dropped.
pub struct Watcher {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts to look, or does nothing where nobody wants to see.
    pub fn start(when: When, quiet: bool, look: impl Fn() -> Moment + Send + 'static) -> Watcher {
        let terminal = stderr().is_terminal();
        let wanted = match when {
            When::Auto => terminal && !quiet,
            When::Always => true,
            When::Never => false,
        };
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let show = move || show(&look, &seen, terminal);
        // Work goes on without its progress line where no thread is to be had.
        let thread = wanted
            .then(|| {
                std::thread::Builder::new()
                    .name("progress".into())
                    .spawn(show)
                    .ok()
            })
            .flatten();
        Watcher { done, thread }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A progress line that panicked has nothing to say about the work.
            let _ = thread.join();
        }
    }
}

fn show(look: &dyn Fn() -> Moment, done: &AtomicBool, terminal: bool) {
    let start = Instant::now();
    let mut bar: Option<ProgressBar> = None;
    let mut told = Duration::ZERO;
    while !done.load(Ordering::Acquire) {
        std::thread::park_timeout(LOOK);
        let elapsed = start.elapsed();
        if terminal && elapsed >= PATIENCE {
            let moment = look();
            let bar = bar.get_or_insert_with(new_bar);
            bar.set_length(moment.stored_total.max(1));
            bar.set_position(moment.stored_read.min(moment.stored_total));
            bar.set_message(line(&moment, elapsed));
        } else if !terminal && elapsed >= told + PLAIN {
            told = elapsed;
            to_stderr(&line(&look(), elapsed));
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    } else if !terminal {
        to_stderr(&line(&look(), start.elapsed()));
    }
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::new(1);
    bar.set_style(
        ProgressStyle::with_template("{bar:12} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

/// The words beside the bar.
fn line(moment: &Moment, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let rate = |n: u64| (n as f64 / seconds) as u64;
    let mut words = Vec::with_capacity(7);
    if moment.stored_total > 0 {
        let share = moment.stored_read.min(moment.stored_total) as f64 / moment.stored_total as f64;
        // Rounded down: 100 % is said when all is read, not before.
        words.push(format!(
            "{} % of {}",
            (share * 100.0) as u64,
            ByteSize::new(moment.stored_total)
        ));
    } else {
        words.push(ByteSize::new(moment.stored_read).to_string());
    }
    // What a narrow terminal cuts off is what matters least.
    match time_left(moment, seconds) {
        Some(left) => words.push(format!("{} left", clock(left))),
        None => words.push(clock(elapsed.as_secs())),
    }
    words.push(format!("{} rows/s", short(rate(moment.rows))));
    words.push(format!("{}/s", ByteSize::new(rate(moment.stored_read))));
    words.push(format!("memory {}", ByteSize::new(moment.memory)));
    if moment.spilled > 0 {
        words.push(format!("spilled {}", ByteSize::new(moment.spilled)));
    }
    let phase = if moment.phase.is_empty() {
        String::new()
    } else {
        format!("{}: ", moment.phase)
    };
    format!("{phase}{}", words.join(", "))
}

/// Seconds left at the mean speed so far; none before there is a speed.
fn time_left(moment: &Moment, seconds: f64) -> Option<u64> {
    let left = moment.stored_total.checked_sub(moment.stored_read)?;
    let enough = moment.stored_read > 0 && left > 0 && seconds >= 1.0;
    enough.then(|| (left as f64 * seconds / moment.stored_read as f64).ceil() as u64)
}

/// A number to three places: 950, 1.2 k, 34 M.
fn short(n: u64) -> String {
    let (value, unit) = match n {
        0..1_000 => return n.to_string(),
        1_000..1_000_000 => (n as f64 / 1e3, "k"),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, "M"),
        _ => (n as f64 / 1e9, "G"),
    };
    if value < 10.0 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// 75 seconds as 1:15.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_matters() {
        let moment = Moment {
            stored_total: 100 << 20,
            stored_read: 42 << 20,
            rows: 4_200_000,
            memory: 220 << 20,
            spilled: 0,
            phase: "reading",
        };
        assert_eq!(
            line(&moment, Duration::from_secs(10)),
            "reading: 42 % of 100 MiB, 0:14 left, 420 k rows/s, 4.2 MiB/s, memory 220 MiB"
        );
        let spilling = Moment {
            stored_total: 0,
            spilled: 3 << 30,
            phase: "",
            ..moment
        };
        assert_eq!(
            line(&spilling, Duration::from_secs(3725)),
            "42 MiB, 1:02:05, 1.1 k rows/s, 11.5 KiB/s, memory 220 MiB, spilled 3 GiB"
        );
    }

    #[test]
    fn no_moment_divides_by_zero_or_passes_a_hundred() {
        for (stored_total, stored_read) in
            [(0, 0), (10, 0), (10, 10), (10, 11), (u64::MAX, u64::MAX)]
        {
            let moment = Moment {
                stored_total,
                stored_read,
                rows: u64::MAX,
                ..Moment::default()
            };
            for elapsed in [
                Duration::ZERO,
                Duration::from_secs(1),
                Duration::from_secs(1 << 40),
            ] {
                let text = line(&moment, elapsed);
                assert!(!text.contains("101 %") && !text.contains("NaN"), "{text}");
            }
        }
    }
}
