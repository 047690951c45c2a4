//! Timers: the domain's, and those by which sessions and tickets end.

use xp_domain_sdk::host::{Fault, Input, Origin};
use xp_protocol::events::{Change, TimerKey};
use xp_protocol::{FaultCode, TicketId};

use super::{Turn, Turned, unread};
use crate::draft::Draft;
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
        let fired = match key {
            TimerKey::Domain(name) => match self.domain_timer(entity, busy, &mut draft, name) {
                Ok(fired) => fired,
                Err(fault) => return unread(fault, Turned::Nothing),
            },
            TimerKey::Ticket(ticket) => self.unanswered(entity, busy, &mut draft, *ticket),
            TimerKey::Grace(connection) => busy.sessions.get(connection).map(|session| {
                self.end(entity, &mut draft, session);
            }),
            TimerKey::Forget(connection) => {
                draft.changes.push(Change::SessionForgotten(*connection));
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
        if until.is_none_or(|until| until > self.now) {
            return Turned::Nothing;
        }
        let mut draft = self.draft(entity);
        draft.ends = true;
        Turned::Commit(Box::new(draft))
    }

    fn domain_timer(
        &self,
        entity: &Entity,
        busy: &Busy,
        draft: &mut Draft,
        name: &str,
    ) -> Result<Option<()>, Fault> {
        let Some(timer) = busy.timers.get(name) else {
            return Ok(None);
        };
        draft.changes.push(Change::TimerCleared(name.into()));
        let input = Input::Signal {
            origin: Origin::Timer(name),
            payload: &timer.signal,
        };
        match self.hear(entity, &input)? {
            Ok(decided) => self.answered(entity, draft, decided, None),
            Err(failure) => self.fault(entity, draft, None, &failure),
        }
        Ok(Some(()))
    }

    /// A ticket that nobody answered in time.
    fn unanswered(
        &self,
        entity: &Entity,
        busy: &Busy,
        draft: &mut Draft,
        ticket: TicketId,
    ) -> Option<()> {
        let open = busy.tickets.get(&ticket)?;
        draft.changes.push(Change::TicketClosed(ticket));
        let awaiter = Some(open.awaiter.clone());
        let failure = FaultCode::Unanswered.into();
        self.fault(entity, draft, awaiter, &failure);
        Some(())
    }
}
