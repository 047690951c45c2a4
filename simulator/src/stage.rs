//! The stage that all processes of a run share: the time, the log, the sockets, and what is due.

mod kept;
mod shelf;

use std::collections::BTreeMap;

use uuid::Uuid;
use xp_protocol::lane::{
    CLUSTER_TOPIC, events_topic, inbound_topic, outbound_topic, snapshots_topic,
};
use xp_protocol::{Epoch, LanePartition, Offset, PartitionId, TimeMs};
use xp_transport::simulated::{Faults, ProducerId, SimEvent, SimLog};
use xp_transport::{Bounds, Record, Stored, TopicPartition};

use super::agenda::{Agenda, Asker, ClientDue, Due, EdgeDue};
use super::appends::Appends;
use super::dice::Dice;
use super::doors::Doors;
use super::history::{History, What};
use super::link::{Link, Links, ToClient, ToEdge};
use super::names::SocketId;
use super::partition_name::PartitionName;
use super::plan::{EPOCH_MS, Feature, LANES, Plan};

use kept::Kept;

/// How long a client that does not listen takes for a message, in milliseconds.
const SLOW_MS: u64 = 400;
/// How many messages are in the socket of one that does not listen.
const IN_SOCKET_MAX: usize = 4;
/// How long a message may be under way between client and edge, in milliseconds.
const LATENCY_MS: u64 = 12;

pub(super) struct Stage {
    pub(super) plan: Plan,
    pub(super) now: TimeMs,
    pub(super) dice: Dice,
    pub(super) log: SimLog,
    pub(super) history: History,
    pub(super) links: Links,
    pub(super) doors: Doors,
    pub(super) appends: Appends,
    /// How many poisonous messages clients are still to send.
    pub(super) poison: u64,
    /// Where each partition's topics begin.
    pub(super) kept: Kept,
    /// Processes that reach neither log nor sockets, until when.
    cut_off: BTreeMap<ProducerId, TimeMs>,
    agenda: Agenda,
}

pub(super) fn topic(name: String, partition: PartitionId) -> TopicPartition {
    TopicPartition {
        topic: name.into(),
        partition,
    }
}

pub(super) fn cluster() -> TopicPartition {
    topic(CLUSTER_TOPIC.to_owned(), PartitionId(0))
}

pub(super) fn events(at: PartitionName) -> TopicPartition {
    topic(events_topic(at.lane), at.partition)
}

pub(super) fn inbound(at: PartitionName) -> TopicPartition {
    topic(inbound_topic(at.lane), at.partition)
}

pub(super) fn outbound(at: PartitionName) -> TopicPartition {
    topic(outbound_topic(at.lane), at.partition)
}

pub(super) fn snapshots(at: PartitionName) -> TopicPartition {
    topic(snapshots_topic(at.lane), at.partition)
}

/// The partition of some topic of a lane, and which: `main.events` is `events` of `main`.
pub(super) fn lane_of(at: &TopicPartition) -> Option<(PartitionName, &str)> {
    let (name, topic) = at.topic.rsplit_once('.')?;
    let lane = LANES.iter().find(|lane| lane.name == name)?;
    let partition = at.partition;
    let lane = lane.name;
    Some((PartitionName { lane, partition }, topic))
}

impl Stage {
    pub(super) fn new(plan: Plan) -> Self {
        let mut dice = Dice::new(plan.seed);
        let mut log = SimLog::new(dice.seed(), quick());
        log.create(CLUSTER_TOPIC, 1);
        for lane in LANES {
            log.create(&events_topic(lane.name), lane.partitions);
            log.create(&inbound_topic(lane.name), lane.partitions);
            log.create(&outbound_topic(lane.name), lane.outbound_partitions);
        }
        for lane in LANES.iter().filter(|_| plan.has(Feature::Published)) {
            log.create(&snapshots_topic(lane.name), lane.partitions);
        }
        Self {
            plan,
            now: TimeMs(EPOCH_MS),
            dice,
            log,
            history: History::default(),
            links: Links::default(),
            doors: Doors::closed(),
            appends: Appends::default(),
            poison: 0,
            kept: Kept::default(),
            cut_off: BTreeMap::new(),
            agenda: Agenda::default(),
        }
    }

    pub(super) fn after(&mut self, ms: u64, due: Due) {
        self.at(self.now.plus_ms(ms), due);
    }

    pub(super) fn at(&mut self, when: TimeMs, due: Due) {
        self.agenda.plan(when.max(self.now), due);
    }

    pub(super) fn up_to(&mut self, ms: u64) -> u64 {
        self.dice.up_to(ms)
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.dice.chance(probability)
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        self.dice.uuid()
    }

    pub(super) fn name(&mut self) -> u64 {
        self.dice.name()
    }

    pub(super) fn note(&mut self, what: What) {
        self.history.note(self.now, what);
    }

    pub(super) fn append(
        &mut self,
        producer: ProducerId,
        at: &TopicPartition,
        record: Record,
        asker: Asker,
    ) {
        // As Kafka counts, where headers are text.
        let bytes = record.key.len() + record.bytes();
        let is_refused = lane_of(at).is_some() && bytes > self.plan.logged_bytes_max();
        if is_refused {
            let alarm = format!("the log refuses a record of {bytes} bytes for {at:?}");
            self.note(What::Alarm(alarm));
        }
        let id = if is_refused || self.cut_off_until(producer) > self.now {
            self.log.append_in_vain(self.now, producer, at)
        } else {
            self.log.append(self.now, producer, at, record)
        };
        self.appends.made(id, producer, asker);
    }

    /// Until when a process is cut off.
    pub(super) fn cut_off_until(&self, producer: ProducerId) -> TimeMs {
        self.cut_off.get(&producer).copied().unwrap_or_default()
    }

    pub(super) fn cut_off(&mut self, producer: ProducerId, until: TimeMs) {
        let known = self.cut_off.entry(producer).or_default();
        *known = until.max(*known);
    }

    /// Records from `from` on, at most `count`.
    pub(super) fn read(&self, at: &TopicPartition, from: Offset, count: usize) -> Vec<Stored> {
        match self.log.records(at, from) {
            Ok(records) => records.take(count).cloned().collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The oldest message that a partition of `inbound` keeps. The log itself keeps all, for the checkers.
    pub(super) fn first_kept(&self, at: &TopicPartition) -> Offset {
        let kept = self.plan.kept.unwrap_or(u64::MAX);
        Offset(self.end(at).0.saturating_sub(kept))
    }

    /// An owner begins to read `inbound` at this offset, and must find what lies there.
    pub(super) fn begin_inbound(&mut self, partition: PartitionName, epoch: Epoch, from: Offset) {
        let before = self.kept.released.before(partition, epoch);
        if from < before {
            let partition = LanePartition::from(partition);
            let alarm = format!("{partition} begins at {from}, and was released up to {before}");
            self.note(What::Alarm(alarm));
        }
    }

    /// The oldest record of `events` that is there. The log itself keeps all, for the checkers.
    pub(super) fn first_event(&self, partition: PartitionName) -> Offset {
        self.kept
            .shelves
            .get(&partition)
            .map(|shelf| shelf.first)
            .unwrap_or_default()
    }

    /// Where the `events` that are there begin and end.
    pub(super) fn bounds(&self, partition: PartitionName) -> Bounds {
        Bounds {
            first: self.first_event(partition),
            next: self.end(&events(partition)),
        }
    }

    pub(super) fn end(&self, at: &TopicPartition) -> Offset {
        self.log.bounds(at).map_or(Offset(0), |bounds| bounds.next)
    }

    /// The next thing that is due until `end`, with the log moved up to it; landed records come first.
    pub(super) fn next(&mut self, end: TimeMs) -> Option<Happening> {
        loop {
            let logged = self.log.next_event_at();
            let when = logged.into_iter().chain(self.agenda.next_at()).min()?;
            if when > end {
                return None;
            }
            self.now = self.now.max(when);
            if logged.is_some_and(|at| at <= when) {
                let happened = self.log.step(when);
                let happened: Vec<_> = happened
                    .into_iter()
                    .filter_map(|event| self.hear(event))
                    .collect();
                if !happened.is_empty() {
                    return Some(Happening::Log(happened));
                }
                continue;
            }
            return Some(Happening::Due(self.agenda.next()?));
        }
    }

    fn hear(&mut self, event: SimEvent) -> Option<Logged> {
        match event {
            SimEvent::Landed { id, at, offset } => {
                if let Some((partition, "events")) = lane_of(&at) {
                    self.appends.landed(id, partition, offset);
                }
                if let Some((partition, "snapshots")) = lane_of(&at) {
                    self.put_on_shelf(partition, &at, offset);
                }
                Some(Logged::Landed(at))
            }
            SimEvent::Acknowledged { id, offset } => {
                let asker = self.appends.answered(id)?;
                Some(Logged::Answered(asker, Some(offset)))
            }
            SimEvent::Failed { id } => {
                let asker = self.appends.answered(id)?;
                Some(Logged::Answered(asker, None))
            }
            SimEvent::Truncated { .. } => None,
        }
    }

    pub(super) fn say_to_edge(&mut self, socket: SocketId, message: ToEdge) {
        let latency = 1 + self.up_to(LATENCY_MS);
        let Some(link) = self.links.get_mut(socket) else {
            return;
        };
        if link.cut {
            return;
        }
        link.to_edge.push_back(message);
        let edge = link.edge;
        self.after(latency, Due::Edge(edge, EdgeDue::Message(socket)));
    }

    pub(super) fn say_to_client(&mut self, socket: SocketId, message: ToClient) {
        let latency = 1 + self.up_to(LATENCY_MS);
        let Some(link) = self.links.get_mut(socket) else {
            return;
        };
        if link.cut {
            return;
        }
        link.to_client.push_back(message);
        let client = link.client;
        let arrives = self.now.plus_ms(latency);
        let arrives = match &mut link.listens {
            Some(listens) if self.now < self.plan.calm_at() => {
                *listens = listens.plus_ms(SLOW_MS).max(arrives);
                *listens
            }
            _ => arrives,
        };
        self.at(arrives, Due::Client(client, ClientDue::Message(socket)));
    }

    /// Whether a socket takes another frame.
    pub(super) fn takes_more(&self, socket: SocketId) -> bool {
        let is_calm = self.now >= self.plan.calm_at();
        let takes = |link: &Link| link.listens.is_none() || link.to_client.len() < IN_SOCKET_MAX;
        is_calm || self.links.get(socket).is_none_or(takes)
    }

    /// The network between two sides breaks. What is under way is lost; each side notices later, or never.
    pub(super) fn cut(&mut self, socket: SocketId) {
        let (client_notices, edge_notices) = (self.chance(0.7), self.chance(0.7));
        let (client_ms, edge_ms) = (self.up_to(1_500), self.up_to(1_500));
        let Some(link) = self.links.get_mut(socket) else {
            return;
        };
        link.cut = true;
        link.to_edge.clear();
        link.to_client.clear();
        let (client, edge) = (link.client, link.edge);
        if client_notices {
            let lost = xp_client::Lost::Transport("cut".to_owned());
            link.to_client.push_back(ToClient::Closed(lost));
            self.after(client_ms, Due::Client(client, ClientDue::Message(socket)));
        }
        let Some(link) = self.links.get_mut(socket) else {
            return;
        };
        if edge_notices {
            link.to_edge.push_back(ToEdge::Closed(None));
            self.after(edge_ms, Due::Edge(edge, EdgeDue::Message(socket)));
        }
    }
}

/// Something that happened.
pub(super) enum Happening {
    Log(Vec<Logged>),
    Due(Due),
}

/// Something that happened in the log.
pub(super) enum Logged {
    Landed(TopicPartition),
    Answered(Asker, Option<Offset>),
}

/// A log on a good day.
pub(super) fn quick() -> Faults {
    Faults {
        delay_ms: 0..=3,
        acknowledgement_ms: 0..=2,
        timeout_ms: 400,
        ..Faults::none()
    }
}
