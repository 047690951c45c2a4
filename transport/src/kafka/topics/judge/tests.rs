use std::time::Duration;

use xp_settings::Secret;

use super::*;
use crate::kafka::config::{Mechanism, Sasl};
use crate::kafka::probe::Probe;

const HOUR: Duration = Duration::from_secs(3_600);

fn topic(name: &str, kind: Kind, retention: Option<Duration>) -> Topic {
    Topic {
        name: name.to_owned(),
        partitions: if kind == Kind::Cluster { 1 } else { 8 },
        kind,
        replication: 3,
        min_insync: 2,
        retention,
    }
}

fn installation() -> Vec<Topic> {
    vec![
        topic("cluster", Kind::Cluster, Some(HOUR)),
        topic("main.inbound", Kind::Inbound, Some(6 * HOUR)),
        topic("main.events", Kind::Events, None),
        topic("main.outbound", Kind::Outbound, Some(HOUR / 4)),
        topic("main.snapshots", Kind::Snapshots, None),
    ]
}

fn config() -> Config {
    Config::at(&["kafka:9092"])
}

/// As `xp topics create` would make it.
fn as_made(topic: &Topic) -> Shape {
    let values = wanted::initial(topic, batch_bytes_max(&config())).into_iter();
    Shape {
        partitions: topic.partitions,
        replication: topic.replication,
        in_sync: topic.replication,
        settings: Some(values.map(|(key, value)| (key.to_owned(), value)).collect()),
    }
}

fn described(change: impl Fn(&str, Shape) -> Found) -> Description {
    let found = |topic: &Topic| (topic.name.clone(), change(&topic.name, as_made(topic)));
    Description {
        cluster: Probe {
            cluster_id: None,
            brokers: vec![(1, "kafka:9092".to_owned())],
        },
        announced: None,
        topics: installation().iter().map(found).collect(),
    }
}

fn judged(config: &Config, found: &Description) -> Vec<(bool, String)> {
    all(config, &installation(), found)
        .iter()
        .map(|problem| (problem.is_fatal(), problem.to_string()))
        .collect()
}

/// The one problem when `name` is found otherwise than made.
fn problem_of(name: &str, change: impl Fn(Shape) -> Found) -> (bool, String) {
    let found = described(|topic, shape| {
        if topic == name {
            change(shape)
        } else {
            Found::There(shape)
        }
    });
    let mut problems = judged(&config(), &found);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

fn problem_with(name: &str, key: &str, value: &str) -> (bool, String) {
    problem_of(name, |mut shape| {
        let settings = shape.settings.as_mut().unwrap();
        settings.insert(key.to_owned(), value.to_owned());
        Found::There(shape)
    })
}

fn assert_says((is_fatal, said): (bool, String), fatal: bool, parts: &[&str]) {
    assert_eq!(is_fatal, fatal, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[test]
fn what_create_makes_is_as_check_wants_it() {
    let found = described(|_, shape| Found::There(shape));
    assert_eq!(judged(&config(), &found), []);
}

#[test]
fn a_missing_topic_is_made_with_one_command() {
    assert_says(
        problem_of("main.events", |_| Found::Missing),
        true,
        &["main.events is missing", "`xp topics create`"],
    );
}

#[test]
fn a_topic_that_may_not_be_seen_names_the_acl_and_for_whom() {
    let mut config = config();
    config.sasl = Some(Sasl {
        mechanism: Mechanism::ScramSha512,
        user: "edge".to_owned(),
        password: Secret::from("opensesame"),
    });
    let found = described(|_, _| Found::Forbidden);
    let (is_fatal, said) = judged(&config, &found).remove(0);
    assert_says(
        (is_fatal, said),
        true,
        &[
            "cluster may not be seen by User:edge",
            "kafka-acls.sh --bootstrap-server kafka:9092 --add --allow-principal 'User:edge' --operation Describe --topic cluster",
        ],
    );
}

#[test]
fn settings_that_may_not_be_seen_are_a_warning() {
    let unseen = |shape| {
        Found::There(Shape {
            settings: None,
            ..shape
        })
    };
    assert_says(
        problem_of("main.inbound", unseen),
        false,
        &[
            "nobody checked them",
            "--operation DescribeConfigs --topic main.inbound",
        ],
    );
}

#[test]
fn a_wrong_partition_count_says_what_to_do_instead_of_changing_it() {
    let with = |partitions| {
        move |shape| {
            Found::There(Shape {
                partitions,
                ..shape
            })
        }
    };
    assert_says(
        problem_of("main.events", with(16)),
        true,
        &[
            "main.events has 16 partitions, and 8 are expected",
            "never changes in place",
            "lanes.main.partitions = 16",
        ],
    );
    assert_says(
        problem_of("main.outbound", with(2)),
        true,
        &["lanes.main.outbound-partitions = 2"],
    );
    assert_says(problem_of("cluster", with(3)), true, &["exactly one"]);
}

/// Topics are told as Kafka knows them, and lanes as the configuration does.
#[test]
fn with_a_prefix_the_topic_is_named_whole_and_the_lane_as_configured() {
    let config = Config {
        topic_prefix: Prefix::parse("shop.").unwrap(),
        ..config()
    };
    let named = |topic: Topic| Topic {
        name: config.topic_prefix.named(&topic.name),
        ..topic
    };
    let wanted: Vec<_> = installation().into_iter().map(named).collect();
    let said_of = |change: fn(&str, Shape) -> Found| {
        let found = |topic: &Topic| (topic.name.clone(), change(&topic.name, as_made(topic)));
        let found = Description {
            topics: wanted.iter().map(found).collect(),
            ..described(|_, shape| Found::There(shape))
        };
        let problems = all(&config, &wanted, &found);
        let said: Vec<_> = problems.iter().map(Problem::to_string).collect();
        said
    };
    let more = said_of(|name, shape| {
        let partitions = if name == "shop.main.events" {
            16
        } else {
            shape.partitions
        };
        Found::There(Shape {
            partitions,
            ..shape
        })
    });
    assert!(
        more[0].starts_with("shop.main.events has 16 partitions")
            && more[0].contains("lanes.main.partitions = 16"),
        "{more:?}"
    );
    let unseen = said_of(|name, shape| match name {
        "shop.cluster" => Found::Forbidden,
        _ => Found::There(Shape {
            settings: None,
            ..shape
        }),
    });
    for (part, line) in ["Describe", "DescribeConfigs"].iter().zip(&unseen) {
        let acl = format!("--operation {part} --topic shop. --resource-pattern-type prefixed");
        assert!(line.contains(&acl), "{line}");
    }
    let short = said_of(|_, mut shape| {
        let settings = shape.settings.as_mut().unwrap();
        if settings.contains_key("retention.bytes") {
            settings.insert("retention.ms".to_owned(), "10000000".to_owned());
        }
        Found::There(shape)
    });
    let configs = "--entity-name shop.main.events --add-config retention.ms=-1";
    assert!(short.iter().any(|line| line.contains(configs)), "{short:?}");
}

#[test]
fn fewer_replicas_than_asked_for_are_fatal() {
    let found = described(|name, shape| {
        let replication = if name == "main.events" { 1 } else { 3 };
        Found::There(Shape {
            replication,
            ..shape
        })
    });
    let mut problems = judged(&config(), &found).into_iter();
    assert_says(
        problems.next().unwrap(),
        true,
        &["on 1 brokers, and 3 are expected", "kafka.replication = 1"],
    );
    assert_says(
        problems.next().unwrap(),
        true,
        &[
            "min.insync.replicas is 2, so no append can ever be acknowledged",
            "--add-config min.insync.replicas=1",
        ],
    );
    assert_eq!(problems.next(), None);
}

#[test]
fn settings_that_lose_or_hide_records_are_fatal_and_come_with_their_command() {
    for (name, key, value, says) in [
        (
            "main.events",
            "cleanup.policy",
            "compact",
            "compaction removes records",
        ),
        (
            "main.inbound",
            "cleanup.policy",
            "compact,delete",
            "--add-config cleanup.policy=delete",
        ),
        (
            "main.events",
            "min.insync.replicas",
            "1",
            "and 2 or more is expected",
        ),
        (
            "cluster",
            "message.timestamp.type",
            "CreateTime",
            "message.timestamp.type=LogAppendTime",
        ),
        (
            "main.events",
            "message.timestamp.type",
            "CreateTime",
            "LogAppendTime is expected",
        ),
        (
            "main.inbound",
            "max.message.bytes",
            "1048576",
            "and 1052672 or more is expected",
        ),
        (
            "main.outbound",
            "unclean.leader.election.enable",
            "true",
            "would be lost",
        ),
        (
            "main.snapshots",
            "cleanup.policy",
            "compact,delete",
            "--add-config cleanup.policy=compact",
        ),
        (
            "cluster",
            "retention.ms",
            "1000",
            "and 60000 or more is expected",
        ),
    ] {
        assert_says(
            problem_with(name, key, value),
            true,
            &[name, key, value, says],
        );
    }
    let full = "kafka-configs.sh --bootstrap-server kafka:9092 --alter --entity-type topics --entity-name main.events --add-config cleanup.policy=delete";
    assert_says(
        problem_with("main.events", "cleanup.policy", "compact"),
        true,
        &[full],
    );
}

/// Entities that do not change are written once.
#[test]
fn what_keeps_the_published_state_whole_is_judged_and_its_age_is_not() {
    let said = problem_with("main.snapshots", "min.compaction.lag.ms", "0");
    assert_says(said, false, &["and 600000 or more is expected"]);
    let old = described(|_, mut shape| {
        let settings = shape.settings.as_mut().unwrap();
        settings.insert("segment.ms".to_owned(), "1".to_owned());
        Found::There(shape)
    });
    assert_eq!(judged(&config(), &old), []);
    let made = as_made(&topic("main.snapshots", Kind::Snapshots, None));
    assert!(!made.settings.unwrap().contains_key("retention.ms"));
}

#[test]
fn retention_is_a_warning_until_an_outage_of_minutes_outlasts_it() {
    let month = "2592000000";
    assert_says(
        problem_with("main.events", "retention.ms", month),
        false,
        &[
            "main.events has retention.ms = 2592000000, and -1 (no limit) is expected",
            "(R36)",
        ],
    );
    assert_says(
        problem_with("main.inbound", "retention.ms", "600000"),
        false,
        &["and 21600000 or more is expected"],
    );
    assert_says(
        problem_with("main.inbound", "retention.ms", "60000"),
        true,
        &["and 300000 or more is expected"],
    );
    assert_says(
        problem_with("main.outbound", "retention.ms", "60000"),
        false,
        &["and 900000 or more is expected"],
    );
    assert_says(
        problem_with("main.events", "retention.bytes", "1073741824"),
        false,
        &["retention.bytes = 1073741824, and -1 (no limit) is expected"],
    );
}

#[test]
fn events_that_are_gone_before_the_inbound_they_answer_are_fatal() {
    let found = described(|name, mut shape| {
        if name == "main.events" {
            let settings = shape.settings.as_mut().unwrap();
            settings.insert("retention.ms".to_owned(), "7200000".to_owned());
        }
        Found::There(shape)
    });
    let problems = judged(&config(), &found);
    assert_says(
        problems[0].clone(),
        true,
        &["main.events keeps records for 7200000 ms, and its inbound topic for 21600000 ms"],
    );
    assert!(!problems[1].0, "the finite retention itself only warns");
}

#[test]
fn only_brokers_that_announce_an_old_version_are_old() {
    let announcing = |announced: &str| {
        let mut found = described(|_, shape| Found::There(shape));
        found.announced = Some(announced.to_owned());
        judged(&config(), &found)
    };
    assert_says(
        announcing("3.6-IV2").remove(0),
        true,
        &["= 3.6-IV2: 3.7 is required"],
    );
    assert_says(
        announcing("3.9-IV0").remove(0),
        false,
        &["4.1 or later is advised"],
    );
    assert_eq!(announcing("4.1-IV1"), []);
    assert_eq!(announcing("something else"), []);
}
