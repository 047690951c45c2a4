//! All processes, and the loop that lets them live.

mod mischief;
mod ending;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xp_domain_sdk::host::Registry;
use xp_protocol::{Address, Incarnation, Offset, Revision, TimeMs};
use xp_transport::simulated::ProducerId;
use xp_transport::{Stored, TopicPartition};

use super::agenda::{Act, Asker, Due, EdgeDue, NodeDue};
use super::build::Build;
use super::chaos::{self};
use super::client::Client;
use super::deeds;
use super::disk::Disk;
use super::doors::EDGES;
use super::edge::Edge;
use super::history::{History, What};
use super::names::{ClientId, EdgeId, NodeId};
use super::node::Node;
use super::partition_name::PartitionName;
use super::plan::{EPOCH_MS, Feature, Plan};
use super::stage::{Happening, Logged, Stage, lane_of};

/// What a run leaves behind.
pub struct Outcome {
    /// The plan that was played.
    pub plan: Plan,
    /// What was seen.
    pub history: History,
    /// The final `events`, by partition.
    pub events: BTreeMap<PartitionName, Vec<Stored>>,
    /// The final `inbound`, by partition.
    pub inbound: BTreeMap<PartitionName, Vec<Stored>>,
    /// The final `outbound`, by partition.
    pub outbound: BTreeMap<PartitionName, Vec<Stored>>,
    /// Whose process wrote each record of `events`.
    pub writers: BTreeMap<(PartitionName, Offset), Incarnation>,
    /// The most chain records of a partition that any process had under way to `outbound` at once.
    pub chained_max: usize,
    /// The most frames that waited for a client.
    pub waited_max: usize,
    /// The processes that decide for each partition at the end, by the names of their nodes.
    pub owners: BTreeMap<PartitionName, Vec<String>>,
    /// Entities as the processes have them at the end, and as their snapshots and the tail of the log give them.
    pub sights: Vec<Sight>,
    /// Where processes have folded the same of the cluster and came to something else.
    pub disagreements: Vec<String>,
}

/// Entities of some partitions, as somebody has them.
pub struct Sight {
    /// The node or store that has them, for messages.
    pub whose: String,
    /// Which partitions it knows.
    pub partitions: BTreeSet<PartitionName>,
    /// What it knows.
    pub states: States,
}

/// Revisions and encoded states.
pub type States = BTreeMap<Address, (Revision, Vec<u8>)>;

struct World {
    stage: Stage,
    domain: Arc<Registry>,
    nodes: Vec<Node>,
    /// The build of each.
    builds: Vec<Build>,
    /// The present process of each node's name.
    homes: Vec<NodeId>,
    edges: Vec<Edge>,
    clients: Vec<Client>,
    incarnations: BTreeMap<ProducerId, Incarnation>,
}

fn node_name(slot: usize) -> String {
    format!("node-{slot}")
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
            domain: Build::Sound.domain(),
            nodes: Vec::new(),
            builds: Vec::new(),
            homes: Vec::new(),
            edges: Vec::new(),
            clients: Vec::new(),
            incarnations: BTreeMap::new(),
        };
        chaos::weather(&mut world.stage);
        for deed in deeds::deeds(&plan) {
            world.stage.after(deed.at_ms, Due::Chaos(Act::Deed(deed)));
        }
        if let Some(at) = plan.truncated_ms {
            world.stage.after(at, Due::Chaos(Act::Truncate));
        }
        if plan.has(Feature::Published) {
            world.stage.cut_short();
        }
        world.stage.after(plan.busy_ms, Due::Chaos(Act::Calm));
        for slot in 0..plan.nodes {
            world.homes.push(NodeId(slot));
            world.start_node(slot, Disk::fresh());
        }
        for slot in 0..EDGES {
            world.start_edge(slot);
        }
        for id in (0..plan.clients).map(ClientId) {
            let client = Client::start(id, &mut world.stage);
            world.clients.push(client);
        }
        world
    }

    fn start_node(&mut self, slot: usize, disk: Disk) {
        let id = NodeId(self.nodes.len());
        let is_calm = self.stage.now >= self.stage.plan.calm_at();
        let build = match self.stage.plan.has(Feature::Builds) && !is_calm {
            true => Build::of(self.nodes.len(), self.stage.plan.seed),
            false => Build::Sound,
        };
        let (name, domain) = (node_name(slot), build.domain());
        self.builds.push(build);
        let node = Node::start(id, name, domain, disk, &mut self.stage);
        let process = &node.process;
        self.incarnations
            .insert(process.producer, process.incarnation);
        self.homes[slot] = id;
        self.nodes.push(node);
    }

    fn start_edge(&mut self, slot: usize) {
        let id = EdgeId(self.edges.len());
        let edge = Edge::start(id, format!("edge-{slot}"), &mut self.stage);
        self.edges.push(edge);
        self.stage.doors.open(slot, id);
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
        let partition = lane_of(at);
        for id in (0..self.nodes.len()).filter(|id| self.nodes[*id].condition.is_alive()) {
            let due = match partition {
                Some((partition, "events")) => NodeDue::PollEvents(partition),
                Some((partition, "inbound")) => NodeDue::PollInbound(partition),
                None => NodeDue::PollCluster,
                Some(_) => continue,
            };
            let delay = self.stage.up_to(3);
            self.stage.after(delay, Due::Node(NodeId(id), due));
        }
        for id in (0..self.edges.len()).filter(|id| self.edges[*id].condition.is_alive()) {
            let due = match partition {
                Some((partition, "outbound"))
                    if self.edges[id].hears(partition.lane) == partition =>
                {
                    EdgeDue::PollOutbound(partition.lane)
                }
                None => EdgeDue::PollCluster,
                Some(_) => continue,
            };
            let delay = self.stage.up_to(3);
            self.stage.after(delay, Due::Edge(EdgeId(id), due));
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Node(NodeId(id), due) => {
                let node = &mut self.nodes[id];
                let cut = self.stage.cut_off_until(node.process.producer);
                let frozen = node.condition.frozen_until();
                let held = match due {
                    NodeDue::PollCluster => frozen.max(cut).max(node.condition.deaf_until()),
                    _ if due.is_heard() => frozen.max(cut),
                    _ => frozen,
                };
                let is_alive = node.condition.is_alive();
                if is_alive && held > self.stage.now {
                    let later = self.stage.up_to(20);
                    self.stage
                        .at(held.plus_ms(later), Due::Node(NodeId(id), due));
                } else if is_alive {
                    node.on(due, &mut self.stage);
                    self.supervise_node(id);
                }
            }
            Due::Edge(EdgeId(id), due) => {
                let edge = &mut self.edges[id];
                let cut = self.stage.cut_off_until(edge.process.producer);
                let frozen = edge.condition.frozen_until();
                let held = frozen.max(if due.is_heard() { cut } else { TimeMs(0) });
                let is_alive = edge.condition.is_alive();
                if is_alive && held > self.stage.now {
                    let later = self.stage.up_to(20);
                    self.stage
                        .at(held.plus_ms(later), Due::Edge(EdgeId(id), due));
                } else if is_alive {
                    edge.on(due, &mut self.stage);
                    self.supervise_edge(id);
                }
            }
            Due::Client(ClientId(id), due) => self.clients[id].on(due, &mut self.stage),
            Due::Chaos(act) => self.act(act),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Deed(deed) => {
                self.stage.note(What::Fault(format!("{:?}", deed.mischief)));
                self.cause(deed);
            }
            Act::StartNode(slot, disk) => self.start_node(slot, disk),
            Act::StartEdge(slot) => self.start_edge(slot),
            Act::Stutter(node, times) => self.stutter(node, times),
            Act::Weather if self.stage.now < self.stage.plan.calm_at() => {
                chaos::weather(&mut self.stage);
            }
            Act::Weather => {}
            Act::CutShort => self.stage.cut_short(),
            Act::Truncate => chaos::truncate(&mut self.stage),
            Act::Calm => {
                chaos::good_weather(&mut self.stage);
                self.take_back();
                self.repair();
                self.stage.note(What::Calm);
            }
        }
    }
}
