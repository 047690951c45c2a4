//! Errors of connecting to Kafka. Every message says what to do.

use std::path::PathBuf;
use std::time::Duration;

/// Settings that cannot work, whatever the brokers say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nobody could be asked.
    #[error("kafka.brokers is empty: name at least one broker as host:port")]
    NoBrokers,
    /// Not an address.
    #[error(
        "{0:?} in kafka.brokers is no host:port: write each broker as one text, such as \"kafka-1:9092\""
    )]
    Broker(String),
    /// Commits would not fit.
    #[error(
        "records of at most {found} bytes leave no room for the platform's own: allow at least {least}"
    )]
    RecordSize {
        /// What is configured.
        found: usize,
        /// What is needed.
        least: usize,
    },
    /// A time of nothing would fail everything.
    #[error("kafka.append-timeout and kafka.connect-timeout must be above 0")]
    NoTime,
    /// Half a user.
    #[error(
        "kafka.sasl.user or kafka.sasl.password is empty: give both (the password best as XP__KAFKA__SASL__PASSWORD in the environment), or leave [kafka.sasl] out"
    )]
    EmptyUser,
    /// librdkafka takes C strings.
    #[error("kafka.sasl.user or kafka.sasl.password has a zero byte, which cannot be sent")]
    ZeroByte,
    /// Everybody on the way could read the password.
    #[error(
        "kafka.sasl.mechanism = \"plain\" sends the password as it is, which needs TLS: add [kafka.tls], or use \"scram-sha-512\""
    )]
    PlainInTheOpen,
}

/// Why there is no working connection. Each message names the setting that would mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The settings cannot work.
    #[error("{0}")]
    Settings(SettingsError),
    /// A file of the TLS settings cannot be read.
    #[error("{setting} = {path:?} cannot be read: {reason}")]
    File {
        /// Which setting names it.
        setting: &'static str,
        /// The file's path, as configured.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// librdkafka takes the settings for none: a key file that is no key, a wrong password of one.
    #[error(
        "the Kafka client cannot be made: {reason}; check the files and the password in [kafka.tls]"
    )]
    Client {
        /// What librdkafka said.
        reason: String,
    },
    /// No broker's name leads to an address.
    #[error(
        "no broker of kafka.brokers ({brokers}) can be found by name: {reason}; correct the names, or the name service of this machine"
    )]
    Unresolved {
        /// Who was asked for.
        brokers: String,
        /// What the resolver said.
        reason: String,
    },
    /// No broker answers in time, and nothing says why.
    #[error(
        "no broker of kafka.brokers ({brokers}) answered within {waited:?}: {reason}; is it running, is the port right, does a firewall stand between?"
    )]
    Unreachable {
        /// Who was asked.
        brokers: String,
        /// How long: `kafka.connect-timeout`.
        waited: Duration,
        /// What was seen last.
        reason: String,
    },
    /// Somebody answers, but speaks another protocol.
    #[error(
        "the brokers ({brokers}) end the conversation: {reason}; this process speaks {protocol}, and the port may expect something else: check [kafka.tls], [kafka.sasl] and the port"
    )]
    Protocol {
        /// Who was asked.
        brokers: String,
        /// What was spoken.
        protocol: &'static str,
        /// What was seen.
        reason: String,
    },
    /// A TLS handshake with the brokers failed.
    #[error("TLS towards the brokers failed: {reason}; {hint}")]
    Tls {
        /// What was seen.
        reason: String,
        /// Which setting to look at.
        hint: &'static str,
    },
    /// The brokers do not believe that we are who we say.
    #[error(
        "the brokers refuse the user {user:?} with {mechanism}: {reason}; check kafka.sasl.user, kafka.sasl.password and kafka.sasl.mechanism"
    )]
    Authentication {
        /// The user's name.
        user: String,
        /// How the password was proved.
        mechanism: &'static str,
        /// What they said.
        reason: String,
    },
    /// The brokers know who we are, and do not allow it.
    #[error("the brokers do not let {who} {what}: grant it with {grant}")]
    Forbidden {
        /// The principal that the brokers know us by.
        who: String,
        /// What was asked.
        what: String,
        /// The options of `kafka-acls` that would allow it.
        grant: String,
    },
    /// The brokers answered something else.
    #[error("the brokers did not {what}: {reason}")]
    Failed {
        /// What was asked.
        what: String,
        /// What they said.
        reason: String,
    },
}

impl From<SettingsError> for ConnectError {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error)
    }
}
