//! R44: an entity in quarantine takes nothing. What others told it and the ends of its sockets are parked in order, and
//! delivered once it is sound, each as a commit of its own; clients are sent away and come back.

use bytes::Bytes;
use xp_protocol::events::{Change, Ending, Parked, Waiting};
use xp_protocol::inbound::TellContent;
use xp_protocol::rules::Rule;
use xp_protocol::{Address, CloseCode, ConnectionId, DialAttempt, LanePartition};

use super::refusal::close;
use super::{Incoming, Turn, Turned, unread};
use crate::entity::{Entity, Session};

impl Turn<'_> {
    /// Whether the entity takes nothing now.
    pub(super) fn takes_nothing(&self, entity: &Entity) -> bool {
        entity.is_quarantined() && self.rules.holds(Rule::Parking)
    }

    /// Whether another entity's tell must wait: also behind those that wait already.
    pub(super) fn parks(&self, entity: &Entity) -> bool {
        entity.parks() && self.rules.holds(Rule::Parking)
    }

    /// A client's message is not taken. Its socket is closed, so that the client comes back and says it again (R32).
    pub(super) fn send_away(&self, entity: &Entity, said: &Incoming<'_>) -> Turned {
        said.session(entity).map_or(Turned::Nothing, send_away)
    }

    /// R34, R44: another entity's tell is taken and waits. At the bound, and where the entity is lost so that nothing can be
    /// recorded for it, it is not taken: its source says it again and again, and tells this partition nothing else
    /// meanwhile.
    pub(super) fn park_tell(
        self,
        entity: &Entity,
        (source, number): (LanePartition, u64),
        from: &Address,
        what: &TellContent,
        payload: &[u8],
    ) -> Turned {
        if entity.is_lost() {
            return Turned::Nothing;
        }
        let parked = &entity.runtime.parked;
        let bytes = entity.runtime.parked_bytes() + payload.len();
        if parked.len() >= self.limits.quarantine.parked_max
            || bytes > self.limits.quarantine.parked_bytes_max.bytes()
        {
            tracing::debug!(entity = %self.address, %from, "a tell waits at its source, because as many as may be are parked");
            return Turned::Nothing;
        }
        let told = Waiting::Told {
            from: from.clone(),
            what: what.clone(),
            payload: Bytes::copy_from_slice(payload),
        };
        self.park(entity, Some(Change::TellTaken { source, number }), told)
    }

    /// The end of a socket waits, once.
    pub(super) fn park_disconnect(
        self,
        entity: &Entity,
        connection: ConnectionId,
        attempt: DialAttempt,
        why: Ending,
    ) -> Turned {
        let session = entity.runtime.session(connection);
        let concerns = session.is_some_and(|session| session.is_socket(attempt));
        let concerns = concerns && !entity.is_lost();
        if !concerns || entity.runtime.parks_disconnect(connection, attempt) {
            return Turned::Nothing;
        }
        let gone = Waiting::Disconnect {
            connection,
            attempt,
            why,
        };
        self.park(entity, None, gone)
    }

    fn park(self, entity: &Entity, taken: Option<Change>, what: Waiting) -> Turned {
        let mut draft = self.draft(entity);
        let at = draft.trigger.now();
        draft.changes.extend(taken);
        draft
            .changes
            .push(Change::Parked(Box::new(Parked { at, what })));
        Turned::Commit(Box::new(draft))
    }

    /// The first of what waits is delivered to an entity that is sound again.
    pub(super) fn unpark(self, entity: &Entity) -> Turned {
        let Some(Parked { what, .. }) = entity.runtime.parked.front() else {
            return Turned::Nothing;
        };
        let mut draft = self.draft(entity);
        draft.changes.push(Change::Unparked);
        match what {
            Waiting::Told {
                from,
                what,
                payload,
            } => {
                // It waits where it is.
                let mut drafting = self.drafting(entity, &mut draft);
                if let Err(fault) = drafting.take_tell(from, what, payload) {
                    return unread(fault, Turned::Nothing);
                }
            }
            Waiting::Disconnect {
                connection,
                attempt,
                why,
            } => {
                let mut drafting = self.drafting(entity, &mut draft);
                drafting.part_with(*connection, *attempt, *why);
            }
        }
        Turned::Commit(Box::new(draft))
    }
}

/// Closes a session's socket with a code by which it comes back.
pub(super) fn send_away(session: &Session) -> Turned {
    close(&session.socket, CloseCode::Quarantined)
}
