//! The settings of librdkafka that every instance gets. Producers and consumers add their own keys.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::config::{Config, Mechanism, Sasl, Tls};
use super::error::SettingsError;

/// What a batch of one record has around the record itself, generously: the log's own framing.
const FRAMING_BYTES: usize = 4 << 10;

/// The smallest record size that leaves room for the platform's own records.
const RECORD_BYTES_LEAST: usize = 16 << 10;

/// Times that hold for every instance: short, because an outage is ours to bridge and not the client library's.
const ALWAYS: [(&str, &str); 13] = [
    // Two seconds without an answer: the broker is gone, ask another one.
    ("socket.timeout.ms", "2000"),
    ("socket.connection.setup.timeout.ms", "1000"),
    ("socket.keepalive.enable", "true"),
    // The defaults sleep up to ten seconds after an outage.
    ("reconnect.backoff.ms", "20"),
    ("reconnect.backoff.max.ms", "300"),
    ("retry.backoff.ms", "20"),
    ("retry.backoff.max.ms", "200"),
    // How soon the new leader of a partition is found.
    ("topic.metadata.refresh.fast.interval.ms", "30"),
    // Asking about a topic must never make it, with whatever partition count the broker thinks right.
    ("allow.auto.create.topics", "false"),
    // Brokers close idle connections; that is no event.
    ("log.connection.close", "false"),
    ("log.thread.name", "false"),
    ("statistics.interval.ms", "5000"),
    // Brokers get no metrics pushed: they are ours to export.
    ("enable.metrics.push", "false"),
];

/// The largest batch a topic must take: the largest record and what the log puts around it.
pub(crate) fn batch_bytes_max(config: &Config) -> usize {
    config.record_bytes_max + FRAMING_BYTES
}

/// What every instance is told: brokers, who we are, how to be sure of them, and how long to wait.
pub(crate) fn client(config: &Config) -> ClientConfig {
    keep_openssl_to_the_end();
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", config.brokers.join(","))
        .set("client.id", config.topic_prefix.named(&config.client_id))
        .set("security.protocol", protocol(config))
        .set("message.max.bytes", batch_bytes_max(config).to_string());
    client.extend(ALWAYS.map(|(key, value)| (key.to_owned(), value.to_owned())));
    if let Some(tls) = &config.tls {
        client.extend(of_tls(tls));
    }
    if let Some(sasl) = &config.sasl {
        client.extend(of_sasl(sasl));
    }
    client.set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// OpenSSL frees what it holds when a process ends, whoever still uses it: a process that ended while a thread of
/// librdkafka closed its connections crashed. Whoever initialises it first decides, and this leaves it to the system.
fn keep_openssl_to_the_end() {
    openssl_sys::init();
}

fn protocol(config: &Config) -> &'static str {
    match (&config.tls, &config.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    }
}

fn of_tls(tls: &Tls) -> Vec<(String, String)> {
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let mut keys = Vec::new();
    if let Some(ca) = &tls.ca {
        keys.push(("ssl.ca.location".to_owned(), path(ca)));
    }
    if let Some(own) = &tls.identity {
        keys.push((
            "ssl.certificate.location".to_owned(),
            path(&own.certificate),
        ));
        keys.push(("ssl.key.location".to_owned(), path(&own.key)));
        if let Some(password) = &own.password {
            keys.push(("ssl.key.password".to_owned(), password.expose().to_owned()));
        }
    }
    keys
}

fn of_sasl(sasl: &Sasl) -> [(String, String); 3] {
    let mechanism = match sasl.mechanism {
        Mechanism::Plain => "PLAIN",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
    };
    [
        ("sasl.mechanism".to_owned(), mechanism.to_owned()),
        ("sasl.username".to_owned(), sasl.user.clone()),
        (
            "sasl.password".to_owned(),
            sasl.password.expose().to_owned(),
        ),
    ]
}

impl Config {
    /// Whether these settings can work at all, judged without looking at brokers or files.
    ///
    /// # Errors
    /// [`SettingsError`] with the setting and what to do about it.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if self.brokers.is_empty() {
            return Err(SettingsError::NoBrokers);
        }
        if let Some(broker) = self.brokers.iter().find(|broker| !is_host_and_port(broker)) {
            return Err(SettingsError::Broker(broker.clone()));
        }
        if self.record_bytes_max < RECORD_BYTES_LEAST {
            return Err(SettingsError::RecordSize {
                found: self.record_bytes_max,
                least: RECORD_BYTES_LEAST,
            });
        }
        if self.append_timeout.as_millis() < 1 || self.connect_timeout.as_millis() < 1 {
            return Err(SettingsError::NoTime);
        }
        self.sasl
            .as_ref()
            .map_or(Ok(()), |sasl| sasl.validate(self.tls.is_some()))
    }
}

impl Sasl {
    fn validate(&self, over_tls: bool) -> Result<(), SettingsError> {
        if self.user.is_empty() || self.password.expose().is_empty() {
            return Err(SettingsError::EmptyUser);
        }
        if self.user.contains('\0') || self.password.expose().contains('\0') {
            return Err(SettingsError::ZeroByte);
        }
        if self.mechanism == Mechanism::Plain && !over_tls {
            return Err(SettingsError::PlainInTheOpen);
        }
        Ok(())
    }
}

/// `host:port`, where the host may be an IPv6 address in brackets.
fn is_host_and_port(broker: &str) -> bool {
    let Some((host, port)) = broker.rsplit_once(':') else {
        return false;
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = !host.contains([':', '/', ',', ' ', '\0']);
    !host.is_empty() && (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use xp_settings::Secret;

    use super::*;
    use crate::kafka::config::Identity;

    fn secured(mechanism: Mechanism, tls: Option<Tls>) -> Config {
        let sasl = Sasl {
            mechanism,
            user: "ana".to_owned(),
            password: Secret::from("opensesame"),
        };
        Config {
            sasl: Some(sasl),
            tls,
            ..Config::at(&["kafka:9092"])
        }
    }

    #[test]
    fn the_protocol_follows_from_tls_and_user() {
        let plain = Config::at(&["a:1", "b:2"]);
        assert_eq!(client(&plain).get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(client(&plain).get("security.protocol"), Some("plaintext"));
        let scram = client(&secured(Mechanism::ScramSha512, None));
        assert_eq!(scram.get("security.protocol"), Some("sasl_plaintext"));
        assert_eq!(scram.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
        let both = client(&secured(Mechanism::Plain, Some(Tls::default())));
        assert_eq!(both.get("security.protocol"), Some("sasl_ssl"));
    }

    #[test]
    fn librdkafka_takes_every_key_and_value() {
        let mut config = secured(Mechanism::ScramSha256, None);
        config.tls = Some(Tls {
            ca: Some("ca.pem".into()),
            identity: Some(Identity {
                certificate: "own.pem".into(),
                key: "own.key".into(),
                password: Some(Secret::from("1234")),
            }),
        });
        let native = client(&config).create_native_config().unwrap();
        assert_eq!(native.get("ssl.key.location").unwrap(), "own.key");
        assert_eq!(native.get("retry.backoff.max.ms").unwrap(), "200");
    }

    #[test]
    fn no_password_shows_in_any_debug_text() {
        let config = secured(Mechanism::Plain, Some(Tls::default()));
        let said = format!("{config:?} {:?}", client(&config));
        assert!(
            said.contains("ana") && !said.contains("opensesame"),
            "{said}"
        );
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_the_setting() {
        let with = |change: fn(&mut Config)| {
            let mut config = secured(Mechanism::ScramSha256, None);
            change(&mut config);
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(with(|c| c.brokers = vec!["[::1]:9092".to_owned()]), Ok(()));
        for (said, names) in [
            (with(|c| c.brokers.clear()), "kafka.brokers is empty"),
            (
                with(|c| c.brokers = vec!["kafka".to_owned()]),
                "\"kafka\" in kafka.brokers",
            ),
            (
                with(|c| c.brokers = vec!["a:1,b:2".to_owned()]),
                "\"a:1,b:2\" in kafka.brokers",
            ),
            (with(|c| c.record_bytes_max = 100), "100 bytes"),
            (
                with(|c| c.append_timeout = std::time::Duration::ZERO),
                "above 0",
            ),
            (
                with(|c| c.sasl.as_mut().unwrap().password = Secret::from("")),
                "kafka.sasl.password",
            ),
            (
                with(|c| c.sasl.as_mut().unwrap().mechanism = Mechanism::Plain),
                "add [kafka.tls]",
            ),
        ] {
            let said = said.unwrap_err();
            assert!(said.contains(names), "{said}");
        }
    }
}
