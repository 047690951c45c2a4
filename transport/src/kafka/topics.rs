//! The topics of an installation: how they must be, how they are, and how they are made.
//!
//! What is wrong is judged by a pure function of what is wanted and what was found; asking the brokers is apart.

mod brokers;
mod judge;
mod problem;
mod wanted;

use std::collections::BTreeMap;
use std::time::Duration;

pub use problem::Problem;
pub use wanted::SETTINGS;

use super::config::Config;
use super::error::ConnectError;
use super::probe::Probe;
use brokers::Brokers;

/// A topic as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name in the platform, such as `main.events`: [`Config::topic_prefix`] goes before it. What is found, wrong or
    /// made is told with the name that Kafka knows.
    pub name: String,
    /// How many partitions. Fixed for ever: addresses hash to them.
    pub partitions: u32,
    /// What it is for.
    pub kind: Kind,
    /// On how many brokers each record lies, at least.
    pub replication: u16,
    /// How many of them must have a record before it counts, at least.
    pub min_insync: u16,
    /// How long records are kept, at least; `None` is for ever.
    pub retention: Option<Duration>,
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Heartbeats and membership.
    Cluster,
    /// What a lane's partitions hear.
    Inbound,
    /// A lane's truth.
    Events,
    /// What a lane says to edges.
    Outbound,
    /// A lane's state, for nodes that have none: compacted by key, and kept for ever.
    Snapshots,
}

/// What the brokers say of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Missing,
    /// They do not tell this user.
    Forbidden,
    /// There it is.
    There(Shape),
}

/// How a topic is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// How many partitions.
    pub partitions: u32,
    /// On how many brokers the least replicated of them lies.
    pub replication: u16,
    /// How many of its replicas the worst of them has in sync now.
    pub in_sync: u16,
    /// Its settings in force; `None` when the brokers do not tell this user.
    pub settings: Option<BTreeMap<String, String>>,
}

/// A cluster and its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The cluster that answered.
    pub cluster: Probe,
    /// The `inter.broker.protocol.version` of a broker, where there is one: since 4.0 brokers have none, and
    /// others may not tell this user.
    pub announced: Option<String>,
    /// The topics asked for, in that order.
    pub topics: Vec<(String, Found)>,
}

/// What became of one wanted topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was missing and is there now.
    Made(String),
    /// It was there and was left alone; how it differs.
    Kept(String, Vec<Problem>),
    /// It is missing and could not be made.
    Refused {
        /// The topic's name, as Kafka calls it.
        topic: String,
        /// What the brokers said, and what would mend it.
        reason: String,
    },
}

/// Says how the topics differ from what is wanted, the fatal differences first.
///
/// # Errors
/// When the brokers cannot be asked.
pub async fn check(config: &Config, wanted: &[Topic]) -> Result<Vec<Problem>, ConnectError> {
    let wanted = in_kafka(config, wanted);
    let found = described(config, &wanted).await?;
    Ok(judge::all(config, &wanted, &found))
}

/// Says how the topics are.
///
/// # Errors
/// When the brokers cannot be asked.
pub async fn describe(config: &Config, wanted: &[Topic]) -> Result<Description, ConnectError> {
    described(config, &in_kafka(config, wanted)).await
}

async fn described(config: &Config, wanted: &[Topic]) -> Result<Description, ConnectError> {
    let names: Vec<_> = wanted.iter().map(|topic| topic.name.clone()).collect();
    Brokers::with(config, move |brokers| brokers.describe(&names)).await
}

/// The same topics, called as Kafka calls them.
fn in_kafka(config: &Config, wanted: &[Topic]) -> Vec<Topic> {
    let named = |topic: &Topic| Topic {
        name: config.topic_prefix.named(&topic.name),
        ..topic.clone()
    };
    wanted.iter().map(named).collect()
}

/// Makes the topics that are missing; the others are left alone. Doing it again changes nothing.
///
/// # Errors
/// When the brokers cannot be asked. A topic that they refuse to make is no error, but [`Created::Refused`].
pub async fn create(config: &Config, wanted: &[Topic]) -> Result<Vec<Created>, ConnectError> {
    let wanted = in_kafka(config, wanted);
    let found = described(config, &wanted).await?;
    let is_missing = |name: &str| {
        let of_name = |(topic, found): &(String, Found)| topic == name && *found == Found::Missing;
        found.topics.iter().any(of_name)
    };
    let missing = wanted.iter().filter(|topic| is_missing(&topic.name));
    let missing: Vec<_> = missing.cloned().collect();
    let made = {
        let (config, missing) = (config.clone(), missing);
        Brokers::with(&config.clone(), move |brokers| {
            brokers.create(&config, &missing)
        })
        .await?
    };
    let mut problems = judge::all(config, &wanted, &found);
    let outcome = |topic: &Topic| {
        let made = made.iter().find(|created| created.topic() == topic.name);
        made.cloned().unwrap_or_else(|| {
            let of_topic = problems.extract_if(.., |problem| problem.topic() == Some(&topic.name));
            Created::Kept(topic.name.clone(), of_topic.collect())
        })
    };
    Ok(wanted.iter().map(outcome).collect())
}

impl Created {
    /// The topic's name, whatever became of it.
    #[must_use]
    pub fn topic(&self) -> &str {
        match self {
            Self::Made(topic) | Self::Kept(topic, _) | Self::Refused { topic, .. } => topic,
        }
    }
}
