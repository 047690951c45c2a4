//! The draft of a commit: what one turn wants to commit, before it has an offset in the log.

mod show;
mod answer;
mod deliveries;

use std::collections::BTreeSet;

use bytes::Bytes;
use xp_domain_sdk::host::Outcome;
use xp_protocol::events::{Attachment, Awaiter, ChainLink, Change, Tell};
use xp_protocol::inbound::TellContent;
use xp_protocol::outbound::{Item, Recipients};
use xp_protocol::{Address, CloseCode, ConnectionId, LanePartition, Revision, TicketId, TimeMs};

use crate::entity::{Entity, Session};
use crate::trigger::Trigger;

pub use answer::{Failure, answer_item, failure_item, stored};
pub use deliveries::{Deliveries, chain_records, frames_for, outbound, socket};

/// A commit without a log position: everything one message does to one entity.
#[derive(Debug)]
pub struct Draft {
    /// What caused it, and what the decision knew besides.
    pub trigger: Trigger,
    /// The entity's revision after it.
    pub revision: Revision,
    /// The encoded events.
    pub events: Bytes,
    /// How many they are.
    pub event_count: u32,
    /// What becomes of sessions, timers, tickets and conversations.
    pub changes: Vec<Change>,
    /// What is delivered by the chain.
    pub shown: Deliveries,
    /// What may be lost: it leaves through the gate and is not logged.
    pub volatile: Deliveries,
    /// Tells to other entities, not numbered yet.
    pub tells: Vec<NewTell>,
    /// Whether the entity ends behind all of this (R49).
    pub ends: bool,
    /// What follows the commit outside the chain.
    pub after: Option<After>,
    /// Who hears of it when the message fails.
    pub awaiter: Option<Awaiter>,
}

/// A tell to another entity, not numbered yet.
#[derive(Debug)]
pub struct NewTell {
    /// Who is told.
    pub to: Address,
    /// A signal, or the answer to an `ask`.
    pub what: TellContent,
    /// The signal or answer.
    pub payload: Bytes,
}

/// What follows a commit outside the chain, rendered from the state after it (R31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The session starts from a fresh view.
    Welcome(ConnectionId),
    /// The session goes on behind this revision.
    Resume(ConnectionId, Revision),
    /// The session's socket, which is not accepted yet, is closed: the entity is over.
    Close(ConnectionId),
}

impl Draft {
    /// A draft without effects.
    #[must_use]
    pub fn new(trigger: Trigger, revision: Revision) -> Self {
        Self {
            trigger,
            revision,
            events: Bytes::new(),
            event_count: 0,
            changes: Vec::new(),
            shown: Deliveries::default(),
            volatile: Deliveries::default(),
            tells: Vec::new(),
            ends: false,
            after: None,
            awaiter: None,
        }
    }

    /// Closes a session's socket inside the chain (R23).
    pub fn close(&mut self, session: &Session, code: CloseCode) {
        self.shown.to_session(session, Item::Close { code }, &[]);
    }

    /// R49: the entity ends, behind what is in the draft so far. Sessions are remembered `until` then.
    pub fn end(&mut self, entity: &Entity, until: TimeMs) {
        self.answer_askers(entity);
        if !entity.is_unwatched() {
            let code = CloseCode::Terminated;
            let to = Recipients::Everybody;
            self.shown.push(None, to, Item::Close { code }, &[]);
        }
        self.after = self.after.map(|after| match after {
            After::Welcome(session) | After::Resume(session, _) | After::Close(session) => {
                After::Close(session)
            }
        });
        self.changes.push(Change::EntityEnded { until });
    }

    /// Other entities that wait for an answer hear that there is none.
    fn answer_askers(&mut self, entity: &Entity) {
        let tickets = entity.runtime.busy.iter().flat_map(|busy| &busy.tickets);
        for (ticket, open) in tickets {
            if let Awaiter::Entity {
                address,
                conversation,
            } = &open.awaiter
                && !self.changes.contains(&Change::TicketClosed(*ticket))
            {
                self.answer_entity(address.clone(), *conversation, Outcome::Fault);
            }
        }
    }

    /// The socket with which a session would begin.
    #[must_use]
    pub fn begins(&self) -> Option<&Attachment> {
        self.changes.iter().find_map(|change| match change {
            Change::SessionBegun(socket) => Some(&**socket),
            _ => None,
        })
    }

    /// The chains this draft must continue: those of everybody who sees it.
    #[must_use]
    pub fn links(&self, entity: &Entity) -> Vec<ChainLink> {
        let shown = &self.shown.list;
        let common = shown.iter().any(|routed| routed.partition.is_none());
        let named: BTreeSet<_> = shown.iter().filter_map(|routed| routed.partition).collect();
        let busy = entity.runtime.busy.as_ref();
        let last = |at| Some(*busy?.chain.get(&at)?);
        entity
            .watched_from()
            .into_iter()
            .filter(|partition| common || named.contains(partition))
            .map(|partition| ChainLink {
                partition,
                prev: last(partition).unwrap_or_default(),
            })
            .collect()
    }

    /// Numbers the tells and gives the draft its log position. `number` gives the next number for a target.
    #[must_use]
    pub fn tells(
        &self,
        from: &Address,
        mut number_of: impl FnMut(&Address) -> Option<(LanePartition, u64)>,
    ) -> Vec<Tell> {
        let numbered = |word: &NewTell| {
            let (target, number) = number_of(&word.to)?;
            Some(Tell {
                target,
                number,
                from: from.clone(),
                to: word.to.clone(),
                what: word.what.clone(),
                payload: word.payload.clone(),
            })
        };
        self.tells.iter().filter_map(numbered).collect()
    }
}

/// The ticket that a message at this revision would open: one per commit, so that the revision names it.
#[must_use]
pub fn ticket_at(revision: Revision) -> TicketId {
    TicketId(revision.0)
}
