//! The probe of poisonous messages (R16): after an epoch that ended without `Release`, each message up to where the inbound
//! log ended when the claim was read back is taken after a record that it is about to be. Who dies of a message leaves
//! that record behind, and what two that tried it alone have died of is not decided again.
//!
//! Messages that nobody has tried before are tried together: one by one, what piled up while nobody owned the partition
//! would wait for a round trip each. Who dies in the middle of them leaves more than one record behind, which says that
//! one of them may be poison, but not which: they count for nothing, and the next owner takes those one at a time.
//!
//! An inbound log that is gone with its process holds no suspect any more; their clients send them again, under the
//! names by which the log knows them. So there everything is tried for as long as clients need to come back, and it takes
//! more deaths to be sure.

use std::collections::{BTreeSet, VecDeque};

use xp_protocol::codec;
use xp_protocol::events::MessageName;
use xp_protocol::inbound::{ClientAction, Inbound, Message};
use xp_protocol::rules::Rule;
use xp_protocol::{Incarnation, Offset, Seq, TimeMs};
use xp_transport::{Now, Stored};

use super::super::core::Core;
use super::super::exit::Predecessor;
use super::super::key;
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

/// After an epoch that ended without `Release`, some message may have ended its owner.
#[derive(Clone, Copy)]
enum Caution {
    /// None is needed, or none any more.
    None,
    /// Up to where the suspects reach is being asked. Where they are `resent`, the inbound log that had them is gone (R4),
    /// and their clients send them again.
    Asking { resent: bool },
    /// Messages before this offset are tried before they are taken.
    Until(Offset),
    /// Those before `upto` are about to be taken, once this last record of it is committed.
    Trying {
        until: Offset,
        upto: Offset,
        seq: Seq,
    },
    /// Those before `upto` may be taken.
    Tried { until: Offset, upto: Offset },
}

/// What becomes of the message in front.
pub(super) enum Next {
    /// It is decided.
    Take,
    /// It has ended as many processes as it may, and is a fault; the log is told so under this name first, where that is
    /// not known of it at its offset yet.
    Poison { told_as: Option<MessageName> },
    /// The log is told that it is about to be decided, and those behind it.
    Try,
    /// It waits: `inbound`'s end is not known yet, or the record that names the message is not committed.
    Wait,
}

/// A message that may have ended a process: where it lies, and what it is called when it is sent again.
pub(super) type Suspect = (Offset, Option<MessageName>);

/// Messages that are taken one at a time, and how far the probe is with them.
pub(super) struct PoisonProbe {
    /// Taken from the inbound log and not looked at yet.
    held: VecDeque<Stored>,
    caution: Caution,
    /// Until when everything is tried, because what the last owner may have died of is sent again.
    wary_until: Option<TimeMs>,
}

impl PoisonProbe {
    pub(super) fn new(before: Predecessor) -> Self {
        Self {
            held: VecDeque::new(),
            caution: match before.released {
                true => Caution::None,
                false => Caution::Asking {
                    resent: !before.same_inbound,
                },
            },
            wary_until: None,
        }
    }

    /// Whether no message needs it any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.caution, Caution::None)
    }

    /// Whether messages wait in it.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    pub(super) fn hold(&mut self, batch: &[Stored]) {
        self.held.extend(batch.iter().cloned());
    }

    /// The message in front.
    pub(super) fn front(&self) -> Option<&Stored> {
        self.held.front()
    }

    /// The message in front was taken.
    pub(super) fn pop(&mut self) {
        self.held.pop_front();
    }

    /// Where `inbound` ended when this node's claim was read back.
    pub(super) fn inbound_end(&mut self, end: Offset, now: Now) {
        if let Caution::Asking { resent } = self.caution {
            self.wary_until = resent.then(|| now.running.plus_ms(RESENT_WITHIN_MS));
            self.caution = Caution::Until(if resent { Offset(u64::MAX) } else { end });
        }
    }

    /// What becomes of `stored`, which is in front.
    pub(super) fn next(&mut self, core: &Core, committed: Seq, stored: &Stored, now: Now) -> Next {
        let is_over = self.wary_until.is_some_and(|until| now.running >= until);
        match self.caution {
            Caution::None => Next::Take,
            Caution::Asking { .. } => Next::Wait,
            // What says that they are about to be taken must lie in the log before they are.
            Caution::Trying { seq, .. } if seq > committed => Next::Wait,
            Caution::Trying { until, upto, .. } => {
                self.caution = Caution::Tried { until, upto };
                Next::Take
            }
            Caution::Tried { upto, .. } if stored.offset < upto => Next::Take,
            Caution::Tried { until, .. } => {
                self.caution = Caution::Until(until);
                self.next(core, committed, stored, now)
            }
            Caution::Until(until) if stored.offset >= until || is_over => {
                self.caution = Caution::None;
                Next::Take
            }
            Caution::Until(_) => self.try_or_take(core, stored),
        }
    }

    fn try_or_take(&self, core: &Core, stored: &Stored) -> Next {
        let Some((offset, name)) = suspect(stored) else {
            return Next::Take;
        };
        let tries_max = match self.wary_until {
            Some(_) => TRIES_RESENT_MAX,
            None => TRIES_MAX,
        };
        let died = died_of(core, offset, name.as_ref());
        if died >= tries_max {
            let message = name.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::error!(partition = %core.setting.partition, %offset, message, died, "a message has ended as many processes as it may and is not decided again: its sender gets a fault; `xp log show` has the message, and the code that it ends is to be mended");
            // Nobody dies of it now. What is known of it by its name is known by its offset from here on, and goes with
            // that once it is decided.
            let told_as = name.filter(|name| core.fold.suspects.is_of_earlier(name));
            return Next::Poison { told_as };
        }
        match core.holds(Rule::Trying) {
            true => Next::Try,
            false => Next::Take,
        }
    }

    /// The message in front, and those behind it as far as nobody has tried any of them.
    pub(super) fn together(&self, core: &Core) -> Vec<Suspect> {
        let Caution::Until(until) = self.caution else {
            return Vec::new();
        };
        let doubtful = self.held.iter().take_while(|stored| stored.offset < until);
        let untried = |(offset, name): &Suspect| {
            let mut died = core.fold.suspects.died_of(*offset, name.as_ref());
            died.next().is_none()
        };
        let mut suspects = doubtful.filter_map(suspect).take(TOGETHER_MAX).peekable();
        let alone = suspects.next_if(|front| !untried(front));
        match alone {
            Some(front) => vec![front],
            None => suspects.take_while(untried).collect(),
        }
    }

    /// The log is being told that all before `upto` are about to be taken; the record `seq` is the last that says so.
    pub(super) fn tries(&mut self, upto: Offset, seq: Seq) {
        if let Caution::Until(until) = self.caution {
            self.caution = Caution::Trying { until, upto, seq };
        }
    }
}

/// How many processes tried a message and are members no longer, or have not returned from it (R47): those could not
/// own the partition.
fn died_of(core: &Core, offset: Offset, name: Option<&MessageName>) -> usize {
    let by = core.fold.suspects.died_of(offset, name);
    let (partition, members) = (&core.setting.partition, &core.placement.members);
    let lives = |by: Incarnation| {
        let returned = by == core.setting.incarnation || members.is_warm(partition, by);
        members.is_alive(by) && returned
    };
    let died = by.filter(|by| *by != SOMEBODY && !lives(*by));
    died.collect::<BTreeSet<_>>().len()
}

/// Connects, disconnects and tells are never skipped, so nothing need be known of who tried them.
fn suspect(stored: &Stored) -> Option<Suspect> {
    let inbound = codec::decode::<Inbound>(&stored.record.header).ok()?;
    let Message::Client {
        connection, action, ..
    } = inbound.message
    else {
        return None;
    };
    let address = || key(stored);
    let name = match action {
        ClientAction::Send { n, .. } => address().map(|address| MessageName::Command {
            address,
            connection,
            n,
        }),
        ClientAction::Ask { tag, .. } => address().map(|address| MessageName::Query {
            address,
            connection,
            tag,
        }),
        ClientAction::Ephemeral { .. } => None,
        ClientAction::Connect { .. }
        | ClientAction::Disconnect { .. }
        | ClientAction::Claims
        | ClientAction::Resume { .. } => {
            return None;
        }
    };
    Some((stored.offset, name))
}
