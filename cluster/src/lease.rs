//! The lease within which an owner may answer without writing (R13).

use xp_protocol::TimeMs;

/// How long an owner may answer after it sent a heartbeat that it has read back, in milliseconds (R13).
pub const LEASE_MS: u64 = 250;

/// Measured from the moment a heartbeat was *sent*, never from its receipt: between the two, others may
/// have condemned this node already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    sent: Option<TimeMs>,
}

impl Lease {
    /// A heartbeat was read back that was sent when this node had been running for `sent`.
    pub fn read_back(&mut self, sent: TimeMs) {
        self.sent = self.sent.max(Some(sent));
    }

    /// The node folded its own displacement: it stops answering at once.
    pub fn end(&mut self) {
        self.sent = None;
    }

    /// Whether it may answer when it has been running for `now`.
    #[must_use]
    pub fn holds(&self, now: TimeMs) -> bool {
        self.sent
            .is_some_and(|sent| now >= sent && now.since_ms(sent) < LEASE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_from_the_sending_and_ends_with_a_displacement() {
        let mut lease = Lease::default();
        assert!(!lease.holds(TimeMs(0)));
        lease.read_back(TimeMs(1000));
        lease.read_back(TimeMs(900));
        assert!(lease.holds(TimeMs(1249)) && !lease.holds(TimeMs(1250)));
        assert!(
            !lease.holds(TimeMs(999)),
            "a heartbeat that is still to be sent proves nothing"
        );
        lease.end();
        assert!(!lease.holds(TimeMs(1000)));
    }
}
