//! Its place in the `cluster` log: it joins, says that it lives, folds what others say, and leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use xp_cluster::Lease;
use xp_cluster::log as record;
use xp_cluster::members::{End, Members};
use xp_cluster::timing::BEATS_IN_FLIGHT;
use xp_protocol::cluster::{Kind, Member, Who};
use xp_protocol::{LanePartition, TimeMs};
use xp_state_node::schedule::Source;

use super::{Node, TICK_MS, lanes};
use crate::agenda::{Asker, NodeAck as Ack, NodeDue as Due};
use crate::history::What;
use crate::names::NodeId;
use crate::partition_name::PartitionName;
use crate::process::{Process, enter};
use crate::stage::{Stage, cluster};
use crate::switch::Switch;

/// The version of the lanes that all nodes are started with.
const LANES_VERSION: u32 = 1;
/// How long it waits until everything is handed over, in milliseconds; then it leaves with what nobody took.
const HANDOVER_MS: u64 = 3_000;

/// What it has folded of the `cluster` log, and what it says there.
#[derive(Default)]
pub(crate) struct Membership {
    members: Option<Members>,
    /// What its partitions have been told of the fold.
    seen: Arc<Members>,
    lease: Lease,
    /// How many heartbeats are under way, and whether there is news for the next.
    beats: usize,
    news: bool,
    /// Since when it hands over what it owns.
    leaving: Option<TimeMs>,
}

impl Membership {
    /// What it has folded of the cluster.
    pub(crate) fn members(&self) -> Option<&Members> {
        self.members.as_ref()
    }

    pub(super) fn seen(&self) -> &Arc<Members> {
        &self.seen
    }

    /// Whether a process is a member.
    pub(super) fn has(&self, me: &Process<NodeId>) -> bool {
        self.seen.is_alive(me.incarnation)
    }

    pub(super) fn lease(&self) -> Lease {
        self.lease
    }

    /// Why a process is a member no longer.
    pub(crate) fn end(&self, me: &Process<NodeId>) -> Option<End> {
        self.seen.end(me.incarnation)
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Folds the log so far, brings the lanes when nobody has, and asks to be a member.
    pub(super) fn join(&mut self, me: &Process<NodeId>, stage: &mut Stage) {
        if self.members.is_none() {
            self.members = enter(stage);
        }
        let Some(members) = &self.members else {
            return me.plan(stage, 20, Due::Join);
        };
        let definitions = lanes().definitions(LANES_VERSION);
        match members.admit_lanes(&definitions) {
            Ok(true) => me.say(&Member::Lanes(definitions), Asker::Nobody, stage),
            Ok(false) => {}
            Err(refusal) => return stage.note(What::Alarm(refusal.to_string())),
        }
        let join = Member::Join {
            incarnation: me.incarnation,
            who: Who {
                lanes: LANES_VERSION,
                ..Who::new(&me.name, Kind::StateNode)
            },
        };
        me.say(&join, me.awaits(Ack::Join), stage);
        me.plan(stage, 1, Due::PollCluster);
    }

    /// There is news, which does not wait for the next heartbeat's time.
    pub(super) fn tell(&mut self, me: &Process<NodeId>, stage: &mut Stage) {
        if !std::mem::replace(&mut self.news, true) {
            me.plan(stage, 0, Due::News);
        }
    }

    /// What is news from here on is told later.
    pub(super) fn begin_to_tell(&mut self) {
        self.news = false;
    }

    /// R37: heartbeats do not wait for each other, up to a bound.
    pub(super) fn may_beat(&self) -> bool {
        self.beats < BEATS_IN_FLIGHT
    }

    pub(super) fn beat(
        &mut self,
        me: &Process<NodeId>,
        (sent, warm): (TimeMs, Vec<LanePartition>),
        stage: &mut Stage,
    ) {
        let Some((who, joined)) = self.seen.get(me.incarnation) else {
            return;
        };
        let beat = Member::Alive {
            incarnation: me.incarnation,
            who: who.clone(),
            joined,
            sent,
            leaving: self.is_leaving(),
            warm,
        };
        self.beats += 1;
        me.say(&beat, me.awaits(Ack::Beat), stage);
    }

    pub(super) fn beaten(&mut self) {
        self.beats = self.beats.saturating_sub(1);
    }

    /// Begins to hand over.
    fn leave(&mut self, me: &Process<NodeId>, stage: &mut Stage) {
        if self.leaving.is_none() {
            self.leaving = Some(stage.now);
            self.tell(me, stage);
        }
    }

    /// Folds what others have said; says whether that changed anything.
    fn fold(&mut self, me: &Process<NodeId>, stage: &mut Stage) -> bool {
        let Some(members) = &mut self.members else {
            return false;
        };
        let mut changed = false;
        for stored in stage.read(&cluster(), members.next(), usize::MAX) {
            let Some(member) = record::member(&stored) else {
                continue;
            };
            changed |= members.apply(stored.offset, stored.time, &member);
            if let Member::Alive {
                incarnation, sent, ..
            } = member
                && incarnation == me.incarnation
            {
                self.lease.read_back(sent);
                if let Some(fold) = members.fold_due() {
                    me.say(&fold, Asker::Nobody, stage);
                }
            }
        }
        if changed {
            self.seen = Arc::new(members.clone());
        }
        if changed && self.seen.is_former(me.incarnation) {
            self.lease.end();
        }
        changed
    }
}

impl Node {
    pub(super) fn say_alive(&mut self, stage: &mut Stage) {
        if !self.membership.may_beat() {
            return;
        }
        let sent = self.clock.now(stage).running;
        let (me, seen) = (self.process.incarnation, &self.membership.seen);
        let warm = self.partitions.iter();
        let warm = warm.filter(|(_, held)| held.schedule.phase().is_warm());
        let mut warm: BTreeSet<_> = warm.map(|(partition, _)| partition).collect();
        if stage.plan.without == Some(Switch::Yields) {
            let owned = PartitionName::all()
                .filter(|partition| seen.owner(&(*partition).into()) == Some(me));
            warm.extend(owned);
        }
        let warm = warm.into_iter().map(LanePartition::from).collect();
        self.membership.beat(&self.process, (sent, warm), stage);
    }

    pub(super) fn read_cluster(&mut self, stage: &mut Stage) {
        let was_in = self.membership.has(&self.process);
        if self.membership.fold(&self.process, stage) {
            self.see_members(was_in, stage);
        }
    }

    fn see_members(&mut self, was_in: bool, stage: &mut Stage) {
        if !was_in && self.membership.has(&self.process) {
            self.process.plan(stage, 0, Due::Beat);
            self.process.plan(stage, TICK_MS, Due::Tick);
        }
        let now = self.clock.now(stage);
        for partition in self.partitions.partitions() {
            if let Some(held) = self.partitions.at(partition) {
                held.core.on_lease(self.membership.lease, now);
                held.core.on_members(Arc::clone(&self.membership.seen), now);
                held.see_turn(&self.membership.seen, &self.process, stage);
            }
            self.heard(partition, Source::Members, stage);
        }
        self.look(stage);
    }

    /// Opens what placement gives it, closes what it has taken away, and leaves when nothing is left to hand over.
    pub(super) fn look(&mut self, stage: &mut Stage) {
        let (me, seen) = (self.process.incarnation, Arc::clone(&self.membership.seen));
        if !seen.is_alive(me) {
            return;
        }
        let duties = seen.duties(me);
        let has_duty = |partition: PartitionName| duties.contains_key(&partition.into());
        for partition in self.partitions.partitions() {
            let held = self.partitions.at(partition);
            if held.is_some_and(|held| !held.core.is_owner()) && !has_duty(partition) {
                self.partitions.close(partition);
                self.membership.tell(&self.process, stage);
            }
        }
        self.restoring.retain(has_duty);
        for partition in duties.keys().map(PartitionName::known) {
            if !self.is_open(partition) && !self.closed.is_stopped(partition) {
                self.open(partition, Default::default(), stage);
            }
        }
        self.finish_leaving(stage);
    }

    /// Begins to hand over.
    pub(crate) fn leave(&mut self, stage: &mut Stage) {
        self.membership.leave(&self.process, stage);
    }

    fn finish_leaving(&mut self, stage: &mut Stage) {
        let Some(since) = self.membership.leaving else {
            return;
        };
        let late = stage.now.since_ms(since) > HANDOVER_MS;
        let now = self.clock.now(stage);
        if late {
            for partition in self.partitions.partitions() {
                if let Some(held) = self.partitions.at(partition) {
                    held.core.release(now);
                }
                self.perform(partition, stage);
            }
        }
        let me = self.process.incarnation;
        let owns = self.owned().next().is_some();
        let told = self.membership.seen.is_leaving(me);
        if !owns && (told || late) {
            let leave = Member::Leave { incarnation: me };
            self.process.say(&leave, Asker::Nobody, stage);
            self.condition.end();
        }
    }

    /// Whether it has ended in order.
    pub(crate) fn has_left(&self) -> bool {
        !self.condition.is_alive() && self.membership.is_leaving()
    }
}
