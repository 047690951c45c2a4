//! Several installations at one broker, told apart by what stands before their topics' names.

use std::time::Duration;

use bytes::Bytes;
use xp_protocol::{Offset, PartitionId};
use xp_transport::kafka::topics::{self, Created, Found, Kind};
use xp_transport::kafka::{Config, Kafka, Prefix, Topic};
use xp_transport::{Log, Record, TopicPartition};

use crate::rig::kafka;

const TOPICS: [(&str, Kind); 3] = [
    ("cluster", Kind::Cluster),
    ("shared.inbound", Kind::Inbound),
    ("shared.events", Kind::Events),
];

fn config(prefix: &str) -> Config {
    Config {
        topic_prefix: Prefix::parse(prefix).unwrap(),
        ..Config::at(&[&kafka().bootstrap()])
    }
}

fn wanted() -> Vec<Topic> {
    let topic = |(name, kind): (&str, Kind)| Topic {
        name: name.to_owned(),
        partitions: 1,
        kind,
        replication: 1,
        min_insync: 1,
        retention: (kind != Kind::Events).then_some(Duration::from_secs(3_600)),
    };
    TOPICS.into_iter().map(topic).collect()
}

fn at(topic: &str) -> TopicPartition {
    TopicPartition {
        topic: topic.into(),
        partition: PartitionId(0),
    }
}

async fn says(log: &Kafka, topic: &str, text: &str) {
    let record = Record {
        value: Bytes::copy_from_slice(text.as_bytes()),
        ..Record::default()
    };
    let appended = log.append(&at(topic), vec![record]).await.remove(0);
    assert_eq!(
        appended.unwrap(),
        Offset(0),
        "{text} is not the first there"
    );
}

async fn hears(log: &Kafka, topic: &str) -> String {
    assert_eq!(log.bounds(&at(topic)).await.unwrap().next, Offset(1));
    let mut reader = log.read(&at(topic), Offset(0));
    let read = tokio::time::timeout(Duration::from_secs(20), reader.next()).await;
    let value = read.unwrap().unwrap().remove(0).record.value;
    String::from_utf8(value.to_vec()).unwrap()
}

#[tokio::test]
async fn installations_of_different_prefixes_share_a_broker_and_nothing_else() {
    let prefixes = ["pear.", "pear.eu.", ""];
    let mut logs = Vec::new();
    for prefix in prefixes {
        let config = config(prefix);
        let made = topics::create(&config, &wanted()).await.unwrap();
        let names = TOPICS.map(|(name, _)| Created::Made(format!("{prefix}{name}")));
        assert_eq!(made, names);
        assert_eq!(topics::check(&config, &wanted()).await.unwrap(), []);
        let described = topics::describe(&config, &wanted()).await.unwrap();
        let (name, found) = &described.topics[2];
        assert_eq!(name, &format!("{prefix}shared.events"));
        assert!(matches!(found, Found::There(_)), "{found:?}");
        let log = Kafka::connect(config).await.unwrap();
        log.warm_up(&["shared.events".into()]).await;
        logs.push(log);
    }
    for (prefix, log) in prefixes.iter().zip(&logs) {
        for (topic, _) in TOPICS {
            says(log, topic, &format!("{prefix} {topic}")).await;
        }
    }
    let mut lives = Vec::new();
    for (prefix, log) in prefixes.iter().zip(&logs) {
        for (topic, _) in TOPICS {
            assert_eq!(hears(log, topic).await, format!("{prefix} {topic}"));
        }
        assert_eq!(log.partitions("shared.events").await, Some(1));
        lives.push(log.identity(&at("shared.inbound")).await.unwrap());
    }
    lives.dedup();
    assert_eq!(lives.len(), prefixes.len(), "{lives:?}");
}

#[tokio::test]
async fn what_goes_wrong_is_told_with_the_name_that_kafka_knows() {
    let config = config("absent.");
    let problems = topics::check(&config, &wanted()).await.unwrap();
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(
        said[2].starts_with("absent.shared.events is missing"),
        "{said:?}"
    );
    let log = Kafka::connect(config).await.unwrap();
    let unknown = log.bounds(&at("shared.events")).await.unwrap_err();
    assert!(
        unknown.to_string().contains("absent.shared.events/0"),
        "{unknown}"
    );
    let unknown = log.read(&at("shared.events"), Offset(0)).next().await;
    let unknown = unknown.unwrap_err().to_string();
    assert!(unknown.contains("absent.shared.events/0"), "{unknown}");
}

/// Brokers refuse it themselves, because they cannot tell the two apart in their metrics.
#[tokio::test]
async fn prefixes_that_differ_in_dots_and_underscores_alone_are_refused_with_the_reason() {
    let made = topics::create(&config("plum.eu."), &wanted())
        .await
        .unwrap();
    assert!(
        made.iter().all(|made| matches!(made, Created::Made(_))),
        "{made:?}"
    );
    for outcome in topics::create(&config("plum_eu."), &wanted())
        .await
        .unwrap()
    {
        let Created::Refused { topic, reason } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(topic.starts_with("plum_eu."), "{topic}");
        assert!(
            reason.contains("choose another kafka.topic-prefix"),
            "{reason}"
        );
    }
}
