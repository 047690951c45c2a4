//! A partition begins a life on this process.

use std::sync::Arc;

use xp_cluster::lease::LEASE_MS;
use xp_state_node::action::Opening;
use xp_state_node::partition::{Faulted, Partition, Setting};
use xp_state_node::schedule::Schedule;
use xp_transport::Bounds;

use super::Node;
use super::held::Held;
use super::restoring::restores;
use crate::agenda::{NodeDue as Due, Part};
use crate::partition_name::PartitionName;
use crate::plan::limits;
use crate::stage::{Stage, inbound};
use crate::switch::Switch;

impl Node {
    /// R18: opened anew, if it is still this node's.
    pub(super) fn reopen(&mut self, partition: PartitionName, faulted: Faulted, stage: &mut Stage) {
        let me = self.process.incarnation;
        let duty = self.membership.seen().duty(&partition.into(), me);
        if duty.is_some() && !self.is_open(partition) {
            self.open(partition, faulted, stage);
        }
    }

    pub(super) fn is_open(&self, partition: PartitionName) -> bool {
        self.partitions.is_open(partition) || self.restoring.has(partition)
    }

    pub(super) fn open(&mut self, partition: PartitionName, faulted: Faulted, stage: &mut Stage) {
        if self.closed.must_clear(partition) {
            self.disk.clear(partition);
        }
        let bounds = stage.bounds(partition);
        if self.closed.may_restore(partition) && restores(&self.disk, partition, bounds, stage) {
            return self.begin_restoring(partition, faulted, bounds, stage);
        }
        self.begin(partition, faulted, (bounds, false), stage);
    }

    /// As its disk is now.
    pub(super) fn begin(
        &mut self,
        partition: PartitionName,
        faulted: Faulted,
        (bounds, restored): (Bounds, bool),
        stage: &mut Stage,
    ) {
        let now = self.clock.now(stage);
        self.lives += 1;
        let part = Part {
            partition,
            life: self.lives,
        };
        let setting = Setting {
            partition: partition.into(),
            incarnation: self.process.incarnation,
            lanes: Arc::clone(&self.lanes),
            domain: Arc::clone(&self.domain),
            limits: Arc::new(limits(&stage.plan)),
            store: self.disk.store(partition),
            lease_ms: LEASE_MS,
            explains: false,
            rules: Switch::rules(stage.plan.without),
            faulted,
            deciding: Default::default(),
        };
        let identity = stage.log.identity(&inbound(partition));
        let opening = Opening {
            inbound: identity.expect("the topic was created"),
            first: bounds.first,
            next: bounds.next,
            now,
        };
        let mut core = match Partition::open(setting, opening, stage.dice.seed()) {
            Ok(core) => core,
            Err(error) => return self.stop(partition, &error.to_string(), stage),
        };
        core.on_lease(self.membership.lease(), now);
        core.on_members(Arc::clone(self.membership.seen()), now);
        let schedule = Schedule::new(now, Switch::rules(stage.plan.without));
        let mut held = Held::new(part, core, schedule, restored);
        self.process.plan(stage, 1, Due::PollEvents(partition));
        held.see_turn(self.membership.seen(), &self.process, stage);
        self.partitions.open(held);
        self.membership.tell(&self.process, stage);
        self.perform(partition, stage);
    }
}
