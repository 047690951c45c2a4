//! The output of `xp topics`, as pure functions of what was found.

use xp_transport::kafka::topics::{self, Created, Description, Found, Problem, Shape};

/// What is printed, and why the command failed, if it did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) text: String,
    pub(super) failure: Option<String>,
}

impl Outcome {
    fn of(text: String, fatal: usize) -> Self {
        let failure = match fatal {
            0 => None,
            1 => Some("nothing can start before this is mended".to_owned()),
            many => Some(format!("nothing can start before these {many} are mended")),
        };
        Self { text, failure }
    }
}

pub(super) fn checked(problems: &[Problem], topics: usize) -> Outcome {
    let mut text: String = problems.iter().map(line).collect();
    if problems.is_empty() {
        text = format!("all {topics} topics are as they must be\n");
    }
    Outcome::of(text, fatal(problems))
}

pub(super) fn created(created: &[Created]) -> Outcome {
    let mut text = String::new();
    let mut failures = 0;
    for topic in created {
        match topic {
            Created::Made(name) => text.push_str(&format!("made     {name}\n")),
            Created::Kept(name, problems) => {
                text.push_str(&format!("kept     {name}\n"));
                problems
                    .iter()
                    .for_each(|problem| text.push_str(&line(problem)));
                failures += fatal(problems);
            }
            Created::Refused { topic, reason } => {
                text.push_str(&format!("refused  {topic}: {reason}\n"));
                failures += 1;
            }
        }
    }
    Outcome::of(text, failures)
}

pub(super) fn described(found: &Description) -> Outcome {
    let cluster = found
        .cluster
        .cluster_id
        .as_deref()
        .unwrap_or("without an id");
    let brokers = found.cluster.brokers.iter();
    let brokers: Vec<_> = brokers
        .map(|(id, at)| format!("{at} (node {id})"))
        .collect();
    let mut text = format!("cluster {cluster}: {}\n", brokers.join(", "));
    if let Some(announced) = &found.announced {
        text.push_str(&format!("inter.broker.protocol.version = {announced}\n"));
    }
    for (name, found) in &found.topics {
        match found {
            Found::Missing => text.push_str(&format!("\n{name}: missing\n")),
            Found::Forbidden => text.push_str(&format!("\n{name}: may not be seen by this user\n")),
            Found::There(shape) => text.push_str(&format!("\n{name}: {}", described_shape(shape))),
        }
    }
    Outcome::of(text, 0)
}

fn described_shape(shape: &Shape) -> String {
    let mut text = format!(
        "partitions {}, replicas {}, of these in sync {}\n",
        shape.partitions, shape.replication, shape.in_sync
    );
    let Some(settings) = &shape.settings else {
        text.push_str("  its settings may not be seen by this user\n");
        return text;
    };
    for key in topics::SETTINGS {
        if let Some(value) = settings.get(*key) {
            text.push_str(&format!("  {key} = {value}\n"));
        }
    }
    text
}

fn line(problem: &Problem) -> String {
    let weight = if problem.is_fatal() {
        "fatal  "
    } else {
        "warning"
    };
    format!("{weight}  {problem}\n")
}

fn fatal(problems: &[Problem]) -> usize {
    problems.iter().filter(|problem| problem.is_fatal()).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use xp_transport::kafka::Probe;

    use super::*;

    #[test]
    fn topics_that_are_as_they_must_be_are_counted() {
        let outcome = checked(&[], 4);
        assert_eq!(outcome.text, "all 4 topics are as they must be\n");
        assert_eq!(outcome.failure, None);
    }

    #[test]
    fn a_topic_that_could_not_be_made_fails_the_command() {
        let outcome = created(&[
            Created::Made("cluster".to_owned()),
            Created::Kept("main.inbound".to_owned(), Vec::new()),
            Created::Refused {
                topic: "main.events".to_owned(),
                reason: "it needs 3 brokers, and there are 1".to_owned(),
            },
        ]);
        let lines: Vec<_> = outcome.text.lines().collect();
        assert_eq!(
            lines,
            [
                "made     cluster",
                "kept     main.inbound",
                "refused  main.events: it needs 3 brokers, and there are 1"
            ]
        );
        assert!(outcome.failure.is_some());
    }

    #[test]
    fn a_description_shows_the_settings_that_matter_and_no_others() {
        let settings = [("cleanup.policy", "delete"), ("preallocate", "false")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let shape = Shape {
            partitions: 8,
            replication: 3,
            in_sync: 2,
            settings: Some(BTreeMap::from(settings)),
        };
        let text = described(&Description {
            cluster: Probe {
                cluster_id: Some("abc".to_owned()),
                brokers: vec![(1, "kafka-1:9092".to_owned())],
            },
            announced: None,
            topics: vec![
                ("cluster".to_owned(), Found::Missing),
                ("main.events".to_owned(), Found::There(shape)),
            ],
        })
        .text;
        assert_eq!(
            text,
            "cluster abc: kafka-1:9092 (node 1)\n\ncluster: missing\n\nmain.events: partitions 8, replicas 3, of these in sync 2\n  cleanup.policy = delete\n"
        );
    }
}
