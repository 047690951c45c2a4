//! Timers: the domain's, and those by which sessions and tickets end.

use xp_domain_sdk::host::{Fault, Input, Origin};
use xp_protocol::events::{Change, TimerKey};
use xp_protocol::{FaultCode, TicketId};

use super::effects::Drafting;
use super::{Turn, Turned, unread};
use crate::entity::{Busy, Entity};

impl Turn<'_> {
    /// A timer that is due, by its key.
    pub fn timer(self, entity: &Entity, key: &TimerKey) -> Turned {
        // R44: it stays due.
        if self.takes_nothing(entity) {
            return Turned::Nothing;
        }
        match key {
            TimerKey::Parked => return self.unpark(entity),
            TimerKey::Retention => return self.expire(entity),
            _ => {}
        }
        let Some(busy) = entity.runtime.busy.as_deref() else {
            return Turned::Nothing;
        };
        let mut draft = self.draft(entity);
        let mut drafting = self.drafting(entity, &mut draft);
        let fired = match key {
            TimerKey::Domain(name) => match drafting.domain_timer(busy, name) {
                Ok(fired) => fired,
                Err(fault) => return unread(fault, Turned::Nothing),
            },
            TimerKey::Ticket(ticket) => drafting.unanswered(busy, *ticket),
            TimerKey::Grace(connection) => {
                let session = busy.sessions.get(connection);
                session.map(|session| drafting.end(session))
            }
            TimerKey::Forget(connection) => {
                let forgotten = Change::SessionForgotten(*connection);
                drafting.draft.changes.push(forgotten);
                Some(())
            }
            TimerKey::Parked | TimerKey::Retention => None,
        };
        match fired {
            Some(()) => Turned::Commit(Box::new(draft)),
            None => Turned::Nothing,
        }
    }

    /// R49: nobody has used the entity for as long as its category keeps such ones.
    fn expire(&self, entity: &Entity) -> Turned {
        let until = entity.retained_until(self.host);
        if until.is_none_or(|until| until > self.trigger.now()) {
            return Turned::Nothing;
        }
        let mut draft = self.draft(entity);
        draft.ends = true;
        Turned::Commit(Box::new(draft))
    }
}

impl Drafting<'_> {
    fn domain_timer(&mut self, busy: &Busy, name: &str) -> Result<Option<()>, Fault> {
        let Some(timer) = busy.timers.get(name) else {
            return Ok(None);
        };
        self.draft.changes.push(Change::TimerCleared(name.into()));
        let input = Input::Signal {
            origin: Origin::Timer(name),
            payload: &timer.signal,
        };
        let decided = self.turn.hear(self.entity, &input)?;
        self.heard(decided, None);
        Ok(Some(()))
    }

    /// A ticket that nobody answered in time.
    fn unanswered(&mut self, busy: &Busy, ticket: TicketId) -> Option<()> {
        let open = busy.tickets.get(&ticket)?;
        self.draft.changes.push(Change::TicketClosed(ticket));
        let awaiter = Some(open.awaiter.clone());
        self.fault(awaiter, &FaultCode::Unanswered.into());
        Some(())
    }
}
