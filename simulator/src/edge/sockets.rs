//! The way from sockets to inbound records.

use std::collections::VecDeque;

use bytes::Bytes;
use xp_client::Lost;
use xp_edge::backlog::Backlog;
use xp_edge::flow::Room;
use xp_edge::session::{Identity, Limits, Session, Step};
use xp_edge::watch::Watch;
use xp_protocol::inbound::{ClientAction, Inbound, Message};
use xp_protocol::outbound::Socket;
use xp_protocol::{Address, CloseCode, TimeMs, codec};
use xp_settings::Span;
use xp_transport::Record;

use super::{Connection, Edge, RESUME_MS, SHED, Shown, bounds};
use crate::history::What;
use crate::lane::Fate;
use crate::link::{Hello, ToClient, ToEdge};
use crate::names::SocketId;
use crate::partition_name::PartitionName;
use crate::stage::Stage;
use crate::switch::Switch;

impl Edge {
    pub(super) fn message(&mut self, socket: SocketId, stage: &mut Stage) {
        let link = stage.links.get_mut(socket);
        let Some(message) = link.and_then(|link| link.to_edge.pop_front()) else {
            return;
        };
        match message {
            ToEdge::Open(hello) => self.accept(socket, hello, stage),
            ToEdge::Frame(frame, text) => self.frame(socket, &frame, text, stage),
            ToEdge::Closed(code) => self.end(socket, code == Some(1000), stage),
        }
        self.send(stage);
    }

    pub(super) fn accept(&mut self, id: SocketId, hello: Hello, stage: &mut Stage) {
        let refuse = |code: CloseCode| ToClient::Closed(Lost::Code(code.number(), "".into()));
        let Some(joined) = self.standing.accepts() else {
            return stage.say_to_client(id, refuse(CloseCode::Draining));
        };
        let Hello {
            address,
            subject,
            connection,
            attempt,
            since,
            expires,
        } = hello;
        let socket = Socket {
            connection,
            attempt,
        };
        let rules = Switch::rules(stage.plan.without);
        let watch = self
            .watches
            .entry(address.clone())
            .or_insert_with(|| Watch::new(self.process.incarnation, RESUME_MS, rules));
        let replaced = match watch.join(socket, id) {
            Ok(replaced) => replaced,
            Err(_) => return stage.say_to_client(id, refuse(CloseCode::ComeBack)),
        };
        if let Some(replaced) = replaced {
            self.close(replaced, CloseCode::Replaced, stage);
        }
        let now = self.now(stage);
        let identity = identity(subject.as_str(), expires, stage);
        self.connections.insert(
            id,
            Connection {
                socket,
                address: address.clone(),
                session: Session::new(now, session_limits(), identity),
                held: VecDeque::new(),
                backlog: Backlog::new(bounds(stage.plan.without)),
                writing: VecDeque::new(),
            },
        );
        stage.say_to_client(id, ToClient::Opened);
        let action = ClientAction::Connect {
            subject: subject.as_str().into(),
            since,
            outbound: self.outbound,
            joined,
        };
        let claims = Bytes::from_static(b"{}");
        self.pass(&address, socket, action, claims, Fate::With(id), stage);
    }

    pub(super) fn frame(&mut self, id: SocketId, frame: &Bytes, text: bool, stage: &mut Stage) {
        let now = self.now(stage);
        let room = self.room(id, stage);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.held.is_empty() {
            return connection.held.push_back((frame.clone(), text));
        }
        let (address, socket) = (connection.address.clone(), connection.socket);
        match connection.session.on_frame(now, room, text, frame) {
            Step::Pass {
                action, payload, ..
            } => {
                let payload = Bytes::copy_from_slice(payload);
                self.pass(&address, socket, action, payload, Fate::With(id), stage);
            }
            Step::Answer(frame) => {
                let answer = Shown {
                    bytes: frame,
                    text: true,
                    counts: false,
                };
                connection.writing.push_back(answer);
                self.write(id, stage);
            }
            Step::Hold => connection.held.push_back((frame.clone(), text)),
            Step::Close(code, reason) => {
                stage.note(What::Fault(format!(
                    "{} is closed: {reason}",
                    socket.connection
                )));
                self.close(id, code, stage);
            }
            Step::Verify(token) => {
                let (subject, expires) = token.split_once(' ').expect("clients have tokens");
                let expires = TimeMs(expires.parse().expect("clients have tokens"));
                let fresh = identity(subject, expires, stage);
                if let Step::Close(code, _) = connection.session.refreshed(fresh, b"{}") {
                    self.close(id, code, stage);
                }
            }
            Step::Nothing => {}
        }
    }

    /// What the partition of a socket's entity takes of its client.
    fn room(&mut self, id: SocketId, stage: &mut Stage) -> Room {
        if stage.plan.has_faults() && stage.chance(SHED) {
            return Room::NothingNew;
        }
        if stage.plan.without == Some(Switch::FlowControl) {
            return Room::Free;
        }
        let Some(connection) = self.connections.get(&id) else {
            return Room::Free;
        };
        let (partition, subject) = (
            PartitionName::of(&connection.address),
            subject(connection.socket),
        );
        self.lanes.to(partition).room(&subject)
    }

    pub(super) fn pass(
        &mut self,
        address: &Address,
        socket: Socket,
        action: ClientAction,
        value: Bytes,
        fate: Fate,
        stage: &Stage,
    ) {
        let header = Inbound {
            time: self.now(stage).time,
            trace: None,
            message: Message::Client {
                edge: self.process.incarnation,
                connection: socket.connection,
                attempt: socket.attempt,
                action,
            },
        };
        let record = Record {
            key: Bytes::copy_from_slice(address.as_str().as_bytes()),
            header: codec::encode(&header).into(),
            value,
            ..Record::default()
        };
        let subject = subject(socket);
        let lane = self.lanes.to(PartitionName::of(address));
        lane.push(record, fate, &subject);
    }

    pub(super) fn send(&mut self, stage: &mut Stage) {
        let me = (self.process.id, self.process.producer);
        self.lanes.send(me, stage);
    }

    /// Writes what a socket takes. A client that does not listen takes little.
    pub(super) fn write(&mut self, socket: SocketId, stage: &mut Stage) {
        let Some(connection) = self.connections.get_mut(&socket) else {
            return;
        };
        stage.links.wait(connection.backlog.frames());
        let taken = connection.backlog.take();
        connection.writing.extend(taken.items);
        while stage.takes_more(socket)
            && let Some(shown) = connection.writing.pop_front()
        {
            if shown.counts {
                connection.backlog.written(1, shown.bytes.len());
            }
            stage.say_to_client(socket, ToClient::Frame(shown.bytes, shown.text));
        }
        if let Some(closing) = taken.closing {
            self.close(socket, closing.code, stage);
        }
    }

    pub(super) fn close(&mut self, socket: SocketId, code: CloseCode, stage: &mut Stage) {
        let closed = ToClient::Closed(Lost::Code(code.number(), "".into()));
        stage.say_to_client(socket, closed);
        self.end(socket, false, stage);
    }

    /// R28: whatever socket is gone, the owner hears of it.
    pub(super) fn end(&mut self, id: SocketId, left: bool, stage: &mut Stage) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        let Connection {
            socket, address, ..
        } = connection;
        if let Some(watch) = self.watches.get_mut(&address) {
            watch.leave(socket);
            if watch.is_empty() {
                self.watches.remove(&address);
            }
        }
        self.disconnect(&address, socket, left, stage);
    }

    pub(super) fn disconnect(
        &mut self,
        address: &Address,
        socket: Socket,
        left: bool,
        stage: &Stage,
    ) {
        let action = ClientAction::Disconnect { left };
        self.pass(address, socket, action, Bytes::new(), Fate::Owed, stage);
    }
}

fn identity(subject: &str, expires: TimeMs, stage: &Stage) -> Identity {
    let expires = match stage.plan.without {
        Some(Switch::TokenEnds) => TimeMs(u64::MAX),
        _ => expires,
    };
    Identity {
        subject: subject.into(),
        expires,
        about: "{}".into(),
    }
}

/// A person has one connection.
fn subject(socket: Socket) -> String {
    socket.connection.to_string()
}

fn session_limits() -> Limits {
    Limits {
        window: 8,
        asks_max: 16,
        ask: Span::from_millis(2_000),
        pending: Span::from_millis(2_000),
        ping: Span::from_millis(2_000),
        silent: Span::from_millis(4_000),
        retry: Span::from_millis(40),
    }
}
