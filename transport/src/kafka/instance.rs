//! The state that all client instances of one connection share: settings, whether brokers can be reached, statistics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Statistics};

use super::config::Config;
use super::role::{Class, Role};
use super::settings;

/// Shared by all instances of one connection.
pub(super) struct Shared {
    config: Config,
    pub(super) outage: Outage,
    statistics: Mutex<BTreeMap<String, InstanceStatistics>>,
}

/// What one instance of librdkafka said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceStatistics {
    /// Which instance, as in `events producer`.
    pub instance: String,
    /// Records that wait to be sent or acknowledged.
    pub waiting_records: u64,
    /// The bytes of those records.
    pub waiting_bytes: u64,
    /// Requests without an answer, over all brokers.
    pub requests_in_flight: i64,
    /// The slowest broker's 99th percentile from request to answer over the last window, in microseconds.
    pub roundtrip_p99_us: i64,
    /// The slowest broker's 99th percentile from append to request, in microseconds.
    pub queued_p99_us: i64,
}

impl Shared {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            outage: Outage::new(),
            statistics: Mutex::default(),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// What every instance is told; each adds its own.
    pub(super) fn settings(&self) -> ClientConfig {
        settings::client(&self.config)
    }

    /// Which instance serves a topic that Kafka calls so.
    pub(super) fn served_by(&self, name: &str) -> (Class, Role) {
        let topic = self.config.topic_prefix.without(name);
        (Class::of(topic, &self.config.bulk_lanes), Role::of(topic))
    }

    pub(super) fn statistics(&self) -> Vec<InstanceStatistics> {
        let statistics = self.statistics.lock();
        let statistics = statistics.unwrap_or_else(PoisonError::into_inner);
        statistics.values().cloned().collect()
    }

    fn keep(&self, statistics: InstanceStatistics) {
        let mut all = self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(statistics.instance.clone(), statistics);
    }
}

/// Whether brokers can be reached: one line when an outage begins, one when it ends, however many instances notice.
pub(super) struct Outage {
    is_on: AtomicBool,
    began: Instant,
    /// When a broker last answered, in milliseconds since `began`.
    answered_ms: AtomicU64,
}

/// A broker closes connections that are idle; an instance with no other one then has none at all, while others answer.
const SILENCE_MS: u64 = 1_000;

impl Outage {
    #[expect(
        clippy::disallowed_methods,
        reason = "a shell: how long brokers have been silent decides over a log line only"
    )]
    fn new() -> Self {
        Self {
            is_on: AtomicBool::new(false),
            began: Instant::now(),
            answered_ms: AtomicU64::new(0),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn begins(&self, reason: &str) {
        let answered = self.answered_ms.load(Ordering::Relaxed);
        if self.elapsed_ms().saturating_sub(answered) < SILENCE_MS {
            return;
        }
        if !self.is_on.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "xp_transport::kafka", reason, "no broker can be reached; appends fail and reads wait until one answers");
        }
    }

    /// A broker has answered.
    pub(super) fn ends(&self) {
        self.answered_ms.store(self.elapsed_ms(), Ordering::Relaxed);
        if self.is_on.load(Ordering::Relaxed) && self.is_on.swap(false, Ordering::Relaxed) {
            tracing::info!(target: "xp_transport::kafka", "brokers answer again");
        }
    }
}

/// What librdkafka calls back.
pub(super) struct Context {
    instance: String,
    shared: Arc<Shared>,
    /// The last error's own words, which the error code alone does not have.
    said: Mutex<String>,
}

impl Context {
    pub(super) fn new(instance: &str, shared: &Arc<Shared>) -> Self {
        Self {
            instance: instance.to_owned(),
            shared: Arc::clone(shared),
            said: Mutex::default(),
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }
}

impl ClientContext for Context {
    /// librdkafka speaks of every broken connection of every instance; what matters comes as an error too.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let instance = &self.instance;
        tracing::debug!(target: "librdkafka", instance, ?level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = reason.to_owned();
        let instance = &self.instance;
        match code {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.shared.outage.begins(reason),
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL) => {
                tracing::warn!(target: "xp_transport::kafka", instance, reason, "a broker refuses this client");
            }
            _ => tracing::debug!(target: "xp_transport::kafka", instance, %error, reason),
        }
    }

    fn stats(&self, statistics: Statistics) {
        let brokers = || statistics.brokers.values();
        let slowest = |of: fn(&rdkafka::statistics::Broker) -> Option<i64>| {
            brokers().filter_map(of).max().unwrap_or(0)
        };
        self.shared.keep(InstanceStatistics {
            instance: self.instance.clone(),
            waiting_records: statistics.msg_cnt,
            waiting_bytes: statistics.msg_size,
            requests_in_flight: brokers().map(|broker| broker.waitresp_cnt).sum(),
            roundtrip_p99_us: slowest(|broker| broker.rtt.as_ref().map(|window| window.p99)),
            queued_p99_us: slowest(|broker| broker.int_latency.as_ref().map(|window| window.p99)),
        });
    }
}

impl ConsumerContext for Context {}
