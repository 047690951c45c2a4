//! The settings that a topic of each kind must have, and why.

use std::time::Duration;

use super::{Kind, Topic};

/// The settings that are looked at, for whoever shows them.
pub const SETTINGS: &[&str] = &[
    "cleanup.policy",
    "min.compaction.lag.ms",
    "delete.retention.ms",
    "retention.ms",
    "retention.bytes",
    "segment.ms",
    "message.timestamp.type",
    "min.insync.replicas",
    "unclean.leader.election.enable",
    "max.message.bytes",
];

/// One setting of a topic.
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) rule: Rule,
    /// Whether nothing may run on a topic that breaks it.
    pub(super) grave: bool,
    pub(super) why: &'static str,
}

/// What a setting's value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Is(&'static str),
    AtLeast(u64),
    /// Milliseconds or bytes that something is kept, where -1 is for ever and `None` wants that.
    Keeps(Option<u64>),
}

impl Rule {
    /// The value that a new topic gets.
    pub(super) fn value(&self) -> String {
        match self {
            Self::Is(value) => (*value).to_owned(),
            Self::AtLeast(least) => least.to_string(),
            Self::Keeps(kept) => kept.map_or_else(|| "-1".to_owned(), |kept| kept.to_string()),
        }
    }

    /// Whether a value found obeys. One that is no number where one must be does not.
    pub(super) fn holds(&self, found: &str) -> bool {
        match self {
            Self::Is(value) => found == *value,
            Self::AtLeast(least) => found.parse::<u64>().is_ok_and(|found| found >= *least),
            Self::Keeps(wanted) => match (found.parse::<i64>(), wanted) {
                (Ok(..0), _) => true,
                (Ok(found), Some(wanted)) => found.unsigned_abs() >= *wanted,
                _ => false,
            },
        }
    }
}

/// Below these nothing works: an outage of minutes, or a node that is started anew, would find the records gone.
fn kept_least(kind: Kind) -> Option<Duration> {
    match kind {
        Kind::Cluster => Some(Duration::from_secs(60)),
        Kind::Inbound => Some(Duration::from_secs(5 * 60)),
        Kind::Events => Some(Duration::from_secs(3_600)),
        // What an edge misses is repaired by a resume.
        Kind::Outbound => None,
        Kind::Snapshots => None,
    }
}

/// How long the newest records of `snapshots` are left as they are: who reads it while it is compacted would have to
/// read on until the newer ones come.
const UNTOUCHED_MS: u64 = 600_000;
/// How long a removed entity's tombstone is kept, so that a slow reader still meets it.
const TOMBSTONES_MS: u64 = 86_400_000;

fn cleanup(kind: Kind) -> Vec<Setting> {
    let kept = |key, least, why| Setting {
        key,
        rule: Rule::AtLeast(least),
        grave: false,
        why,
    };
    if kind != Kind::Snapshots {
        return vec![Setting {
            key: "cleanup.policy",
            rule: Rule::Is("delete"),
            grave: true,
            why: "compaction removes records that the next ones stand on",
        }];
    }
    vec![
        Setting {
            key: "cleanup.policy",
            rule: Rule::Is("compact"),
            grave: true,
            why: "entities that do not change are written once, and a deletion by age would lose them (R36)",
        },
        kept(
            "min.compaction.lag.ms",
            UNTOUCHED_MS,
            "who reads the state of a partition must find it whole",
        ),
        kept(
            "delete.retention.ms",
            TOMBSTONES_MS,
            "who reads slowly must still meet what was removed",
        ),
    ]
}

/// All settings that matter, for topics that must take batches of `batch_bytes`.
pub(super) fn settings(topic: &Topic, batch_bytes: usize) -> Vec<Setting> {
    let mut settings = cleanup(topic.kind);
    settings.extend([
        Setting {
            key: "unclean.leader.election.enable",
            rule: Rule::Is("false"),
            grave: true,
            why: "a replica that lags behind could become leader, and what was acknowledged would be lost",
        },
        Setting {
            key: "min.insync.replicas",
            rule: Rule::AtLeast(u64::from(topic.min_insync)),
            grave: true,
            why: "what is acknowledged must lie on that many brokers",
        },
        Setting {
            key: "max.message.bytes",
            rule: Rule::AtLeast(batch_bytes as u64),
            grave: true,
            why: "the largest records must fit",
        },
    ]);
    if matches!(topic.kind, Kind::Cluster | Kind::Events) {
        settings.push(Setting {
            key: "message.timestamp.type",
            rule: Rule::Is("LogAppendTime"),
            grave: true,
            why: "time there is the log's, not the writers' (R37)",
        });
    }
    if topic.kind != Kind::Snapshots {
        // What is compacted is not deleted by age.
        settings.extend(retention(topic));
    }
    settings
}

fn retention(topic: &Topic) -> Vec<Setting> {
    let ms = |kept: Duration| u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
    let wanted = Setting {
        key: "retention.ms",
        rule: Rule::Keeps(topic.retention.map(ms)),
        grave: false,
        why: match topic.kind {
            Kind::Cluster => {
                "kafka.retention.cluster: who joins or was away reads the members' heartbeats there"
            }
            Kind::Inbound => {
                "kafka.retention.inbound: what was sent during an outage must still be there after it"
            }
            Kind::Events => {
                "kafka.retention.events: state older than the oldest event must be in the snapshots (R36)"
            }
            Kind::Outbound => {
                "kafka.retention.outbound: edges that were away read what they missed there"
            }
            Kind::Snapshots => "it is not deleted by age",
        },
    };
    let least = kept_least(topic.kind).map(|least| Setting {
        key: "retention.ms",
        rule: Rule::Keeps(Some(ms(least))),
        grave: true,
        why: "an outage of minutes would outlast the records",
    });
    let bytes = matches!(topic.kind, Kind::Inbound | Kind::Events).then_some(Setting {
        key: "retention.bytes",
        rule: Rule::Keeps(None),
        grave: false,
        why: "records go before their time when much is written",
    });
    [wanted].into_iter().chain(least).chain(bytes).collect()
}

/// What a new topic is made with: the rules' own values, and what the judgement need not insist on.
pub(super) fn initial(topic: &Topic, batch_bytes: usize) -> Vec<(&'static str, String)> {
    let mut values: Vec<(&'static str, String)> = Vec::new();
    for setting in settings(topic, batch_bytes) {
        let is_new = values.iter().all(|(key, _)| *key != setting.key);
        if is_new {
            values.push((setting.key, setting.rule.value()));
        }
    }
    let kept = topic.retention;
    // Only closed segments are compacted, too.
    let closed = (topic.kind == Kind::Snapshots).then_some(Duration::from_secs(3_600));
    if let Some(segment) = kept
        .map(segment_ms)
        .or(closed.map(|closed| closed.as_millis()))
    {
        values.push(("segment.ms", segment.to_string()));
    }
    values
}

/// Only whole segments are removed, and only closed ones: one that stays open for a week outlasts any retention.
fn segment_ms(kept: Duration) -> u128 {
    (kept.as_millis() / 4).clamp(60_000, 7 * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_a_new_topic_is_among_those_that_are_shown() {
        let lane = [Kind::Inbound, Kind::Events, Kind::Outbound, Kind::Snapshots];
        for kind in lane.into_iter().chain([Kind::Cluster]) {
            let topic = Topic {
                name: "main.any".to_owned(),
                partitions: 1,
                kind,
                replication: 3,
                min_insync: 2,
                retention: Some(Duration::from_secs(60)),
            };
            for (key, _) in initial(&topic, 1_000) {
                assert!(SETTINGS.contains(&key), "{key}");
            }
        }
    }
}
