//! One entity in memory: the domain's instance, and the platform's own state about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xp_domain_sdk::host::{Fault, Instance, RosterChange};
use xp_protocol::codec::Format;
use xp_protocol::events::{Answer, Attachment, Awaiter, Change, Commit, Ending, TimerKey};
use xp_protocol::{
    Attempt, ConnectionId, Epoch, Incarnation, MessageNumber, Offset, PartitionId, Revision, Seq,
    TicketId, TimeMs,
};

use crate::limits::Limits;
use crate::watched::Watched;

/// The platform's state about one entity, as the snapshot stores it. A fold over its commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// How many commits it has seen.
    pub revision: Revision,
    /// The time of the last commit; later decisions never see an earlier one.
    pub now: TimeMs,
    /// Whether it has ever recorded an event; before that it is forgotten with its last session.
    pub exists: bool,
    /// What most entities have none of.
    pub busy: Option<Box<Busy>>,
}

/// Sessions, timers and open answers of an entity that has any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// Sessions, ended ones as long as they are remembered.
    pub sessions: BTreeMap<ConnectionId, Session>,
    /// Deferred answers.
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

/// A client's logical connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its latest socket.
    pub socket: Attachment,
    /// Where it is in its life.
    pub phase: Phase,
    /// The last command taken.
    pub n: MessageNumber,
    /// The last B answers, and the revision of the commit that gave each.
    pub answers: VecDeque<(MessageNumber, Revision, Answer)>,
    /// A position at or before everything a resume may ask for.
    pub floor: Floor,
}

/// A valid commit: a place in the log from which records can be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The commit's offset, or one before it.
    pub offset: Offset,
    /// The commit's epoch.
    pub epoch: Epoch,
    /// The commit's number.
    pub seq: Seq,
    /// The entity's revision after it.
    pub revision: Revision,
}

/// Where a session is in its life (R26).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It has a socket.
    Attached,
    /// It may come back until then.
    Detached {
        /// The end of its grace.
        until: TimeMs,
        /// Why the socket is gone.
        why: Ending,
    },
    /// It is over and remembered until then.
    Ended {
        /// The end of its memory.
        until: TimeMs,
    },
}

/// A deferred answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Who waits.
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

impl Format for Runtime {
    const NAME: &'static str = "entity runtime";
    const VERSION: u8 = 1;
}

impl Session {
    /// Whether it has a socket.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.phase == Phase::Attached
    }

    /// Whether it is not over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Ended { .. })
    }

    /// Whether `attempt` is its living socket (R27).
    #[must_use]
    pub fn is_socket(&self, attempt: Attempt) -> bool {
        self.is_attached() && self.socket.attempt == attempt
    }

    /// The stored answer to a command, and the revision of the commit that gave it.
    #[must_use]
    pub fn answer(&self, n: MessageNumber) -> Option<(Revision, &Answer)> {
        let found = self.answers.iter().find(|(number, ..)| *number == n);
        found.map(|(_, revision, answer)| (*revision, answer))
    }
}

impl Runtime {
    /// A session by its connection id.
    #[must_use]
    pub fn session(&self, connection: ConnectionId) -> Option<&Session> {
        self.busy.as_ref()?.sessions.get(&connection)
    }

    /// Sessions that are not over.
    pub fn live_sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions().filter(|session| session.is_live())
    }

    /// All remembered sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.busy.iter().flat_map(|busy| busy.sessions.values())
    }

    /// Whether nothing about it needs to be kept.
    #[must_use]
    pub fn is_forgettable(&self) -> bool {
        !self.exists && self.busy.as_ref().is_none_or(|busy| busy.is_idle())
    }

    /// All its timers and when they are due.
    pub fn timers(&self) -> impl Iterator<Item = (TimeMs, TimerKey)> + '_ {
        self.busy.iter().flat_map(|busy| busy.timers())
    }

    /// When a timer is due, if it is set.
    #[must_use]
    pub fn due(&self, key: &TimerKey) -> Option<TimeMs> {
        let busy = self.busy.as_ref()?;
        match key {
            TimerKey::Domain(name) => busy.timers.get(name).map(|timer| timer.due),
            TimerKey::Ticket(ticket) => busy.tickets.get(ticket).map(|ticket| ticket.until),
            TimerKey::Grace(connection) => match busy.sessions.get(connection)?.phase {
                Phase::Detached { until, .. } => Some(until),
                Phase::Attached | Phase::Ended { .. } => None,
            },
            TimerKey::Forget(connection) => match busy.sessions.get(connection)?.phase {
                Phase::Ended { until } => Some(until),
                Phase::Attached | Phase::Detached { .. } => None,
            },
        }
    }

    /// Folds one change; total, and decides nothing. `answers_max` is B (R30).
    pub fn apply(&mut self, change: &Change, floor: Floor, answers_max: usize) {
        let busy = self.busy.get_or_insert_default();
        busy.apply(change, floor, answers_max);
        if busy.is_idle() && busy.chain.is_empty() {
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
                    Phase::Ended { until } => Some((until, TimerKey::Forget(*connection))),
                });
        domain.chain(tickets).chain(sessions)
    }

    fn apply(&mut self, change: &Change, floor: Floor, answers_max: usize) {
        match change {
            Change::SessionBegun(socket) => self.begin(socket, floor),
            Change::SessionAttached(socket) => self.attach(socket),
            Change::SessionDetached {
                connection,
                until,
                why,
            } => {
                let (until, why) = (*until, *why);
                self.move_to(*connection, Phase::Detached { until, why });
            }
            Change::SessionEnded { connection, until } => {
                self.move_to(*connection, Phase::Ended { until: *until });
            }
            Change::SessionForgotten(connection) => {
                self.sessions.remove(connection);
            }
            Change::ClaimsChanged { connection, claims } => {
                if let Some(session) = self.sessions.get_mut(connection) {
                    session.socket.claims = claims.clone();
                }
            }
            Change::Taken { connection, n } => self.take(*connection, *n, answers_max),
            Change::Answered {
                connection,
                n,
                answer,
            } => {
                if let Some(session) = self.sessions.get_mut(connection) {
                    session
                        .answers
                        .push_back((*n, floor.revision, answer.clone()));
                }
            }
            Change::TicketOpened {
                ticket,
                awaiter,
                until,
            } => {
                let (awaiter, until) = (awaiter.clone(), *until);
                self.tickets.insert(*ticket, Ticket { awaiter, until });
            }
            Change::TicketClosed(ticket) => {
                self.tickets.remove(ticket);
            }
            Change::TimerSet { name, due, signal } => {
                let (due, signal) = (*due, signal.clone());
                self.timers.insert(name.clone(), Timer { due, signal });
            }
            Change::TimerCleared(name) => {
                self.timers.remove(name);
            }
            Change::Asked {
                conversation,
                continuation,
            } => {
                self.conversation = *conversation;
                self.conversations
                    .insert(*conversation, continuation.clone());
            }
            Change::AskClosed(conversation) => {
                self.conversations.remove(conversation);
            }
            // The fold header keeps these numbers.
            Change::TellTaken { .. } => {}
        }
    }

    /// A new life keeps the numbers and answers of the one before, so that no command runs twice (R26).
    fn begin(&mut self, socket: &Attachment, floor: Floor) {
        let former = self.sessions.remove(&socket.connection);
        let (n, answers) = former.map_or_else(Default::default, |old| (old.n, old.answers));
        let session = Session {
            socket: socket.clone(),
            phase: Phase::Attached,
            n,
            answers,
            floor,
        };
        self.sessions.insert(socket.connection, session);
    }

    fn attach(&mut self, socket: &Attachment) {
        if let Some(session) = self.sessions.get_mut(&socket.connection) {
            session.socket = socket.clone();
            session.phase = Phase::Attached;
        }
    }

    fn move_to(&mut self, connection: ConnectionId, phase: Phase) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.phase = phase;
        }
    }

    fn take(&mut self, connection: ConnectionId, n: MessageNumber, answers_max: usize) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.n = n;
            session
                .answers
                .retain(|(number, ..)| number.0 + answers_max as u64 > n.0);
        }
    }
}

/// One entity in memory.
pub struct Entity {
    /// The domain's part.
    pub instance: Box<dyn Instance>,
    /// The platform's part.
    pub runtime: Runtime,
    /// When it was last touched, by the owner's clock.
    pub touched: TimeMs,
    /// Its stored events cannot be applied: it is set aside until that is mended.
    pub quarantined: bool,
    /// What is kept while anybody watches.
    pub watched: Option<Box<Watched>>,
}

impl Entity {
    /// An entity from its parts, with its roster filled from the stored sessions.
    ///
    /// # Errors
    /// When stored claims cannot be read any more.
    pub fn new(mut instance: Box<dyn Instance>, runtime: Runtime) -> Result<Self, Fault> {
        for session in runtime.live_sessions() {
            instance.roster(&attached(&session.socket))?;
            if !session.is_attached() {
                instance.roster(&RosterChange::Detached(session.socket.connection))?;
            }
        }
        let watched = watching(&runtime);
        let touched = TimeMs(0);
        Ok(Self {
            instance,
            runtime,
            touched,
            quarantined: false,
            watched,
        })
    }

    /// The partitions from which anybody watches.
    #[must_use]
    pub fn watched_from(&self) -> BTreeSet<PartitionId> {
        self.watched
            .iter()
            .flat_map(|watched| watched.partitions())
            .collect()
    }

    /// The edges that hold its attached sessions.
    #[must_use]
    pub fn edges(&self) -> BTreeSet<Incarnation> {
        self.watched
            .as_ref()
            .map_or_else(BTreeSet::new, |watched| watched.edges().clone())
    }

    fn recount(&mut self) {
        let now = watching(&self.runtime);
        match (&mut self.watched, now) {
            (Some(watched), Some(now)) => watched.recount(*now),
            (watched, now) => *watched = now,
        }
    }

    /// Folds a commit whose events the instance has applied already: the owner applies them before it
    /// appends (R9), everybody else just before this call.
    ///
    /// # Errors
    /// When claims cannot be read; whoever decided has read them before.
    pub fn fold(
        &mut self,
        commit: &Arc<Commit>,
        offset: Offset,
        bounds: &Limits,
    ) -> Result<(), Fault> {
        let Commit {
            revision,
            epoch,
            seq,
            ..
        } = **commit;
        let floor = Floor {
            offset,
            epoch,
            seq,
            revision,
        };
        for change in &commit.changes {
            self.runtime
                .apply(change, floor, bounds.answers_per_session);
            roster(self.instance.as_mut(), change, &self.runtime)?;
        }
        if commit.changes.iter().any(moves_sockets) {
            self.recount();
        }
        self.runtime.revision = revision;
        self.runtime.now = self.runtime.now.max(commit.now);
        self.runtime.exists |= commit.event_count > 0;
        for link in &commit.links {
            let busy = self.runtime.busy.get_or_insert_default();
            busy.chain.insert(link.partition, revision);
        }
        if let Some(watched) = &mut self.watched {
            watched.remember(commit, bounds);
        }
        Ok(())
    }
}

/// Who watches an entity with these sessions; `None` when nobody does or may come back.
fn watching(runtime: &Runtime) -> Option<Box<Watched>> {
    let mut watched: Option<Box<Watched>> = None;
    for session in runtime.live_sessions() {
        let watched = watched.get_or_insert_default();
        if session.is_attached() {
            watched.attach(session.socket.outbound, session.socket.edge);
        }
    }
    watched
}

/// Whether a change sets, moves or clears a timer, or moves a socket.
#[must_use]
pub fn moves_waiting(change: &Change) -> bool {
    let timer = matches!(
        change,
        Change::TimerSet { .. }
            | Change::TimerCleared(_)
            | Change::TicketOpened { .. }
            | Change::TicketClosed(_)
            | Change::SessionForgotten(_)
    );
    timer || moves_sockets(change)
}

fn moves_sockets(change: &Change) -> bool {
    matches!(
        change,
        Change::SessionBegun(_)
            | Change::SessionAttached(_)
            | Change::SessionDetached { .. }
            | Change::SessionEnded { .. }
    )
}

/// The roster change of a socket that is attached.
#[must_use]
pub fn attached(socket: &Attachment) -> RosterChange<'_> {
    RosterChange::Attached {
        connection: socket.connection,
        subject: &socket.subject,
        claims: &socket.claims,
    }
}

/// Keeps the typed roster beside the instance in step with the sessions.
fn roster(instance: &mut dyn Instance, change: &Change, runtime: &Runtime) -> Result<(), Fault> {
    match change {
        Change::SessionBegun(socket) | Change::SessionAttached(socket) => {
            instance.roster(&attached(socket))
        }
        Change::SessionDetached { connection, .. } => {
            instance.roster(&RosterChange::Detached(*connection))
        }
        Change::SessionEnded { connection, .. } => {
            instance.roster(&RosterChange::Ended(*connection))
        }
        Change::ClaimsChanged { connection, .. } => match runtime.session(*connection) {
            Some(session) => instance.roster(&attached(&session.socket)),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}
