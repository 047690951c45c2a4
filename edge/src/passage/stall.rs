//! A stall: how long a log may leave a partition's appends without an acknowledgement, and what is due then.

use xp_protocol::TimeMs;

/// How long one partition waits for its log, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Before an append that failed is made again.
    pub retry_ms: u64,
    /// For an acknowledgement, before the partition is stalled.
    pub stall_ms: u64,
    /// In a stall, before the partition's sockets are closed.
    pub sockets_ms: u64,
}

/// Whether a partition's log answers. A stall begins with an append that failed or has been without an
/// acknowledgement for a while, and ends with the next success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Stall {
    #[default]
    None,
    Since {
        began: TimeMs,
        /// When the sockets that are there by then are closed.
        until: TimeMs,
    },
}

/// What the passing of time leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The partition is stalled from now on.
    Stall,
    /// Its sockets have waited for long enough.
    CloseSockets,
}

impl Stall {
    /// Begins, unless it has begun already. Returns whether that is news.
    pub(super) fn begin(&mut self, now: TimeMs, patience: &Patience) -> bool {
        let news = *self == Self::None;
        if news {
            *self = Self::Since {
                began: now,
                until: now.plus_ms(patience.sockets_ms),
            };
        }
        news
    }

    /// Ends. Returns for how many milliseconds it went on, if there was one.
    pub(super) fn end(&mut self, now: TimeMs) -> Option<u64> {
        match std::mem::take(self) {
            Self::None => None,
            Self::Since { began, .. } => Some(now.since_ms(began)),
        }
    }

    /// When something is due next, for an append made at `asked`.
    pub(super) fn due_at(&self, asked: TimeMs, patience: &Patience) -> TimeMs {
        match self {
            Self::None => asked.plus_ms(patience.stall_ms),
            Self::Since { until, .. } => *until,
        }
    }

    /// What is due at `now`. Sockets that come later in the same stall get the same patience.
    pub(super) fn due(&mut self, now: TimeMs, asked: TimeMs, patience: &Patience) -> Option<Due> {
        if now < self.due_at(asked, patience) {
            return None;
        }
        match self {
            Self::None => Some(Due::Stall),
            Self::Since { until, .. } => {
                *until = now.plus_ms(patience.sockets_ms);
                Some(Due::CloseSockets)
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::passage) const PATIENCE: Patience = Patience {
        retry_ms: 10,
        stall_ms: 1_000,
        sockets_ms: 30_000,
    };

    #[test]
    fn silence_becomes_a_stall_and_a_long_stall_closes_sockets_again_and_again() {
        let asked = TimeMs(5_000);
        let at = |ms| asked.plus_ms(ms);
        let mut stall = Stall::default();
        assert_eq!(stall.due(at(999), asked, &PATIENCE), None);
        assert_eq!(stall.due(at(1_000), asked, &PATIENCE), Some(Due::Stall));
        assert!(stall.begin(at(1_000), &PATIENCE));
        assert!(!stall.begin(at(2_000), &PATIENCE), "no news");
        assert_eq!(stall.due(at(30_999), asked, &PATIENCE), None);
        let over = Some(Due::CloseSockets);
        assert_eq!(stall.due(at(31_000), asked, &PATIENCE), over);
        assert_eq!(stall.due(at(60_999), asked, &PATIENCE), None);
        assert_eq!(stall.due(at(61_000), asked, &PATIENCE), over);
    }

    #[test]
    fn a_success_ends_a_stall_and_tells_how_long_it_was() {
        let began = TimeMs(5_000);
        let mut stall = Stall::default();
        assert_eq!(stall.end(began), None);
        stall.begin(began, &PATIENCE);
        assert_eq!(stall.end(began.plus_ms(3_000)), Some(3_000));
        assert_eq!(stall, Stall::None);
    }
}
