//! Verdicts about members: who is there and who is gone (R17, R37).

use std::collections::BTreeSet;

use xp_protocol::cluster::{Kind, Who};
use xp_protocol::{Incarnation, LanePartition, Offset};

use super::{End, FORMER_MAX, Members, Present};
use crate::timing::{ROUNDS, silence_ms};

impl Members {
    /// A new incarnation of a stable name replaces the old one at its Join (R17). A Join that was doubled or comes
    /// late is none: a process neither replaces itself nor returns after it was replaced.
    pub(super) fn admit(&mut self, incarnation: Incarnation, who: &Who, joined: Offset) -> bool {
        if self.is_alive(incarnation) || self.is_former(incarnation) {
            return false;
        }
        let same = |kind: &Kind| std::mem::discriminant(kind) == std::mem::discriminant(&who.kind);
        let namesakes = self.alive.iter();
        let namesakes = namesakes
            .filter(|(_, present)| present.who.name == who.name && same(&present.who.kind));
        let (later, former): (Vec<_>, Vec<_>) = namesakes
            .map(|(incarnation, present)| (*incarnation, present.joined))
            .partition(|(_, theirs)| *theirs > joined);
        for (former, _) in former {
            self.remove(former, End::Replaced);
        }
        let present = Present {
            who: who.clone(),
            joined,
            leaving: false,
            warm: BTreeSet::new(),
            heard_ms: self.pulse.now_ms(),
            round: self.round,
        };
        self.alive.insert(incarnation, present);
        if !later.is_empty() {
            self.remove(incarnation, End::Replaced);
        }
        true
    }

    /// A member's heartbeat; says whether it brought news. Who is a member no longer is not heard.
    pub(super) fn heard(
        &mut self,
        incarnation: Incarnation,
        leaving: bool,
        warm: &[LanePartition],
    ) -> bool {
        let now_ms = self.pulse.now_ms();
        let Some(present) = self.alive.get_mut(&incarnation) else {
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
        let alive = self.alive.iter();
        let gone: Vec<_> = alive
            .filter(|(_, present)| silent(present))
            .map(|(incarnation, _)| *incarnation)
            .collect();
        for incarnation in &gone {
            self.remove(*incarnation, End::Silent);
        }
        !gone.is_empty()
    }

    pub(super) fn remove(&mut self, incarnation: Incarnation, end: End) -> bool {
        let was_alive = self.alive.remove(&incarnation).is_some();
        if was_alive {
            if self.former.len() == FORMER_MAX {
                self.former.pop_front();
            }
            self.former.push_back((incarnation, end));
        }
        was_alive
    }
}
