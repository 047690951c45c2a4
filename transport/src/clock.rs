//! The platform's clock: the system's, plus an offset that only ever grows.
//!
//! Nodes take a [`Clock`] instead of reading the time themselves, so a domain developer's test can say
//! "ten minutes later" and every timer that fell due fires as if the time had passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use xp_protocol::TimeMs;

/// Tells the time. Clones share one offset: advancing one advances all.
#[derive(Clone, Debug)]
pub struct Clock {
    base: Base,
    ahead_ms: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug)]
enum Base {
    System,
    Fixed(TimeMs),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::over(Base::System)
    }

    /// A clock that stands at `time` until it is advanced: for simulations, where nothing may depend on the machine.
    #[must_use]
    pub fn fixed(time: TimeMs) -> Self {
        Self::over(Base::Fixed(time))
    }

    fn over(base: Base) -> Self {
        Self {
            base,
            ahead_ms: Arc::default(),
        }
    }

    /// Milliseconds since the Unix epoch. May step backwards when the machine's clock is set: readers clamp.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        let base = match self.base {
            Base::System => system_time(),
            Base::Fixed(time) => time,
        };
        base.plus_ms(self.ahead_ms.load(Ordering::Acquire))
    }

    /// Moves this clock and all its clones `ms` milliseconds ahead of where they were.
    pub fn advance(&self, ms: u64) {
        self.ahead_ms.fetch_add(ms, Ordering::AcqRel);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the machine's clock; everybody else takes a Clock"
)]
fn system_time() -> TimeMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    // A machine set before 1970 gets 0 rather than a panic; its log's times will look old, and that is all.
    TimeMs(since_epoch.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_was_advanced() {
        let clock = Clock::fixed(TimeMs(1_000));
        let other = clock.clone();
        other.advance(250);
        assert_eq!(clock.now(), TimeMs(1_250));
    }

    #[test]
    fn the_systems_clock_can_be_ahead_but_never_behind() {
        let clock = Clock::system();
        let before = clock.now();
        clock.advance(60_000);
        assert!(clock.now() >= before.plus_ms(60_000));
    }
}
