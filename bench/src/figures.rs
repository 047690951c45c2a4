//! Clocks, percentiles and cores.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Where the generator runs.
pub(crate) const GENERATOR_CORE: usize = 0;
/// Where the server runs.
pub(crate) const SERVER_CORE: usize = 1;

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How many digits of a duration are kept.
const DIGITS: u8 = 5;

/// A distribution of durations.
pub(crate) struct Spread(Histogram<u64>);

impl Spread {
    pub(crate) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut spread = Histogram::new(DIGITS).expect("a histogram may keep so many digits");
        for duration in durations {
            let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            let recorded = spread.record(nanoseconds);
            recorded.expect("the histogram grows with what it is given");
        }
        Self(spread)
    }

    /// The smallest duration that `share` of all do not exceed, to five digits.
    pub(crate) fn at(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
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
