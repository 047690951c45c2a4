//! Clocks, percentiles and cores.

use std::fmt;
use std::sync::OnceLock;
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

/// Of the machine. Asked once, before anything is pinned: afterwards the system answers 1.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn run_on(cores: impl Iterator<Item = usize>) {
    let mut set = CpuSet::new();
    cores.for_each(|core| set.set(core));
    // Where it is not allowed, the figures are merely less steady.
    let _ = sched_setaffinity(None, &set);
}

/// Keeps the calling thread, and what it starts from now on, on one core. A machine with a single one has no choice.
pub(crate) fn pin_to(core: usize) {
    run_on(std::iter::once(core % cores()));
}

/// Lets the calling thread, and what it starts from now on, run on every core again.
pub(crate) fn unpin() {
    run_on(0..cores());
}

/// A text of so many bytes.
pub(crate) fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}
