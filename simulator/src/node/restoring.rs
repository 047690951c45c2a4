//! A partition is restored from what is published: the real filling, onto the simulated disk.

use std::collections::BTreeMap;

use xp_protocol::{ClaimId, Offset};
use xp_state_node::partition::Faulted;
use xp_state_node::published::choice::{self, is_whole};
use xp_state_node::published::filling::Step;
use xp_state_node::published::{Filling, Outcome, mark, position};
use xp_transport::Bounds;

use super::Node;
use crate::agenda::{NodeAck as Ack, NodeDue as Due};
use crate::disk::Disk;
use crate::history::What;
use crate::names::NodeId;
use crate::partition_name::PartitionName;
use crate::plan::{Feature, pace};
use crate::process::Process;
use crate::stage::{Stage, snapshots};

/// The longest time between two steps, in milliseconds.
const STEP_MS: u64 = 15;
/// How many records one reading takes at most.
const READ_MAX: usize = 12;

/// A partition on its way back.
pub(super) struct Restoring {
    attempt: u64,
    filling: Filling,
    /// Where it reads on.
    next: Offset,
    /// What `events` were when it began.
    bounds: Bounds,
    faulted: Faulted,
}

impl Restoring {
    /// A mark was appended, or not: then it is appended again.
    fn marked(
        &mut self,
        partition: PartitionName,
        id: Option<ClaimId>,
        me: &Process<NodeId>,
        stage: &mut Stage,
    ) {
        match id {
            Some(id) => {
                self.filling.marked(id);
                me.plan(stage, 0, Due::Restore(partition, self.attempt));
            }
            None => self.put_mark(partition, me, stage),
        }
    }

    fn put_mark(&self, partition: PartitionName, me: &Process<NodeId>, stage: &mut Stage) {
        let id = ClaimId(stage.uuid());
        let asker = me.awaits(Ack::Marked(partition, self.attempt, id));
        stage.append(me.producer, &snapshots(partition), mark(id), asker);
    }
}

/// The partitions that are on their way back.
#[derive(Default)]
pub(super) struct Restorations(BTreeMap<PartitionName, Restoring>);

impl Restorations {
    pub(super) fn has(&self, partition: PartitionName) -> bool {
        self.0.contains_key(&partition)
    }

    /// Those of other partitions end.
    pub(super) fn retain(&mut self, is_kept: impl Fn(PartitionName) -> bool) {
        self.0.retain(|partition, _| is_kept(*partition));
    }

    /// One that is still in this attempt.
    fn at(&mut self, partition: PartitionName, attempt: u64) -> Option<&mut Restoring> {
        let restoring = self.0.get_mut(&partition);
        restoring.filter(|restoring| restoring.attempt == attempt)
    }

    /// The mark of an attempt was appended, or not.
    pub(super) fn marked(
        &mut self,
        (partition, attempt): (PartitionName, u64),
        id: Option<ClaimId>,
        me: &Process<NodeId>,
        stage: &mut Stage,
    ) {
        if let Some(restoring) = self.at(partition, attempt) {
            restoring.marked(partition, id, me, stage);
        }
    }
}

fn position_on(disk: &Disk, partition: PartitionName) -> Option<Offset> {
    let position = position(disk.store(partition).as_ref());
    Some(position.ok()??.1)
}

/// Whether a partition takes what is published.
pub(super) fn restores(
    disk: &Disk,
    partition: PartitionName,
    bounds: Bounds,
    stage: &Stage,
) -> bool {
    let replay_max = pace().replay_max;
    stage.plan.has(Feature::Published)
        && choice::restores(position_on(disk, partition), bounds, replay_max)
}

impl Node {
    pub(super) fn begin_restoring(
        &mut self,
        partition: PartitionName,
        faulted: Faulted,
        bounds: Bounds,
        stage: &mut Stage,
    ) {
        let attempt = stage.name();
        let restoring = Restoring {
            attempt,
            filling: Filling::new(position_on(&self.disk, partition), &pace()),
            next: Offset(0),
            bounds,
            faulted,
        };
        self.restoring.0.insert(partition, restoring);
        self.process
            .plan(stage, 0, Due::Restore(partition, attempt));
    }

    pub(super) fn restore(&mut self, partition: PartitionName, attempt: u64, stage: &mut Stage) {
        let Some(restoring) = self.restoring.at(partition, attempt) else {
            return;
        };
        let mut pause_ms = stage.up_to(STEP_MS);
        match restoring.filling.step() {
            Step::Open => restoring.next = Offset(0),
            Step::Wait => pause_ms = pace().interval.ms() / 4,
            Step::Mark => return restoring.put_mark(partition, &self.process, stage),
            Step::Read => {
                let batch = stage.read(&snapshots(partition), restoring.next, READ_MAX);
                if let Some(last) = batch.last() {
                    restoring.next = last.offset.next();
                }
                restoring.filling.read(&batch);
            }
            Step::Clear => self.disk.clear(partition),
            Step::Write(batch) => self.disk.write(partition, batch, false),
            Step::Over(result) => return self.restored(partition, result, stage),
        }
        self.process
            .plan(stage, pause_ms, Due::Restore(partition, attempt));
    }

    fn restored(
        &mut self,
        partition: PartitionName,
        result: Result<Outcome, String>,
        stage: &mut Stage,
    ) {
        let Some(restoring) = self.restoring.0.remove(&partition) else {
            return;
        };
        let Restoring {
            bounds, faulted, ..
        } = restoring;
        let restored = match result {
            Ok(Outcome::Restored(position)) => {
                let name = &self.process.name;
                let what = format!("{name} restores {partition} as it was at {position}");
                stage.note(What::Kept(what));
                true
            }
            Ok(Outcome::Nothing | Outcome::Older(_)) => false,
            Err(_) if is_whole(bounds) => false,
            Err(reason) => return self.stop(partition, &reason, stage),
        };
        let bounds = match restored {
            true => stage.bounds(partition),
            false => bounds,
        };
        if restored && restores(&self.disk, partition, bounds, stage) {
            return self.begin_restoring(partition, faulted, bounds, stage);
        }
        self.begin(partition, faulted, (bounds, restored), stage);
    }
}
