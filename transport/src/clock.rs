//! The platform's clock: the system's, plus an offset that only ever grows, and beside it a time that nobody can set.
//!
//! Nodes take a [`Clock`] instead of reading the time themselves, so a domain developer's test can say
//! "ten minutes later" and every timer that fell due fires as if the time had passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use xp_protocol::TimeMs;

/// The two times that a process lives by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The machine's clock, for what others judge as well: what a domain sees, when a timer is due, how long a token
    /// is good. People and time servers set it, also backwards.
    pub time: TimeMs,
    /// Milliseconds for which something has been running, for waiting: nobody can set it.
    pub running: TimeMs,
}

impl Now {
    /// Both times alike, where no clock is set: in tests.
    #[must_use]
    pub fn steady(time: TimeMs) -> Self {
        Self {
            time,
            running: time,
        }
    }

    /// The same moment, at `time` or later by the machine's clock.
    #[must_use]
    pub fn at_least(self, time: TimeMs) -> Self {
        Self {
            time: self.time.max(time),
            ..self
        }
    }
}

/// Tells the time. Clones share one offset: advancing one advances all.
#[derive(Clone, Debug)]
pub struct Clock {
    base: Base,
    ahead_ms: Arc<AtomicU64>,
    set_ms: Arc<AtomicI64>,
}

#[derive(Clone, Copy, Debug)]
enum Base {
    System { began: Instant },
    Fixed(TimeMs),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock; everybody else takes a Clock"
    )]
    pub fn system() -> Self {
        Self::over(Base::System {
            began: Instant::now(),
        })
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
            set_ms: Arc::default(),
        }
    }

    /// Milliseconds since the Unix epoch. May step backwards when the machine's clock is set: readers clamp.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        let base = match self.base {
            Base::System { .. } => system_time(),
            Base::Fixed(time) => time,
        };
        let set = base
            .0
            .saturating_add_signed(self.set_ms.load(Ordering::Acquire));
        TimeMs(set).plus_ms(self.ahead_ms.load(Ordering::Acquire))
    }

    /// Milliseconds since this clock was made, for waiting: nobody can set it.
    #[must_use]
    pub fn running(&self) -> TimeMs {
        let passed_ms = match self.base {
            Base::System { began } => u64::try_from(began.elapsed().as_millis()),
            Base::Fixed(_) => Ok(0),
        };
        TimeMs(passed_ms.unwrap_or(u64::MAX)).plus_ms(self.ahead_ms.load(Ordering::Acquire))
    }

    /// The time of day, and for how long this clock has been running.
    #[must_use]
    pub fn read(&self) -> Now {
        Now {
            time: self.now(),
            running: self.running(),
        }
    }

    /// Moves this clock and all its clones `ms` milliseconds ahead of where they were.
    pub fn advance(&self, ms: u64) {
        self.ahead_ms.fetch_add(ms, Ordering::AcqRel);
    }

    /// Sets this clock and all its clones, as people and time servers set the machine's: what is measured by
    /// [`Clock::running`] does not hear of it.
    pub fn set(&self, by_ms: i64) {
        self.set_ms.fetch_add(by_ms, Ordering::AcqRel);
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
    fn a_clock_that_is_set_waits_as_before() {
        let clock = Clock::fixed(TimeMs(1_000_000));
        clock.advance(250);
        clock.set(-600_000);
        let now = Now {
            time: TimeMs(400_250),
            running: TimeMs(250),
        };
        assert_eq!(clock.read(), now);
    }

    #[test]
    fn the_systems_clock_can_be_ahead_but_never_behind() {
        let clock = Clock::system();
        let before = clock.now();
        clock.advance(60_000);
        assert!(clock.now() >= before.plus_ms(60_000));
    }
}
