//! A log that can be away: it refuses appends to a topic, or leaves them without an answer, until it comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;
use xp_protocol::{LogIdentity, Offset};
use xp_transport::{
    Acknowledged, AppendError, Bounds, Eventually, Log, ReadError, Reader, Record, TopicPartition,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Appends are acknowledged.
    Fine,
    /// Appends are refused, and are not in the log.
    Refusing,
    /// Appends are refused, and are in the log all the same.
    Lying,
    /// Appends land and are answered once the weather is another one.
    Hanging,
}

/// Some topics of a log, under a weather.
#[derive(Clone)]
pub struct Outage {
    log: Arc<dyn Log>,
    topics: &'static [&'static str],
    weather: watch::Sender<Weather>,
    appends: Arc<AtomicUsize>,
}

impl Outage {
    pub fn of(log: impl Log, topics: &'static [&'static str]) -> Self {
        Self {
            log: Arc::new(log),
            topics,
            weather: watch::channel(Weather::Fine).0,
            appends: Arc::default(),
        }
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many appends were tried.
    pub fn appends(&self) -> usize {
        self.appends.load(Ordering::SeqCst)
    }
}

fn refused(at: &TopicPartition) -> AppendError {
    AppendError::Unacknowledged {
        at: at.clone(),
        reason: "the log is away".to_owned(),
    }
}

impl Log for Outage {
    fn append(&self, at: &TopicPartition, records: Vec<Record>) -> Acknowledged {
        if !self.topics.contains(&&*at.topic) {
            return self.log.append(at, records);
        }
        self.appends.fetch_add(1, Ordering::SeqCst);
        let weather = *self.weather.borrow();
        let refusals = vec![Err(refused(at)); records.len()];
        match weather {
            Weather::Fine => self.log.append(at, records),
            Weather::Refusing => Box::pin(async { refusals }),
            Weather::Lying => {
                drop(self.log.append(at, records));
                Box::pin(async { refusals })
            }
            Weather::Hanging => {
                let (log, at) = (Arc::clone(&self.log), at.clone());
                let mut changes = self.weather.subscribe();
                Box::pin(async move {
                    let other = changes.wait_for(|weather| *weather != Weather::Hanging);
                    drop(other.await);
                    log.append(&at, records).await
                })
            }
        }
    }

    fn read(&self, at: &TopicPartition, from: Offset) -> Box<dyn Reader> {
        self.log.read(at, from)
    }

    fn bounds(&self, at: &TopicPartition) -> Eventually<Result<Bounds, ReadError>> {
        self.log.bounds(at)
    }

    fn identity(&self, at: &TopicPartition) -> Eventually<Result<LogIdentity, ReadError>> {
        self.log.identity(at)
    }

    fn partitions(&self, topic: &str) -> Eventually<Option<u32>> {
        self.log.partitions(topic)
    }
}
