//! How long a log may leave a partition's appends without an answer, and what is due then.

use std::time::Duration;

use tokio::time::Instant;

/// How long one partition waits for its log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Before an append that failed is made again.
    pub(crate) retry: Duration,
    /// For an acknowledgement, before the partition is stalled.
    pub(crate) stall: Duration,
    /// In a stall, before the partition's sockets are closed.
    pub(crate) sockets: Duration,
}

/// Whether a partition's log answers. A stall begins with an append that failed or has been without an
/// acknowledgement for a while, and ends with the next success.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Stall {
    #[default]
    None,
    Since {
        began: Instant,
        /// When the sockets that are there by then are closed.
        until: Instant,
    },
}

/// What the passing of time leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The partition is stalled from now on.
    Stall,
    /// Its sockets have waited for long enough.
    CloseSockets,
}

impl Stall {
    /// Begins, unless it has begun already. Returns whether that is news.
    pub(super) fn begin(&mut self, now: Instant, patience: Duration) -> bool {
        let news = *self == Self::None;
        if news {
            *self = Self::Since {
                began: now,
                until: now + patience,
            };
        }
        news
    }

    /// Ends. Returns for how long it went on, if there was one.
    pub(super) fn end(&mut self, now: Instant) -> Option<Duration> {
        match std::mem::take(self) {
            Self::None => None,
            Self::Since { began, .. } => Some(now - began),
        }
    }

    /// When something is due next, for an append made at `asked`.
    pub(super) fn due_at(&self, asked: Instant, patience: &Patience) -> Instant {
        match self {
            Self::None => asked + patience.stall,
            Self::Since { until, .. } => *until,
        }
    }

    /// What is due at `now`. Sockets that come later in the same stall get the same patience.
    pub(super) fn due(&mut self, now: Instant, asked: Instant, patience: &Patience) -> Option<Due> {
        if now < self.due_at(asked, patience) {
            return None;
        }
        match self {
            Self::None => Some(Due::Stall),
            Self::Since { until, .. } => {
                *until = now + patience.sockets;
                Some(Due::CloseSockets)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        retry: Duration::from_millis(10),
        stall: Duration::from_secs(1),
        sockets: Duration::from_secs(30),
    };

    #[test]
    fn silence_becomes_a_stall_and_a_long_stall_closes_sockets_again_and_again() {
        let asked = Instant::now();
        let at = |ms| asked + Duration::from_millis(ms);
        let mut stall = Stall::default();
        assert_eq!(stall.due(at(999), asked, &PATIENCE), None);
        assert_eq!(stall.due(at(1_000), asked, &PATIENCE), Some(Due::Stall));
        assert!(stall.begin(at(1_000), PATIENCE.sockets));
        assert!(!stall.begin(at(2_000), PATIENCE.sockets), "no news");
        assert_eq!(stall.due(at(30_999), asked, &PATIENCE), None);
        let over = Some(Due::CloseSockets);
        assert_eq!(stall.due(at(31_000), asked, &PATIENCE), over);
        assert_eq!(stall.due(at(60_999), asked, &PATIENCE), None);
        assert_eq!(stall.due(at(61_000), asked, &PATIENCE), over);
    }

    #[test]
    fn a_success_ends_a_stall_and_tells_how_long_it_was() {
        let began = Instant::now();
        let mut stall = Stall::default();
        assert_eq!(stall.end(began), None);
        stall.begin(began, PATIENCE.sockets);
        let long = Duration::from_secs(3);
        assert_eq!(stall.end(began + long), Some(long));
        assert_eq!(stall, Stall::None);
    }
}
