//! Verdicts about members: who is there and who is gone (R17, R37).

use std::collections::BTreeSet;

use xp_protocol::cluster::Who;
use xp_protocol::{Incarnation, LanePartition, Offset};

use super::list::Present;
use super::{End, Members};
use crate::timing::{ROUNDS, silence_ms};

impl Members {
    /// A process joins, or is met by its word that it lives; says whether that is news.
    pub(super) fn admit(&mut self, incarnation: Incarnation, who: &Who, joined: Offset) -> bool {
        let present = Present {
            who: who.clone(),
            joined,
            leaving: false,
            warm: BTreeSet::new(),
            heard_ms: self.pulse.now_ms(),
            round: self.round,
        };
        self.list.admit(incarnation, present)
    }

    /// A member's heartbeat; says whether it brought news. Who is a member no longer is not heard.
    pub(super) fn heard(
        &mut self,
        incarnation: Incarnation,
        leaving: bool,
        warm: &[LanePartition],
    ) -> bool {
        let now_ms = self.pulse.now_ms();
        let Some(present) = self.list.get_mut(incarnation) else {
            return false;
        };
        // Heartbeats that the log took at one moment are one: who waited for it says all that it had to say.
        let is_heard_again = present.round == self.round && present.heard_ms < now_ms;
        self.round += u64::from(is_heard_again);
        present.heard_ms = now_ms;
        present.round = self.round;
        let warm: BTreeSet<_> = warm.iter().cloned().collect();
        let news = present.leaving != leaving || present.warm != warm;
        present.leaving = leaving;
        present.warm = warm;
        news
    }

    /// R37: gone is who was silent beyond its limit while at least three rounds of heartbeats of others began, unless
    /// the time cannot be trusted just now.
    pub(super) fn condemn(&mut self) -> bool {
        if !self.pulse.judges() {
            return false;
        }
        let now_ms = self.pulse.now_ms();
        let silent = |present: &Present| {
            now_ms - present.heard_ms > silence_ms(present.who.kind)
                && self.round - present.round >= ROUNDS
        };
        let alive = self.list.iter();
        let gone: Vec<_> = alive
            .filter(|(_, present)| silent(present))
            .map(|(incarnation, _)| incarnation)
            .collect();
        for incarnation in &gone {
            self.list.remove(*incarnation, End::Silent);
        }
        !gone.is_empty()
    }
}
