//! A group of appends: those that one write and one sync make durable together.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use xp_protocol::{Offset, PartitionId, TimeMs};

use super::frame::Batch;
use super::queue::{Answer, Append};
use super::topic::{Topic, split};
use crate::log::{AppendError, Record};

/// Appends with their offsets, sorted by partition so that each partition's records lie together.
pub(super) struct Group {
    pub(super) batches: Vec<Batch>,
    pub(super) answers: Vec<Pending>,
}

/// Who waits for which offsets.
pub(super) struct Pending {
    partition: PartitionId,
    base: Offset,
    count: usize,
    answer: oneshot::Sender<Answer>,
}

impl Group {
    /// Gives every record its offset, in the order of the calls.
    pub(super) fn arrange(
        appends: Vec<Append>,
        nexts: &[Offset],
        time: TimeMs,
        batch_bytes: usize,
    ) -> Self {
        let mut lots: BTreeMap<PartitionId, Vec<Record>> = BTreeMap::new();
        let mut answers = Vec::with_capacity(appends.len());
        for append in appends {
            let lot = lots.entry(append.partition).or_default();
            answers.push(Pending {
                partition: append.partition,
                base: Offset(nexts[append.partition.0 as usize].0 + lot.len() as u64),
                count: append.records.len(),
                answer: append.answer,
            });
            lot.extend(append.records);
        }
        let batches = lots
            .into_iter()
            .flat_map(|(partition, lot)| {
                batches(
                    partition,
                    nexts[partition.0 as usize],
                    time,
                    split(lot, batch_bytes),
                )
            })
            .collect();
        Self { batches, answers }
    }

    /// Tells everybody that nothing was appended.
    pub(super) fn fail(self, topic: &Topic, reason: &str) {
        for pending in self.answers {
            let error = AppendError::Broken {
                at: topic.at(pending.partition),
                reason: reason.to_owned(),
            };
            // Who dropped the acknowledgement does not want to know.
            let _ = pending.answer.send(vec![Err(error); pending.count]);
        }
    }
}

fn batches(
    partition: PartitionId,
    next: Offset,
    time: TimeMs,
    lots: Vec<Vec<Record>>,
) -> impl Iterator<Item = Batch> {
    lots.into_iter().scan(next, move |base, records| {
        let batch = Batch {
            partition,
            base: *base,
            time,
            records,
        };
        *base = batch.next();
        Some(batch)
    })
}

impl Pending {
    pub(super) fn succeed(self) {
        let offsets = (self.base.0..).take(self.count);
        let _ = self
            .answer
            .send(offsets.map(|offset| Ok(Offset(offset))).collect());
    }
}
