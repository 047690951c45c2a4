//! R16: after an epoch that ended without `Release`, each message up to where the inbound log ended when the claim was
//! read back is taken after a record that it is about to be. Who dies of a message leaves that record behind, and what
//! two have died of is not decided a third time.
//!
//! Messages that nobody has tried before are tried together: one by one, what piled up while nobody owned the partition
//! would wait for a round trip each. Who dies in the middle of them leaves more than one record behind, which says that
//! one of them may be poison, but not which: they count for nothing, and the next owner takes those one at a time.

use std::collections::BTreeSet;

use xp_protocol::codec;
use xp_protocol::events::{Cause, Event, Trying};
use xp_protocol::inbound::{Action as Said, Inbound, Word};
use xp_protocol::{Incarnation, Offset};
use xp_transport::{Now, Stored};

use super::super::{Caution, Partition, Role};
use crate::fold::SOMEBODY;

/// How many processes may die of one message.
const TRIES_MAX: usize = 2;

/// How many messages are tried together.
const TOGETHER_MAX: usize = 256;

/// What becomes of the message in front.
enum Next {
    Take { poisonous: bool },
    Try,
    Wait,
}

impl Partition {
    /// Where `inbound` ended when this node's claim was read back.
    pub fn inbound_end(&mut self, end: Offset, now: Now) {
        if let Some(owner) = self.owner()
            && matches!(owner.caution, Caution::Asking)
        {
            owner.caution = Caution::Until(end);
        }
        self.take_held(now);
    }

    /// Takes what is held, as far as it may be taken now.
    pub(in crate::partition) fn take_held(&mut self, now: Now) {
        while let Some(owner) = self.owner()
            && !owner.spoilt
            && !owner.releasing
            && let Some(stored) = owner.held.front().cloned()
        {
            let poisonous = match self.next(&stored) {
                Next::Take { poisonous } => poisonous,
                Next::Try => return self.append_tryings(),
                Next::Wait => return,
            };
            if let Some(owner) = self.owner() {
                owner.held.pop_front();
            }
            self.take(&stored, poisonous, now);
        }
        self.drain(now);
        self.say_taken_if_much();
    }

    fn next(&mut self, stored: &Stored) -> Next {
        let Some(owner) = self.owner() else {
            return Next::Wait;
        };
        let (caution, committed, offset) = (owner.caution, owner.committed, stored.offset);
        match caution {
            Caution::None => Next::Take { poisonous: false },
            Caution::Asking => Next::Wait,
            Caution::Trying { seq, .. } if seq > committed => Next::Wait,
            Caution::Trying { until, upto, .. } => {
                owner.caution = Caution::Tried { until, upto };
                Next::Take { poisonous: false }
            }
            Caution::Tried { upto, .. } if offset < upto => Next::Take { poisonous: false },
            Caution::Tried { until, .. } => {
                owner.caution = Caution::Until(until);
                self.next(stored)
            }
            Caution::Until(until) if offset >= until => {
                owner.caution = Caution::None;
                Next::Take { poisonous: false }
            }
            Caution::Until(_) if !is_suspect(stored) => Next::Take { poisonous: false },
            Caution::Until(_) if self.died_of(offset) >= TRIES_MAX => {
                tracing::error!(place = %self.setting.place, %offset, "a message has ended two processes and is not decided a third time");
                Next::Take { poisonous: true }
            }
            Caution::Until(_) if !self.setting.rules.trying => Next::Take { poisonous: false },
            Caution::Until(_) => Next::Try,
        }
    }

    /// How many processes tried a message and are members no longer, or have not returned from it (R47): those could not
    /// own the partition.
    fn died_of(&self, offset: Offset) -> usize {
        let by = self.fold.tries.get(&offset).into_iter().flatten();
        let place = &self.setting.place;
        let lives = |by: Incarnation| {
            let returned = by == self.setting.incarnation || self.members.is_warm(place, by);
            self.members.is_alive(by) && returned
        };
        let died = by.filter(|by| **by != SOMEBODY && !lives(**by));
        died.collect::<BTreeSet<_>>().len()
    }

    fn append_tryings(&mut self) {
        let offsets = self.together();
        let Some(last) = offsets.last().copied() else {
            return;
        };
        // From the end, so that the fold tells a group from one message after the other.
        for offset in offsets.into_iter().rev() {
            self.append_trying(offset);
        }
        let seq = self.fold.seq;
        if let Some(owner) = self.owner()
            && let Caution::Until(until) = owner.caution
        {
            let upto = last.next();
            owner.caution = Caution::Trying { until, upto, seq };
        }
    }

    /// The message in front, and those behind it as far as nobody has tried any of them.
    fn together(&self) -> Vec<Offset> {
        let Self { role, fold, .. } = self;
        let Role::Owning(owner) = role else {
            return Vec::new();
        };
        let Caution::Until(until) = owner.caution else {
            return Vec::new();
        };
        let untried = |stored: &&Stored| !fold.tries.contains_key(&stored.offset);
        let front = owner.held.front().into_iter();
        let untried = owner.held.iter().take_while(untried);
        let doubtful = untried.take_while(|stored| stored.offset < until);
        let suspects = doubtful.filter(|stored| is_suspect(stored));
        let mut offsets: Vec<_> = suspects
            .take(TOGETHER_MAX)
            .map(|stored| stored.offset)
            .collect();
        if offsets.is_empty() {
            offsets.extend(front.map(|stored| stored.offset));
        }
        offsets
    }

    fn append_trying(&mut self, offset: Offset) {
        let (epoch, seq, sent) = (self.epoch(), self.fold.seq.next(), self.sent());
        self.append_bare(&Event::Trying(Trying {
            epoch,
            seq,
            sent,
            cause: Cause::Inbound(offset),
        }));
    }
}

/// Connects, disconnects and tells are never skipped, so nothing need be known of who tried them.
fn is_suspect(stored: &Stored) -> bool {
    let inbound = codec::decode::<Inbound>(&stored.record.header);
    inbound.is_ok_and(|inbound| match inbound.word {
        Word::Client { action, .. } => matches!(
            action,
            Said::Send { .. } | Said::Ask { .. } | Said::Ephemeral { .. }
        ),
        Word::Tell { .. } | Word::TellsTaken { .. } => false,
    })
}
