//! A partition is restored from what is published: the real filling, onto the simulated disk.

use xp_protocol::{ClaimId, Offset};
use xp_state_node::partition::Faulted;
use xp_state_node::published::choice::{is_whole, restores};
use xp_state_node::published::filling::Step;
use xp_state_node::published::{Filling, Outcome, mark, position};
use xp_transport::Bounds;

use super::Node;
use crate::agenda::{Asker, NodeAck as Ack, NodeDue as Due};
use crate::history::What;
use crate::place::Place;
use crate::plan::pace;
use crate::stage::{Stage, events, snapshots};

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

impl Node {
    fn position(&self, place: Place) -> Option<Offset> {
        let position = position(self.disk.store(place).as_ref());
        Some(position.ok()??.1)
    }

    /// Where its `events` begin and end.
    pub(super) fn bounds(&self, place: Place, stage: &Stage) -> Bounds {
        Bounds {
            first: stage.first_event(place),
            next: stage.end(&events(place)),
        }
    }

    /// Whether a partition takes what is published.
    pub(super) fn restores(&self, place: Place, bounds: Bounds, stage: &Stage) -> bool {
        let replay_max = pace().replay_max;
        stage.plan.published && restores(self.position(place), bounds, replay_max)
    }

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
            filling: Filling::new(self.position(place), &pace()),
            next: Offset(0),
            bounds,
            faulted,
        };
        self.restoring.insert(place, restoring);
        self.plan(stage, 0, Due::Restore(place, attempt));
    }

    fn attempt(&mut self, place: Place, attempt: u64) -> Option<&mut Restoring> {
        let restoring = self.restoring.get_mut(&place);
        restoring.filter(|restoring| restoring.attempt == attempt)
    }

    pub(super) fn restore(&mut self, place: Place, attempt: u64, stage: &mut Stage) {
        let Some(restoring) = self.attempt(place, attempt) else {
            return;
        };
        let mut pause_ms = stage.up_to(STEP_MS);
        match restoring.filling.step() {
            Step::Open => restoring.next = Offset(0),
            Step::Wait => pause_ms = pace().interval.ms() / 4,
            Step::Mark => return self.put_mark(place, attempt, stage),
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
        self.plan(stage, pause_ms, Due::Restore(place, attempt));
    }

    fn put_mark(&mut self, place: Place, attempt: u64, stage: &mut Stage) {
        let id = ClaimId(stage.uuid());
        let asker = Asker::Node(self.id, Ack::Marked(place, attempt, id));
        stage.append(self.producer, &snapshots(place), mark(id), asker);
    }

    /// A mark that was not acknowledged is appended again.
    pub(super) fn marked(
        &mut self,
        place: Place,
        attempt: u64,
        id: Option<ClaimId>,
        stage: &mut Stage,
    ) {
        let Some(restoring) = self.attempt(place, attempt) else {
            return;
        };
        match id {
            Some(id) => {
                restoring.filling.marked(id);
                self.plan(stage, 0, Due::Restore(place, attempt));
            }
            None => self.put_mark(place, attempt, stage),
        }
    }

    fn restored(&mut self, place: Place, result: Result<Outcome, String>, stage: &mut Stage) {
        let Some(restoring) = self.restoring.remove(&place) else {
            return;
        };
        let Restoring {
            bounds, faulted, ..
        } = restoring;
        let restored = match result {
            Ok(Outcome::Restored(position)) => {
                let name = &self.name;
                let what = format!("{name} restores {place} as it was at {position}");
                stage.note(What::Kept(what));
                true
            }
            Ok(Outcome::Nothing | Outcome::Older(_)) => false,
            Err(_) if is_whole(bounds) => false,
            Err(reason) => return self.stop(place, &reason, stage),
        };
        let bounds = match restored {
            true => self.bounds(place, stage),
            false => bounds,
        };
        if restored && self.restores(place, bounds, stage) {
            return self.begin_restoring(place, faulted, bounds, stage);
        }
        self.begin(place, faulted, (bounds, restored), stage);
    }
}
