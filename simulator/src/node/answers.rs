//! The answers of the log, on their way to the cores.

use xp_protocol::Offset;
use xp_state_node::schedule::Source;
use xp_transport::AppendError;

use super::Node;
use crate::agenda::{NodeAck as Ack, NodeDue as Due, Part};
use crate::stage::{Stage, events};
use crate::switch::Switch;

impl Node {
    pub(super) fn answered(&mut self, ack: Ack, offset: Option<Offset>, stage: &mut Stage) {
        let now = self.clock.now(stage);
        match (ack, offset) {
            (Ack::Join, None) if !self.membership.has(&self.process) => {
                self.process.plan(stage, 50, Due::Join)
            }
            (Ack::Join, _) => {}
            (Ack::Beat, _) => self.membership.beaten(),
            (Ack::Claim(part), None) => {
                self.hand(part, stage, |core, now| core.claim_failed(now));
            }
            (Ack::Claim(part), Some(offset)) => self.claimed(part, offset, stage),
            (Ack::Batch(part, flight, index), offset) => {
                let result = offset.ok_or_else(|| AppendError::Unacknowledged {
                    at: events(part.partition),
                    reason: "simulated".to_owned(),
                });
                if let Some(held) = self.partitions.of(part) {
                    held.answered((flight, index), result, now);
                }
                self.heard(part.partition, Source::Answers, stage);
            }
            (Ack::Told(part, target, id), offset) => {
                if let Some(held) = self.partitions.of(part) {
                    let arrived = offset.is_some();
                    held.core.told(&target.into(), id, arrived, now);
                }
                self.perform(part.partition, stage);
            }
            (Ack::Published(part, epoch, index), offset) => {
                if let Some(held) = self.partitions.of(part) {
                    held.published(epoch, (index, offset), &self.process, stage);
                }
            }
            (Ack::Marked(partition, attempt, id), offset) => {
                let (at, id) = ((partition, attempt), offset.map(|_| id));
                self.restoring.marked(at, id, &self.process, stage);
            }
            (Ack::Emitted(part, id), offset) => {
                let arrived = offset.is_some();
                self.hand(part, stage, |core, now| core.emitted(id, arrived, now));
            }
        }
    }

    /// R7: an acknowledged claim proves nothing, it is read back. Off: its core is shown it at once.
    fn claimed(&mut self, part: Part, offset: Offset, stage: &mut Stage) {
        if stage.plan.without != Some(Switch::ReadBack) {
            return;
        }
        let now = self.clock.now(stage);
        let claim = stage.read(&events(part.partition), offset, 1);
        if let Some(held) = self.partitions.of(part) {
            held.core.on_events(&claim, now);
        }
        self.heard(part.partition, Source::Events, stage);
    }
}
