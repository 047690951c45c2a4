//! Moments fixed in advance: an open loop sends at them, whatever comes back.

use std::time::{Duration, Instant};

use crate::figures::now;

/// So many messages, evenly spread.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    began: Instant,
    rate: u32,
    count: u64,
}

impl Pace {
    pub(crate) fn from(began: Instant, rate: u32, lasting: Duration) -> Self {
        let count = (u64::from(rate) * lasting.as_millis() as u64 / 1_000).max(1);
        Self { began, rate, count }
    }

    /// The same, from a moment on for which everything is ready.
    pub(crate) fn soon(rate: u32, lasting: Duration) -> Self {
        Self::from(now() + Duration::from_millis(50), rate, lasting)
    }

    pub(crate) fn count(self) -> u64 {
        self.count
    }

    pub(crate) fn began(self) -> Instant {
        self.began
    }

    /// When message `index` should go out.
    pub(crate) fn moment(self, index: u64) -> Instant {
        self.began + Duration::from_nanos(index * 1_000_000_000 / u64::from(self.rate))
    }

    /// The share of the rate that was reached by who was done with everything at this moment.
    pub(crate) fn achieved(self, done: Instant) -> f64 {
        let wanted = self.moment(self.count) - self.began;
        let took = done.saturating_duration_since(self.began).max(wanted);
        wanted.as_secs_f64() / took.as_secs_f64()
    }

    /// Calls `send` at each of the moments on this thread alone, and returns the share of the rate that was reached.
    #[expect(
        clippy::disallowed_methods,
        reason = "an open loop sends at moments fixed in advance, whatever comes back"
    )]
    pub(crate) fn keep(
        self,
        mut send: impl FnMut(u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<f64> {
        for index in 0..self.count {
            let wait = self.moment(index).saturating_duration_since(now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            send(index)?;
        }
        Ok(self.achieved(now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn moments_are_fixed_in_advance_and_do_not_drift() {
        let began = now();
        let pace = Pace::from(began, 3_000, 3 * SECOND);
        assert_eq!(pace.count(), 9_000);
        assert_eq!(pace.moment(0), began);
        assert_eq!(pace.moment(1), began + Duration::from_nanos(333_333));
        assert_eq!(pace.moment(6_000), began + 2 * SECOND);
        assert_eq!(Pace::from(began, 200, SECOND / 4).count(), 50);
    }

    #[test]
    fn a_rate_is_reached_in_the_time_that_it_takes_and_never_more_than_reached() {
        let began = now();
        let pace = Pace::from(began, 100, 2 * SECOND);
        assert_eq!(pace.achieved(began + SECOND), 1.0);
        assert_eq!(pace.achieved(began + 2 * SECOND), 1.0);
        assert_eq!(pace.achieved(began + 4 * SECOND), 0.5);
    }

    #[test]
    fn nothing_is_sent_before_its_moment() {
        let pace = Pace::from(now(), 1_000, SECOND / 50);
        let mut sent = Vec::new();
        let send = |index| {
            assert!(now() >= pace.moment(index));
            sent.push(index);
            Ok(())
        };
        assert!(pace.keep(send).unwrap() <= 1.0);
        assert_eq!(sent, (0..20).collect::<Vec<_>>());
    }
}
