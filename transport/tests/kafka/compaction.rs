//! A compacted topic, as published snapshots need it: offsets have holes, and the newest record of each key is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::time::Instant;
use xp_protocol::{Offset, PartitionId};
use xp_transport::kafka::{Config, Kafka};
use xp_transport::{Log, Record, Stored, TopicPartition};

use crate::rig::kafka;

const TOPIC: &str = "compacted.snapshots";
const KEYS: u64 = 3;
/// Brokers look for what to compact every fifteen seconds.
const PATIENCE: Duration = Duration::from_secs(90);

async fn make() {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka().bootstrap());
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let new = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("segment.ms", "100")
        .set("min.cleanable.dirty.ratio", "0")
        .set("max.compaction.lag.ms", "1000");
    let made = admin.create_topics([&new], &AdminOptions::new()).await;
    made.unwrap().remove(0).unwrap();
}

fn at() -> TopicPartition {
    TopicPartition {
        topic: TOPIC.into(),
        partition: PartitionId(0),
    }
}

/// A new value for each key, and the offset of the last.
async fn overwrite(log: &Kafka, version: u64) -> Offset {
    let record = |key: u64| Record {
        key: Bytes::from(format!("key {key}")),
        header: Bytes::from_static(b"word"),
        value: Bytes::from(version.to_string()),
        ..Record::default()
    };
    let appended = log.append(&at(), (0..KEYS).map(record).collect()).await;
    appended.last().unwrap().clone().unwrap()
}

async fn read(log: &Kafka, from: Offset, last: Offset) -> Vec<Stored> {
    let mut reader = log.read(&at(), from);
    let mut found: Vec<Stored> = Vec::new();
    while found.last().is_none_or(|stored| stored.offset < last) {
        found.extend(reader.next().await.unwrap());
    }
    found
}

#[tokio::test]
async fn a_compacted_topic_is_read_over_its_holes_to_the_newest_record_of_each_key() {
    make().await;
    let log = Kafka::connect(Config::at(&[&kafka().bootstrap()]))
        .await
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut version = 0;
    let (found, last) = loop {
        version += 1;
        let last = overwrite(&log, version).await;
        let found = tokio::time::timeout_at(deadline, read(&log, Offset(0), last)).await;
        let found = found.expect("the topic is read to its end");
        if (found.len() as u64) <= last.0 {
            break (found, last);
        }
        assert!(Instant::now() < deadline, "nothing was compacted");
    };
    assert!(found.is_sorted_by(|a, b| a.offset < b.offset));
    assert_eq!(found.last().unwrap().offset, last);
    let newest: BTreeMap<_, _> = found
        .iter()
        .map(|stored| (stored.record.key.clone(), stored.record.value.clone()))
        .collect();
    assert_eq!(newest.len() as u64, KEYS);
    assert!(newest.values().all(|value| *value == version.to_string()));
    // The beginning is there still, and who begins in a hole gets what comes behind it.
    assert_eq!(log.bounds(&at()).await.unwrap().first, Offset(0));
    let there: BTreeSet<_> = found.iter().map(|stored| stored.offset.0).collect();
    let hole = (0..last.0).find(|offset| !there.contains(offset)).unwrap();
    let behind = tokio::time::timeout_at(deadline, read(&log, Offset(hole), last)).await;
    let behind = behind.unwrap();
    assert!(behind[0].offset.0 > hole);
    assert_eq!(behind.last().unwrap().offset, last);
}
