//! A session's life: it begins, loses its socket, has one again, and ends once (R23, R26, R27).

use bytes::Bytes;
use xp_domain_sdk::host::{
    Audience, Decided, Fault, Input, Outcome, Reply, RosterChange, Show, Termination,
};
use xp_protocol::events::{Answer, Attachment, Awaiter, Change, Ending};
use xp_protocol::rules::Rule;
use xp_protocol::{
    CloseCode, ConnectionId, DialAttempt, FaultCode, MessageNumber, Revision, TicketId,
};

use super::effects::Drafting;
use super::parked::send_away;
use super::refusal::{No, close, refuse};
use super::{Turn, Turned};
use crate::draft::{After, Failure};
use crate::entity::{Entity, Phase, Session, attached};

impl Turn<'_> {
    /// R26, R27: a socket wants in. `since` is what its client saw last.
    pub fn connect(
        self,
        entity: &mut Entity,
        wanted: Attachment,
        since: Option<Revision>,
    ) -> Turned {
        if self.takes_nothing(entity) {
            return close(&wanted, CloseCode::Quarantined);
        }
        let known = entity.runtime.session(wanted.connection).cloned();
        match &known {
            None if since.is_some() => close(&wanted, CloseCode::SessionExpired),
            None if self.is_crowded(entity, &wanted) => {
                close(&wanted, CloseCode::TooManyConnections)
            }
            None => self.begin(entity, wanted),
            Some(session) if session.socket.subject != wanted.subject => {
                close(&wanted, CloseCode::ForeignConnection)
            }
            Some(session) if self.is_late(session, &wanted) => Turned::Nothing,
            Some(session) if is_over(session, &wanted, since) => {
                close(&wanted, CloseCode::Terminated)
            }
            Some(session) if !session.is_live() => self.begin(entity, wanted),
            Some(session) => self.attach(entity, session, wanted, since),
        }
    }

    /// R27: a late Connect of a socket that was replaced must not take the session from the one that has it. Where
    /// nobody has it, it comes in: a client whose clock was put right counts from below, and could not return before
    /// the session is forgotten. If it is late all the same, its edge has dropped the socket, and is asked.
    fn is_late(&self, session: &Session, wanted: &Attachment) -> bool {
        session.is_attached()
            && !session.is_before(wanted.attempt)
            && self.rules.holds(Rule::Attempts)
    }

    /// Whether the entity remembers as many sessions as it may, of this subject or of everybody.
    fn is_crowded(&self, entity: &Entity, wanted: &Attachment) -> bool {
        let of_subject = entity.sessions_of(&wanted.subject);
        of_subject >= self.limits.sessions.per_subject
            || entity.runtime.session_count() >= self.limits.sessions.per_entity
    }

    /// The subject begins more entities than it may.
    pub fn too_fast(self, wanted: &Attachment) -> Turned {
        close(wanted, CloseCode::TooFast)
    }

    fn begin(self, entity: &mut Entity, wanted: Attachment) -> Turned {
        if let Err(fault) = entity.instance.roster(&attached(&wanted)) {
            let failure = self.faulted(&fault, "connect");
            leave(entity, wanted.connection);
            return self.refuse(entity, &wanted, &No::Fault(failure));
        }
        let connection = wanted.connection;
        match accepted(self.decide(entity, &Input::Connected(connection))) {
            Ok(decided) => {
                self.warn_of_whispers(&decided.shows, connection);
                let mut draft = self.draft(entity);
                draft.changes.push(Change::SessionBegun(Box::new(wanted)));
                draft.after = Some(After::Welcome(connection));
                self.drafting(entity, &mut draft).effects(decided);
                Turned::Commit(Box::new(draft))
            }
            Err(no) => {
                leave(entity, connection);
                self.refuse(entity, &wanted, &no)
            }
        }
    }

    /// A welcome takes the place of what `connected` shows, also of what it whispers to the newcomer.
    fn warn_of_whispers(&self, shows: &[Show], to: ConnectionId) {
        let whispered =
            |show: &Show| matches!(&show.to, Audience::Only(only) if only.contains(&to));
        if shows.iter().any(whispered) {
            tracing::warn!(entity = %self.address, "`connected` whispers to the newcomer, who sees its welcome instead; show it there");
        }
    }

    fn refuse(&self, entity: &Entity, wanted: &Attachment, no: &No) -> Turned {
        let revision = entity.runtime.revision;
        refuse(wanted, revision, self.host.is_text(), no)
    }

    fn attach(
        self,
        entity: &mut Entity,
        session: &Session,
        wanted: Attachment,
        since: Option<Revision>,
    ) -> Turned {
        let connection = wanted.connection;
        if let Err(fault) = readable(entity, session, &wanted) {
            let failure = self.faulted(&fault, "reconnect");
            return self.refuse(entity, &wanted, &No::Fault(failure));
        }
        let mut draft = self.draft(entity);
        if session.is_attached() {
            draft.close(session, CloseCode::Replaced);
        }
        draft
            .changes
            .push(Change::SessionAttached(Box::new(wanted)));
        let known = since.filter(|since| *since <= entity.runtime.revision);
        draft.after = Some(known.map_or(After::Welcome(connection), |since| {
            After::Resume(connection, since)
        }));
        let reconnected = Input::Reconnected(connection);
        self.drafting(entity, &mut draft).lifecycle(&reconnected);
        Turned::Commit(Box::new(draft))
    }

    /// R27, R28: a socket is gone.
    pub fn disconnect(
        self,
        entity: &Entity,
        connection: ConnectionId,
        attempt: DialAttempt,
        why: Ending,
    ) -> Turned {
        if self.takes_nothing(entity) {
            return self.park_disconnect(entity, connection, attempt, why);
        }
        let mut draft = self.draft(entity);
        let mut drafting = self.drafting(entity, &mut draft);
        drafting.part_with(connection, attempt, why);
        match draft.changes.is_empty() {
            true => Turned::Nothing,
            false => Turned::Commit(Box::new(draft)),
        }
    }

    pub(super) fn detached(&self, connection: ConnectionId, why: Ending) -> Change {
        let grace_ms = if why == Ending::Lost {
            self.limits.sessions.grace.ms()
        } else {
            0
        };
        Change::SessionDetached {
            connection,
            until: self.trigger.now().plus_ms(grace_ms),
            why,
        }
    }

    /// Other claims from a fresh token.
    pub fn claims(
        self,
        entity: &Entity,
        connection: ConnectionId,
        attempt: DialAttempt,
        claims: Bytes,
    ) -> Turned {
        let known = entity
            .runtime
            .session(connection)
            .filter(|s| s.is_socket(attempt));
        match known {
            // The claims of its next socket are as fresh.
            Some(session) if self.takes_nothing(entity) => send_away(session),
            Some(session) if session.socket.claims != claims => {
                let mut draft = self.draft(entity);
                draft
                    .changes
                    .push(Change::ClaimsChanged { connection, claims });
                Turned::Commit(Box::new(draft))
            }
            _ => Turned::Nothing,
        }
    }
}

impl Drafting<'_> {
    /// Detaches a session if `attempt` is its living socket.
    pub(super) fn part_with(
        &mut self,
        connection: ConnectionId,
        attempt: DialAttempt,
        why: Ending,
    ) {
        let known = self.entity.runtime.session(connection);
        let lives = |session: &&Session| {
            session.is_socket(attempt)
                || session.is_attached() && !self.turn.rules.holds(Rule::Attempts)
        };
        let Some(session) = known.filter(lives) else {
            return;
        };
        // R23: also for a socket that its own edge reported gone, since another one may have spoken.
        self.draft.close(session, CloseCode::ComeBack);
        self.draft.changes.push(self.turn.detached(connection, why));
        self.lifecycle(&Input::Disconnected(connection));
    }

    /// R26, R33: the session is over, once; open tickets of it are void.
    pub(super) fn end(&mut self, session: &Session) {
        let connection = session.socket.connection;
        let until = self
            .turn
            .trigger
            .now()
            .plus_ms(self.turn.limits.sessions.memory.ms());
        let terminated = Input::Terminated(connection, reason(session.phase));
        self.lifecycle(&terminated);
        for (ticket, n) in tickets_of(self.entity, connection) {
            if self.draft.changes.contains(&Change::TicketClosed(ticket)) {
                continue;
            }
            self.draft.changes.push(Change::TicketClosed(ticket));
            self.draft.changes.push(Change::Answered {
                connection,
                n,
                answer: Answer::Fault(FaultCode::Unanswered),
            });
        }
        self.draft
            .changes
            .push(Change::SessionEnded { connection, until });
    }
}

/// R49: whether a socket wants a session back that ended with its entity, or is the one that it had: whoever comes by
/// itself must not bring to life again what somebody has ended. A client that knows of no former session may.
fn is_over(session: &Session, wanted: &Attachment, since: Option<Revision>) -> bool {
    let is_back = since.is_some() || session.socket.attempt == wanted.attempt;
    session.has_ended_with_entity() && is_back
}

/// Whether the claims of a session's new socket can be read. The roster learns of them with the commit only; the claims of
/// the former one need not be readable any more.
fn readable(entity: &mut Entity, session: &Session, wanted: &Attachment) -> Result<(), Fault> {
    let read = entity.instance.roster(&attached(wanted));
    drop(entity.instance.roster(&attached(&session.socket)));
    if !session.is_attached() {
        let detached = RosterChange::Detached(wanted.connection);
        drop(entity.instance.roster(&detached));
    }
    read
}

fn leave(entity: &mut Entity, connection: ConnectionId) {
    let left = entity.instance.roster(&RosterChange::Ended(connection));
    left.expect("leaving the roster reads no bytes");
}

/// The decision of a `connected` that lets the session begin, or why it does not.
fn accepted(decided: Result<Decided, Failure>) -> Result<Decided, No> {
    match decided {
        Err(failure) => Err(No::Fault(failure)),
        Ok(Decided {
            reply: Reply::Now(Outcome::Rejection(no)),
            event_count: 0,
            ..
        }) => Err(No::Reject(no)),
        Ok(decided) => Ok(decided),
    }
}

fn reason(phase: Phase) -> Termination {
    match phase {
        Phase::Detached { why, .. } => match why {
            Ending::Left => Termination::Left,
            Ending::ByEntity => Termination::ByEntity,
            Ending::Lost => Termination::Expired,
        },
        Phase::Attached | Phase::Ended { .. } | Phase::EndedWithEntity { .. } => {
            Termination::Expired
        }
    }
}

/// The open tickets on which a session waits.
fn tickets_of(
    entity: &Entity,
    session: ConnectionId,
) -> impl Iterator<Item = (TicketId, MessageNumber)> {
    let tickets = entity.runtime.busy.iter().flat_map(|busy| &busy.tickets);
    tickets.filter_map(move |(ticket, open)| match open.awaiter {
        Awaiter::Session { connection, n } if connection == session => Some((*ticket, n)),
        _ => None,
    })
}
