//! All processes, and the loop that lets them live.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_domain_sdk::Domain;
use xp_domain_sdk::host::Registry;
use xp_protocol::{
    Address, Incarnation, LanePartition, LogIdentity, Offset, PartitionId, Revision, TimeMs,
};
use xp_state_node::action::Opening;
use xp_state_node::partition::{Partition, Setting};
use xp_state_node::store::SnapshotStore;
use xp_transport::simulated::ProducerId;
use xp_transport::{Stored, TopicPartition};

use super::agenda::{Act, Asker, Due, EdgeDue, NodeDue};
use super::chaos::{self, Mischief};
use super::client::{self, Client};
use super::disk::{Disk, fresh_disk};
use super::edge::Edge;
use super::history::{History, What};
use super::ledger::Ledger;
use super::names::{ClientId, EdgeId, NodeId};
use super::node::{self, Node};
use super::plan::{ENTITIES, EPOCH_MS, LANE, PARTITIONS, Plan, limits};
use super::stage::{Happening, Logged, Stage, events, inbound};
use super::switch::Switch;

/// How many clients there are.
const CLIENTS: usize = 6;
/// How many edges there are.
const EDGES: usize = 2;

/// What a run leaves behind.
pub struct Outcome {
    /// The run.
    pub plan: Plan,
    /// What was seen.
    pub history: History,
    /// The final `events`, by partition.
    pub events: BTreeMap<PartitionId, Vec<Stored>>,
    /// The final `inbound`, by partition.
    pub inbound: BTreeMap<PartitionId, Vec<Stored>>,
    /// Whose process wrote each record of `events`.
    pub writers: BTreeMap<(PartitionId, Offset), Incarnation>,
    /// The owner's entities at the end; `None` when no process owns everything.
    pub live: Option<BTreeMap<Address, (Revision, Vec<u8>)>>,
    /// The entities as its last snapshot and the tail of the log give them.
    pub reopened: BTreeMap<Address, (Revision, Vec<u8>)>,
}

struct World {
    stage: Stage,
    domain: Arc<Registry>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    clients: Vec<Client>,
    incarnations: BTreeMap<ProducerId, Incarnation>,
}

/// Lives through a plan.
#[must_use]
pub fn run(plan: Plan) -> Outcome {
    let mut world = World::new(plan);
    let end = TimeMs(EPOCH_MS + plan.busy_ms + plan.calm_ms);
    while let Some(happening) = world.stage.next(end) {
        match happening {
            Happening::Log(logged) => logged.into_iter().for_each(|logged| world.logged(logged)),
            Happening::Due(due) => world.due(due),
        }
    }
    world.outcome()
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut world = Self {
            stage: Stage::new(plan),
            domain: Arc::new(Domain::new().host::<Ledger>().registry().clone()),
            nodes: Vec::new(),
            edges: Vec::new(),
            clients: Vec::new(),
            incarnations: BTreeMap::new(),
        };
        if plan.faults {
            chaos::weather(&mut world.stage);
            let first = chaos::pause_ms(&mut world.stage);
            world.stage.after(first, Due::Chaos(Act::Something));
        }
        world.stage.after(plan.busy_ms, Due::Chaos(Act::Calm));
        world.start_node(fresh_disk());
        for slot in 0..EDGES {
            world.stage.edges.push(EdgeId(slot));
            world.stage.open.push(false);
            world.start_edge(slot);
        }
        for id in (0..CLIENTS).map(ClientId) {
            let client = Client::start(id, &mut world.stage);
            world.clients.push(client);
        }
        world
    }

    fn start_node(&mut self, disk: Disk) {
        let id = NodeId(self.nodes.len());
        let node = Node::start(id, Arc::clone(&self.domain), disk, &mut self.stage);
        self.incarnations.insert(node.producer, node.incarnation);
        self.nodes.push(node);
    }

    fn start_edge(&mut self, slot: usize) {
        let id = EdgeId(self.edges.len());
        let edge = Edge::start(id, format!("edge-{slot}"), &mut self.stage);
        self.edges.push(edge);
        self.stage.edges[slot] = id;
        self.stage.open[slot] = true;
    }

    fn logged(&mut self, logged: Logged) {
        match logged {
            Logged::Landed(at) => self.landed(&at),
            Logged::Answered(Asker::Node(id, ack), offset) => {
                self.due(Due::Node(id, NodeDue::Answer(ack, offset)));
            }
            Logged::Answered(Asker::Edge(id, ack), offset) => {
                self.due(Due::Edge(id, EdgeDue::Answer(ack, offset)));
            }
            Logged::Answered(Asker::Nobody, _) => {}
        }
    }

    /// Whoever reads there finds the record a little later.
    fn landed(&mut self, at: &TopicPartition) {
        let partition = at.partition;
        for id in (0..self.nodes.len()).filter(|id| self.nodes[*id].alive) {
            let due = match at.topic.rsplit('.').next() {
                Some("events") => NodeDue::PollEvents(partition),
                Some("inbound") => NodeDue::PollInbound(partition),
                Some("cluster") => NodeDue::PollCluster,
                _ => continue,
            };
            let delay = self.stage.up_to(3);
            self.stage.after(delay, Due::Node(NodeId(id), due));
        }
        for id in (0..self.edges.len()).filter(|id| self.edges[*id].alive) {
            let due = match at.topic.rsplit('.').next() {
                Some("outbound") if self.edges[id].reads() == partition => EdgeDue::PollOutbound,
                Some("cluster") => EdgeDue::PollCluster,
                _ => continue,
            };
            let delay = self.stage.up_to(3);
            self.stage.after(delay, Due::Edge(EdgeId(id), due));
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Node(NodeId(id), due) => {
                let node = &mut self.nodes[id];
                if node.alive && node.frozen_until > self.stage.now {
                    let later = self.stage.up_to(20);
                    let when = node.frozen_until.plus_ms(later);
                    self.stage.at(when, Due::Node(NodeId(id), due));
                } else if node.alive {
                    node.on(due, &mut self.stage);
                }
            }
            Due::Edge(EdgeId(id), due) => {
                let edge = &mut self.edges[id];
                if edge.alive && edge.frozen_until > self.stage.now {
                    let later = self.stage.up_to(20);
                    let when = edge.frozen_until.plus_ms(later);
                    self.stage.at(when, Due::Edge(EdgeId(id), due));
                } else if edge.alive {
                    edge.on(due, &mut self.stage);
                }
            }
            Due::Client(ClientId(id), due) => self.clients[id].on(due, &mut self.stage),
            Due::Chaos(act) => self.act(act),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Something => {
                if self.stage.now.0 >= EPOCH_MS + self.stage.plan.busy_ms {
                    return;
                }
                let mischief = chaos::mischief(&mut self.stage.random);
                self.stage.note(What::Fault(format!("{mischief:?}")));
                self.cause(mischief);
                let pause = chaos::pause_ms(&mut self.stage);
                self.stage.after(pause, Due::Chaos(Act::Something));
            }
            Act::StartNode(disk) => self.start_node(disk),
            Act::StartEdge(slot) => self.start_edge(slot),
            Act::Weather if self.stage.now.0 < EPOCH_MS + self.stage.plan.busy_ms => {
                chaos::weather(&mut self.stage);
            }
            Act::Weather => {}
            Act::Calm => {
                chaos::good_weather(&mut self.stage);
                self.stage.note(What::Calm);
            }
        }
    }

    fn cause(&mut self, mischief: Mischief) {
        match mischief {
            Mischief::CrashNode { keeps_disk } => self.crash_node(keeps_disk),
            Mischief::ReplaceLivingNode => self.replace_living_node(),
            Mischief::ReleaseNode => {
                if let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) {
                    node.release(&mut self.stage);
                }
            }
            Mischief::FreezeNode => {
                let until = self.stage.now.plus_ms(50).plus_ms(self.stage.up_to(1_200));
                if let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) {
                    node.frozen_until = node.frozen_until.max(until);
                }
            }
            Mischief::CrashEdge => self.crash_edge(),
            Mischief::ReplaceLivingEdge => {
                let slot = self.stage.up_to(EDGES as u64 - 1) as usize;
                if !self.stage.is_open(slot) {
                    return;
                }
                let until = self.stage.now.plus_ms(100).plus_ms(self.stage.up_to(2_000));
                let EdgeId(id) = self.stage.edges[slot];
                self.edges[id].frozen_until = until;
                self.start_edge(slot);
            }
            Mischief::FreezeEdge => {
                let slot = self.stage.up_to(EDGES as u64 - 1) as usize;
                let until = self.stage.now.plus_ms(50).plus_ms(self.stage.up_to(1_500));
                let EdgeId(id) = self.stage.edges[slot];
                self.edges[id].frozen_until = until;
            }
            Mischief::Cut => {
                let count = 1 + self.stage.up_to(2);
                for _ in 0..count {
                    self.cut_one();
                }
            }
            Mischief::SlowTopic => {
                chaos::slow(&mut self.stage);
                let lasts = 300 + self.stage.up_to(900);
                self.stage.after(lasts, Due::Chaos(Act::Weather));
            }
        }
    }

    fn cut_one(&mut self) {
        let sockets: Vec<_> = self.edges.iter().flat_map(Edge::sockets).collect();
        if sockets.is_empty() {
            return;
        }
        let at = self.stage.up_to(sockets.len() as u64 - 1) as usize;
        self.stage.cut(sockets[at]);
    }

    fn crash_node(&mut self, keeps_disk: bool) {
        let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) else {
            return;
        };
        node.alive = false;
        self.stage.log.abandon(node.producer);
        let disk = if keeps_disk {
            node.disk().clone()
        } else {
            fresh_disk()
        };
        let pause = self.stage.up_to(400);
        self.stage.after(pause, Due::Chaos(Act::StartNode(disk)));
    }

    /// The old process freezes, wakes up later, and does not know that it has been replaced.
    fn replace_living_node(&mut self) {
        let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) else {
            return;
        };
        let until = self.stage.now.plus_ms(self.stage.up_to(2_500));
        node.frozen_until = node.frozen_until.max(until);
        let pause = self.stage.up_to(300);
        self.stage
            .after(pause, Due::Chaos(Act::StartNode(fresh_disk())));
    }

    fn crash_edge(&mut self) {
        let slot = self.stage.up_to(EDGES as u64 - 1) as usize;
        if !self.stage.is_open(slot) {
            return;
        }
        let EdgeId(id) = self.stage.edges[slot];
        self.edges[id].alive = false;
        self.stage.open[slot] = false;
        self.stage.log.abandon(self.edges[id].producer);
        let sockets: Vec<_> = self.edges[id].sockets().collect();
        for socket in sockets {
            self.stage.cut(socket);
        }
        let pause = self.stage.up_to(600);
        self.stage.after(pause, Due::Chaos(Act::StartEdge(slot)));
    }

    fn outcome(mut self) -> Outcome {
        let addresses: Vec<_> = (0..ENTITIES).map(client::address).collect();
        let owner = self.nodes.iter_mut().rfind(|node| node.owns_all());
        let mut disk = fresh_disk();
        let live = owner.map(|node| {
            disk = node.disk().clone();
            let inspect = |address: &Address| Some((address.clone(), node.inspect(address)?));
            addresses.iter().filter_map(inspect).collect()
        });
        let topic = |at: fn(PartitionId) -> TopicPartition| {
            (0..PARTITIONS)
                .map(PartitionId)
                .map(|partition| {
                    let records = self.stage.read(&at(partition), Offset(0), usize::MAX);
                    (partition, records)
                })
                .collect::<BTreeMap<_, _>>()
        };
        let (logged, heard) = (topic(events), topic(inbound));
        let reopened = self.reopen(&disk, &logged, &addresses);
        let incarnation = |producer: &ProducerId| self.incarnations.get(producer).copied();
        let writers = self.stage.writers.iter();
        let writers = writers
            .filter_map(|(at, producer)| Some((*at, incarnation(producer)?)))
            .collect();
        Outcome {
            plan: self.stage.plan,
            history: self.stage.history,
            events: logged,
            inbound: heard,
            writers,
            live,
            reopened,
        }
    }

    /// What a follower makes of the last snapshots and the log.
    fn reopen(
        &self,
        disk: &Disk,
        logged: &BTreeMap<PartitionId, Vec<Stored>>,
        addresses: &[Address],
    ) -> BTreeMap<Address, (Revision, Vec<u8>)> {
        let now = self.stage.now;
        let mut found = BTreeMap::new();
        for (partition, records) in logged {
            let setting = Setting {
                place: LanePartition {
                    lane: LANE.into(),
                    partition: *partition,
                },
                incarnation: Incarnation(uuid::Uuid::nil()),
                lanes: Arc::new(node::lanes()),
                domain: Arc::clone(&self.domain),
                limits: Arc::new(limits()),
                store: Arc::clone(&disk[partition]) as Arc<dyn SnapshotStore>,
                rules: Switch::owner(self.stage.plan.without),
            };
            let opening = Opening {
                inbound: LogIdentity(uuid::Uuid::nil()),
                first: Offset(0),
                now,
            };
            let Ok(mut core) = Partition::open(setting, opening, 0) else {
                continue;
            };
            let from = core.next_event().unwrap_or_default();
            let tail: Vec<_> = records
                .iter()
                .filter(|stored| stored.offset >= from)
                .cloned()
                .collect();
            core.on_events(&tail, now);
            let here = |address: &&Address| address.partition(PARTITIONS) == *partition;
            for address in addresses.iter().filter(here) {
                if let Ok(Some(state)) = core.inspect(address) {
                    found.insert(address.clone(), state);
                }
            }
        }
        found
    }
}
