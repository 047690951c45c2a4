//! An entity decides, and what it decided is carried out.

use xp_protocol::{Address, TicketId};

use super::super::actor::{Asking, Ticket, Waiter};
use super::super::broken::Broken;
use super::super::observed::{Received, SentTell};
use super::{Delivery, TURNS_AT_ONCE_MAX, World, later, scene};
use crate::host::{Decided, Fault, Input, Outcome, Reply, Tell};

impl World {
    pub(super) fn turn(
        &mut self,
        entity: &Address,
        input: &Input<'_>,
        waiter: Waiter,
    ) -> Result<(), Broken> {
        match self.decide(entity, input)? {
            (ticket, Ok(decided)) => self.carry_out(entity, ticket, waiter, decided),
            (_, Err(fault)) => {
                self.faulted(entity, waiter, fault);
                Ok(())
            }
        }
    }

    pub(super) fn decide(
        &mut self,
        entity: &Address,
        input: &Input<'_>,
    ) -> Result<(TicketId, Result<Decided, Fault>), Broken> {
        self.turns += 1;
        self.turns_at_once += 1;
        if self.turns_at_once > TURNS_AT_ONCE_MAX {
            return Err(Broken(format!(
                "more than {TURNS_AT_ONCE_MAX} turns without time passing: do timers or entities keep each other busy?"
            )));
        }
        let (seed, now) = (self.turns, self.now);
        let actor = self.stage(entity);
        let scene = scene(actor, now, seed);
        Ok((scene.ticket, actor.decide(input, &scene)?))
    }

    pub(super) fn carry_out(
        &mut self,
        entity: &Address,
        ticket: TicketId,
        waiter: Waiter,
        decided: Decided,
    ) -> Result<(), Broken> {
        let now = self.now;
        let actor = self.stage(entity);
        actor.touched = now;
        if let Err(fault) = actor.commit(&decided)? {
            self.faulted(entity, waiter, fault);
            return Ok(());
        }
        let events = if decided.event_count == 0 {
            Vec::new()
        } else {
            actor.kind.split(&decided.events)
        };
        for (name, set) in decided.timers {
            match set {
                Some(timer) => actor.timers.insert(name, timer),
                None => actor.timers.remove(&name),
            };
        }
        self.observed.committed(entity, events, decided.shows);
        self.reply(entity, ticket, waiter, decided.reply);
        for (ticket, outcome) in decided.answers {
            self.answer_ticket(entity, ticket, outcome)?;
        }
        for tell in decided.tells {
            self.speak(entity, tell);
        }
        for connection in decided.terminate {
            self.mail.send_at_once(Delivery::Terminated {
                entity: entity.clone(),
                connection,
            });
        }
        if decided.ends {
            self.end(entity);
        }
        Ok(())
    }

    /// The entity is over, and with it every session. Nobody is asked about them.
    pub(super) fn end(&mut self, entity: &Address) {
        let actor = self.stage(entity);
        let open = |(ticket, state): (&TicketId, &Ticket)| {
            matches!(state, Ticket::Open { .. }).then_some(*ticket)
        };
        let tickets: Vec<_> = actor.tickets.iter().filter_map(open).collect();
        let sessions: Vec<_> = actor.members.keys().copied().collect();
        actor.start_over();
        for connection in sessions {
            self.graces.remove(entity, connection);
            self.observed.session_ended(connection);
        }
        for ticket in tickets {
            self.unanswered(entity, ticket);
        }
        self.observed.entity_ended(entity);
    }

    pub(super) fn speak(&mut self, from: &Address, tell: Tell) {
        let Tell {
            to,
            signal,
            continuation,
        } = tell;
        let asked = continuation.is_some();
        let life = self.stage(from).life;
        let asking = continuation.map(|continuation| Asking { continuation, life });
        self.observed.told(SentTell {
            from: from.clone(),
            to: to.clone(),
            signal: signal.clone(),
            asked,
        });
        self.mail.send(Delivery::Tell {
            from: from.clone(),
            to,
            signal,
            asking,
        });
    }

    pub(super) fn reply(
        &mut self,
        entity: &Address,
        ticket: TicketId,
        waiter: Waiter,
        reply: Reply,
    ) {
        let due = later(self.now, self.ticket_timeout);
        let state = match (reply, waiter) {
            (_, Waiter::Nobody) => Ticket::Void,
            (Reply::Later, waiter) => Ticket::Open { waiter, due },
            (Reply::Now(outcome), waiter) => {
                self.give(entity, waiter, outcome);
                Ticket::Answered
            }
        };
        self.stage(entity).tickets.insert(ticket, state);
    }

    pub(super) fn answer_ticket(
        &mut self,
        entity: &Address,
        ticket: TicketId,
        outcome: Outcome,
    ) -> Result<(), Broken> {
        match self.stage(entity).tickets.get_mut(&ticket) {
            Some(open @ Ticket::Open { .. }) => {
                let Ticket::Open { waiter, .. } = std::mem::replace(open, Ticket::Answered) else {
                    unreachable!("it was open a line ago")
                };
                self.give(entity, waiter, outcome);
                Ok(())
            }
            Some(Ticket::Void) => Ok(()),
            Some(Ticket::Answered) => Err(Broken(format!(
                "{entity} answers the ticket {ticket} twice"
            ))),
            None => Err(Broken(format!(
                "{entity} answers the ticket {ticket}, which it never had"
            ))),
        }
    }

    pub(super) fn give(&mut self, from: &Address, waiter: Waiter, outcome: Outcome) {
        match waiter {
            Waiter::Asker { entity: to, asking } => {
                self.mail.send(Delivery::Answer {
                    from: from.clone(),
                    to,
                    asking,
                    outcome,
                });
            }
            waiter => self.hear(waiter, Received::Answer(outcome)),
        }
    }

    pub(super) fn hear(&mut self, waiter: Waiter, received: Received) {
        let (message, by) = match waiter {
            Waiter::Client(connection, message) => (message, Some(connection)),
            Waiter::Test(message) => (message, None),
            Waiter::Nobody | Waiter::Asker { .. } => return,
        };
        self.observed.answered(message, by, received);
    }

    pub(super) fn faulted(&mut self, entity: &Address, waiter: Waiter, fault: Fault) {
        self.observed.faulted(entity, fault.clone());
        match waiter {
            Waiter::Asker { .. } => self.give(entity, waiter, Outcome::Fault),
            waiter => self.hear(waiter, Received::Fault(fault)),
        }
    }
}
