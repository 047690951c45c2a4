//! Topics as they must be, as they are, and as they are made, at a real broker.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use xp_transport::kafka::topics::{self, Created, Found, Kind, Problem};
use xp_transport::kafka::{Config, Topic};

use crate::rig::kafka;

const MINUTE: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config::at(&[&kafka().bootstrap()])
}

fn topic(name: &str, kind: Kind) -> Topic {
    Topic {
        name: name.to_owned(),
        partitions: if kind == Kind::Cluster { 1 } else { 4 },
        kind,
        replication: 1,
        min_insync: 1,
        retention: (kind != Kind::Events).then_some(30 * MINUTE),
    }
}

fn lane(name: &str) -> Vec<Topic> {
    let named = |what: &str| format!("{name}.{what}");
    vec![
        topic(&named("cluster"), Kind::Cluster),
        topic(&named("inbound"), Kind::Inbound),
        topic(&named("events"), Kind::Events),
        topic(&named("outbound"), Kind::Outbound),
    ]
}

/// Somebody makes a topic by hand, without asking us.
async fn make_by_hand(name: &str, partitions: i32, settings: &[(&'static str, &'static str)]) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka().bootstrap());
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let new = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let new = settings
        .iter()
        .fold(new, |new, (key, value)| new.set(key, value));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let made = admin.create_topics([&new], &options).await.unwrap();
    assert_eq!(made, [Ok(name.to_owned())]);
}

async fn problems(wanted: &[Topic]) -> Vec<Problem> {
    topics::check(&config(), wanted).await.unwrap()
}

fn assert_one(problems: &[Problem], is_fatal: bool, parts: &[&str]) {
    let [problem] = problems else {
        panic!("one problem, not {problems:?}")
    };
    let said = problem.to_string();
    assert_eq!(problem.is_fatal(), is_fatal, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[tokio::test]
async fn missing_topics_are_made_as_they_must_be_and_making_them_again_changes_nothing() {
    let wanted = lane("fresh");
    let before = problems(&wanted).await;
    assert_eq!(before.len(), 4);
    assert!(before.iter().all(|p| p.to_string().contains("is missing")));

    let made = topics::create(&config(), &wanted).await.unwrap();
    let all_made: Vec<_> = wanted
        .iter()
        .map(|t| Created::Made(t.name.clone()))
        .collect();
    assert_eq!(made, all_made);
    assert_eq!(problems(&wanted).await, []);

    let again = topics::create(&config(), &wanted).await.unwrap();
    let all_kept = wanted
        .iter()
        .map(|t| Created::Kept(t.name.clone(), Vec::new()));
    assert_eq!(again, all_kept.collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_there_is_described_with_its_settings() {
    let wanted = lane("told");
    topics::create(&config(), &wanted[..3]).await.unwrap();
    let described = topics::describe(&config(), &wanted).await.unwrap();
    assert!(described.cluster.cluster_id.is_some());
    assert_eq!(described.cluster.brokers, [(1, kafka().bootstrap())]);
    assert_eq!(described.topics[3].1, Found::Missing);
    let (name, Found::There(events)) = &described.topics[2] else {
        panic!("{described:?}")
    };
    assert_eq!((&**name, events.partitions), ("told.events", 4));
    assert_eq!((events.replication, events.in_sync), (1, 1));
    let settings = events.settings.as_ref().unwrap();
    assert_eq!(settings["message.timestamp.type"], "LogAppendTime");
    assert_eq!(settings["retention.ms"], "-1");
}

#[tokio::test]
async fn asking_about_a_topic_never_makes_it() {
    let wanted = [topic("never.events", Kind::Events)];
    for _ in 0..2 {
        assert_one(&problems(&wanted).await, true, &["never.events is missing"]);
    }
}

#[tokio::test]
async fn a_topic_with_another_partition_count_is_left_alone_and_told() {
    let made_of = [
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "-1"),
        ("max.message.bytes", "2000000"),
    ];
    make_by_hand("odd.events", 3, &made_of).await;
    let wanted = [topic("odd.events", Kind::Events)];
    let says = [
        "odd.events has 3 partitions, and 4 are expected",
        "lanes.odd.partitions = 3",
    ];
    assert_one(&problems(&wanted).await, true, &says);
    let kept = topics::create(&config(), &wanted).await.unwrap();
    let [Created::Kept(_, differences)] = &kept[..] else {
        panic!("{kept:?}")
    };
    assert_one(differences, true, &says);
}

#[tokio::test]
async fn a_topic_made_with_the_brokers_own_settings_is_told_all_that_is_wrong_with_it() {
    make_by_hand("plain.events", 4, &[("cleanup.policy", "compact")]).await;
    let found = problems(&[topic("plain.events", Kind::Events)]).await;
    let said: Vec<_> = found
        .iter()
        .map(|p| (p.is_fatal(), p.to_string()))
        .collect();
    for (fatal, part) in [
        (true, "cleanup.policy = compact, and delete is expected"),
        (
            true,
            "max.message.bytes = 1048588, and 1052672 or more is expected",
        ),
        (
            true,
            "message.timestamp.type = CreateTime, and LogAppendTime is expected",
        ),
        (
            false,
            "retention.ms = 604800000, and -1 (no limit) is expected",
        ),
    ] {
        let is_said = |(is_fatal, said): &(bool, String)| *is_fatal == fatal && said.contains(part);
        assert!(said.iter().any(is_said), "{part:?} is not in {said:#?}");
    }
    assert_eq!(said.len(), 4, "{said:#?}");
}

#[tokio::test]
async fn the_command_that_a_problem_names_mends_it() {
    let wanted = [topic("mended.inbound", Kind::Inbound)];
    topics::create(&config(), &wanted).await.unwrap();
    assert_eq!(problems(&wanted).await, []);
    make_by_hand(
        "mended.outbound",
        4,
        &[
            ("unclean.leader.election.enable", "true"),
            ("max.message.bytes", "2000000"),
        ],
    )
    .await;
    let wanted = [topic("mended.outbound", Kind::Outbound)];
    let found = problems(&wanted).await;
    assert_one(&found, true, &["unclean.leader.election.enable = true"]);

    let said = found[0].to_string();
    let (_, command) = said
        .split_once("kafka-configs.sh --bootstrap-server ")
        .unwrap();
    let words: Vec<_> = command.split(' ').skip(1).collect();
    kafka().tool("kafka.admin.ConfigCommand", &words).unwrap();
    assert_eq!(problems(&wanted).await, []);
}

#[tokio::test]
async fn more_replicas_than_brokers_are_refused_with_both_numbers() {
    let mut wanted = topic("wide.events", Kind::Events);
    wanted.replication = 3;
    let refused = topics::create(&config(), &[wanted]).await.unwrap();
    let [Created::Refused { topic, reason }] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert_eq!(topic, "wide.events");
    assert!(
        reason.contains("needs 3 brokers, and there are 1"),
        "{reason}"
    );
}

#[tokio::test]
async fn fewer_replicas_than_asked_for_are_found() {
    let narrow = [topic("narrow.outbound", Kind::Outbound)];
    topics::create(&config(), &narrow).await.unwrap();
    let mut wanted = narrow[0].clone();
    (wanted.replication, wanted.min_insync) = (3, 2);
    let found = problems(&[wanted]).await;
    let said: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(
        said[0].contains("on 1 brokers, and 3 are expected"),
        "{said:?}"
    );
    assert!(
        said[1].contains("min.insync.replicas = 1, and 2 or more is expected"),
        "{said:?}"
    );
}
