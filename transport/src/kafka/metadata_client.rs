//! The metadata client: it asks brokers about topics through an instance of its own, which never waits behind a fetch.
//! An outage is waited out: what comes back is what a broker said. It reads no records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use uuid::Uuid;
use xp_protocol::LogIdentity;

use super::config::Config;
use super::error::ConnectError;
use super::instance::{Context, Shared};
use super::probe::{probe, without_values};
use super::questions::{self, Topic};
use crate::log::{Bounds, ReadError, TopicPartition};

/// How long to wait before it is asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// How often brokers must say that a topic is not there.
const MISSING_TIMES: u32 = 4;
/// How often the instance's log lines, errors and statistics are taken.
const LISTEN: Duration = Duration::from_secs(1);
/// How often a question without an answer is logged.
const ASKS_PER_LINE: u32 = 25;

pub(super) struct MetadataClient {
    consumer: Option<Arc<BaseConsumer<Context>>>,
    cluster: String,
    generation: u32,
    /// Topics that exist, and their partitions: neither changes while we run.
    known: Mutex<HashMap<String, u32>>,
}

impl Drop for MetadataClient {
    /// librdkafka waits for its threads, which must not hold up a task.
    fn drop(&mut self) {
        let consumer = self.consumer.take();
        std::thread::spawn(move || drop(consumer));
    }
}

impl MetadataClient {
    pub(super) async fn connect(config: Config, shared: Arc<Shared>) -> Result<Self, ConnectError> {
        let probe = probe(&config).await?;
        let context = Context::new("questions", &shared);
        let consumer = BaseConsumer::from_config_and_context(&shared.settings(), context).map_err(
            |error| ConnectError::Client {
                reason: without_values(&error),
            },
        )?;
        let consumer = Arc::new(consumer);
        tokio::spawn(listen(Arc::downgrade(&consumer)));
        Ok(Self {
            consumer: Some(consumer),
            cluster: probe.cluster_id.unwrap_or_default(),
            generation: config.generation,
            known: Mutex::default(),
        })
    }

    fn consumer(&self) -> Arc<BaseConsumer<Context>> {
        let consumer = self.consumer.as_ref();
        Arc::clone(consumer.expect("it is taken only when this is dropped"))
    }

    /// Asks until a broker answers.
    async fn ask<T: Send + 'static>(
        &self,
        about: &str,
        question: impl Fn(&BaseConsumer<Context>) -> KafkaResult<T> + Clone + Send + 'static,
    ) -> T {
        for times in 1_u32.. {
            let (consumer, question) = (self.consumer(), question.clone());
            let answer = tokio::task::spawn_blocking(move || {
                let answer = question(&consumer);
                // Here, where it may wait for its threads, should this be the last to let it go.
                drop(consumer);
                answer
            });
            match answer.await.expect("a question does not panic") {
                Ok(answer) => {
                    self.consumer().context().shared().outage.ends();
                    return answer;
                }
                Err(error) if times % ASKS_PER_LINE == 0 => {
                    tracing::warn!(target: "xp_transport::kafka", about, %error, "no answer yet; asking on");
                }
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
        unreachable!("a question is asked until it is answered")
    }

    /// A broker that has just started does not know a topic for a moment: it is missing when that is said again and
    /// again.
    async fn topic(&self, name: &str) -> Topic {
        let mut topic = Topic::Missing;
        for times in 0..MISSING_TIMES {
            if times > 0 {
                tokio::time::sleep(AGAIN).await;
            }
            let asked = name.to_owned();
            topic = self
                .ask(name, move |consumer| questions::topic(consumer, &asked))
                .await;
            if !matches!(topic, Topic::Missing) {
                break;
            }
        }
        if let Topic::Partitions(count) = topic {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(name.to_owned(), count);
        }
        topic
    }

    fn known(&self, topic: &str) -> Option<u32> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(topic).copied()
    }

    /// Whether the partition exists.
    pub(super) async fn find(&self, at: &TopicPartition) -> Result<(), ReadError> {
        let topic = match self.known(&at.topic) {
            Some(count) => Topic::Partitions(count),
            None => self.topic(&at.topic).await,
        };
        match topic {
            Topic::Partitions(count) if at.partition.0 < count => Ok(()),
            Topic::Partitions(_) | Topic::Missing => Err(ReadError::Unknown { at: at.clone() }),
            Topic::Refused(code) => Err(ReadError::Broken {
                at: at.clone(),
                reason: code.to_string(),
            }),
        }
    }

    pub(super) async fn partitions(&self, name: String) -> Option<u32> {
        match self.topic(&name).await {
            Topic::Partitions(count) => Some(count),
            Topic::Missing | Topic::Refused(_) => None,
        }
    }

    pub(super) async fn bounds(&self, at: TopicPartition) -> Result<Bounds, ReadError> {
        self.find(&at).await?;
        let about = at.to_string();
        let question = move |consumer: &BaseConsumer<Context>| questions::bounds(consumer, &at);
        Ok(self.ask(&about, question).await)
    }

    /// R4: Kafka's own topic id cannot be had through this client library, so a life of a topic is named by its
    /// cluster, its name, and the configured generation, which an operator raises when topics were made anew.
    pub(super) async fn identity(&self, at: TopicPartition) -> Result<LogIdentity, ReadError> {
        self.find(&at).await?;
        let life = format!("{}/{at}/{}", self.cluster, self.generation);
        Ok(LogIdentity(Uuid::new_v5(
            &Uuid::NAMESPACE_URL,
            life.as_bytes(),
        )))
    }
}

/// Takes what the instance has to say, which would pile up otherwise.
async fn listen(consumer: Weak<BaseConsumer<Context>>) {
    while let Some(consumer) = consumer.upgrade() {
        while consumer.poll(Duration::ZERO).is_some() {}
        let letting_go = tokio::task::spawn_blocking(move || drop(consumer));
        drop(letting_go.await);
        tokio::time::sleep(LISTEN).await;
    }
}
