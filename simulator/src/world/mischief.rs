//! The mischief of a run, carried out: crashes, cuts, and people.

use std::ops::RangeInclusive;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use xp_cluster::members::End;
use xp_protocol::TimeMs;
use xp_protocol::cluster::Member;
use xp_transport::simulated::ProducerId;

use super::{World, node_name};
use crate::agenda::{Act, Asker, Due};
use crate::build::Build;
use crate::chaos;
use crate::deeds::{Deed, Mischief};
use crate::disk::{Disk, Survives};
use crate::doors::EDGES;
use crate::edge::Edge;
use crate::history::What;
use crate::names::{EdgeId, NodeId};
use crate::node::Node;
use crate::partition_name::PartitionName;
use crate::plan::OUTAGE_MS;
use crate::stage::cluster;

/// Who appends what people ask for.
const PERSON: ProducerId = ProducerId(u64::MAX);
/// The longest time for which a process stands still, in milliseconds.
const PAUSE_MAX_MS: u64 = 30_000;
/// How long a node stands still each time when it stutters, and how often.
const STILL_MS: RangeInclusive<u64> = 450..=900;
const STUTTERS: u32 = 6;
/// How long who was evicted by silence waits before it rejoins, in milliseconds.
const REJOIN_MS: u64 = 1_000;

fn some_partition(dice: &mut ChaCha8Rng) -> PartitionName {
    let partitions: Vec<_> = PartitionName::all().collect();
    partitions[dice.random_range(0..partitions.len())]
}

impl World {
    pub(super) fn cause(&mut self, deed: Deed) {
        let mut dice = ChaCha8Rng::seed_from_u64(deed.dice);
        let now = self.stage.now;
        let mut within = |ms: RangeInclusive<u64>| now.plus_ms(dice.random_range(ms));
        match deed.mischief {
            Mischief::CrashNode(left) => {
                let node = self.home(&mut dice);
                self.crash_node(node, left, &mut dice);
            }
            Mischief::ReplaceLivingNode => self.replace_living_node(&mut dice),
            Mischief::LeaveNode => {
                let NodeId(id) = self.home(&mut dice);
                if self.nodes[id].condition.is_alive() {
                    self.nodes[id].leave(&mut self.stage);
                }
            }
            Mischief::FreezeNode => {
                let until = self.pause(&mut dice);
                let NodeId(id) = self.home(&mut dice);
                self.nodes[id].condition.freeze(until);
            }
            Mischief::StutterNode => {
                let node = self.home(&mut dice);
                self.stutter(node, STUTTERS);
            }
            Mischief::PanicPartition => self.panic_partition(&mut dice),
            Mischief::StopPartition => self.stop_partition(&mut dice),
            Mischief::CutOffNode => {
                let until = within(50..=4_000);
                let NodeId(id) = self.home(&mut dice);
                self.stage.cut_off(self.nodes[id].process.producer, until);
            }
            Mischief::DrainNode => {
                let name = node_name(dice.random_range(0..self.homes.len())).into();
                self.order(&Member::Drain {
                    name,
                    drained: dice.random_bool(0.7),
                });
            }
            Mischief::MovePartition => {
                let partition = some_partition(&mut dice).into();
                let slot = dice.random_range(0..self.homes.len());
                let to = dice.random_bool(0.8).then(|| node_name(slot).into());
                self.order(&Member::Move { partition, to });
            }
            Mischief::MoveFromDeafNode => {
                let until = within(300..=3_000);
                self.move_from_deaf_node(until, &mut dice);
            }
            Mischief::Poison => self.stage.poison += 1,
            Mischief::CrashEdge => self.crash_edge(&mut dice),
            Mischief::ReplaceLivingEdge => {
                let until = within(100..=2_100);
                let slot = dice.random_range(0..EDGES);
                if !self.stage.doors.is_open(slot) {
                    return;
                }
                let EdgeId(id) = self.stage.doors.edge(slot);
                self.edges[id].condition.freeze_only(until);
                self.start_edge(slot);
            }
            Mischief::FreezeEdge => {
                let until = within(50..=1_550);
                let until = if dice.random_bool(0.2) {
                    until.plus_ms(6_000)
                } else {
                    until
                };
                let EdgeId(id) = self.stage.doors.edge(dice.random_range(0..EDGES));
                self.edges[id].condition.freeze_only(until);
            }
            Mischief::CutOffEdge => {
                let until = within(50..=2_500);
                let EdgeId(id) = self.stage.doors.edge(dice.random_range(0..EDGES));
                self.stage.cut_off(self.edges[id].process.producer, until);
            }
            Mischief::DrainEdge => {
                let EdgeId(id) = self.stage.doors.edge(dice.random_range(0..EDGES));
                self.edges[id].drain();
            }
            Mischief::Cut => {
                for _ in 0..dice.random_range(1..=3) {
                    self.cut_one(&mut dice);
                }
            }
            Mischief::SlowTopic => {
                chaos::slow(&mut self.stage, &mut dice);
                let lasts = dice.random_range(300..=1_200);
                self.stage.after(lasts, Due::Chaos(Act::Weather));
            }
            Mischief::LoseOutbound => {
                chaos::lose_outbound(&mut self.stage);
                let lasts = dice.random_range(1_500..=5_000);
                self.stage.after(lasts, Due::Chaos(Act::Weather));
            }
            Mischief::LoseInbound => {
                chaos::lose_inbound(&mut self.stage);
                let lasts = dice.random_range(300..=OUTAGE_MS);
                self.stage.after(lasts, Due::Chaos(Act::Weather));
            }
            Mischief::SetClock => {
                let until = within(200..=4_000);
                let by_ms = dice.random_range(3_600_000..=86_400_000);
                let by_ms = if dice.random_bool(0.5) { by_ms } else { -by_ms };
                let NodeId(id) = self.home(&mut dice);
                self.nodes[id].clock.set_wrong(by_ms, until, now);
            }
            Mischief::ChangeLeader => chaos::change_leader(&mut self.stage, &mut dice),
        }
    }

    /// A node stands still for about as long as it may, goes on for a moment, and stands still again.
    pub(super) fn stutter(&mut self, NodeId(id): NodeId, times: u32) {
        let still = STILL_MS.start() + self.stage.up_to(STILL_MS.end() - STILL_MS.start());
        let until = self.stage.now.plus_ms(still);
        self.nodes[id].condition.freeze(until);
        if times > 1 {
            let pause = still + 30 + self.stage.up_to(120);
            let again = Act::Stutter(NodeId(id), times - 1);
            self.stage.after(pause, Due::Chaos(again));
        }
    }

    /// A partition stops on its owner for a reason of that node alone, where somebody else could serve it at once.
    fn stop_partition(&mut self, dice: &mut ChaCha8Rng) {
        let partition = some_partition(dice);
        if self.nodes.iter().any(|node| node.has_stopped(partition)) {
            return;
        }
        let is_warm = |node: &Node| node.mirrored().any(|mirrored| mirrored == partition);
        if !self.nodes.iter().any(is_warm) {
            return;
        }
        let mut nodes = self.nodes.iter_mut();
        let owner = nodes.find(|node| node.owned().any(|owned| owned == partition));
        if let Some(owner) = owner {
            owner.give_up(partition, &mut self.stage);
        }
    }

    /// The owner's shell of a partition panics, and is started again.
    fn panic_partition(&mut self, dice: &mut ChaCha8Rng) {
        let partition = some_partition(dice);
        let mut nodes = self.nodes.iter_mut();
        let owner = nodes.find(|node| node.owned().any(|owned| owned == partition));
        if let Some(owner) = owner {
            owner.panic(partition, &mut self.stage);
        }
    }

    fn cut_one(&mut self, dice: &mut ChaCha8Rng) {
        let sockets: Vec<_> = self.edges.iter().flat_map(Edge::sockets).collect();
        if sockets.is_empty() {
            return;
        }
        self.stage.cut(sockets[dice.random_range(0..sockets.len())]);
    }

    /// The present process of some node's name.
    fn home(&self, dice: &mut ChaCha8Rng) -> NodeId {
        self.homes[dice.random_range(0..self.homes.len())]
    }

    fn slot(&self, id: NodeId) -> Option<usize> {
        self.homes.iter().position(|home| *home == id)
    }

    /// Seldom for half a minute, but not for so long that nobody sees what it does afterwards.
    fn pause(&self, dice: &mut ChaCha8Rng) -> TimeMs {
        let now = self.stage.now;
        let longest = match dice.random_range(0..4) {
            0 => PAUSE_MAX_MS,
            _ => 1_250,
        };
        let until = now.plus_ms(dice.random_range(50..=longest));
        let plan = self.stage.plan;
        until.min(TimeMs(plan.calm_at().0 + plan.calm_ms / 2))
    }

    /// A person's request on the `cluster` log.
    fn order(&mut self, member: &Member) {
        let record = xp_cluster::log::record(member);
        self.stage.append(PERSON, &cluster(), record, Asker::Nobody);
    }

    /// A partition moves away from an owner that reads the `cluster` log late: it lives, and does not know.
    fn move_from_deaf_node(&mut self, until: TimeMs, dice: &mut ChaCha8Rng) {
        let partition = some_partition(dice);
        let slot = dice.random_range(0..self.homes.len());
        let mut nodes = self.nodes.iter_mut();
        let owner = nodes.find(|node| node.owned().any(|owned| owned == partition));
        if let Some(owner) = owner {
            owner.condition.deafen(until);
            let to = Some(node_name(slot).into());
            let partition = partition.into();
            self.order(&Member::Move { partition, to });
        }
    }

    /// What a person asked for is taken back when the weather is good.
    pub(super) fn take_back(&mut self) {
        for slot in 0..self.homes.len() {
            let name = node_name(slot).into();
            self.order(&Member::Drain {
                name,
                drained: false,
            });
        }
    }

    fn crash_node(&mut self, id: NodeId, survives: Survives, dice: &mut ChaCha8Rng) {
        let longest = if dice.random_bool(0.3) { 3_000 } else { 400 };
        let pause = dice.random_range(0..=longest);
        self.end_node(id, survives, Some(pause));
    }

    /// A process ends. If it was its name's present one, another follows after a pause.
    fn end_node(&mut self, id: NodeId, survives: Survives, pause_ms: Option<u64>) {
        let slot = self.slot(id);
        let node = &mut self.nodes[id.0];
        if !node.condition.end() {
            return;
        }
        self.stage.log.abandon(node.process.producer);
        let disk = node.disk().after_crash(survives);
        if let (Some(slot), Some(pause)) = (slot, pause_ms) {
            let start = Act::StartNode(slot, disk);
            self.stage.after(pause, Due::Chaos(start));
        }
    }

    /// Whoever reads its eviction ends: who was silent rejoins after a while, who was replaced only if that was the
    /// work of a late Join of a process long gone. A process that left is started again, and so is one that a
    /// message has killed.
    pub(super) fn supervise_node(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        let (left, doomed) = (node.has_left(), node.condition.is_doomed());
        if left {
            node.condition.revive();
        }
        let pause_ms = match node.membership.end(&node.process) {
            _ if left => self.stage.up_to(500),
            _ if doomed => self.stage.up_to(400),
            Some(End::Silent) => REJOIN_MS,
            Some(End::Left | End::Replaced) => self.stage.up_to(400),
            None => return,
        };
        let why = if doomed {
            "is killed by a message"
        } else {
            "ends"
        };
        let what = format!("{} {why}", self.nodes[id].process.name);
        self.stage.note(What::Fault(what));
        self.end_node(NodeId(id), Survives::All, Some(pause_ms));
    }

    /// The same for an edge, whose process goes on until it has said goodbye for all its sockets (R28).
    pub(super) fn supervise_edge(&mut self, id: usize) {
        let slot = self.stage.doors.slot(EdgeId(id));
        if self.edges[id].has_left() {
            self.stage.note(What::Fault("an edge has left".to_owned()));
            if let Some(slot) = slot {
                self.stage.doors.close(slot);
                let pause = self.stage.up_to(600);
                self.stage.after(pause, Due::Chaos(Act::StartEdge(slot)));
            }
            return;
        }
        if let Some(slot) = slot.filter(|_| self.edges[id].is_evicted()) {
            self.stage.note(What::Fault("an edge rejoins".to_owned()));
            self.start_edge(slot);
        }
    }

    /// Whoever runs a build that cannot read everything is replaced by one that can.
    pub(super) fn repair(&mut self) {
        for id in 0..self.nodes.len() {
            if self.builds[id] != Build::Sound {
                let pause_ms = self.stage.up_to(400);
                self.end_node(NodeId(id), Survives::All, Some(pause_ms));
            }
        }
    }

    /// The old process freezes, wakes up later, and does not know that it has been replaced.
    fn replace_living_node(&mut self, dice: &mut ChaCha8Rng) {
        let slot = dice.random_range(0..self.homes.len());
        let NodeId(id) = self.homes[slot];
        let until = self.stage.now.plus_ms(dice.random_range(0..=2_500));
        let pause = dice.random_range(0..=300);
        let node = &mut self.nodes[id];
        if node.condition.is_alive() {
            node.condition.freeze(until);
            let start = Act::StartNode(slot, Disk::fresh());
            self.stage.after(pause, Due::Chaos(start));
        }
    }

    fn crash_edge(&mut self, dice: &mut ChaCha8Rng) {
        let slot = dice.random_range(0..EDGES);
        if !self.stage.doors.is_open(slot) {
            return;
        }
        let EdgeId(id) = self.stage.doors.edge(slot);
        self.edges[id].condition.end();
        self.stage.doors.close(slot);
        self.stage.log.abandon(self.edges[id].process.producer);
        let sockets: Vec<_> = self.edges[id].sockets().collect();
        for socket in sockets {
            self.stage.cut(socket);
        }
        let pause = dice.random_range(0..=600);
        self.stage.after(pause, Due::Chaos(Act::StartEdge(slot)));
    }
}
