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
use crate::place::Place;
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
        place: Place,
        id: Option<ClaimId>,
        me: &Process<NodeId>,
        stage: &mut Stage,
    ) {
        match id {
            Some(id) => {
                self.filling.marked(id);
                me.plan(stage, 0, Due::Restore(place, self.attempt));
            }
            None => self.put_mark(place, me, stage),
        }
    }

    fn put_mark(&self, place: Place, me: &Process<NodeId>, stage: &mut Stage) {
        let id = ClaimId(stage.uuid());
        let asker = me.awaits(Ack::Marked(place, self.attempt, id));
        stage.append(me.producer, &snapshots(place), mark(id), asker);
    }
}

/// The partitions that are on their way back.
#[derive(Default)]
pub(super) struct Restorations(BTreeMap<Place, Restoring>);

impl Restorations {
    pub(super) fn has(&self, place: Place) -> bool {
        self.0.contains_key(&place)
    }

    /// Those of other partitions end.
    pub(super) fn retain(&mut self, is_kept: impl Fn(Place) -> bool) {
        self.0.retain(|place, _| is_kept(*place));
    }

    /// One that is still in this attempt.
    fn at(&mut self, place: Place, attempt: u64) -> Option<&mut Restoring> {
        let restoring = self.0.get_mut(&place);
        restoring.filter(|restoring| restoring.attempt == attempt)
    }

    /// The mark of an attempt was appended, or not.
    pub(super) fn marked(
        &mut self,
        (place, attempt): (Place, u64),
        id: Option<ClaimId>,
        me: &Process<NodeId>,
        stage: &mut Stage,
    ) {
        if let Some(restoring) = self.at(place, attempt) {
            restoring.marked(place, id, me, stage);
        }
    }
}

fn position_on(disk: &Disk, place: Place) -> Option<Offset> {
    let position = position(disk.store(place).as_ref());
    Some(position.ok()??.1)
}

/// Whether a partition takes what is published.
pub(super) fn restores(disk: &Disk, place: Place, bounds: Bounds, stage: &Stage) -> bool {
    let replay_max = pace().replay_max;
    stage.plan.has(Feature::Published)
        && choice::restores(position_on(disk, place), bounds, replay_max)
}

impl Node {
    pub(super) fn begin_restoring(
        &mut self,
        place: Place,
        faulted: Faulted,
        bounds: Bounds,
        stage: &mut Stage,
    ) {
        let attempt = stage.name();
        let restoring = Restoring {
            attempt,
            filling: Filling::new(position_on(&self.disk, place), &pace()),
            next: Offset(0),
            bounds,
            faulted,
        };
        self.restoring.0.insert(place, restoring);
        self.process.plan(stage, 0, Due::Restore(place, attempt));
    }

    pub(super) fn restore(&mut self, place: Place, attempt: u64, stage: &mut Stage) {
        let Some(restoring) = self.restoring.at(place, attempt) else {
            return;
        };
        let mut pause_ms = stage.up_to(STEP_MS);
        match restoring.filling.step() {
            Step::Open => restoring.next = Offset(0),
            Step::Wait => pause_ms = pace().interval.ms() / 4,
            Step::Mark => return restoring.put_mark(place, &self.process, stage),
            Step::Read => {
                let batch = stage.read(&snapshots(place), restoring.next, READ_MAX);
                if let Some(last) = batch.last() {
                    restoring.next = last.offset.next();
                }
                restoring.filling.read(&batch);
            }
            Step::Clear => self.disk.clear(place),
            Step::Write(batch) => self.disk.write(place, batch, false),
            Step::Over(result) => return self.restored(place, result, stage),
        }
        self.process
            .plan(stage, pause_ms, Due::Restore(place, attempt));
    }

    fn restored(&mut self, place: Place, result: Result<Outcome, String>, stage: &mut Stage) {
        let Some(restoring) = self.restoring.0.remove(&place) else {
            return;
        };
        let Restoring {
            bounds, faulted, ..
        } = restoring;
        let restored = match result {
            Ok(Outcome::Restored(position)) => {
                let name = &self.process.name;
                let what = format!("{name} restores {place} as it was at {position}");
                stage.note(What::Kept(what));
                true
            }
            Ok(Outcome::Nothing | Outcome::Older(_)) => false,
            Err(_) if is_whole(bounds) => false,
            Err(reason) => return self.stop(place, &reason, stage),
        };
        let bounds = match restored {
            true => stage.bounds(place),
            false => bounds,
        };
        if restored && restores(&self.disk, place, bounds, stage) {
            return self.begin_restoring(place, faulted, bounds, stage);
        }
        self.begin(place, faulted, (bounds, restored), stage);
    }
}
