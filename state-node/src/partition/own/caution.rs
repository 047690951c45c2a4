//! R16: after an epoch that ended without `Release`, each message up to where the inbound log ended when the claim was
//! read back is taken after a record that it is about to be. Who dies of a message leaves that record behind, and what
//! two that tried it alone have died of is not decided again.
//!
//! Messages that nobody has tried before are tried together: one by one, what piled up while nobody owned the partition
//! would wait for a round trip each. Who dies in the middle of them leaves more than one record behind, which says that
//! one of them may be poison, but not which: they count for nothing, and the next owner takes those one at a time.
//!
//! An inbound log that is gone with its process holds no suspect any more; their clients send them again, under the
//! names by which the log knows them. So there everything is tried for as long as clients need to come back, and it takes
//! more deaths to be sure.

use std::collections::BTreeSet;

use xp_protocol::codec;
use xp_protocol::events::{Cause, Event, MessageName, Trying};
use xp_protocol::inbound::{Action as Said, Inbound, Word};
use xp_protocol::{Incarnation, Offset, TimeMs};
use xp_transport::{Now, Stored};

use super::super::{Caution, Partition, Role, key};
use crate::suspects::SOMEBODY;

/// How many processes may die of one message that they try alone.
const TRIES_MAX: usize = 2;

/// The same for what is sent again because the inbound log of the last owner is gone. There a restart tries whatever its
/// clients send again, so that somebody who ends the process with `kill -9` a few times may hit the same message twice.
const TRIES_RESENT_MAX: usize = 4;

/// How many messages are tried together.
const TOGETHER_MAX: usize = 256;

/// For how long everything is tried where the inbound log of the last owner is gone: clients that wait for an answer
/// come back within it, whatever their steps between dials are.
const RESENT_WITHIN_MS: u64 = 60_000;

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
            && let Caution::Asking { resent } = owner.caution
        {
            owner.wary_until = resent.then(|| now.running.plus_ms(RESENT_WITHIN_MS));
            owner.caution = Caution::Until(if resent { Offset(u64::MAX) } else { end });
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
            let poisonous = match self.next(&stored, now) {
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

    fn next(&mut self, stored: &Stored, now: Now) -> Next {
        let Some(owner) = self.owner() else {
            return Next::Wait;
        };
        let (caution, committed, offset) = (owner.caution, owner.committed, stored.offset);
        let is_over = |until: Option<TimeMs>| until.is_some_and(|until| now.running >= until);
        match caution {
            Caution::None => Next::Take { poisonous: false },
            Caution::Asking { .. } => Next::Wait,
            Caution::Trying { seq, .. } if seq > committed => Next::Wait,
            Caution::Trying { until, upto, .. } => {
                owner.caution = Caution::Tried { until, upto };
                Next::Take { poisonous: false }
            }
            Caution::Tried { upto, .. } if offset < upto => Next::Take { poisonous: false },
            Caution::Tried { until, .. } => {
                owner.caution = Caution::Until(until);
                self.next(stored, now)
            }
            Caution::Until(until) if offset >= until || is_over(owner.wary_until) => {
                owner.caution = Caution::None;
                Next::Take { poisonous: false }
            }
            Caution::Until(_) => self.try_or_take(stored),
        }
    }

    fn try_or_take(&mut self, stored: &Stored) -> Next {
        let Some(Suspect { name }) = suspect(stored) else {
            return Next::Take { poisonous: false };
        };
        let offset = stored.offset;
        let tries_max = match self.owner().and_then(|owner| owner.wary_until) {
            Some(_) => TRIES_RESENT_MAX,
            None => TRIES_MAX,
        };
        let died = self.died_of(offset, name.as_ref());
        if died >= tries_max {
            let message = name.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::error!(place = %self.setting.place, %offset, message, died, "a message has ended as many processes as it may and is not decided again: its sender gets a fault; `xp log show` has the message, and the code that it ends is to be mended");
            if name
                .as_ref()
                .is_some_and(|name| self.fold.suspects.is_of_earlier(name))
            {
                // Nobody dies of it now. What is known of it by its name is known by its offset from here on, and goes
                // with that once it is decided.
                self.append_trying(offset, name);
            }
            return Next::Take { poisonous: true };
        }
        match self.setting.rules.trying {
            true => Next::Try,
            false => Next::Take { poisonous: false },
        }
    }

    /// How many processes tried a message and are members no longer, or have not returned from it (R47): those could not
    /// own the partition.
    fn died_of(&self, offset: Offset, name: Option<&MessageName>) -> usize {
        let by = self.fold.suspects.died_of(offset, name);
        let place = &self.setting.place;
        let lives = |by: Incarnation| {
            let returned = by == self.setting.incarnation || self.members.is_warm(place, by);
            self.members.is_alive(by) && returned
        };
        let died = by.filter(|by| *by != SOMEBODY && !lives(*by));
        died.collect::<BTreeSet<_>>().len()
    }

    fn append_tryings(&mut self) {
        let suspects = self.together();
        let Some((last, _)) = suspects.last() else {
            return;
        };
        let upto = last.next();
        // From the end, so that the fold tells a group from one message after the other.
        for (offset, name) in suspects.into_iter().rev() {
            self.append_trying(offset, name);
        }
        let seq = self.fold.seq;
        if let Some(owner) = self.owner()
            && let Caution::Until(until) = owner.caution
        {
            owner.caution = Caution::Trying { until, upto, seq };
        }
    }

    /// The message in front, and those behind it as far as nobody has tried any of them.
    fn together(&self) -> Vec<(Offset, Option<MessageName>)> {
        let Self { role, fold, .. } = self;
        let Role::Owning(owner) = role else {
            return Vec::new();
        };
        let Caution::Until(until) = owner.caution else {
            return Vec::new();
        };
        let doubtful = owner.held.iter().take_while(|stored| stored.offset < until);
        let suspects = doubtful.filter_map(|stored| Some((stored.offset, suspect(stored)?.name)));
        let untried = |(offset, name): &(Offset, Option<MessageName>)| {
            fold.suspects
                .died_of(*offset, name.as_ref())
                .next()
                .is_none()
        };
        let mut suspects = suspects.take(TOGETHER_MAX).peekable();
        let alone = suspects.next_if(|front| !untried(front));
        match alone {
            Some(front) => vec![front],
            None => suspects.take_while(untried).collect(),
        }
    }

    fn append_trying(&mut self, offset: Offset, name: Option<MessageName>) {
        let (epoch, seq, sent) = (self.epoch(), self.fold.seq.next(), self.sent());
        let trying = Trying {
            epoch,
            seq,
            sent,
            cause: Cause::Inbound(offset),
        };
        self.append_bare(&match name {
            Some(name) => Event::TryingNamed(trying, name),
            None => Event::Trying(trying),
        });
    }
}

/// A message that may have ended a process, and what it is called when it is sent again.
struct Suspect {
    name: Option<MessageName>,
}

/// Connects, disconnects and tells are never skipped, so nothing need be known of who tried them.
fn suspect(stored: &Stored) -> Option<Suspect> {
    let inbound = codec::decode::<Inbound>(&stored.record.header).ok()?;
    let Word::Client {
        connection, action, ..
    } = inbound.word
    else {
        return None;
    };
    let address = || key(stored);
    let name = match action {
        Said::Send { n, .. } => address().map(|address| MessageName::Command {
            address,
            connection,
            n,
        }),
        Said::Ask { tag, .. } => address().map(|address| MessageName::Query {
            address,
            connection,
            tag,
        }),
        Said::Ephemeral { .. } => None,
        Said::Connect { .. } | Said::Disconnect { .. } | Said::Claims | Said::Resume { .. } => {
            return None;
        }
    };
    Some(Suspect { name })
}
