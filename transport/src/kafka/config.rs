//! The configuration of the Kafka backend. Its translation into librdkafka's own keys is in `settings`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use xp_settings::Secret;

use super::prefix::Prefix;

/// How to reach the brokers, and how long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Brokers to ask first, each `host:port`; they name the others.
    pub brokers: Vec<String>,
    /// What the brokers' logs call this process, behind the prefix.
    pub client_id: String,
    /// What stands before the names of all topics: whoever uses [`Kafka`](super::Kafka) speaks of them without it.
    pub topic_prefix: Prefix,
    /// TLS towards the brokers; `None` is plain TCP.
    pub tls: Option<Tls>,
    /// Who we are; `None` is anonymous, or whom the TLS certificate names.
    pub sasl: Option<Sasl>,
    /// The largest record. Brokers must take it (`max.message.bytes` of the topic).
    pub record_bytes_max: usize,
    /// How long an append may stay without an acknowledgement before it has failed. It bounds what a node that was
    /// stopped can still append when it goes on.
    pub append_timeout: Duration,
    /// Counts how often the topics `inbound` were made anew: positions in them start over with it (R4).
    pub generation: u32,
    /// How long starting waits for brokers. Afterwards an outage is waited out.
    pub connect_timeout: Duration,
    /// Lanes whose records travel through instances of their own, so that what is large on them holds up nobody.
    pub bulk_lanes: BTreeSet<String>,
}

/// TLS towards the brokers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM file of the authorities that may have signed the brokers' certificates; `None` is those of the system.
    pub ca: Option<PathBuf>,
    /// PEM files of our own certificate and its key, where brokers ask for one (mTLS).
    pub identity: Option<Identity>,
}

/// Our own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file of the certificate, then its issuers.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// What the key file is encrypted with.
    pub password: Option<Secret>,
}

/// A user of the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is proved.
    pub mechanism: Mechanism,
    /// The user's name, as the brokers know it.
    pub user: String,
    /// The user's password; never shown in a log line.
    pub password: Secret,
}

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Sent as it is; only over TLS.
    Plain,
    /// SCRAM-SHA-256: never sent.
    ScramSha256,
    /// SCRAM-SHA-512: never sent.
    ScramSha512,
}

impl Config {
    /// Brokers without TLS and users, with the usual times.
    #[must_use]
    pub fn at(brokers: &[&str]) -> Self {
        Self {
            brokers: brokers.iter().map(|broker| (*broker).to_owned()).collect(),
            client_id: "xp".to_owned(),
            topic_prefix: Prefix::default(),
            tls: None,
            sasl: None,
            record_bytes_max: 1 << 20,
            append_timeout: Duration::from_secs(3),
            generation: 0,
            connect_timeout: Duration::from_secs(10),
            bulk_lanes: BTreeSet::new(),
        }
    }
}
