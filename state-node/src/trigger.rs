//! The trigger of a turn: what caused it, and what a decision may know besides the message and the entity.

use xp_protocol::TimeMs;
use xp_protocol::events::{Cause, TimerKey};

/// Seeds of decisions that one trigger causes are this far apart, so that no two sessions draw the same ids.
const SEED_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The same for a turn, for its draft, and for the fault that takes the draft's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    cause: Cause,
    now: TimeMs,
    seed: u64,
    trace: Option<Box<str>>,
}

impl Trigger {
    /// A message, timer or verdict at its time, which is bounded and never runs backwards, with the seed of the
    /// decision's random numbers.
    #[must_use]
    pub fn new(cause: Cause, now: TimeMs, seed: u64, trace: Option<Box<str>>) -> Self {
        Self {
            cause,
            now,
            seed,
            trace,
        }
    }

    /// What caused the turn.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The time that the decision sees.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        self.now
    }

    /// The seed of its random numbers.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The trace context of the message.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }

    /// The timer that fired, if one did.
    #[must_use]
    pub fn timer(&self) -> Option<&TimerKey> {
        match &self.cause {
            Cause::Timer(key) => Some(key),
            _ => None,
        }
    }

    /// Whether a session is to be forgotten.
    #[must_use]
    pub fn forgets(&self) -> bool {
        matches!(self.timer(), Some(TimerKey::Forget(_)))
    }

    /// What joins a client's fault and the line of the log about it.
    #[must_use]
    pub fn reference(&self) -> String {
        reference(self.seed)
    }

    /// Another decision with the same trigger draws other random numbers.
    pub fn step_seed(&mut self) {
        self.seed = self.seed.wrapping_add(SEED_STEP);
    }
}

/// What joins a client's fault and the line of the log about it: drawn for each message.
#[must_use]
pub fn reference(seed: u64) -> String {
    let drawn = (seed ^ (seed >> 32)) & u64::from(u32::MAX);
    format!("#{drawn:08x}")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use xp_protocol::{ConnectionId, Offset};

    use super::*;

    #[test]
    fn decisions_with_one_trigger_draw_differently_and_are_named_differently() {
        let mut trigger = Trigger::new(Cause::Inbound(Offset(7)), TimeMs(1), 3, None);
        let first = (trigger.seed(), trigger.reference());
        trigger.step_seed();
        assert_ne!(first.0, trigger.seed());
        assert_ne!(first.1, trigger.reference());
        assert_eq!(
            trigger.cause(),
            &Cause::Inbound(Offset(7)),
            "the same trigger"
        );
    }

    #[test]
    fn only_the_timer_of_forgetting_forgets() {
        let session = ConnectionId(Uuid::from_u128(1));
        let of = |cause| Trigger::new(cause, TimeMs(1), 3, None);
        assert!(of(Cause::Timer(TimerKey::Forget(session))).forgets());
        assert!(!of(Cause::Timer(TimerKey::Grace(session))).forgets());
        assert!(!of(Cause::Inbound(Offset(7))).forgets());
    }
}
