//! Its place in the `cluster` log: it joins, says that it lives, folds what others say, and leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use xp_cluster::log as record;
use xp_cluster::members::{self, End, Members};
use xp_cluster::timing::{BEATS_IN_FLIGHT, STATE_NODE_HEARTBEAT_MS, TAIL};
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::{LanePartition, Offset};
use xp_state_node::schedule::Source;

use super::{Node, TICK_MS, lanes};
use crate::agenda::{Asker, NodeAck as Ack, NodeDue as Due};
use crate::history::What;
use crate::place::Place;
use crate::stage::{Stage, cluster};
use crate::switch::Switch;

/// The version of the lanes that all nodes are started with.
const LANES_VERSION: u32 = 1;
/// How long it waits until everything is handed over, in milliseconds; then it leaves with what nobody took.
const HANDOVER_MS: u64 = 3_000;

impl Node {
    /// Folds the log so far, brings the lanes when nobody has, and asks to be a member.
    pub(super) fn join(&mut self, stage: &mut Stage) {
        if self.members.is_none() {
            self.members = self.enter(stage);
        }
        let Some(members) = &self.members else {
            return self.plan(stage, 20, Due::Join);
        };
        let definitions = lanes().definitions(LANES_VERSION);
        match members.admit_lanes(&definitions) {
            Ok(true) => self.say(&Member::Lanes(definitions), None, stage),
            Ok(false) => {}
            Err(refusal) => return stage.note(What::Alarm(refusal.to_string())),
        }
        let join = Member::Join {
            incarnation: self.incarnation,
            who: Who {
                lanes: LANES_VERSION,
                ..Who::new(&self.name, Kind::StateNode)
            },
        };
        self.say(&join, Some(Ack::Join), stage);
        self.plan(stage, 1, Due::PollCluster);
    }

    /// R37: from the newest record of the fold on.
    fn enter(&self, stage: &Stage) -> Option<Members> {
        let end = stage.end(&cluster());
        let from = Offset(end.0.saturating_sub(TAIL));
        let stored = stage.read(&cluster(), from, usize::MAX);
        let records: Vec<_> = stored
            .iter()
            .filter_map(|stored| Some((stored.offset, stored.time, record::member(stored)?)))
            .collect();
        members::enter(1, (Offset(0), from), &records)
    }

    fn say(&self, member: &Member, ack: Option<Ack>, stage: &mut Stage) {
        let asker = ack.map_or(Asker::Nobody, |ack| Asker::Node(self.id, ack));
        stage.append(self.producer, &cluster(), record::record(member), asker);
    }

    pub(super) fn beat(&mut self, stage: &mut Stage) {
        self.plan(stage, STATE_NODE_HEARTBEAT_MS, Due::Beat);
        self.say_alive(stage);
    }

    pub(super) fn tell_news(&mut self, stage: &mut Stage) {
        self.news = false;
        self.say_alive(stage);
    }

    /// R37: heartbeats do not wait for each other, up to a bound.
    fn say_alive(&mut self, stage: &mut Stage) {
        if self.beats >= BEATS_IN_FLIGHT {
            return;
        }
        let sent = self.clock(stage).running;
        let Some((who, joined)) = self.seen.get(self.incarnation) else {
            return;
        };
        let warm = self.partitions.iter();
        let warm = warm.filter(|(_, held)| held.schedule.phase().is_warm());
        let mut warm: BTreeSet<_> = warm.map(|(place, _)| *place).collect();
        if stage.plan.without == Some(Switch::Yields) {
            let (me, seen) = (self.incarnation, &self.seen);
            let owned = Place::all().filter(|place| seen.owner(&(*place).into()) == Some(me));
            warm.extend(owned);
        }
        let beat = Member::Alive {
            incarnation: self.incarnation,
            who: who.clone(),
            joined,
            sent,
            leaving: self.leaving.is_some(),
            warm: warm.into_iter().map(LanePartition::from).collect(),
        };
        self.beats += 1;
        self.say(&beat, Some(Ack::Beat), stage);
    }

    pub(super) fn beaten(&mut self) {
        self.beats = self.beats.saturating_sub(1);
    }

    /// There is news, which does not wait for the next heartbeat's time.
    pub(super) fn tell(&mut self, stage: &mut Stage) {
        if !std::mem::replace(&mut self.news, true) {
            self.plan(stage, 0, Due::News);
        }
    }

    pub(super) fn read_cluster(&mut self, stage: &mut Stage) {
        let Some(mut members) = self.members.take() else {
            return;
        };
        let was_in = self.seen.is_alive(self.incarnation);
        let mut changed = false;
        for stored in stage.read(&cluster(), members.next(), usize::MAX) {
            let Some(member) = record::member(&stored) else {
                continue;
            };
            changed |= members.apply(stored.offset, stored.time, &member);
            if let Member::Alive {
                incarnation, sent, ..
            } = member
                && incarnation == self.incarnation
            {
                self.lease.read_back(sent);
                if let Some(fold) = members.fold_due() {
                    self.say(&fold, None, stage);
                }
            }
        }
        if changed {
            self.seen = Arc::new(members.clone());
        }
        self.members = Some(members);
        if changed {
            self.see_members(was_in, stage);
        }
    }

    fn see_members(&mut self, was_in: bool, stage: &mut Stage) {
        if self.seen.is_former(self.incarnation) {
            self.lease.end();
        }
        if !was_in && self.seen.is_alive(self.incarnation) {
            self.plan(stage, 0, Due::Beat);
            self.plan(stage, TICK_MS, Due::Tick);
        }
        let now = self.clock(stage);
        for place in self.running() {
            if let Some(held) = self.partitions.get_mut(&place) {
                held.core.on_lease(self.lease, now);
                held.core.on_members(Arc::clone(&self.seen), now);
            }
            self.see_turn(place, stage);
            self.heard(place, Source::Members, stage);
        }
        self.look(stage);
    }

    /// Opens what placement gives it, closes what it has taken away, and leaves when nothing is left to hand over.
    pub(super) fn look(&mut self, stage: &mut Stage) {
        if !self.seen.is_alive(self.incarnation) {
            return;
        }
        let duties = self.seen.duties(self.incarnation);
        let has_duty = |place: Place| duties.contains_key(&place.into());
        for place in self.running() {
            let held = self.partitions.get(&place);
            if held.is_some_and(|held| !held.core.is_owner()) && !has_duty(place) {
                self.partitions.remove(&place);
                self.tell(stage);
            }
        }
        self.restoring.retain(|place, _| has_duty(*place));
        for place in duties.keys().map(Place::known) {
            let is_open =
                self.partitions.contains_key(&place) || self.restoring.contains_key(&place);
            if !is_open && !self.stopped.contains(&place) {
                self.open(place, Default::default(), stage);
            }
        }
        self.finish_leaving(stage);
    }

    /// Begins to hand over.
    pub(crate) fn leave(&mut self, stage: &mut Stage) {
        if self.leaving.is_none() {
            self.leaving = Some(stage.now);
            self.tell(stage);
        }
    }

    fn finish_leaving(&mut self, stage: &mut Stage) {
        let Some(since) = self.leaving else { return };
        let late = stage.now.since_ms(since) > HANDOVER_MS;
        let now = self.clock(stage);
        if late {
            for place in self.running() {
                if let Some(held) = self.partitions.get_mut(&place) {
                    held.core.release(now);
                }
                self.perform(place, stage);
            }
        }
        let owns = self.owned().next().is_some();
        let told = self.seen.is_leaving(self.incarnation);
        if !owns && (told || late) {
            let leave = Member::Leave {
                incarnation: self.incarnation,
            };
            self.say(&leave, None, stage);
            self.alive = false;
        }
    }

    /// Whether it has ended in order.
    pub(crate) fn has_left(&self) -> bool {
        !self.alive && self.leaving.is_some()
    }

    /// Why it is a member no longer.
    pub(crate) fn ended(&self) -> Option<End> {
        self.seen.end(self.incarnation)
    }
}
