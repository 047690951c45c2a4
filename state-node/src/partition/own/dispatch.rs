//! The dispatch of one inbound record: whom it is from, and which turn it comes to.

use bytes::Bytes;
use xp_domain_sdk::host::Payload;
use xp_protocol::cluster::{Kind, Who};
use xp_protocol::codec;
use xp_protocol::events::{Attachment, Cause, Ending};
use xp_protocol::inbound::{ClientAction, Inbound, Message};
use xp_protocol::outbound::{Item, Recipients, Socket};
use xp_protocol::rules::Rule;
use xp_protocol::{Address, CloseCode, Incarnation, LanePartition, Offset, Revision, TimeMs};
use xp_transport::{Now, Stored};

use super::super::core::Core;
use super::super::exit::Step;
use super::super::key;
use super::writer::Occasion;
use super::{Owner, sockets};
use crate::draft::Deliveries;
use crate::entity::Entity;
use crate::turn::{self, Turn, Turned};

/// One record of `inbound`, on its way to the entity that it is for.
pub(super) struct Dispatch<'a> {
    owner: &'a mut Owner,
    core: &'a mut Core,
    stored: &'a Stored,
    poisonous: bool,
    now: Now,
}

/// The record, decoded, but for what it says.
struct InboundRecord {
    address: Address,
    offset: Offset,
    time: TimeMs,
    trace: Option<Box<str>>,
    value: Bytes,
}

/// What a client says, with what the platform knows of it.
struct Client {
    edge: Incarnation,
    socket: Socket,
    action: ClientAction,
}

impl<'a> Dispatch<'a> {
    /// A poisonous record has ended as many processes as it may (R16).
    pub(super) fn of(
        owner: &'a mut Owner,
        core: &'a mut Core,
        stored: &'a Stored,
        poisonous: bool,
        now: Now,
    ) -> Self {
        Self {
            owner,
            core,
            stored,
            poisonous,
            now,
        }
    }

    pub(super) fn run(mut self) -> Step {
        let offset = self.stored.offset;
        let partition = &self.core.setting.partition;
        let Inbound {
            time,
            trace,
            message,
        } = match codec::decode(&self.stored.record.header) {
            Ok(inbound) => inbound,
            Err(error) => {
                tracing::warn!(%partition, %offset, %error, "an inbound record is ignored");
                return Ok(());
            }
        };
        if let Message::TellsTaken { taker, number } = &message {
            let tells = &mut self.owner.tells;
            tells.confirmed(self.core, taker, *number, self.now);
            return Ok(());
        }
        let Some(address) = key(self.stored) else {
            tracing::warn!(%partition, %offset, "an inbound record names no entity");
            return Ok(());
        };
        let record = InboundRecord {
            address,
            offset,
            time,
            trace,
            value: self.stored.record.value.clone(),
        };
        match message {
            Message::Client {
                edge,
                connection,
                attempt,
                action,
            } => {
                let socket = Socket {
                    connection,
                    attempt,
                };
                let client = Client {
                    edge,
                    socket,
                    action,
                };
                self.client(&record, client)
            }
            Message::Tell {
                source,
                number,
                from,
                what,
            } => {
                if !self.is_next_tell(&source, number) {
                    return Ok(());
                }
                let named = (source, number);
                self.turn(&record, |turn, entity| {
                    turn.tell(entity, named, &from, &what, &record.value)
                })
            }
            Message::TellsTaken { .. } => Ok(()),
        }
    }

    /// R34: accepted iff it is the next of its source.
    fn is_next_tell(&mut self, source: &LanePartition, number: u64) -> bool {
        let last = self.core.fold.tells.last_taken(source);
        self.owner.positions.told_by(source);
        number == last + 1 || !self.core.holds(Rule::TellNumbers)
    }

    fn client(mut self, record: &InboundRecord, client: Client) -> Step {
        // R29: messages of evicted incarnations are ignored.
        if self.core.placement.members.is_former(client.edge) {
            return Ok(());
        }
        self.owner.inbox.heard(client.edge);
        if self.closes_lost(record, &client)? {
            return Ok(());
        }
        let (connection, attempt) = (client.socket.connection, client.socket.attempt);
        let said = |text| turn::Incoming {
            connection,
            attempt,
            payload: Payload {
                bytes: &record.value,
                text,
            },
        };
        match client.action {
            ClientAction::Connect {
                subject,
                since,
                outbound,
                joined,
            } => {
                let wanted = Attachment {
                    connection,
                    attempt,
                    subject,
                    claims: record.value.clone(),
                    edge: client.edge,
                    joined,
                    outbound,
                };
                self.connect(record, wanted, since)
            }
            ClientAction::Disconnect { left } => self.disconnect(record, client.socket, left),
            ClientAction::Send { n, text } => {
                self.turn(record, |turn, entity| turn.send(entity, said(text), n))
            }
            ClientAction::Ask { tag, text } => {
                self.turn(record, |turn, entity| turn.ask(entity, said(text), tag))
            }
            ClientAction::Ephemeral { text } => {
                self.turn(record, |turn, entity| turn.ephemeral(entity, said(text)))
            }
            ClientAction::Claims => self.turn(record, |turn, entity| {
                turn.claims(entity, connection, attempt, record.value.clone())
            }),
            ClientAction::Resume { since } => {
                self.resume(&record.address, client.edge, client.socket, since);
                Ok(())
            }
        }
    }

    /// R44: closes the socket of who speaks to a lost entity. Its session is as unknown as everything else, so its edge is
    /// asked where it listens.
    fn closes_lost(&mut self, record: &InboundRecord, client: &Client) -> Step<bool> {
        self.core.require(&record.address)?;
        let is_lost = self.core.is_lost(&record.address);
        if is_lost && !matches!(client.action, ClientAction::Disconnect { .. }) {
            let code = CloseCode::Quarantined;
            self.close(&record.address, client.edge, client.socket, code);
        }
        Ok(is_lost)
    }

    /// A session whose grace is over ends before it begins a new life.
    fn connect(
        mut self,
        record: &InboundRecord,
        wanted: Attachment,
        since: Option<Revision>,
    ) -> Step {
        let address = &record.address;
        let (core, owner) = (&mut *self.core, &mut *self.owner);
        owner.end_overdue(core, address, wanted.connection, self.now)?;
        let is_new = !core.residents.has(address);
        let per_minute = core.setting.limits.sessions.entities_per_subject;
        let founders = &mut owner.founders;
        if is_new && !founders.may_begin(&wanted.subject, per_minute, self.now.running) {
            return self.turn(record, |turn, _| turn.too_fast(&wanted));
        }
        let doubt = sockets::doubt(core, &owner.goodbyes, address, &wanted, self.now);
        self.turn(record, |turn, entity| turn.connect(entity, wanted, since))?;
        if let Some(socket) = doubt {
            sockets::ask_of(self.core, &mut self.owner.writer.outbox, address, socket);
        }
        Ok(())
    }

    fn disconnect(mut self, record: &InboundRecord, socket: Socket, left: bool) -> Step {
        let why = if left { Ending::Left } else { Ending::Lost };
        let (address, connection) = (&record.address, socket.connection);
        sockets::note_goodbye(self.core, &mut self.owner.goodbyes, address, socket);
        self.turn(record, |turn, entity| {
            turn.disconnect(entity, connection, socket.attempt, why)
        })?;
        let owner = self.owner;
        owner.end_overdue(self.core, address, connection, self.now)
    }

    /// R20: an edge missed records of the chain. R23: a resume for an attempt that is no longer attached is answered by a
    /// close, which goes to whoever asks: the session may have a socket at another edge by now, or be forgotten.
    fn resume(&mut self, address: &Address, edge: Incarnation, asking: Socket, since: Revision) {
        let (owner, connection) = (&mut *self.owner, asking.connection);
        match self.core.session(address, connection) {
            Some(session) if session.is_socket(asking.attempt) => {
                let what = (connection, since, false);
                let writer = &mut owner.writer;
                let outbox = &mut writer.outbox;
                writer.sessions.resume(self.core, outbox, address, what);
            }
            Some(session) if session.has_ended_with_entity() => {
                self.close(address, edge, asking, CloseCode::Terminated);
            }
            Some(_) | None => self.close(address, edge, asking, CloseCode::ComeBack),
        }
    }

    /// Closes a socket at the edge that speaks for it. An edge that this node does not know yet asks again.
    fn close(&mut self, address: &Address, edge: Incarnation, asking: Socket, code: CloseCode) {
        let Some((
            &Who {
                kind: Kind::Edge { outbound },
                ..
            },
            _,
        )) = self.core.placement.members.get(edge)
        else {
            return;
        };
        let mut outputs = Deliveries::default();
        let to = Recipients::Only(vec![asking]);
        outputs.push(Some(outbound), to, Item::Close { code }, &[]);
        self.owner
            .writer
            .outbox
            .put_plain(self.core, address, outputs);
    }

    fn turn(
        &mut self,
        record: &InboundRecord,
        decide: impl FnOnce(Turn<'_>, &mut Entity) -> Turned,
    ) -> Step {
        let occasion = Occasion {
            address: &record.address,
            cause: Cause::Inbound(record.offset),
            time: record.time,
            trace: record.trace.clone(),
            poisonous: self.poisonous,
            now: self.now,
        };
        self.owner.writer.run(self.core, occasion, decide)
    }
}
