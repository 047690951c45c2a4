//! The platform's own state about an entity: a fold over its commits, and part of its snapshot.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xp_protocol::events::{Answer, Attachment, Awaiter, Change, Parked, TimerKey, Waiting};
use xp_protocol::{
    ConnectionId, DialAttempt, FaultCode, MessageNumber, PartitionId, Revision, TicketId, TimeMs,
};

use super::session::{Floor, Phase, Session};

/// The platform's state about one entity, as the snapshot stores it. A fold over its commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// How many commits it has seen.
    pub revision: Revision,
    /// The time of the last commit; later decisions never see an earlier one.
    pub now: TimeMs,
    /// Whether it has recorded an event since it began or ended; otherwise it is forgotten with its last session.
    pub exists: bool,
    /// What most entities have none of.
    pub busy: Option<Box<Busy>>,
    /// What came while it was in quarantine and is not delivered yet, in order (R44). A snapshot keeps it beside this
    /// value, whose bytes are older than it.
    #[serde(skip)]
    pub parked: VecDeque<Parked>,
}

/// Sessions, timers and open answers of an entity that has any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// Sessions, ended ones as long as they are remembered. Boxed, since a map has room for eleven entries at the least.
    pub sessions: BTreeMap<ConnectionId, Box<Session>>,
    /// Answers that the domain has put off, by their ticket.
    pub tickets: BTreeMap<TicketId, Ticket>,
    /// The domain's timers.
    pub timers: BTreeMap<Box<str>, Timer>,
    /// Answers awaited from other entities.
    pub conversations: BTreeMap<u64, Bytes>,
    /// The last conversation's name.
    pub conversation: u64,
    /// The last revision written to each outbound partition (R19).
    pub chain: BTreeMap<PartitionId, Revision>,
}

/// A deferred answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Where the answer goes once it is there.
    pub awaiter: Awaiter,
    /// When it goes unanswered.
    pub until: TimeMs,
}

/// A domain timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// When it is due.
    pub due: TimeMs,
    /// The signal's JSON.
    pub signal: Bytes,
}

impl Runtime {
    /// A session by its connection id.
    #[must_use]
    pub fn session(&self, connection: ConnectionId) -> Option<&Session> {
        self.busy
            .as_ref()?
            .sessions
            .get(&connection)
            .map(Box::as_ref)
    }

    /// Sessions that are not over.
    pub fn live_sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions().filter(|session| session.is_live())
    }

    /// All remembered sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.busy
            .iter()
            .flat_map(|busy| busy.sessions.values().map(Box::as_ref))
    }

    /// How many sessions are remembered.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.sessions.len())
    }

    /// Whether nothing about it needs to be kept.
    #[must_use]
    pub fn is_forgettable(&self) -> bool {
        let idle = self.busy.as_ref().is_none_or(|busy| busy.is_idle());
        !self.exists && idle && self.parked.is_empty()
    }

    /// R49: who is remembered nowhere begins behind this revision.
    pub fn begin_behind(&mut self, revision: Revision) {
        if self.is_forgettable() {
            self.revision = revision;
        }
    }

    /// Whether it exists, nobody has a session with it, and it waits for nothing.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.exists && self.busy.is_none() && self.parked.is_empty()
    }

    /// R49: the entity is over. Its sessions end and are remembered, so that what they send again is not taken again; an
    /// open ticket of theirs is answered as one that nobody answered. What is parked is for whoever comes next.
    pub(super) fn end(&mut self, until: TimeMs, revision: Revision) {
        self.exists = false;
        let Some(busy) = &mut self.busy else { return };
        for ticket in std::mem::take(&mut busy.tickets).into_values() {
            if let Awaiter::Session { connection, n } = ticket.awaiter {
                let answer = Answer::Fault(FaultCode::Unanswered);
                busy.with(&connection, |s| s.answers.push_back((n, revision, answer)));
            }
        }
        busy.timers.clear();
        busy.conversations.clear();
        for session in busy.sessions.values_mut().filter(|s| s.is_live()) {
            session.phase = Phase::EndedWithEntity { until };
        }
        if busy.is_idle() {
            self.busy = None;
        }
    }

    /// R45: an entity of which nothing is remembered begins anew at the revision that the log names, whichever that is.
    /// It never had an event, or has ended, so its state is the default, and only the log knows its revision: former builds
    /// found what they had forgotten in an older snapshot, and went on from there. Whether it is such a one.
    pub fn begin_anew_at(&mut self, revision: Revision) -> bool {
        let begins = self.is_forgettable();
        if begins {
            self.revision = Revision(revision.0.saturating_sub(1));
        }
        begins
    }

    /// Whether the end of this socket is parked already.
    #[must_use]
    pub fn parks_disconnect(&self, connection: ConnectionId, attempt: DialAttempt) -> bool {
        let ended = |parked: &Parked| {
            matches!(parked.what, Waiting::Disconnect { connection: of, attempt: socket, .. }
                if of == connection && socket == attempt)
        };
        self.parked.iter().any(ended)
    }

    /// How many bytes of tells are parked.
    #[must_use]
    pub fn parked_bytes(&self) -> usize {
        let bytes = |parked: &Parked| match &parked.what {
            Waiting::Told { payload, .. } => payload.len(),
            Waiting::Disconnect { .. } => 0,
        };
        self.parked.iter().map(bytes).sum()
    }

    /// All its timers and when they are due.
    pub fn timers(&self) -> impl Iterator<Item = (TimeMs, TimerKey)> + '_ {
        let parked = self.parked.front();
        let parked = parked.map(|first| (first.at, TimerKey::Parked));
        self.busy
            .iter()
            .flat_map(|busy| busy.timers())
            .chain(parked)
    }

    /// When a timer is due, if it is set.
    #[must_use]
    pub fn due(&self, key: &TimerKey) -> Option<TimeMs> {
        if *key == TimerKey::Parked {
            return self.parked.front().map(|first| first.at);
        }
        let busy = self.busy.as_ref()?;
        match key {
            TimerKey::Domain(name) => busy.timers.get(name).map(|timer| timer.due),
            TimerKey::Ticket(ticket) => busy.tickets.get(ticket).map(|ticket| ticket.until),
            TimerKey::Grace(connection) => match busy.sessions.get(connection)?.phase {
                Phase::Detached { until, .. } => Some(until),
                Phase::Attached | Phase::Ended { .. } | Phase::EndedWithEntity { .. } => None,
            },
            TimerKey::Forget(connection) => match busy.sessions.get(connection)?.phase {
                Phase::Ended { until } | Phase::EndedWithEntity { until } => Some(until),
                Phase::Attached | Phase::Detached { .. } => None,
            },
            TimerKey::Parked | TimerKey::Retention => None,
        }
    }

    /// Folds the answer to a command, that of the commit at `revision`.
    pub fn answer(
        &mut self,
        connection: ConnectionId,
        n: MessageNumber,
        revision: Revision,
        answer: Answer,
    ) {
        if let Some(busy) = &mut self.busy {
            busy.with(&connection, |s| s.answers.push_back((n, revision, answer)));
        }
    }

    /// Folds one change but for an answer; total, and decides nothing. `answers_max` is B (R30).
    pub fn apply(&mut self, change: &Change, floor: Floor, answers_max: usize) {
        match change {
            Change::Parked(parked) => return self.parked.push_back(Parked::clone(parked)),
            Change::Unparked => return drop(self.parked.pop_front()),
            _ => {}
        }
        let busy = self.busy.get_or_insert_default();
        busy.apply(change, floor, answers_max);
        // Without a session nobody has seen the chain, and it may start anew.
        if busy.is_idle() {
            self.busy = None;
        }
    }
}

impl Busy {
    fn is_idle(&self) -> bool {
        self.sessions.is_empty()
            && self.tickets.is_empty()
            && self.timers.is_empty()
            && self.conversations.is_empty()
    }

    fn timers(&self) -> impl Iterator<Item = (TimeMs, TimerKey)> + '_ {
        let domain = self.timers.iter();
        let domain = domain.map(|(name, timer)| (timer.due, TimerKey::Domain(name.clone())));
        let tickets = self.tickets.iter();
        let tickets = tickets.map(|(id, ticket)| (ticket.until, TimerKey::Ticket(*id)));
        let sessions =
            self.sessions
                .iter()
                .filter_map(|(connection, session)| match session.phase {
                    Phase::Attached => None,
                    Phase::Detached { until, .. } => Some((until, TimerKey::Grace(*connection))),
                    Phase::Ended { until } | Phase::EndedWithEntity { until } => {
                        Some((until, TimerKey::Forget(*connection)))
                    }
                });
        domain.chain(tickets).chain(sessions)
    }

    fn apply(&mut self, change: &Change, floor: Floor, answers_max: usize) {
        use Change as C;
        match change {
            C::SessionBegun(socket) => self.begin(socket, floor),
            C::SessionAttached(socket) => self.attach(socket),
            C::SessionDetached {
                connection,
                until,
                why,
            } => {
                let (until, why) = (*until, *why);
                self.with(connection, |s| s.phase = Phase::Detached { until, why });
            }
            C::SessionEnded { connection, until } => {
                self.with(connection, |s| s.phase = Phase::Ended { until: *until });
            }
            C::SessionForgotten(connection) => drop(self.sessions.remove(connection)),
            C::ClaimsChanged { connection, claims } => {
                self.with(connection, |s| s.socket.claims = claims.clone());
            }
            C::Taken { connection, n } => self.with(connection, |s| s.take(*n, answers_max)),
            // An answer is folded by itself: it may stand among the deliveries. The fold header keeps the
            // numbers of tells.
            C::Answered { .. } | C::AnsweredAsShown { .. } | C::TellTaken { .. } => {}
            // They are the runtime's and the entity's own.
            C::Parked(_) | C::Unparked | C::EntityEnded { .. } => {}
            C::TicketOpened { .. }
            | C::TicketClosed(_)
            | C::TimerSet { .. }
            | C::TimerCleared(_)
            | C::Asked { .. }
            | C::AskClosed(_) => self.wait(change),
        }
    }

    /// What the entity waits for: tickets, timers and answers of others.
    fn wait(&mut self, change: &Change) {
        match change.clone() {
            Change::TicketOpened {
                ticket,
                awaiter,
                until,
            } => drop(self.tickets.insert(ticket, Ticket { awaiter, until })),
            Change::TicketClosed(ticket) => drop(self.tickets.remove(&ticket)),
            Change::TimerSet { name, due, signal } => {
                self.timers.insert(name, Timer { due, signal });
            }
            Change::TimerCleared(name) => drop(self.timers.remove(&name)),
            Change::Asked {
                conversation,
                continuation,
            } => {
                self.conversation = conversation;
                self.conversations.insert(conversation, continuation);
            }
            Change::AskClosed(conversation) => drop(self.conversations.remove(&conversation)),
            _ => {}
        }
    }

    /// A new life keeps the numbers and answers of the one before, so that no command runs twice (R26).
    fn begin(&mut self, socket: &Attachment, floor: Floor) {
        let mut session = match self.sessions.remove(&socket.connection) {
            Some(former) => former,
            None => Box::new(Session::new(socket.clone())),
        };
        session.take_socket(socket);
        session.floor = floor;
        self.sessions.insert(socket.connection, session);
    }

    fn attach(&mut self, socket: &Attachment) {
        self.with(&socket.connection, |session| session.take_socket(socket));
    }

    fn with(&mut self, connection: &ConnectionId, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.sessions.get_mut(connection) {
            change(session);
        }
    }
}
