//! What is wanted of a local Kafka.

use std::path::PathBuf;
use std::time::Duration;

/// What is wanted of a local Kafka.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) brokers: u32,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) detached: bool,
    pub(crate) ready_within: Duration,
}

impl Options {
    /// One broker, which is its own controller; every topic has one replica.
    #[must_use]
    pub fn one() -> Self {
        Self::brokers(1)
    }

    /// Three brokers, each a controller as well, which notice the failure of one in about a second. Internal topics
    /// have three replicas; topics that are made have as many as their creator asks for.
    #[must_use]
    pub fn three() -> Self {
        Self::brokers(3)
    }

    fn brokers(brokers: u32) -> Self {
        Self {
            brokers,
            dir: None,
            properties: Vec::new(),
            detached: false,
            ready_within: Duration::from_secs(90),
        }
    }

    /// Keeps storage and logs there; what an earlier Kafka of as many brokers stored there is used. Without it a
    /// directory is made, and removed in the end.
    #[must_use]
    pub fn in_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Another line of `server.properties`, on every broker; it wins over what would be there.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Brokers outlive this process: who started them ends them by the process ids in their `pid` files. Needs a
    /// directory.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// How long a broker may take until it serves; then its start has failed. 90 s without it, for busy machines.
    #[must_use]
    pub fn ready_within(mut self, deadline: Duration) -> Self {
        self.ready_within = deadline;
        self
    }
}
