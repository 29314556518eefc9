//! What a run took, as the system counted it.
#![allow(dead_code)] // Each bench uses its part.

use std::time::Instant;

/// CPU time of this process so far, user and system, in seconds; Linux only.
pub fn cpu_seconds() -> f64 {
    let usage = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = usage.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse().ok())
        .collect();
    // Clock ticks; Linux has 100 of them a second.
    fields.iter().sum::<f64>() / 100.0
}

/// Seconds by the clock, and of all cores together.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub wall: f64,
    pub cpu: f64,
}

/// The fastest of some runs.
pub fn fastest(runs: usize, run: impl Fn()) -> Took {
    let once = |_| {
        let (start, before) = (Instant::now(), cpu_seconds());
        run();
        Took {
            wall: start.elapsed().as_secs_f64(),
            cpu: cpu_seconds() - before,
        }
    };
    let all = (0..runs).map(once);
    let first = Took {
        wall: f64::MAX,
        cpu: f64::MAX,
    };
    all.fold(
        first,
        |best, took| if took.wall < best.wall { took } else { best },
    )
}
