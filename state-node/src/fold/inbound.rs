//! The position in `inbound`: how far messages are decided, in which life of that log (R4).

use serde::{Deserialize, Serialize};
use xp_protocol::{LogIdentity, Offset};

/// Offsets rise within one life of `inbound`, and start anew with the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundPosition {
    log: Option<LogIdentity>,
    next: Offset,
}

impl InboundPosition {
    /// The next message of a life of `inbound` to decide.
    #[must_use]
    pub fn new(log: LogIdentity, next: Offset) -> Self {
        let log = Some(log);
        Self { log, next }
    }

    /// The life of `inbound` that the offset refers to; none before the first claim.
    #[must_use]
    pub fn log(&self) -> Option<LogIdentity> {
        self.log
    }

    /// The next message to decide.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// A claim names the life of `inbound` that it goes on with; says whether that is another one.
    pub(super) fn claim(&mut self, log: LogIdentity) -> bool {
        let is_other = self.log != Some(log);
        if is_other {
            *self = Self::new(log, Offset(0));
        }
        is_other
    }

    /// Everything before an offset is decided.
    pub(super) fn move_to(&mut self, next: Offset) {
        self.next = next;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn offsets_start_anew_with_another_life_of_inbound_and_only_then() {
        let [first, second] = [1, 2].map(|n| LogIdentity(Uuid::from_u128(n)));
        let mut position = InboundPosition::default();
        assert!(position.claim(first));
        position.move_to(Offset(7));
        assert!(!position.claim(first));
        assert_eq!(position, InboundPosition::new(first, Offset(7)));
        assert!(position.claim(second));
        assert_eq!(position, InboundPosition::new(second, Offset(0)));
    }
}
