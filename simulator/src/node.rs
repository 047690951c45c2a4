//! A state node's process: drives the partitions' cores as the real shell does, in virtual time.

mod opening;
mod restoring;
mod turns;
mod actions;
mod answers;
mod reading;
mod closed;
mod held;
mod membership;
mod clock;

use std::sync::Arc;

use xp_cluster::timing::STATE_NODE_HEARTBEAT_MS;
use xp_domain_sdk::host::Registry;
use xp_protocol::{Address, ClaimId, Offset, Revision};
use xp_state_node::partition::Partition;
use xp_state_node::schedule::Source;
use xp_state_node::{Lane, Lanes};
use xp_transport::Now;

use super::agenda::{NodeDue as Due, Part};
use super::build::read;
use super::disk::Disk;
use super::names::NodeId;
use super::partition_name::PartitionName;
use super::plan::LANES;
use super::process::{Condition, Process};
use super::stage::{Stage, inbound};

use clock::Clock;
use closed::Closed;
use held::{Held, Partitions};
use membership::Membership;
use restoring::Restorations;

/// How often it looks what placement gives it, in milliseconds.
const TICK_MS: u64 = 20;

pub(super) struct Node {
    pub(super) process: Process<NodeId>,
    pub(super) condition: Condition,
    pub(super) clock: Clock,
    pub(super) membership: Membership,
    domain: Arc<Registry>,
    lanes: Arc<Lanes>,
    disk: Disk,
    partitions: Partitions,
    /// Partitions that are being restored from what is published.
    restoring: Restorations,
    closed: Closed,
    /// How many lives partitions have had here.
    lives: u64,
}

pub(super) fn lanes() -> Lanes {
    LANES.iter().fold(Lanes::default(), |lanes, planned| {
        let lane = Lane::new(
            planned.name,
            planned.partitions,
            planned.outbound_partitions,
        );
        lanes.with(lane, planned.categories.iter().copied())
    })
}

impl Node {
    pub(super) fn start(
        id: NodeId,
        name: String,
        domain: Arc<Registry>,
        disk: Disk,
        stage: &mut Stage,
    ) -> Self {
        let process = Process::start(id, name, stage);
        process.plan(stage, 1, Due::Join);
        Self {
            process,
            condition: Condition::well(),
            clock: Clock::start(stage),
            membership: Membership::default(),
            domain,
            lanes: Arc::new(lanes()),
            disk,
            partitions: Partitions::default(),
            restoring: Restorations::default(),
            closed: Closed::default(),
            lives: 0,
        }
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The partitions that it decides for.
    pub(super) fn owned(&self) -> impl Iterator<Item = PartitionName> + '_ {
        let owned = self.partitions.iter();
        let owned = owned.filter(|(_, held)| self.condition.is_alive() && held.core.is_owner());
        owned.map(|(partition, _)| partition)
    }

    /// The partitions that it follows and has read up to the end that they had when it began.
    pub(super) fn mirrored(&self) -> impl Iterator<Item = PartitionName> + '_ {
        let is_warm = |held: &Held| !held.core.is_owner() && held.core.is_warm();
        let warm = self.partitions.iter();
        let warm = warm.filter(move |(_, held)| self.condition.is_alive() && is_warm(held));
        warm.map(|(partition, _)| partition)
    }

    /// An entity's revision and state, as this process has them once it has read what the log holds.
    pub(super) fn inspect(
        &mut self,
        address: &Address,
        stage: &Stage,
    ) -> Option<(Revision, Vec<u8>)> {
        let partition = PartitionName::of(address);
        let now = self.clock.now(stage);
        let held = self.partitions.at(partition)?;
        if let Some(from) = held.core.next_event() {
            let tail = stage.read(&super::stage::events(partition), from, usize::MAX);
            held.core.on_events(&tail, now);
        }
        let whole = stage.read(&super::stage::events(partition), Offset(0), usize::MAX);
        read(&mut held.core, address, (&self.domain, &whole), now)
    }

    /// Whether it has stopped a partition.
    pub(super) fn has_stopped(&self, partition: PartitionName) -> bool {
        self.condition.is_alive() && self.closed.is_stopped(partition)
    }

    /// A partition's memory is gone with its shell, which is started again as soon as anybody looks.
    pub(super) fn panic(&mut self, partition: PartitionName, stage: &mut Stage) {
        self.partitions.close(partition);
        self.membership.tell(&self.process, stage);
    }

    /// A partition ends here, for a reason that concerns this process alone.
    pub(super) fn give_up(&mut self, partition: PartitionName, stage: &mut Stage) {
        self.closed.stop(partition);
        self.panic(partition, stage);
    }

    pub(super) fn on(&mut self, due: Due, stage: &mut Stage) {
        match due {
            Due::Join => self.membership.join(&self.process, stage),
            Due::Beat => {
                let every_ms = STATE_NODE_HEARTBEAT_MS;
                self.process.plan(stage, every_ms, Due::Beat);
                self.say_alive(stage);
            }
            Due::News => {
                self.membership.begin_to_tell();
                self.say_alive(stage);
            }
            Due::Tick => {
                self.look(stage);
                self.process.plan(stage, TICK_MS, Due::Tick);
            }
            Due::Turn(part, turn) => self.turn(part, turn, stage),
            Due::PollCluster => self.read_cluster(stage),
            Due::PollEvents(partition) => self.read_events(partition, stage),
            Due::PollInbound(partition) => self.read_inbound(partition, stage),
            Due::Answer(ack, offset) => self.answered(ack, offset, stage),
            Due::Gap(part, from, upto) => {
                let batch = reading::gap(part.partition, (from, upto), stage);
                self.hand(part, stage, |core, now| core.gap(&batch, now));
            }
            Due::InboundEnd(part) => {
                let end = stage.end(&inbound(part.partition));
                self.hand(part, stage, |core, now| core.inbound_end(end, now));
            }
            Due::Rescan(part, scan) => self.rescan(part, scan, stage),
            Due::Save(part, batch) => self.save(part, batch, stage),
            Due::FoldAnew(part, upto, entities) => self.fold_anew(part, upto, entities, stage),
            Due::Publish(part, epoch) => {
                let id = ClaimId(stage.uuid());
                if let Some(held) = self.partitions.of(part) {
                    let store = self.disk.store(part.partition);
                    held.publish((epoch, id), &self.process, store.as_ref(), stage);
                }
            }
            Due::Restore(partition, attempt) => self.restore(partition, attempt, stage),
            Due::Reopen(partition, faulted) => self.reopen(partition, faulted, stage),
        }
    }

    /// Hands something to a partition's core, which does what it comes to.
    fn hand(&mut self, part: Part, stage: &mut Stage, hand: impl FnOnce(&mut Partition, Now)) {
        let now = self.clock.now(stage);
        if let Some(held) = self.partitions.of(part) {
            hand(&mut held.core, now);
        }
        self.heard(part.partition, Source::Answers, stage);
    }
}
