//! A partition's snapshot is published: the real epochs, which read the simulated disk.

use xp_protocol::{ClaimId, Offset};
use xp_state_node::published::choice::publishes;
use xp_state_node::published::writing::Step;
use xp_state_node::published::{Changes, Writing, mark, pages};
use xp_state_node::store::Batch;
use xp_transport::Record;

use super::Node;
use crate::agenda::{Asker, NodeAck as Ack, NodeDue as Due, Part};
use crate::place::Place;
use crate::plan::pace;
use crate::stage::{Stage, snapshots};

/// The longest time between two steps of a publisher, in milliseconds.
const STEP_MS: u64 = 15;
/// How many records one reading takes at most.
const READ_MAX: usize = 12;

/// What a partition of this process publishes.
#[derive(Default)]
pub(super) struct Publication {
    /// It is its turn.
    mine: bool,
    /// Counts its epochs: what is planned for an earlier one is so no longer.
    epoch: u64,
    changes: Changes,
    writing: Option<Writing>,
    flying: Vec<Option<Option<Offset>>>,
}

impl Publication {
    /// Whatever it was doing is over.
    fn end(&mut self) {
        self.epoch += 1;
        self.changes.end();
        self.writing = None;
        self.flying.clear();
    }
}

impl Node {
    /// Whose turn it is to publish.
    pub(super) fn see_turn(&mut self, place: Place, stage: &mut Stage) {
        if !stage.plan.published {
            return;
        }
        let mine = publishes(&self.seen, &place.into()) == Some(self.incarnation);
        let Some(held) = self.partitions.get_mut(&place) else {
            return;
        };
        let publication = &mut held.publication;
        if std::mem::replace(&mut publication.mine, mine) == mine {
            return;
        }
        publication.end();
        if mine {
            let due = Due::Publish(held.part, publication.epoch);
            let settle_ms = pace().settle.ms();
            self.plan(stage, settle_ms, due);
        }
    }

    /// Something was stored.
    pub(super) fn note_changes(&mut self, place: Place, batch: &Batch) {
        if let Some(held) = self.partitions.get_mut(&place) {
            let changed = batch.entities.iter().map(|(address, _)| address);
            held.publication.changes.note(changed);
        }
    }

    pub(super) fn publish(&mut self, part: Part, epoch: u64, stage: &mut Stage) {
        let pace = pace();
        let store = self.disk.store(part.place);
        let id = ClaimId(stage.uuid());
        let Some(publication) = self.publication(part, epoch) else {
            return;
        };
        let Some(writing) = &mut publication.writing else {
            return match pages::begin(store.as_ref(), &mut publication.changes, &pace) {
                Ok(()) => self.put_out(part, vec![mark(id)], stage),
                Err(_) => self.publish_anew(part, stage),
            };
        };
        let read = match writing.step() {
            Step::Append(records) => return self.put_out(part, records, stage),
            Step::Rest => return self.plan(stage, pace.interval.ms(), Due::Publish(part, epoch)),
            Step::Page(after) => {
                let page = pages::page(store.as_ref(), after.as_ref(), &pace);
                page.map(|page| writing.page(page)).is_ok()
            }
            Step::Entities(some) => {
                let page = pages::entities(store.as_ref(), &some, &pace);
                page.map(|page| writing.page(page)).is_ok()
            }
            Step::Take => {
                let taken = pages::take(store.as_ref(), &mut publication.changes);
                taken.map(|taken| writing.taken(taken)).is_ok()
            }
            Step::Read { from, .. } => {
                let batch = stage.read(&snapshots(part.place), from, READ_MAX);
                writing.read(&batch).is_ok()
            }
        };
        if !read {
            return self.publish_anew(part, stage);
        }
        let pause = stage.up_to(STEP_MS);
        self.plan(stage, pause, Due::Publish(part, epoch));
    }

    fn publication(&mut self, part: Part, epoch: u64) -> Option<&mut Publication> {
        let publication = &mut self.part(part)?.publication;
        Some(publication).filter(|publication| publication.mine && publication.epoch == epoch)
    }

    /// A failure ends an epoch: all is published anew in another one.
    fn publish_anew(&mut self, part: Part, stage: &mut Stage) {
        let Some(held) = self.part(part) else { return };
        held.publication.end();
        let due = Due::Publish(part, held.publication.epoch);
        self.plan(stage, pace().interval.ms(), due);
    }

    fn put_out(&mut self, part: Part, records: Vec<Record>, stage: &mut Stage) {
        let (id, producer) = (self.id, self.producer);
        let Some(held) = self.part(part) else { return };
        let epoch = held.publication.epoch;
        held.publication.flying = vec![None; records.len()];
        for (index, record) in records.into_iter().enumerate() {
            let asker = Asker::Node(id, Ack::Published(part, epoch, index));
            stage.append(producer, &snapshots(part.place), record, asker);
        }
    }

    pub(super) fn published(
        &mut self,
        part: Part,
        epoch: u64,
        (index, offset): (usize, Option<Offset>),
        stage: &mut Stage,
    ) {
        let Some(publication) = self.publication(part, epoch) else {
            return;
        };
        publication.flying[index] = Some(offset);
        if publication.flying.iter().any(Option::is_none) {
            return;
        }
        let flown = std::mem::take(&mut publication.flying).into_iter();
        let Some(offsets) = flown.map(Option::flatten).collect::<Option<Vec<_>>>() else {
            return self.publish_anew(part, stage);
        };
        match (&mut publication.writing, offsets.first()) {
            (Some(writing), _) => writing.appended(&offsets),
            (None, Some(mark)) => {
                let pace = pace();
                publication.writing = Some(Writing::new(*mark, Offset(0), &pace));
            }
            (None, None) => {}
        }
        self.plan(stage, 0, Due::Publish(part, epoch));
    }
}
