//! What a decision wants, written into the draft.

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

impl Turn<'_> {
    /// A handler of the session's life, which cannot refuse: a fault in it leaves the change standing.
    pub(super) fn lifecycle(&self, entity: &Entity, draft: &mut Draft, input: &Input<'_>) {
        if let Ok(decided) = self.decide(entity, input) {
            self.effects(entity, draft, decided);
        }
    }

    /// The effects of a decision and the answer to its message, now or from a ticket.
    pub(super) fn answered(
        &self,
        entity: &Entity,
        draft: &mut Draft,
        decided: Decided,
        awaiter: Option<Awaiter>,
    ) {
        let reply = decided.reply.clone();
        self.effects(entity, draft, decided);
        match (awaiter, reply) {
            (Some(awaiter), Reply::Later) => self.open_ticket(draft, awaiter),
            (Some(awaiter), Reply::Now(outcome)) => self.settle(entity, draft, awaiter, outcome),
            (None, _) => {}
        }
    }

    fn open_ticket(&self, draft: &mut Draft, awaiter: Awaiter) {
        let until = self.now.plus_ms(self.limits.ticket_ms);
        let ticket = ticket_at(draft.revision);
        if !draft.changes.contains(&Change::TicketClosed(ticket)) {
            draft.changes.push(Change::TicketOpened {
                ticket,
                awaiter,
                until,
            });
        }
    }

    /// Gives an awaiter its answer.
    fn settle(&self, entity: &Entity, draft: &mut Draft, awaiter: Awaiter, outcome: Outcome) {
        match awaiter {
            Awaiter::Session { connection, n } => {
                let text = self.host.is_text();
                draft.answer_session(&entity.runtime, text, connection, n, stored(&outcome));
            }
            Awaiter::Entity {
                address,
                conversation,
            } => draft.answer_entity(address, conversation, outcome),
        }
    }

    pub(super) fn fault(
        &self,
        entity: &Entity,
        draft: &mut Draft,
        awaiter: Option<Awaiter>,
        failure: &Failure,
    ) {
        match awaiter {
            Some(Awaiter::Session { connection, n }) => {
                draft.fail_session(&entity.runtime, connection, n, failure);
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
    pub(super) fn effects(&self, entity: &Entity, draft: &mut Draft, decided: Decided) {
        draft.events = decided.events;
        draft.event_count = decided.event_count;
        draft.show(self.host, entity, &decided.shows);
        draft
            .changes
            .extend(decided.timers.into_iter().map(timer_change));
        tell(entity, draft, decided.tells);
        self.answer_tickets(entity, draft, decided.answers);
        self.terminate(entity, draft, &decided.terminate);
        draft.ends |= decided.ends;
    }

    fn answer_tickets(
        &self,
        entity: &Entity,
        draft: &mut Draft,
        answers: Vec<(TicketId, Outcome)>,
    ) {
        for (ticket, outcome) in answers {
            let busy = entity.runtime.busy.as_ref();
            let Some(open) = busy.and_then(|busy| busy.tickets.get(&ticket)) else {
                tracing::warn!(entity = %self.address, %ticket, "a ticket was answered that is not open");
                continue;
            };
            draft.changes.push(Change::TicketClosed(ticket));
            self.settle(entity, draft, open.awaiter.clone(), outcome);
        }
    }

    fn terminate(&self, entity: &Entity, draft: &mut Draft, connections: &[ConnectionId]) {
        for connection in connections {
            let Some(session) = entity.runtime.session(*connection).filter(|s| s.is_live()) else {
                continue;
            };
            if session.is_attached() {
                draft.close(session, CloseCode::Terminated);
            }
            let detached = self.detached(*connection, Ending::ByEntity);
            draft.changes.push(detached);
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

/// Words to other entities; those that ask are named, so that the answer finds its continuation.
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
