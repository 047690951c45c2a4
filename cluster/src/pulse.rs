//! The virtual time of the `cluster` log, by which silence is measured (R37).

use serde::{Deserialize, Serialize};
use xp_protocol::TimeMs;

use crate::timing::{OUTAGE_MS, STEP_MAX_MS, SUSPENSION_MS};

/// The time that the log itself tells. It never runs backwards, and no gap in the log moves it far: where nobody could
/// write, nobody was silent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    last: Option<TimeMs>,
    now_ms: u64,
    suspended_until_ms: u64,
}

impl Pulse {
    /// A record that the log took at `time` moves the time by clamp(time − previous, 0, 2 × heartbeat). A step as long
    /// as an outage, or one that ran backwards (another leader's clock), suspends verdicts. One that is only clamped
    /// does not: where every append takes a little longer than the clamp, nobody would ever be gone.
    pub fn record(&mut self, time: TimeMs) {
        let previous = self.last.replace(time).unwrap_or(time);
        let step_ms = time.0.saturating_sub(previous.0);
        self.now_ms += step_ms.min(STEP_MAX_MS);
        if step_ms > OUTAGE_MS || time < previous {
            self.suspended_until_ms = self.now_ms + SUSPENSION_MS;
        }
    }

    /// The virtual time, in milliseconds since the fold began.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Whether anybody may be declared gone now.
    #[must_use]
    pub fn judges(&self) -> bool {
        self.suspended_ms() == 0
    }

    /// For how much longer nobody is declared gone, in virtual milliseconds.
    #[must_use]
    pub fn suspended_ms(&self) -> u64 {
        self.suspended_until_ms.saturating_sub(self.now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times: &[u64]) -> Pulse {
        let mut pulse = Pulse::default();
        times.iter().for_each(|time| pulse.record(TimeMs(*time)));
        pulse
    }

    #[test]
    fn it_moves_with_the_log_but_never_far_and_never_back() {
        assert_eq!(after(&[1000, 1100, 1250]).now_ms(), 250);
        assert_eq!(after(&[1000, 900_000]).now_ms(), STEP_MAX_MS);
        assert_eq!(after(&[1000, 1100, 200, 300]).now_ms(), 200);
    }

    #[test]
    fn an_outage_or_a_backward_step_suspends_verdicts_for_three_seconds() {
        assert!(after(&[1000, 1200, 2200]).judges());
        assert!(!after(&[1000, 2001]).judges() && !after(&[1000, 999]).judges());
        let mut pulse = after(&[1000, 999]);
        (1..15).for_each(|beat| pulse.record(TimeMs(999 + beat * 200)));
        assert!(!pulse.judges());
        pulse.record(TimeMs(999 + 15 * 200));
        assert!(pulse.judges());
    }
}
