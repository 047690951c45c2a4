//! A partition's snapshot is published: the real epochs, which read the simulated disk.

use xp_cluster::Members;
use xp_protocol::{ClaimId, Offset};
use xp_state_node::published::choice::publishes;
use xp_state_node::published::writing::Step;
use xp_state_node::published::{Changes, Writing, mark, pages};
use xp_state_node::store::{Batch, SnapshotStore};
use xp_transport::Record;

use super::Held;
use crate::agenda::{NodeAck as Ack, NodeDue as Due};
use crate::names::NodeId;
use crate::plan::{Feature, pace};
use crate::process::Process;
use crate::stage::{Stage, snapshots};

/// The longest time between two steps of a publisher, in milliseconds.
const STEP_MS: u64 = 15;
/// How many records one reading takes at most.
const READ_MAX: usize = 12;

/// What a partition of this process publishes.
#[derive(Default)]
pub(in crate::node) struct Publication {
    /// It is its turn.
    mine: bool,
    /// Counts its epochs: what is planned for an earlier one is so no longer.
    epoch: u64,
    changes: Changes,
    writing: Option<Writing>,
    flying: Vec<Option<Option<Offset>>>,
}

impl Publication {
    /// Something was stored.
    pub(in crate::node) fn note(&mut self, batch: &Batch) {
        let changed = batch.entities.iter().map(|(address, _)| address);
        self.changes.note(changed);
    }

    /// Whatever it was doing is over.
    fn end(&mut self) {
        self.epoch += 1;
        self.changes.end();
        self.writing = None;
        self.flying.clear();
    }

    /// Whether it is still in an epoch.
    fn is_in(&self, epoch: u64) -> bool {
        self.mine && self.epoch == epoch
    }
}

impl Held {
    /// Whose turn it is to publish.
    pub(in crate::node) fn see_turn(
        &mut self,
        members: &Members,
        me: &Process<NodeId>,
        stage: &mut Stage,
    ) {
        if !stage.plan.has(Feature::Published) {
            return;
        }
        let mine = publishes(members, &self.part.partition.into()) == Some(me.incarnation);
        let publication = &mut self.publication;
        if std::mem::replace(&mut publication.mine, mine) == mine {
            return;
        }
        publication.end();
        if mine {
            let due = Due::Publish(self.part, publication.epoch);
            me.plan(stage, pace().settle.ms(), due);
        }
    }

    /// The next step of an epoch; a mark that it needs has this id.
    pub(in crate::node) fn publish(
        &mut self,
        (epoch, id): (u64, ClaimId),
        me: &Process<NodeId>,
        store: &dyn SnapshotStore,
        stage: &mut Stage,
    ) {
        let (pace, part) = (pace(), self.part);
        let publication = &mut self.publication;
        if !publication.is_in(epoch) {
            return;
        }
        let Some(writing) = &mut publication.writing else {
            return match pages::begin(store, &mut publication.changes, &pace) {
                Ok(()) => self.put_out(vec![mark(id)], me, stage),
                Err(_) => self.publish_anew(me, stage),
            };
        };
        let read = match writing.step() {
            Step::Append(records) => return self.put_out(records, me, stage),
            Step::Rest => return me.plan(stage, pace.interval.ms(), Due::Publish(part, epoch)),
            Step::Page(after) => {
                let page = pages::page(store, after.as_ref(), &pace);
                page.map(|page| writing.page(page)).is_ok()
            }
            Step::Entities(some) => {
                let page = pages::entities(store, &some, &pace);
                page.map(|page| writing.page(page)).is_ok()
            }
            Step::Take => {
                let taken = pages::take(store, &mut publication.changes);
                taken.map(|taken| writing.taken(taken)).is_ok()
            }
            Step::Read { from, .. } => {
                let batch = stage.read(&snapshots(part.partition), from, READ_MAX);
                writing.read(&batch).is_ok()
            }
        };
        if !read {
            return self.publish_anew(me, stage);
        }
        let pause = stage.up_to(STEP_MS);
        me.plan(stage, pause, Due::Publish(part, epoch));
    }

    /// A failure ends an epoch: all is published anew in another one.
    fn publish_anew(&mut self, me: &Process<NodeId>, stage: &mut Stage) {
        self.publication.end();
        let due = Due::Publish(self.part, self.publication.epoch);
        me.plan(stage, pace().interval.ms(), due);
    }

    fn put_out(&mut self, records: Vec<Record>, me: &Process<NodeId>, stage: &mut Stage) {
        let epoch = self.publication.epoch;
        self.publication.flying = vec![None; records.len()];
        for (index, record) in records.into_iter().enumerate() {
            let asker = me.awaits(Ack::Published(self.part, epoch, index));
            stage.append(me.producer, &snapshots(self.part.partition), record, asker);
        }
    }

    /// One answer to what was put out.
    pub(in crate::node) fn published(
        &mut self,
        epoch: u64,
        (index, offset): (usize, Option<Offset>),
        me: &Process<NodeId>,
        stage: &mut Stage,
    ) {
        let publication = &mut self.publication;
        if !publication.is_in(epoch) {
            return;
        }
        publication.flying[index] = Some(offset);
        if publication.flying.iter().any(Option::is_none) {
            return;
        }
        let flown = std::mem::take(&mut publication.flying).into_iter();
        let Some(offsets) = flown.map(Option::flatten).collect::<Option<Vec<_>>>() else {
            return self.publish_anew(me, stage);
        };
        match (&mut publication.writing, offsets.first()) {
            (Some(writing), _) => writing.appended(&offsets),
            (None, Some(mark)) => {
                let pace = pace();
                publication.writing = Some(Writing::new(*mark, Offset(0), &pace));
            }
            (None, None) => {}
        }
        me.plan(stage, 0, Due::Publish(self.part, epoch));
    }
}
