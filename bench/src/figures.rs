//! Clocks, percentiles and cores.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

/// Where the generator runs.
pub(crate) const GENERATOR_CORE: usize = 0;
/// Where the server runs.
pub(crate) const SERVER_CORE: usize = 1;

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Durations, sorted.
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// The smallest duration that `share` of all do not exceed (nearest rank).
    pub(crate) fn at(&self, share: f64) -> Duration {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shares = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];
        for (name, share) in shares {
            write!(f, "{name} {:.0} µs  ", self.at(share).as_secs_f64() * 1e6)?;
        }
        Ok(())
    }
}

/// The middle of several figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Keeps the calling thread, and what it starts from now on, on one core. A machine with a single one has no choice.
pub(crate) fn pin_to(core: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    set.set(core % cores);
    // Where it is not allowed, the figures are merely less steady.
    let _ = sched_setaffinity(None, &set);
}

/// A text of so many bytes.
pub(crate) fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}
