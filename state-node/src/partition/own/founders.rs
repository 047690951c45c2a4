//! Subjects that enter entities which nobody has entered before, counted by the minute: each new entity takes memory
//! and records for as long as its sessions are remembered.

use std::collections::BTreeMap;

use xp_protocol::TimeMs;

const MINUTE_MS: u64 = 60_000;

/// How many entities each subject has begun in this minute. Never stored: a successor counts anew.
#[derive(Debug, Default)]
pub(super) struct Founders {
    since: TimeMs,
    begun: BTreeMap<Box<str>, usize>,
}

impl Founders {
    /// Counts one more for `subject`, unless it has begun so many.
    pub(super) fn may_begin(&mut self, subject: &str, per_minute: usize, now: TimeMs) -> bool {
        // A clock that was put back begins a minute as well.
        if now < self.since || now.since_ms(self.since) >= MINUTE_MS {
            self.since = now;
            self.begun.clear();
        }
        let begun = self.begun.entry(subject.into()).or_default();
        let may = *begun < per_minute;
        *begun += usize::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_begins_so_many_a_minute_and_nobody_pays_for_another() {
        let mut founders = Founders::default();
        let mut ana = |ms| founders.may_begin("ana", 2, TimeMs(ms));
        assert!(ana(1_000) && ana(2_000));
        assert!(!ana(3_000));
        assert!(ana(61_000), "the next minute");
        assert!(founders.may_begin("ben", 2, TimeMs(61_000)));
    }
}
