//! The log that is verified: the embedded one's directory, whether or not a process has it open, or brokers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xp_protocol::lane::events_topic;
use xp_protocol::{LanePartition, Offset, PartitionId};
use xp_runtime::Config;
use xp_transport::kafka::Kafka;
use xp_transport::{Log, Stored, TopicPartition, embedded};

use crate::command_line::Verify;
use crate::log_show::next_batch;

/// A log that is only read.
pub(super) enum Source {
    Directory(PathBuf),
    Shared {
        log: Kafka,
        lanes: Vec<String>,
        patience: Duration,
    },
}

/// A partition of a lane, and where its events are.
pub(super) struct EventsPartition {
    pub(super) partition: LanePartition,
    at: TopicPartition,
}

impl EventsPartition {
    fn all(lane: &str, partitions: u32, asked: &Verify) -> Vec<Self> {
        let numbers = (0..partitions).map(PartitionId);
        let wanted = numbers.filter(|number| asked.partition.is_none_or(|asked| asked == *number));
        let partition = |partition| Self {
            partition: LanePartition {
                lane: lane.into(),
                partition,
            },
            at: TopicPartition {
                topic: events_topic(lane).into(),
                partition,
            },
        };
        wanted.map(partition).collect()
    }
}

impl Source {
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let Some(kafka) = &config.kafka else {
            return Ok(Self::Directory(config.log_dir()));
        };
        let settings = config.kafka_settings(kafka, "xp-log-verify")?;
        Ok(Self::Shared {
            patience: settings.connect_timeout,
            lanes: config.lanes.keys().cloned().collect(),
            log: Kafka::connect(settings).await?,
        })
    }

    /// The end of a client blocks.
    pub(super) async fn close(self) -> Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }

    /// The partitions that are asked for.
    pub(super) async fn partitions(&self, asked: &Verify) -> Result<Vec<EventsPartition>> {
        let lanes = self.lanes().await?;
        let is_asked_for = |lane: &str| asked.lane.as_deref().is_none_or(|asked| asked == lane);
        let wanted = lanes.iter().filter(|(lane, _)| is_asked_for(lane));
        let partitions: Vec<_> = wanted
            .flat_map(|(lane, partitions)| EventsPartition::all(lane, *partitions, asked))
            .collect();
        if partitions.is_empty() {
            bail!(
                "the log has no such partition; it has {}",
                described(&lanes)
            );
        }
        Ok(partitions)
    }

    /// The lanes whose events there are, with their partition counts.
    async fn lanes(&self) -> Result<Vec<(String, u32)>> {
        match self {
            Self::Directory(dir) => {
                if !dir.is_dir() {
                    bail!(
                        "there is no log in {}; --data names the directory that `xp dev` uses, and [kafka] in the \
                         configuration a log on brokers",
                        dir.display()
                    );
                }
                let topics = embedded::topics(dir)?.into_iter();
                let lane = |(topic, partitions): (String, u32)| {
                    Some((topic.strip_suffix(".events")?.to_owned(), partitions))
                };
                Ok(topics.filter_map(lane).collect())
            }
            Self::Shared { log, lanes, .. } => {
                let mut found = Vec::new();
                for lane in lanes {
                    let partitions = log.partitions(&events_topic(lane)).await;
                    let partitions = partitions.with_context(|| {
                        format!(
                            "Kafka has no topic {}; `xp topics check` says what is missing",
                            log.prefix().named(&events_topic(lane))
                        )
                    })?;
                    found.push((lane.clone(), partitions));
                }
                Ok(found)
            }
        }
    }

    /// The oldest offset.
    pub(super) async fn first(&self, partition: &EventsPartition) -> Result<Offset> {
        let at = &partition.at;
        match self {
            Self::Directory(dir) => {
                let found = embedded::inspect(dir, &at.topic, at.partition, Offset(0))?;
                Ok(found.first())
            }
            Self::Shared { log, .. } => Ok(log.bounds(at).await?.first),
        }
    }

    /// The end, where it is known before the log is read.
    pub(super) async fn end(&self, partition: &EventsPartition) -> Result<Option<Offset>> {
        match self {
            Self::Directory(_) => Ok(None),
            Self::Shared { log, .. } => Ok(Some(log.bounds(&partition.at).await?.next)),
        }
    }

    /// Reads from the beginning to this end, or to the one that there is; says where that was.
    pub(super) async fn read(
        &self,
        partition: &EventsPartition,
        end: Option<Offset>,
        mut each: impl FnMut(&Stored),
    ) -> Result<Offset> {
        let at = &partition.at;
        let mut next = Offset(0);
        match (self, end) {
            (Self::Directory(dir), end) => {
                for stored in embedded::inspect(dir, &at.topic, at.partition, next)? {
                    let stored = stored?;
                    if end.is_some_and(|end| stored.offset >= end) {
                        break;
                    }
                    next = stored.offset.next();
                    each(&stored);
                }
            }
            (Self::Shared { log, patience, .. }, end) => {
                let end = end.unwrap_or_default();
                let mut reader = log.read(at, next);
                let at = &log.prefix().at(at);
                while next < end {
                    let batch = next_batch(reader.as_mut(), at, next..end, *patience).await?;
                    for stored in batch.iter().filter(|stored| stored.offset < end) {
                        each(stored);
                    }
                    next = batch.last().map_or(next, |last| last.offset.next());
                }
            }
        }
        Ok(end.unwrap_or(next))
    }
}

/// For messages: which lanes there are.
fn described(lanes: &[(String, u32)]) -> String {
    let lanes = lanes.iter().map(|(lane, partitions)| {
        format!(
            "lane {lane} with partitions 0 to {}",
            partitions.saturating_sub(1)
        )
    });
    let lanes: Vec<_> = lanes.collect();
    match lanes.is_empty() {
        true => "no lanes".to_owned(),
        false => lanes.join(", "),
    }
}
