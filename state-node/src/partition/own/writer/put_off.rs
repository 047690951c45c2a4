//! Timers that wait for a partition which takes no tells.

use std::collections::VecDeque;

use xp_protocol::TimeMs;
use xp_transport::Now;

use super::super::super::core::Timer;

/// How long a timer whose tells cannot be sent waits, in milliseconds.
const PUT_OFF_MS: u64 = 1000;

/// Timers that were put off, and when to look again, by the time for which this node has been running: they wait for so
/// long whatever the clock is set to meanwhile (R48).
#[derive(Default)]
pub(in super::super) struct PutOff(VecDeque<(TimeMs, Timer)>);

impl PutOff {
    pub(super) fn push(&mut self, timer: Timer, now: Now) {
        self.0.push_back((now.running.plus_ms(PUT_OFF_MS), timer));
    }

    /// Whether this timer was put off just now.
    pub(in super::super) fn was_last(&self, timer: &Timer) -> bool {
        self.0.back().is_some_and(|(_, last)| last == timer)
    }

    /// The next one that has waited.
    pub(in super::super) fn pop(&mut self, now: Now) -> Option<Timer> {
        let waited = self.0.pop_front_if(|(from, _)| *from <= now.running);
        waited.map(|(_, timer)| timer)
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::events::TimerKey;

    use super::*;

    fn at(running: u64) -> Now {
        Now {
            running: TimeMs(running),
            ..Now::steady(TimeMs(0))
        }
    }

    #[test]
    fn a_timer_waits_for_its_time_whatever_the_clock_says() {
        let mut put_off = PutOff::default();
        let timer: Timer = (TimeMs(9), "room/1".parse().unwrap(), TimerKey::Parked);
        put_off.push(timer.clone(), at(500));
        assert!(put_off.was_last(&timer));
        assert_eq!(put_off.pop(at(1_499)), None);
        assert_eq!(put_off.pop(at(1_500)), Some(timer));
        assert_eq!(put_off.pop(at(9_000)), None);
    }
}
