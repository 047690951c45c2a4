//! Headers of records as tools read them that know Kafka and nothing of this code.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset as At, TopicPartitionList};
use tokio::time::Instant;
use xp_protocol::{Offset, PartitionId, Revision, TimeMs};
use xp_transport::kafka::topics::{self, Created, Kind};
use xp_transport::kafka::{Config, Kafka, Topic};
use xp_transport::{Label, Log, Record, Stored, TopicPartition};

use crate::rig::kafka;

const PATIENCE: Duration = Duration::from_secs(30);
/// Of the record alone: keys, labels and what the log puts around a record come on top.
const RECORD_BYTES_MAX: usize = 64 << 10;

async fn log(topic: &str) -> (Kafka, TopicPartition) {
    let config = Config {
        record_bytes_max: RECORD_BYTES_MAX,
        ..Config::at(&[&kafka().bootstrap()])
    };
    let events = Topic {
        name: topic.to_owned(),
        partitions: 1,
        kind: Kind::Events,
        replication: 1,
        min_insync: 1,
        retention: None,
    };
    let made = topics::create(&config, &[events]).await.unwrap();
    assert_eq!(made, [Created::Made(topic.to_owned())]);
    let at = TopicPartition {
        topic: topic.into(),
        partition: PartitionId(0),
    };
    (Kafka::connect(config).await.unwrap(), at)
}

fn labelled(header: Vec<u8>, subject: &str) -> Record {
    let label = Label {
        time: TimeMs(1_700_000_000_123),
        revision: Revision(u64::MAX),
        subject: Some(subject.into()),
    };
    Record {
        key: Bytes::from_static(b"board/1"),
        header: header.into(),
        value: Bytes::from_static(b"[]"),
        label: Some(Arc::new(label)),
    }
}

async fn append(log: &Kafka, at: &TopicPartition, record: Record) {
    log.append(at, vec![record]).await.remove(0).unwrap();
}

async fn first(log: &Kafka, at: &TopicPartition) -> Stored {
    let mut reader = log.read(at, Offset(0));
    let read = tokio::time::timeout(PATIENCE, reader.next()).await;
    read.unwrap().unwrap().remove(0)
}

/// The headers of the first record of a topic; what is no text is none that a tool could show.
fn headers(topic: &str) -> Vec<(String, String)> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka().bootstrap())
        .set("group.id", "stranger");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut first = TopicPartitionList::new();
    first.add_partition_offset(topic, 0, At::Beginning).unwrap();
    consumer.assign(&first).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let message = loop {
        assert!(Instant::now() < deadline, "nothing is read");
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            break message.unwrap();
        }
    };
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    let headers = message.headers().unwrap();
    let all = headers.iter();
    all.map(|header| (header.key.to_owned(), text(header.value)))
        .collect()
}

#[tokio::test]
async fn the_headers_of_a_commit_are_texts_with_its_time_its_revision_and_whose_message_it_was() {
    let (log, at) = log("labels.events").await;
    let bytes: Vec<u8> = (0..=255).collect();
    append(
        &log,
        &at,
        labelled(bytes.clone(), "zoë\u{1b}[2J, née \u{202e}%"),
    )
    .await;
    let headers = headers("labels.events");
    let headers: Vec<_> = headers.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!((headers[0].0, headers[0].1.len()), ("xp", 344), "256 bytes");
    let wanted = [
        ("time", "2023-11-14T22:13:20.123Z"),
        ("revision", "18446744073709551615"),
        ("subject", "zo%C3%AB%1B[2J%2C%20n%C3%A9e%20%E2%80%AE%25"),
    ];
    assert_eq!(headers[1..], wanted);
    let stored = first(&log, &at).await;
    assert_eq!(stored.record.header, bytes, "our own readers get the bytes");
    assert_eq!(stored.record.label, None);
}

#[tokio::test]
async fn the_largest_record_fits_into_its_topic_as_text_with_the_largest_label() {
    let (log, at) = log("largest.events").await;
    let mut record = labelled(Vec::new(), &"ü".repeat(127));
    record.key = Bytes::from(format!("{}/{}", "c".repeat(64), "i".repeat(255)));
    record.header = vec![7; (RECORD_BYTES_MAX - record.value.len()) / 4 * 3].into();
    let bytes = record.bytes();
    assert!(
        (RECORD_BYTES_MAX - 4..=RECORD_BYTES_MAX).contains(&bytes),
        "{bytes}"
    );
    append(&log, &at, record.clone()).await;
    record.label = None;
    assert_eq!(first(&log, &at).await.record, record);
}
