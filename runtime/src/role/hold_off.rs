//! The pause before a node rejoins that the cluster has given up.

use std::time::Duration;

use tokio::time::Instant;

/// The first time.
const LEAST: Duration = Duration::from_secs(1);
/// However often it happens.
const MOST: Duration = Duration::from_secs(30);
/// Given up again within this time, the node waits for twice as long: one that cannot keep up must not make all others
/// fold its coming and going.
const SOON: Duration = Duration::from_secs(60);

/// Before joining is tried again that did not succeed: an address is not free yet, or the log does not answer.
pub(super) const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct HoldOff {
    last: Option<(Instant, Duration)>,
}

impl HoldOff {
    /// It was given up now.
    pub(super) fn next(&mut self, now: Instant) -> Duration {
        let again = self.last.filter(|(last, _)| now - *last < SOON);
        let wait = again.map_or(LEAST, |(_, former)| MOST.min(former * 2));
        // From the end of the wait: a long one must not make itself forgotten.
        self.last = Some((now + wait, wait));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound_and_starts_over_after_a_quiet_minute() {
        let (mut at, mut hold_off) = (Instant::now(), HoldOff::default());
        let mut waits = Vec::new();
        for _ in 0..7 {
            let wait = hold_off.next(at);
            waits.push(wait.as_secs());
            at += wait;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(hold_off.next(at + SOON), LEAST);
    }
}
