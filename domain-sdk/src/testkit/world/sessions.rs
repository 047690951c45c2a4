//! Sessions come and go.

use xp_protocol::{Address, ConnectionId, TicketId};

use super::super::actor::{Ticket, Waiter};
use super::super::broken::Broken;
use super::super::observed::Received;
use super::super::user::User;
use super::{World, scene};
use crate::host::{Input, Outcome, Reply, Termination};

impl World {
    /// A session begins, unless it is refused.
    pub(in crate::testkit) fn connect(
        &mut self,
        entity: &Address,
        user: &User,
    ) -> Result<(), Broken> {
        let message = self.next_message();
        let waiter = Waiter::Client(user.connection(), message);
        if let Err(fault) = self.stage(entity).attach(user) {
            self.faulted(entity, waiter, fault);
            return Ok(());
        }
        let connection = user.connection();
        let decided = match self.decide(entity, &Input::Connected(connection))? {
            (_, Ok(decided)) => decided,
            (_, Err(fault)) => {
                self.stage(entity).end(connection);
                self.faulted(entity, waiter, fault);
                return Ok(());
            }
        };
        if let Reply::Now(Outcome::Rejection(no)) = decided.reply {
            self.stage(entity).end(connection);
            self.hear(waiter, Received::Answer(Outcome::Rejection(no)));
            return Ok(());
        }
        self.carry_out(entity, TicketId(self.turns), waiter, decided)?;
        self.welcome(entity, connection)?;
        self.settle()
    }

    pub(in crate::testkit) fn welcome(
        &mut self,
        entity: &Address,
        by: ConnectionId,
    ) -> Result<(), Broken> {
        let (seed, now) = (self.turns, self.now);
        let actor = self.known(entity);
        let scene = scene(actor, now, seed);
        match actor.welcome(by, &scene)? {
            Ok(shown) => self.observed.welcomed(shown),
            Err(fault) => self.observed.faulted(entity, fault),
        }
        Ok(())
    }

    pub(in crate::testkit) fn disconnect(
        &mut self,
        entity: &Address,
        connection: ConnectionId,
    ) -> Result<(), Broken> {
        self.turn(entity, &Input::Disconnected(connection), Waiter::Nobody)?;
        if self.stage(entity).members.contains_key(&connection) {
            self.stage(entity).detach(connection);
            self.graces.begin(entity, connection, self.now);
        }
        self.settle()
    }

    pub(in crate::testkit) fn reconnect(
        &mut self,
        entity: &Address,
        user: &User,
    ) -> Result<(), Broken> {
        let connection = user.connection();
        self.turn(entity, &Input::Reconnected(connection), Waiter::Nobody)?;
        let has_ended = !self.stage(entity).members.contains_key(&connection);
        if !has_ended && let Err(fault) = self.stage(entity).attach(user) {
            self.observed.faulted(entity, fault);
        }
        self.graces.remove(entity, connection);
        self.settle()
    }

    pub(in crate::testkit) fn terminate(
        &mut self,
        entity: &Address,
        connection: ConnectionId,
        why: Termination,
    ) -> Result<(), Broken> {
        // R26: a session ends once, whatever else wanted to end it meanwhile.
        if !self.stage(entity).members.contains_key(&connection) {
            return Ok(());
        }
        self.graces.remove(entity, connection);
        self.turn(entity, &Input::Terminated(connection, why), Waiter::Nobody)?;
        if !self.stage(entity).members.contains_key(&connection) {
            return Ok(());
        }
        self.stage(entity).end(connection);
        self.observed.session_ended(connection);
        self.void_tickets_of(entity, connection);
        Ok(())
    }

    /// R33: open tickets end with their session.
    pub(super) fn void_tickets_of(&mut self, entity: &Address, connection: ConnectionId) {
        let held = self
            .stage(entity)
            .tickets
            .iter()
            .filter_map(|(ticket, state)| match state {
                Ticket::Open {
                    waiter: Waiter::Client(by, _),
                    ..
                } if *by == connection => Some(*ticket),
                _ => None,
            });
        for ticket in held.collect::<Vec<_>>() {
            self.unanswered(entity, ticket);
        }
    }
}
