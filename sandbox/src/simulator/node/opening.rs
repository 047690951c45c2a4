//! A partition begins a life on this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use xp_cluster::lease::LEASE_MS;
use xp_protocol::{Offset, TimeMs};
use xp_state_node::action::Opening;
use xp_state_node::partition::{Faulted, Partition, Setting};
use xp_state_node::schedule::Schedule;

use super::{Held, Node};
use crate::simulator::agenda::{NodeDue as Due, Part};
use crate::simulator::history::What;
use crate::simulator::place::Place;
use crate::simulator::plan::limits;
use crate::simulator::stage::{Stage, events, inbound};
use crate::simulator::switch::Switch;

impl Node {
    /// R18: opened anew, if it is still this node's.
    pub(super) fn reopen(&mut self, place: Place, faulted: Faulted, stage: &mut Stage) {
        let duty = self.seen.duty(&place.into(), self.incarnation);
        if duty.is_some() && !self.partitions.contains_key(&place) {
            self.open(place, faulted, stage);
        }
    }

    pub(super) fn open(&mut self, place: Place, faulted: Faulted, stage: &mut Stage) {
        let now = self.clock(stage);
        self.lives += 1;
        if self.clears.remove(&place) {
            self.disk.clear(place);
        }
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
            rules: Switch::owner(stage.plan.without),
        };
        let identity = stage.log.identity(&inbound(place));
        let opening = Opening {
            inbound: identity.expect("the topic was created"),
            first: Offset(0),
            next: stage.end(&events(place)),
            now,
        };
        let mut core = match Partition::open(setting, opening, stage.random.random()) {
            Ok(core) => core,
            Err(error) => return stage.note(What::Alarm(error.to_string())),
        };
        core.set_faulted(faulted);
        core.on_lease(self.lease, now);
        core.on_members(Arc::clone(&self.seen), now);
        let held = Held {
            part,
            core,
            cursor: None,
            reads: None,
            busy_until: TimeMs(0),
            flights: BTreeMap::new(),
            schedule: Schedule::new(now, Switch::owner(stage.plan.without)),
            turn: 0,
        };
        self.partitions.insert(place, held);
        self.plan(stage, 1, Due::PollEvents(place));
        self.tell(stage);
        self.perform(place, stage);
    }
}
