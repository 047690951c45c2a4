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
use crate::place::Place;
use crate::plan::limits;
use crate::stage::{Stage, inbound};
use crate::switch::Switch;

impl Node {
    /// R18: opened anew, if it is still this node's.
    pub(super) fn reopen(&mut self, place: Place, faulted: Faulted, stage: &mut Stage) {
        let me = self.process.incarnation;
        let duty = self.membership.seen().duty(&place.into(), me);
        if duty.is_some() && !self.is_open(place) {
            self.open(place, faulted, stage);
        }
    }

    pub(super) fn is_open(&self, place: Place) -> bool {
        self.partitions.is_open(place) || self.restoring.has(place)
    }

    pub(super) fn open(&mut self, place: Place, faulted: Faulted, stage: &mut Stage) {
        if self.closed.must_clear(place) {
            self.disk.clear(place);
        }
        let bounds = stage.bounds(place);
        if self.closed.may_restore(place) && restores(&self.disk, place, bounds, stage) {
            return self.begin_restoring(place, faulted, bounds, stage);
        }
        self.begin(place, faulted, (bounds, false), stage);
    }

    /// As its disk is now.
    pub(super) fn begin(
        &mut self,
        place: Place,
        faulted: Faulted,
        (bounds, restored): (Bounds, bool),
        stage: &mut Stage,
    ) {
        let now = self.clock.now(stage);
        self.lives += 1;
        let part = Part {
            place,
            life: self.lives,
        };
        let setting = Setting {
            place: place.into(),
            incarnation: self.process.incarnation,
            lanes: Arc::clone(&self.lanes),
            domain: Arc::clone(&self.domain),
            limits: Arc::new(limits(&stage.plan)),
            store: self.disk.store(place),
            lease_ms: LEASE_MS,
            explains: false,
            rules: Switch::rules(stage.plan.without),
            faulted,
            deciding: Default::default(),
        };
        let identity = stage.log.identity(&inbound(place));
        let opening = Opening {
            inbound: identity.expect("the topic was created"),
            first: bounds.first,
            next: bounds.next,
            now,
        };
        let mut core = match Partition::open(setting, opening, stage.dice.seed()) {
            Ok(core) => core,
            Err(error) => return self.stop(place, &error.to_string(), stage),
        };
        core.on_lease(self.membership.lease(), now);
        core.on_members(Arc::clone(self.membership.seen()), now);
        let schedule = Schedule::new(now, Switch::rules(stage.plan.without));
        let mut held = Held::new(part, core, schedule, restored);
        self.process.plan(stage, 1, Due::PollEvents(place));
        held.see_turn(self.membership.seen(), &self.process, stage);
        self.partitions.open(held);
        self.membership.tell(&self.process, stage);
        self.perform(place, stage);
    }
}
