//! The translation of the configured lanes into what edge, state node and log each need.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_domain_sdk::host::Registry;
use xp_protocol::lane::{
    CLUSTER_TOPIC, events_topic, inbound_topic, outbound_topic, snapshots_topic,
};
use xp_state_node::Limits;
use xp_transport::embedded::{self, Compaction, Retention, TopicConfig};
use xp_transport::kafka::topics::{Kind, Topic};

use crate::config::{Kafka, Lane, Log};

/// Why lanes and hosted categories do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// A lane without partitions serves nobody.
    #[error("lanes.{lane}.{key} is 0: give it at least 1")]
    NoPartitions {
        /// The lane's name in the configuration.
        lane: String,
        /// Which of its keys.
        key: &'static str,
    },
    /// A category would live in two places.
    #[error(
        "lanes.{lane}.categories names {category:?}, which lanes.{other} serves already: keep one of them"
    )]
    Twice {
        /// The lane that names it again.
        lane: String,
        /// The lane that named it first.
        other: String,
        /// The category that is named twice.
        category: String,
    },
    /// Nobody could say which of the two serves the rest.
    #[error(
        "lanes.{lane}.categories is empty, and so is lanes.{other}.categories: only one lane can serve all the rest"
    )]
    TwoForTheRest {
        /// The lane that comes first by name.
        lane: String,
        /// The lane that comes second by name.
        other: String,
    },
    /// A lane names what this binary does not host.
    #[error(
        "lanes.{lane}.categories names {category:?}, which this binary does not host (it hosts {hosted})"
    )]
    NotHosted {
        /// The lane that names it.
        lane: String,
        /// The category that no entity of this binary has.
        category: String,
        /// What is hosted.
        hosted: String,
    },
    /// A hosted category without a lane could never be reached.
    #[error(
        "no lane serves the hosted category {category:?}: name it in the categories of a lane, or let one lane leave them empty"
    )]
    Unserved {
        /// The category of a hosted entity that no lane names.
        category: String,
    },
}

/// Which lane serves each hosted category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served<'a> {
    lanes: &'a BTreeMap<String, Lane>,
    by_category: BTreeMap<&'a str, &'a str>,
}

impl<'a> Served<'a> {
    /// Finds the lane of each of the `hosted` categories.
    ///
    /// # Errors
    /// [`LaneError`] when a category has no lane or two, or a lane cannot work.
    pub fn find(lanes: &'a BTreeMap<String, Lane>, hosted: &[&'a str]) -> Result<Self, LaneError> {
        lanes
            .iter()
            .try_for_each(|(name, lane)| has_partitions(name, lane))?;
        let mut by_category = named(lanes, hosted)?;
        let rest = rest(lanes)?;
        for category in hosted {
            let known = by_category.contains_key(category);
            match rest {
                _ if known => {}
                Some(lane) => drop(by_category.insert(category, lane)),
                None => {
                    return Err(LaneError::Unserved {
                        category: (*category).to_owned(),
                    });
                }
            }
        }
        Ok(Self { lanes, by_category })
    }

    fn categories_of<'b>(&'b self, lane: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        let of_lane = move |(category, served_by): (&&'a str, &&str)| {
            (*served_by == lane).then_some(*category)
        };
        self.by_category.iter().filter_map(of_lane)
    }

    /// The lanes as a state node takes them, with its own bounds where a lane has none.
    #[must_use]
    pub fn for_state_node(&self, limits: &Limits) -> xp_state_node::Lanes {
        let mut lanes = xp_state_node::Lanes::default();
        for (name, lane) in self.lanes {
            let usual = xp_state_node::Lane::new(name, lane.partitions, lane.outbound_partitions);
            let served = xp_state_node::Lane {
                placement: (&lane.placement).into(),
                limits: Some(Arc::new(lane.limits.over(limits))),
                ..usual
            };
            lanes = lanes.with(served, self.categories_of(name));
        }
        lanes
    }

    /// The lanes as an edge takes them, with the claims that the hosted entities keep.
    #[must_use]
    pub fn for_edge(&self, registry: &Registry) -> xp_edge::Lanes {
        let lane = |name: &str| xp_edge::Lane {
            name: name.to_owned(),
            partitions: self.lanes[name].partitions,
            outbound_partitions: self.lanes[name].outbound_partitions,
        };
        let by_category = self.by_category.iter();
        let lanes = xp_edge::Lanes {
            by_category: by_category
                .map(|(category, name)| ((*category).to_owned(), lane(name)))
                .collect(),
            ..xp_edge::Lanes::default()
        };
        let hosts = registry.categories().filter_map(|name| registry.get(name));
        hosts.fold(lanes, |lanes, host| {
            lanes.telling(host.category(), host.claims())
        })
    }

    /// The topics of the embedded log: `events` and `cluster` durable, what only passes through in memory (R4). Where
    /// `events` are ever deleted, snapshots are published, and also where that was so once: the `events` that are left may
    /// need them, and `is_there` says which topics exist.
    #[must_use]
    pub fn topics(&self, log: &Log, is_there: impl Fn(&str) -> bool) -> embedded::Config {
        let cluster = Retention {
            bytes: None,
            age_ms: Some(log.cluster_age.ms()),
        };
        let mut topics = vec![durable(CLUSTER_TOPIC, 1, log).keeping(cluster)];
        for (name, lane) in self.lanes {
            let transient = log.transient_size.0 as u64;
            let truth = durable(&events_topic(name), lane.partitions, log);
            let snapshots = snapshots_topic(name);
            let publishes = log.forgets() || is_there(&snapshots);
            topics.push(match publishes {
                true => truth.keeping(kept(lane, log)).once_released(),
                false => truth,
            });
            topics.push(TopicConfig::memory(
                &inbound_topic(name),
                lane.partitions,
                transient,
            ));
            let told =
                TopicConfig::memory(&outbound_topic(name), lane.outbound_partitions, transient);
            // An edge begins at the end and never goes back (R25).
            topics.push(told.once_read());
            if publishes {
                let published = durable(&snapshots, lane.partitions, log);
                topics.push(published.compacted(COMPACTION));
            }
        }
        embedded::Config { topics }
    }

    /// The topics that Kafka must have.
    #[must_use]
    pub fn kafka_topics(&self, kafka: &Kafka) -> Vec<Topic> {
        let topic = |name: &str, partitions, kind, retention| Topic {
            name: name.to_owned(),
            partitions,
            kind,
            replication: kafka.replication,
            min_insync: kafka.min_insync,
            retention,
        };
        let cluster_age = Some(kafka.retention.cluster.0);
        let mut topics = vec![topic(CLUSTER_TOPIC, 1, Kind::Cluster, cluster_age)];
        for (name, lane) in self.lanes {
            let (heard, told) = (
                Some(kafka.retention.inbound.0),
                Some(kafka.retention.outbound.0),
            );
            let truth = kafka.retention.events.limit();
            let (partitions, outbound) = (lane.partitions, lane.outbound_partitions);
            topics.extend([
                topic(&inbound_topic(name), partitions, Kind::Inbound, heard),
                topic(&events_topic(name), partitions, Kind::Events, truth),
                topic(&outbound_topic(name), outbound, Kind::Outbound, told),
                topic(&snapshots_topic(name), partitions, Kind::Snapshots, None),
            ]);
        }
        topics
    }
}

/// Longer than any node reads what is published.
const COMPACTION: Compaction = Compaction {
    tombstones_ms: 10 * 60_000,
};

/// How much of a lane's `events` is kept in any case.
fn kept(lane: &Lane, log: &Log) -> Retention {
    let size = log.events_size.map(|size| size.0 as u64);
    let age = log.events_age.limit();
    Retention {
        bytes: size.map(|size| size.div_ceil(u64::from(lane.partitions))),
        age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn durable(name: &str, partitions: u32, log: &Log) -> TopicConfig {
    TopicConfig {
        durability: log.durability.into(),
        segment_bytes: log.segment_size.0 as u64,
        ..TopicConfig::durable(name, partitions)
    }
}

fn has_partitions(name: &str, lane: &Lane) -> Result<(), LaneError> {
    let counts = [
        ("partitions", lane.partitions),
        ("outbound-partitions", lane.outbound_partitions),
    ];
    match counts.into_iter().find(|(_, count)| *count == 0) {
        Some((key, _)) => Err(LaneError::NoPartitions {
            lane: name.to_owned(),
            key,
        }),
        None => Ok(()),
    }
}

fn named<'a>(
    lanes: &'a BTreeMap<String, Lane>,
    hosted: &[&str],
) -> Result<BTreeMap<&'a str, &'a str>, LaneError> {
    let mut found = BTreeMap::new();
    for (lane, category) in lanes
        .iter()
        .flat_map(|(name, lane)| lane.categories.iter().map(move |c| (name, c)))
    {
        if !hosted.contains(&category.as_str()) {
            let (lane, category) = (lane.clone(), category.clone());
            return Err(LaneError::NotHosted {
                lane,
                category,
                hosted: hosted.join(", "),
            });
        }
        if let Some(other) = found.insert(category.as_str(), lane.as_str()) {
            let (lane, other, category) = (lane.clone(), other.to_owned(), category.clone());
            return Err(LaneError::Twice {
                lane,
                other,
                category,
            });
        }
    }
    Ok(found)
}

fn rest(lanes: &BTreeMap<String, Lane>) -> Result<Option<&str>, LaneError> {
    let mut empty = lanes
        .iter()
        .filter(|(_, lane)| lane.categories.is_empty())
        .map(|(name, _)| name.as_str());
    match (empty.next(), empty.next()) {
        (Some(lane), Some(other)) => Err(LaneError::TwoForTheRest {
            lane: lane.to_owned(),
            other: other.to_owned(),
        }),
        (found, _) => Ok(found),
    }
}

#[cfg(test)]
mod tests;
