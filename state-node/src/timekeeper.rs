//! The timekeeper: what a partition takes the time to be (R48). People and time servers set a machine's clock, at times
//! wrongly and for moments only; whatever was due in between would fire at once and could not be taken back. So a clock
//! that was set is believed when it has stayed so for a while, and until then the time goes on as before.

use xp_protocol::TimeMs;
use xp_transport::Now;

use crate::limits::Limits;

/// The time of one process, as far as it is believed.
#[derive(Clone, Debug)]
pub struct Timekeeper {
    /// The believed time when `seen` was read.
    time: TimeMs,
    seen: Now,
    /// Since when the clock has not been believed.
    doubted: Option<TimeMs>,
}

impl Timekeeper {
    /// One that believes what the clock says now.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            time: now.time,
            seen: now,
            doubted: None,
        }
    }

    /// What is believed when the clocks say this.
    pub fn judge(&mut self, now: Now, limits: &Limits) -> Now {
        let passed_ms = now.running.since_ms(self.seen.running);
        let expected = self.time.plus_ms(passed_ms);
        let off_ms = now.time.0.abs_diff(expected.0);
        self.seen = now;
        self.time = match off_ms <= limits.clock.step.ms() {
            true => {
                self.doubted = None;
                now.time
            }
            false => self.doubt(now, expected, limits),
        };
        Now {
            time: self.time,
            ..now
        }
    }

    fn doubt(&mut self, now: Now, expected: TimeMs, limits: &Limits) -> TimeMs {
        let since = *self.doubted.get_or_insert_with(|| {
            tracing::warn!(
                clock = now.time.0,
                expected = expected.0,
                believed_after_ms = limits.clock.doubt.ms(),
                "the machine's clock was set; it is believed when it stays so (R48)"
            );
            now.running
        });
        if now.running.since_ms(since) < limits.clock.doubt.ms() {
            return expected;
        }
        tracing::error!(
            clock = now.time.0,
            expected = expected.0,
            "the machine's clock has stayed as it was set and is believed now (R48): timers fire by it. See that it is kept (NTP)"
        );
        self.doubted = None;
        now.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn now(time: u64, running: u64) -> Now {
        Now {
            time: TimeMs(time),
            running: TimeMs(running),
        }
    }

    #[test]
    fn a_clock_that_is_a_day_ahead_for_two_seconds_is_not_believed() {
        let (began, limits) = (5 * DAY_MS, Limits::default());
        let mut keeper = Timekeeper::new(now(began, 0));
        let mut judge = |time, running| keeper.judge(now(time, running), &limits).time.0 - began;
        for running in (100..2_000).step_by(100) {
            assert_eq!(judge(began + DAY_MS + running, running), running);
        }
        assert_eq!(judge(began + 2_000, 2_000), 2_000);
    }

    #[test]
    fn a_clock_that_stays_as_it_was_set_is_believed() {
        let (began, limits) = (5 * DAY_MS, Limits::default());
        let mut keeper = Timekeeper::new(now(began, 0));
        let mut judge = |time, running| keeper.judge(now(time, running), &limits).time.0;
        let set = began - 600_000;
        assert_eq!(judge(set + 10, 10), began + 10);
        let doubt_ms = limits.clock.doubt.ms();
        assert_eq!(judge(set + doubt_ms, doubt_ms), began + doubt_ms);
        assert_eq!(
            judge(set + 10 + doubt_ms, 10 + doubt_ms),
            set + 10 + doubt_ms
        );
        assert_eq!(
            judge(set + 20 + doubt_ms, 20 + doubt_ms),
            set + 20 + doubt_ms
        );
    }

    #[test]
    fn a_clock_that_is_corrected_by_little_is_believed_at_once() {
        let mut keeper = Timekeeper::new(now(DAY_MS, 0));
        let judged = keeper.judge(now(DAY_MS + 900, 10), &Limits::default());
        assert_eq!(judged.time.0, DAY_MS + 900);
    }
}
