//! Time passes.

use std::time::Duration;

use xp_protocol::{Address, TicketId, TimeMs};

use super::super::actor::{Ticket, Waiter};
use super::super::broken::Broken;
use super::super::observed::Received;
use super::{Due, OpenAsk, UNANSWERED, World, later};
use crate::host::{Fault, Input, Origin, Outcome, Termination};

impl World {
    /// Lets time pass; what falls due happens at its time.
    pub(in crate::testkit) fn advance(&mut self, duration: Duration) -> Result<(), Broken> {
        let end = later(self.now, duration);
        while let Some((time, due)) = self.next_due().filter(|(time, _)| *time <= end) {
            if time > self.now {
                self.now = time;
                self.turns_at_once = 0;
            }
            self.fall_due(due)?;
            self.settle()?;
        }
        self.now = end;
        Ok(())
    }

    pub(super) fn next_due(&self) -> Option<(TimeMs, Due)> {
        let timers = self.actors.values().flat_map(|actor| {
            let due = |name: &String| Due::Timer(actor.address.clone(), name.clone());
            actor
                .timers
                .iter()
                .map(move |(name, (time, _))| (*time, due(name)))
        });
        let tickets = self.actors.values().flat_map(|actor| {
            actor
                .tickets
                .iter()
                .filter_map(|(ticket, state)| match state {
                    Ticket::Open { due, .. } => {
                        Some((*due, Due::Ticket(actor.address.clone(), *ticket)))
                    }
                    Ticket::Answered | Ticket::Void => None,
                })
        });
        let graces = self.graces.iter();
        let graces =
            graces.map(|(entity, connection, end)| (end, Due::Grace(entity.clone(), connection)));
        let retained = self.actors.values().filter_map(|actor| {
            let asks = |ask: &OpenAsk| ask.from == actor.address;
            let until = actor.retained_until()?;
            let is_used = self.open_asks.iter().any(asks);
            (!is_used).then(|| (until, Due::Retention(actor.address.clone())))
        });
        timers
            .chain(tickets)
            .chain(graces)
            .chain(retained)
            .min_by_key(|(time, _)| *time)
    }

    pub(super) fn fall_due(&mut self, due: Due) -> Result<(), Broken> {
        match due {
            Due::Timer(entity, name) => {
                let timer = self.stage(&entity).timers.remove(&name);
                let (_, signal) = timer.expect("it was found a moment ago");
                let origin = Origin::Timer(&name);
                self.turn(
                    &entity,
                    &Input::Signal {
                        origin,
                        payload: &signal,
                    },
                    Waiter::Nobody,
                )
            }
            Due::Grace(entity, connection) => {
                self.terminate(&entity, connection, Termination::Expired)
            }
            Due::Retention(entity) => {
                self.end(&entity);
                Ok(())
            }
            Due::Ticket(entity, ticket) => {
                self.unanswered(&entity, ticket);
                let fault = Fault::Misuse(format!("{UNANSWERED} for {:?}", self.ticket_timeout));
                self.observed.faulted(&entity, fault);
                Ok(())
            }
        }
    }

    pub(super) fn unanswered(&mut self, entity: &Address, ticket: TicketId) {
        let former = self.stage(entity).tickets.insert(ticket, Ticket::Void);
        let Some(Ticket::Open { waiter, .. }) = former else {
            return;
        };
        match waiter {
            Waiter::Asker { .. } => self.give(entity, waiter, Outcome::Fault),
            waiter => self.hear(waiter, Received::Unanswered),
        }
    }
}
