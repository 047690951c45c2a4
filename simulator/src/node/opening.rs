//! A partition begins a life on this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use xp_cluster::lease::LEASE_MS;
use xp_protocol::TimeMs;
use xp_state_node::action::Opening;
use xp_state_node::partition::{Faulted, Partition, Setting};
use xp_state_node::read_ahead::ReadAhead;
use xp_state_node::schedule::Schedule;
use xp_transport::Bounds;

use super::{Held, Node, Publication};
use crate::agenda::{NodeDue as Due, Part};
use crate::place::Place;
use crate::plan::limits;
use crate::stage::{Stage, inbound};
use crate::switch::Switch;

impl Node {
    /// R18: opened anew, if it is still this node's.
    pub(super) fn reopen(&mut self, place: Place, faulted: Faulted, stage: &mut Stage) {
        let duty = self.seen.duty(&place.into(), self.incarnation);
        let is_open = self.partitions.contains_key(&place) || self.restoring.contains_key(&place);
        if duty.is_some() && !is_open {
            self.open(place, faulted, stage);
        }
    }

    pub(super) fn open(&mut self, place: Place, faulted: Faulted, stage: &mut Stage) {
        if self.clears.remove(&place) {
            self.disk.clear(place);
        }
        let bounds = self.bounds(place, stage);
        let may_restore = !self.spoilt.remove(&place);
        if may_restore && self.restores(place, bounds, stage) {
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
        let now = self.clock(stage);
        self.lives += 1;
        let part = Part {
            place,
            life: self.lives,
        };
        let setting = Setting {
            place: place.into(),
            incarnation: self.incarnation,
            lanes: Arc::clone(&self.lanes),
            domain: Arc::clone(&self.domain),
            limits: Arc::new(limits(&stage.plan)),
            store: self.disk.store(place),
            lease_ms: LEASE_MS,
            explains: false,
            rules: Switch::owner(stage.plan.without),
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
        let mut core = match Partition::open(setting, opening, stage.random.random()) {
            Ok(core) => core,
            Err(error) => return self.stop(place, &error.to_string(), stage),
        };
        core.on_lease(self.lease, now);
        core.on_members(Arc::clone(&self.seen), now);
        let held = Held {
            part,
            core,
            cursor: None,
            reads: None,
            ahead: ReadAhead::closed(),
            busy_until: TimeMs(0),
            flights: BTreeMap::new(),
            schedule: Schedule::new(now, Switch::owner(stage.plan.without)),
            publication: Publication::default(),
            restored,
            turn: 0,
        };
        self.partitions.insert(place, held);
        self.plan(stage, 1, Due::PollEvents(place));
        self.see_turn(place, stage);
        self.tell(stage);
        self.perform(place, stage);
    }
}
