//! The time of a partition: the machine's clocks, as far as they are believed (R48). It outlives the partition's lives.

use std::sync::Arc;

use xp_transport::{Clock, Now};

use crate::limits::Limits;
use crate::timekeeper::Timekeeper;

/// The clock that a partition goes by.
pub(super) struct PartitionClock {
    clock: Clock,
    timekeeper: Timekeeper,
    limits: Arc<Limits>,
}

impl PartitionClock {
    pub(super) fn new(clock: Clock, limits: Arc<Limits>) -> Self {
        Self {
            timekeeper: Timekeeper::new(clock.read()),
            clock,
            limits,
        }
    }

    /// What is believed now.
    pub(super) fn now(&mut self) -> Now {
        self.timekeeper.judge(self.clock.read(), &self.limits)
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::TimeMs;

    use super::*;

    #[test]
    fn a_clock_that_was_set_is_not_believed_at_once() {
        let (clock, limits) = (Clock::fixed(TimeMs(1_000)), Arc::new(Limits::default()));
        let by_ms = i64::try_from(limits.clock.step.ms()).expect("it is no age") + 1;
        let mut time = PartitionClock::new(clock.clone(), limits);
        clock.set(by_ms);
        assert_eq!(time.now().time, TimeMs(1_000));
        clock.advance(5);
        assert_eq!(time.now().time, TimeMs(1_005), "it goes on as before");
    }
}
