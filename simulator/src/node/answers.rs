//! The answers of the log, on their way to the cores.

use xp_protocol::Offset;
use xp_state_node::schedule::Source;
use xp_transport::{AppendError, Now};

use super::Node;
use crate::agenda::{NodeAck as Ack, NodeDue as Due, Part};
use crate::stage::{Stage, events};
use crate::switch::Switch;

impl Node {
    pub(super) fn answered(&mut self, ack: Ack, offset: Option<Offset>, stage: &mut Stage) {
        let now = self.clock(stage);
        match (ack, offset) {
            (Ack::Join, None) if !self.seen.is_alive(self.incarnation) => {
                self.plan(stage, 50, Due::Join);
            }
            (Ack::Join, _) => {}
            (Ack::Beat, _) => self.beaten(),
            (Ack::Claim(part), None) => {
                if let Some(held) = self.part(part) {
                    held.core.claim_failed(now);
                }
                self.heard(part.place, Source::Answers, stage);
            }
            (Ack::Claim(part), Some(offset)) => self.claimed(part, offset, stage),
            (Ack::Batch(part, flight, index), offset) => {
                let result = offset.ok_or_else(|| AppendError::Unacknowledged {
                    at: events(part.place),
                    reason: "simulated".to_owned(),
                });
                self.batch_answered(part, (flight, index), result, now);
                self.heard(part.place, Source::Answers, stage);
            }
            (Ack::Told(part, target, id), offset) => {
                if let Some(held) = self.part(part) {
                    let arrived = offset.is_some();
                    held.core.told(&target.into(), id, arrived, now);
                }
                self.perform(part.place, stage);
            }
            (Ack::Published(part, epoch, index), offset) => {
                self.published(part, epoch, (index, offset), stage);
            }
            (Ack::Marked(place, attempt, id), offset) => {
                self.marked(place, attempt, offset.map(|_| id), stage);
            }
            (Ack::Emitted(part, id), offset) => {
                if let Some(held) = self.part(part) {
                    held.core.emitted(id, offset.is_some(), now);
                }
                self.heard(part.place, Source::Answers, stage);
            }
        }
    }

    /// R7: an acknowledged claim proves nothing, it is read back. Off: its core is shown it at once.
    fn claimed(&mut self, part: Part, offset: Offset, stage: &mut Stage) {
        if stage.plan.without != Some(Switch::ReadBack) {
            return;
        }
        let now = self.clock(stage);
        let claim = stage.read(&events(part.place), offset, 1);
        if let Some(held) = self.part(part) {
            held.core.on_events(&claim, now);
        }
        self.heard(part.place, Source::Events, stage);
    }

    fn batch_answered(
        &mut self,
        part: Part,
        (id, index): (u64, usize),
        result: Result<Offset, AppendError>,
        now: Now,
    ) {
        let Some(held) = self.part(part) else { return };
        let Some(flight) = held.flights.get_mut(&id) else {
            return;
        };
        flight.results[index] = Some(result);
        if flight.results.iter().any(Option::is_none) {
            return;
        }
        if let Some(flight) = held.flights.remove(&id) {
            let results: Vec<_> = flight.results.into_iter().flatten().collect();
            held.core
                .appended(flight.first, flight.round, &results, now);
        }
    }
}
