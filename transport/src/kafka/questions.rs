//! Questions about a topic that any client instance can put to a broker.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use xp_protocol::Offset;

use super::instance::Context;
use crate::log::{Bounds, TopicPartition};

/// How long one question may take before it has failed.
const ASK: Duration = Duration::from_secs(2);

/// What a broker said about a topic.
pub(super) enum Topic {
    Partitions(u32),
    Missing,
    Refused(RDKafkaErrorCode),
}

pub(super) fn topic(consumer: &BaseConsumer<Context>, name: &str) -> KafkaResult<Topic> {
    let metadata = consumer.fetch_metadata(Some(name), ASK)?;
    let topic = metadata.topics().first();
    let topic = topic.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic))?;
    match topic.error().map(RDKafkaErrorCode::from) {
        None => {
            let count = u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX);
            Ok(Topic::Partitions(count))
        }
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            Ok(Topic::Missing)
        }
        Some(RDKafkaErrorCode::LeaderNotAvailable) => Err(KafkaError::MetadataFetch(
            RDKafkaErrorCode::LeaderNotAvailable,
        )),
        Some(code) => Ok(Topic::Refused(code)),
    }
}

pub(super) fn bounds(consumer: &BaseConsumer<Context>, at: &TopicPartition) -> KafkaResult<Bounds> {
    let partition = i32::try_from(at.partition.0).unwrap_or(i32::MAX);
    let (first, next) = consumer.fetch_watermarks(&at.topic, partition, ASK)?;
    let offset = |offset: i64| Offset(u64::try_from(offset).unwrap_or(0));
    Ok(Bounds {
        first: offset(first),
        next: offset(next),
    })
}
