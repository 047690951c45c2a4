//! A state node's process: drives the partitions' cores as the real shell does, in virtual time.

mod opening;
mod actions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xp_cluster::{Lease, Members};
use xp_domain_sdk::host::Registry;
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::{Address, Incarnation, Offset, PartitionId, Revision, Seq, TimeMs, codec};
use xp_state_node::partition::Partition;
use xp_state_node::{Lane, Lanes};
use xp_transport::simulated::ProducerId;
use xp_transport::{AppendError, Record};

use super::agenda::{Asker, Due as Planned, NodeAck as Ack, NodeDue as Due, Part};
use super::disk::Disk;
use super::history::What;
use super::names::NodeId;
use super::plan::{LANE, OUTBOUND_PARTITIONS, PARTITIONS};
use super::stage::{Stage, cluster, events, inbound};
use super::switch::Switch;

/// The stable name of the one state node.
const NAME: &str = "node";
/// How often it says that it lives, in milliseconds.
const BEAT_MS: u64 = 80;
/// How often its partitions see the time, in milliseconds.
const TICK_MS: u64 = 20;
/// How many records one reading takes at most.
const READ_MAX: u64 = 12;

struct Flight {
    first: Seq,
    round: u64,
    results: Vec<Option<Result<Offset, AppendError>>>,
}

struct Owned {
    part: Part,
    core: Partition,
    /// The next inbound offset, once it reads inbound.
    reads: Option<Offset>,
    flights: BTreeMap<u64, Flight>,
}

pub(super) struct Node {
    id: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) producer: ProducerId,
    pub(super) alive: bool,
    pub(super) frozen_until: TimeMs,
    domain: Arc<Registry>,
    lanes: Arc<Lanes>,
    disk: Disk,
    members: Members,
    seen: Arc<Members>,
    lease: Lease,
    cluster_next: Offset,
    partitions: BTreeMap<PartitionId, Owned>,
    skew_ms: u64,
    lives: u64,
}

pub(super) fn lanes() -> Lanes {
    let lane = Lane::new(LANE, PARTITIONS, OUTBOUND_PARTITIONS);
    Lanes::default().with(lane, ["ledger"])
}

impl Node {
    pub(super) fn start(id: NodeId, domain: Arc<Registry>, disk: Disk, stage: &mut Stage) -> Self {
        let incarnation = Incarnation(stage.uuid());
        let producer = ProducerId(stage.name());
        stage.after(0, Planned::Node(id, Due::Join));
        stage.after(1, Planned::Node(id, Due::PollCluster));
        Self {
            id,
            incarnation,
            producer,
            alive: true,
            frozen_until: TimeMs(0),
            domain,
            lanes: Arc::new(lanes()),
            disk,
            members: Members::default(),
            seen: Arc::default(),
            lease: Lease::default(),
            cluster_next: Offset(0),
            partitions: BTreeMap::new(),
            skew_ms: stage.up_to(200),
            lives: 0,
        }
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether it has read that another process of its name took its place.
    pub(super) fn is_evicted(&self) -> bool {
        self.seen.is_former(self.incarnation)
    }

    /// Whether every partition is owned here.
    pub(super) fn owns_all(&self) -> bool {
        self.alive
            && self.partitions.len() == PARTITIONS as usize
            && self.partitions.values().all(|owned| owned.core.is_owner())
    }

    /// An entity's revision and state, as this process has them.
    pub(super) fn inspect(&mut self, address: &Address) -> Option<(Revision, Vec<u8>)> {
        let partition = address.partition(PARTITIONS);
        let owned = self.partitions.get_mut(&partition)?;
        owned.core.inspect(address).ok()?
    }

    /// Stops in order; whoever asks for it starts it again.
    pub(super) fn release(&mut self, stage: &mut Stage) {
        let now = self.clock(stage);
        for partition in (0..PARTITIONS).map(PartitionId) {
            if let Some(owned) = self.partitions.get_mut(&partition) {
                owned.core.release(now);
            }
            self.perform(partition, stage);
        }
    }

    fn clock(&self, stage: &Stage) -> TimeMs {
        stage.now.plus_ms(self.skew_ms)
    }

    fn plan(&self, stage: &mut Stage, after_ms: u64, due: Due) {
        stage.after(after_ms, Planned::Node(self.id, due));
    }

    pub(super) fn on(&mut self, due: Due, stage: &mut Stage) {
        let now = self.clock(stage);
        match due {
            Due::Join => {
                let definitions = self.lanes.definitions(1);
                self.say(Member::Lanes(definitions), Ack::Join, stage);
                self.say(self.join(), Ack::Join, stage);
            }
            Due::Beat => {
                let Some((who, joined)) = self.members.get(self.incarnation) else {
                    return self.plan(stage, BEAT_MS, Due::Beat);
                };
                let beat = Member::Alive {
                    incarnation: self.incarnation,
                    who: who.clone(),
                    joined,
                    sent: now,
                    leaving: false,
                    warm: Vec::new(),
                };
                self.say(beat, Ack::Beat, stage);
            }
            Due::Tick => self.tick(stage),
            Due::PollCluster => self.read_cluster(stage),
            Due::PollEvents(partition) => self.read_events(partition, stage),
            Due::PollInbound(partition) => self.read_inbound(partition, stage),
            Due::Answer(ack, offset) => self.answered(ack, offset, stage),
            Due::InboundEnd(part) => {
                let end = stage.end(&inbound(part.partition));
                if let Some(owned) = self.part(part) {
                    owned.core.inbound_end(end, now);
                }
                self.perform(part.partition, stage);
            }
            Due::Gap(part, from, upto) => {
                let count = upto.0 + 1 - from.0;
                let batch = stage.read(&events(part.partition), from, count as usize);
                if let Some(owned) = self.part(part) {
                    owned.core.gap(&batch, now);
                }
                self.perform(part.partition, stage);
            }
            Due::Rescan(part, scan) => self.rescan(part, scan, stage),
            Due::Save(part, batch) => self.save(part, batch, stage),
            Due::Reopen(partition, faulted) => self.open(partition, faulted, stage),
        }
    }

    fn join(&self) -> Member {
        Member::Join {
            incarnation: self.incarnation,
            who: Who {
                lanes: 1,
                ..Who::new(NAME, Kind::StateNode)
            },
        }
    }

    fn say(&self, member: Member, ack: Ack, stage: &mut Stage) {
        let record = Record {
            header: codec::encode(&member).into(),
            ..Record::default()
        };
        stage.append(self.producer, &cluster(), record, Asker::Node(self.id, ack));
    }

    fn read_cluster(&mut self, stage: &mut Stage) {
        let batch = stage.read(&cluster(), self.cluster_next, usize::MAX);
        let was_in = self.seen.is_alive(self.incarnation);
        let mut changed = false;
        for stored in batch {
            self.cluster_next = stored.offset.next();
            let Ok(member) = codec::decode::<Member>(&stored.record.header) else {
                continue;
            };
            changed |= self.members.apply(stored.offset, stored.time, &member);
            if let Member::Alive {
                incarnation, sent, ..
            } = member
                && incarnation == self.incarnation
            {
                self.lease.read_back(sent);
            }
        }
        if !changed {
            return;
        }
        self.seen = Arc::new(self.members.clone());
        if self.seen.is_former(self.incarnation) {
            self.lease.end();
        }
        if !was_in && self.seen.is_alive(self.incarnation) {
            self.plan(stage, 0, Due::Beat);
            self.plan(stage, TICK_MS, Due::Tick);
            for partition in (0..PARTITIONS).map(PartitionId) {
                self.open(partition, BTreeSet::new(), stage);
            }
        }
        let now = self.clock(stage);
        for partition in (0..PARTITIONS).map(PartitionId) {
            if let Some(owned) = self.partitions.get_mut(&partition) {
                owned.core.on_lease(self.lease, now);
                owned.core.on_members(Arc::clone(&self.seen), now);
            }
            self.perform(partition, stage);
        }
    }

    fn part(&mut self, part: Part) -> Option<&mut Owned> {
        let owned = self.partitions.get_mut(&part.partition);
        owned.filter(|owned| owned.part == part)
    }

    fn tick(&mut self, stage: &mut Stage) {
        let now = self.clock(stage);
        for partition in (0..PARTITIONS).map(PartitionId) {
            if let Some(owned) = self.partitions.get_mut(&partition) {
                owned.core.on_lease(self.lease, now);
                owned.core.tick(now);
                for address in owned.core.take_diverged() {
                    let alarm = format!("{address} was folded to another state than the owner's");
                    stage.note(What::Alarm(alarm));
                }
            }
            self.perform(partition, stage);
        }
        self.plan(stage, TICK_MS, Due::Tick);
    }

    fn read_events(&mut self, partition: PartitionId, stage: &mut Stage) {
        let now = self.clock(stage);
        let count = 1 + stage.up_to(READ_MAX);
        let Some(owned) = self.partitions.get_mut(&partition) else {
            return;
        };
        let Some(from) = owned.core.next_event() else {
            return;
        };
        let batch = stage.read(&events(partition), from, count as usize);
        if batch.is_empty() {
            return;
        }
        owned.core.on_events(&batch, now);
        self.perform(partition, stage);
        self.plan(stage, 1, Due::PollEvents(partition));
    }

    fn read_inbound(&mut self, partition: PartitionId, stage: &mut Stage) {
        let now = self.clock(stage);
        let count = 1 + stage.up_to(READ_MAX);
        let lease = self.lease;
        let Some(owned) = self.partitions.get_mut(&partition) else {
            return;
        };
        let Some(from) = owned.reads else { return };
        if !owned.core.wants_inbound() {
            return self.plan(stage, 10, Due::PollInbound(partition));
        }
        let batch = stage.read(&inbound(partition), from, count as usize);
        let Some(last) = batch.last() else { return };
        owned.reads = Some(last.offset.next());
        owned.core.on_lease(lease, now);
        owned.core.on_inbound(&batch, now);
        self.perform(partition, stage);
        self.plan(stage, 1, Due::PollInbound(partition));
    }

    fn answered(&mut self, ack: Ack, offset: Option<Offset>, stage: &mut Stage) {
        let now = self.clock(stage);
        match (ack, offset) {
            (Ack::Join, None) if !self.seen.is_alive(self.incarnation) => {
                self.plan(stage, 50, Due::Join);
            }
            (Ack::Join, _) => {}
            (Ack::Beat, _) => self.plan(stage, BEAT_MS, Due::Beat),
            (Ack::Claim(part), None) => {
                if let Some(owned) = self.part(part) {
                    owned.core.claim_failed(now);
                }
                self.perform(part.partition, stage);
            }
            (Ack::Claim(part), Some(offset)) => self.claimed(part, offset, stage),
            (Ack::Batch(part, flight, index), offset) => {
                let result = offset.ok_or_else(|| AppendError::Unacknowledged {
                    at: events(part.partition),
                    reason: "simulated".to_owned(),
                });
                self.batch_answered(part, (flight, index), result, now);
                self.perform(part.partition, stage);
            }
            (Ack::Emitted(part, id), offset) => {
                if let Some(owned) = self.part(part) {
                    owned.core.emitted(id, offset.is_some(), now);
                }
                self.perform(part.partition, stage);
            }
        }
    }

    /// R7: an acknowledged claim proves nothing, it is read back. Off: its core is shown it at once.
    fn claimed(&mut self, part: Part, offset: Offset, stage: &mut Stage) {
        if stage.plan.without != Some(Switch::ReadBack) {
            return;
        }
        let now = self.clock(stage);
        let claim = stage.read(&events(part.partition), offset, 1);
        if let Some(owned) = self.part(part) {
            owned.core.on_events(&claim, now);
        }
        self.perform(part.partition, stage);
    }

    fn batch_answered(
        &mut self,
        part: Part,
        (id, index): (u64, usize),
        result: Result<Offset, AppendError>,
        now: TimeMs,
    ) {
        let Some(owned) = self.part(part) else { return };
        let Some(flight) = owned.flights.get_mut(&id) else {
            return;
        };
        flight.results[index] = Some(result);
        if flight.results.iter().any(Option::is_none) {
            return;
        }
        if let Some(flight) = owned.flights.remove(&id) {
            let results: Vec<_> = flight.results.into_iter().flatten().collect();
            owned
                .core
                .appended(flight.first, flight.round, &results, now);
        }
    }
}
