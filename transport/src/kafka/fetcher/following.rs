//! The partitions that an instance fetches, and for whom.

use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset as At, TopicPartitionList};
use xp_protocol::Offset;

use super::batch::Batch;
use crate::kafka::mailbox::{Mailbox, ReaderState};
use crate::log::{Bounds, ReadError, Stored, TopicPartition};

#[derive(Default)]
pub(super) struct Following {
    entries: Vec<Entry>,
}

struct Entry {
    at: TopicPartition,
    mailbox: Arc<Mailbox>,
    /// Whether librdkafka fetches it now; not while its reader has enough.
    is_assigned: bool,
    /// A hole in the offsets: from what was expected to what came.
    hole: Option<(Offset, Offset)>,
}

impl Entry {
    fn list(&self) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(1);
        let partition = i32::try_from(self.at.partition.0).unwrap_or(i32::MAX);
        let offset = i64::try_from(self.mailbox.expected().0).unwrap_or(i64::MAX);
        list.add_partition_offset(&self.at.topic, partition, At::Offset(offset))?;
        Ok(list)
    }

    /// librdkafka drops what it fetched before and has not handed out yet.
    fn unassign<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>) -> KafkaResult<()> {
        if std::mem::take(&mut self.is_assigned) {
            consumer.incremental_unassign(&self.list()?)?;
        }
        Ok(())
    }

    fn assign<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>) -> KafkaResult<()> {
        consumer.incremental_assign(&self.list()?)?;
        self.is_assigned = true;
        Ok(())
    }

    /// Transactions of strangers leave holes in the offsets, and so would a mistake of ours. Only what comes again
    /// when it is fetched again is believed.
    fn is_trusted<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        first: &Stored,
    ) -> KafkaResult<bool> {
        let expected = self.mailbox.expected();
        let hole = Some((expected, first.offset));
        if first.offset <= expected || self.hole == hole {
            return Ok(true);
        }
        self.hole = hole;
        self.unassign(consumer)?;
        self.assign(consumer)?;
        Ok(false)
    }
}

impl Following {
    /// False when it is fetched already, for whomever.
    pub(super) fn add<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        at: &TopicPartition,
        mailbox: &Arc<Mailbox>,
    ) -> KafkaResult<bool> {
        if self.entries.iter().any(|entry| entry.at == *at) {
            return Ok(false);
        }
        let mut entry = Entry {
            at: at.clone(),
            mailbox: Arc::clone(mailbox),
            is_assigned: false,
            hole: None,
        };
        entry.assign(consumer)?;
        self.entries.push(entry);
        Ok(true)
    }

    /// Lets go what nobody reads any more, and pauses what is read too slowly. True when something was let go.
    ///
    /// The fetching thread may hold records of a reader that is let go here, and bring them to the partition's next
    /// one: those before its position are dropped there, and those behind it are a hole, which is not believed.
    pub(super) fn look_after<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>) -> bool {
        let before = self.entries.len();
        self.entries.retain_mut(|entry| {
            let looked_after = match entry.mailbox.reader_state() {
                ReaderState::Gone => {
                    let _ = entry.unassign(consumer);
                    return false;
                }
                ReaderState::Full => entry.unassign(consumer),
                ReaderState::Reading if !entry.is_assigned && entry.mailbox.is_empty() => {
                    entry.assign(consumer)
                }
                ReaderState::Reading => Ok(()),
            };
            fail_on_error(entry, looked_after);
            true
        });
        self.entries.len() < before
    }

    pub(super) fn deliver<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>, batch: Batch) {
        for (at, records) in batch.into_parts() {
            let entry = self.entries.iter_mut().find(|entry| entry.at == at);
            let (Some(entry), Some(first)) = (entry, records.first()) else {
                continue;
            };
            match entry.is_trusted(consumer, first) {
                Ok(true) => entry.mailbox.put(records),
                Ok(false) => {}
                Err(error) => fail_on_error(entry, Err(error)),
            }
        }
    }

    /// Fetches a partition from where its reader is: a broker that did not know it for a moment may have ended that.
    pub(super) fn begin_anew<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        at: &TopicPartition,
    ) {
        let entries = self.entries.iter_mut();
        for entry in entries.filter(|entry| entry.at == *at && entry.is_assigned) {
            let begun = entry
                .unassign(consumer)
                .and_then(|()| entry.assign(consumer));
            fail_on_error(entry, begun);
        }
    }

    pub(super) fn positions(&self) -> Vec<(TopicPartition, Arc<Mailbox>)> {
        let position = |entry: &Entry| (entry.at.clone(), Arc::clone(&entry.mailbox));
        self.entries.iter().map(position).collect()
    }

    pub(super) fn fail_all(&self, reason: &str) {
        for entry in &self.entries {
            entry.mailbox.fail(broken(&entry.at, reason));
        }
    }
}

fn fail_on_error(entry: &Entry, result: KafkaResult<()>) {
    if let Err(error) = result {
        entry.mailbox.fail(broken(&entry.at, &error.to_string()));
    }
}

fn broken(at: &TopicPartition, reason: &str) -> ReadError {
    ReadError::Broken {
        at: at.clone(),
        reason: reason.to_owned(),
    }
}

/// Whether the log no longer holds, or does not hold yet, what is expected next.
pub(super) fn out_of_range(
    at: &TopicPartition,
    wanted: Offset,
    bounds: Bounds,
) -> Option<ReadError> {
    let Bounds { first, next } = bounds;
    (wanted < first || wanted > next).then(|| ReadError::OutOfRange {
        at: at.clone(),
        wanted,
        first,
        next,
    })
}
