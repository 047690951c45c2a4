//! Tells on their way to one partition: in order, from the first hole on, in portions (R34).
//!
//! A target takes a tell only when it is the next one. So one that is lost blocks all behind it, and nothing is gained
//! by sending more of them than the target could take: after a loss a few are repeated, and more with each confirmation from
//! the target that it has taken some.

use std::collections::BTreeMap;

use xp_protocol::TimeMs;

/// How many are repeated at first; then four times as many with each confirmation from the target.
const FIRST_REPEATED: u64 = 64;
/// How long to wait after a failed append, in milliseconds.
const AGAIN_MS: u64 = 50;

/// How many may be on their way.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// The most tells.
    pub count: u64,
    /// Their bytes; one is always under way.
    pub bytes: usize,
}

/// What names the append of a tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TellId {
    /// Its number between this partition and the target (R34).
    pub number: u64,
    /// Which time these numbers are appended; late answers of an earlier one are told apart by it.
    pub round: u64,
}

/// Where the tells of one partition to another stand.
#[derive(Debug, Default)]
pub struct TellQueue {
    /// The target has committed all up to here.
    confirmed: u64,
    /// The last number that has left the gate: the rest is not committed.
    left: u64,
    /// How many were appended, up to the last hole.
    appended: u64,
    round: u64,
    /// The bytes of what was appended in this round and not answered.
    flying: BTreeMap<u64, usize>,
    flying_bytes: usize,
    /// Since when the oldest one that was appended waits to be confirmed.
    since: Option<TimeMs>,
    /// Nothing is appended before.
    from: TimeMs,
    /// What is repeated ends here; until then no more than `window` are sent beyond what is confirmed.
    repeats_upto: u64,
    window: u64,
}

impl TellQueue {
    /// Those of an earlier owner, which may not have sent any of them: all from `first` to `last`.
    #[must_use]
    pub fn again(first: u64, last: u64) -> Self {
        let confirmed = first.saturating_sub(1);
        Self {
            confirmed,
            left: last,
            appended: confirmed,
            repeats_upto: last,
            window: FIRST_REPEATED,
            ..Self::default()
        }
    }

    /// Up to which number the target has committed them.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// One more has left the gate.
    pub fn leaves(&mut self, number: u64) {
        if self.left == 0 {
            // Those before it were confirmed to an earlier owner.
            self.confirmed = self.confirmed.max(number.saturating_sub(1));
            self.appended = self.appended.max(self.confirmed);
        }
        self.left = self.left.max(number);
    }

    /// The next one to append, if any may be.
    #[must_use]
    pub fn next(&self, portion: Portion, now: TimeMs) -> Option<TellId> {
        let number = self.appended + 1;
        let repeats = number <= self.repeats_upto;
        let is_full = self.flying.len() as u64 >= portion.count
            || !self.flying.is_empty() && self.flying_bytes >= portion.bytes
            || repeats && number > self.confirmed + self.window;
        let round = self.round;
        let may = number <= self.left && !is_full && now >= self.from;
        may.then_some(TellId { number, round })
    }

    /// It was handed to the log.
    pub fn appended(&mut self, bytes: usize, now: TimeMs) {
        self.appended += 1;
        self.flying.insert(self.appended, bytes);
        self.flying_bytes += bytes;
        self.since.get_or_insert(now);
    }

    /// Without R34's clock: as if the newest were the one that waits.
    pub fn forget_oldest(&mut self, now: TimeMs) {
        self.since = Some(now);
    }

    /// The log has answered. What failed is a hole: it and all behind it go out again.
    pub fn answered(&mut self, id: TellId, arrived: bool, now: TimeMs) {
        if id.round == self.round
            && let Some(bytes) = self.flying.remove(&id.number)
        {
            self.flying_bytes -= bytes;
        }
        if !arrived && id.number > self.confirmed && id.number <= self.appended {
            self.go_back(id.number - 1);
            self.from = now.plus_ms(AGAIN_MS);
        }
    }

    fn go_back(&mut self, upto: u64) {
        self.appended = upto;
        self.round += 1;
        self.flying.clear();
        self.flying_bytes = 0;
    }

    /// The target has committed all up to `number`.
    pub fn confirm(&mut self, number: u64, now: TimeMs, portion: Portion) {
        if number <= self.confirmed {
            return;
        }
        self.confirmed = number;
        self.window = (self.window * 4).min(portion.count);
        if self.appended < number {
            self.go_back(number);
        }
        self.since = (self.appended > number).then_some(now);
    }

    /// When the oldest has waited for too long, a few go out again.
    pub fn repeat(&mut self, retry_ms: u64, now: TimeMs) {
        if self
            .since
            .is_some_and(|since| now.since_ms(since) >= retry_ms)
        {
            self.go_back(self.confirmed);
            self.repeats_upto = self.left;
            self.window = FIRST_REPEATED;
            self.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTION: Portion = Portion {
        count: 1000,
        bytes: 1 << 20,
    };

    fn sent(tells: &mut TellQueue, now: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(id) = tells.next(PORTION, TimeMs(now)) {
            tells.appended(10, TimeMs(now));
            numbers.push(id.number);
        }
        numbers
    }

    fn leaving(numbers: std::ops::RangeInclusive<u64>, now: u64) -> TellQueue {
        let mut tells = TellQueue::default();
        numbers.for_each(|number| tells.leaves(number));
        sent(&mut tells, now);
        tells
    }

    #[test]
    fn the_oldest_is_timed_while_newer_ones_flow() {
        let mut tells = leaving(1..=1, 0);
        for number in 2..=30 {
            tells.leaves(number);
            assert_eq!(sent(&mut tells, number * 50), [number]);
        }
        tells.repeat(2000, TimeMs(1900));
        assert!(sent(&mut tells, 1900).is_empty());
        tells.repeat(2000, TimeMs(2000));
        assert_eq!(sent(&mut tells, 2000), (1..=30).collect::<Vec<_>>());
    }

    #[test]
    fn what_failed_and_all_behind_it_go_out_again_soon_and_in_order() {
        let mut tells = leaving(1..=5, 0);
        let id = |number| TellId { number, round: 0 };
        tells.answered(id(4), true, TimeMs(5));
        tells.answered(id(3), false, TimeMs(5));
        tells.answered(id(2), false, TimeMs(6));
        tells.leaves(6);
        assert!(sent(&mut tells, 10).is_empty());
        assert_eq!(sent(&mut tells, 60), [2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_target_that_is_away_hears_a_few_again_and_more_as_it_takes_them() {
        let mut tells = leaving(1..=900, 0);
        tells.repeat(2000, TimeMs(2000));
        assert_eq!(sent(&mut tells, 2000), (1..=64).collect::<Vec<_>>());
        tells.confirm(64, TimeMs(2500), PORTION);
        assert_eq!(sent(&mut tells, 2500), (65..=320).collect::<Vec<_>>());
        tells.repeat(2000, TimeMs(4500));
        assert_eq!(sent(&mut tells, 4500), (65..=128).collect::<Vec<_>>());
    }

    #[test]
    fn no_more_than_a_portion_is_on_its_way() {
        let mut tells = leaving(1..=5000, 0);
        assert!(tells.next(PORTION, TimeMs(0)).is_none());
        let first = TellId {
            number: 1,
            round: 0,
        };
        tells.answered(first, true, TimeMs(1));
        assert_eq!(sent(&mut tells, 1), [1001]);
    }

    #[test]
    fn a_new_owner_begins_at_the_first_that_is_not_confirmed() {
        let mut tells = TellQueue::again(7, 9);
        assert_eq!(sent(&mut tells, 0), [7, 8, 9]);
        tells.confirm(9, TimeMs(1), PORTION);
        tells.repeat(2000, TimeMs(9000));
        assert!(sent(&mut tells, 9000).is_empty());
    }
}
