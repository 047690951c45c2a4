//! The turn: one message, one entity, one draft. Pure but for the roster of sessions beside the instance:
//! no clock, no randomness, no I/O, no place in the log.

use bytes::Bytes;
use xp_domain_sdk::host::{
    Decided, Fault, Host, Input, Origin, Outcome, Payload, Reply, RosterChange, SceneData,
    Termination,
};
use xp_protocol::events::{Answer, Attachment, Awaiter, Cause, Change, Ending, TimerKey};
use xp_protocol::frame::{RequestId, Tag};
use xp_protocol::inbound::{AnswerKind, Told};
use xp_protocol::outbound::Item;
use xp_protocol::rules::Rules;
use xp_protocol::{
    Address, Attempt, CloseCode, ConnectionId, FaultCode, LanePartition, MessageNumber, Revision,
    TimeMs,
};

use crate::draft::{After, Deliveries, Draft, Word, answer_item, stored, ticket_at};
use crate::entity::{Entity, Phase, Session, attached};
use crate::limits::Limits;

/// What surrounds a turn.
pub struct Turn<'a> {
    /// The entity's address.
    pub address: &'a Address,
    /// Its kind.
    pub host: &'a dyn Host,
    /// The partition's bounds.
    pub limits: &'a Limits,
    /// What caused the turn.
    pub cause: Cause,
    /// The message's time, bounded and never running backwards.
    pub now: TimeMs,
    /// The seed of the decision's random numbers.
    pub seed: u64,
    /// The trace context.
    pub trace: Option<Box<str>>,
    /// All of them, but in a simulator.
    pub rules: Rules,
}

/// What a turn comes to.
#[derive(Debug)]
pub enum Turned {
    /// A commit.
    Commit(Box<Draft>),
    /// Outputs that write nothing; they leave through the gate (R11). Queries need the lease (R13).
    Unlogged {
        /// The outputs.
        outputs: Deliveries,
        /// Whether they may leave only within the lease.
        leased: bool,
    },
    /// The message is of no concern: late, repeated, or of a socket that is gone.
    Nothing,
}

/// A command as it came.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The session.
    pub connection: ConnectionId,
    /// Its socket.
    pub attempt: Attempt,
    /// The payload.
    pub payload: Payload<'a>,
}

impl Turn<'_> {
    /// R26, R27: a socket wants in. `since` is what its client saw last.
    pub fn connect(
        self,
        entity: &mut Entity,
        wanted: Attachment,
        since: Option<Revision>,
    ) -> Turned {
        let known = entity.runtime.session(wanted.connection).cloned();
        match &known {
            None if since.is_some() => close(&wanted, CloseCode::SessionExpired),
            None => self.begin(entity, wanted),
            Some(session) if session.socket.subject != wanted.subject => {
                close(&wanted, CloseCode::ForeignConnection)
            }
            Some(session) if wanted.attempt <= session.socket.attempt && self.rules.attempts => {
                Turned::Nothing
            }
            Some(session) if !session.is_live() => self.begin(entity, wanted),
            Some(session) => self.attach(entity, session, wanted, since),
        }
    }

    fn begin(self, entity: &mut Entity, wanted: Attachment) -> Turned {
        let connection = wanted.connection;
        if let Err(fault) = entity.instance.roster(&attached(&wanted)) {
            self.log(&fault, "connect");
            return refuse(
                &wanted,
                entity.runtime.revision,
                self.host.is_text(),
                &Answer::Fault(code(&fault)),
            );
        }
        let decided = self.decide(entity, &Input::Connected(connection));
        let refusal = match &decided {
            Err(fault) => Some(Answer::Fault(code(fault))),
            Ok(Decided {
                reply: Reply::Now(Outcome::Rejection(no)),
                event_count: 0,
                ..
            }) => Some(Answer::Reject(no.clone())),
            Ok(_) => None,
        };
        let (Ok(decided), None) = (decided, &refusal) else {
            let gone = RosterChange::Ended(connection);
            entity
                .instance
                .roster(&gone)
                .expect("leaving the roster reads no bytes");
            let answer = refusal.unwrap_or(Answer::Fault(FaultCode::Panicked));
            return refuse(
                &wanted,
                entity.runtime.revision,
                self.host.is_text(),
                &answer,
            );
        };
        let mut draft = self.draft(entity);
        draft.changes.push(Change::SessionBegun(Box::new(wanted)));
        draft.after = Some(After::Welcome(connection));
        self.effects(entity, &mut draft, decided);
        Turned::Commit(Box::new(draft))
    }

    fn attach(
        self,
        entity: &mut Entity,
        session: &Session,
        wanted: Attachment,
        since: Option<Revision>,
    ) -> Turned {
        let connection = wanted.connection;
        if let Err(fault) = entity.instance.roster(&attached(&wanted)) {
            self.log(&fault, "reconnect");
            return refuse(
                &wanted,
                entity.runtime.revision,
                self.host.is_text(),
                &Answer::Fault(code(&fault)),
            );
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
        self.lifecycle(entity, &mut draft, &Input::Reconnected(connection));
        Turned::Commit(Box::new(draft))
    }

    /// R27, R28: a socket is gone.
    pub fn disconnect(
        self,
        entity: &Entity,
        connection: ConnectionId,
        attempt: Attempt,
        why: Ending,
    ) -> Turned {
        match entity.runtime.session(connection) {
            Some(session)
                if session.is_socket(attempt) || session.is_attached() && !self.rules.attempts =>
            {
                self.detach(entity, session, why, None)
            }
            _ => Turned::Nothing,
        }
    }

    /// R23, R29: the session's edge was lost.
    pub fn lose_edge(self, entity: &Entity, connection: ConnectionId) -> Turned {
        match entity.runtime.session(connection) {
            Some(session) if session.is_attached() => {
                self.detach(entity, session, Ending::Lost, Some(CloseCode::ComeBack))
            }
            _ => Turned::Nothing,
        }
    }

    fn detach(
        self,
        entity: &Entity,
        session: &Session,
        why: Ending,
        close: Option<CloseCode>,
    ) -> Turned {
        let connection = session.socket.connection;
        let mut draft = self.draft(entity);
        // R23: also for a socket that its own edge reported gone, since another one may have spoken.
        draft.close(session, close.unwrap_or(CloseCode::ComeBack));
        draft.changes.push(self.detached(connection, why));
        self.lifecycle(entity, &mut draft, &Input::Disconnected(connection));
        Turned::Commit(Box::new(draft))
    }

    fn detached(&self, connection: ConnectionId, why: Ending) -> Change {
        let grace_ms = if why == Ending::Lost {
            self.limits.grace_ms
        } else {
            0
        };
        Change::SessionDetached {
            connection,
            until: self.now.plus_ms(grace_ms),
            why,
        }
    }

    /// R30: a numbered command.
    pub fn send(self, entity: &Entity, said: Said<'_>, n: MessageNumber) -> Turned {
        let Some(session) = entity
            .runtime
            .session(said.connection)
            .filter(|s| s.is_socket(said.attempt))
        else {
            return Turned::Nothing;
        };
        if n <= session.n {
            return repeat(session, self.host.is_text(), n);
        }
        if n > session.n.next() && self.rules.dense_numbers {
            return close(&session.socket, CloseCode::ComeBack);
        }
        let connection = said.connection;
        let mut draft = self.draft(entity);
        draft.changes.push(Change::Taken { connection, n });
        let input = Input::Command {
            by: connection,
            n: Some(n),
            payload: said.payload,
        };
        let awaiter = Awaiter::Session { connection, n };
        draft.awaiter = Some(awaiter.clone());
        match self.decide(entity, &input) {
            Ok(decided) => self.answered(entity, &mut draft, decided, Some(awaiter)),
            Err(fault) => self.fault(entity, &mut draft, Some(awaiter), code(&fault)),
        }
        Turned::Commit(Box::new(draft))
    }

    /// A message that failed after its turn: taken, without effect.
    #[must_use]
    pub fn failed(
        self,
        entity: &Entity,
        mut changes: Vec<Change>,
        awaiter: Option<Awaiter>,
        code: FaultCode,
    ) -> Draft {
        let mut draft = self.draft(entity);
        draft.changes.append(&mut changes);
        self.fault(entity, &mut draft, awaiter, code);
        draft
    }

    /// A command without a number or an answer: volatile outputs or nothing.
    pub fn ephemeral(self, entity: &Entity, said: Said<'_>) -> Turned {
        let attached = entity
            .runtime
            .session(said.connection)
            .is_some_and(|s| s.is_socket(said.attempt));
        if !attached {
            return Turned::Nothing;
        }
        let input = Input::Command {
            by: said.connection,
            n: None,
            payload: said.payload,
        };
        let Ok(decided) = self.decide(entity, &input) else {
            return Turned::Nothing;
        };
        let mut draft = self.draft(entity);
        draft.show(self.host, &entity.runtime, &decided.shows);
        Turned::Unlogged {
            outputs: draft.volatile,
            leased: false,
        }
    }

    /// R13: a query; it writes nothing.
    pub fn ask(self, entity: &Entity, said: Said<'_>, tag: Tag) -> Turned {
        let Some(session) = entity
            .runtime
            .session(said.connection)
            .filter(|s| s.is_socket(said.attempt))
        else {
            return Turned::Nothing;
        };
        let answer =
            match entity
                .instance
                .answer(said.connection, &said.payload, &self.scene(entity))
            {
                Ok(outcome) => stored(&outcome),
                Err(fault) => {
                    self.log(&fault, "ask");
                    Answer::Fault(code(&fault))
                }
            };
        let (item, payload) = answer_item(
            RequestId::Tag(tag),
            entity.runtime.revision,
            self.host.is_text(),
            &answer,
        );
        let mut outputs = Deliveries::default();
        outputs.to_session(session, item, &payload);
        Turned::Unlogged {
            outputs,
            leased: true,
        }
    }

    /// Other claims from a fresh token.
    pub fn claims(
        self,
        entity: &Entity,
        connection: ConnectionId,
        attempt: Attempt,
        claims: Bytes,
    ) -> Turned {
        let known = entity
            .runtime
            .session(connection)
            .filter(|s| s.is_socket(attempt));
        match known {
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

    /// R34: another entity's word, already found to be the next of its source.
    pub fn told(
        self,
        entity: &Entity,
        (source, number): (LanePartition, u64),
        from: &Address,
        what: &Told,
        payload: &[u8],
    ) -> Turned {
        let mut draft = self.draft(entity);
        draft.changes.push(Change::TellTaken { source, number });
        match what {
            Told::Signal { conversation } => {
                self.signalled(entity, &mut draft, from, *conversation, payload)
            }
            Told::Answer { conversation, kind } => {
                self.answer_came(
                    entity,
                    &mut draft,
                    from,
                    *conversation,
                    outcome(*kind, payload),
                );
            }
        }
        Turned::Commit(Box::new(draft))
    }

    fn signalled(
        &self,
        entity: &Entity,
        draft: &mut Draft,
        from: &Address,
        conversation: Option<u64>,
        payload: &[u8],
    ) {
        let origin = Origin::Entity {
            from,
            asked: conversation.is_some(),
        };
        let awaiter = conversation.map(|conversation| Awaiter::Entity {
            address: from.clone(),
            conversation,
        });
        draft.awaiter.clone_from(&awaiter);
        match self.decide(entity, &Input::Signal { origin, payload }) {
            Ok(decided) => {
                if let (None, Reply::Now(Outcome::Rejection(_))) = (conversation, &decided.reply) {
                    tracing::warn!(entity = %self.address, %from, "a told signal was refused");
                }
                self.answered(entity, draft, decided, awaiter);
            }
            Err(fault) => self.fault(entity, draft, awaiter, code(&fault)),
        }
    }

    fn answer_came(
        &self,
        entity: &Entity,
        draft: &mut Draft,
        from: &Address,
        conversation: u64,
        outcome: Outcome,
    ) {
        let continuation = entity
            .runtime
            .busy
            .as_ref()
            .and_then(|busy| busy.conversations.get(&conversation));
        let Some(continuation) = continuation else {
            tracing::warn!(entity = %self.address, %from, conversation, "an answer came that nobody asked for");
            return;
        };
        draft.changes.push(Change::AskClosed(conversation));
        let input = Input::Answer {
            from,
            continuation,
            outcome: &outcome,
        };
        match self.decide(entity, &input) {
            Ok(decided) => self.answered(entity, draft, decided, None),
            Err(fault) => self.fault(entity, draft, None, code(&fault)),
        }
    }

    /// A timer that is due, by its key.
    pub fn timer(self, entity: &Entity, key: &TimerKey) -> Turned {
        let Some(busy) = entity.runtime.busy.as_deref() else {
            return Turned::Nothing;
        };
        let mut draft = self.draft(entity);
        match key {
            TimerKey::Domain(name) => {
                let Some(timer) = busy.timers.get(name) else {
                    return Turned::Nothing;
                };
                draft.changes.push(Change::TimerCleared(name.clone()));
                let origin = Origin::Timer(name);
                match self.decide(
                    entity,
                    &Input::Signal {
                        origin,
                        payload: &timer.signal,
                    },
                ) {
                    Ok(decided) => self.answered(entity, &mut draft, decided, None),
                    Err(fault) => self.fault(entity, &mut draft, None, code(&fault)),
                }
            }
            TimerKey::Ticket(ticket) => {
                let Some(open) = busy.tickets.get(ticket) else {
                    return Turned::Nothing;
                };
                draft.changes.push(Change::TicketClosed(*ticket));
                self.fault(
                    entity,
                    &mut draft,
                    Some(open.awaiter.clone()),
                    FaultCode::Unanswered,
                );
            }
            TimerKey::Grace(connection) => {
                let Some(session) = busy.sessions.get(connection) else {
                    return Turned::Nothing;
                };
                self.end(entity, &mut draft, session);
            }
            TimerKey::Forget(connection) => {
                draft.changes.push(Change::SessionForgotten(*connection))
            }
        }
        Turned::Commit(Box::new(draft))
    }

    /// R26, R33: the session is over, once; open tickets of it are void.
    fn end(&self, entity: &Entity, draft: &mut Draft, session: &Session) {
        let connection = session.socket.connection;
        let reason = match session.phase {
            Phase::Detached {
                why: Ending::Left, ..
            } => Termination::Left,
            Phase::Detached {
                why: Ending::ByEntity,
                ..
            } => Termination::ByEntity,
            _ => Termination::Expired,
        };
        let until = self.now.plus_ms(self.limits.memory_ms);
        self.lifecycle(entity, draft, &Input::Terminated(connection, reason));
        let tickets = entity.runtime.busy.iter().flat_map(|busy| &busy.tickets);
        for (ticket, open) in tickets {
            let Awaiter::Session {
                connection: waiting,
                n,
            } = open.awaiter
            else {
                continue;
            };
            let closed = draft.changes.contains(&Change::TicketClosed(*ticket));
            if waiting == connection && !closed {
                draft.changes.push(Change::TicketClosed(*ticket));
                let answer = Answer::Fault(FaultCode::Unanswered);
                draft.changes.push(Change::Answered {
                    connection,
                    n,
                    answer,
                });
            }
        }
        draft
            .changes
            .push(Change::SessionEnded { connection, until });
    }

    /// A handler of the session's life, which cannot refuse: a fault in it leaves the change standing.
    fn lifecycle(&self, entity: &Entity, draft: &mut Draft, input: &Input<'_>) {
        if let Ok(decided) = self.decide(entity, input) {
            self.effects(entity, draft, decided);
        }
    }

    fn answered(
        &self,
        entity: &Entity,
        draft: &mut Draft,
        decided: Decided,
        awaiter: Option<Awaiter>,
    ) {
        let reply = decided.reply.clone();
        self.effects(entity, draft, decided);
        match (awaiter, reply) {
            (Some(awaiter), Reply::Later) => {
                let until = self.now.plus_ms(self.limits.ticket_ms);
                let ticket = ticket_at(draft.revision);
                let answered = draft
                    .changes
                    .iter()
                    .any(|change| *change == Change::TicketClosed(ticket));
                if !answered {
                    draft.changes.push(Change::TicketOpened {
                        ticket,
                        awaiter,
                        until,
                    });
                }
            }
            (Some(awaiter), Reply::Now(outcome)) => self.settle(entity, draft, awaiter, outcome),
            (None, _) => {}
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

    fn fault(&self, entity: &Entity, draft: &mut Draft, awaiter: Option<Awaiter>, code: FaultCode) {
        match awaiter {
            Some(Awaiter::Session { connection, n }) => {
                let answer = Answer::Fault(code);
                draft.answer_session(&entity.runtime, self.host.is_text(), connection, n, answer);
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
    fn effects(&self, entity: &Entity, draft: &mut Draft, decided: Decided) {
        draft.events = decided.events;
        draft.event_count = decided.event_count;
        draft.show(self.host, &entity.runtime, &decided.shows);
        for (name, timer) in decided.timers {
            draft.changes.push(match timer {
                Some((due, signal)) => Change::TimerSet {
                    name: name.into(),
                    due,
                    signal,
                },
                None => Change::TimerCleared(name.into()),
            });
        }
        let mut conversation = entity
            .runtime
            .busy
            .as_ref()
            .map_or(0, |busy| busy.conversation);
        for tell in decided.tells {
            let named = tell.continuation.map(|continuation| {
                conversation += 1;
                draft.changes.push(Change::Asked {
                    conversation,
                    continuation,
                });
                conversation
            });
            let what = Told::Signal {
                conversation: named,
            };
            draft.tells.push(Word {
                to: tell.to,
                what,
                payload: tell.signal,
            });
        }
        for (ticket, outcome) in decided.answers {
            let open = entity
                .runtime
                .busy
                .as_ref()
                .and_then(|busy| busy.tickets.get(&ticket));
            let Some(open) = open else {
                tracing::warn!(entity = %self.address, %ticket, "a ticket was answered that is not open");
                continue;
            };
            draft.changes.push(Change::TicketClosed(ticket));
            self.settle(entity, draft, open.awaiter.clone(), outcome);
        }
        for connection in decided.terminate {
            let Some(session) = entity.runtime.session(connection).filter(|s| s.is_live()) else {
                continue;
            };
            if session.is_attached() {
                draft.close(session, CloseCode::Terminated);
            }
            draft
                .changes
                .push(self.detached(connection, Ending::ByEntity));
        }
    }

    fn decide(&self, entity: &Entity, input: &Input<'_>) -> Result<Decided, Fault> {
        if entity.quarantined {
            return Err(Fault::Misuse("the entity is quarantined".to_owned()));
        }
        let decided = entity.instance.decide(input, &self.scene(entity));
        if let Err(fault) = &decided {
            self.log(fault, handler(input));
        }
        decided
    }

    /// A fault names the entity and the message.
    fn log(&self, fault: &Fault, handler: &'static str) {
        tracing::error!(entity = %self.address, cause = ?self.cause, handler, %fault, "a message faulted");
    }

    fn scene(&self, entity: &Entity) -> SceneData<'_> {
        SceneData {
            address: self.address,
            revision: entity.runtime.revision,
            now: self.now,
            seed: self.seed,
            ticket: ticket_at(entity.runtime.revision.next()),
        }
    }

    fn draft(&self, entity: &Entity) -> Draft {
        let revision = entity.runtime.revision.next();
        let mut draft = Draft::new(self.cause.clone(), self.now, self.seed, revision);
        draft.trace.clone_from(&self.trace);
        draft
    }
}

fn handler(input: &Input<'_>) -> &'static str {
    match input {
        Input::Connected(_) => "connected",
        Input::Disconnected(_) => "disconnected",
        Input::Reconnected(_) => "reconnected",
        Input::Terminated(..) => "terminated",
        Input::Command { .. } => "decide",
        Input::Signal { .. } | Input::Answer { .. } => "signal",
    }
}

fn code(fault: &Fault) -> FaultCode {
    match fault {
        Fault::Unreadable { .. } => FaultCode::Unreadable,
        Fault::Panicked { .. } => FaultCode::Panicked,
        Fault::Misuse(_) => FaultCode::Misuse,
    }
}

fn outcome(kind: AnswerKind, payload: &[u8]) -> Outcome {
    let payload = Bytes::copy_from_slice(payload);
    match kind {
        AnswerKind::Reply => Outcome::Reply(payload),
        AnswerKind::Rejection => Outcome::Rejection(payload),
        AnswerKind::Fault => Outcome::Fault,
    }
}

/// The stored answer again (R30), outside the chain; nothing while it is still awaited.
fn repeat(session: &Session, text: bool, n: MessageNumber) -> Turned {
    let Some((revision, answer)) = session.answer(n) else {
        return Turned::Nothing;
    };
    let (item, payload) = answer_item(RequestId::Number(n), revision, text, answer);
    let mut outputs = Deliveries::default();
    outputs.to_session(session, item, &payload);
    Turned::Unlogged {
        outputs,
        leased: false,
    }
}

/// Closes a socket outside the chain.
fn close(wanted: &Attachment, code: CloseCode) -> Turned {
    let mut outputs = Deliveries::default();
    let session = passing(wanted);
    outputs.to_session(&session, Item::Close { code }, &[]);
    Turned::Unlogged {
        outputs,
        leased: false,
    }
}

/// The entity said no to a connection: neither commit nor entity remains.
pub fn refuse(wanted: &Attachment, revision: Revision, text: bool, answer: &Answer) -> Turned {
    let session = passing(wanted);
    let mut outputs = Deliveries::default();
    let (item, payload) = answer_item(RequestId::Number(MessageNumber(0)), revision, text, answer);
    outputs.to_session(&session, item, &payload);
    let code = CloseCode::Refused;
    outputs.to_session(&session, Item::Close { code }, &[]);
    Turned::Unlogged {
        outputs,
        leased: false,
    }
}

fn passing(wanted: &Attachment) -> Session {
    Session {
        socket: wanted.clone(),
        phase: Phase::Attached,
        n: MessageNumber(0),
        answers: Default::default(),
        floor: Default::default(),
    }
}

/// What accepts a session: a welcome rendered from the state as it is (R31).
#[must_use]
pub fn welcome(turn: &Turn<'_>, entity: &Entity, session: &Session) -> Deliveries {
    let mut outputs = Deliveries::default();
    match entity
        .instance
        .welcome(session.socket.connection, &turn.scene(entity))
    {
        Ok(shown) => {
            let item = Item::Welcome {
                edge: session.socket.edge,
                revision: entity.runtime.revision,
                n: session.n,
                text: turn.host.is_text(),
            };
            outputs.to_session(session, item, &shown);
        }
        Err(fault) => {
            turn.log(&fault, "welcome");
            let answer = Answer::Fault(code(&fault));
            let id = RequestId::Number(MessageNumber(0));
            let (item, payload) =
                answer_item(id, entity.runtime.revision, turn.host.is_text(), &answer);
            outputs.to_session(session, item, &payload);
            outputs.to_session(
                session,
                Item::Close {
                    code: CloseCode::Refused,
                },
                &[],
            );
        }
    }
    outputs
}
