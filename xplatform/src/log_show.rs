//! `xp log show`: the log's records, readable; the embedded log's as its directory holds them, Kafka's as brokers
//! hand them out.

mod directory;
mod shared;
mod view;
mod line;
mod readable;
mod validity;

use anyhow::Result;
use xp_protocol::Offset;
use xp_protocol::lane::{
    CLUSTER_TOPIC, events_topic, inbound_topic, outbound_topic, snapshots_topic,
};
use xp_runtime::Config;
use xp_transport::TopicPartition;
use xp_transport::kafka::Kafka;

use crate::command_line::Show;
use crate::configuration::{self, Overrides};
use crate::process::print;

pub(crate) use shared::next_batch;

/// Prints what was asked for; with `--follow` it ends only when interrupted.
pub(crate) async fn run(asked: Show) -> Result<()> {
    let loaded = configuration::load(
        &asked.sources,
        &Overrides::default(),
        configuration::environment(),
    )?;
    let config = loaded.config;
    let Some(kafka) = &config.kafka else {
        return directory::show(&config.log_dir(), &asked).await;
    };
    let settings = config.kafka_settings(kafka, "xp-log-show")?;
    let patience = settings.connect_timeout;
    let log = Kafka::connect(settings).await?;
    let prefix = log.prefix().clone();
    // People may call a topic as Kafka does.
    let topic = asked.topic.as_deref();
    let asked = Show {
        topic: topic.map(|topic| prefix.without(topic).to_owned()),
        ..asked
    };
    let topics = topics(&config);
    let shown = shared::show((&log, &prefix), &topics, &asked, patience, print).await;
    // The end of a client blocks.
    tokio::task::spawn_blocking(move || drop(log)).await?;
    shown
}

/// What the configured lanes have.
fn topics(config: &Config) -> Vec<String> {
    let of_lane = |name: &String| {
        [
            inbound_topic(name),
            events_topic(name),
            outbound_topic(name),
            snapshots_topic(name),
        ]
    };
    let cluster = std::iter::once(CLUSTER_TOPIC.to_owned());
    cluster
        .chain(config.lanes.keys().flat_map(of_lane))
        .collect()
}

/// Whether a topic is asked for: the one that is named, a lane's `events`, or all `events`.
fn is_asked_for(topic: &str, asked: &Show) -> bool {
    match (&asked.topic, &asked.lane) {
        (Some(name), _) => name == topic,
        (None, Some(lane)) => events_topic(lane) == topic,
        (None, None) => topic.ends_with(".events"),
    }
}

/// What is to be said of a partition of `events` whose beginning is gone: elsewhere nothing depends on what was before.
fn beheaded(at: &TopicPartition, first: Offset) -> Option<String> {
    let is_judged = at.topic.ends_with(".events");
    (is_judged && first > Offset(0)).then(|| {
        format!(
            "{at} begins at offset {first}: retention took what was before, so records count or not from the first claim that is left"
        )
    })
}

/// For messages: which topics there are.
fn described(topics: &[(String, u32)]) -> String {
    let described: Vec<_> = topics
        .iter()
        .map(|(topic, partitions)| format!("{topic} with partitions 0 to {}", partitions - 1))
        .collect();
    if described.is_empty() {
        "none".to_owned()
    } else {
        described.join(", ")
    }
}
