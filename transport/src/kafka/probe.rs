//! The first contact: is there a cluster, and if not, what is the most telling reason?
//!
//! librdkafka goes on trying for ever and says what went wrong only in passing. So an instance of its own is
//! watched until the brokers answer, or until something has gone wrong that waiting does not mend.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use self::fault::{Fault, verdict};
use super::config::{Config, Tls};
use super::error::ConnectError;
use super::settings;

mod fault;

/// How long one request for the brokers' names may take before the faults seen meanwhile are looked at.
const ROUND: Duration = Duration::from_millis(250);

/// The faults kept, at most. The newest are dropped: the first of each kind tells the most.
const FAULTS_MAX: usize = 64;

/// A cluster of brokers, as it answered to a question for its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The cluster's id, where it has one.
    pub cluster_id: Option<String>,
    /// The brokers it names, each with its node id and `host:port`.
    pub brokers: Vec<(i32, String)>,
}

/// Waits until a broker answers, `connect_timeout` at most. Async: the work is done on a thread that may block.
///
/// # Errors
/// The most telling reason why nobody answers.
pub async fn probe(config: &Config) -> Result<Probe, ConnectError> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || probe_blocking(&config))
        .await
        .expect("probing does not panic, and its thread outlives the runtime's end")
}

/// As [`probe`], for threads that may block.
#[expect(
    clippy::disallowed_methods,
    reason = "a shell: waits for brokers with a deadline"
)]
pub(crate) fn probe_blocking(config: &Config) -> Result<Probe, ConnectError> {
    config.validate()?;
    config.tls.as_ref().map_or(Ok(()), files_can_be_read)?;
    let faults = Faults::default();
    let client = instance(config, faults.clone())?;
    let deadline = Instant::now() + config.connect_timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = client.client().fetch_metadata(None, ROUND.min(left));
        client.poll(Duration::from_millis(1));
        match answer {
            Ok(found) => return Ok(seen(&client, &found)),
            Err(error) => faults.push(&error, "no answer about the cluster"),
        }
        let seen = faults.taken();
        if Instant::now() >= deadline || seen.iter().any(Fault::is_final) {
            return Err(verdict(config, &seen));
        }
    }
}

fn instance(config: &Config, faults: Faults) -> Result<BaseProducer<Faults>, ConnectError> {
    settings::client(config)
        .set("statistics.interval.ms", "0")
        // Without it nothing at all is said of a broker that hangs up.
        .set("log.connection.close", "true")
        .set_log_level(RDKafkaLogLevel::Info)
        .create_with_context(faults)
        .map_err(|error| ConnectError::Client {
            reason: without_values(&error),
        })
}

fn seen(client: &BaseProducer<Faults>, found: &rdkafka::metadata::Metadata) -> Probe {
    let broker = |broker: &rdkafka::metadata::MetadataBroker| {
        (broker.id(), format!("{}:{}", broker.host(), broker.port()))
    };
    Probe {
        cluster_id: client.client().fetch_cluster_id(ROUND),
        brokers: found.brokers().iter().map(broker).collect(),
    }
}

/// What librdkafka says of settings without the value, which may be a password.
pub(crate) fn without_values(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, why, key, _) => format!("{key}: {why}"),
        KafkaError::ClientCreation(why) => why.clone(),
        other => other.to_string(),
    }
}

fn files_can_be_read(tls: &Tls) -> Result<(), ConnectError> {
    let own = tls.identity.as_ref();
    let files = [
        ("kafka.tls.ca", tls.ca.as_deref()),
        ("kafka.tls.certificate", own.map(|own| &*own.certificate)),
        ("kafka.tls.key", own.map(|own| &*own.key)),
    ];
    files
        .into_iter()
        .filter_map(|(setting, path)| Some((setting, path?)))
        .try_for_each(|(setting, path)| can_be_read(setting, path))
}

fn can_be_read(setting: &'static str, path: &Path) -> Result<(), ConnectError> {
    match File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(ConnectError::File {
            setting,
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// What went wrong so far, as librdkafka tells it in passing.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    fn add(&self, fault: Fault) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < FAULTS_MAX && !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    fn push(&self, error: &KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.add(Fault::new(code, reason));
        }
    }

    fn taken(&self) -> Vec<Fault> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ClientContext for Faults {
    /// A broker that hangs up is no error to librdkafka, only a line in its log; here it may be the reason.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(facility, "{line}");
        if facility == "FAIL" {
            self.add(Fault::new(RDKafkaErrorCode::BrokerTransportFailure, line));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.push(&error, reason);
    }
}

impl ProducerContext for Faults {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): ()) {}
}
