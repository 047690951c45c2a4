//! Moments fixed in advance, and how late things came.

use std::time::{Duration, Instant};

use crate::figures::now;

/// So many messages, evenly spread.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    rate: u32,
    count: u32,
}

/// What came of one round.
pub(super) struct Run {
    /// From the intended moment to the arrival.
    pub(super) latencies: Vec<Duration>,
    /// Sent per second, as a share of what was wanted.
    pub(super) achieved: f64,
}

impl Pace {
    pub(super) fn of(rate: u32, lasting: Duration) -> Self {
        let count = rate * u32::try_from(lasting.as_secs()).expect("rounds are short");
        Self { rate, count }
    }

    pub(super) fn count(self) -> u64 {
        u64::from(self.count)
    }

    /// When message `index` of a round that began at `began` should go out.
    pub(super) fn moment(self, began: Instant, index: u32) -> Instant {
        began + Duration::from_secs(1) * index / self.rate
    }

    /// Calls `send` at each of the moments, and returns the share of the rate that was reached.
    #[expect(
        clippy::disallowed_methods,
        reason = "an open loop sends at moments fixed in advance, whatever comes back"
    )]
    pub(super) fn keep(
        self,
        began: Instant,
        mut send: impl FnMut(u32) -> anyhow::Result<()>,
    ) -> anyhow::Result<f64> {
        for index in 0..self.count {
            let wait = self.moment(began, index).saturating_duration_since(now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            send(index)?;
        }
        let wanted = self.moment(began, self.count) - began;
        let took = (now() - began).max(wanted);
        Ok(wanted.as_secs_f64() / took.as_secs_f64())
    }
}
