//! The pause before the next dial: it doubles with each failure in a row, within bounds, with jitter. When to give up
//! is not decided here.

use crate::item::Lost;

/// A socket that was welcomed and lived this long was no failure.
const SETTLED_MS: u64 = 5_000;

#[derive(Clone, Debug)]
pub(super) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(min_ms: u64, max_ms: u64) -> Self {
        Self {
            min_ms,
            max_ms,
            failures: 0,
        }
    }

    /// The pause after a socket that lived `welcomed` milliseconds after its welcome. It doubles with each
    /// failure in a row and is between half and all of that, so that a crowd does not return in step.
    ///
    /// A broken network that had let a welcome through is no failure; a close frame soon after the welcome
    /// is one, since the server may mean it (`too-fast`, `slow`).
    pub(super) fn pause_ms(&mut self, why: &Lost, welcomed: Option<u64>, jitter: u64) -> u64 {
        let healthy = match why {
            Lost::Transport(_) => welcomed.is_some(),
            Lost::Code(..) => welcomed.is_some_and(|lived_ms| lived_ms >= SETTLED_MS),
        };
        if healthy {
            self.failures = 0;
        }
        let doubled = self
            .min_ms
            .saturating_mul(1_u64 << self.failures.min(32))
            .min(self.max_ms);
        self.failures = self.failures.saturating_add(1);
        let half = doubled / 2;
        half + jitter % (doubled - half + 1)
    }
}
