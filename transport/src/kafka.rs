//! Apache Kafka as the log: one client instance per role, because a broker serves a connection strictly in order,
//! so a long poll or a replicated append would hold up everything behind it.
//!
//! What Kafka acknowledges is only where a record is. Order, ownership and repetition are the log protocol's.

pub mod topics;
mod reader;
mod fetchers;
mod fetcher;
mod mailbox;
mod producers;
mod producer;
mod headers;
mod acknowledgement;
mod metadata_client;
mod questions;
mod instance;
mod role;
mod probe;
mod settings;
pub mod config;
mod prefix;
pub mod error;

use std::sync::Arc;

use xp_protocol::{LogIdentity, Offset};

use crate::log::{
    Acknowledged, Bounds, Eventually, Log, ReadError, Reader, Record, TopicPartition,
};
use fetchers::Fetchers;
use instance::Shared;
use metadata_client::MetadataClient;
use producers::Producers;
use reader::FetchingReader;

pub use config::{Config, Identity, Mechanism, Sasl, Tls};
pub use error::{ConnectError, SettingsError};
pub use instance::InstanceStatistics;
pub use prefix::Prefix;
pub use probe::{Probe, probe};
pub use topics::Topic;

/// An open connection to Kafka. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Kafka {
    inner: Arc<Inner>,
}

struct Inner {
    metadata_client: Arc<MetadataClient>,
    producers: Arc<Producers>,
    fetchers: Arc<Fetchers>,
    shared: Arc<Shared>,
}

impl Kafka {
    /// Connects, and returns when a broker has answered.
    ///
    /// # Errors
    /// [`ConnectError`] says what to mend: no broker within `connect_timeout`, refused authentication, TLS.
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        let shared = Arc::new(Shared::new(&config));
        let metadata_client = Arc::new(MetadataClient::connect(config, Arc::clone(&shared)).await?);
        let inner = Inner {
            producers: Arc::new(Producers::new(Arc::clone(&shared))),
            fetchers: Arc::new(Fetchers::new(
                Arc::clone(&shared),
                Arc::clone(&metadata_client),
            )),
            metadata_client,
            shared,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What Kafka calls this installation's topics.
    #[must_use]
    pub fn prefix(&self) -> &Prefix {
        &self.inner.shared.config().topic_prefix
    }

    /// Makes everything that these topics need, so that the first record is no slower than the others.
    pub async fn warm_up(&self, topics: &[Arc<str>]) {
        let names = topics.iter().map(|topic| self.prefix().named(topic).into());
        self.inner.producers.warm_up(names.collect()).await;
    }

    /// What librdkafka last said about each of its instances: every five seconds.
    #[must_use]
    pub fn statistics(&self) -> Vec<InstanceStatistics> {
        self.inner.shared.statistics()
    }

    /// Waits until all that was appended is acknowledged or has failed.
    pub async fn flush(&self) {
        self.inner.producers.flush().await;
    }
}

/// Behind this everything speaks of topics as Kafka does, errors too.
impl Log for Kafka {
    fn append(&self, at: &TopicPartition, records: Vec<Record>) -> Acknowledged {
        self.inner.producers.append(&self.prefix().at(at), &records)
    }

    fn read(&self, at: &TopicPartition, from: Offset) -> Box<dyn Reader> {
        let fetchers = Arc::clone(&self.inner.fetchers);
        Box::new(FetchingReader::open(fetchers, self.prefix().at(at), from))
    }

    fn bounds(&self, at: &TopicPartition) -> Eventually<Result<Bounds, ReadError>> {
        let (metadata_client, at) = (
            Arc::clone(&self.inner.metadata_client),
            self.prefix().at(at),
        );
        Box::pin(async move { metadata_client.bounds(at).await })
    }

    fn identity(&self, at: &TopicPartition) -> Eventually<Result<LogIdentity, ReadError>> {
        let (metadata_client, at) = (
            Arc::clone(&self.inner.metadata_client),
            self.prefix().at(at),
        );
        Box::pin(async move { metadata_client.identity(at).await })
    }

    fn partitions(&self, topic: &str) -> Eventually<Option<u32>> {
        let (metadata_client, name) = (
            Arc::clone(&self.inner.metadata_client),
            self.prefix().named(topic),
        );
        Box::pin(async move { metadata_client.partitions(name).await })
    }
}
