//! The records that one turn of the fetching thread brings, by partition.

use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use xp_protocol::{Offset, PartitionId, TimeMs};

use crate::kafka::headers;
use crate::log::{Record, Stored, TopicPartition};

/// At so many records or bytes a turn ends, so that nobody waits for the end of a flood.
const RECORDS_MAX: usize = 2_000;
const BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Batch {
    parts: Vec<(TopicPartition, Vec<Stored>)>,
    records: usize,
    bytes: usize,
}

impl Batch {
    /// Waits for the first record, and takes what is there with it. An error ends the turn.
    pub(super) fn poll<C: ConsumerContext>(
        consumer: &BaseConsumer<C>,
        wait: Duration,
    ) -> (Self, Option<KafkaError>) {
        let mut batch = Self::default();
        let mut wait = wait;
        while batch.records < RECORDS_MAX && batch.bytes < BYTES_MAX {
            match consumer.poll(wait) {
                Some(Ok(message)) => batch.add(&message),
                Some(Err(error)) => return (batch, Some(error)),
                None => break,
            }
            wait = Duration::ZERO;
        }
        (batch, None)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn into_parts(self) -> Vec<(TopicPartition, Vec<Stored>)> {
        self.parts
    }

    fn add(&mut self, message: &BorrowedMessage<'_>) {
        let stored = stored(message);
        self.records += 1;
        self.bytes += stored.record.header.len() + stored.record.value.len();
        let partition = PartitionId(message.partition().unsigned_abs());
        let is_of =
            |at: &TopicPartition| at.partition == partition && *at.topic == *message.topic();
        // Records of a partition come in runs.
        match self.parts.iter_mut().rev().find(|(at, _)| is_of(at)) {
            Some((_, records)) => records.push(stored),
            None => {
                let topic = message.topic().into();
                let at = TopicPartition { topic, partition };
                self.parts.push((at, vec![stored]));
            }
        }
    }
}

/// One allocation holds all parts of a record.
fn stored(message: &BorrowedMessage<'_>) -> Stored {
    let key = message.key().unwrap_or_default();
    let value = message.payload().unwrap_or_default();
    let envelope = headers::envelope(message);
    let mut bytes = Vec::with_capacity(key.len() + headers::bytes_of(envelope) + value.len());
    bytes.extend_from_slice(key);
    headers::read(envelope, &mut bytes);
    let header = bytes.len() - key.len();
    bytes.extend_from_slice(value);
    let mut bytes = Bytes::from(bytes);
    let key = bytes.split_to(key.len());
    let header = bytes.split_to(header);
    let time = message.timestamp().to_millis().unwrap_or(0);
    Stored {
        offset: Offset(u64::try_from(message.offset()).unwrap_or(0)),
        time: TimeMs(u64::try_from(time).unwrap_or(0)),
        record: Record {
            key,
            header,
            value: bytes,
            label: None,
        },
    }
}
