//! Why there is no connection to Kafka, said so that it can be mended.

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
