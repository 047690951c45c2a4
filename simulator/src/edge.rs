//! An edge's process: drives the cores `Session` and `Watch` as the real shell does, in virtual time.

mod sockets;
mod records;
mod standing;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use xp_cluster::timing::EDGE_HEARTBEAT_MS;
use xp_edge::backlog::{Backlog, Bounds};
use xp_edge::passage::StallEvent;
use xp_edge::session::{Due as SessionDue, Now, Session};
use xp_edge::watch::Watch;
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::outbound::Socket;
use xp_protocol::{Address, CloseCode, Offset, PartitionId};

use super::agenda::{Asker, EdgeAck as Ack, EdgeDue as Due};
use super::lane::Lanes;
use super::names::{EdgeId, SocketId};
use super::partition_name::PartitionName;
use super::plan::{LANES, WAITING_MAX};
use super::process::{Condition, Process};
use super::stage::{Stage, outbound};
use super::switch::Switch;

use standing::Standing;

/// How often sessions and repairs see the time, in milliseconds.
const TICK_MS: u64 = 50;
/// How often a resume is asked for again, in milliseconds (R20).
const RESUME_MS: u64 = 500;
/// How many records one reading takes at most.
const READ_MAX: u64 = 12;
/// How many clients are sent away at once by an edge that leaves.
const SENT_AWAY: usize = 1;
/// How often a command is shed for no reason, per command.
const SHED: f64 = 0.01;

struct Connection {
    socket: Socket,
    address: Address,
    session: Session,
    /// What waits for the client, and what of it its socket is to take.
    backlog: Backlog<Shown>,
    writing: VecDeque<Shown>,
    /// Frames behind one that waits for the welcome.
    held: VecDeque<(Bytes, bool)>,
}

/// A frame for a client.
struct Shown {
    bytes: Bytes,
    text: bool,
    /// It counts towards the bounds.
    counts: bool,
}

/// How much may wait for a client.
fn bounds(without: Option<Switch>) -> Bounds {
    let frames_max = match without {
        Some(Switch::Slow) => usize::MAX,
        _ => WAITING_MAX,
    };
    Bounds {
        bytes_max: usize::MAX,
        frames_max,
    }
}

pub(super) struct Edge {
    pub(super) process: Process<EdgeId>,
    pub(super) condition: Condition,
    standing: Standing,
    outbound: PartitionId,
    /// Where it reads on, in each lane.
    outbound_next: BTreeMap<PartitionName, Offset>,
    watches: BTreeMap<Address, Watch<SocketId>>,
    connections: BTreeMap<SocketId, Connection>,
    lanes: Lanes,
    skew_ms: u64,
}

impl Edge {
    pub(super) fn start(id: EdgeId, name: String, stage: &mut Stage) -> Self {
        let process = Process::start(id, name, stage);
        let spread = LANES.iter().map(|lane| lane.outbound_partitions).min();
        let spread = u64::from(spread.unwrap_or(1)) - 1;
        let outbound = PartitionId(u32::try_from(stage.up_to(spread)).unwrap_or_default());
        process.plan(stage, 0, Due::Join);
        Self {
            process,
            condition: Condition::well(),
            standing: Standing::default(),
            outbound,
            outbound_next: BTreeMap::new(),
            watches: BTreeMap::new(),
            connections: BTreeMap::new(),
            lanes: Lanes::new(&stage.plan),
            skew_ms: stage.up_to(200),
        }
    }

    /// Whether it has read that another process of its name took its place.
    pub(super) fn is_evicted(&self) -> bool {
        self.standing.is_evicted()
    }

    /// The partition through which a lane speaks to it.
    pub(super) fn hears(&self, lane: &'static str) -> PartitionName {
        PartitionName {
            lane,
            partition: self.outbound,
        }
    }

    /// Leaves in order: accepts nobody, sends clients elsewhere bit by bit, and waits until the entities know.
    pub(super) fn drain(&mut self) {
        self.standing.drain();
    }

    /// Whether it has left.
    pub(super) fn has_left(&self) -> bool {
        self.standing.is_draining() && !self.condition.is_alive()
    }

    fn go_on_leaving(&mut self, stage: &mut Stage) {
        let some: Vec<_> = self.sockets().take(SENT_AWAY).collect();
        let is_empty = some.is_empty();
        for socket in some {
            self.close(socket, CloseCode::Draining, stage);
        }
        if is_empty && self.lanes.are_paid() {
            let leave = Member::Leave {
                incarnation: self.process.incarnation,
            };
            self.process.say(&leave, Asker::Nobody, stage);
            self.condition.end();
        }
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

    pub(super) fn on(&mut self, due: Due, stage: &mut Stage) {
        match due {
            Due::Join => {
                let join = Member::Join {
                    incarnation: self.process.incarnation,
                    who: self.who(),
                };
                let asker = Asker::Edge(self.process.id, Ack::Join);
                self.process.say(&join, asker, stage);
            }
            Due::Beat if self.is_evicted() => {}
            Due::Beat => {
                let joined = self.standing.joined();
                let beat = Member::Alive {
                    incarnation: self.process.incarnation,
                    who: self.who(),
                    joined: joined.expect("it beats once it has joined"),
                    sent: self.now(stage).time,
                    leaving: self.standing.is_draining(),
                    warm: Vec::new(),
                };
                self.process.say(&beat, Asker::Nobody, stage);
                self.process.plan(stage, EDGE_HEARTBEAT_MS, Due::Beat);
            }
            Due::Tick => self.tick(stage),
            Due::PollCluster => self.read_cluster(stage),
            Due::PollOutbound(lane) => self.read_outbound(lane, stage),
            Due::Retry(partition) => {
                let news = self.lanes.to(partition).retry(stage);
                self.heard_of(partition, news, stage);
                self.send(stage);
            }
            Due::Message(socket) => self.message(socket, stage),
            Due::Answer(Ack::Join, Some(offset)) => self.has_joined(offset, stage),
            Due::Answer(Ack::Join, None) => self.process.plan(stage, 50, Due::Join),
            Due::Answer(Ack::Lane(partition, group, index), offset) => {
                let id = self.process.id;
                let lane = self.lanes.to(partition);
                lane.answered(id, (group, index), offset, stage);
                self.send(stage);
            }
        }
    }

    /// A partition's log was away for too long: its sockets are closed.
    fn heard_of(&mut self, partition: PartitionName, news: Option<StallEvent>, stage: &mut Stage) {
        if news != Some(StallEvent::CloseSockets) {
            return;
        }
        let connections = self.connections.iter();
        let here = connections
            .filter(|(_, connection)| PartitionName::of(&connection.address) == partition);
        let sockets: Vec<_> = here.map(|(socket, _)| *socket).collect();
        self.lanes.to(partition).lose(&sockets);
        for socket in sockets {
            self.close(socket, CloseCode::LaneLost, stage);
        }
    }

    fn who(&self) -> Who {
        let outbound = self.outbound;
        Who::new(&self.process.name, Kind::Edge { outbound })
    }

    /// R25: the outbound partition is read from its end before the first socket is accepted.
    fn has_joined(&mut self, offset: Offset, stage: &mut Stage) {
        if !self.standing.join(offset, stage) {
            return;
        }
        for lane in LANES {
            let partition = self.hears(lane.name);
            self.outbound_next
                .insert(partition, stage.end(&outbound(partition)));
        }
        self.process.plan(stage, 0, Due::Beat);
        self.process.plan(stage, TICK_MS, Due::Tick);
        self.process.plan(stage, 1, Due::PollCluster);
    }

    fn read_cluster(&mut self, stage: &mut Stage) {
        if self.standing.fold(self.process.incarnation, stage) {
            let sockets: Vec<_> = self.sockets().collect();
            for socket in sockets {
                self.close(socket, CloseCode::ComeBack, stage);
            }
        }
    }

    fn tick(&mut self, stage: &mut Stage) {
        let now = self.now(stage);
        let sockets: Vec<_> = self.sockets().collect();
        for socket in sockets {
            self.write(socket, stage);
            let Some(connection) = self.connections.get_mut(&socket) else {
                continue;
            };
            if let SessionDue::Close(code, _) = connection.session.on_time(now) {
                self.close(socket, code, stage);
            }
        }
        for partition in self.lanes.partitions() {
            let news = self.lanes.to(partition).on_time(stage);
            self.heard_of(partition, news, stage);
        }
        let addresses: Vec<_> = self.watches.keys().cloned().collect();
        for address in addresses {
            let effects = self
                .watches
                .get_mut(&address)
                .map(|watch| watch.repairs(now.running, usize::MAX));
            self.apply(&address, effects.unwrap_or_default(), stage);
        }
        if self.standing.is_draining() {
            self.go_on_leaving(stage);
        }
        self.process.plan(stage, TICK_MS, Due::Tick);
        self.send(stage);
    }
}
