//! An edge's process: drives the cores `Session` and `Watch` as the real shell does, in virtual time.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use xp_client::Lost;
use xp_edge::session::{Due as SessionDue, Identity, Limits, Now, Session, Step};
use xp_edge::watch::{Effect, Means, Watch};
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::inbound::{Action, Inbound, Word};
use xp_protocol::outbound::{Item, Outbound, Recipients, Socket};
use xp_protocol::{Address, CloseCode, Incarnation, Offset, PartitionId, TimeMs, codec};
use xp_transport::simulated::ProducerId;
use xp_transport::{Record, Stored};

use super::agenda::{Asker, Due as Planned, EdgeAck as Ack, EdgeDue as Due};
use super::history::What;
use super::lane::{Fate, Lane};
use super::link::{Hello, ToClient, ToEdge};
use super::names::{EdgeId, SocketId};
use super::plan::{OUTBOUND_PARTITIONS, PARTITIONS};
use super::stage::{Stage, cluster, outbound};
use super::switch::Switch;

/// How often sessions and repairs see the time, in milliseconds.
const TICK_MS: u64 = 50;
/// How often it says that it lives, in milliseconds.
const BEAT_MS: u64 = 250;
/// How often a resume is asked for again, in milliseconds (R20).
const RESUME_MS: u64 = 500;
/// How many records one reading takes at most.
const READ_MAX: u64 = 12;
/// How often a command is shed for no reason, per command.
const SHED: f64 = 0.01;

struct Connection {
    socket: Socket,
    address: Address,
    session: Session,
    /// Frames behind one that waits for the welcome.
    held: VecDeque<(Bytes, bool)>,
}

pub(super) struct Edge {
    id: EdgeId,
    name: String,
    pub(super) incarnation: Incarnation,
    pub(super) producer: ProducerId,
    pub(super) alive: bool,
    pub(super) frozen_until: TimeMs,
    joined: Option<Offset>,
    evicted: bool,
    outbound: PartitionId,
    outbound_next: Offset,
    cluster_next: Offset,
    watches: BTreeMap<Address, Watch<SocketId>>,
    connections: BTreeMap<SocketId, Connection>,
    lanes: Vec<Lane>,
    skew_ms: u64,
}

impl Edge {
    pub(super) fn start(id: EdgeId, name: String, stage: &mut Stage) -> Self {
        let incarnation = Incarnation(stage.uuid());
        let producer = ProducerId(stage.name());
        let spread = u64::from(OUTBOUND_PARTITIONS) - 1;
        let outbound = PartitionId(u32::try_from(stage.up_to(spread)).unwrap_or_default());
        stage.after(0, Planned::Edge(id, Due::Join));
        Self {
            id,
            name,
            incarnation,
            producer,
            alive: true,
            frozen_until: TimeMs(0),
            joined: None,
            evicted: false,
            outbound,
            outbound_next: Offset(0),
            cluster_next: Offset(0),
            watches: BTreeMap::new(),
            connections: BTreeMap::new(),
            lanes: (0..PARTITIONS)
                .map(|partition| Lane::new(PartitionId(partition)))
                .collect(),
            skew_ms: stage.up_to(200),
        }
    }

    pub(super) fn reads(&self) -> PartitionId {
        self.outbound
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = SocketId> + '_ {
        self.connections.keys().copied()
    }

    fn now(&self, stage: &Stage) -> Now {
        Now {
            time: stage.now.plus_ms(self.skew_ms),
            running: stage.now,
        }
    }

    fn plan(&self, stage: &mut Stage, after_ms: u64, due: Due) {
        stage.after(after_ms, Planned::Edge(self.id, due));
    }

    pub(super) fn on(&mut self, due: Due, stage: &mut Stage) {
        match due {
            Due::Join => self.say(
                &Member::Join {
                    incarnation: self.incarnation,
                    who: Who {
                        name: self.name.as_str().into(),
                        kind: Kind::Edge {
                            outbound: self.outbound,
                        },
                    },
                },
                Asker::Edge(self.id, Ack::Join),
                stage,
            ),
            Due::Beat => {
                let beat = Member::Heartbeat {
                    incarnation: self.incarnation,
                    sent: self.now(stage).time,
                };
                self.say(&beat, Asker::Nobody, stage);
                self.plan(stage, BEAT_MS, Due::Beat);
            }
            Due::Tick => self.tick(stage),
            Due::PollCluster => self.read_cluster(stage),
            Due::PollOutbound => self.read_outbound(stage),
            Due::Retry(partition) => {
                self.lanes[partition.0 as usize].retry();
                self.send(stage);
            }
            Due::Message(socket) => self.message(socket, stage),
            Due::Answer(Ack::Join, Some(offset)) => self.has_joined(offset, stage),
            Due::Answer(Ack::Join, None) => self.plan(stage, 50, Due::Join),
            Due::Answer(Ack::Lane(partition, group, index), offset) => {
                let lane = &mut self.lanes[partition.0 as usize];
                let lost = lane.answered(self.id, (group, index), offset.is_some(), stage);
                for socket in lost {
                    self.lanes[partition.0 as usize].forget(socket);
                    self.close(socket, CloseCode::LaneLost, stage);
                }
                self.send(stage);
            }
        }
    }

    fn say(&self, member: &Member, asker: Asker, stage: &mut Stage) {
        let record = Record {
            header: codec::encode(member).into(),
            ..Record::default()
        };
        stage.append(self.producer, &cluster(), record, asker);
    }

    /// R25: the outbound partition is read from its end before the first socket is accepted.
    fn has_joined(&mut self, offset: Offset, stage: &mut Stage) {
        if self.joined.is_some() {
            return;
        }
        self.joined = Some(offset);
        self.cluster_next = offset.next();
        self.outbound_next = stage.end(&outbound(self.outbound));
        self.plan(stage, 0, Due::Beat);
        self.plan(stage, TICK_MS, Due::Tick);
        self.plan(stage, 1, Due::PollCluster);
    }

    fn read_cluster(&mut self, stage: &mut Stage) {
        if self.joined.is_none() {
            return;
        }
        for stored in stage.read(&cluster(), self.cluster_next, usize::MAX) {
            self.cluster_next = stored.offset.next();
            let Ok(member) = codec::decode::<Member>(&stored.record.header) else {
                continue;
            };
            let ends = match member {
                Member::Join { incarnation, who } => {
                    *who.name == *self.name && incarnation != self.incarnation
                }
                Member::Leave { incarnation } => incarnation == self.incarnation,
                Member::Heartbeat { .. } => false,
            };
            if ends {
                self.evicted = true;
                let sockets: Vec<_> = self.sockets().collect();
                for socket in sockets {
                    self.close(socket, CloseCode::ComeBack, stage);
                }
            }
        }
    }

    fn tick(&mut self, stage: &mut Stage) {
        let now = self.now(stage);
        let sockets: Vec<_> = self.sockets().collect();
        for socket in sockets {
            let Some(connection) = self.connections.get_mut(&socket) else {
                continue;
            };
            if let SessionDue::Close(code, _) = connection.session.on_time(now) {
                self.close(socket, code, stage);
            }
        }
        let addresses: Vec<_> = self.watches.keys().cloned().collect();
        for address in addresses {
            let effects = self
                .watches
                .get_mut(&address)
                .map(|watch| watch.repairs(now.running));
            self.apply(&address, effects.unwrap_or_default(), stage);
        }
        self.plan(stage, TICK_MS, Due::Tick);
        self.send(stage);
    }

    fn read_outbound(&mut self, stage: &mut Stage) {
        if self.joined.is_none() {
            return;
        }
        let count = 1 + stage.up_to(READ_MAX);
        let at = outbound(self.outbound);
        let batch = stage.read(&at, self.outbound_next, count as usize);
        let Some(last) = batch.last() else { return };
        self.outbound_next = last.offset.next();
        for stored in &batch {
            self.record(stored, stage);
        }
        self.plan(stage, 1, Due::PollOutbound);
        self.send(stage);
    }

    fn record(&mut self, stored: &Stored, stage: &mut Stage) {
        let key = std::str::from_utf8(&stored.record.key).expect("keys are addresses");
        let address: Address = key.parse().expect("keys are addresses");
        let header: Outbound =
            codec::decode(&stored.record.header).expect("owners write what edges read");
        let parts = header.split(&stored.record.value);
        let parts = parts.expect("owners write lengths that add up");
        let now = self.now(stage).running;
        match self.watches.get_mut(&address) {
            Some(watch) => {
                let effects = watch.on_record(now, header.link, &parts);
                self.apply(&address, effects, stage);
            }
            None => self.unwatched(&address, &header, stage),
        }
    }

    fn unwatched(&mut self, address: &Address, header: &Outbound, stage: &mut Stage) {
        for delivery in &header.deliveries {
            let (Item::Welcome { edge, .. } | Item::Resumed { edge, .. }) = &delivery.item else {
                continue;
            };
            if let (true, Recipients::Only(sockets)) = (*edge == self.incarnation, &delivery.to) {
                for socket in sockets {
                    self.disconnect(address, *socket, false, stage);
                }
            }
        }
    }

    /// Does what a watch asks for. Its order among sockets is that of a hash map, and none of the rules'
    /// business, so it is sorted here to be the same in every run.
    fn apply(&mut self, address: &Address, mut effects: Vec<Effect<SocketId>>, stage: &mut Stage) {
        sort_resumes(&mut effects);
        for effect in effects {
            match effect {
                Effect::Show {
                    mut to,
                    shown,
                    means,
                } => {
                    to.sort_unstable();
                    for socket in to {
                        self.show(socket, &shown.bytes, shown.text, &means, stage);
                    }
                }
                Effect::Close { to, code } => self.close(to, code, stage),
                Effect::Resume { of, since } => {
                    if let Some(connection) = self.connections.get(&of) {
                        let socket = connection.socket;
                        let action = Action::Resume { since };
                        self.pass(address, socket, action, Bytes::new(), Fate::Loose, stage);
                    }
                }
                Effect::Gone(socket) => self.disconnect(address, socket, false, stage),
            }
        }
    }

    fn show(
        &mut self,
        socket: SocketId,
        frame: &Bytes,
        text: bool,
        means: &Means,
        stage: &mut Stage,
    ) {
        let Some(connection) = self.connections.get_mut(&socket) else {
            return;
        };
        match means {
            Means::Accepted(n) => connection.session.accepted(*n),
            Means::Answer(id) => connection.session.answered(id),
            Means::Repeated | Means::News => {}
        }
        stage.say_to_client(socket, ToClient::Frame(frame.clone(), text));
        if matches!(means, Means::Accepted(_)) {
            let held = std::mem::take(&mut connection.held);
            for (frame, text) in held {
                self.frame(socket, &frame, text, stage);
            }
        }
    }

    fn message(&mut self, socket: SocketId, stage: &mut Stage) {
        let link = stage.links.get_mut(&socket);
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

    fn accept(&mut self, id: SocketId, hello: Hello, stage: &mut Stage) {
        let refuse = |code: CloseCode| ToClient::Closed(Lost::Code(code.number()));
        let (Some(joined), false) = (self.joined, self.evicted) else {
            return stage.say_to_client(id, refuse(CloseCode::Draining));
        };
        let Hello {
            address,
            subject,
            connection,
            attempt,
            since,
        } = hello;
        let socket = Socket {
            connection,
            attempt,
        };
        let rules = Switch::edge(stage.plan.without);
        let watch = self
            .watches
            .entry(address.clone())
            .or_insert_with(|| Watch::new(self.incarnation, RESUME_MS, rules));
        let replaced = match watch.join(socket, id) {
            Ok(replaced) => replaced,
            Err(_) => return stage.say_to_client(id, refuse(CloseCode::Replaced)),
        };
        if let Some(replaced) = replaced {
            self.close(replaced, CloseCode::Replaced, stage);
        }
        let now = self.now(stage);
        let identity = Identity {
            subject: subject.as_str().into(),
            expires: TimeMs(u64::MAX),
            about: "{}".into(),
        };
        self.connections.insert(
            id,
            Connection {
                socket,
                address: address.clone(),
                session: Session::new(now, session_limits(), identity),
                held: VecDeque::new(),
            },
        );
        stage.say_to_client(id, ToClient::Opened);
        let action = Action::Connect {
            subject: subject.as_str().into(),
            since,
            outbound: self.outbound,
            joined,
        };
        let claims = Bytes::from_static(b"{}");
        self.pass(&address, socket, action, claims, Fate::With(id), stage);
    }

    fn frame(&mut self, id: SocketId, frame: &Bytes, text: bool, stage: &mut Stage) {
        let now = self.now(stage);
        let room = !stage.plan.faults || !stage.chance(SHED);
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
            Step::Answer(frame) => stage.say_to_client(id, ToClient::Frame(frame, true)),
            Step::Hold => connection.held.push_back((frame.clone(), text)),
            Step::Close(code, reason) => {
                stage.note(What::Fault(format!(
                    "{} is closed: {reason}",
                    socket.connection
                )));
                self.close(id, code, stage);
            }
            Step::Verify(_) | Step::Nothing => {}
        }
    }

    fn pass(
        &mut self,
        address: &Address,
        socket: Socket,
        action: Action,
        value: Bytes,
        fate: Fate,
        stage: &Stage,
    ) {
        let header = Inbound {
            time: self.now(stage).time,
            trace: None,
            word: Word::Client {
                edge: self.incarnation,
                connection: socket.connection,
                attempt: socket.attempt,
                action,
            },
        };
        let record = Record {
            key: Bytes::copy_from_slice(address.as_str().as_bytes()),
            header: codec::encode(&header).into(),
            value,
        };
        let PartitionId(partition) = address.partition(PARTITIONS);
        self.lanes[partition as usize].push(record, fate);
    }

    fn send(&mut self, stage: &mut Stage) {
        let me = (self.id, self.producer);
        self.lanes.iter_mut().for_each(|lane| lane.send(me, stage));
    }

    fn close(&mut self, socket: SocketId, code: CloseCode, stage: &mut Stage) {
        let closed = ToClient::Closed(Lost::Code(code.number()));
        stage.say_to_client(socket, closed);
        self.end(socket, false, stage);
    }

    /// R28: whatever socket is gone, the owner hears of it.
    fn end(&mut self, id: SocketId, left: bool, stage: &mut Stage) {
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

    fn disconnect(&mut self, address: &Address, socket: Socket, left: bool, stage: &Stage) {
        let action = Action::Disconnect { left };
        self.pass(address, socket, action, Bytes::new(), Fate::Owed, stage);
    }
}

fn session_limits() -> Limits {
    Limits {
        window: 8,
        asks_max: 16,
        ask_ms: 2_000,
        pending_ms: 2_000,
        ping_ms: 2_000,
        silent_ms: 4_000,
        retry_ms: 40,
    }
}

fn sort_resumes(effects: &mut [Effect<SocketId>]) {
    let is_resume = |effect: &Effect<SocketId>| matches!(effect, Effect::Resume { .. });
    for run in effects.chunk_by_mut(|a, b| is_resume(a) && is_resume(b)) {
        run.sort_by_key(|effect| match effect {
            Effect::Resume { of, .. } => of.0,
            _ => 0,
        });
    }
}
