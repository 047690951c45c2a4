//! Clocks, percentiles and cores.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where the generator runs.
pub(crate) const GENERATOR_CORE: usize = 0;
/// Where the server runs.
pub(crate) const SERVER_CORE: usize = 1;

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a report says when it was made")]
pub(crate) fn seconds_since_1970() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// How many digits of a duration are kept under load. With more, recording a million a second would miss the cache.
const DIGITS: u8 = 3;
/// How many are kept of durations that are there already.
const DIGITS_OF_FEW: u8 = 5;

/// Shares whose durations are drawn and stored; of fewer samples than the last of them needs, the largest stands for it.
pub(crate) const SHARES: [f64; 10] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0];

/// A distribution of durations.
#[derive(Clone)]
pub(crate) struct Spread(Histogram<u64>);

impl Spread {
    pub(crate) fn new() -> Self {
        Self::keeping(DIGITS)
    }

    fn keeping(digits: u8) -> Self {
        Self(Histogram::new(digits).expect("a histogram may keep so many digits"))
    }

    pub(crate) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut spread = Self::keeping(DIGITS_OF_FEW);
        durations.into_iter().for_each(|one| spread.record(one));
        spread
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let recorded = self.0.record(nanoseconds);
        recorded.expect("the histogram grows with what it is given");
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let added = self.0.add(&other.0);
        added.expect("the histogram grows with what it is given");
    }

    /// The smallest duration that `share` of all do not exceed, to as many digits as are kept.
    pub(crate) fn at(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// In milliseconds.
    pub(crate) fn ms(&self, share: f64) -> f64 {
        ms(self.at(share))
    }

    /// Each of [`SHARES`] and its duration in milliseconds.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let point = |share| (share, self.ms(share));
        SHARES.map(point).to_vec()
    }
}

/// In milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The middle of several figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Of the machine. Asked once, before anything is pinned: afterwards the system answers 1.
pub(crate) fn cores() -> usize {
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

/// The one core that the calling thread may run on, if it is one.
pub(crate) fn pinned_to() -> Option<usize> {
    let set = sched_getaffinity(None).ok()?;
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
    let one = allowed.next();
    one.filter(|_| allowed.next().is_none())
}

/// User and system time of a process so far, in seconds.
pub(crate) fn cpu(pid: u32) -> Result<f64> {
    seconds(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
}

/// The same of the calling thread.
pub(crate) fn own_cpu() -> Result<f64> {
    seconds(&fs::read_to_string("/proc/thread-self/stat")?)
}

fn seconds(stat: &str) -> Result<f64> {
    let (_, fields) = stat
        .rsplit_once(')')
        .context("the name is in parentheses")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // utime and stime are fields 14 and 15 of proc_pid_stat(5); the first two stand before the parenthesis' end.
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// A text of so many bytes.
pub(crate) fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_knows_its_percentiles_and_adds_up() {
        let ms = Duration::from_millis;
        let mut spread = Spread::of((1..=100).map(ms));
        spread.add(&Spread::of((101..=1_000).map(ms)));
        let near = |share, wanted: f64| (spread.ms(share) / wanted - 1.0).abs() < 1e-3;
        assert!(near(0.5, 500.0) && near(0.99, 990.0) && near(0.999, 999.0));
        assert!(near(1.0, 1_000.0));
        let curve = spread.curve();
        assert_eq!(curve.len(), SHARES.len());
        assert!(curve.is_sorted_by(|(_, less), (_, more)| less <= more));
    }

    #[test]
    fn one_figure_far_off_does_not_move_the_median() {
        assert_eq!(median(vec![3.0, 1e9, 1.0, 2.0, 0.0]), 2.0);
    }
}
