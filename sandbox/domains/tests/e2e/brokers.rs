//! The brokers below an installation on Kafka. Everything about them blocks, so it happens on threads of its own.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use xp_local_kafka::{Listener, LocalKafka, Options};

const USER: &str = "xp";
const PASSWORD: &str = "open.sesame";

/// Brokers, and how processes reach them.
#[derive(Clone)]
pub(crate) struct Brokers {
    kafka: Arc<LocalKafka>,
    listener: Listener,
    prefix: &'static str,
}

impl Brokers {
    /// One of its own.
    pub(crate) async fn one(listener: Listener) -> Self {
        let options = Options::one().listening(listener);
        Self::start(options.user(USER, PASSWORD), listener).await
    }

    /// One of its own, and a line to it that can be cut.
    pub(crate) async fn severable_one() -> Self {
        let options = Options::one().listening(Listener::Severable);
        Self::start(options, Listener::Plaintext).await
    }

    /// Three of its own; each record lies on all of them.
    pub(crate) async fn three() -> Self {
        Self::start(Options::three(), Listener::Plaintext).await
    }

    async fn start(options: Options, listener: Listener) -> Self {
        let kafka = spawn_blocking(|| LocalKafka::start(options)).await.unwrap();
        let kafka = Arc::new(kafka.unwrap_or_else(|error| panic!("{error:#}")));
        Self {
            kafka,
            listener,
            prefix: "",
        }
    }

    /// The same ones, for an installation whose topics' names begin so.
    pub(crate) fn for_topics(&self, prefix: &'static str) -> Self {
        Self {
            prefix,
            ..self.clone()
        }
    }

    /// Its part of a configuration.
    pub(crate) fn section(&self) -> String {
        let (replication, min_insync) = if self.kafka.size() == 1 {
            (1, 1)
        } else {
            (3, 2)
        };
        let bootstrap = self.bootstrap();
        let brokers: Vec<_> = bootstrap.split(',').collect();
        format!(
            "[kafka]\nbrokers = {brokers:?}\ntopic-prefix = {:?}\nreplication = {replication}\nmin-insync = {min_insync}\n{}",
            self.prefix,
            self.credentials()
        )
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.kafka.bootstrap_of(self.listener).unwrap()
    }

    /// Where whoever is to be cut off finds it.
    pub(crate) fn severable(&self) -> String {
        self.kafka.bootstrap_of(Listener::Severable).unwrap()
    }

    pub(crate) fn cut(&self) {
        self.kafka.cut();
    }

    pub(crate) fn mend(&self) {
        self.kafka.mend();
    }

    fn credentials(&self) -> String {
        if self.listener != Listener::SaslSsl {
            return String::new();
        }
        let ca = self.kafka.certificates().unwrap().ca();
        format!(
            "[kafka.tls]\nca = {ca:?}\n[kafka.sasl]\nmechanism = \"scram-sha-512\"\nuser = {USER:?}\npassword = {PASSWORD:?}\n"
        )
    }

    /// What blocks, elsewhere.
    pub(crate) async fn does<T: Send + 'static>(
        &self,
        what: impl FnOnce(&LocalKafka) -> anyhow::Result<T> + Send + 'static,
    ) -> T {
        let kafka = Arc::clone(&self.kafka);
        let done = spawn_blocking(move || what(&kafka)).await.unwrap();
        done.unwrap_or_else(|error| panic!("{error:#}"))
    }
}
