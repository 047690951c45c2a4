//! The log that a process runs on: an embedded one that it has for itself, or Kafka.

use std::fmt;
use std::sync::Arc;

use xp_transport::Log;
use xp_transport::embedded::{Embedded, OpenError};
use xp_transport::kafka::topics::{self, Problem, Topic};
use xp_transport::kafka::{ConnectError, Kafka};

use crate::config::kafka::KafkaProblem;
use crate::config::{self, Config};
use crate::lanes::Served;

/// Why there is no log to run on.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The embedded log cannot be opened.
    #[error(transparent)]
    Embedded(#[from] OpenError),
    /// The section `kafka` cannot be used.
    #[error(transparent)]
    Settings(#[from] KafkaProblem),
    /// Kafka cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Kafka's topics are not as they must be.
    #[error("{0}")]
    Topics(TopicProblems),
}

/// What must be mended before anything may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicProblems(pub Vec<Problem>);

impl fmt::Display for TopicProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the topics are not as they must be:")?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

/// An open log.
pub(crate) enum Backend {
    Embedded(Embedded),
    Kafka(Kafka),
}

impl Backend {
    /// Opens what the configuration names. With Kafka, every topic is checked first; `name` is what its brokers call
    /// this process.
    pub(crate) async fn open(
        config: &Config,
        served: &Served<'_>,
        name: &str,
    ) -> Result<Self, BackendError> {
        match &config.kafka {
            None => {
                let dir = config.log_dir();
                let topics = served.topics(&config.log, |topic| dir.join(topic).is_dir());
                let log = Embedded::open(dir, topics)?;
                Ok(Self::Embedded(log))
            }
            Some(kafka) => connect(config, kafka, served, name).await.map(Self::Kafka),
        }
    }

    pub(crate) fn log(&self) -> Arc<dyn Log> {
        match self {
            Self::Embedded(log) => Arc::new(log.clone()),
            Self::Kafka(log) => Arc::new(log.clone()),
        }
    }

    /// Whether nobody else can be on this log while it is open.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }

    /// Waits for what was appended, and frees what the log holds.
    pub(crate) async fn close(self) {
        if let Self::Kafka(log) = &self {
            log.flush().await;
        }
        self.abandon().await;
    }

    /// Frees what the log holds. Off the runtime: a sync or the end of a client blocks, and must not hold up the
    /// tasks that wait for it.
    pub(crate) async fn abandon(self) {
        let freed = tokio::task::spawn_blocking(move || match self {
            Self::Embedded(log) => log.close(),
            Self::Kafka(log) => drop(log),
        });
        freed.await.expect("closing a log does not panic");
    }
}

async fn connect(
    config: &Config,
    kafka: &config::Kafka,
    served: &Served<'_>,
    name: &str,
) -> Result<Kafka, BackendError> {
    let settings = config.kafka_settings(kafka, &format!("xp-{name}"))?;
    let log = Kafka::connect(settings.clone()).await?;
    let wanted = served.kafka_topics(kafka);
    let problems = topics::check(&settings, &wanted).await?;
    let (fatal, others): (Vec<_>, Vec<_>) = problems.into_iter().partition(Problem::is_fatal);
    for problem in others {
        tracing::warn!(target: "xp_sandbox::topics", "{problem}");
    }
    if !fatal.is_empty() {
        return Err(BackendError::Topics(TopicProblems(fatal)));
    }
    let name = |topic: &Topic| topic.name.as_str().into();
    log.warm_up(&wanted.iter().map(name).collect::<Vec<_>>())
        .await;
    Ok(log)
}
