//! The draft of a turn: what a decision wants, written into it.

use bytes::Bytes;
use xp_domain_sdk::host::{Decided, Input, Outcome, Reply, Tell};
use xp_protocol::events::{Awaiter, Change, Ending};
use xp_protocol::inbound::TellContent;
use xp_protocol::{CloseCode, ConnectionId, TicketId, TimeMs};

use super::Turn;
use crate::draft::{Draft, Failure, NewTell, stored, ticket_at};
use crate::entity::Entity;

/// So many bits of a conversation's name say which it is of its commit; there is no room in a record for more.
const CONVERSATION_BITS: u32 = 20;

/// A draft being written by a turn about an entity.
pub(super) struct Drafting<'t> {
    pub(super) turn: &'t Turn<'t>,
    pub(super) entity: &'t Entity,
    pub(super) draft: &'t mut Draft,
}

impl Drafting<'_> {
    /// A handler of the session's life, which cannot refuse: a fault in it leaves the change standing.
    pub(super) fn lifecycle(&mut self, input: &Input<'_>) {
        if let Ok(decided) = self.turn.decide(self.entity, input) {
            self.effects(decided);
        }
    }

    /// The effects of a decision and the answer to its message, now or from a ticket.
    pub(super) fn answered(&mut self, decided: Decided, awaiter: Option<Awaiter>) {
        let reply = decided.reply.clone();
        self.effects(decided);
        match (awaiter, reply) {
            (Some(awaiter), Reply::Later) => self.open_ticket(awaiter),
            (Some(awaiter), Reply::Now(outcome)) => self.settle(awaiter, outcome),
            (None, _) => {}
        }
    }

    /// The same for a decision that may have failed.
    pub(super) fn heard(&mut self, decided: Result<Decided, Failure>, awaiter: Option<Awaiter>) {
        match decided {
            Ok(decided) => self.answered(decided, awaiter),
            Err(failure) => self.fault(awaiter, &failure),
        }
    }

    fn open_ticket(&mut self, awaiter: Awaiter) {
        let until = self
            .turn
            .trigger
            .now()
            .plus_ms(self.turn.limits.ticket.ms());
        let ticket = ticket_at(self.draft.revision);
        if !self.draft.changes.contains(&Change::TicketClosed(ticket)) {
            self.draft.changes.push(Change::TicketOpened {
                ticket,
                awaiter,
                until,
            });
        }
    }

    /// Gives an awaiter its answer.
    fn settle(&mut self, awaiter: Awaiter, outcome: Outcome) {
        let (runtime, draft) = (&self.entity.runtime, &mut *self.draft);
        match awaiter {
            Awaiter::Session { connection, n } => {
                let text = self.turn.host.is_text();
                draft.answer_session(runtime, text, connection, n, stored(&outcome));
            }
            Awaiter::Entity {
                address,
                conversation,
            } => draft.answer_entity(address, conversation, outcome),
        }
    }

    /// Gives an awaiter the fault of its message, or of what it waited for.
    pub(super) fn fault(&mut self, awaiter: Option<Awaiter>, failure: &Failure) {
        let (runtime, draft) = (&self.entity.runtime, &mut *self.draft);
        match awaiter {
            Some(Awaiter::Session { connection, n }) => {
                draft.fail_session(runtime, connection, n, failure);
            }
            Some(Awaiter::Entity {
                address,
                conversation,
            }) => {
                draft.answer_entity(address, conversation, Outcome::Fault);
            }
            None => {}
        }
    }

    /// Everything a decision wants but the answer to its own message.
    pub(super) fn effects(&mut self, decided: Decided) {
        let (entity, draft) = (self.entity, &mut *self.draft);
        draft.events = decided.events;
        draft.event_count = decided.event_count;
        draft.show(self.turn.host, entity, &decided.shows);
        draft
            .changes
            .extend(decided.timers.into_iter().map(timer_change));
        tell(entity, draft, decided.tells);
        draft.ends |= decided.ends;
        self.answer_tickets(decided.answers);
        self.terminate(&decided.terminate);
    }

    fn answer_tickets(&mut self, answers: Vec<(TicketId, Outcome)>) {
        for (ticket, outcome) in answers {
            let busy = self.entity.runtime.busy.as_ref();
            let Some(open) = busy.and_then(|busy| busy.tickets.get(&ticket)) else {
                tracing::warn!(entity = %self.turn.address, %ticket, "a ticket was answered that is not open");
                continue;
            };
            self.draft.changes.push(Change::TicketClosed(ticket));
            self.settle(open.awaiter.clone(), outcome);
        }
    }

    fn terminate(&mut self, connections: &[ConnectionId]) {
        for connection in connections {
            let session = self.entity.runtime.session(*connection);
            let Some(session) = session.filter(|session| session.is_live()) else {
                continue;
            };
            if session.is_attached() {
                self.draft.close(session, CloseCode::Terminated);
            }
            let detached = self.turn.detached(*connection, Ending::ByEntity);
            self.draft.changes.push(detached);
        }
    }
}

fn timer_change((name, timer): (String, Option<(TimeMs, Bytes)>)) -> Change {
    let name = name.into();
    match timer {
        Some((due, signal)) => Change::TimerSet { name, due, signal },
        None => Change::TimerCleared(name),
    }
}

/// Tells to other entities; those that ask are named, so that the answer finds its continuation.
fn tell(entity: &Entity, draft: &mut Draft, tells: Vec<Tell>) {
    let busy = entity.runtime.busy.as_ref();
    let last = busy.map_or(0, |busy| busy.conversation);
    // An answer to a life that has ended must not be taken for one to this life (R49), and revisions never come again.
    let mut last = last.max(draft.revision.0 << CONVERSATION_BITS);
    for tell in tells {
        let conversation = tell.continuation.map(|continuation| {
            last += 1;
            draft.changes.push(Change::Asked {
                conversation: last,
                continuation,
            });
            last
        });
        draft.tells.push(NewTell {
            to: tell.to,
            what: TellContent::Signal { conversation },
            payload: tell.signal,
        });
    }
}
